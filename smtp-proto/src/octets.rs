//! Octets by class and words at once: what the parsers of every line share.

/// A run's inner octet: a letter or digit, or `atext`.
pub(crate) const INNER: u8 = 0;
/// `.`, in a domain `-` too: neither first, nor last, nor beside another.
pub(crate) const SEPARATOR: u8 = 1;
/// The run ends here.
pub(crate) const END: u8 = 2;

/// A class for each octet.
pub(crate) type Classes = [u8; 256];

/// Letters, digits, `.` and `-`: all that most domains are made of.
pub(crate) const DOMAIN: &Classes = &{
    let mut classes = [END; 256];
    let mut rest: &mut [u8] = &mut classes;
    let mut octet = 0_u8;
    while let Some((class, behind)) = rest.split_first_mut() {
        *class = match octet {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => INNER,
            b'.' | b'-' => SEPARATOR,
            _ => END,
        };
        octet = octet.wrapping_add(1);
        rest = behind;
    }
    classes
};

/// Letters, digits and `-`: what the names of commands' parameters and of
/// service extensions are made of.
const KEYWORD: &Classes = &{
    let mut classes = *DOMAIN;
    let mut rest: &mut [u8] = &mut classes;
    let mut octet = 0_u8;
    while let Some((class, behind)) = rest.split_first_mut() {
        match octet {
            b'-' => *class = INNER,
            b'.' => *class = END,
            _ => {}
        }
        octet = octet.wrapping_add(1);
        rest = behind;
    }
    classes
};

/// `atext` of RFC 5322 §3.2.3 with the UTF-8 of RFC 6531 §3.3, and `.`.
pub(crate) const LOCAL_PART: &Classes = &{
    let mut classes = [END; 256];
    let mut rest: &mut [u8] = &mut classes;
    let mut octet = 0_u8;
    while let Some((class, behind)) = rest.split_first_mut() {
        *class = match octet {
            b'.' => SEPARATOR,
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | 0x80.. => INNER,
            b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'/' | b'=' | b'?' => INNER,
            b'^'..=b'`' | b'{'..=b'~' => INNER,
            _ => END,
        };
        octet = octet.wrapping_add(1);
        rest = behind;
    }
    classes
};

/// The length of the keyword at the front of `text`: letters, digits, hyphens.
#[inline]
pub(crate) fn keyword_len(text: &[u8]) -> usize {
    text.iter()
        .position(|&octet| class(KEYWORD, octet) == END)
        .unwrap_or(text.len())
}

#[inline]
pub(crate) fn class(classes: &Classes, octet: u8) -> u8 {
    classes.get(usize::from(octet)).copied().unwrap_or(END)
}

/// The length of the run at the front of `text`, and whether its separators
/// stand as they must. No branch but the loop's own.
#[inline]
pub(crate) fn run(classes: &Classes, text: &[u8]) -> (usize, bool) {
    let mut len = 0;
    let mut before = SEPARATOR;
    let mut doubled = INNER;
    for &octet in text {
        let class = class(classes, octet);
        if class == END {
            break;
        }
        doubled |= class & before;
        before = class;
        len += 1;
    }
    (len, doubled == INNER && before == INNER)
}

/// What a line holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Survey {
    /// An octet below 32, or 127.
    pub(crate) control: bool,
    /// No octet above 127.
    pub(crate) ascii: bool,
}

/// An octet of 1, and one of its highest bit, in each place of a word.
const LOW: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x8080_8080_8080_8080;

/// The highest bit of the lowest octet that is zero, and perhaps of some above
/// it; nothing if none is.
#[inline]
const fn zero(word: u64) -> u64 {
    word.wrapping_sub(LOW) & !word & HIGH
}

/// Looks at every octet, eight at a time.
#[inline]
pub(crate) fn survey(line: &[u8]) -> Survey {
    let mut control = 0;
    let mut all = 0;
    let mut look = |word: u64| {
        // Below 32, and 127: of octets below 128.
        control |= (word.wrapping_sub(LOW * 0x20) | ((word & !HIGH) + LOW)) & !word;
        all |= word;
    };
    let (words, rest) = line.as_chunks::<8>();
    for word in words {
        look(u64::from_le_bytes(*word));
    }
    if !rest.is_empty() {
        match line.last_chunk::<8>() {
            // With some of what was already seen.
            Some(last) => look(u64::from_le_bytes(*last)),
            None => look(
                rest.iter()
                    .fold(LOW * 0x20, |word, &octet| word << 8 | u64::from(octet)),
            ),
        }
    }
    Survey {
        control: control & HIGH != 0,
        ascii: all & HIGH == 0,
    }
}

