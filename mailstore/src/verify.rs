//! Whether what is written down of a mailbox is what its files say, and mending it where it is not.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::SystemTime;

use crate::account::{Account, Site};
use crate::error::Error;
use crate::flags::Flags;
use crate::{maildir, mbox};

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub problem: String,
    /// Whether it was put right.
    pub mended: bool,
}

/// A message as its file tells it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) path: PathBuf,
    pub(crate) flags: Flags,
    pub(crate) keywords: Vec<String>,
    pub(crate) size: u64,
    pub(crate) internal_date: SystemTime,
}

/// What the files of one mailbox came to.
#[derive(Debug, Default)]
pub(crate) struct Checked {
    pub(crate) findings: Vec<Finding>,
    /// The messages that have a UID.
    pub(crate) messages: BTreeMap<u32, Told>,
}

impl Checked {
    pub(crate) fn found(
        &mut self,
        path: impl Into<PathBuf>,
        problem: impl Into<String>,
        mended: bool,
    ) {
        self.findings.push(Finding {
            path: path.into(),
            problem: problem.into(),
            mended,
        });
    }
}

impl Account {
    /// Reads every file of a mailbox and compares what sessions are told with it; nothing is changed. Other
    /// programs may go on with the mailbox meanwhile: what they change in this moment may be told as a finding.
    ///
    /// # Errors
    /// [`Error::NoSuchMailbox`], or the disk fails.
    pub fn verify(&self, name: &str, now: SystemTime) -> Result<Vec<Finding>, Error> {
        self.check(name, false, now)
    }

    /// As [`verify`](Self::verify), and puts right what can be: messages stay, with their UIDs wherever those can be
    /// told. Gives all that was found; what is not marked as mended needs a person.
    ///
    /// # Errors
    /// [`Error::NoSuchMailbox`], or the disk fails.
    pub fn repair(&self, name: &str, now: SystemTime) -> Result<Vec<Finding>, Error> {
        self.check(name, true, now)
    }

    fn check(&self, name: &str, mend: bool, now: SystemTime) -> Result<Vec<Finding>, Error> {
        let site = self.existing_site(name)?;
        let shared = self.shared();
        let mut checked = match &site {
            Site::Maildir(folder) => maildir::check(shared, folder, mend, now)?,
            Site::Mbox(site) => mbox::check(shared, site, mend, now)?,
            Site::Memory(name) => shared.memory().check(name)?,
        };
        let broken = checked.findings.iter().any(|finding| !finding.mended);
        // Opening a mailbox mends some of it, which must not happen while one only looks.
        if !broken || mend {
            self.compare(name, &mut checked, now)?;
        }
        Ok(checked.findings)
    }

    /// What a session is told, against the files.
    fn compare(&self, name: &str, checked: &mut Checked, now: SystemTime) -> Result<(), Error> {
        let mailbox = self.mailbox(name, now)?;
        let view = mailbox.refresh(now)?;
        let mut findings = Vec::new();
        for (uid, told) in &checked.messages {
            let mut wrong = |problem: String| {
                findings.push(Finding {
                    path: told.path.clone(),
                    problem,
                    mended: false,
                });
            };
            let Some(message) = view.message(*uid) else {
                wrong(format!("UID {uid} is in the files and not in the mailbox"));
                continue;
            };
            let mut keywords: Vec<&str> = view.keywords(message).collect();
            keywords.sort_unstable();
            let mut wanted: Vec<&str> = told.keywords.iter().map(String::as_str).collect();
            wanted.sort_unstable();
            if message.flags != told.flags || keywords != wanted {
                wrong(format!(
                    "UID {uid} has {:?} {wanted:?} and is told with {:?} {keywords:?}",
                    told.flags, message.flags
                ));
            }
            if message.size.is_some_and(|size| size != told.size) {
                wrong(format!(
                    "UID {uid} has {} octets and is told with {:?}",
                    told.size, message.size
                ));
            }
            if message.internal_date != told.internal_date {
                wrong(format!("UID {uid} is told with another time"));
            }
        }
        for message in view.messages() {
            let there = match mailbox.reader(message.uid, now) {
                Err(Error::NoSuchMessage(_)) => continue,
                other => other.is_ok(),
            };
            if !there {
                findings.push(Finding {
                    path: PathBuf::from(mailbox.name()),
                    problem: format!("UID {} cannot be read", message.uid),
                    mended: false,
                });
            }
        }
        checked.findings.append(&mut findings);
        Ok(())
    }
}
