use crate::{Delimiter, ListPattern};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Piece {
    One(char),
    /// `*`: anything.
    All,
    /// `%`: anything but the delimiter.
    Level,
}

impl ListPattern {
    /// The pattern behind a reference name (RFC 9051 §6.3.9): put together,
    /// unless the pattern begins at the root.
    #[must_use]
    pub fn behind(&self, reference: &str, delimiter: Option<Delimiter>) -> Self {
        let rooted = delimiter.is_some_and(|delimiter| {
            self.as_str().starts_with(delimiter.as_char()) && !reference.is_empty()
        });
        if rooted || reference.is_empty() {
            return self.clone();
        }
        let whole = format!("{reference}{}", self.as_str());
        Self::new(&whole).unwrap_or_else(|_| self.clone())
    }

    /// Whether a mailbox name matches: `*` is anything, `%` anything but the
    /// delimiter.
    ///
    /// INBOX as the name, or as its first level, is matched in any case.
    /// The time is at most in proportion to name times pattern; patterns made
    /// to backtrack gain nothing.
    #[must_use]
    pub fn matches(&self, name: &str, delimiter: Option<Delimiter>) -> bool {
        let delimiter = delimiter.map(Delimiter::as_char);
        let pieces = pieces(self.as_str());
        if pieces == [Piece::All] {
            return true;
        }
        let first_level = name.split(|one| Some(one) == delimiter).next();
        let inbox = match first_level {
            Some(first) if first.eq_ignore_ascii_case("INBOX") => first.len(),
            _ => 0,
        };
        // Positions in the pattern that the name so far can stand at.
        let mut at = vec![false; pieces.len() + 1];
        if let Some(first) = at.first_mut() {
            *first = true;
        }
        pass_wildcards(&mut at, &pieces);
        let mut next = vec![false; pieces.len() + 1];
        for (offset, one) in name.char_indices() {
            next.fill(false);
            let any_case = offset < inbox;
            for (index, piece) in pieces.iter().enumerate() {
                if at.get(index) != Some(&true) {
                    continue;
                }
                let stays = match piece {
                    Piece::All => true,
                    Piece::Level => Some(one) != delimiter,
                    Piece::One(_) => false,
                };
                let moves = match piece {
                    Piece::One(wanted) if any_case => wanted.eq_ignore_ascii_case(&one),
                    Piece::One(wanted) => *wanted == one,
                    _ => false,
                };
                if let Some(here) = next.get_mut(index).filter(|_| stays) {
                    *here = true;
                }
                if let Some(there) = next.get_mut(index + 1).filter(|_| moves) {
                    *there = true;
                }
            }
            pass_wildcards(&mut next, &pieces);
            std::mem::swap(&mut at, &mut next);
        }
        at.last() == Some(&true)
    }

    /// Whether the pattern holds a wildcard.
    #[must_use]
    pub fn has_wildcard(&self) -> bool {
        self.as_str().contains(['*', '%'])
    }
}

/// A wildcard may stand for nothing.
fn pass_wildcards(at: &mut [bool], pieces: &[Piece]) {
    let mut here = false;
    for (index, slot) in at.iter_mut().enumerate() {
        *slot |= here;
        here = *slot && matches!(pieces.get(index), Some(Piece::All | Piece::Level));
    }
}

/// The pattern with each run of wildcards as one: `*` wins over `%`.
fn pieces(text: &str) -> Vec<Piece> {
    let mut pieces = Vec::with_capacity(text.len());
    for one in text.chars() {
        let piece = match one {
            '*' => Piece::All,
            '%' => Piece::Level,
            one => Piece::One(one),
        };
        match (pieces.last_mut(), piece) {
            (Some(Piece::All), Piece::All | Piece::Level) | (Some(Piece::Level), Piece::Level) => {}
            (Some(last @ Piece::Level), Piece::All) => *last = Piece::All,
            _ => pieces.push(piece),
        }
    }
    pieces
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn matches(pattern: &str, name: &str) -> bool {
        let slash = Delimiter::new('/').unwrap();
        ListPattern::new(pattern)
            .unwrap()
            .matches(name, Some(slash))
    }

    #[test]
    fn table() {
        for (pattern, name, expected) in [
            ("*", "a/b", true),
            ("%", "a", true),
            ("%", "a/b", false),
            ("%/%", "a/b", true),
            ("a/%", "a/", true),
            ("a*c", "a/b/c", true),
            ("a%c", "a/b/c", false),
            ("a%", "a", true),
            ("inbox", "INBOX", true),
            ("inbox/%", "INBOX/x", true),
            ("inbox/x", "INBOX/X", false),
            ("INBOX", "inboxes", false),
            ("~/Mail/%", "~/Mail/foo", true),
            ("", "", true),
            ("", "a", false),
            ("%*%", "a/b", true),
            ("*a*b", "xaxb", true),
            ("Entw%", "Entwürfe", true),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn no_backtracking() {
        let pattern = format!("{}b", "%a*a".repeat(500));
        assert!(!matches(&pattern, &"a".repeat(2000)));
    }

    /// The definition, word for word.
    fn naive(pattern: &[u8], name: &[u8]) -> bool {
        match pattern {
            [] => name.is_empty(),
            [b'*', rest @ ..] => (0..=name.len()).any(|at| naive(rest, &name[at..])),
            [b'%', rest @ ..] => (0..=name.len())
                .take_while(|at| !name[..*at].contains(&b'/'))
                .any(|at| naive(rest, &name[at..])),
            [one, rest @ ..] => name.first() == Some(one) && naive(rest, &name[1..]),
        }
    }

    proptest! {
        #[test]
        fn as_defined(pattern in "[ab/*%]{0,8}", name in "[ab/]{0,10}") {
            prop_assert_eq!(matches(&pattern, &name), naive(pattern.as_bytes(), name.as_bytes()));
        }
    }
}
