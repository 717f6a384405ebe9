use std::time::Duration;

use crate::command::{Command, Hello, HelloVerb, Verb};
use crate::domain::in_ascii;
use crate::error::ParseError;
use crate::path::Lenient;
use crate::server::Mode;

/// What a [`Client`](super::Client) is told once, shared by its connections.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ClientConfig {
    pub(super) hostname: Box<str>,
    /// SMTP or LMTP.
    pub mode: Mode,
    /// Whether a message goes by BDAT where CHUNKING is offered. Else BDAT is
    /// used only for `BODY=BINARYMIME`.
    pub chunking: bool,
    /// Whether AUTH needs TLS first. Stops a password from going out in
    /// clear where STARTTLS was stripped from the offer.
    pub auth_needs_tls: bool,
    /// Whether 8-bit messages go to servers without 8BITMIME all the same,
    /// against RFC 6152 §3. Nearly every server takes them.
    pub eight_bit_anyway: bool,
    /// Whether a bare CR or LF in a message goes out as CRLF, save with
    /// `BODY=BINARYMIME`. Stops a message from being read as two by a server
    /// that takes more than CRLF for a line end.
    pub normalise_newlines: bool,
    /// Octets of a reply line. RFC 5321 §4.5.3.1.5 has 512; servers exceed
    /// it. A longer one ends the connection: an endless line must not fill
    /// memory.
    pub reply_line: usize,
    /// Octets of a whole reply; likewise for an endless reply.
    pub reply: usize,
    /// Octets of output that the server has not taken, before the host is
    /// asked for no more of a message. Stops a server that does not read from
    /// filling memory.
    pub output: usize,
    /// How long the machine waits.
    pub timeouts: ClientTimeouts,
}

/// How long a client waits for replies (RFC 5321 §4.5.3.2).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClientTimeouts {
    /// The greeting: five minutes (§4.5.3.2.1).
    pub greeting: Duration,
    /// MAIL, RCPT and whatever is not named here: five minutes (§4.5.3.2.2,
    /// §4.5.3.2.3).
    pub command: Duration,
    /// 354 to DATA: two minutes (§4.5.3.2.4).
    pub data: Duration,
    /// For the server to take any of the message: three minutes (§4.5.3.2.5).
    pub data_block: Duration,
    /// The reply to the message: ten minutes (§4.5.3.2.6).
    pub data_end: Duration,
    /// What each recipient adds to the time for all replies together: before
    /// the message twice `command` and this for each; after it, by LMTP,
    /// `data_end` and this for each. Stops a server that takes nearly all of
    /// the time for every reply from holding a connection for days.
    pub recipient: Duration,
    /// The least octets per second that the server must take of a message,
    /// over and above `data_block`; of one in chunks over and above
    /// `data_block` and `data_end` together, the time for their replies
    /// counted. Stops a server that takes an octet every minute from holding
    /// a connection for days.
    pub data_rate: u32,
    /// The reply to QUIT, which nobody needs.
    pub quit: Duration,
}

impl ClientConfig {
    /// An SMTP client that calls itself `hostname`: a domain, or an address
    /// literal with its brackets. U-labels go out as A-labels, as what a server
    /// offers is not known yet (RFC 6531 §3.7.1).
    ///
    /// # Errors
    /// When the name is neither.
    pub fn new(hostname: &str) -> Result<Self, ParseError> {
        let lenient = Lenient {
            underscores: true,
            ..Lenient::default()
        };
        let line = format!("EHLO {hostname}");
        // Checked as the server will read it.
        Command::parse_arguments(Verb::Ehlo, line.as_bytes(), 4, &lenient)?;
        Ok(Self {
            hostname: in_ascii(hostname.trim().into()).into(),
            mode: Mode::Smtp,
            chunking: true,
            auth_needs_tls: true,
            eight_bit_anyway: false,
            normalise_newlines: true,
            reply_line: 4096,
            reply: 64 << 10,
            output: 128 << 10,
            timeouts: ClientTimeouts::default(),
        })
    }

    /// An LMTP client.
    ///
    /// # Errors
    /// When the name is neither a domain nor an address literal.
    pub fn lmtp(hostname: &str) -> Result<Self, ParseError> {
        Ok(Self {
            mode: Mode::Lmtp,
            ..Self::new(hostname)?
        })
    }

    /// The name in EHLO.
    #[must_use]
    pub fn hostname(&self) -> &str {
        &self.hostname
    }

    pub(super) fn hello(&self, verb: HelloVerb) -> Command {
        Command::Hello(Hello {
            verb,
            domain: self.hostname.as_ref().into(),
        })
    }
}

impl Default for ClientTimeouts {
    fn default() -> Self {
        let minutes = |count: u64| Duration::from_secs(60 * count);
        Self {
            greeting: minutes(5),
            command: minutes(5),
            data: minutes(2),
            data_block: minutes(3),
            data_end: minutes(10),
            recipient: minutes(1),
            data_rate: 500,
            quit: Duration::from_secs(10),
        }
    }
}
