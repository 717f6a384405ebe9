//! Who may do what with a mailbox: `dovecot-acl` files, as Dovecot's `vfile` backend keeps them (rights of RFC 4314).

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::SystemTime;

use crate::account::{Account, Shared, Site};
use crate::error::Error;
use crate::lock::DotLock;

/// A file above this is refused.
const LIMIT: u64 = 1 << 20;
const NAME: &str = "dovecot-acl";

/// A set of rights (RFC 4314 §2.1).
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Rights(u16);

impl Rights {
    /// No right.
    pub const NONE: Self = Self(0);
    /// `l`: the mailbox is visible.
    pub const LOOKUP: Self = Self(1);
    /// `r`: messages may be read.
    pub const READ: Self = Self(1 << 1);
    /// `w`: flags other than `\Seen` and `\Deleted` may be changed.
    pub const WRITE: Self = Self(1 << 2);
    /// `s`: `\Seen` may be changed.
    pub const SEEN: Self = Self(1 << 3);
    /// `t`: `\Deleted` may be changed.
    pub const DELETE_MESSAGES: Self = Self(1 << 4);
    /// `i`: messages may be put in by sessions.
    pub const INSERT: Self = Self(1 << 5);
    /// `p`: mail may be delivered to it.
    pub const POST: Self = Self(1 << 6);
    /// `e`: messages may be expunged.
    pub const EXPUNGE: Self = Self(1 << 7);
    /// `k`: mailboxes may be made below it.
    pub const CREATE: Self = Self(1 << 8);
    /// `x`: it may be deleted.
    pub const DELETE_MAILBOX: Self = Self(1 << 9);
    /// `a`: its rights may be changed.
    pub const ADMINISTER: Self = Self(1 << 10);
    /// Every right.
    pub const ALL: Self = Self((1 << 11) - 1);

    /// Each right with its letter and Dovecot's word for it.
    pub const NAMES: [(Self, char, &'static str); 11] = [
        (Self::LOOKUP, 'l', "lookup"),
        (Self::READ, 'r', "read"),
        (Self::WRITE, 'w', "write"),
        (Self::SEEN, 's', "write-seen"),
        (Self::DELETE_MESSAGES, 't', "write-deleted"),
        (Self::INSERT, 'i', "insert"),
        (Self::POST, 'p', "post"),
        (Self::EXPUNGE, 'e', "expunge"),
        (Self::CREATE, 'k', "create"),
        (Self::DELETE_MAILBOX, 'x', "delete"),
        (Self::ADMINISTER, 'a', "admin"),
    ];

    /// Whether every right of `other` is in it.
    pub fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Both sets together.
    #[must_use]
    pub fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// This set without the other.
    #[must_use]
    pub fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether there is none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    fn of_letter(letter: char) -> Option<Self> {
        let known = Self::NAMES.iter().find(|(_, known, _)| *known == letter);
        known.map(|(right, _, _)| *right)
    }
}

/// A letter that is no right.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{letter:?} at octet {at} is no right")]
pub struct ParseRightsError {
    /// The letter.
    pub letter: char,
    /// Where in the text.
    pub at: usize,
}

impl FromStr for Rights {
    type Err = ParseRightsError;

    /// Letters in any order. RFC 2086's `c` is `k`, its `d` is `x`, `t` and `e` (RFC 4314 §2.1.1).
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut rights = Self::NONE;
        for (at, letter) in text.char_indices() {
            let right = match letter {
                'c' => Self::CREATE,
                'd' => Self::DELETE_MAILBOX
                    .with(Self::DELETE_MESSAGES)
                    .with(Self::EXPUNGE),
                letter => Self::of_letter(letter).ok_or(ParseRightsError { letter, at })?,
            };
            rights = rights.with(right);
        }
        Ok(rights)
    }
}

impl fmt::Display for Rights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let held = Self::NAMES
            .iter()
            .filter(|(right, _, _)| self.contains(*right));
        let letters: String = held.map(|(_, letter, _)| *letter).collect();
        f.write_str(&letters)
    }
}

impl fmt::Debug for Rights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

/// Whom an entry is for. The later ones here stand above the earlier ones.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum AclIdentifier {
    /// Everybody.
    Anyone,
    /// Everybody who is logged in.
    Authenticated,
    /// The members of a group.
    Group(String),
    /// Whose account it is.
    Owner,
    /// One user.
    User(String),
    /// The members of a group, whatever is said of them as users.
    GroupOverride(String),
}

