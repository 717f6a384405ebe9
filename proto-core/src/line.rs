use memchr::memchr;

/// Finds line ends in a growing buffer, looking at each octet once.
///
/// Only CRLF ends a line. A LF without its CR is reported as
/// [`Scan::BareLf`], for the machine to refuse or (by a named switch of its
/// configuration) to tolerate. A line longer than the limit is thrown away
/// piece by piece, so that an endless line costs no memory, and reported once
/// when its end is found.
///
/// The scanner remembers how far it has looked: between two calls the host
/// may only append to the buffer, and after a step that says `consumed` the
/// machine removes those octets from the front.
///
/// ```
/// use proto_core::{LineScanner, Scan};
///
/// let mut scanner = LineScanner::default();
/// assert_eq!(scanner.scan(b"NOO", 512), Scan::Partial);
/// assert_eq!(scanner.scan(b"NOOP\r\nQUIT", 512), Scan::Line { len: 4, consumed: 6 });
/// ```
#[derive(Debug, Clone, Default)]
pub struct LineScanner {
    scanned: usize,
    skipping: bool,
}

/// What [`LineScanner::scan`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scan {
    /// A line of `len` octets without its CRLF; remove `consumed` octets.
    Line {
        /// Octets of the line, CRLF not counted.
        len: usize,
        /// Octets to remove from the front of the buffer.
        consumed: usize,
    },
    /// As [`Scan::Line`], but ended by a LF that no CR precedes.
    BareLf {
        /// Octets of the line, LF not counted.
        len: usize,
        /// Octets to remove from the front of the buffer.
        consumed: usize,
    },
    /// No line end yet, and the limit is not reached: append and scan again.
    Partial,
    /// The line is over the limit and has not ended: remove `consumed`
    /// octets, append and scan again.
    Skip {
        /// Octets to remove from the front of the buffer.
        consumed: usize,
    },
    /// The end of a line over the limit: remove `consumed` octets and answer
    /// the peer once.
    TooLong {
        /// Octets to remove from the front of the buffer.
        consumed: usize,
    },
}

impl LineScanner {
    /// Looks for the end of the line at the front of `input`.
    ///
    /// `max` counts octets without the line end. A limit of 510 is the
    /// 512 octets of RFC 5321 §4.5.3.1.4.
    pub fn scan(&mut self, input: &[u8], max: usize) -> Scan {
        let fresh = input.get(self.scanned..).unwrap_or_default();
        let Some(found) = memchr(b'\n', fresh) else {
            return self.no_end(input, max);
        };
        let at = self.scanned + found;
        let ends_in_cr = at
            .checked_sub(1)
            .is_some_and(|before| input.get(before) == Some(&b'\r'));
        let skipping = self.skipping;
        *self = Self::default();
        let consumed = at + 1;
        let len = at - usize::from(ends_in_cr);
        if skipping || len > max {
            Scan::TooLong { consumed }
        } else if ends_in_cr {
            Scan::Line { len, consumed }
        } else {
            Scan::BareLf { len, consumed }
        }
    }

    /// Whether an over-long line is being thrown away.
    #[must_use]
    pub fn is_skipping(&self) -> bool {
        self.skipping
    }

    /// Forgets the position: the buffer's front has changed.
    pub fn reset(&mut self) {
        *self = Self::default();
    }

    fn no_end(&mut self, input: &[u8], max: usize) -> Scan {
        // One more than `max`: the CR of a line of just `max` octets.
        if self.skipping || input.len() > max.saturating_add(1) {
            self.skipping = true;
            self.scanned = 0;
            if input.is_empty() {
                return Scan::Partial;
            }
            return Scan::Skip {
                consumed: input.len(),
            };
        }
        self.scanned = input.len();
        Scan::Partial
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(chunks: &[&[u8]], max: usize) -> Vec<String> {
        let mut scanner = LineScanner::default();
        let mut input = Vec::new();
        let mut seen = Vec::new();
        for chunk in chunks {
            input.extend_from_slice(chunk);
            loop {
                match scanner.scan(&input, max) {
                    Scan::Line { len, consumed } => {
                        seen.push(String::from_utf8_lossy(&input[..len]).into_owned());
                        input.drain(..consumed);
                    }
                    Scan::BareLf { len, consumed } => {
                        seen.push(format!("LF:{}", String::from_utf8_lossy(&input[..len])));
                        input.drain(..consumed);
                    }
                    Scan::TooLong { consumed } => {
                        seen.push("long".into());
                        input.drain(..consumed);
                    }
                    Scan::Skip { consumed } => {
                        input.drain(..consumed);
                    }
                    Scan::Partial => break,
                }
                assert!(input.len() <= chunk.len() + max + 2);
            }
        }
        seen
    }

    #[test]
    fn lines_whole_and_bytewise() {
        let text: &[u8] = b"one\r\n\r\ntwo\nthis is far too long\r\n12345678\r\nend\r\n";
        let whole = run(&[text], 8);
        assert_eq!(whole, ["one", "", "LF:two", "long", "12345678", "end"]);
        let bytes: Vec<&[u8]> = text.chunks(1).collect();
        assert_eq!(run(&bytes, 8), whole);
    }

    #[test]
    fn cr_alone_ends_nothing() {
        assert_eq!(run(&[b"a\rb\r\n"], 80), ["a\rb"]);
        assert_eq!(run(&[b"a\r\r\n"], 80), ["a\r"]);
    }

    #[test]
    fn first_octet_lf() {
        assert_eq!(run(&[b"\n\r\n"], 80), ["LF:", ""]);
    }
}
