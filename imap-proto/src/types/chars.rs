/// A class of octets (RFC 9051 §9).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Chars(u8);

impl Chars {
    pub(crate) const ATOM: Self = Self(1);
    pub(crate) const ASTRING: Self = Self(2);
    pub(crate) const TAG: Self = Self(4);
    pub(crate) const DIGIT: Self = Self(8);
    pub(crate) const LIST: Self = Self(16);
    /// What may stand in a quoted string without a backslash.
    pub(crate) const QUOTED: Self = Self(32);
    /// TEXT-CHAR and octets of UTF-8.
    pub(crate) const TEXT: Self = Self(64);
    /// ATOM-CHAR but `[` and `<`: an item's name ends before its section.
    pub(crate) const NAME: Self = Self(128);

    #[inline]
    pub(crate) fn holds(self, octet: u8) -> bool {
        TABLE.get(usize::from(octet)).copied().unwrap_or(0) & self.0 != 0
    }

    /// How many octets in front are of the class.
    #[inline]
    pub(crate) fn span(self, octets: &[u8]) -> usize {
        // Words are mostly letters, which are of every class but one: the
        // first eight at once.
        let known = match octets.first_chunk() {
            Some(chunk) if self.0 != Self::DIGIT.0 => letters(u64::from_le_bytes(*chunk)),
            _ => 0,
        };
        let rest = octets.get(known..).unwrap_or_default();
        let more = rest.iter().position(|octet| !self.holds(*octet));
        known + more.unwrap_or(rest.len())
    }
}

/// How many of eight octets are ASCII letters, before one that is none.
#[inline]
pub(crate) fn letters(word: u64) -> usize {
    const ONES: u64 = u64::from_le_bytes([1; 8]);
    const HIGH: u64 = ONES << 7;
    // Seven bits each: no sum reaches the next octet.
    let folded = (word | (ONES * 0x20)) & !HIGH;
    let from_a = folded + ONES * (0x80 - 0x61);
    let over_z = folded + ONES * (0x80 - 0x7b);
    let others = (!from_a | over_z | word) & HIGH;
    (others.trailing_zeros() / 8) as usize
}

/// Up to sixteen octets with zeros behind them, by few loads that may overlap;
/// none where there are more.
#[inline]
pub(crate) fn packed(octets: &[u8]) -> Option<[u8; 16]> {
    let len = octets.len();
    let (first, second) = match len {
        0 => (0, 0),
        1..4 => {
            let one = |at: usize| Some(u64::from(*octets.get(at)?) << (8 * at));
            (one(0)? | one(len / 2)? | one(len - 1)?, 0)
        }
        4..=8 => {
            let word = |four: &[u8; 4]| u64::from(u32::from_le_bytes(*four));
            let last = word(octets.last_chunk()?) << (8 * (len - 4));
            (word(octets.first_chunk()?) | last, 0)
        }
        9..=16 => {
            let last = u64::from_le_bytes(*octets.last_chunk()?) >> (8 * (16 - len));
            (u64::from_le_bytes(*octets.first_chunk()?), last)
        }
        _ => return None,
    };
    Some((u128::from(first) | u128::from(second) << 64).to_le_bytes())
}

static TABLE: [u8; 256] = {
    let mut table = [0; 256];
    let (mut rest, mut octet) = (table.as_mut_slice(), 0_u8);
    while let Some((slot, behind)) = rest.split_first_mut() {
        *slot = classes(octet);
        rest = behind;
        octet = octet.wrapping_add(1);
    }
    table
};

const fn classes(octet: u8) -> u8 {
    let control = octet < 0x20 || octet == 0x7f;
    let special =
        control || octet >= 0x80 || matches!(octet, b'(' | b')' | b'{' | b' ' | b'"' | b'\\');
    let wildcard = matches!(octet, b'%' | b'*');
    let mut classes = 0;
    if !special && !wildcard && octet != b']' {
        classes |= 1;
        if !matches!(octet, b'[' | b'<') {
            classes |= 128;
        }
    }
    if !special && !wildcard {
        classes |= 2;
        if octet != b'+' {
            classes |= 4;
        }
    }
    if octet.is_ascii_digit() {
        classes |= 8;
    }
    if !special {
        classes |= 16;
    }
    if !matches!(octet, 0 | b'\r' | b'\n') {
        if !matches!(octet, b'"' | b'\\') {
            classes |= 32;
        }
        classes |= 64;
    }
    classes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packed_octets() {
        let octets: Vec<u8> = (1..=20).collect();
        for len in 0..=16 {
            let mut expected = [0; 16];
            expected[..len].copy_from_slice(&octets[..len]);
            assert_eq!(packed(&octets[..len]), Some(expected));
        }
        assert_eq!(packed(&octets[..17]), None);
    }

    #[test]
    fn a_span_is_what_octets_say() {
        let classes = [
            Chars::ATOM,
            Chars::ASTRING,
            Chars::TAG,
            Chars::DIGIT,
            Chars::LIST,
            Chars::QUOTED,
            Chars::TEXT,
            Chars::NAME,
        ];
        // Each octet at each place of words of each length.
        for octet in 0..=u8::MAX {
            for len in 1..20 {
                for at in 0..len {
                    let mut octets = vec![b'z'; len];
                    octets.iter_mut().step_by(2).for_each(|one| *one = b'A');
                    octets[at] = octet;
                    for class in classes {
                        let count = octets.iter().take_while(|one| class.holds(**one)).count();
                        assert_eq!(class.span(&octets), count, "{class:?} {octets:?}");
                    }
                }
            }
        }
    }
}
