//! base64, RFC 2045 §6.8 and RFC 4648 §4.

/// 64 marks an octet outside the alphabet, 65 the padding.
const OTHER: u8 = 64;
const PAD: u8 = 65;

const VALUES: [u8; 256] = {
    let mut table = [OTHER; 256];
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut at = 0u8;
    while at < 64 {
        #[allow(clippy::indexing_slicing)] // evaluated at compile time
        {
            table[alphabet[at as usize] as usize] = at;
        }
        at += 1;
    }
    #[allow(clippy::indexing_slicing)] // evaluated at compile time
    {
        table[b'=' as usize] = PAD;
    }
    table
};

fn value(byte: u8) -> u8 {
    VALUES.get(usize::from(byte)).copied().unwrap_or(OTHER)
}

/// Decodes base64 text.
///
/// White space and other octets outside the alphabet are skipped (RFC 2045 §6.8). Padding ends one
/// run and another may follow, as when encoded pieces were put behind each other. A missing padding
/// is forgiven; a single last digit says nothing and is dropped.
pub fn decode_base64(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() / 4 * 3 + 3);
    let mut decoder = Decoder::default();
    decoder.feed(text, &mut out);
    decoder.finish(&mut out);
    out
}

#[derive(Clone, Debug, Default)]
pub(super) struct Decoder {
    bits: u32,
    digits: u8,
}

impl Decoder {
    pub(super) fn feed(&mut self, text: &[u8], out: &mut Vec<u8>) {
        for &byte in text {
            match value(byte) {
                OTHER => {}
                PAD => self.finish(out),
                digit => {
                    self.bits = self.bits << 6 | u32::from(digit);
                    self.digits += 1;
                    if self.digits == 4 {
                        let [_, group @ ..] = self.bits.to_be_bytes();
                        out.extend_from_slice(&group);
                        (self.bits, self.digits) = (0, 0);
                    }
                }
            }
        }
    }

    pub(super) fn finish(&mut self, out: &mut Vec<u8>) {
        let octets = match self.digits {
            2 => 1,
            3 => 2,
            _ => 0,
        };
        let bits = self.bits << (6 * (4 - u32::from(self.digits.min(4))));
        let [_, group @ ..] = bits.to_be_bytes();
        out.extend_from_slice(group.get(..octets).unwrap_or_default());
        (self.bits, self.digits) = (0, 0);
    }
}

/// Octets in one line of base64: 57 make the 76 characters that RFC 2045 §6.8 allows.
const LINE_OCTETS: usize = 57;

/// Encodes octets as base64 in lines of 76 characters, each ended by CRLF.
pub fn encode_base64(octets: &[u8]) -> String {
    let mut out = String::with_capacity(octets.len().div_ceil(LINE_OCTETS) * 78);
    for line in octets.chunks(LINE_OCTETS) {
        data_encoding::BASE64.encode_append(line, &mut out);
        out.push_str("\r\n");
    }
    out
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
        assert_eq!(decode_base64(b"Zg==Zg=="), b"ff");
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
