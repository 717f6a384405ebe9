//! Rcfiles made by chance, run by Debian's procmail and by this one: the same
//! folders, log lines, variables and exit codes must come of them.
//!
//! Needs procmail; runs where POSTHASTE_INTEROP=1. POSTHASTE_SEED gives
//! another seed, POSTHASTE_PAIRS another number of pairs.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    missing_docs
)]

mod common;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use regex_automata::meta::Regex;

const REAL: &str = "/usr/bin/procmail";
const SEED: u64 = 20_260_101;
const PAIRS: u64 = 300;
const WORKERS: u64 = 4;

/// No more pairs are begun after this.
const ENOUGH: Duration = Duration::from_secs(110);

const MESSAGES: [&str; 5] = [
    "From a@b.org Mon Jan  1 00:00:00 2024\nFrom: Ann <a@b.org>\nTo: bob@example.net, Carol \
     <carol@example.com>\nSubject: Weekly report: green\nX-N: 12\n\nHello Bob,\nnumbers are \
     up.\nFrom here\n",
    "From: Dave <dave@example.com>\nTo: rust-l@lists.example.org\nSubject: [rust-l] Re: a\n \
     folded\n\tsubject\nPrecedence: bulk\nList-Id: Rust <rust-l.lists.org>\n\n> \
     quoted\nown\n\n\nend",
    "From: z\nSubject: x\n\n",
    "From: q@w\nContent-Length: 5\nSubject:\n\nFrom one\n\nFrom two\n\n",
    "To: a b\nSubject: no body",
];

/// A small generator of numbers (xorshift64*), the same everywhere.
struct Chance(u64);

impl Chance {
    fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let number = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        number as usize % end
    }

    fn of<'a>(&mut self, choices: &[&'a str]) -> &'a str {
        choices[self.below(choices.len())]
    }

    fn letters(&mut self) -> String {
        let count = 1 + self.below(4);
        (0..count)
            .map(|_| self.of(&["a", "b", "c", "x", "0", "1", "9", ".", "_", "-", "/"]))
            .collect()
    }
}

/// Writes rcfiles.
struct Writer(Chance);

const NAMES: [&str; 6] = ["A", "B", "C", "X", "MATCH", "FOO_1"];

