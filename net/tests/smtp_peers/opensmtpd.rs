//! OpenSMTPD, both ways.

use crate::bed::{Root, Running, free_port, interop};
use crate::host::{PASSWORD, USER};
use crate::relay::{Hosts, Peer, through};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn opensmtpd_takes_and_sends_on() {
    if !interop() {
        return;
    }
    let hosts = Hosts::start().await;
    let root = Root::new();
    let port = free_port();
    root.make("var/spool/smtpd", 0, 0o711);
    root.write("etc/secrets", &format!("full {USER}:{PASSWORD}\n"));
    root.write("etc/mailname", "opensmtpd.example\n");
    root.write("etc/smtpd.conf", &config(port, &hosts));
    let mut command = root.command("/usr/sbin/smtpd");
    command.arg("-d");
    let _opensmtpd = Running::start(command, root.path("output.log")).listens(port);
    let peer = Peer {
        port,
        // Debian's cannot use a private key with OpenSSL 3 (OpenSMTPD's issue
        // 1171), and takes no login in the clear. As a client it does both.
        tls: false,
        auth: &[],
        pipelining: false,
        chunking: false,
        smtputf8: false,
        sends_chunks: false,
    };
    through(peer, &hosts).await;
}

fn config(port: u16, hosts: &Hosts) -> String {
    let (bare, full) = (hosts.bare.port, hosts.full.port);
    format!(
        r#"table secrets file:/etc/secrets
table refused {{ "refused@bare.example" "refused@full.example" }}
smtp max-message-size 20M
listen on 127.0.0.1 port {port} hostname opensmtpd.example
action "bare" relay host smtp://127.0.0.1:{bare} helo opensmtpd.example
action "full" relay host smtp+tls://full@127.0.0.1:{full} auth <secrets> tls no-verify helo opensmtpd.example
match from any for rcpt-to <refused> reject
match from any for domain "bare.example" action "bare"
match from any for domain "full.example" action "full"
"#
    )
}
