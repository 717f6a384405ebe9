//! `lockfile`: makes semaphore files.

use std::ffi::{OsStr, OsString};
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::account::Account;

/// Bad options.
const USAGE: u8 = 64;
/// The path cannot be used.
const UNAVAILABLE: u8 = 69;
/// Somebody else has the lock.
const BUSY: u8 = 73;

/// How often a path that cannot be used is tried.
const HOPELESS_TRIES: u32 = 8;

/// Numbers the temporary files of this process.
static SERIAL: AtomicU32 = AtomicU32::new(0);

/// Tries once to make a lockfile: false if it is there already, and the name of the temporary
/// file if that cannot be made.
///
/// The file is made under another name and linked, which is safe over NFS where exclusive
/// creation is not.
pub(super) fn try_lock(path: &Path, host: &str) -> Result<bool, String> {
    let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
    let name = format!("_{}.{serial}.{host}", std::process::id());
    let temporary = path.with_file_name(&name);
    let made = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o444)
        .open(&temporary)
        .and_then(|mut file| file.write_all(b"0"));
    if made.is_err() {
        // It may have been made without being written.
        let _ = fs::remove_file(&temporary);
        return Err(name);
    }
    let linked = fs::hard_link(&temporary, path);
    let _ = fs::remove_file(&temporary);
    match linked {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        // A name that no file can have.
        Err(_) => Err(name),
    }
}

struct Options {
    sleep: u64,
    retries: i64,
    stale: u64,
    suspend: u64,
    inverted: bool,
}

/// Runs the command; its exit code.
pub(super) fn run(arguments: &[OsString], host: &str) -> u8 {
    let mut options = Options {
        sleep: 8,
        retries: -1,
        stale: 0,
        suspend: 16,
        inverted: false,
    };
    let mut taken: Vec<PathBuf> = Vec::new();
    let mut any = false;
    let mut rest = arguments.iter();
    let mut code = 0;
    while let Some(argument) = rest.next() {
        let text = argument.as_bytes();
        if let Some(letters) = text.strip_prefix(b"-") {
            match options.take(letters, &mut rest) {
                Taken::Yes => {}
                Taken::Mailbox(lock) => {
                    any = true;
                    let Some(path) = system_lock() else {
                        code = UNAVAILABLE;
                        break;
                    };
                    if lock {
                        code = options.acquire(&path, host);
                    } else if fs::remove_file(&path).is_err() {
                        complain(&format!("Can't unlock \"{}\"", path.display()));
                        code = UNAVAILABLE;
                    }
                }
                Taken::No => {
                    tell_usage();
                    code = USAGE;
                }
            }
        } else {
            any = true;
            let path = PathBuf::from(argument);
            code = options.acquire(&path, host);
            if code == 0 {
                taken.push(path);
            }
        }
        if code != 0 {
            break;
        }
    }
    if !any && code == 0 {
        tell_usage();
        code = USAGE;
    }
    if code != 0 {
        // All or none.
        for path in &taken {
            let _ = fs::remove_file(path);
        }
    }
    match code {
        0 if options.inverted => BUSY,
        BUSY if options.inverted => 0,
        code => code,
    }
}

enum Taken {
    Yes,
    No,
    Mailbox(bool),
}

impl Options {
    /// Takes an option, and its value from the next argument where it has none of its own.
    fn take<'a>(&mut self, text: &'a [u8], rest: &mut impl Iterator<Item = &'a OsString>) -> Taken {
        let Some((letter, value)) = text.split_first() else {
            return Taken::Yes;
        };
        if letter.is_ascii_digit() {
            let number = leading_number(text);
            let seconds = number.and_then(|(seconds, _)| u64::try_from(seconds).ok());
            let (Some(seconds), Some((_, after))) = (seconds, number) else {
                return Taken::No;
            };
            self.sleep = seconds;
            return self.take(after, rest);
        }
        match letter {
            b'!' => {
                self.inverted = !self.inverted;
                return if value.is_empty() {
                    Taken::Yes
                } else {
                    self.take(value, rest)
                };
            }
            b'm' => {
                return match value {
                    b"l" => Taken::Mailbox(true),
                    b"u" => Taken::Mailbox(false),
                    _ => Taken::No,
                };
            }
            b'r' | b'l' | b's' => {}
            _ => return Taken::No,
        }
        let value = if value.is_empty() {
            rest.next().map(|next| next.as_bytes())
        } else {
            Some(value)
        };
        let Some((value, after)) = value.and_then(leading_number) else {
            return Taken::No;
        };
        match (letter, u64::try_from(value)) {
            (b'r', _) => self.retries = value,
            (b'l', Ok(seconds)) => self.stale = seconds,
            (_, Ok(seconds)) => self.suspend = seconds,
            _ => return Taken::No,
        }
        self.take(after, rest)
    }

    /// Takes one lock, trying as often as allowed.
    fn acquire(&self, path: &Path, host: &str) -> u8 {
        let mut retries = self.retries;
        let mut hopeless = HOPELESS_TRIES;
        loop {
            match try_lock(path, host) {
                Ok(true) => return 0,
                Ok(false) if self.is_stale(path) => {
                    complain(&format!("Forcing lock on \"{}\"", path.display()));
                    let _ = fs::remove_file(path);
                    sleep(self.suspend);
                    continue;
                }
                Ok(false) => {}
                Err(_) => {
                    hopeless -= 1;
                    if hopeless == 0 || retries == 0 {
                        complain(&format!("Try praying, giving up on \"{}\"", path.display()));
                        return UNAVAILABLE;
                    }
                }
            }
            if retries == 0 {
                complain(&format!("Sorry, giving up on \"{}\"", path.display()));
                return BUSY;
            }
            retries -= i64::from(retries > 0);
            sleep(self.sleep);
        }
    }

    fn is_stale(&self, path: &Path) -> bool {
        // That of a link, not of what it points to.
        let age = fs::symlink_metadata(path).and_then(|metadata| metadata.modified());
        let age = age.ok().and_then(|time| time.elapsed().ok());
        self.stale > 0 && age.is_some_and(|age| age.as_secs() > self.stale)
    }
}

/// The number that a text begins with, and what follows it.
fn leading_number(text: &[u8]) -> Option<(i64, &[u8])> {
    let sign = usize::from(matches!(text.first(), Some(b'+' | b'-')));
    let digits = text.iter().skip(sign);
    let digits = digits.take_while(|byte| byte.is_ascii_digit()).count();
    let (number, after) = text.split_at_checked(sign + digits)?;
    Some((std::str::from_utf8(number).ok()?.parse().ok()?, after))
}

fn sleep(seconds: u64) {
    std::thread::sleep(Duration::from_secs(seconds));
}

fn complain(text: &str) {
    let _ = writeln!(io::stderr(), "lockfile: {text}");
}

fn tell_usage() {
    let _ = io::stderr().write_all(
        b"Usage: lockfile -v | -nnn | -r nnn | -l nnn | -s nnn | -! | -ml | -mu | file ...\n",
    );
}

/// The lock of the user's own system mailbox.
fn system_lock() -> Option<PathBuf> {
    let account = Account::own()?;
    let mut path = account.mailbox();
    path.extend_from_slice(b".lock");
    Some(PathBuf::from(OsStr::from_bytes(&path)))
}
