//! Others who change the same mail at the same moment: in the middle of a listing, from another process, with a
//! clock that jumps.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::print_stdout,
    missing_docs
)]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use common::over::{Beside, Over};
use common::{at, configs, inbox, now, read};
use mailstore::{
    AccountConfig, AppendOptions, DeliveryId, FlagChange, Flags, Fs, Kind, Mailbox, RealFs, Store,
};

type Hook = Box<dyn FnOnce() + Send>;

/// The real files, where something happens between two halves of a listing.
#[derive(Clone, Default)]
struct Interrupted(Arc<Mutex<Option<(PathBuf, OsString, Hook)>>>);

impl Interrupted {
    /// In the next listing of `directory`, `hook` runs when the names below `middle` were given.
    fn arm(&self, directory: &Path, middle: &str, hook: impl FnOnce() + Send + 'static) {
        let hook: Hook = Box::new(hook);
        *self.0.lock().unwrap() = Some((directory.to_owned(), middle.into(), hook));
    }

    fn has_run(&self) -> bool {
        self.0.lock().unwrap().is_none()
    }
}

fn names(path: &Path) -> io::Result<BTreeMap<OsString, Kind>> {
    let mut names = BTreeMap::new();
    RealFs.readdir(path, &mut |name, kind| {
        names.insert(name.to_owned(), kind);
    })?;
    Ok(names)
}

impl Beside for Interrupted {
    fn readdir(&self, path: &Path, each: &mut dyn FnMut(&OsStr, Kind)) -> io::Result<()> {
        let armed = {
            let mut armed = self.0.lock().unwrap();
            armed.take_if(|(directory, _, _)| directory == path)
        };
        let Some((_, middle, hook)) = armed else {
            return RealFs.readdir(path, each);
        };
        let mut both: Vec<_> = names(path)?.range(..middle.clone()).map(own).collect();
        hook();
        both.extend(names(path)?.range(middle..).map(own));
        for (name, kind) in both {
            each(&name, kind);
        }
        Ok(())
    }
}

fn own((name, kind): (&OsString, &Kind)) -> (OsString, Kind) {
    (name.clone(), *kind)
}

fn body(name: &str) -> Vec<u8> {
    format!("Subject: {name}\r\n\r\nFrom {name}\r\n").into_bytes()
}

/// UID, flags and name of each message.
fn shown(mailbox: &Mailbox, time: SystemTime) -> Vec<(u32, Flags, String)> {
    let view = mailbox.refresh(time).unwrap();
    let row = |message: &mailstore::Message| {
        let content = String::from_utf8(read(mailbox, message.uid)).unwrap();
        let name = content.lines().next().unwrap()["Subject: ".len()..].to_owned();
        assert_eq!(content.as_bytes(), body(&name), "{name} is not whole");
        (message.uid, message.flags, name)
    };
    view.messages().iter().map(row).collect()
}

fn row(uid: u32, flags: Flags, name: &str) -> (u32, Flags, String) {
    (uid, flags, name.to_owned())
}

/// A Maildir with messages a, m and z in `cur`, and what is done in the middle of a listing of it.
fn in_the_middle(
    directory: &str,
    hook: impl FnOnce(&Path) + Send + 'static,
) -> [Vec<(u32, Flags, String)>; 2] {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("Maildir");
    let fs = Interrupted::default();
    let store = Store::with_fs(Arc::new(Over(fs.clone())));
    let account = store
        .account(&AccountConfig::maildir(&path, "host"))
        .unwrap();
    let mailbox = inbox(&account);
    for name in ["a", "m", "z"] {
        std::fs::write(path.join(format!("cur/{name}:2,")), body(name)).unwrap();
    }
    let later = now() + std::time::Duration::from_secs(60);
    let before = shown(&mailbox, later);
    assert_eq!(before.len(), 3);
    let there = path.join(directory);
    let changed = there.join("changed");
    let hooked = path.clone();
    fs.arm(&there, "m", move || hook(&hooked));
    // Makes the listing necessary.
    std::fs::write(&changed, b"").unwrap();
    std::fs::remove_file(&changed).unwrap();
    let first = shown(&mailbox, later);
    assert!(fs.has_run());
    [
        first,
        shown(&mailbox, later + std::time::Duration::from_secs(60)),
    ]
}

