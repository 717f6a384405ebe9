use std::num::NonZeroU32;

use bytes::Bytes;
use proto_core::Secret;

use crate::{FetchItem, FetchedUrl, ParseError, StatusResponse, Untagged};

/// Names a command until its reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ticket(pub(super) u64);

/// What a client tells its host.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClientEvent {
    /// The server's first words: OK, PREAUTH or BYE.
    ///
    /// Who needs STARTTLS must not go on after PREAUTH: STARTTLS is not
    /// possible then, and the greeting may be forged.
    Greeting(StatusResponse),
    /// Untagged data; it may come at any time, asked for or not.
    ///
    /// What came before TLS may be forged.
    Untagged(Untagged),
    /// Untagged data that could not be understood, as it was sent. The
    /// connection goes on.
    Unparsed {
        /// The response, literals and all.
        octets: Bytes,
        /// What is wrong with it.
        error: ParseError,
    },
    /// A large content in a FETCH response begins: it is streamed.
    PayloadStart {
        /// The message's sequence number (its UID in a UIDFETCH).
        sequence: NonZeroU32,
        /// What stands before the content in the response.
        items: Vec<FetchItem>,
        /// What is streamed: its content is
        /// [`Content::Stream`](crate::Content::Stream).
        item: FetchItem,
    },
    /// A large content in a URLFETCH response begins: it is streamed.
    UrlPayloadStart {
        /// What stands before that URL in the response.
        urls: Vec<FetchedUrl>,
        /// The URL: its content is
        /// [`Content::Stream`](crate::Content::Stream).
        url: FetchedUrl,
    },
    /// Octets of it.
    Payload(Bytes),
    /// It is whole. What stands behind it in the response comes as
    /// [`Untagged::Fetch`] of the same message, or as [`Untagged::UrlFetch`],
    /// first of the same URL if there is more of it.
    PayloadEnd,
    /// A command has ended.
    Reply {
        /// Which command.
        ticket: Ticket,
        /// How.
        status: StatusResponse,
    },
    /// A SASL challenge, base64 decoded. Answers:
    /// [`Client::respond`](crate::Client::respond) or
    /// [`Client::cancel`](crate::Client::cancel).
    Challenge(Secret),
    /// The server waits for a literal of an APPEND or REPLACE. Answer:
    /// [`Client::send_payload`](crate::Client::send_payload) until it is whole.
    PayloadWanted(Ticket),
    /// IDLE began: news come as untagged data until
    /// [`Client::done`](crate::Client::done).
    Idling,
}
