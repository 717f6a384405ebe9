//! `posthaste queue`

use std::io;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::SystemTime;

use clap::Subcommand;

use super::control::{Answer, Control, Entry, Request};
use super::{block_on, print};
use crate::config::Config;
use crate::queue::Status;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List the messages in the queue
    List {
        /// One JSON object a line
        #[arg(long)]
        json: bool,
    },
    /// Print a message with its envelope
    Show {
        /// Its queue id
        id: String,
    },
    /// Try a message, or all of them, at once
    Flush {
        /// Its queue id
        id: Option<String>,
    },
    /// Throw messages away
    Remove {
        /// Their queue ids
        #[arg(required = true)]
        ids: Vec<String>,
    },
}

pub(super) fn run(config: Config, command: &Command) -> ExitCode {
    if !config.data_directory.is_dir() {
        print::error(format_args!(
            "{}: there is no data folder; --data names another",
            config.data_directory.display()
        ));
        return ExitCode::FAILURE;
    }
    block_on(async {
        let mut control = Control::open(Arc::new(config)).await?;
        match command {
            Command::List { json } => list(&mut control, *json).await,
            Command::Show { id } => show(&mut control, id).await,
            Command::Flush { id } => flush(&mut control, id.clone()).await,
            Command::Remove { ids } => remove(&mut control, ids).await,
        }
    })
    .unwrap_or_else(|error| {
        print::error(format_args!("the queue cannot be reached: {error}"));
        ExitCode::FAILURE
    })
}

/// Says what the queue said, when it is not what was asked for.
fn unexpected(answer: &Answer) -> ExitCode {
    match answer {
        Answer::Error { message } => print::error(message),
        other => print::error(format_args!("the queue answers out of turn: {other:?}")),
    }
    ExitCode::FAILURE
}

async fn list(control: &mut Control, json: bool) -> io::Result<ExitCode> {
    let mut answer = control.ask(&Request::List).await?;
    let (mut count, mut octets) = (0u64, 0u64);
    while let Answer::Message(entry) = &answer {
        if json {
            print::line(serde_json::to_string(entry)?);
        } else {
            if count == 0 {
                print::line(
                    "-Queue ID-------- ----Size ---Arrival Time--------- -Sender/Recipient-----",
                );
            }
            print::line(listed(entry));
        }
        count += 1;
        octets += entry.size;
        answer = control.next().await?;
    }
    if answer != Answer::Done {
        return Ok(unexpected(&answer));
    }
    if !json {
        print::line(match count {
            0 => "Mail queue is empty".to_owned(),
            1 => format!("-- {} Kbytes in 1 Request.", octets.div_ceil(1024)),
            _ => format!("-- {} Kbytes in {count} Requests.", octets.div_ceil(1024)),
        });
    }
    Ok(ExitCode::SUCCESS)
}

/// A message as mailq(1) shows it: `*` is being delivered, and the last
/// failure in parentheses above its recipients.
fn listed(entry: &Entry) -> String {
    let envelope = &entry.envelope;
    let sender = match envelope.sender.as_str() {
        "" => "MAILER-DAEMON",
        sender => sender,
    };
    let name = format!("{}{}", entry.id, if entry.active { "*" } else { "" });
    let mut out = format!(
        "{name:<17} {:>8} {:<24} {}\n",
        entry.size,
        local_time(envelope.arrived),
        printable(sender)
    );
    let mut last_reason = "";
    for recipient in &envelope.recipients {
        match &recipient.status {
            Status::Deferred { reason, .. } => {
                if reason != last_reason {
                    out.push_str(&format!("    ({})\n", printable(reason)));
                    last_reason = reason;
                }
            }
            Status::Pending => {}
            Status::Delivered | Status::Bounced => continue,
        }
        out.push_str(&format!("{:51} {}\n", "", printable(&recipient.address)));
    }
    out
}