/// Whether `text` is letters, digits, and hyphens and dots that are neither
/// first, nor last, nor beside one another: eight octets at a time.
#[inline]
pub(crate) fn is_plain_domain(text: &[u8]) -> bool {
    // What is wrong with a word, behind a separator if `before` marks one; and
    // whether it ends in one.
    let look = |word: u64, before: u64| {
        let low = word & !HIGH;
        let separators = within(low, b'-', b'.') & HIGH;
        let letters = within(low | (LOW * 0x20), b'a', b'z') | within(low, b'0', b'9');
        let doubled = separators & (separators << 8 | before);
        (!(letters | separators) | word | doubled, separators >> 56)
    };
    // Nothing stands before the first.
    let (mut wrong, mut before) = (0, 0x80);
    let (words, rest) = text.as_chunks::<8>();
    for word in words {
        let (fault, last) = look(u64::from_le_bytes(*word), before);
        wrong |= fault;
        before = last;
    }
    wrong |= match text.last_chunk::<8>() {
        // With some of what was already seen; what stands before it, too.
        Some(last) => look(u64::from_le_bytes(*last), 0).0,
        // Letters behind it change nothing.
        None => look(fold(rest) | (LOW * 0x61) << (8 * rest.len()), before).0,
    };
    wrong & HIGH == 0 && text.last().is_some_and(u8::is_ascii_alphanumeric)
}

/// The highest bit of each octet from `first` to `last`, among octets below
/// 128; other bits mean nothing.
#[inline(always)]
const fn within(octets: u64, first: u8, last: u8) -> u64 {
    (octets + LOW * (0x80 - first as u64)) & !(octets + LOW * (0x7f - last as u64))
}

/// Fewer than eight octets as one number, the first the lowest.
#[inline]
fn fold(octets: &[u8]) -> u64 {
    let put = |word, &octet: &u8| word << 8 | u64::from(octet);
    octets.iter().rev().fold(0, put)
}

/// Fewer than sixteen octets as one number, the first the lowest.
#[inline]
pub(crate) fn fold_sixteen(octets: &[u8]) -> u128 {
    match octets.split_first_chunk::<8>() {
        Some((first, [])) => u128::from(u64::from_le_bytes(*first)),
        Some((first, behind)) => {
            let last = octets.last_chunk().copied().unwrap_or_default();
            // What is in the first eight is shifted out.
            let behind = u64::from_le_bytes(last) >> (8 * (8 - behind.len() % 8));
            u128::from(u64::from_le_bytes(*first)) | u128::from(behind) << 64
        }
        None => u128::from(fold(octets)),
    }
}

/// Letters of both cases become the same; no two of the octets that a keyword
/// may hold become the same otherwise, and none becomes zero.
const FOLD: u64 = 0xdfdf_dfdf_dfdf_dfdf;

/// A keyword of up to eight octets, zeros behind it, as [`word`] reads it.
pub(crate) const fn keyword(octets: &[u8; 8]) -> u64 {
    u64::from_le_bytes(*octets) & FOLD
}

/// The first `len` octets of `text`, at most eight, as one number, letters in
/// either case.
#[inline]
pub(crate) fn word(text: &[u8], len: usize) -> u64 {
    let eight = match text.first_chunk::<8>() {
        Some(eight) => u64::from_le_bytes(*eight),
        None => fold(text),
    };
    let mask = match len {
        0..8 => (1 << (8 * len)) - 1,
        _ => u64::MAX,
    };
    eight & mask & FOLD
}

/// The offset of the first space, or the length.
#[inline]
pub(crate) fn until_space(text: &[u8]) -> usize {
    until(text, |word| zero(word ^ (LOW * 0x20)))
}

/// The offset of the first LF, or the length: for short lines.
#[inline]
pub(crate) fn until_lf(text: &[u8]) -> usize {
    until(text, |word| zero(word ^ (LOW * 0x0a)))
}

