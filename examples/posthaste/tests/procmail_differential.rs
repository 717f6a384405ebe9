//! Rcfiles made by chance, run by Debian's procmail and by this one: the same
//! folders, log lines, variables and exit codes must come of them.
//!
//! Needs procmail; runs where POSTHASTE_INTEROP=1. POSTHASTE_SEED gives
//! another seed, POSTHASTE_PAIRS another number of pairs, POSTHASTE_PROCMAIL
//! another procmail.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    missing_docs
)]

mod common;
#[path = "../../../procmail-rules/tests/corpus/generator.rs"]
mod generator;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use common::differential::{assert_same, command, number};
use generator::{Chance, Writer};
use posthaste::procmail::{Account, Host, Policy};
use procmail_rules::{Config, Evaluator, RcFile, RegexCache};
use regex_automata::meta::Regex;

const DEBIAN: &str = "/usr/bin/procmail";
const SEED: u64 = 20_260_101;
const PAIRS: u64 = 2_400;
/// The real program sleeps until the second is over after it has written to an mbox: most of the workers wait.
const WORKERS: u64 = 96;

/// So many pairs there are at least, however slow the machine.
const FEWEST: u64 = 2_000;

/// No more pairs are begun after this, once those were compared.
const ENOUGH: Duration = Duration::from_secs(300);

/// So often a pair differs until it does: the real program's own processes race with each other, and under load one of
/// them may end before it got its input.
const TRIES: usize = 4;

/// Of so many pairs one has our command run as a program, the others run it in this process.
const SPAWNED: u64 = 12;

/// What came of a run.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    exit: Option<i32>,
    stdout: String,
    log: Vec<String>,
    /// The folders' messages by name, and how often each.
    files: BTreeMap<(String, String), usize>,
}

/// An rcfile that the others may include or switch to.
const INCLUDED: &str = "I=1\n:0 c\n* ^Subject\ninc-$I\n";

/// Another, with a chain and a block of its own.
const INCLUDED_TOO: &str = ":0 A\n{ I=also }\n:0 E\n{ I=else\n:0 a\nB=| cat >/dev/null; echo $I }\n:0 c\n* \
     ^From.*\\/[a-z]+\ninc2-$I-$_\n}\n:0 E\nC=| sed -n 1p\n";

/// What there is before the run.
const FILES: [(&str, &str); 7] = [
    ("inc.rc", INCLUDED),
    ("inc2.rc", INCLUDED_TOO),
    (
        "sub/inc3.rc",
        "LOG=\"$_\n\"\nINCLUDERC=inc.rc\n:0 c\ninc3\n",
    ),
    ("crlf.rc", "I=crlf\r\n:0 c\r\nf-$I\r\n"),
    ("plain", "what was there\n"),
    // No Maildir can be made of this.
    ("odd/new", "a file\n"),
    ("mh/7", "a message\n"),
];

const ASSIGNMENTS: [&str; 7] = [
    "LOGFILE=log",
    "DEFAULT=default",
    "ORGMAIL=orgmail",
    "SHELL=/bin/sh",
    "LOCKSLEEP=0",
    "SUSPEND=1",
    "TRAP=env|sort",
];

