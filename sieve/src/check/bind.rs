//! Arguments sorted by a signature.

use super::signature::{Group, Kind, Signature, Tag, Tests};
use super::{Checker, nearest};
use crate::ast::{self, Argument, Command, Identifier, Test, Value};
use crate::diagnostic::DiagnosticKind;
use crate::few::Few;
use crate::position::Span;

/// The arguments of one command or test, known to be of the right number and type.
pub(super) struct Bound<'t> {
    pub(super) name: &'static str,
    pub(super) span: Span,
    pub(super) line: u32,
    signature: &'static Signature,
    arguments: &'t [Argument<'t>],
    /// [Marks](mark) of the tags given and, by number, their groups: most of what is asked for is not there.
    marks: u64,
    groups: u32,
    positional: [Option<&'t Argument<'t>>; POSITIONAL],
    pub(super) tests: ast::Tests<'t>,
}

/// The most that a signature has.
const POSITIONAL: usize = 3;

/// What a signature is laid upon: a command or a test.
pub(super) struct Given<'t> {
    name: Identifier<'t>,
    arguments: &'t [Argument<'t>],
    tests: ast::Tests<'t>,
    span: Span,
    line: u32,
}

impl<'t> From<Command<'t>> for Given<'t> {
    fn from(command: Command<'t>) -> Self {
        Self {
            name: command.name(),
            arguments: command.arguments(),
            tests: command.tests(),
            span: command.span(),
            line: command.line(),
        }
    }
}

impl<'t> From<Test<'t>> for Given<'t> {
    fn from(test: Test<'t>) -> Self {
        Self {
            name: test.name(),
            arguments: test.arguments(),
            tests: test.tests(),
            span: test.span(),
            line: test.line(),
        }
    }
}

/// A bit for some names of tags, without regard to case.
#[inline]
const fn mark(tag: &str) -> u64 {
    let octets = tag.as_bytes();
    match (octets.first(), octets.last()) {
        (Some(first), Some(last)) => {
            1 << ((octets.len() as u64 * 5 + (*first | 0x20) as u64 * 3 + (*last | 0x20) as u64)
                & 63)
        }
        _ => 1,
    }
}

impl<'t> Bound<'t> {
    /// The tags given, each with what stands behind it.
    fn tags(&self) -> impl Iterator<Item = (&'t str, Span, Option<&'t Argument<'t>>)> {
        let behind = self.arguments.iter().skip(1).map(Some).chain([None]);
        self.arguments
            .iter()
            .zip(behind)
            .filter_map(|(argument, next)| match argument.value {
                Value::Tag(tag) => Some((tag, argument.span, next)),
                _ => None,
            })
    }

    /// The tag before that `place` that does not go together with this one.
    fn excludes(&self, known: &Tag, place: usize) -> Option<&'static Tag> {
        let grouped = known.group != Group::None;
        let shares_group = grouped && self.groups & 1 << known.group as u32 != 0;
        if !shares_group && self.marks & mark(known.name) == 0 {
            return None;
        }
        let before = self.arguments.get(..place).unwrap_or_default();
        before
            .iter()
            .filter_map(|argument| match argument.value {
                Value::Tag(tag) => self.signature.tag(tag),
                _ => None,
            })
            .find(|other| other.name == known.name || (grouped && other.group == known.group))
    }

    #[inline]
    fn given(&self, tag: &str) -> Option<(Span, Option<&'t Argument<'t>>)> {
        if self.marks & mark(tag) == 0 {
            return None;
        }
        self.tags()
            .find(|(given, ..)| given.eq_ignore_ascii_case(tag))
            .map(|(_, span, next)| (span, next))
    }

    #[inline]
    pub(super) fn has(&self, tag: &str) -> bool {
        self.given(tag).is_some()
    }

    #[inline]
    pub(super) fn tag_span(&self, tag: &str) -> Option<Span> {
        self.given(tag).map(|(span, _)| span)
    }

    /// The value of a tag that takes one.
    #[inline]
    pub(super) fn tag(&self, tag: &str) -> Option<&'t Argument<'t>> {
        let (_, value) = self.given(tag)?;
        let kind = self.signature.tag(tag)?.value?;
        value.filter(|value| fits(kind, &value.value))
    }

    #[inline]
    pub(super) fn number(&self, tag: &str) -> Option<(u64, Span)> {
        self.tag(tag).and_then(number)
    }

    /// The tag given out of an exclusive group.
    pub(super) fn of_group(&self, group: Group) -> Option<(&'static str, Span)> {
        if self.groups & 1 << group as u32 == 0 {
            return None;
        }
        self.tags().find_map(|(given, span, _)| {
            let known = self.signature.tag(given)?;
            (known.group == group).then_some((known.name, span))
        })
    }

    pub(super) fn all_tags(&self) -> impl Iterator<Item = (&'static str, Span)> {
        self.tags()
            .filter_map(|(given, span, _)| Some((self.signature.tag(given)?.name, span)))
    }

    pub(super) fn at(&self, index: usize) -> Option<&'t Argument<'t>> {
        self.positional.get(index).copied().flatten()
    }
}

