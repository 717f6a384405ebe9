//! SORT and THREAD: the order is `imap_proto`'s, the fields are the index's.

use std::time::SystemTime;

use imap_proto::{
    Message as Named, NumberSet, Program, SearchKeys, Sort, SortFields, SortKey, Tag, Thread,
    ThreadInput, Untagged, sort, thread,
};

use super::loaded::read_header;
use super::search::{run, uses_size};
use super::selected::Selected;
use super::{Done, Machine, Result, Session};
use crate::blocking::in_place;
use crate::store::{Mailbox, Message, StoreError, StoreResult};

/// Messages whose headers are taken from the index in one step.
const AHEAD: usize = 128;

/// So many messages are put in order while other threads take over.
const LONG_WORK: usize = 1000;

/// What SORT and THREAD want of a message.
struct Found<'a> {
    named: Named,
    message: &'a Message,
    size: u64,
    header: &'a [u8],
}

impl Found<'_> {
    /// Unix time of its arrival.
    fn arrival(&self) -> i64 {
        let at = self.message.internal_date;
        let seconds = |span: std::time::Duration| i64::try_from(span.as_secs()).unwrap_or(i64::MAX);
        match at.duration_since(SystemTime::UNIX_EPOCH) {
            Ok(after) => seconds(after),
            Err(before) => -seconds(before.duration()),
        }
    }
}

impl Session<'_> {
    /// SORT and UID SORT (RFC 5256 §3, RFC 5267 §3).
    pub(super) async fn sort(
        &mut self,
        asked: &Sort,
        tag: &Tag,
        conn: &mut Machine,
    ) -> Result<Done> {
        let charset = Some(&asked.charset);
        let sizes = asked.criteria.iter().any(|one| one.key == SortKey::Size);
        let fields = |found: Found<'_>| {
            SortFields::of_header(found.named, found.arrival(), found.size, found.header)
        };
        let mut found = match self.collect(&asked.keys, charset, sizes, fields).await {
            Ok(found) => found,
            Err(done) => {
                let options = asked.return_options.as_ref();
                let saves = options.is_some_and(|options| options.save);
                if let (Some(selected), true) = (&mut self.selected, saves) {
                    selected.view.save(NumberSet::default());
                }
                return Ok(done);
            }
        };
        let count = found.len();
        let mut order = || sort(&mut found, &asked.criteria);
        if count > LONG_WORK {
            in_place(order);
        } else {
            order();
        }
        let sorted: Vec<Named> = found.iter().map(SortFields::message).collect();
        let Some(selected) = &mut self.selected else {
            return Ok(Done::bad("No mailbox is selected"));
        };
        if let Some(saved) = asked.saves(&sorted) {
            selected.view.save(saved);
        }
        if let Some(answer) = asked.answer(tag, &sorted) {
            conn.machine().untagged(&answer)?;
        }
        Ok(Done::ok("SORT completed"))
    }

    /// THREAD and UID THREAD (RFC 5256 §3).
    pub(super) async fn thread(&mut self, asked: &Thread, conn: &mut Machine) -> Result<Done> {
        let charset = Some(&asked.charset);
        let fields = |found: Found<'_>| {
            let number = match asked.uid {
                true => found.named.uid,
                false => found.named.sequence,
            };
            ThreadInput::of_header(number, found.arrival(), found.header)
        };
        let found = match self.collect(&asked.keys, charset, false, fields).await {
            Ok(found) => found,
            Err(done) => return Ok(done),
        };
        let order = || thread(&found, asked.algorithm);
        let nodes = match found.len() > LONG_WORK {
            true => in_place(order),
            false => order(),
        };
        conn.machine().untagged(&Untagged::Thread(nodes))?;
        Ok(Done::ok("THREAD completed"))
    }

    /// Something of each message that matches.
    async fn collect<T>(
        &mut self,
        keys: &SearchKeys,
        charset: Option<&imap_proto::IString>,
        sizes: bool,
        of: impl Fn(Found<'_>) -> T,
    ) -> std::result::Result<Vec<T>, Done> {
        let Some(selected) = &mut self.selected else {
            return Err(Done::bad("No mailbox is selected"));
        };
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let now = i64::try_from(now.unwrap_or_default().as_secs()).unwrap_or(i64::MAX);
        let program = match Program::new(keys, charset, &selected.view, now) {
            Ok(program) => program,
            Err(error) => return Err(Done(error.status())),
        };
        let room = &self.service.search_room;
        let found = run(selected, &program, uses_size(keys), room).await;
        let found = found.map_err(|error| Done::failed(&error))?;
        let collected = headers(selected, &found, sizes, of).await;
        collected.map_err(|error| Done::failed(&error))
    }
}

async fn headers<T>(
    selected: &Selected,
    found: &[Named],
    sizes: bool,
    of: impl Fn(Found<'_>) -> T,
) -> StoreResult<Vec<T>> {
    let mut all = Vec::with_capacity(found.len());
    for some in found.chunks(AHEAD) {
        let uids = some.iter().map(|named| named.uid.get()).collect();
        let digests = selected.mailbox.digests(uids).await;
        for (named, digested) in some.iter().zip(digests) {
            let Some(message) = selected.snapshot.message(named.uid.get()) else {
                continue;
            };
            let (size, header) = match &digested {
                Ok(digested) => {
                    let digest = digested.digest();
                    (digest.size(), digest.fields().to_vec())
                }
                // What is expunged meanwhile has no place in an order.
                Err(StoreError::Gone(_)) => continue,
                Err(_) => match unknown(&*selected.mailbox, message, sizes).await {
                    Err(StoreError::Gone(_)) => continue,
                    read => read?,
                },
            };
            let (named, header) = (*named, &header[..]);
            all.push(of(Found {
                named,
                message,
                size,
                header,
            }));
        }
    }
    Ok(all)
}

/// Size and header of a message that has no digest.
async fn unknown(
    mailbox: &dyn Mailbox,
    message: &Message,
    sizes: bool,
) -> StoreResult<(u64, Vec<u8>)> {
    let size = match message.size {
        Some(size) => size,
        None if sizes => mailbox.sizes(vec![message.uid]).await?.iter().sum(),
        None => 0,
    };
    let mut reader = mailbox.read(message.uid).await?;
    Ok((size, read_header(&mut *reader).await?.to_vec()))
}
