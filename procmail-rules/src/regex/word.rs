//! Words in expressions, which are looked for many octets at a time.

use std::ops::Range;

use super::ast::{ByteSet, Node};

/// Octets one behind the other: all that they match is of one length, so that the first match to begin is the first to
/// end.
#[derive(Debug)]
pub(super) struct Word {
    sets: Vec<ByteSet>,
    /// The octet of it that is met least, and where in it that is.
    rare: Rare,
    at: usize,
}

/// One octet of few, looked for many octets at a time.
#[derive(Clone, Copy, Debug)]
enum Rare {
    One(u8),
    Two(u8, u8),
    Three(u8, u8, u8),
}

impl Rare {
    fn of(set: &ByteSet) -> Option<Self> {
        let mut octets = (0..=u8::MAX).filter(|byte| set.contains(*byte));
        let found = [octets.next(), octets.next(), octets.next(), octets.next()];
        match found {
            [Some(one), None, ..] => Some(Self::One(one)),
            [Some(one), Some(two), None, _] => Some(Self::Two(one, two)),
            [Some(one), Some(two), Some(three), None] => Some(Self::Three(one, two, three)),
            _ => None,
        }
    }

    fn find(self, text: &[u8]) -> Option<usize> {
        match self {
            Self::One(one) => memchr::memchr(one, text),
            Self::Two(one, two) => memchr::memchr2(one, two, text),
            Self::Three(one, two, three) => memchr::memchr3(one, two, three, text),
        }
    }

    /// About how often it is met in mail: how soon its octets come in a list of the common ones.
    fn rank(self) -> usize {
        const COMMON: &[u8] = b" etaonirshldcum\n0=pf.g1yw2b,v3/:>-k<5468\"79;()_";
        let rank = |byte: u8| {
            let byte = byte.to_ascii_lowercase();
            COMMON
                .iter()
                .position(|common| *common == byte)
                .map_or(0, |at| COMMON.len() - at)
        };
        match self {
            Self::One(one) => rank(one),
            Self::Two(one, two) => rank(one).max(rank(two)),
            Self::Three(one, two, three) => rank(one).max(rank(two)).max(rank(three)),
        }
    }
}

/// The octets of a node that is no more than one octet.
fn octet(node: &Node) -> Option<ByteSet> {
    match node {
        Node::Set(set) => Some(*set),
        _ => None,
    }
}

impl Word {
    /// An expression that is a word.
    pub(super) fn whole(tree: &Node) -> Option<Self> {
        let Node::Sequence(nodes) = tree else {
            return None;
        };
        Self::of(nodes.iter().map(octet).collect::<Option<_>>()?)
    }

    fn of(sets: Vec<ByteSet>) -> Option<Self> {
        let (at, rare) = sets
            .iter()
            .enumerate()
            .filter_map(|(at, set)| Some((at, Rare::of(set)?)))
            .min_by_key(|(_, rare)| rare.rank())?;
        Some(Self { sets, rare, at })
    }

    /// Where it ends first.
    pub(super) fn end(&self, text: &[u8], begin: usize) -> Option<usize> {
        let mut from = begin + self.at;
        loop {
            let rare = from + self.rare.find(text.get(from..)?)?;
            let start = rare - self.at;
            let end = start + self.sets.len();
            let found = text.get(start..end)?;
            if found
                .iter()
                .zip(&self.sets)
                .all(|(byte, set)| set.contains(*byte))
            {
                return Some(end);
            }
            from = rare + 1;
        }
    }
}

/// The lines in which an expression may match: those with a word that is in every match.
#[derive(Debug)]
pub(super) struct Lines(Word);

impl Lines {
    /// None for an expression that matches no word alone, that may match more than a line, or that is nothing but a
    /// word: a search for it needs no help. So many octets at its beginning are no word to look for.
    pub(super) fn of(tree: &Node, known: usize) -> Option<Self> {
        let Node::Sequence(nodes) = tree else {
            return None;
        };
        let newline = [Node::Set(ByteSet::single(b'\n'))];
        let inner = nodes.strip_prefix(&newline).unwrap_or(nodes);
        let inner = inner.strip_suffix(&newline).unwrap_or(inner);
        if inner.iter().all(|node| octet(node).is_some()) || !inner.iter().all(stays) {
            return None;
        }
        inner
            .get(known..)?
            .split(|node| octet(node).is_none())
            .filter(|run| run.len() > 1)
            .filter_map(|run| Word::of(run.iter().filter_map(octet).collect()))
            .min_by_key(|word| word.rare.rank())
            .map(Self)
    }

