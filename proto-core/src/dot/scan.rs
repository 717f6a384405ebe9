//! Text that needs no second look, found at memory speed.
//!
//! Every octet is compared with a few others without a branch, which the
//! compiler turns into vector instructions; a search from line end to line end
//! would spend its time on starting anew. On x86 with AVX2 those are twice as
//! wide as what every processor has, and twice as fast. Wider ones, of
//! AVX-512, are slower again: most of what is loaded crosses a cache line.

#[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
use fearless_simd::{Level, Simd};

/// What is judged in one go: a small block first and last, for text that has
/// something special in every line, large ones between.
pub(super) const BLOCK: usize = 64;
const MIDDLE_BLOCK: usize = 256;
const LARGE_BLOCK: usize = 1024;

/// Octets behind a block that are looked at with it.
pub(super) const AHEAD: usize = 3;

/// Octets that are judged at once.
const LANES: usize = 32;

/// How much of `text` can be passed on as it is: no bare CR or LF, no NUL and
/// no line that begins with a dot.
///
/// What is answered never ends between CR and LF; the last two octets are
/// never in it.
pub(super) fn plain_prefix(text: &[u8]) -> usize {
    #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
    if let Some(avx2) = Level::new().as_avx2() {
        return avx2.vectorize(
            #[inline(always)]
            || plain_blocks(text),
        );
    }
    plain_blocks(text)
}

/// How much of `text` has dots that are to be taken away, in every block, and
/// is plain but for them: no bare CR or LF, no NUL and no end of the data.
///
/// Nothing is known of a dot that `text` begins with. What is answered never
/// ends between CR and LF, nor between a dot and the CR of an end of data.
pub(super) fn dotted_prefix(text: &[u8]) -> usize {
    #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
    if let Some(avx2) = Level::new().as_avx2() {
        return avx2.vectorize(
            #[inline(always)]
            || dotted_blocks(text),
        );
    }
    dotted_blocks(text)
}

#[inline(always)]
fn plain_blocks(text: &[u8]) -> usize {
    // A LF at the front has lost sight of its CR.
    if text.first() == Some(&b'\n') || !is_plain::<BLOCK>(text, 0) {
        return 0;
    }
    let mut plain = BLOCK;
    while is_plain::<LARGE_BLOCK>(text, plain) {
        plain += LARGE_BLOCK;
    }
    // What is left once more with some of what is before it, in one go.
    let end = text.len().saturating_sub(2);
    if plain < end
        && let Some(start) = end.checked_sub(LARGE_BLOCK).filter(|start| *start < plain)
        && is_plain::<LARGE_BLOCK>(text, start)
    {
        plain = end;
    }
    while is_plain::<MIDDLE_BLOCK>(text, plain) {
        plain += MIDDLE_BLOCK;
    }
    while is_plain::<BLOCK>(text, plain) {
        plain += BLOCK;
    }
    if plain < end
        && let Some(start) = end.checked_sub(BLOCK).filter(|start| *start < plain)
        && is_plain::<BLOCK>(text, start)
    {
        plain = end;
    }
    plain - usize::from(text.get(plain - 1) == Some(&b'\r'))
}

#[inline(always)]
fn dotted_blocks(text: &[u8]) -> usize {
    if text.first() == Some(&b'\n') {
        return 0;
    }
    let mut dotted = 0;
    while is_dotted(text, dotted) {
        dotted += BLOCK;
    }
    let splits = dotted
        .checked_sub(1)
        .is_some_and(|before| text.get(before) == Some(&b'\r'));
    dotted - usize::from(splits)
}

/// Of the `N` octets at `start`, if there are two more behind them.
#[inline(always)]
fn is_plain<const N: usize>(text: &[u8], start: usize) -> bool {
    let at = |by| text.get(start + by..).unwrap_or_default().get(..N);
    let (Some(block), Some(next), Some(second)) = (at(0), at(1), at(2)) else {
        return false;
    };
    let lanes = block
        .chunks_exact(LANES)
        .zip(next.chunks_exact(LANES))
        .zip(second.chunks_exact(LANES));
    let mut special = [0_u8; LANES];
    let mut lowest = [u8::MAX; LANES];
    for ((block, next), second) in lanes {
        let octets = block.iter().zip(next).zip(second);
        for ((special, lowest), ((&this, &next), &second)) in
            special.iter_mut().zip(&mut lowest).zip(octets)
        {
            let cr = mask(this == b'\r');
            let bare = cr ^ mask(next == b'\n');
            // Where the CR has its LF, a line begins behind the two.
            let dot = cr & mask(second == b'.');
            *special |= bare | dot;
            *lowest = (*lowest).min(this);
        }
    }
    all_zero(special, &lowest)
}

