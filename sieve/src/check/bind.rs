//! Arguments sorted by a signature.

use super::signature::{Kind, Signature, Tag, Tests};
use super::{Checker, nearest};
use crate::ast::{self, Argument, Command, Identifier, Test, Value};
use crate::diagnostic::DiagnosticKind;
use crate::few::Few;
use crate::position::Span;

/// The arguments of one command or test, known to be of the right number and type.
pub(super) struct Bound<'t> {
    pub(super) name: &'static str,
    pub(super) span: Span,
    arguments: &'t [Argument<'t>],
    /// With the place of each among the arguments; its value stands behind it.
    tags: Few<(&'static Tag, usize), TAGS>,
    positional: [Option<&'t Argument<'t>>; POSITIONAL],
    pub(super) tests: ast::Tests<'t>,
}

/// What a signature is laid upon: a command or a test.
pub(super) struct Given<'t> {
    name: Identifier<'t>,
    arguments: &'t [Argument<'t>],
    tests: ast::Tests<'t>,
    span: Span,
}

impl<'t> From<Command<'t>> for Given<'t> {
    fn from(command: Command<'t>) -> Self {
        Self {
            name: command.name(),
            arguments: command.arguments(),
            tests: command.tests(),
            span: command.span(),
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
        }
    }
}

/// More tags than any command or test has, so that some of them exclude each other.
const TAGS: usize = 16;

/// The most that a signature has.
const POSITIONAL: usize = 3;

impl<'t> Bound<'t> {
    pub(super) fn has(&self, tag: &str) -> bool {
        self.tags.iter().any(|(known, ..)| known.name == tag)
    }

    pub(super) fn tag_span(&self, tag: &str) -> Option<Span> {
        self.tags
            .iter()
            .find(|(known, _)| known.name == tag)
            .map(|given| self.span_of(given))
    }

    pub(super) fn tag(&self, tag: &str) -> Option<&'t Argument<'t>> {
        self.tags
            .iter()
            .find(|(known, _)| known.name == tag && known.value.is_some())
            .and_then(|(_, place)| self.arguments.get(place + 1))
    }

    pub(super) fn number(&self, tag: &str) -> Option<(u64, Span)> {
        self.tag(tag).and_then(number)
    }

    /// The tag given out of an exclusive group.
    pub(super) fn of_group(&self, group: &str) -> Option<(&'static str, Span)> {
        self.tags
            .iter()
            .find(|(known, ..)| known.group == group)
            .map(|given| (given.0.name, self.span_of(given)))
    }

    pub(super) fn all_tags(&self) -> impl Iterator<Item = (&'static str, Span)> {
        self.tags
            .iter()
            .map(|given| (given.0.name, self.span_of(given)))
    }

    fn span_of(&self, (_, place): (&'static Tag, usize)) -> Span {
        self.arguments
            .get(place)
            .map_or(self.span, |argument| argument.span)
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
        } = of;
        let before = self.sink.list.len();
        let mut bound = Bound {
            name: signature.name,
            span,
            arguments,
            tags: Few::new(),
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
            let known = signature
                .tags
                .iter()
                .flat_map(|group| group.iter())
                .find(|known| known.name.eq_ignore_ascii_case(tag));
            let Some(known) = known else {
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
            if let Some((other, ..)) = bound.tags.iter().find(|(other, ..)| {
                other.name == known.name || (!known.group.is_empty() && other.group == known.group)
            }) {
                let message = if other.name == known.name {
                    format!("`:{}` is given twice", known.name)
                } else {
                    format!(
                        "`:{}` and `:{}` exclude each other: one {} only",
                        other.name, known.name, known.group
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
            // What has no room repeats or excludes another, which was told.
            let _ = bound.tags.push((known, place));
        }
        let complete = self.bind_positional(signature, name, &positional, given, &mut bound);
        self.check_tests(signature, name, tests);
        // Tags that only lack their capability are bound all the same; any fault spoils the script anyway.
        (self.sink.list.len() == before || complete).then_some(bound)
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
                self.sink.error(
                    DiagnosticKind::Argument,
                    argument.span,
                    format!(
                        "`{}` expects {} here, not {}",
                        name.text,
                        kind.name(),
                        describe(&argument.value)
                    ),
                );
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
                self.sink.error_with(
                    DiagnosticKind::Argument,
                    first.span(),
                    message,
                    "is a semicolon missing before this word?",
                );
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
