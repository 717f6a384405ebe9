use std::time::Duration;

use proto_core::BareNewline;

use crate::domain::in_ascii;
use crate::path::Lenient;

/// What a [`Server`](super::Server) is told once, shared by its connections.
///
/// Strict and with the RFCs' own limits and times; change what differs:
///
/// ```
/// use smtp_proto::Config;
///
/// let mut config = Config::new("mx.example.org");
/// config.limits.message_size = 10_240_000;
/// config.extensions.starttls = true;
/// config.extensions.auth = vec!["PLAIN".into(), "LOGIN".into()];
/// config.auth_required = true;
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Config {
    /// The name in the greeting and in the answers to HELO and EHLO.
    pub hostname: String,
    /// What the greeting says behind the name; `ESMTP` or `LMTP` by default.
    pub banner: String,
    /// SMTP or LMTP.
    pub mode: Mode,
    /// What EHLO offers.
    pub extensions: Extensions,
    /// What one client may use up.
    pub limits: Limits,
    /// How long the machine waits.
    pub timeouts: Timeouts,
    /// Forms outside the standard that are taken.
    pub lenient: Lenient,
    /// What becomes of a bare CR or LF, or a NUL, in a message. None of them
    /// ever ends the data.
    pub bare_newline: BareNewline,
    /// Whether MAIL, ETRN, VRFY and EXPN need a successful AUTH first
    /// (530 5.7.0): submission.
    pub auth_required: bool,
    /// Whether AUTH is offered and taken over TLS only (538 5.7.11).
    pub auth_needs_tls: bool,
    /// Whether MAIL and what belongs to it need TLS first (530 5.7.0).
    pub tls_required: bool,
    /// Whether MAIL and RCPT may have parameters that this crate does not
    /// know; the host then finds them in `others`. Else they get 555 5.5.4.
    pub unknown_parameters: bool,
    /// Whether a client that talks before the greeting is sent off with 554
    /// (RFC 5321 §4.3.1). Only the greeting delay gives it a chance to.
    pub reject_early_talkers: bool,
    /// Whether a client is sent off with 554 that sends more before it may:
    /// commands in one go where PIPELINING was not offered or HELO was said,
    /// anything behind EHLO, DATA, VRFY, EXPN or NOOP (RFC 2920 §3.1), a
    /// message before 354. Programs that send mail in bulk do so, and so does
    /// a message smuggled behind another. Off: a client may have been told by
    /// other servers that it may. Seen is only what has come together.
    pub reject_early_commands: bool,
}

/// Which protocol a server speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// SMTP: HELO and EHLO, one reply to the message.
    #[default]
    Smtp,
    /// LMTP (RFC 2033): LHLO, and after the message one reply for each
    /// recipient that was accepted.
    Lmtp,
}

