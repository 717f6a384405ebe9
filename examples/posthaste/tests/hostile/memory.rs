//! What one client may cost.

use super::*;

#[test]
fn who_never_reads_costs_little() {
    let server = Server::start("smtpd_error_sleep_time = \"0s\"\n");
    let mut talk = imap(&server, "bob");
    let line = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcd\r\n";
    append(
        &mut talk,
        format!("Subject: big\r\n\r\n{}", line.repeat(16 * 16_384)).as_bytes(),
    );
    append(
        &mut talk,
        format!("Subject: less\r\n\r\n{}", line.repeat(3 * 16_384)).as_bytes(),
    );
    drop(talk);
    let before = forget_peak(&server);
    let mut held = Vec::new();
    for _ in 0..2 {
        let mut talk = smtp(&server);
        send_only(&mut talk, &b"EHLO x.example\r\n".repeat(1000), 16 * MIB);
        held.push(talk);
        let mut talk = imap(&server, "bob");
        command(&mut talk, "SELECT INBOX");
        let block = b"a FETCH 1:2 BODY.PEEK[]\r\nb FETCH 1:2 RFC822\r\n".repeat(500);
        send_only(&mut talk, &block, 16 * MIB);
        held.push(talk);
        let mut talk = pop3(&server, "bob");
        send_only(&mut talk, &b"RETR 1\r\nRETR 2\r\n".repeat(1000), 16 * MIB);
        held.push(talk);
    }
    assert!(
        grown(&server, before) < 48,
        "{} MiB",
        grown(&server, before)
    );
    drop(held);
    still_works(&server);
}

#[test]
fn a_thousand_idle_connections() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    let _ = setrlimit(Resource::Nofile, limit);
    // Of these, each has three; the other tests of this process have some too.
    let groups = limit.maximum.map_or(334, |files| (files / 5).min(334));
    let server = Server::start("smtpd_client_connection_count_limit = 2000\n");
    still_works(&server);
    let before = memory(&server, "VmRSS:");
    let mut held = Vec::new();
    for _ in 0..groups {
        for port in [server.ports.smtp, server.ports.imap, server.ports.pop3] {
            let mut talk = Talk::connect(port);
            talk.line();
            held.push(talk);
        }
    }
    let each = memory(&server, "VmRSS:").saturating_sub(before) / held.len();
    assert!(each < 64, "{each} KiB for each connection");
    still_works(&server);
    drop(held);
    still_works(&server);
}

#[test]
fn sizes() {
    let server = Server::start("message_size_limit = \"300M\"\n");
    let mut talk = smtp(&server);
    talk.say(&format!("MAIL FROM:<a@example.com> SIZE={}", 301 * MIB));
    talk.expect("552 5.3.4");
    // It says little and sends much: what counts is what comes.
    talk.say("MAIL FROM:<a@example.com> SIZE=1");
    talk.expect("250");
    talk.say("RCPT TO:<bob@example.org>");
    talk.expect("250");
    talk.say("DATA");
    talk.expect("354");
    let before = forget_peak(&server);
    talk.send(b"Subject: big\r\n\r\n");
    let block =
        b"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcd\r\n".repeat(16_384);
    for _ in 0..200 {
        talk.send(&block);
    }
    talk.say(".");
    talk.expect("250 2.0.0");
    let new = server.home("bob").join("Maildir/new");
    let size = || {
        let mut entries = fs::read_dir(&new).into_iter().flatten().flatten();
        entries
            .next()
            .map_or(0, |entry| entry.metadata().unwrap().len())
    };
    server.wait_until("the message", || size() > 190 * MIB as u64);
    assert!(
        grown(&server, before) < 64,
        "{} MiB",
        grown(&server, before)
    );
    let mut talk = imap(&server, "bob");
    command(&mut talk, "SELECT INBOX");
    let part = command(&mut talk, "FETCH 1 BODY.PEEK[TEXT]<100000000.20>");
    assert!(part[0].contains("BODY[TEXT]<100000000> {20}"), "{part:?}");
    let structure = command(&mut talk, "FETCH 1 (RFC822.SIZE BODYSTRUCTURE ENVELOPE)");
    assert!(structure[0].contains("\"TEXT\" \"PLAIN\""), "{structure:?}");
    assert!(
        grown(&server, before) < 64,
        "{} MiB",
        grown(&server, before)
    );
    drop(talk);
    drop(server);

    let server = Server::start("message_size_limit = \"100K\"\n");
    let mut talk = begin(&server, "bob@example.org");
    talk.send(&b"over-the-limit\r\n".repeat(10_000));
    talk.say(".");
    talk.expect("552 5.3.4");
    talk.say("MAIL FROM:<a@example.com> SIZE=102401");
    talk.expect("552 5.3.4");
    let mut talk = imap(&server, "bob");
    talk.say("a APPEND INBOX {102401}");
    let said = talk.line();
    assert!(said.starts_with("a BAD [TOOBIG]"), "{said}");
    server.wait_until("nothing left", || !anywhere(&server, "over-the-limit"));
    still_works(&server);
}

