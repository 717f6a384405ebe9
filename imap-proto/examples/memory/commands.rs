//! The commands, and what a session knows of its mailbox.

use std::time::SystemTime;

use imap_proto::Flag::{Deleted, Seen};
use imap_proto::{
    Code, CommandBody, DateTime, Delimiter, Fetch, Mailbox, MailboxList, Message, Search,
    SequenceSet, StatusResponse, Store, StoreAction, Tag, Untagged, View, ViewOptions,
};

use super::store::{Folder, Folders, lock};
use super::{ONE, Session};

/// What goes ahead of the reply, and the reply; or a reply that refuses.
type Answer = Result<(Vec<Untagged>, StatusResponse), StatusResponse>;

/// The mailbox that a session has selected.
pub(crate) struct Selected {
    pub(crate) mailbox: Mailbox,
    read_only: bool,
    pub(crate) view: View,
    /// How much of the folder's log the view has got.
    read: usize,
}

fn done(data: Vec<Untagged>) -> Answer {
    Ok((data, StatusResponse::ok("completed")))
}

pub(crate) fn no_mailbox() -> StatusResponse {
    StatusResponse::no("No such mailbox").with(Code::TryCreate)
}

pub(crate) fn now() -> DateTime {
    DateTime::from_system_time(SystemTime::now(), 0).unwrap_or(DateTime::EPOCH)
}

impl Session {
    pub(crate) fn act(&mut self, tag: &Tag, body: CommandBody) -> Answer {
        use CommandBody as Body;
        let folders = self.folders.clone();
        let folders = &mut *lock(&folders);
        let slash = Delimiter::new('/').ok();
        match body {
            Body::Login { password, .. } if password.expose() != b"demo" => {
                Err(StatusResponse::no("Wrong").with(Code::AuthenticationFailed))
            }
            Body::Login { .. } | Body::Noop | Body::Subscribe(_) => done(vec![]),
            Body::Create { mailbox, .. } if folders.contains_key(&mailbox) => {
                Err(StatusResponse::no("It exists").with(Code::AlreadyExists))
            }
            Body::Create { mailbox, .. } => {
                folders.insert(mailbox, Folder::default());
                done(vec![])
            }
            Body::Delete(mailbox) => {
                folders.remove(&mailbox).ok_or_else(no_mailbox)?;
                done(vec![])
            }
            Body::Status(status) => {
                let folder = folders.get(&status.mailbox).ok_or_else(no_mailbox)?;
                done(vec![folder.state().status(&status)])
            }
            Body::List(list) => {
                let (reference, patterns) = (&list.reference, &list.patterns);
                let found = MailboxList::matching(reference, patterns, slash, folders.keys());
                done(found.into_iter().map(Untagged::List).collect())
            }
            Body::Lsub { reference, pattern } => {
                let found = MailboxList::matching(&reference, &[pattern], slash, folders.keys());
                done(found.into_iter().map(Untagged::Lsub).collect())
            }
            Body::Select(select) => {
                self.selected = None;
                let folder = folders.get(&select.mailbox).ok_or_else(no_mailbox)?;
                let view = View::new(folder.mails.keys().copied(), ViewOptions::default());
                let (mailbox, read_only) = (select.mailbox, select.read_only);
                self.selected = Some(Selected {
                    mailbox,
                    read_only,
                    view,
                    read: folder.log.len(),
                });
                let code = if read_only {
                    Code::ReadOnly
                } else {
                    Code::ReadWrite
                };
                let reply = StatusResponse::ok("Selected").with(code);
                Ok((folder.state().selected(None), reply))
            }
            body => {
                let nothing = || StatusResponse::bad("Nothing is selected");
                let closes = matches!(body, Body::Close | Body::Unselect);
                let selected = self.selected.as_mut().ok_or_else(nothing)?;
                let answer = selected.act(tag, body, folders);
                self.selected.take_if(|_| closes);
                answer
            }
        }
    }
}

impl Selected {
    /// Takes in what happened in the folder.
    pub(crate) fn catch_up(&mut self, folder: &Folder) {
        let news = folder.log.iter().skip(self.read).cloned();
        news.for_each(|change| self.view.apply(change));
        self.read = folder.log.len();
    }

