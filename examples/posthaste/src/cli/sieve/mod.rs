//! `posthaste sieve`: check, run, lay out and test scripts, without a server.

mod check;
mod filter;
pub(super) mod fmt;
mod run;
mod test;

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Subcommand;
use sieve::{Capabilities, Diagnostic, Severity};

use super::print;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Say all that is wrong with scripts
    #[command(after_help = check::ENDINGS)]
    Check {
        /// Scripts; `-` is the standard input
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        /// Warnings fail too
        #[arg(long)]
        strict: bool,
    },
    /// Say what a script would do with a message, and why
    #[command(after_help = run::ENDINGS)]
    Run(run::Arguments),
    /// Apply a script to mail that is stored already
    #[command(after_help = filter::ENDINGS)]
    Filter(filter::Arguments),
    /// Lay scripts out
    #[command(after_help = fmt::ENDINGS)]
    Fmt {
        /// Scripts; `-` is the standard input
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        /// Change the files instead of showing the outcome
        #[arg(long, short, conflicts_with = "check")]
        write: bool,
        /// Change and show nothing; fail if a file is laid out in another way
        #[arg(long)]
        check: bool,
    },
    /// Run test suites (.svtest)
    #[command(after_help = test::ENDINGS)]
    Test {
        /// Suites, or folders of them
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        /// Also write a report in JUnit's format
        #[arg(long, value_name = "FILE")]
        junit: Option<PathBuf>,
        /// Show the tests that pass as well
        #[arg(long, short)]
        verbose: bool,
    },
}

pub(super) fn run(command: Command) -> ExitCode {
    let ending = match command {
        Command::Check { files, strict } => check::run(&files, strict),
        Command::Run(arguments) => run::run(&arguments),
        Command::Filter(arguments) => filter::run(&arguments),
        Command::Fmt {
            files,
            write,
            check,
        } => fmt::run(&files, write, check),
        Command::Test {
            files,
            junit,
            verbose,
        } => test::run(&files, junit.as_deref(), verbose),
    };
    ExitCode::from(ending as u8)
}

/// How a command ended, which is its exit status; of several, the last in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Ending {
    /// There is nothing to say against the scripts.
    Good = 0,
    /// There is: errors, a test that fails.
    Faults = 1,
    /// It could not be found out. Arguments that are none end like this, too.
    Trouble = 2,
}

impl Ending {
    /// Good, unless there are faults.
    fn of(good: bool) -> Self {
        if good { Self::Good } else { Self::Faults }
    }
}

/// All that the language can do, except what only a test suite may.
fn capabilities() -> Capabilities {
    Capabilities::all().without("vnd.dovecot.testsuite")
}

/// A file, or the standard input for `-`; told if it cannot be read.
pub(super) fn read(path: &Path) -> Option<Vec<u8>> {
    let mut octets = Vec::new();
    let result = if path.as_os_str() == "-" {
        std::io::stdin().lock().read_to_end(&mut octets).map(drop)
    } else {
        std::fs::read(path).map(|found| octets = found)
    };
    match result {
        Ok(()) => Some(octets),
        Err(fault) => {
            print::error(format_args!("{}: {fault}", path.display()));
            None
        }
    }
}

/// Draws diagnostics on the standard error output; true if there is an error among them.
fn tell(path: &Path, source: &[u8], diagnostics: &[Diagnostic]) -> bool {
    for diagnostic in diagnostics {
        let drawn = diagnostic.render(&path.display().to_string(), source);
        let is_error = diagnostic.severity == Severity::Error;
        print::finding(&drawn, &diagnostic.severity.to_string(), is_error);
    }
    diagnostics
        .iter()
        .any(|found| found.severity == Severity::Error)
}
