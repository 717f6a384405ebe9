//! A message from the standard input becomes one in wire form: line ends, the
//! fields that must be there, and those that must not.

use std::io::{self, BufRead};
use std::time::SystemTime;

use bytes::Bytes;
use data_encoding::BASE32HEX_NOPAD;

/// The longest header: stops a wrong input from filling the memory.
const MAX_HEADER: usize = 1 << 20;

/// Fields that are not sent on, as in Postfix's `message_drop_headers`.
const DROPPED: [&str; 4] = ["Bcc", "Resent-Bcc", "Return-Path", "Content-Length"];

/// What is put in when the message lacks it.
#[derive(Debug, Clone)]
pub(crate) struct Missing<'a> {
    /// This host, in Message-ID.
    pub(crate) hostname: &'a str,
    /// What `From` says.
    pub(crate) from: &'a str,
    /// When it was sent.
    pub(crate) date: SystemTime,
}

/// A date as header fields have it (RFC 5322 §3.3), in the zone of this host.
pub(crate) fn date(time: SystemTime) -> String {
    let zoned = jiff::Timestamp::try_from(time)
        .unwrap_or(jiff::Timestamp::UNIX_EPOCH)
        .to_zoned(jiff::tz::TimeZone::system());
    jiff::fmt::rfc2822::to_string(&zoned).unwrap_or_default()
}

/// Reads lines, makes their ends CRLF and, unless `ignore_dots`, ends at a line
/// of one dot.
pub(crate) struct WireLines<R> {
    input: R,
    ignore_dots: bool,
    ended: bool,
    at_line_start: bool,
}

impl<R: BufRead> WireLines<R> {
    pub(crate) fn new(input: R, ignore_dots: bool) -> Self {
        Self {
            input,
            ignore_dots,
            ended: false,
            at_line_start: true,
        }
    }

    /// The next line, or a piece of a long one; empty at the end.
    pub(crate) fn next(&mut self) -> io::Result<Vec<u8>> {
        const PIECE: u64 = 32 << 10;
        let mut line = Vec::new();
        if self.ended {
            return Ok(line);
        }
        io::Read::take(&mut self.input, PIECE).read_until(b'\n', &mut line)?;
        let started = std::mem::replace(&mut self.at_line_start, line.ends_with(b"\n"));
        if line.is_empty() {
            self.ended = true;
            // The last line has an end too.
            return Ok(if started { line } else { b"\r\n".to_vec() });
        }
        let whole = line.ends_with(b"\n");
        if whole {
            line.pop();
            if line.ends_with(b"\r") {
                line.pop();
            }
        }
        if started && !self.ignore_dots && line == b"." && whole {
            self.ended = true;
            return Ok(Vec::new());
        }
        // A bare CR is no octet of a message on the wire (RFC 5321 §2.3.8).
        if !whole && line.ends_with(b"\r") {
            // Its LF may be the next octet.
            let next = self.input.fill_buf()?.first().copied();
            if next == Some(b'\n') {
                self.input.consume(1);
                line.pop();
                self.at_line_start = true;
                return Ok(ended(&line));
            }
        }
        Ok(if whole {
            ended(&line)
        } else {
            without_cr(&line)
        })
    }
}

fn without_cr(line: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(line.len() + 2);
    for octet in line {
        match octet {
            b'\r' => out.extend_from_slice(b"\r\n"),
            octet => out.push(*octet),
        }
    }
    out
}

fn ended(line: &[u8]) -> Vec<u8> {
    let mut out = without_cr(line);
    out.extend_from_slice(b"\r\n");
    out
}

/// The header of a message, and what of its body was read with it.
#[derive(Debug)]
pub(crate) struct Head {
    header: Vec<u8>,
    rest: Vec<u8>,
}

impl Head {
    /// Reads up to the empty line. A first line that is no field begins the
    /// body; `From ` of an mbox is left out.
    pub(crate) fn read<R: BufRead>(lines: &mut WireLines<R>) -> io::Result<Self> {
        let mut header = Vec::new();
        let mut first = true;
        loop {
            let within_line = !lines.at_line_start;
            let line = lines.next()?;
            let starts_mbox = first && line.starts_with(b"From ");
            first = false;
            if starts_mbox {
                continue;
            }
            if line.is_empty() || line == b"\r\n" {
                return Ok(Self { header, rest: line });
            }
            let goes_on = within_line || line.starts_with(b" ") || line.starts_with(b"\t");
            if !(is_field(&line) || (goes_on && !header.is_empty())) {
                let mut rest = b"\r\n".to_vec();
                rest.extend_from_slice(&line);
                return Ok(Self { header, rest });
            }
            header.extend_from_slice(&line);
            if header.len() > MAX_HEADER {
                return Err(io::Error::other("the header is too long"));
            }
        }
    }

    /// The addresses in To, Cc and Bcc, or in Resent-To, Resent-Cc and
    /// Resent-Bcc where there are any (RFC 5322 §3.6.6).
    pub(crate) fn recipients(&self) -> Vec<String> {
        let of = |names: [&str; 3]| {
            let mut found = Vec::new();
            for field in mime::Headers::new(&self.header) {
                if names.iter().any(|name| field.is(name)) {
                    let value = field.unfolded();
                    found.extend(
                        mime::address::mailboxes(&value).map(|mailbox| mailbox.addr_spec()),
                    );
                }
            }
            found
        };
        let resent = of(["Resent-To", "Resent-Cc", "Resent-Bcc"]);
        if resent.is_empty() {
            of(["To", "Cc", "Bcc"])
        } else {
            resent
        }
    }

