//! `posthaste deliver`: a message from the standard input into an account's
//! mailboxes, by way of its filters, as fetchmail and other servers hand it to
//! a local delivery agent.

use std::io;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;

use super::control::{Answer, Control, Request};
use super::message::WireLines;
use super::{block_on, print};
use crate::auth::Users;
use crate::config::Config;
use crate::route::{Route, Router};

// sysexits.h
const NO_USER: u8 = 67;
const UNAVAILABLE: u8 = 69;
const TEMPORARY: u8 = 75;

#[derive(Debug, Args)]
pub(super) struct Deliver {
    /// The envelope sender [default: that of an mbox "From " line, or none]
    #[arg(short = 'f', value_name = "SENDER")]
    sender: Option<String>,
    /// The account, with an extension or without
    user: String,
}

pub(super) fn run(config: Config, deliver: &Deliver) -> ExitCode {
    let config = Arc::new(config);
    let address = match address_of(&config, &deliver.user) {
        Ok(Some(address)) => address,
        Ok(None) => {
            print::error(format_args!("{}: there is no such user", deliver.user));
            return ExitCode::from(NO_USER);
        }
        Err(error) => {
            print::error(error);
            return ExitCode::from(TEMPORARY);
        }
    };
    block_on(hand_over(config, deliver.sender.clone(), address)).unwrap_or_else(|error| {
        print::error(format_args!("not delivered: {error}"));
        ExitCode::from(TEMPORARY)
    })
}

/// An envelope address that leads to this account, whatever aliases it has.
fn address_of(config: &Arc<Config>, user: &str) -> Result<Option<String>, crate::auth::UsersError> {
    let users = Users::open(&config.users_file)?;
    let router = Router::new(Arc::clone(config), move |name: &str| {
        Ok(users.list().iter().any(|user| user.name == name))
    });
    let address = format!("\\{user}");
    Ok(match router.route(&address) {
        Route::Local { .. } => match router.route(user) {
            Route::Local { .. } => Some(user.to_owned()),
            _ => Some(address),
        },
        _ => None,
    })
}

async fn hand_over(
    config: Arc<Config>,
    sender: Option<String>,
    address: String,
) -> io::Result<ExitCode> {
    let mut lines = WireLines::new(io::stdin().lock(), true);
    let mut line = lines.next()?;
    let mut sender = sender;
    if line.starts_with(b"From ") {
        let text = String::from_utf8_lossy(&line).into_owned();
        sender = sender.or_else(|| text.split_whitespace().nth(1).map(str::to_owned));
        line = lines.next()?;
    }
    let sender = sender.unwrap_or_default();
    let sender = sender.trim_start_matches('<').trim_end_matches('>');
    let sender = match sender.contains('@') {
        true => sender.to_owned(),
        false if sender.is_empty() || sender.eq_ignore_ascii_case("MAILER-DAEMON") => String::new(),
        false => format!("{sender}@{}", config.myorigin),
    };
    let mut control = Control::open(config).await?;
    let recipients = vec![address];
    let mut answer = control.ask(&Request::Submit { sender, recipients }).await?;
    if answer == Answer::Ready {
        while !line.is_empty() {
            control.send(&line).await?;
            line = lines.next()?;
        }
        answer = control.end().await?;
    }
    match answer {
        Answer::Queued { .. } => Ok(ExitCode::SUCCESS),
        Answer::Error { message } => {
            print::error(message);
            Ok(ExitCode::from(UNAVAILABLE))
        }
        other => Err(io::Error::other(format!("the queue answers {other:?}"))),
    }
}
