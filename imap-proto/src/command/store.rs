use super::CommandBody;
use crate::cursor::{Cursor, Parsed};
use crate::types::{Flag, SequenceSet};
use crate::wire::Writer;
use crate::{Extension, ParseErrorKind};

/// STORE and UID STORE (RFC 9051 §6.4.6).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Store {
    /// Whether the set holds UIDs.
    pub uid: bool,
    /// Which messages.
    pub set: SequenceSet,
    /// Only messages that did not change since (RFC 7162 §3.1.3).
    pub unchanged_since: Option<u64>,
    /// What to do with the flags.
    pub action: StoreAction,
    /// `.SILENT`: the new flags are not reported.
    pub silent: bool,
    /// The flags.
    pub flags: Vec<Flag>,
}

/// What STORE does with its flags.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreAction {
    /// `FLAGS`: these and no others.
    Replace,
    /// `+FLAGS`
    Add,
    /// `-FLAGS`
    Remove,
}

impl StoreAction {
    /// Does it to a message's flags; whether that changed them.
    ///
    /// ```
    /// use imap_proto::{Flag, StoreAction};
    ///
    /// let mut flags = vec![Flag::Seen];
    /// assert!(StoreAction::Add.apply(&mut flags, &[Flag::Seen, Flag::Draft]));
    /// assert_eq!(flags, [Flag::Seen, Flag::Draft]);
    /// assert!(!StoreAction::Remove.apply(&mut flags, &[Flag::Answered]));
    /// assert!(!StoreAction::Replace.apply(&mut flags, &[Flag::Draft, Flag::Seen]));
    /// ```
    pub fn apply(self, flags: &mut Vec<Flag>, given: &[Flag]) -> bool {
        let before = flags.len();
        match self {
            Self::Replace => flags.retain(|flag| given.contains(flag)),
            Self::Remove => flags.retain(|flag| !given.contains(flag)),
            Self::Add => {}
        }
        let mut changed = flags.len() < before;
        if self != Self::Remove {
            for flag in given {
                if !flags.contains(flag) {
                    flags.push(flag.clone());
                    changed = true;
                }
            }
        }
        changed
    }
}

impl Store {
    /// STORE of flags, or of annotations (RFC 5257 §4.3).
    pub(crate) fn parse(c: &mut Cursor<'_>, uid: bool) -> Parsed<CommandBody> {
        c.space()?;
        let set = SequenceSet::parse(c)?;
        c.space()?;
        let mut unchanged_since = None;
        if c.peek() == Some(b'(') {
            c.list1(|c| {
                if !c.eat_text("UNCHANGEDSINCE ") {
                    return Err(c.error(ParseErrorKind::Unknown("STORE modifier")));
                }
                unchanged_since = Some(c.number64()?);
                Ok(())
            })?;
            c.space()?;
        }
        if unchanged_since.is_none() && c.eat_text("ANNOTATION ") {
            let annotations = super::annotation::parse_list(c)?;
            return Ok(CommandBody::StoreAnnotations {
                uid,
                set,
                annotations,
            });
        }
        let action = if c.eat(b'+') {
            StoreAction::Add
        } else if c.eat(b'-') {
            StoreAction::Remove
        } else {
            StoreAction::Replace
        };
        c.expect_text("FLAGS")?;
        let silent = c.eat_text(".SILENT");
        c.space()?;
        let flags = if c.peek() == Some(b'(') {
            c.list(Flag::parse_settable)?
        } else {
            let mut flags = vec![Flag::parse_settable(c)?];
            while c.eat(b' ') {
                flags.push(Flag::parse_settable(c)?);
            }
            flags
        };
        Ok(CommandBody::Store(Self {
            uid,
            set,
            unchanged_since,
            action,
            silent,
            flags,
        }))
    }

    pub(crate) fn encode(&self, w: &mut Writer<'_>) {
        w.raw(if self.uid { b"UID STORE " } else { b"STORE " });
        self.set.encode(w);
        w.space();
        if let Some(since) = self.unchanged_since {
            w.raw(b"(UNCHANGEDSINCE ");
            w.number(since);
            w.raw(b") ");
        }
        w.raw(match self.action {
            StoreAction::Replace => b"",
            StoreAction::Add => b"+",
            StoreAction::Remove => b"-",
        });
        w.raw(if self.silent {
            b"FLAGS.SILENT "
        } else {
            b"FLAGS "
        });
        Flag::encode_list(&self.flags, w);
    }

    pub(crate) fn requires(&self, need: &mut dyn FnMut(Extension)) {
        if self.unchanged_since.is_some() {
            need(Extension::CondStore);
        }
    }
}
