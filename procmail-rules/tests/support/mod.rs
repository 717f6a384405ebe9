//! The verified cases, and how a run of one is compared with what procmail did.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, Mutex};
use std::time::{Duration, SystemTime};

use regex_automata::meta::Regex;
use serde::Deserialize;

/// The assignments that every case is run with.
pub(crate) const BASE: [&str; 7] = [
    "LOGFILE=log",
    "DEFAULT=default",
    "ORGMAIL=orgmail",
    "SHELL=/bin/sh",
    "SENDMAIL=sendmail",
    "LOCKSLEEP=1",
    "SUSPEND=1",
];

/// This machine's name, which is part of the names of files.
pub(crate) fn host() -> String {
    fs::read_to_string("/proc/sys/kernel/hostname")
        .map_or_else(|_| "localhost".to_owned(), |name| name.trim().to_owned())
}

#[derive(Deserialize)]
struct Cases {
    case: Vec<Case>,
}

/// How a run ended, and what came of it outside the file system.
pub(crate) struct Ended {
    pub(crate) pid: u32,
    pub(crate) exit: u8,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: Vec<u8>,
    /// The variables at the end, if they are known.
    pub(crate) variables: Vec<(Vec<u8>, Vec<u8>)>,
}

/// Runs a case in a directory, with or without VERBOSE.
pub(crate) type Runner<'a> = &'a dyn Fn(&Case, &Path, &[u8], bool) -> Result<Ended, String>;

#[derive(Deserialize)]
#[serde(default)]
pub(crate) struct Case {
    id: String,
    rc: String,
    rc_b64: Option<String>,
    message: String,
    message_b64: Option<String>,
    append_text: String,
    append_times: usize,
    pub(crate) flags: Vec<String>,
    pub(crate) assign: Vec<String>,
    pub(crate) rcfiles: Vec<String>,
    pub(crate) rcargs: Vec<String>,
    files: BTreeMap<String, String>,
    dirs: Vec<String>,
    age: BTreeMap<String, u64>,
    pub(crate) env: BTreeMap<String, String>,
    needs: Vec<String>,
    pub(crate) want_vars: Vec<String>,
    ordered: bool,
    msgprefix: String,
    expect: Expect,
}

impl Default for Case {
    fn default() -> Self {
        Self {
            id: String::new(),
            rc: String::new(),
            rc_b64: None,
            message: String::new(),
            message_b64: None,
            append_text: String::new(),
            append_times: 0,
            flags: Vec::new(),
            assign: Vec::new(),
            rcfiles: vec!["./rc".to_owned()],
            rcargs: Vec::new(),
            files: BTreeMap::new(),
            dirs: Vec::new(),
            age: BTreeMap::new(),
            env: BTreeMap::new(),
            needs: Vec::new(),
            want_vars: Vec::new(),
            ordered: true,
            msgprefix: "msg.".to_owned(),
            expect: Expect::default(),
        }
    }
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Expect {
    exit: u8,
    log: String,
    stdout: String,
    files: BTreeMap<String, Contents>,
    dirs: Vec<String>,
    removed: Vec<String>,
    trace: Option<Vec<String>>,
    vars: BTreeMap<String, String>,
    unset: Vec<String>,
    sendmail: Vec<Mail>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Contents {
    Text(String),
    Encoded { b64: String },
}

#[derive(Deserialize, Debug, PartialEq)]
struct Mail {
    argv: Vec<String>,
    stdin: String,
}

pub(crate) fn base64(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let (mut bits, mut count) = (0_u32, 0);
    for letter in text.bytes().filter(|letter| *letter != b'=') {
        let value = match letter {
            b'A'..=b'Z' => letter - b'A',
            b'a'..=b'z' => letter - b'a' + 26,
            b'0'..=b'9' => letter - b'0' + 52,
            b'+' => 62,
            _ => 63,
        };
        bits = bits << 6 | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            out.push(u8::try_from(bits >> count & 0xff).unwrap());
        }
    }
    out
}

pub(crate) fn path_of(name: &str) -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let crates = if here.ends_with("procmail-rules") {
        here.to_owned()
    } else {
        here.join("../../procmail-rules")
    };
    crates.join("tests/cases").join(format!("{name}.toml"))
}

