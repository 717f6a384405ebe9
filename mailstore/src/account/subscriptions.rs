//! The `subscriptions` file, in both of Dovecot's forms.
//!
//! Version 1 has a name to a line, between levels what the layout has there: dots in Maildir++, else slashes. Version 2
//! begins with `V<TAB>2` and has a tab between levels. Names are modified UTF-7. Version 2 is written.

use std::time::SystemTime;

use super::{Format, Shared};
use crate::error::Error;
use crate::name;

const NAME: &str = "subscriptions";
/// A file of more octets is none: it is read with each list of mailboxes.
const LIMIT: u64 = 16 << 20;

pub(super) fn read(shared: &Shared) -> Result<Vec<String>, Error> {
    let content = shared.read_own(NAME, LIMIT)?;
    Ok(content.map_or_else(Vec::new, |content| {
        parse(&String::from_utf8_lossy(&content), old_separator(shared))
    }))
}

pub(super) fn change(
    shared: &Shared,
    name: &str,
    subscribed: bool,
    now: SystemTime,
) -> Result<bool, Error> {
    let _lock = shared.lock_own(NAME, now)?;
    let mut names = read(shared)?;
    let before = names.len();
    names.retain(|known| known != name);
    if (names.len() < before) == subscribed {
        return Ok(false);
    }
    if subscribed {
        names.push(name.to_owned());
    }
    let mut content = "V\t2\n\n".to_owned();
    for name in &names {
        let levels: Vec<String> = name.split('/').map(name::to_utf7).collect();
        content.push_str(&levels.join("\t"));
        content.push('\n');
    }
    if subscribed && content.len() as u64 > LIMIT {
        // Written, it could not be read any more.
        return Err(Error::TooLarge {
            octets: content.len(),
            limit: usize::try_from(LIMIT).unwrap_or(usize::MAX),
        });
    }
    shared.replace_own(NAME, content.as_bytes())?;
    Ok(true)
}

/// What stands between levels in version 1: what stands there in the names of the mailboxes' directories.
fn old_separator(shared: &Shared) -> char {
    match shared.format {
        Format::Maildir => '.',
        Format::MaildirFs | Format::Mbox | Format::Memory => '/',
    }
}

fn parse(content: &str, old_separator: char) -> Vec<String> {
    let (separator, lines) = match content.strip_prefix("V\t2\n") {
        Some(lines) => ('\t', lines),
        None => (old_separator, content),
    };
    let level = |level: &str| name::from_utf7(level).unwrap_or_else(|| level.to_owned());
    lines
        .lines()
        .filter(|line| !line.is_empty())
        .map(|line| {
            line.split(separator)
                .map(level)
                .collect::<Vec<_>>()
                .join("/")
        })
        .collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn both_forms() {
        assert_eq!(
            super::parse("INBOX\nA.B\n&AOk-t&AOk-\n", '.'),
            ["INBOX", "A/B", "été"]
        );
        assert_eq!(super::parse("A/B.c\nd\n", '/'), ["A/B.c", "d"]);
        for separator in ['.', '/'] {
            let names = super::parse("V\t2\n\nINBOX\nA\tB.c\n", separator);
            assert_eq!(names, ["INBOX", "A/B.c"]);
        }
    }
}
