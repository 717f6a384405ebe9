//! The commands, and what a session knows of its mailbox.

use std::num::NonZeroU32;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use bytes::Bytes;
use imap_proto::Flag::{Answered, Deleted, Draft, Flagged, Seen};
use imap_proto::{
    Code, Command, CommandBody, DateTime, Delimiter, Fetch, FetchAttribute, FetchItem, ListPattern,
    Mailbox, MailboxList, Message, NoSuchMessage, NumberSet, Payload, Program, Search, SearchError,
    SequenceSet, StatusItem, StatusResponse, StatusValue, Store, StoreAction, Tag, Untagged,
    Verdict, View, ViewOptions,
};

use super::message::Found;
use super::store::{Folder, Mail};
use super::{ONE, Result, Session};

/// The mailbox that a session has selected.
pub(crate) struct Selected {
    mailbox: Mailbox,
    read_only: bool,
    view: View,
    /// How much of the folder's log the view has got.
    read: usize,
}

pub(crate) fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

fn ok() -> StatusResponse {
    StatusResponse::ok("completed")
}

pub(crate) fn no_mailbox() -> StatusResponse {
    StatusResponse::no("No such mailbox")
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs().cast_signed())
}

impl Session {
    /// Does something with the selected folder, behind what happened before.
    fn with<T>(&mut self, act: impl FnOnce(&mut Selected, &mut Folder) -> T) -> Option<T> {
        let mut folders = lock(&self.folders);
        let selected = self.selected.as_mut()?;
        let folder = folders.get_mut(&selected.mailbox)?;
        let news = folder.log.iter().skip(selected.read).cloned();
        news.for_each(|change| selected.view.apply(change));
        selected.read = folder.log.len();
        Some(act(selected, folder))
    }

    /// Sends the news that may be sent.
    pub(crate) fn tell(&mut self, may_expunge: bool) -> Result<()> {
        let news = self.with(|selected, _| selected.view.pending(may_expunge));
        let mut news = news.into_iter().flatten();
        Ok(news.try_for_each(|data| self.server.untagged(&data))?)
    }

    pub(crate) fn append(&mut self, payload: Payload, octets: Bytes) -> Result<()> {
        let now = DateTime::from_timestamp(now(), 0).unwrap_or(DateTime::EPOCH);
        let (date, flags) = (payload.options.date.unwrap_or(now), payload.options.flags);
        let mail = Mail {
            uid: ONE,
            flags,
            date,
            octets,
        };
        let uid = lock(&self.folders)
            .get_mut(&payload.mailbox)
            .map(|folder| folder.add(mail));
        self.tell(true)?;
        let uids = NumberSet::from_iter(uid);
        Ok(self.server.reply(ok().with(Code::AppendUid {
            uid_validity: ONE,
            uids,
        }))?)
    }

    pub(crate) fn command(&mut self, command: Command) -> Result<()> {
        let may_expunge = match &command.body {
            CommandBody::Fetch(fetch) => fetch.uid,
            CommandBody::Store(store) => store.uid,
            CommandBody::Search(search) => search.uid,
            _ => true,
        };
        let status = match self.act(&command.tag, command.body) {
            Err(error) if error.is::<NoSuchMessage>() => StatusResponse::bad(error.to_string()),
            status => status?,
        };
        self.tell(may_expunge)?;
        Ok(self.server.reply(status)?)
    }

    fn act(&mut self, tag: &Tag, body: CommandBody) -> Result<StatusResponse> {
        use CommandBody as Body;
        let mut folders = lock(&self.folders);
        Ok(match body {
            Body::Login { password, .. } if password.expose() != b"demo" => {
                StatusResponse::no("Wrong").with(Code::AuthenticationFailed)
            }
            Body::Login { .. } | Body::Noop | Body::Subscribe(_) | Body::Unselect => ok(),
            Body::Create { mailbox, .. } if folders.contains_key(&mailbox) => {
                StatusResponse::no("It exists").with(Code::AlreadyExists)
            }
            Body::Create { mailbox, .. } => {
                folders.insert(mailbox, Folder::default());
                ok()
            }
            Body::Delete(mailbox) => folders.remove(&mailbox).map_or_else(no_mailbox, |_| ok()),
            Body::Status(status) => {
                let Some(folder) = folders.get(&status.mailbox) else {
                    return Ok(no_mailbox());
                };
                let unseen = folder
                    .mails
                    .values()
                    .filter(|mail| !mail.flags.contains(&Seen));
                let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
                let value = |item: &StatusItem| match item {
                    StatusItem::Messages => Some(StatusValue::Messages(count(folder.mails.len()))),
                    StatusItem::UidNext => Some(StatusValue::UidNext(folder.uid_next())),
                    StatusItem::UidValidity => Some(StatusValue::UidValidity(ONE)),
                    StatusItem::Unseen => Some(StatusValue::Unseen(count(unseen.clone().count()))),
                    StatusItem::Recent => Some(StatusValue::Recent(0)),
                    _ => None,
                };
                let values = status.items.iter().filter_map(value).collect();
                let mailbox = status.mailbox;
                self.server
                    .untagged(&Untagged::MailboxStatus { mailbox, values })?;
                ok()
            }
            body => {
                drop(folders);
                self.act_on_messages(tag, body)?
            }
        })
    }

