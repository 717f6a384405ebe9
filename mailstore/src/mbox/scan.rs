//! Finding the messages of an mbox file.

use std::borrow::Cow;
use std::path::Path;
use std::time::SystemTime;

use memchr::{memchr, memmem, memrchr};

use super::from;
use super::header::{self, HEADER_LIMIT, HIDDEN_ROOM};
use super::meta::Meta;
use crate::durable::{File, read_full_at};
use crate::error::{Error, IoContext};
use crate::wire::{Extent, Form};

/// Octets read at once: what the processor's own memory holds until they are looked through.
const WINDOW: usize = 256 << 10;
/// As many at least are looked through in one go. What is left of a window that has fewer is read again.
const STEP: usize = 16 << 10;
const HEADER_USUAL: usize = 16 << 10;
/// A `From ` line at most.
const FROM_LIMIT: usize = 1024;

/// A message of the file. Places are octets from the file's start.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Found {
    /// Where its `From ` line begins.
    pub(super) from: u64,
    /// Where its header begins.
    pub(super) header: u64,
    /// Where the empty line behind its header begins.
    pub(super) blank: u64,
    /// Where its body begins, behind the empty line.
    pub(super) body: u64,
    /// Where it ends; the empty line that parts it from the next one is not its own.
    pub(super) end: u64,
    pub(super) date: SystemTime,
    pub(super) meta: Meta,
    /// Runs of hidden fields in the header.
    pub(super) hidden: Vec<(u64, u64)>,
    /// Where the digits of its UID and its flag lines can be written over; the latter with the keyword line's width.
    pub(super) slot: Option<(u64, usize)>,
    /// A checksum of what does not change: the `From ` line and the visible header.
    pub(super) hash: u32,
    /// The header says how long the body is.
    pub(super) claimed: bool,
    /// The body is as long as its header says, and so is not quoted.
    pub(super) counted: bool,
}

impl Found {
    /// What a reader passes on.
    pub(super) fn extents(&self) -> Vec<Extent> {
        let mut extents = Vec::with_capacity(self.hidden.len() + 2);
        let mut at = self.header;
        for &(start, end) in &self.hidden {
            if start > at {
                extents.push(Extent {
                    start: at,
                    end: start,
                    form: Form::Lines,
                });
            }
            at = end;
        }
        if self.body > at {
            extents.push(Extent {
                start: at,
                end: self.body,
                form: Form::Lines,
            });
        }
        let form = if self.counted {
            Form::Lines
        } else {
            Form::Quoted
        };
        extents.push(Extent {
            start: self.body,
            end: self.end,
            form,
        });
        extents
    }

    /// A checksum of the visible header, and the body's length: another program may have put another message
    /// behind the same `X-UID`.
    pub(super) fn tag(&self) -> u64 {
        u64::from(self.hash) << 32 | (self.end - self.body) & u64::from(u32::MAX)
    }

    /// The file's octets of the header without the hidden fields and the empty line.
    pub(super) fn visible_header(&self) -> Vec<(u64, u64)> {
        let mut parts = Vec::new();
        let mut at = self.header;
        let end = self.header_end();
        for &(start, stop) in &self.hidden {
            if start > at {
                parts.push((at, start));
            }
            at = stop;
        }
        if end > at {
            parts.push((at, end));
        }
        parts
    }

    /// Octets of a body that is told by a Content-Length and not by quoting.
    pub(super) fn content_length(&self) -> Option<u64> {
        self.counted.then(|| self.end - self.body)
    }

    /// Whether its header tells a length that its body does not have.
    pub(super) fn claims_other_length(&self) -> bool {
        self.claimed && !self.counted
    }

    /// Where the empty line behind the header begins.
    pub(super) fn header_end(&self) -> u64 {
        self.blank
    }
}

/// A part of the file kept in memory.
struct Window<'a> {
    file: &'a dyn File,
    path: &'a Path,
    len: u64,
    start: u64,
    octets: Vec<u8>,
}

