//! A folder's files against each other.

use std::collections::{BTreeMap, HashMap};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::keywords::KeywordFile;
use super::order::{MODSEQ, above_all, parse_modseq};
use super::scan::{is_listable, is_message};
use super::uidlist::UidList;
use super::{LIST_LIMIT, count_wire, is_abandoned, name, path_of};
use crate::account::Shared;
use crate::durable::{Durable, Kind};
use crate::error::{Error, IoContext};
use crate::lock::DotLock;
use crate::verify::{Checked, Told};

/// One look at a folder, under the lock of its list.
struct Look<'a> {
    shared: &'a Shared,
    folder: &'a Path,
    mend: bool,
    now: SystemTime,
    checked: Checked,
    list: UidList,
    /// The list is to be written anew.
    list_changed: bool,
}

pub(crate) fn check(
    shared: &Shared,
    folder: &Path,
    mend: bool,
    now: SystemTime,
) -> Result<Checked, Error> {
    let lock = folder.join("dovecot-uidlist.lock");
    let _lock = DotLock::acquire(&shared.durable, lock, &shared.host, now)?;
    let mut look = Look {
        shared,
        folder,
        mend,
        now,
        checked: Checked::default(),
        list: UidList::default(),
        list_changed: false,
    };
    look.leftovers()?;
    look.modseq()?;
    look.list()?;
    look.messages()?;
    if look.mend && look.list_changed {
        let content = look.list.write();
        let path = folder.join("dovecot-uidlist");
        shared.durable.replace(&path, &content)?;
    }
    Ok(look.checked)
}

