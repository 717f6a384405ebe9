//! From the syntax tree to the program: names, capabilities, arguments, structure; all faults in one pass.

pub(crate) mod argument;
mod bind;
mod command;
mod effect;
mod sending;
mod signature;
mod suite;
mod test;
mod text;

use bind::Bound;

use crate::ast::{Argument, Command, Commands, Identifier, Test, Tree, Value};
use crate::capability::{self, Capabilities};
use crate::diagnostic::{DiagnosticKind, Sink};
use crate::limits::Limits;
use crate::position::Span;
use crate::program::{self, Instruction, Op, Program};

pub(crate) struct Checker<'a, 's> {
    pub(crate) sink: &'a mut Sink<'s>,
    offered: Capabilities,
    /// Required so far.
    enabled: Capabilities,
    used: Capabilities,
    limits: &'a Limits,
    /// The host notifies by XMPP.
    xmpp: bool,
    locals: Vec<String>,
    globals: Vec<String>,
    code: Vec<Instruction>,
    tests: Vec<program::Test>,
    commands: Vec<program::Command>,
    loops: Vec<Loop>,
    /// Octets that regular expressions take so far.
    regex_octets: usize,
    /// Within a `test` of a test suite.
    in_case: bool,
}

/// An open `foreverypart`.
struct Loop {
    name: Option<Vec<u8>>,
    /// Jumps to patch to the end.
    breaks: Vec<usize>,
}

/// Jumps to one place that is not known yet: each points to the one before it until then.
#[derive(Default)]
struct Ends {
    last: Option<usize>,
}

/// What is known of a condition before the script runs.
#[derive(Clone, Copy)]
struct Known {
    value: Option<bool>,
    /// Whether `ihave` had a part in it: what it rules out may use what is not there (RFC 5463 §4).
    by_ihave: bool,
}

pub(crate) fn check(
    sink: &mut Sink<'_>,
    tree: &Tree<'_>,
    offered: Capabilities,
    limits: &Limits,
    xmpp: bool,
) -> Program {
    let mut checker = Checker {
        sink,
        offered,
        enabled: Capabilities::none(),
        used: Capabilities::none(),
        limits,
        xmpp,
        locals: Vec::new(),
        globals: Vec::new(),
        // A rule is two commands and a test, and makes four instructions.
        code: Vec::with_capacity(tree.commands.len() + 2 * tree.tests.len() + 1),
        tests: Vec::with_capacity(tree.tests.len()),
        commands: Vec::with_capacity(tree.commands.len() / 2 + 2),
        loops: Vec::new(),
        regex_octets: 0,
        in_case: false,
    };
    let rest = checker.requires(tree.commands());
    checker.block(rest);
    checker.unused(tree.commands());
    const VARIABLES: Capabilities = Capabilities::of(&["variables"]);
    let captures = checker.enabled.meets(VARIABLES);
    Program {
        locals: checker.locals.len(),
        captures,
        instructions: checker.code,
        tests: checker.tests,
        commands: checker.commands,
        warnings: Vec::new(),
        required: checker.enabled,
        offered,
    }
}

/// Whether a script with these capabilities may hold the test of this name.
pub(crate) fn may_test(name: &str, required: Capabilities) -> bool {
    may(&signature::TESTS, name, required)
}

/// Whether a script with these capabilities may hold the command of this name.
pub(crate) fn may_run(name: &str, required: Capabilities) -> bool {
    may(&signature::COMMANDS, name, required)
}

fn may(table: &'static signature::Table, name: &str, required: Capabilities) -> bool {
    match signature::find(table, name) {
        Some(found) => found.capabilities.is_empty() || found.needs.meets(required),
        // Those of test suites go by one name.
        None => required.contains("vnd.dovecot.testsuite"),
    }
}

impl Checker<'_, '_> {
    fn emit(&mut self, line: u32, op: Op) -> usize {
        self.code.push(Instruction { line, op });
        self.code.len() - 1
    }

    #[inline]
    fn emit_test(&mut self, line: u32, test: program::Test) {
        self.emit(line, Op::Test(self.tests.len()));
        self.tests.push(test);
    }

    #[inline]
    fn emit_command(&mut self, line: u32, command: program::Command) {
        self.emit(line, Op::Run(self.commands.len()));
        self.commands.push(command);
    }

    /// Points the jump at `at` to the next instruction; gives where it pointed to.
    fn patch(&mut self, at: usize) -> usize {
        let here = self.code.len();
        match self.code.get_mut(at).map(|instruction| &mut instruction.op) {
            Some(
                Op::Jump(target)
                | Op::JumpIfFalse(target)
                | Op::JumpIfTrue(target)
                | Op::NextPart(target)
                | Op::Break(_, target)
                | Op::BeginCase(_, target),
            ) => std::mem::replace(target, here),
            _ => here,
        }
    }

    /// One more jump to an end that is still to come.
    fn emit_end(&mut self, line: u32, jump: fn(usize) -> Op, ends: &mut Ends) {
        let before = ends.last.unwrap_or(usize::MAX);
        ends.last = Some(self.emit(line, jump(before)));
    }

