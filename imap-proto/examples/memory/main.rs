//! An IMAP server with its mail in memory: the machine, the view, and a host
//! of a few hundred lines around them, one thread a connection.
//!
//! `cargo run --example memory [ADDRESS]`, then log in as anybody with the
//! password `demo`. All connections share the same mailboxes.
#![allow(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "an example runs on the real clock and talks to its user"
)]

mod message;
mod store;

use std::collections::BTreeMap;
use std::error::Error;
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use bytes::{Buf, BytesMut};
use imap_proto::{
    Code, Command, CommandBody, Config, DateTime, Delimiter, Event, Extension, Fetch,
    FetchAttribute, FetchItem, Flag, List, ListPattern, Mailbox, MailboxList, Message, Namespace,
    Namespaces, NumberSet, Payload, PermanentFlag, Program, Search, SequenceSet, Server,
    StatusItem, StatusResponse, Step, Store, StoreAction, Tag, Untagged, Verdict, View,
    ViewOptions,
};
use message::{Found, item};
use store::{Folder, Folders};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const ONE: NonZeroU32 = NonZeroU32::MIN;

/// The mailbox that a session has selected.
struct Selected {
    mailbox: Mailbox,
    read_only: bool,
    view: View,
    read: usize,
}

struct Session {
    folders: Folders,
    selected: Option<Selected>,
    incoming: Option<(Payload, BytesMut)>,
}

fn main() -> Result<()> {
    let address = std::env::args().nth(1);
    let listener = TcpListener::bind(address.as_deref().unwrap_or("127.0.0.1:1143"))?;
    println!("IMAP on {}, password demo", listener.local_addr()?);
    let mut folders = BTreeMap::new();
    folders.insert(Mailbox::inbox(), Folder::new());
    let folders: Folders = Arc::new(Mutex::new(folders));
    let config = Arc::new(Config {
        login_without_tls: true,
        ..Config::default()
    });
    for socket in listener.incoming() {
        let (socket, config, folders) = (socket?, config.clone(), folders.clone());
        std::thread::spawn(move || {
            let mut session = Session {
                folders,
                selected: None,
                incoming: None,
            };
            if let Err(error) = session.run(socket, config) {
                println!("connection ended: {error}");
            }
        });
    }
    Ok(())
}

impl Session {
    fn run(&mut self, mut socket: TcpStream, config: Arc<Config>) -> Result<()> {
        // Short waits, so that IDLE hears of other sessions' changes.
        socket.set_read_timeout(Some(Duration::from_millis(200)))?;
        let mut server = Server::new(config, Instant::now());
        let mut input = BytesMut::new();
        loop {
            flush(&mut socket, &mut server)?;
            match server.poll(&mut input, Instant::now()) {
                Ok(Step::Event(event)) => self.handle(event, &mut server, &mut socket)?,
                Ok(Step::NeedDrain | Step::NeedAnswer) => {}
                Ok(Step::NeedInput) => {
                    if server.is_idling() {
                        self.tell(&mut server, true)?;
                        flush(&mut socket, &mut server)?;
                    }
                    let mut chunk = [0; 16 * 1024];
                    match socket.read(&mut chunk) {
                        Ok(0) => server.handle_eof(),
                        Ok(count) => input.extend(chunk.iter().take(count)),
                        Err(error) if is_timeout(&error) => server.handle_timeout(Instant::now()),
                        Err(error) => return Err(error.into()),
                    }
                }
                Ok(Step::Closed) => return flush(&mut socket, &mut server),
                Err(error) => {
                    flush(&mut socket, &mut server)?;
                    return Err(error.into());
                }
            }
        }
    }

