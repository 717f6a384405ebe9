//! Conditions: what a recipe asks, as Sieve tests.

use std::fmt::Write as _;

use super::pattern::{Lines, Refusal, behind_blank, fields, flat, is_any, literal, posix};
use super::{Translator, Value};
use crate::ast::{Area, Condition, Flags, Prefixes, Recipe, Test, Word};
use crate::number;
use crate::regex::ast::{ByteSet, Node, Repeat, parse};
use crate::regex::macros;

/// Weighted conditions of one recipe that are turned into tests; each may double their number.
const WEIGHTED: usize = 8;

/// A test, put together.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Cond {
    True,
    False,
    Test(String),
    Not(Box<Cond>),
    All(Vec<Cond>),
    Any(Vec<Cond>),
}

impl Cond {
    fn not(self) -> Self {
        match self {
            Self::True => Self::False,
            Self::False => Self::True,
            Self::Not(inner) => *inner,
            other => Self::Not(Box::new(other)),
        }
    }

    fn all(tests: impl IntoIterator<Item = Self>) -> Self {
        let mut out = Vec::new();
        for test in tests {
            match test {
                Self::True => {}
                Self::False => return Self::False,
                Self::All(inner) => out.extend(inner),
                other => out.push(other),
            }
        }
        match out.len() {
            0 => Self::True,
            1 => out.pop().unwrap_or(Self::True),
            _ => Self::All(out),
        }
    }

    fn any(tests: impl IntoIterator<Item = Self>) -> Self {
        let mut out = Vec::new();
        for test in tests {
            match test {
                Self::False => {}
                Self::True => return Self::True,
                Self::Any(inner) => out.extend(inner),
                other => out.push(other),
            }
        }
        match out.len() {
            0 => Self::False,
            1 => out.pop().unwrap_or(Self::False),
            _ => Self::Any(out),
        }
    }

    pub(super) fn render(&self) -> String {
        let list = |tests: &[Self]| {
            let tests: Vec<String> = tests.iter().map(Self::render).collect();
            tests.join(", ")
        };
        match self {
            Self::True => "true".to_owned(),
            Self::False => "false".to_owned(),
            Self::Test(test) => test.clone(),
            Self::Not(inner) => format!("not {}", inner.render()),
            Self::All(tests) => format!("allof({})", list(tests)),
            Self::Any(tests) => format!("anyof({})", list(tests)),
        }
    }
}

/// A Sieve string.
pub(super) fn text(plain: &str) -> String {
    format!("\"{}\"", escaped(plain))
}

pub(super) fn escaped(plain: &str) -> String {
    plain.replace('\\', "\\\\").replace('"', "\\\"")
}

fn names(fields: &[String]) -> String {
    match fields {
        [only] => text(only),
        _ => {
            let names: Vec<String> = fields.iter().map(|name| text(name)).collect();
            format!("[{}]", names.join(", "))
        }
    }
}

/// What the conditions of a recipe come to.
pub(super) struct Asked {
    pub(super) test: Cond,
    pub(super) differences: Vec<&'static str>,
    /// MATCH, and the group of the last test that holds it.
    pub(super) matched: Option<(&'static str, u32)>,
}

/// One condition, translated.
struct One {
    test: Cond,
    differences: Vec<&'static str>,
    matches: bool,
}

impl One {
    fn exact(test: Cond) -> Self {
        Self {
            test,
            differences: Vec::new(),
            matches: false,
        }
    }
}

impl Translator<'_> {
    pub(super) fn conditions(&mut self, recipe: &Recipe) -> Result<Asked, Refusal> {
        let flags = recipe.flags;
        let mut tests = Vec::new();
        let mut differences = Vec::new();
        if flags.on_error {
            return Err("no action of a script fails without ending it");
        }
        if flags.also || flags.also_succeeded {
            tests.push(Cond::Test("string :is \"${pm_last}\" \"1\"".to_owned()));
        }
        if flags.also_succeeded {
            differences.push("the flag a is taken for A, as no action of a script fails");
        }
        if flags.otherwise {
            tests.push(Cond::Test("string :is \"${pm_prev}\" \"\"".to_owned()));
        }
        if flags.is_chained() {
            self.require("variables");
        }
        let mut weighted = Vec::new();
        let mut matched = None;
        let last = recipe.conditions.len().saturating_sub(1);
        for (index, condition) in recipe.conditions.iter().enumerate() {
            let (prefixes, one) = self.condition(flags, condition)?;
            differences.extend(one.differences);
            if one.matches {
                // A later test would take the groups over.
                if index < last || prefixes.weight.is_some() || prefixes.negated {
                    return Err("it sets MATCH in a condition that is not the last");
                }
                matched = Some(("MATCH", 1));
            }
            let test = if prefixes.negated {
                one.test.not()
            } else {
                one.test
            };
            match prefixes.weight {
                None => tests.push(test),
                Some(weight) => weighted.push((weight, test, prefixes.negated)),
            }
        }
        if !weighted.is_empty() {
            tests.push(score(&weighted)?);
        }
        Ok(Asked {
            test: Cond::all(tests),
            differences,
            matched,
        })
    }

