//! `posthaste mailbox`: an account's mailboxes, from the command line.
//!
//! Every command works on the files themselves, under the locks that a
//! running server takes too.

mod check;
mod transfer;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::SystemTime;

use clap::{Subcommand, ValueEnum};
use mailstore::{Account, AccountConfig, Flags, Foreign, Store};

use super::print;
use crate::auth::Users;
use crate::config::Config;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List an account's mailboxes
    List {
        /// The account
        user: String,
        /// Only those that are subscribed to
        #[arg(long)]
        subscribed: bool,
    },
    /// Say how much is in mailboxes
    Status {
        /// The account
        user: String,
        /// The mailboxes [default: all]
        mailboxes: Vec<String>,
    },
    /// Make a mailbox
    Create {
        /// The account
        user: String,
        /// Its name, with / between levels
        mailbox: String,
    },
    /// Delete a mailbox with its messages; those below it stay
    Delete {
        /// The account
        user: String,
        /// Its name
        mailbox: String,
    },
    /// Give a mailbox, and those below it, another name
    Rename {
        /// The account
        user: String,
        /// Its name
        from: String,
        /// Its name from now on
        to: String,
    },
    /// Copy messages of other programs' files into an account
    ///
    /// It may be stopped at any time and run again: what the account holds
    /// already is found by its content and left alone.
    Import {
        /// The account
        user: String,
        /// A Maildir, an mbox file or a folder of them, an MH folder, or a
        /// folder of .eml files
        path: PathBuf,
        /// What it is [default: what it looks like]
        #[arg(long)]
        format: Option<Kind>,
        /// Only this mailbox of it
        #[arg(long, value_name = "MAILBOX")]
        mailbox: Option<String>,
        /// The mailbox that takes the messages, or the one above those that do
        #[arg(long, value_name = "MAILBOX")]
        into: Option<String>,
    },
    /// Copy an account's messages into files of other programs
    ///
    /// It may be stopped at any time and run again.
    Export {
        /// The account
        user: String,
        /// The folder; made when it is missing
        path: PathBuf,
        /// What it is to be
        #[arg(long)]
        format: Kind,
        /// Only this mailbox
        #[arg(long, value_name = "MAILBOX")]
        mailbox: Option<String>,
    },
    /// Copy an account's mail to another place or into another format, with
    /// its UIDs
    ///
    /// It may be run while the server runs, and again before mail_location is
    /// changed: then only what is new is copied.
    Convert {
        /// The account
        user: String,
        /// As mail_location: "mbox:~/mail:INBOX=~/inbox", "maildir:~/Maildir"
        location: String,
    },
    /// Compare what is written down of mailboxes with their files
    Verify {
        /// The account
        user: String,
        /// The mailboxes [default: all]
        mailboxes: Vec<String>,
    },
    /// The same, and put right what can be
    Repair {
        /// The account
        user: String,
        /// The mailboxes [default: all]
        mailboxes: Vec<String>,
    },
}

/// How mail is kept elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Kind {
    /// Maildir++, or a single Maildir
    Maildir,
    /// Maildirs in folders of the mailboxes' names
    MaildirFs,
    /// mbox files
    Mbox,
    /// MH folders
    Mh,
    /// Folders of .eml files
    Eml,
}

impl Kind {
    fn foreign(self) -> Foreign {
        match self {
            Self::Maildir | Self::MaildirFs => Foreign::Maildir,
            Self::Mbox => Foreign::Mbox,
            Self::Mh => Foreign::Mh,
            Self::Eml => Foreign::Eml,
        }
    }
}

type AnyError = Box<dyn std::error::Error>;

/// An account, and what its paths mean.
struct Opened {
    account: Arc<Account>,
    home: PathBuf,
    mail: AccountConfig,
}

fn open(config: &Config, user: &str) -> Result<Opened, AnyError> {
    let users = Users::open(&config.users_file)?;
    let Some(found) = users.find(user) else {
        return Err(format!("{user}: there is no such user").into());
    };
    let place = crate::server::place(config, &users, &found.name)?;
    Ok(Opened {
        account: Store::new().account(&place.mail)?,
        home: place.home,
        mail: place.mail,
    })
}

