use super::SearchKeys;
use crate::cursor::{Cursor, Parsed};
use crate::types::IString;
use crate::wire::Writer;
use crate::{Extension, ParseErrorKind};

/// THREAD and UID THREAD (RFC 5256).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Thread {
    /// Whether the answer names UIDs.
    pub uid: bool,
    /// How to thread.
    pub algorithm: ThreadAlgorithm,
    /// The charset of the key's strings.
    pub charset: IString,
    /// What to look for.
    pub keys: SearchKeys,
}

/// `thread-alg`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ThreadAlgorithm {
    /// By base subject.
    OrderedSubject,
    /// By References and In-Reply-To, then by base subject.
    References,
    /// By References and In-Reply-To alone; the thread with the newest
    /// message last (draft-ietf-morg-inthread).
    Refs,
}
impl Thread {
    pub(crate) fn parse(c: &mut Cursor<'_>, uid: bool) -> Parsed<Self> {
        c.space()?;
        let algorithm = if c.eat_text("ORDEREDSUBJECT ") {
            ThreadAlgorithm::OrderedSubject
        } else if c.eat_text("REFS ") {
            ThreadAlgorithm::Refs
        } else if c.eat_text("REFERENCES ") {
            ThreadAlgorithm::References
        } else {
            return Err(c.error(ParseErrorKind::Unknown("threading algorithm")));
        };
        let charset = IString::parse_astring(c)?;
        c.space()?;
        Ok(Self {
            uid,
            algorithm,
            charset,
            keys: SearchKeys::parse(c)?,
        })
    }

    pub(crate) fn encode(&self, w: &mut Writer<'_>) {
        w.raw(if self.uid { b"UID THREAD " } else { b"THREAD " });
        w.raw(match self.algorithm {
            ThreadAlgorithm::OrderedSubject => b"ORDEREDSUBJECT ",
            ThreadAlgorithm::References => b"REFERENCES ",
            ThreadAlgorithm::Refs => b"REFS ",
        });
        self.charset.encode_astring(w);
        w.space();
        self.keys.encode(w);
    }

    pub(crate) fn requires(&self, need: &mut dyn FnMut(Extension)) {
        need(match self.algorithm {
            ThreadAlgorithm::OrderedSubject => Extension::ThreadOrderedSubject,
            ThreadAlgorithm::References => Extension::ThreadReferences,
            ThreadAlgorithm::Refs => Extension::ThreadRefs,
        });
        self.keys.requires(need);
    }
}
