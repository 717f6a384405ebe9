//! The parser's position in one command or response.

use bytes::Bytes;

use crate::types::Chars;
use crate::{ParseError, ParseErrorKind};

pub(crate) type Parsed<T> = Result<T, ParseError>;

/// Deepest nesting of search keys, body structures, threads.
pub(crate) const DEPTH: u32 = 50;

/// Most elements of lists in one command or response: flags, addresses, parts,
/// parameters. An element of two octets may take a hundred in memory; stops
/// responses that are nothing but such.
pub(crate) const ELEMENTS: usize = 100_000;

/// Longer than every keyword of the grammar.
pub(crate) const KEYWORD: usize = 24;

/// A position in octets.
///
/// Long strings are slices of `shared` where there is one, else copies.
#[derive(Debug)]
pub(crate) struct Cursor<'a> {
    octets: &'a [u8],
    shared: Option<&'a Bytes>,
    at: usize,
    depth: u32,
    /// Mailbox names are UTF-8, not modified UTF-7.
    pub(crate) utf8: bool,
    /// Most ranges in one sequence set.
    pub(crate) max_ranges: usize,
    /// Elements that may still come.
    pub(crate) elements: usize,
    /// A space may be missing where the boundary is plain without it.
    pub(crate) lax_spaces: bool,
    /// More spaces than one are as one, and none is needed at an end: a
    /// client's, since so many servers send them.
    pub(crate) spare_spaces: bool,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(octets: &'a [u8]) -> Self {
        Self {
            octets,
            shared: None,
            at: 0,
            depth: DEPTH,
            utf8: false,
            max_ranges: 100_000,
            elements: ELEMENTS,
            lax_spaces: false,
            spare_spaces: false,
        }
    }

    /// A line that is shared, its end taken off already.
    pub(crate) fn shared(line: &'a Bytes) -> Self {
        Self {
            shared: Some(line),
            ..Self::new(line)
        }
    }

    /// A line that is shared, up to its last CRLF.
    pub(crate) fn line(line: &'a Bytes) -> Self {
        Self {
            shared: Some(line),
            ..Self::new(line.strip_suffix(b"\r\n").unwrap_or(line))
        }
    }

    #[inline]
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    #[inline]
    pub(crate) fn set_at(&mut self, at: usize) {
        self.at = at.min(self.octets.len());
    }

    #[inline]
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.octets.get(self.at..).unwrap_or_default()
    }

    /// The octets from `at` on.
    #[inline]
    pub(crate) fn from(&self, at: usize) -> &'a [u8] {
        self.octets.get(at..).unwrap_or_default()
    }

    #[inline]
    pub(crate) fn is_end(&self) -> bool {
        self.at >= self.octets.len()
    }

    #[inline]
    pub(crate) fn peek(&self) -> Option<u8> {
        self.octets.get(self.at).copied()
    }

    #[inline]
    pub(crate) fn peek_at(&self, ahead: usize) -> Option<u8> {
        self.octets.get(self.at + ahead).copied()
    }

    #[cold]
    pub(crate) fn error(&self, kind: ParseErrorKind) -> ParseError {
        ParseError { kind, at: self.at }
    }

    pub(crate) fn error_at(kind: ParseErrorKind, at: usize) -> ParseError {
        ParseError { kind, at }
    }

    #[cold]
    pub(crate) fn expected<T>(&self, what: &'static str) -> Parsed<T> {
        Err(self.error(ParseErrorKind::Expected(what)))
    }

    /// Takes `octet` if it is next.
    #[inline]
    pub(crate) fn eat(&mut self, octet: u8) -> bool {
        let is_next = self.peek() == Some(octet);
        self.at += usize::from(is_next);
        is_next
    }

    #[inline]
    pub(crate) fn expect(&mut self, octet: u8, name: &'static str) -> Parsed<()> {
        if self.eat(octet) {
            Ok(())
        } else {
            self.expected(name)
        }
    }

    #[inline]
    pub(crate) fn space(&mut self) -> Parsed<()> {
        if self.eat(b' ') {
            if self.peek() == Some(b' ') {
                self.skip_spare();
            }
            return Ok(());
        }
        self.missing_space()
    }

    #[cold]
    fn skip_spare(&mut self) {
        while self.spare_spaces && self.eat(b' ') {}
    }

    /// The end of a list, behind spaces to spare.
    #[inline]
    pub(crate) fn closes(&mut self) -> bool {
        if self.spare_spaces && self.peek() == Some(b' ') {
            let at = self.at;
            self.skip_spare();
            if self.peek() != Some(b')') {
                self.at = at;
            }
        }
        self.eat(b')')
    }

    /// The beginning of a list, and the spaces to spare behind it.
    #[inline]
    pub(crate) fn opens(&mut self) -> Parsed<()> {
        self.open()?;
        if self.peek() == Some(b' ') {
            self.skip_spare();
        }
        Ok(())
    }

    /// Where parentheses, quotes or brackets show a boundary without it.
    #[cold]
    fn missing_space(&self) -> Parsed<()> {
        let before = self.at.checked_sub(1).and_then(|at| self.octets.get(at));
        let ended = before.is_some_and(|octet| b")\"]>".contains(octet));
        let begins = self.peek().is_some_and(|octet| b"(\"{".contains(&octet));
        if self.lax_spaces && (ended || begins) {
            return Ok(());
        }
        self.expected("a space")
    }

    #[inline]
    pub(crate) fn open(&mut self) -> Parsed<()> {
        self.expect(b'(', "\"(\"")
    }

    #[inline]
    pub(crate) fn close(&mut self) -> Parsed<()> {
        self.expect(b')', "\")\"")
    }

    /// Takes `text` if it is next, in any case.
    #[inline]
    pub(crate) fn eat_text(&mut self, text: &str) -> bool {
        let found = self.rest().get(..text.len()).is_some_and(|next| {
            let mut pairs = next.iter().zip(text.as_bytes());
            pairs.all(|(next, octet)| next.eq_ignore_ascii_case(octet))
        });
        if found {
            self.at += text.len();
        }
        found
    }

    pub(crate) fn expect_text(&mut self, text: &'static str) -> Parsed<()> {
        if self.eat_text(text) {
            Ok(())
        } else {
            self.expected(text)
        }
    }

    /// Takes octets while they are of the class.
    #[inline]
    pub(crate) fn take_while(&mut self, class: Chars) -> &'a [u8] {
        let rest = self.rest();
        let len = rest
            .iter()
            .position(|octet| !class.holds(*octet))
            .unwrap_or(rest.len());
        self.at += len;
        rest.get(..len).unwrap_or_default()
    }

    /// Takes octets while they are of the class: a keyword in upper case, in
    /// `buffer`. Empty when none is there, or one longer than any keyword.
    #[inline]
    pub(crate) fn keyword<'b>(&mut self, class: Chars, buffer: &'b mut [u8; KEYWORD]) -> &'b [u8] {
        let rest = self.rest();
        let word = self.take_while(class);
        if word.len() > KEYWORD {
            return &[];
        }
        // A fixed number of octets at once where there are so many.
        match rest.first_chunk() {
            Some(chunk) => *buffer = *chunk,
            None => {
                let copied = buffer.iter_mut().zip(word);
                copied.for_each(|(slot, octet)| *slot = *octet);
            }
        }
        buffer.make_ascii_uppercase();
        buffer.get(..word.len()).unwrap_or_default()
    }

    /// An atom in upper case, in `buffer`; empty when it is longer than any
    /// keyword.
    #[inline]
    pub(crate) fn verb<'b>(&mut self, buffer: &'b mut [u8; KEYWORD]) -> Parsed<&'b str> {
        let at = self.at;
        let word = self.keyword(Chars::ATOM, buffer);
        if self.at == at {
            return self.expected("an atom");
        }
        Ok(std::str::from_utf8(word).unwrap_or_default())
    }

    /// One or more octets of the class.
    pub(crate) fn take_some(&mut self, class: Chars, name: &'static str) -> Parsed<&'a [u8]> {
        let taken = self.take_while(class);
        if taken.is_empty() {
            return self.expected(name);
        }
        Ok(taken)
    }

    /// One or more octets of an ASCII class, as text.
    pub(crate) fn take_text(&mut self, class: Chars, name: &'static str) -> Parsed<&'a str> {
        let at = self.at;
        let taken = self.take_some(class, name)?;
        std::str::from_utf8(taken).map_err(|_| Self::error_at(ParseErrorKind::Octets, at))
    }

    pub(crate) fn atom_text(&mut self) -> Parsed<&'a str> {
        self.take_text(Chars::ATOM, "an atom")
    }

    /// The octets from `start` to `end`: a slice where possible.
    pub(crate) fn slice(&self, start: usize, end: usize) -> Bytes {
        match self.shared {
            Some(shared) if start <= end && end <= shared.len() => shared.slice(start..end),
            _ => Bytes::copy_from_slice(self.octets.get(start..end).unwrap_or_default()),
        }
    }

    pub(crate) fn number64(&mut self) -> Parsed<u64> {
        let mut value = 0_u64;
        let mut len = 0;
        for octet in self.rest() {
            let digit = octet.wrapping_sub(b'0');
            if digit > 9 {
                break;
            }
            let next = value
                .checked_mul(10)
                .and_then(|value| value.checked_add(u64::from(digit)));
            match next {
                Some(next) => value = next,
                None => return Err(self.error(ParseErrorKind::Number)),
            }
            len += 1;
        }
        if len == 0 {
            return self.expected("a number");
        }
        self.at += len;
        Ok(value)
    }

    pub(crate) fn number(&mut self) -> Parsed<u32> {
        let at = self.at;
        let value = self.number64()?;
        u32::try_from(value).map_err(|_| Self::error_at(ParseErrorKind::Number, at))
    }

    pub(crate) fn nz_number(&mut self) -> Parsed<std::num::NonZeroU32> {
        let at = self.at;
        std::num::NonZeroU32::new(self.number()?).ok_or(Self::error_at(ParseErrorKind::Number, at))
    }

    /// Runs `parse` one level deeper; the limit stops `((((((…`.
    pub(crate) fn deeper<T>(&mut self, parse: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        if self.depth == 0 {
            return Err(self.error(ParseErrorKind::Depth));
        }
        self.depth -= 1;
        let result = parse(self);
        self.depth += 1;
        result
    }

    /// One more element of a list begins.
    #[inline]
    pub(crate) fn element(&mut self) -> Parsed<()> {
        match self.elements.checked_sub(1) {
            Some(left) => {
                self.elements = left;
                Ok(())
            }
            None => Err(self.error(ParseErrorKind::Count)),
        }
    }

    /// `"(" [item *(SP item)] ")"`.
    pub(crate) fn list<T>(
        &mut self,
        mut item: impl FnMut(&mut Self) -> Parsed<T>,
    ) -> Parsed<Vec<T>> {
        let mut items = Vec::new();
        self.opens()?;
        if self.closes() {
            return Ok(items);
        }
        loop {
            self.element()?;
            items.push(item(self)?);
            if self.closes() {
                return Ok(items);
            }
            self.space()?;
        }
    }

    /// As [`Self::list`] with at least one item.
    pub(crate) fn list1<T>(&mut self, item: impl FnMut(&mut Self) -> Parsed<T>) -> Parsed<Vec<T>> {
        let at = self.at;
        let items = self.list(item)?;
        if items.is_empty() {
            return Err(Self::error_at(
                ParseErrorKind::Expected("an element"),
                at + 1,
            ));
        }
        Ok(items)
    }

    /// Goes back to the beginning, the spaces at the end left out; whether
    /// there are any.
    #[cold]
    pub(crate) fn again_without_spare_end(&mut self) -> bool {
        let trimmed = self.octets.trim_ascii_end();
        let is_spare = self.octets.last() == Some(&b' ');
        if is_spare {
            self.octets = trimmed;
            self.at = 0;
        }
        is_spare
    }

    pub(crate) fn end(&self) -> Parsed<()> {
        if self.is_end() {
            Ok(())
        } else {
            Err(self.error(ParseErrorKind::Trailing))
        }
    }
}
