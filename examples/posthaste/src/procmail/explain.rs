//! Says what rcfiles would do to a message, and does none of it.

use std::cmp::Ordering;
use std::fmt::Write as _;
use std::fs;
use std::io::{self, Read, Write as _};
use std::path::{Path, PathBuf};

use procmail_rules::ast::Area;
use procmail_rules::note::{Fact, Gate, Note, Subject, Verdict};
use procmail_rules::{
    Command, Config, Effect, End, Evaluator, FolderKind, LockTry, Purpose, Ran, RcFile, Reply, Run,
    Step,
};

use super::account::Account;
use super::host::read_regular;

/// Evaluates an rcfile over the message on standard input and prints every step: what was
/// compared, what came of it, and what would have been done. Programs are not run; they are taken
/// to succeed and, where a filter's output is needed, to change nothing.
///
/// # Errors
///
/// The rcfile or the message cannot be read, a limit was exceeded, or nothing can be printed.
pub fn explain(rcfile: &Path) -> io::Result<()> {
    let text = fs::read(rcfile)?;
    let mut message = Vec::new();
    io::stdin().lock().read_to_end(&mut message)?;
    let mut config = Config {
        rcfiles: vec![RcFile::text(rcfile.to_string_lossy().as_bytes(), text)],
        host: super::host_name().into_bytes(),
        assignments: vec![b"LOGABSTRACT=no".to_vec()],
        notes: true,
        ..Config::default()
    };
    if let Some(account) = Account::own() {
        config.system_mailbox = Some(account.mailbox());
        config.logname = account.name;
        config.home.clone_from(&account.home);
        config.maildir = account.home;
        config.shell = account.shell;
    }
    let mut run = Evaluator::new(config, &message);
    let mut directory = PathBuf::new();
    let mut out = io::stdout().lock();
    loop {
        let effect = match run.step().map_err(io::Error::other)? {
            Step::Ask(effect) => effect,
            Step::NeedAnswer => return Err(io::Error::other("an effect was not answered")),
            Step::Done(outcome) => {
                let end = match outcome.end {
                    End::Delivered => "the mail is delivered",
                    End::HostMismatch => "HOST does not match: the mail is gone",
                    _ => "the mail cannot be delivered",
                };
                return writeln!(out, "In the end {end}; the exit code is {}.", outcome.exit);
            }
        };
        let mut words = String::new();
        let reply = match effect {
            Effect::Note(note) => {
                tell(&note, &mut words);
                Reply::Done
            }
            effect => answer(effect, &mut words, &mut directory),
        };
        out.write_all(words.as_bytes())?;
        run.answer(reply).map_err(io::Error::other)?;
    }
}

fn show(text: &[u8]) -> String {
    format!("\"{}\"", String::from_utf8_lossy(text).escape_debug())
}

/// The lines of a text, with the number of the first.
fn source(note: &Note, words: &mut String) {
    for (index, line) in String::from_utf8_lossy(&note.text).lines().enumerate() {
        let number = note.line + index;
        let _ = writeln!(words, "{number:4}  {line}");
    }
}

/// Says what a step comes to, and why.
fn tell(note: &Note, words: &mut String) {
    let mut says = |text: &dyn std::fmt::Display| {
        let _ = writeln!(words, "      {text}");
    };
    match &note.fact {
        Fact::Decided { matched, score } => {
            let so = if *matched {
                "so the recipe applies"
            } else {
                "so the recipe does not apply"
            };
            return match score {
                Some(score) => says(&format_args!("The score is {score}, {so}.")),
                None if *matched => says(&"All of it holds: the recipe applies."),
                None => says(&"The recipe does not apply."),
            };
        }
        Fact::Action { done: false } if note.text == b"{" => {
            source(note, words);
            let _ = writeln!(words, "      The block is passed over.");
            return;
        }
        _ => source(note, words),
    }
    let mut says = |text: &dyn std::fmt::Display| {
        let _ = writeln!(words, "      {text}");
    };
    match &note.fact {
        Fact::Assigned {
            name,
            value: Some(value),
        } => says(&format_args!(
            "{} becomes {}.",
            String::from_utf8_lossy(name),
            show(value)
        )),
        Fact::Assigned { name, value: None } => says(&format_args!(
            "{} is removed.",
            String::from_utf8_lossy(name)
        )),
        Fact::NotAssigned => says(&"Passed over."),
        Fact::Recipe(gate) => match gate {
            Gate::Open => {}
            Gate::Passed => says(&"Part of a block that is passed over."),
            Gate::NotAlso => says(&"A: the recipe it goes with did not apply."),
            Gate::NotSucceeded => {
                says(&"a: the recipe it goes with did not apply, or its action failed.");
            }
            Gate::NotOtherwise => says(&"E: the recipe before it applied."),
            Gate::NoError => says(&"e: no action before it failed."),
        },
        Fact::Condition(verdict) => says(&judged(verdict)),
        Fact::Action { done: true } => {}
        Fact::Action { done: false } => says(&"Not done."),
        _ => {}
    }
}