    /// May the expression match a line that is known to begin as it does?
    pub(super) fn fits(&self, line: &[u8]) -> bool {
        self.0.end(line, 0).is_some()
    }

    /// The next of these lines behind `from`, with the newlines before and behind it.
    pub(super) fn next(&self, text: &[u8], from: usize) -> Option<Range<usize>> {
        let end = self.0.end(text, from)?;
        let start = memchr::memrchr(b'\n', text.get(..end - 1)?).unwrap_or(0);
        let length = memchr::memchr(b'\n', text.get(end..)?);
        Some(start..length.map_or(text.len(), |length| end + length + 1))
    }
}

/// Does all that a node matches lie in one line, whatever stands around it?
fn stays(node: &Node) -> bool {
    match node {
        Node::Set(set) => !set.contains(b'\n'),
        Node::Anchor { .. } => false,
        Node::Mark => true,
        Node::Repeat(inner, _) => stays(inner),
        Node::Sequence(nodes) | Node::Alternatives(nodes) => nodes.iter().all(stays),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Haystack, Regex, frame, lines, walk};
    use crate::limits::Limits;

    /// What is found in the lines that begin with a field's name is what the walk finds.
    #[test]
    fn names_hide_nothing() {
        let expressions = [
            "^Subject:.*report 4$",
            "^Subject:.*report 4",
            "^Subject: *re",
            "^subject:.*\\/t 49",
            "^To:.*(a|b)",
            "^Subject:.*4$To: b",
            "^To:[^x]*ab",
            "^Subject:.*49\\>",
            "^Subject:.*^^",
            "^To:(ab)?.*ab",
            "^To:.*b$^",
        ];
        let texts = [
            "Subject: report 49\nTo: ab\n\n",
            "Subject: report 4\nTo: b\n\n",
            "subject: Report 4",
            "To: x\nTo: abab",
            "Subject:\n",
            "To:",
            "To: ab\n\n",
            "Subject: 4\nTo: b",
            "X-Subject: report 4\nsubject: xre 49",
        ];
        for expression in expressions {
            let regex = Regex::new(expression.as_bytes(), true, &Limits::default()).unwrap();
            for text in texts {
                let framed = frame(text.as_bytes());
                let begins = lines(&framed);
                let found = walk::search(&regex.nfa, &framed, 0).is_some();
                let seen = regex.is_match(Haystack::with_lines(&framed, &begins));
                assert_eq!(seen, found, "{expression} {text:?}");
            }
        }
    }

    /// What is found by lines, or by words, is what the walk over all ways finds.
    #[test]
    fn words_and_lines_hide_nothing() {
        let expressions = [
            "the.*dog",
            "^the.*dog",
            "^the.*dog$",
            "dog.*$",
            "(x|the) *fox",
            "t+he fox",
            "[aeo]x j.*o\\/ver",
            "ab(c|d)*ab",
            "^^the.*dog",
            "fox.*^^",
            "the\\>.*dog",
            "o[^a]*dog",
            "^.*the.*$",
            "aab",
            "fox",
            "abab",
            "(ab|b)ab.x?",
        ];
        let texts = [
            "",
            "the dog",
            "the\ndog",
            "The lazy DOG",
            "x the fox\nthe dog",
            "aaab",
            "ababab",
            "dog the\nthe do\n",
            "\nthe fox jumps over\n\n",
            "tthe fox",
            "abcdab\nabxab",
            "ox jumps over",
            "the dog\n",
            "o\ndog",
            "fofox",
        ];
        for expression in expressions {
            let regex = Regex::new(expression.as_bytes(), true, &Limits::default()).unwrap();
            for text in texts {
                // Both by the automaton for short texts and by the one for long ones.
                for before in ["", &"- ".repeat(40_000)] {
                    let framed = frame(format!("{before}{text}").as_bytes());
                    let haystack = Haystack::framed(&framed);
                    let found = walk::search(&regex.nfa, &framed, 0);
                    assert_eq!(
                        regex.is_match(haystack),
                        found.is_some(),
                        "{expression} {text:?}"
                    );
                    let mut cursor = regex.matches(haystack);
                    let mut position = 0;
                    while position + 2 <= framed.len() {
                        let begin = position + usize::from(framed[position] != b'\n');
                        let end = walk::search(&regex.nfa, &framed, begin).map(|found| found.end);
                        let counted = cursor.advance().map(|(found, _)| found.end);
                        assert_eq!(counted, end, "{expression} {text:?} from {position}");
                        match end {
                            Some(end) if end - 1 > position => position = end - 1,
                            _ => break,
                        }
                    }
                }
            }
        }
    }
}