pub(super) fn number(argument: &Argument<'_>) -> Option<(u64, Span)> {
    match argument.value {
        Value::Number(number) => Some((number, argument.span)),
        _ => None,
    }
}

fn fits(kind: Kind, value: &Value<'_>) -> bool {
    matches!(
        (kind, value),
        (Kind::Text | Kind::List, Value::Text(_))
            | (Kind::List, Value::List(_))
            | (Kind::Number, Value::Number(_))
    )
}

fn describe(value: &Value<'_>) -> &'static str {
    match value {
        Value::Tag(_) => "a tag",
        Value::Number(_) => "a number",
        Value::Text(_) => "a string",
        Value::List(_) => "a string list",
    }
}

impl Checker<'_, '_> {
    /// Sorts arguments by `signature`; `None` after a fault that leaves nothing to lower.
    pub(super) fn bind<'t>(
        &mut self,
        signature: &'static Signature,
        of: Given<'t>,
    ) -> Option<Bound<'t>> {
        let Given {
            name,
            arguments,
            tests,
            span,
            line,
        } = of;
        let before = self.sink.list.len();
        let mut bound = Bound {
            name: signature.name,
            span,
            line,
            signature,
            arguments,
            marks: 0,
            groups: 0,
            positional: [None; POSITIONAL],
            tests,
        };
        let mut positional = Few::<&'t Argument<'t>, { POSITIONAL + 1 }>::new();
        let mut given = 0_usize;
        let mut rest = arguments.iter().enumerate().peekable();
        while let Some((place, argument)) = rest.next() {
            let Value::Tag(tag) = &argument.value else {
                given += 1;
                // One more than any signature takes is enough to tell that there are too many.
                let _ = positional.push(argument);
                continue;
            };
            let Some(known) = signature.tag(tag) else {
                self.unknown_tag(signature, tag, argument.span);
                // Its value, if it has one, is not to be counted as positional.
                if given == 0
                    && rest.len() > signature.positional.len()
                    && !matches!(
                        rest.peek().map(|(_, next)| &next.value),
                        Some(Value::Tag(_))
                    )
                {
                    rest.next();
                }
                continue;
            };
            if given > 0 {
                self.sink.error_with(
                    DiagnosticKind::Argument,
                    argument.span,
                    format!("the tag `:{tag}` stands behind a positional argument"),
                    "tags come first (RFC 5228 section 2.6.2)",
                );
            }
            if !known.capability.is_empty() && !self.enabled.contains(known.capability) {
                self.sink.error_with(
                    DiagnosticKind::NotRequired,
                    argument.span,
                    format!(
                        "`:{}` needs the capability `{}`",
                        known.name, known.capability
                    ),
                    format!("add require \"{}\"; at the top", known.capability),
                );
            }
            if let Some(other) = bound.excludes(known, place) {
                let message = if other.name == known.name {
                    format!("`:{}` is given twice", known.name)
                } else {
                    format!(
                        "`:{}` and `:{}` exclude each other: one {} only",
                        other.name,
                        known.name,
                        known.group.name()
                    )
                };
                self.sink
                    .error(DiagnosticKind::Argument, argument.span, message);
            }
            if let Some(kind) = known.value {
                match rest.peek().map(|(_, next)| *next) {
                    Some(next) if fits(kind, &next.value) => {
                        rest.next();
                    }
                    next => {
                        let found = next.map_or("nothing", |next| describe(&next.value));
                        let span = next.map_or(argument.span, |next| next.span);
                        let message = format!(
                            "`:{}` must be followed by {}, found {found}",
                            known.name,
                            kind.name()
                        );
                        if next.is_some_and(|next| !matches!(next.value, Value::Tag(_))) {
                            rest.next();
                        }
                        self.sink.error(DiagnosticKind::Argument, span, message);
                        continue;
                    }
                }
            }
            bound.marks |= mark(known.name);
            bound.groups |= 1 << known.group as u32;
        }
        // A word where an argument is missing is told once.
        let untested = tests.clone().next().is_none();
        let stray = signature.tests == Tests::None && !untested;
        let complete = if stray && given < signature.positional.len() {
            false
        } else {
            self.bind_positional(signature, name, &positional, given, &mut bound)
        };
        if signature.tests != Tests::None || !untested {
            self.check_tests(signature, name, tests);
        }
        // Tags that only lack their capability are bound all the same; any fault spoils the script anyway.
        if self.sink.list.len() == before || complete {
            Some(bound)
        } else {
            None
        }
    }

    /// Sorts the positional arguments; false if one is missing or of the wrong type.
    fn bind_positional<'t>(
        &mut self,
        signature: &'static Signature,
        name: Identifier<'_>,
        arguments: &Few<&'t Argument<'t>, { POSITIONAL + 1 }>,
        given: usize,
        bound: &mut Bound<'t>,
    ) -> bool {
        let wanted = signature.positional;
        let missing = wanted.len().saturating_sub(given);
        if given > wanted.len() {
            if let Some(extra) = arguments.iter().nth(wanted.len()) {
                self.sink.error(
                    DiagnosticKind::Argument,
                    extra.span,
                    format!(
                        "`{}` takes {}, this is one more",
                        name.text,
                        count(wanted.len())
                    ),
                );
            }
        } else if missing > signature.optional {
            let lacks = wanted
                .get(given.max(if signature.at_back {
                    0
                } else {
                    signature.optional
                }))
                .or(wanted.last());
            self.sink.error_with(
                DiagnosticKind::Argument,
                name.span,
                format!(
                    "`{}` lacks an argument: {}",
                    name.text,
                    lacks.map_or("", |kind| kind.name())
                ),
                format!("it takes {}", count(wanted.len())),
            );
            return wanted.is_empty();
        }
        let skipped = if signature.at_back { 0 } else { missing };
        let kinds = wanted.iter().skip(skipped);
        let places = bound.positional.iter_mut().skip(skipped);
        for ((kind, argument), place) in kinds.zip(arguments.iter()).zip(places) {
            if !fits(*kind, &argument.value) {
                let message = format!(
                    "`{}` expects {} here, not {}",
                    name.text,
                    kind.name(),
                    describe(&argument.value)
                );
                let hint = match (kind, &argument.value) {
                    (Kind::Number, Value::Text(_)) => Some("numbers stand without quotes"),
                    (Kind::Text | Kind::List, Value::Number(_)) => {
                        Some("strings stand in double quotes")
                    }
                    (Kind::Text, Value::List(_)) => Some("write one string, without brackets"),
                    _ => None,
                };
                match hint {
                    Some(hint) => {
                        self.sink
                            .error_with(DiagnosticKind::Argument, argument.span, message, hint)
                    }
                    None => self
                        .sink
                        .error(DiagnosticKind::Argument, argument.span, message),
                }
                return false;
            }
            *place = Some(argument);
        }
        true
    }

    fn check_tests(
        &mut self,
        signature: &'static Signature,
        name: Identifier<'_>,
        mut tests: ast::Tests<'_>,
    ) {
        let message = match (signature.tests, tests.next(), tests.next()) {
            (Tests::None, Some(first), _) => {
                let message = format!("`{}` takes no test", name.text);
                let hint = self.meant_by(signature, name, first.name());
                self.sink
                    .error_with(DiagnosticKind::Argument, first.span(), message, hint);
                return;
            }
            (Tests::One, None, _) => format!("`{}` needs a test", name.text),
            (Tests::Many, None, _) => {
                format!("`{}` needs a list of tests in parentheses", name.text)
            }
            (Tests::One, _, Some(second)) => {
                self.sink.error_with(
                    DiagnosticKind::Argument,
                    second.span(),
                    format!("`{}` takes one test only", name.text),
                    "join them with allof (…) or anyof (…)",
                );
                return;
            }
            _ => return,
        };
        self.sink
            .error(DiagnosticKind::Argument, name.span, message);
    }

    /// What a word is likely to be that stands where no test may.
    fn meant_by(
        &self,
        signature: &'static Signature,
        name: Identifier<'_>,
        word: Identifier<'_>,
    ) -> String {
        let is = |text: &str| word.text.eq_ignore_ascii_case(text);
        let line = |at: usize| self.sink.line(at);
        if signature.name == "else" && is("if") {
            "an else with a condition is written elsif".to_owned()
        } else if is("and") || is("or") {
            let join = if is("and") { "allof" } else { "anyof" };
            format!("tests are joined as {join} (…, …)")
        } else if signature.tag(word.text).is_some() {
            format!("tags begin with a colon: `:{}`", word.text)
        } else if line(word.span.start) > line(name.span.start) {
            "is a semicolon missing before this word?".to_owned()
        } else {
            "is a semicolon missing before this word, or are quotes missing around it?".to_owned()
        }
    }

    fn unknown_tag(&mut self, signature: &'static Signature, tag: &str, span: Span) {
        let known = signature
            .tags
            .iter()
            .flat_map(|group| group.iter())
            .map(|tag| tag.name);
        let message = format!("`{}` has no tag `:{tag}`", signature.name);
        match nearest(tag, known) {
            Some(near) => self.sink.error_with(
                DiagnosticKind::Unknown,
                span,
                message,
                format!("did you mean `:{near}`?"),
            ),
            None => self.sink.error(DiagnosticKind::Unknown, span, message),
        }
    }
}

fn count(wanted: usize) -> String {
    match wanted {
        0 => "no positional argument".to_owned(),
        1 => "one positional argument".to_owned(),
        n => format!("{n} positional arguments"),
    }
}
