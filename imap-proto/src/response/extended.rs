//! What servers with few-known extensions say: read and written apart.

use std::num::NonZeroU32;

use super::search::parse_correlator_tag;
use super::url_front::is_item;
use super::{Content, Untagged};
use crate::cursor::{Cursor, Parsed};
use crate::types::string::nil;
use crate::types::{BodyStructure, IString, Tag};
use crate::wire::Writer;
use crate::{ParseErrorKind, UrlContent};

/// One URL of a URLFETCH response (RFC 4467 §8, RFC 5524 §3.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchedUrl {
    /// The URL, as the client wrote it.
    pub url: IString,
    /// What it names.
    pub data: UrlData,
}

/// What a URL names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UrlData {
    /// Nothing, or nothing that this client may see; [`Content::Nil`]. Else
    /// the octets, where the client asked without parameters.
    Plain(Content),
    /// Where it asked with parameters; at least one of both.
    Items {
        /// `BODYPARTSTRUCTURE`
        structure: Option<BodyStructure>,
        /// `BODY` or `BINARY`, and the octets.
        content: Option<(UrlContent, Content)>,
    },
}

impl FetchedUrl {
    pub(super) fn parse(c: &mut Cursor<'_>) -> Parsed<Self> {
        let url = IString::parse_astring(c)?;
        let data = match is_item(c) {
            true => Self::parse_items(c)?,
            false => {
                c.space()?;
                UrlData::Plain(Content::parse(c)?)
            }
        };
        Ok(Self { url, data })
    }

    /// `*(SP "(" item ")")`
    pub(super) fn parse_items(c: &mut Cursor<'_>) -> Parsed<UrlData> {
        let (mut structure, mut content) = (None, None);
        while is_item(c) {
            c.set_at(c.at() + 2);
            if c.eat_text("BODYPARTSTRUCTURE ") {
                structure = Some(BodyStructure::parse(c)?);
            } else if c.eat_text("BODY ") {
                content = Some((UrlContent::Body, Content::parse(c)?));
            } else if c.eat_text("BINARY ") {
                content = Some((UrlContent::Binary, Content::parse(c)?));
            } else {
                return Err(c.error(ParseErrorKind::Unknown("URLFETCH item")));
            }
            c.close()?;
        }
        Ok(UrlData::Items { structure, content })
    }

    fn encode(&self, w: &mut Writer<'_>) {
        self.url.encode_astring(w);
        match &self.data {
            UrlData::Plain(content) => {
                w.space();
                content.encode(w, false);
            }
            UrlData::Items { structure, content } => {
                if let Some(structure) = structure {
                    w.raw(b" (BODYPARTSTRUCTURE ");
                    structure.encode(w, true);
                    w.byte(b')');
                }
                if let Some((kind, content)) = content {
                    let binary = *kind == UrlContent::Binary;
                    w.raw(if binary { b" (BINARY " } else { b" (BODY " });
                    content.encode(w, binary);
                    w.byte(b')');
                }
            }
        }
    }
}

impl Untagged {
    /// The rest of data of this name, in upper case; `None` when there is no such.
    pub(super) fn parse_extended(name: &[u8], c: &mut Cursor<'_>) -> Option<Parsed<Self>> {
        Some(match name {
            b"GENURLAUTH" => each(c, IString::parse_astring).map(Self::GenUrlAuth),
            b"URLFETCH" => each(c, FetchedUrl::parse).map(Self::UrlFetch),
            b"LANGUAGE" => language(c),
            b"COMPARATOR" => comparator(c),
            b"UIDBATCHES" => batches(c),
            b"XAPPLEPUSHSERVICE" => push(c),
            b"JMAPACCESS" => each(c, IString::parse_astring).and_then(|all| {
                let url = all.into_iter().next();
                url.map(Self::JmapAccess)
                    .ok_or(c.error(ParseErrorKind::Expected("a URL")))
            }),
            _ => return None,
        })
    }

