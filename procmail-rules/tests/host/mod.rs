//! A host for the evaluator over real files and programs, all below one directory.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime};

use procmail_rules::{
    Command, Delivery, Effect, Evaluator, FolderKind, LockTry, Outcome, Output, Ran, Reply, Run,
    Status, Step, format,
};

/// Unique in this process.
static SERIAL: AtomicU32 = AtomicU32::new(0);

pub(crate) struct Host {
    name: String,
    directory: PathBuf,
    log: Option<File>,
    pub(crate) stderr: Vec<u8>,
    pub(crate) stdout: Vec<u8>,
    saved: Vec<(PathBuf, Option<File>)>,
}

fn path(bytes: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(bytes))
}

fn done(success: bool) -> Reply {
    if success { Reply::Done } else { Reply::Failed }
}

impl Host {
    pub(crate) fn new(directory: &Path, name: &str) -> Self {
        Self {
            name: name.to_owned(),
            directory: directory.to_owned(),
            log: None,
            stderr: Vec::new(),
            stdout: Vec::new(),
            saved: Vec::new(),
        }
    }

    pub(crate) fn run(
        &mut self,
        mut evaluator: Evaluator,
    ) -> Result<Outcome, procmail_rules::Error> {
        loop {
            match evaluator.step()? {
                Step::Ask(effect) => {
                    let reply = self.act(effect);
                    evaluator.answer(reply).expect("the reply fits");
                }
                Step::NeedAnswer => unreachable!("every effect is answered"),
                Step::Done(outcome) => return Ok(outcome),
            }
        }
    }

    fn at(&self, name: &[u8]) -> PathBuf {
        self.directory.join(path(name))
    }

    fn act(&mut self, effect: Effect) -> Reply {
        match effect {
            Effect::Log(log) => {
                match &mut self.log {
                    Some(file) => file.write_all(&log.text).expect("the log is written"),
                    None => self.stderr.extend(log.text),
                }
                Reply::Done
            }
            Effect::OpenLog { path } => match OpenOptions::new()
                .append(true)
                .create(true)
                .open(self.at(&path))
            {
                Ok(file) => {
                    self.log = Some(file);
                    Reply::Done
                }
                Err(_) => Reply::Failed,
            },
            Effect::ReadRc { path } => {
                let path = self.at(&path);
                let regular = fs::metadata(&path).is_ok_and(|metadata| metadata.is_file());
                Reply::Rc(regular.then(|| fs::read(&path).ok()).flatten())
            }
            Effect::ChangeDirectory { path } => {
                let path = self.at(&path);
                let there = path.is_dir();
                if there {
                    self.directory = path;
                }
                done(there)
            }
            Effect::Folder { path, wanted } => self.folder(&self.at(&path), wanted),
            Effect::Deliver(delivery) => match self.deliver(&delivery) {
                Ok(file) => Reply::Delivered { file },
                Err(_) => Reply::Failed,
            },
            Effect::Link {
                file,
                folder,
                kind,
                prefix,
            } => match self.link(&file, &folder, kind, &prefix) {
                Ok(file) => Reply::Delivered { file },
                Err(_) => Reply::Failed,
            },
            Effect::Run(run) => Reply::Ran(self.start(&run)),
            Effect::Print { content } => {
                self.stdout.extend(content);
                Reply::Done
            }
            Effect::Lock { path } => Reply::Lock(self.lock(&path)),
            Effect::Unlock { path } | Effect::ForceLock { path } => {
                done(fs::remove_file(self.at(&path)).is_ok())
            }
            Effect::Sleep(_) => {
                std::thread::sleep(Duration::from_millis(1));
                Reply::Done
            }
            Effect::CloneBegin => {
                let log = self.log.as_ref().and_then(|file| file.try_clone().ok());
                self.saved.push((self.directory.clone(), log));
                Reply::Done
            }
            Effect::CloneEnd { .. } => {
                if let Some((directory, log)) = self.saved.pop() {
                    self.directory = directory;
                    self.log = log;
                }
                Reply::Done
            }
            _ => Reply::Done,
        }
    }

    fn folder(&self, path: &Path, wanted: Option<FolderKind>) -> Reply {
        let Some(kind) = wanted else {
            return Reply::Folder(if path.is_dir() {
                FolderKind::Directory
            } else {
                FolderKind::Mbox
            });
        };
        if !path.is_dir() && fs::create_dir(path).is_err() {
            return Reply::Failed;
        }
        if kind == FolderKind::Maildir {
            for part in ["tmp", "new", "cur"] {
                let part = path.join(part);
                if !part.is_dir() && fs::create_dir(part).is_err() {
                    return Reply::Failed;
                }
            }
        }
        Reply::Folder(kind)
    }

    fn unique(&self) -> String {
        let time = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap()
            .as_secs();
        format::maildir_name(
            time,
            std::process::id(),
            SERIAL.fetch_add(1, Ordering::Relaxed),
            &self.name,
        )
    }