#[test]
fn a_message_renamed_while_the_directory_is_read_is_never_gone() {
    let (none, seen) = (Flags::NONE, Flags::SEEN);
    // From the half that is not read yet into the one that was: it is in neither.
    let [first, second] = in_the_middle("cur", |path| {
        std::fs::rename(path.join("cur/z:2,"), path.join("cur/0z:2,")).unwrap();
        std::fs::rename(path.join("cur/0z:2,"), path.join("cur/z:2,S")).unwrap();
    });
    assert_eq!(first.len(), 3);
    assert_eq!(
        second,
        [row(1, none, "a"), row(2, none, "m"), row(3, seen, "z")]
    );
    // By flags alone, over the middle: the old name is not there any more, the new one is passed.
    let [first, second] = in_the_middle("cur", |path| {
        std::fs::rename(path.join("cur/m:2,"), path.join("cur/m")).unwrap();
    });
    assert_eq!(first, second);
    assert_eq!(second.len(), 3);
    // From `new` to `cur`, between the two listings.
    let [first, second] = in_the_middle("cur", |path| {
        std::fs::write(path.join("tmp/b"), body("b")).unwrap();
        std::fs::rename(path.join("tmp/b"), path.join("new/b")).unwrap();
        std::fs::rename(path.join("new/b"), path.join("cur/b:2,")).unwrap();
    });
    assert_eq!(first.len(), 3, "behind what was read");
    assert_eq!(second[3], row(4, none, "b"));
}

#[test]
fn a_delivery_while_the_directory_is_read_is_seen_at_the_next_look() {
    let arrive = |path: &Path| {
        for name in ["b", "y"] {
            std::fs::write(path.join("tmp").join(name), body(name)).unwrap();
            std::fs::rename(path.join("tmp").join(name), path.join("new").join(name)).unwrap();
        }
    };
    for directory in ["new", "cur"] {
        let [first, second] = in_the_middle(directory, arrive);
        let names: BTreeSet<&str> = second.iter().map(|(_, _, name)| name.as_str()).collect();
        assert_eq!(
            names,
            BTreeSet::from(["a", "b", "m", "y", "z"]),
            "{directory}"
        );
        // No UID is given below one that was shown.
        let highest = first.iter().map(|(uid, _, _)| *uid).max().unwrap();
        for (uid, _, name) in &second {
            assert!(
                first.iter().any(|(_, _, old)| old == name) || *uid > highest,
                "{name}"
            );
        }
    }
}

#[test]
fn a_clock_that_jumps_does_no_harm() {
    let root = tempfile::tempdir().unwrap();
    for config in configs(root.path()) {
        let [one, other] = [(); 2].map(|()| {
            let account = Store::new().account(&config).unwrap();
            (inbox(&account), account)
        });
        let hour = std::time::Duration::from_secs(3600);
        let clock = [
            now(),
            now() - 1000 * hour,
            now() + 1000 * hour,
            at(0),
            now(),
        ];
        let mut wanted = Vec::new();
        for (nth, time) in clock.into_iter().enumerate() {
            let name = format!("m{nth}");
            let mut append = one.0.append(time).unwrap();
            append.write(&body(&name)).unwrap();
            let uid = append.commit(AppendOptions::at(time), time).unwrap().uid;
            wanted.push((uid, Flags::NONE, name));
            if nth == 2 {
                let seen = FlagChange::add(Flags::SEEN);
                one.0.set_flags(&[uid], &seen, None, time).unwrap();
                wanted[nth].1 = Flags::SEEN;
            }
        }
        assert!(wanted.is_sorted_by_key(|(uid, _, _)| *uid));
        // Whoever looks, with whatever clock, once a change is not of this very moment any more.
        for time in [now() + hour, now() - hour, at(0)] {
            assert_eq!(shown(&other.0, time), wanted, "{config:?}");
            assert_eq!(shown(&one.0, time), wanted, "{config:?}");
        }
    }
}

