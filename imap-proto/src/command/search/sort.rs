use super::{SearchKey, SearchReturn, parse_return, requires_return};
use crate::cursor::{Cursor, Parsed};
use crate::types::IString;
use crate::wire::Writer;
use crate::{Extension, ParseErrorKind};

/// SORT and UID SORT (RFC 5256).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sort {
    /// Whether the answer names UIDs.
    pub uid: bool,
    /// What `RETURN (…)` asks for (RFC 5267).
    pub return_options: Option<SearchReturn>,
    /// The order; at least one.
    pub criteria: Vec<SortCriterion>,
    /// The charset of the key's strings.
    pub charset: IString,
    /// What to look for.
    pub key: SearchKey,
}

/// `sort-criterion`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SortCriterion {
    /// Descending.
    pub reverse: bool,
    /// By what.
    pub key: SortKey,
}

/// `sort-key` (RFC 5256 §3, RFC 5957).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is the RFC's word")]
pub enum SortKey {
    Arrival,
    Cc,
    Date,
    From,
    Size,
    Subject,
    To,
    DisplayFrom,
    DisplayTo,
}
const SORT_KEYS: [(&str, SortKey); 9] = [
    ("ARRIVAL", SortKey::Arrival),
    ("CC", SortKey::Cc),
    ("DATE", SortKey::Date),
    ("FROM", SortKey::From),
    ("SIZE", SortKey::Size),
    ("SUBJECT", SortKey::Subject),
    ("TO", SortKey::To),
    ("DISPLAYFROM", SortKey::DisplayFrom),
    ("DISPLAYTO", SortKey::DisplayTo),
];

impl Sort {
    pub(crate) fn parse(c: &mut Cursor<'_>, uid: bool) -> Parsed<Self> {
        c.space()?;
        let return_options = parse_return(c)?;
        let criteria = c.list1(|c| {
            let reverse = c.eat_text("REVERSE ");
            let at = c.at();
            let name = c.atom_text()?;
            let key = SORT_KEYS
                .iter()
                .find(|(known, _)| known.eq_ignore_ascii_case(name))
                .map(|(_, key)| *key)
                .ok_or(Cursor::error_at(ParseErrorKind::Unknown("sort key"), at))?;
            Ok(SortCriterion { reverse, key })
        })?;
        c.space()?;
        let charset = IString::parse_astring(c)?;
        c.space()?;
        Ok(Self {
            uid,
            return_options,
            criteria,
            charset,
            key: SearchKey::parse_program(c)?,
        })
    }

    pub(crate) fn encode(&self, w: &mut Writer<'_>) {
        w.raw(if self.uid { b"UID SORT " } else { b"SORT " });
        if let Some(options) = self.return_options {
            options.encode(w);
        }
        w.list(&self.criteria, |w, criterion| {
            if criterion.reverse {
                w.raw(b"REVERSE ");
            }
            let name = SORT_KEYS.iter().find(|(_, key)| *key == criterion.key);
            w.str(name.map_or("ARRIVAL", |(name, _)| name));
        });
        w.space();
        self.charset.encode_astring(w);
        w.space();
        self.key.encode_program(w);
    }

    pub(crate) fn requires(&self, need: &mut dyn FnMut(Extension)) {
        need(Extension::Sort);
        let display = [SortKey::DisplayFrom, SortKey::DisplayTo];
        if self.criteria.iter().any(|one| display.contains(&one.key)) {
            need(Extension::SortDisplay);
        }
        requires_return(self.return_options, Extension::ESort, need);
        self.key.requires(need);
    }
}
