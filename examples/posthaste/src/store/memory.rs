//! What an account remembers for a while: whom its vacation answered, which
//! messages it has seen.

use std::collections::HashMap;
use std::io;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use data_encoding::HEXLOWER;
use mailstore::{Fs as _, RealFs, Stat};

use crate::files;

/// Entries kept at most; the first to be forgotten go first. Stops a flood of
/// senders from filling the disk.
const LIMIT: usize = 10_000;

/// Octets of a key at most; longer ones are cut, which only makes them equal
/// to others with the same beginning.
const KEY_LIMIT: usize = 512;

/// Octets of the file: more than twice what it is let grow to here. Stops
/// whoever may write in the home from filling the memory.
const FILE_LIMIT: u64 = 64 << 20;

/// A file of lines `EXPIRY KEY`, seconds since 1970 and hexadecimal octets.
/// New lines go to its end; losing one costs a second answer and no mail. What
/// another program added is read when the file has changed.
pub(super) struct Memory {
    path: PathBuf,
    entries: HashMap<Vec<u8>, u64>,
    /// Inode and length of the file that the entries are of.
    known: Option<(u64, u64)>,
    /// Whether the last line of the file has no end.
    torn: bool,
    lines: usize,
    /// Entries that were of use when the file was last written anew.
    kept: usize,
}

impl Memory {
    pub(super) fn new(path: PathBuf) -> Self {
        Self {
            path,
            entries: HashMap::new(),
            known: None,
            torn: false,
            lines: 0,
            kept: 0,
        }
    }

    pub(super) fn knows(&mut self, key: &[u8], now: SystemTime) -> io::Result<bool> {
        self.read()?;
        let expiry = self.entries.get(cut(key)).copied();
        Ok(expiry.is_some_and(|expiry| expiry > seconds(now)))
    }