    fn act_on_messages(&mut self, tag: &Tag, body: CommandBody) -> Result<StatusResponse> {
        match body {
            CommandBody::List(list) => self.list(&list.reference, &list.patterns, Untagged::List),
            CommandBody::Lsub { reference, pattern } => {
                self.list(&reference, &[pattern], Untagged::Lsub)
            }
            CommandBody::Select(select) => self.select(select.mailbox, select.read_only),
            CommandBody::Close | CommandBody::Expunge => self.expunge(&SequenceSet::all()),
            CommandBody::UidExpunge(set) => self.expunge(&set),
            CommandBody::Fetch(fetch) => self.fetch(&fetch),
            CommandBody::Store(store) => self.store(&store),
            CommandBody::Search(search) => self.search(&search, tag),
            CommandBody::Copy { uid, set, mailbox } => self.copy(&set, uid, &mailbox, false),
            CommandBody::Move { uid, set, mailbox } => self.copy(&set, uid, &mailbox, true),
            _ => Ok(StatusResponse::no("Not here").with(Code::Cannot)),
        }
    }

    fn list(
        &mut self,
        reference: &Mailbox,
        patterns: &[ListPattern],
        data: fn(MailboxList) -> Untagged,
    ) -> Result<StatusResponse> {
        let slash = Some(Delimiter::new('/')?);
        // An empty pattern asks for the delimiter.
        let root = Mailbox::new("")?;
        for pattern in patterns {
            let pattern = pattern.behind(reference.as_str(), slash);
            let of_root = pattern.as_str().is_empty();
            let is = |name: &Mailbox| pattern.matches(name.as_str(), slash);
            let folders = lock(&self.folders);
            let found = folders.keys().filter(|name| !of_root && is(name));
            for name in found.chain(of_root.then_some(&root)) {
                let list = MailboxList::new(name.clone(), slash);
                self.server.untagged(&data(list))?;
            }
        }
        Ok(ok())
    }

    fn named(&self, set: &SequenceSet, uid: bool) -> Result<Vec<Message>> {
        let selected = self.selected.as_ref().ok_or("nothing is selected")?;
        Ok(selected.view.resolve(set, uid)?)
    }

    fn select(&mut self, mailbox: Mailbox, read_only: bool) -> Result<StatusResponse> {
        self.selected = None;
        let folders = lock(&self.folders);
        let Some(folder) = folders.get(&mailbox) else {
            return Ok(no_mailbox());
        };
        let view = View::new(folder.mails.keys().copied(), ViewOptions::default());
        let of = |code| Untagged::Status(ok().with(code));
        for data in [
            Untagged::Flags(vec![Answered, Flagged, Deleted, Seen, Draft]),
            Untagged::Exists(view.exists()),
            Untagged::Recent(0),
            of(Code::UidValidity(ONE)),
            of(Code::UidNext(folder.uid_next())),
        ] {
            self.server.untagged(&data)?;
        }
        let read = folder.log.len();
        self.selected = Some(Selected {
            mailbox,
            read_only,
            view,
            read,
        });
        Ok(ok().with(if read_only {
            Code::ReadOnly
        } else {
            Code::ReadWrite
        }))
    }

