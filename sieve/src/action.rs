//! What a script wants done.

use std::sync::Arc;

/// One thing to do with the message. The host carries them out in order.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Action {
    /// Store in the default mailbox (RFC 5228 §4.3), explicit or implicit.
    Keep(Keep),
    /// Store in a mailbox (RFC 5228 §4.1).
    FileInto(FileInto),
    /// Send on to another address (RFC 5228 §4.2).
    Redirect(Redirect),
    /// Throw away (RFC 5228 §4.4): there is nothing to do, but the log may want to know.
    Discard,
    /// Refuse the message (RFC 5429).
    Reject(Reject),
    /// Answer the sender (RFC 5230), if the host has not answered them lately: that was asked before.
    Vacation(Vacation),
    /// Notify somebody (RFC 5435).
    Notify(Notify),
    /// Hand the message to a program (vnd.dovecot.pipe).
    Pipe(Pipe),
    /// Report the message as abuse (vnd.dovecot.report); the implicit keep goes on.
    Report(Report),
    /// Remember an id as seen, once all other actions have succeeded (RFC 7352 §3).
    TrackDuplicate(TrackDuplicate),
}

impl Action {
    /// The command's name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Keep(_) => "keep",
            Self::FileInto(_) => "fileinto",
            Self::Redirect(_) => "redirect",
            Self::Discard => "discard",
            Self::Reject(reject) if reject.extended => "ereject",
            Self::Reject(_) => "reject",
            Self::Vacation(_) => "vacation",
            Self::Notify(_) => "notify",
            Self::Pipe(_) => "pipe",
            Self::Report(_) => "report",
            Self::TrackDuplicate(_) => "duplicate",
        }
    }
}

/// A message changed by the script (editheader, `replace`, `enclose`), in place of the one delivered.
///
/// Shared: many actions hold the same one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edited {
    pub(crate) header: Arc<[u8]>,
    pub(crate) body: Body,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Body {
    /// From this octet of the message delivered to its end.
    Original(usize),
    Replaced(Arc<[u8]>),
}

impl Edited {
    /// The changed header with the blank line that ends it.
    #[must_use]
    pub fn header(&self) -> &[u8] {
        &self.header
    }

    /// The body, given the message that was evaluated.
    #[must_use]
    pub fn body<'a>(&'a self, original: &'a [u8]) -> &'a [u8] {
        match &self.body {
            Body::Original(at) => original.get(*at..).unwrap_or_default(),
            Body::Replaced(body) => body,
        }
    }

    /// Header and body in one piece.
    #[must_use]
    pub fn to_bytes(&self, original: &[u8]) -> Vec<u8> {
        [self.header(), self.body(original)].concat()
    }
}

/// Store in the default mailbox.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Keep {
    /// No command asked for it: nothing cancelled the implicit keep (RFC 5228 §2.10.2).
    pub implicit: bool,
    /// IMAP flags and keywords (RFC 5232).
    pub flags: Vec<String>,
    /// The message to store, where the script changed it.
    pub edited: Option<Edited>,
}

/// Where a message or a copy is stored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Mailbox {
    /// The name, in UTF-8.
    pub name: String,
    /// IMAP flags and keywords (RFC 5232).
    pub flags: Vec<String>,
    /// Create it if it is missing (RFC 5490 §3.2).
    pub create: bool,
    /// Prefer the mailbox with this id, where there is one (RFC 9042).
    pub mailbox_id: Option<String>,
    /// Prefer the mailbox with this special-use attribute, where there is one (RFC 8579).
    pub special_use: Option<String>,
}

/// Store in a mailbox.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct FileInto {
    /// Where.
    pub mailbox: Mailbox,
    /// With `:copy` (RFC 3894): the implicit keep goes on.
    pub copy: bool,
    /// The message to store, where the script changed it.
    pub edited: Option<Edited>,
}

/// Send on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Redirect {
    /// The address; with [`list`](Self::list) the name of an external list.
    pub address: String,
    /// With `:copy` (RFC 3894): the implicit keep goes on.
    pub copy: bool,
    /// `:list` (RFC 6134 §2.4): send to all members.
    pub list: bool,
    /// `NOTIFY` of the new envelope (RFC 6009 §5).
    pub notify: Option<String>,
    /// `RET` of the new envelope (RFC 6009 §5).
    pub ret: Option<String>,
    /// Seconds from now for `BY` of the new envelope (RFC 6009 §7).
    pub by_relative: Option<u64>,
    /// A moment in UTC for `BY` of the new envelope (RFC 6009 §7), as RFC 3339 writes it.
    pub by_absolute: Option<String>,
    /// `N` or `R` for `BY`; without one it is `R`.
    pub by_mode: Option<String>,
    /// `T` for `BY`.
    pub by_trace: bool,
    /// The message to send, where the script changed it.
    pub edited: Option<Edited>,
}

