//! Mailboxes and digests made by chance, split by Debian's formail and by this
//! one: the same messages, files, caches and exit codes must come of them.
//!
//! Needs formail; runs where POSTHASTE_INTEROP=1. POSTHASTE_SEED gives
//! another seed, POSTHASTE_PAIRS another number of pairs.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    missing_docs
)]

mod common;
#[allow(dead_code, reason = "rcfiles are of no use here")]
#[path = "../../../procmail-rules/tests/corpus/generator.rs"]
mod generator;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Command, Stdio};

use common::differential::{assert_same, command, number};
use generator::{Chance, Writer};
use regex_automata::meta::Regex;

const PAIRS: u64 = 500;
const BABYL_PAIRS: u64 = 100;

/// Lines that may begin a message, or look as if they did.
const POSTMARKS: [&str; 12] = [
    "From a@b Mon Jan  1 00:00:00 2024\n",
    "From a@b Mon Jan  1 00:00:00 2024\n",
    "From a@b Mon Jan  1 00:00:00 2024\n",
    "From a@b  Tue Feb 13 10:00 2024\n",
    "From a\n",
    "From \n",
    "From x y z\n",
    "From a b 10:00\n",
    "From a@b Mon Jan  1 00:00:00 2024 remote from c\n",
    "From here on it is text\n",
    ">From a@b Mon Jan  1 00:00:00 2024\n",
    "From: a@b\n",
];

const FIELDS: [&str; 26] = [
    "From: a@b\n",
    "From: Ann <a@b.org>\n",
    "To: b\n",
    "Subject: one\n",
    "Subject: two\n\tfolded\n",
    "Subject:\n",
    "Date: Mon, 1 Jan 2024 00:00:00 +0000\n",
    "Message-ID: <1@x>\n",
    "Message-ID: <2@x>\n",
    "Message-Id:<3@x>\n",
    "Message-ID:  <4.long.long.long@example.org> \n",
    "Message-ID:\n",
    "message-id: <1@x>\n",
    "Content-Length: 3\n",
    "Content-Length: 30\n",
    "Content-Length: 0\n",
    "Content-Length: 999\n",
    "X-Y: z\n",
    "Reply-To: r@x\n",
    "Return-Path: <rp@x>\n",
    "X-Folded: a\n b\n  c\n",
    "Received: by x\n",
    "Article 12 of news:\n",
    "Path: a!b!c\n",
    "References: <0@x>\n",
    "Status: RO\n",
];

const BODY: [&str; 14] = [
    "text\n",
    "text\n",
    "more text: here\n",
    "Subject: looks like a field\n",
    "From: so does this\n",
    "To: and this\n",
    "From the start\n",
    ">From quoted\n",
    " indented\n",
    "------------------------------\n",
    "--------\n",
    "URL:x\n",
    "a: b\n",
    "no end",
];

/// Programs that get the messages. They read all that they are given.
const PROGRAMS: [&[&str]; 9] = [
    &[],
    &[],
    &["cat"],
    &["cat", "-n"],
    &["sh", "-c", "echo \"[$FILENO]\"; cat"],
    &["sh", "-c", "cat >out.$FILENO"],
    &["sh", "-c", "cat >/dev/null; exit 3"],
    &["sh", "-c", "cat >out.$FILENO; test $FILENO != 001"],
    &["wc", "-c"],
];

struct Pair {
    /// Those of each run with the same files.
    runs: Vec<Vec<String>>,
    fileno: Option<&'static str>,
    mailbox: String,
}

fn mailbox(writer: &mut Writer) -> String {
    let mut text = String::new();
    if writer.0.below(10) == 0 {
        text.push_str(writer.of(&["\n", "\n\n", "text\n", "text\n\n"]));
    }
    for _ in 0..writer.0.below(6) {
        if writer.0.below(4) > 0 {
            text.push_str(writer.of(&POSTMARKS));
        }
        for _ in 0..writer.0.below(6) {
            text.push_str(writer.of(&FIELDS));
        }
        if writer.0.below(8) > 0 {
            text.push('\n');
        }
        for _ in 0..writer.0.below(5) {
            let line = writer.of(&BODY);
            text.push_str(line);
            if writer.0.below(4) == 0 {
                text.push('\n');
            }
        }
        if writer.0.below(3) > 0 {
            text.push('\n');
        }
    }
    text
}

