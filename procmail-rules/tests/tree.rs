//! The tree is what the evaluator reads: the same recipes, conditions, actions and assignments at
//! the same places, in all verified cases and in rcfiles made by chance; and an rcfile laid out
//! anew does the same.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::cast_possible_truncation,
    missing_docs
)]

mod corpus;

use std::collections::BTreeMap;

use corpus::generator::{Chance, Writer};
use procmail_rules::ast::{Action, Script, Span, Statement};
use procmail_rules::note::Fact;
use procmail_rules::{Effect, Log};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Assignment,
    Recipe,
    Condition,
    Action,
    BlockEnd,
}

type Parts = BTreeMap<(usize, Part), usize>;

fn parts_of_tree(statements: &[Statement], parts: &mut Parts) {
    for statement in statements {
        let mut add = |part, span: &Span| {
            parts.insert((span.start, part), span.end);
        };
        match statement {
            Statement::Assignment(assignment) => add(Part::Assignment, &assignment.span),
            Statement::StrayBrace(span) => add(Part::BlockEnd, span),
            Statement::Recipe(recipe) => {
                add(Part::Recipe, &recipe.line);
                for condition in &recipe.conditions {
                    add(Part::Condition, &condition.span);
                }
                if let Action::Block(block) = &recipe.action {
                    // The evaluator reads no more than the brace before it reads on.
                    let open = recipe.action_span.start;
                    add(Part::Action, &(open..open + 1));
                    if let Some(close) = block.close {
                        add(Part::BlockEnd, &(close..close + 1));
                    }
                } else if recipe.action != Action::Missing {
                    add(Part::Action, &recipe.action_span);
                }
            }
            _ => {}
        }
        if let Statement::Recipe(recipe) = statement
            && let Action::Block(block) = &recipe.action
        {
            parts_of_tree(&block.statements, parts);
        }
    }
}

/// Is the text nothing but blanks, ends of lines and a comment?
fn is_nothing(text: &[u8]) -> bool {
    let comment = text.iter().position(|byte| *byte == b'#');
    text[..comment.unwrap_or(text.len())]
        .iter()
        // The octet that makes a substitution a bad one is eaten with it.
        .all(|byte| b" \t\n\r\\".contains(byte))
}

/// Compares the tree with what the evaluator says it reads; how many parts were the same.
fn compare(name: &str, rc: &[u8], message: &[u8]) -> usize {
    let script = Script::parse(rc);
    let (effects, outcome) = corpus::run(rc, message, true);
    let overflown = effects.iter().any(|effect| {
        matches!(effect, Effect::Log(Log { text, .. })
            if text.windows(8).any(|part| part == b"OVERFLOW"))
    });
    if !script.is_certain() || overflown || outcome.is_err() {
        return 0;
    }
    let mut tree = Parts::new();
    parts_of_tree(script.statements(), &mut tree);
    let mut last = 0;
    let mut same = 0;
    let mut seen = Parts::new();
    for effect in &effects {
        let Effect::Note(note) = effect else { continue };
        if !note.rcfile.ends_with(b"rc") || note.rcfile.ends_with(b"inc.rc") {
            continue;
        }
        let part = match note.fact {
            Fact::Assigned { .. } | Fact::NotAssigned => Part::Assignment,
            Fact::Recipe(_) => Part::Recipe,
            Fact::Condition(_) => Part::Condition,
            Fact::Action { .. } => Part::Action,
            Fact::BlockEnd => Part::BlockEnd,
            _ => continue,
        };
        let shown = || {
            let text = String::from_utf8_lossy(rc);
            format!("{name}: {part:?} at {:?}\n{text}\n{tree:#?}", note.span)
        };
        let end = *tree
            .get(&(note.span.start, part))
            .unwrap_or_else(|| panic!("not in the tree: {}", shown()));
        assert!(
            end <= note.span.end && is_nothing(&rc[end..note.span.end]),
            "ends elsewhere: {}",
            shown()
        );
        seen.insert((note.span.start, part), end);
        last = last.max(note.span.start);
        same += 1;
    }
    // What is not the evaluator's came after the mail was delivered.
    for (key, end) in &tree {
        assert!(
            key.0 > last || seen.contains_key(key),
            "only in the tree: {name}: {key:?} to {end}\n{}",
            String::from_utf8_lossy(rc)
        );
    }
    same
}

