//! What the machine does to a delivery: locks that others hold or left behind, a disk that is
//! full, a mail notifier that listens. Debian's procmail does the same where it is there.
//!
//! The real program runs where POSTHASTE_INTEROP=1.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    missing_docs
)]

mod common;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::net::UdpSocket;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use rustix::fs::{FlockOperation, fcntl_lock};

const MESSAGE: &str = "From a@b Mon Jan  1 00:00:00 2024\nSubject: x\n\nbody\n";

/// A run of one of the programs in a folder of its own.
struct Run {
    folder: tempfile::TempDir,
    program: PathBuf,
}

/// What a run leaves.
#[derive(Debug, PartialEq, Eq)]
struct Left {
    exit: Option<i32>,
    /// Without stamps, and each line that is repeated at once only once: how often a lock is
    /// tried is a matter of time.
    log: Vec<String>,
    files: BTreeMap<String, String>,
}

/// Runs of ours, and of the real program where that is wanted.
fn runs() -> Vec<Run> {
    let mut runs = vec![Run::ours()];
    if common::interop() {
        runs.push(Run {
            folder: tempfile::tempdir().unwrap(),
            program: "/usr/bin/procmail".into(),
        });
    }
    runs
}

impl Run {
    fn ours() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("bin/procmail");
        fs::create_dir(folder.path().join("bin")).unwrap();
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_posthaste"), &program).unwrap();
        Self { folder, program }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Starts the program, and gives it the message; `within` is a command that it is run by.
    fn start(&self, within: &[&str], rc: &str, message: &str) -> Child {
        let rc = format!("LOGFILE=log\nVERBOSE=on\nDEFAULT=default\nORGMAIL=orgmail\n{rc}");
        fs::write(self.at("rc"), rc).unwrap();
        let mut child = Command::new("timeout")
            .args(["-k", "1", "120"])
            .args(within)
            .arg(&self.program)
            .arg("./rc")
            .env_clear()
            .env("TZ", "UTC")
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("HOME", self.folder.path())
            .current_dir(self.folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(message.as_bytes()).unwrap();
        child
    }

    fn log(&self) -> String {
        fs::read_to_string(self.at("log")).unwrap_or_default()
    }

    /// Waits until the log has so many of these lines.
    fn await_log(&self, line: &str, count: usize) {
        let begun = Instant::now();
        while self.log().lines().filter(|logged| *logged == line).count() < count {
            assert!(begun.elapsed() < Duration::from_secs(60), "{}", self.log());
            thread::sleep(Duration::from_millis(20));
        }
    }

    fn left(&self, mut child: Child) -> Left {
        let exit = child.wait().unwrap().code();
        let mut log: Vec<String> = self
            .log()
            .lines()
            .filter(|line| !line.starts_with("procmail: ["))
            // Names in a Maildir are of the moment.
            .map(|line| match line.split_once("/tmp/") {
                Some((before, _)) => format!("{before}/tmp/…"),
                None => line.to_owned(),
            })
            .collect();
        log.dedup();
        let files = common::files(self.folder.path())
            .into_iter()
            .map(|file| {
                let name = file.strip_prefix(self.folder.path()).unwrap();
                (name.to_string_lossy().into_owned(), file)
            })
            .filter(|(name, _)| !["rc", "log", "bin/procmail"].contains(&name.as_str()))
            .map(|(name, file)| (name, fs::read_to_string(file).unwrap()))
            .collect();
        Left { exit, log, files }
    }

    /// A lock as somebody left it a while ago.
    fn leave_lock(&self, name: &str, text: &str) {
        fs::write(self.at(name), text).unwrap();
        let file = File::options().write(true).open(self.at(name)).unwrap();
        let then = SystemTime::now() - Duration::from_secs(100);
        file.set_modified(then).unwrap();
    }
}

fn same(left: &[Left]) {
    for other in left.iter().skip(1) {
        assert_eq!(&left[0], other);
    }
}

/// A lock older than LOCKTIMEOUT is taken away from whoever forgot it.
#[test]
fn stale_locks_are_forced() {
    for (rc, lock) in [
        (":0:\nbox\n", "box.lock"),
        (":0:own.lock\nbox\n", "own.lock"),
        ("LOCKFILE=all.lock\n:0\nbox\n", "all.lock"),
        (":0 w:\n| cat >>box\n", "box.lock"),
    ] {
        let mut left = Vec::new();
        for run in runs() {
            run.leave_lock(lock, "0");
            let rc = format!("LOCKTIMEOUT=5\nLOCKSLEEP=1\nSUSPEND=1\n{rc}");
            left.push(run.left(run.start(&[], &rc, MESSAGE)));
        }
        let Left { exit, log, files } = &left[0];
        assert_eq!(*exit, Some(0));
        assert_eq!(files.len(), 1, "{files:?}");
        assert!(files["box"].starts_with(MESSAGE));
        let forced = format!("procmail: Forcing lock on \"{lock}\"");
        assert!(log.contains(&forced), "{log:#?}");
        same(&left);
    }
}

/// Where LOCKTIMEOUT is 0, or the lock is too large to be one, it is waited for.
#[test]
fn other_locks_are_waited_for() {
    for (timeout, lock) in [(0, "0"), (5, "a file of somebody's")] {
        let mut left = Vec::new();
        for run in runs() {
            run.leave_lock("box.lock", lock);
            let rc = format!("LOCKTIMEOUT={timeout}\nLOCKSLEEP=1\nSUSPEND=1\n:0:\nbox\n");
            let child = run.start(&[], &rc, MESSAGE);
            run.await_log("procmail: Locking \"box.lock\"", 3);
            assert!(!run.at("box").exists());
            assert_eq!(fs::read_to_string(run.at("box.lock")).unwrap(), lock);
            fs::remove_file(run.at("box.lock")).unwrap();
            left.push(run.left(child));
        }
        assert_eq!(left[0].exit, Some(0));
        let expected = BTreeMap::from([("box".to_owned(), format!("{MESSAGE}\n"))]);
        assert_eq!(left[0].files, expected);
        same(&left);
    }
}

/// Nothing is written while somebody holds the kernel's lock, however short TIMEOUT is.
#[test]
fn kernel_locks_are_waited_for() {
    let mut left = Vec::new();
    for run in runs() {
        let held = File::create(run.at("box")).unwrap();
        fcntl_lock(&held, FlockOperation::LockExclusive).unwrap();
        let mut child = run.start(&[], "TIMEOUT=1\n:0\nbox\n", MESSAGE);
        run.await_log("procmail: Opening \"box\"", 1);
        thread::sleep(Duration::from_millis(2_500));
        assert_eq!(child.try_wait().unwrap(), None);
        assert_eq!(held.metadata().unwrap().len(), 0);
        drop(held);
        let mut one = run.left(child);
        // The real program tells that time is over, and goes on waiting.
        one.log
            .retain(|line| !line.contains(": Timeout, was waiting"));
        left.push(one);
    }
    assert_eq!(left[0].exit, Some(0));
    assert_eq!(left[0].files["box"], format!("{MESSAGE}\n"));
    same(&left);
}

/// What cannot be written to the end is taken back: the folder is as before, and the mail is not
/// lost, but bounced or tried again.
#[test]
fn a_full_disk_leaves_folders_as_they_were() {
    let message = format!("{MESSAGE}{}", "more of the body\n".repeat(4_000));
    let full = ["sh", "-c", "ulimit -f 16; exec \"$@\"", "sh"];
    for (rc, exit) in [
        (":0:\nbox\n", 73),
        (":0\nbox\n:0\nmaildir/\n", 73),
        (":0 c\nbox\n:0 e\n/dev/null\n", 0),
        (":0\nbox\n:0 h\nheads\n", 0),
        ("LOCKFILE=all.lock\n:0 fw\n| cat\n:0 a:\nbox\n", 73),
    ] {
        let mut left = Vec::new();
        for run in runs() {
            fs::write(run.at("box"), "what was there\n").unwrap();
            left.push(run.left(run.start(&full, rc, &message)));
        }
        let Left {
            exit: ended, files, ..
        } = &left[0];
        assert_eq!(*ended, Some(exit), "{rc}: {:#?}", left[0]);
        assert_eq!(files["box"], "what was there\n", "{rc}");
        let others = files
            .iter()
            .filter(|(name, _)| !["box", "heads"].contains(&name.as_str()));
        for (name, text) in others {
            assert_eq!(text, "", "{rc}: {name}");
        }
        same(&left);
    }
}

/// The mail notifier is told who has mail, and from where on in which file.
#[test]
fn the_notifier_is_told() {
    for rc in [
        "COMSAT=PORT@localhost\n:0:\nbox\n",
        "COMSAT=PORT@127.0.0.1\n:0\nbox\n",
        "COMSAT=PORT@\n:0\n/dev/null\n",
        "COMSAT=PORT@localhost\n:0 c\nbox\n:0\nfolder/.\n",
        "COMSAT=PORT@localhost\n:0 w\n| cat >/dev/null\n",
        "COMSAT=PORT@localhost\nMAILDIR=sub\n",
        // Without a host the service is the usual one, and `no` is none.
        "COMSAT=PORT\n:0\nbox\n",
        "COMSAT=junk\n:0\nbox\n",
        "COMSAT=\n:0\nbox\n",
        "COMSAT=PORT@localhost\nCOMSAT=no\n:0\nbox\n",
        "COMSAT=PORT@localhost\nHOST=none-of-that-name\n",
    ] {
        let mut left = Vec::new();
        for run in runs() {
            let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
            socket
                .set_read_timeout(Some(Duration::from_secs(60)))
                .unwrap();
            let address = socket.local_addr().unwrap();
            let port = address.port().to_string();
            fs::write(run.at("box"), "what was there\n").unwrap();
            fs::create_dir(run.at("sub")).unwrap();
            let mut one = run.left(run.start(&[], &rc.replace("PORT", &port), MESSAGE));
            for line in &mut one.log {
                *line = line.replace(&port, "PORT");
            }
            // What comes first was sent by the program, if it is not this.
            socket.send_to(b"nothing", address).unwrap();
            let mut told = [0; 1_000];
            let length = socket.recv(&mut told).unwrap();
            left.push((String::from_utf8_lossy(&told[..length]).into_owned(), one));
        }
        let silent = rc.contains("COMSAT=no") || rc.contains("HOST") || !rc.contains('@');
        assert_eq!(left[0].0 == "nothing", silent, "{rc}: {:?}", left[0]);
        if rc.starts_with("COMSAT=PORT@localhost\n:0:") {
            assert!(left[0].0.ends_with("@15:./box"), "{}", left[0].0);
        }
        for other in left.iter().skip(1) {
            assert_eq!(&left[0], other, "{rc}");
        }
    }
}

/// A lock in a directory that is not there is given up, and the delivery goes on without it.
#[test]
fn locks_that_cannot_be_made_are_given_up() {
    for run in runs() {
        let rc = "LOCKSLEEP=0\n:0:\nno/such/box\n:0\nbox\n";
        let left = run.left(run.start(&[], rc, MESSAGE));
        assert_eq!(left.exit, Some(0));
        assert_eq!(left.files["box"], format!("{MESSAGE}\n"));
        let failed = "procmail: Lock failure on \"no/such/box.lock\"".to_owned();
        assert!(left.log.contains(&failed), "{:#?}", left.log);
    }
}

/// A command that writes without end does not fill the memory with it.
#[test]
fn output_is_not_kept_without_bound() {
    let narrow = ["sh", "-c", "ulimit -v 500000; exec \"$@\"", "sh"];
    let rc = "LINEBUF=128\nA=`yes | head -c 700000000`\nVERBOSE=off\n:0\n* A ?? ^^y$y$\nbox\n";
    let mut left = Vec::new();
    for run in runs() {
        left.push(run.left(run.start(&narrow, rc, MESSAGE)));
    }
    let Left { exit, log, files } = &left[0];
    assert_eq!(*exit, Some(0), "{log:#?}");
    assert_eq!(files["box"], format!("{MESSAGE}\n"));
    let quenched =
        "procmail: Excessive output quenched from \"yes | head -c 700000000\"".to_owned();
    assert!(log.contains(&quenched), "{log:#?}");
    same(&left);
}