impl Window<'_> {
    /// As [`at`](Self::at), where a header says that the message ends. The window stays with what is read next: a
    /// length that lies must cost no more than a look.
    fn peek(&self, at: u64, want: usize) -> Result<Cow<'_, [u8]>, Error> {
        let end = self.len.min(at.saturating_add(want as u64));
        let held = at.checked_sub(self.start).and_then(|skip| {
            let skip = usize::try_from(skip).ok()?;
            let want = usize::try_from(end.checked_sub(at)?).ok()?;
            self.octets.get(skip..skip.checked_add(want)?)
        });
        if let Some(held) = held {
            return Ok(Cow::Borrowed(held));
        }
        let mut octets = vec![0; usize::try_from(end.saturating_sub(at)).unwrap_or(want)];
        let read = read_full_at(self.file, &mut octets, at).at("read", self.path)?;
        octets.truncate(read);
        Ok(Cow::Owned(octets))
    }

    /// At least `want` octets from `at`, or all there are.
    fn at(&mut self, at: u64, want: usize) -> Result<&[u8], Error> {
        let end = self.len.min(at.saturating_add(want as u64));
        if at < self.start || end > self.start + self.octets.len() as u64 {
            let size = usize::try_from(self.len.saturating_sub(at))
                .unwrap_or(usize::MAX)
                .min(want.max(WINDOW));
            self.octets.resize(size, 0);
            let read = read_full_at(self.file, &mut self.octets, at).at("read", self.path)?;
            self.octets.truncate(read);
            self.start = at;
        }
        let skip = usize::try_from(at - self.start).unwrap_or(usize::MAX);
        Ok(self.octets.get(skip..).unwrap_or_default())
    }
}

/// The messages from `start` on, where a `From ` line or the end of the file must be.
///
/// # Errors
/// Octets that are no mbox are refused before anything is done to them.
pub(super) fn scan(
    file: &dyn File,
    path: &Path,
    start: u64,
    len: u64,
) -> Result<Vec<Found>, Error> {
    let mut window = Window {
        file,
        path,
        len,
        start: 0,
        octets: Vec::new(),
    };
    let mut found = Vec::new();
    let mut at = start;
    // Empty lines at the start are tolerated, as Dovecot does.
    while let Some(end) = line_end(window.at(at, 2)?) {
        at += end;
    }
    while at < len {
        let Some(message) = message(&mut window, at)? else {
            return Err(Error::Corrupt {
                path: path.to_owned(),
                at,
                what: "no From line where a message begins",
            });
        };
        let next = message.1;
        found.push(message.0);
        at = next;
    }
    Ok(found)
}

/// Whether a message begins here.
pub(super) fn begins(file: &dyn File, path: &Path, at: u64, len: u64) -> Result<bool, Error> {
    let mut window = Window {
        file,
        path,
        len,
        start: 0,
        octets: Vec::new(),
    };
    Ok(from_line(window.at(at, FROM_LIMIT)?).is_some())
}

/// Where the last line of the file's last message begins when it has no end and would begin a message if it had one. It
/// is text, to Dovecot too, as long as nothing stands behind it.
pub(super) fn open_from_line(
    file: &dyn File,
    path: &Path,
    last: &Found,
) -> Result<Option<u64>, Error> {
    if last.counted {
        return Ok(None);
    }
    // The octets before it tell whether an empty line does.
    let start = last.end.saturating_sub(FROM_LIMIT as u64 + 2);
    let start = start.max(last.blank.saturating_sub(1));
    let mut tail = vec![0; usize::try_from(last.end.saturating_sub(start)).unwrap_or_default()];
    let read = read_full_at(file, &mut tail, start).at("read", path)?;
    tail.truncate(read);
    let Some(end) = memrchr(b'\n', &tail).filter(|end| end + 1 < tail.len()) else {
        return Ok(None);
    };
    let before = tail.get(..end).unwrap_or_default();
    if !before.ends_with(b"\n") && !before.ends_with(b"\n\r") {
        return Ok(None);
    }
    let mut line = tail.get(end + 1..).unwrap_or_default().to_vec();
    line.push(b'\n');
    Ok(from_line(&line).map(|_| start + end as u64 + 1))
}

/// A `From ` line's length and date.
fn from_line(octets: &[u8]) -> Option<(usize, SystemTime)> {
    if !octets.starts_with(b"From ") {
        return None;
    }
    let line = octets.get(..FROM_LIMIT).unwrap_or(octets);
    let end = memchr(b'\n', line)? + 1;
    Some((end, from::parse(line.get(..end)?)?))
}

