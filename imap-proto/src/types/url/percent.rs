//! Percent-encoding of URL parts (RFC 3986 §2.1).

/// Octets that stand for themselves in a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    /// `achar`
    User,
    /// `bchar`
    Path,
}

impl Class {
    pub(super) fn holds(self, octet: u8) -> bool {
        match octet {
            b'-' | b'.' | b'_' | b'~' => true,
            b'!' | b'$' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b'&' | b'=' => true,
            b':' | b'@' | b'/' => self == Self::Path,
            octet => octet.is_ascii_alphanumeric(),
        }
    }
}

pub(super) fn encode(text: &str, class: Class, into: &mut String) {
    for octet in text.bytes() {
        if class.holds(octet) {
            into.push(char::from(octet));
        } else {
            into.push_str(&format!("%{octet:02X}"));
        }
    }
}

/// The text that is meant; `None` where it is not UTF-8 or holds control
/// characters, or where a `%` is not followed by two digits.
pub(super) fn decode(text: &str) -> Option<String> {
    let mut octets = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        rest = behind;
        if *first != b'%' {
            octets.push(*first);
            continue;
        }
        let (digits, behind) = behind.split_at_checked(2)?;
        rest = behind;
        let digits = std::str::from_utf8(digits).ok()?;
        if digits.starts_with('+') {
            return None;
        }
        octets.push(u8::from_str_radix(digits, 16).ok()?);
    }
    let text = String::from_utf8(octets).ok()?;
    (!text.chars().any(char::is_control)).then_some(text)
}
