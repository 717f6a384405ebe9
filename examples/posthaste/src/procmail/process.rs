//! Runs programs.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use procmail_rules::{Command as Wanted, Output, Ran, Run, Status};
use rustix::fs::{OFlags, fcntl_setfl};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};

/// How long a server's program has to end once it is told to.
const GRACE: Duration = Duration::from_secs(5);

/// How soon it is noticed that nobody waits for a program any more.
const SLICE: Duration = Duration::from_millis(250);

/// What a person's program may write, in octets, where all of it is wanted: a filter that writes
/// for ever would fill the memory before TIMEOUT ends it.
const MOST: usize = 1 << 30;

/// What programs run by a server find as PATH.
const PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// The variables of an rcfile that programs run by a server get: others, LD_PRELOAD say, would
/// make another program of the one that is allowed.
const VARIABLES: [&[u8]; 11] = [
    b"DEFAULT",
    b"HOME",
    b"HOST",
    b"LANG",
    b"LASTFOLDER",
    b"LOGNAME",
    b"MAILDIR",
    b"MATCH",
    b"ORGMAIL",
    b"SHELL",
    b"TZ",
];

/// On whose behalf a program runs.
#[derive(Debug, Clone)]
pub(crate) enum Manner {
    /// A person's: with all that the person may do.
    Person,
    /// A server's: in a process group of its own that is ended whole, with few variables, and
    /// with no more output than this, in octets.
    Server {
        /// A program that writes more has failed.
        output: usize,
        /// Nobody waits for the program any more.
        abandoned: Arc<AtomicBool>,
    },
}

/// Runs a program as it is asked for.
pub(crate) fn run(run: &Run, directory: &Path, log: Option<&File>, manner: Manner) -> Ran {
    let argv = match &run.command {
        Wanted::Direct(argv) => argv.clone(),
        Wanted::Shell { shell, flags, text } => vec![shell.clone(), flags.clone(), text.clone()],
    };
    started(run, &argv, directory, log, &manner).unwrap_or(Ran {
        status: Status::NotStarted,
        output: Vec::new(),
        input_written: false,
    })
}

fn started(
    run: &Run,
    argv: &[Vec<u8>],
    directory: &Path,
    log: Option<&File>,
    manner: &Manner,
) -> Option<Ran> {
    let (stdin, mut feed, written) = filled_pipe(&run.input).ok()?;
    let child =
        spawn(run, argv, directory, log, manner, stdin.try_clone().ok()?).or_else(|| {
            let argv = [[b"/bin/sh".to_vec()].as_slice(), argv].concat();
            spawn(run, &argv, directory, log, manner, stdin.try_clone().ok()?)
        })?;
    drop(stdin);
    let rest = run.input.get(written..).unwrap_or(&[]);
    let rest = if rest.is_empty() {
        None
    } else {
        fcntl_setfl(&feed, OFlags::empty()).ok()?;
        Some(rest)
    };
    Some(attend(run, child, manner, move || {
        let fed = rest.is_none_or(|rest| feed.write_all(rest).is_ok());
        drop(feed);
        fed
    }))
}

