//! Runs test suites: scripts that test scripts (`vnd.dovecot.testsuite`, files named `.svtest`).
//!
//! A suite sets messages and envelopes, compiles and runs scripts and looks at the outcome; its own tests (`header`,
//! `string`, …) look at the message it has set. The commands are those of Pigeonhole, so that its suites and ours run
//! in either.
//!
//! ```
//! let suite = br#"
//!     require "vnd.dovecot.testsuite";
//!     test_set "message" text:
//! Subject: Frop
//!
//! Friep!
//! .
//!     ;
//!     test "Subject" {
//!         if not header :is "subject" "frop" { test_fail "the subject is not seen"; }
//!     }
//! "#;
//! let report = sieve::testsuite::run(suite, "doc.svtest".as_ref(), &|_| Err("no files here".into()));
//! assert_eq!((report.cases.len(), report.failures()), (1, 0));
//! ```

mod host;
mod runner;

use std::path::Path;

use crate::config::{Config, Envelope};
use crate::script::Compiler;
use crate::{Capabilities, Limits, Severity};

/// How a suite went.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// Its tests in order.
    pub cases: Vec<Case>,
    /// What ended the suite early, if anything did: a fault in the suite itself.
    pub error: Option<String>,
    /// What `test_result_print` and `test_message_print` showed.
    pub printed: Vec<String>,
}

impl Report {
    /// Failed tests, and one more for a suite that ended early.
    #[must_use]
    pub fn failures(&self) -> usize {
        self.cases
            .iter()
            .filter(|case| case.failure.is_some())
            .count()
            + usize::from(self.error.is_some())
    }
}

/// One `test` of a suite.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Case {
    /// Its name.
    pub name: String,
    /// The 1-based line where it begins.
    pub line: u32,
    /// Line and reason of its failure.
    pub failure: Option<(u32, String)>,
    /// Whether it failed by a fault at run time and not by a `test_fail` of its own.
    pub fault: bool,
}

/// Runs a suite. `path` names it; the scripts it asks for are fetched with `read`, by paths joined to the suite's
/// folder.
#[must_use]
pub fn run(source: &[u8], path: &Path, read: &dyn Fn(&Path) -> Result<Vec<u8>, String>) -> Report {
    let limits = Limits {
        variables: usize::MAX - 1,
        ..Limits::default()
    };
    let compiler = Compiler::new()
        .capabilities(Capabilities::all())
        .limits(limits);
    let script = match compiler.compile(source) {
        Ok(script) => script,
        Err(faults) => {
            let errors: Vec<String> = faults
                .iter()
                .filter(|fault| fault.severity == Severity::Error)
                .map(|fault| format!("{}:{fault}", path.display()))
                .collect();
            return Report {
                error: Some(errors.join("\n")),
                ..Report::default()
            };
        }
    };
    // A fixed time: suites give the same result on every day.
    let now = jiff::Timestamp::from_second(1_777_896_000).unwrap_or_default();
    let config = Config::new(now.to_zoned(jiff::tz::TimeZone::UTC));
    runner::Runner::new(read, path, config).run(&script)
}

/// What a suite asks of its runner; an ordinary host never sees one.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Request {
    /// Compile the script at this path.
    Compile {
        /// Relative to the suite.
        path: String,
    },
    /// Run the script compiled last.
    Run {
        /// Keep the actions of earlier runs.
        append: bool,
        /// The message at hand.
        message: Vec<u8>,
        /// Its envelope.
        envelope: Envelope,
    },
    /// Compile and run several scripts as one delivery does.
    MultiScript {
        /// Relative to the suite.
        paths: Vec<String>,
        /// The message at hand.
        message: Vec<u8>,
        /// Its envelope.
        envelope: Envelope,
    },
    /// Carry out the actions.
    Execute,
    /// The names of the actions.
    Actions,
    /// The errors of the last compilation or run.
    Errors,
    /// A message stored or sent by executed actions.
    Message {
        /// In this mailbox; `None` among those sent.
        folder: Option<String>,
        /// Which one, 0-based.
        index: usize,
    },
    /// Forget actions and errors.
    ResetResult,
    /// Show the actions.
    PrintResult,
    /// Show a message.
    PrintMessage(Vec<u8>),
    /// Change the configuration.
    Configure {
        /// The setting.
        name: String,
        /// Its value; `None` unsets it.
        value: Option<String>,
    },
    /// Put changes of the configuration into force.
    Reload {
        /// Only those of this extension.
        extension: Option<String>,
    },
    /// Create a mailbox.
    CreateMailbox(String),
    /// Delete a mailbox.
    DeleteMailbox(String),
    /// Save the compiled script.
    SaveBinary(String),
    /// Load a compiled script.
    LoadBinary(String),
    /// Set an annotation.
    SetMetadata {
        /// Of this mailbox, or of the server.
        mailbox: Option<String>,
        /// Its name.
        annotation: String,
        /// Its value.
        value: String,
    },
}
