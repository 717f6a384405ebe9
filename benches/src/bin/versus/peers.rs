//! Starts each server with its own folder and ports, and ends it again.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::{Result, lmtp};

pub(crate) struct Posthaste {
    child: Child,
    folder: PathBuf,
    pub(crate) smtp: u16,
    pub(crate) imap: u16,
    pub(crate) lmtp: u16,
}

impl Posthaste {
    pub(crate) fn start(folder: &Path) -> Result<Self> {
        fs::create_dir_all(folder)?;
        let program = std::env::current_exe()?.with_file_name("posthaste");
        let (smtp, imap, lmtp) = (free_port()?, free_port()?, free_port()?);
        let config = folder.join("posthaste.toml");
        fs::write(
            &config,
            format!(
                "myhostname = \"bench.example\"\nmydestination = [\"example.org\"]\n\
                 mynetworks = [\"127.0.0.0/8\"]\nmail_location = \"maildir:~/Maildir\"\n\
                 smtpd_client_connection_count_limit = 0\n\
                 mail_max_userip_connections = 0\nclient_limit = 8192\n\
                 listen_smtp = [\"127.0.0.1:{smtp}\"]\nlisten_imap = [\"127.0.0.1:{imap}\"]\n\
                 listen_lmtp = [\"127.0.0.1:{lmtp}\"]\n\
                 listen_submission = []\nlisten_submissions = []\nlisten_imaps = []\n\
                 listen_pop3 = []\nlisten_pop3s = []\nlisten_managesieve = []\n\
                 smtpd_tls_security_level = \"none\"\nssl = \"no\"\n\
                 log_path = \"log\"\n"
            ),
        )?;
        let run = |arguments: &[&str]| {
            let mut command = Command::new(&program);
            command.arg("--data").arg(folder).args(arguments);
            command
        };
        let users = (0..lmtp::USERS).map(lmtp::user);
        for user in users.chain(["bench".to_owned()]) {
            let mut add = run(&["user", "add", &user])
                .stdin(Stdio::piped())
                .stdout(Stdio::null())
                .spawn()?;
            if let Some(stdin) = add.stdin.as_mut() {
                std::io::Write::write_all(stdin, b"secret\n")?;
            }
            if !add.wait()?.success() {
                return Err("posthaste user add failed".into());
            }
        }
        let child = run(&["serve"]).stdout(Stdio::null()).spawn()?;
        let posthaste = Self {
            child,
            folder: folder.to_owned(),
            smtp,
            imap,
            lmtp,
        };
        wait_for(smtp)?;
        wait_for(imap)?;
        wait_for(lmtp)?;
        Ok(posthaste)
    }

    pub(crate) fn new_mail(&self) -> PathBuf {
        self.folder.join("home/bench/Maildir/new")
    }

    pub(crate) fn memory(&self) -> Result<u64> {
        proportional_set(self.child.id())
    }
}

impl Drop for Posthaste {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) struct Postfix {
    folder: PathBuf,
    pub(crate) smtp: u16,
}

impl Postfix {
    pub(crate) fn start(folder: &Path) -> Result<Self> {
        let smtp = free_port()?;
        for name in ["etc", "spool", "data", "mail"] {
            fs::create_dir_all(folder.join(name))?;
        }
        let at = folder.display();
        fs::write(
            folder.join("etc/main.cf"),
            format!(
                "compatibility_level = 3.6\nqueue_directory = {at}/spool\n\
                 data_directory = {at}/data\nmail_owner = postfix\nsetgid_group = postdrop\n\
                 command_directory = /usr/sbin\ndaemon_directory = /usr/lib/postfix/sbin\n\
                 myhostname = bench.example\nmydestination =\ninet_interfaces = 127.0.0.1\n\
                 mynetworks = 127.0.0.0/8\nvirtual_mailbox_domains = example.org\n\
                 virtual_mailbox_base = {at}/mail\nvirtual_mailbox_maps = static:bench/Maildir/\n\
                 virtual_uid_maps = static:65534\nvirtual_gid_maps = static:65534\n\
                 virtual_minimum_uid = 1\nmaillog_file = {at}/log\n\
                 maillog_file_prefixes = {at}\nsmtpd_client_connection_count_limit = 0\n"
            ),
        )?;
        let services = "pickup unix n - n 60 1 pickup\n\
            cleanup unix n - n - 0 cleanup\n\
            qmgr unix n - n 300 1 qmgr\n\
            rewrite unix - - n - - trivial-rewrite\n\
            bounce unix - - n - 0 bounce\n\
            defer unix - - n - 0 bounce\n\
            trace unix - - n - 0 bounce\n\
            proxymap unix - - n - - proxymap\n\
            anvil unix - - n - 1 anvil\n\
            virtual unix - n n - - virtual\n\
            error unix - - n - - error\n\
            retry unix - - n - - error\n\
            postlog unix-dgram n - n - 1 postlogd\n";
        fs::write(
            folder.join("etc/master.cf"),
            format!("127.0.0.1:{smtp} inet n - n - - smtpd\n{services}"),
        )?;
        run("chown", &["postfix", &format!("{at}/data")])?;
        run("chown", &["nobody:nogroup", &format!("{at}/mail")])?;
        let postfix = Self {
            folder: folder.to_owned(),
            smtp,
        };
        run("postfix", &["-c", &format!("{at}/etc"), "start"])?;
        wait_for(smtp)?;
        Ok(postfix)
    }

