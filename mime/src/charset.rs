//! Charsets to UTF-8.

use std::borrow::Cow;

use encoding_rs::{Encoding, UTF_8, WINDOWS_1252};

/// The encoding behind a MIME charset name, RFC 2978; names are matched without regard to case.
///
/// Labels are those of the WHATWG Encoding Standard, which read mail as its writers meant it:
/// `us-ascii` and `iso-8859-1` are windows-1252, `gb2312` is GBK. A language suffix as RFC 2231 §5
/// puts into encoded words (`utf-8*en`) is ignored.
pub(crate) fn encoding(label: &[u8]) -> Option<&'static Encoding> {
    let label = label.split(|&byte| byte == b'*').next()?;
    Encoding::for_label(label)
}

/// Whether this charset name is known to [`decode`].
pub fn is_known(label: &str) -> bool {
    is_utf7(label.as_bytes()) || encoding(label.as_bytes()).is_some()
}

/// Whether the charset switches states, so that each piece of text begins in its first one.
pub(crate) fn is_stateful(label: &[u8]) -> bool {
    is_utf7(label) || encoding(label) == Some(encoding_rs::ISO_2022_JP)
}

/// Decodes text in the charset with this MIME name to UTF-8; octets that mean nothing in it become
/// U+FFFD. An unknown charset is read as [`guess`] reads unlabelled text.
pub fn decode<'a>(label: &str, text: &'a [u8]) -> Cow<'a, str> {
    if is_utf7(label.as_bytes()) {
        return Cow::Owned(utf7(text));
    }
    match encoding(label.as_bytes()) {
        // 8-bit text under an ASCII label.
        Some(_) | None if is_ascii(label) => guess(text),
        Some(encoding) => encoding.decode_without_bom_handling(text).0,
        None => guess(text),
    }
}

/// Text without a usable label: UTF-8 if it is well-formed, else windows-1252.
pub fn guess(text: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(text) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => WINDOWS_1252.decode_without_bom_handling(text).0,
    }
}

/// Decodes a stream in one charset to UTF-8; text may be cut anywhere.
#[derive(Debug)]
pub struct CharsetDecoder {
    inner: Inner,
}

enum Inner {
    Encoding(encoding_rs::Decoder),
    /// UTF-7 keeps state across octets and is rare: collected, decoded at the end of each line.
    Utf7(Vec<u8>),
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Encoding(decoder) => f.write_str(decoder.encoding().name()),
            Self::Utf7(_) => f.write_str("UTF-7"),
        }
    }
}

/// A UTF-7 line longer than this is decoded in pieces, so that a message of one line does not
/// collect in memory.
const UTF7_LINE: usize = 64 * 1024;

impl CharsetDecoder {
    /// A decoder for the charset with this MIME name; unknown names and `us-ascii` are read as
    /// UTF-8 with U+FFFD for what is none.
    pub fn new(label: &str) -> Self {
        let inner = if is_utf7(label.as_bytes()) {
            Inner::Utf7(Vec::new())
        } else {
            let encoding = encoding(label.as_bytes()).filter(|_| !is_ascii(label));
            Inner::Encoding(encoding.unwrap_or(UTF_8).new_decoder_without_bom_handling())
        };
        Self { inner }
    }

    /// Decodes `text` and appends it to `out`.
    pub fn feed(&mut self, text: &[u8], out: &mut String) {
        self.decode(text, false, out);
    }

    /// Ends the text; an octet sequence cut off becomes U+FFFD.
    pub fn finish(&mut self, out: &mut String) {
        self.decode(b"", true, out);
    }

