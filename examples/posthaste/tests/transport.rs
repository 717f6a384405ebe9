//! How mail travels: logins at a relay host, REQUIRETLS, other alphabets,
//! proxies in front.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

mod common;

use std::fs;

use common::{PASSWORD, Server, Talk, has_python, python};

fn far() -> Server {
    let mut far = Server::prepare("").with_domain("far.example");
    far.run();
    far
}

/// A server that sends everything to `port`, with more configuration and
/// files.
fn near(port: u16, host: &str, more: &str, files: &[(&str, String)]) -> Server {
    let server = Server::prepare(&format!(
        "relayhost = \"[{host}]:{port}\"\nminimal_backoff_time = \"1h\"\n{more}"
    ));
    for (name, text) in files {
        fs::write(server.path(name), text).unwrap();
    }
    server
}

#[test]
fn a_relay_host_is_logged_in_at() {
    let far = far();
    let port = far.ports.submission;
    let maps = "smtp_sasl_password_maps = [\"logins\"]\n";
    for (password, taken) in [(PASSWORD, true), ("wrong", false)] {
        let line = format!("# ours\n[127.0.0.1]:{port}  bob:{password}\n");
        let mut near = near(port, "127.0.0.1", maps, &[("logins", line)]);
        near.run();
        near.send(
            "alice@example.org",
            "alice@far.example",
            "Subject: in\r\n\r\nx",
        );
        if taken {
            far.wait_until("the message", || !far.mail("alice").is_empty());
            let message = &far.mail("alice")[0];
            assert!(message.contains("with ESMTPSA id"), "{message}");
        } else {
            // A password can be set right; no mail is lost over it.
            near.wait_until("a deferral", || near.log().contains("status=deferred"));
            assert!(near.log().contains("dsn=4.7.8"), "{}", near.log());
            assert!(!near.log().contains("wrong"), "the password is in the log");
        }
    }
    assert_eq!(far.mail("alice").len(), 1);
}

#[test]
fn no_password_goes_out_in_the_clear() {
    let mut far =
        Server::prepare("smtpd_tls_security_level = \"none\"\nsmtpd_tls_auth_only = false\n")
            .with_domain("far.example");
    far.run();
    let port = far.ports.submission;
    let line = format!("[127.0.0.1]:{port} bob:{PASSWORD}\n");
    let maps = "smtp_sasl_password_maps = [\"logins\"]\n";
    let mut near = near(port, "127.0.0.1", maps, &[("logins", line)]);
    near.run();
    near.send(
        "alice@example.org",
        "alice@far.example",
        "Subject: in\r\n\r\nx",
    );
    near.wait_until("a deferral", || near.log().contains("status=deferred"));
    assert!(
        near.log().contains("no login without TLS"),
        "{}",
        near.log()
    );
    assert!(far.mail("alice").is_empty());
}

const REQUIRE_TLS: &str = r#"
import os, smtplib, ssl
context = ssl._create_unverified_context()
smtp = smtplib.SMTP("127.0.0.1", int(os.environ["SMTP"]))
smtp.ehlo()
assert not smtp.has_extn("requiretls"), "offered in the clear"
assert smtp.docmd("MAIL", "FROM:<alice@example.org> REQUIRETLS")[0] == 555
smtp.starttls(context=context)
smtp.ehlo()
assert smtp.has_extn("requiretls")
text = "Subject: secret\r\n\r\nfor few\r\n"
smtp.sendmail("alice@example.org", ["bob@far.example"], text, ["REQUIRETLS"])
smtp.quit()
"#;