/// The service extensions that EHLO and LHLO offer.
///
/// A parameter of an extension that is not offered gets 555 5.5.4. On from
/// the start are those that ask nothing of the host.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Extensions {
    /// PIPELINING (RFC 2920). On.
    pub pipelining: bool,
    /// SIZE (RFC 1870), with [`Limits::message_size`]. On.
    pub size: bool,
    /// 8BITMIME (RFC 6152). On: the host stores octets as they come.
    pub eight_bit_mime: bool,
    /// ENHANCEDSTATUSCODES (RFC 2034). On; when off, replies leave theirs out.
    pub enhanced_status_codes: bool,
    /// HELP. Off; when off, HELP is answered by the machine.
    pub help: bool,
    /// CHUNKING, that is BDAT (RFC 3030). On.
    pub chunking: bool,
    /// BINARYMIME (RFC 3030); needs CHUNKING. Off: the host must be able to
    /// send such a message on.
    pub binary_mime: bool,
    /// BURL (RFC 4468) with the words behind it, `imap` say; needs CHUNKING.
    /// Off.
    pub burl: Option<String>,
    /// STARTTLS (RFC 3207), while the connection has no TLS. Off.
    pub starttls: bool,
    /// The mechanisms of AUTH (RFC 4954). None: AUTH is not offered.
    pub auth: Vec<String>,
    /// SMTPUTF8 (RFC 6531). Off; without it addresses must be ASCII.
    pub smtputf8: bool,
    /// DSN (RFC 3461). Off.
    pub dsn: bool,
    /// ETRN (RFC 1985). Off.
    pub etrn: bool,
    /// DELIVERBY (RFC 2852), with the least time in seconds, 0 for none. Off.
    pub deliver_by: Option<u32>,
    /// FUTURERELEASE (RFC 4865). Off.
    pub future_release: Option<FutureRelease>,
    /// MT-PRIORITY (RFC 6710), with a profile's name or nothing. Off.
    pub mt_priority: Option<Option<String>>,
    /// MTRK (RFC 3885). Off.
    pub mtrk: bool,
    /// REQUIRETLS (RFC 8689), over TLS only. Off.
    pub requiretls: bool,
    /// RRVS (RFC 7293). Off.
    pub rrvs: bool,
    /// NO-SOLICITING (RFC 3865), with keywords or nothing. Off.
    pub no_soliciting: Option<Option<String>>,
    /// LIMITS (RFC 9422) with [`Limits::recipients`] and
    /// [`Limits::transactions`]. Off.
    pub limits: bool,
    /// The attributes of XCLIENT. None: not offered. A client that may use it
    /// can claim to be anyone.
    pub xclient: Vec<String>,
    /// The attributes of XFORWARD. None: not offered.
    pub xforward: Vec<String>,
    /// Whether VRFY is the host's to answer; else the machine says 252.
    pub vrfy: bool,
    /// Whether EXPN is the host's to answer; else the machine says 502.
    pub expn: bool,
    /// Whole EHLO lines of the host's own.
    pub others: Vec<String>,
}

/// What FUTURERELEASE offers (RFC 4865 §4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FutureRelease {
    /// The longest time that a message is held, in seconds.
    pub max_interval: u32,
    /// The latest date and time to which it is held (RFC 3339).
    pub max_date_time: String,
}

/// What one client may use up. Each stops an attack.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Octets of a command line without its CRLF. RFC 5321 §4.5.3.1.4 has
    /// 512 with it, and every extension adds to that. Stops an endless line
    /// from filling memory.
    pub command_line: usize,
    /// Octets of a line in an AUTH exchange (RFC 4954 §4). Likewise.
    pub auth_line: usize,
    /// Octets of a message, as SIZE offers it. Stops a full disk.
    pub message_size: u64,
    /// Recipients of a message (RFC 5321 §4.5.3.1.10 asks for 100 at least);
    /// one more gets 452 4.5.3, and the message goes to those before it. Stops a transaction without end.
    pub recipients: u32,
    /// Messages of one connection; one more gets 421. Nothing: no limit.
    /// Stops one client from keeping a connection to itself.
    pub transactions: Option<u32>,
    /// Commands that were refused by the machine, or for good (5yz) by the
    /// host, since the last message that was taken, before 421 ends the
    /// connection. Stops guessing of recipients and talk of other protocols.
    /// What the host refuses by LMTP does not count at once (see `refusals`):
    /// that is another server's mail, for many.
    pub errors: u32,
    /// Commands that were refused and are no error, since the last message
    /// that was taken, before each one more counts as an error: RCPTs over
    /// `recipients`, what the host refuses for now (4yz), what it refuses by
    /// LMTP, STARTTLS, messages that are refused (by LMTP those that the
    /// machine refuses). A client that was told to try again may
    /// finish its list (RFC 5321 §4.5.3.1.10). Stops one that goes on with it
    /// for ever.
    pub refusals: u32,
    /// Failed AUTHs before 421 ends the connection. Stops guessing.
    pub auth_failures: u32,
    /// EHLO, HELO, LHLO, NOOP, RSET, VRFY, EXPN, HELP, ETRN, XCLIENT and
    /// XFORWARD since the last
    /// message that was taken, before the next is answered with 421 and ends
    /// the connection. Stops a client from holding a connection for nothing.
    pub idle_commands: u32,
    /// Octets of output that the client has not read, before nothing more is
    /// parsed. Stops a client that sends and never reads from filling memory.
    pub output: usize,
    /// Octets in one `Payload` event, 65,536 at the most. Stops a message
    /// that came in one go from being held by the host at once.
    pub chunk: usize,
}

