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
    words recipes prefixes points destinations settings room
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

/// What is longer than an rcfile may be is never run as far as it was read: the mail stays with the caller.
#[test]
fn an_rcfile_that_is_too_long() {
    let longest = procmail_rules::Limits::default().rc_size;
    for (size, exit, delivered) in [(longest, 0, true), (longest + 1, 75, false)] {
        let place = tempfile::tempdir().unwrap();
        let mut rc = b":0 c\nbox\n#".to_vec();
        rc.resize(size, b'x');
        fs::write(place.path().join("rc"), rc).unwrap();
        let mut command = program("procmail", "/usr/bin:/bin");
        command
            .current_dir(place.path())
            .args(["DEFAULT=default", "ORGMAIL=orgmail", "./rc"]);
        let (_, output) = feed(command, b"Subject: x\n\nbody\n");
        assert_eq!(output.status.code(), Some(exit), "{output:?}");
        for folder in ["box", "default"] {
            assert_eq!(place.path().join(folder).exists(), delivered, "{folder}");
        }
    }
}

#[test]
fn explain() {
    let directory = tempfile::tempdir().unwrap();
    let rc = directory.path().join("rc");
    fs::write(
        &rc,
        "# a comment\nA=\"one two\"\n:0\n* ^Subject: none\n* > 10\nnowhere\n\n:0:\n* ^From.*toto\n* !^To:\n* 1^1 ^Subject\n* 2^0\n* A ?? two\n{\n  :0 E\n  never\n  :0\n  amigos/toto\n}\n",
    )
    .unwrap();
    let mut command = program("posthaste", "/usr/bin:/bin");
    command
        .args(["procmail", "explain"])
        .arg(&rc)
        .current_dir(directory.path());
    let (_, output) = feed(command, b"From: toto@example.org\nSubject: hi\n\nhi\n");
    let said = text(output.stdout);
    assert!(output.status.success(), "{said}");
    assert_eq!(
        said,
        r#"   2  A="one two"
      A becomes "one two".
   3  :0
   4  * ^Subject: none
      Does not hold: nothing in what is searched fits.
   5  * > 10
      Not looked at any more.
      The recipe does not apply.
   6  nowhere
      Not done.
   8  :0:
   9  * ^From.*toto
      Holds: what is searched has "From: toto@example.org".
  10  * !^To:
      Holds: nothing in what is searched fits, and it is asked for the contrary.
  11  * 1^1 ^Subject
      1 points, 1 so far: what is searched has "Subject: hi".
  12  * 2^0
      2 points, 3 so far: an empty expression fits everything.
  13  * A ?? two
      Holds: the value of A has "one two".
      The score is 3, so the recipe applies.
  14  {
    procmail logs: Extraneous locallockfile ignored
  15  :0 E
      E: the recipe before it applied.
      The recipe does not apply.
  16  never
      Not done.
  17  :0
      All of it holds: the recipe applies.
  18  amigos/toto
    > 40 octets are delivered to the mbox "amigos/toto".
In the end the mail is delivered; the exit code is 0.
"#
    );
    assert!(!directory.path().join("amigos").exists());
}

/// Runs a command on files in a folder of its own: the exit code, what it wrote and what it said.
fn cli(arguments: &[&str], files: &[(&str, &str)]) -> (i32, String, String) {
    let directory = tempfile::tempdir().unwrap();
    for (name, contents) in files {
        fs::write(directory.path().join(name), contents).unwrap();
    }
    let mut command = program("posthaste", "/usr/bin:/bin");
    command
        .arg("procmail")
        .args(arguments)
        .current_dir(directory.path());
    let (_, output) = feed(command, b"");
    (
        output.status.code().unwrap(),
        text(output.stdout),
        text(output.stderr),
    )
}

#[test]
fn check() {
    let rc = "A=1\n:0\n* ^From:.*@example.com\nbox/\n";
    let (code, out, said) = cli(&["check", "rc"], &[("rc", rc)]);
    assert_eq!((code, out.as_str()), (0, ""));
    assert_eq!(
        said,
        "warning: this dot stands for any character\n --> rc:3:19\n  |\n3 | * ^From:.*@example.com\n  |                   ^\n  = help: put a backslash in front of it\n  = write: * ^From:.*@example\\.com\n\n0 errors, 1 warnings\n"
    );
    let (code, ..) = cli(&["check", "--strict", "rc"], &[("rc", rc)]);
    assert_eq!(code, 1);
    let (code, _, said) = cli(&["check", "rc"], &[("rc", ":0\n{\n")]);
    assert_eq!(code, 1);
    assert!(
        said.contains("error: this block is never closed\n --> rc:2:1\n"),
        "{said}"
    );
    let (code, _, said) = cli(&["check", "rc"], &[("rc", ":0:\nbox\n")]);
    assert_eq!((code, said.as_str()), (0, ""));
    let (code, ..) = cli(&["check", "missing"], &[]);
    assert_eq!(code, 1);
}

#[test]
fn fmt() {
    let (rough, neat) = (":0c:\n*^From:.*a\nbox\n", ":0 c:\n* ^From:.*a\nbox\n");
    let (code, out, _) = cli(&["fmt", "rc"], &[("rc", rough)]);
    assert_eq!((code, out.as_str()), (0, neat));
    let (code, out, _) = cli(&["fmt", "--check", "rc"], &[("rc", rough)]);
    assert_eq!((code, out.as_str()), (1, "rc\n"));
    let (code, out, _) = cli(&["fmt", "--check", "rc"], &[("rc", neat)]);
    assert_eq!((code, out.as_str()), (0, ""));
    let (code, out, said) = cli(&["fmt", "rc"], &[("rc", "A=\"open\n")]);
    assert_eq!((code, out.as_str()), (1, ""));
    assert!(said.contains("error: this quote is never closed"), "{said}");
    let directory = tempfile::tempdir().unwrap();
    let rc = directory.path().join("rc");
    fs::write(&rc, rough).unwrap();
    let mut command = program("posthaste", "/usr/bin:/bin");
    command.args(["procmail", "fmt", "-w"]).arg(&rc);
    let (_, output) = feed(command, b"");
    assert!(output.status.success());
    assert_eq!(fs::read_to_string(&rc).unwrap(), neat);
}

#[test]
fn to_sieve() {
    let rc = ":0:\n* ^Subject:.*money\nspam\n\n:0\n* ^From.*toto\n! ann@example.org\n";
    let (code, out, said) = cli(&["to-sieve", "rc"], &[("rc", rc)]);
    assert_eq!(code, 0, "{said}");
    assert!(out.contains("if header :contains \"Subject\" \"money\" {\n    fileinto :create \"spam\";\n    stop;\n}\n"), "{out}");
    assert_eq!(
        said,
        "rc:5: differs: without the colon procmail finds the envelope and fields with longer names, too\n"
    );
    let (code, _, said) = cli(&["to-sieve", "rc"], &[("rc", ":0\n* x\n| program\n")]);
    assert_eq!(code, 1);
    assert!(said.starts_with("rc:1: not translated: "), "{said}");
    // The second message has the name in a field whose name is longer.
    let mbox = "From a@b Mon Jan  1 00:00:00 2024\nFrom: toto@x\nSubject: money\n\nhi\n\nFrom c@d Mon Jan  1 00:00:00 2024\nFrom: c\nFrom-Where: toto\n\nhi\n\n";
    let (code, out, _) = cli(
        &["to-sieve", "rc", "--verify", "mbox"],
        &[("rc", rc), ("mbox", mbox)],
    );
    assert_eq!(code, 1);
    assert_eq!(
        out,
        "message 2: procmail: ! ann@example.org; sieve: INBOX\n2 messages, 1 differ\n"
    );
    let exact = ":0:\n* ^Subject:.*money\nspam\n";
    let (code, out, _) = cli(
        &["to-sieve", "rc", "--verify", "mbox"],
        &[("rc", exact), ("mbox", mbox)],
    );
    assert_eq!((code, out.as_str()), (0, "2 messages, 0 differ\n"));
}