/// What a condition comes to, and why.
fn judged(verdict: &Verdict) -> String {
    let (holds, negated, points, subject) = match verdict {
        Verdict::NotTried => return "Not looked at any more.".to_owned(),
        Verdict::TooLong => return "Too long for LINEBUF, and so it does not hold.".to_owned(),
        Verdict::Tested {
            holds,
            negated,
            points,
            subject,
        } => (*holds, *negated, *points, subject),
    };
    let why = match subject {
        Subject::Regex { pattern, .. } if pattern.is_empty() => {
            "an empty expression fits everything".to_owned()
        }
        Subject::Regex { area, found, .. } => {
            let area = match area {
                Area::Variable(name) => format!("the value of {}", String::from_utf8_lossy(name)),
                Area::Header => "the header".to_owned(),
                Area::Body => "the body".to_owned(),
                Area::Both => "the message".to_owned(),
                Area::Flags => "what is searched".to_owned(),
            };
            match found {
                Some(line) => format!("{area} has {}", show(line)),
                None => format!("nothing in {area} fits"),
            }
        }
        Subject::Size { size, limit, less } => {
            let wanted = if *less { "less" } else { "more" };
            let how = match size.cmp(limit) {
                Ordering::Less => "less than",
                Ordering::Equal => "just",
                Ordering::Greater => "more than",
            };
            format!("{size} octets are {how} {limit}, and {wanted} is asked for")
        }
        Subject::Program { exit } => format!("the program ends with {exit}"),
    };
    let verdict = match (points, holds) {
        (Some((points, sum)), _) => return format!("{points} points, {sum} so far: {why}."),
        (None, true) => "Holds",
        (None, false) => "Does not hold",
    };
    let but = if negated {
        ", and it is asked for the contrary"
    } else {
        ""
    };
    format!("{verdict}: {why}{but}.")
}

/// Says what is asked for, and answers as if it were done. Writing to a `String` cannot fail.
fn answer(effect: Effect, words: &mut String, directory: &mut PathBuf) -> Reply {
    let at = |directory: &Path, name: &[u8]| directory.join(&*String::from_utf8_lossy(name));
    match effect {
        Effect::Log(log) => {
            for line in String::from_utf8_lossy(&log.text).lines() {
                let line = line.strip_prefix("procmail: ").unwrap_or(line);
                let _ = writeln!(words, "    procmail logs: {line}");
            }
        }
        Effect::ReadRc { path } => return Reply::Rc(read_regular(&at(directory, &path)).ok()),
        Effect::ChangeDirectory { path } => {
            let path = at(directory, &path);
            if !path.is_dir() {
                return Reply::Failed;
            }
            *directory = path;
        }
        Effect::Folder { path, wanted } => {
            let is_directory = at(directory, &path).is_dir();
            let found = if is_directory {
                FolderKind::Directory
            } else {
                FolderKind::Mbox
            };
            return Reply::Folder(wanted.unwrap_or(found));
        }
        Effect::Deliver(delivery) => {
            let kind = match delivery.kind {
                FolderKind::Mbox => "mbox",
                FolderKind::Maildir => "maildir",
                FolderKind::Mh => "MH folder",
                FolderKind::Directory => "directory",
            };
            let (size, name) = (delivery.content.len(), show(&delivery.folder));
            let _ = writeln!(
                words,
                "    > {size} octets are delivered to the {kind} {name}."
            );
            return Reply::Delivered {
                file: delivery.folder,
            };
        }
        Effect::Link { folder, .. } => {
            let _ = writeln!(
                words,
                "    > The same file is linked into {}.",
                show(&folder)
            );
            return Reply::Delivered { file: folder };
        }
        Effect::Run(run) => return Reply::Ran(suppose(&run, words)),
        Effect::Print { content } => {
            let _ = writeln!(
                words,
                "    > {} octets go to standard output.",
                content.len()
            );
        }
        Effect::Lock { .. } => return Reply::Lock(LockTry::Taken),
        Effect::CloneBegin => {
            let _ = writeln!(
                words,
                "    > A clone does what follows; the original waits."
            );
        }
        Effect::CloneEnd { exit } => {
            let _ = writeln!(words, "    > The clone has ended with exit code {exit}.");
        }
        Effect::Detach => {
            let _ = writeln!(words, "    > The sender is told of success already.");
        }
        _ => {}
    }
    Reply::Done
}

/// A program that is not run.
fn suppose(run: &Run, words: &mut String) -> Ran {
    let command = match &run.command {
        Command::Direct(argv) => argv
            .iter()
            .map(|word| show(word))
            .collect::<Vec<_>>()
            .join(" "),
        Command::Shell { text, .. } => format!("the shell command {}", show(text)),
    };
    let purpose = match run.purpose {
        Purpose::Condition => "to decide the condition",
        Purpose::Substitution => "to put in its output",
        Purpose::Forward => "to forward the mail",
        Purpose::Filter => "to filter the mail",
        Purpose::Capture => "to keep its output in a variable",
        Purpose::Trap => "at the end",
        _ => "to take the mail",
    };
    let _ = writeln!(
        words,
        "    > {command} would be run {purpose}; it is taken to succeed."
    );
    let output = if run.purpose == Purpose::Filter {
        run.input.clone()
    } else {
        Vec::new()
    };
    Ran::exited(0, output)
}
