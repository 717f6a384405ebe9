//! The commands of the `posthaste` program, a file each.
//!
//! The program is also what it is called: linked as `sendmail`, `mailq` or
//! `newaliases`, it is that one.

mod check;
mod config;
mod control;
mod deliver;
mod first_start;
mod mailbox;
mod message;
mod place;
mod print;
mod procmail;
mod queue;
mod sendmail;
mod serve;
mod sieve;
#[cfg(test)]
mod tests;
mod user;

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

pub use control::{Answer, Entry, Request, bind, serve as serve_control, socket_path};
pub use place::DataLock;

use crate::config::Config;
use place::Place;

/// A mail server: SMTP, filters, durable storage, IMAP and POP3.
#[derive(Debug, Parser)]
#[command(name = "posthaste", version, max_term_width = 100)]
struct Arguments {
    /// The configuration file [default: posthaste.toml in the data folder]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The data folder [default: $POSTHASTE_DATA, or ./posthaste-data]
    #[arg(long, global = true, value_name = "FOLDER")]
    data: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server (this is what happens without a command, too)
    Serve,
    /// Say what is wrong with the set-up, and how to mend it
    Check,
    /// Show the configuration
    #[command(subcommand)]
    Config(config::Command),
    /// List and change the queue
    #[command(subcommand)]
    Queue(queue::Command),
    /// Add, change and list accounts
    #[command(subcommand)]
    User(user::Command),
    /// List, change, copy and check an account's mailboxes
    #[command(subcommand)]
    Mailbox(mailbox::Command),
    /// Try logins
    #[command(subcommand)]
    Auth(user::AuthCommand),
    /// Filter mail by procmailrc files
    #[command(subcommand)]
    Procmail(procmail::Command),
    /// Make, take apart and split mail as formail(1) does
    #[command(disable_help_flag = true)]
    Formail {
        /// As for formail(1)
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    /// Make semaphore files as lockfile(1) does
    #[command(disable_help_flag = true)]
    Lockfile {
        /// As for lockfile(1)
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    /// Hand a message from the standard input to an account and its filters
    Deliver(deliver::Deliver),
    /// Check, try, lay out and test Sieve scripts
    #[command(subcommand)]
    Sieve(sieve::Command),
    /// Send a message as sendmail(8) does
    #[command(disable_help_flag = true)]
    Sendmail {
        /// As for sendmail(8): -t -i -f -F -bp …
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
}

/// A program that this one is when it is called by that name.
type Applet = fn(Vec<OsString>) -> ExitCode;

/// The programs by their names. Each gets the arguments behind the name.
fn applet(name: &OsStr) -> Option<Applet> {
    Some(match name.to_str()? {
        "sendmail" => sendmail::applet,
        "mailq" => sendmail::mailq,
        "newaliases" => sendmail::newaliases,
        "procmail" => crate::procmail::procmail,
        "formail" => crate::procmail::formail,
        "lockfile" => crate::procmail::lockfile,
        _ => return None,
    })
}

/// The name without the dash of a login shell, which some mail programs start programs with.
fn login_name(name: &OsStr) -> &OsStr {
    OsStr::from_bytes(
        name.as_bytes()
            .strip_prefix(b"-")
            .unwrap_or(name.as_bytes()),
    )
}

/// Runs what the command line asks for.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let name = arguments
        .first()
        .and_then(|path| Path::new(path).file_name())
        .map(login_name);
    if let Some(applet) = name.and_then(applet) {
        return applet(arguments.into_iter().skip(1).collect());
    }
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let place = Place::new(arguments.config, arguments.data);
    match arguments.command.unwrap_or(Command::Serve) {
        Command::Serve => serve::run(&place),
        Command::Check => check::run(&place),
        Command::Config(command) => with_config(&place, |config| config::run(&config, &command)),
        Command::Queue(command) => with_config(&place, |config| queue::run(config, &command)),
        Command::User(command) => with_config(&place, |config| user::run(&config, &command)),
        Command::Mailbox(command) => with_config(&place, |config| mailbox::run(&config, &command)),
        Command::Auth(command) => with_config(&place, |config| user::auth(&config, &command)),
        Command::Procmail(command) => procmail::run(command),
        Command::Formail { arguments } => crate::procmail::formail(arguments),
        Command::Lockfile { arguments } => crate::procmail::lockfile(arguments),
        Command::Deliver(command) => with_config(&place, |config| deliver::run(config, &command)),
        Command::Sieve(command) => sieve::run(command),
        Command::Sendmail { arguments } => sendmail::run(&place, arguments),
    }
}

/// Runs `command` with the configuration, or says what is wrong with it.
fn with_config(place: &Place, command: impl FnOnce(Config) -> ExitCode) -> ExitCode {
    match place.load() {
        Ok(config) => command(config),
        Err(error) => {
            print::error(error);
            ExitCode::FAILURE
        }
    }
}

/// Runs a command that talks to the queue.
fn block_on<F: Future<Output = io::Result<ExitCode>>>(command: F) -> io::Result<ExitCode> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(command)
}
