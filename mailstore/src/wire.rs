//! Line ends: CRLF towards callers, LF on the disk.

use std::io;
use std::sync::Arc;

use memchr::memchr;

use crate::durable::File;

/// Turns a message in wire form into disk form, chunk by chunk, and counts its wire size.
///
/// A CRLF becomes LF unless another CR stands before it: `CR CR LF` is kept whole, so that reading, which puts
/// a CR before each LF that has none, gives back every octet. A bare LF is read back as CRLF; the size counts it
/// as that.
#[derive(Debug, Default)]
pub(crate) struct ToDisk {
    keep_crlf: bool,
    /// A CR at the end of the last chunk, not yet passed on.
    held: bool,
    /// Whether the octet before the held CR or before the next octet is a CR that was passed on.
    after_cr: bool,
    wire_size: u64,
}

impl ToDisk {
    pub(crate) fn new(keep_crlf: bool) -> Self {
        Self {
            keep_crlf,
            ..Self::default()
        }
    }

    /// Size in wire form of what came so far.
    pub(crate) fn wire_size(&self) -> u64 {
        self.wire_size + u64::from(self.held)
    }

    pub(crate) fn push(&mut self, mut wire: &[u8], out: &mut Vec<u8>) {
        while let Some((&first, rest)) = wire.split_first() {
            if self.held {
                self.held = false;
                if first == b'\n' {
                    self.wire_size += 2;
                    if self.keep_crlf || self.after_cr {
                        out.push(b'\r');
                    }
                    out.push(b'\n');
                    self.after_cr = false;
                    wire = rest;
                } else {
                    out.push(b'\r');
                    self.wire_size += 1;
                    self.after_cr = true;
                }
                continue;
            }
            if first == b'\n' {
                // A LF that no CR stands before.
                self.wire_size += 2;
                if self.keep_crlf {
                    out.push(b'\r');
                }
                out.push(b'\n');
                self.after_cr = false;
                wire = rest;
                continue;
            }
            if first == b'\r' {
                self.held = true;
                wire = rest;
                continue;
            }
            let line = memchr::memchr2(b'\r', b'\n', wire).unwrap_or(wire.len());
            let (line, rest) = wire.split_at_checked(line).unwrap_or((wire, &[]));
            out.extend_from_slice(line);
            self.wire_size += line.len() as u64;
            self.after_cr = false;
            wire = rest;
        }
    }

    /// Passes on a CR that ended the message.
    pub(crate) fn finish(&mut self, out: &mut Vec<u8>) {
        if std::mem::take(&mut self.held) {
            out.push(b'\r');
            self.wire_size += 1;
        }
    }
}

/// Turns disk form into wire form, chunk by chunk: a CR before each LF that has none.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ToWire {
    after_cr: bool,
}

impl ToWire {
    pub(crate) fn push(&mut self, mut disk: &[u8], out: &mut Vec<u8>) {
        while let Some(at) = memchr(b'\n', disk) {
            let (line, rest) = disk.split_at_checked(at).unwrap_or((disk, &[]));
            let after_cr = line.last().map_or(self.after_cr, |&last| last == b'\r');
            out.extend_from_slice(line);
            if !after_cr {
                out.push(b'\r');
            }
            out.push(b'\n');
            self.after_cr = false;
            disk = rest.get(1..).unwrap_or_default();
        }
        if let Some(&last) = disk.last() {
            out.extend_from_slice(disk);
            self.after_cr = last == b'\r';
        }
    }

    /// Octets that `push` would give, without giving them.
    pub(crate) fn count(&mut self, disk: &[u8]) -> u64 {
        let mut added = 0;
        for at in memchr::memchr_iter(b'\n', disk) {
            let after_cr = match at.checked_sub(1) {
                Some(before) => disk.get(before) == Some(&b'\r'),
                None => self.after_cr,
            };
            added += u64::from(!after_cr);
        }
        if let Some(&last) = disk.last() {
            self.after_cr = last == b'\r';
        }
        disk.len() as u64 + added
    }
}

/// Part of a file that holds a message, in disk form.
pub(crate) struct Extent {
    pub(crate) start: u64,
    pub(crate) end: u64,
    /// How the octets are to be read.
    pub(crate) form: Form,
}

/// What is done to the octets of an [`Extent`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// Already in wire form.
    Wire,
    /// Line ends are made CRLF.
    Lines,
    /// Line ends are made CRLF and one `>` is taken off each quoted `From ` line (mboxrd).
    Quoted,
}

const BLOCK: usize = 64 * 1024;

/// A message in wire form (CRLF line ends), read in blocks of 64 KiB whatever its size.
///
/// It stays readable after the message has been expunged.
pub struct Reader {
    file: Arc<dyn File>,
    extents: Vec<Extent>,
    /// The extent being read and how far into it.
    extent: usize,
    at: u64,
    size: u64,
    position: u64,
    to_wire: ToWire,
    unquote: Unquote,
    block: Vec<u8>,
    ready: Vec<u8>,
    taken: usize,
}

