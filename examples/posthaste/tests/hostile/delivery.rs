//! Loops, crowds and programs on the way of a message.

use super::*;

#[test]
fn loops_end() {
    let server = Server::start("virtual_alias_maps = [\"virtual\"]\n");
    fs::write(
        server.path("aliases"),
        "a: b\nb: a\nself: self\nbob: bob, alice\ndeep: :include:deep.list\nout: \"|/bin/true\", /etc/x\n",
    )
    .unwrap();
    fs::write(server.path("deep.list"), ":include:deep.list\n").unwrap();
    fs::write(
        server.path("virtual"),
        "x@example.org y@example.org\ny@example.org x@example.org\n",
    )
    .unwrap();
    let mut talk = smtp(&server);
    talk.say("MAIL FROM:<alice@example.org>");
    talk.expect("250");
    for name in ["a", "self", "deep", "x"] {
        talk.say(&format!("RCPT TO:<{name}@example.org>"));
        talk.expect("550 5.");
    }
    talk.say("RCPT TO:<out@example.org>");
    talk.expect("550 5.7.1");
    drop(talk);
    server.send("a@example.com", "bob@example.org", "Subject: both\r\n\r\nx");
    server.wait_until("both", || {
        queue_is_empty(&server) && server.mail("bob").len() + server.mail("alice").len() == 2
    });

    let mut talk = begin(&server, "alice@example.org");
    for n in 0..101 {
        talk.say(&format!(
            "Received: from a by b id {n}; Mon, 1 Jan 2024 00:00:00 +0000"
        ));
    }
    talk.say("\r\nx\r\n.");
    talk.expect("554 5.4.6");
    // As many in the body are none.
    let body = "Received: x\r\n".repeat(200);
    server.send(
        "a@example.com",
        "alice@example.org",
        &format!("Subject: y\r\n\r\n{body}"),
    );
    server.wait_until("the body", || server.mail("alice").len() == 2);
}

#[test]
fn many_recipients() {
    let server = Server::start("smtpd_error_sleep_time = \"0s\"\nsmtpd_hard_error_limit = 10000\n");
    fs::write(
        server.path("aliases"),
        (0..3000).fold("many:".to_owned(), |mut all, n| {
            let _ = write!(all, "{} bob+{n}", if n == 0 { "" } else { "," });
            all
        }) + "\n",
    )
    .unwrap();
    let mut talk = smtp(&server);
    talk.say("MAIL FROM:<a@example.com>");
    talk.expect("250");
    let mut taken = 0;
    for hundred in 0..50 {
        let lines: String = (0..100)
            .map(|n| format!("RCPT TO:<alice+{hundred}.{n}@example.org>\r\n"))
            .collect();
        talk.send(lines.as_bytes());
        for _ in 0..100 {
            let reply = talk.line();
            match &reply[..4] {
                "250 " => taken += 1,
                _ => assert!(reply.starts_with("452 4.5.3"), "{reply}"),
            }
        }
    }
    assert_eq!(taken, 1000);
    talk.say("DATA");
    talk.expect("354");
    talk.say("Subject: x\r\n\r\nx\r\n.");
    talk.expect("250");
    let count = |user: &str| {
        fs::read_dir(server.home(user).join("Maildir/new"))
            .into_iter()
            .flatten()
            .count()
    };
    server.wait_until("a thousand", || count("alice") == 1000);
    let mut talk = begin(&server, "many@example.org");
    talk.say("Subject: x\r\n\r\nx\r\n.");
    talk.expect("250");
    server.wait_until("an alias of three thousand", || count("bob") == 3000);
    still_works(&server);
}

