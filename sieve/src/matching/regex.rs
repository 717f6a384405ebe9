//! `:regex` (draft-ietf-sieve-regex): POSIX extended expressions in linear time.
//!
//! Whether there is a match is a question for the fast engine. What the groups hold is asked only when variables are
//! in use: a walk over the automaton keeps one thread per state, the one POSIX prefers: leftmost, then longest, then
//! each group in turn as early and as long as can be.

use regex_automata::meta;
use regex_automata::nfa::thompson::{self, NFA, State};
use regex_automata::util::primitives::StateID;
use regex_automata::util::syntax;

use super::comparator::Comparator;
use super::{CAPTURES, Ranges};
use crate::LoadError;
use crate::binary::{Code, Reader};

/// Longest pattern: marks that repeat marks (`a****…`) cost its square.
const PATTERN_OCTETS: usize = 8192;

#[derive(Clone, Debug)]
pub(crate) struct Regex {
    /// As written, to be compiled again where a script is loaded.
    pattern: Box<str>,
    comparator: Comparator,
    find: meta::Regex,
    nfa: NFA,
    /// Slots of one thread: two for each group, hidden ones included.
    slots: usize,
    /// The automaton's numbers of the script's groups, in order.
    groups: Vec<usize>,
}

impl Regex {
    pub(crate) fn new(comparator: Comparator, pattern: &[u8], size: usize) -> Result<Self, String> {
        let written =
            std::str::from_utf8(pattern).map_err(|_| "it is not valid UTF-8".to_owned())?;
        if written.len() > PATTERN_OCTETS {
            return Err(format!("it is longer than {PATTERN_OCTETS} octets"));
        }
        let translated = Translator::run(written, comparator)?;
        let config = syntax::Config::new()
            .dot_matches_new_line(true)
            .unicode(true)
            .utf8(false)
            .nest_limit(64);
        let nfa = thompson::Compiler::new()
            .syntax(config)
            .configure(
                thompson::Config::new()
                    .utf8(false)
                    .nfa_size_limit(Some(size)),
            )
            .build(&translated)
            .map_err(|fault| explain(&fault.to_string()))?;
        let find = meta::Regex::builder()
            .syntax(config)
            .configure(
                meta::Config::new()
                    .utf8_empty(false)
                    .nfa_size_limit(Some(size))
                    .onepass(false),
            )
            .build(&translated)
            .map_err(|fault| explain(&fault.to_string()))?;
        let info = nfa.group_info();
        let pattern = regex_automata::PatternID::ZERO;
        let groups = (1..=CAPTURES)
            .map_while(|number| info.to_index(pattern, &format!("g{number}")))
            .collect();
        let slots = info.group_len(pattern) * 2;
        Ok(Self {
            pattern: written.into(),
            comparator,
            find,
            nfa,
            slots,
            groups,
        })
    }

    /// Octets that it takes, caches aside.
    pub(crate) fn octets(&self) -> usize {
        self.find.memory_usage() + self.nfa.memory_usage()
    }

    pub(crate) fn matches(&self, value: &[u8], ranges: Option<&mut Ranges>) -> bool {
        let Some(ranges) = ranges else {
            return self.find.is_match(value);
        };
        let Some(found) = self.find.find(value) else {
            return false;
        };
        // Both rules agree on where a leftmost match begins.
        let start = found.start();
        let (end, slots) = self
            .longest(value, start)
            .unwrap_or_else(|| (found.end(), Vec::new()));
        ranges.clear();
        ranges.push((start, end));
        for &group in &self.groups {
            let slot = |at: usize| slots.get(at).copied().flatten();
            let range = slot(2 * group).zip(slot(2 * group + 1));
            // A group that took no part holds the empty string.
            ranges.push(range.unwrap_or((0, 0)));
        }
        true
    }

