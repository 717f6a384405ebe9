//! `posthaste user` and `posthaste auth`

use std::io::{self, BufRead, IsTerminal};
use std::process::ExitCode;

use clap::Subcommand;
use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};

use super::{first_start, print};
use crate::auth::{Tested, Users, UsersError, edit};
use crate::config::Config;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Add an account; the password comes from the standard input
    Add {
        /// Its name
        name: String,
        /// Make a password and print it
        #[arg(long)]
        generate: bool,
    },
    /// Give an account another password
    Passwd {
        /// Its name
        name: String,
        /// Make a password and print it
        #[arg(long)]
        generate: bool,
    },
    /// Take an account away; its mail stays where it is
    Del {
        /// Its name
        name: String,
    },
    /// List the accounts
    List,
}

#[derive(Debug, Subcommand)]
pub(super) enum AuthCommand {
    /// Say what a login would come to; the password comes from the standard input
    Test {
        /// What is typed as the user's name
        name: String,
    },
}

pub(super) fn run(config: &Config, command: &Command) -> ExitCode {
    try_run(config, command).unwrap_or_else(|error| {
        print::error(error);
        ExitCode::FAILURE
    })
}

type AnyError = Box<dyn std::error::Error>;

fn try_run(config: &Config, command: &Command) -> Result<ExitCode, AnyError> {
    let file = &config.users_file;
    match command {
        Command::Add { name, generate } => {
            super::place::make_private_folder(&config.data_directory)?;
            if Users::open(file)?
                .list()
                .iter()
                .any(|user| user.name == *name)
            {
                return Err(UsersError::Exists(name.clone()).into());
            }
            edit::add(file, name, &new_password(*generate)?)?;
            print::line(format_args!("{name}: added"));
        }
        Command::Passwd { name, generate } => {
            if Users::open(file)?
                .list()
                .iter()
                .all(|user| user.name != *name)
            {
                return Err(UsersError::Unknown(name.clone()).into());
            }
            edit::set_password(file, name, &new_password(*generate)?)?;
            print::line(format_args!("{name}: password changed"));
        }
        Command::Del { name } => {
            edit::delete(file, name)?;
            print::line(format_args!("{name}: taken away; the mail stays"));
        }
        Command::List => {
            for user in edit::list(file)? {
                print::line(&user.name);
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

pub(super) fn auth(config: &Config, command: &AuthCommand) -> ExitCode {
    let AuthCommand::Test { name } = command;
    let tested = || -> Result<Tested, AnyError> {
        let users = Users::open(&config.users_file)?;
        Ok(users.test(name, &read_password("Password: ")?))
    };
    let reason = match tested() {
        Ok(Tested::Accepted { name, scheme }) => {
            print::line(format_args!("{name}: accepted ({scheme})"));
            return ExitCode::SUCCESS;
        }
        Ok(Tested::WrongPassword) => format!("{name}: the password is wrong"),
        Ok(Tested::UnknownUser) => format!("{name}: there is no such user"),
        Ok(Tested::Locked) => format!("{name}: the account is locked; no password fits"),
        Ok(Tested::Unusable(reason)) => format!("{name}: the hash cannot be used: {reason}"),
        Err(error) => error.to_string(),
    };
    print::error(reason);
    ExitCode::FAILURE
}

fn new_password(generate: bool) -> Result<Vec<u8>, AnyError> {
    if generate {
        let password = first_start::password()?;
        print::line(format_args!("Password: {password}"));
        return Ok(password.into_bytes());
    }
    let password = read_password("New password: ")?;
    if io::stdin().is_terminal() && read_password("Again: ")? != password {
        return Err("the two passwords differ".into());
    }
    Ok(password)
}

/// A line of the standard input, without showing it on a terminal.
fn read_password(prompt: &str) -> io::Result<Vec<u8>> {
    let stdin = io::stdin();
    let silenced = match tcgetattr(&stdin) {
        Ok(shown) if stdin.is_terminal() => {
            print::prompt(prompt);
            let mut silent = shown.clone();
            silent.local_modes.remove(LocalModes::ECHO);
            tcsetattr(&stdin, OptionalActions::Flush, &silent)?;
            Some(shown)
        }
        _ => None,
    };
    let mut line = Vec::new();
    // No password is as long as that; a wrong file would be.
    let read = io::Read::take(stdin.lock(), 4096).read_until(b'\n', &mut line);
    if let Some(shown) = silenced {
        tcsetattr(&stdin, OptionalActions::Flush, &shown)?;
        print::error("");
    }
    read?;
    while line
        .last()
        .is_some_and(|octet| matches!(octet, b'\r' | b'\n'))
    {
        line.pop();
    }
    if line.is_empty() {
        return Err(io::Error::other("the password is empty"));
    }
    Ok(line)
}
