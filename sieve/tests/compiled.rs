//! The compiled form as octets: what is loaded is what was saved, and nothing else is loaded.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

use std::path::{Path, PathBuf};

use sieve::{
    Answer, Capabilities, Compiler, Config, Envelope, Evaluation, Limits, LoadError, Outcome,
    Progress, Question, Score, Script,
};

fn scripts(folder: &Path, out: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            scripts(&path, out);
        } else {
            out.push(path);
        }
    }
}

fn compiler() -> Compiler {
    let mut limits = Limits::default();
    limits.variables = 1000;
    Compiler::new()
        .capabilities(Capabilities::all())
        .limits(limits)
        .xmpp(true)
}

/// All scripts of the suites that compile, the suites themselves among them.
fn compiled() -> Vec<(PathBuf, Script)> {
    let mut paths = Vec::new();
    scripts(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/svtest"),
        &mut paths,
    );
    paths.sort();
    let compile = |path: PathBuf| {
        let script = compiler().compile(std::fs::read(&path).unwrap()).ok()?;
        Some((path, script))
    };
    let list: Vec<_> = paths.into_iter().filter_map(compile).collect();
    assert!(list.len() > 200, "only {} scripts", list.len());
    list
}

const MESSAGE: &[u8] = b"From: boss@example.com\r\nTo: me+foo@example.org\r\nSubject: [acme-users] money\r\n\
    Date: Fri, 21 Nov 2025 10:00:00 +0100\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n\
    --b\r\nContent-Type: text/plain\r\n\r\nhello\r\n--b\r\nContent-Type: image/tiff\r\n\r\nx\r\n--b--\r\n";

fn run(script: &Script) -> (Outcome, Vec<String>) {
    let mut config = Config::new("2026-05-04T12:00:00+00:00[+00:00]".parse().unwrap());
    config.xmpp = true;
    config.trace = true;
    let envelope = Envelope::new("ann@example.org", "me+foo@example.org");
    let mut evaluation = Evaluation::new(script, MESSAGE, envelope, config);
    loop {
        match evaluation.step() {
            Progress::Done(outcome) => {
                let trace = evaluation.trace().iter().map(ToString::to_string);
                return (outcome, trace.collect());
            }
            Progress::Ask(question) => {
                let answer = match question {
                    Question::Metadata { .. } | Question::ListContains { .. } => {
                        Answer::Text(Some("on".to_owned()))
                    }
                    Question::Score { .. } => Answer::Score(Some(Score {
                        value: 3,
                        maximum: 10,
                    })),
                    Question::Script { .. } => Answer::Script(None),
                    Question::Program(_) => Answer::Program {
                        success: true,
                        output: b"out".to_vec(),
                    },
                    Question::Convert(_) => Answer::Converted(None),
                    Question::Suite(_) => Answer::Bool(true),
                    _ => Answer::Bool(true),
                };
                evaluation.answer(answer).unwrap();
            }
        }
    }
}

#[test]
fn what_is_loaded_does_the_same() {
    for (path, script) in compiled() {
        let octets = script.to_bytes();
        let loaded = compiler()
            .load(&octets)
            .unwrap_or_else(|fault| panic!("{}: {fault}", path.display()));
        assert_eq!(loaded.to_bytes(), octets, "{}", path.display());
        assert_eq!(loaded.required(), script.required(), "{}", path.display());
        assert_eq!(run(&loaded), run(&script), "{}", path.display());
    }
}

/// FNV-1a, as the form has it.
fn seal(octets: &mut [u8]) {
    let sum = octets[13..]
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |sum, octet| {
            (sum ^ u64::from(*octet)).wrapping_mul(0x0100_0000_01b3)
        });
    octets[5..13].copy_from_slice(&sum.to_le_bytes());
}

#[test]
fn accidents_are_seen() {
    let octets = compiler()
        .compile("require \"fileinto\"; if size :over 1M { fileinto \"Big\"; }")
        .unwrap()
        .to_bytes();
    for at in 0..octets.len() {
        let mut damaged = octets.clone();
        damaged[at] ^= 1;
        assert!(compiler().load(&damaged).is_err(), "octet {at}");
        assert!(compiler().load(&octets[..at]).is_err(), "cut at {at}");
    }
    let longer = [&octets[..], b"\0"].concat();
    assert_eq!(compiler().load(&longer).unwrap_err(), LoadError::Checksum);
    assert_eq!(compiler().load(b"keep;").unwrap_err(), LoadError::Foreign);
    let mut newer = octets;
    newer[4] += 1;
    assert_eq!(compiler().load(&newer).unwrap_err(), LoadError::Version);
}

