//! Encoded words in header fields, RFC 2047 with RFC 2231 §5 language tags.

use std::borrow::Cow;

use memchr::memmem;

use crate::{charset, transfer};

/// Text of a field value with all encoded words decoded.
///
/// White space between two encoded words goes away (RFC 2047 §6.2). Neighbours in one charset and
/// encoding are joined before they are decoded, since writers cut characters in two (not in
/// charsets that shift, where each word begins anew). Forms the RFC
/// forbids but writers make are read too: words inside quoted strings, without white space around
/// them, longer than 75 octets, with spaces in Q text. What is no encoded word, or names a charset
/// nobody knows, stays as it is; other 8-bit octets are read as UTF-8, else windows-1252.
///
/// ```
/// let text = mime::encoded_word::decode(b"=?iso-8859-1?Q?Patrik_F=E4ltstr=F6m?= (Paf)");
/// assert_eq!(text, "Patrik Fältström (Paf)");
/// ```
pub fn decode(value: &[u8]) -> Cow<'_, str> {
    if memmem::find(value, b"=?").is_none() {
        return charset::guess(value);
    }
    let mut out = String::with_capacity(value.len());
    // Octets of the words decoded so far in the charset named beside them.
    let mut pending: Option<(&[u8], Vec<u8>)> = None;
    let mut rest = value;
    while let Some(at) = memmem::find(rest, b"=?") {
        let (before, from) = rest.split_at(at);
        let Some((word, after)) = Word::parse(from) else {
            flush(&mut pending, &mut out);
            let (kept, tail) = from.split_at(2.min(from.len()));
            out.push_str(&charset::guess(before));
            out.push_str(&charset::guess(kept));
            rest = tail;
            continue;
        };
        let blank = before.iter().all(u8::is_ascii_whitespace);
        if !(blank && pending.is_some()) {
            flush(&mut pending, &mut out);
            out.push_str(&charset::guess(before));
        }
        if word.is_mixed() {
            flush(&mut pending, &mut out);
            word.push_mixed(&mut out);
            pending = Some((word.charset, Vec::new()));
            rest = after;
            continue;
        }
        let octets = word.octets();
        match &mut pending {
            Some((charset, text))
                if charset.eq_ignore_ascii_case(word.charset) && !charset::is_stateful(charset) =>
            {
                text.extend_from_slice(&octets);
            }
            _ => {
                flush(&mut pending, &mut out);
                pending = Some((word.charset, octets));
            }
        }
        rest = after;
    }
    flush(&mut pending, &mut out);
    out.push_str(&charset::guess(rest));
    Cow::Owned(out)
}

fn flush(pending: &mut Option<(&[u8], Vec<u8>)>, out: &mut String) {
    if let Some((label, text)) = pending.take() {
        let label = String::from_utf8_lossy(label);
        let label = label.split('*').next().unwrap_or_default();
        out.push_str(&charset::decode(label, &text));
    }
}

/// `"=?" charset "?" encoding "?" encoded-text "?="`, RFC 2047 §2.
struct Word<'a> {
    charset: &'a [u8],
    base64: bool,
    text: &'a [u8],
}

/// Charset names are short; a longer run is no encoded word. Keeps the search linear.
const CHARSET_OCTETS: usize = 64;

impl<'a> Word<'a> {
    fn parse(from: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let rest = from.strip_prefix(b"=?")?;
        let end = rest
            .iter()
            .take(CHARSET_OCTETS)
            .position(|byte| matches!(byte, b'?' | b' ' | b'\t' | b'\r' | b'\n'))?;
        let (charset, rest) = rest.split_at_checked(end)?;
        let (base64, rest) = match rest {
            [b'?', b'B' | b'b', b'?', rest @ ..] => (true, rest),
            [b'?', b'Q' | b'q', b'?', rest @ ..] => (false, rest),
            _ => return None,
        };
        // A question mark inside is not allowed in either encoding, but written: only "?=" ends.
        // A line end ends the attempt, so that a lone opening does not swallow the rest.
        let mut end = None;
        let mut previous = 0;
        for (at, &byte) in rest.iter().enumerate() {
            match byte {
                b'=' if previous == b'?' => {
                    end = Some(at);
                    break;
                }
                b'\r' | b'\n' => return None,
                // A new word opens: this one was never closed.
                b'?' if previous == b'=' && rest.get(at + 1) != Some(&b'=') => return None,
                _ => {}
            }
            previous = byte;
        }
        let end = end?;
        let text = rest.get(..end - 1)?;
        let label = std::str::from_utf8(charset).ok()?;
        let label = label.split('*').next().unwrap_or_default();
        if !charset::is_known(label) {
            return None;
        }
        Some((
            Self {
                charset,
                base64,
                text,
            },
            rest.get(end + 1..)?,
        ))
    }

