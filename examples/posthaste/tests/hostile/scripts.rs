//! Sieve scripts that mean ill, and their way here by ManageSieve.

use std::path::Path;

use super::*;

#[test]
fn scripts_that_mean_ill() {
    let server = Server::start("");
    let deliver = |subject: &str| {
        let message = format!("Subject: {subject}\r\n\r\nx");
        server.send("a@example.com", "bob@example.org", &message);
        server.wait_until(subject, || queue_is_empty(&server));
    };
    let has = |user: &str, subject: &str| {
        let line = format!("Subject: {subject}\n");
        server
            .mail(user)
            .iter()
            .filter(|own| own.contains(&line))
            .count()
    };
    script(&server, "bob", "this is no script {{{");
    deliver("broken");
    assert_eq!(has("bob", "broken"), 1);
    script(&server, "bob", &"if not true { ".repeat(10_000));
    deliver("nested");
    assert_eq!(has("bob", "nested"), 1);
    script(&server, "bob", &"#".repeat(2 * MIB));
    deliver("long");
    assert_eq!(has("bob", "long"), 1);
    script(&server, "bob", "redirect \"bob@example.org\";");
    deliver("itself");
    assert_eq!(has("bob", "itself"), 1);
    script(
        &server,
        "bob",
        "require \"regex\"; if header :regex \"subject\" \"(a{1000}){1000}\" { discard; }",
    );
    deliver("regex");
    assert_eq!(has("bob", "regex"), 1);
    script(
        &server,
        "bob",
        "require \"fileinto\"; fileinto \"../../../etc/x\";",
    );
    deliver("path");
    assert_eq!(has("bob", "path"), 1);
    // Two who send it to each other, each hiding that.
    for (user, other) in [("alice", "bob"), ("bob", "alice")] {
        let text = format!(
            "require \"editheader\"; deleteheader \"X-Sieve-Redirected-From\"; redirect \"{other}@example.org\";"
        );
        script(&server, user, &text);
    }
    deliver("ping-pong");
    assert_eq!(has("bob", "ping-pong") + has("alice", "ping-pong"), 1);
    // One that makes many of one, to ever new addresses.
    script(
        &server,
        "bob",
        "require [\"variables\", \"envelope\", \"copy\"];\n\
         if envelope :localpart :matches \"to\" \"*\" { set \"to\" \"${1}\"; }\n\
         redirect :copy \"bob+a${to}@example.org\"; redirect \"bob+b${to}@example.org\";",
    );
    deliver("many");
    assert!(
        (1..=64).contains(&has("bob", "many")),
        "{}",
        has("bob", "many")
    );
    // An address that would be two lines.
    script(
        &server,
        "bob",
        "redirect \"\\\"a\r\nX-Forged: yes\\\"@example.org\"; redirect \"alice+x\r\nX-Forged: yes@example.org\";",
    );
    deliver("lines");
    for user in ["alice", "bob"] {
        assert!(
            !server
                .mail(user)
                .iter()
                .any(|own| own.contains("\nX-Forged:"))
        );
    }
    assert_eq!(has("bob", "lines") + has("alice", "lines"), 1);
    // A pipe that nobody writes to, and a folder.
    let path = server.home("bob").join(".dovecot.sieve");
    fs::remove_file(&path).unwrap();
    common::run(Command::new("mkfifo").arg(&path));
    deliver("pipe");
    assert_eq!(has("bob", "pipe"), 1);
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    deliver("folder");
    assert_eq!(has("bob", "folder"), 1);
}

#[test]
fn scripts_before_and_after() {
    let server = Server::start(
        "sieve_before = [\"before\", \"gone.sieve\"]\nsieve_after = [\"after.sieve\"]\n",
    );
    fs::create_dir(server.path("before")).unwrap();
    fs::write(
        server.path("before/1.sieve"),
        "if header \"subject\" \"drop\" { discard; }",
    )
    .unwrap();
    fs::write(
        server.path("before/2.sieve"),
        "require \"editheader\"; addheader \"X-Before\" \"yes\";",
    )
    .unwrap();
    fs::write(server.path("before/README"), "not a script").unwrap();
    script(
        &server,
        "bob",
        "require [\"fileinto\", \"mailbox\"];\n\
         if header \"subject\" \"filed\" { fileinto :create \"Filed\"; }\n\
         if header \"subject\" \"kept\" { keep; }",
    );
    fs::write(
        server.path("after.sieve"),
        "require [\"fileinto\", \"mailbox\"]; fileinto :create \"After\";",
    )
    .unwrap();
    for subject in ["drop", "filed", "kept", "plain"] {
        let message = format!("Subject: {subject}\r\n\r\nx");
        server.send("a@example.com", "bob@example.org", &message);
    }
    server.send(
        "a@example.com",
        "alice@example.org",
        "Subject: hers\r\n\r\nx",
    );
    server.wait_until("an empty queue", || queue_is_empty(&server));
    let of = |user: &str, folder: &str| {
        let mut subjects: Vec<String> =
            files(&server.home(user).join("Maildir").join(folder).join("new"))
                .iter()
                .map(|path| {
                    let text = fs::read_to_string(path).unwrap();
                    assert!(text.contains("\nX-Before: yes\n"), "{text}");
                    let line = text.lines().find(|line| line.starts_with("Subject: "));
                    line.unwrap().replace("Subject: ", "")
                })
                .collect();
        subjects.sort();
        subjects
    };
    assert_eq!(of("bob", ".Filed"), ["filed"]);
    assert_eq!(of("bob", ".After"), ["kept", "plain"]);
    assert_eq!(of("alice", ".After"), ["hers"]);
    assert!(of("bob", "").is_empty());
}

