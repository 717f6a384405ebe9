//! IMAP URLs (RFC 5092, RFC 4467).

mod parse;
mod percent;
mod render;
#[cfg(test)]
mod tests;

use std::fmt;
use std::num::{NonZeroU32, NonZeroU64};

use super::{Mailbox, Section};
use crate::{Invalid, ParseError};

/// `imapurl`, absolute or relative (RFC 5092 §11), with the authorization of
/// RFC 4467.
///
/// The text is kept as it was written: the token of an authorized URL is made
/// of exactly that text.
///
/// ```
/// use imap_proto::ImapUrl;
///
/// let url = ImapUrl::parse("imap://joe@example.com/INBOX/;uid=20/;section=1.2")?;
/// assert_eq!(url.parts().mailbox.as_ref().map(|name| name.as_str()), Some("INBOX"));
/// assert_eq!(url.parts().uid.map(|uid| uid.get()), Some(20));
/// assert!(url.parts().server.is_some());
/// # Ok::<(), imap_proto::ParseError>(())
/// ```
#[derive(Clone)]
pub struct ImapUrl {
    text: Box<str>,
    parts: UrlParts,
    form: Form,
}

/// How much of the path a URL leaves to its base (RFC 5092 §11).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// With a server.
    Absolute,
    /// `iabsolute-path`: from the root of the server.
    Rooted,
    /// `irelative-path` or `ipath-empty`.
    Relative,
}

/// What an [`ImapUrl`] says, percent-decoded.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct UrlParts {
    /// `iserver`; `None` in a relative URL.
    pub server: Option<UrlServer>,
    /// `enc-mailbox`.
    pub mailbox: Option<Mailbox>,
    /// `;UIDVALIDITY=`
    pub uid_validity: Option<NonZeroU32>,
    /// `enc-search`: a search program, as a client would send it.
    pub search: Option<String>,
    /// `;UID=`
    pub uid: Option<NonZeroU32>,
    /// `;SECTION=`
    pub section: Option<Section>,
    /// `;PARTIAL=`
    pub partial: Option<UrlPartial>,
    /// `;EXPIRE=` and `;URLAUTH=` (RFC 4467 §3).
    pub authorization: Option<UrlAuthorization>,
}

/// `iserver`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct UrlServer {
    /// `enc-user`: who logs in.
    pub user: Option<String>,
    /// `iauth`: by which SASL mechanism; `*` stands for any.
    pub mechanism: Option<String>,
    /// The host, an address in brackets as it is.
    pub host: String,
    /// The port; 143 without.
    pub port: Option<u16>,
}

/// `partial-range`: octets of a section.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct UrlPartial {
    /// The first octet, 0-based.
    pub first: u64,
    /// At most so many octets; `None` for all that follow.
    pub length: Option<NonZeroU64>,
}

/// `iurlauth`, or the `iurlauth-rump` that it is made from.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct UrlAuthorization {
    /// `;EXPIRE=`: the `date-time` of RFC 3339 after which the URL is void.
    pub expire: Option<String>,
    /// Who may use the URL.
    pub access: UrlAccess,
    /// `iua-verifier`: the mechanism, in upper case, and the token, in
    /// hexadecimal digits; `None` before it is authorized.
    pub verifier: Option<(String, String)>,
}

/// `access` (RFC 4467 §3).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum UrlAccess {
    /// `submit+`: who submits mail on behalf of this user.
    Submit(String),
    /// `user+`: this user.
    User(String),
    /// `authuser`: any user, but nobody anonymous.
    AuthUser,
    /// `anonymous`: anyone.
    Anonymous,
}

impl ImapUrl {
    /// The URL of these parts.
    ///
    /// # Errors
    /// When they do not belong together: a section without a UID and with a
    /// mailbox, a search and a UID, an authorization of what is no message.
    pub fn new(parts: UrlParts) -> Result<Self, Invalid> {
        let invalid = Invalid { term: "imapurl" };
        if !parts.belong_together() {
            return Err(invalid);
        }
        let url = Self::parse(&parts.render()).map_err(|_| invalid)?;
        if url.parts == parts {
            Ok(url)
        } else {
            Err(invalid)
        }
    }