    /// Whether 8-bit characters stand in the Q text as they are. That is not allowed in any
    /// charset; as they are UTF-8, they are not in the one that the word names.
    fn is_mixed(&self) -> bool {
        !self.base64 && !self.text.is_ascii() && std::str::from_utf8(self.text).is_ok()
    }

    /// Decodes a mixed word: its ASCII in its charset, the rest as it is.
    fn push_mixed(&self, out: &mut String) {
        let label = String::from_utf8_lossy(self.charset);
        for run in self.text.chunk_by(|a, b| a.is_ascii() == b.is_ascii()) {
            if run.is_ascii() {
                out.push_str(&charset::decode(&label, &q_octets(run)));
            } else {
                out.push_str(&charset::guess(run));
            }
        }
    }

    fn octets(&self) -> Vec<u8> {
        if self.base64 {
            return transfer::decode_base64(self.text);
        }
        q_octets(self.text)
    }
}

/// Q text decoded, RFC 2047 §4.2.
fn q_octets(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [byte, tail @ ..] = rest {
        rest = tail;
        match byte {
            b'_' => out.push(b' '),
            b'=' => match hex_pair(tail) {
                Some(value) => {
                    out.push(value);
                    rest = tail.get(2..).unwrap_or_default();
                }
                None => out.push(b'='),
            },
            &byte => out.push(byte),
        }
    }
    out
}

/// Two hexadecimal digits at the front, in either case.
pub(crate) fn hex_pair(text: &[u8]) -> Option<u8> {
    let [high, low, ..] = text else {
        return None;
    };
    let digit = |byte: u8| DIGITS.get(usize::from(byte)).copied();
    let (high, low) = (digit(*high)?, digit(*low)?);
    // Of what is no digit the upper bits are set.
    (high | low < 16).then_some(high << 4 | low)
}

/// The value of each hexadecimal digit, 255 for other octets.
#[allow(clippy::indexing_slicing)] // Evaluated by the compiler, which would refuse a panic.
const DIGITS: [u8; 256] = {
    let mut digits = [255; 256];
    let mut value = 0;
    while value < 16 {
        digits[b"0123456789ABCDEF"[value as usize] as usize] = value;
        digits[b"0123456789abcdef"[value as usize] as usize] = value;
        value += 1;
    }
    digits
};

/// Two upper-case hexadecimal digits.
pub(crate) fn push_hex(byte: u8, out: &mut String) {
    for digit in [byte >> 4, byte & 15] {
        out.push(char::from(match digit {
            0..=9 => b'0' + digit,
            _ => b'A' - 10 + digit,
        }));
    }
}

/// Longest encoded word, RFC 2047 §2.
const WORD_OCTETS: usize = 75;

/// Encodes text as encoded words in UTF-8, separated by single spaces, none longer than 75 octets;
/// a character is never cut in two. Q, which can be read, is taken unless base64 is much shorter.
///
/// Text that needs no encoding is encoded all the same: ask [`needs_encoding`] first.
///
/// ```
/// assert_eq!(mime::encoded_word::encode("Grüße"), "=?UTF-8?Q?Gr=C3=BC=C3=9Fe?=");
/// ```
pub fn encode(text: &str) -> String {
    encode_behind(text, 0)
}

/// As [`encode`], with the first word short enough for a line that has so many octets already.
pub(crate) fn encode_behind(text: &str, column: usize) -> String {
    let mut limit = WORD_OCTETS.saturating_sub(column).max(WORD_OCTETS / 2);
    let quoted: usize = text.bytes().map(q_len).sum();
    let base64 = text.len().div_ceil(3) * 6 < quoted;
    let frame = "=?UTF-8?Q??=".len();
    let mut out = String::with_capacity(text.len() * 2);
    let mut rest = text;
    while !rest.is_empty() {
        let mut octets = 0;
        let mut length = 0;
        for character in rest.chars() {
            let size = character.len_utf8();
            let next = if base64 {
                (octets + size).div_ceil(3) * 4
            } else {
                let mut buffer = [0; 4];
                let bytes = character.encode_utf8(&mut buffer).bytes();
                length + bytes.map(q_len).sum::<usize>()
            };
            if next + frame > limit {
                break;
            }
            octets += size;
            length = next;
        }
        let Some((word, tail)) = rest.split_at_checked(octets.max(1)) else {
            break;
        };
        rest = tail;
        limit = WORD_OCTETS;
        if !out.is_empty() {
            out.push(' ');
        }
        if base64 {
            out.push_str("=?UTF-8?B?");
            encodify::base64::STANDARD.encode_append(word, &mut out);
        } else {
            out.push_str("=?UTF-8?Q?");
            word.bytes().for_each(|byte| push_q(byte, &mut out));
        }
        out.push_str("?=");
    }
    out
}

