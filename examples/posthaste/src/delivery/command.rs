//! To the standard input of a program, where an alias says so and the
//! configuration allows it.

use std::io::Write;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use bytes::Bytes;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::sync::mpsc::{Receiver, Sender};

use super::local::Job;
use super::{Failure, Outcome};
use crate::blocking::Blocking;

/// Programs at once.
const PROGRAMS: usize = 20;

/// Chunks of a message on their way to a program.
const AHEAD: usize = 4;

/// `EX_TEMPFAIL` of sysexits.h: try again later.
const TRY_LATER: i32 = 75;

/// Runs programs, with the rights of the server.
pub(super) struct CommandAgent {
    time_limit: Duration,
    blocking: Blocking,
}

/// The next piece of a message; nothing when it cannot be read to its end.
type Piece = Option<Bytes>;

/// Why a program is watched no longer.
enum Word {
    Ended,
    Abandoned,
}

/// Says so when nobody waits for the program any more: the server stops.
struct Waiting(mpsc::Sender<Word>);

impl Drop for Waiting {
    fn drop(&mut self) {
        let _ = self.0.send(Word::Abandoned);
    }
}

/// How a program ended.
enum Ended {
    NotStarted(String),
    /// It ran too long, or its input broke off, and it was killed.
    Killed(&'static str),
    By(ExitStatus),
}

impl CommandAgent {
    pub(super) fn new(time_limit: Duration) -> Self {
        Self {
            time_limit,
            blocking: Blocking::new(PROGRAMS),
        }
    }

    /// Gives the message to the program, line ends as this system has them.
    ///
    /// The command line is split at blanks and seen by no shell. After a
    /// crash it may run a second time.
    pub(super) async fn deliver(&self, job: &Job<'_>, command: &str) -> Outcome {
        let mut words = command.split_whitespace().map(str::to_owned);
        let Some(program) = words.next() else {
            return Outcome::Failed(Failure::new("5.3.5", "an empty command"));
        };
        let mut run = Command::new(&program);
        run.args(words)
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("SENDER", &job.envelope.sender)
            .env("ORIGINAL_RECIPIENT", &job.recipient.original)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // Of its own, so that what it starts can be ended with it.
            .process_group(0);
        let (pieces, waiting) = tokio::sync::mpsc::channel(AHEAD);
        let limit = self.time_limit;
        let (say, hear) = mpsc::channel();
        let _waiting = Waiting(say.clone());
        let ran = move || attend(run, waiting, limit, &say, hear);
        let ran = self.blocking.run(ran);
        let (ended, ()) = tokio::join!(ran, feed(job, pieces));
        let later = |reason: String| Outcome::Deferred(Failure::new("4.3.0", reason));
        match ended {
            None => later(format!("{program}: the server is stopping")),
            Some(Ended::NotStarted(error)) => later(format!("{program}: {error}")),
            Some(Ended::Killed(why)) => later(format!("{program}: {why}")),
            Some(Ended::By(status)) => match (status.code(), status.signal()) {
                (Some(0), _) => Outcome::Delivered {
                    to: format!("command {program}"),
                },
                (Some(TRY_LATER), _) => later(format!("{program}: temporary failure")),
                (Some(code), _) => {
                    let reason = format!("{program}: exit status {code}");
                    Outcome::Failed(Failure::new("5.3.0", reason))
                }
                (None, signal) => later(format!("{program}: signal {}", signal.unwrap_or(0))),
            },
        }
    }
}

/// Sends the message along, until nobody listens any more.
async fn feed(job: &Job<'_>, pieces: Sender<Piece>) {
    let Ok(mut content) = job.content().await else {
        let _ = pieces.send(None).await;
        return;
    };
    let mut next = Ok(Some(job.trace()));
    loop {
        let piece = match next {
            Ok(Some(chunk)) => Some(chunk),
            Ok(None) => return,
            Err(_) => None,
        };
        let broken = piece.is_none();
        if pieces.send(piece).await.is_err() || broken {
            return;
        }
        next = content.next().await;
    }
}

/// Starts the program, writes the message to it and waits for its end.
fn attend(
    mut run: Command,
    mut pieces: Receiver<Piece>,
    limit: Duration,
    say: &mpsc::Sender<Word>,
    hear: mpsc::Receiver<Word>,
) -> Ended {
    let mut child = match run.spawn() {
        Ok(child) => child,
        Err(error) => return Ended::NotStarted(error.to_string()),
    };
    let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let kill = move || group.is_some_and(|group| kill_process_group(group, Signal::KILL).is_ok());
    let watch = std::thread::spawn(move || match hear.recv_timeout(limit) {
        Ok(Word::Abandoned) | Err(RecvTimeoutError::Timeout) => kill(),
        Ok(Word::Ended) | Err(RecvTimeoutError::Disconnected) => false,
    });
    let whole = write(&mut child, &mut pieces);
    if !whole {
        kill();
    }
    let ended = child.wait();
    let _ = say.send(Word::Ended);
    let timed_out = watch.join().unwrap_or(false);
    match ended {
        _ if !whole => Ended::Killed("the message could not be read"),
        _ if timed_out => Ended::Killed("command time limit exceeded"),
        Ok(status) => Ended::By(status),
        Err(error) => Ended::NotStarted(error.to_string()),
    }
}

/// False when the message broke off. A program that does not read it all is
/// judged by how it ends.
fn write(child: &mut Child, pieces: &mut Receiver<Piece>) -> bool {
    let Some(mut stdin) = child.stdin.take() else {
        return false;
    };
    let mut listens = true;
    let mut held_cr = false;
    while let Some(piece) = pieces.blocking_recv() {
        let Some(chunk) = piece else {
            return false;
        };
        if listens {
            let text = without_cr(&chunk, &mut held_cr);
            listens = stdin.write_all(&text).is_ok();
        }
    }
    if held_cr {
        let _ = stdin.write_all(b"\r");
    }
    true
}

/// CRLF as LF; a CR at the end is held until it is known what follows.
fn without_cr(chunk: &[u8], held: &mut bool) -> Vec<u8> {
    let mut text = Vec::with_capacity(chunk.len() + 1);
    for &octet in chunk {
        if std::mem::take(held) && octet != b'\n' {
            text.push(b'\r');
        }
        match octet {
            b'\r' => *held = true,
            _ => text.push(octet),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_ends() {
        for size in [1, 2, 3, 100] {
            let mut held = false;
            let mut text = Vec::new();
            for chunk in b"a\r\nb\rc\r\r\n\n".chunks(size) {
                text.extend(without_cr(chunk, &mut held));
            }
            assert_eq!(text, b"a\nb\rc\r\n\n");
            assert!(!held);
        }
    }
}
