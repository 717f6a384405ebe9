//! News of other processes' changes, through inotify. Where there is none, hosts poll.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

use rustix::fs::inotify;

use super::Tell;

/// Who is told of a directory's changes: of all, or of those of one name.
struct Told {
    name: Option<OsString>,
    tell: Arc<Tell>,
}

struct Notices {
    queue: OwnedFd,
    watched: Mutex<HashMap<i32, Vec<Told>>>,
}

/// The process has one queue: a user may open only so many.
fn notices() -> Option<&'static Arc<Notices>> {
    static NOTICES: OnceLock<Option<Arc<Notices>>> = OnceLock::new();
    NOTICES
        .get_or_init(|| {
            let queue = inotify::init(inotify::CreateFlags::CLOEXEC).ok()?;
            let notices = Arc::new(Notices {
                queue,
                watched: Mutex::default(),
            });
            let reading = Arc::downgrade(&notices);
            let thread = std::thread::Builder::new().name("mail notices".to_owned());
            thread.spawn(move || read(&reading)).ok()?;
            Some(notices)
        })
        .as_ref()
}

/// Calls `tell` when a name in the directory comes or goes, or this name is written to, until it gives false.
pub(super) fn watch(directory: &Path, name: Option<&OsStr>, tell: Arc<Tell>) -> io::Result<()> {
    let Some(notices) = notices() else {
        return Err(io::ErrorKind::Unsupported.into());
    };
    let mut flags = inotify::WatchFlags::CREATE
        | inotify::WatchFlags::DELETE
        | inotify::WatchFlags::MOVED_FROM
        | inotify::WatchFlags::MOVED_TO
        | inotify::WatchFlags::MASK_ADD;
    if name.is_some() {
        flags |= inotify::WatchFlags::CLOSE_WRITE | inotify::WatchFlags::MODIFY;
    }
    // Under the lock: the thread must not forget the directory in between.
    let mut watched = notices
        .watched
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    let number = inotify::add_watch(&notices.queue, directory, flags)?;
    let told = watched.entry(number).or_default();
    told.push(Told {
        name: name.map(OsStr::to_owned),
        tell,
    });
    Ok(())
}

fn read(notices: &Weak<Notices>) {
    let mut buffer = [MaybeUninit::<u8>::uninit(); 16 << 10];
    let Some(notices) = notices.upgrade() else {
        return;
    };
    let mut events = inotify::Reader::new(&notices.queue, &mut buffer);
    loop {
        match events.next() {
            Ok(event) if event.events().contains(inotify::ReadFlags::QUEUE_OVERFLOW) => {
                notices.all();
            }
            Ok(event) => {
                let name = event
                    .file_name()
                    .map(|name| OsStr::from_bytes(name.to_bytes()));
                notices.told(event.wd(), name);
            }
            Err(rustix::io::Errno::INTR) => {}
            // Those who wait poll too.
            Err(_) => return,
        }
    }
}

impl Notices {
    fn told(&self, number: i32, name: Option<&OsStr>) {
        let wanted: Vec<Arc<Tell>> = {
            let watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
            let told = watched.get(&number).into_iter().flatten();
            told.filter(|told| {
                name.is_none() || told.name.is_none() || told.name.as_deref() == name
            })
            .map(|told| Arc::clone(&told.tell))
            .collect()
        };
        let done: Vec<Arc<Tell>> = wanted.into_iter().filter(|tell| !tell(name)).collect();
        if done.is_empty() {
            return;
        }
        let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(told) = watched.get_mut(&number) {
            told.retain(|told| !done.iter().any(|done| Arc::ptr_eq(done, &told.tell)));
            if told.is_empty() {
                watched.remove(&number);
                // It fails only when the directory is gone, and the watch with it.
                let _ = inotify::remove_watch(&self.queue, number);
            }
        }
    }

    /// So much happened that not all of it was told.
    fn all(&self) {
        let numbers: Vec<i32> = {
            let watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
            watched.keys().copied().collect()
        };
        for number in numbers {
            self.told(number, None);
        }
    }
}
