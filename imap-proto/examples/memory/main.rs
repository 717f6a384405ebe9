//! An IMAP server with its mail in memory: the machine, the view, and a host
//! around them, one thread a connection.
//!
//! `cargo run --example memory [ADDRESS]`, then log in as anybody with the
//! password `demo`. All connections share the same mailboxes.
#![allow(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "an example runs on the real clock and talks to its user"
)]

mod commands;
mod store;

use std::error::Error;
use std::io::{ErrorKind, Read};
use std::net::{TcpListener, TcpStream};
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use self::commands::{Selected, no_mailbox, now};
use self::store::{Folder, Folders, Mail, lock};
use bytes::{Buf, Bytes, BytesMut};
use imap_proto::{
    Code, Command, Config, Event, Extension, Mailbox, NumberSet, Payload, Server, StatusResponse,
    Step,
};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const ONE: NonZeroU32 = NonZeroU32::MIN;

/// What this host does with the commands that it gets: nothing else is offered.
const OFFERED: [Extension; 8] = [
    Extension::Imap4Rev1,
    Extension::LiteralPlus,
    Extension::Idle,
    Extension::Unselect,
    Extension::UidPlus,
    Extension::Move,
    Extension::ESearch,
    Extension::SearchRes,
];

struct Session {
    socket: TcpStream,
    server: Server,
    /// All sessions share the mailboxes.
    folders: Arc<Mutex<Folders>>,
    selected: Option<Selected>,
    incoming: Option<(Payload, BytesMut)>,
}

fn main() -> Result<()> {
    let address = std::env::args().nth(1);
    let listener = TcpListener::bind(address.as_deref().unwrap_or("127.0.0.1:1143"))?;
    println!("IMAP on {}, password demo", listener.local_addr()?);
    serve(&listener)
}

/// Serves all who connect, from an INBOX that is empty.
pub(crate) fn serve(listener: &TcpListener) -> Result<()> {
    let folders = Arc::new(Mutex::new(Folders::default()));
    lock(&folders).insert(Mailbox::inbox(), Folder::default());
    let config = Arc::new(Config {
        extensions: OFFERED.into_iter().collect(),
        login_without_tls: true, // an example: real passwords go through TLS
        ..Config::default()
    });
    for socket in listener.incoming() {
        let mut session = Session {
            socket: socket?,
            server: Server::new(config.clone(), Instant::now()),
            folders: folders.clone(),
            selected: None,
            incoming: None,
        };
        std::thread::spawn(move || session.run().map_err(|error| println!("ended: {error}")));
    }
    Ok(())
}

impl Session {
    fn run(&mut self) -> Result<()> {
        // Short waits, so that IDLE hears of other sessions' changes.
        let wait = Duration::from_millis(100);
        self.socket.set_read_timeout(Some(wait))?;
        let mut input = BytesMut::new();
        loop {
            self.flush()?;
            match self.server.poll(&mut input, Instant::now()) {
                Ok(Step::Event(event)) => self.handle(event)?,
                Ok(Step::NeedInput) => self.read(&mut input)?,
                Ok(Step::NeedDrain | Step::NeedAnswer) => {}
                Ok(Step::Closed) => return self.flush(),
                Err(error) => {
                    self.flush()?;
                    return Err(error.into());
                }
            }
        }
    }

    fn read(&mut self, input: &mut BytesMut) -> Result<()> {
        let mut chunk = [0; 16 * 1024];
        match self.socket.read(&mut chunk) {
            Ok(0) => self.server.handle_eof(),
            Ok(count) => input.extend(chunk.iter().take(count)),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                self.server.handle_timeout(Instant::now());
                if self.server.is_idling() {
                    self.tell(true)?;
                }
            }
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        std::io::copy(&mut self.server.output().reader(), &mut self.socket)?;
        Ok(())
    }

    /// Sends the news that may be sent.
    fn tell(&mut self, may_expunge: bool) -> Result<()> {
        if let Some(selected) = &mut self.selected {
            if let Some(folder) = lock(&self.folders).get(&selected.mailbox) {
                selected.catch_up(folder);
            }
            let mut news = selected.view.pending(may_expunge).into_iter();
            news.try_for_each(|data| self.server.untagged(&data))?;
        }
        Ok(())
    }

    fn command(&mut self, command: Command) -> Result<()> {
        let may_expunge = command.body.may_expunge();
        let answer = self.act(&command.tag, command.body);
        let (data, reply) = answer.unwrap_or_else(|refusal| (Vec::new(), refusal));
        for data in data {
            self.server.untagged(&data)?;
            if self.server.wants_drain() {
                self.flush()?;
            }
        }
        self.tell(may_expunge)?;
        Ok(self.server.reply(reply)?)
    }

    fn append(&mut self, payload: Payload, octets: Bytes) -> Result<()> {
        let mail = Mail {
            date: payload.options.date.unwrap_or_else(now),
            flags: payload.options.flags,
            octets,
        };
        let mut folders = lock(&self.folders);
        let uid = folders
            .get_mut(&payload.mailbox)
            .map(|folder| folder.add(mail));
        drop(folders);
        self.tell(true)?;
        let (uid_validity, uids) = (ONE, NumberSet::from_iter(uid));
        let code = Code::AppendUid { uid_validity, uids };
        Ok(self
            .server
            .reply(StatusResponse::ok("Appended").with(code))?)
    }

    fn handle(&mut self, event: Event) -> Result<()> {
        match event {
            Event::Command(command) => self.command(command)?,
            Event::IdleDone => {
                self.tell(true)?;
                self.server.ok("IDLE completed")?;
            }
            Event::PayloadStart(payload) => {
                if !lock(&self.folders).contains_key(&payload.mailbox) {
                    return Ok(self.server.reply(no_mailbox())?);
                }
                self.server.accept_payload()?;
                self.incoming = Some((payload, BytesMut::new()));
            }
            Event::Payload(octets) => {
                let message = self.incoming.iter_mut();
                message.for_each(|(_, message)| message.extend_from_slice(&octets));
            }
            Event::PayloadEnd { .. } => {
                if let Some((payload, message)) = self.incoming.take() {
                    self.append(payload, message.freeze())?;
                }
            }
            Event::PayloadAborted(_) => self.incoming = None,
            Event::Rejected(rejected) => println!("rejected: {}", rejected.rejection),
            // IDLE begins; and AUTHENTICATE is not offered.
            _ => {}
        }
        Ok(())
    }
}