/// Whether a text would not survive in a header field as it is: 8-bit or control characters, or
/// something that reads like an encoded word.
pub fn needs_encoding(text: &str) -> bool {
    text.bytes()
        .any(|byte| !matches!(byte, b' '..=b'~' | b'\t'))
        || text.contains("=?")
}

/// The octets that stand for themselves even in a phrase, RFC 2047 §5 (3).
fn is_q_safe(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'!' | b'*' | b'+' | b'-' | b'/')
}

fn q_len(byte: u8) -> usize {
    if is_q_safe(byte) || byte == b' ' {
        1
    } else {
        3
    }
}

fn push_q(byte: u8, out: &mut String) {
    match byte {
        b' ' => out.push('_'),
        byte if is_q_safe(byte) => out.push(byte.into()),
        byte => {
            out.push('=');
            push_hex(byte, out);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(value: &str, text: &str) {
        assert_eq!(decode(value.as_bytes()), text, "{value}");
    }

    #[test]
    fn examples_of_rfc_2047_section_8() {
        check("(=?ISO-8859-1?Q?a?=)", "(a)");
        check("(=?ISO-8859-1?Q?a?= b)", "(a b)");
        check("(=?ISO-8859-1?Q?a?= =?ISO-8859-1?Q?b?=)", "(ab)");
        check("(=?ISO-8859-1?Q?a?=  =?ISO-8859-1?Q?b?=)", "(ab)");
        check("(=?ISO-8859-1?Q?a_b?=)", "(a b)");
        check("(=?ISO-8859-1?Q?a?= =?ISO-8859-2?Q?_b?=)", "(a b)");
        check(
            "=?US-ASCII?Q?Keith_Moore?= <moore@cs.utk.edu>",
            "Keith Moore <moore@cs.utk.edu>",
        );
        check(
            "=?ISO-8859-1?B?SWYgeW91IGNhbiByZWFkIHRoaXMgeW8=?= =?ISO-8859-2?B?dSB1bmRlcnN0YW5kIHRoZSBleGFtcGxlLg==?=",
            "If you can read this you understand the example.",
        );
    }

    #[test]
    fn forms_of_the_wild() {
        check("=?us-ascii*en-us?Q?plain?=", "plain");
        check("=?utf-8?B?ww==?= =?utf-8?B?qcOp?=", "éé");
        check("=?utf-8?Q?=C3?= =?UTF-8?B?qQ==?=", "é");
        check(
            "=?iso-2022-jp?b?GyRCJCIbKEI=?= =?iso-2022-jp?b?GyRCJCIbKEI=?=",
            "ああ",
        );
        check("a=?utf-8?q?b?=c", "abc");
        check("\"=?utf-8?q?b c?=\"", "\"b c\"");
        check("=?utf-8?q?what??=", "what?");
        check("=?nonsense?q?b?=", "=?nonsense?q?b?=");
        check("=?utf-8?x?b?=", "=?utf-8?x?b?=");
        check("=?utf-8?q?never closed", "=?utf-8?q?never closed");
        check("=?utf-8?q?=G1=2?=", "=G1=2");
        check("100% =? sure", "100% =? sure");
        check("=?utf-8?q?open =?utf-8?q?a?=", "=?utf-8?q?open a");
        check("=?utf-8?q??=", "");
        assert_eq!(decode(b"caf\xe9"), "café");
        assert_eq!(
            decode(b"=?iso-8859-1?Q?J\xfcr=FCn?= =?iso-8859-1?Q?_x?="),
            "Jürün x"
        );
        check(
            "=?iso-8859-1?Q?Jür=FCn?= =?iso-8859-1?Q?_x?= y",
            "Jürün x y",
        );
    }

    #[test]
    fn encoding_keeps_words_short_and_characters_whole() {
        for text in [
            "é",
            &"ü".repeat(200),
            &"日本語".repeat(40),
            &"a b? ".repeat(50),
        ] {
            let encoded = encode(text);
            assert!(encoded.split(' ').all(|word| word.len() <= WORD_OCTETS));
            assert_eq!(decode(encoded.as_bytes()), *text);
            for word in encoded.split(' ') {
                assert!(!decode(word.as_bytes()).contains('\u{FFFD}'));
            }
        }
        assert!(needs_encoding("a\0") && needs_encoding("=?") && !needs_encoding("a b~"));
    }
}
