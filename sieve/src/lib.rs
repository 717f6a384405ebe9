//! The Sieve mail filtering language: compiler, pausable runtime, ManageSieve.
//!
//! A [`Compiler`] turns source into a [`Script`] or tells all that is wrong with it. An [`Evaluation`] runs a script on
//! a message, without any input or output of its own: where it needs to know something that only the host knows (does
//! that mailbox exist? was that sender answered?) it pauses with a [`Question`]; in the end it gives a list of
//! [`Action`]s.
//!
//! ```
//! use sieve::{Action, Answer, Capabilities, Config, Envelope, Evaluation, Progress, Question};
//!
//! let script = sieve::compile(
//!     r#"require ["fileinto", "mailbox"];
//!        if header :contains "Subject" "sieve" {
//!            if mailboxexists "lists" { fileinto "lists"; }
//!        }"#,
//!     &Capabilities::default(),
//! )
//! .unwrap();
//!
//! let message = b"From: ann@example.org\r\nSubject: On Sieve\r\n\r\nHello\r\n";
//! let envelope = Envelope::new("ann@example.org", "bob@example.org");
//! let config = Config::new("2026-05-04T12:00:00+02:00[+02:00]".parse().unwrap());
//!
//! let mut evaluation = Evaluation::new(&script, message, envelope, config);
//! let outcome = loop {
//!     match evaluation.step() {
//!         Progress::Ask(Question::MailboxExists(_)) => evaluation.answer(Answer::Bool(true)).unwrap(),
//!         Progress::Ask(_) => evaluation.answer(Answer::Failed("not known here".into())).unwrap(),
//!         Progress::Done(outcome) => break outcome,
//!     }
//! };
//! let [Action::FileInto(fileinto)] = &outcome.actions[..] else { panic!() };
//! assert_eq!(fileinto.mailbox.name, "lists");
//! ```
//!
//! A fault in a script is told with its place and a way out:
//!
//! ```
//! let faults = sieve::compile("keep\nfileinto \"x\";", &sieve::Capabilities::default()).unwrap_err();
//! assert_eq!(faults[0].to_string(), "1:1: error: expected `;` after this, found `fileinto` \
//!     (commands end with a semicolon)");
//! assert_eq!(faults[1].to_string(), "2:1: error: the command `fileinto` needs the capability `fileinto` \
//!     (add require \"fileinto\"; at the top)");
//! ```
//!
//! # Mail is never lost
//! Whatever goes wrong while a script runs, the outcome is the implicit keep (RFC 5228 §2.10.6) and the error.
//!
//! # RFCs
//! | RFC | what | capability |
//! |---|---|---|
//! | 5228 | the language | `fileinto`, `envelope`, `encoded-character`, `comparator-…` |
//! | 3894 | copies | `copy` |
//! | 5173 | body test | `body` |
//! | 5183 | environment test | `environment`, `vnd.dovecot.environment` |
//! | 5229 | variables | `variables` |
//! | 5230, 6131 | automatic replies | `vacation`, `vacation-seconds` |
//! | 5231 | relations and counts | `relational` |
//! | 5232 | flags | `imap4flags` |
//! | 5233 | subaddresses | `subaddress` |
//! | 5235 | scanners | `spamtest`, `spamtestplus`, `virustest` |
//! | 5260 | dates, index | `date`, `index` |
//! | 5293 | header changes | `editheader` |
//! | 5429 | refusal | `reject`, `ereject` |
//! | 5435, 5436 | notification by mail | `enotify` |
//! | 5463 | asking for capabilities | `ihave` |
//! | 5490 | mailboxes, annotations | `mailbox`, `mboxmetadata`, `servermetadata` |
//! | 5703 | parts | `mime`, `foreverypart`, `extracttext`, `replace`, `enclose` |
//! | 6009 | DSN and deliver-by envelopes | `envelope-dsn`, `redirect-dsn`, `envelope-deliverby`, `redirect-deliverby` |
//! | 6134 | external lists | `extlists` |
//! | 6558 | conversion of parts | `convert` |
//! | 6609 | inclusion | `include` |
//! | 6785 | IMAP events | `imapsieve` |
//! | 7352 | duplicates | `duplicate` |
//! | 8579 | special-use mailboxes | `special-use` |
//! | 8580 | copies of replies | `fcc` |
//! | 9042 | mailbox ids | `mailboxid` |
//! | 9671 | calendars | `processcalendar` |
//! | draft-ietf-sieve-regex | regular expressions | `regex` |
//! | – | programs, debugging, abuse reports, test suites | `vnd.dovecot.pipe`, `.filter`, `.execute`, `.debug`, `.report`, `.testsuite` |
//!
//! Notifications go by `mailto` (RFC 5436), and by `xmpp` (RFC 5437) where the host [offers](Compiler::xmpp) it.

mod action;
pub mod ast;
mod binary;
mod capability;
mod check;
mod config;
mod diagnostic;
mod eval;
mod few;
mod format;
mod items;
mod lexer;
mod limits;
pub mod managesieve;
mod matching;
mod octets;
mod parser;
mod position;
mod program;
mod question;
mod scanner;
mod script;
pub mod testsuite;

pub use action::{
    Action, Edited, FileInto, Keep, Mailbox, Notify, Pipe, Redirect, Reject, Report,
    TrackDuplicate, Vacation,
};
pub use binary::LoadError;
pub use capability::Capabilities;
pub use config::{Config, Envelope, ImapCause, ImapEvent};
pub use diagnostic::{Diagnostic, DiagnosticKind, Severity};
pub use eval::{Evaluation, Outcome, Progress, RuntimeError, TraceEntry};
pub use format::format;
pub use limits::Limits;
pub use position::{Position, Span};
pub use proto_core::Misuse;
pub use question::{
    Answer, Calendar, CalendarOutcome, CalendarPart, Conversion, Program, ProgramKind, Question,
    Score,
};
pub use scanner::Scanner;
pub use script::{Compiler, Script, compile, parse};

/// The README's example compiles and runs.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