impl Reader {
    pub(crate) fn new(file: Arc<dyn File>, extents: Vec<Extent>, size: u64) -> Self {
        let at = extents.first().map_or(0, |extent| extent.start);
        Self {
            file,
            extents,
            extent: 0,
            at,
            size,
            position: 0,
            to_wire: ToWire::default(),
            unquote: Unquote::default(),
            block: Vec::new(),
            ready: Vec::new(),
            taken: 0,
        }
    }

    /// Size of the whole message in octets, as RFC822.SIZE tells it.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// How many octets have been read or skipped.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Goes to an octet of the wire form. Behind the end, reads give nothing. Going back begins anew; going
    /// forward passes over the octets between.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn seek(&mut self, to: u64) -> io::Result<()> {
        if to < self.position {
            self.extent = 0;
            self.at = self.extents.first().map_or(0, |extent| extent.start);
            self.position = 0;
            self.to_wire = ToWire::default();
            self.unquote = Unquote::default();
            self.ready.clear();
            self.taken = 0;
        }
        while self.position < to {
            let buffered = self.ready.len() - self.taken;
            if buffered == 0 {
                if let Some(extent) = self.extents.get(self.extent)
                    && extent.form == Form::Wire
                {
                    let step = (to - self.position).min(extent.end - self.at);
                    if step > 0 {
                        self.at += step;
                        self.position += step;
                        continue;
                    }
                }
                if !self.fill()? {
                    break;
                }
                continue;
            }
            let step = usize::try_from(to - self.position)
                .unwrap_or(usize::MAX)
                .min(buffered);
            self.taken += step;
            self.position += step as u64;
        }
        Ok(())
    }

    /// Reads another block; false at the end of the message.
    fn fill(&mut self) -> io::Result<bool> {
        self.ready.clear();
        self.taken = 0;
        while self.ready.is_empty() {
            let Some(extent) = self.extents.get(self.extent) else {
                self.unquote.finish(&mut self.to_wire, &mut self.ready);
                return Ok(!self.ready.is_empty());
            };
            if self.at >= extent.end {
                self.extent += 1;
                self.at = self.extents.get(self.extent).map_or(0, |next| next.start);
                continue;
            }
            let want = usize::try_from(extent.end - self.at)
                .unwrap_or(BLOCK)
                .min(BLOCK);
            self.block.resize(want, 0);
            let read = loop {
                match self.file.read_at(&mut self.block, self.at) {
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    other => break other?,
                }
            };
            if read == 0 {
                return Err(io::Error::new(
                    io::ErrorKind::UnexpectedEof,
                    "the message's file has been cut",
                ));
            }
            self.at += read as u64;
            let block = self.block.get(..read).unwrap_or_default();
            match extent.form {
                Form::Wire => self.ready.extend_from_slice(block),
                Form::Lines => self.to_wire.push(block, &mut self.ready),
                Form::Quoted => self.unquote.push(block, &mut self.to_wire, &mut self.ready),
            }
        }
        Ok(true)
    }
}

/// Wire size of a message, by reading it.
pub(crate) fn measure(file: Arc<dyn File>, extents: Vec<Extent>) -> io::Result<u64> {
    let mut reader = Reader::new(file, extents, 0);
    while reader.fill()? {
        reader.position += reader.ready.len() as u64;
    }
    Ok(reader.position)
}

impl io::Read for Reader {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if buf.is_empty() || (self.taken == self.ready.len() && !self.fill()?) {
            return Ok(0);
        }
        let ready = self.ready.get(self.taken..).unwrap_or_default();
        let step = ready.len().min(buf.len());
        if let (Some(to), Some(from)) = (buf.get_mut(..step), ready.get(..step)) {
            to.copy_from_slice(from);
        }
        self.taken += step;
        self.position += step as u64;
        Ok(step)
    }
}

/// Takes one `>` off each line that begins with `>`s and `From ` (mboxrd).
#[derive(Debug, Default)]
pub(crate) struct Unquote {
    state: LineStart,
}

/// How much of `>…>From ` the present line has shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum LineStart {
    /// At the start, or behind this many `>`.
    #[default]
    Fresh,
    Angles(u64),
    /// Behind `>`s and this many octets of `From `.
    Word(u64, usize),
    /// The line is decided.
    Within,
}

pub(crate) const FROM: &[u8] = b"From ";

impl LineStart {
    /// Takes one more octet of an undecided line; what the line is once that is known.
    pub(crate) fn step(self, octet: u8) -> (Self, Option<Decided>) {
        let (angles, matched) = match self {
            Self::Fresh => (0, 0),
            Self::Angles(angles) => (angles, 0),
            Self::Word(angles, matched) => (angles, matched),
            Self::Within => return (Self::Within, None),
        };
        if matched == 0 && octet == b'>' {
            return (Self::Angles(angles + 1), None);
        }
        if FROM.get(matched) == Some(&octet) {
            if matched + 1 == FROM.len() {
                return (
                    Self::Within,
                    Some(Decided {
                        angles,
                        matched: FROM.len(),
                        from: true,
                        used: true,
                    }),
                );
            }
            return (Self::Word(angles, matched + 1), None);
        }
        (
            Self::Within,
            Some(Decided {
                angles,
                matched,
                from: false,
                used: false,
            }),
        )
    }

