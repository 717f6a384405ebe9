use std::ops::Range;

/// A range of octets in a message, counted from its first octet.
///
/// Offsets are 64-bit because a [`Scanner`](crate::Scanner) may walk through a message that never
/// is in memory as a whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Span {
    /// Offset of the first octet.
    pub start: u64,
    /// Offset behind the last octet.
    pub end: u64,
}

impl Span {
    /// The range `start..end`.
    pub const fn new(start: u64, end: u64) -> Self {
        Self { start, end }
    }

    /// Number of octets.
    pub const fn len(self) -> u64 {
        self.end.saturating_sub(self.start)
    }

    /// Whether there are no octets.
    pub const fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// The octets themselves, from the message (cut short if the message is shorter).
    pub fn of(self, message: &[u8]) -> &[u8] {
        let clamp = |at: u64| usize::try_from(at).map_or(message.len(), |at| at.min(message.len()));
        message
            .get(clamp(self.start)..clamp(self.end))
            .unwrap_or_default()
    }
}

impl From<Span> for Range<u64> {
    fn from(span: Span) -> Self {
        span.start..span.end
    }
}
