//! A host in memory: mailboxes, sent mail, remembered ids. It answers scripts and carries out their actions.

use std::collections::BTreeMap;

use crate::question::{Answer, CalendarOutcome, Conversion, Program, Question, Score};
use crate::{Action, Envelope};

/// What a delivery would have done.
///
/// Suites give it what it cannot know by settings of their own (`test_config_set`):
///
/// | setting | value |
/// |---|---|
/// | `mailbox/NAME/special_use` | attributes of a mailbox |
/// | `mailbox/NAME/id` | its id |
/// | `extlists/NAME` | members of an external list, with blanks between |
/// | `convert/FROM,TO` | a prefix to put before each converted part |
/// | `calendar` | outcome and reason |
/// | `program/NAME` | exit status and standard output |
#[derive(Debug, Default)]
pub(super) struct Host {
    pub(super) settings: BTreeMap<String, String>,
    /// The scores of the message at hand: spam, virus.
    pub(super) scores: (Option<Score>, Option<Score>),
    pub(super) mailboxes: BTreeMap<String, Vec<Vec<u8>>>,
    pub(super) sent: Vec<Vec<u8>>,
    pub(super) metadata: BTreeMap<(Option<String>, String), String>,
    duplicates: Vec<(String, Vec<u8>)>,
    answered: Vec<(String, String)>,
}

/// The date and the id of composed mail: fixed, so that runs repeat.
const DATE: &str = "Mon, 4 May 2026 12:00:00 +0000";

impl Host {
    fn has_mailbox(&self, name: &str) -> bool {
        name.eq_ignore_ascii_case("INBOX") || self.mailboxes.contains_key(name)
    }

    /// Answers all but test suite requests and scripts.
    pub(super) fn answer(&self, question: &Question) -> Answer {
        match question {
            Question::MailboxExists(names) => {
                Answer::Bool(names.iter().all(|name| self.has_mailbox(name)))
            }
            Question::MailboxIdExists(ids) => {
                Answer::Bool(ids.iter().all(|id| self.mailbox_with("id", id).is_some()))
            }
            Question::SpecialUseExists {
                mailbox,
                attributes,
            } => {
                // RFC 8579 §3: each of them, in that mailbox or anywhere.
                let has = |attribute: &String| match mailbox {
                    Some(name) => self.mailbox_has(name, "special_use", attribute),
                    None => self.mailbox_with("special_use", attribute).is_some(),
                };
                let known = mailbox.as_ref().is_none_or(|name| self.has_mailbox(name));
                Answer::Bool(known && attributes.iter().all(has))
            }
            Question::ListsKnown(lists) => Answer::Bool(
                lists
                    .iter()
                    .all(|list| self.settings.contains_key(&format!("extlists/{list}"))),
            ),
            Question::Metadata {
                mailbox,
                annotation,
            } => {
                let key = (mailbox.clone(), annotation.to_ascii_lowercase());
                Answer::Text(self.metadata.get(&key).cloned())
            }
            Question::Duplicate { handle, id } => {
                Answer::Bool(self.duplicates.iter().any(|(h, i)| h == handle && i == id))
            }
            Question::VacationAnswered { handle, recipient } => {
                let found = self
                    .answered
                    .iter()
                    .any(|(h, r)| h == handle && r.eq_ignore_ascii_case(recipient));
                Answer::Bool(found)
            }
            Question::ListContains { lists, values } => Answer::Text(
                values
                    .iter()
                    .find(|value| {
                        lists.iter().any(|list| {
                            self.list(list)
                                .any(|member| member.eq_ignore_ascii_case(value))
                        })
                    })
                    .cloned(),
            ),
            Question::Score { virus } => {
                Answer::Score(if *virus { self.scores.1 } else { self.scores.0 })
            }
            Question::Convert(conversion) => Answer::Converted(self.convert(conversion)),
            Question::Calendar(_) => self.calendar(),
            Question::Program(program) => self.program(program),
            Question::Script { .. } => Answer::Script(None),
            Question::Suite(_) => Answer::Failed("that is for the runner".to_owned()),
        }
    }

    fn mailbox_has(&self, name: &str, what: &str, value: &str) -> bool {
        self.settings
            .get(&format!("mailbox/{name}/{what}"))
            .is_some_and(|held| {
                held.split_whitespace()
                    .any(|held| held.eq_ignore_ascii_case(value))
            })
    }

    /// The first mailbox with this attribute or id.
    fn mailbox_with(&self, what: &str, value: &str) -> Option<&str> {
        let names = self.mailboxes.keys().map(String::as_str);
        names
            .chain(["INBOX"])
            .find(|name| self.mailbox_has(name, what, value))
    }

    pub(super) fn list(&self, name: &str) -> impl Iterator<Item = &str> {
        let members = self.settings.get(&format!("extlists/{name}"));
        members
            .into_iter()
            .flat_map(|members| members.split_whitespace())
    }