fn options(writer: &mut Writer) -> Vec<String> {
    let mut options: Vec<String> = Vec::new();
    for _ in 0..writer.0.below(4) {
        let option = writer.of(&[
            "-d",
            "-d",
            "-e",
            "-q",
            "-Y",
            "-f",
            "-b",
            "-m1",
            "-m 3",
            "-m2",
            "-m 4",
            "+1",
            "+2",
            "-1",
            "-2",
            "-3",
            "-n",
            "-n2",
            "-z",
            "-c",
            "-r",
            "-k",
            "-l box",
            "-D 30 cache",
            "-D 60 cache",
            "-D 8192 cache",
            "-x Subject:",
            "-X From:",
            "-a X-N: v",
            "-A X-N: v",
            "-i Subject: new",
            "-I Status:",
            "-p |",
            "-de",
            "-dem1",
        ]);
        match option.split_once(' ') {
            // A name and its value are one word.
            Some((
                letter @ ("-a" | "-A" | "-i" | "-I" | "-x" | "-X" | "-p" | "-l" | "-m"),
                rest,
            )) => {
                options.extend([letter.to_owned(), rest.to_owned()]);
            }
            _ => options.extend(option.split(' ').map(str::to_owned)),
        }
    }
    let program = PROGRAMS[writer.0.below(PROGRAMS.len())];
    let parallel = options.iter().any(|option| option.starts_with("-n"));
    if parallel {
        // What programs print at once comes in any order.
        options.extend(["-s", "sh", "-c", "cat >out.$FILENO"].map(str::to_owned));
    } else if writer.0.below(12) > 0 {
        options.push("-s".to_owned());
        options.extend(program.iter().map(|&word| word.to_owned()));
    }
    options
}

/// Does a `From ` line stand right behind what looks like a field? The real program looks at
/// other memory then.
fn is_unsettled(mailbox: &str) -> bool {
    let lines: Vec<&str> = mailbox.lines().collect();
    lines.windows(2).any(|pair| {
        let field = pair[0].contains(':') || pair[0].starts_with([' ', '\t']);
        pair[1].starts_with("From ") && (field || pair[0].starts_with("From "))
    })
}

fn pair(seed: u64) -> Pair {
    let mut writer = Writer(Chance::new(seed));
    let mailbox = loop {
        let mailbox = mailbox(&mut writer);
        if !is_unsettled(&mailbox) {
            break mailbox;
        }
    };
    let runs = (0..=writer.0.below(2))
        .map(|_| options(&mut writer))
        .collect();
    let fileno = match writer.0.below(6) {
        0 => Some("7"),
        1 => Some("00098"),
        _ => None,
    };
    Pair {
        runs,
        fileno,
        mailbox,
    }
}

const BABYL_BEGINNINGS: [&str; 4] = [
    "BABYL OPTIONS:\nVersion: 5\n\x1f\x0c\n",
    "BABYL OPTIONS:\nVersion: 5\n\x1f\x0c\n",
    "BABYL OPTIONS:\n\x1f\x0c\n",
    "\x1f\x0c\n",
];

const BABYL_LABELS: [&str; 5] = ["0, unseen,,\n", "1, answered,,\n", "1,,\n", "", ", x\n"];

const BABYL_BODY: [&str; 12] = [
    "text\n",
    "From here\n",
    "a: b\n",
    "\n",
    ">From x\n",
    "*** EOOH ***\n",
    "\x1f\n",
    "From a@b Mon Jan  1 00:00:00 2024\n",
    "no end",
    "\x0c\n",
    " x\n",
    "Subject: looks like a field\n",
];

const BABYL_OPTIONS: [&str; 14] = [
    "-Bs cat",
    "-Bds cat",
    "-B +1 -1 -s cat",
    "-Bes cat",
    "-Bfs cat",
    "-Bbs cat",
    "-Bdes cat",
    "-Bm1 -s cat",
    "-Bf",
    "-BxSubject:",
    "-Bk",
    "-Bcs cat",
    "-BYs cat",
    "-Brs cat",
];

/// A Babyl file: each message has labels, its whole header, the mark that ends it, the header
/// as it was shown, a body. One without a message has the real program wait for ever.
fn babyl_pair(seed: u64) -> Pair {
    let mut writer = Writer(Chance::new(seed));
    let mut mailbox = writer.of(&BABYL_BEGINNINGS).to_owned();
    for _ in 0..1 + writer.0.below(3) {
        mailbox.push_str(writer.of(&BABYL_LABELS));
        for _ in 0..writer.0.below(5) {
            mailbox.push_str(writer.of(&FIELDS));
        }
        mailbox.push_str(writer.of(&["\n", "\n", ""]));
        mailbox.push_str("*** EOOH ***\n");
        for _ in 0..writer.0.below(5) {
            mailbox.push_str(writer.of(&FIELDS));
        }
        mailbox.push_str(writer.of(&["\n", "\n", ""]));
        for _ in 0..writer.0.below(6) {
            mailbox.push_str(writer.of(&BABYL_BODY));
        }
        mailbox.push_str(writer.of(&["\x1f\x0c\n", "\x1f\x0c\n", "\x1f"]));
    }
    let options = writer.of(&BABYL_OPTIONS);
    Pair {
        runs: vec![options.split(' ').map(str::to_owned).collect()],
        fileno: None,
        mailbox,
    }
}

