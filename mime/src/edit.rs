//! Changes to header fields that leave every other octet as it was: Sieve's editheader (RFC 5293),
//! formail, trace fields on reception.

use std::ops::Range;

use crate::header::{Line, NAME_OCTETS, classify};
use crate::{Field, Headers};

/// Collects changes to the header of one message and makes the new message from them.
///
/// Ranges are those that [`Field::range`] gives for the message handed to [`HeaderEdit::new`];
/// changes do not shift each other. New fields end their lines as the message does.
///
/// Names and values may come from anyone: of a name only the octets count that a field name can
/// have, and a change whose name has none of them (or 1,000 and more) is not made; line ends in a
/// value become folds.
///
/// ```
/// use mime::{HeaderEdit, Headers};
///
/// let message = b"Received: x\nSubject: old\nX-Junk: y\n\nBody";
/// let mut edit = HeaderEdit::new(message);
/// edit.insert_first("Delivered-To", b"me@example.org");
/// for field in Headers::new(message) {
///     match field.name() {
///         "Subject" => edit.replace(&field, "Subject", b"new"),
///         "X-Junk" => edit.delete(&field),
///         _ => {}
///     }
/// }
/// edit.insert_last("X-Seen", b"1");
/// assert_eq!(
///     edit.finish(),
///     b"Delivered-To: me@example.org\nReceived: x\nSubject: new\nX-Seen: 1\n\nBody"
/// );
/// ```
#[derive(Clone, Debug)]
pub struct HeaderEdit<'a> {
    message: &'a [u8],
    /// Where the first field begins and the last one ends.
    fields: Range<usize>,
    eol: &'static [u8],
    /// What replaces each range; of changes at one place the earlier call comes first.
    changes: Vec<(Range<usize>, Vec<u8>)>,
}

impl<'a> HeaderEdit<'a> {
    /// Changes to this message, or to a header block alone.
    pub fn new(message: &'a [u8]) -> Self {
        let headers = Headers::new(message);
        let front = headers.envelope_line().map_or(0, <[u8]>::len);
        let end = headers.fields_len();
        let eol = match memchr::memchr(b'\n', message) {
            Some(at) if at == 0 || message.get(at - 1) != Some(&b'\r') => b"\n",
            _ => &b"\r\n"[..],
        };
        Self {
            message,
            fields: front..end.max(front),
            eol,
            changes: Vec::new(),
        }
    }

    /// Puts a field in front of all others (but behind an mbox `From ` line), as RFC 5293 §4 asks
    /// of addheader. Called again, the later field comes first.
    pub fn insert_first(&mut self, name: &str, value: &[u8]) {
        let Some(field) = self.field(name, value) else {
            return;
        };
        let at = self.fields.start;
        let place = self
            .changes
            .iter()
            .position(|(range, _)| *range == (at..at))
            .unwrap_or(self.changes.len());
        self.changes.insert(place, (at..at, field));
    }

    /// Puts a field behind all others. Called again, the later field comes last.
    pub fn insert_last(&mut self, name: &str, value: &[u8]) {
        let Some(field) = self.field(name, value) else {
            return;
        };
        let at = self.fields.end;
        self.changes.push((at..at, field));
    }

    /// Takes a field away.
    pub fn delete(&mut self, field: &Field<'_>) {
        self.changes.push((field.range(), Vec::new()));
    }

    /// Puts another field in the place of this one.
    pub fn replace(&mut self, field: &Field<'_>, name: &str, value: &[u8]) {
        if let Some(new) = self.field(name, value) {
            self.changes.push((field.range(), new));
        }
    }

    /// Gives a field another name and leaves its value as it is, octet for octet.
    pub fn rename(&mut self, field: &Field<'_>, name: &str) {
        if let Some(name) = clean_name(name) {
            self.changes.push((field.name_range(), name));
        }
    }

    /// Whether nothing is to be changed.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// The changed message. Of two changes that overlap (a field deleted and renamed) the one made
    /// first counts.
    pub fn finish(mut self) -> Vec<u8> {
        let body = self.fields.end;
        let mut out = self.finish_header();
        out.extend_from_slice(self.message.get(body..).unwrap_or_default());
        out
    }

    /// The changed fields only, without the blank line and the body; the message goes on at
    /// [`Headers::fields_len`] of the old one. For messages too large to be held.
    pub fn finish_fields(mut self) -> Vec<u8> {
        self.finish_header()
    }

