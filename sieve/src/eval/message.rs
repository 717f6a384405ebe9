//! The message under evaluation: its header by index, changes to it, its parts when asked for.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use super::address;
use crate::action::{Body, Edited};

pub(crate) struct Message<'m> {
    octets: Cow<'m, [u8]>,
    fields: Option<Vec<Entry>>,
    /// Octets of the header with its blank line; known with `fields`.
    header_len: usize,
    structure: Option<Arc<mime::Structure>>,
    /// Fields were added or removed.
    changed: bool,
    /// A body in place of the original one (`replace`).
    body: Option<Arc<[u8]>>,
    /// Parts replaced: ranges of `octets` that do not overlap, in order.
    splices: Vec<(Range<usize>, Vec<u8>)>,
    /// `octets` are not those that the host gave.
    foreign: bool,
    edited: Option<Edited>,
}

/// One header field.
#[derive(Debug)]
pub(crate) struct Entry {
    /// Letters of the name that tell most names apart: many rules look for few names.
    key: u32,
    source: Source,
    /// Where the text is: many rules look at the same few fields.
    text: OnceLock<Decoded>,
    /// Where its one address is, if that has the most common form.
    address: OnceLock<Option<address::Places>>,
}

#[derive(Debug)]
enum Source {
    Original {
        name: Range<usize>,
        value: Range<usize>,
        all: Range<usize>,
    },
    Added {
        name: Box<[u8]>,
        value: Box<[u8]>,
    },
}

/// The text of a field.
#[derive(Debug)]
enum Decoded {
    /// These octets of its raw value.
    Within(Range<usize>),
    Anew(Box<str>),
}

/// Length, first, middle and last letter, without regard to ASCII case.
fn key(name: &[u8]) -> u32 {
    let at = |place: usize| name.get(place).map_or(0, |c| c | 0x20);
    let length = name.len();
    u32::from_le_bytes([
        u8::try_from(length).unwrap_or(u8::MAX),
        at(0),
        at(length / 2),
        at(length.wrapping_sub(1)),
    ])
}

impl Entry {
    pub(crate) fn added(name: &[u8], value: Vec<u8>) -> Self {
        Self {
            key: key(name),
            source: Source::Added {
                name: name.into(),
                value: value.into(),
            },
            text: OnceLock::new(),
            address: OnceLock::new(),
        }
    }

    /// Unfolded, trimmed, encoded words decoded: UTF-8.
    pub(crate) fn text<'a>(&'a self, octets: &'a [u8]) -> &'a [u8] {
        let raw = self.raw(octets);
        let decoded = self.text.get_or_init(|| match decoded(raw) {
            // What needs no decoding is the raw value without the white space around it.
            Cow::Borrowed(text) => {
                let front = raw.len() - raw.trim_ascii_start().len();
                let range = front..front + text.len();
                if raw.get(range.clone()) == Some(text.as_bytes()) {
                    Decoded::Within(range)
                } else {
                    Decoded::Anew(text.into())
                }
            }
            Cow::Owned(text) => Decoded::Anew(text.into_boxed_str()),
        });
        match decoded {
            Decoded::Within(range) => raw.get(range.clone()).unwrap_or_default(),
            Decoded::Anew(text) => text.as_bytes(),
        }
    }

    pub(crate) fn name<'a>(&'a self, octets: &'a [u8]) -> &'a [u8] {
        match &self.source {
            Source::Original { name, .. } => octets.get(name.clone()).unwrap_or_default(),
            Source::Added { name, .. } => name,
        }
    }

    /// Its one address, if that has the most common form.
    pub(crate) fn simple_address<'a>(&'a self, octets: &'a [u8]) -> Option<address::Simple<'a>> {
        let raw = self.raw(octets);
        let places = self.address.get_or_init(|| address::places(raw));
        places.as_ref()?.of(raw)
    }

    /// As written, folds included.
    pub(crate) fn raw<'a>(&'a self, octets: &'a [u8]) -> &'a [u8] {
        match &self.source {
            Source::Original { value, .. } => octets.get(value.clone()).unwrap_or_default(),
            Source::Added { value, .. } => value,
        }
    }
}

/// Unfolded, trimmed, encoded words decoded (RFC 5228 §2.7.2, §5.7).
pub(crate) fn decoded(raw: &[u8]) -> Cow<'_, str> {
    match mime::unfold(raw) {
        Cow::Borrowed(value) => mime::encoded_word::decode(value),
        Cow::Owned(value) => Cow::Owned(mime::encoded_word::decode(&value).into_owned()),
    }
}

/// Fields that are told apart: a header of the shortest ones takes some thirty times its size. What lies behind them is
/// kept as it is, and seen by no test.
const FIELDS: usize = 1 << 16;

fn index(octets: &[u8]) -> (Vec<Entry>, usize) {
    let mut headers = mime::Headers::new(octets);
    let mut entries = Vec::with_capacity(16);
    for field in headers.by_ref() {
        if entries.len() > FIELDS
            && let Some(Entry {
                source: Source::Original { all, .. },
                ..
            }) = entries.last_mut()
        {
            all.end = field.range().end;
            continue;
        }
        let name = field.name_range();
        entries.push(Entry {
            key: key(octets.get(name.clone()).unwrap_or_default()),
            source: Source::Original {
                name,
                value: field.value_range(),
                all: field.range(),
            },
            text: OnceLock::new(),
            address: OnceLock::new(),
        });
    }
    // All fields are read: only the blank line is left to look at.
    (entries, headers.header_len())
}

