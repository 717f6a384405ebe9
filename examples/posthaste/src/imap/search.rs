//! SEARCH over the store seam; the program itself is `imap_proto`'s.

use std::collections::HashMap;
use std::time::SystemTime;

use bytes::Bytes;
use imap_proto::{
    Candidate, Date, DateTime, Extension, Flag, Message as Named, Need, Needle, Program, Search,
    SearchKey, SearchKeys, Tag, Verdict,
};
use mime::{Headers, Structure};

use super::fetch::date_time;
use super::indexed;
use super::loaded::read_header;
use super::selected::Selected;
use super::{Done, Machine, Result, Session};
use crate::blocking::{Room, Taken, in_place};
use crate::store::{Digest, Digested, Flags, Message, StoreError, StoreResult};

/// A larger message is searched up to here.
const SEARCHED: u64 = 64 << 20;

/// What all messages that are being searched may take together.
pub(super) const SEARCH_ROOM: u64 = 256 << 20;

/// Messages of this size are searched while other threads take over.
const LONG_WORK: usize = 128 * 1024;

/// One message while it is looked at.
struct Looked<'a> {
    selected: &'a Selected,
    named: Named,
    message: &'a Message,
    date: DateTime,
    size: u64,
    digest: Option<Digested>,
    header: Option<Bytes>,
    whole: Option<(Bytes, Structure)>,
    room: &'a Room,
    /// What `whole` takes, and what its parts decoded may.
    taken: Option<Taken>,
}

impl Session<'_> {
    pub(super) async fn search(
        &mut self,
        search: Search,
        tag: &Tag,
        conn: &mut Machine,
    ) -> Result<Done> {
        let rev2 = conn.machine().is_enabled(Extension::Imap4Rev2);
        let Some(selected) = &mut self.selected else {
            return Ok(Done::bad("No mailbox is selected"));
        };
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let now = i64::try_from(now.unwrap_or_default().as_secs()).unwrap_or(i64::MAX);
        let charset = search.charset.as_ref();
        let program = match Program::new(&search.keys, charset, &selected.view, now) {
            Ok(program) => program,
            Err(error) => {
                let options = search.return_options.as_ref();
                if options.is_some_and(|options| options.save) {
                    selected.view.save(imap_proto::NumberSet::default());
                }
                return Ok(Done(error.status()));
            }
        };
        let room = &self.service.search_room;
        let found = match run(selected, &program, uses_size(&search.keys), room).await {
            Ok(found) => found,
            Err(error) => return Ok(Done::failed(&error)),
        };
        if let Some(saved) = search.saves(&found) {
            selected.view.save(saved);
        }
        // RFC 7162 §3.1.5: the highest among those found.
        let highest = found.iter().filter_map(|named| {
            let message = selected.snapshot.message(named.uid.get())?;
            Some(message.modseq)
        });
        let mod_seq = highest.max().filter(|_| search.keys.names_mod_seq());
        if let Some(answer) = search.answer(tag, &found, rev2, mod_seq) {
            conn.machine().untagged(&answer)?;
        }
        Ok(Done::ok("SEARCH completed"))
    }
}

/// The messages that match, ascending.
pub(super) async fn run(
    selected: &Selected,
    program: &Program,
    sizes: bool,
    room: &Room,
) -> StoreResult<Vec<Named>> {
    let mut found = Vec::new();
    let mut digests = Digests::default();
    for (index, uid) in selected.view.uids().iter().enumerate() {
        let Some(message) = selected.snapshot.message(uid.get()) else {
            continue;
        };
        let sequence = u32::try_from(index + 1)
            .ok()
            .and_then(std::num::NonZeroU32::new);
        let (Some(sequence), Some(date)) = (sequence, date_time(message.internal_date)) else {
            continue;
        };
        let size = match message.size {
            Some(size) => size,
            None if sizes => selected.mailbox.sizes(vec![uid.get()]).await?.iter().sum(),
            None => 0,
        };
        let mut looked = Looked {
            selected,
            named: Named { sequence, uid },
            message,
            date,
            size,
            digest: None,
            header: None,
            whole: None,
            room,
            taken: None,
        };
        match looked.verdict(program, &mut digests).await {
            Ok(true) => found.push(looked.named),
            // What is expunged meanwhile matches nothing.
            Ok(false) | Err(StoreError::Gone(_)) => {}
            Err(error) => return Err(error),
        }
        if index % 1024 == 1023 {
            // A long search lets other sessions have their turn.
            tokio::task::yield_now().await;
        }
    }
    Ok(found)
}

/// Messages whose digests are taken from the index in one step.
const DIGESTS_AHEAD: usize = 128;

/// Digests of this message and of those behind it, as far as they were taken.
#[derive(Default)]
struct Digests(HashMap<u32, Digested>);

impl Digests {
    async fn take(&mut self, selected: &Selected, uid: u32) -> Option<Digested> {
        if let Some(digest) = self.0.remove(&uid) {
            return Some(digest);
        }
        let messages = selected.snapshot.messages();
        let first = messages.partition_point(|message| message.uid < uid);
        let next = messages.get(first..).unwrap_or_default();
        let next = next.iter().take(DIGESTS_AHEAD);
        let uids: Vec<u32> = next.map(|message| message.uid).collect();
        let taken = selected.mailbox.digests(uids.clone()).await;
        // Of what has no digest the header says why.
        let taken = uids.into_iter().zip(taken);
        self.0 = taken
            .filter_map(|(uid, own)| Some((uid, own.ok()?)))
            .collect();
        self.0.remove(&uid)
    }
}

