//! Every verified rcfile case and regex vector, through the library.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    missing_docs
)]

mod host;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::{Duration, SystemTime};

use host::Host;
use procmail_rules::{Config, Evaluator, RcFile, RegexCache};
use regex_automata::meta::Regex;
use serde::Deserialize;

/// Compiled once for all cases.
static REGEXES: LazyLock<Arc<RegexCache>> = LazyLock::new(Arc::default);

const HOST: &str = "mail.example.test";

#[derive(Deserialize)]
struct Cases {
    #[serde(default)]
    case: Vec<Case>,
    #[serde(default)]
    vector: Vec<Vector>,
}

#[derive(Deserialize)]
#[serde(default)]
struct Case {
    id: String,
    rc: String,
    rc_b64: Option<String>,
    message: String,
    message_b64: Option<String>,
    append_text: String,
    append_times: usize,
    flags: Vec<String>,
    assign: Vec<String>,
    rcfiles: Vec<String>,
    rcargs: Vec<String>,
    files: BTreeMap<String, String>,
    dirs: Vec<String>,
    age: BTreeMap<String, u64>,
    env: BTreeMap<String, String>,
    needs: Vec<String>,
    want_vars: Vec<String>,
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

#[derive(Deserialize)]
struct Vector {
    re: String,
    text: String,
    case: String,
    #[serde(rename = "match")]
    matches: bool,
    #[serde(rename = "MATCH")]
    matched: Option<String>,
    count: i64,
}

fn base64(text: &str) -> Vec<u8> {
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

fn load(name: &str) -> Cases {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/cases")
        .join(format!("{name}.toml"));
    toml::from_str(&fs::read_to_string(path).unwrap()).unwrap()
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
            || text.replace("@HOST@", HOST).into_bytes(),
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
            fs::write(at(name), text.replace("@HOST@", HOST)).unwrap();
        }
        for (name, age) in &self.age {
            let file = fs::File::options().write(true).open(at(name)).unwrap();
            file.set_modified(SystemTime::now() - Duration::from_secs(*age))
                .unwrap();
        }
        Bench { directory }
    }

    fn config(&self, directory: &str, verbose: bool) -> Config {
        let mail_filter = self.flags.iter().any(|flag| flag == "-m");
        let mut arguments: Vec<Vec<u8>> = self
            .rcargs
            .iter()
            .map(|arg| arg.clone().into_bytes())
            .collect();
        let mut flags = self.flags.iter();
        while let Some(flag) = flags.next() {
            if flag == "-a" {
                arguments.push(flags.next().unwrap().clone().into_bytes());
            }
        }
        let base = [
            "LOGFILE=log",
            "DEFAULT=default",
            "ORGMAIL=orgmail",
            "SHELL=/bin/sh",
            "SENDMAIL=sendmail",
            "LOCKSLEEP=1",
            "SUSPEND=1",
        ];
        let mut assignments: Vec<String> = base.iter().map(|text| (*text).to_owned()).collect();
        assignments.push(format!(
            "PATH={directory}/.bin:/usr/local/bin:/usr/bin:/bin"
        ));
        assignments.extend(self.assign.iter().map(|text| text.replace("@HOST@", HOST)));
        if verbose {
            assignments.push("VERBOSE=on".to_owned());
        }
        let mut inherited = vec![(b"TZ".to_vec(), b"UTC".to_vec())];
        if self.flags.iter().any(|flag| flag == "-p") {
            inherited.extend(
                self.env
                    .iter()
                    .map(|(n, v)| (n.clone().into_bytes(), v.clone().into_bytes())),
            );
        }
        Config {
            host: HOST.as_bytes().to_vec(),
            system_mailbox: (!mail_filter).then(|| b"/var/mail/nobody".to_vec()),
            arguments,
            pid: std::process::id(),
            inherited,
            assignments: assignments.into_iter().map(String::into_bytes).collect(),
            rcfiles: self
                .rcfiles
                .iter()
                .map(|name| RcFile::named(name.as_str()))
                .collect(),
            mail_filter,
            regexes: Arc::clone(&REGEXES),
            requeue: self.flags.iter().any(|flag| flag == "-t"),
            ignore_content_length: self.flags.iter().any(|flag| flag == "-Y"),
            ..Config::default()
        }
    }