    fn condition(
        &mut self,
        flags: Flags,
        condition: &Condition,
    ) -> Result<(Prefixes, One), Refusal> {
        let mut prefixes = condition.prefixes.clone();
        let one = match &condition.test {
            Test::Regex(text) => self.expression(flags, &prefixes.area, text)?,
            Test::Size { less, limit } => self.size(&prefixes, *less, limit)?,
            Test::Program(_) => return Err("it runs a program"),
            Test::Substituted(word) => {
                let text = self
                    .constant(word)
                    .ok_or("it uses a variable that is known only when the script runs")?;
                prefixes.length = 0;
                prefixes.take(&text);
                let rest = text.get(prefixes.length..).unwrap_or(&[]);
                match rest.first() {
                    Some(b'?') => return Err("it runs a program"),
                    Some(b'$') => return Err("what is substituted asks for substitution again"),
                    Some(sign @ (b'<' | b'>')) => {
                        let limit = Word {
                            pieces: vec![crate::ast::Piece::Text {
                                text: rest.get(1..).unwrap_or(&[]).to_vec(),
                                quoted: true,
                            }],
                            ..Word::default()
                        };
                        self.size(&prefixes, *sign == b'<', &limit)?
                    }
                    _ => self.expression(flags, &prefixes.area, rest)?,
                }
            }
        };
        Ok((prefixes, one))
    }

    fn size(&mut self, prefixes: &Prefixes, less: bool, limit: &Word) -> Result<One, Refusal> {
        if prefixes.area != Area::Flags && prefixes.area != Area::Both {
            return Err("it looks at the size of a part");
        }
        if prefixes.weight.is_some() {
            return Err("it gives points by size");
        }
        let limit = self
            .constant(limit)
            .ok_or("it uses a variable that is known only when the script runs")?;
        let (limit, _) = number::integer(&limit, 10);
        let how = if less { ":under" } else { ":over" };
        let test = match u64::try_from(limit) {
            Ok(limit) => Cond::Test(format!("size {how} {limit}")),
            Err(_) if less => Cond::False,
            Err(_) => Cond::True,
        };
        Ok(One {
            test,
            differences: vec!["sizes count the ends of lines as two octets, and no From line"],
            matches: false,
        })
    }

    fn expression(&mut self, flags: Flags, area: &Area, text: &[u8]) -> Result<One, Refusal> {
        let (expanded, fold) = macros::expand(text, !flags.distinguish_case);
        let daemon = [b"^FROM_DAEMON".as_slice(), b"^FROM_MAILER"]
            .into_iter()
            .any(|key| memchr::memmem::find(text, key).is_some());
        if daemon {
            return self.daemon(text);
        }
        let pattern = expanded.strip_prefix(b"\\").unwrap_or(&expanded);
        let (tree, _) = parse(pattern, fold, 64).map_err(|_| "it is nested too deeply")?;
        if flat(&tree).is_empty() {
            return Ok(One::exact(Cond::True));
        }
        let comparator = if fold { "" } else { " :comparator \"i;octet\"" };
        let body = match area {
            Area::Flags => match (flags.search_header, flags.search_body) {
                (false, true) => true,
                (true, true) => return Err("it looks at header and body as one text"),
                _ => false,
            },
            Area::Header => false,
            Area::Body => true,
            Area::Both => return Err("it looks at header and body as one text"),
            Area::Variable(name) => return self.variable(name, &tree, comparator),
        };
        if body {
            self.body(&tree, comparator)
        } else {
            self.header(&tree, comparator, fold)
        }
    }

