//! Untagged data as it is read.

use std::num::NonZeroU32;

use super::{
    ESearch, MailboxList, Namespaces, QuotaResource, StatusKind, StatusResponse, StatusValue,
    Untagged, fetch, search,
};
use crate::command::MetadataValue;
use crate::cursor::{Cursor, KEYWORD, Parsed, words};
use crate::types::{Chars, EntryName, Flag, IString, Mailbox, NumberSet, Rights};
use crate::{Capability, ParseErrorKind};

words! { FETCH }

impl Untagged {
    pub(super) fn parse(c: &mut Cursor<'_>) -> Parsed<Self> {
        let start = c.at();
        match Self::parse_known(c) {
            Ok(Some(data)) => Ok(data),
            Err(error) => Err(error),
            Ok(None) => {
                c.set_at(start);
                c.set_at(start + c.rest().len());
                Ok(Self::Other(c.slice(start, c.at())))
            }
        }
    }

    fn parse_known(c: &mut Cursor<'_>) -> Parsed<Option<Self>> {
        if c.peek().is_some_and(|next| next.is_ascii_digit()) {
            return Self::parse_numbered(c);
        }
        let start = c.at();
        let mut buffer = [0; KEYWORD];
        let name = c.verb(&mut buffer)?;
        if StatusKind::from_name(name).is_some() {
            c.set_at(start);
            return StatusResponse::parse(c).map(Self::Status).map(Some);
        }
        let data = match name {
            b"CAPABILITY" => Self::Capability(parse_capabilities(c)?),
            b"ENABLED" => Self::Enabled(parse_capabilities(c)?),
            b"LIST" => Self::List(MailboxList::parse(c)?),
            b"LSUB" => Self::Lsub(MailboxList::parse(c)?),
            b"NAMESPACE" => Self::Namespace(Namespaces::parse(c)?),
            b"FLAGS" => {
                c.space()?;
                Self::Flags(c.list(Flag::parse)?)
            }
            b"STATUS" => {
                c.space()?;
                let mailbox = Mailbox::parse(c)?;
                c.space()?;
                let values = c.list(StatusValue::parse)?;
                let _ = c.eat(b' ');
                Self::MailboxStatus { mailbox, values }
            }
            b"SEARCH" => search::parse_search(c)?,
            b"SORT" => Self::Sort(search::parse_numbers(c)?),
            b"THREAD" => Self::Thread(search::parse_threads(c)?),
            b"ESEARCH" => Self::ESearch(ESearch::parse(c)?),
            b"ID" => {
                c.space()?;
                Self::Id(crate::command::parse_id(c)?)
            }
            b"VANISHED" => {
                c.space()?;
                let earlier = c.eat_text("(EARLIER) ");
                let uids = NumberSet::parse(c)?;
                Self::Vanished { earlier, uids }
            }
            b"QUOTA" => {
                c.space()?;
                let root = IString::parse_astring(c)?;
                c.space()?;
                let resources = c.list(QuotaResource::parse)?;
                Self::Quota { root, resources }
            }
            b"ACL" => {
                c.space()?;
                let mailbox = Mailbox::parse(c)?;
                let mut entries = Vec::new();
                while c.eat(b' ') {
                    c.element()?;
                    let identifier = IString::parse_astring(c)?;
                    c.space()?;
                    entries.push((identifier, Rights::parse(c)?));
                }
                Self::Acl { mailbox, entries }
            }
            b"LISTRIGHTS" => {
                c.space()?;
                let mailbox = Mailbox::parse(c)?;
                c.space()?;
                let identifier = IString::parse_astring(c)?;
                c.space()?;
                let required = Rights::parse(c)?;
                let mut optional = Vec::new();
                while c.eat(b' ') {
                    c.element()?;
                    optional.push(Rights::parse(c)?);
                }
                Self::ListRights {
                    mailbox,
                    identifier,
                    required,
                    optional,
                }
            }
            b"MYRIGHTS" => {
                c.space()?;
                let mailbox = Mailbox::parse(c)?;
                c.space()?;
                let rights = Rights::parse(c)?;
                Self::MyRights { mailbox, rights }
            }
            b"METADATA" => {
                c.space()?;
                let mailbox = Mailbox::parse(c)?;
                c.space()?;
                if c.peek() == Some(b'(') {
                    let values = c.list1(MetadataValue::parse)?;
                    return Ok(Some(Self::Metadata { mailbox, values }));
                }
                let mut entries = vec![EntryName::parse(c)?];
                while c.eat(b' ') {
                    c.element()?;
                    entries.push(EntryName::parse(c)?);
                }
                Self::MetadataChanged { mailbox, entries }
            }
            b"QUOTAROOT" => {
                c.space()?;
                let mailbox = Mailbox::parse(c)?;
                let mut roots = Vec::new();
                while c.eat(b' ') {
                    c.element()?;
                    roots.push(IString::parse_astring(c)?);
                }
                Self::QuotaRoot { mailbox, roots }
            }
            name => match Self::parse_extended(name, c) {
                Some(data) => data?,
                None => return Ok(None),
            },
        };
        Ok(Some(data))
    }

    fn parse_numbered(c: &mut Cursor<'_>) -> Parsed<Option<Self>> {
        let at = c.at();
        let number = c.number()?;
        c.space()?;
        let start = c.at();
        let nz = NonZeroU32::new(number);
        if let (FETCH, Some(sequence)) = (c.word(Chars::ATOM), nz) {
            c.space()?;
            let items = fetch::parse_items(c)?;
            return Ok(Some(Self::Fetch { sequence, items }));
        }
        c.set_at(start);
        let nz = nz.ok_or(Cursor::error_at(ParseErrorKind::Number, at));
        Ok(Some(match c.verb(&mut [0; KEYWORD])? {
            b"EXISTS" => Self::Exists(number),
            b"RECENT" => Self::Recent(number),
            b"EXPUNGE" => Self::Expunge(nz?),
            b"FETCH" => {
                c.space()?;
                Self::Fetch {
                    sequence: nz?,
                    items: fetch::parse_items(c)?,
                }
            }
            b"UIDFETCH" => {
                c.space()?;
                Self::UidFetch {
                    uid: nz?,
                    items: fetch::parse_items(c)?,
                }
            }
            _ => return Ok(None),
        }))
    }
}

fn parse_capabilities(c: &mut Cursor<'_>) -> Parsed<Vec<Capability>> {
    let mut all = Vec::new();
    // Some servers end the line with a space.
    while c.peek() == Some(b' ') {
        c.space()?;
        if !c.is_end() {
            c.element()?;
            all.push(Capability::parse(c)?);
        }
    }
    Ok(all)
}
