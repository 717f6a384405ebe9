//! The control socket: how commands reach the queue of a running server.
//!
//! It is a Unix socket in the data folder that only the server's user may
//! open. Each side writes JSON objects, one a line: a [`Request`], then its
//! [`Answer`]s. The content of a message goes in frames: four octets of length,
//! big-endian, and so many octets; a frame of length 0 ends it, so that one
//! that broke off is never taken for a whole message.
//!
//! When no server runs, a command serves itself: it takes the data folder's
//! lock, opens the queue and speaks the same protocol to it, in memory.

mod client;
mod serve;
mod socket;
#[cfg(test)]
mod tests;
mod wire;

use serde::{Deserialize, Serialize};

use crate::queue::{Envelope, Listed};

pub(crate) use client::Control;
pub use serve::serve;
pub use socket::{bind, socket_path};

/// What a command asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "snake_case")]
pub enum Request {
    /// Every message: [`Answer::Message`] each, then [`Answer::Done`].
    List,
    /// One message: [`Answer::Message`], then its content in frames.
    Show {
        /// Its queue id.
        id: String,
    },
    /// Tries a message, or all, at once: [`Answer::Flushed`].
    Flush {
        /// Its queue id.
        id: Option<String>,
    },
    /// Throws a message away: [`Answer::Done`].
    Remove {
        /// Its queue id.
        id: String,
    },
    /// A new message: [`Answer::Ready`], then its content in frames from the
    /// command, then [`Answer::Queued`].
    Submit {
        /// The reverse-path; empty for the null path.
        sender: String,
        /// The forward-paths.
        recipients: Vec<String>,
    },
}

/// What the queue answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub enum Answer {
    /// A message in the queue.
    Message(Entry),
    /// So many messages are due now.
    Flushed {
        /// How many.
        count: usize,
    },
    /// It is done, or the list is at its end.
    Done,
    /// The content may come.
    Ready,
    /// The message is in the queue, durably.
    Queued {
        /// Its name from now on.
        id: String,
    },
    /// It was not done.
    Error {
        /// Why.
        message: String,
    },
}

/// A message in the queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its name.
    pub id: String,
    /// Who it is from and for.
    pub envelope: Envelope,
    /// Octets of its content.
    pub size: u64,
    /// Whether it is being delivered.
    pub active: bool,
}

impl From<Listed> for Entry {
    fn from(listed: Listed) -> Self {
        Self {
            id: listed.id.0,
            envelope: listed.envelope,
            size: listed.size,
            active: listed.active,
        }
    }
}