impl Writer {
    fn of<'a>(&mut self, choices: &[&'a str]) -> &'a str {
        self.0.of(choices)
    }

    fn one_in(&mut self, end: usize) -> bool {
        self.0.below(end) == 0
    }

    fn variable(&mut self, depth: usize) -> String {
        let name = self.of(&NAMES);
        match self.0.below(9) {
            0..3 => format!("${name}"),
            3 => format!("${{{name}}}"),
            4 if depth < 2 => {
                let how = self.of(&[":-", "-", ":+", "+"]);
                let word = self.word(depth + 1);
                format!("${{{name}{how}{word}}}")
            }
            5 => format!("${}", self.of(&["0", "1", "2", "#", "?", "=", "-"])),
            6 => format!("$\\{name}"),
            7 => format!(
                "`echo {}{}`",
                self.0.letters(),
                self.of(&["", " \"b  c\"", " $A"])
            ),
            _ => format!("\"${name}\""),
        }
    }

    fn word(&mut self, depth: usize) -> String {
        let mut word = String::new();
        for _ in 0..=self.0.below(3) {
            match self.0.below(10) {
                0..4 => word.push_str(&self.0.letters()),
                4..7 => word.push_str(&self.variable(depth)),
                7 => {
                    let quoted = self.of(&["a b", "$A", "x\\y", "#q", ""]);
                    let _ = write!(word, "'{quoted}'");
                }
                8 => {
                    let quoted = self.of(&["a  b", "c\\\"d", "\\$A", "it's", ""]);
                    let _ = write!(word, "\"{quoted}\"");
                }
                _ => word.push_str(self.of(&["\\ ", "\\@", "\\$", "@", "%", "+", "=", "~", ","])),
            }
        }
        word
    }

    fn assignment(&mut self) -> String {
        let name = self.of(&NAMES);
        match self.0.below(12) {
            0 => name.into(),
            1 => format!("{name}="),
            2 => format!("{name} = {}", self.word(0)),
            3 => format!("{name}={} # comment", self.word(0)),
            4 => format!(
                "{name}=\"{}\"",
                self.of(&["multi\nline", "cont\\\n  x", "a\\\nb"])
            ),
            5 => format!("{name}={}\\\n  {}", self.word(0), self.word(0)),
            6 => self
                .of(&[
                    "LOGABSTRACT=all",
                    "LOGABSTRACT=no",
                    "VERBOSE=off",
                    "VERBOSE=on",
                    "LASTFOLDER=x",
                    "LOG=\"x\n\"",
                    "EXITCODE=3",
                    "EXITCODE=",
                    "EXITCODE",
                    "SHIFT=1",
                    "DEFAULT=d2",
                    "DEFAULT",
                    "ORGMAIL",
                    "MAILDIR=sub",
                    "MAILDIR=nope",
                    "LINEBUF=200",
                    "SENDMAILFLAGS=-x",
                    "INCLUDERC=inc.rc",
                    "SWITCHRC=inc.rc",
                    "SWITCHRC",
                    "INCLUDERC=none.rc",
                    "LOCKFILE=g.lk",
                    "LOCKFILE",
                ])
                .into(),
            _ => format!("{name}={}", self.word(0)),
        }
    }

    /// An expression; what hangs or breaks procmail's compiler is left out:
    /// repeats of repeats and of anchors.
    fn expression(&mut self, depth: usize) -> String {
        let mut text = String::new();
        for _ in 0..=self.0.below(3) {
            match self.0.below(12) {
                0..5 => text.push_str(self.of(&[
                    "Sub",
                    "ject",
                    "a",
                    "e",
                    "o",
                    "x",
                    "re",
                    "From",
                    "numbers",
                    "^Subject:",
                    "^From:",
                    "^To:",
                ])),
                5 => text.push_str(self.of(&["o.", ".*", "e?", "[a-z]+", "[^ ]*", "r.+"])),
                6 => text.push_str(self.of(&["$", "^^", "\\<", "\\>", "^"])),
                7 if depth < 2 => {
                    let (one, other) = (self.expression(depth + 1), self.expression(depth + 1));
                    let _ = write!(text, "({one}|{other})");
                }
                8 => {
                    let set = self.of(&["a-z", "^a-z", "A-Z", "]a", "a-]", "^]", "0-9"]);
                    let _ = write!(text, "[{set}]");
                }
                9 => text.push_str(self.of(&["\\.", "\\^", "\\$", "\\a"])),
                10 if depth == 0 => {
                    text.push_str(self.of(&["^TO_", "^TO", "^FROM_DAEMON", "^FROM_MAILER"]));
                }
                11 if depth == 0 => {
                    text.push_str(self.of(&["^Subject: \\/.*", "()\\/e", "^From:.*\\/[a-z]+"]));
                    return text;
                }
                _ => text.push('e'),
            }
        }
        text
    }

    fn condition(&mut self) -> String {
        let mut text = self.of(&["* ", "*", "*  "]).to_owned();
        for _ in 0..self.0.below(3) {
            let prefix = match self.0.below(7) {
                0..2 => "! ",
                2..4 => self.of(&["B ?? ", "H ?? ", "HB ?? ", "A ?? ", "MATCH ?? ", "NOPE ?? "]),
                _ => self.of(&[
                    "1^1 ", "2^.5 ", "-3^1 ", "10^0 ", "1^2 ", ".5^0 ", "-1^-1 ", "8^0.25 ",
                ]),
            };
            text.push_str(prefix);
        }
        match self.0.below(9) {
            0 => text.push_str(self.of(&[
                "? cat >/dev/null",
                "? cat >/dev/null; exit 1",
                "? grep -c e",
            ])),
            1 => text.push_str(self.of(&["< 10", "> 200", "< 1000", "> $A"])),
            2 => {
                let (one, other) = (self.expression(1), self.expression(1));
                let _ = write!(text, "{one}\\\n   {other}");
            }
            _ => text.push_str(&self.expression(0)),
        }
        text
    }

    /// A recipe. Its programs read all their input: whether what they leave
    /// can still be written is a matter of time. A folder has no `i`, with
    /// which procmail loses what cannot be written and posthaste does not.
    fn recipe(&mut self, depth: usize) -> String {
        let mut flags = String::new();
        for _ in 0..self.0.below(4) {
            flags.push_str(self.of(&["H", "B", "D", "A", "a", "E", "e", "h", "b", "c", "r"]));
        }
        let kind = self.0.below(12);
        let lock = self.of(&["", "", "", ":", ": l.lock"]);
        let (flags, action) = match kind {
            0..5 => {
                let folder = self.of(&[
                    "f1",
                    "f2",
                    "md/",
                    "mh/.",
                    "dir",
                    "no/such",
                    "/dev/null",
                    "f1 x",
                    "\"f 3\"",
                    "`echo f4`",
                ]);
                (flags, folder.to_owned())
            }
            // What is not waited for may still run when procmail has ended.
            5 => {
                let to = self.of(&["a@b", "\"$A\" x", "-f me x"]);
                (flags + "w", format!("! {to}"))
            }
            6 => {
                let program = self.of(&["cat >>p1", "cat >/dev/null; exit 2", "tee p3 >/dev/null"]);
                (flags + "wi", format!("| {program}"))
            }
            7 => {
                let program =
                    self.of(&["sed s/e/E/", "cat", "tr a-z A-Z", "cat >/dev/null; exit 1"]);
                (flags.replace('c', "") + "fw", format!("| {program}"))
            }
            8 => {
                let name = self.of(&["A", "B", "X"]);
                let program = self.of(&["cat >/dev/null; echo v", "sed -n 1p", "wc -l"]);
                (flags.replace('c', "") + "w", format!("{name}=| {program}"))
            }
            _ if depth < 3 => {
                let inner: Vec<String> = (0..self.0.below(4))
                    .map(|_| self.statement(depth + 1))
                    .collect();
                let inner = inner.join("\n");
                // Clones that are not waited for deliver in any order.
                let flags = if flags.contains('c') {
                    flags + "w"
                } else {
                    flags
                };
                (flags, format!("{{\n{inner}\n}}"))
            }
            _ => (flags, "f1".into()),
        };
        let mut text = format!(":0 {flags}{lock}\n");
        for _ in 0..self.0.below(4) {
            text.push_str(&self.condition());
            text.push('\n');
        }
        text + &action
    }

    fn statement(&mut self, depth: usize) -> String {
        match self.0.below(20) {
            0..7 => self.assignment(),
            7 => self.of(&["# c", "junk!", "9x", "", "* ^x"]).into(),
            _ => self.recipe(depth),
        }
    }

    fn rcfile(&mut self) -> String {
        let statements: Vec<String> = (0..=self.0.below(7)).map(|_| self.statement(0)).collect();
        let end = if self.one_in(4) { "" } else { "\n" };
        statements.join("\n") + end
    }
}

