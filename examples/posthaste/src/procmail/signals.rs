//! Signals that end `procmail`: no lockfile is left behind, and the log says so.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use procmail_rules::format;
use rustix::process::Signal;
use tokio::signal::unix::{self, SignalKind, signal};

/// The mail is to be tried again, bounces, or is gone, as the signal asks for.
const REQUEUED: (u8, &[u8]) = (75, b"**Requeued**");
const BOUNCED: (u8, &[u8]) = (73, b"**Bounced**");
const LOST: (u8, &[u8]) = (0, b"**Lost**");

/// What a run has to leave behind in order, whenever it ends.
#[derive(Debug, Clone, Default)]
pub(super) struct Held(Arc<Mutex<Things>>);

#[derive(Debug, Default)]
struct Things {
    locks: Vec<PathBuf>,
    log: Option<File>,
    /// The message's `From ` line, if it has one.
    from: Vec<u8>,
    /// Octets of the message.
    size: usize,
}

impl Held {
    fn things(&self) -> MutexGuard<'_, Things> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a lock; no signal comes between the file and its being known.
    pub(super) fn take<E>(
        &self,
        path: &Path,
        take: impl FnOnce() -> Result<bool, E>,
    ) -> Result<bool, E> {
        let mut things = self.things();
        let taken = take();
        if let Ok(true) = taken {
            things.locks.push(path.to_owned());
        }
        taken
    }

    pub(super) fn release(&self, path: &Path) -> io::Result<()> {
        let mut things = self.things();
        things.locks.retain(|held| held != path);
        fs::remove_file(path)
    }

    pub(super) fn release_all(&self) {
        for lock in self.things().locks.drain(..) {
            let _ = fs::remove_file(lock);
        }
    }

    pub(super) fn log_to(&self, log: Option<File>) {
        self.things().log = log;
    }

    /// The message that is delivered, which the log is told of.
    pub(super) fn deliver(&self, message: &[u8]) {
        let mut things = self.things();
        let line = message.split_inclusive(|byte| *byte == b'\n').next();
        let from = line.filter(|line| line.starts_with(b"From "));
        things.from = from.unwrap_or(&[]).to_vec();
        things.size = message.len();
    }

    /// Ends the process on SIGTERM, SIGHUP, SIGINT and SIGQUIT, as procmail does. A file that may
    /// not grow is then an error of the write alone.
    pub(super) fn watch(&self) {
        let held = self.clone();
        on_signal(move |end| held.end(end));
    }

    fn end(&self, (code, folder): (u8, &[u8])) -> ! {
        let things = self.things();
        let mut text = b"procmail: Terminating prematurely\n".to_vec();
        if things.log.is_some() {
            text.extend(format::abstract_lines(
                &things.from,
                things.from.len(),
                folder,
                things.size,
            ));
        }
        let _ = match &things.log {
            Some(log) => (&*log).write_all(&text),
            None => io::stderr().write_all(&text),
        };
        for lock in &things.locks {
            let _ = fs::remove_file(lock);
        }
        std::process::exit(i32::from(code))
    }
}

/// Has something done on SIGTERM, SIGHUP, SIGINT and SIGQUIT, with what the signal asks for.
pub(super) fn on_signal(ends: impl FnOnce((u8, &'static [u8])) + Send + 'static) {
    let (watching, watches) = channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .build();
        // Without it the signals end the process as they always do.
        if let Ok(runtime) = runtime
            && let Ok(end) = runtime.block_on(first(watching))
        {
            ends(end);
        }
    });
    // An error is that nothing watches.
    let _ = watches.recv();
}

/// Waits for a signal, and tells what it asks for. One that was ignored when the process began, as by nohup(1),
/// stays so.
async fn first(watching: Sender<()>) -> io::Result<(u8, &'static [u8])> {
    let ignored = ignored();
    let watch = |which: Signal| {
        let wanted = ignored >> (which.as_raw() - 1) & 1 == 0;
        wanted
            .then(|| signal(SignalKind::from_raw(which.as_raw())))
            .transpose()
    };
    let mut terminate = watch(Signal::TERM)?;
    let mut hang_up = watch(Signal::HUP)?;
    let mut interrupt = watch(Signal::INT)?;
    let mut quit = watch(Signal::QUIT)?;
    let _file_size = signal(SignalKind::from_raw(Signal::XFSZ.as_raw()))?;
    let _ = watching.send(());
    Ok(tokio::select! {
        () = comes(&mut terminate) => REQUEUED,
        () = comes(&mut hang_up) => BOUNCED,
        () = comes(&mut interrupt) => BOUNCED,
        () = comes(&mut quit) => LOST,
    })
}

async fn comes(watched: &mut Option<unix::Signal>) {
    match watched {
        Some(watched) => {
            watched.recv().await;
        }
        None => std::future::pending().await,
    }
}

/// The signals that this process ignores, a bit each from SIGHUP on; none where the system does not tell.
fn ignored() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:"))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.unwrap_or(0)
}
