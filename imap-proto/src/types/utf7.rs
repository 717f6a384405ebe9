//! Modified UTF-7 for mailbox names (RFC 3501 §5.1.3, RFC 2152).

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,";

/// Decodes a name; `None` when it is not modified UTF-7.
///
/// Only the canonical form is taken, so that two encodings can never name
/// one mailbox: no printable ASCII inside a shift, no shift directly behind
/// another, zero padding bits, paired surrogates.
pub(crate) fn decode(name: &[u8]) -> Option<String> {
    let mut text = String::with_capacity(name.len());
    let mut rest = name;
    let mut behind_shift = false;
    while let Some((&octet, behind)) = rest.split_first() {
        rest = behind;
        if octet != b'&' {
            if !(0x20..0x7f).contains(&octet) {
                return None;
            }
            text.push(char::from(octet));
            behind_shift = false;
            continue;
        }
        let end = memchr::memchr(b'-', rest)?;
        let (shifted, tail) = rest.split_at(end);
        rest = tail.get(1..)?;
        if shifted.is_empty() {
            text.push('&');
            behind_shift = false;
        } else {
            if behind_shift {
                return None;
            }
            shift_in(shifted, &mut text)?;
            behind_shift = true;
        }
    }
    Some(text)
}

fn shift_in(shifted: &[u8], text: &mut String) -> Option<()> {
    let (mut bits, mut held) = (0_u32, 0);
    let mut units = Vec::with_capacity(shifted.len() * 3 / 8 + 1);
    for octet in shifted {
        let value = ALPHABET.iter().position(|known| known == octet)?;
        bits = bits << 6 | u32::try_from(value).ok()?;
        held += 6;
        if held >= 16 {
            held -= 16;
            units.push(u16::try_from(bits >> held & 0xffff).ok()?);
            bits &= (1 << held) - 1;
        }
    }
    if held >= 6 || bits != 0 {
        return None;
    }
    for unit in char::decode_utf16(units) {
        let unit = unit.ok()?;
        if (' '..='~').contains(&unit) {
            return None;
        }
        text.push(unit);
    }
    Some(())
}

/// Encodes a name.
pub(crate) fn encode(text: &str) -> Vec<u8> {
    let mut name = Vec::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(next) = chars.next() {
        match next {
            '&' => name.extend_from_slice(b"&-"),
            ' '..='~' => name.extend(u8::try_from(next)),
            _ => {
                name.push(b'&');
                let mut run = String::from(next);
                while let Some(more) = chars.next_if(|more| !(' '..='~').contains(more)) {
                    run.push(more);
                }
                shift_out(&run, &mut name);
                name.push(b'-');
            }
        }
    }
    name
}

fn shift_out(run: &str, name: &mut Vec<u8>) {
    let (mut bits, mut held) = (0_u32, 0);
    let mut sextet = |value: u32| {
        let digit = usize::try_from(value & 63)
            .ok()
            .and_then(|at| ALPHABET.get(at));
        name.extend(digit);
    };
    for unit in run.encode_utf16() {
        bits = bits << 16 | u32::from(unit);
        held += 16;
        while held >= 6 {
            held -= 6;
            sextet(bits >> held);
            bits &= (1 << held) - 1;
        }
    }
    if held > 0 {
        sextet(bits << (6 - held));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn known_answers() {
        for (text, name) in [
            ("~peter/mail/台北/日本語", "~peter/mail/&U,BTFw-/&ZeVnLIqe-"),
            ("Entwürfe", "Entw&APw-rfe"),
            ("A&B", "A&-B"),
            ("&", "&-"),
            ("☺!", "&Jjo-!"),
            ("𐀀", "&2ADcAA-"),
            ("", ""),
        ] {
            assert_eq!(encode(text), name.as_bytes());
            assert_eq!(decode(name.as_bytes()).as_deref(), Some(text));
        }
    }

    #[test]
    fn only_the_canonical_form() {
        for name in [
            "&",
            "&A",
            "&AA-",
            "&AGE-",
            "&Jjo!",
            "&U,BTFw-&ZeVnLIqe-",
            "&2AA-",
            "&AMB-",
            "a\u{e4}",
            "&AOQ",
            "&AOQ=-",
            "a\x01",
        ] {
            assert_eq!(decode(name.as_bytes()), None, "{name}");
        }
    }

    proptest! {
        #[test]
        fn round_trip(text in "\\PC*") {
            prop_assert_eq!(decode(&encode(&text)), Some(text));
        }

        #[test]
        fn decoded_encodes_to_the_same(name in "[ -~]{0,12}") {
            if let Some(text) = decode(name.as_bytes()) {
                prop_assert_eq!(encode(&text), name.into_bytes());
            }
        }
    }
}
