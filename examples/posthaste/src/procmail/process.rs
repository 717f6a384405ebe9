//! Runs programs.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use procmail_rules::{Command as Wanted, Output, Ran, Run, Status};
use rustix::process::{Pid, Signal, kill_process};

/// Runs a program as it is asked for.
pub(super) fn run(run: &Run, directory: &Path, log: Option<&File>) -> Ran {
    let argv = match &run.command {
        Wanted::Direct(argv) => argv.clone(),
        Wanted::Shell { shell, flags, text } => vec![shell.clone(), flags.clone(), text.clone()],
    };
    let started = spawn(run, &argv, directory, log).or_else(|| {
        let argv = [vec![b"/bin/sh".to_vec()], argv].concat();
        spawn(run, &argv, directory, log)
    });
    match started {
        Some(child) => attend(run, child),
        None => Ran {
            status: Status::NotStarted,
            output: Vec::new(),
            input_written: false,
        },
    }
}

fn spawn(run: &Run, argv: &[Vec<u8>], directory: &Path, log: Option<&File>) -> Option<Child> {
    let (program, arguments) = argv.split_first()?;
    let to_log = || match log {
        Some(file) => file.try_clone().map_or(Stdio::null(), Stdio::from),
        None => Stdio::inherit(),
    };
    let variables = run
        .environment
        .iter()
        // Such a value cannot be passed on.
        .filter(|(_, value)| !value.contains(&0))
        .map(|(name, value)| (OsStr::from_bytes(name), OsStr::from_bytes(value)));
    let mut command = Command::new(OsStr::from_bytes(program));
    command
        .args(arguments.iter().map(|word| OsStr::from_bytes(word)))
        .env_clear()
        .envs(variables)
        .stdin(Stdio::piped())
        .stdout(match run.output {
            Output::Capture(_) => Stdio::piped(),
            Output::Log => to_log(),
            Output::Discard => Stdio::null(),
        })
        .stderr(to_log());
    if !directory.as_os_str().is_empty() {
        command.current_dir(directory);
    }
    command.spawn().ok()
}

/// Feeds a program, reads what it writes, and waits for it if that is wanted.
fn attend(run: &Run, mut child: Child) -> Ran {
    let watch = run.timeout.map(|timeout| Watch::new(child.id(), timeout));
    let mut output = Vec::new();
    let input_written = match (child.stdin.take(), child.stdout.take()) {
        (Some(mut stdin), Some(mut stdout)) => {
            let input = run.input.clone();
            let writer = std::thread::spawn(move || stdin.write_all(&input).is_ok());
            let _ = stdout.read_to_end(&mut output);
            writer.join().unwrap_or(false)
        }
        (Some(mut stdin), None) => stdin.write_all(&run.input).is_ok(),
        _ => false,
    };
    let mut status = Status::Exited(0);
    if run.wait {
        status = match child.wait() {
            Ok(ended) => match (ended.code(), ended.signal()) {
                (Some(code), _) => Status::Exited(code),
                (None, signal) => Status::Signalled(signal.unwrap_or(0)),
            },
            Err(_) => Status::NotStarted,
        };
    }
    if watch.is_some_and(Watch::has_ended_it) {
        status = Status::TimedOut;
    }
    Ran {
        status,
        output,
        input_written,
    }
}

/// Ends a program that runs too long.
struct Watch {
    stop: std::sync::mpsc::Sender<()>,
    thread: std::thread::JoinHandle<bool>,
}

impl Watch {
    fn new(id: u32, timeout: Duration) -> Self {
        let (stop, stopped) = channel();
        let thread = std::thread::spawn(move || {
            if stopped.recv_timeout(timeout) != Err(RecvTimeoutError::Timeout) {
                return false;
            }
            i32::try_from(id)
                .ok()
                .and_then(Pid::from_raw)
                .is_some_and(|pid| kill_process(pid, Signal::TERM).is_ok())
        });
        Self { stop, thread }
    }

    fn has_ended_it(self) -> bool {
        drop(self.stop);
        self.thread.join().unwrap_or(false)
    }
}