const EACH: usize = 24;
const PLACE: &str = "POSTHASTE_TEST_OTHER_PROCESS";

/// Appends, delivers, flags and looks; gives the UIDs of what was appended.
fn busy(config: &AccountConfig, who: &str) -> Vec<(u32, String)> {
    let account = Store::new().account(config).unwrap();
    let mailbox = account.mailbox("INBOX", now()).unwrap();
    let mut uids = Vec::new();
    for n in 0..EACH {
        let name = format!("{who}-{n}");
        if n % 3 == 0 {
            let id = DeliveryId {
                id: name.clone(),
                arrived: now(),
                maybe_delivered: false,
            };
            let mut delivery = account.deliver("INBOX", id, now()).unwrap();
            delivery.write(&body(&name)).unwrap();
            delivery.commit(AppendOptions::at(now()), now()).unwrap();
            mailbox.refresh(now()).unwrap();
            continue;
        }
        let mut append = mailbox.append(now()).unwrap();
        append.write(&body(&name)).unwrap();
        let uid = append.commit(AppendOptions::at(now()), now()).unwrap().uid;
        let flagged = FlagChange::add(Flags::FLAGGED);
        mailbox.set_flags(&[uid], &flagged, None, now()).unwrap();
        uids.push((uid, name));
    }
    uids
}

/// What the other process of `two_processes_write` does; nothing unless it was started for that.
#[test]
fn the_other_process() {
    let Some(root) = std::env::var_os(PLACE) else {
        return;
    };
    for config in configs(Path::new(&root)) {
        for (uid, name) in busy(&config, "other") {
            println!("\nuid {uid} {name}");
        }
    }
    io::stdout().flush().unwrap();
}

#[test]
fn two_processes_write() {
    let root = tempfile::tempdir().unwrap();
    let other = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "the_other_process",
            "--nocapture",
            "--test-threads=1",
        ])
        .env(PLACE, root.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let told: Vec<Vec<(u32, String)>> = configs(root.path())
        .iter()
        .map(|config| busy(config, "this"))
        .collect();
    let output = other.wait_with_output().unwrap();
    assert!(output.status.success());
    let theirs: Vec<(u32, String)> = String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .filter_map(|line| line.strip_prefix("uid ")?.split_once(' '))
        .map(|(uid, name)| (uid.parse().unwrap(), name.to_owned()))
        .collect();
    let appended = EACH - EACH.div_ceil(3);
    assert_eq!(theirs.len(), told.len() * appended);
    for (nth, config) in configs(root.path()).iter().enumerate() {
        let account = Store::new().account(config).unwrap();
        let rows = shown(&account.mailbox("INBOX", now()).unwrap(), now());
        let names: BTreeSet<&str> = rows.iter().map(|(_, _, name)| name.as_str()).collect();
        assert_eq!(
            (rows.len(), names.len()),
            (2 * EACH, 2 * EACH),
            "{config:?}"
        );
        let theirs = &theirs[nth * appended..(nth + 1) * appended];
        for (uid, name) in told[nth].iter().chain(theirs) {
            assert!(
                rows.contains(&row(*uid, Flags::FLAGGED, name)),
                "{config:?}: UID {uid} of {name}: {rows:?}"
            );
        }
    }
}

/// What one reader was told last, against what it is told next.
struct Told(Arc<mailstore::Snapshot>);

