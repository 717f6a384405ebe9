//! Dot-stuffing (RFC 5321 §4.5.2), and what becomes of bare CR, LF and NUL.

mod decode;
mod encode;
mod scan;

pub use decode::{BareNewline, DotDecoder, DotFault, DotStep};
pub use encode::{DotEncoder, NewlineEncoder};

#[cfg(test)]
mod tests {
    use bytes::{Buf, Bytes, BytesMut};
    use proptest::prelude::*;

    use super::*;
    use crate::Output;

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

    /// What is special is seen wherever it stands, in large blocks too.
    #[test]
    fn nothing_hides_at_a_border() {
        for special in ["\r\n.", "\r\n.\r\n", "\r", "\n", "\0", "\r\r\n", "\n\r\n"] {
            for at in (0..70).chain(1000..1100).chain(1270..1370) {
                let mut wire = vec![b'x'; 1500];
                wire.splice(at..at, special.bytes());
                wire.extend_from_slice(b"\r\n.\r\nREST");
                let got = decode(&wire, 100_000, 65_536);
                assert_eq!(got, reference(&wire), "{special:?} at {at}");
            }
        }
    }

    /// Nor where every line has a dot to be taken away, wherever it is cut.
    #[test]
    fn nothing_hides_among_dots() {
        for line in [
            "..a\r\n",
            ".\u{1}\r\n",
            "..\r\n",
            "....\r\n",
            ".123456789abcdef\r\n",
        ] {
            for special in [
                "\r\n.\r\n",
                "\r",
                "\n",
                "\0",
                "\r\n.\n",
                "\n.\r\n",
                ".",
                "\r\n.",
            ] {
                for at in (0..90).chain(120..150) {
                    let mut wire = line.repeat(300 / line.len()).into_bytes();
                    wire.splice(at..at, special.bytes());
                    wire.extend_from_slice(b"\r\n.\r\nREST");
                    let expected = reference(&wire);
                    for (piece, max) in [(100_000, 65_536), (64 + at, 65_536), (70, 67), (3, 80)] {
                        let got = decode(&wire, piece, max);
                        assert_eq!(got, expected, "{line:?} {special:?} at {at}, {piece}");
                    }
                }
            }
        }
    }

    /// Two lines with a dot, wherever they begin: the first dot that goes may be among the last octets of a block.
    #[test]
    fn dots_are_seen_behind_a_dot_at_a_border() {
        let dot = "\r\n..";
        for first in 0..140 {
            for second in 0..40 {
                let wire = format!(
                    "{}{dot}\r\n{}{dot}\r\nx{}\r\n.\r\nREST",
                    "x".repeat(first),
                    "y".repeat(second),
                    "z".repeat(80),
                );
                let expected = reference(wire.as_bytes());
                let got = decode(wire.as_bytes(), 100_000, 65_536);
                assert_eq!(got, expected, "dots at {first} and {second} behind it");
            }
        }
    }

    /// Every place where the octets at hand, or a chunk, may end.
    #[test]
    fn cuts_among_dots_do_not_matter() {
        let wire = format!("{}.\r\nREST", "..a\r\n..\r\nb\r\n".repeat(30)).into_bytes();
        let expected = reference(&wire);
        for cut in 1..wire.len() {
            assert_eq!(decode(&wire, cut, 65_536), expected, "cut at {cut}");
            assert_eq!(
                decode(&wire, 100_000, cut.max(4)),
                expected,
                "chunks of {cut}"
            );
        }
    }

    #[test]
    fn normalising_decoder() {
        let wire = b".\na\nb\rc\r\r\n.\n\n.\r\n\r\n.\r\n";
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
            assert_eq!(message, "\r\na\r\nb\r\nc\r\n\r\n\r\n\r\n.\r\n\r\n");
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
                    "\r\n..\r\n..a\r\n.b\r\n..c\r\n..d\r\n..e\r\n..f\r\n..g\r\n..h\r\n..i\r\n..j\r\n..k\r\n..",
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
