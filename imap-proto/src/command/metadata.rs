use bytes::Bytes;

use crate::cursor::{Cursor, Parsed};
use crate::types::string::{literal_octets, nil, string};
use crate::types::{EntryName, IString, Mailbox};
use crate::wire::Writer;
use crate::{Extension, ParseErrorKind};

/// GETMETADATA (RFC 5464 §4.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GetMetadata {
    /// Which mailbox; the empty name for the server itself.
    pub mailbox: Mailbox,
    /// Leave out values over so many octets.
    pub max_size: Option<u32>,
    /// How far below the entries.
    pub depth: MetadataDepth,
    /// Which entries; at least one.
    pub entries: Vec<EntryName>,
}

/// `DEPTH`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MetadataDepth {
    /// `0`: the entry itself.
    #[default]
    Zero,
    /// `1`: and those right below.
    One,
    /// `infinity`: and all below.
    Infinity,
}

/// SETMETADATA (RFC 5464 §4.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetMetadata {
    /// Which mailbox; the empty name for the server itself.
    pub mailbox: Mailbox,
    /// Entries and their new values; NIL takes an entry away.
    pub values: Vec<MetadataValue>,
}

/// `entry-value`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetadataValue {
    /// Which entry.
    pub entry: EntryName,
    /// Its octets; `None` for NIL.
    pub value: Option<Bytes>,
}

impl MetadataValue {
    pub(crate) fn parse(c: &mut Cursor<'_>) -> Parsed<Self> {
        let entry = EntryName::parse(c)?;
        c.space()?;
        let value = if nil(c) {
            None
        } else if c.eat(b'~') {
            Some(literal_octets(c)?)
        } else {
            Some(IString::parse(c)?.to_bytes())
        };
        Ok(Self { entry, value })
    }

    pub(crate) fn encode(&self, w: &mut Writer<'_>) {
        self.entry.encode(w);
        w.space();
        match &self.value {
            None => w.raw(b"NIL"),
            Some(value) if value.contains(&0) => w.literal(value, true),
            Some(value) => string(w, value),
        }
    }
}

impl GetMetadata {
    pub(super) fn parse(c: &mut Cursor<'_>) -> Parsed<Self> {
        c.space()?;
        let mut get = Self {
            mailbox: Mailbox::inbox(),
            max_size: None,
            depth: MetadataDepth::Zero,
            entries: Vec::new(),
        };
        // The ABNF has the options here (Roundcube, too), its examples behind
        // the name.
        if c.peek() == Some(b'(') {
            c.list1(|c| get.parse_option(c))?;
            c.space()?;
        }
        get.mailbox = Mailbox::parse(c)?;
        c.space()?;
        if c.peek() == Some(b'(') && !matches!(c.peek_at(1), Some(b'/' | b'"' | b'{')) {
            c.list1(|c| get.parse_option(c))?;
            c.space()?;
        }
        get.entries = match c.peek() {
            Some(b'(') => c.list1(EntryName::parse)?,
            _ => vec![EntryName::parse(c)?],
        };
        Ok(get)
    }

    fn parse_option(&mut self, c: &mut Cursor<'_>) -> Parsed<()> {
        if c.eat_text("MAXSIZE ") {
            self.max_size = Some(c.number()?);
        } else if c.eat_text("DEPTH 0") {
            self.depth = MetadataDepth::Zero;
        } else if c.eat_text("DEPTH 1") {
            self.depth = MetadataDepth::One;
        } else if c.eat_text("DEPTH infinity") {
            self.depth = MetadataDepth::Infinity;
        } else {
            return Err(c.error(ParseErrorKind::Unknown("GETMETADATA option")));
        }
        Ok(())
    }

    pub(super) fn encode(&self, w: &mut Writer<'_>) {
        w.raw(b"GETMETADATA ");
        self.mailbox.encode(w);
        w.space();
        let depth: &[u8] = match self.depth {
            MetadataDepth::Zero => b"",
            MetadataDepth::One => b"DEPTH 1",
            MetadataDepth::Infinity => b"DEPTH infinity",
        };
        if self.max_size.is_some() || !depth.is_empty() {
            w.byte(b'(');
            if let Some(size) = self.max_size {
                w.raw(b"MAXSIZE ");
                w.number(size);
                w.raw(if depth.is_empty() { b"" } else { b" " });
            }
            w.raw(depth);
            w.raw(b") ");
        }
        match &self.entries[..] {
            [one] => one.encode(w),
            many => w.list(many, |w, one| one.encode(w)),
        }
    }
}

impl SetMetadata {
    pub(super) fn parse(c: &mut Cursor<'_>) -> Parsed<Self> {
        c.space()?;
        let mailbox = Mailbox::parse(c)?;
        c.space()?;
        let values = c.list1(MetadataValue::parse)?;
        Ok(Self { mailbox, values })
    }

    pub(super) fn encode(&self, w: &mut Writer<'_>) {
        w.raw(b"SETMETADATA ");
        self.mailbox.encode(w);
        w.space();
        w.list(&self.values, |w, value| value.encode(w));
    }
}

/// What a server must offer: for itself METADATA-SERVER is enough.
pub(super) fn required(mailbox: &Mailbox) -> Extension {
    match mailbox.as_str() {
        "" => Extension::MetadataServer,
        _ => Extension::Metadata,
    }
}
