//! What an account remembers for a while: whom its vacation answered, which
//! messages it has seen.

use std::collections::HashMap;
use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use data_encoding::HEXLOWER;

/// Entries kept at most; the first to be forgotten go first. Stops a flood of
/// senders from filling the disk.
const LIMIT: usize = 10_000;

/// Octets of a key at most; longer ones are cut, which only makes them equal
/// to others with the same beginning.
const KEY_LIMIT: usize = 512;

/// A file of lines `EXPIRY KEY`, seconds since 1970 and hexadecimal octets.
/// New lines go to its end; losing one costs a second answer and no mail.
pub(super) struct Memory {
    path: PathBuf,
    entries: Option<HashMap<Vec<u8>, u64>>,
    lines: usize,
    /// Entries that were of use when the file was last written anew.
    kept: usize,
}

impl Memory {
    pub(super) fn new(path: PathBuf) -> Self {
        Self {
            path,
            entries: None,
            lines: 0,
            kept: 0,
        }
    }

    pub(super) fn knows(&mut self, key: &[u8], now: SystemTime) -> io::Result<bool> {
        let now = seconds(now);
        let expiry = self.entries()?.get(cut(key)).copied();
        Ok(expiry.is_some_and(|expiry| expiry > now))
    }

    pub(super) fn remember(
        &mut self,
        key: &[u8],
        now: SystemTime,
        period: Duration,
    ) -> io::Result<()> {
        let key = cut(key);
        let expiry = seconds(now).saturating_add(period.as_secs());
        self.entries()?.insert(key.to_vec(), expiry);
        self.tidy(seconds(now))?;
        let line = format!("{expiry} {}\n", HEXLOWER.encode(key));
        self.lines += 1;
        fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(&self.path)?
            .write_all(line.as_bytes())
    }

    fn entries(&mut self) -> io::Result<&mut HashMap<Vec<u8>, u64>> {
        if self.entries.is_none() {
            let mut entries = HashMap::new();
            match fs::File::open(&self.path) {
                Ok(file) => {
                    for line in BufReader::new(file).lines() {
                        let line = line?;
                        self.lines += 1;
                        // A torn last line is no entry.
                        if let Some((expiry, key)) = parse(&line) {
                            entries.insert(key, expiry);
                        }
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
            self.entries = Some(entries);
        }
        Ok(self.entries.get_or_insert_default())
    }

    /// Writes the file anew when most of it is of no more use.
    fn tidy(&mut self, now: u64) -> io::Result<()> {
        let Some(entries) = &mut self.entries else {
            return Ok(());
        };
        // What has expired since is still among the entries, so those cannot
        // tell how much of the file is of use.
        let short = self.lines < 64 || self.lines < self.kept * 2;
        if short && entries.len() <= LIMIT {
            return Ok(());
        }
        entries.retain(|_, expiry| *expiry > now);
        if entries.len() > LIMIT {
            let mut expiries: Vec<u64> = entries.values().copied().collect();
            expiries.sort_unstable();
            let keep_from = expiries
                .get(expiries.len() - LIMIT / 2)
                .copied()
                .unwrap_or(0);
            entries.retain(|_, expiry| *expiry >= keep_from);
        }
        let text: String = entries
            .iter()
            .map(|(key, expiry)| format!("{expiry} {}\n", HEXLOWER.encode(key)))
            .collect();
        self.lines = entries.len();
        self.kept = self.lines;
        fs::write(&self.path, text)
    }
}

fn cut(key: &[u8]) -> &[u8] {
    key.get(..KEY_LIMIT).unwrap_or(key)
}

fn seconds(at: SystemTime) -> u64 {
    at.duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs()
}

fn parse(line: &str) -> Option<(u64, Vec<u8>)> {
    let (expiry, key) = line.split_once(' ')?;
    Some((expiry.parse().ok()?, HEXLOWER.decode(key.as_bytes()).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remembers_for_a_while_and_over_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("seen");
        let now = SystemTime::now();
        let mut memory = Memory::new(path.clone());
        memory.remember(b"a", now, Duration::from_secs(60)).unwrap();
        assert!(memory.knows(b"a", now).unwrap());
        let mut memory = Memory::new(path.clone());
        assert!(memory.knows(b"a", now + Duration::from_secs(59)).unwrap());
        assert!(!memory.knows(b"a", now + Duration::from_secs(61)).unwrap());
        assert!(!memory.knows(b"b", now).unwrap());
        for n in 0..1000_u32 {
            let later = now + Duration::from_secs(u64::from(n) * 100);
            memory
                .remember(&n.to_le_bytes(), later, Duration::from_secs(60))
                .unwrap();
        }
        assert!(fs::metadata(path).unwrap().len() < 4000);
    }
}