    fn act(&mut self, tag: &Tag, body: CommandBody, folders: &mut Folders) -> Answer {
        let folder = folders.get_mut(&self.mailbox).ok_or_else(no_mailbox)?;
        self.catch_up(folder);
        match body {
            CommandBody::Unselect => done(vec![]),
            CommandBody::Close | CommandBody::Expunge => self.expunge(&SequenceSet::all(), folder),
            CommandBody::UidExpunge(set) => self.expunge(&set, folder),
            CommandBody::Fetch(fetch) => self.fetch(&fetch, folder),
            CommandBody::Store(store) => self.store(&store, folder),
            CommandBody::Search(search) => self.search(&search, tag, folder),
            CommandBody::Copy { uid, set, mailbox } => {
                self.copy(&set, uid, &mailbox, folders, false)
            }
            CommandBody::Move { uid, set, mailbox } => {
                self.copy(&set, uid, &mailbox, folders, true)
            }
            _ => Err(StatusResponse::no("Not here").with(Code::Cannot)),
        }
    }

    fn fetch(&mut self, fetch: &Fetch, folder: &mut Folder) -> Answer {
        let attributes = fetch.answered(self.read_only);
        let mut data = Vec::new();
        for message in self.view.resolve(&fetch.set, fetch.uid)? {
            if fetch.sets_seen() && !self.read_only {
                folder.store(message.uid, StoreAction::Add, &[Seen]);
            }
            // One that is gone elsewhere the client hears of later.
            if let Some(mail) = folder.mails.get(&message.uid) {
                let whole = mail.whole(message);
                let items = attributes.iter().filter_map(|one| whole.item(one));
                let (sequence, items) = (message.sequence, items.collect());
                data.push(Untagged::Fetch { sequence, items });
            }
        }
        self.read = folder.log.len(); // told here
        done(data)
    }

    fn store(&mut self, store: &Store, folder: &mut Folder) -> Answer {
        let mut data = Vec::new();
        for message in self.view.resolve(&store.set, store.uid)? {
            folder.store(message.uid, store.action, &store.flags);
            if let Some(mail) = folder.mails.get(&message.uid) {
                data.extend(self.view.stored(store, message, mail.flags.clone(), None));
            }
        }
        self.read = folder.log.len(); // told here, or silent
        done(data)
    }

    fn search(&mut self, search: &Search, tag: &Tag, folder: &Folder) -> Answer {
        let whole = |message: Message| Some(folder.mails.get(&message.uid)?.whole(message));
        let now = now().timestamp();
        let answer = self.view.search(search, tag, false, now, whole)?;
        done(answer.into_iter().collect())
    }

    fn expunge(&self, set: &SequenceSet, folder: &mut Folder) -> Answer {
        for Message { uid, .. } in self.view.resolve(set, true)? {
            let mail = folder.mails.get(&uid).filter(|_| !self.read_only);
            if mail.is_some_and(|mail| mail.flags.contains(&Deleted)) {
                folder.remove(uid);
            }
        }
        done(vec![])
    }

    fn copy(
        &self,
        set: &SequenceSet,
        uid: bool,
        to: &Mailbox,
        all: &mut Folders,
        moves: bool,
    ) -> Answer {
        let named = self.view.resolve(set, uid)?;
        let mut copied = Vec::new();
        for Message { uid, .. } in named {
            let from = all
                .get(&self.mailbox)
                .and_then(|folder| folder.mails.get(&uid));
            let mail = from.cloned();
            let folder = all.get_mut(to).ok_or_else(no_mailbox)?;
            if let Some(mail) = mail {
                copied.push((uid, folder.add(mail)));
            }
            if let Some(from) = all.get_mut(&self.mailbox).filter(|_| moves) {
                from.remove(uid);
            }
        }
        // RFC 6851 §4.3: of MOVE, ahead of the EXPUNGEs.
        let told = |code| Untagged::Status(StatusResponse::ok("Copied").with(code));
        done(Code::copied(ONE, copied).map(told).into_iter().collect())
    }
}
