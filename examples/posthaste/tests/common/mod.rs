//! A server of its own for each test, on free ports, in a folder of its own.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "shared by test files, of which each uses its part"
)]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

#[path = "../../../../net/tests/common/ports.rs"]
mod ports;
pub(crate) use ports::free_port;

pub(crate) mod differential;

pub const DOMAIN: &str = "example.org";
pub const PASSWORD: &str = "correct horse";

/// How long anything may take on a busy machine: only what never comes is waited for in vain.
pub const PATIENCE: Duration = Duration::from_secs(300);

/// A running server; ended when dropped.
pub struct Server {
    pub folder: tempfile::TempDir,
    pub ports: Ports,
    /// What its process finds in its environment beyond the test's own.
    pub environment: Vec<(String, PathBuf)>,
    child: Option<Child>,
}

#[derive(Debug, Clone, Copy)]
pub struct Ports {
    pub smtp: u16,
    pub submission: u16,
    pub submissions: u16,
    pub imap: u16,
    pub imaps: u16,
    pub pop3: u16,
    pub pop3s: u16,
    pub managesieve: u16,
}

impl Ports {
    fn free() -> Self {
        Self {
            smtp: free_port(),
            submission: free_port(),
            submissions: free_port(),
            imap: free_port(),
            imaps: free_port(),
            pop3: free_port(),
            pop3s: free_port(),
            managesieve: free_port(),
        }
    }
}

impl Server {
    /// Starts a server with the users `alice` and `bob` and more configuration.
    pub fn start(more: &str) -> Self {
        let mut server = Self::prepare(more);
        server.run();
        server
    }

    /// Everything but the running process.
    pub fn prepare(more: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let ports = Ports::free();
        let at = |port: u16| format!("[\"127.0.0.1:{port}\"]");
        let mut config = format!(
            "myhostname = \"mx.{DOMAIN}\"\nmydestination = [\"{DOMAIN}\", \"localhost\"]\n\
             auth_failure_delay = \"0s\"\n\
             listen_smtp = {}\nlisten_submission = {}\nlisten_submissions = {}\n\
             listen_imap = {}\nlisten_imaps = {}\nlisten_pop3 = {}\nlisten_pop3s = {}\n\
             listen_managesieve = {}\n",
            at(ports.smtp),
            at(ports.submission),
            at(ports.submissions),
            at(ports.imap),
            at(ports.imaps),
            at(ports.pop3),
            at(ports.pop3s),
            at(ports.managesieve),
        );
        config.push_str(more);
        fs::write(folder.path().join("posthaste.toml"), config).unwrap();
        let server = Self {
            folder,
            ports,
            environment: Vec::new(),
            child: None,
        };
        for user in ["alice", "bob"] {
            let output = server.command_with_input(&["user", "add", user], format!("{PASSWORD}\n"));
            assert!(output.status.success(), "{output:?}");
        }
        server
    }

    /// The same server for another domain; before it is started.
    pub fn with_domain(self, domain: &str) -> Self {
        let path = self.path("posthaste.toml");
        let config = fs::read_to_string(&path).unwrap().replace(DOMAIN, domain);
        fs::write(path, config).unwrap();
        self
    }