    fn fetch(&mut self, fetch: &Fetch) -> Result<StatusResponse> {
        let mut attributes = fetch.attributes.clone();
        if fetch.uid && !attributes.contains(&FetchAttribute::Uid) {
            attributes.push(FetchAttribute::Uid);
        }
        if fetch.sets_seen() && !attributes.contains(&FetchAttribute::Flags) {
            attributes.push(FetchAttribute::Flags);
        }
        for Message { sequence, uid } in self.named(&fetch.set, fetch.uid)? {
            let mail = self.with(|selected, folder| {
                if fetch.sets_seen() && !selected.read_only {
                    folder.store(uid, StoreAction::Add, &[Seen]);
                    selected.read = folder.log.len(); // told here
                }
                folder.mails.get(&uid).cloned()
            });
            // One that is gone elsewhere the client hears of later.
            if let Some(mail) = mail.flatten() {
                let items = attributes
                    .iter()
                    .filter_map(|attribute| mail.item(attribute));
                let items = items.collect();
                self.server.untagged(&Untagged::Fetch { sequence, items })?;
            }
            if self.server.wants_drain() {
                self.flush()?;
            }
        }
        Ok(ok())
    }

    fn store(&mut self, store: &Store) -> Result<StatusResponse> {
        for Message { sequence, uid } in self.named(&store.set, store.uid)? {
            let flags = self.with(|selected, folder| {
                folder.store(uid, store.action, &store.flags);
                selected.read = folder.log.len(); // told here, or silent
                folder.mails.get(&uid).map(|mail| mail.flags.clone())
            });
            if let (Some(flags), false) = (flags.flatten(), store.silent) {
                let uid = Some(FetchItem::Uid(uid)).filter(|_| store.uid);
                let items = uid.into_iter().chain([FetchItem::Flags(flags)]).collect();
                self.server.untagged(&Untagged::Fetch { sequence, items })?;
            }
        }
        Ok(ok())
    }

    fn search(&mut self, search: &Search, tag: &Tag) -> Result<StatusResponse> {
        let mut found = self.named(&SequenceSet::all(), true)?;
        let (key, charset) = (&search.key, search.charset.as_ref());
        let done = self.with(|selected, folder| {
            let program = Program::new(key, charset, &selected.view, now())?;
            // Everything is in memory: `Verdict::Needs` does not happen.
            found.retain(|message| {
                let mail = folder.mails.get(&message.uid);
                mail.is_some_and(|mail| program.evaluate(&Found(*message, mail)) == Verdict::Match)
            });
            if let Some(saved) = search.saves(&found) {
                selected.view.save(saved);
            }
            Ok::<(), SearchError>(())
        });
        if let Some(Err(error)) = done {
            return Ok(error.status());
        }
        let answer = search.answer(tag, &found, false, None);
        answer
            .iter()
            .try_for_each(|data| self.server.untagged(data))?;
        Ok(ok())
    }

    fn expunge(&mut self, set: &SequenceSet) -> Result<StatusResponse> {
        let named = self.named(set, true)?;
        self.with(|selected, folder| {
            let is_deleted = |uid: &NonZeroU32| {
                folder
                    .mails
                    .get(uid)
                    .is_some_and(|mail| mail.flags.contains(&Deleted))
            };
            let gone: Vec<_> = named.iter().map(|one| one.uid).filter(is_deleted).collect();
            let gone = gone.into_iter().filter(|_| !selected.read_only);
            gone.for_each(|uid| folder.remove(uid));
        });
        Ok(ok())
    }

    fn copy(
        &mut self,
        set: &SequenceSet,
        uid: bool,
        to: &Mailbox,
        moves: bool,
    ) -> Result<StatusResponse> {
        let named = self.named(set, uid)?;
        if !lock(&self.folders).contains_key(to) {
            return Ok(no_mailbox().with(Code::TryCreate));
        }
        let (mut source, mut destination) = (NumberSet::default(), NumberSet::default());
        for Message { uid, .. } in named {
            let mail = self.with(|_, folder| folder.mails.get(&uid).cloned());
            let Some(mail) = mail.flatten() else { continue };
            if let Some(folder) = lock(&self.folders).get_mut(to) {
                source.insert(uid);
                destination.insert(folder.add(mail));
            }
            if moves {
                self.with(|_, folder| folder.remove(uid));
            }
        }
        let code = Code::CopyUid {
            uid_validity: ONE,
            source,
            destination,
        };
        // RFC 6851 §4.3: of MOVE, ahead of the EXPUNGEs.
        self.server.untagged(&Untagged::Status(ok().with(code)))?;
        Ok(ok())
    }
}
