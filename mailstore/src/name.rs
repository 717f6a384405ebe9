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
        fn utf7_round_trip(name in "\\PC{0,20}") {
            prop_assert_eq!(from_utf7(&to_utf7(&name)), Some(name));
        }
    }
}
