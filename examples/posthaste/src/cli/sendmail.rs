//! `posthaste sendmail`, `mailq` and `newaliases`: what programs call that send
//! mail without SMTP.
//!
//! Options and exit codes are sendmail's, as far as a message can be submitted
//! with them; modes that would make another server of it are refused.

use std::ffi::OsString;
use std::io;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::SystemTime;

use super::control::{Answer, Control, Request};
use super::message::{Head, Missing, WireLines};
use super::place::{Place, make_private_folder};
use super::{block_on, print, queue};
use crate::config::Config;

// sysexits.h
const USAGE: u8 = 64;
const NO_INPUT: u8 = 66;
const UNAVAILABLE: u8 = 69;
const TEMPORARY: u8 = 75;
const CONFIG: u8 = 78;

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Mode {
    #[default]
    Submit,
    List,
    Flush,
    NewAliases,
}

/// What the command line says.
#[derive(Debug, Default, PartialEq, Eq)]
struct Options {
    mode: Mode,
    /// `-f`; `Some("")` is the null path.
    sender: Option<String>,
    /// `-F`
    full_name: Option<String>,
    /// `-t`
    from_header: bool,
    /// `-i`, `-oi`
    ignore_dots: bool,
    recipients: Vec<String>,
}

impl Options {
    fn parse(arguments: Vec<OsString>) -> Result<Self, String> {
        let mut options = Self::default();
        let mut arguments = arguments.into_iter().map(|argument| {
            argument
                .into_string()
                .map_err(|argument| format!("{} is no UTF-8", argument.display()))
        });
        while let Some(argument) = arguments.next() {
            let argument = argument?;
            let Some(letters) = argument.strip_prefix('-').filter(|rest| !rest.is_empty()) else {
                options.recipients.push(argument);
                continue;
            };
            if letters == "-" {
                for recipient in arguments {
                    options.recipients.push(recipient?);
                }
                break;
            }
            let mut letters = letters.chars();
            while let Some(letter) = letters.next() {
                let attached = letters.as_str().to_owned();
                let takes_value = matches!(
                    letter,
                    'f' | 'r'
                        | 'F'
                        | 'b'
                        | 'o'
                        | 'B'
                        | 'N'
                        | 'R'
                        | 'V'
                        | 'C'
                        | 'h'
                        | 'L'
                        | 'O'
                        | 'p'
                        | 'X'
                        | 'q'
                        | 'd'
                );
                if !takes_value {
                    match letter {
                        't' => options.from_header = true,
                        'i' => options.ignore_dots = true,
                        // Verbose, no alias expansion, initial submission,
                        // and two that only sendmail's own parts use.
                        'v' | 'n' | 'U' | 'G' | 'm' | 'E' => {}
                        other => return Err(format!("there is no option -{other}")),
                    }
                    continue;
                }
                let value = match (letter, attached.is_empty()) {
                    // Its value is never another argument.
                    ('q' | 'd', _) | (_, false) => attached,
                    _ => arguments
                        .next()
                        .ok_or_else(|| format!("-{letter} needs a value"))??,
                };
                options.set(letter, value)?;
                break;
            }
        }
        Ok(options)
    }

    fn set(&mut self, letter: char, value: String) -> Result<(), String> {
        match (letter, value.as_str()) {
            ('f' | 'r', "<>") => self.sender = Some(String::new()),
            ('f' | 'r', _) => self.sender = Some(value),
            ('F', _) => self.full_name = Some(value),
            ('b', "m") => self.mode = Mode::Submit,
            ('b', "p") => self.mode = Mode::List,
            ('b', "i") => self.mode = Mode::NewAliases,
            ('b', "s") => {
                return Err("-bs: SMTP on the standard input is not offered; connect to the submission port".into());
            }
            ('b', "d" | "D" | "l") => {
                return Err("-bd: the server is started with: posthaste serve".into());
            }
            ('b', other) => return Err(format!("the mode -b{other} is not offered")),
            ('o', "i") => self.ignore_dots = true,
            ('q', "") => self.mode = Mode::Flush,
            ('q', _) => return Err("-q takes no interval: the server has its own".into()),
            // How errors are told, the body's type (found out from the body),
            // notifications, and debugging: without meaning here, as in
            // Postfix.
            _ => {}
        }
        Ok(())
    }
}

