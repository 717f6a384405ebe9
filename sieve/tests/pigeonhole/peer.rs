//! Pigeonhole's `sieve-test`: how it is set up, started and read.

use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use super::areas::Area;
use super::more::INCLUDED;

pub(crate) const SPAM: &[(&str, &str)] = &[
    ("status_type", "score"),
    (
        "status_header",
        "X-Spam-Score: (-?[[:digit:]]+\\.[[:digit:]]).*$",
    ),
    ("max_value", "5.0"),
];

pub(crate) const VIRUS: &[(&str, &str)] = &[
    ("status_type", "text"),
    ("status_header", "X-Virus-Scan: Found to be (.+)\\."),
    ("text_value1", "clean"),
    ("text_value5", "infected"),
];

/// The release that is installed, of which Debian makes several from one version.
pub(crate) fn release() -> String {
    let output = Command::new("dpkg-query")
        .args(["-W", "-f", "${Version}\n", "dovecot-sieve"])
        .output()
        .unwrap_or_else(|fault| panic!("dpkg-query: {fault}"));
    String::from_utf8(output.stdout).unwrap()
}

/// The user, with a detail where that is looked at.
pub(crate) fn recipient(area: &Area) -> &'static str {
    if area.name == "vacation" {
        "me@example.com"
    } else {
        "me+detail@example.com"
    }
}

/// Line ends and runs of blanks as one space each.
pub(crate) fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The header fields of a message, unfolded, in their order.
pub(crate) fn fields(message: &str) -> Vec<String> {
    let message = message.replace("\r\n", "\n");
    let header = message.split("\n\n").next().unwrap_or_default();
    let unfolded = header.replace("\n\t", " ").replace("\n ", " ");
    unfolded.lines().map(one_line).collect()
}

pub(crate) struct Peer {
    folder: PathBuf,
    config: PathBuf,
}