    fn run(&self, stub: &Path, verbose: bool) -> Result<Seen, String> {
        let bench = self.prepare(stub);
        let directory = bench.directory.path();
        let before = snapshot(directory);
        let mut message = Self::bytes(&self.message, self.message_b64.as_ref());
        for _ in 0..self.append_times {
            message.extend_from_slice(self.append_text.as_bytes());
        }
        let shown = directory.to_str().unwrap();
        let mut host = Host::new(directory, HOST);
        let outcome = host
            .run(Evaluator::new(self.config(shown, verbose), &message))
            .map_err(|error| format!("{}: {error}", self.id))?;
        let normal = |bytes: &[u8]| self.normal(&String::from_utf8_lossy(bytes), shown);
        let mut log = fs::read(directory.join("log")).unwrap_or_default();
        log.extend(&host.stderr);
        let after = snapshot(directory);
        let mut seen = Seen {
            exit: outcome.exit,
            log: normal(&log),
            stdout: normal(&host.stdout),
            files: BTreeMap::new(),
            dirs: Vec::new(),
            removed: before
                .keys()
                .filter(|name| !after.contains_key(*name))
                .cloned()
                .collect(),
            vars: outcome
                .environment
                .iter()
                .map(|(name, value)| (String::from_utf8_lossy(name).into_owned(), normal(value)))
                .collect(),
            sendmail: mails(&directory.join(".bin"), &normal),
        };
        for (name, contents) in &after {
            if before.get(name) == Some(contents) {
                continue;
            }
            let shown = self.normal(&format!("/{name}"), shown)[1..].to_owned();
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
                        Ok(text) => self.normal(text, directory.to_str().unwrap()).into_bytes(),
                        Err(_) => bytes.clone(),
                    };
                    seen.files.insert(key, bytes);
                }
            }
        }
        Ok(seen)
    }

    fn normal(&self, text: &str, directory: &str) -> String {
        let text = text.replace(directory, "@W@");
        let host = HOST.replace('.', r"\.");
        let text = replace(&text, &format!(r"\b\d{{9,10}}\.\d+_\d+\.{host}"), "<UNIQ>");
        let text = replace(
            &text,
            &format!(r"_[-A-Za-z0-9_]+[.,+%][-A-Za-z0-9_]+\.{host}"),
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
        let text = lines.join("\n").replace(HOST, "@HOST@");
        if self.rc.contains("$$") {
            replace(&text, &format!(r"\b{}\b", std::process::id()), "<PID>")
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
                && !line.starts_with("Acquiring kernel-lock")
        });
        if !self.want_vars.is_empty() && !self.rc.contains("EXITCODE") {
            lines.retain(|line| !line.starts_with("Assigning \"EXITCODE="));
        }
        lines
    }

    fn check(&self, stub: &Path) -> Vec<String> {
        let mut wrong = Vec::new();
        let mut compare = |what: &str, expected: String, got: String| {
            if expected != got {
                wrong.push(format!(
                    "{} {what}\n    expected {expected}\n    got      {got}",
                    self.id
                ));
            }
        };
        let plain = match self.run(stub, false) {
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
            let verbose = match self.run(stub, true) {
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

fn replace(text: &str, pattern: &str, with: &str) -> String {
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

fn snapshot(directory: &Path) -> BTreeMap<String, Option<Vec<u8>>> {
    fn walk(directory: &Path, prefix: &str, out: &mut BTreeMap<String, Option<Vec<u8>>>) {
        for entry in fs::read_dir(directory).unwrap().flatten() {
            let name = entry.file_name();
            if prefix.is_empty() && matches!(name.as_bytes(), b"rc" | b"log" | b".bin") {
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

fn check(topic: &str) {
    let directory = tempfile::tempdir().unwrap();
    let stub = directory.path().join("sendmail");
    fs::write(&stub, STUB).unwrap();
    fs::set_permissions(&stub, fs::Permissions::from_mode(0o755)).unwrap();
    let cases = load(topic).case;
    assert!(!cases.is_empty());
    let wrong: Vec<String> = cases
        .iter()
        .filter(|case| possible(case))
        .flat_map(|case| case.check(&stub))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

macro_rules! topics {
    ($($topic:ident)*) => {
        $(
            #[test]
            fn $topic() {
                check(stringify!($topic));
            }
        )*
    };
}

topics! {
    lexical substitution backquote header conditions regex scoring chaining blocks folders programs
    locks ending include log arguments overflow practical
}

#[test]
fn selection() {
    check("match");
}

#[test]
fn regex_vectors() {
    let vectors = load("regex-vectors").vector;
    assert!(vectors.len() >= 300);
    let mut wrong = Vec::new();
    for vector in &vectors {
        let flag = if vector.case == "D" { " D" } else { "" };
        let rc = format!(
            "T='{}'\n:0{flag}\n* T ?? \\{}\n{{ FOUND=1 M=$MATCH }}\nMATCH\n:0{flag}\n* 1^1 T ?? \\{}\n{{ }}\nCOUNT=$=\n",
            vector.text, vector.re, vector.re,
        );
        let directory = tempfile::tempdir().unwrap();
        let config = Config {
            rcfiles: vec![RcFile::text("rc", rc)],
            assignments: vec![b"LINEBUF=100000".to_vec(), b"DEFAULT=/dev/null".to_vec()],
            ..Config::default()
        };
        let outcome = Host::new(directory.path(), HOST)
            .run(Evaluator::new(config, b"To: x\n\nb\n"))
            .unwrap();
        let value = |name: &str| outcome.environment.get(name.as_bytes()).map(<[u8]>::to_vec);
        let found = value("FOUND").is_some();
        let matched = value("M").filter(|_| vector.matched.is_some());
        let count = value("COUNT").unwrap();
        if found != vector.matches
            || matched != vector.matched.clone().map(String::into_bytes)
            || count != vector.count.to_string().into_bytes()
        {
            wrong.push(format!(
                "{:?} {:?} on {:?}: {found} {:?} {:?}, not {} {:?} {}",
                vector.case,
                vector.re,
                vector.text,
                matched.map(|text| String::from_utf8_lossy(&text).into_owned()),
                String::from_utf8_lossy(&count),
                vector.matches,
                vector.matched,
                vector.count
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