/// With REQUIRETLS a message goes on under TLS to a host that has proven its
/// name and passes the demand on, or it goes back.
#[test]
fn requiretls_is_kept_to() {
    if !has_python() {
        return;
    }
    let far = far();
    for (host, trusted, goes) in [
        ("localhost", true, true),
        ("localhost", false, false),
        ("127.0.0.1", true, false),
    ] {
        let more = "maximal_queue_lifetime = \"1s\"\n";
        let mut near = near(far.ports.smtp, host, more, &[]);
        let certificate = match trusted {
            true => far.path("certificate.pem"),
            // Some other one.
            false => near.path("other.pem"),
        };
        if !trusted {
            let names = ["localhost".to_owned()];
            net::tls::make_self_signed(&names, &certificate, &near.path("other.key")).unwrap();
        }
        near.environment.push(("SSL_CERT_FILE".into(), certificate));
        near.run();
        let before = far.mail("bob").len();
        python(&near, REQUIRE_TLS);
        if goes {
            far.wait_until("the message", || far.mail("bob").len() == before + 1);
            let message = far.mail("bob").concat();
            assert!(message.contains("with ESMTPS id"), "{message}");
        } else {
            near.wait_until("the message back", || {
                near.command_with_input(&["queue", "flush"], "");
                !near.mail("alice").is_empty()
            });
            let bounce = near.mail("alice").remove(0);
            assert!(bounce.contains("Subject: secret"), "{bounce}");
            assert!(!bounce.contains("for few"), "{bounce}");
            assert_eq!(far.mail("bob").len(), before);
        }
    }
    // Who does not offer it does not get it.
    let mut near = near(dumb_host(), "localhost", "", &[]);
    near.run();
    python(&near, REQUIRE_TLS);
    near.wait_until("a deferral", || near.log().contains("status=deferred"));
    assert!(near.log().contains("offers no TLS"), "{}", near.log());
}

/// A host that offers nothing at all.
fn dumb_host() -> u16 {
    use std::io::{BufRead, BufReader, Write};
    let listener = std::net::TcpListener::bind("localhost:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut socket in listener.incoming().map_while(Result::ok) {
            let _ = socket.write_all(b"220 dumb.example\r\n");
            let mut lines = BufReader::new(socket.try_clone().unwrap()).lines();
            while let Some(Ok(_)) = lines.next() {
                let _ = socket.write_all(b"250 dumb.example\r\n");
            }
        }
    });
    port
}

#[test]
fn mail_in_other_alphabets() {
    let far = far();
    let near = {
        let mut near = near(
            far.ports.smtp,
            "127.0.0.1",
            "",
            &[("virtual", "grüße@example.org alice@example.org\n".into())],
        );
        near.run();
        near
    };
    let mut smtp = Talk::connect(near.ports.smtp);
    smtp.expect("220");
    smtp.say("EHLO client.example");
    assert!(smtp.expect("250").contains("SMTPUTF8"));
    // Without the word, addresses are ASCII.
    smtp.say("MAIL FROM:<grüße@example.org>");
    smtp.expect("553 5.6.7");
    smtp.say("MAIL FROM:<grüße@example.org> SMTPUTF8 BODY=8BITMIME");
    smtp.expect("250");
    for to in ["grüße@example.org", "bob@far.example", "пример@far.example"] {
        smtp.say(&format!("RCPT TO:<{to}>"));
        smtp.expect("250");
    }
    smtp.say("DATA");
    smtp.expect("354");
    smtp.say("From: grüße@example.org\r\nSubject: żółć\r\n\r\nпривет\r\n.");
    smtp.expect("250");
    far.wait_until("the message", || !far.mail("bob").is_empty());
    let message = &far.mail("bob")[0];
    for says in [
        "Return-Path: <grüße@example.org>\n",
        "with UTF8SMTPS id",
        "with UTF8SMTP id",
        "Subject: żółć\n\nпривет\n",
    ] {
        assert!(message.contains(says), "{says}: {message}");
    }
    // To the sender by an alias: the message itself, and what became of it.
    near.wait_until("both", || near.mail("alice").len() == 2);
    let bounce = near.mail("alice").into_iter();
    let bounce = bounce
        .filter(|one| one.starts_with("Return-Path: <>"))
        .collect::<String>();
    for says in [
        "message/global-delivery-status",
        "Final-Recipient: utf-8; пример@far.example",
        "Status: 5.1.1",
        "Subject: żółć",
    ] {
        assert!(bounce.contains(says), "{says}: {bounce}");
    }
}

