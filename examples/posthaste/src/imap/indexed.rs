//! Items of FETCH that are taken from the index: no message is opened for them.

use std::collections::HashMap;

use bytes::Bytes;
use imap_proto::{
    Address, BodyStructure, Content, Envelope, FetchAttribute, FetchItem, IString, NString,
    SectionText,
};

use super::loaded::{MADE_LIMIT, cut};
use crate::store::{Digest, Digested, StoreError, StoreResult};

/// Whether the index has what this asks for.
pub(super) fn knows(attribute: &FetchAttribute) -> bool {
    match attribute {
        FetchAttribute::Envelope
        | FetchAttribute::Body
        | FetchAttribute::BodyStructure
        | FetchAttribute::Rfc822Size => true,
        FetchAttribute::Section { section, .. } if section.part().is_empty() => {
            match section.text() {
                SectionText::HeaderFields(names) => names
                    .iter()
                    .all(|name| Digest::has_fields_of(&name.to_text())),
                _ => false,
            }
        }
        other => only_known(other),
    }
}

/// Whether only the index has it.
pub(super) fn only_known(attribute: &FetchAttribute) -> bool {
    matches!(
        attribute,
        FetchAttribute::Preview { .. } | FetchAttribute::EmailId | FetchAttribute::ThreadId
    )
}

/// An item that the index [`knows`]; `made` counts the octets that were made
/// for the answer.
pub(super) fn item(
    digested: &Digested,
    attribute: &FetchAttribute,
    made: &mut u64,
) -> StoreResult<FetchItem> {
    let digest = digested.digest();
    Ok(match attribute {
        FetchAttribute::Envelope => {
            FetchItem::Envelope(Box::new(envelope(digested, digest.envelope())))
        }
        FetchAttribute::Body => FetchItem::Body(structure(digested)?),
        FetchAttribute::BodyStructure => FetchItem::BodyStructure(structure(digested)?),
        FetchAttribute::Rfc822Size => FetchItem::Rfc822Size(digest.size()),
        FetchAttribute::Section {
            section, partial, ..
        } => {
            let fields = Bytes::from(mime::Section::from(section).fields(digest.fields()));
            *made += fields.len() as u64;
            if *made > MADE_LIMIT {
                return Err(StoreError::Limit("Too much is asked for at once"));
            }
            FetchItem::Section {
                content: Content::Octets(cut(fields, *partial)),
                section: section.clone(),
                origin: partial.map(|partial| partial.first),
            }
        }
        FetchAttribute::Preview { .. } => {
            let text = digested.share(digest.preview().as_bytes());
            FetchItem::Preview(Some(IString::lossy(text)))
        }
        FetchAttribute::EmailId => FetchItem::EmailId(email_id(&digest)),
        FetchAttribute::ThreadId => FetchItem::ThreadId(Some(thread_id(&digest))),
        other => return Err(StoreError::Storage(format!("{other:?} is not known"))),
    })
}

/// Of the octets of a message, so that its copies have it too (RFC 8474 §5.1).
pub(super) fn email_id(digest: &Digest<'_>) -> IString {
    object_id(b'M', digest.email_id())
}

/// Of what the messages of a conversation name first (RFC 8474 §5.2).
pub(super) fn thread_id(digest: &Digest<'_>) -> IString {
    object_id(b'T', digest.thread_id())
}

/// `objectid` (RFC 8474 §7): a letter that tells kinds apart, then the octets in hex.
fn object_id(kind: u8, octets: [u8; 16]) -> IString {
    let mut text = vec![kind];
    text.extend(data_encoding::HEXLOWER.encode(&octets).into_bytes());
    IString::lossy(text)
}

fn structure(digested: &Digested) -> StoreResult<BodyStructure> {
    let digest = digested.digest();
    let broken = || StoreError::Storage("the index has no part tree".into());
    let structure = digest.structure().ok_or_else(broken)?;
    let inner: HashMap<u64, _> = digest.envelopes().skip(1).collect();
    let of = |span: mime::Span| {
        let found = inner.get(&span.start).copied().unwrap_or_default();
        envelope(digested, found)
    };
    Ok(BodyStructure::of_part(structure.root(), &of))
}

fn envelope(digested: &Digested, own: mailstore::Envelope<'_>) -> Envelope {
    let text =
        |part: Option<&[u8]>| -> NString { part.map(|part| IString::lossy(digested.share(part))) };
    let list = |list: mailstore::Addresses<'_>| -> Vec<Address> {
        list.map(|address| Address {
            name: text(address.name),
            adl: text(address.route),
            mailbox: text(address.mailbox),
            host: text(address.host),
        })
        .collect()
    };
    let from = list(own.from);
    // RFC 9051 §7.5.2: From stands in for what is absent or empty.
    let or_from = |addresses: mailstore::Addresses<'_>| match addresses.len() {
        0 => from.clone(),
        _ => list(addresses),
    };
    Envelope {
        date: text(own.date),
        subject: text(own.subject),
        sender: or_from(own.sender),
        reply_to: or_from(own.reply_to),
        to: list(own.to),
        cc: list(own.cc),
        bcc: list(own.bcc),
        in_reply_to: text(own.in_reply_to),
        message_id: text(own.message_id),
        from,
    }
}
