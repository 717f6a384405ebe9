//! Untagged data as it is written.

use super::{Untagged, fetch, search};
use crate::Capability;
use crate::types::Flag;
use crate::wire::Writer;

impl Untagged {
    /// `* ` data CRLF.
    pub(crate) fn encode_line(&self, w: &mut Writer<'_>) {
        match self {
            Self::Fetch { sequence, items } => {
                fetch::encode_line(w, sequence.get(), b" FETCH (", items);
            }
            Self::UidFetch { uid, items } => {
                fetch::encode_line(w, uid.get(), b" UIDFETCH (", items);
            }
            data => {
                w.raw(b"* ");
                data.encode_other(w);
                w.raw(b"\r\n");
            }
        }
    }

    /// All but messages' data.
    fn encode_other(&self, w: &mut Writer<'_>) {
        match self {
            // The caller's own.
            Self::Fetch { .. } | Self::UidFetch { .. } => {}
            Self::Status(status) => status.encode(w),
            Self::Capability(all) => encode_capabilities(w, b"CAPABILITY", all),
            Self::Enabled(all) => encode_capabilities(w, b"ENABLED", all),
            Self::List(list) => {
                w.raw(b"LIST ");
                list.encode(w);
            }
            Self::Lsub(list) => {
                w.raw(b"LSUB ");
                list.encode(w);
            }
            Self::Namespace(namespaces) => {
                w.raw(b"NAMESPACE ");
                namespaces.encode(w);
            }
            Self::MailboxStatus { mailbox, values } => {
                w.raw(b"STATUS ");
                mailbox.encode(w);
                w.space();
                w.list(values, |w, value| value.encode(w));
            }
            Self::Flags(flags) => {
                w.raw(b"FLAGS ");
                Flag::encode_list(flags, w);
            }
            Self::Search { numbers, mod_seq } => search::encode_search(w, numbers, *mod_seq),
            Self::Sort(numbers) => {
                w.raw(b"SORT");
                search::encode_numbers(w, numbers);
            }
            Self::Thread(threads) => search::encode_threads(w, threads),
            Self::ESearch(result) => result.encode(w),
            Self::Exists(number) => encode_numbered(w, *number, b" EXISTS"),
            Self::Recent(number) => encode_numbered(w, *number, b" RECENT"),
            Self::Expunge(number) => encode_numbered(w, number.get(), b" EXPUNGE"),
            Self::Vanished { earlier, uids } => {
                w.raw(if *earlier {
                    b"VANISHED (EARLIER) "
                } else {
                    b"VANISHED "
                });
                uids.encode(w);
            }
            Self::Id(parameters) => {
                w.raw(b"ID ");
                crate::command::encode_id(parameters.as_deref(), w);
            }
            Self::Quota { root, resources } => {
                w.raw(b"QUOTA ");
                root.encode_astring(w);
                w.space();
                w.list(resources, |w, resource| resource.encode(w));
            }
            Self::QuotaRoot { mailbox, roots } => {
                w.raw(b"QUOTAROOT ");
                mailbox.encode(w);
                for root in roots {
                    w.space();
                    root.encode_astring(w);
                }
            }
            Self::Acl { mailbox, entries } => {
                w.raw(b"ACL ");
                mailbox.encode(w);
                for (identifier, rights) in entries {
                    w.space();
                    identifier.encode_astring(w);
                    w.space();
                    rights.encode(w);
                }
            }
            Self::ListRights {
                mailbox,
                identifier,
                required,
                optional,
            } => {
                w.raw(b"LISTRIGHTS ");
                mailbox.encode(w);
                w.space();
                identifier.encode_astring(w);
                w.space();
                required.encode(w);
                for rights in optional {
                    w.space();
                    rights.encode(w);
                }
            }
            Self::MyRights { mailbox, rights } => {
                w.raw(b"MYRIGHTS ");
                mailbox.encode(w);
                w.space();
                rights.encode(w);
            }
            Self::Metadata { mailbox, values } => {
                w.raw(b"METADATA ");
                mailbox.encode(w);
                w.space();
                w.list(values, |w, value| value.encode(w));
            }
            Self::MetadataChanged { mailbox, entries } => {
                w.raw(b"METADATA ");
                mailbox.encode(w);
                w.space();
                w.spaced(entries, |w, entry| entry.encode(w));
            }
            Self::Other(raw) => w.raw(raw),
            other => other.encode_extended(w),
        }
    }
}

#[inline]
fn encode_numbered<const N: usize>(w: &mut Writer<'_>, number: u32, name: &[u8; N]) {
    w.number(number);
    w.raw(name);
}

fn encode_capabilities(w: &mut Writer<'_>, name: &[u8], all: &[Capability]) {
    w.raw(name);
    for one in all {
        w.space();
        w.str(one.as_str());
    }
}
