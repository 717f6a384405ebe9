//! Commands of a test suite (vnd.dovecot.testsuite).

use super::Checker;
use super::bind::{Bound, number};
use crate::program::SuiteCommand;

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
            "test_config_reload" => SuiteCommand::ConfigReload,
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
}
