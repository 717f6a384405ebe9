//! Words: quotes and substitutions, taken apart.

use super::Parser;
use crate::ast::{Alternative, Piece, Span, When, Word};
use crate::diagnostic::Kind;
use crate::eval::{is_name, is_name_start};

/// How text is made into words; the evaluator has the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// One word of an assignment.
    Single,
    /// All words of the line, whose newline is taken.
    Line,
    /// One text, as if it began inside double quotes.
    Quoted,
    /// One text.
    Unquoted,
}

impl Mode {
    fn is_text(self) -> bool {
        matches!(self, Self::Quoted | Self::Unquoted)
    }
}

/// A `${NAME:-` that is open.
struct Open {
    name: Vec<u8>,
    when: When,
    quoted: bool,
    start: usize,
    /// The pieces in front of it.
    before: Vec<Piece>,
}

struct Words<'p, 'a> {
    parser: &'p mut Parser<'a>,
    mode: Mode,
    words: Vec<Word>,
    start: usize,
    pieces: Vec<Piece>,
    /// A `#` is text from here on.
    begun: bool,
    /// Something of the word has been seen.
    any: bool,
    /// The brace depth at which a double quote was opened.
    quote: Option<usize>,
    open: Vec<Open>,
}

/// Takes apart a text of its own: a `$` condition, a size, a command.
pub(super) fn text_word(text: &[u8], mode: Mode) -> Vec<Word> {
    let mut parser = Parser {
        text,
        at: 0,
        depth: 0,
        faults: Vec::new(),
        comments: Vec::new(),
        certain: true,
        compiled: None,
    };
    parser.words(mode)
}

impl Parser<'_> {
    pub(super) fn words(&mut self, mode: Mode) -> Vec<Word> {
        self.words_after(mode, 0)
    }

    /// Reads words; so many octets are a name that does not count as the beginning of one.
    pub(super) fn words_after(&mut self, mode: Mode, name: usize) -> Vec<Word> {
        let start = self.at;
        let mut state = Words {
            mode,
            words: Vec::new(),
            start,
            pieces: Vec::new(),
            begun: mode.is_text(),
            any: mode.is_text(),
            quote: (mode == Mode::Quoted).then_some(0),
            open: Vec::new(),
            parser: self,
        };
        for _ in 0..name {
            if let Some(byte) = state.parser.peek() {
                state.parser.at += 1;
                state.literal(byte, false);
            }
        }
        state.begun = mode.is_text();
        state.read();
        state.words
    }
}

impl Words<'_, '_> {
    fn literal(&mut self, byte: u8, quoted: bool) {
        self.begin();
        let is_quoted = quoted || self.quote.is_some();
        match self.pieces.last_mut() {
            Some(Piece::Text { text, quoted }) if *quoted == is_quoted => text.push(byte),
            _ => self.pieces.push(Piece::Text {
                text: vec![byte],
                quoted: is_quoted,
            }),
        }
    }

    fn empty_quotes(&mut self) {
        self.begin();
        if !matches!(self.pieces.last(), Some(Piece::Text { quoted: true, .. })) {
            self.pieces.push(Piece::Text {
                text: Vec::new(),
                quoted: true,
            });
        }
    }

    fn begin(&mut self) {
        self.begun = true;
        self.any = true;
    }

    fn piece(&mut self, piece: Piece) {
        self.any = true;
        self.pieces.push(piece);
    }

    fn end_word(&mut self, end: usize) {
        if !self.open.is_empty() {
            // A blank in a word of `${}` splits what is substituted, not the text around it.
            self.literal(b' ', false);
            return;
        }
        self.finish(end);
    }

    fn finish(&mut self, end: usize) {
        while let Some(open) = self.open.pop() {
            self.close(open, end);
        }
        if self.any {
            self.words.push(Word {
                span: self.start..end,
                pieces: std::mem::take(&mut self.pieces),
            });
        }
        self.any = false;
        self.begun = false;
    }