/// Quotes a text as a synchronizing client would not: at once.
fn literal(text: &str) -> String {
    format!("{{{}+}}\r\n{text}", text.len())
}

#[test]
fn scripts_by_managesieve() {
    let server = Server::start("");
    let connect = || {
        let mut talk = Talk::connect(server.ports.managesieve);
        let greeting = talk.until("OK");
        (talk, greeting.join("\n"))
    };
    let (mut talk, greeting) = connect();
    for word in [
        "\"SIEVE\" \"",
        "fileinto",
        "\"STARTTLS\"",
        "\"VERSION\" \"1.0\"",
        "\"SASL\" \"PLAIN",
    ] {
        assert!(greeting.contains(word), "{word}: {greeting}");
    }
    assert!(!greeting.contains("vnd.dovecot.pipe"));
    talk.say("LISTSCRIPTS");
    assert!(talk.line().starts_with("NO"));
    let login =
        |password: &str| data_encoding::BASE64.encode(format!("\0bob\0{password}").as_bytes());
    talk.say(&format!("AUTHENTICATE \"PLAIN\" \"{}\"", login("wrong")));
    assert!(talk.line().starts_with("NO"));
    talk.say(&format!("AUTHENTICATE \"PLAIN\" \"{}\"", login(PASSWORD)));
    assert_eq!(talk.line(), "OK");
    let mut ask = |command: &str| {
        talk.say(command);
        let mut said = talk.line();
        while !["OK", "NO", "BYE"]
            .iter()
            .any(|word| said.starts_with(word) || said.contains(&format!("\n{word}")))
        {
            said = format!("{said}\n{}", talk.line());
        }
        // What is wrong on several lines comes as a literal.
        let literal = said
            .strip_suffix('}')
            .and_then(|said| said.rsplit_once('{'));
        if let Some((_, octets)) = literal {
            let octets: usize = octets.parse().unwrap();
            let mut read = 0;
            while read < octets {
                let line = talk.line();
                read += line.len() + "\r\n".len();
                said = format!("{said}\n{line}");
            }
        }
        said
    };
    let good = "require \"fileinto\";\r\nfileinto \"Archive\";\r\n";
    assert!(ask("HAVESPACE \"own\" 2000000").starts_with("NO (QUOTA/MAXSIZE)"));
    assert_eq!(ask("HAVESPACE \"own\" 2000"), "OK");
    assert!(ask(&format!("CHECKSCRIPT {}", literal("fileinto \"x\";"))).starts_with("NO"));
    assert!(ask(&format!("PUTSCRIPT \"own\" {}", literal("nonsense"))).starts_with("NO"));
    assert_eq!(ask(&format!("CHECKSCRIPT {}", literal(good))), "OK");
    assert_eq!(ask(&format!("PUTSCRIPT \"own\" {}", literal(good))), "OK");
    // Names are only names: none leads anywhere.
    let beside = |folder: &Path| fs::read_dir(folder).unwrap().count();
    let home = server.home("bob");
    let before = beside(&home);
    for name in ["../../x", "..", ".x", "a/b"] {
        let put = format!("PUTSCRIPT \"{name}\" {}", literal(good));
        assert_eq!(ask(&put), "OK", "{name}");
        assert!(ask(&format!("GETSCRIPT \"{name}\"")).contains("fileinto \"Archive\";"));
        assert_eq!(ask("LISTSCRIPTS"), format!("\"{name}\"\n\"own\"\nOK"));
        assert_eq!(ask(&format!("DELETESCRIPT \"{name}\"")), "OK");
    }
    assert_eq!(beside(&home), before);
    // 128 characters of four octets each (RFC 5804 §1.6), and one octet more.
    let (long, other) = ("\u{1F600}".repeat(128), "n".repeat(512));
    assert_eq!(
        ask(&format!("PUTSCRIPT \"{long}\" {}", literal(good))),
        "OK"
    );
    assert_eq!(ask(&format!("SETACTIVE \"{long}\"")), "OK");
    assert_eq!(
        ask("LISTSCRIPTS"),
        format!("\"own\"\n\"{long}\" ACTIVE\nOK")
    );
    assert_eq!(ask(&format!("RENAMESCRIPT \"{long}\" \"{other}\"")), "OK");
    assert_eq!(
        ask("LISTSCRIPTS"),
        format!("\"{other}\" ACTIVE\n\"own\"\nOK")
    );
    assert!(ask(&format!("GETSCRIPT \"{other}\"")).contains("fileinto \"Archive\";"));
    assert!(ask(&format!("DELETESCRIPT \"{other}\"")).starts_with("NO (ACTIVE)"));
    assert_eq!(ask("SETACTIVE \"\""), "OK");
    assert_eq!(ask(&format!("DELETESCRIPT \"{other}\"")), "OK");
    assert!(ask(&format!("PUTSCRIPT \"{other}n\" {}", literal(good))).starts_with("NO"));
    assert!(ask("SETACTIVE \"none\"").starts_with("NO (NONEXISTENT)"));
    assert_eq!(ask("SETACTIVE \"own\""), "OK");
    assert_eq!(ask("LISTSCRIPTS"), "\"own\" ACTIVE\nOK");
    assert!(ask("DELETESCRIPT \"own\"").starts_with("NO (ACTIVE)"));
    assert_eq!(ask("RENAMESCRIPT \"own\" \"other\""), "OK");
    assert_eq!(ask("LISTSCRIPTS"), "\"other\" ACTIVE\nOK");
    assert!(ask("GETSCRIPT \"other\"").contains("fileinto \"Archive\";"));
    assert!(ask("GETSCRIPT \"own\"").starts_with("NO (NONEXISTENT)"));
    // What was stored here runs there.
    server.send("a@example.com", "bob@example.org", "Subject: x\r\n\r\nx");
    let archive = server.home("bob").join("Maildir/.Archive/new");
    server.wait_until("the script", || files(&archive).len() == 1);
    assert_eq!(ask("SETACTIVE \"\""), "OK");
    assert_eq!(ask("LISTSCRIPTS"), "\"other\"\nOK");
    assert_eq!(ask("DELETESCRIPT \"other\""), "OK");
    assert!(ask("DELETESCRIPT \"other\"").starts_with("NO (NONEXISTENT)"));
    still_works(&server);

    // Noise, and too much of it.
    let (mut talk, _) = connect();
    talk.send(&vec![b'x'; MIB]);
    talk.say("");
    assert!(talk.line().starts_with("NO"));
    talk.say("PUTSCRIPT \"x\" {-1}");
    assert!(talk.line().starts_with("NO"));
    talk.say("PUTSCRIPT \"x\" {2000000+}");
    talk.send(&vec![b'#'; 2_000_000]);
    talk.say("");
    assert!(talk.line().starts_with("NO"));
    let (mut talk, _) = connect();
    talk.send(b"STARTTLS\r\nLISTSCRIPTS\r\n");
    let said = rest(&mut talk);
    assert!(said.lines().count() <= 1, "{said}");
    let (mut talk, _) = connect();
    talk.send(b"NOOP\r\nCAPABILITY\r\nLOGOUT\r\n");
    talk.reader.get_mut().shutdown(Shutdown::Write).unwrap();
    let said = rest(&mut talk);
    assert!(said.matches("OK").count() >= 3, "{said}");
}