    fn convert(&self, conversion: &Conversion) -> Option<Vec<Vec<u8>>> {
        let key = format!("convert/{},{}", conversion.from, conversion.to);
        let prefix = self.settings.get(&key)?;
        let convert = |part: &Vec<u8>| {
            // A part that is damaged.
            (part != b"damaged").then(|| {
                let with = conversion.parameters.join(" ");
                [
                    prefix.as_bytes(),
                    b" ",
                    with.as_bytes(),
                    b" ",
                    part.trim_ascii_end(),
                ]
                .concat()
            })
        };
        conversion.parts.iter().map(convert).collect()
    }

    fn calendar(&self) -> Answer {
        let setting = self.settings.get("calendar").map_or("", String::as_str);
        let (outcome, reason) = setting.split_once(' ').unwrap_or((setting, ""));
        let outcome = match outcome {
            "added" => CalendarOutcome::Added,
            "updated" => CalendarOutcome::Updated,
            "error" => CalendarOutcome::Error,
            _ => CalendarOutcome::NoAction,
        };
        Answer::Calendar {
            outcome,
            reason: reason.to_owned(),
        }
    }

    fn program(&self, program: &Program) -> Answer {
        let Some(setting) = self.settings.get(&format!("program/{}", program.name)) else {
            return Answer::Failed(format!("there is no program `{}`", program.name));
        };
        let (status, output) = setting.split_once(' ').unwrap_or((setting, ""));
        let output = output
            .replace("${input}", &String::from_utf8_lossy(&program.input))
            .replace("${arguments}", &program.arguments.join(" "));
        Answer::Program {
            success: status == "0",
            output: output.into_bytes(),
        }
    }

    /// Where a message goes that should be in a certain mailbox, or in one that is like it.
    fn place(&self, mailbox: &crate::Mailbox) -> String {
        let by_id = mailbox
            .mailbox_id
            .as_ref()
            .and_then(|id| self.mailbox_with("id", id));
        let by_use = mailbox
            .special_use
            .as_ref()
            .and_then(|attribute| self.mailbox_with("special_use", attribute));
        by_id.or(by_use).unwrap_or(&mailbox.name).to_owned()
    }

    fn store(&mut self, mailbox: &str, message: Vec<u8>) {
        let name = if mailbox.eq_ignore_ascii_case("INBOX") {
            "INBOX"
        } else {
            mailbox
        };
        self.mailboxes
            .entry(name.to_owned())
            .or_default()
            .push(message);
    }

    /// Carries out the actions of one run.
    pub(super) fn execute(&mut self, actions: &[Action], message: &[u8], envelope: &Envelope) {
        let octets = |edited: &Option<crate::Edited>| match edited {
            Some(edited) => edited.to_bytes(message),
            None => message.to_vec(),
        };
        let owner = envelope.to.clone().unwrap_or_default();
        for action in actions {
            let id = format!("<{}@testsuite.invalid>", self.sent.len());
            match action {
                Action::Keep(keep) => self.store("INBOX", octets(&keep.edited)),
                Action::FileInto(fileinto) => {
                    let name = self.place(&fileinto.mailbox);
                    self.store(&name, octets(&fileinto.edited));
                }
                Action::Redirect(redirect) => {
                    let mut out = format!("X-Sieve-Redirected-From: {owner}\r\n").into_bytes();
                    out.extend(octets(&redirect.edited));
                    // One copy for each member of a list (RFC 6134 §2.4).
                    let copies = if redirect.list {
                        self.list(&redirect.address).count()
                    } else {
                        1
                    };
                    self.sent.extend(std::iter::repeat_n(out, copies));
                }
                Action::Report(report) => {
                    self.sent
                        .push(report.to_message(message, &owner, DATE, &id));
                }
                Action::Vacation(vacation) => {
                    let reply = vacation.to_message(DATE, &id);
                    if let Some(fcc) = &vacation.fcc {
                        self.store(&fcc.name, reply.clone());
                    }
                    self.sent.push(reply);
                    self.answered
                        .push((vacation.handle.clone(), vacation.recipient.clone()));
                }
                Action::Notify(notify) => {
                    let out = if notify.is_xmpp() {
                        let stanza = notify.to_stanza("notify.invalid", &owner, None);
                        format!("Content-Type: application/xml\r\n\r\n{stanza}\r\n").into_bytes()
                    } else {
                        notify.to_message(&owner, DATE, &id, &owner)
                    };
                    if let Some(fcc) = &notify.fcc {
                        self.store(&fcc.name, out.clone());
                    }
                    self.sent.push(out);
                }
                Action::Reject(reject) => {
                    let sender = envelope.from.clone().unwrap_or_default();
                    let out = format!(
                        "From: {owner}\r\nTo: {sender}\r\nDate: {DATE}\r\nMessage-ID: {id}\r\nSubject: Rejected\r\n\
                         Auto-Submitted: auto-replied (rejected)\r\n\r\n{}",
                        reject.reason
                    );
                    self.sent.push(out.into_bytes());
                }
                Action::TrackDuplicate(track) => self
                    .duplicates
                    .push((track.handle.clone(), track.id.clone())),
                Action::Discard | Action::Pipe(_) => {}
            }
        }
    }
}
