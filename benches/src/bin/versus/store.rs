//! `versus store`: the store beside the bare system calls that it needs, and beside Dovecot's LMTP, on one disk.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::{Instant, SystemTime};

use mailstore::{Batch, Spool, SpoolConfig};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use crate::peers::Dovecot;
use crate::{OCTETS, Result, lmtp, report};

const ROUNDS: usize = 3;
const DELIVERIES: usize = 4000;
/// Accepted at once, and in all.
const ACCEPTING: usize = 64;
const ACCEPTS: usize = 40_000;
/// So many accepted messages are ended at once.
const DELIVERED: usize = 8;
const ENVELOPE: &[u8] = b"<sender@example.com> <recipient@example.org>";

pub(crate) fn run(folder: &Path) -> Result<()> {
    let dovecot = Dovecot::start(&folder.join("dovecot"))?;
    let (mut ours, mut bare, mut unsynced, mut theirs) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let (mut spool, mut log, mut waiting) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        bare.push(bare_deliveries(&folder.join("bare"), round, true)?);
        ours.push(lmtp::deliver(&folder.join("store"), round, DELIVERIES)?);
        unsynced.push(bare_deliveries(&folder.join("unsynced"), round, false)?);
        theirs.push(lmtp::send(dovecot.lmtp, DELIVERIES / 4)?);
        log.push(bare_log(&folder.join("log"), ACCEPTS)?);
        waiting.push(bare_waiting(&folder.join("waiting"), ACCEPTS)?);
        spool.push(accepts(&folder.join(format!("spool{round}")))?);
    }
    let what = format!(
        "delivered to {} Maildirs, {OCTETS} octets, {} senders, messages/s",
        lmtp::USERS,
        lmtp::SENDERS
    );
    report(
        &format!("{what}: mailstore, and Dovecot by LMTP"),
        &[("mailstore", &mut ours), ("Dovecot", &mut theirs)],
    );
    report(
        &format!(
            "{what}: mailstore, and bare create, write, fsync, rename, fsync of the directory"
        ),
        &[("mailstore", &mut ours), ("bare", &mut bare)],
    );
    report(
        &format!("{what}: mailstore, and the same bare calls with no sync of a directory at all"),
        &[("mailstore", &mut ours), ("bare", &mut unsynced)],
    );
    report(
        &format!(
            "accepted into the spool, {OCTETS} octets, {ACCEPTING} at once, messages/s; bare: groups of {ACCEPTING}, fdatasync of a preallocated file"
        ),
        &[("spool", &mut spool), ("bare", &mut log)],
    );
    report(
        "the same; bare: as many tasks wait for one thread, which writes what it finds and syncs it",
        &[("spool", &mut spool), ("bare", &mut waiting)],
    );
    Ok(())
}

/// One file for each message, with the calls that make it and its name last.
fn bare_deliveries(folder: &Path, round: usize, syncs_names: bool) -> Result<f64> {
    for nth in 0..lmtp::USERS {
        for part in ["tmp", "new"] {
            fs::create_dir_all(folder.join(lmtp::user(nth)).join(part))?;
        }
    }
    let content = lmtp::message();
    lmtp::together(DELIVERIES, || {
        let (content, folder) = (content.clone(), folder.to_owned());
        Ok(Box::new(move |nth| {
            let maildir = folder.join(lmtp::user(nth));
            let name = format!("{round}-{nth}");
            let (tmp, new) = (maildir.join("tmp").join(&name), maildir.join("new"));
            let mut file = OpenOptions::new().write(true).create_new(true).open(&tmp)?;
            file.write_all(&content)?;
            file.sync_all()?;
            fs::rename(&tmp, new.join(&name))?;
            if syncs_names {
                File::open(&new)?.sync_all()?;
            }
            Ok(())
        }))
    })
}

/// Octets that the bare log goes round in.
const LOG: usize = 64 << 20;

/// A file that is full of zeros already.
fn new_log(path: &Path) -> Result<File> {
    let file = OpenOptions::new()
        .create(true)
        .truncate(true)
        .write(true)
        .open(path)?;
    file.write_all_at(&vec![0; LOG], 0)?;
    file.sync_all()?;
    Ok(file)
}