    /// An expression as a Sieve string, with what it requires.
    fn pattern(&mut self, pattern: &str) -> String {
        self.require("regex");
        if pattern.contains("${hex:") {
            // Control characters stand there by their numbers (RFC 5228 §2.4.2.4).
            self.require("encoded-character");
        }
        text(pattern)
    }

    fn variable(&mut self, name: &[u8], tree: &Node, comparator: &str) -> Result<One, Refusal> {
        if !matches!(
            self.values.get(name),
            Some(Value::Constant(_) | Value::Dynamic) | None
        ) {
            return Err("it tests a variable that a script does not know");
        }
        const KNOWN: [&[u8]; 5] = [b"HOME", b"LOGNAME", b"HOST", b"LASTFOLDER", b"DEFAULT"];
        if KNOWN.contains(&name) {
            return Err("it tests a variable that a script does not know");
        }
        let name = self
            .sieve_name(name)
            .ok_or("Sieve does not tell capitals in names of variables")?;
        let nodes = flat(tree);
        self.require("variables");
        let value = format!("\"${{{name}}}\"");
        let test = if let Some(plain) = literal(&nodes) {
            format!("string :contains{comparator} {value} {}", text(&plain))
        } else {
            let pattern = self.pattern(&posix(&nodes, Lines::One)?);
            format!("string :regex{comparator} {value} {pattern}")
        };
        Ok(One::exact(Cond::Test(test)))
    }

    fn body(&mut self, tree: &Node, comparator: &str) -> Result<One, Refusal> {
        let nodes = flat(tree);
        self.require("body");
        let test = if let Some(plain) = literal(&nodes) {
            format!("body :raw :contains{comparator} {}", text(&plain))
        } else {
            let pattern = self.pattern(&posix(&nodes, Lines::Many)?);
            format!("body :raw :regex{comparator} {pattern}")
        };
        Ok(One::exact(Cond::Test(test)))
    }

    fn header(&mut self, tree: &Node, comparator: &str, fold: bool) -> Result<One, Refusal> {
        // The names of one expression that ask the same of the value go into one test.
        let mut groups: Vec<(Vec<String>, Vec<Node>)> = Vec::new();
        let mut one = One::exact(Cond::False);
        for field in fields(tree)? {
            if field.open {
                one.differences.push(
                    "without the colon procmail finds the envelope and fields with longer names, too",
                );
            }
            match groups.iter_mut().find(|(_, rest)| *rest == field.rest) {
                Some((names, _)) => {
                    if !names
                        .iter()
                        .any(|name| name.eq_ignore_ascii_case(&field.name))
                    {
                        names.push(field.name);
                    }
                }
                None => groups.push((vec![field.name], field.rest)),
            }
        }
        let several = groups.len() > 1;
        let mut tests = Vec::new();
        for (fields, rest) in groups {
            let rest: Vec<Node> = rest.iter().flat_map(flat).collect();
            if let Some(at) = rest.iter().position(|node| *node == Node::Mark) {
                if several {
                    return Err("it sets MATCH, which Sieve cannot do in this way");
                }
                let (left, right) = rest.split_at(at);
                let pattern = selection(left, right.get(1..).unwrap_or(&[]))?;
                let pattern = self.pattern(&pattern);
                self.require("variables");
                one.matches = true;
                tests.push(Cond::Test(format!(
                    "header :regex{comparator} {} {pattern}",
                    names(&fields),
                )));
                continue;
            }
            tests.push(self.value(&fields, &rest, comparator)?);
        }
        if !fold {
            one.differences
                .push("names of fields are compared without regard to case");
        }
        one.test = Cond::any(tests);
        Ok(one)
    }

