//! FETCH.

use std::collections::HashSet;
use std::num::{NonZeroU32, NonZeroU64};
use std::sync::Arc;
use std::time::SystemTime;

use imap_proto::{
    Code, DateTime, Extension, Fetch, FetchAttribute, FetchItem, Message as Named, NumberSet,
    SequenceSet, Untagged,
};

use super::indexed;
use super::loaded::{Need, Streamed, load, need};
use super::select::vanished;
use super::selected::Selected;
use super::{Done, Machine, Result, Session};
use crate::store::{Digested, FlagChange, Flags, MessageReader, StoreError, StoreResult};

/// Messages that are opened in one step off the reactor; each has up to
/// 64 KiB of its beginning in memory.
const AHEAD: usize = 16;

/// Messages whose digests are taken from the index in one step.
const DIGESTS_AHEAD: usize = 128;

/// What is asked of each message.
struct Wanted<'a> {
    attributes: &'a [FetchAttribute],
    need: Need,
    shows_flags: bool,
    rev1: bool,
    condstore: bool,
}

impl Session<'_> {
    pub(super) async fn fetch(&mut self, fetch: &Fetch, conn: &mut Machine) -> Result<Done> {
        let rev1 = !conn.machine().is_enabled(Extension::Imap4Rev2);
        let condstore = conn.machine().is_enabled(Extension::CondStore);
        let Some(selected) = &self.selected else {
            return Ok(Done::bad("No mailbox is selected"));
        };
        let named = match selected.view.resolve(&fetch.set, fetch.uid) {
            Ok(named) => only_wanted(named, fetch, selected),
            Err(error) => return Ok(Done::bad(&error.to_string())),
        };
        // The same item twice says nothing new.
        let mut told = HashSet::new();
        let mut attributes = fetch.attributes.clone();
        attributes.retain(|attribute| told.insert(attribute.clone()));
        for (wanted, attribute) in [
            // RFC 7162 §3.1.4.1.
            (fetch.changed_since.is_some(), FetchAttribute::ModSeq),
            (fetch.uid, FetchAttribute::Uid),
        ] {
            if wanted && !attributes.contains(&attribute) {
                attributes.insert(0, attribute);
            }
        }
        if let Some(since) = fetch.changed_since.filter(|_| fetch.vanished) {
            let wanted = numbers(&fetch.set, selected);
            let changes = match selected.mailbox.changes_since(since).await {
                Ok(changes) => changes,
                Err(error) => return Ok(Done::failed(&error)),
            };
            let gone = vanished(&changes);
            if let Some(told) = selected.view.vanished_earlier(&wanted, Some(&gone)) {
                conn.machine().untagged(&told)?;
            }
        }
        let sees = !selected.read_only && attributes.iter().any(FetchAttribute::sets_seen);
        let newly_seen = if sees {
            match self.mark_seen(&named).await {
                Ok(newly_seen) => newly_seen,
                Err(error) => return Ok(Done::failed(&error)),
            }
        } else {
            Vec::new()
        };
        // What the index knows is asked of the message only if that is read anyway.
        let known = |attribute: &&FetchAttribute| indexed::knows(attribute);
        let from_index = attributes
            .iter()
            .all(|own| indexed::knows(own) || need(own) == Need::Nothing);
        let mut need = attributes.iter().map(need).max().unwrap_or(Need::Nothing);
        let digested = match need {
            Need::Nothing | Need::Size => false,
            _ if from_index => true,
            _ => attributes.iter().filter(known).any(indexed::only_known),
        };
        if from_index && digested {
            need = Need::Nothing;
        }
        let Some(selected) = &self.selected else {
            return Ok(Done::bad("No mailbox is selected"));
        };
        let mailbox = Arc::clone(&selected.mailbox);
        let mut gone = false;
        let mut readers = std::collections::VecDeque::new();
        let mut digests = std::collections::VecDeque::new();
        for (index, message) in named.iter().copied().enumerate() {
            if need >= Need::Header && readers.is_empty() {
                let next = named.get(index..).unwrap_or_default();
                let uids = next.iter().take(AHEAD).map(|next| next.uid.get()).collect();
                readers.extend(mailbox.read_many(uids).await);
            }
            if digested && digests.is_empty() {
                let next = named.get(index..).unwrap_or_default();
                let next = next.iter().take(DIGESTS_AHEAD);
                let uids = next.map(|next| next.uid.get()).collect();
                digests.extend(mailbox.digests(uids).await);
            }
            let reader = readers.pop_front();
            let digest = match digests.pop_front().transpose() {
                Ok(digest) => digest,
                Err(StoreError::Gone(_)) => {
                    gone = true;
                    continue;
                }
                Err(error) => return Ok(Done::failed(&error)),
            };
            let shows_flags = newly_seen.binary_search(&message.uid.get()).is_ok();
            let wanted = Wanted {
                attributes: &attributes,
                need,
                shows_flags,
                rev1,
                condstore,
            };
            let sent = self
                .fetch_one(message, &wanted, reader, digest, conn)
                .await?;
            match sent {
                Ok(()) => {}
                Err(StoreError::Gone(_)) => gone = true,
                Err(error) => return Ok(Done::failed(&error)),
            }
            if conn.machine().wants_drain() {
                conn.flush_above(64 * 1024).await?;
            }
        }
        Ok(if gone && !fetch.uid {
            Done::no("Some of the messages were expunged").with(Code::ExpungeIssued)
        } else {
            Done::ok("FETCH completed")
        })
    }

    /// Sets `\Seen` where it is not set; answers the UIDs that were changed.
    async fn mark_seen(&mut self, named: &[Named]) -> StoreResult<Vec<u32>> {
        let Some(selected) = &self.selected else {
            return Ok(Vec::new());
        };
        let unseen: Vec<u32> = named
            .iter()
            .map(|message| message.uid.get())
            .filter(|uid| {
                let message = selected.snapshot.message(*uid);
                message.is_some_and(|message| !message.flags.contains(Flags::SEEN))
            })
            .collect();
        if !unseen.is_empty() {
            let change = FlagChange::add(Flags::SEEN);
            selected
                .mailbox
                .set_flags(unseen.clone(), change, None)
                .await?;
            self.sync().await;
            if let Some(selected) = &mut self.selected {
                for uid in unseen.iter().filter_map(|uid| NonZeroU32::new(*uid)) {
                    selected.view.flags_told(uid);
                }
            }
        }
        Ok(unseen)
    }

    async fn fetch_one(
        &mut self,
        named: Named,
        wanted: &Wanted<'_>,
        reader: Option<StoreResult<Box<dyn MessageReader>>>,
        digest: Option<Digested>,
        conn: &mut Machine,
    ) -> Result<StoreResult<()>> {
        let Wanted {
            attributes,
            need,
            shows_flags,
            rev1,
            condstore,
        } = *wanted;
        let Some(selected) = &self.selected else {
            return Ok(Ok(()));
        };
        let uid = named.uid.get();
        let Some(message) = selected.snapshot.message(uid) else {
            return Ok(Err(StoreError::Gone(uid)));
        };
        let mailbox = &*selected.mailbox;
        let known_size = message.size;
        let loaded = match load(mailbox, uid, need, known_size, attributes, reader).await {
            Ok(loaded) => loaded,
            Err(error) => return Ok(Err(error)),
        };
        let mut items = Vec::with_capacity(attributes.len() + 1);
        let mut streamed = Vec::new();
        let mut made = 0;
        for attribute in attributes {
            let item = match attribute {
                FetchAttribute::Flags => FetchItem::Flags(selected.flags(message, rev1)),
                FetchAttribute::Uid => FetchItem::Uid(named.uid),
                FetchAttribute::ModSeq => match NonZeroU64::new(message.modseq) {
                    Some(mod_seq) => FetchItem::ModSeq(mod_seq),
                    None => continue,
                },
                FetchAttribute::InternalDate => match date_time(message.internal_date) {
                    Some(date) => FetchItem::InternalDate(date),
                    None => continue,
                },
                FetchAttribute::SaveDate => {
                    FetchItem::SaveDate(message.save_date.and_then(date_time))
                }
                other if digest.is_some() && indexed::knows(other) => {
                    match digest
                        .as_ref()
                        .map(|own| indexed::item(own, other, &mut made))
                    {
                        Some(Ok(item)) => item,
                        Some(Err(error)) => return Ok(Err(error)),
                        None => continue,
                    }
                }
                other => match loaded.item(other, &mut streamed) {
                    Ok(item) => item,
                    Err(error) => return Ok(Err(error)),
                },
            };
            items.push(item);
        }
        if shows_flags {
            let asks = |attribute| attributes.contains(attribute);
            if condstore && !asks(&FetchAttribute::Uid) {
                items.push(FetchItem::Uid(named.uid));
            }
            if condstore && !asks(&FetchAttribute::ModSeq) {
                items.extend(NonZeroU64::new(message.modseq).map(FetchItem::ModSeq));
            }
            if !asks(&FetchAttribute::Flags) {
                items.push(FetchItem::Flags(selected.flags(message, rev1)));
            }
        }
        // Opened before anything is said: a message that cannot be read is
        // not announced.
        let mut readers = Vec::with_capacity(streamed.len());
        for section in streamed {
            let opened = async {
                let mut reader = mailbox.read(uid).await?;
                reader.skip(section.from).await?;
                Ok(reader)
            };
            match opened.await {
                Ok(reader) => readers.push((section, reader)),
                Err(error) => return Ok(Err(error)),
            }
        }
        let sequence = named.sequence;
        conn.machine()
            .untagged(&Untagged::Fetch { sequence, items })?;
        for (section, reader) in readers {
            stream(section, reader, conn).await?;
        }
        Ok(Ok(()))
    }
}

