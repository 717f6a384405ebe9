//! Searches that are stored under a name (RFC 5466).

use std::fmt;

use bytes::Bytes;
use thiserror::Error;

use super::SearchKeys;
use crate::cursor::{Cursor, Parsed};
use crate::types::Chars;
use crate::{Code, Invalid, ParseError, ParseErrorKind, StatusResponse};

/// Filters within filters: RFC 5466 §3.1 wants 3 passes at least. A loop ends
/// here.
const PASSES: u32 = 8;

/// Keys of a search with its filters put in. Filters that name two others
/// twice would double it with each pass.
const KEYS: usize = 10_000;

/// `filter-name`: an atom without `/` (RFC 5466 §4).
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FilterName(Box<str>);

impl FilterName {
    /// The filter of this name.
    ///
    /// # Errors
    /// When it is no atom, or holds a slash.
    pub fn new(name: &str) -> Result<Self, Invalid> {
        let fits = |octet| Chars::ATOM.holds(octet) && octet != b'/';
        if name.is_empty() || !name.bytes().all(fits) {
            return Err(Invalid {
                term: "filter-name",
            });
        }
        Ok(Self(name.into()))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn parse(c: &mut Cursor<'_>) -> Parsed<Self> {
        let at = c.at();
        let name = Self::new(c.atom_text()?);
        name.map_err(|_| Cursor::error_at(ParseErrorKind::Expected("a filter name"), at))
    }
}

impl fmt::Debug for FilterName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A filter that does not exist, that names itself, or that is no search.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("undefined filter")]
pub struct UndefinedFilter(pub FilterName);

impl UndefinedFilter {
    /// What a server replies (RFC 5466 §3.1).
    #[must_use]
    pub fn status(&self) -> StatusResponse {
        StatusResponse::no(self.to_string()).with(Code::UndefinedFilter(self.0.clone()))
    }
}

impl SearchKeys {
    /// Parses the value of a filter: `search-key *(SP search-key)`, in UTF-8.
    ///
    /// # Errors
    /// What is wrong and where.
    pub fn parse_criteria(octets: &Bytes) -> Result<Self, ParseError> {
        let mut c = Cursor::line(octets);
        let key = Self::parse(&mut c)?;
        c.end()?;
        Ok(key)
    }

    /// Puts in place of each FILTER what `lookup` finds stored under
    /// `/private/filters/values/` or else `/shared/filters/values/`.
    ///
    /// # Errors
    /// For a filter that is not stored, that is no search, or that names
    /// others without end.
    pub fn with_filters(
        &self,
        lookup: &mut dyn FnMut(&FilterName) -> Option<Bytes>,
    ) -> Result<Self, UndefinedFilter> {
        let mut room = KEYS;
        self.clone().substitute(PASSES, &mut room, lookup)
    }

    fn substitute(
        self,
        passes: u32,
        room: &mut usize,
        lookup: &mut dyn FnMut(&FilterName) -> Option<Bytes>,
    ) -> Result<Self, UndefinedFilter> {
        self.replacing_filters(&mut |name| {
            let undefined = || UndefinedFilter(name.clone());
            let left = passes.checked_sub(1).ok_or_else(undefined)?;
            let octets = lookup(&name).ok_or_else(undefined)?;
            let keys = Self::parse_criteria(&octets).map_err(|_| undefined())?;
            *room = room.checked_sub(keys.count()).ok_or_else(undefined)?;
            keys.substitute(left, room, lookup)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expand(text: &'static str, stored: &[(&str, &str)]) -> Result<SearchKeys, UndefinedFilter> {
        let key = SearchKeys::parse_criteria(&Bytes::from(text)).unwrap();
        key.with_filters(&mut |name| {
            let found = stored.iter().find(|(known, _)| *known == name.as_str());
            found.map(|(_, value)| Bytes::from((*value).to_owned()))
        })
    }

    /// RFC 5466 §3.1.
    #[test]
    fn filters_are_put_in() {
        let on_the_road = ("on-the-road", "OR SMALLER 5000 FROM \"boss@example.com\"");
        let key = expand(
            "UID 300:900 FILTER on-the-road SINCE \"3-Dec-2002\"",
            &[on_the_road],
        );
        let same = SearchKeys::parse_criteria(&Bytes::from(
            "UID 300:900 OR SMALLER 5000 FROM \"boss@example.com\" SINCE \"3-Dec-2002\"",
        ));
        assert_eq!(key.unwrap(), same.unwrap());
    }

    #[test]
    fn undefined() {
        let name = |name| Err(UndefinedFilter(FilterName::new(name).unwrap()));
        assert_eq!(expand("FILTER none", &[]), name("none"));
        assert_eq!(expand("FILTER a", &[("a", "OR SMALLER")]), name("a"));
        assert_eq!(
            expand("FILTER a", &[("a", "NOT FILTER b"), ("b", "FILTER a")]),
            name("a")
        );
        // Each doubles the next.
        let many = "(FILTER b FILTER b FILTER b FILTER b FILTER b FILTER b FILTER b FILTER b)";
        let doubled = [
            ("a", many),
            (
                "b",
                "FILTER c FILTER c FILTER c FILTER c FILTER c FILTER c FILTER c FILTER c",
            ),
            (
                "c",
                "FILTER d FILTER d FILTER d FILTER d FILTER d FILTER d FILTER d FILTER d",
            ),
            (
                "d",
                "FILTER e FILTER e FILTER e FILTER e FILTER e FILTER e FILTER e FILTER e",
            ),
            (
                "e",
                "SEEN SEEN SEEN SEEN SEEN SEEN SEEN SEEN SEEN SEEN SEEN SEEN SEEN SEEN SEEN",
            ),
        ];
        assert!(expand("FILTER a", &doubled).is_err());
        assert!(FilterName::new("a/b").is_err());
    }
}
