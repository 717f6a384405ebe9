use std::collections::HashMap;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use thiserror::Error;

use super::hash::PasswordHash;
use crate::route::Accounts;

/// The users file, read again when it has changed.
///
/// A line that cannot be used takes nothing from the others: its user cannot
/// log in, and a warning says why.
#[derive(Debug)]
pub struct Users {
    path: PathBuf,
    read: Mutex<Read>,
}

#[derive(Debug, Default)]
struct Read {
    stamp: Option<Stamp>,
    table: Arc<Table>,
}

/// What changes when the file does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    inode: u64,
    len: u64,
    modified: (i64, i64),
}

/// The file at one moment.
#[derive(Debug, Default)]
pub(super) struct Table {
    users: HashMap<String, Arc<User>>,
    /// Those who can log in, for decoys.
    able: Vec<Arc<User>>,
}

/// A line of the users file.
#[derive(Debug, Clone)]
pub struct User {
    /// The account's name.
    pub name: String,
    /// The hash, or why it cannot be used.
    pub hash: Result<PasswordHash, String>,
    /// The home folder, where the line names one.
    pub home: Option<PathBuf>,
}

/// What a login would come to; see [`Users::test`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tested {
    /// It is right.
    Accepted {
        /// The account's name, which may differ from what was typed.
        name: String,
        /// The scheme of its hash.
        scheme: &'static str,
    },
    /// The password is wrong.
    WrongPassword,
    /// There is no such user.
    UnknownUser,
    /// No password fits.
    Locked,
    /// The hash cannot be used.
    Unusable(String),
}

/// The users file could not be read or changed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum UsersError {
    /// The system refused.
    #[error("{}: {error}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// A line that is none.
    #[error("{}:{line}: {reason}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong.
        reason: String,
    },
    /// There is a user of this name already.
    #[error("there is a user {0:?} already")]
    Exists(String),
    /// There is no user of this name.
    #[error("there is no user {0:?}")]
    Unknown(String),
    /// Nobody can have this name.
    #[error("{name:?} is no user name: {reason}")]
    Name {
        /// The name.
        name: String,
        /// Why not.
        reason: &'static str,
    },
    /// An empty password.
    #[error("the password is empty")]
    EmptyPassword,
    /// The password could not be hashed.
    #[error(transparent)]
    Hash(#[from] super::HashError),
}