#[test]
fn the_cases_have_the_same_tree() {
    let mut same = 0;
    for case in corpus::cases() {
        let rc = case.rc.unwrap();
        same += compare(&case.id, rc.as_bytes(), case.message.as_bytes());
    }
    assert!(same > 1_500, "{same}");
}

#[test]
fn rcfiles_made_by_chance_have_the_same_tree() {
    let mut same = 0;
    for seed in 0..1_000 {
        let mut writer = Writer(Chance::new(seed));
        let message = writer.message();
        let rc = writer.rcfile();
        same += compare(&format!("seed {seed}"), rc.as_bytes(), message.as_bytes());
    }
    assert!(same > 7_000, "{same}");
}

/// What an rcfile does, without the stamps of the log.
fn does(rc: &[u8], message: &[u8]) -> (Vec<Effect>, bool) {
    let (mut effects, outcome) = corpus::run(rc, message, false);
    for effect in &mut effects {
        if let Effect::Log(log) = effect {
            // A blank that ends a line of the rcfile can show in the log alone.
            log.stamped = false;
        }
    }
    (effects, outcome.is_ok())
}

fn lay_out(name: &str, rc: &[u8], message: &[u8]) -> bool {
    let Ok(laid_out) = Script::parse(rc).format() else {
        return false;
    };
    let shown = || {
        let (before, after) = (
            String::from_utf8_lossy(rc),
            String::from_utf8_lossy(&laid_out),
        );
        format!("{name}\n{before}\n-- laid out\n{after}")
    };
    let again = Script::parse(&laid_out).format();
    assert_eq!(
        again.as_deref().map(String::from_utf8_lossy),
        Ok(String::from_utf8_lossy(&laid_out)),
        "{}",
        shown()
    );
    let (before, after) = (does(rc, message), does(&laid_out, message));
    assert!(before == after, "{}\n{before:#?}\n{after:#?}", shown());
    true
}

#[test]
fn laid_out_anew_the_cases_do_the_same() {
    let mut laid_out = 0;
    for case in corpus::cases() {
        // Its lines are as long as LINEBUF allows, or tell where they stand.
        if case.id.starts_with("overflow") {
            continue;
        }
        let (rc, message) = (case.rc.unwrap(), case.message);
        laid_out += usize::from(lay_out(&case.id, rc.as_bytes(), message.as_bytes()));
    }
    assert!(laid_out > 200, "{laid_out}");
}

#[test]
fn laid_out_anew_rcfiles_made_by_chance_do_the_same() {
    let mut laid_out = 0;
    for seed in 0..1_000 {
        let mut writer = Writer(Chance::new(seed));
        let message = writer.message();
        let rc = writer.rcfile();
        let name = format!("seed {seed}");
        laid_out += usize::from(lay_out(&name, rc.as_bytes(), message.as_bytes()));
    }
    assert!(laid_out > 400, "{laid_out}");
}

#[test]
fn a_layout() {
    let rc = b"A=1  B = \"x y\" # both\n\n\n:0fhw\n*  ^From:.*toto\n # of old\n*!^To:\n| cat\n\n:0:\n{ C=3\n:0 B : x.lock # here\n* a\\\n  b\nbox # there\n}\n:\n^Subject\nlast\n";
    let laid_out = Script::parse(rc).format().unwrap();
    assert_eq!(
        String::from_utf8_lossy(&laid_out),
        "A=1\nB=\"x y\" # both\n\n:0 fhw\n* ^From:.*toto\n# of old\n* !^To:\n| cat\n\n:0:\n{\n  C=3\n  :0 B: x.lock # here\n  * a\\\n  b\n  box # there\n}\n:0\n* ^Subject\nlast\n"
    );
}
