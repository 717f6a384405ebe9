//! Servers that are never silent for long enough, and never done.

use super::*;
use smtp_proto::Address;

/// A client, and a server that takes and says what a test wants.
struct Slow {
    client: Client,
    input: BytesMut,
    now: Instant,
    begun: Instant,
    recipients: usize,
    /// Octets of the message that are still to be handed over.
    message: usize,
    fates: Vec<Status>,
    error: Option<ClientError>,
}

impl Slow {
    fn new(config: ClientConfig, recipients: usize, message: usize) -> Self {
        let now = Instant::now();
        Self {
            client: Client::new(Arc::new(config), now),
            input: BytesMut::new(),
            now,
            begun: now,
            recipients,
            message,
            fates: Vec::new(),
            error: None,
        }
    }

    /// After so long, the server says `text` and has taken as many octets.
    fn turn(&mut self, seconds: u64, text: &str, taken: usize) {
        self.now += Duration::from_secs(seconds);
        let taken = taken.min(self.client.output().remaining());
        self.client.output().advance(taken);
        if self.client.poll_timeout().is_some_and(|at| at <= self.now) {
            self.client.handle_timeout(self.now);
        }
        self.input.extend_from_slice(text.as_bytes());
        loop {
            match self.client.poll(&mut self.input, self.now) {
                Ok(Step::Event(ClientEvent::Ready)) => {
                    let address: Address = "a@example.org".parse().unwrap();
                    let recipients = vec![Rcpt::new(address.clone()); self.recipients];
                    self.client.begin(Mail::new(address), recipients).unwrap();
                }
                Ok(Step::Event(ClientEvent::PayloadWanted)) if self.message == 0 => {
                    self.client.end_payload().unwrap();
                }
                Ok(Step::Event(ClientEvent::PayloadWanted)) => {
                    let len = self.message.min(64 << 10);
                    self.message -= len;
                    let chunk = vec![b'x'; len].into();
                    self.client.send_payload(chunk).unwrap();
                }
                Ok(Step::Event(ClientEvent::Recipient(recipient))) => {
                    self.fates.push(recipient.status);
                }
                Ok(Step::Event(_)) => {}
                Ok(_) => return,
                Err(error) => {
                    self.error = Some(error);
                    return;
                }
            }
        }
    }

    fn is_over(&self) -> bool {
        self.client.is_over()
    }

    /// Seconds since the connection was made.
    fn age(&self) -> u64 {
        (self.now - self.begun).as_secs()
    }

    /// Everybody was told to wait, for a timeout, before `seconds` had passed.
    fn assert_cut_off(&self, seconds: u64) {
        assert_eq!(self.error, Some(ClientError::Timeout));
        assert_eq!(self.fates, vec![Status::Deferred; self.recipients]);
        assert!(self.age() <= seconds, "{} s", self.age());
    }
}

const ALL: usize = usize::MAX;

fn config(chunking: bool) -> ClientConfig {
    let mut config = ClientConfig::new("client.example").unwrap();
    config.chunking = chunking;
    config
}

#[test]
fn a_reply_octet_by_octet_wins_no_time() {
    for drip in ["2", "220-\r\n"] {
        let mut slow = Slow::new(config(false), 0, 0);
        while !slow.is_over() {
            slow.turn(60, drip, ALL);
            assert!(slow.age() <= 301, "{drip:?}");
        }
        assert_eq!(slow.error, Some(ClientError::Timeout));
    }
}

#[test]
fn a_message_taken_octet_by_octet_wins_no_time() {
    for chunking in [false, true] {
        let mut slow = Slow::new(config(chunking), 1, 1 << 20);
        slow.turn(0, "220 x\r\n", ALL);
        slow.turn(0, "250-x\r\n250-PIPELINING\r\n250 CHUNKING\r\n", ALL);
        slow.turn(0, "250 ok\r\n250 ok\r\n", ALL);
        if !chunking {
            slow.turn(0, "354 go\r\n", 0);
        }
        while !slow.is_over() {
            slow.turn(60, "", 1);
        }
        slow.assert_cut_off(20 * 60);
    }
}

/// At the least rate it takes hours, and is not cut off.
#[test]
fn a_message_taken_at_the_least_rate_is_sent() {
    let mut slow = Slow::new(config(false), 1, 10 << 20);
    slow.turn(0, "220 x\r\n", ALL);
    slow.turn(0, "250 x\r\n", ALL);
    slow.turn(0, "250 ok\r\n", ALL);
    slow.turn(0, "250 ok\r\n", ALL);
    slow.turn(0, "354 go\r\n", 0);
    while slow.message > 0 || slow.client.output().remaining() > 0 {
        assert!(!slow.is_over(), "{:?} after {} s", slow.error, slow.age());
        slow.turn(100, "", 51_000);
    }
    assert!(slow.age() > 5 * 3600);
    slow.turn(0, "250 ok\r\n", ALL);
    assert_eq!(slow.fates, [Status::Delivered]);
}