/// Sends a section that was announced.
async fn stream(
    section: Streamed,
    mut reader: Box<dyn MessageReader>,
    conn: &mut Machine,
) -> Result {
    let mut left = section.octets;
    while left > 0 {
        let chunk = match reader.next().await {
            Ok(Some(chunk)) => chunk,
            // The literal was announced: what cannot be read any more can
            // only be made up, or the connection given up.
            Ok(None) | Err(_) => {
                let error = std::io::Error::other("a message could not be read to its end");
                return Err(error.into());
            }
        };
        let here = usize::try_from(left).unwrap_or(usize::MAX).min(chunk.len());
        left -= here as u64;
        conn.machine().send_payload(chunk.slice(..here))?;
        conn.flush_above(256 * 1024).await?;
    }
    Ok(())
}

/// Of the messages that were named those that CHANGEDSINCE and PARTIAL leave:
/// a slice of what has changed (RFC 9394 §3.3).
fn only_wanted(mut named: Vec<Named>, fetch: &Fetch, selected: &Selected) -> Vec<Named> {
    if let Some(since) = fetch.changed_since {
        named.retain(|named| {
            let message = selected.snapshot.message(named.uid.get());
            message.is_some_and(|message| message.modseq > since)
        });
    }
    match fetch.partial {
        Some(range) => range.of(&named).to_vec(),
        None => named,
    }
}

/// The UIDs that a set names, those of no message too.
fn numbers(set: &SequenceSet, selected: &Selected) -> NumberSet {
    if *set == SequenceSet::SavedResult {
        return selected.view.saved().clone();
    }
    let largest = selected.view.uids().last().unwrap_or(NonZeroU32::MIN);
    let mut numbers = NumberSet::default();
    for (first, last) in set.resolve(largest) {
        numbers.insert_range(first, last);
    }
    numbers
}

/// An INTERNALDATE, shown in UTC; nothing for years that IMAP cannot show.
pub(super) fn date_time(at: SystemTime) -> Option<DateTime> {
    DateTime::from_system_time(at, 0)
}
