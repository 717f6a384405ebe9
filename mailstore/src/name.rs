//! Mailbox names: `/` between levels, UTF-8, and their modified UTF-7 (RFC 3501 §5.1.3) on the disk.

use crate::error::Error;

/// Names of more octets are refused: with the format's additions they must stay below the 255 octets of a
/// file name.
const MAX_OCTETS: usize = 200;

/// Checks a name and gives its levels; INBOX is told by its first level in capitals.
pub(crate) fn levels(name: &str) -> Result<Vec<&str>, Error> {
    let invalid = |reason| Error::InvalidName {
        name: name.to_owned(),
        reason,
    };
    if name.is_empty() {
        return Err(invalid("it is empty"));
    }
    if to_utf7(name).len() > MAX_OCTETS {
        return Err(invalid("it is too long"));
    }
    if name.chars().any(char::is_control) {
        return Err(invalid("it has a control character"));
    }
    let mut levels: Vec<&str> = name.split('/').collect();
    if levels.iter().any(|level| level.is_empty()) {
        return Err(invalid("a level is empty"));
    }
    if let Some(first) = levels.first_mut()
        && first.eq_ignore_ascii_case("INBOX")
    {
        *first = "INBOX";
    }
    Ok(levels)
}

/// The name with INBOX in capitals.
pub(crate) fn canonical(name: &str) -> Result<String, Error> {
    Ok(levels(name)?.join("/"))
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,";

/// Modified UTF-7.
pub(crate) fn to_utf7(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    let mut shifted: Vec<u16> = Vec::new();
    let flush = |shifted: &mut Vec<u16>, out: &mut String| {
        if shifted.is_empty() {
            return;
        }
        out.push('&');
        let (mut bits, mut count) = (0u32, 0u32);
        for unit in shifted.drain(..) {
            bits = bits << 16 | u32::from(unit);
            count += 16;
            while count >= 6 {
                count -= 6;
                push_sextet(out, bits >> count);
                bits &= (1 << count) - 1;
            }
        }
        if count > 0 {
            push_sextet(out, bits << (6 - count));
        }
        out.push('-');
    };
    for c in name.chars() {
        if matches!(c, ' '..='~') {
            flush(&mut shifted, &mut out);
            out.push(c);
            if c == '&' {
                out.push('-');
            }
        } else {
            shifted.extend_from_slice(c.encode_utf16(&mut [0; 2]));
        }
    }
    flush(&mut shifted, &mut out);
    out
}

fn push_sextet(out: &mut String, bits: u32) {
    let index = usize::try_from(bits & 63).unwrap_or_default();
    out.push(char::from(ALPHABET.get(index).copied().unwrap_or(b'A')));
}

/// The reverse; `None` where the text is not what `to_utf7` makes of any name, so that each name has one form.
pub fn from_utf7(text: &str) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        let (plain, shifted) = rest.split_at_checked(at)?;
        out.push_str(plain);
        let (base64, behind) = shifted.strip_prefix('&')?.split_once('-')?;
        if base64.is_empty() {
            out.push('&');
        } else {
            let (mut bits, mut count) = (0u32, 0u32);
            let mut units = Vec::new();
            for octet in base64.bytes() {
                let sextet = ALPHABET.iter().position(|&known| known == octet)?;
                bits = bits << 6 | u32::try_from(sextet).ok()?;
                count += 6;
                if count >= 16 {
                    count -= 16;
                    units.push(u16::try_from(bits >> count & 0xFFFF).ok()?);
                    bits &= (1 << count) - 1;
                }
            }
            out.push_str(&String::from_utf16(&units).ok()?);
        }
        rest = behind;
    }
    out.push_str(rest);
    (to_utf7(&out) == text).then_some(out)
}

/// Stands before two hexadecimal digits of an octet that has no place in a name.
const BROKEN: char = char::REPLACEMENT_CHARACTER;

fn is_broken(octet: u8) -> bool {
    octet == b'&' || !matches!(octet, b' '..=b'~')
}