/// How a case is run.
enum By<'a> {
    /// A program of this name.
    Program(&'a str),
    /// The library, in this process.
    Library(&'a Arc<RegexCache>),
}

/// Runs the case; nothing if the program crashed or hung.
fn observe(by: &By<'_>, place: &Path, rc: &str, message: &str, unique: &Regex) -> Option<Seen> {
    let _ = fs::remove_dir_all(place);
    for folder in ["bin", "work/dir", "work/sub"] {
        fs::create_dir_all(place.join(folder)).unwrap();
    }
    let work = place.join("work");
    let sendmail = place.join("bin/sendmail");
    for (name, text) in FILES {
        fs::create_dir_all(work.join(name).parent().unwrap()).unwrap();
        fs::write(work.join(name), text).unwrap();
    }
    fs::write(work.join("rc"), rc).unwrap();
    fs::set_permissions(&work, fs::Permissions::from_mode(0o755)).unwrap();
    std::os::unix::fs::symlink(place.parent().unwrap().join("sendmail"), &sendmail).unwrap();
    let sendmail = format!("SENDMAIL={}", sendmail.display());
    // Whoever runs is called the same: an rcfile can ask for the name.
    let name = place.join("bin/procmail").display().to_string();
    let (exit, stdout) = match by {
        By::Program(program) => {
            std::os::unix::fs::symlink(program, &name).unwrap();
            let output = spawn(&name, &work, &sendmail, message);
            let exit = output.status.code();
            if output.status.signal().is_some()
                || exit.is_some_and(|code| code == 124 || code == 137)
            {
                return None;
            }
            (exit, output.stdout)
        }
        By::Library(regexes) => run(regexes, &name, &work, &sendmail, message),
    };
    let own = format!("{}/", work.display());
    let plain = |octets: &[u8]| {
        let text = String::from_utf8_lossy(octets)
            .replace(&name, "procmail")
            .replace(&own, "");
        let mut plain = String::new();
        let mut at = 0;
        for found in unique.find_iter(text.as_bytes()) {
            plain.push_str(&text[at..found.start()]);
            plain.push_str("UNIQUE");
            at = found.end();
        }
        plain + &text[at..]
    };
    let mut files = BTreeMap::new();
    let mut log = Vec::new();
    for file in tree(place) {
        let name = file.strip_prefix(place).unwrap().to_str().unwrap();
        let name = name.strip_prefix("work/").unwrap_or(name);
        if name == "rc" || name.starts_with("bin") || name == "work" {
            continue;
        }
        let metadata = fs::symlink_metadata(&file).unwrap();
        if metadata.is_dir() {
            let name = format!("{}/ {:o}", plain(name.as_bytes()), metadata.mode());
            files.insert((name, String::new()), 1);
            continue;
        }
        let octets = fs::read(&file).unwrap();
        if name.starts_with("log") || name == "sub/log" {
            let lines = plain(&octets);
            let lines = lines
                .lines()
                .filter(|line| !line.starts_with("procmail: ["))
                // How a program's own name shows in its environment is its shell's matter.
                .filter(|line| !line.starts_with("_=") && !line.starts_with("PWD="))
                .filter(|line| !line.starts_with("OLDPWD="))
                // The size stands at a column that the name moves.
                .map(|line| match line.strip_prefix("  Folder: ") {
                    Some(rest) => rest.split_whitespace().collect::<Vec<_>>().join(" "),
                    None => line.to_owned(),
                });
            log.extend(lines);
        } else {
            let (mode, links) = (metadata.mode(), metadata.nlink());
            let name = format!("{} {mode:o} {links}", plain(name.as_bytes()));
            *files.entry((name, plain(&octets))).or_default() += 1;
        }
    }
    Some(Seen {
        exit,
        stdout: plain(&stdout),
        log: settle(log, &captured(rc)),
        files,
    })
}

/// What captures into a variable is told by two processes at once, in either order: that a capture begins is compared
/// apart.
fn settle(log: Vec<String>, captured: &[String]) -> Vec<String> {
    let begins = |line: &String| {
        line.strip_prefix("procmail: Assigning \"")
            .and_then(|rest| rest.strip_suffix("=\""))
            .is_some_and(|name| captured.iter().any(|captured| captured == name))
    };
    let (begun, mut settled): (Vec<_>, Vec<_>) = log.into_iter().partition(begins);
    settled.extend(begun);
    settled
}

/// The variables that an rcfile, or one that it may include, captures into.
fn captured(rc: &str) -> Vec<String> {
    static CAPTURES: LazyLock<Regex> =
        LazyLock::new(|| Regex::new("[A-Za-z_][A-Za-z0-9_]*[ \t]*=[ \t]*[|!]").unwrap());
    let included = if rc.contains("inc2.rc") {
        INCLUDED_TOO
    } else {
        ""
    };
    [rc, included]
        .into_iter()
        .flat_map(|rc| CAPTURES.find_iter(rc).map(|found| &rc[found.range()]))
        .filter_map(|capture| Some(capture.split_once('=')?.0.trim().to_owned()))
        .collect()
}

/// All files and folders below a folder, in order.
fn tree(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut waiting = vec![folder.to_owned()];
    while let Some(folder) = waiting.pop() {
        for entry in fs::read_dir(folder).unwrap().flatten() {
            if entry.file_type().unwrap().is_dir() {
                waiting.push(entry.path());
            }
            found.push(entry.path());
        }
    }
    found.sort();
    found
}

fn spawn(program: &str, work: &Path, sendmail: &str, message: &str) -> Output {
    let mut child = Command::new("timeout")
        .args(["-k", "1", "60", program, "-a", "one"])
        .args(ASSIGNMENTS)
        .args([sendmail, "./rc"])
        .env_clear()
        .env("TZ", "UTC")
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .current_dir(work)
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let _ = child.stdin.take().unwrap().write_all(message.as_bytes());
    child.wait_with_output().unwrap()
}

/// What the command does, without a process of its own.
fn run(
    regexes: &Arc<RegexCache>,
    program: &str,
    work: &Path,
    sendmail: &str,
    message: &str,
) -> (Option<i32>, Vec<u8>) {
    let account = Account::own().unwrap();
    let name = posthaste::procmail::host_name();
    let assignments = ASSIGNMENTS
        .iter()
        .copied()
        .chain([sendmail])
        .map(|assignment| assignment.as_bytes().to_vec())
        .collect();
    let config = Config {
        system_mailbox: Some(account.mailbox()),
        logname: account.name.clone(),
        home: account.home,
        shell: account.shell,
        host: name.clone().into_bytes(),
        program: program.as_bytes().to_vec(),
        arguments: vec![b"one".to_vec()],
        pid: std::process::id(),
        inherited: vec![(b"TZ".to_vec(), b"UTC".to_vec())],
        assignments,
        rcfiles: vec![RcFile::named(b"./rc".as_slice())],
        regexes: Arc::clone(regexes),
        ..Config::default()
    };
    let policy = Policy {
        programs: true,
        own_process: false,
    };
    let logname = String::from_utf8(account.name).unwrap();
    let mut host = Host::new(policy, &name, &logname, work, 0o077);
    host.keep_output();
    let exit = match host.run(Evaluator::new(config, message.as_bytes())) {
        Ok(outcome) => outcome.exit,
        Err(_) => 75,
    };
    (Some(i32::from(exit)), host.output().to_vec())
}

/// Rcfiles that once made a difference, with their messages: the first line tells what it was,
/// `-- message` stands between the two.
const FOUND: &[&str] = &[
    include_str!("procmail_found/arguments_in_a_word.txt"),
    include_str!("procmail_found/blanks_before_a_value.txt"),
    include_str!("procmail_found/blanks_behind_a_name.txt"),
    include_str!("procmail_found/comment_in_a_size.txt"),
    include_str!("procmail_found/content_length_of_half_a_line.txt"),
    include_str!("procmail_found/count_of_marks_at_the_end.txt"),
    include_str!("procmail_found/counted_words.txt"),
    include_str!("procmail_found/default_in_no_directory.txt"),
    include_str!("procmail_found/default_that_is_a_file.txt"),
    include_str!("procmail_found/directories_in_trace.txt"),
    include_str!("procmail_found/directory_named_twice.txt"),
    include_str!("procmail_found/empty_before_comment.txt"),
    include_str!("procmail_found/empty_folder.txt"),
    include_str!("procmail_found/end_before_a_mark.txt"),
    include_str!("procmail_found/end_of_a_counted_text.txt"),
    include_str!("procmail_found/filter_flag_on_a_folder.txt"),
    include_str!("procmail_found/filter_without_a_body.txt"),
    include_str!("procmail_found/first_line_behind_newlines.txt"),
    include_str!("procmail_found/flags_told_after_words.txt"),
    include_str!("procmail_found/folded_subject.txt"),
    include_str!("procmail_found/host_after_a_filter.txt"),
    include_str!("procmail_found/invalid_regexp.txt"),
    include_str!("procmail_found/line_of_a_backslash.txt"),
    include_str!("procmail_found/lock_at_the_end.txt"),
    include_str!("procmail_found/lock_of_a_program.txt"),
    include_str!("procmail_found/lock_of_the_first_word.txt"),
    include_str!("procmail_found/mark_at_the_end_of_an_alternative.txt"),
    include_str!("procmail_found/mark_of_alternatives.txt"),
    include_str!("procmail_found/mark_of_later_alternatives.txt"),
    include_str!("procmail_found/marks_of_ways_that_meet.txt"),
    include_str!("procmail_found/match_of_nothing.txt"),
    include_str!("procmail_found/name_before_comment.txt"),
    include_str!("procmail_found/narrow_content_length.txt"),
    include_str!("procmail_found/newline_in_a_size.txt"),
    include_str!("procmail_found/no_maildir.txt"),
    include_str!("procmail_found/nothing_before_a_blank.txt"),
    include_str!("procmail_found/nothing_to_rescue.txt"),
    include_str!("procmail_found/nul_in_a_match.txt"),
    include_str!("procmail_found/nul_in_an_rcfile.txt"),
    include_str!("procmail_found/null_folder_in_trace.txt"),
    include_str!("procmail_found/numbers_that_are_words.txt"),
    include_str!("procmail_found/odd_substitutions.txt"),
    include_str!("procmail_found/open_alternatives.txt"),
    include_str!("procmail_found/open_backquote.txt"),
    include_str!("procmail_found/open_quotes_in_commands.txt"),
    include_str!("procmail_found/order_of_unlocking.txt"),
    include_str!("procmail_found/overflow_of_an_action.txt"),
    include_str!("procmail_found/points_at_the_limits.txt"),
    include_str!("procmail_found/programs_without_a_name.txt"),
    include_str!("procmail_found/quote_before_a_newline.txt"),
    include_str!("procmail_found/quote_in_an_action.txt"),
    include_str!("procmail_found/range_behind_a_range.txt"),
    include_str!("procmail_found/ranges_between_the_cases.txt"),
    include_str!("procmail_found/settings_out_of_range.txt"),
    include_str!("procmail_found/signed_numbers_of_lines.txt"),
    include_str!("procmail_found/size_of_a_condition.txt"),
    include_str!("procmail_found/status_of_a_filter.txt"),
    include_str!("procmail_found/subject_behind_a_backquote.txt"),
    include_str!("procmail_found/subject_behind_a_search.txt"),
    include_str!("procmail_found/trace_of_settings.txt"),
];

/// What came of a pair.
#[derive(Debug, PartialEq, Eq)]
enum Compared {
    Same,
    /// Told for people.
    Differing(String),
    /// The real program crashed or hung.
    Not,
}

/// Runs a pair, each time with the real program.
fn compare(
    name: &str,
    (rc, message): (&str, &str),
    folder: &Path,
    ours: &By<'_>,
    unique: &Regex,
) -> Compared {
    let place = folder.join("case");
    let Some(theirs) = observe(&By::Program(real()), &place, rc, message, unique) else {
        return Compared::Not;
    };
    let ours = observe(ours, &place, rc, message, unique);
    if ours.as_ref() == Some(&theirs) {
        return Compared::Same;
    }
    let mut told = format!("{name}\n{rc}\n-- message\n{message}\n");
    let Some(ours) = ours else {
        return Compared::Differing(told + "-- crashed or hung");
    };
    let _ = writeln!(told, "-- exit {:?} and {:?}", theirs.exit, ours.exit);
    if theirs.log != ours.log {
        let same = |(one, other): &(&String, &String)| one == other;
        let before = theirs.log.iter().zip(&ours.log).take_while(same).count();
        let shown = before.saturating_sub(3)..;
        for (who, seen) in [("procmail", &theirs), ("posthaste", &ours)] {
            let _ = writeln!(told, "-- {who} logs");
            for line in seen.log.get(shown.clone()).unwrap_or(&[]).iter().take(12) {
                let _ = writeln!(told, "{line:?}");
            }
        }
    }
    if theirs.files != ours.files || theirs.stdout != ours.stdout {
        let (their, our) = (&theirs.files, &ours.files);
        let _ = writeln!(told, "-- {their:#?}\n-- and\n{our:#?}");
    }
    Compared::Differing(told)
}

/// Runs a pair, and again where it differs.
fn settled(
    name: &str,
    case: (&str, &str),
    folder: &Path,
    ours: &By<'_>,
    unique: &Regex,
) -> Compared {
    let mut compared = compare(name, case, folder, ours, unique);
    for _ in 1..TRIES {
        if !matches!(compared, Compared::Differing(_)) {
            break;
        }
        compared = compare(name, case, folder, ours, unique);
    }
    compared
}

fn real() -> &'static str {
    static REAL: OnceLock<String> = OnceLock::new();
    REAL.get_or_init(|| std::env::var("POSTHASTE_PROCMAIL").unwrap_or(DEBIAN.into()))
}

