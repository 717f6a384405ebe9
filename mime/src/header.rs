//! The header block, RFC 5322 §2.2: fields, folding, the blank line.

use std::borrow::Cow;
use std::ops::Range;

use memchr::{memchr, memrchr};

use crate::{Address, Date, address, encoded_word};

/// A field name may be this long; a longer run of name characters is not a field. RFC 5322 §2.1.1
/// allows lines of 998 octets. Bounds what the incremental scanner must keep of a line.
pub(crate) const NAME_OCTETS: usize = 1000;

/// What one line says while a header block is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Line {
    /// Empty: the header ends behind it.
    Blank,
    /// Starts with white space: belongs to the field above.
    Continuation,
    /// `name:`, with the lengths of the name and of everything through the colon.
    Field { name: usize, colon: usize },
    /// `From ` or `>From ` ahead of all fields: left behind by an mbox.
    Envelope,
    /// None of these: the blank line is missing and the body has begun.
    Other,
}

/// Classifies a line, given with its line end. `front` says that no field came before it.
///
/// A line that is no field ends the header: what follows is shown to the reader as text instead of
/// being hidden among the fields.
pub(crate) fn classify(line: &[u8], front: bool) -> Line {
    match line {
        [b'\n', ..] | [b'\r', b'\n', ..] => return Line::Blank,
        [b' ' | b'\t', ..] => {
            return if front {
                Line::Other
            } else {
                Line::Continuation
            };
        }
        _ => {}
    }
    if let Some((name, colon)) = name_and_colon(line) {
        return Line::Field { name, colon };
    }
    if front && (line.starts_with(b"From ") || line.starts_with(b">From ")) {
        return Line::Envelope;
    }
    Line::Other
}

/// `field-name *WSP ":"`, RFC 5322 §2.2 and §4.5 (space before the colon is obsolete).
fn name_and_colon(line: &[u8]) -> Option<(usize, usize)> {
    let mut octets = line.iter().take(NAME_OCTETS);
    let name = octets.position(|byte| !matches!(byte, 33..=57 | 59..=126))?;
    let mut colon = name;
    let mut byte = line.get(name);
    while let Some(b' ' | b'\t') = byte {
        colon += 1;
        if colon >= NAME_OCTETS {
            return None;
        }
        byte = line.get(colon);
    }
    (name > 0 && byte == Some(&b':')).then_some((name, colon + 1))
}

/// `line` without its line end (LF or CRLF).
pub(crate) fn without_eol(line: &[u8]) -> &[u8] {
    match line {
        [line @ .., b'\r', b'\n'] | [line @ .., b'\n'] => line,
        line => line,
    }
}

/// Reads the fields of a header block, front to back, without copying.
///
/// Takes a header block or a whole message and stops where the body begins; only the header is
/// touched. Lines may end in CRLF or LF. A `From ` line ahead of the fields is kept apart as
/// [`envelope_line`](Headers::envelope_line); a line that is no field ends the header even where
/// the blank line is missing.
///
/// ```
/// let message = b"Subject: a\r\n folded =?utf-8?q?caf=C3=A9?=\r\nTo: b@example.org\r\n\r\nHi";
/// let headers = mime::Headers::new(message);
/// let subject = headers.clone().find("subject").unwrap();
/// assert_eq!(subject.raw_value(), b" a\r\n folded =?utf-8?q?caf=C3=A9?=");
/// assert_eq!(*subject.unfolded(), *b"a folded =?utf-8?q?caf=C3=A9?=");
/// assert_eq!(subject.text(), "a folded café");
/// assert_eq!(headers.body(), b"Hi");
/// ```
#[derive(Clone, Debug)]
pub struct Headers<'a> {
    message: &'a [u8],
    at: usize,
    front: usize,
    fields: bool,
}

impl<'a> Headers<'a> {
    /// The fields at the front of `message`.
    pub fn new(message: &'a [u8]) -> Self {
        let mut front = 0;
        while let Some(rest) = message.get(front..) {
            let line = first_line(rest);
            if classify(line, true) != Line::Envelope {
                break;
            }
            front += line.len();
        }
        Self {
            message,
            at: front,
            front,
            fields: false,
        }
    }

