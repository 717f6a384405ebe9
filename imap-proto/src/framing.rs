//! Cuts octets into lines and literals; knows no command.
//!
//! A line that ends in `{n}`, `{n+}` or `~{n}` announces a literal (RFC 9051
//! §4.3, RFC 7888, RFC 3516), which may be kept in place, streamed, or
//! refused. What is refused is skipped to the end of its command, however
//! many more literals it has, so that the next command is found where it is.

use bytes::{Buf, Bytes, BytesMut};
use memchr::memchr;

/// Longest announcement: `~{18446744073709551615+}` and its CR.
const TAIL: usize = 32;

/// Octets that are read before literals, however short the command is.
const FREE: usize = 64 * 1024;

/// Finds where commands end. Between calls the host only appends to `input`.
#[derive(Debug, Clone, Default)]
pub(crate) struct Framer {
    /// Where the present line begins, behind the literals before it.
    line: usize,
    /// Everything before it was looked at.
    scanned: usize,
    /// Literals of this command that were kept.
    literals: usize,
    /// Octets of this command that were read to judge its literals.
    judged: usize,
    discarding: Option<u64>,
    /// A LF without CR ends a line too.
    takes_bare_lf: bool,
}

/// What [`Framer::poll`] found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Frame {
    /// Append to `input`.
    NeedInput,
    /// A whole command, literals in place, taken off `input`; with its CRLF.
    Whole(Bytes),
    /// A literal is announced: `keep`, `stream` or `discard`.
    Literal(Announcement),
    /// The line is over the limit: `discard_line`.
    TooLong,
    /// The line ends in a LF without CR: `discard_line`.
    BareLf,
    /// What had to be discarded is gone.
    Discarded,
}

/// `["~"] "{" number64 ["+" / "-"] "}"` at the end of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Announcement {
    pub(crate) size: u64,
    /// The sender waits for `+`.
    pub(crate) synchronizing: bool,
    /// Where the literal's octets begin in `input`.
    pub(crate) start: usize,
}

impl Framer {
    /// A framer that may take lines that end in LF without CR.
    pub(crate) fn tolerant(takes_bare_lf: bool) -> Self {
        Self {
            takes_bare_lf,
            ..Self::default()
        }
    }

    fn reset(&mut self) {
        *self = Self::tolerant(self.takes_bare_lf);
    }

    /// Looks for the next frame; each octet is looked at once.
    pub(crate) fn poll(&mut self, input: &mut BytesMut, max_line: usize) -> Frame {
        if self.discarding.is_some() {
            return self.poll_discard(input);
        }
        let Some(end) = self.line_end(input) else {
            // One more than the limit: the CR of a line that just fits.
            if input.len().saturating_sub(self.line) > max_line + 1 {
                return Frame::TooLong;
            }
            return Frame::NeedInput;
        };
        let line = input.get(self.line..end).unwrap_or_default();
        // Before anything else, since the LF may not be here yet next time.
        if line.len() > max_line + 1 {
            return Frame::TooLong;
        }
        let text = match line.strip_suffix(b"\r") {
            Some(text) => text,
            None if self.takes_bare_lf => line,
            None => return Frame::BareLf,
        };
        if text.len() > max_line {
            return Frame::TooLong;
        }
        if let Some((size, synchronizing)) = announcement(text) {
            return Frame::Literal(Announcement {
                size,
                synchronizing,
                start: end + 1,
            });
        }
        self.reset();
        Frame::Whole(input.split_to(end + 1).freeze())
    }

    /// A single line without literals, taken off `input`; without its CRLF.
    pub(crate) fn poll_line(&mut self, input: &mut BytesMut, max_line: usize) -> Frame {
        let Some(end) = self.line_end(input) else {
            if input.len() > max_line + 1 {
                return Frame::TooLong;
            }
            return Frame::NeedInput;
        };
        if end > max_line + 1 {
            return Frame::TooLong;
        }
        let Some(len) = end
            .checked_sub(1)
            .filter(|before| input.get(*before) == Some(&b'\r'))
        else {
            return Frame::BareLf;
        };
        self.reset();
        let mut line = input.split_to(end + 1);
        line.truncate(len);
        Frame::Whole(line.freeze())
    }

