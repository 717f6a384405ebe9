//! Octets to tokens (RFC 5228 §8.1).

mod class;
mod rare;
#[cfg(test)]
pub(crate) mod tests;

use crate::diagnostic::{DiagnosticKind, Sink};
use crate::position::Span;
pub(crate) use class::is_field_name;
use class::{BLANK, WORD, is, plain, word};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TokenKind<'s> {
    Identifier(&'s str),
    /// Without the colon.
    Tag(&'s str),
    Number(u64),
    /// A string that means what stands between its quotes.
    Text(&'s [u8]),
    /// Another, which the lexer has [built](Lexer::built).
    BuiltText,
    /// One of `[](){},;`.
    Mark(u8),
    End,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Token<'s> {
    pub(crate) kind: TokenKind<'s>,
    pub(crate) span: Span,
    /// Where it begins, 1-based.
    pub(crate) line: u32,
}

/// A comment with its delimiters, for the formatter.
pub(crate) type Comment = Span;

pub(crate) struct Lexed<'s> {
    /// Ends with exactly one [`TokenKind::End`].
    pub(crate) tokens: Vec<Token<'s>>,
    pub(crate) comments: Vec<Comment>,
}

/// Cuts the source of `sink` into tokens, one when asked; faults go to `sink` and the rest is still cut.
pub(crate) struct Lexer<'a, 's> {
    pub(crate) sink: &'a mut Sink<'s>,
    /// The one cut last: it is written here at once, since going through the hands of callers costs more than cutting.
    pub(crate) token: Token<'s>,
    source: &'s [u8],
    at: usize,
    /// Of the octet at `at`, 1-based.
    pub(crate) line: u32,
    /// The source, if all of it is text.
    text: Option<&'s str>,
    /// What the last token stands for, if it is a [`TokenKind::BuiltText`].
    pub(crate) built: Vec<u8>,
    comments: Vec<Comment>,
    /// A string or comment swallowed the rest: what the parser misses at the end is no fault of its own.
    pub(crate) unclosed: bool,
}

/// All tokens at once.
pub(crate) fn lex<'s>(sink: &mut Sink<'s>) -> Lexed<'s> {
    let mut lexer = Lexer::new(sink);
    let mut tokens = Vec::new();
    loop {
        lexer.advance();
        let end = lexer.token.kind == TokenKind::End;
        tokens.push(lexer.token);
        if end {
            return Lexed {
                tokens,
                comments: lexer.comments,
            };
        }
    }
}

impl<'a, 's> Lexer<'a, 's> {
    pub(crate) fn new(sink: &'a mut Sink<'s>) -> Self {
        let source = sink.source;
        let text = std::str::from_utf8(source);
        if let Err(fault) = text {
            let at = fault.valid_up_to();
            sink.error_with(
                DiagnosticKind::Lexical,
                Span::new(at, at + 1),
                "the script is not valid UTF-8 here",
                "save the script as UTF-8 (RFC 5228 section 2.1)",
            );
        }
        let text = text.ok();
        // A byte order mark is what some editors add; no token begins with one.
        let at = if source.starts_with(b"\xEF\xBB\xBF") {
            3
        } else {
            0
        };
        Self {
            sink,
            token: Token {
                kind: TokenKind::End,
                span: Span::default(),
                line: 1,
            },
            source,
            at,
            line: 1,
            text,
            built: Vec::new(),
            comments: Vec::new(),
            unclosed: false,
        }
    }

    /// To the next token; at the end of the source to [`TokenKind::End`] again and again.
    #[inline(always)]
    pub(crate) fn advance(&mut self) {
        let start = self.skip_blanks();
        if !self.usual(start) {
            self.rarely();
        }
    }

    /// Past what begins no token, to the one behind it.
    #[inline(never)]
    fn rarely(&mut self) {
        loop {
            if self.rare() {
                return;
            }
            let start = self.skip_blanks();
            if self.usual(start) {
                return;
            }
        }
    }

