//! `procmail`, `formail` and `lockfile`, under their own names and as subcommands.
//!
//! The binary answers to the name it is called by, so that `.forward` lines, mailbox commands
//! and rcfiles keep working once these names are linked to it. Deliveries inside the server use
//! the same [`Host`].

mod account;
mod deliver;
mod explain;
mod formail;
mod host;
mod lockfile;
mod notify;
pub(crate) mod process;
mod signals;
mod verify;

use std::ffi::OsString;
use std::process::ExitCode;

pub use account::Account;
pub use explain::explain;
pub use host::{Host, Policy, date};
pub use verify::{Fate, by_procmail, by_sieve};

/// Runs `procmail` with the arguments behind its name.
#[must_use]
pub fn procmail(arguments: Vec<OsString>) -> ExitCode {
    let program = std::env::args_os().next().unwrap_or_default();
    ExitCode::from(deliver::run(&program, &arguments))
}

/// Runs `formail` with the arguments behind its name.
#[must_use]
pub fn formail(arguments: Vec<OsString>) -> ExitCode {
    ExitCode::from(formail::run(&arguments))
}

/// Runs `lockfile` with the arguments behind its name.
#[must_use]
pub fn lockfile(arguments: Vec<OsString>) -> ExitCode {
    ExitCode::from(lockfile::run(&arguments, &host_name()))
}

/// This machine's name.
#[must_use]
pub fn host_name() -> String {
    rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned()
}