    /// The longest match from `start` and its group slots.
    fn longest(&self, value: &[u8], start: usize) -> Option<(usize, Slots)> {
        let states = self.nfa.states().len();
        let mut current = Threads::new(states);
        let mut next = Threads::new(states);
        let mut best = None;
        current.add(
            self,
            value,
            start,
            self.nfa.start_anchored(),
            vec![None; self.slots],
        );
        for at in start..=value.len() {
            if current.order.is_empty() {
                break;
            }
            for &id in &current.order {
                let Some(slots) = current.slots.get(id.as_usize()).and_then(Option::as_ref) else {
                    continue;
                };
                let target = match self.nfa.state(id) {
                    State::Match { .. } => {
                        best = Some((at, slots.clone()));
                        continue;
                    }
                    State::ByteRange { trans } => trans.matches(value, at).then_some(trans.next),
                    State::Sparse(sparse) => sparse.matches(value, at),
                    State::Dense(dense) => dense.matches(value, at),
                    _ => None,
                };
                if let Some(target) = target {
                    next.add(self, value, at + 1, target, slots.clone());
                }
            }
            current.clear();
            std::mem::swap(&mut current, &mut next);
        }
        best
    }
}

impl Code for Regex {
    fn put(&self, out: &mut Vec<u8>) {
        self.pattern.as_ref().to_owned().put(out);
        self.comparator.put(out);
    }

    fn get(from: &mut Reader<'_>) -> Result<Self, LoadError> {
        let pattern = String::get(from)?;
        let comparator = Comparator::get(from)?;
        let regex = Self::new(comparator, pattern.as_bytes(), from.regex_size)
            .map_err(|_| from.malformed())?;
        from.take_regex(regex.octets())?;
        Ok(regex)
    }
}

type Slots = Vec<Option<usize>>;

/// The live states with the slots of the thread that got there in the preferred way.
struct Threads {
    order: Vec<StateID>,
    slots: Vec<Option<Slots>>,
}

impl Threads {
    fn new(states: usize) -> Self {
        Self {
            order: Vec::new(),
            slots: vec![None; states],
        }
    }

    fn clear(&mut self) {
        for id in self.order.drain(..) {
            if let Some(slots) = self.slots.get_mut(id.as_usize()) {
                *slots = None;
            }
        }
    }

    /// Adds a state and all that is reached from it without input.
    fn add(&mut self, regex: &Regex, value: &[u8], at: usize, state: StateID, slots: Slots) {
        let mut pending = vec![(state, slots)];
        while let Some((id, mut slots)) = pending.pop() {
            let Some(known) = self.slots.get_mut(id.as_usize()) else {
                continue;
            };
            match known {
                Some(known) if !preferred(&slots, known) => continue,
                Some(_) => {}
                None => self.order.push(id),
            }
            *known = Some(slots.clone());
            match regex.nfa.state(id) {
                State::Look { look, next }
                    if regex.nfa.look_matcher().matches(*look, value, at) =>
                {
                    pending.push((*next, slots));
                }
                State::Union { alternates } => {
                    pending.extend(alternates.iter().rev().map(|&next| (next, slots.clone())));
                }
                State::BinaryUnion { alt1, alt2 } => {
                    pending.push((*alt2, slots.clone()));
                    pending.push((*alt1, slots));
                }
                State::Capture { next, slot, .. } => {
                    if let Some(place) = slots.get_mut(slot.as_usize()) {
                        *place = Some(at);
                    }
                    // A group entered anew is open: its old end says nothing.
                    if slot.as_usize() % 2 == 0
                        && let Some(end) = slots.get_mut(slot.as_usize() + 1)
                    {
                        *end = None;
                    }
                    pending.push((*next, slots));
                }
                _ => {}
            }
        }
    }
}

/// Whether `new` is strictly preferred over `old`: group by group, the earlier start, then the later end.
fn preferred(new: &Slots, old: &Slots) -> bool {
    for (new, old) in new.chunks(2).zip(old.chunks(2)).skip(1) {
        let start = |pair: &[Option<usize>]| pair.first().copied().flatten();
        let end = |pair: &[Option<usize>]| pair.get(1).copied().flatten();
        match (start(new), start(old)) {
            (Some(a), Some(b)) if a != b => return a < b,
            (Some(_), None) => return true,
            (None, Some(_)) => return false,
            _ => {}
        }
        match (end(new), end(old)) {
            (Some(a), Some(b)) if a != b => return a > b,
            (Some(_), None) => return true,
            (None, Some(_)) => return false,
            _ => {}
        }
    }
    false
}