/// The length of what no LF, space or `=` is in.
#[inline]
pub(crate) fn until_delimiter(text: &[u8]) -> usize {
    until(text, |word| {
        zero(word ^ (LOW * 0x0a)) | zero(word ^ (LOW * 0x20)) | zero(word ^ (LOW * 0x3d))
    })
}

/// The offset of the first octet that `found` marks by its highest bit; marks
/// above the lowest one may be wrong.
#[inline(always)]
fn until(text: &[u8], found: impl Fn(u64) -> u64) -> usize {
    let mut rest = text;
    let mut at = 0;
    while let Some((word, behind)) = rest.split_first_chunk::<8>() {
        match found(u64::from_le_bytes(*word)) {
            0 => at += 8,
            marks => return at + (marks.trailing_zeros() / 8) as usize,
        }
        rest = behind;
    }
    // Zeros are never looked for.
    let marks = (found(fold(rest)).trailing_zeros() / 8) as usize;
    at + marks.min(rest.len())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn classes() {
        for octet in 0..=255_u8 {
            let alphanumeric = octet.is_ascii_alphanumeric();
            assert_eq!(class(DOMAIN, octet) == INNER, alphanumeric);
            let special = b"!#$%&'*+-/=?^_`{|}~".contains(&octet);
            let atext = alphanumeric || special || octet >= 0x80;
            assert_eq!(class(LOCAL_PART, octet) == INNER, atext, "{octet}");
        }
        assert_eq!(class(DOMAIN, b'-'), SEPARATOR);
        assert_eq!(class(LOCAL_PART, b'.'), SEPARATOR);
    }

    #[test]
    fn words() {
        assert_eq!(word(b"Size=1 BODY", 4), keyword(b"SIZE\0\0\0\0"));
        assert_eq!(word(b"by=1", 2), keyword(b"BY\0\0\0\0\0\0"));
        assert_ne!(word(b"SIZE-", 5), keyword(b"SIZE\0\0\0\0"));
        let keyword_octets = || (b' '..=b'~').filter(|o| o.is_ascii_alphanumeric() || *o == b'-');
        for a in keyword_octets() {
            assert_ne!(word(&[a], 1), 0);
            for b in keyword_octets() {
                let same = a.eq_ignore_ascii_case(&b);
                assert_eq!(word(&[a], 1) == word(&[b], 1), same);
            }
        }
    }

    proptest! {
        /// Every octet in every place of a word.
        #[test]
        fn domains_as_octet_by_octet(
            text in "[a-cX-Z0-9.-]{0,30}|[a-z]{0,30}",
            put in prop::option::of((any::<prop::sample::Index>(), any::<u8>())),
        ) {
            let mut text = text.into_bytes();
            if let Some((at, octet)) = put && !text.is_empty() {
                *at.get_mut(&mut text) = octet;
            }
            let (len, sound) = run(DOMAIN, &text);
            prop_assert_eq!(is_plain_domain(&text), sound && len == text.len());
        }

        #[test]
        fn as_octet_by_octet(line in prop::collection::vec(prop_oneof![8 => 32..127_u8, 1 => any::<u8>(), 1 => 126..129_u8], 0..70)) {
            let seen = survey(&line);
            prop_assert_eq!(seen.control, line.iter().any(|&o| o < 32 || o == 127));
            prop_assert_eq!(seen.ascii, line.is_ascii());
            let space = line.iter().position(|&o| o == b' ').unwrap_or(line.len());
            prop_assert_eq!(until_space(&line), space);
            let lf = line.iter().position(|&o| o == b'\n').unwrap_or(line.len());
            prop_assert_eq!(until_lf(&line), lf);
            let end = line.iter().position(|o| b"\n =".contains(o)).unwrap_or(line.len());
            prop_assert_eq!(until_delimiter(&line), end);
            let (len, sound) = run(DOMAIN, &line);
            let plain = |o: &&u8| o.is_ascii_alphanumeric() || matches!(o, b'.' | b'-');
            let front: Vec<u8> = line.iter().take_while(plain).copied().collect();
            prop_assert_eq!(len, front.len());
            let labels = front.split(|o| matches!(o, b'.' | b'-'));
            prop_assert_eq!(sound, labels.into_iter().all(|label| !label.is_empty()));
            prop_assert_eq!(is_plain_domain(&line), sound && len == line.len());
            prop_assert_eq!(is_plain_domain(&front), sound);
        }
    }
}
