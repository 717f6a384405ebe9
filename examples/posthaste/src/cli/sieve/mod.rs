//! `posthaste sieve`: check, run, lay out and test scripts, without a server.

mod check;
mod filter;
pub(super) mod fmt;
mod run;
mod test;

use std::io::{IsTerminal, Read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Subcommand;
use sieve::{Capabilities, Diagnostic, Severity};

use super::print;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Say all that is wrong with scripts
    Check {
        /// Scripts; `-` is the standard input
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        /// Warnings fail too
        #[arg(long)]
        strict: bool,
    },
    /// Say what a script would do with a message, and why
    Run(run::Arguments),
    /// Apply a script to mail that is stored already
    Filter(filter::Arguments),
    /// Lay scripts out
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
    let good = match command {
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
    if good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
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
    let colour = std::io::stderr().is_terminal();
    for diagnostic in diagnostics {
        let drawn = diagnostic.render(&path.display().to_string(), source);
        let word = diagnostic.severity.to_string();
        let code = match diagnostic.severity {
            Severity::Error => "\u{1b}[1;31m",
            Severity::Warning => "\u{1b}[1;33m",
        };
        match drawn.strip_prefix(&word).filter(|_| colour) {
            Some(rest) => print::error(format_args!("{code}{word}\u{1b}[0m{rest}")),
            None => print::error(drawn),
        }
    }
    diagnostics
        .iter()
        .any(|found| found.severity == Severity::Error)
}
