//! The spool's log moves a message while somebody is between two reads of it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

mod common;

use std::ffi::OsStr;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Barrier, Mutex};
use std::thread::ThreadId;
use std::time::SystemTime;

use common::at;
use mailstore::{Batch, File, Fs, Kind, QueueId, RealFs, Spool, SpoolConfig, Stat};

/// A thread that is to wait, and where.
type Armed = Option<(ThreadId, Arc<Barrier>)>;

/// The real files, where one thread waits behind its next read.
#[derive(Clone, Default)]
struct Waiting(Arc<Mutex<Armed>>);

impl Waiting {
    fn file(&self, file: Box<dyn File>) -> Box<dyn File> {
        Box::new(WaitingFile(file, self.clone()))
    }

    fn pass(&self) {
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

impl Fs for Waiting {
    fn create_excl(&self, path: &Path) -> io::Result<Box<dyn File>> {
        RealFs.create_excl(path).map(|file| self.file(file))
    }
    fn open(&self, path: &Path) -> io::Result<Box<dyn File>> {
        RealFs.open(path).map(|file| self.file(file))
    }
    fn open_write(&self, path: &Path) -> io::Result<Box<dyn File>> {
        RealFs.open_write(path).map(|file| self.file(file))
    }
    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        RealFs.link(from, to)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        RealFs.rename(from, to)
    }
    fn unlink(&self, path: &Path) -> io::Result<()> {
        RealFs.unlink(path)
    }
    fn mkdir(&self, path: &Path) -> io::Result<()> {
        RealFs.mkdir(path)
    }
    fn rmdir(&self, path: &Path) -> io::Result<()> {
        RealFs.rmdir(path)
    }
    fn fsync_dir(&self, path: &Path) -> io::Result<()> {
        RealFs.fsync_dir(path)
    }
    fn readdir(&self, path: &Path, each: &mut dyn FnMut(&OsStr, Kind)) -> io::Result<()> {
        RealFs.readdir(path, each)
    }
    fn stat(&self, path: &Path) -> io::Result<Stat> {
        RealFs.stat(path)
    }
    fn process_alive(&self, pid: u32) -> bool {
        RealFs.process_alive(pid)
    }
}

struct WaitingFile(Box<dyn File>, Waiting);

impl File for WaitingFile {
    fn read_at(&self, buf: &mut [u8], at: u64) -> io::Result<usize> {
        let read = self.0.read_at(buf, at)?;
        self.1.pass();
        Ok(read)
    }
    fn write_all_at(&self, buf: &[u8], at: u64) -> io::Result<()> {
        self.0.write_all_at(buf, at)
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }
    fn sync(&self) -> io::Result<()> {
        self.0.sync()
    }
    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }
    fn stat(&self) -> io::Result<Stat> {
        self.0.stat()
    }
    fn set_modified(&self, time: SystemTime) -> io::Result<()> {
        self.0.set_modified(time)
    }
    fn set_mode(&self, mode: u32) -> io::Result<()> {
        self.0.set_mode(mode)
    }
    fn try_lock(&self) -> io::Result<bool> {
        self.0.try_lock()
    }
    fn unlock(&self) -> io::Result<()> {
        self.0.unlock()
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
        segment_octets: 4000,
        ..SpoolConfig::new(directory.path())
    };
    let files = Waiting::default();
    let (spool, _) = Spool::open_with_fs(config, Arc::new(files.clone())).unwrap();
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
