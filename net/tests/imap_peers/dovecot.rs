//! Dovecot: TLS, SASL, and the extensions that it has.

use std::fs;
use std::process::Command;
use std::time::Duration;

use imap_proto::{
    ClientEvent, CommandBody, Extension, FetchItem, Flag, Secret, StatusKind, Untagged,
};

use crate::bed::{PATIENCE, Running, certificate, free_port, interop, run};
use crate::talk::{Talk, common, message};

const PASSWORD: &str = "correct horse \"battery\" \\ staple";

struct Dovecot {
    _running: Running,
    _folder: tempfile::TempDir,
    port: u16,
}

impl Dovecot {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path().display();
        let port = free_port();
        certificate(folder.path());
        let mail = folder.path().join("mail");
        fs::create_dir_all(&mail).unwrap();
        run(Command::new("chmod").arg("755").arg(folder.path()));
        run(Command::new("chown").arg("nobody:nogroup").arg(&mail));
        let users = format!("alice:{{PLAIN}}{PASSWORD}::::::\n");
        fs::write(folder.path().join("users"), users).unwrap();
        run(Command::new("chmod").arg("644").arg(format!("{at}/users")));
        let config = format!(
            "base_dir = {at}/run\nstate_dir = {at}/state\nlog_path = {at}/dovecot.log\n\
             protocols = imap\nlisten = 127.0.0.1\n\
             ssl = required\nssl_cert = <{at}/cert.pem\nssl_key = <{at}/key.pem\n\
             disable_plaintext_auth = yes\nauth_mechanisms = plain login\nfirst_valid_uid = 1\n\
             mail_location = maildir:{at}/mail/%n\nmail_uid = nobody\nmail_gid = nogroup\n\
             mail_home = {at}/mail/%n\n\
             passdb {{\n driver = passwd-file\n args = {at}/users\n}}\n\
             userdb {{\n driver = passwd-file\n args = {at}/users\n}}\n\
             mail_plugins = zlib\nprotocol imap {{\n mail_plugins = zlib imap_zlib\n}}\n\
             service imap-login {{\n inet_listener imap {{\n port = {port}\n }}\n \
             inet_listener imaps {{\n port = 0\n }}\n}}\n\
             service stats {{\n unix_listener stats-writer {{\n mode = 0666\n }}\n}}\n"
        );
        let path = folder.path().join("dovecot.conf");
        fs::write(&path, config).unwrap();
        let mut command = Command::new("dovecot");
        command.arg("-F").arg("-c").arg(path);
        let running = Running::start(command, folder.path().join("output.log")).listens(port);
        Self {
            _running: running,
            _folder: folder,
            port,
        }
    }

    /// STARTTLS, then AUTHENTICATE PLAIN.
    async fn log_in(&self, password: &str) -> (Talk, StatusKind) {
        let mut talk = Talk::connect(self.port).await;
        assert_eq!(talk.greeting.kind, StatusKind::Ok);
        let login = talk.ask("LOGIN alice x").await;
        assert_eq!(login.status.unwrap().kind, StatusKind::No, "in the clear");
        talk.ok("STARTTLS").await;
        let connector = net::tls::opportunistic_connector().unwrap();
        let name = "localhost".try_into().unwrap();
        talk.conn.connect_tls(&connector, name).await.unwrap();
        let initial = Secret::new(format!("\0alice\0{password}"));
        let client = talk.conn.machine();
        let ticket = client.authenticate("PLAIN", Some(initial)).unwrap();
        let kind = talk.answer(ticket).await.status.unwrap().kind;
        (talk, kind)
    }
}

