//! The procmailrc language: parser and pausable evaluator.
//!
//! procmail reads an rcfile and does what it says at once. This crate only decides: an
//! [`Evaluator`] is stepped, asks its host for one [`Effect`] after another (deliver to a folder,
//! run a program, take a lock, append to the log) and goes on with the [`Reply`]. It does no I/O,
//! starts no process and holds no privilege; a host that answers [`Ran::refused`] to every
//! [`Effect::Run`] has turned programs off.
//!
//! ```
//! use procmail_rules::{Config, Effect, Evaluator, FolderKind, RcFile, Reply, Step};
//!
//! let config = Config {
//!     rcfiles: vec![RcFile::text("rc", ":0\n* ^Subject: \\/[a-z]+\nlists/$MATCH/\n")],
//!     ..Config::default()
//! };
//! let mut run = Evaluator::new(config, b"Subject: rust and mail\n\nhello\n");
//! let mut delivered = Vec::new();
//! let outcome = loop {
//!     let reply = match run.step()? {
//!         Step::Ask(Effect::Folder { wanted, .. }) => Reply::Folder(wanted.unwrap_or(FolderKind::Mbox)),
//!         Step::Ask(Effect::Deliver(delivery)) => {
//!             delivered.push((delivery.folder.clone(), delivery.content));
//!             Reply::Delivered { file: delivery.folder }
//!         }
//!         Step::Ask(_) => Reply::Done,
//!         Step::NeedAnswer => unreachable!("every effect is answered"),
//!         Step::Done(outcome) => break outcome,
//!     };
//!     run.answer(reply)?;
//! };
//! assert_eq!(outcome.exit, 0);
//! assert_eq!(delivered, [(b"lists/rust".to_vec(), b"Subject: rust and mail\n\nhello\n".to_vec())]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What differs from procmail
//!
//! The language is that of procmail 3.22 with Debian's changes (`3.23pre`), faults included
//! where rcfiles may rely on them. These are not kept:
//!
//! | procmail | here |
//! | --- | --- |
//! | an empty LOCKEXT makes the lock the folder itself, and unlocking deletes the mail | no such lock is taken |
//! | a UMASK that is empty or no octal number makes every new folder open to everybody | the old one stays |
//! | `NAME = \| command` damages the name | it is a capture |
//! | a backquote in a `$` condition ends the joining of folded fields | it does not |
//! | some expressions hang or crash the compiler, `+\/` can make MATCH too long | neither |
//! | with a weight, whether `(a\|\/b)` counts a `b` just behind an `a` depends on where the text begins | it counts every one |
//! | rcfiles that include or switch to themselves never end | [`Limits`] |
//! | `i` on a folder that cannot be opened loses the mail | the action fails |
//! | a message that could not be written whole to an MH folder or a plain directory stays there | it is removed |
//! | an MSGPREFIX that names a directory which is not there leaves an empty file, and its name is told | nothing stays, and the folder's name is told |
//! | the log abstract of a message that begins with `Subject:` shows memory before it | it shows the subject |
//! | clones run beside their parent | in turn, each to its end: with `w` that is the same |
//! | NORESRETRY: forks and files are tried again when the system is short of them | the action fails, and the mail goes on to the next statement, at last to DEFAULT |
//! | DELIVERED: the caller goes on at once | it is told of success at the end; [`Effect::Detach`] lets a host do it earlier |
//! | COMSAT: a service or host that is not known turns it off when it is assigned | when it is to be told |
//! | TIMEOUT over while a folder is locked by the kernel for others: the log tells, and it waits on | it waits on |
//! | `/etc/procmailrc` may run as root | [`Config::system_rcfile`] runs as the user, and only if none but root can write it |
//!
//! The octets written are procmail's: see [`mod@format`].

pub mod ast;
mod compiled;
mod config;
mod diagnostic;
mod effect;
mod error;
mod eval;
pub mod format;
mod layout;
mod limits;
mod lint;
mod message;
pub mod note;
mod number;
mod parser;
mod prefix;
mod regex;
mod to_sieve;
mod variable;

pub use ast::Script;
pub use config::{Config, RcFile};
pub use diagnostic::{Diagnostic, Fix, Kind, Severity};
pub use effect::{
    Command, CutShort, Delivery, Effect, End, FolderKind, LockTry, Log, Outcome, Output, Purpose,
    Ran, Reply, Run, Status, Step, WriteFault,
};
pub use error::{Error, Limit, Misuse};
pub use eval::Evaluator;
pub use limits::Limits;
pub use regex::RegexCache;
pub use to_sieve::{Fidelity, Remark, Translation};
pub use variable::Environment;

/// The README's example compiles and runs.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
