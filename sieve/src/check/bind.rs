//! Arguments sorted by a signature.

use super::signature::{Group, Kind, Signature, Tag, Tests, mark};
use super::{Checker, nearest};
use crate::ast::{self, Argument, Command, Identifier, Test, Value};
use crate::diagnostic::DiagnosticKind;
use crate::few::Few;
use crate::position::Span;

/// The arguments of one command or test, known to be of the right number and type.
pub(super) struct Bound<'t> {
    pub(super) name: &'static str,
    /// As it is written.
    word: Identifier<'t>,
    pub(super) span: Span,
    pub(super) line: u32,
    signature: &'static Signature,
    arguments: &'t [Argument<'t>],
    /// [Marks](Tag::mark) of the tags given and, by number, their groups: most of what is asked for is not there.
    marks: u64,
    groups: u32,
    /// The first of the tags given, with their places among the arguments.
    tags: Few<(&'static Tag, usize), TAGS>,
    /// How many positional arguments are left out at the front.
    skipped: usize,
    positional: [Option<&'t Argument<'t>>; POSITIONAL],
    pub(super) tests: ast::Tests<'t>,
}

/// The most that a signature has.
const POSITIONAL: usize = 3;

/// As many as most commands have.
const TAGS: usize = 3;

impl<'t> Bound<'t> {
    pub(super) fn command(signature: &'static Signature, command: Command<'t>) -> Self {
        let place = (command.name(), command.span(), command.line());
        Self::new(signature, place, command.arguments(), command.tests())
    }

    pub(super) fn test(signature: &'static Signature, test: Test<'t>) -> Self {
        let place = (test.name(), test.span(), test.line());
        Self::new(signature, place, test.arguments(), test.tests())
    }

    #[inline]
    fn new(
        signature: &'static Signature,
        (word, span, line): (Identifier<'t>, Span, u32),
        arguments: &'t [Argument<'t>],
        tests: ast::Tests<'t>,
    ) -> Self {
        Self {
            name: signature.name,
            word,
            span,
            line,
            signature,
            arguments,
            marks: 0,
            groups: 0,
            tags: Few::new(),
            skipped: 0,
            positional: [None; POSITIONAL],
            tests,
        }
    }
}

impl<'t> Bound<'t> {
    /// The tags given, each with its place among the arguments.
    fn tags(&self) -> impl Iterator<Item = (&'static Tag, usize)> {
        let from = match self.tags.last() {
            Some((_, place)) if self.tags.is_full() => place + 1,
            _ => self.arguments.len(),
        };
        let rest = self.arguments.iter().enumerate().skip(from);
        let more = rest.filter_map(|(place, argument)| match argument.value {
            Value::Tag(tag) => Some((self.signature.tag(tag)?, place)),
            _ => None,
        });
        self.tags.iter().chain(more)
    }

    fn span_of(&self, place: usize) -> Span {
        self.arguments
            .get(place)
            .map_or(self.span, |argument| argument.span)
    }

