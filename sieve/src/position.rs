//! Places in a script: octet spans for machines, line and column for people.

/// A range of octets in a script's source, end excluded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Span {
    /// First octet, 0-based.
    pub start: usize,
    /// One past the last octet.
    pub end: usize,
}

impl Span {
    /// The span from `start` to before `end`.
    #[must_use]
    pub const fn new(start: usize, end: usize) -> Self {
        Self { start, end }
    }

    /// The smallest span that holds both.
    #[must_use]
    pub fn to(self, other: Self) -> Self {
        Self {
            start: self.start.min(other.start),
            end: self.end.max(other.end),
        }
    }
}

/// A place in a script as editors show it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// 1-based line.
    pub line: u32,
    /// 1-based column, counted in Unicode characters.
    pub column: u32,
}

impl std::fmt::Display for Position {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// The line starts of one source, so that each look-up is a binary search.
#[derive(Clone, Debug)]
pub(crate) struct Lines {
    starts: Vec<usize>,
}

impl Lines {
    pub(crate) fn new(source: &[u8]) -> Self {
        let mut starts = Vec::with_capacity(source.len() / 24 + 2);
        starts.push(0);
        starts.extend(memchr::memchr_iter(b'\n', source).map(|at| at + 1));
        Self { starts }
    }

    pub(crate) fn line(&self, at: usize) -> u32 {
        let line = self.starts.partition_point(|&start| start <= at);
        u32::try_from(line.max(1)).unwrap_or(u32::MAX)
    }

    pub(crate) fn position(&self, source: &[u8], at: usize) -> Position {
        let line = self.line(at);
        let start = usize::try_from(line)
            .ok()
            .and_then(|line| self.starts.get(line.saturating_sub(1)))
            .copied()
            .unwrap_or(0);
        let before = source.get(start..at.min(source.len())).unwrap_or_default();
        // Continuation octets of UTF-8 are no characters of their own.
        let characters = before.iter().filter(|&&octet| octet & 0xC0 != 0x80).count();
        Position {
            line,
            column: u32::try_from(characters + 1).unwrap_or(u32::MAX),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_count_characters() {
        let source = "keep;\n\u{e4}\u{f6} stop;".as_bytes();
        let lines = Lines::new(source);
        let at = source.windows(4).position(|w| w == b"stop").unwrap();
        assert_eq!(lines.position(source, at), Position { line: 2, column: 4 });
        assert_eq!(lines.position(source, 0), Position { line: 1, column: 1 });
        assert_eq!(lines.position(source, 999).line, 2);
    }
}