impl Peer {
    pub(crate) fn new() -> Self {
        use std::os::unix::fs::PermissionsExt;
        let folder = std::env::temp_dir().join(format!("posthaste-sieve-{}", std::process::id()));
        let id = |flag: &str| {
            let output = Command::new("id").arg(flag).output().unwrap();
            String::from_utf8(output.stdout).unwrap().trim().to_owned()
        };
        // The program refuses to work for root.
        let (user, group) = match id("-un").as_str() {
            "root" => ("nobody".to_owned(), "nogroup".to_owned()),
            user => (user.to_owned(), id("-gn")),
        };
        for path in [folder.clone(), folder.join("home"), folder.join("scripts")] {
            std::fs::create_dir_all(&path).unwrap();
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o777)).unwrap();
        }
        for (name, source) in INCLUDED {
            let path = folder.join("scripts").join(format!("{name}.sieve"));
            std::fs::write(path, source).unwrap();
        }
        let (home, scripts) = (folder.join("home"), folder.join("scripts"));
        let (home, scripts) = (home.display(), scripts.display());
        let mut text = format!(
            "ssl = no\nmail_uid = {user}\nmail_gid = {group}\nfirst_valid_uid = 0\nfirst_valid_gid = 0\nmail_home = \
             {home}\nmail_location = maildir:{home}/Maildir\nlog_path = /dev/stderr\nmail_attribute_dict = \
             file:{home}/dict\nnamespace inbox {{\n inbox = yes\n mailbox Trash {{\n special_use = \\Trash\n auto = \
             create\n }}\n mailbox Spam {{\n special_use = \\Junk\n auto = create\n }}\n}}\nplugin {{\n sieve_extensions = \
             +editheader +spamtest +spamtestplus +virustest +vacation-seconds +special-use +mboxmetadata \
             +servermetadata +vnd.dovecot.debug +vnd.dovecot.environment +vnd.dovecot.report\n sieve_global = {scripts}\n"
        );
        for (kind, list) in [("spamtest", SPAM), ("virustest", VIRUS)] {
            for (name, value) in list {
                text.push_str(&format!(" sieve_{kind}_{name} = {value}\n"));
            }
        }
        text.push_str("}\n");
        let config = folder.join("dovecot.conf");
        std::fs::write(&config, text).unwrap();
        Self { folder, config }
    }

    fn run(&self, area: &Area, maildir: &Path, script: &Path, mail: &Path) -> Output {
        let mut command = Command::new("sieve-test");
        command.args(["-C", "-f", "ann+list@example.org", "-r", recipient(area)]);
        if area.stored {
            let _ = std::fs::remove_dir_all(maildir);
            command.arg("-e");
        }
        command
            .arg("-c")
            .args([&self.config, script, mail])
            .output()
            .unwrap_or_else(|fault| panic!("sieve-test (Debian package dovecot-sieve): {fault}"))
    }

    pub(crate) fn actions(&self, area: &Area, source: &str, message: &str) -> Vec<String> {
        let (script, mail) = (
            self.folder.join("script.sieve"),
            self.folder.join("mail.eml"),
        );
        std::fs::write(&script, source).unwrap();
        std::fs::write(&mail, message).unwrap();
        let maildir = self.folder.join("home/Maildir");
        // A crash of the program says nothing about its answer; it is asked again.
        let output = (0..8)
            .map(|_| self.run(area, &maildir, &script, &mail))
            .find(|output| output.status.signal().is_none())
            .unwrap_or_else(|| panic!("sieve-test crashes on\n{source}\n{message}"));
        let log = String::from_utf8_lossy(&output.stderr);
        assert!(
            log.contains("final result: success"),
            "{}\n{log}\n{source}\n{message}",
            output.status
        );
        if area.stored {
            return fields(&stored(&maildir));
        }
        read(&String::from_utf8_lossy(&output.stdout))
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// The one message of a maildir.
fn stored(maildir: &Path) -> String {
    let mut found = ["new", "cur"]
        .iter()
        .flat_map(|folder| std::fs::read_dir(maildir.join(folder)).unwrap());
    let path = found.next().unwrap().unwrap().path();
    assert!(found.next().is_none());
    String::from_utf8(std::fs::read(path).unwrap()).unwrap()
}

/// The list of actions as `sieve-test` prints it.
fn read(printed: &str) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    let mut lines = printed.lines().peekable();
    while let Some(line) = lines.next() {
        let line = line.trim_start();
        if let Some(folder) = line.strip_prefix("* store message in folder: ") {
            out.push(format!("store {}", one_line(folder)));
        } else if let Some(address) = line.strip_prefix("* redirect message to: ") {
            out.push(format!("redirect {}", address.trim_matches(['<', '>'])));
        } else if line.starts_with("* discard") {
            out.push("discard".to_owned());
        } else if line.starts_with("* track") && line.contains("duplicate") {
            out.push("track duplicate".to_owned());
        } else if let Some(reason) = line.strip_prefix("* reject message with reason: ") {
            out.push(format!("reject {reason}"));
        } else if let Some(rest) = line.strip_prefix("* report incoming message as `") {
            let (kind, address) = rest.split_once("' to: <").unwrap();
            out.push(format!("report {kind} {}", address.trim_end_matches('>')));
        } else if let Some(flags) = line.strip_prefix("+ add IMAP flags: ") {
            let mut flags: Vec<String> = flags.split(' ').map(str::to_lowercase).collect();
            flags.sort();
            let last = out.last_mut().unwrap();
            *last = format!("{last} {}", flags.join(" "));
        } else if line.starts_with("* send vacation message") {
            let mut value = |name: &str| {
                let line = lines.next().unwrap().trim_start();
                let value = line
                    .strip_prefix(name)
                    .unwrap_or_else(|| panic!("{printed}"));
                value.trim_start_matches([' ', ':']).to_owned()
            };
            let (seconds, subject) = (value("=> seconds"), value("=> subject"));
            let body: Vec<&str> = lines
                .by_ref()
                .skip_while(|line| *line != "START MESSAGE")
                .skip(1)
                .take_while(|line| *line != "END MESSAGE")
                .collect();
            out.push(format!(
                "vacation {seconds} | {subject} | {}",
                one_line(&body.join(" "))
            ));
        } else if line.starts_with("* send notification") {
            let (mut importance, mut subject, mut body) = Default::default();
            let mut recipients = Vec::new();
            while let Some(line) = lines.next_if(|line| !line.trim_start().starts_with('*')) {
                let line = line.trim_start();
                if let Some(value) = line.strip_prefix("=> importance   : ") {
                    importance = value.to_owned();
                } else if let Some(value) = line.strip_prefix("=> subject      : ") {
                    subject = value.to_owned();
                } else if let Some((_, address)) = line
                    .strip_prefix("+ ")
                    .and_then(|line| line.split_once(": "))
                    .filter(|(field, _)| ["To", "Cc", "Bcc"].contains(field))
                {
                    recipients.push(address.to_owned());
                } else if line.starts_with("=> body") {
                    let text: Vec<&str> = lines
                        .by_ref()
                        .skip(1)
                        .take_while(|line| *line != "--")
                        .collect();
                    body = one_line(&text.join(" "));
                }
                if line.starts_with("Implicit keep") {
                    break;
                }
            }
            recipients.sort();
            out.push(format!(
                "notify {importance} | {subject} | {} | {body}",
                recipients.join(" ")
            ));
        }
    }
    for line in &mut out {
        line.truncate(line.trim_end().len());
    }
    out.sort();
    out
}
