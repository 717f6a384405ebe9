/// The boundaries of all open multiparts, outermost first.
#[derive(Clone, Debug, Default)]
pub(super) struct Boundaries {
    octets: Vec<u8>,
    /// End of each boundary in `octets`, and how many parts are open down to its multipart.
    ends: Vec<(usize, usize)>,
    longest: usize,
}

/// What a line that begins with `--` turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Delimiter {
    /// Which boundary, counted from the outermost.
    pub(super) index: usize,
    /// Parts open down to and with the multipart.
    pub(super) open: usize,
    /// Octets of the line through the boundary and, if it closes, its two dashes.
    pub(super) len: usize,
    /// Followed by `--`: no more parts.
    pub(super) closes: bool,
}

impl Boundaries {
    pub(super) fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Octets at the front of a line that decide whether it is a delimiter.
    pub(super) fn needed(&self) -> usize {
        self.longest + 4
    }

    pub(super) fn push(&mut self, boundary: &[u8], open: usize) {
        self.octets.extend_from_slice(boundary);
        self.ends.push((self.octets.len(), open));
        self.longest = self.longest.max(boundary.len());
    }

    /// Keeps the outermost `count`.
    pub(super) fn truncate(&mut self, count: usize) {
        self.ends.truncate(count);
        let end = self.ends.last().map_or(0, |&(end, _)| end);
        self.octets.truncate(end);
        let mut start = 0;
        self.longest = 0;
        for &(end, _) in &self.ends {
            self.longest = self.longest.max(end - start);
            start = end;
        }
    }

    /// Compares a line, given without its line end, with all boundaries.
    ///
    /// RFC 2046 §5.1.1: a delimiter line consists of the boundary and white space; here more may
    /// follow the white space, or the two dashes of a closing one. If two boundaries fit (`a--` and
    /// `a`) the longer wins, among equal ones the innermost.
    pub(super) fn find(&self, line: &[u8]) -> Option<Delimiter> {
        let text = line.strip_prefix(b"--")?;
        let mut best: Option<(usize, usize, usize)> = None;
        let mut start = 0;
        for (index, &(end, open)) in self.ends.iter().enumerate() {
            let boundary = self.octets.get(start..end).unwrap_or_default();
            start = end;
            let fits = best.is_none_or(|(_, _, len)| boundary.len() >= len)
                && text.strip_prefix(boundary).is_some_and(|after| {
                    matches!(after, [] | [b' ' | b'\t' | b'\r', ..] | [b'-', b'-', ..])
                });
            if fits {
                best = Some((index, open, boundary.len()));
            }
        }
        let (index, open, len) = best?;
        let closes = text
            .get(len..)
            .is_some_and(|after| after.starts_with(b"--"));
        Some(Delimiter {
            index,
            open,
            len: len + if closes { 4 } else { 2 },
            closes,
        })
    }
}