    fn handle(&mut self, event: Event, server: &mut Server, socket: &mut TcpStream) -> Result<()> {
        match event {
            Event::Command(command) => self.command(command, server, socket)?,
            Event::IdleDone => {
                self.tell(server, true)?;
                server.ok("IDLE completed")?;
            }
            Event::PayloadStart(payload) => {
                if self.lock().contains_key(&payload.mailbox) {
                    server.accept_payload()?;
                    self.incoming = Some((payload, BytesMut::new()));
                } else {
                    server.reply(no_mailbox().with(Code::TryCreate))?;
                }
            }
            Event::Payload(octets) => {
                if let Some((_, message)) = &mut self.incoming {
                    message.extend_from_slice(&octets);
                }
            }
            Event::PayloadEnd { .. } => self.append(server)?,
            Event::PayloadAborted(_) => self.incoming = None,
            Event::Rejected(rejected) => println!("rejected: {}", rejected.rejection),
            Event::Authenticate { .. } | Event::AuthData(_) | Event::StartTls => {
                server.no("Not offered")?;
            }
            _ => {}
        }
        Ok(())
    }

    fn append(&mut self, server: &mut Server) -> Result<()> {
        let Some((payload, message)) = self.incoming.take() else {
            return Ok(server.no("Nothing to append")?);
        };
        let date = payload.options.date.unwrap_or_else(now);
        let code = self.lock().get_mut(&payload.mailbox).map(|folder| {
            let uid = folder.add(payload.options.flags, date, message.freeze());
            Code::AppendUid {
                uid_validity: ONE,
                uids: [uid].into_iter().collect(),
            }
        });
        self.tell(server, true)?;
        Ok(server.reply(match code {
            Some(code) => StatusResponse::ok("APPEND completed").with(code),
            None => no_mailbox(),
        })?)
    }

