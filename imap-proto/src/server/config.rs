use std::time::Duration;

use crate::{Extension, Extensions};

/// What a server offers and how much it bears. Share it by `Arc`.
#[derive(Debug, Clone)]
pub struct Config {
    /// The text of the greeting.
    pub greeting: String,
    /// What is offered; of the grammar only that is understood. Offer what
    /// works from end to end: the machine answers for ENABLE, CAPABILITY, the
    /// literals and IDLE's framing, the host for the rest.
    pub extensions: Extensions,
    /// Capabilities that this crate need not know, listed as they are.
    pub capabilities: Vec<crate::Capability>,
    /// Whether STARTTLS is offered.
    pub starttls: bool,
    /// Whether the connection is TLS from its first octet.
    pub implicit_tls: bool,
    /// SASL mechanisms offered under TLS, in upper case, best first.
    pub mechanisms: Vec<Box<str>>,
    /// SASL mechanisms offered without TLS.
    pub mechanisms_without_tls: Vec<Box<str>>,
    /// Whether LOGIN is allowed without TLS; otherwise LOGINDISABLED.
    pub login_without_tls: bool,
    /// Whether the host tells of annotations that others change; only then
    /// are METADATA and METADATA-SERVER enabled (RFC 5464 §4.1).
    pub metadata_news: bool,
    /// How much is borne.
    pub limits: Limits,
}

/// How much a server bears from a client. All sizes are octets.
#[derive(Debug, Clone)]
pub struct Limits {
    /// A line of a command. Stops endless lines; long UID sets need some room.
    pub line: usize,
    /// A command with its literals. Bounds what one connection holds in
    /// memory, messages not counted: those are streamed.
    pub command: usize,
    /// Literals in one command. Stops parsing the same front again and again.
    pub literals: usize,
    /// A message in APPEND; announced as APPENDLIMIT.
    pub message: u64,
    /// A refused literal that is skipped; over it the connection is closed.
    pub skip: u64,
    /// Ranges in a sequence set. Stops sets like `1,1,1,…`.
    pub ranges: usize,
    /// Output that waits for the client before more input is read. A client
    /// that asks but does not read stops here.
    pub output: usize,
    /// Largest payload event.
    pub chunk: usize,
    /// From the greeting to authentication. Stops those that only connect.
    pub authentication_time: Duration,
    /// Between commands, the length of one IDLE, and how long output over
    /// its limit may wait for the client; RFC 9051 §5.4 wants 30 minutes at
    /// least.
    pub idle_time: Duration,
    /// What a message may take before the rate counts.
    pub payload_time: Duration,
    /// Octets a second that a message must have on average. Stops senders
    /// that dribble.
    pub payload_rate: u64,
    /// Commands a second on average; those beyond it stay in `input` until
    /// their time. Where `command` octets wait there already, `poll` says
    /// [`Step::NeedDrain`](crate::Step::NeedDrain): read no more before
    /// `poll_timeout()`. 0 for as many as come. Stops clients that ask and
    /// ask.
    pub command_rate: u32,
    /// Commands that may come at once before the rate counts.
    pub command_burst: u32,
    /// Refused commands in a row before the connection is closed.
    pub errors: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            line: 64 * 1024,
            command: 128 * 1024,
            literals: 64,
            message: 64 * 1024 * 1024,
            skip: 1024 * 1024 * 1024,
            ranges: 10_000,
            output: 256 * 1024,
            chunk: 64 * 1024,
            authentication_time: Duration::from_secs(180),
            idle_time: Duration::from_secs(30 * 60),
            payload_time: Duration::from_secs(300),
            payload_rate: 1024,
            command_rate: 0,
            command_burst: 1000,
            errors: 20,
        }
    }
}

impl Default for Config {
    /// Both revisions with what only the machine and [`View`](crate::View)
    /// are needed for; no TLS, no mechanism, LOGIN refused.
    fn default() -> Self {
        let extensions = [
            Extension::Imap4Rev1,
            Extension::Imap4Rev2,
            Extension::LiteralPlus,
            Extension::Idle,
            Extension::Enable,
            Extension::Id,
            Extension::SaslIr,
            Extension::Namespace,
            Extension::Unselect,
            Extension::UidPlus,
            Extension::Move,
            Extension::Children,
            Extension::SpecialUse,
            Extension::ListExtended,
            Extension::ListStatus,
            Extension::ESearch,
            Extension::SearchRes,
            Extension::StatusSize,
            Extension::Within,
            Extension::Binary,
        ];
        Self {
            greeting: "ready".into(),
            extensions: extensions.into_iter().collect(),
            capabilities: Vec::new(),
            starttls: false,
            implicit_tls: false,
            mechanisms: Vec::new(),
            mechanisms_without_tls: Vec::new(),
            login_without_tls: false,
            metadata_news: true,
            limits: Limits::default(),
        }
    }
}
