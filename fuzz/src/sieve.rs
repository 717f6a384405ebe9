//! sieve: scripts, messages and ManageSieve streams that say anything.

use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use proto_core::Step;
use sieve::managesieve::{Client, ClientConfig, Config as ServerConfig, Event, Reply, Server};
use sieve::{Answer, Capabilities, Config, Envelope, Evaluation, Progress, Script};

fn config() -> Option<Config> {
    let mut config = Config::new("2026-05-04T12:00:00+00:00[+00:00]".parse().ok()?);
    config.trace = true;
    Some(config)
}

fn evaluate(script: &Script, message: &[u8], yes: bool) {
    let Some(config) = config() else { return };
    let envelope = Envelope::new("a@example.org", "b@example.org");
    let mut evaluation = Evaluation::new(script, message, envelope, config);
    let outcome = loop {
        match evaluation.step() {
            Progress::Done(outcome) => break outcome,
            Progress::Ask(question) => {
                let answer = match question {
                    sieve::Question::Metadata { .. } | sieve::Question::ListContains { .. } => {
                        Answer::Text(yes.then(|| "text".to_owned()))
                    }
                    sieve::Question::Score { .. } => Answer::Score(None),
                    sieve::Question::Script { .. } => Answer::Script(yes.then(|| script.clone())),
                    sieve::Question::Convert(conversion) => {
                        Answer::Converted(yes.then_some(conversion.parts))
                    }
                    sieve::Question::Calendar(_) => Answer::Calendar {
                        outcome: sieve::CalendarOutcome::Added,
                        reason: String::new(),
                    },
                    sieve::Question::Program(_) => Answer::Program {
                        success: yes,
                        output: message.to_vec(),
                    },
                    _ => Answer::Bool(yes),
                };
                assert!(evaluation.answer(answer).is_ok());
            }
        }
    };
    // Something always becomes of the message.
    assert!(!outcome.actions.is_empty());
}

/// A script: it compiles or is told; what is laid out anew compiles to the same verdict.
pub fn script(data: &[u8]) {
    let capabilities = Capabilities::all().without("vnd.dovecot.testsuite");
    let compiled = sieve::compile(data, &capabilities);
    if let Err(faults) = &compiled {
        assert!(!faults.is_empty());
        for fault in faults {
            let _ = fault.render("fuzz", data);
        }
    }
    if let Ok(neat) = sieve::format(data) {
        assert_eq!(sieve::format(&neat).as_deref(), Ok(neat.as_str()));
        assert_eq!(
            sieve::compile(&neat, &capabilities).is_ok(),
            compiled.is_ok()
        );
    }
    if let Ok(script) = compiled {
        evaluate(
            &script,
            b"From: a@example.org\r\nSubject: x\r\n\r\ntext\r\n",
            true,
        );
        evaluate(&script, b"", false);
    }
}

/// A script and a message, cut at the first NUL.
pub fn evaluation(data: &[u8]) {
    let mut parts = data.splitn(2, |octet| *octet == 0);
    let source = parts.next().unwrap_or_default();
    let message = parts.next().unwrap_or_default();
    let capabilities = Capabilities::all().without("vnd.dovecot.testsuite");
    if let Ok(script) = sieve::compile(source, &capabilities) {
        evaluate(&script, message, true);
        evaluate(&script, message, false);
    }
}

/// A compiled script: refused, or one that runs and is written again as the same octets.
///
/// The data is what the checksum covers, so that it need not be guessed.
pub fn compiled(data: &[u8]) {
    let sum = data.iter().fold(0xcbf2_9ce4_8422_2325_u64, |sum, octet| {
        (sum ^ u64::from(*octet)).wrapping_mul(0x0100_0000_01b3)
    });
    let octets = [&b"PSvb\x01"[..], &sum.to_le_bytes(), data].concat();
    let compiler =
        sieve::Compiler::new().capabilities(Capabilities::all().without("vnd.dovecot.testsuite"));
    if let Ok(script) = compiler.load(&octets) {
        assert_eq!(script.to_bytes(), octets);
        evaluate(
            &script,
            b"From: a@example.org\r\nSubject: x\r\n\r\ntext\r\n",
            true,
        );
        evaluate(&script, b"", false);
    }
}

/// A ManageSieve server that reads anything: it ends or waits, and what it holds is bounded.
pub fn managesieve_server(data: &[u8]) {
    let now = start();
    let mut server = Server::new(Arc::new(ServerConfig::default()), now);
    let mut input = BytesMut::from(data);
    server.output().clear();
    for _ in 0..=data.len() {
        let answered = match server.poll(&mut input, now + Duration::from_secs(1)) {
            Ok(Step::Event(event)) => match event {
                Event::Authenticate(_) | Event::AuthResponse(_) => server.authenticated("a", None),
                Event::ListScripts => server.send_list([("a", true)]),
                Event::GetScript(_) => server.send_script(bytes::Bytes::from_static(b"keep;")),
                Event::AuthCancelled | Event::Unauthenticated | Event::Rejected(_) => Ok(()),
                Event::StartTls => server.reply(Reply::no("no")),
                _ => server.reply(Reply::ok()),
            },
            _ => return,
        };
        assert!(answered.is_ok());
        server.output().clear();
    }
}

/// A ManageSieve client that is told anything.
pub fn managesieve_client(data: &[u8]) {
    let now = start();
    let mut client = Client::new(Arc::new(ClientConfig::default()), now);
    let _ = client.list_scripts();
    let _ = client.get_script("a");
    let _ = client.capability();
    let mut input = BytesMut::from(data);
    for _ in 0..=data.len() {
        if !matches!(client.poll(&mut input, now), Ok(Step::Event(_))) {
            return;
        }
    }
}

#[allow(clippy::disallowed_methods, reason = "a start for time")]
fn start() -> std::time::Instant {
    std::time::Instant::now()
}
