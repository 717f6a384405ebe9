//! A conversation: commands as they are written, and all that came back.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use imap_proto::{
    Append, AppendOptions, Client, ClientConfig, ClientEvent, Command, CommandBody, Content,
    DateTime, Dialect, FetchItem, Flag, Mailbox, Response, StatusKind, StatusResponse, Ticket,
    Untagged,
};
use net::{Conn, Stream};
use tokio::net::TcpStream;

use crate::bed::PATIENCE;

pub(crate) struct Talk {
    pub(crate) conn: Conn<Client>,
    pub(crate) greeting: StatusResponse,
}

/// What came in answer to a command.
#[derive(Default)]
pub(crate) struct Answer {
    pub(crate) status: Option<StatusResponse>,
    pub(crate) data: Vec<Untagged>,
    /// Streamed contents, whole.
    pub(crate) streamed: Vec<(u32, Vec<u8>)>,
}

pub(crate) fn body(text: &str) -> CommandBody {
    let line = Bytes::from(format!("a {text}"));
    Command::parse(&line, Dialect::SERVER).unwrap().body
}

impl Answer {
    /// The untagged data as it would be sent, in lines.
    pub(crate) fn lines(&self) -> Vec<String> {
        let line = |data: &Untagged| {
            let octets = Response::Untagged(data.clone()).to_vec(Dialect::SERVER);
            String::from_utf8(octets).unwrap().trim_end().to_owned()
        };
        self.data.iter().map(line).collect()
    }

    pub(crate) fn has(&self, line: &str) -> bool {
        self.lines().iter().any(|one| one == line)
    }

    /// The items of a message's FETCH responses.
    pub(crate) fn items(&self, number: u32) -> Vec<FetchItem> {
        let items = self.data.iter().filter_map(|data| match data {
            Untagged::Fetch { sequence, items } if sequence.get() == number => Some(items.clone()),
            _ => None,
        });
        items.flatten().collect()
    }
}

impl Talk {
    pub(crate) async fn connect(port: u16) -> Self {
        let socket = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        let client = Client::new(Arc::new(ClientConfig::default()), Instant::now());
        let mut conn = Conn::new(Stream::from(socket), client);
        let greeting = match tokio::time::timeout(PATIENCE, conn.next()).await.unwrap() {
            Ok(Some(ClientEvent::Greeting(greeting))) => greeting,
            other => panic!("{other:?}"),
        };
        Self { conn, greeting }
    }

    /// Reads up to the reply of a command.
    pub(crate) async fn answer(&mut self, wanted: Ticket) -> Answer {
        let mut answer = Answer::default();
        let mut streaming = None;
        while answer.status.is_none() {
            let event = tokio::time::timeout(PATIENCE, self.conn.next()).await;
            match event.unwrap().unwrap().expect("it goes on") {
                ClientEvent::Untagged(data) => answer.data.push(data),
                ClientEvent::Reply { ticket, status } if ticket == wanted => {
                    answer.status = Some(status);
                }
                ClientEvent::Reply { .. } => {}
                ClientEvent::PayloadStart { sequence, item, .. } => {
                    let Some(Content::Stream(size)) = item.content() else {
                        panic!("{item:?}");
                    };
                    streaming = Some((*size, sequence.get(), Vec::new()));
                }
                ClientEvent::Payload(octets) => {
                    streaming.as_mut().unwrap().2.extend_from_slice(&octets);
                }
                ClientEvent::PayloadEnd => {
                    let (size, number, octets) = streaming.take().unwrap();
                    assert_eq!(octets.len() as u64, size);
                    answer.streamed.push((number, octets));
                }
                other => panic!("{other:?}"),
            }
        }
        answer
    }

    /// A command that is answered OK.
    pub(crate) async fn ok(&mut self, text: &str) -> Answer {
        let answer = self.ask(text).await;
        let status = answer.status.as_ref().unwrap();
        assert_eq!(status.kind, StatusKind::Ok, "{text}: {status:?}");
        answer
    }

    pub(crate) async fn ask(&mut self, text: &str) -> Answer {
        let ticket = self.conn.machine().command(body(text)).unwrap();
        self.answer(ticket).await
    }

    pub(crate) async fn append(&mut self, to: &str, flags: &[Flag], message: &[u8]) -> Answer {
        let options = AppendOptions {
            flags: flags.to_vec(),
            date: DateTime::from_timestamp(837_596_665, -420),
            ..AppendOptions::default()
        };
        let mailbox = Mailbox::new(to).unwrap();
        let append = Append { mailbox, options };
        let size = message.len() as u64;
        let ticket = self.conn.machine().append(append, size, false).unwrap();
        loop {
            match tokio::time::timeout(PATIENCE, self.conn.next())
                .await
                .unwrap()
            {
                Ok(Some(ClientEvent::PayloadWanted(wanted))) if wanted == ticket => break,
                Ok(Some(ClientEvent::Untagged(_))) => {}
                other => panic!("{other:?}"),
            }
        }
        for chunk in message.chunks(50_000) {
            let chunk = Bytes::copy_from_slice(chunk);
            self.conn.machine().send_payload(chunk).unwrap();
            self.conn.flush_above(100_000).await.unwrap();
        }
        let answer = self.answer(ticket).await;
        let status = answer.status.as_ref().unwrap();
        assert_eq!(status.kind, StatusKind::Ok, "{status:?}");
        answer
    }

