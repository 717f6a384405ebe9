//! Where a user's mail lies: `mail_location`, `home_mailbox` and paths with
//! `~` and `%` in them.

use std::path::{Component, Path, PathBuf};

use thiserror::Error;

use super::value::Text;

/// The account that a path is made for.
#[derive(Debug, Clone, Copy)]
pub struct Account<'a> {
    /// The whole name, as it logs in: `%u`. What is before an `@` is `%n`,
    /// what is behind it `%d`.
    pub user: &'a str,
    /// The home folder: `~` and `%h`.
    pub home: &'a Path,
}

/// A name would have led a path out of its place.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{template:?} makes no safe path for the user {user:?}")]
pub struct UnsafePath {
    /// The path, as configured.
    pub template: String,
    /// The user's name.
    pub user: String,
}

/// A path of the configuration that differs from user to user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserPath(String);

impl UserPath {
    pub(super) fn literal(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// The path for `account`. A path that is not absolute begins at the home
    /// folder.
    ///
    /// # Errors
    /// When the user's name has a part that could leave the folder it is put
    /// into: a slash, a NUL, `.` or `..`. Names come from whoever logs in.
    pub fn expand(&self, account: Account<'_>) -> Result<PathBuf, UnsafePath> {
        let (local, domain) = match account.user.rsplit_once('@') {
            Some((local, domain)) => (local, domain),
            None => (account.user, ""),
        };
        let error = || UnsafePath {
            template: self.0.clone(),
            user: account.user.to_owned(),
        };
        let mut path = account.home.to_owned();
        let rest = match self.0.strip_prefix('~') {
            Some("") => return Ok(path),
            Some(rest) if rest.starts_with('/') => rest.trim_start_matches('/'),
            _ => self.0.as_str(),
        };
        if rest.starts_with('/') {
            path = PathBuf::from("/");
        }
        for part in rest.split('/').filter(|part| !part.is_empty()) {
            if part == "%h" {
                path.push(account.home);
                continue;
            }
            let mut name = String::new();
            let mut letters = part.chars();
            while let Some(letter) = letters.next() {
                if letter != '%' {
                    name.push(letter);
                    continue;
                }
                match letters.next() {
                    Some('u') => name.push_str(account.user),
                    Some('n') => name.push_str(local),
                    Some('d') => name.push_str(domain),
                    _ => name.push('%'),
                }
            }
            let plain = matches!(
                Path::new(&name).components().collect::<Vec<_>>().as_slice(),
                [Component::Normal(only)] if only.len() == name.len()
            );
            // What the configuration itself says may point anywhere.
            if part.contains('%') && (!plain || name.contains('\0')) {
                return Err(error());
            }
            path.push(&name);
        }
        Ok(path)
    }
}

fn check_percent(text: &str) -> Result<(), String> {
    let mut rest = text;
    while let Some((_, behind)) = rest.split_once('%') {
        match behind.chars().next() {
            Some('u' | 'n' | 'd' | 'h' | '%') => {}
            Some(other) => return Err(format!("%{other} is none of %u, %n, %d, %h")),
            None => return Err("a % ends it".into()),
        }
        rest = behind.get(1..).unwrap_or("");
    }
    let whole_parts = text
        .split('/')
        .all(|part| part == "%h" || !part.contains("%h"));
    if !whole_parts {
        return Err("%h stands only between slashes".into());
    }
    Ok(())
}

impl Text for UserPath {
    const EXPECTED: &'static str = "a path; ~ or %h is the home folder, %u the user, %n and %d its parts before and behind the @";

    fn from_text(text: &str) -> Result<Self, String> {
        if text.is_empty() || text.contains('\0') {
            return Err(String::new());
        }
        if text.starts_with('~') && text != "~" && !text.starts_with("~/") {
            return Err("~ is the user's own home only".into());
        }
        check_percent(text)?;
        Ok(Self(text.to_owned()))
    }

    fn to_text(&self) -> String {
        self.0.clone()
    }
}

/// The user's personal Sieve scripts: `file:~/sieve;active=~/.dovecot.sieve`,
/// or the active script's path alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SieveLocation {
    /// The folder of all scripts, one `NAME.sieve` each.
    pub scripts: UserPath,
    /// The script that runs, most often a symbolic link into the folder.
    pub active: UserPath,
}