    fn command(
        &mut self,
        command: Command,
        server: &mut Server,
        socket: &mut TcpStream,
    ) -> Result<()> {
        use CommandBody as Body;
        let tag = command.tag;
        let mut may_expunge = true;
        let status = match command.body {
            Body::Login { password, .. } => match password.expose() {
                b"demo" => StatusResponse::ok("Logged in"),
                _ => StatusResponse::no("Wrong password").with(Code::AuthenticationFailed),
            },
            Body::Noop | Body::Check => StatusResponse::ok("completed"),
            Body::Id(_) => {
                server.untagged(&Untagged::Id(None))?;
                StatusResponse::ok("ID completed")
            }
            Body::Namespace => {
                let delimiter = Some(Delimiter::new('/')?);
                let personal = Namespace::new(ListPattern::new("")?, delimiter);
                server.untagged(&Untagged::Namespace(Namespaces {
                    personal: vec![personal],
                    ..Namespaces::default()
                }))?;
                StatusResponse::ok("NAMESPACE completed")
            }
            Body::Select(select) => self.select(select.mailbox, select.read_only, server)?,
            Body::Close => {
                self.expunge(|_| true);
                self.selected = None;
                StatusResponse::ok("CLOSE completed")
            }
            Body::Unselect => {
                self.selected = None;
                StatusResponse::ok("UNSELECT completed")
            }
            Body::Create { mailbox, .. } => {
                let mut folders = self.lock();
                match folders.contains_key(&mailbox) {
                    true => StatusResponse::no("It exists").with(Code::AlreadyExists),
                    false => {
                        folders.insert(mailbox, Folder::new());
                        StatusResponse::ok("CREATE completed")
                    }
                }
            }
            Body::Delete(mailbox) if mailbox.is_inbox() => StatusResponse::no("Not INBOX"),
            Body::Delete(mailbox) => match self.lock().remove(&mailbox) {
                Some(_) => StatusResponse::ok("DELETE completed"),
                None => no_mailbox(),
            },
            Body::Rename { from, to } => {
                let mut folders = self.lock();
                match folders.remove(&from) {
                    Some(folder) => {
                        folders.insert(to, folder);
                        StatusResponse::ok("RENAME completed")
                    }
                    None => no_mailbox(),
                }
            }
            Body::Subscribe(_) | Body::Unsubscribe(_) => StatusResponse::ok("All are subscribed"),
            Body::List(list) => self.list(&list, server)?,
            Body::Lsub { reference, pattern } => {
                let slash = Some(Delimiter::new('/')?);
                let pattern = pattern.behind(reference.as_str(), slash);
                for mailbox in self.lock().keys() {
                    if pattern.matches(mailbox.as_str(), slash) {
                        server
                            .untagged(&Untagged::Lsub(MailboxList::new(mailbox.clone(), slash)))?;
                    }
                }
                StatusResponse::ok("LSUB completed")
            }
            Body::Status(status) => match self.status(&status.mailbox, &status.items) {
                Some(data) => {
                    server.untagged(&data)?;
                    StatusResponse::ok("STATUS completed")
                }
                None => no_mailbox(),
            },
            Body::Fetch(fetch) => {
                may_expunge = fetch.uid;
                self.fetch(&fetch, server, socket)?
            }
            Body::Store(store) => {
                may_expunge = store.uid;
                self.store(&store, server)?
            }
            Body::Search(search) => {
                may_expunge = search.uid;
                self.search(&search, &tag, server)?
            }
            Body::Expunge => {
                self.expunge(|_| true);
                StatusResponse::ok("EXPUNGE completed")
            }
            Body::UidExpunge(set) => {
                let named = self.named(&set, true)?;
                self.expunge(|uid| named.iter().any(|one| one.uid == uid));
                StatusResponse::ok("EXPUNGE completed")
            }
            Body::Copy { uid, set, mailbox } => self.copy(&set, uid, &mailbox, false, server)?,
            Body::Move { uid, set, mailbox } => self.copy(&set, uid, &mailbox, true, server)?,
            _ => StatusResponse::no("Not here").with(Code::Cannot),
        };
        self.tell(server, may_expunge)?;
        Ok(server.reply(status)?)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Mailbox, Folder>> {
        self.folders.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Brings the view up to what has happened.
    fn follow(&mut self) {
        let folders = self.folders.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(selected) = &mut self.selected
            && let Some(folder) = folders.get(&selected.mailbox)
        {
            let news = folder.log.iter().skip(selected.read).cloned();
            news.for_each(|change| selected.view.apply(change));
            selected.read = folder.log.len();
        }
    }

    /// Sends the news that may be sent.
    fn tell(&mut self, server: &mut Server, may_expunge: bool) -> Result<()> {
        self.follow();
        let selected = self.selected.iter_mut();
        for data in selected.flat_map(|one| one.view.pending(may_expunge)) {
            server.untagged(&data)?;
        }
        Ok(())
    }

    fn named(&self, set: &SequenceSet, uid: bool) -> Result<Vec<Message>> {
        let selected = self.selected.as_ref().ok_or("nothing is selected")?;
        Ok(selected.view.resolve(set, uid)?)
    }

    fn select(
        &mut self,
        mailbox: Mailbox,
        read_only: bool,
        server: &mut Server,
    ) -> Result<StatusResponse> {
        self.selected = None;
        let (view, read, uid_next) = match self.lock().get(&mailbox) {
            None => return Ok(no_mailbox().with(Code::NonExistent)),
            Some(folder) => {
                let view = View::new(folder.mails.keys().copied(), ViewOptions::default());
                (view, folder.log.len(), folder.uid_next)
            }
        };
        let flags = [
            Flag::Answered,
            Flag::Flagged,
            Flag::Deleted,
            Flag::Seen,
            Flag::Draft,
        ];
        let mut permanent: Vec<_> = flags.iter().cloned().map(PermanentFlag::Flag).collect();
        permanent.push(PermanentFlag::Any);
        server.untagged(&Untagged::Flags(flags.to_vec()))?;
        server.untagged(&Untagged::Exists(view.exists()))?;
        server.untagged(&Untagged::Recent(0))?;
        for code in [
            Code::PermanentFlags(permanent),
            Code::UidValidity(ONE),
            Code::UidNext(uid_next),
        ] {
            server.untagged(&Untagged::Status(StatusResponse::ok("").with(code)))?;
        }
        self.selected = Some(Selected {
            mailbox,
            read_only,
            view,
            read,
        });
        let code = if read_only {
            Code::ReadOnly
        } else {
            Code::ReadWrite
        };
        Ok(StatusResponse::ok("SELECT completed").with(code))
    }

    fn list(&self, list: &List, server: &mut Server) -> Result<StatusResponse> {
        let slash = Some(Delimiter::new('/')?);
        let mailboxes: Vec<Mailbox> = self.lock().keys().cloned().collect();
        for pattern in &list.patterns {
            if pattern.as_str().is_empty() {
                let root = MailboxList::new(Mailbox::new("")?, slash);
                server.untagged(&Untagged::List(root))?;
            }
            let pattern = pattern.behind(list.reference.as_str(), slash);
            for mailbox in &mailboxes {
                if !pattern.as_str().is_empty() && pattern.matches(mailbox.as_str(), slash) {
                    server.untagged(&Untagged::List(MailboxList::new(mailbox.clone(), slash)))?;
                    let items = list.returns.status.iter();
                    for data in items.filter_map(|items| self.status(mailbox, items)) {
                        server.untagged(&data)?;
                    }
                }
            }
        }
        Ok(StatusResponse::ok("LIST completed"))
    }

    fn status(&self, mailbox: &Mailbox, items: &[StatusItem]) -> Option<Untagged> {
        let folders = self.lock();
        let folder = folders.get(mailbox)?;
        Some(Untagged::MailboxStatus {
            mailbox: mailbox.clone(),
            values: items
                .iter()
                .filter_map(|item| folder.status(*item))
                .collect(),
        })
    }

    fn fetch(
        &mut self,
        fetch: &Fetch,
        server: &mut Server,
        socket: &mut TcpStream,
    ) -> Result<StatusResponse> {
        let Ok(named) = self.named(&fetch.set, fetch.uid) else {
            return Ok(StatusResponse::bad("No such message"));
        };
        let selected = self.selected.as_ref().ok_or("nothing is selected")?;
        let mailbox = selected.mailbox.clone();
        let sets_seen = fetch.sets_seen() && !selected.read_only;
        let mut told = Vec::new();
        for Message { sequence, uid } in named {
            let mut folders = self.lock();
            let Some(folder) = folders.get_mut(&mailbox) else {
                break;
            };
            let seen = sets_seen && folder.set_flags(uid, StoreAction::Add, &[Flag::Seen]);
            let Some(mail) = folder.mails.get(&uid).cloned() else {
                continue; // expunged elsewhere; the client hears of it later
            };
            drop(folders);
            let mut items = Vec::new();
            if fetch.uid && !fetch.attributes.contains(&FetchAttribute::Uid) {
                items.push(FetchItem::Uid(uid));
            }
            items.extend(
                fetch
                    .attributes
                    .iter()
                    .filter_map(|attribute| item(&mail, attribute)),
            );
            if seen && !fetch.attributes.contains(&FetchAttribute::Flags) {
                items.push(FetchItem::Flags(mail.flags));
            }
            told.extend(seen.then_some(uid));
            server.untagged(&Untagged::Fetch { sequence, items })?;
            if server.wants_drain() {
                flush(socket, server)?;
            }
        }
        self.follow();
        if let Some(selected) = &mut self.selected {
            told.into_iter()
                .for_each(|uid| selected.view.flags_told(uid));
        }
        Ok(StatusResponse::ok("FETCH completed"))
    }

    fn store(&mut self, store: &Store, server: &mut Server) -> Result<StatusResponse> {
        let Ok(named) = self.named(&store.set, store.uid) else {
            return Ok(StatusResponse::bad("No such message"));
        };
        let selected = self.selected.as_ref().ok_or("nothing is selected")?;
        if selected.read_only {
            return Ok(StatusResponse::no("Read-only"));
        }
        let mailbox = selected.mailbox.clone();
        // News of other sessions first, so that what follows is this one's.
        self.follow();
        let mut folders = self.lock();
        let Some(folder) = folders.get_mut(&mailbox) else {
            return Ok(no_mailbox());
        };
        for Message { sequence, uid } in named {
            folder.set_flags(uid, store.action, &store.flags);
            let Some(mail) = folder.mails.get(&uid) else {
                continue;
            };
            let mut items = vec![FetchItem::Flags(mail.flags.clone())];
            if store.uid {
                items.insert(0, FetchItem::Uid(uid));
            }
            if !store.silent {
                server.untagged(&Untagged::Fetch { sequence, items })?;
            }
        }
        // Told already, or meant to be silent.
        let read = folder.log.len();
        drop(folders);
        if let Some(selected) = &mut self.selected {
            selected.read = read;
        }
        Ok(StatusResponse::ok("STORE completed"))
    }

    fn search(
        &mut self,
        search: &Search,
        tag: &Tag,
        server: &mut Server,
    ) -> Result<StatusResponse> {
        let selected = self.selected.as_mut().ok_or("nothing is selected")?;
        let charset = search.charset.as_ref();
        let program = match Program::new(&search.key, charset, &selected.view, now().timestamp()) {
            Ok(program) => program,
            Err(error) => return Ok(error.status()),
        };
        let folders = self.folders.lock().unwrap_or_else(PoisonError::into_inner);
        let mut found = Vec::new();
        for message in selected.view.resolve(&SequenceSet::all(), true)? {
            let mail = folders
                .get(&selected.mailbox)
                .and_then(|folder| folder.mails.get(&message.uid));
            let Some(mail) = mail else {
                continue;
            };
            // Everything is in memory: `Verdict::Needs` does not happen.
            if program.evaluate(&Found { message, mail }) == Verdict::Match {
                found.push(message);
            }
        }
        let rev2 = server.is_enabled(Extension::Imap4Rev2);
        if let Some(answer) = search.answer(tag, &found, rev2, None) {
            server.untagged(&answer)?;
        }
        if let Some(saved) = search.saves(&found) {
            selected.view.save(saved);
        }
        Ok(StatusResponse::ok("SEARCH completed"))
    }

    fn expunge(&self, named: impl Fn(NonZeroU32) -> bool) {
        let selected = self.selected.iter().filter(|one| !one.read_only);
        for selected in selected {
            if let Some(folder) = self.lock().get_mut(&selected.mailbox) {
                folder.expunge(&named);
            }
        }
    }

    fn copy(
        &mut self,
        set: &SequenceSet,
        uid: bool,
        to: &Mailbox,
        moves: bool,
        server: &mut Server,
    ) -> Result<StatusResponse> {
        let Ok(named) = self.named(set, uid) else {
            return Ok(StatusResponse::bad("No such message"));
        };
        let from = self
            .selected
            .as_ref()
            .ok_or("nothing is selected")?
            .mailbox
            .clone();
        let mut folders = self.lock();
        if !folders.contains_key(to) {
            return Ok(no_mailbox().with(Code::TryCreate));
        }
        let (mut source, mut destination) = (NumberSet::default(), NumberSet::default());
        for Message { uid, .. } in named {
            let mail = folders
                .get(&from)
                .and_then(|folder| folder.mails.get(&uid).cloned());
            if let (Some(mail), Some(folder)) = (mail, folders.get_mut(to)) {
                source.insert(uid);
                destination.insert(folder.add(mail.flags, mail.date, mail.octets));
            }
            if let Some(folder) = folders.get_mut(&from).filter(|_| moves) {
                folder.remove(uid);
            }
        }
        let status = StatusResponse::ok("completed");
        if source.is_empty() {
            return Ok(status);
        }
        let code = Code::CopyUid {
            uid_validity: ONE,
            source,
            destination,
        };
        if moves {
            // RFC 6851 §4.3: ahead of the EXPUNGEs.
            server.untagged(&Untagged::Status(StatusResponse::ok("").with(code)))?;
            return Ok(status);
        }
        Ok(status.with(code))
    }
}

fn no_mailbox() -> StatusResponse {
    StatusResponse::no("No such mailbox")
}

fn now() -> DateTime {
    let seconds = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let seconds = seconds.map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(0));
    DateTime::from_timestamp(seconds, 0).unwrap_or(DateTime::EPOCH)
}

fn is_timeout(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

fn flush(socket: &mut TcpStream, server: &mut Server) -> Result<()> {
    let output = server.output();
    while output.has_remaining() {
        let count = socket.write(output.chunk())?;
        output.advance(count);
    }
    Ok(())
}
