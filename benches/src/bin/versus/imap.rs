//! Just enough of an IMAP client to measure servers with.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::Result;

pub(crate) struct Connection {
    reader: BufReader<TcpStream>,
    tag: u32,
}

impl Connection {
    pub(crate) fn login(port: u16, user: &str) -> Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        let mut connection = Self {
            reader: BufReader::with_capacity(512, stream),
            tag: 0,
        };
        let mut greeting = String::new();
        connection.reader.read_line(&mut greeting)?;
        connection.command(&format!("LOGIN {user} secret"))?;
        Ok(connection)
    }

    /// Sends a command; reads to its tagged line; counts the FETCH responses.
    pub(crate) fn command(&mut self, command: &str) -> Result<usize> {
        self.tag += 1;
        let tag = format!("a{} ", self.tag);
        self.reader
            .get_mut()
            .write_all(format!("{tag}{command}\r\n").as_bytes())?;
        let mut fetched = 0;
        loop {
            let line = self.line()?;
            if line.starts_with(b"* ") && contains(&line, b" FETCH (") {
                fetched += 1;
            }
            if line.starts_with(tag.as_bytes()) {
                let ok = line
                    .get(tag.len()..)
                    .is_some_and(|rest| rest.starts_with(b"OK"));
                return if ok {
                    Ok(fetched)
                } else {
                    Err(String::from_utf8_lossy(&line).into_owned().into())
                };
            }
        }
    }

    pub(crate) fn idle(&mut self) -> Result<()> {
        self.command("SELECT INBOX")?;
        self.reader.get_mut().write_all(b"i IDLE\r\n")?;
        let line = self.line()?;
        if line.starts_with(b"+") {
            Ok(())
        } else {
            Err(String::from_utf8_lossy(&line).into_owned().into())
        }
    }

    /// A line with the literals that stand in it passed over.
    fn line(&mut self) -> Result<Vec<u8>> {
        let mut whole = Vec::new();
        loop {
            let from = whole.len();
            if self.reader.read_until(b'\n', &mut whole)? == 0 {
                return Err("the server hung up".into());
            }
            let line = whole.get(from..).unwrap_or_default();
            let Some(size) = literal(line) else {
                return Ok(whole);
            };
            std::io::copy(&mut (&mut self.reader).take(size), &mut std::io::sink())?;
        }
    }
}

fn literal(line: &[u8]) -> Option<u64> {
    let line = line.strip_suffix(b"}\r\n")?;
    let open = line.iter().rposition(|octet| *octet == b'{')?;
    std::str::from_utf8(line.get(open + 1..)?)
        .ok()?
        .parse()
        .ok()
}

fn contains(line: &[u8], what: &[u8]) -> bool {
    line.windows(what.len()).any(|window| window == what)
}

/// Puts `count` messages into a mailbox of their own, by APPEND.
pub(crate) fn fill(port: u16, user: &str, count: usize) -> Result<()> {
    let mut connection = Connection::login(port, user)?;
    connection.command("CREATE Fetched")?;
    let body = "A line of ordinary text, as people write it in their mail.\r\n".repeat(64);
    for number in 0..count {
        let message = format!(
            "From: Alice Example <alice@example.com>\r\nTo: Bob <bob@example.org>\r\n\
             Subject: message {number}\r\nDate: Mon, 02 Nov 2026 10:00:00 +0000\r\n\
             Message-ID: <{number}@example.com>\r\nMIME-Version: 1.0\r\n\
             Content-Type: text/plain; charset=utf-8\r\n\r\n{body}"
        );
        connection.command(&format!(
            "APPEND Fetched {{{}+}}\r\n{message}",
            message.len()
        ))?;
    }
    Ok(())
}

/// Fetches all of them once; messages/s.
pub(crate) fn fetch(port: u16, user: &str, count: usize, what: &str) -> Result<f64> {
    let mut connection = Connection::login(port, user)?;
    connection.reader = BufReader::with_capacity(1 << 16, connection.reader.into_inner());
    connection.command("SELECT Fetched")?;
    let start = Instant::now();
    let fetched = connection.command(&format!("UID FETCH 1:* {what}"))?;
    let elapsed = start.elapsed();
    if fetched != count {
        return Err(format!("{fetched} of {count} fetched").into());
    }
    Ok(count as f64 / elapsed.as_secs_f64())
}