fn explain(fault: &str) -> String {
    if fault.contains("size limit") || fault.contains("exceed") {
        return "it is too large once compiled".to_owned();
    }
    let last = fault.lines().rev().find(|line| !line.trim().is_empty());
    last.unwrap_or(fault)
        .trim()
        .trim_start_matches("error: ")
        .to_owned()
}

/// POSIX ERE into the syntax of the engine.
struct Translator<'p> {
    input: std::iter::Peekable<std::str::Chars<'p>>,
    out: String,
    casemap: bool,
    /// Where the last atom begins in `out`, if a repetition may follow.
    atom: Option<usize>,
    /// Where each open group begins in `out`.
    groups: Vec<usize>,
    /// Groups seen.
    count: usize,
}

impl<'p> Translator<'p> {
    fn run(pattern: &'p str, comparator: Comparator) -> Result<String, String> {
        let mut translator = Self {
            input: pattern.chars().peekable(),
            out: String::with_capacity(pattern.len() + 8),
            casemap: comparator != Comparator::Octet,
            atom: None,
            groups: Vec::new(),
            count: 0,
        };
        while let Some(c) = translator.input.next() {
            translator.step(c)?;
        }
        if !translator.groups.is_empty() {
            return Err("a group is never closed".to_owned());
        }
        Ok(translator.out)
    }

    fn begin(&mut self) {
        self.atom = Some(self.out.len());
    }

    fn step(&mut self, c: char) -> Result<(), String> {
        match c {
            '(' => {
                self.groups.push(self.out.len());
                self.count += 1;
                self.out.push_str(&format!("(?P<g{}>", self.count));
                self.atom = None;
            }
            ')' => {
                let Some(start) = self.groups.pop() else {
                    return Err("a closing parenthesis without its opening one".to_owned());
                };
                self.out.push(')');
                self.atom = Some(start);
            }
            '|' => {
                self.out.push('|');
                self.atom = None;
            }
            '^' | '$' => {
                self.out.push(c);
                self.atom = None;
            }
            '.' => {
                self.begin();
                self.out.push('.');
            }
            '*' | '+' | '?' => self.repeat(&c.to_string())?,
            '{' => {
                let mut bounds = String::new();
                loop {
                    match self.input.next() {
                        Some('}') => break,
                        Some(c) if c.is_ascii_digit() || c == ',' => bounds.push(c),
                        _ => {
                            return Err(
                                "the bounds within braces are not of the form {m,n}".to_owned()
                            );
                        }
                    }
                }
                let bounds = if bounds.starts_with(',') {
                    format!("0{bounds}")
                } else {
                    bounds
                };
                if bounds.is_empty() {
                    return Err("empty braces".to_owned());
                }
                self.repeat(&format!("{{{bounds}}}"))?;
            }
            '[' => self.bracket()?,
            '\\' => {
                let Some(escaped) = self.input.next() else {
                    return Err("it ends with a lone backslash".to_owned());
                };
                match escaped {
                    'w' | 'W' | 's' | 'S' => {
                        self.begin();
                        self.out.push('\\');
                        self.out.push(escaped);
                    }
                    'b' | 'B' => {
                        self.out.push('\\');
                        self.out.push(escaped);
                        self.atom = None;
                    }
                    '<' => self.out.push_str("\\b{start}"),
                    '>' => self.out.push_str("\\b{end}"),
                    '1'..='9' => {
                        return Err(
                            "back-references are not part of extended expressions".to_owned()
                        );
                    }
                    other => self.literal(other),
                }
            }
            other => self.literal(other),
        }
        Ok(())
    }

    fn literal(&mut self, c: char) {
        self.begin();
        if self.casemap && c.is_ascii_alphabetic() {
            let (lower, upper) = (c.to_ascii_lowercase(), c.to_ascii_uppercase());
            self.out.extend(['[', lower, upper, ']']);
        } else {
            push_escaped(&mut self.out, c);
        }
    }

    fn repeat(&mut self, mark: &str) -> Result<(), String> {
        let Some(start) = self.atom else {
            return Err(format!("`{mark}` has nothing to repeat"));
        };
        self.out.insert(start, '(');
        self.out.push_str(mark);
        self.out.push(')');
        Ok(())
    }

