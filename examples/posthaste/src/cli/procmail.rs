//! `posthaste procmail`: rcfiles run, and looked at.

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
    /// Say what an rcfile would do to the message on standard input, and do nothing
    Explain {
        /// The rcfile
        rcfile: PathBuf,
    },
}

pub(super) fn run(command: Command) -> ExitCode {
    match command {
        Command::Run { arguments } => crate::procmail::procmail(arguments),
        Command::Explain { rcfile } => match crate::procmail::explain(&rcfile) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                super::print::error(error);
                ExitCode::FAILURE
            }
        },
    }
}
