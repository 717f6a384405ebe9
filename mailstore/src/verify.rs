//! Whether what is written down of a mailbox is what its files say, and mending it where it is not.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::SystemTime;

use crate::account::{Account, Site};
use crate::error::{Error, IoContext};
use crate::flags::Flags;
use crate::{index, maildir, mbox};

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

/// Messages whose digests are in memory at once.
const DIGESTS: usize = 256;

/// What is written of a mailbox and can be made again from its mail.
fn index_files(site: &Site) -> Vec<PathBuf> {
    match site {
        Site::Maildir(folder) => maildir::index_files(folder).to_vec(),
        Site::Mbox(site) => site.index_files().to_vec(),
        Site::Memory(_) => Vec::new(),
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
        if broken && !mend {
            return Ok(checked.findings);
        }
        if mend && !checked.findings.is_empty() {
            // An index would take a message that was renamed for one that is gone.
            for path in index_files(&site) {
                shared.durable.remove(&path)?;
            }
        }
        let before = checked.findings.len();
        self.compare(name, &mut checked, now)?;
        if mend && checked.findings.len() > before {
            // The index is made anew from the files by whoever opens the mailbox next.
            for path in index_files(&site) {
                shared.durable.remove(&path)?;
            }
            let found = checked.findings.split_off(before);
            self.compare(name, &mut checked, now)?;
            let left = checked.findings.split_off(before);
            checked
                .findings
                .extend(found.into_iter().map(|finding| Finding {
                    mended: !left.contains(&finding),
                    ..finding
                }));
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
        let uids: Vec<u32> = view.messages().iter().map(|message| message.uid).collect();
        for some in uids.chunks(DIGESTS) {
            for (uid, told) in some.iter().zip(mailbox.digests(some, now)) {
                let made = mailbox.reader(*uid, now).and_then(|mut reader| {
                    index::build(&mut reader).at("read", mailbox.name().as_ref())
                });
                let problem = match (told, made) {
                    (Err(Error::NoSuchMessage(_)), _) | (_, Err(Error::NoSuchMessage(_))) => {
                        continue;
                    }
                    (Ok(told), Ok(made)) if told.octets() == made.octets() => continue,
                    (Ok(_), Ok(_)) => "its index tells of another message".to_owned(),
                    (Err(error), _) | (_, Err(error)) => error.to_string(),
                };
                findings.push(Finding {
                    path: PathBuf::from(mailbox.name()),
                    problem: format!("UID {uid}: {problem}"),
                    mended: false,
                });
            }
        }
        checked.findings.append(&mut findings);
        Ok(())
    }
}
