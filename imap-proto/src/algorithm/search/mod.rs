mod answer;
mod program;
#[cfg(test)]
mod tests;

use memchr::memmem::Finder;
pub use program::Program;
use thiserror::Error;

use super::fold;
use crate::{
    AnnotationMatch, Code, Date, DateTime, Flag, IString, Message, NoSuchMessage, StatusResponse,
    UndefinedFilter,
};

/// A message that a [`Program`] looks at.
///
/// What costs something to get answers `None` until the host has loaded it:
/// then [`Program::evaluate`] says what it needs.
pub trait Candidate {
    /// Its number and UID.
    fn message(&self) -> Message;
    /// Whether it has the flag; `\Recent` too.
    fn has_flag(&self, flag: &Flag) -> bool;
    /// When it arrived.
    fn internal_date(&self) -> DateTime;
    /// Its octets (RFC822.SIZE).
    fn size(&self) -> u64;
    /// Its modification sequence (RFC 7162).
    fn mod_seq(&self) -> u64 {
        0
    }
    /// When it came into this mailbox, where that is known (RFC 8514).
    fn save_date(&self) -> Option<DateTime> {
        None
    }
    /// Whether this is its EMAILID (RFC 8474 §6), upper case and lower case
    /// told apart.
    fn has_email_id(&self, id: &[u8]) -> Option<bool> {
        let _ = id;
        Some(false)
    }
    /// Whether this is its THREADID (RFC 8474 §6), upper case and lower case
    /// told apart; no message matches where there are none.
    fn has_thread_id(&self, id: &[u8]) -> Option<bool> {
        let _ = id;
        Some(false)
    }
    /// Whether an annotation that is asked for has the needle in its value;
    /// without a needle, whether there is none with a value (RFC 5257 §4.5).
    fn annotation_contains(&self, wanted: &AnnotationMatch, needle: Option<&Needle>) -> bool {
        let _ = wanted;
        needle.is_none()
    }
    /// The day in its Date field, in that field's own zone; `Some(None)` when
    /// it has no such day.
    fn sent_date(&self) -> Option<Option<Date>>;
    /// Whether a field of that name has the needle in its value, RFC 2047
    /// words decoded. An empty needle is in each field that is there.
    fn field_contains(&self, name: &[u8], needle: &Needle) -> Option<bool>;
    /// Whether the header has the needle in it.
    fn header_contains(&self, needle: &Needle) -> Option<bool>;
    /// Whether the body has the needle in it: its text parts, decoded.
    fn body_contains(&self, needle: &Needle) -> Option<bool>;
}

/// Whether a message matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It does.
    Match,
    /// It does not.
    NoMatch,
    /// Load this, then evaluate again.
    Needs(Need),
}

/// What a verdict needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Need {
    /// The header.
    Header,
    /// The body.
    Body,
}

/// Why a search cannot be run.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SearchError {
    /// A charset that is neither US-ASCII nor UTF-8, or octets that are not
    /// of the charset.
    #[error("unsupported charset")]
    BadCharset,
    /// A sequence number beyond the last message.
    #[error(transparent)]
    NoSuchMessage(#[from] NoSuchMessage),
    /// FILTER, not put in by [`SearchKeys::with_filters`](crate::SearchKeys::with_filters).
    #[error(transparent)]
    UndefinedFilter(#[from] UndefinedFilter),
}

impl SearchError {
    /// What a server replies.
    #[must_use]
    pub fn status(&self) -> StatusResponse {
        match self {
            Self::BadCharset => {
                let known = ["US-ASCII", "UTF-8"].map(|name| IString::lossy(name.as_bytes()));
                StatusResponse::no(self.to_string()).with(Code::BadCharset(known.to_vec()))
            }
            Self::NoSuchMessage(_) => StatusResponse::bad(self.to_string()),
            Self::UndefinedFilter(undefined) => undefined.status(),
        }
    }
}

/// [`SearchError::status`].
impl From<SearchError> for StatusResponse {
    fn from(error: SearchError) -> Self {
        error.status()
    }
}

/// What is looked for, made ready to be looked for often.
#[derive(Debug, Clone)]
pub struct Needle(Finder<'static>);

impl Needle {
    /// The text, to be found without regard to case.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(Finder::new(fold(text).as_bytes()).into_owned())
    }

    /// Whether it is empty, and so in everything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.needle().is_empty()
    }

    /// Whether it is in the text, in time linear in the text.
    #[must_use]
    pub fn is_in(&self, text: &str) -> bool {
        self.is_empty() || self.0.find(fold(text).as_bytes()).is_some()
    }
}
