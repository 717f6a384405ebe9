use super::StatusItem;
use crate::cursor::{Cursor, Parsed};
use crate::types::{EntryName, ListPattern, Mailbox};
use crate::wire::Writer;
use crate::{Extension, ParseErrorKind};

/// LIST, plain or extended (RFC 9051 §6.3.9, RFC 5258).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct List {
    /// What `(…)` before the reference selects.
    pub selection: ListSelection,
    /// The reference name.
    pub reference: Mailbox,
    /// At least one. An empty pattern asks for the hierarchy delimiter.
    pub patterns: Vec<ListPattern>,
    /// What `RETURN (…)` asks for.
    pub returns: ListReturn,
    /// Whether the extended form was used.
    pub extended: bool,
}

/// `list-select-opts`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ListSelection {
    /// `SUBSCRIBED`: subscribed names, whether they exist or not.
    pub subscribed: bool,
    /// `REMOTE`
    pub remote: bool,
    /// `RECURSIVEMATCH`
    pub recursive_match: bool,
    /// `SPECIAL-USE` (RFC 6154)
    pub special_use: bool,
}

/// `list-return-opts`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ListReturn {
    /// `SUBSCRIBED`
    pub subscribed: bool,
    /// `CHILDREN`
    pub children: bool,
    /// `SPECIAL-USE` (RFC 6154)
    pub special_use: bool,
    /// `MYRIGHTS` (RFC 8440)
    pub my_rights: bool,
    /// `STATUS (…)` (RFC 5819)
    pub status: Option<Vec<StatusItem>>,
    /// `METADATA (…)` (RFC 9590): these entries; at least one.
    pub metadata: Option<Vec<EntryName>>,
}

impl List {
    pub(crate) fn parse(c: &mut Cursor<'_>) -> Parsed<Self> {
        c.space()?;
        let mut extended = false;
        let mut selection = ListSelection::default();
        if c.peek() == Some(b'(') {
            extended = true;
            selection = ListSelection::parse(c)?;
            c.space()?;
        }
        let reference = Mailbox::parse(c)?;
        c.space()?;
        let patterns = if c.peek() == Some(b'(') {
            extended = true;
            c.list1(ListPattern::parse)?
        } else {
            vec![ListPattern::parse(c)?]
        };
        let mut returns = ListReturn::default();
        if c.eat_text(" RETURN ") {
            extended = true;
            returns = ListReturn::parse(c)?;
        }
        Ok(Self {
            selection,
            reference,
            patterns,
            returns,
            extended,
        })
    }

    pub(crate) fn encode(&self, w: &mut Writer<'_>) {
        w.raw(b"LIST ");
        if self.selection != ListSelection::default() {
            self.selection.encode(w);
            w.space();
        }
        self.reference.encode(w);
        w.space();
        match &self.patterns[..] {
            [one] => one.encode(w),
            many => w.list(many, |w, one| one.encode(w)),
        }
        // An empty RETURN keeps the extended form what it is.
        let plain = self.selection == ListSelection::default() && self.patterns.len() == 1;
        if self.returns != ListReturn::default() || self.extended && plain {
            w.raw(b" RETURN ");
            self.returns.encode(w);
        }
    }

    pub(crate) fn requires(&self, need: &mut dyn FnMut(Extension)) {
        if self.extended {
            need(Extension::ListExtended);
        }
        if self.selection.special_use || self.returns.special_use {
            need(Extension::SpecialUse);
        }
        if self.returns.my_rights {
            need(Extension::ListMyRights);
        }
        if self.returns.metadata.is_some() {
            need(Extension::ListMetadata);
        }
        if let Some(items) = &self.returns.status {
            need(Extension::ListStatus);
            items.iter().for_each(|item| item.requires(need));
        }
    }
}

impl ListSelection {
    fn parse(c: &mut Cursor<'_>) -> Parsed<Self> {
        let mut selection = Self::default();
        let at = c.at();
        c.list(|c| {
            if c.eat_text("SUBSCRIBED") {
                selection.subscribed = true;
            } else if c.eat_text("REMOTE") {
                selection.remote = true;
            } else if c.eat_text("RECURSIVEMATCH") {
                selection.recursive_match = true;
            } else if c.eat_text("SPECIAL-USE") {
                selection.special_use = true;
            } else {
                return Err(c.error(ParseErrorKind::Unknown("LIST selection option")));
            }
            Ok(())
        })?;
        if selection.recursive_match && !selection.subscribed && !selection.special_use {
            return Err(Cursor::error_at(
                ParseErrorKind::Conflict("RECURSIVEMATCH needs a base selection option"),
                at,
            ));
        }
        Ok(selection)
    }

    fn encode(self, w: &mut Writer<'_>) {
        let words = [
            (self.subscribed, "SUBSCRIBED"),
            (self.remote, "REMOTE"),
            (self.special_use, "SPECIAL-USE"),
            (self.recursive_match, "RECURSIVEMATCH"),
        ];
        w.list(words.iter().filter(|(on, _)| *on), |w, (_, word)| {
            w.str(word)
        });
    }
}

impl ListReturn {
    fn parse(c: &mut Cursor<'_>) -> Parsed<Self> {
        let mut returns = Self::default();
        c.list(|c| {
            if c.eat_text("SUBSCRIBED") {
                returns.subscribed = true;
            } else if c.eat_text("CHILDREN") {
                returns.children = true;
            } else if c.eat_text("SPECIAL-USE") {
                returns.special_use = true;
            } else if c.eat_text("MYRIGHTS") {
                returns.my_rights = true;
            } else if c.eat_text("STATUS ") {
                returns.status = Some(c.list1(StatusItem::parse)?);
            } else if c.eat_text("METADATA ") {
                returns.metadata = Some(c.list1(EntryName::parse)?);
            } else {
                return Err(c.error(ParseErrorKind::Unknown("LIST return option")));
            }
            Ok(())
        })?;
        Ok(returns)
    }

    fn encode(&self, w: &mut Writer<'_>) {
        let words = [
            (self.subscribed, "SUBSCRIBED"),
            (self.children, "CHILDREN"),
            (self.special_use, "SPECIAL-USE"),
            (self.my_rights, "MYRIGHTS"),
        ];
        w.byte(b'(');
        w.spaced(words.iter().filter(|(on, _)| *on), |w, (_, word)| {
            w.str(word)
        });
        let mut separator: &[u8] = match words.iter().any(|(on, _)| *on) {
            true => b" ",
            false => b"",
        };
        if let Some(items) = &self.status {
            w.raw(separator);
            w.raw(b"STATUS ");
            w.list(items, |w, item| w.str(item.name()));
            separator = b" ";
        }
        if let Some(entries) = &self.metadata {
            w.raw(separator);
            w.raw(b"METADATA ");
            w.list(entries, |w, entry| entry.encode(w));
        }
        w.byte(b')');
    }
}
