//! Programs that scripts name (vnd.dovecot.pipe, filter, execute): only those
//! that lie in a folder of the configuration, seen by no shell.

use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use bytes::Bytes;
use rustix::process::{Pid, Signal, kill_process_group};
use sieve::ProgramKind;

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
        let ran = self
            .filter
            .programs
            .run(move || attend(run, &input, limit))
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

fn attend(mut run: Command, input: &[u8], limit: Duration) -> Result<(bool, Vec<u8>), String> {
    let mut child = run.spawn().map_err(|error| error.to_string())?;
    let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let kill = || group.is_some_and(|group| kill_process_group(group, Signal::KILL).is_ok());
    let (done, ended) = mpsc::channel::<()>();
    let mut pipe = child.stdin.take();
    let out = child.stdout.take();
    let (output, late) = std::thread::scope(|scope| {
        let watch = scope.spawn(move || {
            let late = ended.recv_timeout(limit) == Err(mpsc::RecvTimeoutError::Timeout);
            late && kill()
        });
        scope.spawn(move || {
            // A program that reads no further has seen enough.
            if let Some(pipe) = &mut pipe {
                let _ = pipe.write_all(input);
            }
        });
        let mut output = Vec::new();
        let read = out.map(|out| out.take(OUTPUT + 1).read_to_end(&mut output));
        let read = read.transpose().map(drop);
        let too_much = u64::try_from(output.len()).unwrap_or(u64::MAX) > OUTPUT;
        if too_much {
            kill();
        }
        let status = child.wait();
        drop(done);
        let late = watch.join().unwrap_or(true);
        let result = match (read, status) {
            (Err(error), _) | (_, Err(error)) => Err(error.to_string()),
            _ if too_much => Err(format!("it writes more than {OUTPUT} octets")),
            (Ok(()), Ok(status)) => Ok((status.success(), output)),
        };
        (result, late)
    });
    if late {
        return Err("it ran too long".into());
    }
    output
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(program: &str, arguments: &[&str], input: &[u8]) -> Result<(bool, Vec<u8>), String> {
        let mut run = Command::new(program);
        run.args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .process_group(0);
        attend(run, input, Duration::from_millis(300))
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
        assert_eq!(
            run("/bin/sleep", &["600"], b""),
            Err("it ran too long".into())
        );
        assert!(run("/no/such", &[], b"").is_err());
    }
}