    /// A test of the values of fields, given what follows the colon.
    fn value(
        &mut self,
        fields: &[String],
        rest: &[Node],
        comparator: &str,
    ) -> Result<Cond, Refusal> {
        let exists = || {
            Cond::any(
                fields
                    .iter()
                    .map(|name| Cond::Test(format!("exists {}", text(name)))),
            )
        };
        if rest.iter().all(is_any) {
            return Ok(exists());
        }
        let Some(left) = behind_blank(rest) else {
            return Ok(Cond::False);
        };
        let mut nodes = flat(&left);
        while nodes.last().is_some_and(is_any) {
            nodes.pop();
        }
        if nodes.is_empty() {
            return Ok(exists());
        }
        let anywhere = nodes.first().is_some_and(is_any);
        let behind = if anywhere {
            nodes.get(1..).unwrap_or(&[])
        } else {
            &nodes
        };
        let names = names(fields);
        let ends = behind.last() == Some(&Node::Set(ByteSet::single(b'\n')));
        let plain = literal(if ends {
            behind.get(..behind.len() - 1).unwrap_or(&[])
        } else {
            behind
        });
        let glob = |plain: &str| {
            plain
                .replace('\\', "\\\\")
                .replace('*', "\\*")
                .replace('?', "\\?")
        };
        let test = match (plain, anywhere, ends) {
            (Some(plain), true, false) => {
                format!("header :contains{comparator} {names} {}", text(&plain))
            }
            (Some(plain), false, true) => {
                format!("header :is{comparator} {names} {}", text(&plain))
            }
            (Some(plain), true, true) => {
                let pattern = format!("*{}", glob(&plain));
                format!("header :matches{comparator} {names} {}", text(&pattern))
            }
            (Some(plain), false, false) => {
                let pattern = format!("{}*", glob(&plain));
                format!("header :matches{comparator} {names} {}", text(&pattern))
            }
            (None, ..) => {
                let mut pattern = String::new();
                if !anywhere {
                    pattern.push('^');
                }
                let group = !anywhere && matches!(behind, [Node::Alternatives(_)]);
                let inside = posix(behind, Lines::One)?;
                let _ = write!(pattern, "{inside}");
                // A start in the middle would be read as the start of the value.
                if !anywhere && !group && inside.starts_with('^') {
                    return Err("it looks across the end of a line");
                }
                if has_start(behind) {
                    return Err("it looks across the end of a line");
                }
                let pattern = self.pattern(&pattern);
                format!("header :regex{comparator} {names} {pattern}")
            }
        };
        Ok(Cond::Test(test))
    }

    fn daemon(&mut self, text: &[u8]) -> Result<One, Refusal> {
        if text != b"^FROM_DAEMON" && text != b"^FROM_MAILER" {
            return Err("it has ^FROM_DAEMON or ^FROM_MAILER with something else");
        }
        self.require("regex");
        self.require("envelope");
        const WHO: &str = "(^|[^(.%@a-z0-9])(post(ma?(st(e?r)?|n)|office)|(send)?mail(er)?|daemon|m(mdf|ajordomo)|n?uucp|list(serv|proc)|netserv|o(wner|ps)|r(e(quest|sponse)|oot)|b(ounce|bs\\\\.smtp)|echo|mirror|s(erv(ices?|er)|mtp(error)?|ystem)|a(dmin(istrator)?|mmgr|utoanswer))([^).!:a-z0-9][-_a-z0-9]*)?([%@> ]|$)";
        let mut tests = vec![
            format!(
                "header :regex [\"From\", \"Sender\", \"Resent-From\", \"Resent-Sender\", \"X-Envelope-From\"] \"{WHO}\""
            ),
            format!("envelope :regex \"from\" \"{WHO}\""),
        ];
        if text == b"^FROM_DAEMON" {
            tests.push("exists \"Mailing-List\"".to_owned());
            tests.push("header :regex \"Precedence\" \"junk|bulk|list\"".to_owned());
            tests.push("header :matches \"To\" \"Multiple recipients of *\"".to_owned());
        }
        Ok(One {
            test: Cond::Any(tests.into_iter().map(Cond::Test).collect()),
            differences: vec!["the senders of automatic mail are told by addresses alone"],
            matches: false,
        })
    }
}