/// A tree of `levels` multiparts, each in the one before.
fn nested(levels: usize) -> Vec<u8> {
    let mut message = String::from("Subject: deep\r\n");
    for level in 0..levels {
        let _ = write!(
            message,
            "Content-Type: multipart/mixed; boundary=b{level}\r\n\r\n--b{level}\r\n"
        );
    }
    message.push_str("Content-Type: text/plain\r\n\r\nneedle\r\n");
    message.into_bytes()
}

#[test]
fn mime_bombs_are_only_messages() {
    let server = Server::start("");
    let mut talk = imap(&server, "bob");
    let mut wide =
        String::from("Subject: wide\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n");
    for n in 0..10_000 {
        let _ = write!(
            wide,
            "--b\r\nContent-Type: text/plain; name=\"{n}\"\r\n\r\nx\r\n"
        );
    }
    wide.push_str("--b--\r\n");
    let rfc822 =
        "Content-Type: message/rfc822\r\n\r\n".repeat(1000) + "Subject: in\r\n\r\nneedle\r\n";
    let fields = "X-Filler: y\r\n".repeat(50_000) + "\r\nneedle\r\n";
    let addresses = format!(
        "To: {}\r\n\r\nneedle\r\n",
        "a@b.example,\r\n ".repeat(20_000)
    );
    let groups = format!("Cc: {}\r\n\r\nx\r\n", "g:".repeat(50_000));
    let comments = format!("From: {}\r\n\r\nx\r\n", "(".repeat(100_000));
    let words = format!(
        "Subject: {}\r\n\r\nx\r\n",
        "=?utf-8?B?w6Q=?= ".repeat(10_000)
    );
    for message in [
        wide.as_bytes(),
        &nested(1000),
        rfc822.as_bytes(),
        fields.as_bytes(),
        addresses.as_bytes(),
        groups.as_bytes(),
        comments.as_bytes(),
        words.as_bytes(),
    ] {
        append(&mut talk, message);
    }
    let before = forget_peak(&server);
    assert!(
        command(&mut talk, "SELECT INBOX")
            .pop()
            .unwrap()
            .contains("OK")
    );
    let deep = vec!["1"; 1000].join(".");
    for ask in [
        "FETCH 1:* BODYSTRUCTURE",
        "FETCH 1:* (BODY ENVELOPE RFC822.SIZE)",
        "FETCH 1:* BODY.PEEK[9999]",
        &format!("FETCH 1:* BODY.PEEK[{deep}]"),
        &format!("FETCH 1:* BODY.PEEK[{deep}.HEADER]"),
        "FETCH 1:* BODY.PEEK[4294967295.MIME]",
        "FETCH 1:* BODY.PEEK[HEADER.FIELDS (Subject To Cc)]",
        "FETCH 1:* BODY.PEEK[HEADER.FIELDS.NOT (X-Filler)]",
        "SEARCH BODY needle",
        "SEARCH TEXT needle",
        "SEARCH SUBJECT needle TO b.example FROM x",
        "SEARCH OR HEADER X-Filler y NOT BODY x",
    ] {
        let said = command(&mut talk, ask);
        let end = said.last().unwrap();
        assert!(
            end.starts_with("c OK"),
            "{}: {end}",
            &ask[..ask.len().min(60)]
        );
    }
    let found = command(&mut talk, "SEARCH BODY needle");
    for number in [" 4", " 5"] {
        assert!(found[0].contains(number), "{found:?}");
    }
    assert!(
        grown(&server, before) < 96,
        "{} MiB",
        grown(&server, before)
    );
    still_works(&server);
}

#[test]
fn a_fetch_of_the_same_again_and_again() {
    let server = Server::start("");
    let mut talk = imap(&server, "bob");
    let header = "X-Filler: 0123456789abcdef0123456789abcdef\r\n".repeat(20_000);
    let body =
        "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWYwMTIzNDU2Nzg5YWJjZGVm\r\n".repeat(40_000);
    let message = format!("Subject: x\r\n{header}Content-Transfer-Encoding: base64\r\n\r\n{body}");
    append(&mut talk, message.as_bytes());
    command(&mut talk, "SELECT INBOX");
    let before = forget_peak(&server);
    for item in [
        "BINARY.PEEK[1]",
        "RFC822.HEADER",
        "BODY.PEEK[HEADER.FIELDS (X-Filler)]",
        "BODY.PEEK[]",
    ] {
        let items: Vec<String> = (0..1000)
            .map(|n| match item {
                "BINARY.PEEK[1]" => format!("{item}<{n}.1000000>"),
                _ => item.to_owned(),
            })
            .collect();
        talk.say(&format!("c FETCH 1 ({})", items.join(" ")));
        // One answer may be refused; it is never held whole many times over.
        let stream = talk.reader.get_mut();
        stream.set_read_timeout(Some(common::PATIENCE)).unwrap();
        let mut last = Vec::new();
        let mut block = vec![0; MIB];
        loop {
            let count = talk.reader.read(&mut block).unwrap();
            assert!(count > 0);
            last.extend_from_slice(&block[..count]);
            let keep = last.len().saturating_sub(200);
            last.drain(..keep);
            let text = String::from_utf8_lossy(&last);
            if text.ends_with("\r\n")
                && text
                    .lines()
                    .last()
                    .is_some_and(|line| line.starts_with("c "))
            {
                break;
            }
        }
    }
    assert!(
        grown(&server, before) < 128,
        "{} MiB",
        grown(&server, before)
    );
    still_works(&server);
}
