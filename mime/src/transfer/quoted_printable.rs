//! quoted-printable, RFC 2045 §6.7.

use memchr::{memchr, memchr2};

use crate::encoded_word::{hex_pair, push_hex};

/// Decodes quoted-printable text.
///
/// White space at the end of a line goes away (rule 3), also between a soft line break's `=` and
/// the line end. An `=` that is not followed by two hexadecimal digits stays.
pub fn decode_quoted_printable(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    decode_lines(text, &mut out);
    out
}

/// Text that begins a line and ends with one.
fn decode_lines(text: &[u8], out: &mut Vec<u8>) {
    let mut rest = text;
    while let Some(at) = memchr2(b'=', b'\n', rest) {
        let (plain, tail) = rest.split_at(at);
        let Some((&found, after)) = tail.split_first() else {
            break;
        };
        if found == b'\n' {
            rest = after;
            match plain {
                [.., b' ' | b'\t'] | [.., b' ' | b'\t', b'\r'] => {
                    let line = plain.strip_suffix(b"\r");
                    out.extend_from_slice(trim_blank(line.unwrap_or(plain)));
                    out.extend_from_slice(if line.is_some() { b"\r\n" } else { b"\n" });
                }
                _ => {
                    out.extend_from_slice(plain);
                    out.push(b'\n');
                }
            }
            continue;
        }
        out.extend_from_slice(plain);
        // Nearly all of these are soft line breaks, or escapes that come in runs: one for each octet
        // of a character.
        if let [b'\r', b'\n', next @ ..] = after {
            rest = next;
            continue;
        }
        rest = after;
        if let Some(octet) = hex_pair(after) {
            out.push(octet);
            rest = after.get(2..).unwrap_or_default();
            while let [b'=', after @ ..] = rest
                && let Some(octet) = hex_pair(after)
            {
                out.push(octet);
                rest = after.get(2..).unwrap_or_default();
            }
            continue;
        }
        let blank = after.iter().position(|byte| !matches!(byte, b' ' | b'\t'));
        let blank = blank.unwrap_or(after.len());
        match after.get(blank..).unwrap_or_default() {
            _ if blank > HELD_OCTETS => out.push(b'='),
            [b'\n', next @ ..] | [b'\r', b'\n', next @ ..] => rest = next,
            [] => rest = &[],
            _ => out.push(b'='),
        }
    }
    out.extend_from_slice(trim_blank(rest));
}

/// Without white space at the end, of which at most [`HELD_OCTETS`] go away.
fn trim_blank(text: &[u8]) -> &[u8] {
    let blank = text.iter().rev().take(HELD_OCTETS);
    let blank = blank
        .take_while(|byte| matches!(byte, b' ' | b'\t'))
        .count();
    text.get(..text.len() - blank).unwrap_or(text)
}

/// White space before a line end is looked at up to this length, since a decoder that is fed in
/// pieces has to keep it; what comes before is kept as text. RFC 2045 §6.7 (5) allows lines of 76
/// characters.
const HELD_OCTETS: usize = 1000;

#[derive(Clone, Debug, Default)]
pub(super) struct Decoder {
    /// What cannot be judged yet: `=`, a digit, or white space at the end of what came.
    held: Vec<u8>,
}

impl Decoder {
    pub(super) fn feed(&mut self, text: &[u8], out: &mut Vec<u8>) {
        let mut text = text;
        // Complete the held piece with what may decide it: the next line end, or enough octets.
        while !self.held.is_empty() && !text.is_empty() {
            let take = memchr(b'\n', text).map_or(text.len(), |at| at + 1);
            let (head, rest) = text.split_at(take.min(2 * HELD_OCTETS));
            let mut line = std::mem::take(&mut self.held);
            line.extend_from_slice(head);
            text = rest;
            self.lines(&line, out);
        }
        self.lines(text, out);
    }

    /// Decodes whole lines, and of an unfinished one what its end cannot change.
    fn lines(&mut self, mut text: &[u8], out: &mut Vec<u8>) {
        if text.is_empty() {
            return;
        }
        if let Some(at) = memchr::memrchr(b'\n', text) {
            let (lines, rest) = text.split_at(at + 1);
            decode_lines(lines, out);
            text = rest;
        }
        let held = open_end(text);
        let (plain, held) = text.split_at(text.len() - held);
        decode_inside(plain, out);
        self.held.extend_from_slice(held);
    }

    pub(super) fn finish(&mut self, out: &mut Vec<u8>) {
        let held = std::mem::take(&mut self.held);
        decode_lines(&held, out);
    }
}

/// Octets at the end of an unfinished line that what follows may change the meaning of; at most
/// [`HELD_OCTETS`] and two.
fn open_end(text: &[u8]) -> usize {
    let line = text.strip_suffix(b"\r").unwrap_or(text);
    let end = trim_blank(line);
    let end = match end {
        [shorter @ .., b'='] => shorter,
        [shorter @ .., b'=', digit] if end.len() == text.len() && digit.is_ascii_hexdigit() => {
            shorter
        }
        end => end,
    };
    text.len() - end.len()
}