impl Told {
    fn next(&mut self, view: mailstore::Snapshot) {
        let before = &self.0;
        assert_eq!(view.uid_validity, before.uid_validity);
        assert!(view.uid_next >= before.uid_next);
        assert!(view.highest_modseq >= before.highest_modseq);
        for message in view.messages() {
            assert!(message.uid < view.uid_next);
            assert!(message.modseq <= view.highest_modseq);
            match before.message(message.uid) {
                // Whoever asks for what is above the last UID or sequence that it knows is told of this one.
                None => assert!(
                    message.uid >= before.uid_next && message.modseq > before.highest_modseq,
                    "UID {} of modseq {} was passed over",
                    message.uid,
                    message.modseq
                ),
                Some(known) if known.modseq == message.modseq => {
                    assert_eq!(known.flags, message.flags);
                }
                Some(_) => assert!(message.modseq > before.highest_modseq),
            }
        }
        self.0 = Arc::new(view);
    }
}

#[test]
fn no_uid_or_modseq_is_seen_before_a_smaller_one() {
    const WRITERS: u64 = 3;
    const EACH_WRITES: u64 = 12;
    let directory = tempfile::tempdir().unwrap();
    let memory = AccountConfig::memory(directory.path().join("memory"));
    for config in configs(directory.path()).into_iter().chain([memory]) {
        let store = Store::new();
        let mailbox = inbox(&store.account(&config).unwrap());
        let first = mailbox.refresh(now()).unwrap();
        let told = || Mutex::new(Told(Arc::new(first.clone())));
        let woken = Arc::new(told());
        let _watch = mailbox.watch({
            let (mailbox, woken) = (Arc::downgrade(&mailbox), Arc::clone(&woken));
            move || {
                let mut woken = woken.lock().unwrap();
                let view = mailbox.upgrade().map(|mailbox| mailbox.snapshot());
                view.into_iter().for_each(|view| woken.next(view));
            }
        });
        let done = std::sync::atomic::AtomicU64::new(0);
        std::thread::scope(|scope| {
            for writer in 0..WRITERS {
                let (store, config, done) = (&store, &config, &done);
                scope.spawn(move || {
                    let account = store.account(config).unwrap();
                    let mailbox = inbox(&account);
                    for n in 0..EACH_WRITES {
                        let content = body(&format!("w{writer}-{n}"));
                        if n % 3 == 0 {
                            let id = DeliveryId {
                                id: format!("w{writer}-{n}"),
                                arrived: at(1),
                                maybe_delivered: false,
                            };
                            let mut delivery = account.deliver("INBOX", id, now()).unwrap();
                            delivery.write(&content).unwrap();
                            delivery.commit(AppendOptions::at(at(2)), now()).unwrap();
                            mailbox.refresh(now()).unwrap();
                        } else {
                            let mut append = mailbox.append(now()).unwrap();
                            append.write(&content).unwrap();
                            let appended = append.commit(AppendOptions::at(at(2)), now()).unwrap();
                            let change = FlagChange::add(Flags::SEEN);
                            let uids = [appended.uid];
                            mailbox.set_flags(&uids, &change, None, now()).unwrap();
                        }
                    }
                    done.fetch_add(1, std::sync::atomic::Ordering::Release);
                });
            }
            for refreshes in [false, true] {
                let (mailbox, done) = (&mailbox, &done);
                let told = told();
                scope.spawn(move || {
                    let mut told = told.into_inner().unwrap();
                    while done.load(std::sync::atomic::Ordering::Acquire) < WRITERS {
                        if refreshes {
                            told.next(mailbox.refresh(now()).unwrap());
                        } else {
                            told.next(mailbox.snapshot());
                        }
                        std::thread::yield_now();
                    }
                });
            }
        });
        let view = mailbox.refresh(now()).unwrap();
        let names: Vec<_> = shown(&mailbox, now());
        let count = view.messages().len() as u64;
        assert_eq!(count, WRITERS * EACH_WRITES, "{config:?}: {names:?}");
    }
}