#[tokio::test]
async fn dovecot() {
    if !interop() {
        return;
    }
    let dovecot = Dovecot::start();
    let (wrong, kind) = dovecot.log_in("wrong").await;
    assert_eq!(kind, StatusKind::No);
    wrong.logout().await;
    let (mut talk, kind) = dovecot.log_in(PASSWORD).await;
    assert_eq!(kind, StatusKind::Ok);
    for extension in [Extension::CondStore, Extension::QResync, Extension::ESearch] {
        assert!(talk.conn.machine().offers(extension), "{extension:?}");
    }
    assert!(talk.conn.machine().offers(Extension::CompressDeflate));
    talk.ok("COMPRESS DEFLATE").await;
    talk.conn.deflate().await.unwrap();
    common(&mut talk, "").await;

    let namespaces = talk.ok("NAMESPACE").await;
    assert!(matches!(&namespaces.data[0], Untagged::Namespace(all) if all.personal.len() == 1));
    let id = talk.ok("ID (\"name\" \"posthaste\")").await;
    assert!(
        matches!(&id.data[0], Untagged::Id(Some(_))),
        "{:?}",
        id.lines()
    );
    let status = talk
        .ok("STATUS INBOX (MESSAGES UIDNEXT UIDVALIDITY HIGHESTMODSEQ SIZE)")
        .await;
    let text = status.lines().join(" ");
    assert!(
        text.contains("MESSAGES 1") && text.contains("HIGHESTMODSEQ"),
        "{text}"
    );
    let listed = talk
        .ok("LIST \"\" % RETURN (SUBSCRIBED CHILDREN STATUS (MESSAGES))")
        .await;
    assert!(
        listed
            .data
            .iter()
            .any(|data| matches!(data, Untagged::MailboxStatus { .. }))
    );

    // Sets, searches and orders as the extensions give them.
    for name in ["b", "a", "c"] {
        talk.append(
            "INBOX",
            &[Flag::keyword("work").unwrap()],
            message(name, "x").as_bytes(),
        )
        .await;
    }
    let search = talk
        .ok("UID SEARCH RETURN (MIN MAX COUNT ALL) KEYWORD work")
        .await;
    let Some(Untagged::ESearch(result)) = search
        .data
        .iter()
        .find(|data| matches!(data, Untagged::ESearch(_)))
    else {
        panic!("{:?}", search.lines());
    };
    assert!(result.uid && result.count == Some(3), "{result:?}");
    assert!(
        talk.ok("SORT (SUBJECT) UTF-8 KEYWORD work")
            .await
            .has("* SORT 3 2 4")
    );
    let threads = talk.ok("THREAD REFERENCES UTF-8 ALL").await;
    assert!(matches!(&threads.data[0], Untagged::Thread(all) if all.len() == 4));
    let copied = talk.ok("UID COPY 1:* Entw&APw-rfe").await;
    assert!(
        format!("{:?}", copied.status).contains("CopyUid"),
        "{:?}",
        copied.status
    );
    let moved = talk.ok("MOVE 2 Entw&APw-rfe").await;
    assert!(moved.has("* 2 EXPUNGE"), "{:?}", moved.lines());

    // CONDSTORE and QRESYNC.
    talk.ok("ENABLE QRESYNC").await;
    talk.ok("SELECT INBOX").await;
    let fetched = talk.ok("FETCH 1 (MODSEQ)").await;
    let mod_seq = fetched.items(1).into_iter().find_map(|item| match item {
        FetchItem::ModSeq(value) => Some(value.get()),
        _ => None,
    });
    talk.ok("STORE 1 +FLAGS.SILENT (\\Deleted)").await;
    let since = format!("UID FETCH 1:* (FLAGS) (CHANGEDSINCE {})", mod_seq.unwrap());
    assert_eq!(
        talk.ok(&since).await.items(1).len(),
        3,
        "UID, FLAGS, MODSEQ"
    );
    let gone = talk.ok("EXPUNGE").await;
    assert!(
        gone.data
            .iter()
            .any(|data| matches!(data, Untagged::Vanished { earlier: false, .. }))
    );

    // Another connection's news reach IDLE.
    talk.conn.machine().idle().unwrap();
    loop {
        match talk.conn.next().await.unwrap().unwrap() {
            ClientEvent::Idling => break,
            ClientEvent::Untagged(_) => {}
            other => panic!("{other:?}"),
        }
    }
    let (mut other, _) = dovecot.log_in(PASSWORD).await;
    other
        .append("INBOX", &[], message("news", "x").as_bytes())
        .await;
    other.logout().await;
    let news = async {
        loop {
            if let Some(ClientEvent::Untagged(Untagged::Exists(3))) =
                talk.conn.next().await.unwrap()
            {
                break;
            }
        }
    };
    tokio::time::timeout(PATIENCE + Duration::from_secs(30), news)
        .await
        .unwrap();
    talk.conn.machine().done().unwrap();
    let ticket = talk.conn.machine().command(CommandBody::Noop).unwrap();
    talk.answer(ticket).await;
    talk.logout().await;
}
