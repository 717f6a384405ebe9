//! POP3: a session's commands, and a message on its way out and in.
#![allow(
    missing_docs,
    clippy::disallowed_methods,
    reason = "criterion's macros; a start for time"
)]

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use bytes::{Buf, Bytes, BytesMut};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use pop3_proto::{
    Client, ClientConfig, ClientEvent, Command, Config, Event, Maildrop, Opening, Reply, Server,
};
use proto_core::Step;

const MESSAGES: u32 = 1000;

/// Plays a server's session; the octets that it sent.
fn serve(config: &Arc<Config>, wire: &[u8], mail: &Bytes) -> usize {
    let now = Instant::now();
    let opening = Opening {
        tls: true,
        timestamp: None,
    };
    let mut server = Server::open(config.clone(), opening, now);
    let mut input = BytesMut::from(wire);
    let mut sent = 0;
    loop {
        let answered = match server.poll(&mut input, now) {
            Ok(Step::Event(Event::Login(_))) => {
                let mut maildrop = Maildrop::default();
                for number in 0..MESSAGES {
                    let _ = maildrop.push(4096, &format!("1700000000.{number}"));
                }
                server.open_maildrop(maildrop)
            }
            Ok(Step::Event(Event::Retrieve(_))) => server
                .accept_payload()
                .and_then(|()| server.send_payload(mail.clone()))
                .and_then(|()| server.end_payload()),
            Ok(Step::Event(Event::Update(_))) => server.reply(Reply::ok("bye")),
            Ok(Step::NeedDrain) => {
                sent += server.output().len();
                server.output().clear();
                Ok(())
            }
            Ok(Step::Closed) | Err(_) => return sent + server.output().len(),
            Ok(_) => Ok(()),
        };
        assert_eq!(answered, Ok(()));
    }
}

fn server(c: &mut Criterion) {
    let config = Arc::new(Config::default());
    let line = "All work and no play makes Jack a dull boy, they say.\r\n";
    let mail = Bytes::from(line.repeat(4096 / line.len()));
    let mut group = c.benchmark_group("pop3 server");
    group.throughput(Throughput::Elements(u64::from(MESSAGES)));
    let mut fetch = String::from("USER a\r\nPASS b\r\n");
    for number in 1..=MESSAGES {
        fetch.push_str(&format!("RETR {number}\r\nDELE {number}\r\n"));
    }
    fetch.push_str("QUIT\r\n");
    group.bench_function("retrieve and delete 1,000 of 4 KiB", |b| {
        b.iter(|| serve(&config, black_box(fetch.as_bytes()), &mail));
    });
    group.bench_function("list sizes and unique-ids of 1,000", |b| {
        b.iter(|| {
            serve(
                &config,
                black_box(b"USER a\r\nPASS b\r\nLIST\r\nUIDL\r\nQUIT\r\n"),
                &mail,
            )
        });
    });
    group.finish();
}

fn client(c: &mut Criterion) {
    let line = "All work and no play makes Jack a dull boy, they say.\r\n..dot\r\n";
    let mail = line.repeat((1 << 20) / line.len());
    let wire = format!("+OK\r\n+OK\r\n{mail}.\r\n");
    let mut group = c.benchmark_group("pop3 client");
    group.throughput(Throughput::Bytes(wire.len() as u64));
    group.bench_function("message of 1 MiB", |b| {
        b.iter(|| {
            let now = Instant::now();
            let mut client = Client::new(ClientConfig::default(), now);
            let mut input = BytesMut::from(wire.as_bytes());
            let mut octets = 0;
            while let Ok(Step::Event(event)) = client.poll(&mut input, now) {
                match event {
                    ClientEvent::Greeting { .. } => {
                        if let Ok(command) = Command::parse(b"RETR 1") {
                            let _ = client.send(&command);
                        }
                    }
                    ClientEvent::Payload(chunk) => octets += chunk.remaining(),
                    _ => {}
                }
            }
            octets
        });
    });
    group.finish();
}

criterion_group!(benches, server, client);
criterion_main!(benches);