    /// Starts the process and waits until it listens.
    pub fn run(&mut self) {
        let log = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.folder.path().join("stderr.log"))
            .unwrap();
        let child = self
            .command(&["serve"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        self.child = Some(child);
        for port in [
            self.ports.smtp,
            self.ports.imap,
            self.ports.pop3,
            self.ports.managesieve,
        ] {
            self.wait_for(port);
        }
    }

    fn wait_for(&mut self, port: u16) {
        let start = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            if let Some(child) = &mut self.child
                && let Some(status) = child.try_wait().unwrap()
            {
                panic!("the server ended: {status}\n{}", self.log());
            }
            let waited = start.elapsed();
            assert!(waited < PATIENCE, "no server\n{}", self.log());
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// The messages of a user's Maildir, of all its folders, as they are on the disk.
    pub fn mail(&self, user: &str) -> Vec<String> {
        let folder = self.home(user).join("Maildir");
        loop {
            let read: std::io::Result<Vec<_>> = files(&folder)
                .into_iter()
                .filter(|path| {
                    ["new", "cur"]
                        .iter()
                        .any(|name| path.parent().unwrap().ends_with(name))
                })
                .map(fs::read)
                .collect();
            match read {
                Ok(all) => {
                    let text = |octets: Vec<u8>| String::from_utf8_lossy(&octets).into_owned();
                    return all.into_iter().map(text).collect();
                }
                // One has got another name since it was listed.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => (),
                Err(error) => panic!("{error}"),
            }
        }
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_posthaste"));
        command
            .arg("--data")
            .arg(self.folder.path())
            .args(arguments);
        command.current_dir(self.folder.path());
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    pub fn command_with_input(&self, arguments: &[&str], input: impl AsRef<[u8]>) -> Output {
        let mut child = self
            .command(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // A command that refuses at once does not read it.
        let _ = child.stdin.take().unwrap().write_all(input.as_ref());
        child.wait_with_output().unwrap()
    }

    /// The process's number.
    pub fn id(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    /// kill -9.
    pub fn kill(&mut self) {
        let mut child = self.child.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// SIGTERM; waits for a clean end.
    pub fn stop(&mut self) {
        let mut child = self.child.take().unwrap();
        let id = child.id().to_string();
        Command::new("kill").arg(id).status().unwrap();
        assert!(child.wait().unwrap().success(), "{}", self.log());
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("stderr.log")).unwrap_or_default()
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A user's home folder.
    pub fn home(&self, user: &str) -> PathBuf {
        self.path(&format!("home/{user}"))
    }

    /// Waits until `done` is true of the server's state.
    pub fn wait_until(&self, what: &str, done: impl Fn() -> bool) {
        let start = Instant::now();
        while !done() {
            let waited = start.elapsed();
            assert!(waited < PATIENCE, "waited in vain: {what}\n{}", self.log());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Sends a message without a login and without TLS; answers how it is called in the queue.
    pub fn send(&self, from: &str, to: &str, message: &str) -> String {
        let mut smtp = Talk::connect(self.ports.smtp);
        smtp.expect("220");
        smtp.say("EHLO test.example");
        smtp.expect("250");
        smtp.say(&format!("MAIL FROM:<{from}>"));
        smtp.expect("250");
        smtp.say(&format!("RCPT TO:<{to}>"));
        smtp.expect("250");
        smtp.say("DATA");
        smtp.expect("354");
        let stuffed = message.replace("\r\n.", "\r\n..");
        smtp.say(&format!("{stuffed}\r\n."));
        let reply = smtp.expect("250");
        smtp.say("QUIT");
        smtp.expect("221");
        reply.rsplit(' ').next().unwrap().to_owned()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        if std::thread::panicking() {
            let log = self.log();
            let from = log.len().saturating_sub(4000);
            eprintln!("the server's log:\n{}", &log[from..]);
        }
    }
}

/// A line-by-line conversation in the clear.
pub struct Talk {
    pub reader: BufReader<TcpStream>,
}

impl Talk {
    pub fn connect(port: u16) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self {
            reader: BufReader::new(stream),
        }
    }

    pub fn say(&mut self, line: &str) {
        self.send(format!("{line}\r\n").as_bytes());
    }

    pub fn send(&mut self, octets: &[u8]) {
        self.reader.get_mut().write_all(octets).unwrap();
    }

    pub fn line(&mut self) -> String {
        let mut line = Vec::new();
        let count = self.reader.read_until(b'\n', &mut line).unwrap();
        assert!(count > 0, "the server hung up");
        String::from_utf8_lossy(&line).trim_end().to_owned()
    }

    /// Reads a reply (all its lines); the code must be this.
    pub fn expect(&mut self, code: &str) -> String {
        let mut all = String::new();
        loop {
            let line = self.line();
            assert!(line.starts_with(code), "expected {code}, got {all}{line:?}");
            all.push_str(&line);
            if line.as_bytes().get(3) != Some(&b'-') {
                return all;
            }
            all.push('\n');
        }
    }

    /// Reads lines up to the one that starts with `tag`.
    pub fn until(&mut self, tag: &str) -> Vec<String> {
        let mut lines = Vec::new();
        loop {
            let line = self.line();
            let last = line.starts_with(tag);
            lines.push(line);
            if last {
                return lines;
            }
        }
    }

    /// Reads lines up to the one of a single dot, which is left out.
    pub fn until_dot(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        loop {
            match self.line() {
                line if line == "." => return lines,
                line => lines.push(line),
            }
        }
    }

    /// Whether the server has closed the connection.
    pub fn closed(&mut self) -> bool {
        let mut rest = Vec::new();
        self.reader.read_to_end(&mut rest).is_ok()
    }
}

/// Whether the tests against Debian's programs are to run: in CI they must.
pub fn interop() -> bool {
    std::env::var_os("POSTHASTE_INTEROP").is_some_and(|value| value == "1")
}

/// Whether there is a Python to run: in CI there must be.
pub fn has_python() -> bool {
    interop() || Command::new("python3").arg("--version").output().is_ok()
}

/// Runs a program to its end; fails with its output.
pub fn run(command: &mut Command) -> String {
    let output = command
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{command:?}: {}\n{text}\n{errors}",
        output.status
    );
    text
}

/// Runs a Python script with the ports as `SMTP`, `IMAP` … in its environment.
pub fn python(server: &Server, script: &str) -> String {
    let path = server.path("script.py");
    fs::write(&path, script).unwrap();
    let ports = server.ports;
    run(Command::new("python3")
        .arg(path)
        .env("SMTP", ports.smtp.to_string())
        .env("SUBMISSION", ports.submission.to_string())
        .env("SUBMISSIONS", ports.submissions.to_string())
        .env("IMAP", ports.imap.to_string())
        .env("IMAPS", ports.imaps.to_string())
        .env("POP3", ports.pop3.to_string())
        .env("POP3S", ports.pop3s.to_string())
        .env("MANAGESIEVE", ports.managesieve.to_string())
        .env("CERTIFICATE", server.path("certificate.pem")))
}

/// The files of a folder, however many levels below.
pub fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut waiting = vec![folder.to_owned()];
    while let Some(folder) = waiting.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            // What is gone again is neither.
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                waiting.push(entry.path());
            } else {
                found.push(entry.path());
            }
        }
    }
    found
}
