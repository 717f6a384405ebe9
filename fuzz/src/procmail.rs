//! procmail-rules: rcfiles and messages that say anything.

use procmail_rules::note::{Fact, Subject, Verdict};
use procmail_rules::{
    Config, Effect, Evaluator, FolderKind, LockTry, Ran, RcFile, Reply, Script, Step, format,
};

/// Evaluates an rcfile over a message; both come from the same input, split at the first NUL.
///
/// # Panics
///
/// If the evaluator refuses an answer its documentation allows, or a delivery is not what the
/// message says.
pub fn evaluate(data: &[u8]) {
    let mut parts = data.splitn(2, |byte| *byte == 0);
    let rc = parts.next().unwrap_or_default();
    let message = parts.next().unwrap_or_default();
    let mut config = Config {
        rcfiles: vec![RcFile::text("rc", rc)],
        assignments: vec![b"VERBOSE=on".to_vec()],
        ..Config::default()
    };
    config.limits.statements = 2_000;
    config.limits.effects = 500;
    config.limits.clones = 4;
    config.limits.regex_work = 10_000_000;
    let mut run = Evaluator::new(config, message);
    let mut turn = 0_usize;
    loop {
        let effect = match run.step() {
            Ok(Step::Ask(effect)) => effect,
            Ok(Step::NeedAnswer) => unreachable!("every effect is answered"),
            Ok(Step::Done(_)) | Err(_) => return,
        };
        turn += 1;
        let reply = answer(effect, turn, rc, message);
        assert!(run.answer(reply).is_ok(), "an allowed answer is taken");
    }
}

fn answer(effect: Effect, turn: usize, rc: &[u8], message: &[u8]) -> Reply {
    let fails = turn.is_multiple_of(5);
    match effect {
        Effect::ReadRc { .. } => Reply::Rc((!fails).then(|| rc.to_vec())),
        Effect::Folder { wanted, .. } => Reply::Folder(wanted.unwrap_or(FolderKind::Mbox)),
        Effect::Deliver(_) | Effect::Link { .. } if fails => Reply::Failed,
        Effect::Deliver(delivery) => Reply::Delivered {
            file: delivery.folder,
        },
        Effect::Link { file, .. } => Reply::Delivered { file },
        Effect::Run(_) if fails => Reply::Ran(Ran::refused()),
        Effect::Run(_) => Reply::Ran(Ran::exited(0, message.to_vec())),
        Effect::Lock { path } if fails => Reply::Lock(LockTry::Impossible { attempted: path }),
        Effect::Lock { .. } => Reply::Lock(LockTry::Taken),
        _ if fails => Reply::Failed,
        _ => Reply::Done,
    }
}

/// Parses an rcfile, checks it, lays it out and translates it to Sieve.
///
/// # Panics
///
/// If a place is outside of the text, what is laid out is laid out otherwise the next time or is
/// no sound rcfile any more, or the translation is no Sieve script.
pub fn parse(data: &[u8]) {
    let script = Script::parse(data);
    for found in script.check() {
        assert!(found.span.start <= found.span.end && found.span.end <= data.len());
        assert!(!found.render("rc", &script).is_empty());
        if let Some(fix) = &found.fix {
            assert!(fix.span.end <= data.len());
        }
    }
    if let Ok(neat) = script.format() {
        let again = Script::parse(&neat).format();
        assert_eq!(again.as_ref(), Ok(&neat), "laid out twice");
    }
    let translation = script.to_sieve();
    if let Err(faults) = sieve::parse(translation.script.as_bytes()) {
        assert!(faults.is_empty(), "{faults:?}\n{}", translation.script);
    }
}

/// Searches a text for an expression: the engine that tells whether there is a match, and the
/// walk that tells where, must be of one mind. The two are split at the first NUL.
///
/// # Panics
///
/// If they are not.
pub fn expression(data: &[u8]) {
    let mut parts = data.splitn(2, |byte| *byte == 0);
    let pattern = parts.next().unwrap_or_default();
    let text = parts.next().unwrap_or_default();
    if pattern.contains(&b'\n') {
        return;
    }
    let rc = [b":0 HB\n* \\()".as_slice(), pattern, b"\n{ }\n"].concat();
    let mut config = Config {
        rcfiles: vec![RcFile::text("rc", rc)],
        assignments: vec![b"DEFAULT=/dev/null".to_vec()],
        notes: true,
        ..Config::default()
    };
    config.limits.regex_work = 10_000_000;
    let mut run = Evaluator::new(config, text);
    loop {
        let reply = match run.step() {
            Ok(Step::Ask(Effect::Note(note))) => {
                if let Fact::Condition(Verdict::Tested {
                    holds,
                    subject: Subject::Regex { found, .. },
                    ..
                }) = note.fact
                {
                    assert_eq!(holds, found.is_some(), "{}", String::from_utf8_lossy(data));
                }
                Reply::Done
            }
            Ok(Step::Ask(Effect::Lock { .. })) => Reply::Lock(LockTry::Taken),
            Ok(Step::Ask(_)) => Reply::Done,
            _ => return,
        };
        assert!(run.answer(reply).is_ok(), "an allowed answer is taken");
    }
}

/// What is quoted for an mbox holds one message, however hostile.
///
/// # Panics
///
/// If a line after the first begins with `From `.
pub fn quote(data: &[u8]) {
    let out = format::mbox(data, 0, None);
    assert!(memory_find(&out, b"\nFrom ").is_none());
    assert!(out.ends_with(b"\n"));
}

fn memory_find(text: &[u8], what: &[u8]) -> Option<usize> {
    text.windows(what.len()).position(|window| window == what)
}
