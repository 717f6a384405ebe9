//! An rcfile and its translation, run side by side on a message.

use std::collections::BTreeSet;
use std::sync::Arc;

use procmail_rules::{
    Command, Config, Effect, Evaluator, FolderKind, LockTry, Purpose, Ran, RcFile, RegexCache,
    Reply, Step,
};
use sieve::{Action, Answer, Envelope, Evaluation, Progress, Question};

/// What is to become of a message: the mailboxes it goes into and the addresses it is sent to.
pub type Fate = BTreeSet<String>;

/// What procmail would do; no program is run.
///
/// # Errors
///
/// A limit was exceeded.
pub fn by_procmail(
    rc: &[u8],
    regexes: &Arc<RegexCache>,
    message: &[u8],
) -> Result<Fate, procmail_rules::Error> {
    let config = Config {
        rcfiles: vec![RcFile::text("rc", rc)],
        system_mailbox: Some(b"/INBOX".to_vec()),
        maildir: b"/MAILDIR".to_vec(),
        regexes: Arc::clone(regexes),
        ..Config::default()
    };
    let mut evaluator = Evaluator::new(config, message);
    let mut directory = Vec::new();
    let mut fate = Fate::new();
    loop {
        let effect = match evaluator.step()? {
            Step::Ask(effect) => effect,
            Step::NeedAnswer => return Ok(fate),
            Step::Done(_) => return Ok(fate),
        };
        let reply = match effect {
            Effect::ChangeDirectory { path } => {
                directory = path;
                Reply::Done
            }
            Effect::Folder { wanted, .. } => Reply::Folder(wanted.unwrap_or(FolderKind::Mbox)),
            Effect::Deliver(delivery) => {
                fate.insert(mailbox(&delivery.folder, &directory));
                Reply::Delivered {
                    file: delivery.folder,
                }
            }
            Effect::Link { file, folder, .. } => {
                fate.insert(mailbox(&folder, &directory));
                Reply::Delivered { file }
            }
            Effect::Run(run) => {
                let shown = match run.command {
                    Command::Direct(words) if run.purpose == Purpose::Forward => {
                        // Behind sendmail and -oi.
                        for address in words.iter().skip(2) {
                            fate.insert(format!("! {}", String::from_utf8_lossy(address)));
                        }
                        None
                    }
                    Command::Direct(words) => Some(words.join(&b' ')),
                    Command::Shell { text, .. } => Some(text),
                };
                if let Some(shown) = shown {
                    fate.insert(format!("| {}", String::from_utf8_lossy(&shown).trim()));
                }
                Reply::Ran(Ran::exited(0, Vec::new()))
            }
            Effect::ReadRc { .. } => Reply::Rc(None),
            Effect::Lock { .. } => Reply::Lock(LockTry::Taken),
            _ => Reply::Done,
        };
        // Every reply is one its effect allows.
        let _ = evaluator.answer(reply);
    }
}

/// The mailbox that a folder is, as seen from MAILDIR.
fn mailbox(folder: &[u8], directory: &[u8]) -> String {
    let folder = String::from_utf8_lossy(folder);
    let directory = String::from_utf8_lossy(directory);
    if folder == "/INBOX" {
        return "INBOX".to_owned();
    }
    let below = folder
        .strip_prefix(&*directory)
        .filter(|rest| rest.starts_with('/'));
    let name = below.unwrap_or(&folder);
    name.trim_start_matches("./").trim_matches('/').to_owned()
}

/// What a Sieve script would do.
pub fn by_sieve(script: &sieve::Script, message: &[u8]) -> Result<Fate, String> {
    let envelope = procmail_rules::format::envelope_length(message);
    let sender = message
        .get(..envelope)
        .unwrap_or(&[])
        .split(u8::is_ascii_whitespace)
        .nth(1)
        .unwrap_or(b"");
    let sender = String::from_utf8_lossy(sender).into_owned();
    let mut octets = Vec::with_capacity(message.len() + message.len() / 32);
    for line in message
        .get(envelope..)
        .unwrap_or(&[])
        .split_inclusive(|octet| *octet == b'\n')
    {
        octets.extend_from_slice(line.strip_suffix(b"\n").unwrap_or(line));
        if line.ends_with(b"\n") {
            octets.extend_from_slice(b"\r\n");
        }
    }
    let envelope = Envelope::new(sender, "user@localhost");
    let config = sieve::Config::new(jiff::Zoned::now());
    let mut evaluation = Evaluation::new(script, &octets, envelope, config);
    let outcome = loop {
        match evaluation.step() {
            Progress::Ask(question) => {
                let answer = match question {
                    Question::MailboxExists(_) => Answer::Bool(true),
                    Question::Duplicate { .. } | Question::VacationAnswered { .. } => {
                        Answer::Bool(false)
                    }
                    _ => Answer::Failed("not known here".to_owned()),
                };
                if evaluation.answer(answer).is_err() {
                    return Err("an answer does not fit its question".to_owned());
                }
            }
            Progress::Done(outcome) => break outcome,
        }
    };
    if let Some(error) = outcome.error {
        return Err(error.to_string());
    }
    Ok(outcome
        .actions
        .iter()
        .filter_map(|action| match action {
            Action::Keep(_) => Some("INBOX".to_owned()),
            Action::FileInto(fileinto) => Some(fileinto.mailbox.name.clone()),
            Action::Redirect(redirect) => Some(format!("! {}", redirect.address)),
            Action::Discard | Action::TrackDuplicate(_) => None,
            other => Some(other.name().to_owned()),
        })
        .collect())
}