/// What the tests need: a folder, the expression for names that no two runs share, our command.
struct Bench {
    folder: tempfile::TempDir,
    unique: Regex,
    ours: String,
    regexes: Arc<RegexCache>,
}

impl Bench {
    fn new() -> Self {
        // As procmail's own, so that what programs write is the same too.
        rustix::process::umask(rustix::fs::Mode::from_bits_truncate(0o077));
        // Both write to disk what they deliver before they go on. In memory that takes no time.
        let memory = Path::new("/dev/shm");
        let folder = match memory.is_dir() {
            true => tempfile::tempdir_in(memory).unwrap(),
            false => tempfile::tempdir().unwrap(),
        };
        // It answers to the name it is called by.
        let ours = command(folder.path(), "procmail");
        let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
        let host = host.trim().replace('.', "\\.");
        let unique = format!(
            "[0-9]{{9,10}}\\.[0-9]+_[0-9]+\\.{host}|(msg\\.|\\bm-)[-A-Za-z0-9_]{{2,}}|_[-A-Za-z0-9_]+[.,+%][-A-Za-z0-9_]+\\.{host}|\\bPID=[0-9]+|kill -[0-9]+ [0-9]+"
        );
        Self {
            unique: Regex::new(&unique).unwrap(),
            ours: ours.to_str().unwrap().to_owned(),
            folder,
            regexes: Arc::default(),
        }
    }

