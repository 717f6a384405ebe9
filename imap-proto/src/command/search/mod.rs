mod filter;
mod key;
mod keys;
mod parse;
mod sort;
mod thread;

pub use filter::{FilterName, UndefinedFilter};
pub use key::SearchKey;
pub use keys::{SearchKeys, SearchPart, SearchParts, SearchView};
pub use sort::{Sort, SortCriterion, SortKey};
pub use thread::{Thread, ThreadAlgorithm};

use super::{FetchAttribute, PartialRange};
use crate::cursor::{Cursor, Parsed};
use crate::types::IString;
use crate::wire::Writer;
use crate::{Extension, ParseErrorKind};

/// SEARCH and UID SEARCH (RFC 9051 §6.4.4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Search {
    /// Whether the answer names UIDs.
    pub uid: bool,
    /// What `RETURN (…)` asks for; `None` without RETURN.
    pub return_options: Option<SearchReturn>,
    /// The charset of the key's strings; US-ASCII (rev1) or UTF-8 (rev2)
    /// without.
    pub charset: Option<IString>,
    /// What to look for.
    pub keys: SearchKeys,
}

/// `search-return-opts`: an empty list means ALL.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SearchReturn {
    /// `MIN`
    pub min: bool,
    /// `MAX`
    pub max: bool,
    /// `ALL`
    pub all: bool,
    /// `COUNT`
    pub count: bool,
    /// `SAVE` (RFC 5182)
    pub save: bool,
    /// `PARTIAL` (RFC 9394)
    pub partial: Option<PartialRange>,
    /// `RELEVANCY` (RFC 6203 §4)
    pub relevancy: bool,
    /// `CONTEXT`: the same will be asked again (RFC 5267 §4.2).
    pub context: bool,
    /// `UPDATE`: tell what the result gains and loses (RFC 5267 §4.3), and
    /// of what it gains these attributes (RFC 5465 §7).
    pub update: Option<Vec<FetchAttribute>>,
}
impl SearchReturn {
    fn parse(c: &mut Cursor<'_>) -> Parsed<Self> {
        let mut options = Self::default();
        c.list(|c| {
            if c.eat_text("MIN") {
                options.min = true;
            } else if c.eat_text("MAX") {
                options.max = true;
            } else if c.eat_text("ALL") {
                options.all = true;
            } else if c.eat_text("COUNT") {
                options.count = true;
            } else if c.eat_text("SAVE") {
                options.save = true;
            } else if c.eat_text("RELEVANCY") {
                options.relevancy = true;
            } else if c.eat_text("CONTEXT") {
                options.context = true;
            } else if c.eat_text("UPDATE") {
                let at = c.at();
                let behind = c.eat(b' ') && c.peek() == Some(b'(');
                if !behind {
                    c.set_at(at);
                }
                options.update = Some(match behind || c.peek() == Some(b'(') {
                    true => c.list1(FetchAttribute::parse)?,
                    false => Vec::new(),
                });
            } else if c.eat_text("PARTIAL ") {
                options.partial = Some(PartialRange::parse(c)?);
            } else {
                return Err(c.error(ParseErrorKind::Unknown("RETURN option")));
            }
            Ok(())
        })?;
        if options == Self::default() {
            options.all = true;
        }
        Ok(options)
    }

    pub(in crate::command) fn encode(&self, w: &mut Writer<'_>) {
        w.raw(b"RETURN (");
        let words = [
            (self.min, "MIN"),
            (self.max, "MAX"),
            (self.all, "ALL"),
            (self.count, "COUNT"),
            (self.save, "SAVE"),
            (self.relevancy, "RELEVANCY"),
            (self.context, "CONTEXT"),
        ];
        let chosen = words.iter().filter(|(chosen, _)| *chosen);
        w.spaced(chosen, |w, (_, word)| w.str(word));
        let mut separator: &[u8] = match words.iter().any(|(chosen, _)| *chosen) {
            true => b" ",
            false => b"",
        };
        if let Some(range) = self.partial {
            w.raw(separator);
            w.raw(b"PARTIAL ");
            range.encode(w);
            separator = b" ";
        }
        if let Some(attributes) = &self.update {
            w.raw(separator);
            w.raw(b"UPDATE");
            if !attributes.is_empty() {
                w.space();
                w.list(attributes, |w, one| one.encode(w));
            }
        }
        w.raw(b") ");
    }
}

impl Search {
    #[inline]
    pub(crate) fn parse(c: &mut Cursor<'_>, uid: bool) -> Parsed<Self> {
        c.space()?;
        let return_options = parse_return(c)?;
        let charset = if c.eat_text("CHARSET ") {
            let charset = IString::parse_astring(c)?;
            c.space()?;
            Some(charset)
        } else {
            None
        };
        let search = Self {
            uid,
            return_options,
            charset,
            keys: SearchKeys::parse(c)?,
        };
        check_relevancy(search.return_options.as_ref(), &search.keys, c)?;
        Ok(search)
    }

    pub(crate) fn encode(&self, w: &mut Writer<'_>) {
        w.raw(if self.uid { b"UID SEARCH " } else { b"SEARCH " });
        if let Some(options) = &self.return_options {
            options.encode(w);
        }
        if let Some(charset) = &self.charset {
            w.raw(b"CHARSET ");
            charset.encode_astring(w);
            w.space();
        }
        self.keys.encode(w);
    }

    pub(crate) fn requires(&self, need: &mut dyn FnMut(Extension)) {
        let options = self.return_options.as_ref();
        requires_return(options, Extension::ESearch, Extension::ContextSearch, need);
        self.keys.requires(need);
    }
}

pub(in crate::command) fn parse_return(c: &mut Cursor<'_>) -> Parsed<Option<SearchReturn>> {
    if !c.eat_text("RETURN ") {
        return Ok(None);
    }
    let options = SearchReturn::parse(c)?;
    c.space()?;
    Ok(Some(options))
}

/// RFC 6203 §4: without a fuzzy search there is no relevancy.
pub(in crate::command) fn check_relevancy(
    options: Option<&SearchReturn>,
    keys: &SearchKeys,
    c: &Cursor<'_>,
) -> Parsed<()> {
    let wanted = options.is_some_and(|options| options.relevancy);
    if wanted && !keys.may_be_fuzzy() {
        return Err(c.error(ParseErrorKind::Conflict("RELEVANCY needs FUZZY")));
    }
    Ok(())
}

pub(in crate::command) fn requires_return(
    options: Option<&SearchReturn>,
    extension: Extension,
    context: Extension,
    need: &mut dyn FnMut(Extension),
) {
    if let Some(options) = options {
        if options.context || options.update.is_some() {
            need(context);
        } else {
            need(extension);
        }
        for attribute in options.update.iter().flatten() {
            need(Extension::Notify);
            attribute.requires(need);
        }
        if options.relevancy {
            need(Extension::SearchFuzzy);
        }
        if options.save {
            need(Extension::SearchRes);
        }
        if options.partial.is_some() {
            need(Extension::Partial);
        }
    }
}