    /// The mbox `From ` line (or lines, `>From ` too) ahead of the fields, with line end.
    pub fn envelope_line(&self) -> Option<&'a [u8]> {
        self.message
            .get(..self.front)
            .filter(|line| !line.is_empty())
    }

    /// The next field with this name (ASCII case does not matter) from here on.
    pub fn find(mut self, name: &str) -> Option<Field<'a>> {
        self.by_ref().find(|field| field.is(name))
    }

    /// All fields with this name (ASCII case does not matter) from here on.
    pub fn find_all<'n>(self, name: &'n str) -> impl Iterator<Item = Field<'a>> + use<'a, 'n> {
        self.filter(move |field| field.is(name))
    }

    /// The addresses of all fields with this name from here on, in one list: RFC 5322 §3.6 allows
    /// one `To` and one `Cc`, but some mail has more. A group ends with its field.
    ///
    /// ```
    /// let headers = mime::Headers::new(b"To: a@x\nCc: b@x\nTo: c@x, d@x\n\n");
    /// assert_eq!(headers.addresses("To").count(), 3);
    /// ```
    pub fn addresses<'n>(self, name: &'n str) -> impl Iterator<Item = Address<'a>> + use<'a, 'n> {
        self.find_all(name)
            .flat_map(|field| address::parse(field.raw_value()))
    }

    /// Octets of the header: fields and the blank line, if there is one.
    pub fn header_len(&self) -> usize {
        let mut rest = self.clone();
        while rest.next().is_some() {}
        let left = rest.message.get(rest.at..).unwrap_or_default();
        match left {
            [b'\n', ..] => rest.at + 1,
            [b'\r', b'\n', ..] => rest.at + 2,
            _ => rest.at,
        }
    }

    /// Where the fields end: [`header_len`](Self::header_len) without the blank line.
    pub fn fields_len(&self) -> usize {
        let mut rest = self.clone();
        while rest.next().is_some() {}
        rest.at
    }

    /// What follows the header.
    pub fn body(&self) -> &'a [u8] {
        self.message.get(self.header_len()..).unwrap_or_default()
    }
}

fn first_line(text: &[u8]) -> &[u8] {
    memchr(b'\n', text)
        .and_then(|at| text.get(..=at))
        .unwrap_or(text)
}

impl<'a> Iterator for Headers<'a> {
    type Item = Field<'a>;

    fn next(&mut self) -> Option<Field<'a>> {
        let rest = self.message.get(self.at..)?;
        let Line::Field { name, colon } = classify(rest, !self.fields) else {
            return None;
        };
        let mut end = 0;
        loop {
            let line = rest.get(end..).unwrap_or_default();
            end += first_line(line).len();
            if !matches!(rest.get(end), Some(b' ' | b'\t')) {
                break;
            }
        }
        let start = self.at;
        self.at += end;
        self.fields = true;
        Some(Field {
            octets: rest.get(..end)?,
            start,
            name,
            colon,
        })
    }
}

/// One header field, borrowed from the message.
#[derive(Clone, Copy, Debug)]
pub struct Field<'a> {
    octets: &'a [u8],
    start: usize,
    name: usize,
    colon: usize,
}

impl<'a> Field<'a> {
    /// The field name as written; only printable ASCII, RFC 5322 §2.2.
    pub fn name(&self) -> &'a str {
        let name = self.octets.get(..self.name).unwrap_or_default();
        std::str::from_utf8(name).unwrap_or_default()
    }

    /// Whether the name is this, in any ASCII case.
    pub fn is(&self, name: &str) -> bool {
        let own = self.octets.get(..self.name).unwrap_or_default();
        own.eq_ignore_ascii_case(name.as_bytes())
    }

    /// The whole field: name, colon, value, folds and final line end.
    pub fn octets(&self) -> &'a [u8] {
        self.octets
    }

    /// Everything behind the colon except the final line end, folds included.
    pub fn raw_value(&self) -> &'a [u8] {
        without_eol(self.octets.get(self.colon..).unwrap_or_default())
    }

    /// The value with line ends removed (RFC 5322 §2.2.3) and white space trimmed off both ends.
    pub fn unfolded(&self) -> Cow<'a, [u8]> {
        unfold(self.raw_value())
    }

    /// The unfolded value as text: encoded words (RFC 2047) decoded, UTF-8 (RFC 6532) as it is,
    /// other 8-bit octets read as windows-1252.
    pub fn text(&self) -> Cow<'a, str> {
        match self.unfolded() {
            Cow::Borrowed(value) => encoded_word::decode(value),
            Cow::Owned(value) => Cow::Owned(encoded_word::decode(&value).into_owned()),
        }
    }

    /// The date in a `Date`, `Resent-Date` or `Delivery-Date` field, and the one behind the last
    /// semicolon of a `Received` field (RFC 5322 §3.6.7).
    ///
    /// ```
    /// let field = mime::Headers::new(b"Received: from a by b; 21 Nov 1997 09:55:06 -0600\n")
    ///     .next()
    ///     .unwrap();
    /// assert_eq!(field.date().unwrap().timestamp().as_second(), 880127706);
    /// ```
    pub fn date(&self) -> Option<Date> {
        trace_date(self.raw_value())
    }

    /// Where the whole field lies in what was given to [`Headers::new`].
    pub fn range(&self) -> Range<usize> {
        self.start..self.start + self.octets.len()
    }

    /// Where the name lies in what was given to [`Headers::new`].
    pub fn name_range(&self) -> Range<usize> {
        self.start..self.start + self.name
    }

    /// Where the raw value lies in what was given to [`Headers::new`].
    pub fn value_range(&self) -> Range<usize> {
        let start = self.start + self.colon;
        start..start + self.raw_value().len()
    }
}