/// Decodes text that is followed by more of its line.
fn decode_inside(text: &[u8], out: &mut Vec<u8>) {
    let mut text = text;
    while let Some(at) = memchr(b'=', text) {
        let (plain, rest) = text.split_at(at);
        out.extend_from_slice(plain);
        let after = rest.get(1..).unwrap_or_default();
        match hex_pair(after) {
            Some(octet) => {
                out.push(octet);
                text = after.get(2..).unwrap_or_default();
            }
            None => {
                out.push(b'=');
                text = after;
            }
        }
    }
    out.extend_from_slice(text);
}

/// Longest line, RFC 2045 §6.7 (5).
const LINE: usize = 76;

/// Encodes text as quoted-printable. CRLF and LF are line ends and come out as CRLF; a lone CR is
/// encoded. Besides what must be, `From ` and a lone dot at the front of a line are encoded, so that
/// neither mbox files nor SMTP change the text.
pub fn encode_quoted_printable(text: &[u8]) -> String {
    let mut out = String::with_capacity(text.len() + text.len() / 16);
    let mut rest = text;
    loop {
        let end = memchr(b'\n', rest);
        let (line, tail) = match end {
            Some(at) => rest.split_at(at + 1),
            None => (rest, &[][..]),
        };
        encode_line(crate::header::without_eol(line), &mut out);
        if end.is_none() {
            return out;
        }
        out.push_str("\r\n");
        rest = tail;
    }
}

fn encode_line(line: &[u8], out: &mut String) {
    let guard = line.starts_with(b"From ") || line.starts_with(b".");
    let mut column = 0;
    let mut octets = line.iter().enumerate().peekable();
    while let Some((at, &octet)) = octets.next() {
        let last = octets.peek().is_none();
        let plain = match octet {
            b'=' => false,
            b' ' | b'\t' => !last,
            b'!'..=b'~' => !(at == 0 && guard),
            _ => false,
        };
        let width = if plain { 1 } else { 3 };
        // The line's last octet needs no room for the `=` of a soft break.
        if column + width > LINE - usize::from(!last) {
            out.push_str("=\r\n");
            column = 0;
        }
        column += width;
        if plain {
            out.push(octet.into());
        } else {
            out.push('=');
            push_hex(octet, out);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decoding() {
        for (text, plain) in [
            ("a=20b=3D", "a b="),
            ("soft=\r\n break", "soft break"),
            ("soft= \t\nbreak", "softbreak"),
            ("trailing \t\r\nnext", "trailing\r\nnext"),
            ("=e9=E9", "\u{0}"),
            ("1 =2 =XY =", "1 =2 =XY "),
            ("", ""),
        ] {
            if text.starts_with("=e9") {
                assert_eq!(decode_quoted_printable(text.as_bytes()), b"\xe9\xe9");
            } else {
                assert_eq!(decode_quoted_printable(text.as_bytes()), plain.as_bytes());
            }
        }
    }

    #[test]
    fn streams_equal_whole() {
        let text = b"a=20b =\r\n c= \t\r\n  \r\nd=C3=A9 \t x=\n=3=3D==41 \r y \r\r\n=E";
        let whole = decode_quoted_printable(text);
        for size in 1..text.len() {
            let mut out = Vec::new();
            let mut decoder = Decoder::default();
            text.chunks(size)
                .for_each(|chunk| decoder.feed(chunk, &mut out));
            decoder.finish(&mut out);
            assert_eq!(out, whole, "{size}");
        }
    }

    #[test]
    fn long_white_space_is_one_thing_however_it_is_cut() {
        for spaces in [999, 1000, 1001, 1002, 2500] {
            for front in ["", "=", "x", "=4", "\r"] {
                for back in ["", "\n", "\r\n", "\r\r\n", "x\n", "\r", "=", "41"] {
                    let text = format!("{front}{}{back}y", " ".repeat(spaces));
                    let ends = [text.len() - 1, text.len()];
                    for text in ends.map(|end| text.as_bytes().split_at(end).0) {
                        let whole = decode_quoted_printable(text);
                        for size in [1, 7, 1000, 1001, 1500] {
                            let mut out = Vec::new();
                            let mut decoder = Decoder::default();
                            for chunk in text.chunks(size) {
                                decoder.feed(chunk, &mut out);
                                assert!(decoder.held.len() <= HELD_OCTETS + 2);
                            }
                            decoder.finish(&mut out);
                            assert_eq!(out, whole, "{front:?} {spaces} {back:?} {size}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn encoding_round_trips_in_short_lines() {
        let text = "Zeile mit Ümlaut, länger als eine Zeile sein darf, und noch ein ganzes Stück mehr davon \r\nFrom x\r\n.\r\n\r\n= tab\t\r\n\r x";
        let encoded = encode_quoted_printable(text.as_bytes());
        assert!(
            encoded
                .split("\r\n")
                .all(|line| line.len() <= LINE && line.is_ascii())
        );
        assert!(!encoded.contains("\nFrom ") && !encoded.contains("\n."));
        assert_eq!(decode_quoted_printable(encoded.as_bytes()), text.as_bytes());
    }
}