/// Does a set with a newline stand first, where it would be taken for the start of the value?
fn has_start(nodes: &[Node]) -> bool {
    match nodes.first() {
        Some(Node::Set(set)) => set.contains(b'\n') && nodes.len() > 1,
        Some(Node::Sequence(inner)) => has_start(inner),
        Some(Node::Alternatives(branches)) => {
            branches.iter().any(|branch| has_start(&flat(branch)))
        }
        _ => false,
    }
}

/// The pattern whose first group is MATCH. The left side takes as little as possible and the
/// right side as much; where the left side is characters, or anything up to one character, no
/// other reading exists.
fn selection(left: &[Node], right: &[Node]) -> Result<String, Refusal> {
    const OTHER: Refusal = "it sets MATCH, which Sieve cannot do in this way";
    let plain_right = right.iter().all(|node| match node {
        Node::Set(set) => !set.contains(b'\n'),
        Node::Repeat(inner, _) => matches!(&**inner, Node::Set(set) if !set.contains(b'\n')),
        _ => false,
    });
    if !plain_right || right.is_empty() {
        return Err(OTHER);
    }
    let right = posix(right, Lines::One)?;
    // Up to the first of one character, which what follows may lack.
    if let [any, Node::Set(stop)] = left
        && is_any(any)
        && !stop.contains(b' ')
        && !stop.contains(b'\n')
    {
        let nullable = right.ends_with('*');
        let one_piece = !right.contains(['(', '|']);
        if nullable && one_piece && right.matches('*').count() == 1 {
            let before = Node::Repeat(
                Box::new(Node::Set(stop.union(&ByteSet::single(b'\n')).negated())),
                Repeat::Star,
            );
            let left = posix(&[before, Node::Set(*stop)], Lines::One)?;
            return Ok(format!("^{left}({right})"));
        }
        return Err(OTHER);
    }
    let all_sets = left
        .iter()
        .all(|node| matches!(node, Node::Set(set) if !set.contains(b'\n')));
    // The blank in front of the value is no part of it: MATCH must not begin with it.
    if !all_sets || left.is_empty() {
        return Err("MATCH would begin with the blank behind the colon, which Sieve drops");
    }
    let left = behind_blank(left).ok_or(OTHER)?;
    let left = posix(&flat(&left), Lines::One)?;
    Ok(format!("^{left}({right})"))
}

type Weighted = ((f64, f64), Cond, bool);

/// A test for a score above zero.
fn score(weighted: &[Weighted]) -> Result<Cond, Refusal> {
    const HARD: Refusal = "it counts points in a way that tests cannot";
    let constant = |test: &Cond| matches!(test, Cond::True | Cond::False);
    // All that is found adds something: it is enough that anything is found.
    if weighted
        .iter()
        .all(|((weight, exponent), _, _)| *weight > 0.0 && *exponent >= 0.0)
    {
        return Ok(Cond::any(weighted.iter().map(|(_, test, _)| test.clone())));
    }
    if weighted.len() > WEIGHTED {
        return Err(HARD);
    }
    let mut sum = 0.0;
    let mut terms = Vec::new();
    for ((weight, exponent), test, negated) in weighted {
        // Only what counts once is a matter of yes and no. A negated one always is.
        if *exponent != 0.0 && !negated && !constant(test) || weight.abs() > 1e8 {
            return Err(HARD);
        }
        match test {
            Cond::True if *exponent == 0.0 || *negated => sum += weight,
            Cond::False => {}
            Cond::True => return Err(HARD),
            other => terms.push((*weight, other.clone())),
        }
    }
    Ok(above_zero(sum, &terms))
}

fn above_zero(sum: f64, terms: &[(f64, Cond)]) -> Cond {
    let most: f64 = terms.iter().map(|(weight, _)| weight.max(0.0)).sum();
    let least: f64 = terms.iter().map(|(weight, _)| weight.min(0.0)).sum();
    if sum + most <= 0.0 {
        return Cond::False;
    }
    if sum + least > 0.0 {
        return Cond::True;
    }
    let Some(((weight, test), rest)) = terms.split_first() else {
        return Cond::False;
    };
    let with = above_zero(sum + weight, rest);
    let without = above_zero(sum, rest);
    if with == without {
        return with;
    }
    Cond::any([
        Cond::all([test.clone(), with]),
        Cond::all([test.clone().not(), without]),
    ])
}