impl<'m> Message<'m> {
    pub(crate) fn new(octets: Cow<'m, [u8]>) -> Self {
        Self {
            octets,
            fields: None,
            header_len: 0,
            structure: None,
            changed: false,
            body: None,
            splices: Vec::new(),
            foreign: false,
            edited: None,
        }
    }

    pub(crate) fn octets(&self) -> &[u8] {
        &self.octets
    }

    pub(crate) fn prepare(&mut self) {
        if self.fields.is_none() {
            let (fields, header_len) = index(&self.octets);
            self.fields = Some(fields);
            self.header_len = header_len;
        }
    }

    /// The fields in order; [`prepare`](Self::prepare) comes first.
    pub(crate) fn entries(&self) -> &[Entry] {
        self.fields.as_deref().unwrap_or_default()
    }

    /// The fields with this name.
    pub(crate) fn fields<'a>(&'a self, name: &'a [u8]) -> impl Iterator<Item = &'a Entry> + 'a {
        let octets = self.octets();
        let key = key(name);
        self.entries()
            .iter()
            .filter(move |entry| entry.key == key && entry.name(octets).eq_ignore_ascii_case(name))
    }

    /// Raw values of the fields with this name.
    pub(crate) fn named<'a>(&'a self, name: &'a [u8]) -> impl Iterator<Item = &'a [u8]> + 'a {
        self.fields(name).map(|entry| entry.raw(self.octets()))
    }

    /// The text of the first field with this name.
    pub(crate) fn first_text(&mut self, name: &str) -> Option<String> {
        self.prepare();
        let entry = self.fields(name.as_bytes()).next()?;
        Some(String::from_utf8_lossy(entry.text(self.octets())).into_owned())
    }

    pub(crate) fn structure(&mut self) -> Arc<mime::Structure> {
        let octets = &self.octets;
        Arc::clone(
            self.structure
                .get_or_insert_with(|| Arc::new(mime::Structure::parse(octets))),
        )
    }

    pub(crate) fn change(&mut self) -> &mut Vec<Entry> {
        self.prepare();
        self.changed = true;
        self.edited = None;
        self.fields.get_or_insert_default()
    }

    pub(crate) fn replace_body(&mut self, body: Vec<u8>) {
        self.prepare();
        self.edited = None;
        self.body = Some(body.into());
    }

    /// Puts `part` in place of a part; replacing what holds replaced parts undoes those.
    pub(crate) fn replace_range(&mut self, range: Range<usize>, part: Vec<u8>) {
        self.prepare();
        self.edited = None;
        if self
            .splices
            .iter()
            .any(|(done, _)| done.start < range.start && range.end < done.end)
        {
            return;
        }
        self.splices
            .retain(|(done, _)| done.end <= range.start || range.end <= done.start);
        let at = self
            .splices
            .partition_point(|(done, _)| done.start < range.start);
        self.splices.insert(at, (range, part));
    }

    /// Puts another message in place of this one.
    pub(crate) fn replace_all(&mut self, octets: Vec<u8>) {
        *self = Self {
            foreign: true,
            ..Self::new(Cow::Owned(octets))
        };
    }

    /// The body with its parts replaced; `None` if it is as the host gave it.
    fn new_body(&self) -> Option<Arc<[u8]>> {
        if let Some(body) = &self.body {
            return Some(Arc::clone(body));
        }
        if self.splices.is_empty() && !self.foreign {
            return None;
        }
        let mut out = Vec::new();
        let mut at = self.header_len;
        for (range, part) in &self.splices {
            out.extend_from_slice(self.octets.get(at..range.start).unwrap_or_default());
            out.extend_from_slice(part);
            at = range.end;
        }
        out.extend_from_slice(self.octets.get(at..).unwrap_or_default());
        Some(out.into())
    }

    /// The message to store or send, if it is not the one delivered.
    pub(crate) fn edited(&mut self) -> Option<Edited> {
        if !self.changed && !self.foreign && self.body.is_none() && self.splices.is_empty() {
            return None;
        }
        self.prepare();
        if self.edited.is_none() {
            let newline: &[u8] = if self.is_lf() { b"\n" } else { b"\r\n" };
            let mut header = Vec::with_capacity(self.header_len + 256);
            for entry in self.entries() {
                match &entry.source {
                    Source::Original { all, .. } => {
                        let field = self.octets.get(all.clone()).unwrap_or_default();
                        header.extend_from_slice(field);
                        if !field.ends_with(b"\n") {
                            header.extend_from_slice(newline);
                        }
                    }
                    Source::Added { name, value } => {
                        header.extend_from_slice(name);
                        header.extend_from_slice(b":");
                        header.extend_from_slice(value);
                        header.extend_from_slice(newline);
                    }
                }
            }
            header.extend_from_slice(newline);
            self.edited = Some(Edited {
                header: header.into(),
                body: match self.new_body() {
                    Some(body) => Body::Replaced(body),
                    None => Body::Original(self.header_len),
                },
            });
        }
        self.edited.clone()
    }

    /// The message as it now stands, in one piece.
    pub(crate) fn current(&mut self) -> Cow<'_, [u8]> {
        match self.edited() {
            Some(edited) => Cow::Owned(edited.to_bytes(&self.octets)),
            None => Cow::Borrowed(&self.octets),
        }
    }

    fn is_lf(&self) -> bool {
        memchr::memchr(b'\n', &self.octets)
            .is_some_and(|at| at == 0 || self.octets.get(at - 1) != Some(&b'\r'))
    }
}
