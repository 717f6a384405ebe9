use std::time::Duration;

/// What every connection of a server has in common.
#[derive(Debug, Clone)]
pub struct Config {
    /// The greeting's text; also what QUIT's answer begins with.
    pub greeting: String,
    /// The IMPLEMENTATION capability (RFC 2449 §6.9); `None` keeps it a secret.
    pub implementation: Option<String>,
    /// Offer STLS (RFC 2595 §4) where the connection is not under TLS.
    pub stls: bool,
    /// Accept USER and PASS.
    pub user: bool,
    /// Accept APOP, if the connection has a timestamp.
    pub apop: bool,
    /// SASL mechanisms, in the order in which they are announced.
    pub mechanisms: Vec<SaslMechanism>,
    /// Take passwords that cross the wire in the clear. RFC 5034 §4 wants
    /// this off, and it is.
    pub plaintext_without_tls: bool,
    /// Offer UTF8 (RFC 6856).
    pub utf8: bool,
    /// The EXPIRE capability (RFC 2449 §6.7).
    pub expire: Option<Expire>,
    /// The LOGIN-DELAY capability in seconds (RFC 2449 §6.5); the host
    /// enforces it with [`ResponseCode::LoginDelay`].
    ///
    /// [`ResponseCode::LoginDelay`]: crate::ResponseCode::LoginDelay
    pub login_delay: Option<u32>,
    /// Take a line that ends in a bare LF. Off: RFC 1939 §3 ends lines with
    /// CRLF.
    pub allow_bare_lf: bool,
    /// See [`Limits`].
    pub limits: Limits,
    /// See [`Timeouts`].
    pub timeouts: Timeouts,
}

impl Default for Config {
    /// STLS, USER and PLAIN, all passwords only under TLS.
    fn default() -> Self {
        Self {
            greeting: "POP3 server ready".into(),
            implementation: None,
            stls: true,
            user: true,
            apop: false,
            mechanisms: vec![proto_core::sasl::Mechanism::Plain.into()],
            plaintext_without_tls: false,
            utf8: true,
            expire: None,
            login_delay: None,
            allow_bare_lf: false,
            limits: Limits::default(),
            timeouts: Timeouts::default(),
        }
    }
}

/// A SASL mechanism as it is announced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SaslMechanism {
    /// The registered name, upper case.
    pub name: String,
    /// Whether it shows a password to who listens: then it is offered and
    /// accepted only under TLS, unless [`Config::plaintext_without_tls`].
    pub plaintext: bool,
}

impl From<proto_core::sasl::Mechanism> for SaslMechanism {
    fn from(mechanism: proto_core::sasl::Mechanism) -> Self {
        Self {
            name: mechanism.name().to_owned(),
            plaintext: mechanism.is_plaintext(),
        }
    }
}

/// How long messages stay on the server at least (RFC 2449 §6.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expire {
    /// The server never removes a message of its own.
    Never,
    /// So many days; 0 means that what was retrieved may be gone after QUIT.
    Days(u32),
}

/// What one connection may cost.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Octets of a command line with its CRLF: 255 (RFC 2449 §4). Stops a
    /// line without end from filling memory.
    pub line: usize,
    /// Octets of an AUTH command and of a SASL response, with CRLF. RFC 5034
    /// §4 sets no limit for responses; tokens are some KiB long.
    pub auth_line: usize,
    /// Commands answered as unknown, malformed or out of place before the
    /// connection is closed. Stops peers that speak HTTP, and scanners.
    pub bad_commands: u32,
    /// Refused logins before the connection is closed. Slows guessing down.
    pub failed_logins: u32,
    /// Octets of output from which on no further command is read. Stops a
    /// client that pipelines and never reads.
    pub output: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            line: 255,
            auth_line: 12_288,
            bad_commands: 10,
            failed_logins: 5,
            output: 64 * 1024,
        }
    }
}

/// How long a connection may take.
#[derive(Debug, Clone)]
pub struct Timeouts {
    /// Between two commands, and for a client to take any octet of an
    /// answer: at least 10 minutes (RFC 1939 §3).
    pub autologout: Duration,
    /// For the whole of AUTHORIZATION, however busy: stops peers that hold
    /// connections and never log in.
    pub authorization: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            autologout: Duration::from_secs(600),
            authorization: Duration::from_secs(600),
        }
    }
}