impl Look<'_> {
    fn durable(&self) -> &Durable {
        &self.shared.durable
    }

    fn leftovers(&mut self) -> Result<(), Error> {
        let tmp = self.folder.join("tmp");
        let mut names = Vec::new();
        match self.durable().readdir(&tmp, |name, kind| {
            if kind == Kind::File {
                names.push(tmp.join(name));
            }
        }) {
            Err(error) if error.is_not_found() => {}
            other => other?,
        }
        for path in names {
            if is_abandoned(self.durable(), &path, self.now)? {
                if self.mend {
                    self.durable().remove(&path)?;
                }
                let problem = "a message that never arrived whole, left by a crash";
                self.checked.found(path, problem, self.mend);
            }
        }
        Ok(())
    }

    fn modseq(&mut self) -> Result<(), Error> {
        let path = self.folder.join(MODSEQ);
        let sound = match self.durable().read_maybe(&path, 64) {
            Ok(read) => read.is_none_or(|(content, _)| parse_modseq(&content).is_some()),
            Err(Error::Corrupt { .. }) => false,
            Err(error) => return Err(error),
        };
        if !sound {
            if self.mend {
                let content = format!("{}\n", above_all(self.now));
                self.durable().replace(&path, content.as_bytes())?;
            }
            let problem = "it is no number of a modification sequence";
            self.checked.found(path, problem, self.mend);
        }
        Ok(())
    }

    fn list(&mut self) -> Result<(), Error> {
        let path = self.folder.join("dovecot-uidlist");
        let Some((content, _)) = self.durable().read_maybe(&path, LIST_LIMIT)? else {
            return Ok(());
        };
        let Some(list) = UidList::parse(&content) else {
            if self.mend {
                // The next opening begins another one.
                let broken = self.folder.join("dovecot-uidlist.broken");
                self.durable().rename(&path, &broken)?;
                self.durable().sync_dir(self.folder)?;
            }
            let problem = "it is no UID list; all messages get new UIDs";
            self.checked.found(path, problem, self.mend);
            return Ok(());
        };
        self.list = list;
        for (line, problem) in UidList::problems(&content) {
            self.list_changed = true;
            let problem = format!("line {line}: {problem}");
            self.checked.found(&path, problem, self.mend);
        }
        Ok(())
    }

    fn messages(&mut self) -> Result<(), Error> {
        let mut keywords = KeywordFile::new(self.folder);
        keywords.refresh(self.durable())?;
        let mut found: HashMap<Vec<u8>, Vec<PathBuf>> = HashMap::new();
        let mut nameless = Vec::new();
        for directory in ["new", "cur"] {
            let directory = self.folder.join(directory);
            let listed = self.durable().readdir(&directory, |file_name, kind| {
                let name = file_name.as_bytes();
                if is_message(name, kind) {
                    let paths = found.entry(name::base(name).to_vec()).or_default();
                    paths.push(path_of(&directory, name));
                } else if kind == Kind::File && !is_listable(name) {
                    nameless.push(path_of(&directory, name));
                }
            });
            match listed {
                Err(error) if error.is_not_found() => {}
                other => other?,
            }
        }
        for path in nameless {
            self.nameless(path)?;
        }
        let found: BTreeMap<Vec<u8>, Vec<PathBuf>> = found.into_iter().collect();
        for (base, mut paths) in found {
            let Some(path) = paths.pop() else { continue };
            for other in paths {
                self.twice(&path, &other)?;
            }
            self.message(&base, path, &keywords)?;
        }
        Ok(())
    }

    /// A file whose name no list can hold, so that sessions are not told of it.
    fn nameless(&mut self, path: PathBuf) -> Result<(), Error> {
        if self.mend {
            let (flags, keywords) = name::flags(path.file_name().unwrap_or_default().as_bytes());
            let base = name::fresh(self.now, self.shared.count(), &self.shared.host);
            let name = name::with_flags(base.as_bytes(), flags, keywords);
            let cur = self.folder.join("cur");
            self.durable().rename(&path, &path_of(&cur, &name))?;
            self.durable().sync_dir(&cur)?;
        }
        let problem = "its name cannot stand in a UID list; as a message it needs another";
        self.checked.found(path, problem, self.mend);
        Ok(())
    }

    /// Two files of one base: the same message under two names, or one that another program named badly.
    fn twice(&mut self, kept: &Path, other: &Path) -> Result<(), Error> {
        if self.durable().stat_maybe(kept)?.is_none() || self.durable().stat_maybe(other)?.is_none()
        {
            // Moved in this moment.
            return Ok(());
        }
        if self.mend {
            let limit = u64::MAX;
            let same = self.durable().read_maybe(kept, limit)?.map(|read| read.0)
                == self.durable().read_maybe(other, limit)?.map(|read| read.0);
            if same {
                self.durable().remove(other)?;
            } else {
                let base = name::fresh(self.now, self.shared.count(), &self.shared.host);
                let to = self.folder.join("cur").join(format!("{base}:2,"));
                self.durable().rename(other, &to)?;
            }
            for directory in ["new", "cur"] {
                self.durable().sync_dir(&self.folder.join(directory))?;
            }
        }
        let problem = format!("it has the same base as {}", kept.display());
        self.checked.found(other, problem, self.mend);
        Ok(())
    }

    fn message(
        &mut self,
        base: &[u8],
        mut path: PathBuf,
        keywords: &KeywordFile,
    ) -> Result<(), Error> {
        let file = match self.durable().open_own(&path) {
            Ok(file) => file,
            // Gone or renamed in this moment.
            Err(error) if error.is_not_found() => return Ok(()),
            Err(error) => {
                self.checked.found(path, error.to_string(), false);
                return Ok(());
            }
        };
        let stat = file.stat().at("stat", &path)?;
        let size = match count_wire(&*file, stat.len) {
            Ok(size) => size,
            Err(error) => {
                self.checked.found(path, error.to_string(), false);
                return Ok(());
            }
        };
        let named = (name::size(base, b'S'), name::size(base, b'W'));
        let wrong = |named: Option<u64>, size| named.is_some_and(|named| named != size);
        let mut uid = self.list.uid(base);
        if wrong(named.0, stat.len) || wrong(named.1, size) {
            let problem = format!(
                "it has {} octets, {size} in wire form; its name says otherwise",
                stat.len
            );
            if self.mend {
                let sizes = format!(",S={},W={size}", stat.len);
                let right = [name::unique(base), sizes.as_bytes()].concat();
                // The list first: a crash in between leaves a message that gets another UID, not two messages.
                if self.list.rename(base, &right) {
                    let content = self.list.write();
                    let list = self.folder.join("dovecot-uidlist");
                    self.durable().replace(&list, &content)?;
                }
                let file_name = path.file_name().unwrap_or_default().as_bytes().to_vec();
                let info = file_name.get(base.len()..).unwrap_or_default();
                let to = path.with_file_name(std::ffi::OsStr::from_bytes(
                    &[right.as_slice(), info].concat(),
                ));
                self.durable().rename(&path, &to)?;
                if let Some(directory) = to.parent() {
                    self.durable().sync_dir(directory)?;
                }
                self.checked.found(&path, problem, true);
                uid = self.list.uid(&right);
                path = to;
            } else {
                self.checked.found(&path, problem, false);
            }
        } else if let Some(listed) = self.list.wire_size(base).filter(|&listed| listed != size) {
            let problem = format!("it has {size} octets in wire form and is listed with {listed}");
            self.list.drop_fields(base);
            self.list_changed = true;
            self.checked.found(&path, problem, self.mend);
        }
        let file_name = path.file_name().unwrap_or_default().as_bytes();
        let (flags, letters) = name::flags(file_name);
        let named: Vec<String> = letters
            .indices()
            .filter_map(|index| keywords.names.get(index))
            .filter(|name| !name.is_empty())
            .cloned()
            .collect();
        if named.len() < letters.indices().count() {
            let problem = "it has a keyword letter that dovecot-keywords does not name";
            self.checked.found(&path, problem, false);
        }
        if let Some(uid) = uid {
            self.checked.messages.insert(
                uid,
                Told {
                    path,
                    flags,
                    keywords: named,
                    size,
                    internal_date: stat.modified,
                },
            );
        }
        Ok(())
    }
}
