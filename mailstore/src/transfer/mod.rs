//! Messages from one store into another: import, export, conversion.
//!
//! A transfer may be cut at any point and run again: what the target holds already is found by its content, so that
//! nothing comes twice and nothing is missing. Of messages with the same content as many are made as the source has.

mod eml;
mod identity;
mod source;
mod target;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use crate::account::Account;
use crate::durable::{Durable, Fs, RealFs};
use crate::error::{Error, IoContext};
use identity::Identity;
use source::Messages;
use target::{Sink, Waiting};

/// How mail that is not an [`Account`]'s is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Foreign {
    /// A Maildir with its folders, `.A.B` or `A/B`.
    Maildir,
    /// An mbox file, or a directory of them.
    Mbox,
    /// An MH folder with those below it.
    Mh,
    /// A directory of `.eml` files with those below it. Flags are in a file `posthaste-flags` beside them.
    Eml,
}

/// Where messages come from.
#[derive(Clone)]
pub enum Source {
    /// Mailboxes of an account, as a session sees them.
    Account(Arc<Account>),
    /// Files, which are read and not changed. Symbolic links are not followed out of them, and where a file stands for
    /// a message not at all: what they lead to is told as not read.
    Files {
        /// How they are kept.
        format: Foreign,
        /// The file or directory.
        path: PathBuf,
    },
}

/// Where messages go.
#[derive(Clone)]
pub enum Target {
    /// Mailboxes of an account; made where they are missing.
    Account(Arc<Account>),
    /// Folders of MH or of `.eml` files; the other formats are an [`Account`]'s.
    Files {
        /// How they are kept.
        format: Foreign,
        /// The directory; made when it is missing.
        path: PathBuf,
    },
}

/// What [`Transfer::run`] tells while it works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Progress<'a> {
    /// A mailbox is begun.
    Mailbox {
        /// Its name in the target.
        name: &'a str,
        /// How many messages the source has.
        messages: u64,
    },
    /// A message was copied, found or passed over.
    Message,
}

/// What could not be read.
#[derive(Debug)]
pub struct Unread {
    /// The message or the mailbox: a path, or a mailbox and a UID.
    pub what: String,
    /// Why.
    pub error: Error,
}

/// What came of a transfer.
#[derive(Debug, Default)]
pub struct Transferred {
    /// Messages that were copied.
    pub copied: u64,
    /// Messages that were there already.
    pub present: u64,
    /// What is left out.
    pub unread: Vec<Unread>,
}

/// One transfer.
pub struct Transfer {
    /// From there.
    pub source: Source,
    /// To there.
    pub target: Target,
    /// Only this mailbox of the source, where there are several.
    pub only: Option<String>,
    /// The mailbox of the target that takes INBOX, or the only one; those below it take the others.
    pub into: Option<String>,
    /// This host's name, for locks.
    pub host: String,
}

/// Octets and messages that go in together.
const BATCH_OCTETS: u64 = 16 << 20;
const BATCH_MESSAGES: usize = 64;

impl Transfer {
    /// Copies what the target does not hold. An error of the source leaves a message or a mailbox out and is told
    /// at the end; one of the target ends the transfer, which can be run again.
    ///
    /// # Errors
    /// The target cannot be written, or the source cannot be read at all.
    pub fn run(
        &self,
        now: &mut dyn FnMut() -> SystemTime,
        progress: &mut dyn FnMut(Progress<'_>),
    ) -> Result<Transferred, Error> {
        let durable = Durable::new(Arc::new(RealFs) as Arc<dyn Fs>);
        let mut done = Transferred::default();
        let mut names = self.source.mailboxes(&durable)?;
        if let Some(only) = &self.only {
            names.retain(|name| name == only);
            if names.is_empty() {
                return Err(Error::NoSuchMailbox(only.clone()));
            }
        }
        let alone = names.len() == 1;
        for name in names {
            let to = match &self.into {
                None => name.clone(),
                Some(into) if alone || name == "INBOX" => into.clone(),
                Some(into) => format!("{into}/{name}"),
            };
            let messages = match self.source.open(&durable, &name, &self.host, now()) {
                Ok(messages) => messages,
                Err(error) => {
                    done.unread.push(Unread { what: name, error });
                    continue;
                }
            };
            progress(Progress::Mailbox {
                name: &to,
                messages: messages.len() as u64,
            });
            let sink = self
                .target
                .open(&durable, &to, &self.host, &*messages, now())?;
            transfer(messages, sink, &mut done, now, progress)?;
        }
        if let (Source::Account(from), Target::Account(to)) = (&self.source, &self.target)
            && self.only.is_none()
            && self.into.is_none()
        {
            for name in from.subscriptions()? {
                to.subscribe(&name, true, now())?;
            }
        }
        Ok(done)
    }
}

fn transfer(
    mut messages: Box<dyn Messages>,
    mut sink: Box<dyn Sink>,
    done: &mut Transferred,
    now: &mut dyn FnMut() -> SystemTime,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<(), Error> {
    let mut there: HashMap<Identity, u64> = HashMap::new();
    sink.each(&mut |identity| *there.entry(identity).or_default() += 1)?;
    let (mut waiting, mut octets): (Vec<Waiting>, u64) = (Vec::new(), 0);
    for index in 0..messages.len() {
        let letter = match messages.letter(index, now()) {
            // Expunged since the mailbox was looked at.
            Err(Error::NoSuchMessage(_)) => {
                progress(Progress::Message);
                continue;
            }
            letter => letter,
        };
        let read = letter.and_then(|mut letter| {
            let whole = identity::read(&mut letter.reader).at("read", Path::new(&letter.what))?;
            Ok((letter, whole))
        });
        let (mut letter, whole) = match read {
            Ok(read) => read,
            Err(error) => {
                let what = messages.what(index);
                done.unread.push(Unread { what, error });
                progress(Progress::Message);
                continue;
            }
        };
        if let Some(count) = there.get_mut(&whole.identity).filter(|count| **count > 0) {
            *count -= 1;
            done.present += 1;
            progress(Progress::Message);
            continue;
        }
        if sink.leaves_a_gap(letter.uid, waiting.len())
            || octets >= BATCH_OCTETS
            || waiting.len() >= BATCH_MESSAGES
        {
            octets = 0;
            put(&mut *sink, &mut waiting, done, now, progress)?;
        }
        octets += letter.reader.size();
        waiting.push(sink.take(&mut letter, whole.content, now())?);
    }
    put(&mut *sink, &mut waiting, done, now, progress)
}

fn put(
    sink: &mut dyn Sink,
    waiting: &mut Vec<Waiting>,
    done: &mut Transferred,
    now: &mut dyn FnMut() -> SystemTime,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<(), Error> {
    if waiting.is_empty() {
        return Ok(());
    }
    let count = waiting.len();
    sink.put(std::mem::take(waiting), now())?;
    done.copied += count as u64;
    for _ in 0..count {
        progress(Progress::Message);
    }
    Ok(())
}
