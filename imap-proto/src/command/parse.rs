//! Commands as they are read.

use proto_core::Secret;

use super::{
    CommandBody, Fetch, GetMetadata, List, MultiSearch, Search, Select, SetAcl, SetMetadata, Sort,
    Status, Store, Thread,
};
use crate::cursor::{Cursor, KEYWORD, Parsed, words};
use crate::types::string::{nil, nstring};
use crate::types::{Atom, Chars, IString, ListPattern, Mailbox, NString, SequenceSet};
use crate::{Capability, ParseError, ParseErrorKind};

impl CommandBody {
    pub(crate) fn parse(c: &mut Cursor<'_>) -> Parsed<Self> {
        let mut at = c.at();
        let mut name = c.word(Chars::ATOM);
        let uid = name == UID;
        if uid {
            c.space()?;
            at = c.at();
            name = c.word(Chars::ATOM);
        }
        // The commands that have a UID form.
        Ok(match name {
            FETCH => Self::Fetch(Fetch::parse(c, uid)?),
            STORE => return Store::parse(c, uid),
            SEARCH => Self::Search(Search::parse(c, uid)?),
            SORT => Self::Sort(Sort::parse(c, uid)?),
            THREAD => Self::Thread(Thread::parse(c, uid)?),
            COPY => {
                let (set, mailbox) = parse_copy(c)?;
                Self::Copy { uid, set, mailbox }
            }
            MOVE => {
                let (set, mailbox) = parse_copy(c)?;
                Self::Move { uid, set, mailbox }
            }
            _ => {
                c.set_at(at);
                return match uid {
                    true => Self::parse_uid(at, c),
                    false => Self::parse_other(at, c),
                };
            }
        })
    }

    /// The commands that only have a UID form.
    fn parse_uid(at: usize, c: &mut Cursor<'_>) -> Parsed<Self> {
        Ok(match c.verb(&mut [0; KEYWORD])? {
            b"EXPUNGE" => {
                c.space()?;
                Self::UidExpunge(SequenceSet::parse(c)?)
            }
            // RFC 7377 §2 shows it so, though all it answers are UIDs.
            b"ESEARCH" => Self::MultiSearch(MultiSearch::parse(c)?),
            _ => return Err(unknown("UID command", at)),
        })
    }

    fn parse_other(at: usize, c: &mut Cursor<'_>) -> Parsed<Self> {
        Ok(match c.verb(&mut [0; KEYWORD])? {
            b"CAPABILITY" => Self::Capability,
            b"NOOP" => Self::Noop,
            b"LOGOUT" => Self::Logout,
            b"STARTTLS" => Self::StartTls,
            b"NAMESPACE" => Self::Namespace,
            b"IDLE" => Self::Idle,
            b"CHECK" => Self::Check,
            b"CLOSE" => Self::Close,
            b"UNSELECT" => Self::Unselect,
            b"EXPUNGE" => Self::Expunge,
            b"UNAUTHENTICATE" => Self::Unauthenticate,
            b"SELECT" => Self::Select(Select::parse(c, false)?),
            b"EXAMINE" => Self::Select(Select::parse(c, true)?),
            b"LIST" => Self::List(List::parse(c)?),
            b"STATUS" => Self::Status(Status::parse(c)?),
            b"DELETE" => Self::Delete(sp_mailbox(c)?),
            b"SUBSCRIBE" => Self::Subscribe(sp_mailbox(c)?),
            b"UNSUBSCRIBE" => Self::Unsubscribe(sp_mailbox(c)?),
            b"GETQUOTAROOT" => Self::GetQuotaRoot(sp_mailbox(c)?),
            b"GETACL" => Self::GetAcl(sp_mailbox(c)?),
            b"MYRIGHTS" => Self::MyRights(sp_mailbox(c)?),
            b"SETACL" => Self::SetAcl(SetAcl::parse(c)?),
            b"DELETEACL" => Self::DeleteAcl {
                mailbox: sp_mailbox(c)?,
                identifier: sp_astring(c)?,
            },
            b"LISTRIGHTS" => Self::ListRights {
                mailbox: sp_mailbox(c)?,
                identifier: sp_astring(c)?,
            },
            b"GETMETADATA" => Self::GetMetadata(GetMetadata::parse(c)?),
            b"SETMETADATA" => Self::SetMetadata(SetMetadata::parse(c)?),
            b"SETQUOTA" => {
                let root = sp_astring(c)?;
                c.space()?;
                let limits = c.list(|c| {
                    let name = Atom::parse(c)?;
                    c.space()?;
                    Ok((name, c.number64()?))
                })?;
                Self::SetQuota { root, limits }
            }
            b"CREATE" => Self::Create {
                mailbox: sp_mailbox(c)?,
                special_use: parse_special_use(c)?,
            },
            b"RENAME" => Self::Rename {
                from: sp_mailbox(c)?,
                to: sp_mailbox(c)?,
            },
            b"LSUB" => {
                let reference = sp_mailbox(c)?;
                c.space()?;
                let pattern = ListPattern::parse(c)?;
                Self::Lsub { reference, pattern }
            }
            b"LOGIN" => {
                c.space()?;
                let username = IString::parse_astring(c)?;
                c.space()?;
                let password = IString::parse_astring(c)?;
                Self::Login {
                    username,
                    password: Secret::new(password.as_bytes()),
                }
            }
            b"AUTHENTICATE" => parse_authenticate(c)?,
            b"ENABLE" => {
                let mut capabilities = Vec::new();
                while c.eat(b' ') {
                    capabilities.push(Capability::parse(c)?);
                }
                if capabilities.is_empty() {
                    return c.expected("a capability");
                }
                Self::Enable(capabilities)
            }
            b"ID" => {
                c.space()?;
                Self::Id(parse_id(c)?)
            }
            b"GETQUOTA" => {
                c.space()?;
                Self::GetQuota(IString::parse_astring(c)?)
            }
            b"COMPRESS" => {
                c.expect_text(" DEFLATE")?;
                Self::Compress
            }
            name => match Self::parse_extended(name, c) {
                Some(body) => body?,
                None => return Err(unknown("command", at)),
            },
        })
    }
}