/// The date behind the last semicolon of a value, or in one that has none.
pub(crate) fn trace_date(value: &[u8]) -> Option<Date> {
    let mut end = value.len();
    // Semicolons may stand in a comment behind the date.
    for _ in 0..4 {
        let start = memrchr(b';', value.get(..end)?);
        let date = Date::parse(value.get(start.map_or(0, |at| at + 1)..)?);
        if date.is_some() || start.is_none() {
            return date;
        }
        end = start?;
    }
    None
}

/// Removes the line ends from a folded value and trims white space off both ends.
///
/// Borrows unless there is a fold. Only line ends in front of white space are folds; there are no
/// others in a [`Field::raw_value`].
pub fn unfold(value: &[u8]) -> Cow<'_, [u8]> {
    let value = value.trim_ascii();
    let Some(first) = memchr(b'\n', value) else {
        return Cow::Borrowed(value);
    };
    let mut out = Vec::with_capacity(value.len());
    let mut rest = value;
    let mut at = Some(first);
    while let Some((line, tail)) = at.and_then(|at| rest.split_at_checked(at + 1)) {
        out.extend_from_slice(without_eol(line));
        rest = tail;
        at = memchr(b'\n', rest);
    }
    out.extend_from_slice(rest);
    Cow::Owned(out)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn names(message: &[u8]) -> Vec<&str> {
        Headers::new(message).map(|field| field.name()).collect()
    }

    #[test]
    fn fields_end_at_the_blank_line_or_at_the_first_line_that_is_none() {
        assert_eq!(names(b"A: 1\r\nB : 2\r\n c\r\n\r\nC: 3"), ["A", "B"]);
        assert_eq!(names(b"A: 1\nB: 2\n\nC: 3"), ["A", "B"]);
        let headers = Headers::new(b"A: 1\r\nno field here\r\nC: 3\r\n");
        assert_eq!(headers.body(), b"no field here\r\nC: 3\r\n");
        assert_eq!(headers.count(), 1);
        assert_eq!(names(b" A: 1\n"), [""; 0]);
        assert_eq!(names(b": 1\n"), [""; 0]);
    }

    #[test]
    fn an_mbox_line_in_front_is_no_field() {
        let headers = Headers::new(b"From me Thu Jan  1 00:00:00 1970\n>From you\nA: 1\n\nB");
        assert_eq!(
            headers.envelope_line(),
            Some(&b"From me Thu Jan  1 00:00:00 1970\n>From you\n"[..])
        );
        assert_eq!(headers.body(), b"B");
        assert_eq!(headers.clone().next().unwrap().name(), "A");
        assert_eq!(names(b"From : a@b\n"), ["From"]);
        assert_eq!(Headers::new(b"A: 1\n").envelope_line(), None);
    }

    #[test]
    fn ranges_lie_in_the_message() {
        let message = b"A: 1\r\nSubject:  x\r\n\ty \r\n\r\n";
        let field = Headers::new(message).find("SUBJECT").unwrap();
        assert_eq!(&message[field.range()], b"Subject:  x\r\n\ty \r\n");
        assert_eq!(&message[field.name_range()], b"Subject");
        assert_eq!(&message[field.value_range()], b"  x\r\n\ty ");
        assert_eq!(*field.unfolded(), *b"x\ty");
        assert_eq!(Headers::new(message).header_len(), message.len());
        assert_eq!(Headers::new(message).fields_len(), message.len() - 2);
    }

    #[test]
    fn a_message_may_end_anywhere() {
        let message = b"From x\nA: 1\r\n b\r\nC:\r\n\r\n";
        for end in 0..message.len() {
            let headers = Headers::new(&message[..end]);
            assert!(headers.header_len() <= end);
            for field in headers {
                let _ = (field.text(), field.value_range());
            }
        }
    }
}