    fn deliver(&self, delivery: &Delivery) -> std::io::Result<Vec<u8>> {
        let folder = self.at(&delivery.folder);
        if delivery.kind == FolderKind::Mbox {
            OpenOptions::new()
                .append(true)
                .create(true)
                .open(folder)?
                .write_all(&delivery.content)?;
            return Ok(delivery.folder.clone());
        }
        let name = self.unique();
        let temporary = if delivery.kind == FolderKind::Maildir {
            folder.join("tmp").join(name)
        } else {
            folder.join(name)
        };
        fs::write(&temporary, &delivery.content)?;
        let file = self.place(
            &temporary,
            &delivery.folder,
            delivery.kind,
            &delivery.prefix,
        );
        fs::remove_file(temporary)?;
        file
    }

    fn link(
        &self,
        file: &[u8],
        folder: &[u8],
        kind: FolderKind,
        prefix: &[u8],
    ) -> std::io::Result<Vec<u8>> {
        self.place(&self.at(file), folder, kind, prefix)
    }

    /// Links a file into a folder under the name it has there.
    fn place(
        &self,
        from: &Path,
        folder: &[u8],
        kind: FolderKind,
        prefix: &[u8],
    ) -> std::io::Result<Vec<u8>> {
        let slash = b"/".as_slice();
        let name = match kind {
            FolderKind::Maildir => [folder, b"/new/", self.unique().as_bytes()].concat(),
            FolderKind::Mh => {
                let entries: BTreeSet<_> = fs::read_dir(self.at(folder))?
                    .flatten()
                    .map(|entry| entry.file_name())
                    .collect();
                let number = format::mh_next(entries.iter().map(|name| name.as_bytes()));
                [folder, slash, number.to_string().as_bytes()].concat()
            }
            _ => {
                let code = format::inode_code(fs::metadata(from)?.ino());
                [folder, slash, prefix, code.as_bytes()].concat()
            }
        };
        fs::hard_link(from, self.at(&name))?;
        Ok(name)
    }

    fn lock(&self, name: &[u8]) -> LockTry {
        let directory = name
            .iter()
            .rposition(|byte| *byte == b'/')
            .map_or(0, |at| at + 1);
        let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
        let unique = format!("_{}.{serial}.{}", std::process::id(), self.name);
        let attempted = [&name[..directory], unique.as_bytes()].concat();
        let temporary = self.at(&attempted);
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o444)
            .open(&temporary);
        if file.and_then(|mut file| file.write_all(b"0")).is_err() {
            return LockTry::Impossible { attempted };
        }
        let linked = fs::hard_link(&temporary, self.at(name));
        fs::remove_file(&temporary).expect("the temporary file can be removed");
        match linked {
            Ok(()) => LockTry::Taken,
            Err(_) => {
                let metadata = fs::metadata(self.at(name)).expect("a busy lock is there");
                let age = metadata
                    .modified()
                    .unwrap()
                    .elapsed()
                    .unwrap_or_default()
                    .as_secs();
                LockTry::Busy {
                    age,
                    size: metadata.len(),
                }
            }
        }
    }

    fn spawn(&self, run: &Run) -> std::io::Result<Child> {
        let argv = match &run.command {
            Command::Direct(argv) => argv.clone(),
            Command::Shell { shell, flags, text } => {
                vec![shell.clone(), flags.clone(), text.clone()]
            }
        };
        self.prepare(run, &argv).spawn().or_else(|_| {
            let argv = [vec![b"/bin/sh".to_vec()], argv].concat();
            self.prepare(run, &argv).spawn()
        })
    }

    fn prepare(&self, run: &Run, argv: &[Vec<u8>]) -> std::process::Command {
        let log = || match &self.log {
            Some(file) => file.try_clone().map_or(Stdio::null(), Stdio::from),
            None => Stdio::null(),
        };
        let mut command = std::process::Command::new(OsStr::from_bytes(&argv[0]));
        command
            .args(argv[1..].iter().map(|word| OsStr::from_bytes(word)))
            .env_clear()
            .envs(
                run.environment
                    .iter()
                    .map(|(n, v)| (OsStr::from_bytes(n), OsStr::from_bytes(v))),
            )
            .current_dir(&self.directory)
            .stdin(Stdio::piped())
            .stdout(match run.output {
                Output::Capture(_) => Stdio::piped(),
                Output::Log => log(),
                _ => Stdio::null(),
            })
            .stderr(log());
        command
    }

    fn start(&self, run: &Run) -> Ran {
        let Ok(mut child) = self.spawn(run) else {
            return Ran {
                status: Status::NotStarted,
                output: Vec::new(),
                input_written: false,
            };
        };
        let mut stdin = child.stdin.take().expect("standard input is a pipe");
        let input = run.input.clone();
        let writer = std::thread::spawn(move || stdin.write_all(&input).is_ok());
        let mut output = Vec::new();
        if let Some(mut stdout) = child.stdout.take() {
            stdout
                .read_to_end(&mut output)
                .expect("the output can be read");
        }
        let input_written = writer.join().expect("the writer does not panic");
        let ended = child.wait().expect("the child can be waited for");
        let status = match (ended.code(), ended.signal()) {
            _ if !run.wait => Status::Exited(0),
            (Some(code), _) => Status::Exited(code),
            (None, signal) => Status::Signalled(signal.unwrap_or(0)),
        };
        Ran {
            status,
            output,
            input_written,
        }
    }
}