impl Users {
    /// The users of the file at `path`; a missing file has none.
    ///
    /// # Errors
    /// When the file is there and cannot be read.
    pub fn open(path: &Path) -> Result<Self, UsersError> {
        let users = Self {
            path: path.to_owned(),
            read: Mutex::default(),
        };
        users.refresh().map_err(|error| UsersError::Io {
            path: path.to_owned(),
            error,
        })?;
        Ok(users)
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A user by what was typed: the exact name, or else in lower case.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<Arc<User>> {
        self.table().find(name, &[])
    }

    /// Every user, in the order of names.
    #[must_use]
    pub fn list(&self) -> Vec<Arc<User>> {
        let mut users: Vec<_> = self.table().users.values().cloned().collect();
        users.sort_by(|one, other| one.name.cmp(&other.name));
        users
    }

    /// What a login would come to, and why; for the person at the console
    /// only. Costs what the hash costs.
    #[must_use]
    pub fn test(&self, name: &str, password: &[u8]) -> Tested {
        let Some(user) = self.find(name) else {
            return Tested::UnknownUser;
        };
        match &user.hash {
            Err(reason) => Tested::Unusable(reason.clone()),
            Ok(hash) if hash.is_locked() => Tested::Locked,
            Ok(hash) if hash.verify(password) => Tested::Accepted {
                name: user.name.clone(),
                scheme: hash.scheme(),
            },
            Ok(_) => Tested::WrongPassword,
        }
    }

    /// The file as it is now; as it was last, while it cannot be read.
    pub(super) fn table(&self) -> Arc<Table> {
        match self.refresh() {
            Ok(table) => table,
            Err(error) => {
                tracing::error!(path = %self.path.display(), %error, "cannot read the users file");
                let read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
                Arc::clone(&read.table)
            }
        }
    }

    fn refresh(&self) -> io::Result<Arc<Table>> {
        let stamp = match fs::metadata(&self.path) {
            Ok(metadata) => Some(Stamp {
                inode: metadata.ino(),
                len: metadata.len(),
                modified: (metadata.mtime(), metadata.mtime_nsec()),
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if read.stamp != stamp {
            let text = match stamp {
                Some(_) => fs::read_to_string(&self.path)?,
                None => String::new(),
            };
            let (table, faults) = Table::parse(&text);
            for (line, reason) in faults {
                tracing::warn!(path = %self.path.display(), line, "{reason}");
            }
            read.table = Arc::new(table);
            read.stamp = stamp;
        }
        Ok(Arc::clone(&read.table))
    }
}

impl Accounts for Arc<Users> {
    fn exists(&self, user: &str) -> io::Result<bool> {
        Ok(self.refresh()?.users.contains_key(user))
    }
}

impl Table {
    /// The table, and the lines that cannot be used.
    pub(super) fn parse(text: &str) -> (Self, Vec<(usize, String)>) {
        let mut table = Self::default();
        let mut faults = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let line_number = index + 1;
            let user = match User::parse(line) {
                None => continue,
                Some(Err(reason)) => {
                    faults.push((line_number, reason));
                    continue;
                }
                Some(Ok(user)) => Arc::new(user),
            };
            if let Err(reason) = &user.hash {
                faults.push((line_number, format!("{}: {reason}", user.name)));
            }
            if table.users.contains_key(&user.name) {
                faults.push((line_number, format!("{} is there twice", user.name)));
                continue;
            }
            if user.hash.as_ref().is_ok_and(|hash| !hash.is_locked()) {
                table.able.push(Arc::clone(&user));
            }
            table.users.insert(user.name.clone(), user);
        }
        (table, faults)
    }

    /// A user by what was typed. `ann@example.org` is also `ann` where
    /// example.org is one of `domains`.
    pub(super) fn find(&self, name: &str, domains: &[String]) -> Option<Arc<User>> {
        let lower = name.to_lowercase();
        let local = lower.rsplit_once('@').and_then(|(local, domain)| {
            let own = domains.iter().any(|own| own.eq_ignore_ascii_case(domain));
            own.then_some(local)
        });
        let found = self.users.get(name).or_else(|| self.users.get(&lower));
        found.or_else(|| self.users.get(local?)).map(Arc::clone)
    }

    /// Somebody's hash, the same for the same number: what is computed for a
    /// user who does not exist takes the time of one who does.
    pub(super) fn decoy(&self, number: u64) -> Option<&PasswordHash> {
        let count = u64::try_from(self.able.len()).ok()?;
        let index = usize::try_from(number.checked_rem(count)?).ok()?;
        self.able.get(index)?.hash.as_ref().ok()
    }
}

impl User {
    /// A line; `None` for a comment or an empty one.
    fn parse(line: &str) -> Option<Result<Self, String>> {
        if line.trim().is_empty() || line.starts_with('#') {
            return None;
        }
        let mut fields = line.split(':');
        let name = fields.next().unwrap_or_default();
        if let Err(reason) = check_name(name) {
            return Some(Err(format!("{name:?} is no user name: {reason}")));
        }
        let Some(hash) = fields.next() else {
            return Some(Err(format!("{name} has no password field")));
        };
        let home = fields.nth(3).filter(|home| !home.is_empty());
        Some(Ok(Self {
            name: name.to_owned(),
            hash: PasswordHash::parse(hash).map_err(|error| error.to_string()),
            home: home.map(PathBuf::from),
        }))
    }
}

/// Names become parts of paths and fields of lines.
pub(super) fn check_name(name: &str) -> Result<(), &'static str> {
    match name {
        "" => Err("it is empty"),
        "." | ".." => Err("it is a folder's name"),
        _ if name.len() > 255 => Err("it is over 255 octets"),
        _ if name.starts_with(['#', '-', '.']) => Err("it begins with #, - or ."),
        _ if name.contains(['/', ':', '\\']) => Err("it has a /, : or \\ in it"),
        _ if name.contains(|c: char| c.is_control() || c.is_whitespace()) => {
            Err("it has a blank or a control character in it")
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CRYPT: &str = "$5$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5";

    #[test]
    fn lines() {
        let text = format!(
            "# comment\n\nann:{CRYPT}\nbob:{{SHA256-CRYPT}}{CRYPT}:1000:1000:Bob:/srv/bob:/bin/sh\n\
             cyd:{{PLAIN}}x\ndan\n../x:{CRYPT}\nann:!\nEve@Example.org:{CRYPT}\nfay:!\n"
        );
        let (table, faults) = Table::parse(&text);
        let lines: Vec<usize> = faults.iter().map(|(line, _)| *line).collect();
        assert_eq!(lines, [5, 6, 7, 8]);
        assert!(faults[0].1.contains("{PLAIN}"));
        let bob = table.find("bob", &[]).unwrap();
        assert_eq!(bob.home.as_deref(), Some(Path::new("/srv/bob")));
        assert!(table.find("cyd", &[]).unwrap().hash.is_err());
        assert!(table.find("dan", &[]).is_none());
        assert!(table.find("ANN", &[]).is_some());
        assert!(table.find("ann@example.org", &[]).is_none());
        let domains = ["example.org".to_owned()];
        assert_eq!(table.find("Ann@Example.ORG", &domains).unwrap().name, "ann");
        assert_eq!(
            table.find("Eve@Example.org", &domains).unwrap().name,
            "Eve@Example.org"
        );
        assert!(table.find("ann@example.com", &domains).is_none());
        // ann, bob and Eve can log in.
        assert_eq!(table.able.len(), 3);
        assert!(table.decoy(u64::MAX).is_some());
        assert!(Table::default().decoy(7).is_none());
    }

    #[test]
    fn read_again_when_changed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("users");
        let users = Arc::new(Users::open(&path).unwrap());
        assert!(users.find("ann").is_none());
        fs::write(&path, format!("ann:{CRYPT}\n")).unwrap();
        assert!(users.exists("ann").unwrap());
        assert_eq!(
            users.test("ann", b"Hello world!"),
            Tested::Accepted {
                name: "ann".into(),
                scheme: "SHA256-CRYPT"
            }
        );
        assert_eq!(users.test("ann", b"x"), Tested::WrongPassword);
        fs::write(&path, format!("bob:{CRYPT}\nann:!\ncyd:x\n")).unwrap();
        assert_eq!(users.test("ann", b"Hello world!"), Tested::Locked);
        assert!(matches!(users.test("cyd", b""), Tested::Unusable(_)));
        let names: Vec<String> = users.list().iter().map(|user| user.name.clone()).collect();
        assert_eq!(names, ["ann", "bob", "cyd"]);
        fs::remove_file(&path).unwrap();
        assert_eq!(users.test("ann", b""), Tested::UnknownUser);
    }
}
