//! Dovecot's LMTP server takes mail from our client; its login service
//! checks passwords for Postfix.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use smtp_proto::{Mode, Status, Verb};

use crate::bed::{Running, certificate, free_port, interop, run};
use crate::caller::{Call, Parcel, Tls, send};
use crate::host::{PASSWORD, USER};
use crate::messages;

/// A Dovecot with the users `alice`, `bob` and `full`, who has no room.
pub(crate) struct Dovecot {
    _running: Running,
    folder: tempfile::TempDir,
    lmtp: u16,
    /// Where logins are checked.
    pub(crate) auth: u16,
}

impl Dovecot {
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path().display();
        let (lmtp, auth) = (free_port(), free_port());
        certificate(folder.path());
        let mail = folder.path().join("mail");
        fs::create_dir_all(&mail).unwrap();
        run(Command::new("chmod").arg("755").arg(folder.path()));
        run(Command::new("chown").arg("nobody:nogroup").arg(&mail));
        let users: String = [USER, "bob", "full"]
            .iter()
            .map(|user| {
                let rule = match *user {
                    "full" => "userdb_quota_rule=*:bytes=1",
                    _ => "",
                };
                format!("{user}:{{PLAIN}}{PASSWORD}:::::: {rule}\n")
            })
            .collect();
        fs::write(folder.path().join("users"), users).unwrap();
        run(Command::new("chmod").arg("644").arg(format!("{at}/users")));
        let config = format!(
            "base_dir = {at}/run\nstate_dir = {at}/state\nlog_path = {at}/dovecot.log\n\
             protocols = lmtp\nlisten = 127.0.0.1\nhostname = dovecot.example\n\
             ssl = yes\nssl_cert = <{at}/cert.pem\nssl_key = <{at}/key.pem\n\
             auth_mechanisms = plain login\nauth_username_format = %n\nfirst_valid_uid = 1\n\
             mail_location = maildir:{at}/mail/%n\nmail_uid = nobody\nmail_gid = nogroup\n\
             mail_home = {at}/mail/%n\nlmtp_rcpt_check_quota = no\nquota_full_tempfail = yes\n\
             mail_plugins = quota\nplugin {{\n quota = maildir:User\n}}\n\
             passdb {{\n driver = passwd-file\n args = {at}/users\n}}\n\
             userdb {{\n driver = passwd-file\n args = {at}/users\n}}\n\
             service lmtp {{\n inet_listener lmtp {{\n port = {lmtp}\n }}\n}}\n\
             service auth {{\n inet_listener {{\n port = {auth}\n }}\n}}\n\
             service stats {{\n unix_listener stats-writer {{\n mode = 0666\n }}\n}}\n"
        );
        let path = folder.path().join("dovecot.conf");
        fs::write(&path, config).unwrap();
        let mut command = Command::new("dovecot");
        command.arg("-F").arg("-c").arg(path);
        let running = Running::start(command, folder.path().join("output.log")).listens(lmtp);
        Self {
            _running: running,
            folder,
            lmtp,
            auth,
        }
    }

    /// What a user has got, by its Message-ID, line ends as they were sent.
    fn mail_of(&self, user: &str) -> BTreeMap<String, Vec<u8>> {
        let new = self.folder.path().join("mail").join(user).join("new");
        fs::read_dir(new)
            .into_iter()
            .flatten()
            .map(|entry| {
                let stored = fs::read(entry.unwrap().path()).unwrap();
                let mut message = Vec::with_capacity(stored.len() + 1000);
                for octet in stored {
                    if octet == b'\n' && message.last() != Some(&b'\r') {
                        message.push(b'\r');
                    }
                    message.push(octet);
                }
                (messages::id(&message), message)
            })
            .collect()
    }
}

impl Drop for Dovecot {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.folder.path().join("dovecot.log");
            eprintln!("{}", fs::read_to_string(log).unwrap_or_default());
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn dovecot_takes_by_lmtp() {
    if !interop() {
        return;
    }
    let dovecot = Dovecot::start();
    for tls in [Tls::None, Tls::Start] {
        for chunking in [false, true] {
            let call = Call {
                mode: Mode::Lmtp,
                tls,
                chunking,
                ..Call::new(dovecot.lmtp)
            };
            let to = [
                "alice@here.example",
                "full@here.example",
                "nobody@here.example",
                "bob@here.example",
            ];
            let parcels: Vec<Parcel> = messages::all()
                .into_iter()
                .map(|content| Parcel::new(&to, content))
                .collect();
            let answer = send(call, &parcels).await;
            assert!(answer.offered.pipelining && answer.offered.chunking);
            for (parcel, statuses) in parcels.iter().zip(answer.statuses()) {
                use Status::{Bounced, Deferred, Delivered};
                assert_eq!(
                    statuses,
                    [Delivered, Deferred, Bounced, Delivered],
                    "{:?}",
                    answer.fates
                );
                let id = messages::id(&parcel.content);
                for user in ["alice", "bob"] {
                    messages::assert_same(&dovecot.mail_of(user)[&id], &parcel.content);
                }
            }
            let commands: Vec<_> = answer.fates[0].iter().map(|fate| fate.command).collect();
            assert_eq!(
                commands,
                [Verb::Data, Verb::Data, Verb::Rcpt, Verb::Data].map(Some)
            );
        }
    }
    assert!(dovecot.mail_of("full").is_empty());
}