/// The message whose `From ` line is here, and where the next one's is.
fn message(window: &mut Window<'_>, from: u64) -> Result<Option<(Found, u64)>, Error> {
    let Some((line, date)) = from_line(window.at(from, FROM_LIMIT)?) else {
        return Ok(None);
    };
    // Most headers are short, and asking for little reads the file in large steps.
    let (len, mut want) = (window.len, HEADER_USUAL);
    let octets = loop {
        let octets = window.at(from, line + want)?;
        let header = octets.get(line - 1..).unwrap_or_default();
        let is_whole =
            memmem::find(header, b"\n\n").is_some() || memmem::find(header, b"\n\r\n").is_some();
        if is_whole || want >= HEADER_LIMIT + HIDDEN_ROOM || header.len() <= want {
            break window.at(from, line + want)?;
        }
        want = (want * 4).min(HEADER_LIMIT + HIDDEN_ROOM);
    };
    let is_last = from + octets.len() as u64 >= len;
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(octets.get(..line).unwrap_or_default());
    let header = octets.get(line..).unwrap_or_default();
    let mut found = Found {
        from,
        header: from + line as u64,
        body: 0,
        end: 0,
        date,
        meta: Meta::default(),
        hidden: Vec::new(),
        slot: None,
        hash: 0,
        claimed: false,
        counted: false,
        blank: 0,
    };
    let counted = header::read(header, is_last, &mut found, &mut hasher);
    found.hash = hasher.finalize();
    found.claimed = counted.is_some();
    if let Some(counted) = counted
        && let Some(end) = found
            .body
            .checked_add(counted)
            .filter(|&end| end <= window.len)
    {
        // A true Content-Length is followed by the next message or by nothing.
        let len = window.len;
        let behind = window.peek(end, FROM_LIMIT + 2)?;
        let next = match line_end(&behind) {
            None => behind.is_empty().then_some(end),
            Some(empty) => {
                let next = end + empty;
                let begins = |rest: &[u8]| from_line(rest).is_some();
                let rest = usize::try_from(empty)
                    .ok()
                    .and_then(|empty| behind.get(empty..));
                (next == len || rest.is_some_and(begins)).then_some(next)
            }
        };
        if let Some(next) = next {
            found.end = end;
            found.counted = true;
            return Ok(Some((found, next)));
        }
    }
    let next = next_message(window, found.blank)?;
    // The empty line before the next message or the end of the file.
    let tail_at = next.saturating_sub(3).max(found.header);
    let tail = window.at(tail_at, 3)?;
    let tail = tail
        .get(..usize::try_from(next - tail_at).unwrap_or(3))
        .unwrap_or(tail);
    let parting = match tail {
        b"\n\r\n" | b"\r\n" => 2,
        [.., b'\n', b'\n'] | b"\n" => 1,
        _ => 0,
    };
    found.end = next - parting;
    // The empty line of a header without body parts it from the next message too.
    found.body = found.body.min(found.end);
    found.blank = found.blank.min(found.end);
    Ok(Some((found, next)))
}

/// The length of a line end that stands here.
fn line_end(octets: &[u8]) -> Option<u64> {
    match octets {
        [b'\n', ..] => Some(1),
        [b'\r', b'\n', ..] => Some(2),
        _ => None,
    }
}

/// The next `From ` line behind an empty line, or the end of the file.
fn next_message(window: &mut Window<'_>, mut at: u64) -> Result<u64, Error> {
    /// Octets from the end of the line before an empty one to the end of `From `, but one.
    const SPLIT: usize = b"\n\r\nFrom".len();
    let finder = memmem::Finder::new(b"\nFrom ");
    at = at.saturating_sub(1);
    loop {
        let len = window.len;
        let octets = window.at(at, STEP)?;
        let behind_empty = |hit: &usize| {
            let before = octets.get(..*hit).unwrap_or_default();
            before.ends_with(b"\n") || before.ends_with(b"\n\r")
        };
        let Some(hit) = finder.find_iter(octets).find(behind_empty) else {
            if at + octets.len() as u64 >= len {
                return Ok(len);
            }
            at += octets.len().saturating_sub(SPLIT) as u64;
            continue;
        };
        let line = at + hit as u64 + 1;
        if from_line(window.at(line, FROM_LIMIT)?).is_some() {
            return Ok(line);
        }
        at = line;
    }
}
