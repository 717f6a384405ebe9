use bytes::{Bytes, BytesMut};
use memchr::memchr2;
use memchr::memmem;

use crate::Output;

/// The smallest chunk limit that makes progress: `.` CR LF and one more.
const MIN_CHUNK: usize = 4;

/// Takes dot-stuffed lines in, gives the message out (RFC 5321 §4.5.2,
/// RFC 1939 §3).
///
/// Only `CRLF . CRLF` ends the data, where the first CRLF may be the end of
/// the command. A bare CR or a bare LF never starts a line here, so none of
/// the published smuggling sequences ends a message early; what else is to
/// become of them is the [`BareNewline`] policy.
///
/// The message is given in chunks split off the front of `input`: nothing is
/// copied where nothing was stuffed, and stuffed dots are closed up in place.
///
/// ```
/// use bytes::BytesMut;
/// use proto_core::{BareNewline, DotDecoder, DotStep};
///
/// let mut decoder = DotDecoder::new(BareNewline::Reject);
/// let mut input = BytesMut::from("one\r\n..two\r\n.\r\nQUIT\r\n");
/// let DotStep::Chunk(chunk) = decoder.step(&mut input, 65_536) else { panic!() };
/// assert_eq!(chunk, "one\r\n.two\r\n");
/// assert_eq!(decoder.step(&mut input, 65_536), DotStep::End);
/// assert_eq!(input, "QUIT\r\n");
/// ```
#[derive(Debug, Clone)]
pub struct DotDecoder {
    policy: BareNewline,
    at_line_start: bool,
    ended: bool,
    taken: u64,
    fault: Option<DotFault>,
}

/// What [`DotDecoder`] does about a CR or LF that stands alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BareNewline {
    /// Remember the first as a [`DotFault`]; the machine refuses the message
    /// when it has ended.
    #[default]
    Reject,
    /// Pass them through as ordinary octets.
    Pass,
}

/// Where the first bare CR or LF stood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DotFault {
    /// The octet: `\r` or `\n`.
    pub octet: u8,
    /// Its offset in the data as it was sent, 0-based.
    pub at: u64,
}

/// What [`DotDecoder::step`] found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DotStep {
    /// The next octets of the message.
    Chunk(Bytes),
    /// Nothing more can be decided: append to `input`.
    NeedInput,
    /// The end-of-data line was taken off `input`.
    End,
}

impl DotDecoder {
    /// A decoder that stands at the beginning of the data.
    #[must_use]
    pub fn new(policy: BareNewline) -> Self {
        Self {
            policy,
            at_line_start: true,
            ended: false,
            taken: 0,
            fault: None,
        }
    }

    /// The first bare CR or LF, under [`BareNewline::Reject`].
    #[must_use]
    pub fn fault(&self) -> Option<DotFault> {
        self.fault
    }

    /// Takes at most `max` octets off the front of `input`.
    pub fn step(&mut self, input: &mut BytesMut, max: usize) -> DotStep {
        if self.ended {
            return DotStep::End;
        }
        let limit = input.len().min(max.max(MIN_CHUNK));
        let mut read = 0; // everything before it is decided
        let mut kept = 0; // octets of the message closed up at the front
        let mut pending = 0; // start of what is to be closed up next
        loop {
            if self.at_line_start && input.get(read).filter(|_| read < limit) == Some(&b'.') {
                let rest = input.get(read + 1..limit).unwrap_or_default();
                match rest {
                    [] | [b'\r'] => break,
                    [b'\r', b'\n', ..] => {
                        self.ended = true;
                        break;
                    }
                    _ => {
                        kept = close_up(input, kept, pending, read);
                        read += 1;
                        pending = read;
                    }
                }
                self.at_line_start = false;
            }
            let window = input.get(read..limit).unwrap_or_default();
            let Some(found) = memchr2(b'\r', b'\n', window) else {
                if !window.is_empty() {
                    self.at_line_start = false;
                }
                read = limit;
                break;
            };
            let tail = window.get(found..).unwrap_or_default();
            match tail {
                [b'\r'] => {
                    if found > 0 {
                        self.at_line_start = false;
                    }
                    read += found;
                    break;
                }
                [b'\r', b'\n', ..] => {
                    read += found + 2;
                    self.at_line_start = true;
                }
                [octet, ..] => {
                    let (octet, at) = (*octet, self.taken + (read + found) as u64);
                    if self.policy == BareNewline::Reject && self.fault.is_none() {
                        self.fault = Some(DotFault { octet, at });
                    }
                    read += found + 1;
                    self.at_line_start = false;
                }
                [] => break,
            }
        }
        kept = close_up(input, kept, pending, read);
        let mut chunk = input.split_to(read);
        self.taken += read as u64;
        chunk.truncate(kept);
        if self.ended {
            let _ = input.split_to(3);
            self.taken += 3;
        }
        if !chunk.is_empty() {
            DotStep::Chunk(chunk.freeze())
        } else if self.ended {
            DotStep::End
        } else {
            DotStep::NeedInput
        }
    }
}

/// Moves `pending..read` down to `kept`; answers the new end of what is kept.
fn close_up(input: &mut BytesMut, kept: usize, pending: usize, read: usize) -> usize {
    if kept != pending {
        input.copy_within(pending..read, kept);
    }
    kept + (read - pending)
}

/// Dot-stuffs a message on its way out (RFC 5321 §4.5.2).
///
/// Slices of the payload are queued uncopied; only the stuffed dots are new.
///
/// ```
/// use bytes::{Buf, Bytes};
/// use proto_core::{DotEncoder, Output};
///
/// let mut output = Output::default();
/// let mut encoder = DotEncoder::default();
/// encoder.encode(&Bytes::from_static(b"one\r\n.two"), &mut output);
/// encoder.finish(&mut output);
/// assert_eq!(output.copy_to_bytes(output.len()), "one\r\n..two\r\n.\r\n");
/// ```
#[derive(Debug, Clone)]
pub struct DotEncoder {
    last: [u8; 2],
}