pub(super) fn run(config: &Config, command: &Command) -> ExitCode {
    try_run(config, command).unwrap_or_else(|error| {
        print::error(error);
        ExitCode::FAILURE
    })
}

fn try_run(config: &Config, command: &Command) -> Result<ExitCode, AnyError> {
    let now = SystemTime::now();
    match command {
        Command::List { user, subscribed } => list(&open(config, user)?.account, *subscribed),
        Command::Status { user, mailboxes } => {
            let account = open(config, user)?.account;
            for name in named(&account, mailboxes)? {
                print::line(status(&account, &name)?);
            }
            if let Some((limits, used)) = account.quota(now)? {
                let limit =
                    |limit: Option<u64>| limit.map_or("-".to_owned(), |limit| limit.to_string());
                print::line(format_args!(
                    "quota: storage {}/{} messages {}/{}",
                    used.storage,
                    limit(limits.storage),
                    used.messages,
                    limit(limits.messages)
                ));
            }
            Ok(ExitCode::SUCCESS)
        }
        Command::Create { user, mailbox } => {
            open(config, user)?.account.create(mailbox)?;
            print::line(format_args!("{mailbox}: made"));
            Ok(ExitCode::SUCCESS)
        }
        Command::Delete { user, mailbox } => {
            open(config, user)?.account.delete(mailbox)?;
            print::line(format_args!("{mailbox}: deleted"));
            Ok(ExitCode::SUCCESS)
        }
        Command::Rename { user, from, to } => {
            open(config, user)?.account.rename(from, to, now)?;
            print::line(format_args!("{from}: {to} from now on"));
            Ok(ExitCode::SUCCESS)
        }
        Command::Import {
            user,
            path,
            format,
            mailbox,
            into,
        } => {
            let opened = open(config, user)?;
            let format = format.map(Kind::foreign);
            transfer::import(&opened, path, format, mailbox.clone(), into.clone())
        }
        Command::Export {
            user,
            path,
            format,
            mailbox,
        } => transfer::export(&open(config, user)?, path, *format, mailbox.clone()),
        Command::Convert { user, location } => {
            transfer::convert(config, &open(config, user)?, user, location)
        }
        Command::Verify { user, mailboxes } => check::run(&open(config, user)?, mailboxes, false),
        Command::Repair { user, mailboxes } => check::run(&open(config, user)?, mailboxes, true),
    }
}

/// The names that were given, or all that can be opened.
fn named(account: &Account, given: &[String]) -> Result<Vec<String>, AnyError> {
    if !given.is_empty() {
        return Ok(given.to_vec());
    }
    let listed = account.list()?.into_iter();
    let names = listed.filter(|listed| listed.selectable);
    Ok(names.map(|listed| listed.name).collect())
}

fn list(account: &Account, subscribed: bool) -> Result<ExitCode, AnyError> {
    if subscribed {
        for name in account.subscriptions()? {
            print::line(name);
        }
        return Ok(ExitCode::SUCCESS);
    }
    for listed in account.list()? {
        if listed.selectable {
            print::line(listed.name);
        } else {
            print::line(format_args!("{} (only a level)", listed.name));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn status(account: &Account, name: &str) -> Result<String, AnyError> {
    let now = SystemTime::now();
    let mailbox = account.mailbox(name, now)?;
    let view = mailbox.refresh(now)?;
    let (mut unseen, mut octets) = (0u64, 0u64);
    for message in view.messages() {
        unseen += u64::from(!message.flags.contains(Flags::SEEN));
        match mailbox.size(message.uid, now) {
            Ok(size) => octets += size,
            Err(mailstore::Error::NoSuchMessage(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(format!(
        "{name}: messages {} unseen {unseen} size {octets} uidnext {} uidvalidity {} highestmodseq {}",
        view.messages().len(),
        view.uid_next,
        view.uid_validity,
        view.highest_modseq
    ))
}
