//! Each limit of a run ends it with an error that names the limit and the line, and what the
//! rcfile asked for before it is not undone.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

use procmail_rules::{
    Config, Effect, Error, Evaluator, FolderKind, Limit, Limits, LockTry, Outcome, Output, Ran,
    RcFile, Reply, Step,
};

const MESSAGE: &[u8] = b"From: a@b\nSubject: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n\nbody\n";

/// What a run asked for, and how it ended. Every rcfile read is `rc` itself; programs answer
/// with their input; `busy` is locked by somebody else.
fn run(rc: &str, set: impl FnOnce(&mut Limits)) -> (Vec<Effect>, Result<Outcome, Error>) {
    let mut config = Config {
        rcfiles: vec![RcFile::text("rc", rc)],
        ..Config::default()
    };
    set(&mut config.limits);
    let mut evaluator = Evaluator::new(config, MESSAGE);
    let mut effects = Vec::new();
    loop {
        let effect = match evaluator.step() {
            Ok(Step::Ask(effect)) => effect,
            Ok(Step::NeedAnswer) => unreachable!("every effect is answered"),
            Ok(Step::Done(outcome)) => return (effects, Ok(outcome)),
            Err(error) => {
                // It stays over.
                assert_eq!(evaluator.step(), Err(error.clone()));
                return (effects, Err(error));
            }
        };
        let reply = match &effect {
            Effect::ReadRc { .. } => Reply::Rc(Some(rc.as_bytes().to_vec())),
            Effect::Folder { wanted, .. } => Reply::Folder(wanted.unwrap_or(FolderKind::Mbox)),
            Effect::Deliver(delivery) => Reply::Delivered {
                file: delivery.folder.clone(),
            },
            Effect::Link { file, .. } => Reply::Delivered { file: file.clone() },
            Effect::Run(run) => Reply::Ran(Ran::exited(
                0,
                match run.output {
                    Output::Capture(_) => run.input.clone(),
                    _ => Vec::new(),
                },
            )),
            Effect::Lock { path } if path == b"busy" => {
                Reply::Lock(LockTry::Busy { age: 1, size: 1 })
            }
            Effect::Lock { .. } => Reply::Lock(LockTry::Taken),
            _ => Reply::Done,
        };
        effects.push(effect);
        evaluator.answer(reply).unwrap();
    }
}

/// The run ends by this limit, at a line.
fn exceeds(limit: Limit, rc: &str, set: impl FnOnce(&mut Limits)) {
    let (_, ended) = run(rc, set);
    let error = ended.unwrap_err();
    assert_eq!(error.limit, limit);
    assert_ne!(error.line, 0);
    assert!(error.to_string().contains("exceeds its limit"), "{error}");
}

#[test]
fn what_is_read() {
    exceeds(Limit::RcSize, "INCLUDERC=x\n", |limits| limits.rc_size = 5);
    exceeds(Limit::IncludeDepth, "INCLUDERC=$_\n", |_| {});
    exceeds(Limit::RcFiles, "SWITCHRC=$_\n", |_| {});
    exceeds(Limit::Statements, "A=1\nA=2\nA=3\nA=4\nA=5\n", |limits| {
        limits.statements = 3;
    });
}

#[test]
fn nesting() {
    let blocks = ":0\n{\n".repeat(200) + &"}\n".repeat(200);
    exceeds(Limit::BraceDepth, &blocks, |_| {});
    // As many that are not executed.
    let skipped = [":0\n* ^Nope\n{\n", &blocks].concat();
    let (_, ended) = run(&skipped, |_| {});
    assert_eq!(ended.unwrap_err().limit, Limit::BraceDepth);
    // Backquotes in backquotes; each level doubles the backslashes.
    exceeds(Limit::ExpansionDepth, "A=`echo \\`echo x\\``\n", |limits| {
        limits.expansion_depth = 1;
    });
}