    pub(crate) fn new_mail(&self) -> PathBuf {
        self.folder.join("mail/bench/Maildir/new")
    }
}

impl Drop for Postfix {
    fn drop(&mut self) {
        let etc = self.folder.join("etc").display().to_string();
        let _ = run("postfix", &["-c", &etc, "stop"]);
    }
}

pub(crate) struct Dovecot {
    child: Child,
    pub(crate) imap: u16,
    pub(crate) lmtp: u16,
}

impl Dovecot {
    pub(crate) fn start(folder: &Path) -> Result<Self> {
        let (imap, lmtp) = (free_port()?, free_port()?);
        fs::create_dir_all(folder.join("mail"))?;
        let at = folder.display();
        run("chown", &["nobody:nogroup", &format!("{at}/mail")])?;
        let config = folder.join("dovecot.conf");
        fs::write(
            &config,
            format!(
                "base_dir = {at}/run\nlog_path = {at}/log\nprotocols = imap lmtp\nssl = no\n\
                 listen = 127.0.0.1\ndisable_plaintext_auth = no\nfirst_valid_uid = 1\n\
                 mail_location = maildir:{at}/mail/%u/Maildir\n\
                 mail_max_userip_connections = 0\ndefault_client_limit = 4096\n\
                 passdb {{\n driver = static\n args = password=secret\n}}\n\
                 userdb {{\n driver = static\n args = uid=nobody gid=nogroup home={at}/mail/%u\n}}\n\
                 service imap-login {{\n process_limit = 2048\n service_count = 0\n\
                 inet_listener imap {{\n port = {imap}\n }}\n}}\n\
                 service imap {{\n process_limit = 4096\n}}\n\
                 auth_username_format = %n\n\
                 service lmtp {{\n inet_listener lmtp {{\n address = 127.0.0.1\n port = {lmtp}\n }}\n}}\n"
            ),
        )?;
        let child = Command::new("dovecot")
            .arg("-F")
            .arg("-c")
            .arg(&config)
            .spawn()?;
        let dovecot = Self { child, imap, lmtp };
        wait_for(imap)?;
        wait_for(lmtp)?;
        Ok(dovecot)
    }

    pub(crate) fn memory(&self) -> Result<u64> {
        proportional_set(self.child.id())
    }
}

impl Drop for Dovecot {
    fn drop(&mut self) {
        let _ = run("kill", &[&self.child.id().to_string()]);
        let _ = self.child.wait();
    }
}

fn run(program: &str, arguments: &[&str]) -> Result<()> {
    let status = Command::new(program).args(arguments).status()?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("{program} {arguments:?}: {status}").into())
    }
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

fn wait_for(port: u16) -> Result<()> {
    let start = Instant::now();
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        if start.elapsed() > Duration::from_secs(20) {
            return Err(format!("nothing listens on port {port}").into());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// The proportional set size of a process and all its descendants, in KiB.
fn proportional_set(root: u32) -> Result<u64> {
    let mut total = 0;
    let mut waiting = vec![root];
    while let Some(process) = waiting.pop() {
        let proc = PathBuf::from(format!("/proc/{process}"));
        if let Ok(text) = fs::read_to_string(proc.join("smaps_rollup")) {
            total += text
                .lines()
                .find_map(|line| line.strip_prefix("Pss:"))
                .and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok())
                .unwrap_or(0);
        }
        for task in fs::read_dir(proc.join("task"))
            .into_iter()
            .flatten()
            .flatten()
        {
            let children = fs::read_to_string(task.path().join("children")).unwrap_or_default();
            waiting.extend(
                children
                    .split_whitespace()
                    .filter_map(|id| id.parse::<u32>().ok()),
            );
        }
    }
    Ok(total)
}