#[test]
fn a_bounce_outlives_a_crash_while_others_wait() {
    // A host that takes connections and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let mut server = Server::start(&format!("relayhost = \"[127.0.0.1]:{port}\"\n"));
    script(&server, "bob", "require \"reject\"; reject \"go away\";");
    let mut talk = smtp(&server);
    talk.say("MAIL FROM:<alice@example.org>");
    talk.expect("250");
    for to in ["bob@example.org", "x@far.example"] {
        talk.say(&format!("RCPT TO:<{to}>"));
        talk.expect("250");
    }
    talk.say("DATA");
    talk.expect("354");
    talk.say("Subject: x\r\n\r\nx\r\n.");
    talk.expect("250");
    let _held: (TcpStream, _) = silent.accept().unwrap();
    server.kill();
    server.run();
    server.wait_until("the bounce", || !server.mail("alice").is_empty());
    let bounces = server.mail("alice");
    assert_eq!(bounces.len(), 1);
    assert!(bounces[0].contains("go away"), "{}", bounces[0]);
    let list = server.command_with_input(&["queue", "list"], "");
    assert!(String::from_utf8_lossy(&list.stdout).contains("x@far.example"));
}

#[test]
fn programs_end_in_time() {
    let server = Server::prepare(
        "allow_mail_to_commands = [\"alias\"]\ncommand_time_limit = \"15s\"\n\
         program_allow = [\"/usr/bin/tee\", \"/bin/sleep\", \"/bin/false\", \"/bin/true\"]\n",
    );
    let out = server.path("out");
    fs::write(
        server.path("aliases"),
        format!(
            "tee: \"|/usr/bin/tee {}\"\nslow: \"|/bin/sleep 1000\"\nno: \"|/bin/false\"\n\
             deaf: \"|/bin/true\"\nshell: \"|/bin/sh -c true\"\n",
            out.display()
        ),
    )
    .unwrap();
    let mut server = server;
    server.run();
    let mut talk = smtp(&server);
    talk.say("MAIL FROM:<alice@example.org>");
    talk.expect("250");
    talk.say("RCPT TO:<shell@example.org>");
    talk.expect("550 5.7.1");
    for name in ["tee", "slow", "no", "deaf"] {
        talk.say(&format!("RCPT TO:<{name}@example.org>"));
        talk.expect("250");
    }
    talk.say("DATA");
    talk.expect("354");
    talk.say("Subject: $(touch x); x\r\n");
    talk.send(&b"0123456789\r\n".repeat(100_000));
    talk.say(".");
    talk.expect("250");
    server.wait_until("the bounce", || server.mail("alice").len() == 1);
    let bounce = &server.mail("alice")[0];
    assert!(bounce.contains("/bin/false: exit status 1"), "{bounce}");
    assert!(!bounce.contains("/bin/sleep"), "{bounce}");
    let list = server.command_with_input(&["queue", "list"], "");
    let list = String::from_utf8_lossy(&list.stdout).into_owned();
    assert!(list.contains("command time limit exceeded"), "{list}");
    let text = fs::read_to_string(out).unwrap();
    assert!(text.starts_with("Return-Path: <alice@example.org>\n"));
    assert!(text.ends_with("0123456789\n") && !text.contains('\r'));
    assert_eq!(text.matches("0123456789\n").count(), 100_000);
}

#[test]
fn a_program_does_not_hold_the_server_up() {
    let mut server =
        Server::prepare("allow_mail_to_commands = [\"alias\"]\nprogram_allow = [\"/bin/sleep\"]\n");
    fs::write(server.path("aliases"), "slow: \"|/bin/sleep 1000\"\n").unwrap();
    server.run();
    server.send("a@example.com", "slow@example.org", "Subject: x\r\n\r\nx");
    server.wait_until("the program", || {
        let threads = fs::read_dir(format!("/proc/{}/task", server.id())).unwrap();
        threads.flatten().any(|thread| {
            let children = fs::read_to_string(thread.path().join("children"));
            children.is_ok_and(|children| !children.is_empty())
        })
    });
    server.stop();
    server.run();
    let list = server.command_with_input(&["queue", "list"], "");
    assert!(String::from_utf8_lossy(&list.stdout).contains("slow@example.org"));
}
