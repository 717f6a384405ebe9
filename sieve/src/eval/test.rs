//! Tests at run time.

use super::fields::place;
use super::{Evaluation, Fault, date};
use crate::matching::{Keys, Matching};
use crate::program::{RunProgram, Test, UniqueId, Zone};
use crate::question::{Answer, Question};

impl Test {
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Header { .. } => "header",
            Self::Address { .. } => "address",
            Self::Envelope { .. } => "envelope",
            Self::Exists { .. } => "exists",
            Self::Size { .. } => "size",
            Self::Body { .. } => "body",
            Self::Date { .. } => "date",
            Self::CurrentDate { .. } => "currentdate",
            Self::Environment { .. } => "environment",
            Self::Text { .. } => "string",
            Self::HasFlag { .. } => "hasflag",
            Self::MailboxExists(_) => "mailboxexists",
            Self::MailboxIdExists(_) => "mailboxidexists",
            Self::SpecialUseExists { .. } => "specialuse_exists",
            Self::Metadata { mailbox: None, .. } => "servermetadata",
            Self::Metadata { .. } => "metadata",
            Self::MetadataExists { mailbox: None, .. } => "servermetadataexists",
            Self::MetadataExists { .. } => "metadataexists",
            Self::ValidNotifyMethod(_) => "valid_notify_method",
            Self::NotifyMethodCapability { .. } => "notify_method_capability",
            Self::Duplicate { .. } => "duplicate",
            Self::ValidExtList(_) => "valid_ext_list",
            Self::Scanner { virus: false, .. } => "spamtest",
            Self::Scanner { virus: true, .. } => "virustest",
            Self::Convert(_) => "convert",
            Self::Program(RunProgram { kind, .. }) => kind.name(),
            Self::IHave(_) => "ihave",
            Self::Suite(_) => "test_*",
        }
    }
}