    /// LOGOUT; the server closes.
    pub(crate) async fn logout(mut self) {
        self.conn.machine().command(CommandBody::Logout).unwrap();
        while let Some(event) = self.conn.next().await.unwrap() {
            assert!(!matches!(event, ClientEvent::Unparsed { .. }), "{event:?}");
        }
    }
}

pub(crate) fn message(name: &str, body: &str) -> String {
    format!(
        "Date: Wed, 17 Jul 1996 02:23:25 -0700\r\nFrom: Terry Gray <gray@cac.example>\r\n\
         To: imap@cac.example, \"Klensin, John\" <klensin@mit.example>\r\nSubject: {name}\r\n\
         Message-ID: <{name}@cac.example>\r\nMIME-Version: 1.0\r\n\
         Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\
         Content-Type: text/plain; charset=us-ascii\r\n\r\n{body}\r\n--b\r\n\
         Content-Type: application/octet-stream; name=\"a \\\"b\\\".bin\"\r\n\
         Content-Transfer-Encoding: base64\r\n\r\nAAEC\r\n--b--\r\n"
    )
}

/// What every server does alike. INBOX is empty at first; other mailboxes are
/// below `prefix`.
pub(crate) async fn common(talk: &mut Talk, prefix: &str) {
    talk.ok(&format!("CREATE {prefix}Entw&APw-rfe")).await;
    let list = talk.ok("LIST \"\" *").await;
    let is = |data: &Untagged| matches!(data, Untagged::List(list) if list.mailbox.as_str().ends_with("Entwürfe"));
    assert!(list.data.iter().any(is), "{:?}", list.lines());

    let one = message("one", "Hello.");
    let big = message("big", &"0123456789\r\n".repeat(300_000));
    talk.append("INBOX", &[Flag::Flagged], one.as_bytes()).await;
    talk.append("INBOX", &[], big.as_bytes()).await;
    let selected = talk.ok("SELECT INBOX").await;
    assert!(selected.has("* 2 EXISTS"), "{:?}", selected.lines());

    let fetched = talk
        .ok("FETCH 1:2 (UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODYSTRUCTURE)")
        .await;
    let items = fetched.items(1);
    let find = |what: &dyn Fn(&FetchItem) -> bool| items.iter().any(what);
    assert!(
        !find(&|item| matches!(item, FetchItem::Opaque { .. })),
        "{items:?}"
    );
    assert!(find(
        &|item| matches!(item, FetchItem::Rfc822Size(size) if *size == one.len() as u64)
    ));
    assert!(find(
        &|item| matches!(item, FetchItem::Flags(flags) if flags.contains(&Flag::Flagged))
    ));
    assert!(find(
        &|item| matches!(item, FetchItem::InternalDate(date) if date.timestamp() == 837_596_665)
    ));
    assert!(find(&|item| matches!(item, FetchItem::Envelope(envelope)
        if envelope.subject.as_ref().unwrap().as_bytes() == b"one" && envelope.to.len() == 2)));
    assert!(find(&|item| matches!(item, FetchItem::BodyStructure(body)
        if format!("{body:?}").contains("OCTET-STREAM") || format!("{body:?}").contains("octet-stream"))));

    // Small contents come in their response, large ones are streamed.
    let small = talk.ok("UID FETCH 1 (BODY.PEEK[])").await;
    let whole = |item: &FetchItem| match item.content() {
        Some(Content::Octets(octets)) => octets[..] == *one.as_bytes(),
        _ => false,
    };
    assert!(small.items(1).iter().any(whole), "{:?}", small.lines());
    let large = talk.ok("FETCH 2 (BODY.PEEK[] FLAGS)").await;
    assert_eq!(large.streamed.len(), 1);
    assert!(large.streamed[0] == (2, big.into_bytes()));

    assert!(talk.ok("SEARCH SUBJECT one").await.has("* SEARCH 1"));
    let stored = talk.ok("STORE 1 +FLAGS (\\Seen \\Deleted)").await;
    assert!(
        stored
            .items(1)
            .iter()
            .any(|item| matches!(item, FetchItem::Flags(flags) if flags.contains(&Flag::Deleted)))
    );
    assert!(talk.ok("SEARCH DELETED").await.has("* SEARCH 1"));

    // Pipelined: each ticket gets its own reply.
    let texts = [
        "NOOP",
        "FETCH 2 (FLAGS)",
        "SEARCH ALL",
        "UID FETCH 1:* (UID)",
        "CHECK",
    ];
    let mut tickets = Vec::new();
    for text in texts {
        tickets.push(talk.conn.machine().command(body(text)).unwrap());
    }
    let last = talk.answer(*tickets.last().unwrap()).await;
    assert!(
        last.has("* SEARCH 1 2") && last.items(2).len() >= 2,
        "{:?}",
        last.lines()
    );

    let expunged = talk.ok("EXPUNGE").await;
    assert!(expunged.has("* 1 EXPUNGE"), "{:?}", expunged.lines());
    let no = talk.ask(&format!("SELECT {prefix}nowhere")).await;
    assert_eq!(no.status.unwrap().kind, StatusKind::No);
    // Where SELECT fails, nothing is selected (RFC 9051 §6.3.2).
    assert!(talk.ok("SELECT INBOX").await.has("* 1 EXISTS"));
}
