//! What every server has to work out, without a store.

mod list;
mod mailbox;
mod message;
mod search;
mod sort;
mod subject;
mod thread;
#[cfg(feature = "mime")]
mod whole;

pub use mailbox::MailboxState;
pub use message::header_fields;
pub use search::{Candidate, Need, Needle, Program, SearchError, Verdict};
pub use sort::{SortFields, sort};
pub use subject::{BaseSubject, base_subject};
pub use thread::{ThreadInput, thread};
#[cfg(feature = "mime")]
pub use whole::WholeMessage;

/// Text as it is compared without regard to case: what i;unicode-casemap
/// (RFC 5051) means, by Unicode's lower case mapping.
pub(crate) fn fold(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    text.chars().flat_map(char::to_lowercase).collect()
}
