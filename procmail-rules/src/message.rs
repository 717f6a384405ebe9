//! The message, and the areas of it that conditions search.

use std::sync::OnceLock;

use crate::format;
use crate::regex::{Haystack, Line, frame, lines};

/// The message as procmail sees it: octets, and where the header ends.
#[derive(Debug)]
pub(crate) struct Message {
    /// The text with a newline before and after it.
    framed: Vec<u8>,
    /// Octets of the header with its empty line.
    header_length: usize,
    /// Octets of the body that `Content-Length` vouches for, if there is one.
    shield: Option<usize>,
    /// The framed header, joined, and where its lines begin.
    header: OnceLock<(Vec<u8>, Vec<Line>)>,
    whole: OnceLock<Option<Vec<u8>>>,
}

const EMPTY: &[u8] = b"\n\n";

impl Message {
    /// Takes a message in; a `Content-Length` field is corrected if it is to be honoured.
    pub(crate) fn new(text: &[u8], honour_length: bool) -> Self {
        Self::divided(text, header_length(text), honour_length)
    }

    /// The same, where it is known how long the header is.
    pub(crate) fn divided(text: &[u8], header_length: usize, honour_length: bool) -> Self {
        let mut framed = frame(text);
        let mut shield = None;
        // Without an empty line, the last field goes on into what was made a body.
        let before = text.get(..header_length).unwrap_or(text);
        let after = text.get(header_length..).unwrap_or(&[]);
        let more = match before.last() {
            Some(b'\n') | None => 0,
            Some(_) => memchr::memchr(b'\n', after).unwrap_or(after.len()),
        };
        let value = text
            .get(..header_length + more)
            .filter(|_| honour_length)
            .and_then(format::content_length);
        if let (Some(value), Some(inside)) = (value, framed.get_mut(1..)) {
            let body = text.get(header_length..).unwrap_or(&[]);
            // An empty line at the end is not counted, nor an octet without a line.
            let phantom = text.len().checked_sub(2).and_then(|at| text.get(at)) == Some(&b'\n');
            let length = body.len().saturating_sub(usize::from(phantom));
            shield = Some(format::correct_content_length(inside, &value, length));
        }
        Self {
            framed,
            header_length,
            shield,
            header: OnceLock::new(),
            whole: OnceLock::new(),
        }
    }

    pub(crate) fn text(&self) -> &[u8] {
        Haystack::framed(&self.framed).text()
    }

    pub(crate) fn header(&self) -> &[u8] {
        self.text().get(..self.header_length).unwrap_or(&[])
    }

    pub(crate) fn body(&self) -> &[u8] {
        self.text().get(self.header_length..).unwrap_or(&[])
    }

    pub(crate) fn shield(&self) -> Option<usize> {
        self.shield
    }

    /// The header with folded fields joined.
    pub(crate) fn header_area(&self) -> Haystack<'_> {
        let (area, lines) = self.header.get_or_init(|| {
            let mut area = frame(self.header());
            unfold(&mut area, self.header_length);
            let lines = lines(&area);
            (area, lines)
        });
        Haystack::with_lines(area, lines)
    }

    /// The body, which is never joined. Its imaginary first newline is the one before it.
    pub(crate) fn body_area(&self) -> Haystack<'_> {
        if self.header_length == self.text().len() {
            return Haystack::framed(EMPTY);
        }
        Haystack::framed(self.framed.get(self.header_length..).unwrap_or(EMPTY))
    }

    /// Header and body, the header's folded fields joined.
    pub(crate) fn whole_area(&self) -> Haystack<'_> {
        let joined = self.whole.get_or_init(|| {
            is_folded(self.header()).then(|| {
                let mut area = self.framed.clone();
                unfold(&mut area, self.header_length);
                area
            })
        });
        Haystack::framed(joined.as_deref().unwrap_or(&self.framed))
    }
}

/// Octets through the empty line that ends the header; leading newlines do not end it.
fn header_length(text: &[u8]) -> usize {
    let start = text
        .iter()
        .position(|byte| *byte != b'\n')
        .unwrap_or(text.len());
    let rest = text.get(start..).unwrap_or(&[]);
    memchr::memmem::find(rest, b"\n\n").map_or(text.len(), |at| start + at + 2)
}

fn is_folded(header: &[u8]) -> bool {
    header
        .windows(2)
        .any(|pair| matches!(pair, b"\n " | b"\n\t"))
}

/// In a framed area, turns each newline of the header that is followed by a blank into a space.
fn unfold(area: &mut [u8], header_length: usize) {
    for at in 1..header_length {
        if area.get(at) == Some(&b'\n')
            && matches!(area.get(at + 1), Some(b' ' | b'\t'))
            && let Some(byte) = area.get_mut(at)
        {
            *byte = b' ';
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn areas() {
        let message = Message::new(b"A: b\n\tc\nD: e\n\n body\n", true);
        assert_eq!(message.header(), b"A: b\n\tc\nD: e\n\n");
        assert_eq!(message.header_area().text(), b"A: b \tc\nD: e\n\n");
        assert_eq!(message.body_area().bytes(), b"\n body\n\n");
        assert_eq!(message.whole_area().text(), b"A: b \tc\nD: e\n\n body\n");
        let header_only = Message::new(b"A: b", true);
        assert_eq!(header_only.body(), b"");
        assert_eq!(header_only.body_area().bytes(), b"\n\n");
        assert_eq!(
            Message::new(b"\n\nA: b\n\nx", true).header(),
            b"\n\nA: b\n\n"
        );
    }
}
