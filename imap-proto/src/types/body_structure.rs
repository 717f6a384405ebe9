use super::string::{encode_nstring, nil, nstring, nstring_into};
use super::{Envelope, IString, NString};
use crate::cursor::{Cursor, Parsed};
use crate::wire::Writer;

/// `body-fld-param`: names and values.
pub type Parameters = Vec<(IString, IString)>;

/// `body`: the MIME structure of a message (RFC 9051 §7.5.2).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum BodyStructure {
    /// A part without parts.
    Single(Box<SinglePart>),
    /// A multipart.
    Multi(Box<MultiPart>),
}

/// `body-type-1part`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct SinglePart {
    /// Media type and what depends on it.
    pub media: Media,
    /// Parameters of Content-Type.
    pub parameters: Parameters,
    /// Content-ID.
    pub id: NString,
    /// Content-Description.
    pub description: NString,
    /// Content-Transfer-Encoding.
    pub encoding: IString,
    /// Octets of the part as it is encoded.
    pub size: u64,
    /// What BODYSTRUCTURE has and BODY has not.
    pub extension: Option<SingleExtension>,
}

/// The media type of a single part.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Media {
    /// Neither text nor an embedded message.
    Basic {
        /// The type.
        media_type: IString,
        /// The subtype.
        subtype: IString,
    },
    /// `text/*`.
    Text {
        /// The subtype.
        subtype: IString,
        /// Lines of the part as it is encoded.
        lines: u64,
    },
    /// `message/rfc822` or `message/global`.
    Message {
        /// `RFC822` or `GLOBAL`.
        subtype: IString,
        /// The embedded message's envelope.
        envelope: Box<Envelope>,
        /// The embedded message's structure.
        body: BodyStructure,
        /// Lines of the part as it is encoded.
        lines: u64,
    },
}

/// `body-ext-1part`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct SingleExtension {
    /// Content-MD5.
    pub md5: NString,
    /// What both kinds of part have.
    pub common: Extension,
}

/// Disposition, language, location, and what is not known yet.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Extension {
    /// Content-Disposition and its parameters.
    pub disposition: Option<(IString, Parameters)>,
    /// Content-Language.
    pub language: Vec<IString>,
    /// Content-Location.
    pub location: NString,
    /// `body-extension`: raw, for a client to see; a server sends none.
    pub future: Vec<bytes::Bytes>,
}

/// `body-type-mpart`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct MultiPart {
    /// The parts. A server sends a single empty text part where there is
    /// none, since the grammar has no empty multipart.
    pub parts: Vec<BodyStructure>,
    /// The subtype.
    pub subtype: IString,
    /// What BODYSTRUCTURE has and BODY has not.
    pub extension: Option<MultiExtension>,
}

/// `body-ext-mpart`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct MultiExtension {
    /// Parameters of Content-Type.
    pub parameters: Parameters,
    /// What both kinds of part have.
    pub common: Extension,
}

impl Default for Media {
    /// A type and subtype of no octets, which no message has.
    fn default() -> Self {
        Self::Basic {
            media_type: IString::default(),
            subtype: IString::default(),
        }
    }
}

impl BodyStructure {
    pub(crate) fn parse(c: &mut Cursor<'_>) -> Parsed<Self> {
        c.deeper(|c| {
            c.open()?;
            let body = if c.peek() == Some(b'(') {
                Self::Multi(Box::new(MultiPart::parse(c)?))
            } else {
                Self::Single(SinglePart::parse(c)?)
            };
            c.close()?;
            Ok(body)
        })
    }

    /// `extended` for BODYSTRUCTURE, not for BODY.
    pub(crate) fn encode(&self, w: &mut Writer<'_>, extended: bool) {
        w.byte(b'(');
        match self {
            Self::Single(part) => part.encode(w, extended),
            Self::Multi(part) => part.encode(w, extended),
        }
        w.byte(b')');
    }
}