pub(super) fn uses_size(keys: &SearchKeys) -> bool {
    keys.keys()
        .any(|key| matches!(key, SearchKey::Larger(_) | SearchKey::Smaller(_)))
}

impl Looked<'_> {
    /// The header fields that the index has, or all of them.
    fn fields(&self, name: &str) -> Option<&[u8]> {
        match (&self.header, &self.digest) {
            (Some(header), _) => Some(header),
            (None, Some(digest)) if Digest::has_fields_of(name) => Some(digest.digest().fields()),
            _ => None,
        }
    }

    async fn verdict(&mut self, program: &Program, digests: &mut Digests) -> StoreResult<bool> {
        let mut asked_index = false;
        loop {
            let long = self.whole.as_ref();
            let long = long.is_some_and(|(octets, _)| octets.len() > LONG_WORK);
            let verdict = if long {
                in_place(|| program.evaluate(self))
            } else {
                program.evaluate(self)
            };
            match verdict {
                Verdict::Match => return Ok(true),
                Verdict::NoMatch => return Ok(false),
                Verdict::Needs(Need::Header) if !asked_index => {
                    asked_index = true;
                    self.digest = digests.take(self.selected, self.message.uid).await;
                }
                Verdict::Needs(Need::Header) if self.header.is_none() => {
                    let mut reader = self.selected.mailbox.read(self.message.uid).await?;
                    self.header = Some(read_header(&mut *reader).await?);
                }
                Verdict::Needs(_) if self.whole.is_none() => self.load().await?,
                Verdict::Needs(_) => return Ok(false),
            }
        }
    }

    async fn load(&mut self) -> StoreResult<()> {
        let mut reader = self.selected.mailbox.read(self.message.uid).await?;
        let size = reader.size().min(SEARCHED);
        self.taken = self.room.take(2 * size).await;
        let mut octets = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
        while let Some(chunk) = reader.next().await? {
            octets.extend_from_slice(&chunk);
            if octets.len() as u64 >= SEARCHED {
                break;
            }
        }
        let octets = Bytes::from(octets);
        let structure = if octets.len() > LONG_WORK {
            in_place(|| Structure::parse(&octets))
        } else {
            Structure::parse(&octets)
        };
        let end = Headers::new(&octets).header_len();
        self.header = Some(octets.slice(..end));
        self.whole = Some((octets, structure));
        Ok(())
    }
}

impl Candidate for Looked<'_> {
    fn message(&self) -> Named {
        self.named
    }

    fn has_flag(&self, flag: &Flag) -> bool {
        let system = |flag| self.message.flags.contains(flag);
        match flag {
            Flag::Answered => system(Flags::ANSWERED),
            Flag::Flagged => system(Flags::FLAGGED),
            Flag::Deleted => system(Flags::DELETED),
            Flag::Seen => system(Flags::SEEN),
            Flag::Draft => system(Flags::DRAFT),
            Flag::Recent => self.selected.view.is_recent(self.named.uid),
            Flag::Keyword(name) => {
                let mut own = self.selected.snapshot.keywords(self.message);
                own.any(|keyword| keyword.eq_ignore_ascii_case(name.as_str()))
            }
            Flag::Extension(_) => false,
        }
    }

    fn internal_date(&self) -> DateTime {
        self.date
    }

    fn size(&self) -> u64 {
        self.size
    }

    fn mod_seq(&self) -> u64 {
        self.message.modseq
    }

    fn save_date(&self) -> Option<DateTime> {
        date_time(self.message.save_date?)
    }

    fn has_email_id(&self, id: &[u8]) -> Option<bool> {
        let digest = self.digest.as_ref()?.digest();
        Some(indexed::email_id(&digest).as_bytes() == id)
    }

    fn has_thread_id(&self, id: &[u8]) -> Option<bool> {
        let digest = self.digest.as_ref()?.digest();
        Some(indexed::thread_id(&digest).as_bytes() == id)
    }

    fn sent_date(&self) -> Option<Option<Date>> {
        let header = self.fields("Date")?;
        let field = Headers::new(header).find("Date");
        Some(field.and_then(|field| Date::of_field(field.raw_value())))
    }

    fn field_contains(&self, name: &[u8], needle: &Needle) -> Option<bool> {
        let name = String::from_utf8_lossy(name);
        let header = self.fields(&name)?;
        let mut fields = Headers::new(header).find_all(&name);
        Some(fields.any(|field| needle.is_in(&field.text())))
    }

    fn header_contains(&self, needle: &Needle) -> Option<bool> {
        let header = self.header.as_ref()?;
        let mut fields = Headers::new(header);
        Some(fields.any(|field| {
            needle.is_in(&field.text()) || needle.is_in(&String::from_utf8_lossy(field.octets()))
        }))
    }

    fn body_contains(&self, needle: &Needle) -> Option<bool> {
        let (octets, structure) = self.whole.as_ref()?;
        Some(
            needle.is_empty()
                || structure.parts().any(|part| {
                    let text = part.text(octets);
                    text.is_some_and(|text| needle.is_in(&text))
                }),
        )
    }
}
