//! Every verified rcfile case and tool run, through the commands.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    missing_docs
)]

#[path = "../../../procmail-rules/tests/support/mod.rs"]
mod support;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::io::Write;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde::Deserialize;
use support::{Case, Ended};

fn program(name: &str, path: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_posthaste"));
    command
        .arg0(name)
        .env_clear()
        .env("TZ", "UTC")
        .env("PATH", path)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

fn feed(mut command: Command, input: &[u8]) -> (u32, Output) {
    let mut child = command.spawn().unwrap();
    let id = child.id();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    let writer = std::thread::spawn(move || {
        // A program that fails at once need not read.
        let _ = stdin.write_all(&input);
    });
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    (id, output)
}

fn run(case: &Case, directory: &Path, message: &[u8], verbose: bool) -> Result<Ended, String> {
    let shown = directory.to_str().unwrap();
    // Programs that rcfiles call by their names are this one.
    for name in ["formail", "lockfile"] {
        let _ = std::os::unix::fs::symlink(
            env!("CARGO_BIN_EXE_posthaste"),
            directory.join(".bin").join(name),
        );
    }
    let path = format!("{shown}/.bin:/usr/local/bin:/usr/bin:/bin");
    let mut command = program("procmail", "/usr/local/bin:/usr/bin:/bin");
    command
        .current_dir(directory)
        .envs(&case.env)
        .args(&case.flags)
        .args(support::BASE)
        .arg(format!("PATH={path}"));
    command.args(
        case.assign
            .iter()
            .map(|text| text.replace("@HOST@", &support::host())),
    );
    if verbose {
        command.arg("VERBOSE=on");
        if !case.want_vars.is_empty() {
            command.arg(format!("TRAP=env -0 >{shown}/.vars.\\$PPID"));
        }
    }
    command.args(&case.rcfiles).args(&case.rcargs);
    let (pid, output) = feed(command, message);
    let list = directory.join(format!(".vars.{pid}"));
    let variables = fs::read(&list).unwrap_or_default();
    for entry in fs::read_dir(directory).unwrap().flatten() {
        if entry.file_name().to_string_lossy().starts_with(".vars.") {
            fs::remove_file(entry.path()).unwrap();
        }
    }
    Ok(Ended {
        pid,
        exit: u8::try_from(output.status.code().ok_or("ended by a signal")?).unwrap(),
        stdout: output.stdout,
        stderr: output.stderr,
        variables: variables
            .split(|byte| *byte == 0)
            .filter_map(|variable| {
                let equals = variable.iter().position(|byte| *byte == b'=')?;
                Some((variable[..equals].to_vec(), variable[equals + 1..].to_vec()))
            })
            .collect(),
    })
}

macro_rules! topics {
    ($($topic:ident)*) => {
        $(
            #[test]
            fn $topic() {
                support::check(stringify!($topic), &run);
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
    support::check("match", &run);
}

#[derive(Deserialize)]
struct Tools {
    tool: Vec<Tool>,
}

#[derive(Deserialize)]
struct Tool {
    id: String,
    argv: Vec<String>,
    #[serde(default)]
    stdin: String,
    #[serde(default)]
    files: BTreeMap<String, String>,
    expect: Expect,
}

#[derive(Deserialize, Debug, PartialEq)]
struct Expect {
    exit: i32,
    stdout: String,
    #[serde(default)]
    stderr: String,
    #[serde(default)]
    files: BTreeMap<String, String>,
    #[serde(default)]
    removed: Vec<String>,
}

fn text(bytes: Vec<u8>) -> String {
    let text = String::from_utf8(bytes).unwrap();
    support::replace(&text, r"\w{3} \w{3} [ \d]\d \d\d:\d\d:\d\d \d{4}", "<DATE>")
}

#[test]
fn tools() {
    let cases = fs::read_to_string(support::path_of("tools")).unwrap();
    let cases: Tools = toml::from_str(&cases).unwrap();
    assert!(cases.tool.len() >= 49);
    for tool in cases.tool {
        let directory = tempfile::tempdir().unwrap();
        for (name, contents) in &tool.files {
            fs::write(directory.path().join(name), contents).unwrap();
        }
        let mut command = program(&tool.argv[0], "/usr/local/bin:/usr/bin:/bin");
        command.args(&tool.argv[1..]).current_dir(directory.path());
        let (_, output) = feed(command, tool.stdin.as_bytes());
        let mut files = BTreeMap::new();
        for entry in fs::read_dir(directory.path()).unwrap().flatten() {
            let name = OsString::from_vec(entry.file_name().into_vec())
                .into_string()
                .unwrap();
            files.insert(name, text(fs::read(entry.path()).unwrap()));
        }
        let removed = tool
            .files
            .keys()
            .filter(|name| !files.contains_key(*name))
            .cloned()
            .collect();
        files.retain(|name, contents| tool.files.get(name) != Some(contents));
        let got = Expect {
            exit: output.status.code().unwrap(),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
            files,
            removed,
        };
        assert_eq!(got, tool.expect, "{}", tool.id);
    }
}

#[test]
fn explain() {
    let directory = tempfile::tempdir().unwrap();
    let rc = directory.path().join("rc");
    fs::write(&rc, ":0:\n* ^From.*toto\namigos/toto\n").unwrap();
    let mut command = program("posthaste", "/usr/bin:/bin");
    command
        .args(["procmail", "explain"])
        .arg(&rc)
        .current_dir(directory.path());
    let (_, output) = feed(command, b"From: toto@example.org\n\nhi\n");
    let said = text(output.stdout);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("Match on \"^From.*toto\""), "{said}");
    assert!(
        said.contains("> 28 octets are delivered to the mbox \"amigos/toto\"."),
        "{said}"
    );
    assert!(!directory.path().join("amigos").exists());
}