impl SinglePart {
    fn parse(c: &mut Cursor<'_>) -> Parsed<Box<Self>> {
        let mut part = Box::<Self>::default();
        let mut media_type = IString::default();
        let mut subtype = IString::default();
        IString::parse_into(c, &mut media_type)?;
        c.space()?;
        IString::parse_into(c, &mut subtype)?;
        c.space()?;
        parameters(c, &mut part.parameters)?;
        c.space()?;
        nstring_into(c, &mut part.id)?;
        c.space()?;
        nstring_into(c, &mut part.description)?;
        c.space()?;
        // Some servers say NIL for what defaults to 7BIT.
        part.encoding = nstring(c)?.unwrap_or_else(|| IString::lossy("7BIT"));
        c.space()?;
        part.size = c.number64()?;
        let is = |text: &str| media_type.as_bytes().eq_ignore_ascii_case(text.as_bytes());
        let sub = |text: &str| subtype.as_bytes().eq_ignore_ascii_case(text.as_bytes());
        part.media = if is("TEXT") {
            c.space()?;
            let lines = c.number64()?;
            Media::Text { subtype, lines }
        } else if is("MESSAGE") && (sub("RFC822") || sub("GLOBAL")) && has_envelope(c) {
            c.space()?;
            let envelope = Envelope::parse(c)?;
            c.space()?;
            let body = BodyStructure::parse(c)?;
            c.space()?;
            let lines = c.number64()?;
            Media::Message {
                subtype,
                envelope,
                body,
                lines,
            }
        } else {
            Media::Basic {
                media_type,
                subtype,
            }
        };
        if c.eat(b' ') {
            part.extension = Some(SingleExtension {
                md5: nstring(c)?,
                common: Extension::parse(c)?,
            });
        }
        Ok(part)
    }

    fn encode(&self, w: &mut Writer<'_>, extended: bool) {
        match &self.media {
            Media::Basic {
                media_type,
                subtype,
            } => {
                media_type.encode(w);
                w.space();
                subtype.encode(w);
            }
            Media::Text { subtype, .. } => {
                w.raw(b"\"TEXT\" ");
                subtype.encode(w);
            }
            Media::Message { subtype, .. } => {
                w.raw(b"\"MESSAGE\" ");
                subtype.encode(w);
            }
        }
        w.space();
        encode_parameters(w, &self.parameters);
        w.space();
        encode_nstring(w, &self.id);
        w.space();
        encode_nstring(w, &self.description);
        w.space();
        self.encoding.encode(w);
        w.space();
        w.number(self.size);
        match &self.media {
            Media::Basic { .. } => {}
            Media::Text { lines, .. } => {
                w.space();
                w.number(*lines);
            }
            Media::Message {
                envelope,
                body,
                lines,
                ..
            } => {
                w.space();
                envelope.encode(w);
                w.space();
                body.encode(w, extended);
                w.space();
                w.number(*lines);
            }
        }
        if let (true, Some(extension)) = (extended, &self.extension) {
            w.space();
            encode_nstring(w, &extension.md5);
            extension.common.encode(w);
        }
    }
}

/// Old servers end a message/rfc822 that they could not parse behind its size.
fn has_envelope(c: &Cursor<'_>) -> bool {
    c.peek() == Some(b' ') && c.peek_at(1) == Some(b'(')
}

impl MultiPart {
    fn parse(c: &mut Cursor<'_>) -> Parsed<Self> {
        let mut parts = Vec::new();
        while c.peek() == Some(b'(') {
            c.element()?;
            parts.push(BodyStructure::parse(c)?);
        }
        c.space()?;
        let subtype = IString::parse(c)?;
        let extension = match c.eat(b' ') {
            true => {
                let mut extension = MultiExtension::default();
                parameters(c, &mut extension.parameters)?;
                extension.common = Extension::parse(c)?;
                Some(extension)
            }
            false => None,
        };
        Ok(Self {
            parts,
            subtype,
            extension,
        })
    }

