//! What a sender asked to be told of (RFC 3461), as the envelope keeps it.

use serde::{Deserialize, Serialize};
use smtp_proto::{NotifyOn, Orcpt};

/// NOTIFY (RFC 3461 §4.1). All false is `NEVER`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Notify {
    /// When it was delivered, or handed on to where nobody tells.
    #[serde(default)]
    pub success: bool,
    /// When it was given up.
    #[serde(default)]
    pub failure: bool,
    /// When it takes long.
    #[serde(default)]
    pub delay: bool,
}

impl From<smtp_proto::Notify> for Notify {
    fn from(notify: smtp_proto::Notify) -> Self {
        match notify {
            smtp_proto::Notify::Never => Self::default(),
            smtp_proto::Notify::On(on) => Self {
                success: on.success,
                failure: on.failure,
                delay: on.delay,
            },
        }
    }
}

impl From<Notify> for smtp_proto::Notify {
    fn from(notify: Notify) -> Self {
        if notify == Notify::default() {
            return Self::Never;
        }
        Self::On(NotifyOn {
            success: notify.success,
            failure: notify.failure,
            delay: notify.delay,
        })
    }
}

/// RET (RFC 3461 §4.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ret {
    /// The whole message.
    Full,
    /// Its header.
    Hdrs,
}

impl From<smtp_proto::Ret> for Ret {
    fn from(ret: smtp_proto::Ret) -> Self {
        match ret {
            smtp_proto::Ret::Full => Self::Full,
            smtp_proto::Ret::Hdrs => Self::Hdrs,
        }
    }
}

impl From<Ret> for smtp_proto::Ret {
    fn from(ret: Ret) -> Self {
        match ret {
            Ret::Full => Self::Full,
            Ret::Hdrs => Self::Hdrs,
        }
    }
}

/// ORCPT (RFC 3461 §4.2), xtext taken back: the recipient as the sender knew
/// it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OriginalRecipient {
    /// `rfc822`, mostly.
    pub address_type: String,
    /// In the sender's own letters.
    pub address: String,
}

impl OriginalRecipient {
    /// An address of Internet mail (RFC 6533 §3 for those beyond ASCII).
    #[must_use]
    pub fn of(address: &str) -> Self {
        let address_type = if address.is_ascii() {
            "rfc822"
        } else {
            "utf-8"
        };
        Self {
            address_type: address_type.to_owned(),
            address: address.to_owned(),
        }
    }

    /// As a parameter; nothing for what a command cannot carry.
    #[must_use]
    pub fn parameter(&self) -> Option<Orcpt> {
        Orcpt::new(&self.address_type, &self.address).ok()
    }
}

impl std::fmt::Display for OriginalRecipient {
    /// As `Original-Recipient` has it (RFC 3464 §2.3.1).
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{};{}", self.address_type, self.address)
    }
}

impl From<&Orcpt> for OriginalRecipient {
    fn from(orcpt: &Orcpt) -> Self {
        Self {
            address_type: orcpt.address_type().to_owned(),
            address: orcpt.address().to_owned(),
        }
    }
}

/// How a recipient was served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Success {
    /// It is in its mailbox.
    Delivered,
    /// Handed on to where nobody tells.
    Relayed,
    /// It was an alias of several.
    Expanded,
}

/// A report of success that is still to be written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owed {
    /// What was done.
    pub success: Success,
    /// Enhanced status code (RFC 3463).
    pub code: String,
    /// In one line, for people.
    pub reason: String,
    /// The host that took it, if it was another.
    #[serde(default)]
    pub remote: Option<String>,
    /// What that host said.
    #[serde(default)]
    pub reply: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_asked_for_is_what_is_passed_on() {
        for asked in 0..8 {
            let on = NotifyOn {
                success: asked & 1 != 0,
                failure: asked & 2 != 0,
                delay: asked & 4 != 0,
            };
            let notify = match asked {
                0 => smtp_proto::Notify::Never,
                _ => smtp_proto::Notify::On(on),
            };
            assert_eq!(smtp_proto::Notify::from(Notify::from(notify)), notify);
        }
        let orcpt = Orcpt::new("rfc822", "Carol+x@Ivory.EDU").unwrap();
        assert_eq!(OriginalRecipient::from(&orcpt).parameter(), Some(orcpt));
        let utf8 = OriginalRecipient::of("grüße@example.org");
        assert_eq!(utf8.to_string(), "utf-8;grüße@example.org");
    }
}