    /// The URL of this text.
    ///
    /// # Errors
    /// What is wrong and where, in octets of `text`.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        parse::parse(text)
    }

    /// What it says.
    #[must_use]
    pub fn parts(&self) -> &UrlParts {
        &self.parts
    }

    /// The text as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The URL without `:mech:token`: what the token is made of
    /// (RFC 4467 §6). The whole URL where there is none.
    #[must_use]
    pub fn rump(&self) -> &str {
        let authorization = self.parts.authorization.as_ref();
        let Some((mechanism, token)) = authorization.and_then(|one| one.verifier.as_ref()) else {
            return &self.text;
        };
        let behind = mechanism.len() + token.len() + 2;
        let end = self.text.len().saturating_sub(behind);
        self.text.get(..end).unwrap_or(&self.text)
    }

    /// The same with a token: what GENURLAUTH answers with.
    ///
    /// # Errors
    /// When the URL names no access, when it has a token already, or when the
    /// token is not at least 32 hexadecimal digits.
    pub fn authorize(&self, mechanism: &str, token: &str) -> Result<Self, Invalid> {
        let invalid = Invalid { term: "imapurl" };
        let access = self.parts.authorization.as_ref().ok_or(invalid)?;
        if access.verifier.is_some() {
            return Err(invalid);
        }
        Self::parse(&format!("{}:{mechanism}:{token}", self.text)).map_err(|_| invalid)
    }

    /// The URL that this one means beside `base` (RFC 5092 §7).
    ///
    /// # Errors
    /// When the parts do not belong together then.
    pub fn resolve(&self, base: &Self) -> Result<Self, Invalid> {
        if self.form == Form::Absolute {
            return Ok(self.clone());
        }
        let (own, base) = (&self.parts, &base.parts);
        let mut parts = own.clone();
        parts.server.clone_from(&base.server);
        if self.form == Form::Relative {
            match &own.mailbox {
                Some(name) => {
                    let above = base.mailbox.as_ref().map_or("", Mailbox::as_str);
                    let above = above.rfind('/').and_then(|at| above.get(..=at));
                    let name = format!("{}{name}", above.unwrap_or_default());
                    parts.mailbox = Some(Mailbox::new(&name)?);
                }
                None => parts.inherit(base),
            }
        }
        Self::new(parts)
    }
}

impl UrlParts {
    fn belong_together(&self) -> bool {
        let in_message = self.section.is_some() || self.partial.is_some();
        let has_path = self.mailbox.is_some() || self.server.is_none();
        let message = self.uid.is_some() && has_path;
        let ok_mailbox = self.mailbox.is_some() || self.uid_validity.is_none();
        let ok_search = self.search.is_none() || self.mailbox.is_some() && self.uid.is_none();
        let ok_inside = !in_message || message || self.server.is_none() && self.mailbox.is_none();
        let ok_uid = self.uid.is_none() || message;
        let ok_access =
            self.authorization.is_none() || self.uid.is_some() && self.mailbox.is_some();
        ok_mailbox && ok_search && ok_inside && ok_uid && ok_access
    }

    /// Takes what stands above its own first part from the base.
    fn inherit(&mut self, base: &Self) {
        self.mailbox.clone_from(&base.mailbox);
        self.uid_validity = base.uid_validity;
        if self.uid.is_some() {
            return;
        }
        self.uid = base.uid;
        if self.section.is_some() {
            return;
        }
        self.section.clone_from(&base.section);
        if self.partial.is_none() {
            self.partial = base.partial;
            self.search.clone_from(&base.search);
        }
    }
}

impl PartialEq for ImapUrl {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for ImapUrl {}

impl std::hash::Hash for ImapUrl {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

impl fmt::Display for ImapUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for ImapUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
