//! Annotations of messages (RFC 5257).

use bytes::Bytes;

use crate::cursor::{Cursor, Parsed};
use crate::types::string::{literal_octets, nil, string};
use crate::types::{Chars, EntryName, IString};
use crate::wire::Writer;

/// `entry-att`: values of one entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Annotation {
    /// Which entry, say `/comment` or `/1.2/altsubject`.
    pub entry: EntryName,
    /// Attributes and their octets, `None` for NIL; at least one.
    pub values: Vec<(IString, Option<Bytes>)>,
}

/// What FETCH asks of the annotations of a message (RFC 5257 §4.2).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct AnnotationRequest {
    /// `entry-match`: entries, with `*` and `%`; at least one.
    pub entries: Vec<IString>,
    /// Attributes, say `value` or `size.shared`; at least one.
    pub attributes: Vec<IString>,
}

/// What SEARCH looks for in the annotations of a message (RFC 5257 §4.5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnnotationMatch {
    /// `entry-match`: which entries, with `*` and `%`.
    pub entry: IString,
    /// Which of their values.
    pub scope: AnnotationScope,
    /// What is contained in the value; `None`, NIL, for entries without.
    pub value: Option<IString>,
}

/// `att-search`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AnnotationScope {
    /// `value`: either of both.
    Any,
    /// `value.priv`
    Private,
    /// `value.shared`
    Shared,
}

impl AnnotationScope {
    /// The attribute's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Any => "value",
            Self::Private => "value.priv",
            Self::Shared => "value.shared",
        }
    }

    pub(crate) fn parse(c: &mut Cursor<'_>) -> Parsed<Self> {
        let at = c.at();
        let name = IString::parse_astring(c)?;
        [Self::Any, Self::Private, Self::Shared]
            .into_iter()
            .find(|scope| {
                name.as_bytes()
                    .eq_ignore_ascii_case(scope.name().as_bytes())
            })
            .ok_or(Cursor::error_at(
                crate::ParseErrorKind::Unknown("annotation attribute"),
                at,
            ))
    }
}

impl Annotation {
    pub(crate) fn parse(c: &mut Cursor<'_>) -> Parsed<Self> {
        let entry = EntryName::parse(c)?;
        c.space()?;
        let values = c.list1(|c| {
            let attribute = IString::parse_astring(c)?;
            c.space()?;
            let value = if nil(c) {
                None
            } else if c.eat(b'~') {
                Some(literal_octets(c)?)
            } else {
                Some(IString::parse(c)?.to_bytes())
            };
            Ok((attribute, value))
        })?;
        Ok(Self { entry, values })
    }

    pub(crate) fn encode(&self, w: &mut Writer<'_>) {
        self.entry.encode(w);
        w.space();
        w.list(&self.values, |w, (attribute, value)| {
            attribute.encode_astring(w);
            w.space();
            match value {
                None => w.raw(b"NIL"),
                Some(value) if value.contains(&0) => w.literal(value, true),
                Some(value) => string(w, value),
            }
        });
    }
}

/// `list-mailbox`, as it stands.
fn parse_pattern(c: &mut Cursor<'_>) -> Parsed<IString> {
    match c.peek() {
        Some(b'"' | b'{') => IString::parse(c),
        _ => {
            let octets = c.take_some(Chars::LIST, "an entry")?;
            Ok(IString::lossy(octets.to_vec()))
        }
    }
}

fn encode_pattern(pattern: &IString, w: &mut Writer<'_>) {
    let octets = pattern.as_bytes();
    if !octets.is_empty() && octets.iter().all(|octet| Chars::LIST.holds(*octet)) {
        w.raw(octets);
    } else {
        pattern.encode(w);
    }
}

fn one_or_list<T>(
    c: &mut Cursor<'_>,
    mut parse: impl FnMut(&mut Cursor<'_>) -> Parsed<T>,
) -> Parsed<Vec<T>> {
    match c.peek() {
        Some(b'(') => c.list1(parse),
        _ => Ok(vec![parse(c)?]),
    }
}

impl AnnotationRequest {
    /// `"(" entries SP attribs ")"`.
    pub(crate) fn parse(c: &mut Cursor<'_>) -> Parsed<Self> {
        c.open()?;
        let entries = one_or_list(c, parse_pattern)?;
        c.space()?;
        let attributes = one_or_list(c, IString::parse_astring)?;
        c.close()?;
        Ok(Self {
            entries,
            attributes,
        })
    }

    pub(crate) fn encode(&self, w: &mut Writer<'_>) {
        w.byte(b'(');
        match &self.entries[..] {
            [one] => encode_pattern(one, w),
            many => w.list(many, |w, one| encode_pattern(one, w)),
        }
        w.space();
        match &self.attributes[..] {
            [one] => one.encode_astring(w),
            many => w.list(many, |w, one| one.encode_astring(w)),
        }
        w.byte(b')');
    }
}

impl AnnotationMatch {
    /// Whether the entry is one that is looked for; `*` stands for anything,
    /// `%` for anything without a slash.
    #[must_use]
    pub fn is_of(&self, entry: &EntryName) -> bool {
        let pattern = self.entry.to_text().to_ascii_lowercase();
        let delimiter = crate::Delimiter::new('/').ok();
        crate::ListPattern::new(&pattern)
            .is_ok_and(|pattern| pattern.matches(entry.as_str(), delimiter))
    }

    /// `entry-match SP att-search SP value`.
    pub(crate) fn parse(c: &mut Cursor<'_>) -> Parsed<Self> {
        let entry = parse_pattern(c)?;
        c.space()?;
        let scope = AnnotationScope::parse(c)?;
        c.space()?;
        let value = crate::types::string::nstring(c)?;
        Ok(Self {
            entry,
            scope,
            value,
        })
    }

    pub(crate) fn encode(&self, w: &mut Writer<'_>) {
        encode_pattern(&self.entry, w);
        w.space();
        w.str(self.scope.name());
        w.space();
        crate::types::string::encode_nstring(w, &self.value);
    }
}

/// `"ANNOTATION" SP "(" entry-att *(SP entry-att) ")"`, behind the word.
pub(crate) fn parse_list(c: &mut Cursor<'_>) -> Parsed<Vec<Annotation>> {
    c.list1(Annotation::parse)
}

pub(crate) fn encode_list(annotations: &[Annotation], w: &mut Writer<'_>) {
    w.raw(b"ANNOTATION ");
    w.list(annotations, |w, one| one.encode(w));
}
