//! What a procmailrc may run, and what it sends on.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use procmail_rules::Command;
use smtp_proto::Address;

/// The command with the path of an allowed program; none if it is not
/// allowed. A name without a slash is that of an allowed program in whatever
/// directory. What needs a shell needs an allowed shell.
pub(super) fn allowed(command: &Command, programs: &[PathBuf]) -> Option<Command> {
    let find = |word: &[u8]| {
        let word = Path::new(OsStr::from_bytes(word));
        let found = programs.iter().find(|program| {
            *program == word
                || word.components().count() == 1 && program.file_name() == Some(word.as_os_str())
        })?;
        Some(found.as_os_str().as_bytes().to_vec())
    };
    Some(match command {
        Command::Direct(words) => {
            let (program, arguments) = words.split_first()?;
            let mut words = vec![find(program)?];
            words.extend_from_slice(arguments);
            Command::Direct(words)
        }
        Command::Shell { shell, flags, text } => Command::Shell {
            shell: find(shell)?,
            flags: flags.clone(),
            text: text.clone(),
        },
    })
}

/// A command, for people.
pub(super) fn show(command: &Command) -> String {
    match command {
        Command::Direct(words) => String::from_utf8_lossy(&words.join(&b' ')).into_owned(),
        Command::Shell { shell, text, .. } => {
            let (shell, text) = (
                String::from_utf8_lossy(shell),
                String::from_utf8_lossy(text),
            );
            format!("{shell} -c {text:?}")
        }
    }
}

/// Who gets a forwarded message.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Forward {
    /// The sender, where `-f` gives one.
    pub(super) sender: Option<String>,
    /// The recipients.
    pub(super) recipients: Vec<String>,
}

/// What `! addresses` says to sendmail, done without it. Addresses without a
/// domain get this one. None where another program was put in sendmail's
/// place, an option would mean something else, or an address is none.
pub(super) fn forward(command: &Command, domain: &str) -> Option<Forward> {
    let Command::Direct(words) = command else {
        return None;
    };
    let (program, arguments) = words.split_first()?;
    if Path::new(OsStr::from_bytes(program)).file_name() != Some(OsStr::new("sendmail")) {
        return None;
    }
    let mut found = Forward {
        sender: None,
        recipients: Vec::new(),
    };
    let mut options = true;
    let mut arguments = arguments.iter();
    while let Some(word) = arguments.next() {
        let word = std::str::from_utf8(word).ok()?;
        match word.strip_prefix('-').filter(|_| options) {
            Some("-") => options = false,
            Some("i" | "oi" | "bm" | "U") => {}
            Some(option) if option.starts_with("oe") => {}
            Some(option) if option.starts_with(['f', 'r']) => {
                let value = match option.get(1..) {
                    Some("") | None => std::str::from_utf8(arguments.next()?).ok()?,
                    Some(value) => value,
                };
                found.sender = Some(match value {
                    "" | "<>" => String::new(),
                    value => address(value, domain)?,
                });
            }
            Some(option) if option.starts_with('F') => {
                if option.len() == 1 {
                    arguments.next();
                }
            }
            Some(_) => return None,
            None => {
                for name in word
                    .split(',')
                    .map(str::trim)
                    .filter(|name| !name.is_empty())
                {
                    found.recipients.push(address(name, domain)?);
                }
            }
        }
    }
    (!found.recipients.is_empty()).then_some(found)
}

fn address(text: &str, domain: &str) -> Option<String> {
    let bare = text
        .strip_prefix('<')
        .and_then(|text| text.strip_suffix('>'));
    let bare = bare.unwrap_or(text);
    let whole = if bare.contains('@') {
        bare.parse::<Address>()
    } else {
        Address::new(bare, domain)
    };
    whole.ok().map(|address| address.as_str().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Command {
        Command::Direct(
            text.split(' ')
                .map(|word| word.as_bytes().to_vec())
                .collect(),
        )
    }

    #[test]
    fn forwards() {
        let to = |text: &str| forward(&words(text), "example.org");
        let found = to("/usr/sbin/sendmail -oi ann@example.com, <bob@example.com> carol").unwrap();
        assert_eq!(found.sender, None);
        assert_eq!(
            found.recipients,
            ["ann@example.com", "bob@example.com", "carol@example.org"]
        );
        let found = to("/usr/sbin/sendmail -oi -f ann -- dave@example.com").unwrap();
        assert_eq!(found.sender.as_deref(), Some("ann@example.org"));
        for refused in [
            "/usr/sbin/sendmail -oi",
            "/usr/sbin/sendmail -t ann",
            "/bin/rm ann@example.com",
            "/usr/sbin/sendmail a@b@c",
            "/usr/sbin/sendmail -C/etc/passwd ann",
        ] {
            assert_eq!(to(refused), None, "{refused}");
        }
    }

    #[test]
    fn programs() {
        let programs = [PathBuf::from("/usr/bin/formail")];
        let name = |text: &str| allowed(&words(text), &programs).map(|command| show(&command));
        assert_eq!(name("formail -r").as_deref(), Some("/usr/bin/formail -r"));
        assert_eq!(
            name("/usr/bin/formail").as_deref(),
            Some("/usr/bin/formail")
        );
        for refused in ["/tmp/formail", "./formail", "../bin/formail", "sh", ""] {
            assert_eq!(name(refused), None, "{refused}");
        }
        let shell = Command::Shell {
            shell: b"/bin/sh".to_vec(),
            flags: b"-c".to_vec(),
            text: b"formail -r | cat".to_vec(),
        };
        assert_eq!(allowed(&shell, &programs), None);
        assert!(allowed(&shell, &[PathBuf::from("/bin/sh")]).is_some());
    }
}