/// Called as `sendmail`.
pub(super) fn applet(arguments: Vec<OsString>) -> ExitCode {
    run(&Place::new(None, None), arguments)
}

/// Called as `mailq`.
pub(super) fn mailq(_: Vec<OsString>) -> ExitCode {
    run(&Place::new(None, None), vec!["-bp".into()])
}

/// Called as `newaliases`.
pub(super) fn newaliases(_: Vec<OsString>) -> ExitCode {
    run(&Place::new(None, None), vec!["-bi".into()])
}

pub(super) fn run(place: &Place, arguments: Vec<OsString>) -> ExitCode {
    let options = match Options::parse(arguments) {
        Ok(options) => options,
        Err(error) => {
            print::error(format_args!("sendmail: {error}"));
            return ExitCode::from(USAGE);
        }
    };
    let config = match place.load() {
        Ok(config) => config,
        Err(error) => {
            print::error(error);
            return ExitCode::from(CONFIG);
        }
    };
    match options.mode {
        Mode::List => queue::run(config, &queue::Command::List { json: false }),
        Mode::Flush => queue::run(config, &queue::Command::Flush { id: None }),
        Mode::NewAliases => {
            print::line("Alias files are read when they change; there is nothing to build.");
            ExitCode::SUCCESS
        }
        Mode::Submit => submit(config, &options),
    }
}

fn submit(config: Config, options: &Options) -> ExitCode {
    let made = make_private_folder(&config.data_directory);
    let outcome = made.and_then(|()| block_on(send(Arc::new(config), options)));
    outcome.unwrap_or_else(|error| {
        print::error(format_args!("sendmail: not sent: {error}"));
        ExitCode::from(TEMPORARY)
    })
}

async fn send(config: Arc<Config>, options: &Options) -> io::Result<ExitCode> {
    let mut lines = WireLines::new(io::stdin().lock(), options.ignore_dots);
    let head = match Head::read(&mut lines) {
        Ok(head) => head,
        Err(error) => {
            print::error(format_args!("sendmail: {error}"));
            return Ok(ExitCode::from(NO_INPUT));
        }
    };
    let mut recipients: Vec<String> = Vec::new();
    let of_header = options.from_header.then(|| head.recipients());
    for recipient in options
        .recipients
        .iter()
        .cloned()
        .chain(of_header.into_iter().flatten())
    {
        let recipient = qualified(&recipient, &config);
        if let Err(reason) = check_address(&recipient) {
            print::error(format_args!("sendmail: {recipient}: {reason}"));
            return Ok(ExitCode::from(USAGE));
        }
        if !recipients.contains(&recipient) {
            recipients.push(recipient);
        }
    }
    if recipients.is_empty() {
        print::error("sendmail: there is no recipient");
        return Ok(ExitCode::from(USAGE));
    }
    let user = user_name();
    let sender = match &options.sender {
        Some(sender) if sender.is_empty() => String::new(),
        Some(sender) => qualified(sender, &config),
        None => qualified(&user.login, &config),
    };
    if !sender.is_empty()
        && let Err(reason) = check_address(&sender)
    {
        print::error(format_args!("sendmail: -f {sender}: {reason}"));
        return Ok(ExitCode::from(USAGE));
    }
    let address = if sender.is_empty() {
        qualified("MAILER-DAEMON", &config)
    } else {
        sender.clone()
    };
    let name = options.full_name.as_deref().unwrap_or(&user.full_name);
    let from = if name.is_empty() || name.contains(char::is_control) {
        address
    } else {
        format!("{} <{address}>", mime::address::phrase(name))
    };

    let mut control = Control::open(Arc::clone(&config)).await?;
    let answer = control.ask(&Request::Submit { sender, recipients }).await?;
    if answer != Answer::Ready {
        return Ok(refused(&answer));
    }
    let head = head.complete(&Missing {
        hostname: &config.myhostname,
        from: &from,
        date: SystemTime::now(),
    });
    control.send(&head).await?;
    let mut gathered = Vec::new();
    loop {
        let line = lines.next()?;
        gathered.extend_from_slice(&line);
        if line.is_empty() || gathered.len() >= 32 << 10 {
            control.send(&gathered).await?;
            gathered.clear();
        }
        if line.is_empty() {
            break;
        }
    }
    match control.end().await? {
        Answer::Queued { .. } => Ok(ExitCode::SUCCESS),
        other => Ok(refused(&other)),
    }
}