/// Nearly five minutes for each of a hundred recipients would be eight hours.
#[test]
fn replies_to_many_recipients_have_a_time_together() {
    for offer in ["250 x\r\n", "250-x\r\n250 PIPELINING\r\n"] {
        let mut slow = Slow::new(config(false), 100, 1);
        slow.turn(0, "220 x\r\n", ALL);
        slow.turn(0, offer, ALL);
        slow.turn(0, "250 ok\r\n", ALL);
        while !slow.is_over() {
            slow.turn(299, "250 ok\r\n", ALL);
        }
        slow.assert_cut_off(600 + 100 * 60 + 299);

        // A slow server that is none of those.
        let mut slow = Slow::new(config(false), 100, 1);
        slow.turn(0, "220 x\r\n", ALL);
        slow.turn(0, offer, ALL);
        slow.turn(299, "250 ok\r\n", ALL);
        for _ in 0..100 {
            slow.turn(60, "250 ok\r\n", ALL);
        }
        slow.turn(119, "354 go\r\n", ALL);
        // The envelope's time has no meaning for what follows.
        slow.turn(599, "250 ok\r\n", ALL);
        assert_eq!(slow.fates, [Status::Delivered; 100]);
    }
}

#[test]
fn replies_to_chunks_have_a_time_together() {
    // Without PIPELINING a chunk waits for the reply to the one before it.
    let mut slow = Slow::new(config(true), 1, 100 << 20);
    slow.turn(0, "220 x\r\n", ALL);
    slow.turn(0, "250-x\r\n250 CHUNKING\r\n", ALL);
    slow.turn(0, "250 ok\r\n", ALL);
    slow.turn(0, "250 ok\r\n", ALL);
    while !slow.is_over() {
        slow.turn(599, "250 ok\r\n", ALL);
    }
    slow.assert_cut_off(3600);

    // With it, all of them may be owed at the end.
    let mut slow = Slow::new(config(true), 1, 10 << 20);
    slow.turn(0, "220 x\r\n", ALL);
    slow.turn(0, "250-x\r\n250-PIPELINING\r\n250 CHUNKING\r\n", ALL);
    slow.turn(0, "250 ok\r\n250 ok\r\n", ALL);
    while slow.message > 0 || slow.client.output().remaining() > 0 {
        slow.turn(0, "", ALL);
    }
    while !slow.is_over() {
        slow.turn(299, "250 ok\r\n", ALL);
    }
    slow.assert_cut_off(3600);
}

#[test]
fn replies_of_lmtp_have_a_time_together() {
    let served = |seconds| {
        let mut config = ClientConfig::lmtp("client.example").unwrap();
        config.chunking = false;
        let mut slow = Slow::new(config, 100, 1);
        slow.turn(0, "220 x\r\n", ALL);
        slow.turn(0, "250-x\r\n250 PIPELINING\r\n", ALL);
        slow.turn(0, &"250 ok\r\n".repeat(101), ALL);
        slow.turn(0, "354 go\r\n", ALL);
        for _ in 0..100 {
            slow.turn(seconds, "250 ok\r\n", ALL);
        }
        slow
    };
    let slow = served(299);
    assert_eq!(slow.error, Some(ClientError::Timeout));
    let told = slow.fates.iter().filter(|fate| **fate == Status::Delivered);
    assert_eq!(told.count(), (600 + 100 * 60) / 299);
    assert_eq!(slow.fates.len(), 100);
    assert_eq!(served(60).fates, [Status::Delivered; 100]);
}

/// A server that goes on with an exchange that was given up.
#[test]
fn an_exchange_that_was_given_up_is_over() {
    for challenge in ["334 AA==\r\n", "334 no base64\r\n"] {
        let mut config = config(false);
        config.auth_needs_tls = false;
        let mut client = Client::new(Arc::new(config), Instant::now());
        let mut input = BytesMut::from("220 x\r\n250-x\r\n250 AUTH PLAIN\r\n");
        let now = Instant::now();
        while let Ok(Step::Event(_)) = client.poll(&mut input, now) {}
        client.auth("PLAIN", None).unwrap();
        let mut outcome = Ok(());
        for _ in 0..3 {
            input.extend_from_slice(challenge.as_bytes());
            loop {
                match client.poll(&mut input, now) {
                    Ok(Step::Event(ClientEvent::AuthChallenge(_))) => client.cancel_auth().unwrap(),
                    Ok(Step::Event(_)) => {}
                    Ok(_) => break,
                    Err(error) => {
                        outcome = Err(error);
                        break;
                    }
                }
            }
        }
        assert_eq!(outcome, Err(ClientError::Unexpected(334)), "{challenge:?}");
    }
}