/// Whoever writes a file can write its checksum: then each octet is changed to many values.
#[test]
fn hostile_octets_are_refused_or_are_a_script() {
    let source = "require [\"fileinto\", \"variables\", \"foreverypart\", \"mime\", \"relational\", \"date\"];\n\
        foreverypart { if header :mime :type :matches \"content-type\" \"t?xt*\" { set :lower \"a\" \"${1}x\"; break; } }\n\
        if anyof (size :over 1K, date :zone \"-0330\" \"date\" \"hour\" \"09\")\n\
        { fileinto \"x${a}\"; } elsif header :count \"ge\" \"to\" \"2\" { keep; }";
    let compiler = Compiler::new();
    let octets = compiler.compile(source).unwrap().to_bytes();
    let (mut refused, mut loaded) = (0, 0);
    for at in 13..octets.len() {
        let was = octets[at];
        for value in [
            0,
            1,
            2,
            3,
            5,
            8,
            13,
            24,
            64,
            127,
            128,
            255,
            was ^ 1,
            was ^ 128,
            was.wrapping_add(1),
        ] {
            let mut hostile = octets.clone();
            hostile[at] = value;
            seal(&mut hostile);
            match compiler.load(&hostile) {
                Ok(script) => {
                    loaded += 1;
                    assert_eq!(script.to_bytes(), hostile, "octet {at} is {value}");
                    assert!(!run(&script).0.actions.is_empty());
                }
                Err(_) => refused += 1,
            }
        }
    }
    assert!(refused > 1000 && loaded > 100, "{refused} {loaded}");
}

#[test]
fn other_hosts_are_other_scripts() {
    let script = compiler().compile("require \"fileinto\"; fileinto \"x\";");
    let octets = script.unwrap().to_bytes();
    let fewer = compiler().capabilities(Capabilities::all().without("fileinto"));
    assert_eq!(fewer.load(&octets).unwrap_err(), LoadError::Capabilities);
    let mut small = Limits::default();
    small.compiled_size = octets.len() - 1;
    let small = Compiler::new().limits(small);
    assert_eq!(
        small.load(&octets).unwrap_err(),
        LoadError::Limit("compiled_size")
    );
}

/// A program may not do what its script did not require.
#[test]
fn capabilities_are_not_smuggled() {
    let offered = Capabilities::all();
    let compiler = Compiler::new().capabilities(offered);
    let pipe = compiler
        .compile("require \"vnd.dovecot.pipe\"; pipe \"p\";")
        .unwrap();
    let octets = pipe.to_bytes();
    // The names required are those before the longer list of the names offered.
    let at = octets
        .windows(b"\x01\x10vnd.dovecot.pipe".len())
        .position(|window| window == b"\x01\x10vnd.dovecot.pipe")
        .unwrap();
    let mut smuggled = octets[..at].to_vec();
    smuggled.push(0);
    smuggled.extend_from_slice(&octets[at + b"\x01\x10vnd.dovecot.pipe".len()..]);
    seal(&mut smuggled);
    assert_eq!(
        compiler.load(&smuggled).unwrap_err(),
        LoadError::Unsound { instruction: 0 }
    );
}

#[test]
fn many_regular_expressions_are_bounded() {
    let one = "\"(a{1,60}b){1,60}\"";
    let list = vec![one; 200].join(", ");
    let source = format!("require \"regex\"; if header :regex \"subject\" [{list}] {{ stop; }}");
    let faults = Compiler::new().compile(&source).unwrap_err();
    assert!(
        faults
            .iter()
            .any(|fault| fault.message.contains("together")),
        "{faults:?}"
    );
    let mut wide = Limits::default();
    wide.regex_total = usize::MAX;
    let octets = Compiler::new()
        .limits(wide)
        .compile(&source)
        .unwrap()
        .to_bytes();
    assert_eq!(
        Compiler::new().load(&octets).unwrap_err(),
        LoadError::Limit("regex_total")
    );
}