/// How long the machine waits (RFC 5321 §4.5.3.2).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Timeouts {
    /// Before the greeting is sent; a client that talks earlier is found out.
    pub greeting_delay: Duration,
    /// For a whole command line (§4.5.3.2.7: five minutes), and for the client
    /// to read what is over [`Limits::output`]. Stops a client that sends or
    /// reads nothing, or an octet now and then, from holding a connection.
    pub command: Duration,
    /// For the next octets of a message (§4.5.3.2.5: three minutes). Stops
    /// one that falls silent within it.
    pub data_block: Duration,
    /// The least octets per second of a message, over and above
    /// `data_block`; of one in chunks, over and above `data_block` and
    /// `command` together, the time between the chunks counted. Stops a sender
    /// that drips an octet every minute, or a chunk of one, from holding a
    /// connection for days.
    pub data_rate: u32,
    /// For the whole connection. Nothing: no limit. Stops one that does
    /// everything in good time and never ends.
    pub session: Option<Duration>,
}

impl Config {
    /// A strict SMTP server of this name: a domain is written with A-labels,
    /// as RFC 6531 §3.7.1 wants it in the reply to EHLO.
    #[must_use]
    pub fn new(hostname: impl Into<String>) -> Self {
        Self {
            hostname: in_ascii(hostname.into()),
            banner: "ESMTP".into(),
            mode: Mode::Smtp,
            extensions: Extensions::default(),
            limits: Limits::default(),
            timeouts: Timeouts::default(),
            lenient: Lenient::default(),
            bare_newline: BareNewline::Reject,
            auth_required: false,
            auth_needs_tls: true,
            tls_required: false,
            unknown_parameters: false,
            reject_early_talkers: true,
            reject_early_commands: false,
        }
    }

    /// A strict LMTP server of this name.
    #[must_use]
    pub fn lmtp(hostname: impl Into<String>) -> Self {
        Self {
            mode: Mode::Lmtp,
            banner: "LMTP".into(),
            ..Self::new(hostname)
        }
    }
}

impl Default for Extensions {
    fn default() -> Self {
        Self {
            pipelining: true,
            size: true,
            eight_bit_mime: true,
            enhanced_status_codes: true,
            help: false,
            chunking: true,
            binary_mime: false,
            burl: None,
            starttls: false,
            auth: Vec::new(),
            smtputf8: false,
            dsn: false,
            etrn: false,
            deliver_by: None,
            future_release: None,
            mt_priority: None,
            mtrk: false,
            requiretls: false,
            rrvs: false,
            no_soliciting: None,
            limits: false,
            xclient: Vec::new(),
            xforward: Vec::new(),
            vrfy: false,
            expn: false,
            others: Vec::new(),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            command_line: 2048,
            auth_line: 12_288,
            message_size: 50 << 20,
            recipients: 1000,
            transactions: None,
            errors: 20,
            refusals: 2000,
            auth_failures: 3,
            idle_commands: 100,
            output: 64 << 10,
            chunk: 64 << 10,
        }
    }
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            greeting_delay: Duration::ZERO,
            command: Duration::from_secs(300),
            data_block: Duration::from_secs(180),
            data_rate: 500,
            session: None,
        }
    }
}
