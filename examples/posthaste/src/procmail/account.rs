//! Whom the mail is for, as the system's own list says.

use std::fs;

/// A line of `/etc/passwd`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// The login name.
    pub name: Vec<u8>,
    /// The number.
    pub uid: u32,
    /// The number of the main group.
    pub gid: u32,
    /// The home directory.
    pub home: Vec<u8>,
    /// The login shell.
    pub shell: Vec<u8>,
}

impl Account {
    /// The account of this process.
    #[must_use]
    pub fn own() -> Option<Self> {
        Self::numbered(rustix::process::getuid().as_raw())
    }

    /// The account with this name; the case of letters is of no matter if none fits exactly.
    #[must_use]
    pub fn named(name: &[u8]) -> Option<Self> {
        find(|account| account.name == name)
            .or_else(|| find(|account| account.name.eq_ignore_ascii_case(name)))
    }

    /// The account with this number.
    #[must_use]
    pub fn numbered(uid: u32) -> Option<Self> {
        find(|account| account.uid == uid)
    }

    /// This process's account where the list has none: its number is its name.
    #[must_use]
    pub fn nameless() -> Self {
        let uid = rustix::process::getuid().as_raw();
        Self {
            name: format!("#{uid}").into_bytes(),
            uid,
            gid: rustix::process::getgid().as_raw(),
            home: b"/".to_vec(),
            shell: b"/bin/sh".to_vec(),
        }
    }

    /// The system mailbox.
    #[must_use]
    pub fn mailbox(&self) -> Vec<u8> {
        [b"/var/mail/", self.name.as_slice()].concat()
    }
}

fn find(wanted: impl Fn(&Account) -> bool) -> Option<Account> {
    let list = fs::read("/etc/passwd").ok()?;
    list.split(|byte| *byte == b'\n')
        .filter_map(parse)
        .find(wanted)
}

fn parse(line: &[u8]) -> Option<Account> {
    let mut fields = line.split(|byte| *byte == b':');
    let mut text = || fields.next().map(<[u8]>::to_vec);
    let (name, _, uid, gid, _, home, shell) = (
        text()?,
        text()?,
        text()?,
        text()?,
        text()?,
        text()?,
        text()?,
    );
    let number = |text: Vec<u8>| String::from_utf8(text).ok()?.parse().ok();
    Some(Account {
        name,
        uid: number(uid)?,
        gid: number(gid)?,
        home,
        shell: if shell.is_empty() {
            b"/bin/sh".to_vec()
        } else {
            shell
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines() {
        let account = parse(b"ann:x:7:8:Ann:/home/ann:").unwrap();
        assert_eq!((account.uid, account.gid), (7, 8));
        assert_eq!(account.shell, b"/bin/sh");
        assert_eq!(account.mailbox(), b"/var/mail/ann");
        assert_eq!(parse(b"# comment"), None);
    }
}