/// What is compared.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    ended: Vec<(i32, String)>,
    files: BTreeMap<String, String>,
}

/// Nothing if it crashed or hung.
fn run(program: &str, place: &Path, pair: &Pair, unique: &Regex) -> Option<Seen> {
    let _ = fs::remove_dir_all(place);
    fs::create_dir_all(place).unwrap();
    let input = place.with_extension("mailbox");
    fs::write(&input, &pair.mailbox).unwrap();
    let plain = |octets: &[u8]| {
        let text = String::from_utf8_lossy(octets);
        let mut plain = String::new();
        let mut at = 0;
        for found in unique.find_iter(text.as_bytes()) {
            plain.push_str(&text[at..found.start()]);
            plain.push_str("UNIQUE");
            at = found.end();
        }
        plain + &text[at..]
    };
    let mut ended = Vec::new();
    for options in &pair.runs {
        let mut command = Command::new("timeout");
        command
            .args(["-k", "1", "60"])
            .arg(program)
            .args(options)
            .env("TZ", "UTC")
            .env_remove("FILENO")
            .envs(pair.fileno.map(|fileno| ("FILENO", fileno)))
            .process_group(0)
            .current_dir(place)
            .stdin(fs::File::open(&input).unwrap())
            .stderr(Stdio::null());
        let output = command.output().unwrap();
        let code = output.status.code();
        if output.status.signal().is_some() || code.is_some_and(|code| code == 124 || code >= 128) {
            return None;
        }
        ended.push((code.unwrap(), plain(&output.stdout)));
    }
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(place).unwrap().flatten() {
        let name = entry.file_name().into_string().unwrap();
        if name != "formail" {
            files.insert(name, plain(&fs::read(entry.path()).unwrap()));
        }
    }
    Some(Seen { ended, files })
}

#[test]
fn mailboxes_are_split_the_same() {
    if common::interop() {
        the_same_comes_of(pair, number("POSTHASTE_PAIRS", PAIRS));
    }
}

#[test]
fn babyl_files_are_split_the_same() {
    if common::interop() {
        the_same_comes_of(babyl_pair, number("POSTHASTE_PAIRS", BABYL_PAIRS));
    }
}

/// What the real program ends with comes of ours, too.
fn the_same_comes_of(pair: fn(u64) -> Pair, pairs: u64) {
    // Dates, and names of messages that are made up.
    let unique = Regex::new(
        "[A-Z][a-z]{2} [A-Z][a-z]{2} [ 0-9]{2} [0-9:]{8} 20(2[5-9]|[3-9][0-9])|<[-A-Za-z0-9_]+\\.[A-Z]+\\.[-A-Za-z0-9_.]+@[^>]+>",
    )
    .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let ours = command(folder.path(), "formail");
    let place = folder.path().join("place");
    let first = number("POSTHASTE_SEED", 1);
    let mut differing = Vec::new();
    let mut compared = 0;
    for seed in first..first + pairs {
        let pair = pair(seed);
        let Some(theirs) = run("/usr/bin/formail", &place, &pair, &unique) else {
            continue;
        };
        compared += 1;
        let ours = run(ours.to_str().unwrap(), &place, &pair, &unique);
        // Before it refuses options, the real one may have begun what they ask for.
        let refused = |seen: &Seen| {
            seen.ended
                .iter()
                .map(|(code, _)| *code == 64)
                .collect::<Vec<_>>()
        };
        let refuses = refused(&theirs).contains(&true);
        let same = match &ours {
            Some(ours) if refuses => refused(ours) == refused(&theirs),
            Some(ours) => *ours == theirs,
            None => false,
        };
        if !same {
            let Pair {
                runs,
                fileno,
                mailbox,
            } = &pair;
            differing.push(format!(
                "seed {seed}: {runs:?} {fileno:?}\n{mailbox:?}\n-- theirs {theirs:?}\n-- ours   {ours:?}"
            ));
        }
    }
    assert_same(&differing, compared);
    assert!(compared > pairs / 2, "only {compared} were compared");
}