impl Default for DotEncoder {
    fn default() -> Self {
        Self { last: *b"\r\n" }
    }
}

impl DotEncoder {
    /// Queues the next octets of the message.
    ///
    /// A dot behind a bare LF is stuffed as well: receivers that take it for a
    /// line end take the dot away again, and for the others the message was
    /// not fit for SMTP to begin with.
    pub fn encode(&mut self, chunk: &Bytes, output: &mut Output) {
        let mut done = 0;
        if self.last[1] == b'\n' && chunk.first() == Some(&b'.') {
            output.push_slice(b".");
        }
        for at in memmem::find_iter(chunk, b"\n.") {
            output.push(chunk.slice(done..=at));
            output.push_slice(b".");
            done = at + 1;
        }
        output.push(chunk.slice(done..));
        match chunk[..] {
            [] => {}
            [only] => self.last = [self.last[1], only],
            [.., first, second] => self.last = [first, second],
        }
    }

    /// Ends the last line if the message did not, then queues `.` CRLF.
    pub fn finish(&mut self, output: &mut Output) {
        output.push_slice(match self.last {
            [b'\r', b'\n'] => b".\r\n",
            [_, b'\r'] => b"\n.\r\n",
            _ => b"\r\n.\r\n",
        });
        self.last = *b"\r\n";
    }
}

#[cfg(test)]
mod tests {
    use bytes::Buf;
    use proptest::prelude::*;

    use super::*;

    /// Feeds `wire` in pieces; gives the message, the fault and the unread rest.
    fn decode(wire: &[u8], piece: usize, max: usize) -> (Vec<u8>, bool, Option<DotFault>, Vec<u8>) {
        let mut decoder = DotDecoder::new(BareNewline::Reject);
        let mut input = BytesMut::new();
        let mut message = Vec::new();
        let mut pieces = wire.chunks(piece);
        loop {
            match decoder.step(&mut input, max) {
                DotStep::Chunk(chunk) => message.extend_from_slice(&chunk),
                DotStep::End => {
                    let mut rest = input.to_vec();
                    rest.extend(pieces.flatten());
                    return (message, true, decoder.fault(), rest);
                }
                DotStep::NeedInput => match pieces.next() {
                    Some(piece) => input.extend_from_slice(piece),
                    None => return (message, false, decoder.fault(), input.to_vec()),
                },
            }
        }
    }

    /// Wire, message, whether it ended, unread rest.
    type Case = (&'static [u8], &'static [u8], bool, &'static [u8]);

    #[test]
    fn table() {
        let cases: &[Case] = &[
            (b".\r\n", b"", true, b""),
            (b"a\r\n.\r\nrest", b"a\r\n", true, b"rest"),
            (b"..\r\n.\r\n", b".\r\n", true, b""),
            (b".a\r\n.\r\n", b"a\r\n", true, b""),
            (b"...\r\n.\r\n", b"..\r\n", true, b""),
            (b"a\r\n.", b"a\r\n", false, b"."),
            (b"a\r\n.\r", b"a\r\n", false, b".\r"),
            (b"a\r", b"a", false, b"\r"),
        ];
        for (wire, message, ended, rest) in cases {
            for piece in [1, 2, 3, 100] {
                for max in [4, 5, 100] {
                    let got = decode(wire, piece, max);
                    assert_eq!(got, (message.to_vec(), *ended, None, rest.to_vec()));
                }
            }
        }
    }

    #[test]
    fn no_smuggling() {
        for fake in [
            "\n.\n",
            "\n.\r\n",
            "\r.\r",
            "\r\n.\n",
            "\r\n.\r",
            "\r.\r\n",
            "\r\n.\r\r\n",
            "\n.\r",
            "\r\n\0.\r\n",
            "\r\n.\0\r\n",
        ] {
            let wire = format!("a{fake}b\r\n.\r\nREST");
            for piece in [1, 2, 3, 100] {
                let (message, ended, fault, rest) = decode(wire.as_bytes(), piece, 100);
                assert!(ended, "{fake:?}");
                assert_eq!(rest, b"REST", "{fake:?}");
                assert!(message.ends_with(b"b\r\n"), "{fake:?}");
                assert_eq!(fault.is_some(), !fake.contains('\0'), "{fake:?}");
            }
        }
    }

    proptest! {
        #[test]
        fn encode_then_decode(
            lines in prop::collection::vec("[.a]{0,6}", 0..40),
            piece in 1usize..40,
            max in 4usize..64,
        ) {
            let message: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
            let mut output = Output::default();
            let mut encoder = DotEncoder::default();
            for part in message.as_bytes().chunks(piece) {
                encoder.encode(&Bytes::copy_from_slice(part), &mut output);
            }
            encoder.finish(&mut output);
            let wire = output.copy_to_bytes(output.len());
            let (got, ended, fault, rest) = decode(&wire, piece, max);
            prop_assert!(ended && fault.is_none() && rest.is_empty());
            prop_assert_eq!(got, message.into_bytes());
        }

        #[test]
        fn cuts_do_not_matter(
            wire in prop::collection::vec(prop::sample::select(b"\r\n.a".to_vec()), 0..60),
            piece in 1usize..20,
        ) {
            let whole = decode(&wire, 1000, 65536);
            let cut = decode(&wire, piece, 5);
            prop_assert_eq!(whole, cut);
        }
    }
}
