//! Expressions: from procmail's, which see all lines at once, to POSIX ones on one value.

use std::fmt::Write as _;

use crate::regex::ast::{ByteSet, Node, Repeat};

/// Why an expression cannot be translated.
pub(super) type Refusal = &'static str;

/// So many fields one expression may name.
const FIELDS: usize = 64;

/// One field an expression asks for, and what it asks of what follows the colon.
pub(super) struct Field {
    pub(super) name: String,
    pub(super) rest: Vec<Node>,
    /// The name may go on: no colon ends it.
    pub(super) open: bool,
}

/// Takes an expression apart that begins with `^` and the name of a field, or several.
pub(super) fn fields(tree: &Node) -> Result<Vec<Field>, Refusal> {
    let mut out = Vec::new();
    line(std::slice::from_ref(tree), &mut out)?;
    Ok(out)
}

fn line(nodes: &[Node], out: &mut Vec<Field>) -> Result<(), Refusal> {
    const UNNAMED: Refusal = "it looks at the whole header, and Sieve at one field";
    let Some((first, rest)) = nodes.split_first() else {
        return Err(UNNAMED);
    };
    match first {
        Node::Sequence(inner) => line(&[inner, rest].concat(), out),
        Node::Alternatives(branches) => branches
            .iter()
            .try_for_each(|branch| line(&[std::slice::from_ref(branch), rest].concat(), out)),
        Node::Set(set) if *set == ByteSet::single(b'\n') => name(String::new(), rest, out),
        _ => Err(UNNAMED),
    }
}

fn name(so_far: String, nodes: &[Node], out: &mut Vec<Field>) -> Result<(), Refusal> {
    const OPEN: Refusal = "it names no field in full, and Sieve looks at fields by their names";
    if out.len() >= FIELDS {
        return Err("it names too many fields");
    }
    let Some((first, rest)) = nodes.split_first() else {
        return Err(OPEN);
    };
    match first {
        Node::Sequence(inner) => name(so_far, &[inner, rest].concat(), out),
        Node::Alternatives(branches) => branches.iter().try_for_each(|branch| {
            name(
                so_far.clone(),
                &[std::slice::from_ref(branch), rest].concat(),
                out,
            )
        }),
        Node::Repeat(inner, Repeat::Optional) => {
            name(
                so_far.clone(),
                &[std::slice::from_ref(&**inner), rest].concat(),
                out,
            )?;
            name(so_far, rest, out)
        }
        Node::Set(set) => match letter(set) {
            Some(b':') if !so_far.is_empty() => {
                out.push(Field {
                    name: capitalised(&so_far),
                    rest: rest.to_vec(),
                    open: false,
                });
                Ok(())
            }
            Some(byte) if byte.is_ascii_alphanumeric() || b"-_".contains(&byte) => {
                name(so_far + &char::from(byte).to_string(), rest, out)
            }
            _ => Err(OPEN),
        },
        any if is_any(any)
            && FAMILIAR
                .iter()
                .any(|name| name.eq_ignore_ascii_case(&so_far)) =>
        {
            out.push(Field {
                name: capitalised(&so_far),
                rest: nodes.to_vec(),
                open: true,
            });
            Ok(())
        }
        _ => Err(OPEN),
    }
}

/// A field's name as it is mostly written.
fn capitalised(name: &str) -> String {
    let mut start = true;
    name.chars()
        .map(|letter| {
            let shown = if start {
                letter.to_ascii_uppercase()
            } else {
                letter
            };
            start = letter == '-';
            shown
        })
        .collect()
}

/// Fields whose names are commonly written without the colon.
const FAMILIAR: [&str; 8] = [
    "From", "To", "Cc", "Subject", "Sender", "Reply-To", "List-Id", "Received",
];

/// The one character of a set; a letter may be there in both cases.
fn letter(set: &ByteSet) -> Option<u8> {
    let mut found = (0..=u8::MAX).filter(|byte| set.contains(*byte));
    let (first, second) = (found.next()?, found.next());
    let fits = match second {
        None => true,
        Some(second) => first.eq_ignore_ascii_case(&second) && found.next().is_none(),
    };
    fits.then_some(second.unwrap_or(first))
}

fn nullable(node: &Node) -> bool {
    match node {
        Node::Set(_) | Node::Anchor { .. } => false,
        Node::Mark => true,
        Node::Repeat(inner, Repeat::Plus) => nullable(inner),
        Node::Repeat(..) => true,
        Node::Sequence(nodes) => nodes.iter().all(nullable),
        Node::Alternatives(nodes) => nodes.iter().any(nullable),
    }
}