    fn finish_header(&mut self) -> Vec<u8> {
        let mut changes = std::mem::take(&mut self.changes);
        let changed = !changes.is_empty();
        // Stable: insertions at one place keep their order, and go before what begins there.
        changes.sort_by_key(|(range, _)| (range.start, !range.is_empty()));
        let grown: usize = changes.iter().map(|(_, new)| new.len()).sum();
        let mut out = Vec::with_capacity(self.fields.end + grown);
        let mut at = 0;
        for (range, new) in changes {
            if range.start < at {
                continue;
            }
            out.extend_from_slice(self.message.get(at..range.start).unwrap_or_default());
            // The old last field may lack a line end.
            if range.start == self.fields.end
                && !new.is_empty()
                && out.last().is_some_and(|&byte| byte != b'\n')
            {
                out.extend_from_slice(self.eol);
            }
            out.extend_from_slice(&new);
            at = range.end;
        }
        out.extend_from_slice(self.message.get(at..self.fields.end).unwrap_or_default());
        // Where the blank line is missing, the body must not become part of the new header.
        let body = self.message.get(self.fields.end..).unwrap_or_default();
        let joins = classify(body, true) == Line::Envelope || matches!(body, [b' ' | b'\t', ..]);
        if changed && joins {
            out.extend_from_slice(self.eol);
        }
        out
    }

    /// A whole field. Line ends in the value become folds of this message's line end: what comes
    /// from a script cannot end the field, let alone the header.
    fn field(&self, name: &str, value: &[u8]) -> Option<Vec<u8>> {
        let mut field = clean_name(name)?;
        field.push(b':');
        if !matches!(value, [b' ' | b'\t', ..] | []) {
            field.push(b' ');
        }
        let mut lines = value.split(|&byte| byte == b'\n').peekable();
        while let Some(line) = lines.next() {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            field.extend(line.iter().map(|&byte| match byte {
                b'\r' | 0 => b' ',
                byte => byte,
            }));
            let blank = |line: &&[u8]| line.trim_ascii().is_empty();
            // A line of white space alone would end the header for some readers.
            while lines.next_if(blank).is_some() {}
            if let Some(next) = lines.peek() {
                field.extend_from_slice(self.eol);
                if !matches!(next, [b' ' | b'\t', ..]) {
                    field.push(b' ');
                }
            }
        }
        field.extend_from_slice(self.eol);
        Some(field)
    }
}

/// Only the octets a field name may have, RFC 5322 §2.2; `None` if nothing is left of it or too
/// much: such a line would end the header for its readers.
fn clean_name(name: &str) -> Option<Vec<u8>> {
    let octets = name.bytes();
    let name: Vec<u8> = octets
        .filter(|byte| matches!(byte, 33..=57 | 59..=126))
        .collect();
    (1..NAME_OCTETS).contains(&name.len()).then_some(name)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn fields_in_front_and_behind() {
        let mut edit = HeaderEdit::new(b"From x\r\nA: 1\r\n\r\nB\nC");
        edit.insert_last("Y", b"1");
        edit.insert_first("X", b"1");
        edit.insert_first("X", b"2");
        edit.insert_last("Y", b"2");
        assert_eq!(
            edit.finish(),
            b"From x\r\nX: 2\r\nX: 1\r\nA: 1\r\nY: 1\r\nY: 2\r\n\r\nB\nC"
        );
    }

    #[test]
    fn headers_without_end() {
        for (message, expected) in [
            (&b""[..], &b"X: 1\r\n"[..]),
            (b"A: 1", b"A: 1\r\nX: 1\r\n"),
            (b"\nbody", b"X: 1\n\nbody"),
            (
                b"A: 1\nbody: no\nnot a field",
                b"A: 1\nbody: no\nX: 1\nnot a field",
            ),
        ] {
            let mut edit = HeaderEdit::new(message);
            edit.insert_last("X", b"1");
            assert_eq!(edit.finish(), expected);
        }
    }

    #[test]
    fn values_cannot_leave_their_field() {
        let message = b"A: 1\r\n\r\n";
        let mut edit = HeaderEdit::new(message);
        edit.insert_last("X:\r\nY", b"1\r\nBcc: x\n\n \nbody\r\n");
        let out = edit.finish();
        assert_eq!(out, b"A: 1\r\nXY: 1\r\n Bcc: x\r\n body\r\n\r\n");
        assert_eq!(Headers::new(&out).count(), 2);
    }

    #[test]
    fn names_that_are_none_change_nothing() {
        let message = b"A: 1\r\nB: 2\r\n\r\nbody";
        let first = Headers::new(message).next().unwrap();
        for name in ["", "\r\n", " :", "\u{e4}", &"x".repeat(1000)] {
            let mut edit = HeaderEdit::new(message);
            edit.insert_first(name, b"x");
            edit.insert_last(name, b"x");
            edit.replace(&first, name, b"x");
            edit.rename(&first, name);
            assert_eq!(edit.finish(), message, "{name}");
        }
        let mut edit = HeaderEdit::new(message);
        edit.insert_first(&"x".repeat(999), b"y");
        assert_eq!(Headers::new(&edit.finish()).count(), 3);
    }

    #[test]
    fn names_change_and_values_stay() {
        let message = b"Old : a\n\tb\nC: d\n\n";
        let mut edit = HeaderEdit::new(message);
        let mut fields = Headers::new(message);
        let (old, other) = (fields.next().unwrap(), fields.next().unwrap());
        edit.rename(&old, "Old-Old");
        edit.delete(&other);
        edit.rename(&other, "Never");
        assert_eq!(edit.finish(), b"Old-Old : a\n\tb\n\n");
    }
}