    fn decode(&mut self, mut text: &[u8], last: bool, out: &mut String) {
        match &mut self.inner {
            Inner::Encoding(decoder) => loop {
                let more = decoder.max_utf8_buffer_length(text.len()).unwrap_or(64);
                out.reserve(more.clamp(16, 64 * 1024));
                let (result, read, _) = decoder.decode_to_string(text, out, last);
                text = text.get(read..).unwrap_or_default();
                if result == encoding_rs::CoderResult::InputEmpty {
                    break;
                }
            },
            Inner::Utf7(line) => {
                line.extend_from_slice(text);
                let complete = match memchr::memrchr(b'\n', line) {
                    _ if last || line.len() > UTF7_LINE => line.len(),
                    Some(at) => at + 1,
                    None => 0,
                };
                out.push_str(&utf7(line.get(..complete).unwrap_or_default()));
                line.drain(..complete);
            }
        }
    }
}

fn is_ascii(label: &str) -> bool {
    label.eq_ignore_ascii_case("us-ascii") || label.eq_ignore_ascii_case("ascii")
}

fn is_utf7(label: &[u8]) -> bool {
    label.eq_ignore_ascii_case(b"utf-7") || label.eq_ignore_ascii_case(b"unicode-1-1-utf-7")
}

/// UTF-7, RFC 2152; the WHATWG standard leaves it out, old mail does not.
fn utf7(text: &[u8]) -> String {
    let mut out = String::with_capacity(text.len());
    let mut octets = text.iter().copied().peekable();
    while let Some(byte) = octets.next() {
        if byte != b'+' {
            out.push(if byte.is_ascii() {
                byte.into()
            } else {
                '\u{FFFD}'
            });
            continue;
        }
        if octets.next_if_eq(&b'-').is_some() {
            out.push('+');
            continue;
        }
        let (mut bits, mut count) = (0u32, 0u32);
        let mut units = Vec::new();
        while let Some(value) = octets.peek().copied().and_then(base64_value) {
            octets.next();
            bits = (bits << 6) | u32::from(value);
            count += 6;
            if count >= 16 {
                count -= 16;
                units.push(u16::try_from((bits >> count) & 0xFFFF).unwrap_or_default());
                bits &= (1 << count) - 1;
            }
        }
        octets.next_if_eq(&b'-');
        out.extend(char::decode_utf16(units).map(|unit| unit.unwrap_or('\u{FFFD}')));
    }
    out
}

fn base64_value(byte: u8) -> Option<u8> {
    match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels() {
        assert_eq!(decode("ISO-8859-15", b"\xa4"), "€");
        assert_eq!(decode("us-ascii", "é".as_bytes()), "é");
        assert_eq!(decode("us-ascii", b"\xe9"), "é");
        assert_eq!(decode("x-unknown", b"abc"), "abc");
        assert_eq!(decode("koi8-r", b"\xc4\xc1"), "да");
        assert_eq!(decode("iso-2022-jp", b"\x1b$B$\"\x1b(B"), "あ");
        assert!(is_known("UTF-8") && !is_known("x-unknown"));
    }

    #[test]
    fn utf7_examples_of_rfc_2152() {
        assert_eq!(decode("utf-7", b"A+ImIDkQ."), "A≢Α.");
        assert_eq!(decode("UTF-7", b"Hi Mom -+Jjo--!"), "Hi Mom -☺-!");
        assert_eq!(decode("utf-7", b"+ZeVnLIqe-"), "日本語");
        assert_eq!(decode("utf-7", b"1 +- 1"), "1 + 1");
    }

    #[test]
    fn streams_may_be_cut_anywhere() {
        for (label, text, whole) in [
            ("utf-8", "aé€𝄞".as_bytes(), "aé€𝄞"),
            ("shift_jis", b"\x82\xa0\x82\xa2", "あい"),
            ("utf-7", b"x +ZeVnLIqe-\n+ZeU-", "x 日本語\n日"),
        ] {
            for cut in 0..text.len() {
                let mut decoder = CharsetDecoder::new(label);
                let mut out = String::new();
                decoder.feed(&text[..cut], &mut out);
                decoder.feed(&text[cut..], &mut out);
                decoder.finish(&mut out);
                assert_eq!(out, whole, "{label} at {cut}");
            }
        }
    }
}