/// Refuse the message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reject {
    /// Why, in UTF-8 with CRLF line ends.
    pub reason: String,
    /// `ereject` (RFC 5429 §2.1): at protocol level if at all possible. Else `reject` (§2.2): a host that cannot may
    /// send a notification.
    pub extended: bool,
}

/// An automatic reply.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Vacation {
    /// To whom: the envelope sender (RFC 5230 §5.3). The reply's own envelope sender is empty.
    pub recipient: String,
    /// `From` of the reply: `:from`, or the address the message was sent to.
    pub from: String,
    /// `Subject` of the reply, decoded.
    pub subject: String,
    /// The reply's text, or with [`mime`](Self::mime) its MIME header and body.
    pub body: String,
    /// The body begins with MIME header fields (RFC 5230 §4.7).
    pub mime: bool,
    /// `In-Reply-To` (RFC 5230 §5.8).
    pub in_reply_to: Option<String>,
    /// `References` (RFC 5230 §5.8).
    pub references: Option<String>,
    /// Remember `recipient` under this handle…
    pub handle: String,
    /// …for so many seconds.
    pub seconds: u64,
    /// Also store the reply (RFC 8580).
    pub fcc: Option<Mailbox>,
}

impl Vacation {
    /// The reply as a message, CRLF throughout. The host gives date (RFC 5322 §3.3) and message id, with brackets.
    #[must_use]
    pub fn to_message(&self, date: &str, message_id: &str) -> Vec<u8> {
        crate::eval::vacation::compose(self, date, message_id)
    }
}

/// A notification.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Notify {
    /// The method's URI (`mailto:…`, `xmpp:…`).
    pub method: String,
    /// `:from`.
    pub from: Option<String>,
    /// 1 high, 2 normal, 3 low.
    pub importance: u8,
    /// `:options`, each `name=value`.
    pub options: Vec<String>,
    /// `:message`.
    pub message: Option<String>,
    /// To whom (RFC 5436 §2.3): mail addresses, or one XMPP address.
    pub recipients: Vec<String>,
    /// `Subject` of the notification (RFC 5436 §2.4).
    pub subject: String,
    /// Its text.
    pub body: String,
    /// Also store it (RFC 8580).
    pub fcc: Option<Mailbox>,
}

impl Notify {
    /// The notification as a message, CRLF throughout. The host gives the sender where the script did not, date,
    /// message id and the address of the script's owner.
    #[must_use]
    pub fn to_message(
        &self,
        default_from: &str,
        date: &str,
        message_id: &str,
        owner: &str,
    ) -> Vec<u8> {
        let from = self.from.as_deref().unwrap_or(default_from);
        crate::eval::vacation::compose_notification(self, from, date, message_id, owner)
    }

    /// Whether it goes by XMPP rather than by mail.
    #[must_use]
    pub fn is_xmpp(&self) -> bool {
        self.method
            .split_once(':')
            .is_some_and(|(scheme, _)| scheme.eq_ignore_ascii_case("xmpp"))
    }

    /// The notification as an XMPP `<message/>` (RFC 5437 §2.7). The host gives the XMPP address of its service, the
    /// address of the script's owner, for `Resent-From` where the script says nothing, and where the message can be
    /// found.
    #[must_use]
    pub fn to_stanza(&self, service: &str, owner: &str, url: Option<&str>) -> String {
        crate::eval::xmpp::stanza(self, service, owner, url)
    }
}

/// Report the message in the Messaging Abuse Reporting Format (RFC 5965).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// `Feedback-Type`, such as `abuse`.
    pub feedback_type: String,
    /// What a person is told.
    pub body: String,
    /// To whom.
    pub recipient: String,
    /// `Subject` of the report.
    pub subject: String,
    /// The envelope sender of the message.
    pub sender: Option<String>,
    /// The envelope recipient of the message.
    pub original_recipient: Option<String>,
    /// Only the header of the message goes along.
    pub headers_only: bool,
    /// The message to report, where the script changed it.
    pub edited: Option<Edited>,
}

impl Report {
    /// The report as a message, CRLF throughout. The host gives the message that was evaluated, the sender, date and
    /// message id.
    #[must_use]
    pub fn to_message(&self, original: &[u8], from: &str, date: &str, message_id: &str) -> Vec<u8> {
        crate::eval::report::compose(self, original, from, date, message_id)
    }
}

/// Hand the message to a program.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pipe {
    /// The program's name among those the host offers; never a path.
    pub program: String,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// With `:copy`: the implicit keep goes on.
    pub copy: bool,
    /// With `:try`: a failure is no error.
    pub optional: bool,
    /// The message to hand over, where the script changed it.
    pub edited: Option<Edited>,
}

/// An id to remember.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TrackDuplicate {
    /// `:handle`, or empty.
    pub handle: String,
    /// The id.
    pub id: Vec<u8>,
    /// For how long.
    pub seconds: u64,
    /// With `:last` the time counts from the last message seen, not the first.
    pub last: bool,
}
