//! Small accidents that happen to an input.

/// Octets that mean something to one of the languages.
const TELLING: &[u8] = b"{}()[]<>+-*%$\\ \t\r\n\"~0189&=?:;,.@#^|!/a\0\x80\xff";

/// The longest input that is made.
const LONGEST: usize = 64 * 1024;

/// A sequence of changed inputs that its seed determines.
#[derive(Debug, Clone)]
pub struct Accidents {
    state: u64,
}

impl Accidents {
    /// The sequence of this seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            state: seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1,
        }
    }

    /// A number below `below`; 0 when that is 0.
    pub fn below(&mut self, below: usize) -> usize {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        usize::try_from(self.state >> 33).unwrap_or(0) % below.max(1)
    }

    /// `input` with one to four accidents: octets lost, put in, changed, said again, cut off, or a
    /// piece of another input of `corpus`.
    pub fn change(&mut self, input: &[u8], corpus: &[Vec<u8>]) -> Vec<u8> {
        let mut changed = input.to_vec();
        for _ in 0..=self.below(4) {
            let at = self.below(changed.len() + 1);
            match self.below(7) {
                0 => {
                    let end = (at + 1 + self.below(8)).min(changed.len());
                    changed.drain(at.min(end)..end);
                }
                1 if self.below(4) == 0 => changed.truncate(at),
                2 => {
                    let piece = self.piece(input, 64);
                    let times = 1 + self.below(3);
                    changed.splice(at..at, piece.repeat(times));
                }
                3 => {
                    let other = self.below(corpus.len());
                    if let Some(other) = corpus.get(other) {
                        let piece = self.piece(other, 256);
                        changed.splice(at..at, piece);
                    }
                }
                4 => {
                    let bit = self.below(8);
                    if let Some(octet) = changed.get_mut(at) {
                        *octet ^= 1 << bit;
                    }
                }
                _ => {
                    let telling = self.below(TELLING.len());
                    changed.splice(at..at, TELLING.get(telling).copied());
                }
            }
        }
        changed.truncate(LONGEST);
        changed
    }

    /// Up to `longest` octets from somewhere in `whole`.
    fn piece(&mut self, whole: &[u8], longest: usize) -> Vec<u8> {
        let start = self.below(whole.len());
        let length = self.below(longest);
        let piece = whole.get(start..).unwrap_or_default();
        piece.iter().take(length).copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_is_a_sequence() {
        let corpus = vec![b"MAIL FROM:<a@b>".to_vec(), b"QUIT".to_vec()];
        let run = |seed| {
            let mut accidents = Accidents::new(seed);
            let change = |_| accidents.change(&corpus[0], &corpus);
            (0..50).map(change).collect::<Vec<_>>()
        };
        assert_eq!(run(1), run(1));
        assert_ne!(run(1), run(2));
        assert!(run(1).iter().filter(|made| **made != corpus[0]).count() > 40);
    }
}
