use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::SystemTime;

use super::place::{BY_HAND, SCRIPTS};
use super::*;

fn place(home: &Path) -> ScriptPlace {
    let place = ScriptPlace {
        folder: home.join("sieve"),
        active: home.join(".dovecot.sieve"),
    };
    place.make_folder().unwrap();
    place
}

/// The scripts as one program sees them.
fn program(place: &ScriptPlace) -> LocalScripts {
    LocalScripts::new(place.clone(), Blocking::new(4))
}

fn runtime() -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().build().unwrap()
}

fn names(place: &ScriptPlace) -> Vec<(String, bool)> {
    let list = place.list().unwrap();
    list.into_iter().map(|own| (own.name, own.active)).collect()
}

#[test]
fn scripts_come_and_go() {
    let home = tempfile::tempdir().unwrap();
    let place = place(home.path());
    assert!(names(&place).is_empty());
    place.put("one", b"keep;").unwrap();
    place.put("one", b"discard;").unwrap();
    place.put("zwei \u{e4}", b"stop;").unwrap();
    place.activate(Some("one")).unwrap();
    assert_eq!(fs::read(&place.active).unwrap(), b"discard;");
    assert_eq!(
        fs::read_link(&place.active).unwrap(),
        Path::new("sieve/one.sieve")
    );
    assert!(matches!(place.remove("one"), Err(ScriptError::Active(_))));
    place.rename("one", "two").unwrap();
    assert_eq!(
        names(&place),
        [("two".into(), true), ("zwei \u{e4}".into(), false)]
    );
    assert!(matches!(
        place.rename("zwei \u{e4}", "two"),
        Err(ScriptError::Exists(_))
    ));
    place.activate(None).unwrap();
    place.activate(None).unwrap();
    place.remove("two").unwrap();
    assert!(matches!(place.remove("two"), Err(ScriptError::Unknown(_))));
    assert!(matches!(
        place.activate(Some("two")),
        Err(ScriptError::Unknown(_))
    ));
    assert!(matches!(place.read("two"), Err(ScriptError::Unknown(_))));
}

#[test]
fn names_stay_in_the_folder() {
    let home = tempfile::tempdir().unwrap();
    let place = place(home.path());
    for name in ["", "a\0b", "a\nb", &"n".repeat(513)] {
        assert!(
            matches!(place.put(name, b""), Err(ScriptError::Name(_))),
            "{name:?}"
        );
    }
    let names = [".", "..", "../x", "a/b", ".posthaste", "/etc/x"];
    for name in names {
        place.put(name, name.as_bytes()).unwrap();
        assert_eq!(&place.read(name).unwrap()[..], name.as_bytes());
    }
    assert_eq!(self::names(&place).len(), names.len());
    let beside: Vec<_> = fs::read_dir(home.path()).unwrap().collect();
    assert_eq!(beside.len(), 1, "{beside:?}");
    place.put(&"n".repeat(249), b"").unwrap();
    assert!(
        place
            .folder
            .join(format!("{}.sieve", "n".repeat(249)))
            .exists()
    );
    for n in names.len() + 1..SCRIPTS {
        place.put(&n.to_string(), b"").unwrap();
    }
    assert!(matches!(
        place.put("more", b""),
        Err(ScriptError::TooMany(_))
    ));
    place.put("99", b"again").unwrap();
}

/// RFC 5804 §1.6: 128 characters, which may be 512 octets.
#[test]
fn long_names_are_as_good_as_short_ones() {
    let home = tempfile::tempdir().unwrap();
    let place = place(home.path());
    let (one, two) = ("\u{1F600}".repeat(128), "n".repeat(512));
    // Alike in all that a file's name could hold.
    let three = format!("{}o", "n".repeat(511));
    for name in [&one, &two, &three] {
        place.put(name, name.as_bytes()).unwrap();
    }
    place.activate(Some(&two)).unwrap();
    assert_eq!(fs::read(&place.active).unwrap(), two.as_bytes());
    let listed = [
        (two.clone(), true),
        (three.clone(), false),
        (one.clone(), false),
    ];
    assert_eq!(names(&place), listed);
    assert!(matches!(place.remove(&two), Err(ScriptError::Active(_))));
    assert!(matches!(
        place.rename(&two, &one),
        Err(ScriptError::Exists(_))
    ));
    // To a short one and back, and to another long one.
    let four = "\u{e4}".repeat(256);
    for (from, to) in [(two.as_str(), "short"), ("short", &two), (&two, &four)] {
        place.rename(from, to).unwrap();
        assert!(matches!(place.read(from), Err(ScriptError::Unknown(_))));
        assert_eq!(&place.read(to).unwrap()[..], two.as_bytes());
        assert!(names(&place).contains(&(to.to_owned(), true)), "{to}");
        assert_eq!(names(&place).len(), 3);
    }
    assert!(matches!(
        place.rename(&two, "short"),
        Err(ScriptError::Unknown(_))
    ));
    place.activate(None).unwrap();
    for name in [&one, &three, &four] {
        place.remove(name).unwrap();
    }
    // Nothing is left of them.
    assert_eq!(fs::read_dir(&place.folder).unwrap().count(), 0);
}

