use super::{SearchKeys, SearchReturn, check_relevancy, parse_return, requires_return};
use crate::cursor::{Cursor, Parsed};
use crate::types::{EntryName, IString};
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
    pub keys: SearchKeys,
}

/// `sort-criterion`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SortCriterion {
    /// Descending.
    pub reverse: bool,
    /// By what.
    pub key: SortKey,
}

/// `sort-key` (RFC 5256 §3, RFC 5957).
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is the RFC's word")]
#[non_exhaustive]
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
    /// By how well it matches, the best first (RFC 6203 §5).
    Relevancy,
    /// By the value of an annotation (RFC 5257 §4.6).
    Annotation {
        /// Which entry.
        entry: EntryName,
        /// `value.shared`, otherwise `value.priv`.
        shared: bool,
    },
}
const SORT_KEYS: [(&str, SortKey); 10] = [
    ("ARRIVAL", SortKey::Arrival),
    ("CC", SortKey::Cc),
    ("DATE", SortKey::Date),
    ("FROM", SortKey::From),
    ("SIZE", SortKey::Size),
    ("SUBJECT", SortKey::Subject),
    ("TO", SortKey::To),
    ("DISPLAYFROM", SortKey::DisplayFrom),
    ("DISPLAYTO", SortKey::DisplayTo),
    ("RELEVANCY", SortKey::Relevancy),
];

impl Sort {
    pub(crate) fn parse(c: &mut Cursor<'_>, uid: bool) -> Parsed<Self> {
        c.space()?;
        let return_options = parse_return(c)?;
        let criteria = c.list1(|c| {
            let reverse = c.eat_text("REVERSE ");
            let at = c.at();
            let name = c.atom_text()?;
            if name.eq_ignore_ascii_case("ANNOTATION") {
                let key = parse_annotation(c)?;
                return Ok(SortCriterion { reverse, key });
            }
            let key = SORT_KEYS
                .iter()
                .find(|(known, _)| known.eq_ignore_ascii_case(name))
                .map(|(_, key)| key.clone())
                .ok_or(Cursor::error_at(ParseErrorKind::Unknown("sort key"), at))?;
            Ok(SortCriterion { reverse, key })
        })?;
        c.space()?;
        let charset = IString::parse_astring(c)?;
        c.space()?;
        let sort = Self {
            uid,
            return_options,
            criteria,
            charset,
            keys: SearchKeys::parse(c)?,
        };
        let is_relevancy = |one: &SortCriterion| one.key == SortKey::Relevancy;
        if sort.criteria.iter().any(is_relevancy) && !sort.keys.may_be_fuzzy() {
            return Err(c.error(ParseErrorKind::Conflict("RELEVANCY needs FUZZY")));
        }
        check_relevancy(sort.return_options.as_ref(), &sort.keys, c)?;
        Ok(sort)
    }

    pub(crate) fn encode(&self, w: &mut Writer<'_>) {
        w.raw(if self.uid { b"UID SORT " } else { b"SORT " });
        if let Some(options) = &self.return_options {
            options.encode(w);
        }
        w.list(&self.criteria, |w, criterion| {
            if criterion.reverse {
                w.raw(b"REVERSE ");
            }
            if let SortKey::Annotation { entry, shared } = &criterion.key {
                w.raw(b"ANNOTATION ");
                entry.encode(w);
                return w.raw(if *shared {
                    b" value.shared"
                } else {
                    b" value.priv"
                });
            }
            let name = SORT_KEYS.iter().find(|(_, key)| *key == criterion.key);
            w.str(name.map_or("ARRIVAL", |(name, _)| name));
        });
        w.space();
        self.charset.encode_astring(w);
        w.space();
        self.keys.encode(w);
    }

    pub(crate) fn requires(&self, need: &mut dyn FnMut(Extension)) {
        need(Extension::Sort);
        for criterion in &self.criteria {
            match criterion.key {
                SortKey::DisplayFrom | SortKey::DisplayTo => need(Extension::SortDisplay),
                SortKey::Relevancy => need(Extension::SearchFuzzy),
                SortKey::Annotation { .. } => need(Extension::Annotate),
                _ => {}
            }
        }
        let options = self.return_options.as_ref();
        requires_return(options, Extension::ESort, Extension::ContextSort, need);
        self.keys.requires(need);
    }
}

/// `SP entry SP att-sort`.
fn parse_annotation(c: &mut Cursor<'_>) -> Parsed<SortKey> {
    c.space()?;
    let entry = EntryName::parse(c)?;
    c.space()?;
    let shared = if c.eat_text("value.shared") {
        true
    } else {
        c.expect_text("value.priv")?;
        false
    };
    Ok(SortKey::Annotation { entry, shared })
}