    /// Cuts the token that begins here; false if none does.
    #[inline(always)]
    fn usual(&mut self, start: usize) -> bool {
        let Some(octet) = self.peek() else {
            self.cut(TokenKind::End, start);
            return true;
        };
        match octet {
            b'a'..=b'z' | b'A'..=b'Z' | b'_' => {
                let name = self.word();
                if self.peek() == Some(b':') && name.eq_ignore_ascii_case("text") {
                    self.multi_line(start);
                } else {
                    self.cut(TokenKind::Identifier(name), start);
                }
            }
            b'"' => self.quoted(),
            b'[' | b']' | b'(' | b')' | b'{' | b'}' | b',' | b';' => {
                self.at += 1;
                self.cut(TokenKind::Mark(octet), start);
            }
            // Identifiers do not begin with a digit.
            b':' if self
                .peek_at(1)
                .is_some_and(|c| is(c, WORD) && !c.is_ascii_digit()) =>
            {
                self.at += 1;
                let name = self.word();
                self.cut(TokenKind::Tag(name), start);
            }
            b'0'..=b'9' => self.number(),
            _ => return false,
        }
        true
    }

    /// Past spaces and line ends; gives where it stops.
    #[inline(always)]
    fn skip_blanks(&mut self) -> usize {
        let source = self.source;
        let mut at = self.at;
        let mut line = self.line;
        while let Some(&octet) = source.get(at) {
            if !is(octet, BLANK) {
                break;
            }
            line = line.saturating_add(u32::from(octet == b'\n'));
            at += 1;
        }
        self.line = line;
        self.at = at;
        at
    }

    /// Comments, and what begins no token; true if it makes one all the same.
    fn rare(&mut self) -> bool {
        let start = self.at;
        match self.peek() {
            Some(b':') => {
                self.at += 1;
                self.sink.error_with(
                    DiagnosticKind::Lexical,
                    Span::new(start, self.at),
                    "a colon without a tag name",
                    "tags are written like :contains, without a space",
                );
            }
            Some(b'#') => {
                let end =
                    memchr::memchr(b'\n', self.rest()).map_or(self.source.len(), |n| start + n);
                self.at = end;
                let trimmed = self.source.get(start..end).map_or(end, |text| {
                    start + text.strip_suffix(b"\r").unwrap_or(text).len()
                });
                self.comments.push(Span::new(start, trimmed));
            }
            Some(b'/') if self.peek_at(1) == Some(b'*') => self.bracket_comment(),
            Some(b'/') if self.peek_at(1) == Some(b'/') => self.foreign_comment(),
            Some(b'\'') if self.single_quoted() => return true,
            _ => self.stray(),
        }
        false
    }

    /// Past a line feed.
    fn end_line(&mut self) {
        self.at += 1;
        self.line = self.line.saturating_add(1);
    }

    fn peek(&self) -> Option<u8> {
        self.source.get(self.at).copied()
    }

    fn peek_at(&self, offset: usize) -> Option<u8> {
        self.source.get(self.at + offset).copied()
    }

    /// What was cut from `start` up to here, all on one line.
    #[inline(always)]
    fn cut(&mut self, kind: TokenKind<'s>, start: usize) {
        self.token.kind = kind;
        self.token.span = Span::new(start, self.at);
        self.token.line = self.line;
    }