/// The link to the active script may lie beside them.
#[test]
fn the_active_link_is_no_script() {
    let home = tempfile::tempdir().unwrap();
    let place = ScriptPlace {
        folder: home.path().to_owned(),
        active: home.path().join("active.sieve"),
    };
    place.put("one", b"keep;").unwrap();
    place.activate(Some("one")).unwrap();
    assert_eq!(names(&place), [("one".into(), true)]);
    place.put("active", b"stop;").unwrap();
    assert_eq!(fs::read(&place.active).unwrap(), b"keep;");
    assert_eq!(&place.read("active").unwrap()[..], b"stop;");
    assert_eq!(
        names(&place),
        [("active".into(), false), ("one".into(), true)]
    );
}

#[test]
fn what_was_put_by_hand_is_kept() {
    let home = tempfile::tempdir().unwrap();
    let place = place(home.path());
    fs::write(&place.active, "stop;").unwrap();
    place.put("own", b"keep;").unwrap();
    place.activate(Some("own")).unwrap();
    assert_eq!(&place.read(BY_HAND).unwrap()[..], b"stop;");
    assert_eq!(fs::read(&place.active).unwrap(), b"keep;");
    fs::remove_file(&place.active).unwrap();
    fs::write(&place.active, "discard;").unwrap();
    assert!(place.activate(None).is_err());
    assert_eq!(fs::read(&place.active).unwrap(), b"discard;");
    // A crash may come between keeping it and replacing it.
    fs::remove_file(place.folder.join(format!("{BY_HAND}.sieve"))).unwrap();
    fs::hard_link(&place.active, place.folder.join(format!("{BY_HAND}.sieve"))).unwrap();
    place.activate(Some("own")).unwrap();
    assert_eq!(&place.read(BY_HAND).unwrap()[..], b"discard;");
}

#[test]
fn nothing_is_made_by_looking() {
    let home = tempfile::tempdir().unwrap();
    let place = ScriptPlace {
        folder: home.path().join("far/sieve"),
        active: home.path().join(".dovecot.sieve"),
    };
    let scripts = program(&place);
    runtime().block_on(async {
        assert!(scripts.list().await.unwrap().is_empty());
        assert!(matches!(
            scripts.remove("x").await,
            Err(ScriptError::Unknown(_))
        ));
        assert!(!home.path().join("far").exists());
        scripts
            .put("x", Bytes::from_static(b"keep;"))
            .await
            .unwrap();
        assert_eq!(scripts.list().await.unwrap().len(), 1);
    });
}

/// Counts one up when it goes.
struct Ended<'a>(&'a AtomicUsize);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// Two programs know nothing of each other's mutex.
#[test]
fn two_programs_leave_one_whole_script_active_at_all_times() {
    let home = tempfile::tempdir().unwrap();
    let place = place(home.path());
    // Of different lengths, so that one written into the other shows.
    let sources = ["keep; # the first", "discard;"];
    for (name, source) in ["a", "b"].iter().zip(sources) {
        place.put(name, source.as_bytes()).unwrap();
    }
    fs::write(&place.active, sources[0]).unwrap();
    let done = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for (name, source) in ["a", "b"].iter().zip(sources) {
            let (own, done) = (program(&place), &done);
            scope.spawn(move || {
                // Whatever fails, the reader below ends.
                let _ended = Ended(done);
                runtime().block_on(async {
                    for _ in 0..25 {
                        own.activate(Some(name)).await.unwrap();
                        own.put(name, Bytes::from_static(source.as_bytes()))
                            .await
                            .unwrap();
                    }
                });
            });
        }
        while done.load(Ordering::SeqCst) < 2 {
            let active = fs::read_to_string(&place.active).unwrap();
            assert!(sources.contains(&active.as_str()), "{active:?}");
            std::thread::yield_now();
        }
    });
    let listed = names(&place);
    assert_eq!(listed.iter().filter(|(_, active)| *active).count(), 1);
    // Kept once, by the first of them.
    assert_eq!(&place.read(BY_HAND).unwrap()[..], sources[0].as_bytes());
    for (name, source) in ["a", "b"].iter().zip(sources) {
        assert_eq!(&place.read(name).unwrap()[..], source.as_bytes());
    }
    // Both scripts, and the one that was there: no file on its way is left.
    assert_eq!(fs::read_dir(&place.folder).unwrap().count(), 3);
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 2);
}

