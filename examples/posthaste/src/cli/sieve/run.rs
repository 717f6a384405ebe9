//! `posthaste sieve run`: what a script would do with a message, and why.

use std::path::{Path, PathBuf};

use clap::Args;
use sieve::{Action, Answer, Config, Edited, Envelope, Evaluation, Mailbox, Progress, Question};

use super::{Ending, capabilities, read, tell};
use crate::cli::print;

#[derive(Debug, Args)]
pub(in crate::cli) struct Arguments {
    /// The script
    script: PathBuf,
    /// The message; `-` is the standard input
    message: PathBuf,
    /// Envelope sender [default: the message's Return-Path or From]
    #[arg(long, short = 'f', value_name = "ADDRESS")]
    from: Option<String>,
    /// Envelope recipient [default: the message's Delivered-To or To]
    #[arg(long, short = 'r', value_name = "ADDRESS")]
    to: Option<String>,
    /// A mailbox that exists, besides INBOX; may be given often
    #[arg(long, value_name = "NAME")]
    mailbox: Vec<String>,
    /// The MAILBOXID of a mailbox that exists; may be given often
    #[arg(long, value_name = "ID")]
    mailbox_id: Vec<String>,
    /// Folder of the scripts that `include` names [default: the script's]
    #[arg(long, value_name = "FOLDER")]
    include: Option<PathBuf>,
    /// Show each test and command with its line
    #[arg(long, short)]
    trace: bool,
    /// Show the message where the script changed it
    #[arg(long)]
    show: bool,
}

/// The first address in the first of these fields.
pub(super) fn address(message: &[u8], names: &[&str]) -> Option<String> {
    let field = names
        .iter()
        .find_map(|name| mime::Headers::new(message).find(name))?;
    mime::address::mailboxes(field.raw_value())
        .next()
        .map(|mailbox| mailbox.addr_spec())
}

pub(super) const ENDINGS: &str = "Exit status:
  0  the script ran to its end
  1  it has errors, or failed on the message, which is kept then
  2  a file cannot be read, or the arguments are wrong";

pub(super) fn run(arguments: &Arguments) -> Ending {
    let (Some(source), Some(message)) = (read(&arguments.script), read(&arguments.message)) else {
        return Ending::Trouble;
    };
    let script = match sieve::compile(&source, &capabilities()) {
        Ok(script) => {
            tell(&arguments.script, &source, script.warnings());
            script
        }
        Err(faults) => {
            tell(&arguments.script, &source, &faults);
            return Ending::Faults;
        }
    };
    let from = arguments
        .from
        .clone()
        .or_else(|| address(&message, &["Return-Path", "From"]));
    let to = arguments
        .to
        .clone()
        .or_else(|| address(&message, &["Delivered-To", "X-Original-To", "To"]));
    let envelope = Envelope {
        from: Some(from.unwrap_or_default()),
        to: Some(to.unwrap_or_default()),
        ..Envelope::default()
    };
    let mut config = Config::new(jiff::Zoned::now());
    config.trace = arguments.trace;
    let mut evaluation = Evaluation::new(&script, &message, envelope, config);
    let outcome = loop {
        match evaluation.step() {
            Progress::Done(outcome) => break outcome,
            Progress::Ask(question) => {
                let answer = answer(arguments, &question);
                if let Err(fault) = evaluation.answer(answer) {
                    print::error(fault);
                    return Ending::Trouble;
                }
            }
        }
    };
    let colour = print::has_colours(&std::io::stdout());
    for entry in evaluation.trace() {
        print::line(paint(colour, shade(entry.result), entry));
    }
    for line in &outcome.debug {
        print::line(format_args!("debug: {line}"));
    }
    for action in &outcome.actions {
        print::line(paint(colour, BOLD, describe(action)));
        if let Some(edited) = edited(action).filter(|_| arguments.show) {
            print::octets(&edited.to_bytes(&message));
        }
    }
    match &outcome.error {
        Some(error) => {
            print::error(format_args!("{}:{error}", arguments.script.display()));
            Ending::Faults
        }
        None => Ending::Good,
    }
}

const BOLD: &str = "\u{1b}[1m";

/// Tests that hold are green, those that do not are grey, commands are as they are.
fn shade(result: Option<bool>) -> &'static str {
    match result {
        Some(true) => "\u{1b}[32m",
        Some(false) => "\u{1b}[90m",
        None => "",
    }
}

