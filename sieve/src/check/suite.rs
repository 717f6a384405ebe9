//! Commands and tests of a test suite (vnd.dovecot.testsuite).

use super::Checker;
use super::bind::{Bound, number};
use crate::program::{Index, SuiteCommand, SuiteTest};

impl Checker<'_, '_> {
    pub(super) fn suite_command(&mut self, bound: &Bound<'_>) -> Option<SuiteCommand> {
        let at = |index: usize| bound.at(index);
        Some(match bound.name {
            "test_set" => SuiteCommand::Set {
                field: self.text(at(0)?),
                value: self.text(at(1)?),
            },
            "test_fail" => SuiteCommand::Fail(self.text(at(0)?)),
            "test_message" => {
                let (index, _) = number(at(0)?)?;
                let index = usize::try_from(index).unwrap_or(usize::MAX);
                match self.tag_text(bound, "folder") {
                    Some(folder) => SuiteCommand::MessageFromFolder { folder, index },
                    None => SuiteCommand::MessageFromMail { index },
                }
            }
            "test_message_print" => SuiteCommand::MessagePrint,
            "test_result_reset" => SuiteCommand::ResultReset,
            "test_result_print" => SuiteCommand::ResultPrint,
            "test_config_set" => SuiteCommand::ConfigSet {
                name: self.text(at(0)?),
                value: Some(self.text(at(1)?)),
            },
            "test_config_unset" => SuiteCommand::ConfigSet {
                name: self.text(at(0)?),
                value: None,
            },
            "test_config_reload" => SuiteCommand::ConfigReload(self.tag_text(bound, "extension")),
            "test_mailbox_create" => SuiteCommand::MailboxCreate(self.text(at(0)?)),
            "test_mailbox_delete" => SuiteCommand::MailboxDelete(self.text(at(0)?)),
            "test_binary_save" => SuiteCommand::BinarySave(self.text(at(0)?)),
            "test_binary_load" => SuiteCommand::BinaryLoad(self.text(at(0)?)),
            "test_imap_metadata_set" => SuiteCommand::MetadataSet {
                mailbox: self.tag_text(bound, "mailbox"),
                annotation: self.text(at(0)?),
                value: self.text(at(1)?),
            },
            _ => return None,
        })
    }

    pub(super) fn suite_test(&mut self, bound: &Bound<'_>) -> Option<SuiteTest> {
        let at = |index: usize| bound.at(index);
        let index = bound.number("index").map(|(number, _)| Index {
            number: usize::try_from(number).unwrap_or(usize::MAX),
            last: false,
        });
        Some(match bound.name {
            "test_script_compile" => SuiteTest::Compile(self.text(at(0)?)),
            "test_script_run" => SuiteTest::Run {
                append: bound.has("append_result"),
            },
            "test_multiscript" => SuiteTest::MultiScript(self.list(at(0)?)),
            "test_result_execute" => SuiteTest::Execute,
            "test_message" => {
                let (index, _) = number(at(0)?)?;
                let index = usize::try_from(index).unwrap_or(usize::MAX);
                match self.tag_text(bound, "folder") {
                    Some(folder) => SuiteTest::MessageFromFolder { folder, index },
                    None => SuiteTest::MessageFromMail { index },
                }
            }
            "test_result_action" => {
                let matching = self.matching(bound);
                SuiteTest::Action {
                    index,
                    keys: self.keys(at(0)?, matching),
                    matching,
                }
            }
            "test_error" => {
                let matching = self.matching(bound);
                SuiteTest::Error {
                    index,
                    keys: self.keys(at(0)?, matching),
                    matching,
                }
            }
            _ => return None,
        })
    }
}
