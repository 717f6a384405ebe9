//! Says what rcfiles would do to a message, and does none of it.

use std::fmt::Write as _;
use std::fs;
use std::io::{self, Read, Write as _};
use std::path::{Path, PathBuf};

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
        assignments: vec![b"VERBOSE=on".to_vec(), b"LOGABSTRACT=no".to_vec()],
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
        let reply = answer(effect, &mut words, &mut directory);
        out.write_all(words.as_bytes())?;
        run.answer(reply).map_err(io::Error::other)?;
    }
}

fn show(text: &[u8]) -> String {
    format!("\"{}\"", String::from_utf8_lossy(text).escape_debug())
}

/// Says what is asked for, and answers as if it were done. Writing to a `String` cannot fail.
fn answer(effect: Effect, words: &mut String, directory: &mut PathBuf) -> Reply {
    let at = |directory: &Path, name: &[u8]| directory.join(&*String::from_utf8_lossy(name));
    match effect {
        Effect::Log(log) => {
            for line in String::from_utf8_lossy(&log.text).lines() {
                let _ = writeln!(
                    words,
                    "  {}",
                    line.strip_prefix("procmail: ").unwrap_or(line)
                );
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
            let _ = writeln!(words, "> {size} octets are delivered to the {kind} {name}.");
            return Reply::Delivered {
                file: delivery.folder,
            };
        }
        Effect::Link { folder, .. } => {
            let _ = writeln!(words, "> The same file is linked into {}.", show(&folder));
            return Reply::Delivered { file: folder };
        }
        Effect::Run(run) => return Reply::Ran(suppose(&run, words)),
        Effect::Print { content } => {
            let _ = writeln!(words, "> {} octets go to standard output.", content.len());
        }
        Effect::Lock { .. } => return Reply::Lock(LockTry::Taken),
        Effect::CloneBegin => {
            let _ = writeln!(words, "> A clone does what follows; the original waits.");
        }
        Effect::CloneEnd { exit } => {
            let _ = writeln!(words, "> The clone has ended with exit code {exit}.");
        }
        Effect::Detach => {
            let _ = writeln!(words, "> The sender is told of success already.");
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
        "> {command} would be run {purpose}; it is taken to succeed."
    );
    let output = if run.purpose == Purpose::Filter {
        run.input.clone()
    } else {
        Vec::new()
    };
    Ran::exited(0, output)
}
