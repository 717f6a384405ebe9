//! What FETCH says of a message.

mod encode;
mod parse;

use std::num::{NonZeroU32, NonZeroU64};

use bytes::Bytes;
pub(super) use encode::encode_line;
pub(crate) use parse::{FetchFront, parse_front, parse_items_front};
pub(super) use parse::{parse_items, skip_value};

use crate::command::Annotation;
use crate::types::{
    BodyStructure, DateTime, EntryName, Envelope, Flag, IString, NString, PartNumber, Section,
};

/// `msg-att`: one item of a FETCH response.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum FetchItem {
    /// `FLAGS`
    Flags(Vec<Flag>),
    /// `UID`
    Uid(NonZeroU32),
    /// `INTERNALDATE`
    InternalDate(DateTime),
    /// `RFC822.SIZE`
    Rfc822Size(u64),
    /// `ENVELOPE`
    Envelope(Box<Envelope>),
    /// `BODY`: the structure without extension data.
    Body(BodyStructure),
    /// `BODYSTRUCTURE`
    BodyStructure(BodyStructure),
    /// `BODY[section]<origin>`
    Section {
        /// Which section.
        section: Section,
        /// The first octet, 0-based, if only a part was asked for.
        origin: Option<u64>,
        /// The octets.
        content: Content,
    },
    /// `RFC822` (RFC 3501)
    Rfc822(Content),
    /// `RFC822.HEADER` (RFC 3501)
    Rfc822Header(Content),
    /// `RFC822.TEXT` (RFC 3501)
    Rfc822Text(Content),
    /// `BINARY[part]<origin>`
    Binary {
        /// Which part.
        part: PartNumber,
        /// The first octet, 0-based, if only a part was asked for.
        origin: Option<u64>,
        /// The decoded octets.
        content: Content,
    },
    /// `BINARY.SIZE[part]`
    BinarySize {
        /// Which part.
        part: PartNumber,
        /// Octets when decoded.
        size: u64,
    },
    /// `MODSEQ` (RFC 7162)
    ModSeq(NonZeroU64),
    /// `EMAILID` (RFC 8474)
    EmailId(IString),
    /// `THREADID` (RFC 8474)
    ThreadId(Option<IString>),
    /// `SAVEDATE` (RFC 8514)
    SaveDate(Option<DateTime>),
    /// `PREVIEW` (RFC 8970)
    Preview(NString),
    /// `ANNOTATION` with values (RFC 5257 §4.2); at least one.
    Annotation(Vec<Annotation>),
    /// `ANNOTATION` without values, news (RFC 5257 §4.4): these entries
    /// changed; at least one.
    AnnotationChanged(Vec<EntryName>),
    /// An item that this crate does not understand, as it was sent.
    Opaque {
        /// Its name.
        name: Box<str>,
        /// All behind the name's space, raw.
        value: Bytes,
    },
}

/// The octets of a section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// There is no such part.
    Nil,
    /// These.
    Octets(Bytes),
    /// That many, which follow: by
    /// [`Server::send_payload`](crate::Server::send_payload) on a server, as
    /// payload events on a client.
    Stream(u64),
}

impl FetchItem {
    /// The octets, where the item has such.
    #[must_use]
    pub fn content(&self) -> Option<&Content> {
        match self {
            Self::Section { content, .. }
            | Self::Binary { content, .. }
            | Self::Rfc822(content)
            | Self::Rfc822Header(content)
            | Self::Rfc822Text(content) => Some(content),
            _ => None,
        }
    }

    fn content_mut(&mut self) -> Option<&mut Content> {
        match self {
            Self::Section { content, .. }
            | Self::Binary { content, .. }
            | Self::Rfc822(content)
            | Self::Rfc822Header(content)
            | Self::Rfc822Text(content) => Some(content),
            _ => None,
        }
    }
}
