use std::num::NonZeroU32;

use crate::cursor::{Cursor, Parsed};
use crate::types::{Mailbox, NumberSet};
use crate::wire::Writer;
use crate::{Extension, ParseErrorKind};

/// SELECT and EXAMINE (RFC 9051 §6.3.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Select {
    /// Which mailbox.
    pub mailbox: Mailbox,
    /// EXAMINE: nothing may change.
    pub read_only: bool,
    /// `CONDSTORE` (RFC 7162 §3.1.8).
    pub condstore: bool,
    /// `ANNOTATE` (RFC 5257 §4.1): annotations that change are news.
    pub annotate: bool,
    /// `QRESYNC (…)` (RFC 7162 §3.2.5).
    pub qresync: Option<QResync>,
}

/// What a client knows of a mailbox (RFC 7162 §3.2.5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QResync {
    /// The UID validity it knows.
    pub uid_validity: NonZeroU32,
    /// The modification sequence it knows.
    pub mod_seq: u64,
    /// The UIDs it knows; `None` for all.
    pub known_uids: Option<NumberSet>,
    /// Some sequence numbers and their UIDs.
    pub sequence_match: Option<(NumberSet, NumberSet)>,
}

impl Select {
    pub(crate) fn parse(c: &mut Cursor<'_>, read_only: bool) -> Parsed<Self> {
        c.space()?;
        let mut select = Self {
            mailbox: Mailbox::parse(c)?,
            read_only,
            condstore: false,
            annotate: false,
            qresync: None,
        };
        if c.eat(b' ') {
            c.list1(|c| {
                if c.eat_text("CONDSTORE") {
                    select.condstore = true;
                } else if c.eat_text("ANNOTATE") {
                    select.annotate = true;
                } else if c.eat_text("QRESYNC ") {
                    select.qresync = Some(QResync::parse(c)?);
                } else {
                    return Err(c.error(ParseErrorKind::Unknown("SELECT parameter")));
                }
                Ok(())
            })?;
        }
        Ok(select)
    }

    pub(crate) fn encode(&self, w: &mut Writer<'_>) {
        w.raw(if self.read_only {
            b"EXAMINE "
        } else {
            b"SELECT "
        });
        self.mailbox.encode(w);
        let words = [(self.condstore, "CONDSTORE"), (self.annotate, "ANNOTATE")];
        let mut chosen = words.iter().filter(|(on, _)| *on).peekable();
        if chosen.peek().is_none() && self.qresync.is_none() {
            return;
        }
        w.raw(b" (");
        let separator = chosen.peek().is_some();
        w.spaced(chosen, |w, (_, word)| w.str(word));
        if let Some(known) = &self.qresync {
            w.raw(if separator { b" QRESYNC " } else { b"QRESYNC " });
            known.encode(w);
        }
        w.byte(b')');
    }

    pub(crate) fn requires(&self, need: &mut dyn FnMut(Extension)) {
        if self.condstore {
            need(Extension::CondStore);
        }
        if self.annotate {
            need(Extension::Annotate);
        }
        if self.qresync.is_some() {
            need(Extension::QResync);
        }
    }
}

impl QResync {
    fn parse(c: &mut Cursor<'_>) -> Parsed<Self> {
        c.open()?;
        let uid_validity = c.nz_number()?;
        c.space()?;
        let mod_seq = c.number64()?;
        let (mut known_uids, mut sequence_match) = (None, None);
        if c.eat(b' ') {
            if c.peek() != Some(b'(') {
                known_uids = Some(NumberSet::parse(c)?);
            }
            if known_uids.is_none() || c.eat(b' ') {
                c.open()?;
                let numbers = NumberSet::parse(c)?;
                c.space()?;
                sequence_match = Some((numbers, NumberSet::parse(c)?));
                c.close()?;
            }
        }
        c.close()?;
        Ok(Self {
            uid_validity,
            mod_seq,
            known_uids,
            sequence_match,
        })
    }

    fn encode(&self, w: &mut Writer<'_>) {
        w.byte(b'(');
        w.number(self.uid_validity.get());
        w.space();
        w.number(self.mod_seq);
        if let Some(known) = &self.known_uids {
            w.space();
            known.encode(w);
        }
        if let Some((numbers, uids)) = &self.sequence_match {
            w.raw(b" (");
            numbers.encode(w);
            w.space();
            uids.encode(w);
            w.byte(b')');
        }
        w.byte(b')');
    }
}
