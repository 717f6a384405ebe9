//! `lockfile`: makes semaphore files.
//!
//! Where Debian's program tries without end to force a lock that it may not remove, this one
//! counts that as a try; and a signal ends it even while it waits behind a forced lock.

use std::ffi::{OsStr, OsString};
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::account::Account;
use super::signals::on_signal;

/// Bad options.
const USAGE: u8 = 64;
/// The path cannot be used.
const UNAVAILABLE: u8 = 69;
/// Somebody else has the lock.
const BUSY: u8 = 73;

/// A signal ended the waiting.
const SIGNALLED: u8 = 75;

/// What `-h` tells besides.
const HELP: &str = "\
\t-v\ttell the version
\t-nnn\twait so many seconds between tries
\t-r nnn\ttry again so many times, and then give up
\t-l nnn\tforce locks that are older than so many seconds
\t-s nnn\twait so many seconds after a lock was forced
\t-!\ttell of success as of failure
\t-ml\tlock your system mailbox
\t-mu\tunlock it
";

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

/// What a signal has to take away.
#[derive(Debug, Default)]
struct Locks {
    taken: Vec<PathBuf>,
    /// The lock that is waited for.
    wanted: PathBuf,
}

impl Locks {
    fn release(&mut self) {
        for path in self.taken.drain(..) {
            let _ = fs::remove_file(path);
        }
    }
}

fn held(locks: &Mutex<Locks>) -> MutexGuard<'_, Locks> {
    locks.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Options {
    sleep: u64,
    retries: i64,
    stale: i64,
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
    let locks = Arc::new(Mutex::new(Locks::default()));
    let watched = Arc::clone(&locks);
    on_signal(move |_| {
        // No lock is taken from here on.
        let mut locks = held(&watched);
        complain(&format!(
            "Signal received, giving up on \"{}\"",
            locks.wanted.display()
        ));
        locks.release();
        std::process::exit(i32::from(SIGNALLED))
    });
    let mut any = false;
    let mut rest = arguments.iter();
    let mut code = 0;
    while let Some(argument) = rest.next() {
        let text = argument.as_bytes();
        if let Some(letters) = text.strip_prefix(b"-") {
            match options.take(letters, &mut rest) {
                Taken::Yes => {}
                Taken::Mailbox(lock) => {
                    let Some(path) = system_lock() else {
                        complain("Can't determine your mailbox, who are you?");
                        tell_usage();
                        code = USAGE;
                        break;
                    };
                    if lock {
                        any = true;
                        code = options.acquire(path, host, &locks);
                    } else if fs::remove_file(&path).is_ok() {
                        any = true;
                    } else {
                        complain(&format!("Can't unlock \"{}\"", path.display()));
                    }
                }
                Taken::No => {
                    tell_usage();
                    code = USAGE;
                }
                Taken::Help => {
                    tell_usage();
                    let _ = io::stderr().write_all(HELP.as_bytes());
                    code = USAGE;
                }
                Taken::Version => {
                    let version = env!("CARGO_PKG_VERSION");
                    let _ = writeln!(io::stderr(), "lockfile v3.23pre, as posthaste {version}");
                    code = USAGE;
                }
            }
        } else {
            any = true;
            code = options.acquire(PathBuf::from(argument), host, &locks);
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
        held(&locks).release();
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
    Help,
    Version,
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
            b'h' | b'?' => return Taken::Help,
            b'v' => return Taken::Version,
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
            (b'l', _) => self.stale = value,
            (_, Ok(seconds)) => self.suspend = seconds,
            _ => return Taken::No,
        }
        self.take(after, rest)
    }

    /// Takes one lock, trying as often as allowed.
    fn acquire(&self, mut path: PathBuf, host: &str, locks: &Mutex<Locks>) -> u8 {
        let mut retries = self.retries;
        let mut hopeless = HOPELESS_TRIES;
        loop {
            let tried = {
                let mut locks = held(locks);
                locks.wanted.clone_from(&path);
                let tried = try_lock(&path, host);
                if let Ok(true) = tried {
                    locks.taken.push(path.clone());
                }
                tried
            };
            match tried {
                Ok(true) => return 0,
                Ok(false) if self.is_stale(&path) => {
                    if fs::remove_file(&path).is_ok() {
                        complain(&format!("Forcing lock on \"{}\"", path.display()));
                        sleep(self.suspend);
                        continue;
                    }
                    complain(&format!("Forced unlock denied on \"{}\"", path.display()));
                }
                Ok(false) => {}
                Err(_) if is_too_long(&path) => {
                    complain(&format!(
                        "Truncating \"{}\" and retrying lock",
                        path.display()
                    ));
                    let mut shorter = path.into_os_string().into_vec();
                    shorter.pop();
                    path = OsString::from_vec(shorter).into();
                    continue;
                }
                Err(_) => {
                    hopeless -= 1;
                    if hopeless == 0 || retries == 0 || path.as_os_str().is_empty() {
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
        let is_older =
            |age: Duration| i64::try_from(age.as_secs()).is_ok_and(|age| age > self.stale);
        self.stale != 0 && age.is_some_and(is_older)
    }
}

/// Is the name longer than that of any file?
fn is_too_long(path: &Path) -> bool {
    const LONGEST: usize = 255;
    path.file_name().is_some_and(|name| name.len() > LONGEST)
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
