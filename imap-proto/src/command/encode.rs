//! Commands as they are written.

use bytes::Bytes;

use super::CommandBody;
use crate::types::string::encode_nstring;
use crate::types::{IString, Mailbox, NString};
use crate::wire::Writer;

impl CommandBody {
    pub(crate) fn encode(&self, w: &mut Writer<'_>) {
        match self {
            Self::Capability => w.raw(b"CAPABILITY"),
            Self::Noop => w.raw(b"NOOP"),
            Self::Logout => w.raw(b"LOGOUT"),
            Self::StartTls => w.raw(b"STARTTLS"),
            Self::Namespace => w.raw(b"NAMESPACE"),
            Self::Idle => w.raw(b"IDLE"),
            Self::Check => w.raw(b"CHECK"),
            Self::Close => w.raw(b"CLOSE"),
            Self::Unselect => w.raw(b"UNSELECT"),
            Self::Expunge => w.raw(b"EXPUNGE"),
            Self::Unauthenticate => w.raw(b"UNAUTHENTICATE"),
            Self::Compress => w.raw(b"COMPRESS DEFLATE"),
            Self::Authenticate {
                mechanism,
                initial_response,
            } => {
                w.raw(b"AUTHENTICATE ");
                w.str(mechanism);
                if let Some(initial) = initial_response {
                    w.space();
                    match initial.expose() {
                        [] => w.byte(b'='),
                        octets => w.str(&proto_core::sasl::encode_base64(octets)),
                    }
                }
            }
            Self::Login { username, password } => {
                w.raw(b"LOGIN ");
                username.encode_astring(w);
                w.space();
                // Never as an atom: some servers log those.
                crate::types::string::string(w, &Bytes::copy_from_slice(password.expose()));
            }
            Self::Enable(capabilities) => {
                w.raw(b"ENABLE ");
                w.spaced(capabilities, |w, one| w.str(one.as_str()));
            }
            Self::Select(select) => select.encode(w),
            Self::Create {
                mailbox,
                special_use,
            } => {
                w.raw(b"CREATE ");
                mailbox.encode(w);
                if !special_use.is_empty() {
                    w.raw(b" (USE ");
                    w.list(special_use, |w, one| {
                        w.byte(b'\\');
                        w.str(one.as_str());
                    });
                    w.byte(b')');
                }
            }
            Self::Delete(mailbox) => encode_one(w, b"DELETE ", mailbox),
            Self::Subscribe(mailbox) => encode_one(w, b"SUBSCRIBE ", mailbox),
            Self::Unsubscribe(mailbox) => encode_one(w, b"UNSUBSCRIBE ", mailbox),
            Self::GetQuotaRoot(mailbox) => encode_one(w, b"GETQUOTAROOT ", mailbox),
            Self::Rename { from, to } => {
                encode_one(w, b"RENAME ", from);
                encode_one(w, b" ", to);
            }
            Self::List(list) => list.encode(w),
            Self::Lsub { reference, pattern } => {
                encode_one(w, b"LSUB ", reference);
                w.space();
                pattern.encode(w);
            }
            Self::Status(status) => status.encode(w),
            Self::UidExpunge(set) => {
                w.raw(b"UID EXPUNGE ");
                set.encode(w);
            }
            Self::Search(search) => search.encode(w),
            Self::Sort(sort) => sort.encode(w),
            Self::Thread(thread) => thread.encode(w),
            Self::Fetch(fetch) => fetch.encode(w),
            Self::Store(store) => store.encode(w),
            Self::Copy { uid, set, mailbox } => {
                w.raw(if *uid { b"UID COPY " } else { b"COPY " });
                set.encode(w);
                encode_one(w, b" ", mailbox);
            }
            Self::Move { uid, set, mailbox } => {
                w.raw(if *uid { b"UID MOVE " } else { b"MOVE " });
                set.encode(w);
                encode_one(w, b" ", mailbox);
            }
            Self::Id(parameters) => {
                w.raw(b"ID ");
                encode_id(parameters.as_deref(), w);
            }
            Self::GetQuota(root) => {
                w.raw(b"GETQUOTA ");
                root.encode_astring(w);
            }
            Self::SetQuota { root, limits } => {
                w.raw(b"SETQUOTA ");
                root.encode_astring(w);
                w.space();
                w.list(limits, |w, (name, limit)| {
                    w.str(name.as_str());
                    w.space();
                    w.number(*limit);
                });
            }
            Self::SetAcl(set) => set.encode(w),
            Self::GetAcl(mailbox) => encode_one(w, b"GETACL ", mailbox),
            Self::MyRights(mailbox) => encode_one(w, b"MYRIGHTS ", mailbox),
            Self::DeleteAcl {
                mailbox,
                identifier,
            } => {
                encode_one(w, b"DELETEACL ", mailbox);
                w.space();
                identifier.encode_astring(w);
            }
            Self::ListRights {
                mailbox,
                identifier,
            } => {
                encode_one(w, b"LISTRIGHTS ", mailbox);
                w.space();
                identifier.encode_astring(w);
            }
            Self::GetMetadata(get) => get.encode(w),
            Self::SetMetadata(set) => set.encode(w),
            Self::StoreAnnotations {
                uid,
                set,
                annotations,
            } => {
                w.raw(if *uid { b"UID STORE " } else { b"STORE " });
                set.encode(w);
                w.space();
                super::annotation::encode_list(annotations, w);
            }
            other => other.encode_extended(w),
        }
    }
}

fn encode_one(w: &mut Writer<'_>, name: &[u8], mailbox: &Mailbox) {
    w.raw(name);
    mailbox.encode(w);
}

pub(crate) fn encode_id(parameters: Option<&[(IString, NString)]>, w: &mut Writer<'_>) {
    match parameters {
        None | Some([]) => w.raw(b"NIL"),
        Some(pairs) => w.list(pairs, |w, (name, value)| {
            name.encode(w);
            w.space();
            encode_nstring(w, value);
        }),
    }
}