/// One takes a script away while another makes it active: one of them is refused.
#[test]
fn a_script_that_becomes_active_is_not_removed() {
    let home = tempfile::tempdir().unwrap();
    let place = place(home.path());
    place.put("always", b"keep;").unwrap();
    for _ in 0..20 {
        place.activate(Some("always")).unwrap();
        place.put("other", b"stop;").unwrap();
        let (first, second) = (program(&place), program(&place));
        let activate =
            std::thread::spawn(move || runtime().block_on(first.activate(Some("other"))).is_ok());
        let remove = std::thread::spawn(move || runtime().block_on(second.remove("other")).is_ok());
        let (activated, removed) = (activate.join().unwrap(), remove.join().unwrap());
        assert_ne!(activated, removed);
        let expected: &[u8] = if activated { b"stop;" } else { b"keep;" };
        assert_eq!(fs::read(&place.active).unwrap(), expected);
    }
}

/// As many as there may be, and no more, whoever puts them.
#[test]
fn two_programs_keep_to_the_limit_together() {
    let home = tempfile::tempdir().unwrap();
    let place = place(home.path());
    for n in 0..SCRIPTS - 3 {
        fs::write(place.folder.join(format!("{n}.sieve")), "keep;").unwrap();
    }
    std::thread::scope(|scope| {
        for name in ["a", "b"] {
            let own = program(&place);
            scope.spawn(move || {
                runtime().block_on(async {
                    for n in 0..4 {
                        let source = Bytes::from_static(b"keep;");
                        let put = own.put(&format!("{name}{n}"), source).await;
                        assert!(
                            matches!(put, Ok(()) | Err(ScriptError::TooMany(_))),
                            "{put:?}"
                        );
                    }
                });
            });
        }
    });
    assert_eq!(names(&place).len(), SCRIPTS);
}

#[test]
fn waiting_ends_and_stops_nobody_else() {
    let home = tempfile::tempdir().unwrap();
    let place = place(home.path());
    let mut scripts = program(&place);
    let source = || Bytes::from_static(b"keep;");
    runtime().block_on(async {
        let held = place.claim().unwrap().unwrap();
        assert!(held.is_some());
        // On this one thread, what lets go of the lock runs while the other waits.
        let (put, ()) = tokio::join!(scripts.put("a", source()), async {
            tokio::time::sleep(LOOK * 4).await;
            assert!(scripts.read("a").await.is_err());
            drop(held);
        });
        put.unwrap();
        scripts.patience = LOOK * 4;
        let held = place.claim().unwrap().unwrap();
        let refused = scripts.put("b", source()).await;
        assert!(matches!(refused, Err(ScriptError::Storage(_))));
        drop(held);
        assert!(matches!(
            scripts.read("b").await,
            Err(ScriptError::Unknown(_))
        ));
        assert_eq!(&scripts.read("a").await.unwrap()[..], b"keep;");
    });
}

/// What a program that was killed has left is no script, stands in nobody's
/// way and goes once it is old.
#[test]
fn what_was_left_behind_goes() {
    let home = tempfile::tempdir().unwrap();
    let place = place(home.path());
    let half = place.folder.join(".posthaste-new-0123456789abcdef");
    let link = home
        .path()
        .join(".dovecot.sieve.posthaste-new-0123456789abcdef");
    let users = home.path().join(".dovecot.sieve.posthaste-new-notes");
    fs::write(&half, "kee").unwrap();
    fs::write(&users, "mine").unwrap();
    symlink("sieve/gone.sieve", &link).unwrap();
    place.put("one", b"keep;").unwrap();
    place.activate(Some("one")).unwrap();
    assert_eq!(names(&place), [("one".into(), true)]);
    // Somebody may be at work on them.
    assert!(half.exists() && link.is_symlink());
    let later = SystemTime::now() + Duration::from_secs(2 * 3600);
    place.sweep(&place.folder, ".posthaste-new-", later);
    place.sweep(home.path(), ".dovecot.sieve.posthaste-new-", later);
    assert!(!half.exists() && !link.is_symlink());
    assert!(users.exists() && place.active.exists());
    // And by what is done every day.
    let old = fs::File::create(&half).unwrap();
    old.set_modified(SystemTime::now() - Duration::from_secs(2 * 3600))
        .unwrap();
    place.put("one", b"stop;").unwrap();
    assert!(!half.exists());
}
