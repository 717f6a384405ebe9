//! The commands that few clients send: read and written apart from the others.

use std::num::NonZeroU32;

use super::urlauth::{encode_gen, parse_gen};
use super::{CommandBody, MultiSearch, Notify, ResetKey, UrlFetch, XApplePushService};
use crate::cursor::{Cursor, Parsed};
use crate::types::{IString, ListPattern, Mailbox, Tag};
use crate::wire::Writer;
use crate::{Extension, ParseErrorKind};

impl CommandBody {
    /// The rest of a command of this name, in upper case; `None` when there is no such.
    pub(super) fn parse_extended(name: &[u8], c: &mut Cursor<'_>) -> Option<Parsed<Self>> {
        Some(match name {
            b"NOTIFY" => Notify::parse(c).map(Self::Notify),
            b"ESEARCH" => MultiSearch::parse(c).map(Self::MultiSearch),
            b"RESETKEY" => ResetKey::parse(c).map(Self::ResetKey),
            b"GENURLAUTH" => parse_gen(c).map(Self::GenUrlAuth),
            b"URLFETCH" => UrlFetch::parse_all(c).map(Self::UrlFetch),
            b"CANCELUPDATE" => parse_tags(c).map(Self::CancelUpdate),
            b"LANGUAGE" => parse_astrings(c).map(Self::Language),
            b"COMPARATOR" => parse_astrings(c).map(Self::Comparator),
            b"UIDBATCHES" => parse_batches(c),
            b"XAPPLEPUSHSERVICE" => {
                XApplePushService::parse(c).map(|push| Self::XApplePushService(Box::new(push)))
            }
            b"GETJMAPACCESS" => Ok(Self::GetJmapAccess),
            b"RLIST" => {
                parse_reference(c).map(|(reference, pattern)| Self::Rlist { reference, pattern })
            }
            b"RLSUB" => {
                parse_reference(c).map(|(reference, pattern)| Self::Rlsub { reference, pattern })
            }
            _ => return None,
        })
    }

    pub(super) fn encode_extended(&self, w: &mut Writer<'_>) {
        match self {
            Self::Notify(notify) => notify.encode(w),
            Self::MultiSearch(search) => search.encode(w),
            Self::ResetKey(reset) => reset.encode(w),
            Self::GenUrlAuth(pairs) => encode_gen(pairs, w),
            Self::UrlFetch(urls) => {
                w.raw(b"URLFETCH ");
                w.spaced(urls, |w, url| url.encode(w));
            }
            Self::CancelUpdate(tags) => {
                w.raw(b"CANCELUPDATE ");
                w.spaced(tags, |w, tag| {
                    crate::types::string::quote(w, tag.as_str().as_bytes());
                });
            }
            Self::Language(ranges) => encode_astrings(b"LANGUAGE", ranges, w),
            Self::Comparator(order) => encode_astrings(b"COMPARATOR", order, w),
            Self::UidBatches { size, range } => {
                w.raw(b"UIDBATCHES ");
                w.number(size.get());
                if let Some((first, last)) = range {
                    w.space();
                    w.number(first.get());
                    w.byte(b':');
                    w.number(last.get());
                }
            }
            Self::XApplePushService(push) => push.encode(w),
            Self::GetJmapAccess => w.raw(b"GETJMAPACCESS"),
            Self::Rlist { reference, pattern } => {
                encode_reference(b"RLIST ", reference, pattern, w)
            }
            Self::Rlsub { reference, pattern } => {
                encode_reference(b"RLSUB ", reference, pattern, w)
            }
            // The others are written beside their kin.
            _ => {}
        }
    }

    pub(super) fn requires_extended(&self, need: &mut dyn FnMut(Extension)) {
        match self {
            Self::Notify(notify) => notify.requires(need),
            Self::MultiSearch(search) => search.requires(need),
            Self::ResetKey(_) | Self::GenUrlAuth(_) => need(Extension::UrlAuth),
            Self::UrlFetch(urls) => urls.iter().for_each(|url| url.requires(need)),
            // Either of both contexts will do: the server looks.
            Self::CancelUpdate(_) => {}
            Self::Language(_) => need(Extension::Language),
            Self::Comparator(_) => need(Extension::I18nLevel2),
            Self::UidBatches { .. } => need(Extension::UidBatches),
            Self::XApplePushService(_) => need(Extension::XApplePushService),
            Self::GetJmapAccess => need(Extension::JmapAccess),
            Self::Rlist { .. } | Self::Rlsub { .. } => need(Extension::MailboxReferrals),
            _ => {}
        }
    }
}

fn parse_astrings(c: &mut Cursor<'_>) -> Parsed<Vec<IString>> {
    let mut all = Vec::new();
    while c.eat(b' ') {
        all.push(IString::parse_astring(c)?);
    }
    Ok(all)
}

fn encode_astrings(name: &[u8], all: &[IString], w: &mut Writer<'_>) {
    w.raw(name);
    for one in all {
        w.space();
        one.encode_astring(w);
    }
}

/// `1*(SP quoted)`, each a tag.
fn parse_tags(c: &mut Cursor<'_>) -> Parsed<Vec<Tag>> {
    let mut tags = Vec::new();
    while c.eat(b' ') {
        let at = c.at();
        let text = IString::parse_astring(c)?;
        let tag = Tag::new(&text.to_text());
        tags.push(tag.map_err(|_| Cursor::error_at(ParseErrorKind::Expected("a tag"), at))?);
    }
    match tags.is_empty() {
        true => c.expected("a tag"),
        false => Ok(tags),
    }
}

/// `SP nz-number [SP nz-number ":" nz-number]`.
fn parse_batches(c: &mut Cursor<'_>) -> Parsed<CommandBody> {
    c.space()?;
    let size = c.nz_number()?;
    let mut range: Option<(NonZeroU32, NonZeroU32)> = None;
    if c.eat(b' ') {
        let first = c.nz_number()?;
        c.expect(b':', "\":\"")?;
        let second = c.nz_number()?;
        range = Some((first.min(second), first.max(second)));
    }
    Ok(CommandBody::UidBatches { size, range })
}

fn parse_reference(c: &mut Cursor<'_>) -> Parsed<(Mailbox, ListPattern)> {
    c.space()?;
    let reference = Mailbox::parse(c)?;
    c.space()?;
    Ok((reference, ListPattern::parse(c)?))
}

fn encode_reference(name: &[u8], reference: &Mailbox, pattern: &ListPattern, w: &mut Writer<'_>) {
    w.raw(name);
    reference.encode(w);
    w.space();
    pattern.encode(w);
}
