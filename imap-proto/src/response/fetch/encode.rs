//! FETCH items as they are written.

use super::{Content, FetchItem};
use crate::types::Flag;
use crate::types::section::encode_binary;
use crate::wire::Writer;

/// `"* " number name items ")" CRLF`; the name ends in the list's parenthesis.
#[inline]
pub(in crate::response) fn encode_line<const N: usize>(
    w: &mut Writer<'_>,
    number: u32,
    name: &[u8; N],
    items: &[FetchItem],
) {
    w.raw(b"* ");
    w.number(number);
    w.raw(name);
    w.spaced(items, |w, item| item.encode(w));
    w.raw(b")\r\n");
}

impl Content {
    pub(in crate::response) fn encode(&self, w: &mut Writer<'_>, binary: bool) {
        match self {
            Self::Nil => w.raw(b"NIL"),
            // Literals throughout: bodies hold line ends, and every client
            // is made for them.
            Self::Octets(octets) => w.literal(octets, binary),
            Self::Stream(size) => w.stream(*size, binary),
        }
    }
}

impl FetchItem {
    #[inline]
    pub(crate) fn encode(&self, w: &mut Writer<'_>) {
        match self {
            // What a list of all messages is made of.
            Self::Flags(flags) => {
                w.raw(b"FLAGS ");
                Flag::encode_list(flags, w);
            }
            Self::Uid(uid) => {
                w.raw(b"UID ");
                w.number(uid.get());
            }
            other => other.encode_other(w),
        }
    }

    #[inline(never)]
    fn encode_other(&self, w: &mut Writer<'_>) {
        match self {
            // The caller's own.
            Self::Flags(_) | Self::Uid(_) => {}
            Self::InternalDate(date) => {
                w.raw(b"INTERNALDATE ");
                date.encode(w);
            }
            Self::Rfc822Size(size) => {
                w.raw(b"RFC822.SIZE ");
                w.number(*size);
            }
            Self::Envelope(envelope) => {
                w.raw(b"ENVELOPE ");
                envelope.encode(w);
            }
            Self::Body(body) => {
                w.raw(b"BODY ");
                body.encode(w, false);
            }
            Self::BodyStructure(body) => {
                w.raw(b"BODYSTRUCTURE ");
                body.encode(w, true);
            }
            Self::Section {
                section,
                origin,
                content,
            } => {
                w.raw(b"BODY");
                section.encode(w);
                encode_origin(*origin, w);
                content.encode(w, false);
            }
            Self::Rfc822(content) => {
                w.raw(b"RFC822 ");
                content.encode(w, false);
            }
            Self::Rfc822Header(content) => {
                w.raw(b"RFC822.HEADER ");
                content.encode(w, false);
            }
            Self::Rfc822Text(content) => {
                w.raw(b"RFC822.TEXT ");
                content.encode(w, false);
            }
            Self::Binary {
                part,
                origin,
                content,
            } => {
                w.raw(b"BINARY");
                encode_binary(part, w);
                encode_origin(*origin, w);
                content.encode(w, true);
            }
            Self::BinarySize { part, size } => {
                w.raw(b"BINARY.SIZE");
                encode_binary(part, w);
                w.space();
                w.number(*size);
            }
            Self::ModSeq(value) => {
                w.raw(b"MODSEQ (");
                w.number(value.get());
                w.byte(b')');
            }
            Self::EmailId(id) => {
                w.raw(b"EMAILID (");
                id.encode_astring(w);
                w.byte(b')');
            }
            Self::ThreadId(None) => w.raw(b"THREADID NIL"),
            Self::ThreadId(Some(id)) => {
                w.raw(b"THREADID (");
                id.encode_astring(w);
                w.byte(b')');
            }
            Self::SaveDate(None) => w.raw(b"SAVEDATE NIL"),
            Self::SaveDate(Some(date)) => {
                w.raw(b"SAVEDATE ");
                date.encode(w);
            }
            Self::Preview(text) => {
                w.raw(b"PREVIEW ");
                crate::types::string::encode_nstring(w, text);
            }
            Self::Annotation(annotations) => {
                crate::command::annotation::encode_list(annotations, w);
            }
            Self::AnnotationChanged(entries) => {
                w.raw(b"ANNOTATION ");
                w.list(entries, |w, entry| entry.encode(w));
            }
            Self::Opaque { name, value } => {
                w.str(name);
                w.space();
                w.raw(value);
            }
        }
    }
}

fn encode_origin(origin: Option<u64>, w: &mut Writer<'_>) {
    if let Some(origin) = origin {
        w.byte(b'<');
        w.number(origin);
        w.byte(b'>');
    }
    w.space();
}