/// Reads up to the line that ends an answer.
async fn answer(stream: &mut (impl tokio::io::AsyncRead + Unpin)) -> String {
    use tokio::io::AsyncReadExt;
    let mut text = String::new();
    loop {
        let mut block = [0; 4096];
        let count = stream.read(&mut block).await.unwrap();
        assert!(count > 0, "the server hung up: {text}");
        text.push_str(&String::from_utf8_lossy(&block[..count]));
        let last = text.lines().last().unwrap_or_default();
        if text.ends_with("\r\n") && (last.starts_with("OK") || last.starts_with("NO")) {
            return text;
        }
    }
}

#[test]
fn managesieve_under_tls() {
    use tokio::io::AsyncWriteExt;
    let server = Server::start("ssl = \"required\"\n");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let login = data_encoding::BASE64.encode(format!("\0bob\0{PASSWORD}").as_bytes());
    let login = format!("AUTHENTICATE \"PLAIN\" \"{login}\"\r\n");
    runtime.block_on(async {
        let address = ("127.0.0.1", server.ports.managesieve);
        let mut clear = tokio::net::TcpStream::connect(address).await.unwrap();
        let greeting = answer(&mut clear).await;
        assert!(greeting.contains("\"SASL\" \"\""), "{greeting}");
        clear.write_all(login.as_bytes()).await.unwrap();
        let refused = answer(&mut clear).await;
        assert!(refused.starts_with("NO (ENCRYPT-NEEDED)"), "{refused}");
        clear.write_all(b"STARTTLS\r\n").await.unwrap();
        assert_eq!(answer(&mut clear).await, "OK\r\n");
        let connector = net::tls::opportunistic_connector().unwrap();
        let name = net::tls::PeerName::try_from("mx.example.org").unwrap();
        let mut tls = connector.connect(name, clear).await.unwrap();
        let capabilities = answer(&mut tls).await;
        assert!(capabilities.contains("PLAIN"), "{capabilities}");
        assert!(!capabilities.contains("STARTTLS"), "{capabilities}");
        tls.write_all(login.as_bytes()).await.unwrap();
        assert_eq!(answer(&mut tls).await, "OK\r\n");
        tls.write_all(b"LISTSCRIPTS\r\n").await.unwrap();
        assert_eq!(answer(&mut tls).await, "OK\r\n");
    });
}