fn local_time(time: SystemTime) -> String {
    jiff::Timestamp::try_from(time)
        .map(|time| time.to_zoned(jiff::tz::TimeZone::system()))
        .map(|time| time.strftime("%a %b %e %H:%M:%S %Y").to_string())
        .unwrap_or_default()
}

/// What strangers chose must not move the cursor.
fn printable(text: &str) -> String {
    text.chars()
        .map(|letter| if letter.is_control() { '?' } else { letter })
        .collect()
}

async fn show(control: &mut Control, id: &str) -> io::Result<ExitCode> {
    let answer = control.ask(&Request::Show { id: id.to_owned() }).await?;
    let Answer::Message(entry) = answer else {
        return Ok(unexpected(&answer));
    };
    let envelope = &entry.envelope;
    print::line(format_args!("*** ENVELOPE {} ***", entry.id));
    print::line(format_args!("arrived: {}", local_time(envelope.arrived)));
    print::line(format_args!("size: {}", entry.size));
    print::line(format_args!("sender: <{}>", printable(&envelope.sender)));
    if let Some(client) = envelope.client {
        print::line(format_args!("client: {client}"));
    }
    if let Some(user) = &envelope.authenticated {
        print::line(format_args!("authenticated: {}", printable(user)));
    }
    print::line(format_args!("attempts: {}", envelope.attempts));
    if let Some(next) = envelope.next_attempt {
        print::line(format_args!("next attempt: {}", local_time(next)));
    }
    for recipient in &envelope.recipients {
        let status = match &recipient.status {
            Status::Pending => "pending".to_owned(),
            Status::Deferred { code, reason } => format!("deferred {code} {}", printable(reason)),
            Status::Delivered => "delivered".to_owned(),
            Status::Bounced => "bounced".to_owned(),
        };
        print::line(format_args!(
            "recipient: <{}> {status}",
            printable(&recipient.address)
        ));
    }
    print::line("*** MESSAGE ***");
    while let Some(chunk) = control.content().await? {
        print::octets(&chunk);
    }
    Ok(ExitCode::SUCCESS)
}

async fn flush(control: &mut Control, id: Option<String>) -> io::Result<ExitCode> {
    if !control.served {
        print::error("no server runs that could try them; start one with: posthaste serve");
        return Ok(ExitCode::FAILURE);
    }
    match control.ask(&Request::Flush { id }).await? {
        Answer::Flushed { count } => {
            print::line(format_args!("{count} to be tried now"));
            Ok(ExitCode::SUCCESS)
        }
        other => Ok(unexpected(&other)),
    }
}

async fn remove(control: &mut Control, ids: &[String]) -> io::Result<ExitCode> {
    let mut code = ExitCode::SUCCESS;
    for id in ids {
        match control.ask(&Request::Remove { id: id.clone() }).await? {
            Answer::Done => print::line(format_args!("{id}: removed")),
            other => code = unexpected(&other),
        }
    }
    Ok(code)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::queue::{Envelope, Recipient};

    #[test]
    fn a_message_as_mailq_shows_it() {
        let mut envelope = Envelope::new(
            "ann@example.org",
            ["bob@far.example", "carol@far.example", "done@far.example"].map(Recipient::new),
            SystemTime::UNIX_EPOCH,
        );
        for recipient in envelope.recipients.iter_mut().take(2) {
            recipient.status = Status::Deferred {
                code: "4.4.1".into(),
                reason: "connection\u{7} timed out".into(),
            };
        }
        envelope.recipients[2].status = Status::Delivered;
        let text = listed(&Entry {
            id: "4F2A1".into(),
            envelope,
            size: 1204,
            active: true,
        });
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 4);
        assert!(
            lines[0].starts_with("4F2A1*                1204 "),
            "{text}"
        );
        assert!(lines[0].ends_with(" ann@example.org"));
        assert_eq!(lines[1], "    (connection? timed out)");
        assert_eq!(lines[2].trim(), "bob@far.example");
        assert_eq!(lines[3].trim(), "carol@far.example");
    }
}
