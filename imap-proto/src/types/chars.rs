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
