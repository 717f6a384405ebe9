//! What each octet can be, and how far octets of a class go.

/// Octets of identifiers and tags.
pub(super) const WORD: u8 = 1;
/// Octets that stand for themselves in a quoted string and do not end it.
const PLAIN: u8 = 2;

/// Octets between tokens.
pub(super) const BLANK: u8 = 4;
/// Octets of header field names (RFC 5322 §2.2).
const FIELD: u8 = 8;

/// What each octet can be.
const CLASSES: [u8; 256] = {
    let mut classes = [PLAIN; 256];
    let mut octet = 0_u8;
    let mut place = classes.as_mut_slice();
    while let Some((class, rest)) = place.split_first_mut() {
        *class = match octet {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' => WORD | PLAIN | FIELD,
            b'"' | b'\\' => FIELD,
            0 => 0,
            b'\r' | b'\n' => BLANK,
            b' ' | b'\t' => BLANK | PLAIN,
            b':' => PLAIN,
            b'!'..=b'~' => PLAIN | FIELD,
            _ => PLAIN,
        };
        octet = octet.wrapping_add(1);
        place = rest;
    }
    classes
};

#[inline(always)]
pub(super) fn is(octet: u8, class: u8) -> bool {
    CLASSES
        .get(usize::from(octet))
        .is_some_and(|classes| classes & class != 0)
}

/// How many octets at the front are of the class.
#[inline(always)]
fn run(octets: &[u8], class: u8) -> usize {
    octets
        .iter()
        .position(|&octet| !is(octet, class))
        .unwrap_or(octets.len())
}

/// Whether a header field can have this name.
pub(crate) fn is_field_name(octets: &[u8]) -> bool {
    !octets.is_empty() && run(octets, FIELD) == octets.len()
}

/// The lowest and the highest bit of each of eight octets.
const LOW: u64 = u64::from_le_bytes([1; 8]);
const HIGH: u64 = LOW << 7;

/// How many octets at the front are a [`WORD`], the letters of the first eight at once.
#[inline(always)]
pub(super) fn word(octets: &[u8]) -> usize {
    let mut letters = 0;
    if let Some(eight) = octets.first_chunk() {
        let word = u64::from_le_bytes(*eight);
        let small = word | (LOW * 0x20);
        // The highest bit of each octet that is no letter; what is above the first of them need not be right.
        let from_a = small.wrapping_add(LOW * (0x80 - b'a') as u64);
        let past_z = small.wrapping_add(LOW * (0x7F - b'z') as u64);
        let other = (!from_a | past_z | word) & HIGH;
        letters = other.trailing_zeros() as usize / 8;
    }
    letters + run(octets.get(letters..).unwrap_or_default(), WORD)
}

/// How many octets at the front are [`PLAIN`], eight at a time.
#[inline(always)]
pub(super) fn plain(octets: &[u8]) -> usize {
    let mut rest = octets;
    let mut length = 0;
    while let Some((eight, tail)) = rest.split_first_chunk() {
        let word = u64::from_le_bytes(*eight);
        let quote = word ^ (LOW * b'"' as u64);
        let backslash = word ^ (LOW * b'\\' as u64);
        // The highest bit of each octet that is zero here, or no more than a carriage return; what is above the first
        // of them need not be right.
        let found = (quote.wrapping_sub(LOW) & !quote)
            | (backslash.wrapping_sub(LOW) & !backslash)
            | (word.wrapping_sub(LOW * (b'\r' + 1) as u64) & !word);
        if found & HIGH != 0 {
            let before = (found & HIGH).trailing_zeros() as usize / 8;
            // A tab, too, is less.
            return length + before + run(rest.get(before..).unwrap_or_default(), PLAIN);
        }
        length += 8;
        rest = tail;
    }
    length + run(rest, PLAIN)
}
