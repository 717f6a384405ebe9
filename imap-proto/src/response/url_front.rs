//! A URLFETCH response up to a large content, and behind it (RFC 4467 §8,
//! RFC 5524 §3.2).

use super::extended::FetchedUrl;
use super::{Content, UrlData};
use crate::UrlContent;
use crate::cursor::{Cursor, Parsed};
use crate::types::string::announcement;
use crate::types::{BodyStructure, IString};

/// A URLFETCH response up to a literal.
#[derive(Debug)]
pub(crate) struct UrlFront {
    /// The URLs before.
    pub(crate) urls: Vec<FetchedUrl>,
    /// The URL whose content the literal is.
    pub(crate) url: FetchedUrl,
}

/// Where a URLFETCH response goes on behind a content.
#[derive(Debug, Clone)]
pub(crate) struct UrlRest {
    /// The URL whose content it was.
    pub(crate) url: IString,
    /// It was one of several items: a parenthesis is open.
    pub(crate) is_item: bool,
}

/// `"* URLFETCH" *(SP url …)` up to a literal at the end; `None` when the
/// literal is not a content.
pub(crate) fn parse_front(c: &mut Cursor<'_>) -> Parsed<Option<UrlFront>> {
    c.expect_text("* URLFETCH")?;
    parse_urls_front(c, Vec::new())
}

/// The same behind a content.
pub(crate) fn parse_rest_front(c: &mut Cursor<'_>, rest: &UrlRest) -> Parsed<Option<UrlFront>> {
    if rest.is_item {
        c.close()?;
    }
    let mut urls = Vec::new();
    if rest.is_item && is_item(c) {
        let at = c.at();
        match FetchedUrl::parse_items(c) {
            Ok(data) => urls.push(FetchedUrl {
                url: rest.url.clone(),
                data,
            }),
            Err(_) => {
                c.set_at(at);
                let url = announced_item(c, rest.url.clone())?;
                return Ok(url.map(|url| UrlFront { urls, url }));
            }
        }
    }
    parse_urls_front(c, urls)
}

/// What is behind a content, to the end.
pub(crate) fn parse_rest(c: &mut Cursor<'_>, rest: UrlRest) -> Parsed<Vec<FetchedUrl>> {
    let mut urls = Vec::new();
    if rest.is_item {
        c.close()?;
        if is_item(c) {
            let data = FetchedUrl::parse_items(c)?;
            urls.push(FetchedUrl {
                url: rest.url,
                data,
            });
        }
    }
    while c.eat(b' ') {
        c.element()?;
        urls.push(FetchedUrl::parse(c)?);
    }
    c.end()?;
    Ok(urls)
}

/// ` (`: an item of the URL before it, no other URL.
pub(super) fn is_item(c: &Cursor<'_>) -> bool {
    c.peek() == Some(b' ') && c.peek_at(1) == Some(b'(')
}

fn parse_urls_front(c: &mut Cursor<'_>, mut urls: Vec<FetchedUrl>) -> Parsed<Option<UrlFront>> {
    loop {
        c.space()?;
        c.element()?;
        let at = c.at();
        if let Ok(url) = FetchedUrl::parse(c) {
            urls.push(url);
            continue;
        }
        c.set_at(at);
        let url = announced(c)?;
        return Ok(url.map(|url| UrlFront { urls, url }));
    }
}

/// A URL whose content is announced and not there.
fn announced(c: &mut Cursor<'_>) -> Parsed<Option<FetchedUrl>> {
    let url = IString::parse_astring(c)?;
    if is_item(c) {
        return announced_item(c, url);
    }
    c.space()?;
    let data = stream(c)?.map(UrlData::Plain);
    Ok(data.map(|data| FetchedUrl { url, data }))
}

/// `*(SP "(" item ")") SP "(" ("BODY" / "BINARY") SP` and an announcement.
fn announced_item(c: &mut Cursor<'_>, url: IString) -> Parsed<Option<FetchedUrl>> {
    let mut structure = None;
    while is_item(c) {
        c.set_at(c.at() + 2);
        if c.eat_text("BODYPARTSTRUCTURE ") {
            structure = Some(BodyStructure::parse(c)?);
            c.close()?;
            continue;
        }
        let kind = match c.eat_text("BINARY ") {
            true => UrlContent::Binary,
            false => {
                c.expect_text("BODY ")?;
                UrlContent::Body
            }
        };
        let content = stream(c)?.map(|content| (kind, content));
        return Ok(content.map(|content| FetchedUrl {
            url,
            data: UrlData::Items {
                structure,
                content: Some(content),
            },
        }));
    }
    Ok(None)
}

/// An announcement at the end.
fn stream(c: &mut Cursor<'_>) -> Parsed<Option<Content>> {
    let _ = c.eat(b'~');
    let size = announcement(c)?;
    Ok(c.is_end().then_some(Content::Stream(size)))
}
