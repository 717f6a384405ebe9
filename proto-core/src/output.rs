use std::collections::VecDeque;
use std::fmt;
use std::io::IoSlice;

use bytes::{Buf, Bytes, BytesMut};

/// Payloads up to this size are copied behind the text that is already
/// queued: cheaper than a queue entry and a segment of their own on the wire.
pub(crate) const COPY_UP_TO: usize = 512;

/// Octets that a machine wants to have sent.
///
/// Text is appended to one growing buffer; payloads are queued as they are,
/// uncopied. The host drains it as a [`Buf`]:
/// `socket.write_all_buf(machine.output())`.
///
/// ```
/// use bytes::{Buf, Bytes};
/// use proto_core::Output;
///
/// let mut output = Output::default();
/// output.push_slice(b"* 1 FETCH (BODY[] {4096}\r\n");
/// output.push(Bytes::from(vec![b'x'; 4096])); // not copied
/// output.push_slice(b")\r\n");
/// assert_eq!(output.remaining(), 26 + 4096 + 3);
/// ```
#[derive(Default)]
pub struct Output {
    queue: VecDeque<Bytes>,
    tail: BytesMut,
    queued: usize,
}

impl Output {
    /// Queues `payload` without copying it, unless it is small.
    pub fn push(&mut self, payload: Bytes) {
        if payload.len() <= COPY_UP_TO {
            return self.push_slice(&payload);
        }
        if !self.tail.is_empty() {
            let text = self.tail.split().freeze();
            self.queued += text.len();
            self.queue.push_back(text);
        }
        self.queued += payload.len();
        self.queue.push_back(payload);
    }

    /// Appends a copy of `text`.
    pub fn push_slice(&mut self, text: &[u8]) {
        self.tail.extend_from_slice(text);
    }

    /// The buffer that text is appended to, for encoders that write in place.
    ///
    /// What it already holds is queued output: only append.
    pub fn text(&mut self) -> &mut BytesMut {
        &mut self.tail
    }

    /// Octets not yet sent.
    #[must_use]
    pub fn len(&self) -> usize {
        self.queued + self.tail.len()
    }

    /// Whether everything was sent.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Forgets what was not yet sent.
    pub fn clear(&mut self) {
        self.queue.clear();
        self.queued = 0;
        self.tail.clear();
    }
}

impl Buf for Output {
    fn remaining(&self) -> usize {
        self.len()
    }

    fn chunk(&self) -> &[u8] {
        match self.queue.front() {
            Some(front) => front,
            None => &self.tail,
        }
    }

    fn advance(&mut self, mut count: usize) {
        while let Some(front) = self.queue.front_mut() {
            if count < front.len() {
                self.queued -= count;
                return front.advance(count);
            }
            count -= front.len();
            self.queued -= front.len();
            self.queue.pop_front();
        }
        match count == self.tail.len() {
            // The whole allocation is free again: an idle connection that
            // once sent a long answer keeps its buffer, but nothing grows.
            true => self.tail.clear(),
            false => self.tail.advance(count),
        }
    }

    fn chunks_vectored<'a>(&'a self, target: &mut [IoSlice<'a>]) -> usize {
        let parts = self
            .queue
            .iter()
            .map(|part| &part[..])
            .chain((!self.tail.is_empty()).then_some(&self.tail[..]));
        let mut filled = 0;
        for (slot, part) in target.iter_mut().zip(parts) {
            *slot = IoSlice::new(part);
            filled += 1;
        }
        filled
    }
}

impl fmt::Write for Output {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.push_slice(text.as_bytes());
        Ok(())
    }
}

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Never the octets: they may hold secrets and messages.
        f.debug_struct("Output").field("len", &self.len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_is_kept_between_text_and_payload() {
        let mut output = Output::default();
        output.push_slice(b"a");
        output.push(Bytes::from(vec![b'b'; 600]));
        output.push_slice(b"c");
        output.push(Bytes::from_static(b"d"));
        assert_eq!(output.len(), 603);
        let all = output.copy_to_bytes(603);
        assert_eq!(&all[..1], b"a");
        assert_eq!(&all[1..601], &[b'b'; 600][..]);
        assert_eq!(&all[601..], b"cd");
        assert!(output.is_empty());
    }

    #[test]
    fn advance_stops_inside_a_part() {
        let mut output = Output::default();
        output.push(Bytes::from(vec![1; 1000]));
        output.push(Bytes::from(vec![2; 1000]));
        output.advance(1500);
        assert_eq!(output.chunk(), &[2; 500][..]);
        assert_eq!(output.len(), 500);
    }

    #[test]
    fn vectored_chunks_cover_everything() {
        let mut output = Output::default();
        output.push_slice(b"head");
        output.push(Bytes::from(vec![0; 600]));
        output.push_slice(b"tail");
        let mut slices = [IoSlice::new(&[]); 8];
        let filled = output.chunks_vectored(&mut slices);
        let total: usize = slices[..filled].iter().map(|slice| slice.len()).sum();
        assert_eq!((filled, total), (3, 608));
    }
}