fn refused(answer: &Answer) -> ExitCode {
    match answer {
        Answer::Error { message } => print::error(format_args!("sendmail: {message}")),
        other => print::error(format_args!("sendmail: the queue answers {other:?}")),
    }
    ExitCode::from(UNAVAILABLE)
}

/// An address with a domain, angle brackets taken away.
fn qualified(address: &str, config: &Config) -> String {
    let address = address.trim();
    let address = address
        .strip_prefix('<')
        .and_then(|inner| inner.strip_suffix('>'))
        .unwrap_or(address);
    if address.contains('@') {
        address.to_owned()
    } else {
        format!("{address}@{}", config.myorigin)
    }
}

fn check_address(address: &str) -> Result<(), String> {
    address
        .parse::<smtp_proto::Address>()
        .map(|_| ())
        .map_err(|error| format!("this is no address: {error}"))
}

struct User {
    login: String,
    full_name: String,
}

/// Who runs this, as /etc/passwd has it.
fn user_name() -> User {
    let uid = rustix::process::getuid().as_raw().to_string();
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let found = passwd.lines().find_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        let (login, id) = (fields.first()?, fields.get(2)?);
        (*id == uid).then(|| User {
            login: (*login).to_owned(),
            full_name: fields
                .get(4)
                .and_then(|gecos| gecos.split(',').next())
                .unwrap_or_default()
                .to_owned(),
        })
    });
    found.unwrap_or_else(|| User {
        login: format!("uid{uid}"),
        full_name: String::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Options, String> {
        Options::parse(line.split_whitespace().map(OsString::from).collect())
    }

    #[test]
    fn options_as_programs_give_them() {
        for (line, expected) in [
            (
                "-t -i",
                Options {
                    from_header: true,
                    ignore_dots: true,
                    ..Options::default()
                },
            ),
            (
                "-oi -oem -fann@example.org -- -bob",
                Options {
                    ignore_dots: true,
                    sender: Some("ann@example.org".into()),
                    recipients: vec!["-bob".into()],
                    ..Options::default()
                },
            ),
            (
                "-ti -f <> -F Ann bob carol",
                Options {
                    from_header: true,
                    ignore_dots: true,
                    sender: Some(String::new()),
                    full_name: Some("Ann".into()),
                    recipients: vec!["bob".into(), "carol".into()],
                    ..Options::default()
                },
            ),
            (
                "-bp",
                Options {
                    mode: Mode::List,
                    ..Options::default()
                },
            ),
            (
                "-q",
                Options {
                    mode: Mode::Flush,
                    ..Options::default()
                },
            ),
            (
                "-bm -B 8BITMIME -N never -odb -v bob",
                Options {
                    recipients: vec!["bob".into()],
                    ..Options::default()
                },
            ),
        ] {
            assert_eq!(parse(line), Ok(expected), "{line}");
        }
        for bad in ["-bs", "-bd", "-bt", "-q30m", "-f", "-y"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn addresses_get_a_domain() {
        let config = Config::parse("myorigin = \"example.org\"", "/x/y".as_ref()).unwrap();
        assert_eq!(qualified("ann", &config), "ann@example.org");
        assert_eq!(qualified("<ann@x>", &config), "ann@x");
        assert!(check_address("ann@example.org").is_ok());
        assert!(check_address("a b@example.org").is_err());
        assert!(check_address("\\ann@example.org").is_err());
    }
}
