//! A message on its way into an mbox: LF line ends, `From ` quoted, state fields left out.

use std::path::{Path, PathBuf};

use super::header::{HEADER_LIMIT, LINE_LIMIT};
use super::meta;
use crate::durable::{Durable, File, read_full_at};
use crate::error::{Error, IoContext};
use crate::wire::{LineStart, ToDisk, ToWire};

/// A message of more octets waits in a file.
const IN_MEMORY: usize = 128 << 10;
const PART: usize = 64 << 10;

pub(crate) struct Incoming {
    durable: Durable,
    path: PathBuf,
    file: Option<Box<dyn File>>,
    written: u64,
    buffer: Vec<u8>,
    to_disk: ToDisk,
    disk: Vec<u8>,
    filter: Filter,
}

/// Tells header from body and changes what an mbox cannot hold.
#[derive(Default)]
struct Filter {
    body: Option<LineStart>,
    /// A header line, held back until it ends or is too long to be one.
    line: Vec<u8>,
    hiding: bool,
    /// Octets of the header, the empty line not counted.
    header: usize,
    size: u64,
    to_wire: ToWire,
    ends_with_line: bool,
}

impl Incoming {
    /// `path` is where the message waits when it is large.
    pub(crate) fn begin(durable: &Durable, path: PathBuf) -> Self {
        Self {
            durable: durable.clone(),
            path,
            file: None,
            written: 0,
            buffer: Vec::new(),
            to_disk: ToDisk::new(false),
            disk: Vec::new(),
            filter: Filter {
                ends_with_line: true,
                ..Filter::default()
            },
        }
    }

    pub(crate) fn write(&mut self, wire: &[u8]) -> Result<(), Error> {
        for part in wire.chunks(PART) {
            self.disk.clear();
            self.to_disk.push(part, &mut self.disk);
            self.filter.push(&self.disk, &mut self.buffer);
            self.spill()?;
        }
        Ok(())
    }

    fn spill(&mut self) -> Result<(), Error> {
        if self.buffer.len() <= IN_MEMORY {
            return Ok(());
        }
        let file = match &self.file {
            Some(file) => file,
            None => {
                if let Some(directory) = self.path.parent() {
                    self.durable.make_dir(directory)?;
                }
                self.file.insert(self.durable.create(&self.path)?)
            }
        };
        file.write_all_at(&self.buffer, self.written)
            .at("write", &self.path)?;
        self.written += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }

    /// Ends the content; gives its wire size.
    pub(crate) fn seal(&mut self) -> Result<u64, Error> {
        self.disk.clear();
        self.to_disk.finish(&mut self.disk);
        self.filter.push(&self.disk, &mut self.buffer);
        self.filter.finish(&mut self.buffer);
        self.spill()?;
        Ok(self.filter.size)
    }

    /// Octets that it has in the file, state fields aside.
    pub(crate) fn octets(&self) -> u64 {
        self.written + self.buffer.len() as u64
    }

    /// Passes the message on in parts, with `meta` behind its header.
    pub(super) fn pour(
        &self,
        meta: &str,
        mut each: impl FnMut(&[u8]) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut header = self.filter.header;
        let mut poured = false;
        let mut part_of = |part: &[u8]| -> Result<(), Error> {
            match part.split_at_checked(header) {
                Some((front, back)) if !poured => {
                    poured = true;
                    each(front)?;
                    each(meta.as_bytes())?;
                    each(back)
                }
                _ => {
                    header = header.saturating_sub(part.len());
                    each(part)
                }
            }
        };
        if let Some(file) = &self.file {
            let mut part = vec![0; PART];
            let mut at = 0;
            while at < self.written {
                let read = read_full_at(&**file, &mut part, at).at("read", &self.path)?;
                if read == 0 {
                    return Err(Error::Corrupt {
                        path: self.path.clone(),
                        at,
                        what: "the waiting message was cut",
                    });
                }
                let want = usize::try_from(self.written - at).unwrap_or(read).min(read);
                part_of(part.get(..want).unwrap_or_default())?;
                at += want as u64;
            }
        }
        part_of(&self.buffer)
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        if self.file.is_some() {
            // What stays is swept with the other leftovers when the mailbox is opened.
            let _ = self.durable.remove(&self.path);
        }
    }
}

/// Whether a file beside the state files is one that a crash left of an incoming message.
pub(super) fn is_leftover(path: &Path) -> bool {
    path.extension()
        .is_some_and(|extension| extension == "incoming")
}

impl Filter {
    fn push(&mut self, mut disk: &[u8], out: &mut Vec<u8>) {
        if let Some(&last) = disk.last() {
            self.ends_with_line = last == b'\n';
        }
        while self.body.is_none() && !disk.is_empty() {
            let end = memchr::memchr(b'\n', disk).map_or(disk.len(), |end| end + 1);
            let (line, rest) = disk.split_at_checked(end).unwrap_or((disk, &[]));
            disk = rest;
            self.line.extend_from_slice(line);
            if line.ends_with(b"\n") || self.line.len() > LINE_LIMIT {
                self.header_line(out);
            }
        }
        if !disk.is_empty() {
            self.size += self.to_wire.count(disk);
            self.quote(disk, out);
        }
    }

    fn header_line(&mut self, out: &mut Vec<u8>) {
        let line = std::mem::take(&mut self.line);
        if line == b"\n" {
            self.size += self.to_wire.count(&line);
            out.extend_from_slice(&line);
            self.body = Some(LineStart::Fresh);
            return;
        }
        if !line.starts_with(b" ") && !line.starts_with(b"\t") {
            self.hiding = meta::field(&line).is_some_and(|field| meta::is_hidden(&field));
        }
        let is_long = line.len() > LINE_LIMIT;
        if !is_long && self.hiding {
            return;
        }
        self.size += self.to_wire.count(&line);
        if is_long || self.header + line.len() > HEADER_LIMIT {
            // To whoever reads the file, as to the scan, the header ends before it.
            self.body = Some(LineStart::Fresh);
            return self.quote(&line, out);
        }
        self.header += line.len();
        out.extend_from_slice(&line);
    }

    fn quote(&mut self, mut disk: &[u8], out: &mut Vec<u8>) {
        let mut state = self.body.unwrap_or_default();
        while let Some((&first, rest)) = disk.split_first() {
            if state == LineStart::Within {
                let end = memchr::memchr(b'\n', disk).map_or(disk.len(), |end| end + 1);
                let (line, rest) = disk.split_at_checked(end).unwrap_or((disk, &[]));
                out.extend_from_slice(line);
                if line.ends_with(b"\n") {
                    state = LineStart::Fresh;
                }
                disk = rest;
                continue;
            }
            let (next, decided) = state.step(first);
            state = next;
            let Some(decided) = decided else {
                disk = rest;
                continue;
            };
            let angles = decided.angles + u64::from(decided.from);
            decided.write(angles, |part| out.extend_from_slice(part));
            if decided.used {
                disk = rest;
            }
        }
        self.body = Some(state);
    }

    /// An mbox message ends with a line end.
    fn finish(&mut self, out: &mut Vec<u8>) {
        if !self.ends_with_line {
            self.push(b"\n", out);
        }
        if let Some(state) = self.body {
            let decided = state.end();
            decided.write(decided.angles, |part| out.extend_from_slice(part));
        }
    }
}