    /// After `[`: within, a backslash is a backslash.
    fn bracket(&mut self) -> Result<(), String> {
        const OPEN: &str = "a bracket is never closed";
        self.begin();
        if self.casemap {
            self.out.push_str("(?i:");
        }
        self.out.push('[');
        if self.input.next_if_eq(&'^').is_some() {
            self.out.push('^');
        }
        let mut first = true;
        loop {
            let c = self.input.next().ok_or(OPEN)?;
            match c {
                ']' if !first => break,
                '[' if matches!(self.input.peek(), Some(':')) => {
                    self.input.next();
                    let mut name = String::new();
                    loop {
                        match self.input.next().ok_or(OPEN)? {
                            ':' => break,
                            c => name.push(c),
                        }
                    }
                    if self.input.next() != Some(']') {
                        return Err(OPEN.to_owned());
                    }
                    self.out.push_str("[:");
                    self.out.push_str(&name);
                    self.out.push_str(":]");
                }
                '[' if matches!(self.input.peek(), Some('.' | '=')) => {
                    return Err("collating symbols are not supported".to_owned());
                }
                '-' if !first && !matches!(self.input.peek(), Some(']') | None) => {
                    self.out.push('-')
                }
                other => push_escaped(&mut self.out, other),
            }
            first = false;
        }
        self.out.push(']');
        if self.casemap {
            self.out.push(')');
        }
        Ok(())
    }
}

/// Behind a backslash `<` and `>` are no characters for the engine, but the edges of words.
fn push_escaped(out: &mut String, c: char) {
    if c.is_ascii_punctuation() && !matches!(c, '<' | '>') {
        out.push('\\');
    }
    out.push(c);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn groups(pattern: &str, value: &str) -> Option<Vec<String>> {
        let regex = Regex::new(Comparator::AsciiCasemap, pattern.as_bytes(), 1 << 20).unwrap();
        let mut ranges = Vec::new();
        regex.matches(value.as_bytes(), Some(&mut ranges)).then(|| {
            ranges
                .iter()
                .map(|&(a, b)| value[a..b].to_owned())
                .collect()
        })
    }

    #[test]
    fn leftmost_longest() {
        assert_eq!(groups("a|ab|abc", "xabcd").unwrap(), ["abc"]);
        assert_eq!(
            groups("(a|ab)(c|bcd)(d*)", "abcd").unwrap(),
            ["abcd", "ab", "c", "d"]
        );
        assert_eq!(
            groups("(wee|week)(knights|night)", "weeknights").unwrap()[1..],
            ["wee", "knights"]
        );
        assert_eq!(groups("(x)?y", "y").unwrap(), ["y", ""]);
        assert_eq!(
            groups("(.*)@(.*)\\.com", "a@b.c.COM").unwrap()[1..],
            ["a", "b.c"]
        );
    }

    #[test]
    fn angle_brackets() {
        assert_eq!(
            groups("<([^<>]*)>", "Ann <ann@example.org>").unwrap(),
            ["<ann@example.org>", "ann@example.org"]
        );
        assert_eq!(groups("<b", "ab b"), None);
        assert!(groups("^\\<b\\>", "b c").is_some());
    }

    #[test]
    fn groups_without_overlap() {
        assert_eq!(
            groups("([^+]+)\\+([^@-]+)-?([^@]*)@", "me+lists-foo@x").unwrap()[1..],
            ["me", "lists", "foo"]
        );
    }

    #[test]
    fn brackets_hold_backslashes() {
        assert!(groups("^[\\.]$", "\\").is_some());
        assert!(groups("^[]a-]+$", "]-A").is_some());
        assert!(groups("^[^]]$", "]").is_none());
        assert!(groups("^[[:digit:]]{2,}$", "123").is_some());
        assert!(groups("a{,2}b", "aab").is_some());
        assert!(groups("^(a*)?$", "aa").is_some());
    }

    #[test]
    fn faults_are_named() {
        for pattern in [
            "(",
            ")",
            "*a",
            "[a",
            "a{x}",
            "\\",
            "(a)\\1",
            "[[.x.]]",
            "((a{999}){999}){999}",
        ] {
            assert!(
                Regex::new(Comparator::Octet, pattern.as_bytes(), 1 << 20).is_err(),
                "{pattern}"
            );
        }
    }
}