impl AclIdentifier {
    /// As it stands in a file: `anyone`, `user=ann`.
    fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "anyone" | "anonymous" => Self::Anyone,
            "authenticated" => Self::Authenticated,
            "owner" => Self::Owner,
            _ => {
                let (kind, name) = text.split_once('=').filter(|(_, name)| !name.is_empty())?;
                match kind {
                    "user" => Self::User(name.to_owned()),
                    "group" => Self::Group(name.to_owned()),
                    "group-override" => Self::GroupOverride(name.to_owned()),
                    _ => return None,
                }
            }
        })
    }

    /// Which of them count together: all groups of a user do.
    fn level(&self) -> usize {
        match self {
            Self::Anyone => 0,
            Self::Authenticated => 1,
            Self::Group(_) => 2,
            Self::Owner => 3,
            Self::User(_) => 4,
            Self::GroupOverride(_) => 5,
        }
    }
}

impl fmt::Display for AclIdentifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Anyone => f.write_str("anyone"),
            Self::Authenticated => f.write_str("authenticated"),
            Self::Owner => f.write_str("owner"),
            Self::User(name) => write!(f, "user={name}"),
            Self::Group(name) => write!(f, "group={name}"),
            Self::GroupOverride(name) => write!(f, "group-override={name}"),
        }
    }
}

/// What is said of one identifier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AclEntry {
    /// Whom it is for.
    pub identifier: AclIdentifier,
    /// The rights that it gives instead of those of lower entries; `None` when it only takes some away.
    pub rights: Option<Rights>,
    /// The rights that it takes away, whatever else gives them.
    pub negative: Option<Rights>,
}

/// Who asks for rights.
#[derive(Clone, Copy, Debug, Default)]
pub struct Principal<'a> {
    /// The user's name; `None` for somebody who is not logged in.
    pub user: Option<&'a str>,
    /// The user's groups.
    pub groups: &'a [&'a str],
    /// Whether it is the user's own account.
    pub owner: bool,
}

impl Principal<'_> {
    fn is(&self, identifier: &AclIdentifier) -> bool {
        match identifier {
            AclIdentifier::Anyone => true,
            AclIdentifier::Authenticated => self.user.is_some(),
            AclIdentifier::Owner => self.owner,
            AclIdentifier::User(name) => self.user == Some(name.as_str()),
            AclIdentifier::Group(name) | AclIdentifier::GroupOverride(name) => {
                self.groups.contains(&name.as_str())
            }
        }
    }
}

/// Rights on a mailbox. Where nothing is said, its owner has every right and nobody else has any.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Acl {
    entries: Vec<AclEntry>,
}

impl Acl {
    /// The entries, one for each identifier, in their order.
    pub fn entries(&self) -> &[AclEntry] {
        &self.entries
    }

    /// What somebody may do: of the entries that are for them, the highest that gives rights counts, and of those
    /// that take rights away the highest too. Entries for groups of the same kind count together. The owner is not
    /// subject to entries for `anyone` and `authenticated`.
    pub fn rights_of(&self, who: &Principal<'_>) -> Rights {
        let mut rights = if who.owner { Rights::ALL } else { Rights::NONE };
        let mut negative = Rights::NONE;
        let mut at = None;
        for entry in self
            .entries
            .iter()
            .filter(|entry| who.is(&entry.identifier))
        {
            let level = entry.identifier.level();
            if who.owner && level < 2 {
                continue;
            }
            let same = at == Some(level);
            if let Some(given) = entry.rights {
                rights = if same { rights.with(given) } else { given };
                at = Some(level);
            }
            if let Some(taken) = entry.negative {
                negative = taken;
            }
        }
        rights.without(negative)
    }

    fn parse(text: &str) -> Self {
        let mut entries: BTreeMap<AclIdentifier, [Option<Rights>; 2]> = BTreeMap::new();
        for line in text.lines() {
            if let Some((negative, identifier, rights)) = parse_line(line) {
                let [given, taken] = entries.entry(identifier).or_default();
                *(if negative { taken } else { given }) = Some(rights);
            }
        }
        let entry = |(identifier, [rights, negative]): (_, [_; 2])| AclEntry {
            identifier,
            rights,
            negative,
        };
        Self {
            entries: entries.into_iter().map(entry).collect(),
        }
    }
}