/// The octets of a name, or of some of its levels, in a file's name: modified UTF-7, or those that
/// [`from_disk`] could not tell otherwise.
pub(crate) fn to_disk(name: &str) -> Result<Vec<u8>, Error> {
    if !name.contains(BROKEN) {
        return Ok(to_utf7(name).into_bytes());
    }
    let mut parts = name.split(BROKEN);
    let mut out = Vec::new();
    out.extend_from_slice(parts.next().unwrap_or_default().as_bytes());
    let whole = parts.all(|part| {
        let Some((digits, rest)) = part.split_at_checked(2) else {
            return false;
        };
        let octet = u8::from_str_radix(digits, 16).unwrap_or_default();
        out.push(octet);
        out.extend_from_slice(rest.as_bytes());
        is_broken(octet) && octet != 0 && format!("{octet:02X}") == digits
    });
    if whole && from_disk(&out).as_deref() == Some(name) {
        return Ok(out);
    }
    Err(Error::InvalidName {
        name: name.to_owned(),
        reason: "a replacement character stands for an octet that no name has",
    })
}

/// The name that a file's name stands for. What is no modified UTF-7 is told octet by octet where it must be, so
/// that every file there is has one name; `None` for names that no way leads back from.
pub(crate) fn from_disk(file_name: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(file_name).ok();
    if let Some(name) = text
        .and_then(from_utf7)
        .filter(|name| !name.contains(BROKEN))
    {
        return Some(name);
    }
    let mut out = String::with_capacity(file_name.len());
    for &octet in file_name {
        if is_broken(octet) {
            out.push_str(&format!("{BROKEN}{octet:02X}"));
        } else {
            out.push(char::from(octet));
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn rfc_examples() {
        // RFC 3501 §5.1.3
        assert_eq!(
            to_utf7("~peter/mail/台北/日本語"),
            "~peter/mail/&U,BTFw-/&ZeVnLIqe-"
        );
        assert_eq!(
            from_utf7("~peter/mail/&U,BTFw-/&ZeVnLIqe-").as_deref(),
            Some("~peter/mail/台北/日本語")
        );
        assert_eq!(to_utf7("a&b"), "a&-b");
        for bad in ["&Jjo", "&Jjo!", "&U,BTFw-&ZeVnLIqe-", "&AGE-", "\u{e9}"] {
            assert_eq!(from_utf7(bad), None, "{bad}");
        }
    }

    #[test]
    fn every_file_name_has_a_name() {
        for (file_name, name) in [
            (&b"Sent"[..], "Sent"),
            (b"&AOk-t&AOk-", "été"),
            (b"Sch\xf6n", "Sch\u{fffd}F6n"),
            (b"a&b", "a\u{fffd}26b"),
            (
                "été".as_bytes(),
                "\u{fffd}C3\u{fffd}A9t\u{fffd}C3\u{fffd}A9",
            ),
            (b"a\nb", "a\u{fffd}0Ab"),
        ] {
            assert_eq!(from_disk(file_name).as_deref(), Some(name));
            assert_eq!(to_disk(name).unwrap(), file_name);
        }
        for bad in [
            "a\u{fffd}",
            "\u{fffd}41",
            "\u{fffd}f6",
            "\u{fffd}26-",
            "\u{fffd}F6é",
            "\u{fffd}2F",
            "\u{fffd}00",
        ] {
            assert!(to_disk(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn names() {
        assert_eq!(canonical("inbox").unwrap(), "INBOX");
        assert_eq!(canonical("Inbox/a").unwrap(), "INBOX/a");
        for bad in ["", "/a", "a/", "a//b", "a\u{7}"] {
            assert!(canonical(bad).is_err(), "{bad:?}");
        }
        assert!(canonical(&"é".repeat(150)).is_err());
    }

    proptest! {
        #[test]
        fn disk_round_trip(file_name in proptest::collection::vec(1u8.., 0..20)) {
            let name = from_disk(&file_name).unwrap();
            prop_assert_eq!(to_disk(&name).unwrap(), file_name);
        }

        #[test]
        fn utf7_round_trip(name in "\\PC{0,20}") {
            prop_assert_eq!(from_utf7(&to_utf7(&name)), Some(name));
        }
    }
}