impl Evaluation<'_> {
    pub(super) fn test(&mut self, test: &Test) -> Result<bool, Fault> {
        match test {
            Test::Header {
                names,
                keys,
                matching,
                index,
                mime,
            } => {
                let mut values = self.values(keys, *matching)?;
                match mime {
                    Some(mime) => self.feed_part_headers(mime, names, &mut values),
                    None => self.feed_headers(names, *index, &mut values),
                }
                self.decide(values)
            }
            Test::Address {
                names,
                keys,
                matching,
                part,
                index,
                mime,
            } => {
                let mut values = self.values(keys, *matching)?;
                self.feed_addresses(names, *part, *index, mime.as_ref(), &mut values);
                self.decide(values)
            }
            Test::Envelope {
                parts,
                keys,
                matching,
                part,
                zone,
            } => {
                // RFC 6785 §4.6: there is none.
                if self.config.imap_event.is_some() {
                    return Err(Fault::Fail("an IMAP event has no envelope".to_owned()));
                }
                let mut values = self.values(keys, *matching)?;
                self.feed_envelope(parts, *part, zone, &mut values)?;
                self.decide(values)
            }
            Test::Exists { names, mime } => Ok(self.exists(names, mime.as_ref())),
            Test::Size { over, limit } => {
                let size = u64::try_from(self.message.octets().len()).unwrap_or(u64::MAX);
                Ok(if *over { size > *limit } else { size < *limit })
            }
            Test::Body {
                transform,
                keys,
                matching,
            } => {
                let mut values = self.values(keys, *matching)?;
                self.feed_body(transform, &mut values)?;
                self.decide(values)
            }
            Test::Date {
                header,
                zone,
                part,
                keys,
                matching,
                index,
            } => {
                let mut values = self.values(keys, *matching)?;
                let name = self.expand(header);
                self.message.prepare();
                let found = {
                    let mut fields: Vec<&[u8]> = self.message.named(&name).collect();
                    let at = index.map_or(Some(0), |index| place(index, fields.len()));
                    at.filter(|at| *at < fields.len())
                        .and_then(|at| date::parse(fields.swap_remove(at)))
                };
                if let Some(found) = found {
                    let zoned = self.in_zone(found.timestamp(), zone, found.offset())?;
                    values.feed(date::part(&zoned, *part).as_bytes());
                }
                self.decide(values)
            }
            Test::CurrentDate {
                zone,
                part,
                keys,
                matching,
            } => {
                let mut values = self.values(keys, *matching)?;
                let now = match zone {
                    Zone::Local => self.config.now.clone(),
                    _ => {
                        self.in_zone(self.config.now.timestamp(), zone, self.config.now.offset())?
                    }
                };
                values.feed(date::part(&now, *part).as_bytes());
                self.decide(values)
            }
            Test::Environment {
                name,
                keys,
                matching,
            } => {
                let mut values = self.values(keys, *matching)?;
                let name = self.expand_string(name);
                // RFC 5183 §4: what does not exist is not even counted.
                let Some(value) = self.environment(&name) else {
                    return Ok(false);
                };
                values.feed(value.as_bytes());
                self.decide(values)
            }
            Test::Text {
                sources,
                keys,
                matching,
            } => {
                let mut values = self.values(keys, *matching)?;
                for source in sources {
                    let value = self.expand(source);
                    // RFC 5229 §5: an empty string does not count.
                    if values.is_count() && value.is_empty() {
                        continue;
                    }
                    if values.feed(&value) {
                        break;
                    }
                }
                self.decide(values)
            }
            Test::HasFlag {
                variables,
                keys,
                matching,
            } => self.has_flag(variables.as_deref(), keys, *matching),
            Test::MailboxExists(names) => {
                let names = self.expand_list(names);
                self.ask_bool(Question::MailboxExists(names))
            }
            Test::MailboxIdExists(ids) => {
                let ids = self.expand_list(ids);
                self.ask_bool(Question::MailboxIdExists(ids))
            }
            Test::SpecialUseExists {
                mailbox,
                attributes,
            } => {
                let question = Question::SpecialUseExists {
                    mailbox: mailbox.as_ref().map(|text| self.expand_string(text)),
                    attributes: self.expand_list(attributes),
                };
                self.ask_bool(question)
            }
            Test::Metadata {
                mailbox,
                annotation,
                keys,
                matching,
            } => {
                let question = Question::Metadata {
                    mailbox: mailbox.as_ref().map(|text| self.expand_string(text)),
                    annotation: self.expand_string(annotation),
                };
                let mut values = self.values(keys, *matching)?;
                if let Some(value) = self.ask_text(question)? {
                    values.feed(value.as_bytes());
                }
                self.decide(values)
            }
            Test::MetadataExists {
                mailbox,
                annotations,
            } => {
                let mailbox = mailbox.as_ref().map(|text| self.expand_string(text));
                for annotation in self.expand_list(annotations) {
                    let mailbox = mailbox.clone();
                    if self
                        .ask_text(Question::Metadata {
                            mailbox,
                            annotation,
                        })?
                        .is_none()
                    {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            Test::ValidNotifyMethod(uris) => Ok(uris
                .iter()
                .all(|uri| super::notify::is_supported(&self.expand(uri), self.config.xmpp))),
            Test::NotifyMethodCapability {
                uri,
                capability,
                keys,
                matching,
            } => {
                let mut values = self.values(keys, *matching)?;
                let supported = super::notify::is_supported(&self.expand(uri), self.config.xmpp);
                if supported && self.expand(capability).eq_ignore_ascii_case(b"online") {
                    // RFC 5436 §2.8, RFC 5437 §4: nobody knows here whether somebody is there to read it.
                    values.feed(b"maybe");
                }
                self.decide(values)
            }
            Test::Duplicate {
                handle,
                id,
                seconds,
                last,
            } => {
                let handle = handle
                    .as_ref()
                    .map(|text| self.expand_string(text))
                    .unwrap_or_default();
                self.duplicate(handle, id, *seconds, *last)
            }
            Test::ValidExtList(lists) => {
                let lists = self.expand_list(lists);
                self.ask_bool(Question::ListsKnown(lists))
            }
            Test::Scanner {
                virus,
                percent,
                keys,
                matching,
            } => self.spam_test(*virus, *percent, keys, *matching),
            Test::Program(program) => self.run_program(program),
            Test::Convert(convert) => self.convert(convert),
            Test::IHave(names) => {
                let offered = self
                    .frames
                    .last()
                    .map(|frame| frame.program.offered)
                    .unwrap_or_default();
                Ok(self
                    .expand_list(names)
                    .iter()
                    .all(|name| offered.contains(name)))
            }
            Test::Suite(test) => self.suite_test(test),
        }
    }

    /// RFC 5232 §4: the keys are flags too; `:count` counts the flags.
    fn has_flag(
        &mut self,
        variables: Option<&[crate::program::Variable]>,
        keys: &Keys,
        matching: Matching,
    ) -> Result<bool, Fault> {
        let flags = self.flags_of(variables);
        let split;
        let keys = match keys {
            Keys::Fixed(_) => keys,
            Keys::Dynamic(texts) => {
                let words = self.expand_list(texts);
                let words = words.iter().flat_map(|text| text.split_ascii_whitespace());
                let words = words.map(|flag| crate::program::Text::Literal(flag.as_bytes().into()));
                split = Keys::Dynamic(words.collect());
                &split
            }
        };
        let mut values = self.values(keys, matching)?;
        for flag in &flags {
            if values.feed(flag.as_bytes()) {
                break;
            }
        }
        self.decide(values)
    }

    fn duplicate(
        &mut self,
        handle: String,
        id: &UniqueId,
        seconds: Option<u64>,
        last: bool,
    ) -> Result<bool, Fault> {
        let id = match id {
            UniqueId::MessageId => self.message.first_text("message-id"),
            UniqueId::Header(name) => {
                let name = self.expand_string(name);
                self.message.first_text(&name)
            }
            UniqueId::Value(text) => Some(self.expand_string(text)),
        };
        let Some(id) = id.filter(|id| !id.is_empty()) else {
            return Ok(false);
        };
        let seconds = seconds.unwrap_or(self.config.duplicate_default);
        if seconds == 0 {
            return Ok(false);
        }
        let id = id.into_bytes();
        let seen = self.ask_bool(Question::Duplicate {
            handle: handle.clone(),
            id: id.clone(),
        })?;
        let track = crate::Action::TrackDuplicate(crate::TrackDuplicate {
            handle,
            id,
            seconds: seconds.min(self.config.duplicate_maximum),
            last,
        });
        // A first sighting is remembered; a later one only prolongs with `:last` (RFC 7352 §3.3).
        if (!seen || last) && !self.tracked.contains(&track) {
            if self.tracked.len() >= self.config.limits.actions {
                return Err(Fault::Fail("too many ids to remember".to_owned()));
            }
            self.tracked.push(track);
        }
        Ok(seen)
    }

    /// RFC 5235 §3.2: 0 is "not tested", 1 "clean", 10 "spam"; with `:percent` 0 to 100. §4: viruses from 1 to 5.
    fn spam_test(
        &mut self,
        virus: bool,
        percent: bool,
        keys: &Keys,
        matching: Matching,
    ) -> Result<bool, Fault> {
        let mut values = self.values(keys, matching)?;
        let score = match self.ask(Question::Score { virus })? {
            Answer::Score(score) => score,
            _ => return Err(super::wrong_answer()),
        };
        let text = match score {
            // RFC 5235 §3.2.1: with `:percent` "not tested" is told by `:count`.
            None if percent => None,
            None => Some("0".to_owned()),
            Some(score) => {
                let maximum = u64::from(score.maximum.max(1));
                let value = u64::from(score.value).min(maximum);
                Some(if percent {
                    (value * 100 / maximum).to_string()
                } else if virus {
                    (1 + value * 4 / maximum).to_string()
                } else {
                    (1 + value * 9 / maximum).to_string()
                })
            }
        };
        if let Some(text) = text {
            if !(values.is_count() && score.is_none()) {
                values.feed(text.as_bytes());
            }
        } else if !values.is_count() {
            values.feed(b"0");
        }
        self.decide(values)
    }
}
