//! A host in memory: mailboxes, sent mail, remembered ids. It answers scripts and carries out their actions.

use std::collections::BTreeMap;

use crate::question::{Answer, Question};
use crate::{Action, Envelope};

/// What a delivery would have done.
#[derive(Debug, Default)]
pub(super) struct Host {
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
            Question::MailboxIdExists(_)
            | Question::SpecialUseExists { .. }
            | Question::ListsKnown(_) => Answer::Bool(false),
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
            Question::ListContains { .. } => Answer::Text(None),
            Question::Score { .. } => Answer::Score(None),
            Question::Script { .. } => Answer::Script(None),
            Question::Program(_) | Question::Suite(_) => {
                Answer::Failed("a test suite runs no programs".to_owned())
            }
        }
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
                    self.store(&fileinto.mailbox.name, octets(&fileinto.edited))
                }
                Action::Redirect(redirect) => {
                    let mut out = format!("X-Sieve-Redirected-From: {owner}\r\n").into_bytes();
                    out.extend(octets(&redirect.edited));
                    self.sent.push(out);
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
                    let out = notify.to_message(&owner, DATE, &id, &owner);
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