impl SieveLocation {
    pub(super) fn usual() -> Self {
        Self {
            scripts: UserPath::literal("~/sieve"),
            active: UserPath::literal("~/.dovecot.sieve"),
        }
    }
}

impl Text for SieveLocation {
    const EXPECTED: &'static str =
        "a path, or \"file:FOLDER;active=PATH\" such as \"file:~/sieve;active=~/.dovecot.sieve\"";

    fn from_text(text: &str) -> Result<Self, String> {
        let usual = Self::usual();
        let Some(rest) = text.strip_prefix("file:") else {
            return Ok(Self {
                active: UserPath::from_text(text)?,
                ..usual
            });
        };
        let mut parts = rest.split(';');
        let scripts = UserPath::from_text(parts.next().unwrap_or_default())?;
        let mut active = usual.active;
        for part in parts {
            match part.split_once('=') {
                Some(("active", path)) => active = UserPath::from_text(path)?,
                _ => return Err(format!("{part:?} is not \"active=PATH\"")),
            }
        }
        Ok(Self { scripts, active })
    }

    fn to_text(&self) -> String {
        format!("file:{};active={}", self.scripts.0, self.active.0)
    }
}

/// Where and in which format a user's mail is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailLocation(Location<UserPath>);

/// A format with its paths.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location<P = PathBuf> {
    /// Maildir++: the INBOX in `root` itself, the others in folders in it
    /// whose names begin with a dot.
    Maildir {
        /// The folder with `cur`, `new` and `tmp`.
        root: P,
        /// Whether the others are in folders of their own names instead,
        /// Dovecot's `LAYOUT=fs`.
        fs: bool,
    },
    /// mbox: a file for each mailbox.
    Mbox {
        /// The folder of all mailboxes but the INBOX.
        root: P,
        /// The INBOX.
        inbox: P,
    },
}

impl MailLocation {
    pub(super) fn usual() -> Self {
        Self(Location::Maildir {
            root: UserPath::literal("~/Maildir"),
            fs: false,
        })
    }

    /// Postfix's `home_mailbox`: a path in the home folder, a Maildir when it
    /// ends with a slash.
    pub(super) fn of_home_mailbox(path: &UserPath) -> Self {
        Self(match path.0.strip_suffix('/') {
            Some(root) => Location::Maildir {
                root: UserPath::literal(&format!("~/{root}")),
                fs: false,
            },
            None => Location::Mbox {
                root: UserPath::literal("~/mail"),
                inbox: UserPath::literal(&format!("~/{}", path.0)),
            },
        })
    }

    /// The place of `account`'s mail.
    ///
    /// # Errors
    /// As [`UserPath::expand`].
    pub fn of(&self, account: Account<'_>) -> Result<Location, UnsafePath> {
        Ok(match &self.0 {
            Location::Maildir { root, fs } => Location::Maildir {
                root: root.expand(account)?,
                fs: *fs,
            },
            Location::Mbox { root, inbox } => Location::Mbox {
                root: root.expand(account)?,
                inbox: inbox.expand(account)?,
            },
        })
    }
}

impl std::str::FromStr for MailLocation {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::from_text(text)
            .map_err(|reason| format!("expected {}: {reason}", <Self as Text>::EXPECTED))
    }
}

impl Text for MailLocation {
    const EXPECTED: &'static str =
        "a place such as \"maildir:~/Maildir\" or \"mbox:~/mail:INBOX=~/inbox\"";

    fn from_text(text: &str) -> Result<Self, String> {
        let mut parts = text.split(':');
        let format = parts.next().unwrap_or_default();
        let root = UserPath::from_text(parts.next().unwrap_or_default())?;
        let (mut inbox, mut fs) = (None, false);
        for part in parts {
            match part.split_once('=') {
                Some(("INBOX", path)) if format == "mbox" => {
                    inbox = Some(UserPath::from_text(path)?);
                }
                Some(("LAYOUT", layout @ ("++" | "fs"))) if format == "maildir" => {
                    fs = layout == "fs"
                }
                _ => return Err(format!("{part:?} is not supported")),
            }
        }
        Ok(Self(match format {
            "maildir" => Location::Maildir { root, fs },
            "mbox" => {
                let inbox = match inbox {
                    Some(inbox) => inbox,
                    None => UserPath::literal(&format!("{}/inbox", root.0)),
                };
                Location::Mbox { root, inbox }
            }
            _ => return Err("it begins with maildir: or mbox:".into()),
        }))
    }