    fn rest(&self) -> &'s [u8] {
        self.source.get(self.at..).unwrap_or_default()
    }

    fn word(&mut self) -> &'s str {
        let start = self.at;
        self.at += word(self.rest());
        match self.text {
            Some(text) => text.get(start..self.at).unwrap_or_default(),
            None => {
                let word = self.source.get(start..self.at).unwrap_or_default();
                std::str::from_utf8(word).unwrap_or_default()
            }
        }
    }

    fn bracket_comment(&mut self) {
        let start = self.at;
        let body = self.source.get(start + 2..).unwrap_or_default();
        if let Some(end) = memchr::memmem::find(body, b"*/") {
            let lines = body.iter().take(end).filter(|&&octet| octet == b'\n');
            self.line = self
                .line
                .saturating_add(u32::try_from(lines.count()).unwrap_or(u32::MAX));
            self.at = start + 2 + end + 2;
            self.comments.push(Span::new(start, self.at));
        } else {
            self.at = self.source.len();
            self.unclosed = true;
            self.sink.error_with(
                DiagnosticKind::Lexical,
                Span::new(start, start + 2),
                "this comment is never closed",
                "end it with */",
            );
        }
    }

    /// Apart, so that short tokens pay for nothing but themselves.
    #[inline(never)]
    fn quoted(&mut self) {
        let start = self.at;
        self.at += 1;
        // Most strings hold nothing special up to their closing quote.
        let rest = self.rest();
        let plain = plain(rest);
        self.at += plain;
        if let Some((text, [b'"', ..])) = rest.split_at_checked(plain) {
            self.at += 1;
            return self.cut(TokenKind::Text(text), start);
        }
        self.quoted_on(start);
    }

    /// From what does not stand for itself.
    #[inline(never)]
    fn quoted_on(&mut self, start: usize) {
        let text = self.source.get(start + 1..self.at).unwrap_or_default();
        let mut text = text.to_vec();
        let line = self.line;
        loop {
            let Some(octet) = self.peek() else {
                self.unclosed = true;
                self.sink.error_with(
                    DiagnosticKind::Lexical,
                    Span::new(start, start + 1),
                    "this string is never closed",
                    "end it with a double quote; a double quote within a string is written \\\"",
                );
                break;
            };
            self.at += 1;
            match octet {
                b'"' => break,
                b'\\' => {
                    if let Some(escaped) = self.peek()
                        && escaped != b'\r'
                        && escaped != b'\n'
                    {
                        self.at += 1;
                        text.push(escaped);
                    }
                }
                b'\r' if self.peek() == Some(b'\n') => {}
                // Strings hold CRLF line ends whatever the editor wrote.
                b'\n' => {
                    self.line = self.line.saturating_add(1);
                    text.extend_from_slice(b"\r\n");
                }
                0 => self.nul(),
                other => text.push(other),
            }
        }
        self.built = text;
        self.cut(TokenKind::BuiltText, start);
        self.token.line = line;
    }

    fn nul(&mut self) {
        self.sink.error(
            DiagnosticKind::Lexical,
            Span::new(self.at - 1, self.at),
            "a NUL octet may not stand in a script",
        );
    }

    #[inline(never)]
    fn number(&mut self) {
        let start = self.at;
        let mut value = Some(0_u64);
        while let Some(digit) = self.peek().filter(u8::is_ascii_digit) {
            value = value
                .and_then(|v| v.checked_mul(10))
                .and_then(|v| v.checked_add(u64::from(digit - b'0')));
            self.at += 1;
        }
        let shift = match self.peek().map(|c| c.to_ascii_uppercase()) {
            Some(b'K') => 10,
            Some(b'M') => 20,
            Some(b'G') => 30,
            _ => 0,
        };
        if shift > 0 {
            self.at += 1;
            value = value.and_then(|v| v.checked_mul(1 << shift));
        }
        if self
            .peek()
            .is_some_and(|c| c.is_ascii_alphanumeric() || c == b'_')
        {
            while self
                .peek()
                .is_some_and(|c| c.is_ascii_alphanumeric() || c == b'_')
            {
                self.at += 1;
            }
            self.sink.error_with(
                DiagnosticKind::Lexical,
                Span::new(start, self.at),
                "a number with a strange ending",
                "numbers are digits with an optional K, M or G",
            );
        } else if value.is_none() {
            self.sink.error(
                DiagnosticKind::Lexical,
                Span::new(start, self.at),
                "this number is too large",
            );
        }
        self.cut(TokenKind::Number(value.unwrap_or(u64::MAX)), start);
    }
}
