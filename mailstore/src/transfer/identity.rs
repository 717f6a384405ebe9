//! What makes two copies of a message the same one, in whatever format they are kept.

use std::io::{self, Read};

use sha2::{Digest, Sha256};

use crate::mbox;
use crate::wire::Reader;

/// SHA-256 of the wire form without the header fields that formats keep their state in, and with a line end at its
/// end: an mbox cannot tell the one or the other.
pub(crate) type Identity = [u8; 32];

/// A header line that is longer is no state field.
const LINE_LIMIT: usize = 64 << 10;
/// Messages up to this are read once and kept in memory while they are copied.
const IN_MEMORY: u64 = 1 << 20;

/// A message that was read: what it is, and its octets when they are few.
pub(crate) struct Whole {
    pub(crate) identity: Identity,
    pub(crate) content: Option<Vec<u8>>,
}

pub(crate) fn read(reader: &mut Reader) -> io::Result<Whole> {
    let mut hasher = Hasher::default();
    let mut content = (reader.size() <= IN_MEMORY).then(Vec::new);
    let mut part = vec![0; 64 << 10];
    loop {
        let read = reader.read(&mut part)?;
        let Some(part) = part.get(..read).filter(|part| !part.is_empty()) else {
            break;
        };
        hasher.push(part);
        if let Some(content) = &mut content {
            content.extend_from_slice(part);
        }
    }
    Ok(Whole {
        identity: hasher.finish(),
        content,
    })
}

#[derive(Default)]
struct Hasher {
    hash: Sha256,
    line: Vec<u8>,
    in_body: bool,
    /// The held line's beginning was hashed or left out.
    within: bool,
    hiding: bool,
    last: Option<u8>,
}

impl Hasher {
    fn push(&mut self, mut wire: &[u8]) {
        while !self.in_body && !wire.is_empty() {
            let end = memchr::memchr(b'\n', wire).map_or(wire.len(), |end| end + 1);
            let (line, rest) = wire.split_at_checked(end).unwrap_or((wire, &[]));
            self.line.extend_from_slice(line);
            wire = rest;
            if line.ends_with(b"\n") || self.line.len() >= LINE_LIMIT {
                self.header_line();
            }
        }
        self.take(wire);
    }

    fn take(&mut self, octets: &[u8]) {
        self.hash.update(octets);
        self.last = octets.last().copied().or(self.last);
    }

    fn header_line(&mut self) {
        let line = std::mem::take(&mut self.line);
        if !self.within && (line == b"\r\n" || line == b"\n") {
            self.in_body = true;
            return self.take(&line);
        }
        if !self.within && !line.starts_with(b" ") && !line.starts_with(b"\t") {
            self.hiding = mbox::is_state_field(&line);
        }
        if !self.hiding {
            self.take(&line);
        }
        self.within = !line.ends_with(b"\n");
    }

    fn finish(mut self) -> Identity {
        if !self.line.is_empty() {
            self.header_line();
        }
        if self.last.is_some_and(|last| last != b'\n') {
            self.hash.update(b"\r\n");
        }
        self.hash.finalize().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(content: &[u8], part: usize) -> Identity {
        let mut hasher = Hasher::default();
        for part in content.chunks(part) {
            hasher.push(part);
        }
        hasher.finish()
    }

    #[test]
    fn state_is_no_part_of_it() {
        let plain = identity(b"A: b\r\n folded\r\n\r\nStatus: body\r\n", 100);
        for same in [
            &b"A: b\r\n folded\r\n\r\nStatus: body"[..],
            b"Status: RO\r\nA: b\r\n folded\r\nX-Keywords: a\r\n b\r\n\r\nStatus: body\r\n",
        ] {
            for part in [1, 3, 7, 1000] {
                assert_eq!(identity(same, part), plain);
            }
        }
        for other in [
            &b"A: b\r\n folded\r\n\r\nbody\r\n"[..],
            b"A: b\r\n folded\r\n\r\nStatus: body\r\n\r\n",
            b"A: b\r\n\r\nStatus: body\r\n",
        ] {
            assert_ne!(identity(other, 2), plain);
        }
    }
}
