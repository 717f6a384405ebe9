//! Folders, ports, certificates and processes of the tests.

use std::fs::{self, File};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

#[path = "../common/ports.rs"]
mod ports;
pub(crate) use ports::free_port;

/// How long a program may take for what is asked of it, on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(300);

/// Whether the tests against other programs are to run: in CI they must.
pub(crate) fn interop() -> bool {
    std::env::var_os("POSTHASTE_INTEROP").is_some_and(|value| value == "1")
}

/// A certificate and its key in a folder, as PEM files.
pub(crate) fn certificate(folder: &Path) -> (PathBuf, PathBuf) {
    let (certificate, key) = (folder.join("cert.pem"), folder.join("key.pem"));
    let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
    net::tls::make_self_signed(&names, &certificate, &key).unwrap();
    (certificate, key)
}

/// A program that runs beside the test, in a process group of its own;
/// ended when dropped.
pub(crate) struct Running {
    child: Child,
    log: PathBuf,
}

impl Running {
    pub(crate) fn start(mut command: Command, log: PathBuf) -> Self {
        let output = File::create(&log).unwrap();
        let child = command
            .stdin(Stdio::null())
            .stdout(output.try_clone().unwrap())
            .stderr(output)
            .process_group(0)
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        Self { child, log }
    }

    /// Waits until it listens.
    pub(crate) fn listens(mut self, port: u16) -> Self {
        let start = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            if let Some(status) = self.child.try_wait().unwrap() {
                panic!("it ended: {status}\n{}", self.log());
            }
            assert!(start.elapsed() < PATIENCE, "deaf: {}", self.log());
            std::thread::sleep(Duration::from_millis(10));
        }
        self
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let group = format!("-{}", self.child.id());
        for signal in ["-TERM", "-KILL"] {
            let _ = Command::new("kill")
                .args([signal, "--", &group])
                .stderr(Stdio::null())
                .status();
            let start = Instant::now();
            while start.elapsed() < Duration::from_secs(2) {
                if matches!(self.child.try_wait(), Ok(Some(_))) {
                    break;
                }
                std::thread::sleep(Duration::from_millis(5));
            }
        }
        let _ = self.child.wait();
        if std::thread::panicking() {
            let log = self.log();
            let from = log.floor_char_boundary(log.len().saturating_sub(6000));
            eprintln!("{}:\n{}", self.log.display(), &log[from..]);
        }
    }
}

/// Runs a program to its end; fails with its output.
pub(crate) fn run(command: &mut Command) -> String {
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

/// A root folder with the servers that cannot be installed beside Postfix,
/// as `fetch-peers` makes it; a copy of its own for each test.
pub(crate) struct Root {
    folder: tempfile::TempDir,
}

impl Root {
    pub(crate) fn new() -> Self {
        let peers = std::env::var_os("POSTHASTE_PEERS").expect("POSTHASTE_PEERS is set");
        let peers = PathBuf::from(peers);
        let folder = tempfile::tempdir_in(&peers).unwrap();
        // Those who give up root must get through.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let from = format!("{}/root/.", peers.display());
        run(Command::new("cp")
            .args(["-al", &from])
            .arg(folder.path())
            .stdin(Stdio::null()));
        Self { folder }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file anew: the old one is shared with other copies.
    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        let _ = fs::remove_file(&path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// A folder that belongs to a user of the root.
    pub(crate) fn make(&self, name: &str, owner: u32, mode: u32) {
        let path = self.path(name);
        fs::create_dir_all(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        std::os::unix::fs::chown(&path, Some(owner), Some(owner)).unwrap();
    }

    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new("chroot");
        command.arg(self.folder.path()).arg(program).env_clear();
        command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        command
    }
}