#[test]
fn variables() {
    let many: String = (0..100).map(|n| format!("A{n}=x\n")).collect();
    exceeds(Limit::Variables, &many, |limits| limits.variables = 64);
    exceeds(
        Limit::ValueSize,
        "A=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n",
        |limits| limits.value_size = 39,
    );
    exceeds(Limit::EnvironmentSize, &many, |limits| {
        limits.environment_size = 600;
    });
}

#[test]
fn expressions() {
    let rc = |expression: &str| format!("LINEBUF=99999\n:0\n* {expression}\nx\n");
    let long = "a".repeat(70_000);
    exceeds(Limit::RegexLength, &rc(&long), |_| {});
    let deep = "(".repeat(300) + "a" + &")".repeat(300);
    exceeds(Limit::RegexDepth, &rc(&deep), |_| {});
    exceeds(Limit::RegexStates, &rc("(a|b|c|d)(e|f|g|h)"), |limits| {
        limits.regex_states = 4
    });
    exceeds(Limit::RegexWork, &rc("1^1 a"), |limits| {
        limits.regex_work = 100
    });
    // Each match looks at the rest in vain, from one place on.
    let counted = |expression: &str| {
        let text = "a".repeat(1_000);
        format!("A={text}\n:0\n* 1^1 A ?? {expression}\nx\n")
    };
    let some = |limits: &mut Limits| limits.regex_work = 100_000;
    exceeds(Limit::RegexWork, &counted("a\\/([^x]*x)?"), some);
    run(&counted("a\\/"), some).1.unwrap();
}

#[test]
fn what_the_host_does() {
    // Waiting for a lock is work, too.
    exceeds(Limit::Effects, "LOCKFILE=busy\n", |_| {});
    exceeds(Limit::Clones, &":0 c\n{ }\n".repeat(4), |limits| {
        limits.clones = 2
    });
    exceeds(Limit::LogSize, "LOG=0123456789\n", |limits| {
        limits.log_size = 5
    });
}

#[test]
fn clones_of_clones_count_together() {
    // Each falls out of its block and makes the next ones: 2 to the power of 20.
    let (effects, ended) = run(&":0 c\n{ }\n".repeat(20), |_| {});
    assert_eq!(ended.unwrap_err().limit, Limit::Clones);
    let clones = effects
        .iter()
        .filter(|effect| matches!(effect, Effect::CloneBegin));
    assert_eq!(clones.count(), Limits::default().clones);
}

#[test]
fn what_was_logged_and_delivered_stays() {
    let (effects, ended) = run("LOG=before\n:0 c\nkept\nSWITCHRC=$_\n", |_| {});
    assert_eq!(ended.unwrap_err().limit, Limit::RcFiles);
    assert!(
        effects
            .iter()
            .any(|effect| matches!(effect, Effect::Log(log) if log.text == b"before"))
    );
    assert!(
        effects
            .iter()
            .any(|effect| matches!(effect, Effect::Deliver(to) if to.folder == b"kept"))
    );
}