    pub(super) fn encode_extended(&self, w: &mut Writer<'_>) {
        match self {
            Self::GenUrlAuth(urls) => {
                w.raw(b"GENURLAUTH ");
                w.spaced(urls, |w, url| url.encode_astring(w));
            }
            Self::UrlFetch(urls) => {
                w.raw(b"URLFETCH ");
                w.spaced(urls, |w, url| url.encode(w));
            }
            Self::Language(tags) => {
                w.raw(b"LANGUAGE ");
                w.list(tags, |w, tag| tag.encode_astring(w));
            }
            Self::Comparator { active, matching } => {
                w.raw(b"COMPARATOR ");
                active.encode_astring(w);
                if !matching.is_empty() {
                    w.space();
                    w.list(matching, |w, one| one.encode_astring(w));
                }
            }
            Self::UidBatches { tag, batches } => {
                w.raw(b"UIDBATCHES (TAG ");
                crate::types::string::quote(w, tag.as_str().as_bytes());
                w.byte(b')');
                for (index, (high, low)) in batches.iter().enumerate() {
                    w.byte(if index == 0 { b' ' } else { b',' });
                    w.number(high.get());
                    w.byte(b':');
                    w.number(low.get());
                }
            }
            Self::XApplePushService { version, topic } => {
                w.raw(b"XAPPLEPUSHSERVICE aps-version ");
                crate::types::string::quote(w, version.to_string().as_bytes());
                w.raw(b" aps-topic ");
                topic.encode(w);
            }
            Self::JmapAccess(url) => {
                w.raw(b"JMAPACCESS ");
                url.encode(w);
            }
            // The others are written beside their kin.
            _ => {}
        }
    }
}

/// `1*(SP item)`.
fn each<T>(
    c: &mut Cursor<'_>,
    mut parse: impl FnMut(&mut Cursor<'_>) -> Parsed<T>,
) -> Parsed<Vec<T>> {
    let mut all = Vec::new();
    while c.eat(b' ') {
        c.element()?;
        all.push(parse(c)?);
    }
    match all.is_empty() {
        true => c.expected("a space"),
        false => Ok(all),
    }
}

fn language(c: &mut Cursor<'_>) -> Parsed<Untagged> {
    c.space()?;
    c.list1(IString::parse_astring).map(Untagged::Language)
}

/// `SP comp-sel-quoted [SP "(" comp-id-quoted *(SP comp-id-quoted) ")"]`.
fn comparator(c: &mut Cursor<'_>) -> Parsed<Untagged> {
    c.space()?;
    let active = IString::parse_astring(c)?;
    let matching = match c.eat(b' ') {
        true => c.list(IString::parse_astring)?,
        false => Vec::new(),
    };
    Ok(Untagged::Comparator { active, matching })
}

/// `search-correlator [SP batch *("," batch)]`: ranges of UIDs, the highest
/// first, each from its higher end.
fn batches(c: &mut Cursor<'_>) -> Parsed<Untagged> {
    c.space()?;
    c.open()?;
    let tag: Tag = parse_correlator_tag(c)?;
    c.close()?;
    let mut batches: Vec<(NonZeroU32, NonZeroU32)> = Vec::new();
    if c.eat(b' ') {
        loop {
            if batches.len() >= c.max_ranges {
                return Err(c.error(ParseErrorKind::Count));
            }
            let first = c.nz_number()?;
            let second = if c.eat(b':') { c.nz_number()? } else { first };
            batches.push((first.max(second), first.min(second)));
            if !c.eat(b',') {
                break;
            }
        }
    }
    Ok(Untagged::UidBatches { tag, batches })
}

fn push(c: &mut Cursor<'_>) -> Parsed<Untagged> {
    let at = c.at();
    let (mut version, mut topic) = (None, None);
    while c.eat(b' ') {
        let name = IString::parse_astring(c)?;
        c.space()?;
        if name.as_bytes().eq_ignore_ascii_case(b"aps-version") {
            version = Some(crate::command::push::parse_version(c)?);
        } else if name.as_bytes().eq_ignore_ascii_case(b"aps-topic") {
            topic = Some(IString::parse_astring(c)?);
        } else if !nil(c) {
            super::fetch::skip_value(c)?;
        }
    }
    let missing = |name| Cursor::error_at(ParseErrorKind::Expected(name), at);
    Ok(Untagged::XApplePushService {
        version: version.ok_or(missing("aps-version"))?,
        topic: topic.ok_or(missing("aps-topic"))?,
    })
}