/// What is left of a sequence behind one blank: the one between a field's colon and its value.
pub(super) fn behind_blank(nodes: &[Node]) -> Option<Node> {
    let (first, rest) = nodes.split_first()?;
    let direct = derive(first).map(|left| joined(left, rest));
    let skipped = if nullable(first) {
        behind_blank(rest)
    } else {
        None
    };
    either(direct, skipped)
}

fn joined(left: Node, rest: &[Node]) -> Node {
    let mut nodes = match left {
        Node::Sequence(nodes) => nodes,
        other => vec![other],
    };
    nodes.extend_from_slice(rest);
    Node::Sequence(nodes)
}

fn either(one: Option<Node>, other: Option<Node>) -> Option<Node> {
    match (one, other) {
        (Some(one), Some(other)) if one == other => Some(one),
        (Some(one), Some(other)) => Some(Node::Alternatives(vec![one, other])),
        (one, other) => one.or(other),
    }
}

fn derive(node: &Node) -> Option<Node> {
    match node {
        Node::Set(set) => set.contains(b' ').then(|| Node::Sequence(Vec::new())),
        Node::Mark | Node::Anchor { .. } => None,
        Node::Repeat(inner, Repeat::Optional) => derive(inner),
        Node::Repeat(inner, _) => {
            let again = Node::Repeat(inner.clone(), Repeat::Star);
            derive(inner).map(|left| joined(left, &[again]))
        }
        Node::Sequence(nodes) => behind_blank(nodes),
        Node::Alternatives(nodes) => nodes.iter().map(derive).fold(None, either),
    }
}

/// Splices sequences into one.
pub(super) fn flat(node: &Node) -> Vec<Node> {
    match node {
        Node::Sequence(nodes) => nodes.iter().flat_map(flat).collect(),
        other => vec![other.clone()],
    }
}

pub(super) fn is_any(node: &Node) -> bool {
    let any = ByteSet::single(b'\n').negated();
    matches!(node, Node::Repeat(inner, Repeat::Star) if matches!(**inner, Node::Set(set) if set == any))
}

/// The text, if the nodes are nothing but characters, and Sieve takes it for no variable (RFC 5229 §3)
/// and no encoded character (RFC 5228 §2.4.2.4).
pub(super) fn literal(nodes: &[Node]) -> Option<String> {
    let text: Option<String> = nodes
        .iter()
        .map(|node| match node {
            Node::Set(set) => letter(set)
                .filter(|byte| byte.is_ascii_graphic() || *byte == b' ')
                .map(char::from),
            _ => None,
        })
        .collect();
    text.filter(|text| !text.contains("${"))
}

/// What newlines are where the expression is searched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lines {
    /// There are none: the value of a field, or of a variable.
    One,
    /// The body, with CRLF.
    Many,
}

/// Writes a POSIX expression. `start` and `end` tell whether the nodes begin and end the whole
/// expression.
pub(super) fn posix(nodes: &[Node], lines: Lines) -> Result<String, Refusal> {
    let mut out = String::new();
    write(&mut out, nodes, lines, true, true)?;
    Ok(out)
}

fn write(
    out: &mut String,
    nodes: &[Node],
    lines: Lines,
    start: bool,
    end: bool,
) -> Result<(), Refusal> {
    let last = nodes.len().saturating_sub(1);
    for (index, node) in nodes.iter().enumerate() {
        let (start, end) = (start && index == 0, end && index == last);
        match node {
            Node::Set(set) => write_set(out, set, lines, start, end)?,
            Node::Mark => return Err("it sets MATCH, which Sieve cannot do in this way"),
            Node::Anchor { last: false } if start => out.push('^'),
            Node::Anchor { last: true } if end && !start => out.push('$'),
            Node::Anchor { .. } => return Err("it has a ^^ in the middle"),
            Node::Repeat(inner, repeat) => {
                // What repeats is neither the start nor the end: it may come again.
                match &**inner {
                    Node::Set(set) => write_set(out, set, lines, false, false)?,
                    other => {
                        out.push('(');
                        write(out, std::slice::from_ref(other), lines, false, false)?;
                        out.push(')');
                    }
                }
                out.push(match repeat {
                    Repeat::Star => '*',
                    Repeat::Plus => '+',
                    Repeat::Optional => '?',
                });
            }
            Node::Sequence(inner) => write(out, inner, lines, start, end)?,
            Node::Alternatives(branches) => {
                out.push('(');
                for (index, branch) in branches.iter().enumerate() {
                    if index > 0 {
                        out.push('|');
                    }
                    write(out, std::slice::from_ref(branch), lines, start, end)?;
                }
                out.push(')');
            }
        }
    }
    Ok(())
}