#[test]
fn a_trusted_proxy_says_who_the_client_is() {
    let more = "haproxy_trusted_networks = [\"127.0.0.1/32\"]\nhaproxy_timeout = \"15s\"\n";
    let mut server = Server::prepare(more);
    server.run();
    let session = |header: &[u8]| {
        let mut smtp = Talk::connect(server.ports.smtp);
        smtp.send(header);
        smtp.expect("220");
        smtp.say("EHLO client.example");
        smtp.expect("250");
        smtp.say("MAIL FROM:<a@near.example>");
        smtp.expect("250");
        smtp
    };
    let v1 = b"PROXY TCP4 192.0.2.7 198.51.100.1 54321 25\r\n";
    let v2 = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x08\xc6\x33\x64\x01\0\x63\0\x19";
    for (header, address) in [(&v1[..], "192.0.2.7"), (v2, "192.0.2.8")] {
        let mut smtp = session(header);
        // The proxy may relay, its clients may not.
        smtp.say("RCPT TO:<b@elsewhere.example>");
        smtp.expect("554 5.7.1");
        smtp.say("RCPT TO:<alice@example.org>");
        smtp.expect("250");
        smtp.say("DATA");
        smtp.expect("354");
        smtp.say("Subject: proxied\r\n\r\nx\r\n.");
        smtp.expect("250");
        let from = format!("from client.example ([{address}])");
        server.wait_until("the message", || {
            server.mail("alice").concat().contains(&from)
        });
    }
    // The proxy's own connection is its own.
    let mut smtp = session(b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0");
    smtp.say("RCPT TO:<b@elsewhere.example>");
    smtp.expect("250");
    // That of somebody whom it does not know is not.
    for header in [
        &b"PROXY UNKNOWN\r\n"[..],
        b"PROXY UNKNOWN 127.0.0.1 127.0.0.1 1 25\r\n",
        b"\r\n\r\n\0\r\nQUIT\n\x21\0\0\0",
    ] {
        let mut smtp = session(header);
        smtp.say("RCPT TO:<b@elsewhere.example>");
        smtp.expect("554 5.7.1");
        smtp.say("RCPT TO:<bob@example.org>");
        smtp.expect("250");
        smtp.say("DATA");
        smtp.expect("354");
        smtp.say("Subject: from nobody\r\n\r\nx\r\n.");
        smtp.expect("250");
    }
    server.wait_until("mail from nobody", || {
        let all = server.mail("bob").concat();
        all.matches("from client.example (unknown)").count() == 3
    });
    // Nor is it a login in the clear from this host.
    let mut imap = Talk::connect(server.ports.imap);
    imap.send(b"PROXY UNKNOWN\r\n");
    assert!(imap.line().contains("LOGINDISABLED"));
    // Before TLS, on the other services, too.
    let mut imap = Talk::connect(server.ports.imap);
    imap.send(v1);
    assert!(imap.line().starts_with("* OK"));
    // No header, half a header: no greeting.
    let mut smtp = Talk::connect(server.ports.smtp);
    smtp.say("EHLO client.example");
    assert!(!greeted(smtp));
    let mut smtp = Talk::connect(server.ports.smtp);
    smtp.send(&v1[..20]);
    assert!(!greeted(smtp));
}

/// What came in the clear with the header is nothing that came under TLS.
#[test]
fn no_command_is_put_behind_a_header_and_starttls() {
    use std::io::Read;
    let more = "haproxy_trusted_networks = [\"127.0.0.1/32\"]\n";
    let server = Server::start(more);
    let mut smtp = Talk::connect(server.ports.smtp);
    smtp.send(
        b"PROXY TCP4 192.0.2.7 198.51.100.1 54321 25\r\n\
          EHLO client.example\r\nSTARTTLS\r\nMAIL FROM:<evil@near.example>\r\n",
    );
    let mut said = String::new();
    let _ = smtp.reader.read_to_string(&mut said);
    assert!(!said.contains("220 2.0.0"), "{said}");
    assert!(!said.contains("250 2.1.0"), "{said}");
    // With the hello of TLS right behind, TLS would begin too early as well.
    let mut smtp = Talk::connect(server.ports.smtp);
    smtp.send(b"PROXY TCP4 192.0.2.7 198.51.100.1 54321 25\r\n");
    smtp.expect("220");
    smtp.say("EHLO client.example");
    smtp.expect("250");
    smtp.send(b"STARTTLS\r\n");
    smtp.expect("220");
    smtp.send(b"MAIL FROM:<evil@near.example>\r\nNOOP\r\n");
    let mut said = Vec::new();
    let _ = smtp.reader.read_to_end(&mut said);
    let said = String::from_utf8_lossy(&said).into_owned();
    assert!(!said.contains("250"), "{said}");
}

#[test]
fn a_strangers_header_is_a_command_like_any_other() {
    let server = Server::start("haproxy_trusted_networks = [\"192.0.2.0/24\"]\n");
    let mut smtp = Talk::connect(server.ports.smtp);
    smtp.expect("220");
    smtp.say("PROXY TCP4 192.0.2.7 198.51.100.1 54321 25");
    smtp.expect("502 5.5.2");
}

fn greeted(mut smtp: Talk) -> bool {
    use std::io::Read;
    let mut all = Vec::new();
    let _ = smtp.reader.read_to_end(&mut all);
    !all.is_empty()
}