    /// Where the LF of the present line is, once the literal before it is in.
    fn line_end(&mut self, input: &BytesMut) -> Option<usize> {
        let from = self.scanned.max(self.line);
        let fresh = input.get(from..)?;
        match memchr(b'\n', fresh) {
            Some(found) => {
                // Not beyond: the answer to the same line is the same again.
                self.scanned = from + found;
                Some(from + found)
            }
            None => {
                self.scanned = input.len();
                None
            }
        }
    }

    /// Keeps the announced literal in place.
    pub(crate) fn keep(&mut self, literal: Announcement) {
        let size = usize::try_from(literal.size).unwrap_or(usize::MAX);
        self.line = literal.start.saturating_add(size);
        self.scanned = self.line;
        self.literals += 1;
    }

    /// Takes what stands before the announced literal off `input`; the
    /// literal's octets are in front then, and the caller takes them.
    pub(crate) fn stream(&mut self, input: &mut BytesMut, literal: Announcement) -> Bytes {
        self.reset();
        input.split_to(literal.start.min(input.len())).freeze()
    }

    /// How many literals of this command were kept.
    pub(crate) fn literals(&self) -> usize {
        self.literals
    }

    /// Whether what stands before the announced literal may be read to judge
    /// it. All readings of one command come to little more than twice its
    /// octets, however many literals it has: else a long front would be read
    /// again at each.
    pub(crate) fn may_judge(&mut self, literal: Announcement) -> bool {
        let may = self.judged <= literal.start.saturating_add(FREE);
        if may {
            self.judged = self.judged.saturating_add(literal.start);
        }
        may
    }

    /// Throws away the present line, what was kept before it, and the rest of
    /// the command.
    pub(crate) fn discard_line(&mut self, input: &mut BytesMut) {
        // Not from the front: a literal that was kept might hold anything.
        self.discard(input, self.line, 0);
    }

    /// Throws away what there is of the command, up to `before`, then a
    /// literal of `literal` octets, then the rest of the command.
    pub(crate) fn discard(&mut self, input: &mut BytesMut, before: usize, literal: u64) {
        input.advance(before.min(input.len()));
        *self = Self {
            discarding: Some(literal),
            ..Self::tolerant(self.takes_bare_lf)
        };
    }

    fn poll_discard(&mut self, input: &mut BytesMut) -> Frame {
        let mut left = self.discarding.unwrap_or(0);
        loop {
            let taken = usize::try_from(left).unwrap_or(usize::MAX).min(input.len());
            input.advance(taken);
            left -= taken as u64;
            self.discarding = Some(left);
            if left > 0 {
                return Frame::NeedInput;
            }
            let Some(end) = self.line_end(input) else {
                // The end of the line may be an announcement: kept.
                let gone = input.len().saturating_sub(TAIL);
                input.advance(gone);
                self.scanned = input.len();
                return Frame::NeedInput;
            };
            let line = input.get(..end).unwrap_or_default();
            let text = line.strip_suffix(b"\r").unwrap_or(line);
            let literal = announcement(text);
            input.advance(end + 1);
            self.scanned = 0;
            match literal {
                Some((size, false)) => left = size,
                // The sender of a synchronizing literal waits: the answer
                // ends its command.
                Some((_, true)) | None => {
                    self.reset();
                    return Frame::Discarded;
                }
            }
        }
    }
}