/// What came of a run.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    exit: Option<i32>,
    stdout: String,
    log: Vec<String>,
    /// The folders' messages by name, and how often each.
    files: BTreeMap<(String, String), usize>,
}

/// Runs a program on the case; nothing if it crashed or hung.
fn observe(program: &str, place: &Path, rc: &str, message: &str, unique: &Regex) -> Option<Seen> {
    let _ = fs::remove_dir_all(place);
    for folder in ["bin", "work/dir", "work/sub"] {
        fs::create_dir_all(place.join(folder)).unwrap();
    }
    let work = place.join("work");
    let sendmail = place.join("bin/sendmail");
    fs::write(work.join("inc.rc"), "I=1\n:0 c\n* ^Subject\ninc-$I\n").unwrap();
    fs::write(work.join("rc"), rc).unwrap();
    fs::set_permissions(&work, fs::Permissions::from_mode(0o755)).unwrap();
    std::os::unix::fs::symlink(place.parent().unwrap().join("sendmail"), &sendmail).unwrap();
    let mut child = Command::new("timeout")
        .args(["-k", "1", "3", program, "-a", "one"])
        .args([
            "LOGFILE=log",
            "DEFAULT=default",
            "ORGMAIL=orgmail",
            "SHELL=/bin/sh",
        ])
        .args(["LOCKSLEEP=1", "SUSPEND=1", "TRAP=env", "./rc"])
        .arg(format!("SENDMAIL={}", sendmail.display()))
        .env_clear()
        .env("TZ", "UTC")
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .current_dir(&work)
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let _ = child.stdin.take().unwrap().write_all(message.as_bytes());
    let output = child.wait_with_output().unwrap();
    let exit = output.status.code();
    if output.status.signal().is_some() || exit.is_some_and(|code| code == 124 || code > 127) {
        return None;
    }
    let plain = |octets: &[u8]| {
        let text = String::from_utf8_lossy(octets).replace(program, "procmail");
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
    for file in common::files(&work) {
        let name = file
            .strip_prefix(&work)
            .unwrap()
            .to_str()
            .unwrap()
            .to_owned();
        let octets = fs::read(&file).unwrap();
        match name.as_str() {
            "rc" | "inc.rc" => {}
            "log" => {
                log = plain(&octets)
                    .lines()
                    .filter(|line| !line.starts_with("procmail: ["))
                    // The size stands at a column that the name moves.
                    .map(|line| match line.strip_prefix("  Folder: ") {
                        Some(rest) => rest.split_whitespace().collect::<Vec<_>>().join(" "),
                        None => line.to_owned(),
                    })
                    .collect();
                log.sort();
            }
            _ => {
                *files
                    .entry((plain(name.as_bytes()), plain(&octets)))
                    .or_default() += 1
            }
        }
    }
    Some(Seen {
        exit,
        stdout: plain(&output.stdout),
        log,
        files,
    })
}

/// A pair, told for people if it differs.
fn compare(seed: u64, folder: &Path, ours: &str, unique: &Regex) -> Option<String> {
    let mut writer = Writer(Chance::new(seed));
    let message = writer.of(&MESSAGES);
    let rc = writer.rcfile();
    let place = folder.join("case");
    let theirs = observe(REAL, &place, &rc, message, unique)?;
    let ours = observe(ours, &place, &rc, message, unique);
    if ours.as_ref() == Some(&theirs) {
        return None;
    }
    let mut told = format!("seed {seed}\n{rc}\n-- message\n{message}\n");
    let Some(ours) = ours else {
        return Some(told + "-- crashed or hung");
    };
    let _ = writeln!(told, "-- exit {:?} and {:?}", theirs.exit, ours.exit);
    for line in theirs.log.iter().filter(|line| !ours.log.contains(line)) {
        let _ = writeln!(told, "-- procmail logs {line:?}");
    }
    for line in ours.log.iter().filter(|line| !theirs.log.contains(line)) {
        let _ = writeln!(told, "-- posthaste logs {line:?}");
    }
    if theirs.files != ours.files || theirs.stdout != ours.stdout {
        let (their, our) = (&theirs.files, &ours.files);
        let _ = writeln!(told, "-- {their:#?}\n-- and\n{our:#?}");
    }
    Some(told)
}

fn number(variable: &str, otherwise: u64) -> u64 {
    let given = std::env::var(variable).ok();
    given.map_or(otherwise, |given| given.parse().unwrap())
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
    let folder = tempfile::tempdir().unwrap();
    // It answers to the name it is called by.
    let ours = folder.path().join("procmail");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_posthaste"), &ours).unwrap();
    let ours = ours.to_str().unwrap();
    let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    let host = host.trim().replace('.', "\\.");
    let unique = format!("[0-9]{{9,10}}\\.[0-9]+_[0-9]+\\.{host}|msg\\.[-A-Za-z0-9_]{{2,}}");
    let unique = Regex::new(&unique).unwrap();
    let start = Instant::now();
    let work = &|worker: u64| {
        let place = folder.path().join(format!("worker{worker}"));
        fs::create_dir_all(&place).unwrap();
        let sendmail = place.join("sendmail");
        fs::write(&sendmail, "#!/bin/sh\necho \"$@\" >>sent\ncat >>sent\n").unwrap();
        fs::set_permissions(&sendmail, fs::Permissions::from_mode(0o755)).unwrap();
        let (mut run, mut differing) = (0, Vec::new());
        for pair in (worker..pairs).step_by(WORKERS as usize) {
            if start.elapsed() > ENOUGH {
                break;
            }
            run += 1;
            differing.extend(compare(seed + pair, &place, ours, &unique));
        }
        (run, differing)
    };
    let results: Vec<(u64, Vec<String>)> = thread::scope(|scope| {
        let workers: Vec<_> = (0..WORKERS).map(|n| scope.spawn(move || work(n))).collect();
        workers
            .into_iter()
            .map(|worker| worker.join().unwrap())
            .collect()
    });
    let run: u64 = results.iter().map(|(run, _)| run).sum();
    let differing: Vec<&String> = results.iter().flat_map(|(_, told)| told).collect();
    let shown: Vec<&str> = differing.iter().take(5).map(|told| told.as_str()).collect();
    assert!(
        differing.is_empty(),
        "{} of {run} pairs differ\n{}",
        differing.len(),
        shown.join("\n==========\n")
    );
    assert!(run > 0);
}
