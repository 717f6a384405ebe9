//! The same expression for `regex-automata`, which needs no more than syntax over octets.

use std::fmt::Write;

use regex_automata::dfa::{StartKind, dense};
use regex_automata::hybrid::dfa::DFA;
use regex_automata::nfa::thompson;
use regex_automata::util::prefilter::Prefilter;
use regex_automata::util::syntax;
use regex_automata::{MatchKind, meta};

use super::ast::{ByteSet, Node, Repeat};
use super::count::Counter;

fn octets() -> syntax::Config {
    syntax::Config::new()
        .unicode(false)
        .utf8(false)
        .nest_limit(10_000)
}

/// An engine that tells whether there is a match.
pub(super) fn presence(tree: &Node) -> Option<meta::Regex> {
    meta::Builder::new()
        .syntax(octets())
        .configure(
            meta::Config::new()
                .utf8_empty(false)
                .nfa_size_limit(Some(64 << 20)),
        )
        .build(&pattern(tree))
        .ok()
}

/// An engine that tells the first position where a match ends.
pub(super) fn counter(tree: &Node) -> Option<Counter> {
    let pattern = pattern(tree);
    // What a match begins with is looked for faster than octet by octet.
    let prefilter = syntax::parse_with(&pattern, &octets())
        .ok()
        .and_then(|hir| Prefilter::from_hir_prefix(MatchKind::All, &hir));
    let dfa = DFA::builder()
        .syntax(octets())
        .thompson(
            thompson::Config::new()
                .utf8(false)
                .nfa_size_limit(Some(64 << 20)),
        )
        .configure(
            DFA::config()
                .match_kind(MatchKind::All)
                .specialize_start_states(prefilter.is_some())
                .prefilter(prefilter)
                .skip_cache_capacity_check(true),
        )
        .build(&pattern)
        .ok()?;
    Some(Counter::new(dfa, tree))
}

/// The same with all states; those that few octets leave skip to these. None if they take much room: an expression may
/// have as many states as a text has octets, and what is compiled is kept.
pub(super) fn dense(tree: &Node) -> Option<dense::DFA<Vec<u32>>> {
    dense::Builder::new()
        .syntax(octets())
        .thompson(
            thompson::Config::new()
                .utf8(false)
                .nfa_size_limit(Some(1 << 20)),
        )
        .configure(
            dense::Config::new()
                .match_kind(MatchKind::All)
                .start_kind(StartKind::Unanchored)
                .accelerate(true)
                .dfa_size_limit(Some(64 << 10))
                .determinize_size_limit(Some(256 << 10)),
        )
        .build(&pattern(tree))
        .ok()
}

fn pattern(tree: &Node) -> String {
    let mut out = String::new();
    write_node(&mut out, tree);
    out
}

/// Writing to a `String` cannot fail, so the results are dropped.
fn write_node(out: &mut String, node: &Node) {
    match node {
        Node::Set(set) => write_set(out, set),
        Node::Mark => {}
        Node::Anchor { last: false } => out.push_str(r"(?:\A\n)"),
        // Nothing follows, so consuming the imaginary last newline makes no difference here.
        Node::Anchor { last: true } => out.push_str(r"(?:\A\n|\n\z)"),
        Node::Repeat(inner, repeat) => {
            out.push_str("(?:");
            write_node(out, inner);
            out.push_str(match repeat {
                Repeat::Star => ")*",
                Repeat::Plus => ")+",
                Repeat::Optional => ")?",
            });
        }
        Node::Sequence(pieces) => pieces.iter().for_each(|piece| write_node(out, piece)),
        Node::Alternatives(branches) => {
            for (index, branch) in branches.iter().enumerate() {
                out.push_str(if index == 0 { "(?:" } else { "|" });
                write_node(out, branch);
            }
            out.push(')');
        }
    }
}

fn write_set(out: &mut String, set: &ByteSet) {
    out.push('[');
    let mut start: Option<u16> = None;
    for value in 0..=256_u16 {
        let inside = u8::try_from(value).is_ok_and(|byte| set.contains(byte));
        match start {
            None if inside => start = Some(value),
            Some(first) if !inside => {
                let _ = write!(out, r"\x{:02x}-\x{:02x}", first, value - 1);
                start = None;
            }
            _ => {}
        }
    }
    if out.ends_with('[') {
        // The empty class: matches nothing.
        out.push_str(r"^\x00-\xff");
    }
    out.push(']');
}