    /// The end is here.
    fn patch_ends(&mut self, ends: Ends) {
        let mut next = ends.last;
        while let Some(at) = next {
            let before = self.patch(at);
            next = (before < at).then_some(before);
        }
    }

    fn uses(&mut self, capability: &str) {
        self.used = self.used.with(capability);
    }

    /// The leading `require` commands; gives the rest.
    fn requires<'t>(&mut self, mut commands: Commands<'t>) -> Commands<'t> {
        loop {
            let rest = commands;
            match commands.next() {
                Some(command) if command.name().text.eq_ignore_ascii_case("require") => {
                    self.require(command);
                }
                _ => return rest,
            }
        }
    }

    fn require(&mut self, command: Command<'_>) {
        let Some(signature) = signature::find(&signature::COMMANDS, "require") else {
            return;
        };
        self.no_block(command);
        let mut bound = Bound::command(signature, command);
        if !self.bind(&mut bound) {
            return;
        }
        let Some(argument) = bound.at(0) else { return };
        for (name, span) in literals(argument) {
            let one = Capabilities::named(name);
            if self.offered.meets(one) {
                self.enabled = self.enabled.or(one.with_implied());
                continue;
            }
            let name = String::from_utf8_lossy(name);
            let known = one != Capabilities::none();
            let message = if known {
                format!("the capability `{name}` is not offered here")
            } else {
                format!("the capability `{name}` is not supported")
            };
            match capability::nearest(&name).filter(|_| !known) {
                Some(near) => {
                    let hint = format!("did you mean `{near}`?");
                    self.sink
                        .error_with(DiagnosticKind::Unsupported, span, message, hint);
                }
                None => self.sink.error(DiagnosticKind::Unsupported, span, message),
            }
        }
    }

    /// Warns of capabilities required for nothing.
    fn unused(&mut self, commands: Commands<'_>) {
        // What is wrong may be the very use of it.
        if self.sink.failed() {
            return;
        }
        // These change no syntax, so that their use cannot be seen, or only name a comparator that is always there.
        const UNSEEN: Capabilities = Capabilities::of(&[
            "comparator-i;octet",
            "comparator-i;ascii-casemap",
            "imapsieve",
            "vnd.dovecot.environment",
            "encoded-character",
            "vnd.dovecot.testsuite",
        ]);
        // Where nothing failed, those at the top are all there are.
        let requires =
            commands.take_while(|command| command.name().text.eq_ignore_ascii_case("require"));
        for command in requires {
            for (name, span) in command.arguments().iter().flat_map(literals) {
                let one = Capabilities::named(name);
                if self.enabled.meets(one) && !self.used.or(UNSEEN).meets(one) {
                    let name = String::from_utf8_lossy(name);
                    self.sink.warn(
                        span,
                        format!("the capability `{name}` is required but not used"),
                        None,
                    );
                }
            }
        }
    }

    fn no_block(&mut self, command: Command<'_>) {
        if command.block().is_some() {
            self.sink.error_with(
                DiagnosticKind::Structure,
                command.name().span,
                format!("`{}` takes no block", command.name().text),
                "end it with a semicolon",
            );
        }
    }

    fn block(&mut self, mut commands: Commands<'_>) {
        let mut ended = false;
        let mut warned = false;
        while let Some(command) = commands.next() {
            let name = command.name();
            if ended && !warned {
                warned = true;
                self.sink
                    .warn(name.span, "this command is never reached", None);
            }
            if name.text.eq_ignore_ascii_case("if") {
                if self.conditional(command, &mut commands) {
                    return;
                }
                continue;
            }
            ended |= self.command(command);
        }
    }

    /// An `if` with its `elsif` and `else`, which are taken off `after`. True if `ihave` shows that what follows is
    /// never reached.
    fn conditional(&mut self, first: Command<'_>, after: &mut Commands<'_>) -> bool {
        let mut ends = Ends::default();
        let mut else_seen = false;
        // A branch that `ihave` decided: the others may use what is not there.
        let mut decided = false;
        let mut dead_end = false;
        let mut next = Some(first);
        while let Some(branch) = next {
            let ahead = *after;
            next = after.next().filter(is_branch);
            if next.is_none() {
                *after = ahead;
            }
            let is_else = branch.name().text.eq_ignore_ascii_case("else");
            if else_seen {
                self.sink.error(
                    DiagnosticKind::Structure,
                    branch.name().span,
                    format!("`{}` may not follow `else`", branch.name().text),
                );
            }
            else_seen |= is_else;
            let Some(block) = branch.block() else {
                self.sink.error_with(
                    DiagnosticKind::Structure,
                    branch.name().span,
                    format!("`{}` needs a block", branch.name().text),
                    "write the commands between { and }",
                );
                continue;
            };
            if decided {
                continue;
            }
            let condition = self.condition(branch, is_else);
            let mut known = Known {
                value: None,
                by_ihave: false,
            };
            let mut skip = None;
            if let Some(test) = condition {
                known = self.test(test);
                if known.value.is_some() && !known.by_ihave {
                    let always = if known.value == Some(true) {
                        "true"
                    } else {
                        "false"
                    };
                    self.sink
                        .warn(test.span(), format!("this test is always {always}"), None);
                }
                skip = Some(self.emit(test.line(), Op::JumpIfFalse(0)));
            }
            if known.by_ihave && known.value == Some(false) {
                if let Some(skip) = skip {
                    self.patch(skip);
                }
                continue;
            }
            self.block(block);
            if known.by_ihave && known.value == Some(true) {
                decided = true;
                dead_end = block.last().is_some_and(|command| {
                    ["stop", "error", "return"]
                        .iter()
                        .any(|name| command.name().text.eq_ignore_ascii_case(name))
                });
            }
            if next.is_some() {
                self.emit_end(branch.line(), Op::Jump, &mut ends);
            }
            if let Some(skip) = skip {
                self.patch(skip);
            }
        }
        self.patch_ends(ends);
        dead_end
    }

    /// The test of a branch.
    fn condition<'t>(&mut self, branch: Command<'t>, is_else: bool) -> Option<Test<'t>> {
        let mut tests = branch.tests();
        if branch.arguments().is_empty() {
            match (is_else, tests.next(), tests.next()) {
                (true, None, _) => return None,
                (false, Some(test), None) => return Some(test),
                _ => {}
            }
        }
        let signature = signature::of_branch(branch.name().text);
        let mut bound = Bound::command(signature, branch);
        if !self.bind(&mut bound) {
            return None;
        }
        bound.tests.next().filter(|_| !is_else)
    }

    /// The signature of a name, if it is known and its capability required.
    fn lookup(
        &mut self,
        table: &'static signature::Table,
        name: Identifier<'_>,
        what: &str,
    ) -> Option<&'static signature::Signature> {
        let Some(found) = signature::find(table, name.text) else {
            let other = if what == "test" {
                &signature::COMMANDS
            } else {
                &signature::TESTS
            };
            let names = table
                .rows
                .iter()
                .filter(|row| !row.name.starts_with("test_"))
                .map(|row| row.name);
            let hint = if signature::find(other, name.text).is_some() {
                let is = if what == "test" {
                    "a command"
                } else {
                    "a test"
                };
                Some(format!("`{}` is {is}", name.text))
            } else {
                nearest(name.text, names).map(|near| format!("did you mean `{near}`?"))
            };
            let message = format!("there is no {what} `{}`", name.text);
            match hint {
                Some(hint) => {
                    self.sink
                        .error_with(DiagnosticKind::Unknown, name.span, message, hint)
                }
                None => self.sink.error(DiagnosticKind::Unknown, name.span, message),
            }
            return None;
        };
        self.used = self.used.or(found.needs);
        let enabled = found.needs.meets(self.enabled);
        if let Some(first) = found.capabilities.first().filter(|_| !enabled) {
            self.sink.error_with(
                DiagnosticKind::NotRequired,
                name.span,
                format!("the {what} `{}` needs the capability `{first}`", found.name),
                format!("add require \"{first}\"; at the top"),
            );
        }
        Some(found)
    }
}

