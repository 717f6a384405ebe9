//! Programs that scripts name (vnd.dovecot.pipe, filter, execute): only those
//! that lie in a folder of the configuration, seen by no shell.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use bytes::Bytes;
use rustix::process::{Pid, Signal, kill_process_group};
use sieve::ProgramKind;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::pipe::{Receiver, Sender};
use tokio::runtime::Handle;
use tokio::time::Instant;

use super::Plan;

/// Octets of output that are taken: a filter may make a message larger, but
/// not without end.
const OUTPUT: u64 = 64 << 20;

impl Plan<'_> {
    /// Runs a program with this input; answers whether it was content, and its
    /// output.
    pub(super) async fn run_program(
        &self,
        kind: ProgramKind,
        name: &str,
        arguments: Vec<String>,
        input: Bytes,
    ) -> Result<(bool, Vec<u8>), String> {
        let config = &self.filter.config;
        let folder = match kind {
            ProgramKind::Pipe => &config.pipe,
            ProgramKind::Filter => &config.filter,
            _ => &config.execute,
        };
        let Some(folder) = folder else {
            return Err(format!("no programs are offered: {name:?}"));
        };
        let path = folder.join(name);
        let hidden = name.is_empty() || name.starts_with('.') || name.contains(['/', '\0']);
        if hidden || !path.is_file() {
            return Err(format!("there is no program {name:?}"));
        }
        let mut run = self.command(&path);
        run.args(arguments);
        let limit = config.time_limit;
        let handle = Handle::current();
        // Starting may take its time, and only so many run at once.
        let ran = self
            .filter
            .programs
            .run(move || handle.block_on(attend(run, &input, limit)))
            .await;
        ran.unwrap_or_else(|| Err("the server is stopping".into()))
            .map_err(|reason| format!("the program {name:?}: {reason}"))
    }

    fn command(&self, path: &Path) -> Command {
        let job = self.job;
        let mut run = Command::new(path);
        run.env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("HOST", &self.filter.hostname)
            .env("USER", job.user)
            .env("SENDER", &job.envelope.sender)
            .env("RECIPIENT", job.address())
            .env("ORIG_RECIPIENT", &job.recipient.original)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            // Of its own, so that what it starts can be ended with it.
            .process_group(0);
        run
    }
}

/// Feeds the program and takes what it writes, until `limit` has passed.
///
/// Neither end of a pipe is waited for without a limit: something that the
/// program left behind, in a session of its own so that no signal to the group
/// finds it, may hold them open for ever.
async fn attend(
    mut run: Command,
    input: &[u8],
    limit: Duration,
) -> Result<(bool, Vec<u8>), String> {
    let deadline = Instant::now() + limit;
    let mut started = Started {
        child: run.spawn().map_err(|error| error.to_string())?,
        waited: false,
    };
    let (stdin, stdout) = (started.child.stdin.take(), started.child.stdout.take());
    let (Some(stdin), Some(stdout)) = (stdin, stdout) else {
        return Err("it has no pipes".into());
    };
    let mut stdin = Sender::from_owned_fd(stdin.into()).map_err(|error| error.to_string())?;
    let stdout = Receiver::from_owned_fd(stdout.into()).map_err(|error| error.to_string())?;
    let feed = async move {
        // A program that reads no further has seen enough.
        let _ = stdin.write_all(input).await;
    };
    let mut output = Vec::new();
    let take = async {
        let read = stdout.take(OUTPUT + 1).read_to_end(&mut output).await;
        read.map_err(|error| error.to_string()).map(drop)?;
        if u64::try_from(output.len()).unwrap_or(u64::MAX) > OUTPUT {
            return Err(format!("it writes more than {OUTPUT} octets"));
        }
        Ok(output)
    };
    let ended = async {
        // Whoever closes both pipes mostly ends at once.
        let ((), output) = tokio::join!(feed, take);
        let output = output?;
        let mut pause = Duration::from_millis(1);
        loop {
            match started.child.try_wait() {
                Ok(Some(status)) => {
                    started.waited = true;
                    return Ok((status.success(), output));
                }
                Ok(None) => tokio::time::sleep(pause).await,
                Err(error) => return Err(error.to_string()),
            }
            pause = (pause * 2).min(Duration::from_millis(50));
        }
    };
    tokio::time::timeout_at(deadline, ended)
        .await
        .unwrap_or_else(|_| Err("it ran too long".into()))
}

/// A program that is ended with its group, unless it was waited for: then the
/// number may be another's.
struct Started {
    child: Child,
    waited: bool,
}

impl Drop for Started {
    fn drop(&mut self) {
        if self.waited {
            return;
        }
        let id = i32::try_from(self.child.id());
        let group = id.ok().and_then(Pid::from_raw);
        if group.is_some_and(|group| kill_process_group(group, Signal::KILL).is_ok()) {
            let _ = self.child.wait();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(program: &str, arguments: &[&str], input: &[u8]) -> Result<(bool, Vec<u8>), String> {
        // What ends by itself does so within this, on a busy machine too.
        run_within(Duration::from_secs(60), program, arguments, input)
    }

    fn run_within(
        limit: Duration,
        program: &str,
        arguments: &[&str],
        input: &[u8],
    ) -> Result<(bool, Vec<u8>), String> {
        let mut run = Command::new(program);
        run.args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .process_group(0);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(attend(run, input, limit))
    }

    #[test]
    fn programs() {
        assert_eq!(run("/bin/cat", &[], b"abc"), Ok((true, b"abc".to_vec())));
        assert_eq!(
            run("/bin/sh", &["-c", "exit 3"], b"abc"),
            Ok((false, Vec::new()))
        );
        let large = vec![b'x'; 1 << 20];
        assert_eq!(run("/bin/cat", &[], &large), Ok((true, large.clone())));
        assert_eq!(run("/bin/true", &[], &large), Ok((true, Vec::new())));
        assert!(run("/no/such", &[], b"").is_err());
        let reason = format!("it writes more than {OUTPUT} octets");
        assert_eq!(run("/usr/bin/yes", &[], b""), Err(reason));
    }

    #[test]
    fn programs_that_do_not_end() {
        let late = || Err("it ran too long".to_owned());
        let run = |script: &str| {
            let limit = Duration::from_millis(300);
            run_within(limit, "/bin/sh", &["-c", script], &vec![b'x'; 1 << 20])
        };
        assert_eq!(run("sleep 600"), late());
        // It goes on behind closed pipes.
        assert_eq!(run("exec <&- >&-; sleep 600"), late());
        // What it leaves behind holds the pipes, where no signal to the group
        // finds it, for as long as this waits for it.
        let path = std::env::temp_dir().join(format!("posthaste-program-{}", std::process::id()));
        std::fs::write(&path, "").unwrap();
        let behind = format!("while [ -e {} ]; do sleep 0.1; done", path.display());
        let ran = run(&format!("setsid sh -c '{behind}' & exit 0"));
        std::fs::remove_file(&path).unwrap();
        assert_eq!(ran, late());
    }
}