/// A pipe with as much of a program's input in it as it takes, before the program can end: one
/// that does not read what fits in there is no error, however soon it ends.
fn filled_pipe(input: &[u8]) -> io::Result<(PipeReader, PipeWriter, usize)> {
    let (reader, mut writer) = io::pipe()?;
    fcntl_setfl(&writer, OFlags::NONBLOCK)?;
    let mut written = 0;
    while let Some(rest) = input.get(written..).filter(|rest| !rest.is_empty()) {
        match writer.write(rest) {
            Ok(count) => written += count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok((reader, writer, written))
}

fn spawn(
    run: &Run,
    argv: &[Vec<u8>],
    directory: &Path,
    log: Option<&File>,
    manner: &Manner,
    stdin: PipeReader,
) -> Option<Child> {
    let (program, arguments) = argv.split_first()?;
    let to_log = || match log {
        Some(file) => file.try_clone().map_or(Stdio::null(), Stdio::from),
        None => Stdio::inherit(),
    };
    let served = matches!(manner, Manner::Server { .. });
    let variables = run
        .environment
        .iter()
        .filter(|(name, _)| !served || VARIABLES.contains(name))
        // Such a value cannot be passed on.
        .filter(|(_, value)| !value.contains(&0))
        .map(|(name, value)| (OsStr::from_bytes(name), OsStr::from_bytes(value)));
    let mut command = Command::new(OsStr::from_bytes(program));
    command
        .args(arguments.iter().map(|word| OsStr::from_bytes(word)))
        .env_clear()
        .envs(variables)
        .stdin(stdin)
        .stdout(match run.output {
            Output::Capture(_) => Stdio::piped(),
            Output::Log => to_log(),
            Output::Discard => Stdio::null(),
        })
        .stderr(to_log());
    if !directory.as_os_str().is_empty() {
        command.current_dir(directory);
    }
    if served {
        command.env("PATH", PATH).process_group(0);
    }
    command.spawn().ok()
}

/// Feeds a program, reads what it writes, and waits for it if that is wanted.
fn attend(run: &Run, mut child: Child, manner: &Manner, feed: impl FnOnce() -> bool + Send) -> Ran {
    let (most, abandoned) = match manner {
        Manner::Server { output, abandoned } => (*output, Some(Arc::clone(abandoned))),
        Manner::Person => (MOST, None),
    };
    let wanted = match run.output {
        Output::Capture(wanted) => wanted,
        Output::Discard | Output::Log => 0,
    };
    let kept = u64::try_from(wanted.min(most)).unwrap_or(u64::MAX);
    let on_its_own = Arc::new(AtomicBool::new(false));
    let watch = run
        .timeout
        .map(|timeout| Watch::new(child.id(), timeout, abandoned, Arc::clone(&on_its_own)));
    let fed = |fed: bool| {
        on_its_own.store(fed && !run.wait, Ordering::Relaxed);
        fed
    };
    let mut output = Vec::new();
    let mut too_much = false;
    let mut input_written = match child.stdout.take() {
        Some(mut stdout) => std::thread::scope(|scope| {
            let writer = scope.spawn(|| fed(feed()));
            let _ = stdout.by_ref().take(kept).read_to_end(&mut output);
            let more = io::copy(&mut stdout, &mut io::sink()).is_ok_and(|more| more > 0);
            too_much = more && most < wanted;
            // A program that writes no more but reads on, or not, may still keep the writer.
            writer.join().unwrap_or(false)
        }),
        None => fed(feed()),
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
    if too_much {
        status = Status::NotStarted;
        output.clear();
        input_written = false;
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
    /// With `abandoned`, the whole process group is ended, and as soon as that turns true.
    /// Otherwise a program is left alone once it is `on_its_own`.
    fn new(
        id: u32,
        timeout: Duration,
        abandoned: Option<Arc<AtomicBool>>,
        on_its_own: Arc<AtomicBool>,
    ) -> Self {
        let (stop, stopped) = channel();
        let runs_on = move |time| stopped.recv_timeout(time) == Err(RecvTimeoutError::Timeout);
        let thread = std::thread::spawn(move || {
            let mut left = timeout;
            while !left.is_zero() {
                let slice = match &abandoned {
                    Some(abandoned) if abandoned.load(Ordering::Relaxed) => break,
                    Some(_) => left.min(SLICE),
                    None => left,
                };
                if !runs_on(slice) {
                    return false;
                }
                left = left.saturating_sub(slice);
            }
            let Some(pid) = i32::try_from(id).ok().and_then(Pid::from_raw) else {
                return false;
            };
            if abandoned.is_none() {
                if on_its_own.load(Ordering::Relaxed) {
                    return true;
                }
                return kill_process(pid, Signal::TERM).is_ok();
            }
            let told = kill_process_group(pid, Signal::TERM).is_ok();
            if runs_on(GRACE) {
                let _ = kill_process_group(pid, Signal::KILL);
            }
            told
        });
        Self { stop, thread }
    }

    fn has_ended_it(self) -> bool {
        drop(self.stop);
        self.thread.join().unwrap_or(false)
    }
}
