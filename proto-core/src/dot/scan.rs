//! Text that needs no second look, found at memory speed.

/// What [`plain_prefix`] looks at in one go: first a small block, for text
/// that has something special in every line, then large ones.
pub(super) const BLOCK: usize = 64;
const MIDDLE_BLOCK: usize = 256;
const LARGE_BLOCK: usize = 1024;

/// How much of `text` can be passed on as it is: whole blocks without a bare
/// CR or LF, a NUL, or a line that begins with a dot.
///
/// A few comparisons for each octet without a branch, which the compiler turns
/// into vector instructions; a search from line end to line end would spend
/// its time on starting anew. A block is judged together with the two octets
/// behind it. The answer never ends between CR and LF.
pub(super) fn plain_prefix(text: &[u8]) -> usize {
    // A LF at the front has lost sight of its CR.
    if text.first() == Some(&b'\n') {
        return 0;
    }
    let mut plain = 0;
    // A block that turns out not to be plain was looked at for nothing: the
    // next size is tried once the one before has passed.
    for (size, most) in [
        (BLOCK, 1),
        (MIDDLE_BLOCK, 1),
        (LARGE_BLOCK, usize::MAX),
        (MIDDLE_BLOCK, usize::MAX),
    ] {
        let passed = plain_blocks(text.get(plain..).unwrap_or_default(), size, most);
        plain += passed;
        if passed == 0 && most == 1 {
            break;
        }
    }
    if plain == 0 {
        return 0;
    }
    plain += plain_blocks(text.get(plain..).unwrap_or_default(), BLOCK, usize::MAX);
    let splits = plain
        .checked_sub(1)
        .is_some_and(|before| text.get(before) == Some(&b'\r'));
    plain - usize::from(splits)
}

fn plain_blocks(text: &[u8], size: usize, most: usize) -> usize {
    let behind = |by: usize| text.get(by..).unwrap_or_default().chunks_exact(size);
    let blocks = text.chunks_exact(size).zip(behind(1)).zip(behind(2));
    let plain = blocks
        .take(most)
        .take_while(|((block, next), second)| is_plain(block, next, second));
    size * plain.count()
}

/// Of a block, and of the same moved on by one octet and by two.
fn is_plain(block: &[u8], next: &[u8], second: &[u8]) -> bool {
    const LANES: usize = 32;
    let mask = |is: bool| if is { u8::MAX } else { 0 };
    let mut special = [0_u8; LANES];
    let mut lowest = [u8::MAX; LANES];
    let lanes = block
        .chunks_exact(LANES)
        .zip(next.chunks_exact(LANES))
        .zip(second.chunks_exact(LANES));
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
    let special = special.iter().fold(0, |all, lane| all | lane);
    let lowest = lowest.iter().fold(u8::MAX, |all, lane| all.min(*lane));
    special == 0 && lowest != 0
}