    fn close(&mut self, open: Open, end: usize) {
        let word = std::mem::replace(&mut self.pieces, open.before);
        self.piece(Piece::Variable {
            name: open.name,
            alternative: Some(Alternative {
                when: open.when,
                word,
            }),
            quoted: open.quoted,
            span: open.start..end,
        });
    }

    fn unexpected_end(&mut self, start: usize) {
        let end = self.parser.at;
        self.parser.fault(Kind::UnclosedQuote, start..end);
    }

    fn read(&mut self) {
        let mut quote_start = self.start;
        loop {
            let at = self.parser.at;
            if !self.any {
                self.start = at;
            }
            let Some(byte) = self.parser.peek() else {
                if self.quote.is_some() && !self.mode.is_text() {
                    self.unexpected_end(quote_start);
                }
                break;
            };
            self.parser.at += 1;
            match byte {
                b'\\' => self.escape(),
                b'"' if self.quote == Some(self.open.len()) => self.quote = None,
                b'"' if self.quote.is_none() => {
                    quote_start = at;
                    self.quote = Some(self.open.len());
                    self.empty_quotes();
                }
                b'}' if !self.open.is_empty()
                    && self.quote.is_none_or(|depth| depth < self.open.len()) =>
                {
                    if let Some(open) = self.open.pop() {
                        self.close(open, at + 1);
                    }
                }
                b'$' => self.dollar(at),
                b'`' => self.backquote(at),
                _ if self.quote.is_some() => self.literal(byte, false),
                b'\'' => {
                    if self.single_quoted(at) {
                        break;
                    }
                }
                b'\n' if self.mode.is_text() => self.literal(byte, false),
                b'\n' => {
                    self.finish(at);
                    if self.mode == Mode::Single {
                        self.parser.at = at;
                    }
                    return;
                }
                b' ' | b'\t' if self.mode == Mode::Single && !self.begun => {
                    // The word begins behind it, unless nothing is substituted.
                    self.parser.doubt(at..at + 1);
                }
                b' ' | b'\t' if self.mode == Mode::Single => {
                    self.parser.at = at;
                    break;
                }
                b' ' | b'\t' if self.mode.is_text() => {
                    self.parser.take_while(|byte| matches!(byte, b' ' | b'\t'));
                    if self.parser.peek().is_some() {
                        self.literal(b' ', false);
                    }
                }
                b' ' | b'\t' => self.end_word(at),
                b'#' if !self.begun && !self.mode.is_text() => {
                    if self
                        .pieces
                        .iter()
                        .any(|piece| !matches!(piece, Piece::Text { .. }))
                    {
                        // An empty value would make it a comment; it is taken for filled.
                        self.parser.doubt(self.start..at + 1);
                        self.literal(byte, false);
                        continue;
                    }
                    self.finish(at);
                    self.parser.at = at;
                    self.parser.comment();
                    if self.mode == Mode::Line && self.parser.peek().is_some() {
                        self.parser.at += 1;
                    }
                    return;
                }
                _ => self.literal(byte, false),
            }
        }
        let end = self.parser.at;
        self.finish(end);
    }

    fn single_quoted(&mut self, start: usize) -> bool {
        self.pieces.push(Piece::Text {
            text: Vec::new(),
            quoted: true,
        });
        self.begin();
        while let Some(byte) = self.parser.peek() {
            self.parser.at += 1;
            if byte == b'\'' {
                return false;
            }
            self.literal(byte, true);
        }
        if !self.mode.is_text() {
            self.unexpected_end(start);
        }
        true
    }

    fn escape(&mut self) {
        let Some(byte) = self.parser.peek() else {
            // There is nothing for it to quote.
            self.unexpected_end(self.parser.at - 1);
            return;
        };
        if byte == b'\n' {
            self.parser.at += 1;
            return;
        }
        let takes = if self.quote.is_some() {
            matches!(byte, b'"' | b'\\' | b'$' | b'`') || byte == b'}' && !self.open.is_empty()
        } else {
            byte != b'#' || !self.begun
        };
        if takes {
            self.parser.at += 1;
            self.literal(byte, true);
        } else {
            self.literal(b'\\', false);
        }
    }

