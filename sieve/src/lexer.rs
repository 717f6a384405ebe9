//! Octets to tokens (RFC 5228 §8.1).

use crate::diagnostic::{DiagnosticKind, Sink};
use crate::position::Span;

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

/// Octets of identifiers and tags.
const WORD: u8 = 1;
/// Octets that stand for themselves in a quoted string and do not end it.
const PLAIN: u8 = 2;

/// Octets between tokens.
const BLANK: u8 = 4;
/// Octets of header field names (RFC 5322 §2.2).
const FIELD: u8 = 8;

/// What each octet can be.
const CLASSES: [u8; 256] = {
    let mut classes = [PLAIN; 256];
    let mut octet = 0_u8;
    let mut place = classes.as_mut_slice();
    while let Some((class, rest)) = place.split_first_mut() {
        *class = match octet {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' => WORD | PLAIN | FIELD,
            b'"' | b'\\' => FIELD,
            0 => 0,
            b'\r' | b'\n' => BLANK,
            b' ' | b'\t' => BLANK | PLAIN,
            b':' => PLAIN,
            b'!'..=b'~' => PLAIN | FIELD,
            _ => PLAIN,
        };
        octet = octet.wrapping_add(1);
        place = rest;
    }
    classes
};

fn is(octet: u8, class: u8) -> bool {
    CLASSES
        .get(usize::from(octet))
        .is_some_and(|classes| classes & class != 0)
}

/// How many octets at the front are of the class.
fn run(octets: &[u8], class: u8) -> usize {
    octets
        .iter()
        .position(|&octet| !is(octet, class))
        .unwrap_or(octets.len())
}

/// Whether a header field can have this name.
pub(crate) fn is_field_name(octets: &[u8]) -> bool {
    !octets.is_empty() && run(octets, FIELD) == octets.len()
}

/// The lowest and the highest bit of each of eight octets.
const LOW: u64 = u64::from_le_bytes([1; 8]);
const HIGH: u64 = LOW << 7;

/// How many octets at the front are a [`WORD`], the letters of the first eight at once.
#[inline(always)]
fn word(octets: &[u8]) -> usize {
    let mut letters = 0;
    if let Some(eight) = octets.first_chunk() {
        let word = u64::from_le_bytes(*eight);
        let small = word | (LOW * 0x20);
        // The highest bit of each octet that is no letter; what is above the first of them need not be right.
        let from_a = small.wrapping_add(LOW * (0x80 - b'a') as u64);
        let past_z = small.wrapping_add(LOW * (0x7F - b'z') as u64);
        let other = (!from_a | past_z | word) & HIGH;
        letters = other.trailing_zeros() as usize / 8;
    }
    letters + run(octets.get(letters..).unwrap_or_default(), WORD)
}

