//! Text that needs no second look, found at memory speed.

/// What [`plain_prefix`] looks at in one go: first a small block, for text
/// that has something special in every line, then large ones.
pub(super) const BLOCK: usize = 64;
const LARGE_BLOCK: usize = 512;

/// How much of `text` can be passed on as it is: whole blocks without a bare
/// CR or LF, a NUL, or a line that begins with a dot.
///
/// Five comparisons for each octet without a branch, which the compiler turns
/// into vector instructions; a search from line end to line end would spend
/// its time on starting anew. A block is judged together with the octet
/// behind it. The answer never ends between CR and LF.
pub(super) fn plain_prefix(text: &[u8]) -> usize {
    // A LF at the front has lost sight of its CR.
    if text.first() == Some(&b'\n') {
        return 0;
    }
    let mut plain = plain_blocks(text, BLOCK, 1);
    if plain == 0 {
        return 0;
    }
    for size in [LARGE_BLOCK, BLOCK] {
        plain += plain_blocks(text.get(plain..).unwrap_or_default(), size, usize::MAX);
    }
    let splits = plain
        .checked_sub(1)
        .is_some_and(|before| text.get(before) == Some(&b'\r'));
    plain - usize::from(splits)
}

fn plain_blocks(text: &[u8], size: usize, most: usize) -> usize {
    let behind = text.get(1..).unwrap_or_default();
    let blocks = text.chunks_exact(size).zip(behind.chunks_exact(size));
    let plain = blocks
        .take(most)
        .take_while(|(block, behind)| is_plain(block, behind));
    size * plain.count()
}

fn is_plain(block: &[u8], behind: &[u8]) -> bool {
    const LANES: usize = 32;
    let mask = |is: bool| if is { u8::MAX } else { 0 };
    let mut special = [0_u8; LANES];
    for (block, behind) in block.chunks_exact(LANES).zip(behind.chunks_exact(LANES)) {
        for ((lane, &this), &next) in special.iter_mut().zip(block).zip(behind) {
            let bare = mask(this == b'\r') ^ mask(next == b'\n');
            let dot = mask(this == b'\n') & mask(next == b'.');
            *lane |= bare | dot | mask(this == 0);
        }
    }
    special.iter().fold(0, |all, lane| all | lane) == 0
}
