//! Postfix, both ways; its test programs; its LMTP client.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use proto_core::sasl::Mechanism;
use smtp_proto::{Mode, Status};

use crate::bed::{certificate, free_port, interop, run};
use crate::caller::{Call, Parcel, send};
use crate::dovecot::Dovecot;
use crate::host::{Host, Offer, PASSWORD, Taken, USER};
use crate::messages;
use crate::relay::{Hosts, Peer, through};

/// A Postfix of its own folder; stopped when dropped.
struct Postfix {
    folder: PathBuf,
    port: u16,
}

impl Postfix {
    fn start(folder: &Path, more: &str) -> Self {
        let port = free_port();
        for name in ["etc", "spool", "data"] {
            fs::create_dir_all(folder.join(name)).unwrap();
        }
        let at = folder.display();
        certificate(folder);
        let main = format!(
            "compatibility_level = 3.6\nqueue_directory = {at}/spool\ndata_directory = {at}/data\n\
             mail_owner = postfix\nsetgid_group = postdrop\ncommand_directory = /usr/sbin\n\
             daemon_directory = /usr/lib/postfix/sbin\nmyhostname = postfix.example\n\
             mydestination =\ninet_interfaces = 127.0.0.1\ninet_protocols = ipv4\n\
             mynetworks = 127.0.0.0/8\nmaillog_file = {at}/log\nmaillog_file_prefixes = {at}\n\
             local_header_rewrite_clients =\nmessage_size_limit = 20000000\n\
             smtpd_tls_cert_file = {at}/cert.pem\nsmtpd_tls_key_file = {at}/key.pem\n\
             smtpd_tls_security_level = may\nsmtputf8_enable = yes\n{more}"
        );
        fs::write(folder.join("etc/main.cf"), main).unwrap();
        let services = "pickup unix n - n 60 1 pickup\n\
            cleanup unix n - n - 0 cleanup\nqmgr unix n - n 300 1 qmgr\n\
            tlsmgr unix - - n 1000? 1 tlsmgr\nrewrite unix - - n - - trivial-rewrite\n\
            bounce unix - - n - 0 bounce\ndefer unix - - n - 0 bounce\n\
            trace unix - - n - 0 bounce\nproxymap unix - - n - - proxymap\n\
            anvil unix - - n - 1 anvil\nsmtp unix - - n - - smtp\nlmtp unix - - n - - lmtp\n\
            error unix - - n - - error\nretry unix - - n - - error\n\
            scache unix - - n - 1 scache\npostlog unix-dgram n - n - 1 postlogd\n";
        let master = format!("127.0.0.1:{port} inet n - n - - smtpd\n{services}");
        fs::write(folder.join("etc/master.cf"), master).unwrap();
        run(Command::new("chown").args(["postfix", &format!("{at}/data")]));
        let postfix = Self {
            folder: folder.to_owned(),
            port,
        };
        run(Command::new("postfix").args(["-c", &format!("{at}/etc"), "start"]));
        postfix
    }
}

impl Drop for Postfix {
    fn drop(&mut self) {
        let etc = self.folder.join("etc");
        let _ = Command::new("postfix")
            .arg("-c")
            .arg(etc)
            .arg("stop")
            .output();
        if std::thread::panicking() {
            let log = fs::read_to_string(self.folder.join("log")).unwrap_or_default();
            let from = log.floor_char_boundary(log.len().saturating_sub(6000));
            eprintln!("{}", &log[from..]);
        }
    }
}

/// A folder that Postfix's own user can get into.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    run(Command::new("chmod").arg("755").arg(folder.path()));
    folder
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn postfix_takes_and_sends_on() {
    if !interop() {
        return;
    }
    let hosts = Hosts::start().await;
    let dovecot = Dovecot::start();
    let folder = folder();
    let at = folder.path().display();
    let (bare, full) = (hosts.bare.port, hosts.full.port);
    let write = |name: &str, text: String| fs::write(folder.path().join(name), text).unwrap();
    write(
        "transport",
        format!("bare.example smtp:[127.0.0.1]:{bare}\nfull.example smtp:[127.0.0.1]:{full}\n"),
    );
    write(
        "refused",
        "refused@bare.example REJECT no such user\nrefused@full.example REJECT no such user\n"
            .into(),
    );
    write("logins", format!("[127.0.0.1]:{full} {USER}:{PASSWORD}\n"));
    for name in ["transport", "refused", "logins"] {
        run(Command::new("postmap").arg(format!("{at}/{name}")));
    }
    let postfix = Postfix::start(
        folder.path(),
        &format!(
            "transport_maps = hash:{at}/transport\n\
             relay_domains = bare.example, full.example\n\
             smtpd_recipient_restrictions = check_recipient_access hash:{at}/refused, permit\n\
             smtp_tls_security_level = may\nsmtp_sasl_auth_enable = yes\n\
             smtp_sasl_password_maps = hash:{at}/logins\nsmtp_sasl_security_options =\n\
             smtpd_sasl_auth_enable = yes\nsmtpd_sasl_type = dovecot\n\
             smtpd_sasl_path = inet:127.0.0.1:{}\nsmtpd_tls_auth_only = yes\n",
            dovecot.auth
        ),
    );
    let peer = Peer {
        port: postfix.port,
        tls: true,
        auth: &[Mechanism::Plain, Mechanism::Login],
        pipelining: true,
        chunking: true,
        smtputf8: true,
        sends_chunks: false,
    };
    through(peer, &hosts).await;
}

