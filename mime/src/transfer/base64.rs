//! base64, RFC 2045 §6.8 and RFC 4648 §4.

use encodify::base64::{self, MIME};
use memchr::memchr;

/// Decodes base64 text.
///
/// White space and other octets outside the alphabet are skipped, and padding ends the text (RFC
/// 2045 §6.8), so that what a mailing list puts behind it is not decoded. A missing padding is
/// forgiven; a single last digit says nothing and is dropped.
pub fn decode_base64(text: &[u8]) -> Vec<u8> {
    let end = memchr(b'=', text).unwrap_or(text.len());
    let (text, _) = text.split_at(end);
    // Only octets that have no place in base64 make this fail.
    if let Ok(out) = MIME.decode(text) {
        return out;
    }
    let mut out = Vec::with_capacity(text.len() / 4 * 3 + 3);
    let mut decoder = Decoder::default();
    decoder.feed(text, &mut out);
    decoder.finish(&mut out);
    out
}

#[derive(Clone, Debug)]
pub(super) struct Decoder {
    inner: base64::Decoder,
    ended: bool,
}

impl Default for Decoder {
    fn default() -> Self {
        Self {
            inner: MIME.decoder(),
            ended: false,
        }
    }
}

impl Decoder {
    pub(super) fn feed(&mut self, text: &[u8], out: &mut Vec<u8>) {
        let mut rest = text;
        while !rest.is_empty() && !self.ended {
            let digits = self.inner.decode_symbols(rest, out);
            rest = rest.get(digits..).unwrap_or_default();
            if let [other, tail @ ..] = rest {
                self.ended = *other == b'=';
                rest = tail;
            }
        }
    }

    pub(super) fn finish(&mut self, out: &mut Vec<u8>) {
        self.inner.pad(out);
    }
}

/// Octets in one line of base64: 57 make the 76 characters that RFC 2045 §6.8 allows.
const LINE_OCTETS: usize = 57;

/// Encodes octets as base64 in lines of 76 characters, each ended by CRLF.
pub fn encode_base64(octets: &[u8]) -> String {
    MIME.encode(octets)
}

/// Encodes a stream as [`encode_base64`] does.
#[derive(Clone, Debug, Default)]
pub struct Base64Encoder {
    line: Vec<u8>,
}

impl Base64Encoder {
    /// An encoder at the front of a body.
    pub fn new() -> Self {
        Self::default()
    }

    /// Encodes all complete lines and appends them to `out`.
    pub fn feed(&mut self, mut octets: &[u8], out: &mut String) {
        if !self.line.is_empty() {
            let room = LINE_OCTETS.saturating_sub(self.line.len());
            let (head, rest) = octets.split_at(room.min(octets.len()));
            self.line.extend_from_slice(head);
            octets = rest;
            if self.line.len() < LINE_OCTETS {
                return;
            }
            out.push_str(&encode_base64(&self.line));
            self.line.clear();
        }
        let whole = octets.len() - octets.len() % LINE_OCTETS;
        let (lines, rest) = octets.split_at(whole);
        out.push_str(&encode_base64(lines));
        self.line.extend_from_slice(rest);
    }

    /// Ends the body with its last line.
    pub fn finish(&mut self, out: &mut String) {
        out.push_str(&encode_base64(&self.line));
        self.line.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_of_rfc_4648_section_10() {
        for (plain, encoded) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(decode_base64(encoded.as_bytes()), plain.as_bytes());
            assert_eq!(encode_base64(plain.as_bytes()).trim_end(), encoded);
        }
    }

    #[test]
    fn what_is_not_base64_is_skipped() {
        assert_eq!(decode_base64(b" Z m 9\r\nv!Yg"), b"foob");
        assert_eq!(decode_base64(b"Zg==\r\n-- \r\nThe list"), b"f");
        assert_eq!(decode_base64(b"Zm9vY"), b"foo");
        assert_eq!(decode_base64(b"===="), b"");
    }

    #[test]
    fn streams_equal_whole() {
        let octets: Vec<u8> = (0..=255).cycle().take(1000).collect();
        let whole = encode_base64(&octets);
        for size in [1, 7, 56, 57, 58, 114, 999] {
            let mut out = String::new();
            let mut encoder = Base64Encoder::new();
            octets
                .chunks(size)
                .for_each(|chunk| encoder.feed(chunk, &mut out));
            encoder.finish(&mut out);
            assert_eq!(out, whole);
            let mut decoded = Vec::new();
            let mut decoder = Decoder::default();
            let chunks = whole.as_bytes().chunks(size);
            chunks.for_each(|chunk| decoder.feed(chunk, &mut decoded));
            decoder.finish(&mut decoded);
            assert_eq!(decoded, octets);
        }
    }
}
