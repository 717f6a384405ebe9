//! One recipient's way through the tables.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use super::address::{Parts, fold, fold_domain};
use super::grammar::{Grammar, Target};
use super::{Class, Destination, Found, Rejection, Router};
use crate::config::{Named, TableFile};

/// How deep aliases may point to aliases: stops tables that grow with every
/// turn of a loop.
const MAX_DEPTH: usize = 50;

/// How many places one recipient may end at: stops one RCPT from becoming an
/// unbounded number of deliveries.
const MAX_DESTINATIONS: usize = 10_000;

/// Where `parts`, which is `recipient`, ends at; without the `tables`, no alias
/// counts.
pub(super) fn destinations(
    router: &Router,
    recipient: &str,
    parts: &Parts,
    tables: bool,
) -> Result<Found, Rejection> {
    let mut walk = Walk {
        router,
        recipient,
        tables,
        followed: HashMap::new(),
        found: Vec::new(),
        known: HashSet::new(),
    };
    walk.virtual_alias(parts, 0)?;
    if walk.found.is_empty() {
        return Err(walk.reject(550, "5.4.6", "Alias leads nowhere but to itself"));
    }
    Ok(Found {
        destinations: walk.found,
        aliased: !walk.followed.is_empty(),
    })
}

/// Where `rest` ends at, which stood behind the backslash of a target that
/// was expanded before. What the configuration allowed then may be forbidden
/// now.
pub(super) fn expanded(router: &Router, recipient: &str, rest: &str) -> Result<Found, Rejection> {
    let forbidden = || {
        let why = format!("<{recipient}>: The configuration does not allow it any more");
        Err(Rejection::new(550, "5.7.1", why))
    };
    let destination = if let Some(command) = rest.strip_prefix('|') {
        if !may_run(router, command) {
            return forbidden();
        }
        Destination::Command {
            command: command.to_owned(),
        }
    } else if rest.starts_with('/') {
        if router.config.allow_mail_to_files.is_empty() {
            return forbidden();
        }
        Destination::File { path: rest.into() }
    } else {
        return destinations(router, recipient, &Parts::of(rest), false);
    };
    Ok(Found {
        destinations: vec![destination],
        aliased: false,
    })
}

/// Whether the program of a command line may be run at all.
fn may_run(router: &Router, command: &str) -> bool {
    let config = &router.config;
    let program = command.split_whitespace().next().unwrap_or_default();
    !config.allow_mail_to_commands.is_empty()
        && config
            .program_allow
            .iter()
            .any(|path| *path == Path::new(program))
}

/// An alias that was met before. None is followed twice, so the work is
/// bounded by the size of the tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Followed {
    /// It is one that led here: `ann: ann, bob` means the account ann.
    Open,
    /// All it leads to is found already.
    Done,
}

struct Walk<'a> {
    router: &'a Router,
    recipient: &'a str,
    tables: bool,
    followed: HashMap<String, Followed>,
    found: Vec<Destination>,
    known: HashSet<Destination>,
}

