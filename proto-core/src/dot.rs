use bytes::{Buf, Bytes, BytesMut};
use memchr::{memchr, memchr2, memmem};

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
            let mut window = input.get(read..limit).unwrap_or_default();
            if read >= by_line {
                let plain = plain_prefix(window);
                if let Some(before) = plain.checked_sub(1) {
                    self.at_line_start = window.get(before) == Some(&b'\n');
                    read += plain;
                    window = window.get(plain..).unwrap_or_default();
                }
                by_line = read + BLOCK;
                if self.at_line_start && window.first() == Some(&b'.') {
                    continue;
                }
            }
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
                    if read == 0 {
                        input.advance(1);
                        self.taken += 1;
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

/// What [`plain_prefix`] looks at in one go: first a small block, for text
/// that has something special in every line, then large ones.
const BLOCK: usize = 64;
const LARGE_BLOCK: usize = 512;

/// How much of `text` can be passed on as it is: whole blocks without a bare
/// CR or LF, a NUL, or a line that begins with a dot.
///
/// Five comparisons for each octet without a branch, which the compiler turns
/// into vector instructions; a search from line end to line end would spend
/// its time on starting anew. A block is judged together with the octet
/// behind it. The answer never ends between CR and LF.
fn plain_prefix(text: &[u8]) -> usize {
    // A LF at the front has lost sight of its CR.
    if text.first() == Some(&b'\n') {
        return 0;
    }
    let mut plain = plain_blocks(text, BLOCK, 1);
    if plain == 0 {
        return 0;
    }
    for size in [LARGE_BLOCK, BLOCK] {
        plain += plain_blocks(text.get(plain..).unwrap_or_default(), size, usize::MAX);
    }
    let splits = plain
        .checked_sub(1)
        .is_some_and(|before| text.get(before) == Some(&b'\r'));
    plain - usize::from(splits)
}

fn plain_blocks(text: &[u8], size: usize, most: usize) -> usize {
    let behind = text.get(1..).unwrap_or_default();
    let blocks = text.chunks_exact(size).zip(behind.chunks_exact(size));
    let plain = blocks
        .take(most)
        .take_while(|(block, behind)| is_plain(block, behind));
    size * plain.count()
}

fn is_plain(block: &[u8], behind: &[u8]) -> bool {
    const LANES: usize = 32;
    let mask = |is: bool| if is { u8::MAX } else { 0 };
    let mut special = [0_u8; LANES];
    for (block, behind) in block.chunks_exact(LANES).zip(behind.chunks_exact(LANES)) {
        for ((lane, &this), &next) in special.iter_mut().zip(block).zip(behind) {
            let bare = mask(this == b'\r') ^ mask(next == b'\n');
            let dot = mask(this == b'\n') & mask(next == b'.');
            *lane |= bare | dot | mask(this == 0);
        }
    }
    special.iter().fold(0, |all, lane| all | lane) == 0
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
    normalise: bool,
}

impl Default for DotEncoder {
    fn default() -> Self {
        Self {
            last: *b"\r\n",
            normalise: false,
        }
    }
}

impl DotEncoder {
    /// An encoder that sends CRLF for each bare CR and each bare LF: what it
    /// sends cannot be read by any receiver as more than one message.
    #[must_use]
    pub fn normalising() -> Self {
        Self {
            normalise: true,
            ..Self::default()
        }
    }

    /// Queues the next octets of the message.
    ///
    /// Unless it normalises, a dot behind a bare LF is stuffed as well:
    /// receivers that take it for a line end take the dot away again, and for
    /// the others the message was not fit for SMTP to begin with.
    pub fn encode(&mut self, chunk: &Bytes, output: &mut Output) {
        if self.normalise {
            self.last = normalise(self.last, chunk, true, output);
            return;
        }
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

/// Sends CRLF for each bare CR and each bare LF, without dot-stuffing: for
/// messages that go in counted chunks (RFC 3030).
#[derive(Debug, Clone)]
pub struct NewlineEncoder {
    last: [u8; 2],
}

impl Default for NewlineEncoder {
    fn default() -> Self {
        Self { last: *b"\r\n" }
    }
}

impl NewlineEncoder {
    /// Queues the next octets of the message.
    pub fn encode(&mut self, chunk: &Bytes, output: &mut Output) {
        self.last = normalise(self.last, chunk, false, output);
    }

    /// Completes a CR at the very end.
    pub fn finish(&mut self, output: &mut Output) {
        if self.last[1] == b'\r' {
            output.push_slice(b"\n");
        }
        self.last = *b"\r\n";
    }
}

/// Queues `chunk` with CRLF for every line end, and if `stuff` a second dot
/// where a line begins with one; answers the last two octets sent.
fn normalise(last: [u8; 2], chunk: &Bytes, stuff: bool, output: &mut Output) -> [u8; 2] {
    let Some(&first) = chunk.first() else {
        return last;
    };
    let mut done = 0; // everything before it is queued
    let mut read = 0;
    // A CR was queued before it was known what follows.
    let mut line_start = last == *b"\r\n";
    if last[1] == b'\r' {
        output.push_slice(b"\n");
        line_start = true;
        if first == b'\n' {
            (done, read) = (1, 1);
        }
    }
    let mut by_line = 0;
    while read < chunk.len() {
        if stuff && line_start && chunk.get(read) == Some(&b'.') {
            output.push(chunk.slice(done..read));
            output.push_slice(b".");
            done = read;
            line_start = false;
        }
        let mut window = chunk.get(read..).unwrap_or_default();
        if read >= by_line {
            let plain = plain_prefix(window);
            if let Some(before) = plain.checked_sub(1) {
                line_start = window.get(before) == Some(&b'\n');
                read += plain;
                window = window.get(plain..).unwrap_or_default();
            }
            by_line = read + BLOCK;
            if line_start && window.first() == Some(&b'.') {
                continue;
            }
        }
        let Some(found) = memchr2(b'\r', b'\n', window) else {
            line_start &= window.is_empty();
            break;
        };
        read += found;
        match window.get(found..).unwrap_or_default() {
            [b'\r', b'\n', ..] => read += 2,
            [b'\r'] => {
                output.push(chunk.slice(done..));
                return [0, b'\r'];
            }
            _ => {
                output.push(chunk.slice(done..read));
                output.push_slice(b"\r\n");
                read += 1;
                done = read;
            }
        }
        line_start = true;
    }
    output.push(chunk.slice(done..));
    if line_start { *b"\r\n" } else { [0, 0] }
}

#[cfg(test)]
mod tests {
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
                assert!(fault.is_some(), "{fake:?}");
            }
        }
    }

    /// The rules an octet at a time.
    fn reference(wire: &[u8]) -> (Vec<u8>, bool, Option<DotFault>, Vec<u8>) {
        let (mut message, mut fault, mut line_start) = (Vec::new(), None, true);
        let mut at = 0;
        while at < wire.len() {
            let rest = &wire[at..];
            if line_start && rest.starts_with(b".\r\n") {
                return (message, true, fault, rest[3..].to_vec());
            }
            if line_start && rest[0] == b'.' {
                at += 1;
                line_start = false;
                continue;
            }
            if rest.starts_with(b"\r\n") {
                message.extend_from_slice(b"\r\n");
                at += 2;
                line_start = true;
                continue;
            }
            let octet = rest[0];
            if matches!(octet, b'\r' | b'\n' | 0) && fault.is_none() {
                fault = Some(DotFault {
                    octet,
                    at: at as u64,
                });
            }
            message.push(octet);
            line_start = false;
            at += 1;
        }
        (message, false, fault, Vec::new())
    }

    #[test]
    fn normalising_decoder() {
        let wire = b"a\nb\rc\r\r\n.\n\n.\r\n\r\n.\r\n";
        for piece in [1, 2, 3, 100] {
            let mut decoder = DotDecoder::new(BareNewline::Normalise);
            let (mut input, mut message) = (BytesMut::new(), Vec::new());
            let mut pieces = wire.chunks(piece);
            loop {
                match decoder.step(&mut input, 64) {
                    DotStep::Chunk(chunk) => message.extend_from_slice(&chunk),
                    DotStep::End => break,
                    DotStep::NeedInput => input.extend_from_slice(pieces.next().unwrap()),
                }
            }
            let message = String::from_utf8(message).unwrap();
            assert_eq!(message, "a\r\nb\r\nc\r\n\r\n\r\n\r\n.\r\n\r\n");
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

        /// Blocks and single lines must agree on everything.
        #[test]
        fn long_and_short_runs_agree(
            parts in prop::collection::vec(
                prop::sample::select(vec![
                    "0123456789012345678901234567890123456789012345678901234567890123",
                    "word", "\r\n", "\r\n.", "\r\n..", "\n", "\r", "\0", "\n.", "\r.", "x",
                ]),
                0..40,
            ),
            piece in 1usize..200,
        ) {
            let mut wire = parts.concat().into_bytes();
            wire.extend_from_slice(b"\r\n.\r\nREST");
            let whole = decode(&wire, 100_000, 65_536);
            prop_assert_eq!(&whole, &reference(&wire));
            prop_assert_eq!(&whole, &decode(&wire, piece, 97));
            prop_assert_eq!(&whole, &decode(&wire, 1, 65_536));
        }

        #[test]
        fn normalised_is_clean(
            parts in prop::collection::vec(
                prop::sample::select(vec![
                    "0123456789012345678901234567890123456789012345678901234567890123",
                    "word", "\r\n", "\r\n.", "\n", "\r", "\n.", "\r.", ".",
                ]),
                0..40,
            ),
            piece in 1usize..200,
        ) {
            let text = parts.concat();
            let mut output = Output::default();
            let mut encoder = DotEncoder::normalising();
            for part in text.as_bytes().chunks(piece) {
                encoder.encode(&Bytes::copy_from_slice(part), &mut output);
            }
            encoder.finish(&mut output);
            let wire = output.copy_to_bytes(output.len());
            let (got, ended, fault, rest) = decode(&wire, 1000, 65_536);
            prop_assert!(ended && fault.is_none() && rest.is_empty());
            let mut want = text.replace("\r\n", "\n").replace('\r', "\n").replace('\n', "\r\n");
            let plain = want.clone();
            if !want.is_empty() && !want.ends_with('\n') {
                want.push_str("\r\n");
            }
            prop_assert_eq!(got, want.into_bytes());

            let mut output = Output::default();
            let mut encoder = NewlineEncoder::default();
            for part in text.as_bytes().chunks(piece) {
                encoder.encode(&Bytes::copy_from_slice(part), &mut output);
            }
            encoder.finish(&mut output);
            prop_assert_eq!(output.copy_to_bytes(output.len()), plain.into_bytes());
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