    fn place(&self, name: &str) -> PathBuf {
        let place = self.folder.path().join(name);
        fs::create_dir_all(&place).unwrap();
        let sendmail = place.join("sendmail");
        fs::write(&sendmail, "#!/bin/sh\necho \"$@\" >>sent\ncat >>sent\n").unwrap();
        fs::set_permissions(&sendmail, fs::Permissions::from_mode(0o755)).unwrap();
        place
    }
}

/// Has many workers do it, each with its number and what gives it the next number of what there is to do.
fn side_by_side<T: Send>(work: impl Fn(u64, &dyn Fn() -> u64) -> T + Sync) -> Vec<T> {
    let begun = AtomicU64::new(0);
    let next = || begun.fetch_add(1, Ordering::Relaxed);
    let (work, next) = (&work, &next);
    thread::scope(|scope| {
        let workers: Vec<_> = (0..WORKERS)
            .map(|worker| scope.spawn(move || work(worker, next)))
            .collect();
        workers
            .into_iter()
            .map(|worker| worker.join().unwrap())
            .collect()
    })
}

#[test]
fn what_once_differed_is_the_same() {
    if !common::interop() {
        return;
    }
    let bench = Bench::new();
    let differing = side_by_side(|worker, next| {
        let place = bench.place(&format!("worker{worker}"));
        let mut differing = Vec::new();
        loop {
            // Each is run by the command and by the library.
            let turn = usize::try_from(next()).unwrap();
            let Some(case) = FOUND.get(turn / 2) else {
                break;
            };
            let (name, case) = case.split_once('\n').unwrap();
            let (rc, message) = case.split_once("-- message\n").unwrap();
            let ours = match turn % 2 {
                0 => By::Program(bench.ours.as_str()),
                _ => By::Library(&bench.regexes),
            };
            match settled(name, (rc, message), &place, &ours, &bench.unique) {
                Compared::Same => {}
                Compared::Differing(told) => differing.push(told),
                Compared::Not => differing.push(format!("{name}: the real one fails")),
            }
        }
        differing
    })
    .concat();
    assert_same(&differing, u64::try_from(FOUND.len()).unwrap());
}

