//! `dovecot-keywords`: the names behind the letters `a` to `z`.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::durable::{Durable, Stat};
use crate::error::Error;
use crate::flags::Keywords;
use crate::lock::DotLock;

/// A file of more octets is none.
const LENGTH: u64 = 1 << 20;
/// Letters there are.
pub(crate) const LIMIT: usize = 26;

/// The file's names in the order of their letters; an unused letter's name is empty.
pub(crate) struct KeywordFile {
    path: PathBuf,
    seen: Option<Stat>,
    pub(crate) names: Vec<String>,
}

impl KeywordFile {
    pub(crate) fn new(folder: &Path) -> Self {
        Self {
            path: folder.join("dovecot-keywords"),
            seen: None,
            names: Vec::new(),
        }
    }

    /// Reads the file again if it changed.
    pub(crate) fn refresh(&mut self, durable: &Durable) -> Result<(), Error> {
        self.read(durable, false)
    }

    fn read(&mut self, durable: &Durable, adding: bool) -> Result<(), Error> {
        let stat = durable.stat_maybe(&self.path)?;
        if stat == self.seen {
            return Ok(());
        }
        let read = match durable.read_maybe(&self.path, LENGTH) {
            // The mail is served without names; whoever wants to add one is told.
            Err(error) if error.is_no_file_of_ours() && !adding => {
                self.seen = stat;
                return Ok(());
            }
            other => other?,
        };
        if let Some((content, stat)) = read {
            self.names = parse(&content);
            self.seen = Some(stat);
        }
        Ok(())
    }

    /// The letters of those names that have one.
    pub(crate) fn letters(&self, names: &[String]) -> Keywords {
        let mut keywords = Keywords::default();
        for (index, known) in self.names.iter().enumerate() {
            if names.iter().any(|name| name.eq_ignore_ascii_case(known)) {
                keywords.set(index);
            }
        }
        keywords
    }

    /// Makes sure that each name has a letter, durably.
    pub(crate) fn add(
        &mut self,
        durable: &Durable,
        wanted: &[String],
        host: &str,
        now: SystemTime,
    ) -> Result<(), Error> {
        let known = |names: &[String], wanted: &str| {
            names.iter().any(|name| name.eq_ignore_ascii_case(wanted))
        };
        if wanted.iter().all(|keyword| known(&self.names, keyword)) {
            return Ok(());
        }
        let mut lock = self.path.as_os_str().to_owned();
        lock.push(".lock");
        let _lock = DotLock::acquire(durable, PathBuf::from(lock), host, now)?;
        self.seen = None;
        self.read(durable, true)?;
        let mut names = self.names.clone();
        for keyword in wanted {
            if known(&names, keyword) {
                continue;
            }
            if names.len() >= LIMIT {
                return Err(Error::TooManyKeywords(keyword.clone()));
            }
            names.push(keyword.clone());
        }
        let lines: Vec<String> = names
            .iter()
            .enumerate()
            .filter(|(_, name)| !name.is_empty())
            .map(|(index, name)| format!("{index} {name}\n"))
            .collect();
        durable.replace(&self.path, lines.concat().as_bytes())?;
        self.names = names;
        self.seen = durable.stat_maybe(&self.path)?;
        Ok(())
    }
}

fn parse(content: &[u8]) -> Vec<String> {
    let mut names = vec![String::new(); LIMIT];
    for line in String::from_utf8_lossy(content).lines() {
        if let Some((index, name)) = line.split_once(' ')
            && let Some(slot) = index
                .parse()
                .ok()
                .and_then(|index: usize| names.get_mut(index))
        {
            name.clone_into(slot);
        }
    }
    while names.last().is_some_and(String::is_empty) {
        names.pop();
    }
    names
}

#[cfg(test)]
mod tests {
    #[test]
    fn parses() {
        assert_eq!(
            super::parse(b"0 $Forwarded\n2 Junk\nx y\n99 far\n"),
            ["$Forwarded", "", "Junk"]
        );
    }
}
