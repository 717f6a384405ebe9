//! What the paths of a procmailrc mean: mailboxes, and files below the home.

use std::fs::File;
use std::io;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags, openat};

use crate::store::Procmailrc;

/// Where a folder's mail goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Folder {
    /// A mailbox of the user.
    Mailbox(String),
    /// A path that is none of the user's own.
    Elsewhere(PathBuf),
    /// The name is of no use.
    Nowhere,
}

impl Procmailrc {
    /// DEFAULT and ORGMAIL.
    pub(super) fn system_mailbox(&self) -> PathBuf {
        match &self.inbox {
            Some(file) => file.clone(),
            // A slash at the end makes it a Maildir.
            None => self.mail.join(""),
        }
    }

    /// The folder of this name, as seen from a directory.
    ///
    /// What lies where the user's mail is kept is the mailbox that is there;
    /// `.a.b` is a Maildir++ folder. Another path below the directory, or else
    /// below the home, is the mailbox of the rest of its name: `lists/rust`.
    pub(super) fn folder(&self, directory: &Path, user: &str, name: &Path) -> Folder {
        let path = lexical(&directory.join(name));
        let spools = ["/var/mail", "/var/spool/mail"];
        let is_inbox = path == lexical(&self.system_mailbox())
            || spools
                .iter()
                .any(|spool| path == Path::new(spool).join(user));
        if is_inbox {
            return Folder::Mailbox("INBOX".into());
        }
        let rest = [self.mail.as_path(), directory, self.home.as_path()]
            .into_iter()
            .find_map(|base| path.strip_prefix(lexical(base)).ok());
        let Some(rest) = rest else {
            return Folder::Elsewhere(path);
        };
        match mailbox(rest) {
            Some(name) if name.eq_ignore_ascii_case("INBOX") => Folder::Mailbox("INBOX".into()),
            Some(name) => Folder::Mailbox(name),
            None => Folder::Nowhere,
        }
    }

    /// Whether a path is the home or below it.
    pub(super) fn is_own(&self, path: &Path) -> bool {
        [&self.home, &self.mail]
            .iter()
            .any(|base| path.starts_with(lexical(base)))
    }

    /// Opens a regular file below the home. Symbolic links on the way to it
    /// are not followed: they could lead anywhere, and may change meanwhile.
    pub(super) fn open(&self, path: &Path, flags: OFlags) -> io::Result<File> {
        let path = lexical(path);
        let rest = path
            .strip_prefix(lexical(&self.home))
            .map_err(|_| io::Error::from(io::ErrorKind::PermissionDenied))?;
        let directory = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
        let mut at = openat(CWD, &self.home, directory, Mode::empty())?;
        let mut names = rest.iter().peekable();
        while let Some(name) = names.next() {
            let last = names.peek().is_none();
            let how = if last {
                // A pipe without a reader must not be waited for.
                flags | OFlags::NONBLOCK | OFlags::CLOEXEC
            } else {
                directory
            };
            at = openat(&at, name, how | OFlags::NOFOLLOW, Mode::RUSR | Mode::WUSR)?;
        }
        let file = File::from(at);
        if !file.metadata()?.is_file() {
            return Err(io::Error::from(io::ErrorKind::InvalidInput));
        }
        Ok(file)
    }
}

/// The mailbox that a path below a base names.
fn mailbox(rest: &Path) -> Option<String> {
    let rest = rest.to_str().filter(|rest| !rest.is_empty())?;
    match rest.strip_prefix('.') {
        Some(levels) => Some(mailstore::from_utf7(levels)?.replace('.', "/")),
        None => Some(rest.to_owned()),
    }
}

/// The path without `.` and `..`. Where links are not followed, that is the
/// same file.
pub(super) fn lexical(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                plain.pop();
            }
            other => plain.push(other),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn rc(home: &Path) -> Procmailrc {
        Procmailrc {
            text: bytes::Bytes::new(),
            home: home.to_owned(),
            mail: home.join("Maildir"),
            inbox: None,
        }
    }

    #[test]
    fn maildir_folders() {
        let rc = rc(Path::new("/home/ann"));
        for (directory, name, mailbox) in [
            ("/home/ann", "amigos/toto", "amigos/toto"),
            ("/home/ann", "/home/ann/amigos/toto", "amigos/toto"),
            ("/home/ann", "Maildir/.amigos.toto", "amigos/toto"),
            ("/home/ann/Maildir", ".amigos.toto", "amigos/toto"),
            ("/home/ann/Maildir", ".Caf&AOk-", "Café"),
            ("/home/ann/Maildir", "amigos/toto", "amigos/toto"),
            ("/home/ann/Mail", "lists/rust", "lists/rust"),
            ("/home/ann/Mail", "../lists/rust", "lists/rust"),
            ("/home/ann/Mail", "/home/ann/Mail/rust", "rust"),
            ("/home/ann", "Maildir", "INBOX"),
            ("/home/ann/Maildir", "/home/ann/Maildir/", "INBOX"),
            ("/home/ann", "/var/mail/ann", "INBOX"),
            ("/home/ann", "inbox", "INBOX"),
        ] {
            let found = rc.folder(Path::new(directory), "ann", Path::new(name));
            assert_eq!(found, Folder::Mailbox(mailbox.into()), "{name}");
        }
        for name in [
            "/etc/passwd",
            "../bob/Maildir/.x",
            "/home/anne/x",
            "/var/mail/bob",
        ] {
            let found = rc.folder(&rc.home, "ann", Path::new(name));
            assert!(matches!(found, Folder::Elsewhere(_)), "{name}: {found:?}");
        }
        let found = rc.folder(&rc.home, "ann", Path::new("."));
        assert_eq!(found, Folder::Nowhere);
    }

    #[test]
    fn mbox_folders() {
        let mut rc = rc(Path::new("/home/ann"));
        rc.mail = "/home/ann/mail".into();
        rc.inbox = Some("/home/ann/inbox".into());
        for (name, mailbox) in [
            ("/home/ann/inbox", "INBOX"),
            ("mail/lists/rust", "lists/rust"),
            ("lists/rust", "lists/rust"),
        ] {
            let found = rc.folder(&rc.home, "ann", Path::new(name));
            assert_eq!(found, Folder::Mailbox(mailbox.into()), "{name}");
        }
    }

    #[test]
    fn files_stay_below_the_home() {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().join("ann");
        std::fs::create_dir_all(home.join(".procmail")).unwrap();
        std::fs::write(folder.path().join("secret"), "s").unwrap();
        std::fs::write(home.join(".procmail/rc"), "A=1\n").unwrap();
        std::os::unix::fs::symlink("../secret", home.join("link")).unwrap();
        std::os::unix::fs::symlink("..", home.join("up")).unwrap();
        let rc = rc(&home);
        let open = |name: &str| rc.open(&home.join(name), OFlags::RDONLY);
        let mut text = String::new();
        let mut file = open(".procmail/rc").unwrap();
        file.read_to_string(&mut text).unwrap();
        assert_eq!(text, "A=1\n");
        for name in [
            "link",
            "up/secret",
            "../secret",
            "/etc/passwd",
            ".procmail",
            "",
        ] {
            assert!(open(name).is_err(), "{name}");
        }
    }
}
