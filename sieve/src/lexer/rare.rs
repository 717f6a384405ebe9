//! What few scripts have: texts of several lines, and octets of other languages.

use super::{Lexer, TokenKind};
use crate::diagnostic::DiagnosticKind;
use crate::position::Span;

impl Lexer<'_, '_> {
    /// After `text`, at the colon.
    #[inline(never)]
    pub(super) fn multi_line(&mut self, start: usize) {
        self.at += 1;
        while self.peek().is_some_and(|c| c == b' ' || c == b'\t') {
            self.at += 1;
        }
        if self.peek() == Some(b'#') {
            let comment = self.at;
            self.at += memchr::memchr(b'\n', self.rest()).unwrap_or(self.rest().len());
            self.comments.push(Span::new(comment, self.at));
        }
        if self.peek() == Some(b'\r') {
            self.at += 1;
        }
        if self.peek() != Some(b'\n') {
            self.sink.error_with(
                DiagnosticKind::Lexical,
                Span::new(start, self.at),
                "text: must be followed by a line end",
                "begin the text on the next line and end it with a line of one dot",
            );
            return self.cut(TokenKind::Text(b""), start);
        }
        let line_of_token = self.line;
        self.end_line();
        let mut text = Vec::new();
        loop {
            let rest = self.source.get(self.at..).unwrap_or_default();
            if rest.is_empty() {
                self.unclosed = true;
                self.sink.error_with(
                    DiagnosticKind::Lexical,
                    Span::new(start, start + 5),
                    "this text: block is never closed",
                    "end it with a line that holds a single dot",
                );
                break;
            }
            let end = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
            let line = rest.get(..end).unwrap_or_default();
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            self.at += end;
            if end < rest.len() {
                self.end_line();
            }
            if line == b"." {
                break;
            }
            if line.contains(&0) {
                self.nul();
            }
            text.extend_from_slice(if line.starts_with(b"..") {
                line.get(1..).unwrap_or_default()
            } else {
                line
            });
            text.extend_from_slice(b"\r\n");
        }
        self.built = text;
        self.cut(TokenKind::BuiltText, start);
        self.token.line = line_of_token;
    }

    /// `//` up to the end of its line: one fault, whatever stands there.
    pub(super) fn foreign_comment(&mut self) {
        let start = self.at;
        let rest = self.rest();
        self.at += memchr::memchr(b'\n', rest).unwrap_or(rest.len());
        self.sink.error_with(
            DiagnosticKind::Lexical,
            Span::new(start, start + 2),
            "`//` begins no comment",
            "comments begin with # or stand between /* and */",
        );
    }

    /// A string as other languages write it, if it is one: one fault, and a string all the same.
    pub(super) fn single_quoted(&mut self) -> bool {
        let start = self.at;
        let text = self.rest().get(1..).unwrap_or_default();
        let end = memchr::memchr2(b'\'', b'\n', text);
        let Some(end) = end.filter(|&end| text.get(end) == Some(&b'\'')) else {
            return false;
        };
        self.at += end + 2;
        self.sink.error_with(
            DiagnosticKind::Lexical,
            Span::new(start, self.at),
            "strings stand in double quotes",
            "write \" instead of '",
        );
        let text = text.get(..end).unwrap_or_default();
        self.cut(TokenKind::Text(text), start);
        true
    }

    /// Skips a run of octets that begin no token, so that it makes one fault.
    pub(super) fn stray(&mut self) {
        let start = self.at;
        while self.peek().is_some_and(|c| {
            !c.is_ascii_whitespace() && !c.is_ascii_alphanumeric() && !b"\"#:[](){},;_".contains(&c)
        }) {
            self.at += 1;
        }
        if self.at == start {
            self.at += 1;
        }
        let octets = self.source.get(start..self.at).unwrap_or_default();
        let text = String::from_utf8_lossy(octets);
        let message = format!("`{}` begins no word of the language", text.escape_debug());
        let span = Span::new(start, self.at);
        if octets.first().is_some_and(|c| b"=&|<>!+".contains(c)) {
            self.sink.error_with(
                DiagnosticKind::Lexical,
                span,
                message,
                "there are no operators: compare with tags like :is, join tests with allof (…), anyof (…) and not",
            );
        } else {
            self.sink.error(DiagnosticKind::Lexical, span, message);
        }
    }
}
