use std::ops::Range;

use bytes::Bytes;
use memchr::{memchr2, memmem};

use super::scan::{BLOCK, plain_prefix};
use crate::Output;
use crate::output::COPY_UP_TO;

/// Dot-stuffs a message on its way out (RFC 5321 §4.5.2).
///
/// Slices of the payload are queued uncopied; only the stuffed dots are new.
///
/// ```
/// use bytes::{Buf, Bytes};
/// use proto_core::{DotEncoder, Output};
///
/// let mut output = Output::default();
/// let mut encoder = DotEncoder::default();
/// encoder.encode(&Bytes::from_static(b"one\r\n.two"), &mut output);
/// encoder.finish(&mut output);
/// assert_eq!(output.copy_to_bytes(output.len()), "one\r\n..two\r\n.\r\n");
/// ```
#[derive(Debug, Clone)]
pub struct DotEncoder {
    last: [u8; 2],
    normalise: bool,
}

impl Default for DotEncoder {
    fn default() -> Self {
        Self {
            last: *b"\r\n",
            normalise: false,
        }
    }
}

impl DotEncoder {
    /// An encoder that sends CRLF for each bare CR and each bare LF: what it
    /// sends cannot be read by any receiver as more than one message.
    #[must_use]
    pub fn normalising() -> Self {
        Self {
            normalise: true,
            ..Self::default()
        }
    }

    /// Queues the next octets of the message.
    ///
    /// Unless it normalises, a dot behind a bare LF is stuffed as well:
    /// receivers that take it for a line end take the dot away again, and for
    /// the others the message was not fit for SMTP to begin with.
    pub fn encode(&mut self, chunk: &Bytes, output: &mut Output) {
        if self.normalise {
            self.last = normalise(self.last, chunk, true, output);
            return;
        }
        let mut done = 0;
        if self.last[1] == b'\n' && chunk.first() == Some(&b'.') {
            output.push_slice(b".");
        }
        for at in memmem::find_iter(chunk, b"\n.") {
            // The dot goes out with what is before it, and once more.
            queue(chunk, done..at + 2, output);
            done = at + 1;
        }
        queue(chunk, done..chunk.len(), output);
        match chunk[..] {
            [] => {}
            [only] => self.last = [self.last[1], only],
            [.., first, second] => self.last = [first, second],
        }
    }

    /// Ends the last line if the message did not, then queues `.` CRLF.
    pub fn finish(&mut self, output: &mut Output) {
        output.push_slice(match self.last {
            [b'\r', b'\n'] => b".\r\n",
            [_, b'\r'] => b"\n.\r\n",
            _ => b"\r\n.\r\n",
        });
        self.last = *b"\r\n";
    }
}

/// Sends CRLF for each bare CR and each bare LF, without dot-stuffing: for
/// messages that go in counted chunks (RFC 3030).
#[derive(Debug, Clone)]
pub struct NewlineEncoder {
    last: [u8; 2],
}

impl Default for NewlineEncoder {
    fn default() -> Self {
        Self { last: *b"\r\n" }
    }
}

impl NewlineEncoder {
    /// Queues the next octets of the message.
    pub fn encode(&mut self, chunk: &Bytes, output: &mut Output) {
        self.last = normalise(self.last, chunk, false, output);
    }

    /// Completes a CR at the very end.
    pub fn finish(&mut self, output: &mut Output) {
        if self.last[1] == b'\r' {
            output.push_slice(b"\n");
        }
        self.last = *b"\r\n";
    }
}

/// Queues a part of `chunk`; what is small is copied at once, without counting
/// another owner of it for that.
fn queue(chunk: &Bytes, part: Range<usize>, output: &mut Output) {
    match chunk.get(part.clone()) {
        Some(small) if small.len() <= COPY_UP_TO => output.push_slice(small),
        _ => output.push(chunk.slice(part)),
    }
}

/// Queues `chunk` with CRLF for every line end, and if `stuff` a second dot
/// where a line begins with one; answers the last two octets sent.
fn normalise(last: [u8; 2], chunk: &Bytes, stuff: bool, output: &mut Output) -> [u8; 2] {
    let Some(&first) = chunk.first() else {
        return last;
    };
    let mut done = 0; // everything before it is queued
    let mut read = 0;
    // A CR was queued before it was known what follows.
    let mut line_start = last == *b"\r\n";
    if last[1] == b'\r' {
        output.push_slice(b"\n");
        line_start = true;
        if first == b'\n' {
            (done, read) = (1, 1);
        }
    }
    let mut by_line = 0;
    while read < chunk.len() {
        if stuff && line_start && chunk.get(read) == Some(&b'.') {
            queue(chunk, done..read + 1, output);
            done = read;
            line_start = false;
        }
        let mut window = chunk.get(read..).unwrap_or_default();
        if read >= by_line {
            let plain = plain_prefix(window);
            if let Some(before) = plain.checked_sub(1) {
                line_start = window.get(before) == Some(&b'\n');
                read += plain;
                window = window.get(plain..).unwrap_or_default();
            }
            by_line = read + BLOCK;
            if line_start && window.first() == Some(&b'.') {
                continue;
            }
        }
        let Some(found) = memchr2(b'\r', b'\n', window) else {
            line_start &= window.is_empty();
            break;
        };
        read += found;
        match window.get(found..).unwrap_or_default() {
            [b'\r', b'\n', ..] => read += 2,
            [b'\r'] => {
                queue(chunk, done..chunk.len(), output);
                return [0, b'\r'];
            }
            _ => {
                queue(chunk, done..read, output);
                output.push_slice(b"\r\n");
                read += 1;
                done = read;
            }
        }
        line_start = true;
    }
    queue(chunk, done..chunk.len(), output);
    if line_start { *b"\r\n" } else { [0, 0] }
}
