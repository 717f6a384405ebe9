//! Exim, both ways.

use std::fs;

use proto_core::sasl::Mechanism;

use crate::bed::{Root, Running, certificate, free_port, interop};
use crate::host::{PASSWORD, USER};
use crate::relay::{Hosts, Peer, through};

/// The user of the package, in the root's own passwd.
const OWNER: u32 = 901;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn exim_takes_and_sends_on() {
    if !interop() {
        return;
    }
    let hosts = Hosts::start().await;
    let root = Root::new();
    let port = free_port();
    root.make("var/spool/exim4", OWNER, 0o750);
    root.make("var/log/exim4", OWNER, 0o750);
    root.make("etc/exim4", 0, 0o755);
    let (_, key) = certificate(&root.path("etc/exim4"));
    std::os::unix::fs::chown(&key, Some(OWNER), Some(OWNER)).unwrap();
    root.write("etc/exim4/exim4.conf", &config(port, &hosts));
    let mut command = root.command("/usr/sbin/exim4");
    command.arg("-bdf");
    let exim = Running::start(command, root.path("output.log")).listens(port);
    let peer = Peer {
        port,
        tls: true,
        auth: &[Mechanism::Plain, Mechanism::Login],
        pipelining: true,
        chunking: true,
        smtputf8: true,
        sends_chunks: true,
    };
    let shown = Shown(root.path("var/log/exim4/mainlog"));
    through(peer, &hosts).await;
    drop((shown, exim));
}

/// A log that a failed test shows.
struct Shown(std::path::PathBuf);

impl Drop for Shown {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", fs::read_to_string(&self.0).unwrap_or_default());
        }
    }
}

fn config(port: u16, hosts: &Hosts) -> String {
    let (bare, full) = (hosts.bare.port, hosts.full.port);
    format!(
        r#"primary_hostname = exim.example
keep_environment =
daemon_smtp_ports = {port}
local_interfaces = 127.0.0.1
log_file_path = /var/log/exim4/%slog
chunking_advertise_hosts = *
dsn_advertise_hosts = *
smtputf8_advertise_hosts = *
pipelining_advertise_hosts = *
tls_advertise_hosts = *
tls_certificate = /etc/exim4/cert.pem
tls_privatekey = /etc/exim4/key.pem
acl_smtp_mail = accept
acl_smtp_rcpt = check_rcpt
acl_smtp_data = accept
smtp_accept_queue_per_connection = 0
message_size_limit = 20M
begin acl
check_rcpt:
  deny local_parts = refused
       message = no such user
  accept
begin routers
bare:
  driver = manualroute
  domains = bare.example
  route_list = * 127.0.0.1 byname
  self = send
  transport = bare
full:
  driver = manualroute
  domains = full.example
  route_list = * 127.0.0.1 byname
  self = send
  transport = full
begin transports
bare:
  driver = smtp
  port = {bare}
  allow_localhost
full:
  driver = smtp
  port = {full}
  allow_localhost
  hosts_require_tls = *
  hosts_require_auth = *
  tls_verify_hosts =
  tls_try_verify_hosts =
begin retry
* * F,2h,1m
begin authenticators
plain:
  driver = plaintext
  public_name = PLAIN
  server_condition = ${{if and{{{{eq{{$auth2}}{{{USER}}}}}{{eq{{$auth3}}{{{PASSWORD}}}}}}}}}
  server_set_id = $auth2
  client_send = ^{USER}^{PASSWORD}
login:
  driver = plaintext
  public_name = LOGIN
  server_prompts = User : Password
  server_condition = ${{if and{{{{eq{{$auth1}}{{{USER}}}}}{{eq{{$auth2}}{{{PASSWORD}}}}}}}}}
  server_set_id = $auth1
"#
    )
}
