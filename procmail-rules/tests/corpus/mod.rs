//! The verified cases as texts, a host that keeps everything in memory, and rcfiles made by chance.

pub(crate) mod generator;

use std::fs;
use std::path::Path;
use std::sync::{Arc, LazyLock};

use procmail_rules::{
    Config, Effect, Error, Evaluator, FolderKind, LockTry, Outcome, Output, Ran, RcFile,
    RegexCache, Reply, Step,
};
use serde::Deserialize;

/// Compiled once for all runs.
static REGEXES: LazyLock<Arc<RegexCache>> = LazyLock::new(Arc::default);

#[derive(Deserialize)]
struct Cases {
    case: Vec<Case>,
}

/// A case.
#[derive(Deserialize)]
pub(crate) struct Case {
    pub(crate) id: String,
    pub(crate) rc: Option<String>,
    #[serde(default)]
    pub(crate) message: String,
}

/// All cases whose rcfile is text.
pub(crate) fn cases() -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut cases = Vec::new();
    for file in fs::read_dir(folder).unwrap().flatten() {
        let name = file.file_name().into_string().unwrap();
        if name.ends_with(".toml") && !["regex-vectors.toml", "tools.toml"].contains(&&*name) {
            let text = fs::read_to_string(file.path()).unwrap();
            cases.extend(toml::from_str::<Cases>(&text).unwrap().case);
        }
    }
    cases.retain(|case| case.rc.is_some());
    cases.sort_by(|one, other| one.id.cmp(&other.id));
    cases
}

/// Runs an rcfile with a host that does nothing but remember, to the end or to a limit.
pub(crate) fn run(rc: &[u8], message: &[u8], notes: bool) -> (Vec<Effect>, Result<Outcome, Error>) {
    let mut config = Config {
        rcfiles: vec![RcFile::text("rc", rc)],
        assignments: vec![b"DEFAULT=default".to_vec(), b"VERBOSE=on".to_vec()],
        arguments: vec![b"one".to_vec()],
        notes,
        regexes: Arc::clone(&REGEXES),
        ..Config::default()
    };
    config.limits.rc_files = 20;
    config.limits.effects = 5_000;
    let mut evaluator = Evaluator::new(config, message);
    let mut effects = Vec::new();
    let outcome = loop {
        let effect = match evaluator.step() {
            Ok(Step::Ask(effect)) => effect,
            Ok(Step::NeedAnswer) => unreachable!("every effect is answered"),
            Ok(Step::Done(outcome)) => break Ok(outcome),
            Err(error) => break Err(error),
        };
        let reply = answer(&effect);
        effects.push(effect);
        evaluator.answer(reply).unwrap();
    };
    (effects, outcome)
}

fn answer(effect: &Effect) -> Reply {
    match effect {
        Effect::ReadRc { path } => Reply::Rc((path == b"inc.rc").then(|| b"I=1\n".to_vec())),
        Effect::Folder { wanted, .. } => Reply::Folder(wanted.unwrap_or(FolderKind::Mbox)),
        Effect::Deliver(delivery) if delivery.folder.starts_with(b"no/") => Reply::Failed,
        Effect::Deliver(delivery) => Reply::Delivered {
            file: delivery.folder.clone(),
        },
        Effect::Link { file, .. } => Reply::Delivered { file: file.clone() },
        Effect::Run(run) => {
            let output = match run.output {
                Output::Capture(_) => run.input.clone(),
                _ => Vec::new(),
            };
            Reply::Ran(Ran::exited(i32::from(run.input.len() % 3 == 0), output))
        }
        Effect::Lock { .. } => Reply::Lock(LockTry::Taken),
        _ => Reply::Done,
    }
}