    fn encode(&self, w: &mut Writer<'_>, extended: bool) {
        if self.parts.is_empty() {
            w.raw(b"(\"TEXT\" \"PLAIN\" NIL NIL NIL \"7BIT\" 0 0)");
        }
        for part in &self.parts {
            part.encode(w, extended);
        }
        w.space();
        self.subtype.encode(w);
        if let (true, Some(extension)) = (extended, &self.extension) {
            w.space();
            encode_parameters(w, &extension.parameters);
            extension.common.encode(w);
        }
    }
}

impl Extension {
    /// Each element may be the last.
    fn parse(c: &mut Cursor<'_>) -> Parsed<Self> {
        let mut extension = Self::default();
        if !c.eat(b' ') {
            return Ok(extension);
        }
        extension.disposition = disposition(c)?;
        if !c.eat(b' ') {
            return Ok(extension);
        }
        extension.language = language(c)?;
        if !c.eat(b' ') {
            return Ok(extension);
        }
        extension.location = nstring(c)?;
        while c.eat(b' ') {
            c.element()?;
            let at = c.at();
            skip_extension(c)?;
            extension.future.push(c.slice(at, c.at()));
        }
        Ok(extension)
    }

    fn encode(&self, w: &mut Writer<'_>) {
        w.space();
        match &self.disposition {
            None => w.raw(b"NIL"),
            Some((kind, parameters)) => {
                w.byte(b'(');
                kind.encode(w);
                w.space();
                encode_parameters(w, parameters);
                w.byte(b')');
            }
        }
        w.space();
        match &self.language[..] {
            [] => w.raw(b"NIL"),
            [one] => one.encode(w),
            many => w.list(many, |w, one| one.encode(w)),
        }
        w.space();
        encode_nstring(w, &self.location);
        for raw in &self.future {
            w.space();
            w.raw(raw);
        }
    }
}

fn disposition(c: &mut Cursor<'_>) -> Parsed<Option<(IString, Parameters)>> {
    if nil(c) {
        return Ok(None);
    }
    if c.peek() != Some(b'(') {
        // A bare string, as old servers send it.
        return Ok(Some((IString::parse(c)?, Vec::new())));
    }
    c.open()?;
    let kind = IString::parse(c)?;
    c.space()?;
    let mut all = Vec::new();
    parameters(c, &mut all)?;
    c.close()?;
    Ok(Some((kind, all)))
}

fn language(c: &mut Cursor<'_>) -> Parsed<Vec<IString>> {
    if nil(c) {
        return Ok(Vec::new());
    }
    if c.peek() == Some(b'(') {
        return c.list(IString::parse);
    }
    Ok(vec![IString::parse(c)?])
}

/// `"(" string SP string *(SP string SP string) ")" / nil`.
fn parameters(c: &mut Cursor<'_>, all: &mut Parameters) -> Parsed<()> {
    if nil(c) {
        return Ok(());
    }
    c.open()?;
    if c.eat(b')') {
        return Ok(());
    }
    loop {
        c.element()?;
        all.push(Default::default());
        if let Some((name, value)) = all.last_mut() {
            IString::parse_into(c, name)?;
            c.space()?;
            // A value of NIL is not in the grammar, but on the wire.
            if !nil(c) {
                IString::parse_into(c, value)?;
            }
        }
        if c.eat(b')') {
            return Ok(());
        }
        c.space()?;
    }
}

fn encode_parameters(w: &mut Writer<'_>, parameters: &[(IString, IString)]) {
    if parameters.is_empty() {
        return w.raw(b"NIL");
    }
    w.list(parameters, |w, (name, value)| {
        name.encode(w);
        w.space();
        value.encode(w);
    });
}

/// `body-extension`.
fn skip_extension(c: &mut Cursor<'_>) -> Parsed<()> {
    match c.peek() {
        Some(b'(') => c.deeper(|c| c.list(skip_extension).map(|_| ())),
        Some(b'0'..=b'9') => c.number64().map(|_| ()),
        _ => nstring(c).map(|_| ()),
    }
}
