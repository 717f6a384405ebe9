//! `posthaste procmail`: rcfiles run, checked, laid out, explained and translated.

mod check;
mod fmt;
mod to_sieve;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;

/// What to do with rcfiles.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Deliver a message as procmail(1) does
    #[command(disable_help_flag = true)]
    Run {
        /// As for procmail(1): -v -p -t -o -Y -f -a -m -d …
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    /// Say what is wrong with rcfiles, or looks as if something else had been meant
    Check {
        /// Rcfiles; `-` is the standard input
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        /// Warnings fail too
        #[arg(long)]
        strict: bool,
    },
    /// Lay rcfiles out
    Fmt {
        /// Rcfiles; `-` is the standard input
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        /// Change the files instead of showing the outcome
        #[arg(long, short, conflicts_with = "check")]
        write: bool,
        /// Change and show nothing; fail if a file is laid out in another way
        #[arg(long)]
        check: bool,
    },
    /// Say what an rcfile would do to the message on standard input, and do nothing
    Explain {
        /// The rcfile
        rcfile: PathBuf,
    },
    /// Translate an rcfile to a Sieve script
    ToSieve {
        /// The rcfile; `-` is the standard input
        rcfile: PathBuf,
        /// Run both on the messages of this mbox or Maildir, and list differences
        #[arg(long, value_name = "MAILBOX")]
        verify: Option<PathBuf>,
    },
}

pub(super) fn run(command: Command) -> ExitCode {
    let good = match command {
        Command::Run { arguments } => return crate::procmail::procmail(arguments),
        Command::Check { files, strict } => check::run(&files, strict),
        Command::Fmt {
            files,
            write,
            check,
        } => fmt::run(&files, write, check),
        Command::Explain { rcfile } => match crate::procmail::explain(&rcfile) {
            Ok(()) => true,
            Err(error) => {
                super::print::error(error);
                false
            }
        },
        Command::ToSieve { rcfile, verify } => to_sieve::run(&rcfile, verify.as_deref()),
    };
    if good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