words! { UID FETCH STORE SEARCH SORT THREAD COPY MOVE }

#[cold]
fn unknown(what: &'static str, at: usize) -> ParseError {
    Cursor::error_at(ParseErrorKind::Unknown(what), at)
}

fn sp_mailbox(c: &mut Cursor<'_>) -> Parsed<Mailbox> {
    c.space()?;
    Mailbox::parse(c)
}

fn sp_astring(c: &mut Cursor<'_>) -> Parsed<IString> {
    c.space()?;
    IString::parse_astring(c)
}

fn parse_copy(c: &mut Cursor<'_>) -> Parsed<(SequenceSet, Mailbox)> {
    c.space()?;
    let set = SequenceSet::parse(c)?;
    Ok((set, sp_mailbox(c)?))
}

/// `[SP "(" "USE" SP "(" [use-attr *(SP use-attr)] ")" ")"]`.
fn parse_special_use(c: &mut Cursor<'_>) -> Parsed<Vec<Atom>> {
    if !c.eat_text(" (USE ") {
        return Ok(Vec::new());
    }
    let attributes = c.list(|c| {
        c.expect(b'\\', "\"\\\"")?;
        Atom::parse(c)
    })?;
    c.close()?;
    Ok(attributes)
}

fn parse_authenticate(c: &mut Cursor<'_>) -> Parsed<CommandBody> {
    c.space()?;
    let mechanism = c.atom_text()?.to_ascii_uppercase().into();
    let mut initial_response = None;
    if c.eat(b' ') {
        let at = c.at();
        let text = c.rest();
        c.set_at(at + text.len());
        let octets = match text {
            b"=" => Ok(Vec::new()),
            b"" => return c.expected("an initial response"),
            text => proto_core::sasl::decode_base64(text),
        };
        let octets =
            octets.map_err(|_| Cursor::error_at(ParseErrorKind::Expected("base64"), at))?;
        initial_response = Some(Secret::new(octets));
    }
    Ok(CommandBody::Authenticate {
        mechanism,
        initial_response,
    })
}

/// `"(" *(string SP nstring) ")" / nil`; at most 30 pairs (RFC 2971 §3.3).
pub(crate) fn parse_id(c: &mut Cursor<'_>) -> Parsed<Option<Vec<(IString, NString)>>> {
    if nil(c) {
        return Ok(None);
    }
    let at = c.at();
    let pairs = c.list(|c| {
        let name = IString::parse(c)?;
        c.space()?;
        Ok((name, nstring(c)?))
    })?;
    if pairs.len() > 30 {
        return Err(Cursor::error_at(ParseErrorKind::Count, at));
    }
    Ok(Some(pairs))
}