    pub(super) fn remember(
        &mut self,
        key: &[u8],
        now: SystemTime,
        period: Duration,
    ) -> io::Result<()> {
        self.read()?;
        let key = cut(key);
        let expiry = seconds(now).saturating_add(period.as_secs());
        self.entries.insert(key.to_vec(), expiry);
        self.tidy(seconds(now))?;
        let end = if self.torn { "\n" } else { "" };
        let line = format!("{end}{expiry} {}\n", HEXLOWER.encode(key));
        match RealFs.append(&self.path, line.as_bytes()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                match RealFs.create_excl(&self.path) {
                    Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                        return Err(error);
                    }
                    _ => RealFs.append(&self.path, line.as_bytes())?,
                }
            }
            appended => appended?,
        }
        self.lines += 1;
        self.torn = false;
        let (inode, before) = self.known.unwrap_or_default();
        let now = self.place()?;
        let own = now.is_some_and(|(now, length)| {
            let same = inode == now || before == 0;
            same && length == before + line.len() as u64
        });
        // Else another program has changed the file as well.
        self.known = now.filter(|_| own);
        Ok(())
    }

    /// Inode and length of the file, if there is one.
    fn place(&self) -> io::Result<Option<(u64, u64)>> {
        match RealFs.stat(&self.path) {
            Ok(stat) => Ok(Some((stat.inode, stat.len))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Reads the file, if it is not the one that was read or written last.
    fn read(&mut self) -> io::Result<()> {
        if self.known.is_some() && self.place()? == self.known {
            return Ok(());
        }
        self.known = None;
        self.lines = 0;
        self.entries.clear();
        self.torn = false;
        // Not through a link: whoever can make one here must not read or write what this program may.
        let file = match RealFs.open_own(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        let named = |error| io::Error::other(format!("{}: {error}", self.path.display()));
        let Stat { inode, len, .. } = file.stat()?;
        let text = match files::read(&*file, FILE_LIMIT) {
            // Nobody here has made it so long.
            Err(error) if error.kind() == io::ErrorKind::FileTooLarge => {
                files::publish(&self.path, b"", None)?;
                self.known = self.place()?;
                return Ok(());
            }
            text => text.map_err(named)?,
        };
        for line in text.split_inclusive(|&octet| octet == b'\n') {
            self.lines += 1;
            // A torn last line is no entry.
            let line = line
                .strip_suffix(b"\n")
                .and_then(|line| str::from_utf8(line).ok());
            if let Some((expiry, key)) = line.and_then(parse) {
                self.entries.insert(key, expiry);
            }
        }
        self.torn = text.last().is_some_and(|&last| last != b'\n');
        self.known = Some((inode, len));
        Ok(())
    }

    /// Writes the file anew when most of it is of no more use.
    fn tidy(&mut self, now: u64) -> io::Result<()> {
        let entries = &mut self.entries;
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
        files::publish(&self.path, text.as_bytes(), None)?;
        self.known = self.place()?;
        self.torn = false;
        Ok(())
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
    use std::fs;
    use std::os::unix::fs::symlink;

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

    /// Two servers of one store, or a server and a program beside it.
    #[test]
    fn what_another_program_remembers_is_known() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("seen");
        let now = SystemTime::now();
        let hour = Duration::from_secs(3600);
        let mut one = Memory::new(path.clone());
        let mut two = Memory::new(path.clone());
        assert!(!one.knows(b"a", now).unwrap() && !two.knows(b"a", now).unwrap());
        one.remember(b"a", now, hour).unwrap();
        assert!(two.knows(b"a", now).unwrap());
        // Many from both, so that both write the file anew.
        for n in 0..400_u32 {
            let (own, other) = if n % 3 == 0 {
                (&mut one, &mut two)
            } else {
                (&mut two, &mut one)
            };
            own.remember(&n.to_le_bytes(), now, hour).unwrap();
            assert!(other.knows(&n.to_le_bytes(), now).unwrap(), "{n}");
        }
        assert!(one.knows(b"a", now).unwrap() && two.knows(b"a", now).unwrap());
        // One that lasts an hour each, whoever wrote it.
        assert!(!one.knows(b"a", now + hour).unwrap());
    }

    /// The file lies in a home: its owner may put other things there.
    #[test]
    fn only_files_are_read_and_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("seen");
        let now = SystemTime::now();
        let other = folder.path().join("other");
        fs::write(&other, "mine").unwrap();
        symlink(&other, &path).unwrap();
        let mut memory = Memory::new(path.clone());
        assert!(memory.remember(b"a", now, Duration::from_secs(60)).is_err());
        assert_eq!(fs::read(&other).unwrap(), b"mine");
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert!(memory.knows(b"a", now).is_err());
        fs::remove_dir(&path).unwrap();
        let mode = rustix::fs::Mode::RWXU;
        rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, mode, 0).unwrap();
        assert!(memory.knows(b"a", now).is_err());
        // Octets that are no lines of ours are no entries.
        fs::remove_file(&path).unwrap();
        fs::write(&path, b"\xff\xff\n99999999999 61\nx 61\n99999999999 62").unwrap();
        assert!(memory.knows(b"a", now).unwrap());
        assert!(!memory.knows(b"b", now).unwrap());
        memory.remember(b"c", now, Duration::from_secs(60)).unwrap();
        let long = fs::File::create(folder.path().join("long")).unwrap();
        long.set_len(FILE_LIMIT + 1).unwrap();
        let mut begun = Memory::new(folder.path().join("long"));
        assert!(!begun.knows(b"c", now).unwrap());
        begun.remember(b"c", now, Duration::from_secs(60)).unwrap();
        assert!(begun.knows(b"c", now).unwrap());
        assert!(long.metadata().unwrap().len() > FILE_LIMIT);
        let mut anew = Memory::new(path);
        assert!(anew.knows(b"a", now).unwrap() && anew.knows(b"c", now).unwrap());
    }
}
