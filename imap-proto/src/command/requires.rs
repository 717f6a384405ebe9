//! Which extensions a command is part of.

use super::{CommandBody, metadata};
use crate::Extension;
use crate::types::SequenceSet;

impl CommandBody {
    /// Whether it speaks of sequence numbers, which UIDONLY forbids (RFC 9586
    /// §3).
    pub(crate) fn names_sequence_numbers(&self) -> bool {
        match self {
            Self::Fetch(fetch) => !fetch.uid,
            Self::Store(store) => !store.uid,
            Self::StoreAnnotations { uid, .. }
            | Self::Copy { uid, .. }
            | Self::Move { uid, .. } => !uid,
            Self::Search(search) => !search.uid || search.keys.names_sequence_numbers(),
            Self::Sort(sort) => !sort.uid || sort.keys.names_sequence_numbers(),
            Self::Thread(thread) => !thread.uid || thread.keys.names_sequence_numbers(),
            Self::MultiSearch(search) => search.keys.names_sequence_numbers(),
            Self::Select(select) => {
                let known = select.qresync.as_ref();
                known.is_some_and(|known| known.sequence_match.is_some())
            }
            _ => false,
        }
    }

    /// Calls `need` with each extension that the command is part of.
    pub(crate) fn requires(&self, need: &mut dyn FnMut(Extension)) {
        match self {
            Self::Enable(_) => need(Extension::Enable),
            Self::Select(select) => select.requires(need),
            Self::Create { special_use, .. } if !special_use.is_empty() => {
                need(Extension::CreateSpecialUse);
            }
            Self::List(list) => list.requires(need),
            Self::Namespace => need(Extension::Namespace),
            Self::Status(status) => status.items.iter().for_each(|item| item.requires(need)),
            Self::Idle => need(Extension::Idle),
            Self::Unselect => need(Extension::Unselect),
            Self::UidExpunge(set) => {
                need(Extension::UidPlus);
                requires_set(set, need);
            }
            Self::Search(search) => search.requires(need),
            Self::Sort(sort) => sort.requires(need),
            Self::Thread(thread) => thread.requires(need),
            Self::Fetch(fetch) => {
                fetch.requires(need);
                requires_set(&fetch.set, need);
            }
            Self::Store(store) => {
                store.requires(need);
                requires_set(&store.set, need);
            }
            Self::Copy { set, .. } => requires_set(set, need),
            Self::Move { set, .. } => {
                need(Extension::Move);
                requires_set(set, need);
            }
            Self::Id(_) => need(Extension::Id),
            Self::GetQuota(_) | Self::GetQuotaRoot(_) => need(Extension::Quota),
            Self::SetQuota { .. } => need(Extension::QuotaSet),
            Self::SetAcl(_)
            | Self::GetAcl(_)
            | Self::MyRights(_)
            | Self::DeleteAcl { .. }
            | Self::ListRights { .. } => need(Extension::Acl),
            Self::GetMetadata(get) => need(metadata::required(&get.mailbox)),
            Self::SetMetadata(set) => need(metadata::required(&set.mailbox)),
            Self::Unauthenticate => need(Extension::Unauthenticate),
            Self::Compress => need(Extension::CompressDeflate),
            Self::Lsub { .. } | Self::Check => need(Extension::Imap4Rev1),
            Self::Authenticate {
                initial_response: Some(_),
                ..
            } => need(Extension::SaslIr),
            Self::StoreAnnotations { set, .. } => {
                need(Extension::Annotate);
                requires_set(set, need);
            }
            other => other.requires_extended(need),
        }
    }
}

fn requires_set(set: &SequenceSet, need: &mut dyn FnMut(Extension)) {
    if *set == SequenceSet::SavedResult {
        need(Extension::SearchRes);
    }
}