    fn to_text(&self) -> String {
        match &self.0 {
            Location::Maildir { root, fs: false } => format!("maildir:{}", root.0),
            Location::Maildir { root, fs: true } => format!("maildir:{}:LAYOUT=fs", root.0),
            Location::Mbox { root, inbox } => format!("mbox:{}:INBOX={}", root.0, inbox.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ann() -> Account<'static> {
        Account {
            user: "ann@example.org",
            home: Path::new("/srv/ann"),
        }
    }

    fn expand(template: &str, account: Account<'_>) -> Result<PathBuf, UnsafePath> {
        UserPath::from_text(template).unwrap().expand(account)
    }

    #[test]
    fn user_paths() {
        for (template, path) in [
            ("~", "/srv/ann"),
            ("~/Maildir", "/srv/ann/Maildir"),
            ("%h/Maildir", "/srv/ann/Maildir"),
            ("Maildir", "/srv/ann/Maildir"),
            ("/var/mail/%u", "/var/mail/ann@example.org"),
            ("/var/mail/%d/%n", "/var/mail/example.org/ann"),
            ("/x/100%%", "/x/100%"),
            ("../shared", "/srv/ann/../shared"),
        ] {
            assert_eq!(expand(template, ann()), Ok(path.into()), "{template}");
        }
        for bad in ["", "~bob/x", "%x", "a%", "a%h"] {
            assert!(UserPath::from_text(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn no_name_leaves_its_folder() {
        for user in ["../etc", "a/b", "..", ".", "", "a\0b", "/etc"] {
            let account = Account { user, ..ann() };
            assert!(expand("/var/mail/%u", account).is_err(), "{user:?}");
        }
        let account = Account {
            user: "ann@..",
            ..ann()
        };
        assert!(expand("/var/mail/%d/x", account).is_err());
        assert!(expand("/var/mail/%n", account).is_ok());
    }

    #[test]
    fn locations() {
        let of = |text: &str| MailLocation::from_text(text).unwrap().of(ann()).unwrap();
        assert_eq!(
            of("maildir:~/Maildir"),
            Location::Maildir {
                root: "/srv/ann/Maildir".into(),
                fs: false,
            }
        );
        assert_eq!(
            of("mbox:~/mail:INBOX=/var/mail/%n"),
            Location::Mbox {
                root: "/srv/ann/mail".into(),
                inbox: "/var/mail/ann".into()
            }
        );
        assert_eq!(
            of("mbox:~/mail"),
            Location::Mbox {
                root: "/srv/ann/mail".into(),
                inbox: "/srv/ann/mail/inbox".into()
            }
        );
        for bad in [
            "",
            "~/Maildir",
            "mdbox:~/x",
            "maildir:",
            "maildir:~/x:INDEX=/y",
            "mbox:~/m:INBOX=",
        ] {
            assert!(MailLocation::from_text(bad).is_err(), "{bad}");
        }
        for text in [
            "maildir:~/Maildir",
            "maildir:~/mail:LAYOUT=fs",
            "mbox:~/mail:INBOX=~/inbox",
        ] {
            assert_eq!(MailLocation::from_text(text).unwrap().to_text(), text);
        }
    }

    #[test]
    fn home_mailboxes() {
        let of = |text: &str| {
            MailLocation::of_home_mailbox(&UserPath::from_text(text).unwrap()).to_text()
        };
        assert_eq!(of("Maildir/"), "maildir:~/Maildir");
        assert_eq!(of("Mailbox"), "mbox:~/mail:INBOX=~/Mailbox");
    }

    #[test]
    fn sieve_locations() {
        let usual = SieveLocation::usual();
        assert_eq!(SieveLocation::from_text(&usual.to_text()), Ok(usual));
        let short = SieveLocation::from_text("~/my.sieve").unwrap();
        assert_eq!(short.to_text(), "file:~/sieve;active=~/my.sieve");
        assert!(SieveLocation::from_text("file:~/s;bindir=x").is_err());
    }
}