fn paint(colour: bool, code: &str, text: impl std::fmt::Display) -> String {
    if colour && !code.is_empty() {
        format!("{code}{text}\u{1b}[0m")
    } else {
        text.to_string()
    }
}

/// Nothing was seen or answered before; no program is run.
fn answer(arguments: &Arguments, question: &Question) -> Answer {
    match question {
        Question::MailboxExists(names) => Answer::Bool(names.iter().all(|name| {
            name.eq_ignore_ascii_case("INBOX")
                || arguments.mailbox.iter().any(|known| known == name)
        })),
        Question::MailboxIdExists(ids) => {
            Answer::Bool(ids.iter().all(|id| arguments.mailbox_id.contains(id)))
        }
        Question::Duplicate { .. }
        | Question::VacationAnswered { .. }
        | Question::SpecialUseExists { .. }
        | Question::ListsKnown(_) => Answer::Bool(false),
        Question::Metadata { .. } | Question::ListContains { .. } => Answer::Text(None),
        Question::Score { .. } => Answer::Score(None),
        Question::Script { name, .. } => {
            include(&arguments.script, arguments.include.as_deref(), name)
        }
        Question::Program(program) => {
            Answer::Failed(format!("the program `{}` is not run here", program.name))
        }
        _ => Answer::Failed("nobody knows that here".to_owned()),
    }
}

/// The script of that name, beside the script that includes it or in a folder for them.
pub(super) fn include(script: &Path, folder: Option<&Path>, name: &str) -> Answer {
    let beside = script.parent().unwrap_or(Path::new("."));
    let folder = folder.unwrap_or(beside);
    let path = folder.join(format!("{name}.sieve"));
    let Ok(source) = std::fs::read(&path) else {
        return Answer::Script(None);
    };
    match sieve::compile(&source, &capabilities()) {
        Ok(script) => Answer::Script(Some(script)),
        Err(faults) => {
            tell(&path, &source, &faults);
            Answer::Failed(format!("the included script `{name}` has faults"))
        }
    }
}

fn edited(action: &Action) -> Option<&Edited> {
    match action {
        Action::Keep(keep) => keep.edited.as_ref(),
        Action::FileInto(fileinto) => fileinto.edited.as_ref(),
        Action::Redirect(redirect) => redirect.edited.as_ref(),
        Action::Pipe(pipe) => pipe.edited.as_ref(),
        _ => None,
    }
}

fn flags(flags: &[String]) -> String {
    if flags.is_empty() {
        String::new()
    } else {
        format!(", flags {}", flags.join(" "))
    }
}

fn mailbox(mailbox: &Mailbox) -> String {
    let mut out = format!("{:?}{}", mailbox.name, flags(&mailbox.flags));
    if mailbox.create {
        out.push_str(", created if missing");
    }
    if let Some(id) = &mailbox.mailbox_id {
        out.push_str(&format!(", or the one with id {id}"));
    }
    if let Some(attribute) = &mailbox.special_use {
        out.push_str(&format!(", or the one that is {attribute}"));
    }
    out
}

pub(super) fn describe(action: &Action) -> String {
    let changed = if edited(action).is_some() {
        ", changed"
    } else {
        ""
    };
    match action {
        Action::Keep(keep) if keep.implicit => {
            format!("keep in INBOX (implicit){}{changed}", flags(&keep.flags))
        }
        Action::Keep(keep) => format!("keep in INBOX{}{changed}", flags(&keep.flags)),
        Action::FileInto(fileinto) => format!("fileinto {}{changed}", mailbox(&fileinto.mailbox)),
        Action::Redirect(redirect) => format!("redirect to <{}>{changed}", redirect.address),
        Action::Discard => "discard".to_owned(),
        Action::Reject(reject) => format!("{}: {}", action.name(), reject.reason.trim_end()),
        Action::Vacation(vacation) => format!(
            "vacation to <{}> from <{}>: {:?}, once in {} s",
            vacation.recipient, vacation.from, vacation.subject, vacation.seconds
        ),
        Action::Notify(notify) => format!(
            "notify <{}>: {:?}",
            notify.recipients.join(">, <"),
            notify.subject
        ),
        Action::Report(report) => format!(
            "report as {} to <{}>",
            report.feedback_type, report.recipient
        ),
        Action::Pipe(pipe) => format!("pipe to {:?} {:?}{changed}", pipe.program, pipe.arguments),
        Action::TrackDuplicate(track) => format!(
            "remember {:?} as seen for {} s",
            String::from_utf8_lossy(&track.id),
            track.seconds
        ),
        other => other.name().to_owned(),
    }
}
