//! What scripts ask.

use std::path::Path;

use bytes::Bytes;
use sieve::{Answer, Question};

use super::{Plan, duplicate_key, inbox, vacation_key};
use crate::blocking::in_place;
use crate::store::StoreResult;

/// A file of a list or a script may have so many octets.
const FILE_LIMIT: u64 = 1 << 20;

/// The file of this name right in this folder, if there is one.
pub(super) fn file_in(folder: &Path, name: &str) -> Option<Vec<u8>> {
    let hidden = name.is_empty() || name.starts_with('.');
    if hidden || name.contains(['/', '\0']) {
        return None;
    }
    let path = folder.join(name);
    in_place(|| {
        let size = std::fs::metadata(&path)
            .ok()
            .filter(std::fs::Metadata::is_file)?;
        (size.len() <= FILE_LIMIT)
            .then(|| std::fs::read(&path).ok())
            .flatten()
    })
}

impl Plan<'_> {
    pub(super) async fn answer(&self, question: Question) -> StoreResult<Answer> {
        Ok(match question {
            Question::MailboxExists(names) => {
                let mut all = true;
                for name in names {
                    all = all && self.account.exists(&inbox(&name)).await?;
                }
                Answer::Bool(all)
            }
            Question::MailboxIdExists(ids) => Answer::Bool(self.has_mailboxes(&ids).await?),
            Question::SpecialUseExists {
                mailbox,
                attributes,
            } => {
                let mailboxes = self.account.mailboxes().await?;
                let wanted = mailbox.as_deref().map(inbox);
                let has = |attribute: &String| {
                    mailboxes.iter().any(|info| {
                        wanted.as_ref().is_none_or(|wanted| *wanted == info.name)
                            && info
                                .special_use
                                .as_ref()
                                .is_some_and(|own| own.eq_ignore_ascii_case(attribute))
                    })
                };
                Answer::Bool(attributes.iter().all(has))
            }
            Question::Metadata {
                mailbox,
                annotation,
            } => {
                let mailbox = mailbox.as_deref().map(inbox);
                let value = self.account.annotation(mailbox.as_deref(), &annotation);
                let value = value.await?;
                Answer::Text(value.map(|value| String::from_utf8_lossy(&value).into_owned()))
            }
            Question::Duplicate { handle, id } => {
                Answer::Bool(self.account.remembers(&duplicate_key(&handle, &id)).await?)
            }
            Question::VacationAnswered { handle, recipient } => {
                let key = vacation_key(&handle, &recipient);
                Answer::Bool(self.later.answers(&key) || self.account.remembers(&key).await?)
            }
            Question::Script { name, global } => self.included(&name, global).await,
            Question::ListsKnown(lists) => {
                Answer::Bool(lists.iter().all(|list| self.members(list).is_some()))
            }
            Question::ListContains { lists, values } => Answer::Text(self.listed(&lists, values)),
            Question::Score { virus } => {
                let config = &self.filter.config;
                let scanner = if virus { &config.virus } else { &config.spam };
                let score = scanner.as_ref().map(|scanner| scanner.score(&self.message));
                Answer::Score(score.flatten())
            }
            Question::Program(program) => {
                let input = Bytes::from(program.input);
                let ran = self
                    .run_program(program.kind, &program.name, program.arguments, input)
                    .await;
                match ran {
                    Ok((success, output)) => Answer::Program { success, output },
                    Err(reason) => Answer::Failed(reason),
                }
            }
            other => Answer::Failed(format!("not known on this host: {other:?}")),
        })
    }

    /// A script that another one includes (RFC 6609 §3.1).
    async fn included(&self, name: &str, global: bool) -> Answer {
        let source = if global {
            let folder = self.filter.config.global.as_deref();
            folder
                .and_then(|folder| file_in(folder, &format!("{name}.sieve")))
                .map(Bytes::from)
        } else {
            match self.account.scripts() {
                Some(scripts) => scripts.read(name).await.ok(),
                None => None,
            }
        };
        match source.map(|source| self.filter.compile(&source)) {
            None => Answer::Script(None),
            Some(Ok(script)) => Answer::Script(Some(script)),
            Some(Err(fault)) => Answer::Failed(format!("the script {name:?}: {fault}")),
        }
    }

    /// The members of an external list (RFC 6134), if there is such a list.
    pub(super) fn members(&self, list: &str) -> Option<Vec<String>> {
        let text = file_in(self.filter.config.lists.as_deref()?, list)?;
        let text = String::from_utf8_lossy(&text);
        let members = text
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty() && !line.starts_with('#'));
        Some(members.map(str::to_owned).collect())
    }

    fn listed(&self, lists: &[String], values: Vec<String>) -> Option<String> {
        let members: Vec<String> = lists
            .iter()
            .filter_map(|list| self.members(list))
            .flatten()
            .collect();
        let on_it = |value: &String| {
            members
                .iter()
                .any(|member| member.eq_ignore_ascii_case(value))
        };
        values.into_iter().find(on_it)
    }
}
