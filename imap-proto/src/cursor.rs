//! The parser's position in one command or response.

use bytes::Bytes;

use crate::types::{Chars, letters, packed};
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

/// A word of letters, eight at most, as [`Cursor::word`] has it.
pub(crate) const fn word(text: &str) -> u64 {
    let (mut word, mut shift, mut rest) = (0, 0, text.as_bytes());
    while let Some((octet, behind)) = rest.split_first() {
        word |= (*octet as u64) << shift;
        shift += 8;
        rest = behind;
    }
    word
}

/// Constants of words, named as they are.
macro_rules! words {
    ($($name:ident)*) => { $(const $name: u64 = $crate::cursor::word(stringify!($name));)* };
}
pub(crate) use words;

/// A position in octets.
///
/// Long strings are slices of `shared` where there is one, else copies.
#[derive(Debug)]
pub(crate) struct Cursor<'a> {
    octets: &'a [u8],
    /// The end of `octets` that was not taken yet.
    rest: &'a [u8],
    shared: Option<&'a Bytes>,
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
            rest: octets,
            shared: None,
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
        self.octets.len() - self.rest.len()
    }

    #[inline]
    pub(crate) fn set_at(&mut self, at: usize) {
        self.rest = self.from(at);
    }

    #[inline]
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The octets from `at` on.
    #[inline]
    pub(crate) fn from(&self, at: usize) -> &'a [u8] {
        self.octets.get(at..).unwrap_or_default()
    }

    /// Takes all but what is behind, which is an end of what is left.
    #[inline]
    pub(crate) fn leave(&mut self, behind: &'a [u8]) {
        self.rest = behind;
    }

    /// Takes so many octets.
    #[inline]
    pub(crate) fn skip(&mut self, len: usize) {
        self.rest = self.rest.get(len..).unwrap_or_default();
    }

    #[inline]
    pub(crate) fn is_end(&self) -> bool {
        self.rest.is_empty()
    }

    #[inline]
    pub(crate) fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    #[inline]
    pub(crate) fn peek_at(&self, ahead: usize) -> Option<u8> {
        self.rest.get(ahead).copied()
    }

    #[cold]
    pub(crate) fn error(&self, kind: ParseErrorKind) -> ParseError {
        ParseError {
            kind,
            at: self.at(),
        }
    }

    /// An error where `rest` begins, which is an end of the octets.
    #[cold]
    fn error_before(&self, kind: ParseErrorKind, rest: &[u8]) -> ParseError {
        Self::error_at(kind, self.octets.len() - rest.len())
    }

    #[cold]
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
        match self.rest.split_first() {
            Some((next, behind)) if *next == octet => {
                self.rest = behind;
                true
            }
            _ => false,
        }
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
            let rest = self.rest;
            self.skip_spare();
            if self.peek() != Some(b')') {
                self.rest = rest;
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
        let before = self.at().checked_sub(1).and_then(|at| self.octets.get(at));
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
            // All of them, whatever the first says: a few operations on words.
            let pairs = next.iter().zip(text.as_bytes());
            let differing = pairs.fold(0, |differing, (next, octet)| {
                let case = if octet.is_ascii_alphabetic() { 0x20 } else { 0 };
                differing | ((next ^ octet) & !case)
            });
            differing == 0
        });
        if found {
            self.skip(text.len());
        }
        found
    }

    /// Takes `name` if it is next, in any case, and a space behind it, which
    /// is left.
    #[inline]
    pub(crate) fn eat_name(&mut self, name: &str) -> bool {
        self.rest.get(name.len()) == Some(&b' ') && self.eat_text(name)
    }

    pub(crate) fn expect_text(&mut self, text: &'static str) -> Parsed<()> {
        if self.eat_text(text) {
            Ok(())
        } else {
            self.expected(text)
        }
    }

    /// Runs `read` over what is left. It says what it leaves, or `None` for
    /// what it does not know: then nothing is taken, and the caller reads it
    /// in the way that tells errors.
    #[inline]
    pub(crate) fn quickly(&mut self, read: impl FnOnce(&'a [u8]) -> Option<&'a [u8]>) -> bool {
        let behind = read(self.rest());
        if let Some(behind) = behind {
            self.leave(behind);
        }
        behind.is_some()
    }

    /// Takes octets while they are of the class.
    #[inline]
    pub(crate) fn take_while(&mut self, class: Chars) -> &'a [u8] {
        let rest = self.rest();
        let (taken, behind) = rest.split_at_checked(class.span(rest)).unwrap_or_default();
        self.rest = behind;
        taken
    }

    /// Takes octets while they are of the class, if they are one to eight
    /// letters: a word in upper case that compares as one number, zeros
    /// behind it. 0 where there is none: then nothing is taken.
    #[inline]
    pub(crate) fn word(&mut self, class: Chars) -> u64 {
        let rest = self.rest();
        let word = match rest.first_chunk() {
            Some(chunk) => u64::from_le_bytes(*chunk),
            None => last_word(rest),
        };
        let len = letters(word);
        let (_, behind) = rest.split_at_checked(len).unwrap_or_default();
        let longer = behind.first().is_some_and(|next| class.holds(*next));
        if len == 0 || longer {
            return 0;
        }
        self.rest = behind;
        // Letters alone: a bit makes them upper case.
        word & u64::from_le_bytes([0xdf; 8]) & (u64::MAX >> (64 - 8 * len))
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
    pub(crate) fn verb<'b>(&mut self, buffer: &'b mut [u8; KEYWORD]) -> Parsed<&'b [u8]> {
        let len = self.rest.len();
        let word = self.keyword(Chars::ATOM, buffer);
        if self.rest.len() == len {
            return self.expected("an atom");
        }
        Ok(word)
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
        let at = self.at();
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

    #[inline]
    pub(crate) fn number64(&mut self) -> Parsed<u64> {
        let mut value = 0_u64;
        let mut len = 0;
        for octet in self.rest() {
            let digit = octet.wrapping_sub(b'0');
            if digit > 9 {
                break;
            }
            value = value.wrapping_mul(10).wrapping_add(u64::from(digit));
            len += 1;
        }
        match len {
            0 => return self.expected("a number"),
            // All of so many digits fit.
            1..=19 => {}
            _ => value = self.long_number(len)?,
        }
        self.skip(len);
        Ok(value)
    }

    /// The number of more digits than are sure to fit.
    #[cold]
    fn long_number(&self, len: usize) -> Parsed<u64> {
        let digits = self.rest().get(..len).unwrap_or_default();
        let mut value = Some(0_u64);
        for octet in digits {
            let digit = u64::from(octet.wrapping_sub(b'0'));
            value = value.and_then(|value| value.checked_mul(10)?.checked_add(digit));
        }
        value.ok_or_else(|| self.error(ParseErrorKind::Number))
    }

    #[inline]
    pub(crate) fn number(&mut self) -> Parsed<u32> {
        let rest = self.rest;
        match u32::try_from(self.number64()?) {
            Ok(value) => Ok(value),
            Err(_) => Err(self.error_before(ParseErrorKind::Number, rest)),
        }
    }

    #[inline]
    pub(crate) fn nz_number(&mut self) -> Parsed<std::num::NonZeroU32> {
        let rest = self.rest;
        match std::num::NonZeroU32::new(self.number()?) {
            Some(value) => Ok(value),
            None => Err(self.error_before(ParseErrorKind::Number, rest)),
        }
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
        self.opens()?;
        if self.closes() {
            return Ok(Vec::new());
        }
        // As many as a list that grows begins with.
        let mut items = Vec::with_capacity(4);
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
        let at = self.at();
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
            self.rest = trimmed;
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

/// Fewer than eight octets at the end of a line, zeros behind them.
#[inline(never)]
fn last_word(octets: &[u8]) -> u64 {
    let octets = packed(octets).unwrap_or_default();
    octets
        .first_chunk()
        .map_or(0, |word| u64::from_le_bytes(*word))
}