impl Walk<'_> {
    fn reject(&self, code: u16, enhanced: &'static str, why: &str) -> Rejection {
        let recipient = self.recipient;
        Rejection::new(code, enhanced, format!("<{recipient}>: {why}"))
    }

    fn unknown(&self, table: &str) -> Rejection {
        let why = format!("Recipient address rejected: User unknown in {table}");
        self.reject(550, "5.1.1", &why)
    }

    fn forbidden(&self, alias: &str, what: &str) -> Rejection {
        let why = format!("Alias {alias} names a {what}, which the configuration does not allow");
        self.reject(550, "5.7.1", &why)
    }

    fn unavailable(&self, what: &dyn fmt::Display, error: &io::Error) -> Rejection {
        tracing::error!("{what}: {error}");
        self.reject(451, "4.3.0", "Temporary lookup failure")
    }

    fn add(&mut self, destination: Destination) -> Result<(), Rejection> {
        if self.known.insert(destination.clone()) {
            self.found.push(destination);
        }
        if self.found.len() > MAX_DESTINATIONS {
            return Err(self.reject(550, "5.4.6", "Alias expands to too many destinations"));
        }
        Ok(())
    }

    /// The targets of the first of `names` that a table has, and the name.
    fn look_up(
        &self,
        files: &[TableFile],
        grammar: Grammar,
        names: &[String],
    ) -> Result<Option<(String, Vec<Target>, PathBuf)>, Rejection> {
        if !self.tables {
            return Ok(None);
        }
        for name in names {
            for TableFile(path) in files {
                let table = self
                    .router
                    .tables
                    .read(path, grammar)
                    .map_err(|error| self.unavailable(&path.display(), &error))?;
                if let Some(targets) = table.entries.get(name) {
                    return Ok(Some((name.clone(), targets.clone(), path.clone())));
                }
            }
        }
        Ok(None)
    }

    fn virtual_alias(&mut self, parts: &Parts, depth: usize) -> Result<(), Rejection> {
        if depth > MAX_DEPTH {
            return Err(self.reject(550, "5.4.6", "Aliases are nested too deeply"));
        }
        let config = &self.router.config;
        let split = parts.split_extension(&config.recipient_delimiter);
        let here = self.router.class(&parts.domain) == Class::Local;
        let domain = match parts.domain.as_str() {
            "" => fold_domain(&config.myorigin),
            domain => domain.to_owned(),
        };
        let mut names = vec![fold(&format!("{}@{domain}", parts.local))];
        names.extend(split.map(|(base, _)| fold(&format!("{base}@{domain}"))));
        if here {
            names.push(parts.local.to_lowercase());
            names.extend(split.map(|(base, _)| base.to_lowercase()));
        }
        // What an @domain entry leads back to its own domain is meant to be
        // looked up no further.
        names.push(format!("@{domain}"));
        let hit = self.look_up(&config.virtual_alias_maps, Grammar::Virtual, &names)?;
        let Some((name, targets, _)) = hit else {
            return self.class(parts, depth);
        };
        let key = format!("{name} {}", parts.address());
        match self.follow(&key) {
            Some(Followed::Done) => return Ok(()),
            Some(Followed::Open) => return self.class(parts, depth),
            None => {}
        }
        let extension = split.filter(|(base, _)| {
            name == base.to_lowercase() || name == fold(&format!("{base}@{domain}"))
        });
        for target in targets {
            let Target::Address(address) = target else {
                continue;
            };
            let mut target = Parts::of(&address);
            // Postfix's propagate_unmatched_extensions.
            if let Some((_, extension)) = extension
                && target
                    .split_extension(&config.recipient_delimiter)
                    .is_none()
            {
                target.local = format!("{}{}{extension}", target.local, config.recipient_delimiter);
            }
            // "@other.example": the same name there.
            if target.local.is_empty() {
                target.local.clone_from(&parts.local);
            }
            if target.domain.is_empty() {
                target.domain = fold_domain(&config.myorigin);
            }
            if target == *parts {
                self.class(&target, depth + 1)?;
            } else {
                self.virtual_alias(&target, depth + 1)?;
            }
        }
        self.followed.insert(key, Followed::Done);
        Ok(())
    }

    /// What is known of the alias `key`, which is open from now on.
    fn follow(&mut self, key: &str) -> Option<Followed> {
        let before = self.followed.get(key).copied();
        if before.is_none() {
            self.followed.insert(key.to_owned(), Followed::Open);
        }
        before
    }

    fn class(&mut self, parts: &Parts, depth: usize) -> Result<(), Rejection> {
        match self.router.class(&parts.domain) {
            Class::Local => self.local(parts, depth),
            Class::VirtualMailbox => match self.account(parts)? {
                Some(destination) => self.add(destination),
                None if is_postmaster(parts) => self.postmaster(depth),
                None => Err(self.unknown("virtual mailbox table")),
            },
            Class::VirtualAlias if is_postmaster(parts) => self.postmaster(depth),
            Class::VirtualAlias => Err(self.unknown("virtual alias table")),
            Class::Relay | Class::Elsewhere => self.add(Destination::Remote {
                address: parts.address(),
                next_hop: self.router.next_hop(&parts.domain),
            }),
        }
    }

    /// A domain of virtual_* without a postmaster of its own has the local
    /// one (RFC 5321 §4.5.1).
    fn postmaster(&mut self, depth: usize) -> Result<(), Rejection> {
        let parts = Parts::of("postmaster");
        self.local(&parts, depth + 1)
    }

    fn local(&mut self, parts: &Parts, depth: usize) -> Result<(), Rejection> {
        if depth > MAX_DEPTH {
            return Err(self.reject(550, "5.4.6", "Aliases are nested too deeply"));
        }
        let config = &self.router.config;
        let split = parts.split_extension(&config.recipient_delimiter);
        let mut names = vec![parts.local.to_lowercase()];
        names.extend(split.map(|(base, _)| base.to_lowercase()));
        let mut in_loop = false;
        if let Some((name, targets, file)) =
            self.look_up(&config.alias_maps, Grammar::Aliases, &names)?
        {
            let key = format!("{name}:");
            match self.follow(&key) {
                Some(Followed::Done) => return Ok(()),
                Some(Followed::Open) => in_loop = true,
                None => {
                    self.targets(&name, targets, &file, Named::Alias, depth)?;
                    self.followed.insert(key, Followed::Done);
                    return Ok(());
                }
            }
        }
        match self.account(parts)? {
            Some(destination) => self.add(destination),
            None if in_loop => Ok(()),
            // RFC 5321 §4.5.1: postmaster is always there. Without an alias and
            // an account its mail waits under that name.
            None if is_postmaster(parts) => self.add(Destination::Local {
                user: "postmaster".into(),
                extension: None,
            }),
            None => Err(self.unknown("local recipient table")),
        }
    }

    fn targets(
        &mut self,
        name: &str,
        targets: Vec<Target>,
        file: &Path,
        named: Named,
        depth: usize,
    ) -> Result<(), Rejection> {
        let config = &self.router.config;
        for target in targets {
            match target {
                Target::Address(address) => {
                    let parts = Parts::of(&address);
                    if parts.domain.is_empty() {
                        self.local(&parts, depth + 1)?;
                    } else {
                        self.virtual_alias(&parts, depth + 1)?;
                    }
                }
                Target::Account(user) => match self.account(&Parts::of(&user))? {
                    Some(destination) => self.add(destination)?,
                    None => return Err(self.unknown("local recipient table")),
                },
                Target::Command(command) => {
                    let allowed = config.allow_mail_to_commands.contains(&named)
                        && may_run(self.router, &command);
                    if !allowed {
                        return Err(self.forbidden(name, "command"));
                    }
                    self.add(Destination::Command { command })?;
                }
                Target::File(path) => {
                    if !config.allow_mail_to_files.contains(&named) {
                        return Err(self.forbidden(name, "file"));
                    }
                    self.add(Destination::File { path: path.into() })?;
                }
                Target::Include(path) => {
                    let path = file.parent().unwrap_or(Path::new("")).join(path);
                    if self
                        .follow(&format!(":include:{}", path.display()))
                        .is_some()
                    {
                        continue;
                    }
                    let missing = io::ErrorKind::NotFound;
                    let list = match std::fs::metadata(&path) {
                        Err(error) if error.kind() == missing => Err(error),
                        _ => self.router.tables.read(&path, Grammar::Include),
                    }
                    .map_err(|error| self.unavailable(&path.display(), &error))?;
                    let inner = list.entries.get("").cloned().unwrap_or_default();
                    if depth >= MAX_DEPTH {
                        return Err(self.reject(550, "5.4.6", "Aliases are nested too deeply"));
                    }
                    self.targets(name, inner, &path, Named::Include, depth + 1)?;
                }
            }
        }
        Ok(())
    }

    /// The account of an address: its whole local part, or without the
    /// extension; as it is written, or in small letters.
    fn account(&self, parts: &Parts) -> Result<Option<Destination>, Rejection> {
        let config = &self.router.config;
        let suffix = match self.router.class(&parts.domain) {
            Class::VirtualMailbox => format!("@{}", parts.domain),
            _ => String::new(),
        };
        let split = parts.split_extension(&config.recipient_delimiter);
        let whole = (parts.local.as_str(), None);
        for (local, extension) in [whole]
            .into_iter()
            .chain(split.map(|(base, extension)| (base, Some(extension))))
        {
            let written = format!("{local}{suffix}");
            let folded = written.to_lowercase();
            for user in [&written, &folded] {
                let exists = self
                    .router
                    .accounts
                    .exists(user)
                    .map_err(|error| self.unavailable(&"accounts", &error))?;
                if exists {
                    return Ok(Some(Destination::Local {
                        user: user.clone(),
                        extension: extension.filter(|text| !text.is_empty()).map(str::to_owned),
                    }));
                }
            }
        }
        Ok(None)
    }
}

fn is_postmaster(parts: &Parts) -> bool {
    parts.local.eq_ignore_ascii_case("postmaster")
}