/// `-user=ann lrs :named`; the identifier may stand in quotes.
fn parse_line(line: &str) -> Option<(bool, AclIdentifier, Rights)> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return None;
    }
    let (identifier, rest) = match line.strip_prefix('"') {
        Some(quoted) => {
            let mut name = String::new();
            let mut letters = quoted.char_indices();
            let end = loop {
                match letters.next()? {
                    (at, '"') => break at + 1,
                    (_, '\\') => name.push(letters.next()?.1),
                    (_, letter) => name.push(letter),
                }
            };
            (name, quoted.get(end..)?)
        }
        None => {
            let end = line.find([' ', '\t']).unwrap_or(line.len());
            let (name, rest) = line.split_at_checked(end)?;
            (name.to_owned(), rest)
        }
    };
    let (negative, identifier) = match identifier.strip_prefix('-') {
        Some(identifier) => (true, identifier),
        None => (false, identifier.as_str()),
    };
    let (letters, words) = rest.split_once(':').unwrap_or((rest, ""));
    let mut rights = Rights::NONE;
    // Rights of other programs' plugins are passed over.
    for right in letters.chars().filter_map(Rights::of_letter) {
        rights = rights.with(right);
    }
    for word in words.split_ascii_whitespace() {
        if let Some((right, _, _)) = Rights::NAMES.iter().find(|(_, _, known)| *known == word) {
            rights = rights.with(*right);
        }
    }
    Some((negative, AclIdentifier::parse(identifier)?, rights))
}

/// The file with one half of an entry changed; lines that are not it, or not understood, stay as they are.
fn edit(text: &str, identifier: &AclIdentifier, negative: bool, rights: Option<Rights>) -> String {
    let own = |line: &&str| {
        parse_line(line).is_some_and(|(minus, known, _)| minus == negative && known == *identifier)
    };
    let mut lines: Vec<String> = text
        .lines()
        .filter(|line| !own(line))
        .map(str::to_owned)
        .collect();
    if let Some(rights) = rights {
        let mut name = format!("{}{identifier}", if negative { "-" } else { "" });
        if name.contains([' ', '\t', '"', '\\', '#']) {
            name = format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\""));
        }
        lines.push(format!("{name} {rights}"));
    }
    lines.iter().map(|line| format!("{line}\n")).collect()
}

/// Where the ACL of a mailbox is: beside a Maildir's messages, in `.imap/NAME` of mbox files.
fn place(shared: &Shared, site: &Site) -> Option<PathBuf> {
    match site {
        Site::Maildir(folder) => Some(folder.join(NAME)),
        Site::Mbox(site) => {
            let below = site.file.strip_prefix(&shared.root);
            let name = match below {
                Ok(below) if !below.as_os_str().is_empty() => below.to_owned(),
                _ => PathBuf::from("INBOX"),
            };
            Some(shared.root.join(".imap").join(name).join(NAME))
        }
        Site::Memory(_) => None,
    }
}

fn own_name(site: &Site) -> String {
    match site {
        Site::Memory(name) => format!("{NAME}/{name}"),
        _ => NAME.to_owned(),
    }
}

fn read(shared: &Shared, site: &Site) -> Result<Option<String>, Error> {
    let content = match place(shared, site) {
        Some(path) => shared
            .durable
            .read_maybe(&path, LIMIT)?
            .map(|(content, _)| content),
        None => shared.read_own(&own_name(site), LIMIT)?,
    };
    Ok(content.map(|content| String::from_utf8_lossy(&content).into_owned()))
}

fn write(shared: &Shared, site: &Site, text: &str) -> Result<(), Error> {
    let Some(path) = place(shared, site) else {
        return shared.replace_own(&own_name(site), text.as_bytes());
    };
    if let Some(directory) = path.parent() {
        shared.durable.make_dir(directory)?;
    }
    shared.durable.replace(&path, text.as_bytes())?;
    // Dovecot's list of mailboxes that others may see is made anew where it is missing.
    let list = shared.root.join("dovecot-acl-list");
    shared.durable.remove(&list).map(|_| ())
}

/// A mailbox that is made has the rights of the one above it, as Dovecot makes it.
pub(crate) fn inherit(shared: &Shared, above: &Site, site: &Site) -> Result<(), Error> {
    match read(shared, above)? {
        Some(text) => write(shared, site, &text),
        None => Ok(()),
    }
}

/// Takes the rights of a mailbox away that are kept apart from it.
pub(crate) fn forget(shared: &Shared, site: &Site) -> Result<(), Error> {
    match place(shared, site) {
        Some(path) if matches!(site, Site::Mbox(_)) => {
            shared.durable.remove(&path)?;
            if let Some(directory) = path.parent() {
                // Dovecot keeps its index there too; then it stays.
                let _ = shared.durable.remove_dir(directory);
            }
            Ok(())
        }
        Some(_) => Ok(()),
        None => shared.replace_own(&own_name(site), b""),
    }
}

/// A mailbox gets another name: rights that are kept apart from it go along.
pub(crate) fn renamed(shared: &Shared, from: &Site, to: &Site) -> Result<(), Error> {
    if matches!(from, Site::Maildir(_)) {
        return Ok(());
    }
    if let Some(text) = read(shared, from)? {
        write(shared, to, &text)?;
    }
    forget(shared, from)
}