    fn variable(&mut self, start: usize, name: Span) {
        let name = self.parser.slice(name).to_vec();
        let quoted = self.quote.is_some();
        self.begun |= quoted || self.mode == Mode::Single;
        let span = start..self.parser.at;
        self.piece(Piece::Variable {
            name,
            alternative: None,
            quoted,
            span,
        });
    }

    fn dollar(&mut self, start: usize) {
        let Some(byte) = self.parser.peek() else {
            self.literal(b'$', false);
            return;
        };
        match byte {
            b'{' => {
                self.parser.at += 1;
                self.braced(start);
            }
            b'\\' if self.parser.looking_at(1).is_some_and(is_name) => {
                self.parser.at += 1;
                let name = self.parser.take_while(is_name);
                let name = self.parser.slice(name).to_vec();
                self.begun = true;
                self.piece(Piece::Disarmed { name });
            }
            b'@' => {
                if self.quote.is_some() {
                    self.parser.at += 1;
                    self.begun = true;
                    self.piece(Piece::Arguments);
                }
            }
            b'0'..=b'9' | b'#' | b'$' | b'?' | b'=' | b'-' | b'_' => {
                self.parser.at += 1;
                let name = self.parser.at - 1..self.parser.at;
                if byte == b'_' && self.parser.peek().is_some_and(is_name) {
                    let end = self.parser.at;
                    self.parser.fault(Kind::RcNameThenText, start..end);
                }
                self.variable(start, name);
            }
            _ if is_name_start(byte) => {
                let name = self.parser.take_while(is_name);
                self.variable(start, name);
            }
            _ => self.literal(b'$', false),
        }
    }

    /// What follows `${`.
    fn braced(&mut self, start: usize) {
        let name = self.parser.take_while(is_name);
        let bytes = self.parser.slice(name.clone()).to_vec();
        let digits = bytes.len() > 1 && bytes.first().is_some_and(u8::is_ascii_digit);
        let first = self.parser.peek();
        self.parser.at += usize::from(first.is_some());
        let when = match first {
            _ if digits => None,
            Some(b'}') => return self.variable(start, name),
            Some(b'-') => Some(When::Unset),
            Some(b'+') => Some(When::Set),
            Some(b':') => {
                let second = self.parser.peek();
                self.parser.at += usize::from(second.is_some());
                match second {
                    Some(b'-') => Some(When::UnsetOrEmpty),
                    Some(b'+') => Some(When::SetAndFilled),
                    _ => None,
                }
            }
            _ => None,
        };
        match when {
            Some(when) => {
                let before = std::mem::take(&mut self.pieces);
                self.any = true;
                self.open.push(Open {
                    name: bytes,
                    when,
                    quoted: self.quote.is_some(),
                    start,
                    before,
                });
            }
            None => {
                let end = self.parser.at;
                self.parser.fault(Kind::BadSubstitution, start..end);
            }
        }
    }

    fn backquote(&mut self, start: usize) {
        let quoted = self.quote.is_some();
        let is_file = !self.mode.is_text();
        let mut text = Vec::new();
        loop {
            let Some(byte) = self.parser.peek() else {
                if is_file {
                    self.unexpected_end(start);
                }
                break;
            };
            self.parser.at += 1;
            match byte {
                b'`' => break,
                b'"' if quoted && is_file => {
                    let end = self.parser.at;
                    self.parser.fault(Kind::QuoteInBackquotes, end - 1..end);
                    break;
                }
                b'\\' => match self.parser.peek() {
                    Some(b'\n') => self.parser.at += 1,
                    Some(next @ (b'\\' | b'$' | b'`')) => {
                        self.parser.at += 1;
                        text.push(next);
                    }
                    Some(b'"') if quoted => {
                        self.parser.at += 1;
                        text.push(b'"');
                    }
                    Some(_) => text.push(b'\\'),
                    None => {}
                },
                other => text.push(other),
            }
        }
        self.begun |= quoted || self.mode == Mode::Single;
        let span = start..self.parser.at;
        self.piece(Piece::Command { text, quoted, span });
    }
}