/// What the message says is text wherever it gets to: never expanded, never a shell's.
#[test]
fn a_message_is_no_code() {
    let message = b"Subject: `id` $(id) $HOME ${HOME} \"; id; '\n { } :0 |x\n\nb\n";
    let rc = ":0\n* ^Subject: \\/.*\n{ A=$MATCH B=\"$A\" C=\"$\\A\" }\n:0 c\n| cat $B\n:0 c\n| cat \"$B\" >x\n\
              INCLUDERC=\"$B\"\n";
    let config = Config {
        rcfiles: vec![RcFile::text("rc", rc)],
        ..Config::default()
    };
    let mut evaluator = Evaluator::new(config, message);
    let (mut programs, mut read) = (Vec::new(), Vec::new());
    let outcome = loop {
        match evaluator.step().unwrap() {
            Step::Done(outcome) => break outcome,
            Step::NeedAnswer => unreachable!("every effect is answered"),
            Step::Ask(effect) => {
                let reply = match effect {
                    Effect::Run(run) => {
                        programs.push(run.command);
                        Reply::Ran(Ran::exited(0, Vec::new()))
                    }
                    Effect::ReadRc { path } => {
                        read.push(path);
                        Reply::Rc(None)
                    }
                    Effect::Folder { .. } => Reply::Folder(FolderKind::Mbox),
                    Effect::Deliver(delivery) => Reply::Delivered {
                        file: delivery.folder,
                    },
                    Effect::Lock { .. } => Reply::Lock(LockTry::Taken),
                    _ => Reply::Done,
                };
                evaluator.answer(reply).unwrap();
            }
        }
    };
    let subject = b"`id` $(id) $HOME ${HOME} \"; id; '  { } :0 |x";
    assert_eq!(outcome.environment.get(b"B"), Some(subject.as_slice()));
    let words: Vec<Vec<u8>> = std::iter::once(b"cat".to_vec())
        .chain(
            subject
                .split(|byte| *byte == b' ')
                .filter(|word| !word.is_empty())
                .map(<[u8]>::to_vec),
        )
        .collect();
    assert_eq!(programs[0], procmail_rules::Command::Direct(words));
    // The shell gets the rcfile's text as it stands; the value is in the environment.
    let procmail_rules::Command::Shell { text, .. } = &programs[1] else {
        panic!("no shell");
    };
    assert_eq!(text.as_slice(), b" cat \"$B\" >x");
    assert_eq!(programs.len(), 2);
    assert_eq!(read, [subject.to_vec()]);
}

/// The system's rcfile runs before the user's; what it leaves open, and a HOST that is another,
/// end with it.
#[test]
fn the_rcfile_of_the_system() {
    let ran = |system: &str, own: &str| {
        let config = Config {
            system_rcfile: Some(RcFile::text("/etc/procmailrc", system)),
            rcfiles: vec![RcFile::text("/home/u/.procmailrc", own)],
            home: b"/home/u".to_vec(),
            maildir: b"/home/u".to_vec(),
            ..Config::default()
        };
        let mut evaluator = Evaluator::new(config, MESSAGE);
        let (mut log, mut folders) = (Vec::new(), Vec::new());
        loop {
            match evaluator.step().unwrap() {
                Step::Done(_) => break,
                Step::NeedAnswer => unreachable!("every effect is answered"),
                Step::Ask(effect) => {
                    let reply = match effect {
                        Effect::Log(text) => {
                            log.extend(text.text);
                            Reply::Done
                        }
                        Effect::Folder { .. } => Reply::Folder(FolderKind::Mbox),
                        Effect::Deliver(delivery) => {
                            folders.push(String::from_utf8(delivery.folder.clone()).unwrap());
                            Reply::Delivered {
                                file: delivery.folder,
                            }
                        }
                        Effect::Lock { .. } => Reply::Lock(LockTry::Taken),
                        _ => Reply::Done,
                    };
                    evaluator.answer(reply).unwrap();
                }
            }
        }
        (String::from_utf8(log).unwrap(), folders)
    };
    let own = ":0 A\n{ Y=ran }\nLOG=\"$MAILDIR $PATH $X$Y\n\"\n:0\nbox\n";
    let system = "LOG=\"<$MAILDIR> $_\n\"\nPATH=/bin\nX=x\nVERBOSE=on\n:0\n* ^From\n{ A=1\n";
    let (log, folders) = ran(system, own);
    assert!(log.starts_with("<> /etc/procmailrc\n"), "{log}");
    let end = "procmail: Missing closing brace\nprocmail: Assigning \
               \"PATH=/home/u/bin:/usr/local/bin:/usr/bin:/bin\"\n/home/u \
               /home/u/bin:/usr/local/bin:/usr/bin:/bin x\n";
    assert!(log.contains(end), "{log}");
    assert_eq!(folders, ["box"]);
    let (log, folders) = ran("MAILDIR=/srv\nHOST=elsewhere\n:0\nnever\n", own);
    assert!(log.starts_with("/srv "), "{log}");
    assert_eq!(folders, ["box"]);
    let (_, folders) = ran(":0\nall\n", own);
    assert_eq!(folders, ["all"]);
}