impl Account {
    /// Who may do what with a mailbox.
    ///
    /// # Errors
    /// [`Error::NoSuchMailbox`], or the disk fails.
    pub fn acl(&self, mailbox: &str) -> Result<Acl, Error> {
        let site = self.existing_site(mailbox)?;
        let text = read(self.shared(), &site)?;
        Ok(text.map_or_else(Acl::default, |text| Acl::parse(&text)))
    }

    /// Gives an identifier rights, or rights that it shall not have (`negative`), in place of those that stood
    /// there; with `None` nothing is said of it any more (RFC 4314 §3.1, §3.2).
    ///
    /// # Errors
    /// [`Error::NoSuchMailbox`], or the disk fails; [`Error::Corrupt`] when the file would be too long.
    pub fn set_acl(
        &self,
        mailbox: &str,
        identifier: &AclIdentifier,
        negative: bool,
        rights: Option<Rights>,
        now: SystemTime,
    ) -> Result<(), Error> {
        let site = self.existing_site(mailbox)?;
        let shared = self.shared();
        let _lock = match place(shared, &site) {
            Some(path) => {
                if let Some(directory) = path.parent() {
                    shared.durable.make_dir(directory)?;
                }
                let lock = path.with_file_name(format!("{NAME}.lock"));
                Some(DotLock::acquire(&shared.durable, lock, &shared.host, now)?)
            }
            None => None,
        };
        let text = read(shared, &site)?.unwrap_or_default();
        let text = edit(&text, identifier, negative, rights);
        if text.len() as u64 > LIMIT {
            return Err(Error::Corrupt {
                path: place(shared, &site).unwrap_or_default(),
                at: LIMIT,
                what: "the file is longer than it can be",
            });
        }
        write(shared, &site, &text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "# comment\nanyone lr\nauthenticated lrw\n-user=carl w\nuser=carl lrwst\ngroup=g1 li\n\
        group=g2 lk\nuser=dave\n-anyone r\ngroup-override=g3 l\n\"user=john \\\"d\\\"\" lr :insert x\nbad=x lr\n";

    #[test]
    fn levels_as_dovecot_has_them() {
        let acl = Acl::parse(FILE);
        let of = |user, groups: &[&str]| {
            let who = Principal {
                user: Some(user),
                groups,
                owner: false,
            };
            acl.rights_of(&who).to_string()
        };
        assert_eq!(of("bob", &[]), "lw");
        assert_eq!(of("carl", &[]), "lrst");
        assert_eq!(of("dave", &[]), "");
        assert_eq!(of("erin", &["g1"]), "li");
        assert_eq!(of("erin", &["g1", "g2"]), "lik");
        assert_eq!(of("carl", &["g3"]), "l");
        assert_eq!(of("john \"d\"", &[]), "li");
        let owner = Principal {
            user: Some("ann"),
            groups: &[],
            owner: true,
        };
        assert_eq!(acl.rights_of(&owner), Rights::ALL);
        assert_eq!(Acl::default().rights_of(&owner), Rights::ALL);
        assert_eq!(
            Acl::default().rights_of(&Principal::default()),
            Rights::NONE
        );
    }

    #[test]
    fn an_edit_leaves_the_other_lines() {
        let carl = AclIdentifier::User("carl".to_owned());
        let text = edit(FILE, &carl, false, Some(Rights::READ));
        assert!(text.ends_with("bad=x lr\nuser=carl r\n") && text.starts_with("# comment\n"));
        assert!(text.contains("-user=carl w\n") && !text.contains("lrwst"));
        let text = edit(&text, &carl, true, None);
        assert!(!text.contains("-user=carl"));
        let john = AclIdentifier::User("john \"d\"".to_owned());
        let text = edit(&text, &john, false, Some(Rights::LOOKUP));
        assert!(text.ends_with("\"user=john \\\"d\\\"\" l\n"), "{text}");
        assert_eq!(
            Acl::parse(&text)
                .entries()
                .iter()
                .filter(|entry| entry.identifier == john)
                .count(),
            1
        );
    }

    #[test]
    fn letters() {
        assert_eq!(
            "cd".parse::<Rights>().map(|rights| rights.to_string()),
            Ok("tekx".to_owned())
        );
        assert_eq!(
            "lrq".parse::<Rights>(),
            Err(ParseRightsError { letter: 'q', at: 2 })
        );
        assert_eq!("arl".parse::<Rights>().unwrap().to_string(), "lra");
    }
}