fn write_set(
    out: &mut String,
    set: &ByteSet,
    lines: Lines,
    start: bool,
    end: bool,
) -> Result<(), Refusal> {
    if *set == ByteSet::single(b'\n') {
        match (lines, start, end) {
            (Lines::One, true, _) => out.push('^'),
            (Lines::One, _, true) => out.push('$'),
            (Lines::One, ..) => return Err("it looks across the end of a line"),
            (Lines::Many, true, _) => out.push_str("(^|${hex:0a})"),
            (Lines::Many, _, true) => out.push_str("(${hex:0d}|$)"),
            (Lines::Many, ..) => out.push_str("${hex:0d 0a}"),
        }
        return Ok(());
    }
    if set.contains(b'\n') {
        let others = set.without(b'\n');
        return match (lines, start || end) {
            (Lines::One, true) => {
                out.push('(');
                out.push(if start { '^' } else { '$' });
                out.push('|');
                write_members(out, &others, lines)?;
                out.push(')');
                Ok(())
            }
            (Lines::One, false) => {
                Err("it has a \\< or \\> in the middle, where it looks across the end of a line")
            }
            (Lines::Many, _) => Err("it has a \\< or \\>, which looks across the end of a line"),
        };
    }
    write_members(out, set, lines)
}

fn write_members(out: &mut String, set: &ByteSet, lines: Lines) -> Result<(), Refusal> {
    const RETURN: Refusal =
        "it looks for a carriage return, and in Sieve every line of a body ends in one";
    if lines == Lines::Many && *set == ByteSet::single(b'\r') {
        return Err(RETURN);
    }
    if let Some(byte) = letter(set) {
        if !byte.is_ascii_graphic() && byte != b' ' {
            return if byte.is_ascii() && byte != 0 {
                let _ = write!(out, "${{hex:{byte:02x}}}");
                Ok(())
            } else {
                Err("it has octets beyond ASCII, and Sieve looks at characters")
            };
        }
        if b"\\.[]*+?()|^$".contains(&byte) {
            out.push('\\');
        }
        if matches!(byte, b'{' | b'}') {
            let _ = write!(out, "[{}]", char::from(byte));
        } else {
            out.push(char::from(byte));
        }
        return Ok(());
    }
    let any = ByteSet::single(b'\n').negated();
    if *set == any && lines == Lines::One {
        out.push('.');
        return Ok(());
    }
    let beyond = (0x80..=u8::MAX).filter(|byte| set.contains(*byte)).count();
    let negated = match beyond {
        0 => false,
        128 => true,
        _ => return Err("it has octets beyond ASCII, and Sieve looks at characters"),
    };
    let members = if negated { set.negated() } else { *set };
    let mut members = members.without(b'\n');
    match (lines, negated) {
        (Lines::Many, true) => {
            members.insert(b'\r');
            members.insert(b'\n');
        }
        (Lines::Many, false) if members.contains(b'\r') => return Err(RETURN),
        _ => {}
    }
    bracket(out, &members, negated);
    Ok(())
}

/// A bracket expression: `]` comes first, `^` and `-` last, and nothing is escaped.
fn bracket(out: &mut String, members: &ByteSet, negated: bool) {
    let has = |byte: u8| members.contains(byte);
    out.push_str(if negated { "[^" } else { "[" });
    if has(b']') {
        out.push(']');
    }
    let mut plain = members.without(b']').without(b'-').without(b'^');
    if has(b'[') {
        // In front of a dot, a colon or an equals sign it would begin a class.
        plain = plain.without(b'[');
    }
    let mut byte = 0_u8;
    while byte < 0x80 {
        if !plain.contains(byte) {
            byte += 1;
            continue;
        }
        let run = (byte..0x80)
            .take_while(|byte| plain.contains(*byte))
            .count();
        let last = byte + u8::try_from(run).unwrap_or(1) - 1;
        let ends_plainly = byte.is_ascii_alphanumeric() && last.is_ascii_alphanumeric();
        if run > 3 && (ends_plainly || !byte.is_ascii_graphic() || !last.is_ascii_graphic()) {
            character(out, byte);
            out.push('-');
            character(out, last);
        } else {
            (byte..=last).for_each(|byte| character(out, byte));
        }
        byte = last + 1;
    }
    if has(b'[') {
        out.push('[');
    }
    match (has(b'^'), has(b'-')) {
        // In front a `^` would negate the class, and a `-` be a range elsewhere.
        (true, true) if out.ends_with('[') => out.push_str("-^"),
        (true, true) => out.push_str("^-"),
        (true, false) => out.push('^'),
        (false, true) => out.push('-'),
        (false, false) => {}
    }
    out.push(']');
}

fn character(out: &mut String, byte: u8) {
    if byte.is_ascii_graphic() || byte == b' ' {
        out.push(char::from(byte));
    } else {
        let _ = write!(out, "${{hex:{byte:02x}}}");
    }
}
