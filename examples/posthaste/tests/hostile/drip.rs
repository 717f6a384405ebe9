//! Clients that send an octet now and then, to hold connections for nothing.

use std::thread;
use std::time::Duration;

use super::*;

const ENDED: &str = "421 4.4.2 ";

/// Far more turns than the time limits of these tests allow.
const MOST: usize = 30_000;

/// What a client that is quick needs on a busy machine, and what these have to wait for.
const LIMIT: &str = "15s";

/// Sends `piece` again and again until the server hangs up; gives what it said.
fn drip(talk: Talk, piece: &[u8]) -> String {
    drip_every(Duration::from_millis(10), talk, piece)
}

fn drip_every(wait: Duration, mut talk: Talk, piece: &[u8]) -> String {
    talk.reader.get_mut().set_read_timeout(Some(wait)).unwrap();
    let mut said = Vec::new();
    let mut block = [0; 4096];
    for _ in 0..MOST {
        // What was said is read even where nothing more can be sent.
        let _ = talk.reader.get_mut().write_all(piece);
        match talk.reader.read(&mut block) {
            Ok(0) => return String::from_utf8(said).unwrap(),
            Ok(count) => {
                said.extend_from_slice(&block[..count]);
                thread::sleep(wait);
            }
            Err(error) => match error.kind() {
                ErrorKind::WouldBlock | ErrorKind::TimedOut => {}
                _ => return String::from_utf8(said).unwrap(),
            },
        }
    }
    panic!("never ended, having said {} octets", said.len());
}

fn submission(server: &Server) -> Talk {
    let mut talk = Talk::connect(server.ports.submission);
    talk.expect("220");
    talk.say("EHLO client.example");
    talk.expect("250");
    talk
}

#[test]
fn slow_drips_are_sent_off() {
    let config = format!("smtpd_timeout = \"{LIMIT}\"\nsmtpd_tls_auth_only = false\n");
    let server = Server::start(&config);
    let within = |command: &str, code: &str, of: fn(&Server) -> Talk| {
        let mut talk = of(&server);
        talk.say(command);
        talk.expect(code);
        talk
    };
    let message = || begin(&server, "bob@example.org");
    let chunk = || {
        let mut talk = smtp(&server);
        for command in ["MAIL FROM:<a@example.com>", "RCPT TO:<bob@example.org>"] {
            talk.say(command);
            talk.expect("250");
        }
        talk.say("BDAT 1000000 LAST");
        talk
    };
    let drippers = [
        ("before EHLO", Talk::connect(server.ports.smtp), &b"x"[..]),
        ("a command", smtp(&server), b"N"),
        (
            "an endless command",
            within("NOOP", "250", smtp),
            &[b'x'; 60],
        ),
        ("text of a message", message(), b"x"),
        ("lines of a message", message(), b"\r\n"),
        ("a chunk", chunk(), b"x"),
        ("AUTH", submission(&server), b"A"),
        ("a login", within("AUTH LOGIN", "334", submission), b"A"),
        (
            "a user",
            within("AUTH LOGIN YWxpY2U=", "334", submission),
            b"A",
        ),
    ];
    let drips = drippers.map(|(what, talk, piece)| {
        let piece = piece.to_vec();
        (what, thread::spawn(move || drip(talk, &piece)))
    });
    // Nobody else waits for them.
    still_works(&server);
    for (what, drips) in drips {
        let said = drips.join().unwrap();
        assert!(said.contains(ENDED), "{what}: {said}");
        assert_eq!(said.matches("421 ").count(), 1, "{what}: {said}");
        assert!(!said.contains("queued as"), "{what}: {said}");
    }
    still_works(&server);
    server.wait_until("an empty queue", || queue_is_empty(&server));
}

/// Octets that come below the least rate are not made better by coming often.
#[test]
fn messages_below_the_least_rate_are_sent_off() {
    let config = format!("smtpd_timeout = \"{LIMIT}\"\nsmtpd_min_data_rate = 100000000\n");
    let server = Server::start(&config);
    let said = drip(
        begin(&server, "bob@example.org"),
        &b"0123456789\r\n".repeat(100),
    );
    assert!(said.contains(ENDED), "{said}");
    still_works(&server);
}

/// Whole commands in good time hold no connection for ever either.
#[test]
fn sessions_end_some_time() {
    let server = Server::start(&format!("smtpd_session_time_limit = \"{LIMIT}\"\n"));
    let commands = Talk::connect(server.ports.smtp);
    let message = begin(&server, "bob@example.org");
    let drips = [
        // Not so many that it is sent off for their number.
        thread::spawn(move || {
            let wait = Duration::from_millis(500);
            drip_every(wait, commands, b"EHLO client.example\r\n")
        }),
        thread::spawn(move || drip(message, &[b'x'; 4096])),
    ];
    for drip in drips {
        let said = drip.join().unwrap();
        assert!(said.contains(ENDED), "{said}");
    }
    still_works(&server);
}
