//! Text being read, and the two raw ways of reading a line.

use std::sync::Arc;

/// A text and a position in it.
#[derive(Clone, Debug)]
pub(super) struct Source {
    text: Arc<[u8]>,
    at: usize,
    /// An rcfile, whose end inside quotes is reported, as opposed to a line already read.
    is_file: bool,
}

impl Source {
    pub(super) fn file(text: Arc<[u8]>) -> Self {
        Self {
            text,
            at: 0,
            is_file: true,
        }
    }

    pub(super) fn line_text(text: &[u8]) -> Self {
        Self {
            text: Arc::from(text),
            at: 0,
            is_file: false,
        }
    }

    pub(super) fn is_file(&self) -> bool {
        self.is_file
    }

    pub(super) fn position(&self) -> usize {
        self.at
    }

    pub(super) fn rewind(&mut self, position: usize) {
        self.at = position;
    }

    /// The line being read, 1-based.
    pub(super) fn line(&self) -> usize {
        self.line_of(self.at)
    }

    /// The line of an octet, 1-based.
    pub(super) fn line_of(&self, at: usize) -> usize {
        let before = self.text.get(..at).unwrap_or(&self.text);
        1 + memchr::memchr_iter(b'\n', before).count()
    }

    pub(super) fn slice(&self, span: &std::ops::Range<usize>) -> &[u8] {
        self.text.get(span.clone()).unwrap_or(&[])
    }

    pub(super) fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    pub(super) fn peek_second(&self) -> Option<u8> {
        self.text.get(self.at + 1).copied()
    }

    pub(super) fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    pub(super) fn accept(&mut self, wanted: u8) -> bool {
        let found = self.peek() == Some(wanted);
        self.at += usize::from(found);
        found
    }

    pub(super) fn skip_blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t')) {
            self.at += 1;
        }
    }

    /// Takes octets as long as they satisfy the test.
    pub(super) fn take_while(&mut self, test: impl Fn(u8) -> bool) -> &[u8] {
        let start = self.at;
        while self.peek().is_some_and(&test) {
            self.at += 1;
        }
        self.text.get(start..self.at).unwrap_or(&[])
    }

    /// The rest of the line, without its newline, which is taken too.
    pub(super) fn rest_of_line(&mut self) -> Vec<u8> {
        let line = self.take_while(|byte| byte != b'\n').to_vec();
        self.at += usize::from(self.peek().is_some());
        line
    }

    pub(super) fn rest(&self) -> &[u8] {
        self.text.get(self.at..).unwrap_or(&[])
    }

    /// A line of a condition or a program: lines ending in a backslash are joined, keeping
    /// backslash and newline; a line that is nothing but a backslash becomes a newline alone. What
    /// stands behind a NUL is lost.
    pub(super) fn raw_line(&mut self) -> Vec<u8> {
        let mut line = Vec::new();
        loop {
            let part = self.rest_of_line();
            let goes_on = part.ends_with(b"\\");
            if part != b"\\" {
                line.extend_from_slice(&part);
            }
            if goes_on {
                line.push(b'\n');
            }
            if !goes_on || self.peek().is_none() {
                line.truncate(until_nul(&line).len());
                return line;
            }
        }
    }
}

/// The text up to a NUL, which ends it wherever it is a name or a value.
pub(super) fn until_nul(text: &[u8]) -> &[u8] {
    let end = memchr::memchr(0, text).unwrap_or(text.len());
    text.get(..end).unwrap_or(text)
}

pub(crate) fn is_name_start(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_'
}

pub(crate) fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

pub(crate) fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

pub(crate) fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n')
}

/// Drops each backslash-newline, and the blanks that start the line behind any newline.
pub(crate) fn join_lines(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte == b'\\' && after.first() == Some(&b'\n') {
            continue;
        }
        if byte != b'\n' {
            out.push(byte);
            continue;
        }
        if !text
            .get(..text.len() - after.len() - 1)
            .is_some_and(|before| before.ends_with(b"\\"))
        {
            out.push(byte);
        }
        while let Some((b' ' | b'\t', more)) = rest.split_first() {
            rest = more;
        }
    }
    out
}

/// The same for an expression: the backslash that quotes its start joins nothing.
pub(crate) fn join_expression(text: &[u8]) -> Vec<u8> {
    match text.split_first() {
        Some((b'\\', rest)) => [b"\\".as_slice(), &join_lines(rest)].concat(),
        _ => join_lines(text),
    }
}