/// The literal that a line announces: its size, and whether its sender waits.
pub(crate) fn announcement(line: &[u8]) -> Option<(u64, bool)> {
    let inside = line.strip_suffix(b"}")?;
    let (inside, synchronizing) = match inside {
        [inside @ .., b'+' | b'-'] => (inside, false),
        inside => (inside, true),
    };
    let open = inside.iter().rposition(|octet| !octet.is_ascii_digit())?;
    if inside.get(open) != Some(&b'{') {
        return None;
    }
    let digits = inside.get(open + 1..).filter(|digits| !digits.is_empty())?;
    let size = std::str::from_utf8(digits).ok()?;
    // Too large for a number: too large for any limit.
    Some((size.parse().unwrap_or(u64::MAX), synchronizing))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn announcements() {
        for (line, found) in [
            (&b"a {5}"[..], Some((5, true))),
            (b"a {5+}", Some((5, false))),
            (b"a ~{0}", Some((0, true))),
            (b"{99999999999999999999+}", Some((u64::MAX, false))),
            (b"a {}", None),
            (b"a {+}", None),
            (b"a {5} ", None),
            (b"a 5}", None),
            (b"a {-5}", None),
            (b"}", None),
            (b"", None),
        ] {
            assert_eq!(announcement(line), found, "{}", line.escape_ascii());
        }
    }

    #[test]
    fn a_front_is_read_a_few_times() {
        for (front, literals) in [(10, 10_000), (60_000, 64), (100_000, 1000), (0, 0)] {
            let mut framer = Framer::default();
            let (mut read, mut start) = (0, front);
            for _ in 0..literals {
                start += 5;
                let literal = Announcement {
                    size: 0,
                    synchronizing: true,
                    start,
                };
                if framer.may_judge(literal) {
                    read += start;
                }
                framer.keep(literal);
            }
            assert!(read <= 2 * start + FREE, "{front} {literals}: {read}");
            // And short commands are judged at each.
            let few = (0..20).all(|_| {
                framer.reset();
                (1..=20).all(|at| {
                    framer.may_judge(Announcement {
                        size: 0,
                        synchronizing: true,
                        start: 100 * at,
                    })
                })
            });
            assert!(few);
        }
    }

    fn frames(wire: &[u8], piece: usize) -> Vec<String> {
        let mut framer = Framer::default();
        let mut input = BytesMut::new();
        let mut seen = Vec::new();
        for piece in wire.chunks(piece) {
            input.extend_from_slice(piece);
            loop {
                match framer.poll(&mut input, 40) {
                    Frame::NeedInput => break,
                    Frame::Whole(text) => seen.push(text.escape_ascii().to_string()),
                    Frame::Literal(literal) if literal.size > 20 => {
                        seen.push("big".into());
                        let size = if literal.synchronizing {
                            0
                        } else {
                            literal.size
                        };
                        framer.discard(&mut input, literal.start, size);
                        if literal.synchronizing {
                            framer = Framer::default();
                        }
                    }
                    Frame::Literal(literal) => framer.keep(literal),
                    Frame::TooLong => {
                        seen.push("long".into());
                        framer.discard_line(&mut input);
                    }
                    Frame::BareLf => {
                        seen.push("lf".into());
                        framer.discard_line(&mut input);
                    }
                    Frame::Discarded => seen.push("discarded".into()),
                }
                assert!(input.len() <= 40 + 22 + 22 + piece.len(), "{}", input.len());
            }
        }
        seen
    }

    #[test]
    fn cut_anywhere() {
        let wire = b"a {3+}\r\n\r\n! {0}\r\n\r\nb\r\nc {99+}\r\n0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789 {4+}\r\n\r\n\r\n x\r\nd\ne {99}\r\nf 012345678901234567890123456789012345678901234567890123456789 {7+}\r\nabc\r\nde\r\ng\r\n";
        let whole = frames(wire, 10_000);
        assert_eq!(
            whole,
            [
                "a {3+}\\r\\n\\r\\n! {0}\\r\\n\\r\\n",
                "b\\r\\n",
                "big",
                "discarded",
                "lf",
                "discarded",
                "big",
                "long",
                "discarded",
                "g\\r\\n"
            ]
        );
        for piece in 1..60 {
            assert_eq!(frames(wire, piece), whole, "in pieces of {piece}");
        }
    }
}