/// Of a block of octets at `start`, if there are three more behind it.
#[inline(always)]
fn is_dotted(text: &[u8], start: usize) -> bool {
    let at = |by| text.get(start + by..).unwrap_or_default().get(..BLOCK);
    let (Some(block), Some(next), Some(second), Some(third)) = (at(0), at(1), at(2), at(AHEAD))
    else {
        return false;
    };
    let lanes = block
        .chunks_exact(LANES)
        .zip(next.chunks_exact(LANES))
        .zip(second.chunks_exact(LANES).zip(third.chunks_exact(LANES)));
    let mut special = [0_u8; LANES];
    let mut lowest = [u8::MAX; LANES];
    let mut dots = [0_u8; LANES];
    for ((block, next), (second, third)) in lanes {
        let octets = block.iter().zip(next).zip(second.iter().zip(third));
        let lanes = special.iter_mut().zip(&mut lowest).zip(&mut dots);
        for (((special, lowest), dots), ((&this, &next), (&second, &third))) in lanes.zip(octets) {
            let cr = mask(this == b'\r');
            let bare = cr ^ mask(next == b'\n');
            let dot = cr & mask(second == b'.');
            *special |= bare | (dot & mask(third == b'\r'));
            *dots |= dot;
            *lowest = (*lowest).min(this);
        }
    }
    all_zero(special, &lowest) && dots != [0; LANES]
}

#[inline(always)]
fn mask(is: bool) -> u8 {
    if is { u8::MAX } else { 0 }
}

/// Nothing special, and no NUL.
#[inline(always)]
fn all_zero(mut special: [u8; LANES], lowest: &[u8; LANES]) -> bool {
    for (special, lowest) in special.iter_mut().zip(lowest) {
        *special |= mask(*lowest == 0);
    }
    special == [0; LANES]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What is said of a prefix, an octet at a time.
    fn is_sound(text: &[u8], len: usize, dots: bool) -> bool {
        (0..len).all(|at| {
            let before = at.checked_sub(1).map(|before| text[before]);
            let behind = text.get(at + 1).copied();
            match text[at] {
                b'\r' => behind == Some(b'\n') && at + 1 < len,
                b'\n' => before == Some(b'\r'),
                b'.' if before == Some(b'\n') => dots && behind != Some(b'\r'),
                octet => octet != 0,
            }
        })
    }

    proptest! {
        /// With wide vectors and without, and never too much.
        #[test]
        fn prefixes_are_sound(
            parts in prop::collection::vec(
                prop::sample::select(vec![
                    "0123456789012345678901234567890123456789012345678901234567890123\r\n",
                    "word", "\r\n", "\r\n.", "\r\n..a", "\r\n.\r\n", "\n", "\r", "\0", "x",
                ]),
                0..80,
            ),
            lines in 0_usize..40,
            line in prop::sample::select(vec!["", "plain\r\n", "..a\r\n", ".\r.\r\n"]),
        ) {
            let text = format!("a{}{}\r\n", line.repeat(lines), parts.concat());
            for start in 0..text.len().min(70) {
                let text = &text.as_bytes()[start..];
                let plain = plain_prefix(text);
                prop_assert_eq!(plain, plain_blocks(text));
                prop_assert!(is_sound(text, plain, false));
                let dotted = dotted_prefix(text);
                prop_assert_eq!(dotted, dotted_blocks(text));
                prop_assert!(is_sound(text, dotted, true));
            }
        }
    }

    /// All that can be is found: the fast path is taken.
    #[test]
    fn prefixes_are_long() {
        for (line, plain) in [("0123456789\r\n", true), ("..a\r\n", false)] {
            for len in [66, 67, 130, 1000, 1026, 4096, 65_536, 100_000] {
                let text = &line.repeat(len).into_bytes()[..len];
                let (found, most) = match plain {
                    true => (plain_prefix(text), 3),
                    false => (dotted_prefix(text), BLOCK + AHEAD),
                };
                assert!(found + most >= len, "{line:?}: {found} of {len}");
            }
        }
    }
}
