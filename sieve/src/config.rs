//! What the host tells an evaluation beforehand.

use jiff::Zoned;

use crate::limits::Limits;

/// The envelope a message came in (RFC 5228 §5.4).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Envelope {
    /// Reverse path without brackets; empty for the null path. `None` if unknown.
    pub from: Option<String>,
    /// Forward path without brackets: the recipient this delivery is for.
    pub to: Option<String>,
    /// The recipient before aliases.
    pub original_to: Option<String>,
    /// Whom the sending client authenticated as.
    pub auth: Option<String>,
    /// Other parts by lower-case name: `notify`, `orcpt`, `ret`, `envid` (RFC 6009 §4), `bytimerelative`,
    /// `bytimeabsolute`, `bymode`, `bytrace` (§5). A `bytimeabsolute` is an RFC 3339 date-time in any zone.
    pub other: Vec<(String, String)>,
}

impl Envelope {
    /// An envelope with sender and recipient.
    #[must_use]
    pub fn new(from: impl Into<String>, to: impl Into<String>) -> Self {
        Self {
            from: Some(from.into()),
            to: Some(to.into()),
            ..Self::default()
        }
    }
}

/// What happened to a message in a mailbox (RFC 6785 §4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImapEvent {
    /// `imap.cause`.
    pub cause: ImapCause,
    /// `imap.mailbox`: where the message is, or is to be stored.
    pub mailbox: String,
    /// `imap.user`: who did it.
    pub user: String,
    /// `imap.email`: that user's address.
    pub email: String,
    /// `imap.changedflags`.
    pub changed_flags: Vec<String>,
}

/// Why an IMAP event runs a script (RFC 6785 §4.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImapCause {
    /// A message was appended.
    Append,
    /// A message was copied or moved.
    Copy,
    /// Flags were changed.
    Flag,
}

impl ImapCause {
    /// As `imap.cause` has it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Append => "APPEND",
            Self::Copy => "COPY",
            Self::Flag => "FLAG",
        }
    }
}

/// How scripts are evaluated for one user.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// The current time in the user's zone: `currentdate`, and the zone of `date`.
    pub now: Zoned,
    /// Addresses that are the user's: `vacation` answers mail to these and never to them (RFC 5230 §4.5).
    pub addresses: Vec<String>,
    /// What stands between user and detail (RFC 5233 §4), `+` as a rule.
    pub separator: String,
    /// Notifications may go by XMPP (RFC 5437): the host sends what [`Notify::to_stanza`](crate::Notify::to_stanza) writes.
    pub xmpp: bool,
    /// The IMAP event that runs the script, where it is no delivery (RFC 6785).
    pub imap_event: Option<ImapEvent>,
    /// Items of `environment` (RFC 5183 §4.1) such as `domain`, `host`, `location`, `phase`, by lower-case name.
    pub environment: Vec<(String, String)>,
    /// Seconds between vacation answers where the script gives none. RFC 5230 §4.1 suggests seven days.
    pub vacation_default: u64,
    /// Fewest seconds between vacation answers, however few the script asks for with `:seconds`; `:days` never means
    /// less than one.
    pub vacation_minimum: u64,
    /// Most seconds that answers are remembered.
    pub vacation_maximum: u64,
    /// Seconds that `duplicate` remembers where the script gives none; RFC 7352 §3.3 suggests seven days.
    pub duplicate_default: u64,
    /// Most seconds that `duplicate` may remember.
    pub duplicate_maximum: u64,
    /// Fields that `addheader` and `deleteheader` may not touch, besides `Received` and `Auto-Submitted`.
    pub protected_fields: Vec<String>,
    /// Bounds on the cost.
    pub limits: Limits,
    /// Record each test and command in the [trace](crate::Evaluation::trace).
    pub trace: bool,
}

impl Config {
    /// The defaults, at a given time.
    #[must_use]
    pub fn new(now: Zoned) -> Self {
        Self {
            now,
            addresses: Vec::new(),
            separator: "+".to_owned(),
            xmpp: false,
            imap_event: None,
            environment: Vec::new(),
            vacation_default: 7 * 86_400,
            vacation_minimum: 0,
            vacation_maximum: 90 * 86_400,
            duplicate_default: 7 * 86_400,
            duplicate_maximum: 30 * 86_400,
            protected_fields: Vec::new(),
            limits: Limits::default(),
            trace: false,
        }
    }
}