    /// The header as it is sent, the empty line, and what was read behind it.
    pub(crate) fn complete(&self, missing: &Missing<'_>) -> Bytes {
        let has = |name: &str| mime::Headers::new(&self.header).find(name).is_some();
        let mut out = Vec::with_capacity(self.header.len() + 512);
        for field in mime::Headers::new(&self.header) {
            if !DROPPED.iter().any(|name| field.is(name)) {
                out.extend_from_slice(field.octets());
            }
        }
        if !out.is_empty() && !out.ends_with(b"\r\n") {
            out.extend_from_slice(b"\r\n");
        }
        if !has("From") {
            out.extend_from_slice(format!("From: {}\r\n", missing.from).as_bytes());
        }
        if !has("Date") {
            out.extend_from_slice(format!("Date: {}\r\n", date(missing.date)).as_bytes());
        }
        if !has("Message-ID") {
            let mut random = [0; 15];
            let _ = getrandom::fill(&mut random);
            let unique = BASE32HEX_NOPAD.encode(&random);
            let id = format!("Message-ID: <{unique}@{}>\r\n", missing.hostname);
            out.extend_from_slice(id.as_bytes());
        }
        match self.rest.as_slice() {
            [] => out.extend_from_slice(b"\r\n"),
            rest => out.extend_from_slice(rest),
        }
        out.into()
    }
}

/// `field-name ":"` (RFC 5322 §2.2).
fn is_field(line: &[u8]) -> bool {
    let name = line.split(|octet| *octet == b':').next().unwrap_or(line);
    let name = name.trim_ascii_end();
    name.len() < line.len() && !name.is_empty() && name.iter().all(u8::is_ascii_graphic)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wire(input: &[u8], ignore_dots: bool) -> Vec<u8> {
        let mut lines = WireLines::new(input, ignore_dots);
        let mut out = Vec::new();
        loop {
            let line = lines.next().unwrap();
            if line.is_empty() {
                return out;
            }
            out.extend_from_slice(&line);
        }
    }

    #[test]
    fn line_ends() {
        for (input, output) in [
            ("", ""),
            ("a\nb\r\nc", "a\r\nb\r\nc\r\n"),
            ("a\rb\n", "a\r\nb\r\n"),
            ("\n\n", "\r\n\r\n"),
            ("a\r", "a\r\n\r\n"),
        ] {
            assert_eq!(wire(input.as_bytes(), true), output.as_bytes(), "{input:?}");
        }
        let mut long = vec![b'x'; 100_000];
        let mut expected = long.clone();
        expected.extend_from_slice(b"\r\ny\r\n");
        long.extend_from_slice(b"\r\ny");
        assert_eq!(wire(&long, true), expected);
    }

    #[test]
    fn a_dot_ends_unless_ignored() {
        assert_eq!(wire(b"a\n.\nb\n", false), b"a\r\n");
        assert_eq!(wire(b"a\n.\nb\n", true), b"a\r\n.\r\nb\r\n");
        assert_eq!(wire(b"a\n..\n.x\n", false), b"a\r\n..\r\n.x\r\n");
    }

    fn head(input: &str) -> Head {
        Head::read(&mut WireLines::new(input.as_bytes(), true)).unwrap()
    }

    fn completed(input: &str) -> String {
        let mut lines = WireLines::new(input.as_bytes(), true);
        let head = Head::read(&mut lines).unwrap();
        let mut out = head
            .complete(&Missing {
                hostname: "mail.example.org",
                from: "Ann <ann@example.org>",
                date: SystemTime::UNIX_EPOCH,
            })
            .to_vec();
        loop {
            let line = lines.next().unwrap();
            if line.is_empty() {
                return String::from_utf8(out).unwrap();
            }
            out.extend_from_slice(&line);
        }
    }

    #[test]
    fn what_is_missing_is_put_in() {
        let text = completed("Subject: x\nBcc: secret@example.org\n\nhello\n");
        assert!(text.starts_with("Subject: x\r\nFrom: Ann <ann@example.org>\r\nDate: "));
        assert!(!text.contains("secret"));
        assert!(text.contains("@mail.example.org>\r\n\r\nhello\r\n"));
        assert_eq!(text.matches("Message-ID: <").count(), 1);

        let full = "From: b@x\r\nDate: d\r\nMessage-Id: <i@x>\r\n\r\nbody\r\n";
        assert_eq!(completed(full), full);
    }

    #[test]
    fn messages_without_a_header() {
        for body in ["hello there\n", "\nhello there\n", ""] {
            let text = completed(body);
            assert!(text.starts_with("From: Ann"), "{text}");
            let (_, rest) = text.split_once("\r\n\r\n").unwrap();
            assert_eq!(rest.trim_end(), body.trim());
        }
        let text = completed("From ann Sat Nov 21 2026\nSubject: x\n\nhi\n");
        assert!(text.starts_with("Subject: x\r\n"));
    }

    #[test]
    fn recipients_of_the_header() {
        let found = head(
            "To: Ann <ann@x.example>, \"b, c\" <bob@x.example>\nCc: team: d@x.example;\n\
             Bcc:\n e@x.example\n\n",
        )
        .recipients();
        assert_eq!(
            found,
            [
                "ann@x.example",
                "bob@x.example",
                "d@x.example",
                "e@x.example"
            ]
        );
        let resent = head("To: a@x\nResent-To: b@x.example\n\n").recipients();
        assert_eq!(resent, ["b@x.example"]);
    }

    #[test]
    fn headers_are_bounded() {
        let long = "X: y\n".repeat(300_000);
        let mut lines = WireLines::new(long.as_bytes(), true);
        assert!(Head::read(&mut lines).is_err());
    }
}
