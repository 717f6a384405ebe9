//! Test suites at run time (vnd.dovecot.testsuite).

use std::borrow::Cow;

use super::{Evaluation, Fault, Message};
use crate::program::{Index, SuiteCommand, SuiteTest};
use crate::question::{Answer, Question};
use crate::testsuite::Request;

/// What a suite keeps between its commands.
#[derive(Default)]
pub(super) struct State {
    open: Option<Case>,
    done: Vec<CaseResult>,
}

struct Case {
    name: String,
    line: u32,
    end: usize,
    failure: Option<(u32, String)>,
    stated: bool,
}

/// How one `test` ended.
#[derive(Clone, Debug)]
pub(crate) struct CaseResult {
    pub(crate) name: String,
    pub(crate) line: u32,
    pub(crate) failure: Option<(u32, String)>,
    /// Whether it is what a `test_fail` says.
    pub(crate) stated: bool,
}

impl Evaluation<'_> {
    pub(crate) fn cases(&self) -> &[CaseResult] {
        &self.suite.done
    }

    pub(super) fn begin_case(&mut self, name: String, end: usize) {
        self.suite.open = Some(Case {
            name,
            line: self.line,
            end,
            failure: None,
            stated: false,
        });
    }

    pub(super) fn end_case(&mut self) {
        if let Some(case) = self.suite.open.take() {
            self.suite.done.push(CaseResult {
                name: case.name,
                line: case.line,
                failure: case.failure,
                stated: case.stated,
            });
        }
    }

    /// Within a case a fault ends only the case; true if the suite goes on.
    pub(super) fn fail_case(&mut self, message: &str) -> bool {
        let line = self.line;
        let Some(case) = &mut self.suite.open else {
            return false;
        };
        if case.failure.is_none() {
            case.failure = Some((line, message.to_owned()));
        }
        let end = case.end;
        self.frames.truncate(1);
        if let Some(frame) = self.frames.last_mut() {
            frame.loops.clear();
            frame.at = end;
        }
        true
    }

    fn ask_suite(&mut self, request: Request) -> Result<Answer, Fault> {
        self.ask(Question::Suite(request))
    }

    fn ask_suite_bool(&mut self, request: Request) -> Result<bool, Fault> {
        self.ask_bool(Question::Suite(request))
    }

    pub(super) fn suite_test(&mut self, test: &SuiteTest) -> Result<bool, Fault> {
        let message = |this: &mut Self| this.message.current().into_owned();
        match test {
            SuiteTest::Compile(path) => {
                let path = self.expand_string(path);
                self.ask_suite_bool(Request::Compile { path })
            }
            SuiteTest::Run { append } => {
                let request = Request::Run {
                    append: *append,
                    message: message(self),
                    envelope: self.envelope.clone(),
                };
                self.ask_suite_bool(request)
            }
            SuiteTest::MultiScript(paths) => {
                let request = Request::MultiScript {
                    paths: self.expand_list(paths),
                    message: message(self),
                    envelope: self.envelope.clone(),
                };
                self.ask_suite_bool(request)
            }
            SuiteTest::Execute => self.ask_suite_bool(Request::Execute),
            SuiteTest::MessageFromFolder { folder, index } => {
                let folder = Some(self.expand_string(folder));
                self.take_suite_message(folder, *index)
            }
            SuiteTest::MessageFromMail { index } => self.take_suite_message(None, *index),
            SuiteTest::Action {
                index,
                keys,
                matching,
            } => {
                let texts = self.ask_suite(Request::Actions)?;
                self.feed_texts(texts, *index, keys, *matching)
            }
            SuiteTest::Error {
                index,
                keys,
                matching,
            } => {
                let texts = self.ask_suite(Request::Errors)?;
                self.feed_texts(texts, *index, keys, *matching)
            }
        }
    }

    fn feed_texts(
        &mut self,
        texts: Answer,
        index: Option<Index>,
        keys: &crate::matching::Keys,
        matching: crate::matching::Matching,
    ) -> Result<bool, Fault> {
        let Answer::Texts(texts) = texts else {
            return Err(super::wrong_answer());
        };
        let mut values = self.values(keys, matching)?;
        let (skip, take) = match index {
            Some(index) => (index.number.saturating_sub(1), 1),
            None => (0, usize::MAX),
        };
        for text in texts.iter().skip(skip).take(take) {
            if values.feed(text.as_bytes()) {
                break;
            }
        }
        self.decide(values)
    }

    pub(super) fn suite_command(&mut self, command: &SuiteCommand) -> Result<(), Fault> {
        let request = match command {
            SuiteCommand::Set { field, value } => {
                let field = self.expand_string(field);
                let value = self.expand(value).into_owned();
                return self.suite_set(&field, value);
            }
            SuiteCommand::Fail(reason) => {
                let reason = self.expand_string(reason);
                if let Some(case) = &mut self.suite.open {
                    case.stated = case.failure.is_none();
                }
                return Err(Fault::Fail(reason));
            }
            SuiteCommand::MessageFromFolder { folder, index } => {
                let folder = Some(self.expand_string(folder));
                return self.suite_message(folder, *index);
            }
            SuiteCommand::MessageFromMail { index } => return self.suite_message(None, *index),
            SuiteCommand::ResultReset => Request::ResetResult,
            SuiteCommand::ResultPrint => Request::PrintResult,
            SuiteCommand::MessagePrint => {
                Request::PrintMessage(self.message.current().into_owned())
            }
            SuiteCommand::ConfigSet { name, value } => Request::Configure {
                name: self.expand_string(name),
                value: value.as_ref().map(|value| self.expand_string(value)),
            },
            SuiteCommand::ConfigReload(extension) => Request::Reload {
                extension: extension.as_ref().map(|text| self.expand_string(text)),
            },
            SuiteCommand::MailboxCreate(name) => Request::CreateMailbox(self.expand_string(name)),
            SuiteCommand::MailboxDelete(name) => Request::DeleteMailbox(self.expand_string(name)),
            SuiteCommand::BinarySave(name) => Request::SaveBinary(self.expand_string(name)),
            SuiteCommand::BinaryLoad(name) => Request::LoadBinary(self.expand_string(name)),
            SuiteCommand::MetadataSet {
                mailbox,
                annotation,
                value,
            } => Request::SetMetadata {
                mailbox: mailbox.as_ref().map(|text| self.expand_string(text)),
                annotation: self.expand_string(annotation),
                value: self.expand_string(value),
            },
        };
        match self.ask_suite(request)? {
            Answer::Bool(true) => Ok(()),
            _ => Err(Fault::Fail("the test runner could not do that".to_owned())),
        }
    }

    fn suite_set(&mut self, field: &str, value: Vec<u8>) -> Result<(), Fault> {
        if field == "message" {
            self.suite_new_message(value);
            return Ok(());
        }
        let value = String::from_utf8_lossy(&value).into_owned();
        let value = value
            .trim_start_matches('<')
            .trim_end_matches('>')
            .to_owned();
        match field {
            "envelope" | "envelope.from" => self.envelope.from = Some(value),
            "envelope.to" => self.envelope.to = Some(value),
            "envelope.orig_to" => self.envelope.original_to = Some(value),
            "envelope.auth" => self.envelope.auth = Some(value),
            other => match other.strip_prefix("envelope.") {
                Some(name) => {
                    let name = name.to_ascii_lowercase();
                    self.envelope.other.retain(|(known, _)| *known != name);
                    self.envelope.other.push((name, value));
                }
                None => return Err(Fault::Fail(format!("test_set knows no `{other}`"))),
            },
        }
        Ok(())
    }

    fn suite_new_message(&mut self, octets: Vec<u8>) {
        self.message = Message::new(Cow::Owned(octets));
        self.flags.clear();
        for frame in &mut self.frames {
            frame.loops.clear();
        }
    }

    fn suite_message(&mut self, folder: Option<String>, index: usize) -> Result<(), Fault> {
        if self.take_suite_message(folder, index)? {
            return Ok(());
        }
        Err(Fault::Fail(format!("there is no message {index}")))
    }

    /// Whether there is such a message; it is the one at hand from now on.
    fn take_suite_message(&mut self, folder: Option<String>, index: usize) -> Result<bool, Fault> {
        match self.ask_suite(Request::Message { folder, index })? {
            Answer::Octets(Some(octets)) => {
                self.suite_new_message(octets);
                Ok(true)
            }
            _ => Ok(false),
        }
    }
}