    /// What an undecided line holds when the message ends in it.
    pub(crate) fn end(self) -> Decided {
        let (angles, matched) = match self {
            Self::Fresh | Self::Within => (0, 0),
            Self::Angles(angles) => (angles, 0),
            Self::Word(angles, matched) => (angles, matched),
        };
        Decided {
            angles,
            matched,
            from: false,
            used: false,
        }
    }
}

/// The start of a line: so many `>`, so many octets of `From `.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Decided {
    pub(crate) angles: u64,
    pub(crate) matched: usize,
    /// Whether all of `From ` is there.
    pub(crate) from: bool,
    /// Whether the octet that decided belongs to the match.
    pub(crate) used: bool,
}

impl Decided {
    /// Writes the start of the line with this many `>`.
    pub(crate) fn write(self, angles: u64, mut push: impl FnMut(&[u8])) {
        const ANGLES: &[u8] = &[b'>'; 64];
        let mut left = angles;
        while left > 0 {
            let step = left.min(ANGLES.len() as u64);
            push(
                ANGLES
                    .get(..usize::try_from(step).unwrap_or_default())
                    .unwrap_or_default(),
            );
            left -= step;
        }
        push(FROM.get(..self.matched).unwrap_or_default());
    }
}

impl Unquote {
    fn push(&mut self, mut disk: &[u8], to_wire: &mut ToWire, out: &mut Vec<u8>) {
        while let Some((&first, rest)) = disk.split_first() {
            if self.state == LineStart::Within {
                let end = memchr(b'\n', disk).map_or(disk.len(), |at| at + 1);
                let (line, rest) = disk.split_at_checked(end).unwrap_or((disk, &[]));
                to_wire.push(line, out);
                if line.last() == Some(&b'\n') {
                    self.state = LineStart::Fresh;
                }
                disk = rest;
                continue;
            }
            let (state, decided) = self.state.step(first);
            self.state = state;
            let Some(decided) = decided else {
                disk = rest;
                continue;
            };
            let angles = if decided.from {
                decided.angles.saturating_sub(1)
            } else {
                decided.angles
            };
            decided.write(angles, |part| to_wire.push(part, out));
            if decided.used {
                disk = rest;
            }
        }
    }

    fn finish(&mut self, to_wire: &mut ToWire, out: &mut Vec<u8>) {
        let decided = std::mem::take(&mut self.state).end();
        decided.write(decided.angles, |part| to_wire.push(part, out));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn disk(chunks: &[&[u8]], keep: bool) -> (Vec<u8>, u64) {
        let mut encoder = ToDisk::new(keep);
        let mut out = Vec::new();
        for chunk in chunks {
            encoder.push(chunk, &mut out);
        }
        encoder.finish(&mut out);
        (out, encoder.wire_size())
    }

    fn wire(disk: &[u8], cut: usize) -> Vec<u8> {
        let mut decoder = ToWire::default();
        let mut out = Vec::new();
        for chunk in disk.chunks(cut.max(1)) {
            decoder.push(chunk, &mut out);
        }
        out
    }

    #[test]
    fn line_ends() {
        for (from, to, back) in [
            (&b"a\r\nb\r\n"[..], &b"a\nb\n"[..], &b"a\r\nb\r\n"[..]),
            (b"a\r\r\n", b"a\r\r\n", b"a\r\r\n"),
            (b"a\r\r\r\n", b"a\r\r\r\n", b"a\r\r\r\n"),
            (b"a\nb", b"a\nb", b"a\r\nb"),
            (b"\r", b"\r", b"\r"),
            (b"\n\r\n", b"\n\n", b"\r\n\r\n"),
        ] {
            let (got, size) = disk(&[from], false);
            assert_eq!(got, to);
            assert_eq!(wire(&got, 1), back);
            assert_eq!(size, back.len() as u64);
        }
    }

    proptest! {
        #[test]
        fn round_trip(parts in prop::collection::vec(prop::sample::select(vec!["\r\n", "\r", "\n", "x", "xy", ">", "From "]), 0..40),
                      cut in 1usize..7, keep: bool) {
            let text: Vec<u8> = parts.concat().into_bytes();
            let mut canonical = Vec::new();
            ToWire::default().push(&text, &mut canonical);
            let chunks: Vec<&[u8]> = text.chunks(cut).collect();
            let (stored, size) = disk(&chunks, keep);
            prop_assert_eq!(&wire(&stored, cut), &canonical);
            prop_assert_eq!(size, canonical.len() as u64);
            let mut counter = ToWire::default();
            let counted: u64 = stored.chunks(cut).map(|chunk| counter.count(chunk)).sum();
            prop_assert_eq!(counted, size);
        }
    }
}