fn is_branch(command: &Command<'_>) -> bool {
    let name = command.name().text;
    name.eq_ignore_ascii_case("elsif") || name.eq_ignore_ascii_case("else")
}

/// The strings of an argument with their places.
fn literals<'t>(argument: &'t Argument<'_>) -> impl Iterator<Item = (&'t [u8], Span)> {
    let (single, list) = match &argument.value {
        Value::Text(octets) => (Some((&**octets, argument.span)), [].as_slice()),
        Value::List(texts) => (None, texts.as_slice()),
        _ => (None, [].as_slice()),
    };
    single
        .into_iter()
        .chain(list.iter().map(|text| (&*text.octets, text.span)))
}

/// The name most like `name`, if it is like enough to be meant.
pub(crate) fn nearest<'n>(name: &str, known: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    let name = name.to_ascii_lowercase();
    // Longer words are no slips of the pen, and the comparison is quadratic.
    if name.len() > 40 {
        return None;
    }
    known
        .map(|candidate| (distance(name.as_bytes(), candidate.as_bytes()), candidate))
        .filter(|(distance, candidate)| *distance * 3 <= candidate.len().max(name.len()))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Edits that turn one word into the other.
fn distance(a: &[u8], b: &[u8]) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        if let Some(first) = row.first_mut() {
            *first = left;
        }
        for (y, cell) in b.iter().zip(row.iter_mut().skip(1)) {
            let above = *cell;
            *cell = (diagonal + usize::from(x != y))
                .min(above + 1)
                .min(left + 1);
            diagonal = above;
            left = *cell;
        }
    }
    row.last().copied().unwrap_or(a.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_names() {
        assert_eq!(distance(b"kitten", b"sitting"), 3);
        assert_eq!(
            nearest("fileto", ["keep", "fileinto"].into_iter()),
            Some("fileinto")
        );
        assert_eq!(nearest("xyz", ["keep", "fileinto"].into_iter()), None);
    }
}