/// Postfix's LMTP client delivers to our server, and from our client through
/// Dovecot's server to a mailbox.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn postfix_delivers_by_lmtp() {
    if !interop() {
        return;
    }
    let offer = Offer {
        mode: Mode::Lmtp,
        starttls: false,
        ..Offer::FULL
    };
    let host = Host::start(offer).await;
    let folder = folder();
    let postfix = Postfix::start(
        folder.path(),
        &format!(
            "relay_domains = far.example\nrelay_transport = lmtp:inet:127.0.0.1:{}\n\
             minimal_backoff_time = 3600\n",
            host.port
        ),
    );
    let parcels: Vec<Parcel> = messages::all()
        .into_iter()
        .map(|content| Parcel::new(&["one@far.example", "full@far.example"], content))
        .collect();
    let answer = send(Call::new(postfix.port), &parcels).await;
    assert!(answer.all_delivered(), "{answer:?}");
    for parcel in &parcels {
        let id = messages::id(&parcel.content);
        let came = |taken: &Taken| messages::id(&taken.content) == id;
        let taken = host.wait_for(&id, came).await;
        messages::assert_same(&taken.content, &parcel.content);
        let mut to = taken.to();
        to.sort();
        assert_eq!(to, ["<full@far.example>", "<one@far.example>"]);
    }
    // Each recipient had a reply of its own.
    let log = || fs::read_to_string(folder.path().join("log")).unwrap();
    let said = |to: &str, status: &str| {
        let lines = log();
        let mut lines = lines.lines();
        lines.any(|line| line.contains(to) && line.contains(status))
    };
    let start = std::time::Instant::now();
    while !(said("to=<one@far.example>", "status=sent")
        && said("to=<full@far.example>", "dsn=4.2.2, status=deferred"))
    {
        assert!(start.elapsed() < crate::bed::PATIENCE, "{}", log());
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert!(!said("to=<one@far.example>", "status=deferred"));
}

/// Many sessions at once, whole speed, by SMTP and by LMTP.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn smtp_source_floods_the_server() {
    if !interop() {
        return;
    }
    for (mode, lmtp) in [(Mode::Smtp, None), (Mode::Lmtp, Some("-L"))] {
        let offer = Offer {
            mode,
            starttls: false,
            ..Offer::FULL
        };
        let host = Host::start(offer).await;
        let mut command = Command::new("timeout");
        command.args(["300", "smtp-source"]).args(lmtp);
        command.args(["-s", "10", "-m", "200", "-r", "3", "-l", "20000"]);
        command.args(["-f", "a@near.example", "-t", "b@far.example"]);
        // Connections are used again.
        command.arg("-d").arg(format!("127.0.0.1:{}", host.port));
        run(&mut command);
        let taken = host.taken();
        assert_eq!(taken.len(), 200);
        for message in &taken {
            assert_eq!(message.recipients.len(), 3);
            assert!(message.content.len() >= 20_000);
            assert!(message.content.ends_with(b"\r\n"));
        }
        assert!(taken.iter().any(|message| message.place > 0));
        assert_eq!(host.faults(), <[&str; 0]>::default());
    }
}

/// What smtp-sink writes down is what the client was given.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn smtp_sink_takes_from_the_client() {
    if !interop() {
        return;
    }
    for (mode, options) in [
        (Mode::Smtp, &["-p"][..]),
        (Mode::Smtp, &["-e"]),
        (Mode::Smtp, &[]),
        (Mode::Lmtp, &["-L"]),
    ] {
        let folder = folder();
        let port = free_port();
        let mut command = Command::new("smtp-sink");
        command.args(options).args(["-u", "root", "-d"]);
        command.arg(format!("{}/%M.", folder.path().display()));
        command.arg(format!("127.0.0.1:{port}")).arg("10");
        let log = folder.path().join("sink.log");
        let _sink = crate::bed::Running::start(command, log).listens(port);
        let parcels: Vec<Parcel> = messages::all()
            .into_iter()
            .map(|content| Parcel::new(&["one@far.example", "two@far.example"], content))
            .collect();
        let call = Call {
            mode,
            ..Call::new(port)
        };
        let answer = send(call, &parcels).await;
        let taken = |parcel: &&Parcel| answer.offered.eight_bit_mime || parcel.mail.body.is_none();
        for (parcel, fates) in parcels.iter().zip(&answer.fates) {
            for fate in fates {
                if taken(&parcel) {
                    assert_eq!(fate.status, Status::Delivered, "{fate:?}");
                } else {
                    // What the server says nothing of is not sent (RFC 6152 §3).
                    assert_eq!((fate.status, fate.command), (Status::Bounced, None));
                }
            }
        }
        let dumped: Vec<Vec<u8>> = fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| fs::read(entry.unwrap().path()).unwrap())
            .collect();
        for parcel in parcels.iter().filter(taken) {
            let id = messages::id(&parcel.content);
            let sent = String::from_utf8_lossy(&parcel.content).replace("\r\n", "\n");
            let same = |dump: &&Vec<u8>| {
                let dump = String::from_utf8_lossy(dump);
                dump.contains(&id)
                    && dump
                        .trim_end_matches('\n')
                        .ends_with(sent.trim_end_matches('\n'))
            };
            assert!(dumped.iter().any(|dump| same(&dump)), "{id} {options:?}");
        }
    }
}
