use std::ops::Range;

use bytes::{Buf, Bytes, BytesMut};
use memchr::{memchr, memchr2};

use super::scan::{AHEAD, BLOCK, dotted_prefix, plain_prefix};

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

/// What [`DotDecoder`] does about a CR or LF that stands alone, and a NUL.
///
/// None of them ever starts a line or ends the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BareNewline {
    /// Remember the first as a [`DotFault`]; the machine refuses the message
    /// when it has ended.
    #[default]
    Reject,
    /// Pass them through as ordinary octets.
    Pass,
    /// Give CRLF for each bare CR and each bare LF; NUL passes through.
    Normalise,
}

/// Where the first bare CR, bare LF or NUL stood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DotFault {
    /// The octet: `\r`, `\n` or NUL.
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

    /// The first bare CR, bare LF or NUL, under [`BareNewline::Reject`].
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
        let mut by_line = 0; // up to here a line at a time
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
            if read >= by_line && read + BLOCK <= limit {
                // A block is judged by what is behind it too, which may be behind the limit.
                let ahead = |by: usize| input.len().min(limit + by);
                let plain = plain_prefix(input.get(read..ahead(2)).unwrap_or_default());
                if plain > 0 {
                    read += plain;
                    self.at_line_start = input.get(read - 1) == Some(&b'\n');
                    if self.at_line_start {
                        continue;
                    }
                }
                let dotted = dotted_prefix(input.get(read..ahead(AHEAD)).unwrap_or_default());
                if dotted > 0 {
                    kept = close_up(input, kept, pending, read);
                    let end = read + dotted;
                    // Closing up leaves anything behind what is kept.
                    self.at_line_start = input.get(end - 1) == Some(&b'\n');
                    kept = unstuff(input, kept, read..end);
                    read = end;
                    pending = read;
                    continue;
                }
                by_line = read + BLOCK;
            }
            let window = input.get(read..limit).unwrap_or_default();
            let Some(found) = memchr2(b'\r', b'\n', window) else {
                if !window.is_empty() {
                    self.at_line_start = false;
                }
                self.look_for_nul(window, read);
                read = limit;
                break;
            };
            let (text, tail) = window.split_at_checked(found).unwrap_or((window, b""));
            self.look_for_nul(text, read);
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
                [_, ..] if self.policy == BareNewline::Normalise => {
                    self.at_line_start = false;
                    read += found;
                    // Nothing of the message stands before it; a dot that was taken away may.
                    if kept == 0 && read == pending {
                        input.advance(read + 1);
                        self.taken += read as u64 + 1;
                        return DotStep::Chunk(Bytes::from_static(b"\r\n"));
                    }
                    break;
                }
                [octet, ..] => {
                    let octet = *octet;
                    self.found(octet, read + found);
                    read += found + 1;
                    self.at_line_start = false;
                }
                [] => break,
            }
        }
        let chunk = match read {
            0 => Bytes::new(),
            _ => {
                kept = close_up(input, kept, pending, read);
                let mut chunk = input.split_to(read);
                chunk.truncate(kept);
                chunk.freeze()
            }
        };
        self.taken += read as u64;
        if self.ended {
            input.advance(3);
            self.taken += 3;
        }
        if !chunk.is_empty() {
            DotStep::Chunk(chunk)
        } else if self.ended {
            DotStep::End
        } else {
            DotStep::NeedInput
        }
    }
}

impl DotDecoder {
    fn look_for_nul(&mut self, text: &[u8], offset: usize) {
        if self.policy == BareNewline::Reject
            && let Some(found) = memchr(0, text)
        {
            self.found(0, offset + found);
        }
    }

    fn found(&mut self, octet: u8, offset: usize) {
        if self.policy == BareNewline::Reject && self.fault.is_none() {
            let at = self.taken + offset as u64;
            self.fault = Some(DotFault { octet, at });
        }
    }
}

/// Moves `text` down to `kept` without the dots that its lines begin with, but
/// for one that itself begins with; answers the new end of what is kept.
///
/// Its lines all end in CRLF, and none ends the data.
fn unstuff(input: &mut [u8], mut kept: usize, text: Range<usize>) -> usize {
    let Some(input) = input.get_mut(..text.end) else {
        return kept;
    };
    let mut before = 0;
    let mut at = text.start;
    while let Some(word) = input.get(at..).and_then(|rest| rest.first_chunk::<WORD>()) {
        let word = u64::from_le_bytes(*word);
        // What is written was read: `kept` is never behind `at`.
        let Some(target) = input
            .get_mut(kept..)
            .and_then(|rest| rest.first_chunk_mut())
        else {
            break;
        };
        let dots = stuffed(word, before);
        let (left, len) = match dots {
            // Most of a long line.
            0 => (word, WORD),
            _ => squeeze(word, dots),
        };
        *target = left.to_le_bytes();
        kept += len;
        at += WORD;
        before = word >> 56;
    }
    for at in at..text.end {
        let octet = input.get(at).copied().unwrap_or_default();
        if let Some(slot) = input.get_mut(kept) {
            *slot = octet;
        }
        kept += usize::from((octet != b'.') | (before != u64::from(b'\n')));
        before = u64::from(octet);
    }
    kept
}

/// Octets that are moved at once.
const WORD: usize = 8;

/// The highest bit of each octet that is a dot behind a LF. The first octet is
/// the lowest, and `before` stands before it.
#[inline]
fn stuffed(word: u64, before: u64) -> u64 {
    const LOW: u64 = u64::from_ne_bytes([1; WORD]);
    const REST: u64 = u64::from_ne_bytes([127; WORD]);
    let dots = word ^ (LOW * b'.' as u64);
    let ends = (word << 8 | before) ^ (LOW * b'\n' as u64);
    let differs = dots | ends;
    // No carry leaves its octet.
    !(((differs & REST) + REST) | differs | REST)
}

/// The octets without the marked dots, and how many are left.
///
/// Of a line that is not the last, three octets at the least are behind its
/// dot: no more than two dots can go. No branch, which could not be foreseen.
#[inline]
fn squeeze(word: u64, dots: u64) -> (u64, usize) {
    let first = dots & dots.wrapping_neg();
    // Where the first is gone, it stands an octet before.
    let second = (dots ^ first) >> 8;
    let left = close_over(close_over(word, first), second);
    (left, WORD - 1 - usize::from(second != 0))
}

/// Moves what is above the marked octet onto it; no mark, no move.
#[inline]
fn close_over(word: u64, mark: u64) -> u64 {
    let below = (mark >> 7).wrapping_sub(1);
    (word & below) | ((word >> 8) & !below)
}

/// Moves `pending..read` down to `kept`; answers the new end of what is kept.
fn close_up(input: &mut BytesMut, kept: usize, pending: usize, read: usize) -> usize {
    if kept != pending {
        input.copy_within(pending..read, kept);
    }
    kept + (read - pending)
}
