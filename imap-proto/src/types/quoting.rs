//! What octets may stand for themselves, and how others are put in quotes or
//! in literals.

use bytes::Bytes;

use super::Chars;
use crate::wire::Writer;

/// A longer quoted string breaks old peers' line buffers.
pub(super) const LONGEST_QUOTED: usize = 1000;

/// How many octets in front are plain: ASCII without control characters,
/// quotes and backslashes, which stand for themselves between quotes.
///
/// Eight at a time. Each test marks the high bit of an octet; only above a
/// true mark can there be a false one, and the lowest is what counts.
#[inline]
pub(super) fn plain_len(octets: &[u8]) -> usize {
    const ONES: u64 = u64::from_le_bytes([1; 8]);
    const HIGH: u64 = ONES << 7;
    let below = |word: u64, bound: u64| word.wrapping_sub(ONES * bound) & !word;
    let (chunks, rest) = octets.as_chunks::<8>();
    let mut len = 0;
    for chunk in chunks {
        let word = u64::from_le_bytes(*chunk);
        // With this bit turned the quote follows the control characters.
        let control_or_quote = below(word ^ (ONES * 2), 0x21);
        let backslash = below(word ^ (ONES * u64::from(b'\\')), 1);
        let marks = (word | control_or_quote | backslash) & HIGH;
        if marks != 0 {
            return len + (marks.trailing_zeros() / 8) as usize;
        }
        len += 8;
    }
    let special = |octet: &u8| !matches!(octet, b' '..0x80) || matches!(octet, b'"' | b'\\');
    len + rest.iter().position(special).unwrap_or(rest.len())
}

#[inline]
pub(super) fn is_plain(octets: &[u8]) -> bool {
    plain_len(octets) == octets.len()
}

pub(crate) fn string(w: &mut Writer<'_>, octets: &Bytes) {
    if octets.len() <= LONGEST_QUOTED && quotable(octets, w.dialect.utf8) {
        quote(w, octets);
    } else {
        w.literal(octets, false);
    }
}

pub(crate) fn astring(w: &mut Writer<'_>, octets: &Bytes) {
    if is_atom(octets) {
        w.raw(octets);
    } else {
        string(w, octets);
    }
}

/// Whether an astring of these octets can go without quotes, and without being
/// taken for NIL.
#[inline]
pub(super) fn is_atom(octets: &[u8]) -> bool {
    !octets.is_empty()
        && octets.iter().all(|octet| Chars::ASTRING.holds(*octet))
        && !octets.eq_ignore_ascii_case(b"NIL")
}

fn quotable(octets: &[u8], utf8: bool) -> bool {
    octets
        .iter()
        .all(|octet| !matches!(octet, 0 | b'\r' | b'\n'))
        && (octets.is_ascii() || utf8 && std::str::from_utf8(octets).is_ok())
}

pub(crate) fn quote(w: &mut Writer<'_>, octets: &[u8]) {
    w.byte(b'"');
    let mut rest = octets;
    while let Some(at) = memchr::memchr2(b'"', b'\\', rest) {
        let (plain, special) = rest.split_at(at);
        w.raw(plain);
        w.byte(b'\\');
        let (special, behind) = special.split_at(1);
        w.raw(special);
        rest = behind;
    }
    w.raw(rest);
    w.byte(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_is_what_octets_say() {
        // Each octet at each place of strings of each length, as the words of
        // eight see it and as one by one does.
        for octet in 0..=u8::MAX {
            let plain = (b' '..=0x7f).contains(&octet) && !matches!(octet, b'"' | b'\\');
            for len in 1..20 {
                for at in 0..len {
                    for filling in [b' ', b'!', b'#', b'x', 0x7f] {
                        let mut octets = vec![filling; len];
                        octets[at] = octet;
                        let expected = if plain { len } else { at };
                        assert_eq!(plain_len(&octets), expected, "{octets:?}");
                    }
                }
            }
        }
        assert_eq!(plain_len(b"ab\"c\"\\\x01\x80"), 2);
    }
}