/// Groups of as many messages as are accepted at once, one behind the other, for which nobody waits.
fn bare_log(path: &Path, total: usize) -> Result<f64> {
    let file = new_log(path)?;
    let group = [ENVELOPE, &lmtp::message()].concat().repeat(ACCEPTING);
    let start = Instant::now();
    let mut at = 0;
    for _ in 0..total.div_ceil(ACCEPTING) {
        if at + group.len() > LOG {
            at = 0;
        }
        file.write_all_at(&group, u64::try_from(at)?)?;
        file.sync_data()?;
        at += group.len();
    }
    Ok(total as f64 / start.elapsed().as_secs_f64())
}

/// The same calls for tasks that hand a message to a thread and wait until it is synced. The thread does nothing else.
fn bare_waiting(path: &Path, total: usize) -> Result<f64> {
    let file = new_log(path)?;
    let (sender, jobs) = mpsc::channel::<(Vec<u8>, oneshot::Sender<()>)>();
    let writing = std::thread::spawn(move || -> std::io::Result<()> {
        let (mut at, mut group, mut waiting) = (0_u64, Vec::new(), Vec::new());
        while let Ok(first) = jobs.recv() {
            group.clear();
            for (content, done) in std::iter::once(first).chain(jobs.try_iter()) {
                group.extend_from_slice(ENVELOPE);
                group.extend_from_slice(&content);
                waiting.push(done);
            }
            if at + group.len() as u64 > LOG as u64 {
                at = 0;
            }
            file.write_all_at(&group, at)?;
            file.sync_data()?;
            at += group.len() as u64;
            for done in waiting.drain(..) {
                let _ = done.send(());
            }
        }
        Ok(())
    });
    let runtime = tokio::runtime::Builder::new_multi_thread().build()?;
    let start = Instant::now();
    runtime.block_on(async {
        let next = Arc::new(AtomicUsize::new(0));
        let mut tasks = JoinSet::new();
        for _ in 0..ACCEPTING {
            let (sender, next, content) = (sender.clone(), Arc::clone(&next), lmtp::message());
            tasks.spawn(async move {
                while next.fetch_add(1, Ordering::Relaxed) < total {
                    let (done, told) = oneshot::channel();
                    sender.send((content.clone(), done)).ok()?;
                    told.await.ok()?;
                }
                Some(())
            });
        }
        while let Some(ended) = tasks.join_next().await {
            ended?.ok_or("the writing thread has failed")?;
        }
        Ok::<(), Box<dyn std::error::Error>>(())
    })?;
    let rate = total as f64 / start.elapsed().as_secs_f64();
    drop(sender);
    writing
        .join()
        .map_err(|_| "the writing thread panicked")??;
    Ok(rate)
}

/// Each accepting task waits for its message before it begins the next one, as the server's do. What was accepted is
/// ended, some at a time, as by deliveries: the log goes round in segments that were written before, as the bare one
/// does.
fn accepts(folder: &Path) -> Result<f64> {
    let (spool, _) = Spool::open(SpoolConfig::new(folder))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().build()?;
    runtime.block_on(accept(&spool, ACCEPTS / 2))?;
    let start = Instant::now();
    runtime.block_on(accept(&spool, ACCEPTS))?;
    Ok(ACCEPTS as f64 / start.elapsed().as_secs_f64())
}

async fn accept(spool: &Spool, total: usize) -> Result<()> {
    let next = Arc::new(AtomicUsize::new(0));
    let mut tasks = JoinSet::new();
    for _ in 0..ACCEPTING {
        let (spool, next, content) = (spool.clone(), Arc::clone(&next), lmtp::message());
        tasks.spawn(async move {
            let mut pending = Vec::new();
            while next.fetch_add(1, Ordering::Relaxed) < total {
                let mut incoming = spool.begin(SystemTime::now());
                incoming.write(&content)?;
                let (sender, receiver) = oneshot::channel();
                incoming.commit_with(ENVELOPE, |result| drop(sender.send(result)));
                pending.push(receiver.await.unwrap_or(Err(mailstore::Error::Closed))?);
                if pending.len() == DELIVERED {
                    let mut batch = Batch::new();
                    for id in pending.drain(..).filter(|id| spool.claim(*id)) {
                        batch.remove(id);
                    }
                    spool.submit(batch, drop);
                }
            }
            Ok::<(), mailstore::Error>(())
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended??;
    }
    Ok(())
}
