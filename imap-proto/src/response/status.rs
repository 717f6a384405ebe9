use super::Code;
use crate::ParseErrorKind;
use crate::cursor::{Cursor, Parsed};
use crate::types::Chars;
use crate::wire::Writer;

/// `resp-cond-state` and its kin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusResponse {
    /// OK, NO, BAD, PREAUTH, BYE.
    pub kind: StatusKind,
    /// What it means, for programs.
    pub code: Option<Code>,
    /// What it means, for people. Control characters are not sent.
    pub text: String,
}

/// The kind of a status response.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StatusKind {
    /// It worked.
    Ok,
    /// It did not.
    No,
    /// It was no such thing.
    Bad,
    /// A greeting: already authenticated.
    PreAuth,
    /// The connection is about to close.
    Bye,
}
impl StatusResponse {
    /// A status without code.
    #[must_use]
    pub fn new(kind: StatusKind, text: impl Into<String>) -> Self {
        Self {
            kind,
            code: None,
            text: text.into(),
        }
    }

    /// An OK.
    #[must_use]
    pub fn ok(text: impl Into<String>) -> Self {
        Self::new(StatusKind::Ok, text)
    }

    /// A NO.
    #[must_use]
    pub fn no(text: impl Into<String>) -> Self {
        Self::new(StatusKind::No, text)
    }

    /// A BAD.
    #[must_use]
    pub fn bad(text: impl Into<String>) -> Self {
        Self::new(StatusKind::Bad, text)
    }

    /// The same with a code.
    #[must_use]
    pub fn with(mut self, code: Code) -> Self {
        self.code = Some(code);
        self
    }

    pub(super) fn parse(c: &mut Cursor<'_>) -> Parsed<Self> {
        let at = c.at();
        let name = c.atom_text()?;
        let kind = StatusKind::ALL
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, kind)| *kind)
            .ok_or(Cursor::error_at(ParseErrorKind::Expected("a status"), at))?;
        // Some servers send no text, and not even the space before it.
        let _ = c.eat(b' ');
        let mut code = None;
        let at = c.at();
        if c.peek() == Some(b'[') {
            match Code::parse(c) {
                Ok(parsed) => {
                    code = Some(parsed);
                    let _ = c.eat(b' ');
                }
                Err(_) => c.set_at(at),
            }
        }
        let text = c.take_while(Chars::TEXT);
        Ok(Self {
            kind,
            code,
            text: String::from_utf8_lossy(text).into_owned(),
        })
    }

    pub(crate) fn encode(&self, w: &mut Writer<'_>) {
        w.str(self.kind.name());
        w.space();
        if let Some(code) = &self.code {
            code.encode(w);
            w.space();
        }
        encode_text(&self.text, w);
    }
}

/// Text as it may stand in a line: no control characters, ASCII unless UTF-8
/// is enabled, never empty, and no `[` in front that would read as a code.
fn encode_text(text: &str, w: &mut Writer<'_>) {
    let start = w.text.len();
    for one in text.chars() {
        match one {
            '[' if w.text.len() == start => w.byte(b'('),
            ' '..='~' => w.byte(u8::try_from(one).unwrap_or(b'?')),
            _ if one.is_control() => w.space(),
            _ if w.dialect.utf8 => w.str(one.encode_utf8(&mut [0; 4])),
            _ => w.byte(b'?'),
        }
    }
    if w.text.len() == start {
        w.byte(b'.');
    }
}

impl StatusKind {
    const ALL: [(&'static str, Self); 5] = [
        ("OK", Self::Ok),
        ("NO", Self::No),
        ("BAD", Self::Bad),
        ("PREAUTH", Self::PreAuth),
        ("BYE", Self::Bye),
    ];

    /// The word on the wire.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::No => "NO",
            Self::Bad => "BAD",
            Self::PreAuth => "PREAUTH",
            Self::Bye => "BYE",
        }
    }

    pub(crate) fn from_name(name: &[u8]) -> Option<Self> {
        Self::ALL
            .iter()
            .find(|(known, _)| known.as_bytes().eq_ignore_ascii_case(name))
            .map(|(_, kind)| *kind)
    }
}