/// How many octets at the front are [`PLAIN`], eight at a time.
#[inline(always)]
fn plain(octets: &[u8]) -> usize {
    let mut rest = octets;
    let mut length = 0;
    while let Some((eight, tail)) = rest.split_first_chunk() {
        let word = u64::from_le_bytes(*eight);
        let quote = word ^ (LOW * b'"' as u64);
        let backslash = word ^ (LOW * b'\\' as u64);
        // The highest bit of each octet that is zero here, or no more than a carriage return; what is above the first
        // of them need not be right.
        let found = (quote.wrapping_sub(LOW) & !quote)
            | (backslash.wrapping_sub(LOW) & !backslash)
            | (word.wrapping_sub(LOW * (b'\r' + 1) as u64) & !word);
        if found & HIGH != 0 {
            let before = (found & HIGH).trailing_zeros() as usize / 8;
            // A tab, too, is less.
            return length + before + run(rest.get(before..).unwrap_or_default(), PLAIN);
        }
        length += 8;
        rest = tail;
    }
    length + run(rest, PLAIN)
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

    /// After `text`, at the colon.
    #[inline(never)]
    fn multi_line(&mut self, start: usize) {
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
    fn foreign_comment(&mut self) {
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
    fn single_quoted(&mut self) -> bool {
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
    fn stray(&mut self) {
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

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Each token with what was built for it, and the number of faults.
    pub(crate) fn kinds(source: &str) -> (Vec<(TokenKind<'_>, Vec<u8>)>, usize) {
        let mut sink = Sink::new(source.as_bytes(), 100);
        let mut lexer = Lexer::new(&mut sink);
        let mut kinds = Vec::new();
        loop {
            lexer.advance();
            let kind = lexer.token.kind;
            kinds.push((kind, std::mem::take(&mut lexer.built)));
            if kind == TokenKind::End {
                return (kinds, sink.list.len());
            }
        }
    }

    fn of(kind: TokenKind<'static>) -> (TokenKind<'static>, Vec<u8>) {
        (kind, Vec::new())
    }

    #[test]
    fn tokens_of_every_kind() {
        let (tokens, faults) = kinds("if :Over 2K /* c */ [\"a\\\"b\",\"c\"] # x\n;");
        assert_eq!(faults, 0);
        assert_eq!(
            tokens,
            [
                of(TokenKind::Identifier("if")),
                of(TokenKind::Tag("Over")),
                of(TokenKind::Number(2048)),
                of(TokenKind::Mark(b'[')),
                (TokenKind::BuiltText, b"a\"b".to_vec()),
                of(TokenKind::Mark(b',')),
                of(TokenKind::Text(b"c")),
                of(TokenKind::Mark(b']')),
                of(TokenKind::Mark(b';')),
                of(TokenKind::End),
            ]
        );
    }

    #[test]
    fn strings_and_words_end_where_they_end() {
        // Each octet at each place of some eights, before and behind what ends a string.
        for octet in 0..=u8::MAX {
            for place in 0..20 {
                let mut text = vec![b'x'; 20];
                text[place] = octet;
                let special = matches!(octet, b'"' | b'\\' | b'\r' | b'\n' | 0);
                assert_eq!(plain(&text), if special { place } else { 20 });
                let is_word = octet.is_ascii_alphanumeric() || octet == b'_';
                assert_eq!(word(&text), if is_word { 20 } else { place });
                let is_field = (33..=126).contains(&octet) && octet != b':';
                assert_eq!(is_field_name(&text), is_field);
            }
        }
        assert_eq!((plain(b""), word(b""), is_field_name(b"")), (0, 0, false));
        assert_eq!(plain(b"a\tb\x80\xFF\x0B\x0C\"c\\defghi"), 7);
    }

    #[test]
    fn multi_line_is_unstuffed_and_has_crlf() {
        let (tokens, faults) = kinds("text: # note\na\r\n..b\n.c\n.\n;");
        assert_eq!(faults, 0);
        let text = b"a\r\n.b\r\n.c\r\n".to_vec();
        assert_eq!(tokens[0], (TokenKind::BuiltText, text));
        assert_eq!(tokens[1], of(TokenKind::Mark(b';')));
    }

    #[test]
    fn lines_are_counted_through_all_that_spans_some() {
        let source = "\u{feff}if\r\n\n/* a\n\nb */ true # c\n{ \"d\ne\\\nf\r\ng\" text: # h\n..\ni\n.\n'j' // k\n@\n/**/}\n\
            text:\r\nl\r\n.\r\n; :m 5K [ /* open\n\n";
        let mut sink = Sink::new(source.as_bytes(), 100);
        let tokens = lex(&mut sink).tokens;
        assert_eq!(tokens.len(), 13, "{tokens:?}");
        let starts = |at: usize| source[..at].matches('\n').count() + 1;
        for token in tokens.iter().take(12) {
            assert_eq!(token.line as usize, starts(token.span.start), "{token:?}");
        }
    }

    #[test]
    fn faults_are_counted_once() {
        assert_eq!(kinds("@@@ %%%").1, 2);
        assert_eq!(kinds("\"open").1, 1);
        assert_eq!(kinds("/* open").1, 1);
        assert_eq!(kinds("text:\nopen").1, 1);
        assert_eq!(kinds("99999999999999999999").1, 1);
        assert_eq!(kinds("12x").1, 1);
        assert_eq!(kinds(": x").1, 1);
    }
}
