//! Names of mailboxes and users that would lead elsewhere.

use super::*;

#[test]
fn names_stay_inside() {
    let server = Server::start("");
    let mut talk = imap(&server, "bob");
    let long = "n".repeat(5000);
    let deep = vec!["d"; 2000].join("/");
    // Twenty BADs in a row would end the session.
    let command = |talk: &mut Talk, text: &str| {
        let said = command(talk, text);
        assert!(command(talk, "NOOP")[0].starts_with("c OK"));
        said
    };
    for name in [
        "../../etc",
        "..",
        ".",
        "/",
        "/etc/passwd",
        "a/../b",
        "a//b",
        "./a",
        "../alice/Maildir",
        "~root",
        "%00",
        "&AAA-",
        "&",
        "&ZZ",
        "&Jjo!",
        "&2AA-",
        "a.b/../../c",
        ".hidden",
        "INBOX/..",
        "INBOX/cur",
        "cur",
        "new/../../x",
        "a\\b",
        &long,
        &deep,
    ] {
        for verb in [
            "SELECT",
            "EXAMINE",
            "CREATE",
            "SUBSCRIBE",
            "DELETE",
            "STATUS",
            "UNSUBSCRIBE",
        ] {
            let quoted = name.replace('\\', "\\\\");
            let more = if verb == "STATUS" { " (MESSAGES)" } else { "" };
            let said = command(&mut talk, &format!("{verb} \"{quoted}\"{more}"));
            let end = said.last().unwrap();
            assert!(
                ["c OK", "c NO", "c BAD"]
                    .iter()
                    .any(|word| end.starts_with(word)),
                "{verb} {quoted}: {end}"
            );
            // Refused for what it is, not for a failure of the disk.
            assert!(!end.contains("UNAVAILABLE"), "{verb} {quoted}: {end}");
        }
        command(
            &mut talk,
            &format!("RENAME INBOX \"{}\"", name.replace('\\', "\\\\")),
        );
        command(
            &mut talk,
            &format!("DELETE \"{}\"", name.replace('\\', "\\\\")),
        );
    }
    talk.send(b"c CREATE {3+}\r\na\0b\r\n");
    assert!(talk.until("c ")[0].starts_with("c BAD"));
    // Everything that was made lies in the account's own folder.
    let outside: Vec<_> = files(server.folder.path())
        .into_iter()
        .filter(|path| !path.starts_with(server.home("bob").join("Maildir")))
        .filter(|path| {
            path.to_string_lossy().contains("dovecot") || path.to_string_lossy().contains("subscri")
        })
        .collect();
    assert!(outside.is_empty(), "{outside:?}");
    let homes: Vec<_> = fs::read_dir(server.path("home"))
        .unwrap()
        .flatten()
        .collect();
    assert_eq!(homes.len(), 1, "{homes:?}");

    for n in 0..200 {
        let name = format!("{}{n}", "a".repeat(200));
        command(&mut talk, &format!("CREATE {name}"));
    }
    for pattern in [
        "*a".repeat(100),
        "%*".repeat(500),
        "*%a*".repeat(100) + "b",
        "*".repeat(10_000),
    ] {
        let said = command(&mut talk, &format!("LIST \"\" \"{pattern}\""));
        assert!(
            said.last().unwrap().starts_with("c OK"),
            "{:?}",
            said.last()
        );
        let said = command(&mut talk, &format!("LSUB \"\" \"{pattern}\""));
        assert!(
            said.last().unwrap().starts_with("c OK"),
            "{:?}",
            said.last()
        );
    }
    still_works(&server);
}

#[test]
fn users_of_strange_names() {
    let server = Server::start("maximal_queue_lifetime = \"1h\"\n");
    for name in ["..", ".", "a/b", "../alice", "", "a\nb", "a:b"] {
        let added =
            server.command_with_input(&["user", "add", "--", name], format!("{PASSWORD}\n"));
        assert!(!added.status.success(), "{name:?}");
    }
    // Nor when the file is written by hand.
    let users = fs::read_to_string(server.path("users")).unwrap();
    let hash = users
        .lines()
        .next()
        .unwrap()
        .split_once(':')
        .unwrap()
        .1
        .to_owned();
    fs::write(
        server.path("users"),
        format!("{users}..:{hash}\n../x:{hash}\ncarol:{}\n", {
            let home = server.path("elsewhere/carol");
            let fields: Vec<&str> = hash.split(':').collect();
            format!("{}::::{}:", fields[0], home.display())
        }),
    )
    .unwrap();
    let mut talk = smtp(&server);
    talk.say("MAIL FROM:<a@example.com>");
    talk.expect("250");
    for name in [
        "..",
        "../alice",
        "../../tmp/x",
        "alice/../bob",
        "/etc/passwd",
        "|/bin/sh",
        "\\bob",
    ] {
        talk.say(&format!(
            "RCPT TO:<\"{}\"@example.org>",
            name.replace('\\', "\\\\")
        ));
        let reply = talk.line();
        assert!(
            reply.starts_with('5') || reply.starts_with("250"),
            "{name}: {reply}"
        );
    }
    talk.say("RCPT TO:<carol@example.org>");
    talk.expect("250");
    talk.say("DATA");
    talk.expect("354");
    talk.say("Subject: x\r\n\r\nx\r\n.");
    talk.expect("250");
    // The users file says where carol lives.
    let mail = server.path("elsewhere/carol/Maildir/new");
    server.wait_until("carol's mail", || {
        fs::read_dir(&mail).is_ok_and(|mut new| new.next().is_some())
    });
    assert!(!server.path("home/carol").exists());
    assert!(!server.path("Maildir").exists());
    assert!(!server.path("x").exists());
    still_works(&server);
}