#[test]
fn the_same_comes_of_any_rcfile() {
    if !common::interop() {
        return;
    }
    let (seed, pairs) = (
        number("POSTHASTE_SEED", SEED),
        number("POSTHASTE_PAIRS", PAIRS),
    );
    let bench = Bench::new();
    let start = Instant::now();
    let compared = AtomicU64::new(0);
    let results = side_by_side(|worker, next| {
        let place = bench.place(&format!("worker{worker}"));
        let (mut run, mut differing) = (0, Vec::new());
        loop {
            let pair = next();
            let enough = compared.load(Ordering::Relaxed) >= FEWEST && start.elapsed() > ENOUGH;
            if pair >= pairs || enough {
                break;
            }
            let mut writer = Writer(Chance::new(seed + pair));
            let message = writer.message();
            let rc = writer.rcfile();
            // Only a process of its own has a umask of its own.
            let ours = if pair.is_multiple_of(SPAWNED) || rc.contains("UMASK") {
                By::Program(bench.ours.as_str())
            } else {
                By::Library(&bench.regexes)
            };
            let name = format!("seed {}", seed + pair);
            let case = (rc.as_str(), message.as_str());
            match settled(&name, case, &place, &ours, &bench.unique) {
                Compared::Same => run += 1,
                Compared::Differing(told) => {
                    run += 1;
                    differing.push(told);
                }
                Compared::Not => continue,
            }
            compared.fetch_add(1, Ordering::Relaxed);
        }
        (run, differing)
    });
    let run: u64 = results.iter().map(|(run, _)| run).sum();
    let differing: Vec<String> = results.into_iter().flat_map(|(_, told)| told).collect();
    assert_same(&differing, run);
    assert!(
        run >= pairs.min(FEWEST),
        "only {run} pairs were compared with the real program"
    );
}
