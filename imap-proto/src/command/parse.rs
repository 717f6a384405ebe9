//! Commands as they are read.

use proto_core::Secret;

use super::{
    CommandBody, Fetch, GetMetadata, List, MultiSearch, Search, Select, SetAcl, SetMetadata, Sort,
    Status, Store, Thread,
};
use crate::cursor::{Cursor, KEYWORD, Parsed};
use crate::types::string::{nil, nstring};
use crate::types::{Atom, IString, ListPattern, Mailbox, NString, SequenceSet};
use crate::{Capability, ParseError, ParseErrorKind};

impl CommandBody {
    pub(crate) fn parse(c: &mut Cursor<'_>) -> Parsed<Self> {
        let at = c.at();
        let mut buffer = [0; KEYWORD];
        Ok(match c.verb(&mut buffer)? {
            "CAPABILITY" => Self::Capability,
            "NOOP" => Self::Noop,
            "LOGOUT" => Self::Logout,
            "STARTTLS" => Self::StartTls,
            "NAMESPACE" => Self::Namespace,
            "IDLE" => Self::Idle,
            "CHECK" => Self::Check,
            "CLOSE" => Self::Close,
            "UNSELECT" => Self::Unselect,
            "EXPUNGE" => Self::Expunge,
            "UNAUTHENTICATE" => Self::Unauthenticate,
            "UID" => {
                c.space()?;
                let at = c.at();
                match c.verb(&mut buffer)? {
                    "EXPUNGE" => {
                        c.space()?;
                        Self::UidExpunge(SequenceSet::parse(c)?)
                    }
                    // RFC 7377 §2 shows it so, though all it answers are UIDs.
                    "ESEARCH" => Self::MultiSearch(MultiSearch::parse(c)?),
                    name => Self::parse_messages(name, c, true)
                        .unwrap_or(Err(unknown("UID command", at)))?,
                }
            }
            name => match Self::parse_messages(name, c, false) {
                Some(body) => body?,
                None => Self::parse_other(name, at, c)?,
            },
        })
    }

    /// The commands that have a UID form.
    fn parse_messages(name: &str, c: &mut Cursor<'_>, uid: bool) -> Option<Parsed<Self>> {
        Some(match name {
            "FETCH" => Fetch::parse(c, uid).map(Self::Fetch),
            "STORE" => Store::parse(c, uid),
            "SEARCH" => Search::parse(c, uid).map(Self::Search),
            "SORT" => Sort::parse(c, uid).map(Self::Sort),
            "THREAD" => Thread::parse(c, uid).map(Self::Thread),
            "COPY" => parse_copy(c).map(|(set, mailbox)| Self::Copy { uid, set, mailbox }),
            "MOVE" => parse_copy(c).map(|(set, mailbox)| Self::Move { uid, set, mailbox }),
            _ => return None,
        })
    }

    fn parse_other(name: &str, at: usize, c: &mut Cursor<'_>) -> Parsed<Self> {
        Ok(match name {
            "SELECT" => Self::Select(Select::parse(c, false)?),
            "EXAMINE" => Self::Select(Select::parse(c, true)?),
            "LIST" => Self::List(List::parse(c)?),
            "STATUS" => Self::Status(Status::parse(c)?),
            "DELETE" => Self::Delete(sp_mailbox(c)?),
            "SUBSCRIBE" => Self::Subscribe(sp_mailbox(c)?),
            "UNSUBSCRIBE" => Self::Unsubscribe(sp_mailbox(c)?),
            "GETQUOTAROOT" => Self::GetQuotaRoot(sp_mailbox(c)?),
            "GETACL" => Self::GetAcl(sp_mailbox(c)?),
            "MYRIGHTS" => Self::MyRights(sp_mailbox(c)?),
            "SETACL" => Self::SetAcl(SetAcl::parse(c)?),
            "DELETEACL" => Self::DeleteAcl {
                mailbox: sp_mailbox(c)?,
                identifier: sp_astring(c)?,
            },
            "LISTRIGHTS" => Self::ListRights {
                mailbox: sp_mailbox(c)?,
                identifier: sp_astring(c)?,
            },
            "GETMETADATA" => Self::GetMetadata(GetMetadata::parse(c)?),
            "SETMETADATA" => Self::SetMetadata(SetMetadata::parse(c)?),
            "SETQUOTA" => {
                let root = sp_astring(c)?;
                c.space()?;
                let limits = c.list(|c| {
                    let name = Atom::parse(c)?;
                    c.space()?;
                    Ok((name, c.number64()?))
                })?;
                Self::SetQuota { root, limits }
            }
            "CREATE" => Self::Create {
                mailbox: sp_mailbox(c)?,
                special_use: parse_special_use(c)?,
            },
            "RENAME" => Self::Rename {
                from: sp_mailbox(c)?,
                to: sp_mailbox(c)?,
            },
            "LSUB" => {
                let reference = sp_mailbox(c)?;
                c.space()?;
                let pattern = ListPattern::parse(c)?;
                Self::Lsub { reference, pattern }
            }
            "LOGIN" => {
                c.space()?;
                let username = IString::parse_astring(c)?;
                c.space()?;
                let password = IString::parse_astring(c)?;
                Self::Login {
                    username,
                    password: Secret::new(password.as_bytes()),
                }
            }
            "AUTHENTICATE" => parse_authenticate(c)?,
            "ENABLE" => {
                let mut capabilities = Vec::new();
                while c.eat(b' ') {
                    capabilities.push(Capability::parse(c)?);
                }
                if capabilities.is_empty() {
                    return c.expected("a capability");
                }
                Self::Enable(capabilities)
            }
            "ID" => {
                c.space()?;
                Self::Id(parse_id(c)?)
            }
            "GETQUOTA" => {
                c.space()?;
                Self::GetQuota(IString::parse_astring(c)?)
            }
            "COMPRESS" => {
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