fn load(name: &str) -> Cases {
    toml::from_str(&fs::read_to_string(path_of(name)).unwrap()).unwrap()
}

const STUB: &str = r#"#!/bin/sh
d=${0%/*}
n=1
while ! mkdir "$d/mail.$n" 2>/dev/null; do n=$((n+1)); done
for a; do printf '%s\0' "$a"; done >"$d/mail.$n/argv"
cat >"$d/mail.$n/stdin"
exit 0
"#;

/// What a run left behind.
struct Seen {
    exit: u8,
    log: String,
    stdout: String,
    files: BTreeMap<String, Vec<u8>>,
    dirs: Vec<String>,
    removed: Vec<String>,
    vars: BTreeMap<String, String>,
    sendmail: Vec<Mail>,
}

struct Bench {
    directory: tempfile::TempDir,
}

impl Case {
    fn bytes(text: &str, encoded: Option<&String>) -> Vec<u8> {
        encoded.map_or_else(
            || text.replace("@HOST@", &host()).into_bytes(),
            |text| base64(text),
        )
    }

    fn prepare(&self, stub: &Path) -> Bench {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        fs::create_dir(at(".bin")).unwrap();
        symlink(stub, at(".bin/sendmail")).unwrap();
        fs::write(at("rc"), Self::bytes(&self.rc, self.rc_b64.as_ref())).unwrap();
        for name in &self.dirs {
            fs::create_dir_all(at(name)).unwrap();
        }
        for (name, text) in &self.files {
            fs::create_dir_all(at(name).parent().unwrap()).unwrap();
            fs::write(at(name), text.replace("@HOST@", &host())).unwrap();
        }
        for (name, age) in &self.age {
            let file = fs::File::options().write(true).open(at(name)).unwrap();
            file.set_modified(SystemTime::now() - Duration::from_secs(*age))
                .unwrap();
        }
        Bench { directory }
    }

    fn run(&self, stub: &Path, runner: Runner<'_>, verbose: bool) -> Result<Seen, String> {
        let bench = self.prepare(stub);
        let directory = bench.directory.path();
        let before = snapshot(directory);
        let mut message = Self::bytes(&self.message, self.message_b64.as_ref());
        for _ in 0..self.append_times {
            message.extend_from_slice(self.append_text.as_bytes());
        }
        let shown = directory.to_str().unwrap();
        let ended = runner(self, directory, &message, verbose)
            .map_err(|error| format!("{}: {error}", self.id))?;
        wait_for_programs(directory);
        let pid = ended.pid;
        let normal = |bytes: &[u8]| self.normal(&String::from_utf8_lossy(bytes), shown, pid);
        let mut log = fs::read(directory.join("log")).unwrap_or_default();
        log.extend(&ended.stderr);
        let stamp = r"(?m)^procmail: \[\d+\] \w{3} \w{3} [ \d]\d \d\d:\d\d:\d\d \d{4}\n";
        let log = replace(&String::from_utf8_lossy(&log), stamp, "").into_bytes();
        let after = snapshot(directory);
        let mut seen = Seen {
            exit: ended.exit,
            log: normal(&log),
            stdout: normal(&ended.stdout),
            files: BTreeMap::new(),
            dirs: Vec::new(),
            removed: before
                .keys()
                .filter(|name| !after.contains_key(*name))
                .cloned()
                .collect(),
            vars: ended
                .variables
                .iter()
                .map(|(name, value)| (String::from_utf8_lossy(name).into_owned(), normal(value)))
                .collect(),
            sendmail: mails(&directory.join(".bin"), &normal),
        };
        for (name, contents) in &after {
            if before.get(name) == Some(contents) {
                continue;
            }
            let shown = self.normal(&format!("/{name}"), shown, pid)[1..].to_owned();
            match contents {
                None => seen.dirs.push(shown),
                Some(bytes) => {
                    let mut key = shown.clone();
                    let mut number = 2;
                    while seen.files.contains_key(&key) {
                        key = format!("{shown}#{number}");
                        number += 1;
                    }
                    let bytes = match std::str::from_utf8(bytes) {
                        Ok(text) => self
                            .normal(text, directory.to_str().unwrap(), pid)
                            .into_bytes(),
                        Err(_) => bytes.clone(),
                    };
                    seen.files.insert(key, bytes);
                }
            }
        }
        Ok(seen)
    }

    fn normal(&self, text: &str, directory: &str, pid: u32) -> String {
        let text = text.replace(directory, "@W@");
        let escaped = host().replace('.', r"\.");
        let text = replace(
            &text,
            &format!(r"\b\d{{9,10}}\.\d+_\d+\.{escaped}"),
            "<UNIQ>",
        );
        let text = replace(
            &text,
            &format!(r"_[-A-Za-z0-9_]+[.,+%][-A-Za-z0-9_]+\.{escaped}"),
            "<TMP>",
        );
        let prefix = self.msgprefix.replace('.', r"\.");
        let code = format!("/{prefix}[-A-Za-z0-9_]{{2,}}");
        let text = replace(&text, &code, &format!("/{}<INO>", self.msgprefix));
        let lines: Vec<String> = text
            .split('\n')
            .map(
                |line| match (line.starts_with("  Folder: "), line.rfind('\t')) {
                    (true, Some(tab)) if line.contains("<UNIQ>") || line.contains("<INO>") => {
                        format!(
                            "{}\t{}",
                            line[..tab].trim_end_matches('\t'),
                            line[tab..].trim()
                        )
                    }
                    _ => line.to_owned(),
                },
            )
            .collect();
        let text = lines.join("\n").replace(&host(), "@HOST@");
        if self.rc.contains("$$") {
            replace(&text, &format!(r"\b{}\b", pid), "<PID>")
        } else {
            text
        }
    }

    fn trace(&self, log: &str) -> Vec<String> {
        let start = log
            .find("procmail: Rcfile: \"")
            .map_or(0, |at| at + log[at..].find('\n').unwrap() + 1);
        let mut lines: Vec<String> = log[start..]
            .split('\n')
            .map(|line| {
                line.strip_prefix("procmail: ")
                    .map_or_else(|| format!("| {line}"), str::to_owned)
            })
            .collect();
        lines.pop();
        lines.retain(|line| {
            !line.starts_with("Opening")
                && !line.starts_with("Assigning \"TRAP=")
                && !line.starts_with("Executing \"env -0")
                && !line.starts_with("Acquiring kernel-lock")
        });
        if !self.want_vars.is_empty() && !self.rc.contains("EXITCODE") {
            lines.retain(|line| !line.starts_with("Assigning \"EXITCODE="));
        }
        lines
    }

    fn check(&self, stub: &Path, runner: Runner<'_>) -> Vec<String> {
        let mut wrong = Vec::new();
        let mut compare = |what: &str, expected: String, got: String| {
            if expected != got {
                wrong.push(format!(
                    "{} {what}\n    expected {expected}\n    got      {got}",
                    self.id
                ));
            }
        };
        let plain = match self.run(stub, runner, false) {
            Ok(seen) => seen,
            Err(error) => return vec![error],
        };
        let lines = |text: &str| {
            let mut lines: Vec<String> = text.split('\n').map(str::to_owned).collect();
            if !self.ordered {
                lines.sort();
            }
            lines
        };
        let expect = &self.expect;
        compare("exit", expect.exit.to_string(), plain.exit.to_string());
        compare(
            "log",
            format!("{:?}", lines(&expect.log)),
            format!("{:?}", lines(&plain.log)),
        );
        compare(
            "stdout",
            format!("{:?}", expect.stdout),
            format!("{:?}", plain.stdout),
        );
        compare(
            "dirs",
            format!("{:?}", expect.dirs),
            format!("{:?}", plain.dirs),
        );
        compare(
            "removed",
            format!("{:?}", expect.removed),
            format!("{:?}", plain.removed),
        );
        compare(
            "sendmail",
            format!("{:?}", expect.sendmail),
            format!("{:?}", plain.sendmail),
        );
        let files: BTreeMap<_, _> = expect
            .files
            .iter()
            .map(|(name, contents)| match contents {
                Contents::Text(text) => (name.clone(), text.clone().into_bytes()),
                Contents::Encoded { b64 } => (name.clone(), base64(b64)),
            })
            .collect();
        compare("files", show(&files), show(&plain.files));
        if let Some(trace) = &expect.trace {
            let verbose = match self.run(stub, runner, true) {
                Ok(seen) => seen,
                Err(error) => return vec![error],
            };
            let (mut expected, mut got) = (trace.clone(), self.trace(&verbose.log));
            if !self.ordered {
                expected.sort();
                got.sort();
            }
            compare("trace", format!("{expected:#?}"), format!("{got:#?}"));
            for (name, value) in &expect.vars {
                compare(
                    name,
                    format!("{:?}", Some(value)),
                    format!("{:?}", verbose.vars.get(name)),
                );
            }
            for name in &expect.unset {
                compare(
                    name,
                    "None".to_owned(),
                    format!("{:?}", verbose.vars.get(name)),
                );
            }
        }
        wrong
    }
}

fn show(files: &BTreeMap<String, Vec<u8>>) -> String {
    let shown: Vec<_> = files
        .iter()
        .map(|(name, text)| (name, String::from_utf8_lossy(text)))
        .collect();
    format!("{shown:#?}")
}

pub(crate) fn replace(text: &str, pattern: &str, with: &str) -> String {
    static COMPILED: LazyLock<Mutex<BTreeMap<String, Regex>>> = LazyLock::new(Mutex::default);
    let regex = COMPILED
        .lock()
        .unwrap()
        .entry(pattern.to_owned())
        .or_insert_with(|| Regex::new(&format!("(?-u){pattern}")).unwrap())
        .clone();
    let mut out = String::new();
    let mut from = 0;
    for found in regex.find_iter(text) {
        out.push_str(&text[from..found.start()]);
        out.push_str(with);
        from = found.end();
    }
    out + &text[from..]
}

/// procmail does not wait for a program without `w`: what it writes comes later. Waits until none works in the
/// directory any more, as far as the system tells.
fn wait_for_programs(directory: &Path) {
    let directory = directory.canonicalize().unwrap();
    for _ in 0..2000 {
        let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
        let busy = processes
            .filter_map(|process| fs::read_link(process.path().join("cwd")).ok())
            .any(|cwd| cwd.starts_with(&directory));
        if !busy {
            return;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn snapshot(directory: &Path) -> BTreeMap<String, Option<Vec<u8>>> {
    fn walk(directory: &Path, prefix: &str, out: &mut BTreeMap<String, Option<Vec<u8>>>) {
        for entry in fs::read_dir(directory).unwrap().flatten() {
            let name = entry.file_name();
            if prefix.is_empty() && matches!(name.as_bytes(), b"rc" | b"log" | b".bin" | b".vars") {
                continue;
            }
            let name = format!("{prefix}{}", name.to_string_lossy());
            if entry.file_type().unwrap().is_dir() {
                walk(&entry.path(), &format!("{name}/"), out);
                out.insert(format!("{name}/"), None);
            } else {
                out.insert(name, Some(fs::read(entry.path()).unwrap()));
            }
        }
    }
    let mut out = BTreeMap::new();
    walk(directory, "", &mut out);
    out
}

fn mails(bin: &Path, normal: &dyn Fn(&[u8]) -> String) -> Vec<Mail> {
    (1..)
        .map(|number| bin.join(format!("mail.{number}")))
        .take_while(|mail| mail.is_dir())
        .map(|mail| {
            let argv = fs::read(mail.join("argv")).unwrap();
            let mut words: Vec<String> = argv.split(|byte| *byte == 0).map(normal).collect();
            words.pop();
            Mail {
                argv: words,
                stdin: normal(&fs::read(mail.join("stdin")).unwrap()),
            }
        })
        .collect()
}

/// Is every program here that the case needs?
fn possible(case: &Case) -> bool {
    case.needs.iter().all(|program| {
        ["/usr/local/bin", "/usr/bin", "/bin"]
            .iter()
            .any(|bin| Path::new(bin).join(program).exists())
    })
}

/// Runs all cases of a topic.
pub(crate) fn check(topic: &str, runner: Runner<'_>) {
    let directory = tempfile::tempdir().unwrap();
    let stub = directory.path().join("sendmail");
    fs::write(&stub, STUB).unwrap();
    fs::set_permissions(&stub, fs::Permissions::from_mode(0o755)).unwrap();
    let cases = load(topic).case;
    assert!(!cases.is_empty());
    let wrong: Vec<String> = cases
        .iter()
        .filter(|case| possible(case))
        .flat_map(|case| case.check(&stub, runner))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
