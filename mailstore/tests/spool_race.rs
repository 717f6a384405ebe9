//! The spool's log moves a message while somebody is between two reads of it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

mod common;

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Barrier, Mutex};
use std::thread::ThreadId;

use common::at;
use common::over::{Beside, Over};
use mailstore::{Batch, QueueId, Spool, SpoolConfig};

/// A thread that is to wait, and where.
type Armed = Option<(ThreadId, Arc<Barrier>)>;

/// The real files, where one thread waits behind its next read.
#[derive(Clone, Default)]
struct Waiting(Arc<Mutex<Armed>>);

impl Beside for Waiting {
    fn has_read(&self, _octets: usize) {
        let mut armed = self.0.lock().unwrap();
        let current = std::thread::current().id();
        let Some((_, barrier)) = armed.take_if(|(thread, _)| *thread == current) else {
            return;
        };
        drop(armed);
        // It is here; it may go on.
        barrier.wait();
        barrier.wait();
    }
}

fn accept(spool: &Spool, name: &str) -> QueueId {
    let mut incoming = spool.begin(at(0));
    incoming.write(&[b'x'; 900]).unwrap();
    incoming.commit(name.as_bytes()).unwrap()
}

fn segments(root: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(root.join("log")).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let is_segment = |path: &PathBuf| !path.to_string_lossy().contains("spare");
    let mut segments: Vec<PathBuf> = paths.filter(is_segment).collect();
    segments.sort();
    segments
}

#[test]
fn a_message_is_moved_between_two_reads_of_it() {
    let directory = tempfile::tempdir().unwrap();
    let config = SpoolConfig {
        segment_octets: 8000,
        ..SpoolConfig::new(directory.path())
    };
    let files = Waiting::default();
    let (spool, _) = Spool::open_with_fs(config, Arc::new(Over(files.clone()))).unwrap();
    let stays = accept(&spool, "stays");
    assert!(spool.claim(stays));
    let mut batch = Batch::new();
    batch.update(stays, b"tried");
    spool.commit(batch).unwrap();
    let first = segments(directory.path()).remove(0);
    let barrier = Arc::new(Barrier::new(2));
    std::thread::scope(|scope| {
        let loading = scope.spawn(|| {
            let armed = (std::thread::current().id(), Arc::clone(&barrier));
            *files.0.lock().unwrap() = Some(armed);
            spool.load(stays)
        });
        // The envelope was read, the state was not.
        barrier.wait();
        for nth in 0..1000 {
            if !first.exists() {
                break;
            }
            let filler = accept(&spool, &format!("filler-{nth}"));
            assert!(spool.claim(filler));
            let mut batch = Batch::new();
            batch.remove(filler);
            spool.commit(batch).unwrap();
        }
        let is_gone = !first.exists();
        barrier.wait();
        let loaded = loading.join().unwrap().unwrap();
        assert!(is_gone, "the log was not made shorter");
        assert_eq!(loaded.envelope, b"stays");
        assert_eq!(loaded.state, b"tried");
    });
    let mut content = Vec::new();
    let mut reader = spool.reader(stays).unwrap();
    reader.read_to_end(&mut content).unwrap();
    assert_eq!(content, [b'x'; 900]);
}
