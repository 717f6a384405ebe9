//! What this crate does with a script, one line for each action.

use sieve::{
    Action, Answer, Capabilities, Compiler, Config, Envelope, Evaluation, Progress, Question,
    Scanner,
};

use super::areas::Area;
use super::more::INCLUDED;
use super::peer;

fn answer(question: &Question, message: &str) -> Answer {
    match question {
        Question::MailboxExists(names) => {
            let known = |name: &String| {
                ["Trash", "Spam"].contains(&name.as_str()) || name.eq_ignore_ascii_case("INBOX")
            };
            Answer::Bool(names.iter().all(known))
        }
        Question::SpecialUseExists {
            mailbox,
            attributes,
        } => {
            let has = |name: &str, attribute: &str| {
                [("Trash", "\\Trash"), ("Spam", "\\Junk")]
                    .iter()
                    .any(|(known, has)| *known == name && has.eq_ignore_ascii_case(attribute))
            };
            Answer::Bool(attributes.iter().all(|attribute| match mailbox {
                Some(name) => has(name, attribute),
                None => has("Trash", attribute) || has("Spam", attribute),
            }))
        }
        Question::Metadata { .. } => Answer::Text(None),
        Question::Script { name, .. } => {
            let found = INCLUDED.iter().find(|(known, _)| known == name);
            Answer::Script(
                found.map(|(_, source)| sieve::compile(source, &Capabilities::all()).unwrap()),
            )
        }
        Question::Score { virus } => {
            let setting = |name: &str| {
                let list = if *virus { peer::VIRUS } else { peer::SPAM };
                let found = list.iter().find(|(known, _)| *known == name);
                found.map(|(_, value)| (*value).to_owned())
            };
            let scanner = Scanner::from_settings(*virus, setting).unwrap().unwrap();
            Answer::Score(scanner.score(message.as_bytes()))
        }
        _ => Answer::Bool(false),
    }
}

pub(crate) fn actions(area: &Area, source: &str, message: &str) -> Vec<String> {
    let script = Compiler::new()
        .capabilities(Capabilities::all())
        .compile(source)
        .unwrap_or_else(|faults| panic!("{faults:?}\n{source}"));
    let envelope = Envelope::new("ann+list@example.org", peer::recipient(area));
    let mut config = Config::new("2026-05-04T12:00:00+00:00[+00:00]".parse().unwrap());
    config.addresses = vec!["me@example.com".into()];
    config.vacation_minimum = 86_400;
    config.environment = vec![
        ("phase".into(), "post".into()),
        ("location".into(), "MS".into()),
    ];
    let mut evaluation = Evaluation::new(&script, message.as_bytes(), envelope, config);
    let outcome = loop {
        match evaluation.step() {
            Progress::Done(outcome) => break outcome,
            Progress::Ask(question) => {
                let answer = answer(&question, message);
                evaluation.answer(answer).unwrap();
            }
        }
    };
    assert!(outcome.error.is_none(), "{:?}\n{source}", outcome.error);
    if area.stored {
        let [Action::Keep(keep)] = &outcome.actions[..] else {
            panic!("{:?}", outcome.actions);
        };
        let stored = match &keep.edited {
            Some(edited) => edited.to_bytes(message.as_bytes()),
            None => message.as_bytes().to_vec(),
        };
        return peer::fields(&String::from_utf8(stored).unwrap());
    }
    let mut lines: Vec<String> = outcome.actions.iter().map(line).collect();
    lines.sort();
    lines
}

fn line(action: &Action) -> String {
    let (line, flags) = match action {
        Action::Keep(keep) => ("store INBOX".to_owned(), &keep.flags[..]),
        Action::FileInto(fileinto) => (
            format!("store {}", peer::one_line(&fileinto.mailbox.name)),
            &fileinto.mailbox.flags[..],
        ),
        Action::Redirect(redirect) => (format!("redirect {}", redirect.address), &[][..]),
        Action::Discard => ("discard".to_owned(), &[][..]),
        Action::Reject(reject) => (format!("reject {}", reject.reason), &[][..]),
        Action::Report(report) => (
            format!("report {} {}", report.feedback_type, report.recipient),
            &[][..],
        ),
        Action::TrackDuplicate(_) => ("track duplicate".to_owned(), &[][..]),
        Action::Vacation(vacation) => (
            format!(
                "vacation {} | {} | {}",
                vacation.seconds,
                vacation.subject,
                peer::one_line(&vacation.body)
            ),
            &[][..],
        ),
        Action::Notify(notify) => {
            let mut recipients = notify.recipients.clone();
            recipients.sort();
            (
                format!(
                    "notify {} | {} | {} | {}",
                    notify.importance,
                    notify.subject,
                    recipients.join(" "),
                    peer::one_line(&notify.body)
                ),
                &[][..],
            )
        }
        other => panic!("{other:?}"),
    };
    let mut flags: Vec<String> = flags.iter().map(|flag| flag.to_lowercase()).collect();
    flags.sort();
    format!("{line} {}", flags.join(" ")).trim_end().to_owned()
}
