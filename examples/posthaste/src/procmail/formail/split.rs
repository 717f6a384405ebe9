//! Splitting: each message goes to a program, or they follow one another.

use std::ffi::{OsStr, OsString};
use std::io::{self, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};

use super::body::Out;
use super::options::Options;
use super::reader::Reader;
use super::{UNAVAILABLE, WRITE_ERROR, first_header, one};

/// Numbers the programs.
struct Serial {
    next: i64,
    width: usize,
}

impl Serial {
    /// Goes on from FILENO, with as many digits; none if that is no number.
    fn new() -> Option<Self> {
        let text = match std::env::var("FILENO") {
            Ok(text) => text,
            Err(std::env::VarError::NotPresent) => "000".to_owned(),
            Err(std::env::VarError::NotUnicode(_)) => return None,
        };
        let width = text.len();
        let text = text.trim_ascii_start();
        let next = if text.is_empty() {
            0
        } else {
            text.parse().ok()?
        };
        // No room is kept for a sign.
        let width = width - usize::from(next < 0);
        Some(Self { next, width })
    }

    fn take(&mut self) -> String {
        let text = format!("{:0width$}", self.next, width = self.width);
        self.next = self.next.saturating_add(1);
        text
    }
}

/// Treats all messages; the exit code.
pub(super) fn run(options: &Options, program: &[OsString], reader: &mut Reader<'_>) -> u8 {
    let mut serial = Serial::new();
    let mut skip = options.skip;
    let mut left = options.total;
    let mut code = 0;
    let mut written = true;
    if left != Some(0) {
        first_header(options, reader);
    }
    while left != Some(0) {
        let wanted = skip == 0;
        skip = skip.saturating_sub(1);
        if wanted {
            left = left.map(|left| left - 1);
        }
        let mut out = Out::new(wanted);
        let treated = one(options, reader, &mut out);
        if treated.code != 0 {
            code = treated.code;
        }
        if wanted {
            let ended = match program.split_first() {
                None => {
                    written &= io::stdout().write_all(&out.bytes).is_ok();
                    0
                }
                Some((name, words)) => {
                    let serial = serial.as_mut().map(Serial::take);
                    feed(name, words, serial.as_deref(), &out.bytes)
                }
            };
            if code == 0 {
                code = ended;
            }
        }
        if !treated.more {
            break;
        }
        reader.rest_of_header();
    }
    match code {
        0 if !written => WRITE_ERROR,
        code => code,
    }
}

/// Gives a program one message; its exit code.
fn feed(name: &OsStr, words: &[OsString], serial: Option<&str>, message: &[u8]) -> u8 {
    let mut command = Command::new(name);
    let spawn = |command: &mut Command| {
        command
            .args(words)
            .envs(serial.map(|serial| ("FILENO", serial)))
            .stdin(Stdio::piped())
            .spawn()
    };
    // What cannot be run may be a script.
    let child = spawn(&mut command).or_else(|_| spawn(Command::new("/bin/sh").arg(name)));
    let Ok(mut child) = child else {
        return UNAVAILABLE;
    };
    if let Some(mut stdin) = child.stdin.take() {
        // A program need not read what it is given.
        let _ = stdin.write_all(message);
    }
    match child.wait() {
        Ok(status) if status.signal().is_some() => UNAVAILABLE,
        Ok(status) => status
            .code()
            .and_then(|code| u8::try_from(code).ok())
            .unwrap_or(UNAVAILABLE),
        Err(_) => UNAVAILABLE,
    }
}