    /// The tag before that `place` that does not go together with this one.
    fn excludes(&self, known: &Tag, place: usize) -> Option<&'static Tag> {
        let grouped = known.group != Group::None;
        let shares_group = grouped && self.groups & 1 << known.group as u32 != 0;
        if !shares_group && self.marks & known.mark == 0 {
            return None;
        }
        self.tags()
            .take_while(|(_, other)| *other < place)
            .map(|(other, _)| other)
            .find(|other| other.name == known.name || (grouped && other.group == known.group))
    }

    #[inline]
    fn given(&self, tag: &str) -> Option<(&'static Tag, usize)> {
        if self.marks & mark(tag) == 0 {
            return None;
        }
        self.marked(tag)
    }

    /// Apart, so that the question whether a tag is there at all takes no call.
    #[inline(never)]
    fn marked(&self, tag: &str) -> Option<(&'static Tag, usize)> {
        self.tags().find(|(known, _)| known.name == tag)
    }

    #[inline]
    pub(super) fn has(&self, tag: &str) -> bool {
        self.given(tag).is_some()
    }

    #[inline]
    pub(super) fn tag_span(&self, tag: &str) -> Option<Span> {
        self.given(tag).map(|(_, place)| self.span_of(place))
    }

    /// The value of a tag that takes one.
    #[inline]
    pub(super) fn tag(&self, tag: &str) -> Option<&'t Argument<'t>> {
        let (known, place) = self.given(tag)?;
        let kind = known.value?;
        let value = self.arguments.get(place + 1);
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
        let (known, place) = self.tags().find(|(known, _)| known.group == group)?;
        Some((known.name, self.span_of(place)))
    }

    pub(super) fn all_tags(&self) -> impl Iterator<Item = &'static str> {
        self.tags().map(|(known, _)| known.name)
    }

    pub(super) fn at(&self, index: usize) -> Option<&'t Argument<'t>> {
        let index = index.checked_sub(self.skipped)?;
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
    /// Sorts the arguments by their signature; false after a fault that leaves nothing to lower.
    pub(super) fn bind<'t>(&mut self, bound: &mut Bound<'t>) -> bool {
        let Bound {
            word: name,
            signature,
            arguments,
            tests,
            ..
        } = *bound;
        let before = self.sink.list.len();
        // One more than any signature takes is enough to tell that there are too many.
        let mut extra = None;
        let mut given = 0_usize;
        let mut next = 0_usize;
        while let Some(argument) = arguments.get(next) {
            let place = next;
            next += 1;
            let Value::Tag(tag) = &argument.value else {
                let wanted = given < signature.positional.len();
                match bound.positional.get_mut(given).filter(|_| wanted) {
                    Some(free) => *free = Some(argument),
                    None => extra = extra.or(Some(argument)),
                }
                given += 1;
                continue;
            };
            let Some(known) = signature.tag(tag) else {
                self.unknown_tag(signature, tag, argument.span);
                // Its value, if it has one, is not to be counted as positional.
                if given == 0
                    && arguments.len() - next > signature.positional.len()
                    && !matches!(
                        arguments.get(next).map(|next| &next.value),
                        Some(Value::Tag(_))
                    )
                {
                    next += 1;
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
                match arguments.get(next) {
                    Some(value) if fits(kind, &value.value) => next += 1,
                    value => {
                        let found = value.map_or("nothing", |value| describe(&value.value));
                        let span = value.map_or(argument.span, |value| value.span);
                        let message = format!(
                            "`:{}` must be followed by {}, found {found}",
                            known.name,
                            kind.name()
                        );
                        if value.is_some_and(|value| !matches!(value.value, Value::Tag(_))) {
                            next += 1;
                        }
                        self.sink.error(DiagnosticKind::Argument, span, message);
                        continue;
                    }
                }
            }
            // Those for which there is no room are looked for again.
            let _ = bound.tags.push((known, place));
            bound.marks |= known.mark;
            bound.groups |= 1 << known.group as u32;
        }
        // A word where an argument is missing is told once.
        let untested = { tests }.next().is_none();
        let stray = signature.tests == Tests::None && !untested;
        let complete = if stray && given < signature.positional.len() {
            false
        } else {
            self.bind_positional(given, extra, bound)
        };
        if signature.tests != Tests::None || !untested {
            self.check_tests(signature, name, tests);
        }
        // Tags that only lack their capability are bound all the same; any fault spoils the script anyway.
        self.sink.list.len() == before || complete
    }

    /// Sorts the positional arguments; false if one is missing or of the wrong type.
    fn bind_positional<'t>(
        &mut self,
        given: usize,
        extra: Option<&'t Argument<'t>>,
        bound: &mut Bound<'t>,
    ) -> bool {
        let (signature, name) = (bound.signature, bound.word);
        let wanted = signature.positional;
        let missing = wanted.len().saturating_sub(given);
        if given > wanted.len() {
            if let Some(extra) = extra {
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
        bound.skipped = skipped;
        let kinds = wanted.get(skipped..).unwrap_or_default();
        for (place, kind) in kinds.iter().enumerate() {
            let Some(Some(argument)) = bound.positional.get(place) else {
                break;
            };
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
                // What stands behind it is not looked at.
                bound
                    .positional
                    .iter_mut()
                    .skip(place)
                    .for_each(|place| *place = None);
                return false;
            }
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
