//! Codes that carry something, of extensions.

use std::num::NonZeroU32;

use bytes::Bytes;

use super::Code;
use crate::command::FilterName;
use crate::cursor::{Cursor, Parsed};
use crate::types::string::nil;
use crate::types::{Atom, Chars, IString, ImapUrl, Tag};
use crate::wire::Writer;

/// `ann-size`: how far a mailbox takes annotations (RFC 5257 §4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AnnotationSupport {
    /// `NONE`: not at all.
    None,
    /// `READ-ONLY`: they can be read.
    ReadOnly {
        /// `NOPRIVATE`: only shared ones.
        no_private: bool,
    },
    /// They can be set.
    Writable {
        /// Octets of the largest value.
        max_size: NonZeroU32,
        /// `NOPRIVATE`: only shared ones.
        no_private: bool,
    },
}

/// How far a command is (RFC 9585).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Progress {
    /// The command's tag.
    pub tag: Option<Tag>,
    /// How much is done, in units of the server's choice.
    pub done: Option<u32>,
    /// How much there is to do.
    pub goal: Option<u32>,
}

impl Code {
    /// What stands behind the name and a space.
    pub(super) fn parse_extended(name: &str, c: &mut Cursor<'_>) -> Parsed<Self> {
        Ok(match name.to_ascii_uppercase().as_str() {
            "BADURL" => Self::BadUrl(bad_url(c)?),
            "URLMECH" => Self::UrlMech(spaced(c, mechanism)?),
            "BADEVENT" => Self::BadEvent(c.list1(Atom::parse)?),
            "NOUPDATE" => {
                let at = c.at();
                let tag = Tag::new(&IString::parse_astring(c)?.to_text());
                let expected = crate::ParseErrorKind::Expected("a tag");
                Self::NoUpdate(tag.map_err(|_| Cursor::error_at(expected, at))?)
            }
            "ANNOTATE" if c.eat_text("TOOBIG") => Self::AnnotateTooBig,
            "ANNOTATE" => {
                c.expect_text("TOOMANY")?;
                Self::AnnotateTooMany
            }
            "ANNOTATIONS" => Self::Annotations(annotations(c)?),
            "UNDEFINED-FILTER" => Self::UndefinedFilter(FilterName::parse(c)?),
            "MESSAGELIMIT" => {
                let limit = c.nz_number()?;
                let last_uid = c.eat(b' ').then(|| c.nz_number()).transpose()?;
                Self::MessageLimit { limit, last_uid }
            }
            "INPROGRESS" => Self::InProgress(progress(c)?),
            "REFERRAL" => Self::Referral(spaced(c, referral)?),
            "METADATA" => metadata(c)?,
            _ => return c.expected("a known code"),
        })
    }

    pub(super) fn encode_extended(&self, w: &mut Writer<'_>) {
        match self {
            Self::BadUrl(url) => {
                w.raw(b"BADURL ");
                w.raw(url);
            }
            Self::UrlMech(mechanisms) => {
                w.raw(b"URLMECH ");
                w.spaced(mechanisms, |w, (name, data)| {
                    w.str(name.as_str());
                    if let Some(data) = data {
                        w.byte(b'=');
                        w.str(&proto_core::sasl::encode_base64(data));
                    }
                });
            }
            Self::BadEvent(names) => {
                w.raw(b"BADEVENT ");
                w.list(names, |w, name| w.str(name.as_str()));
            }
            Self::NoUpdate(tag) => {
                w.raw(b"NOUPDATE ");
                crate::types::string::quote(w, tag.as_str().as_bytes());
            }
            Self::AnnotateTooBig => w.raw(b"ANNOTATE TOOBIG"),
            Self::AnnotateTooMany => w.raw(b"ANNOTATE TOOMANY"),
            Self::Annotations(support) => {
                let no_private = match support {
                    AnnotationSupport::None => {
                        w.raw(b"ANNOTATIONS NONE");
                        false
                    }
                    AnnotationSupport::ReadOnly { no_private } => {
                        w.raw(b"ANNOTATIONS READ-ONLY");
                        *no_private
                    }
                    AnnotationSupport::Writable {
                        max_size,
                        no_private,
                    } => {
                        w.raw(b"ANNOTATIONS ");
                        w.number(max_size.get());
                        *no_private
                    }
                };
                w.raw(if no_private { b" NOPRIVATE" } else { b"" });
            }
            Self::UndefinedFilter(name) => {
                w.raw(b"UNDEFINED-FILTER ");
                w.str(name.as_str());
            }
            Self::MessageLimit { limit, last_uid } => {
                w.raw(b"MESSAGELIMIT ");
                w.number(limit.get());
                if let Some(uid) = last_uid {
                    w.space();
                    w.number(uid.get());
                }
            }
            Self::InProgress(progress) => progress.encode(w),
            Self::Referral(urls) => {
                w.raw(b"REFERRAL ");
                w.spaced(urls, |w, url| w.str(url.as_str()));
            }
            Self::MetadataLongEntries(size) => {
                w.raw(b"METADATA LONGENTRIES ");
                w.number(*size);
            }
            Self::MetadataMaxSize(size) => {
                w.raw(b"METADATA MAXSIZE ");
                w.number(*size);
            }
            Self::MetadataTooMany => w.raw(b"METADATA TOOMANY"),
            Self::MetadataNoPrivate => w.raw(b"METADATA NOPRIVATE"),
            // The others are written beside their kin.
            _ => {}
        }
    }
}

fn spaced<T>(
    c: &mut Cursor<'_>,
    mut parse: impl FnMut(&mut Cursor<'_>) -> Parsed<T>,
) -> Parsed<Vec<T>> {
    let mut all = vec![parse(c)?];
    while c.eat(b' ') {
        c.element()?;
        all.push(parse(c)?);
    }
    Ok(all)
}

/// `url-resp-text`; servers quote it, as the examples do.
fn bad_url(c: &mut Cursor<'_>) -> Parsed<Bytes> {
    if c.peek() == Some(b'"') {
        return Ok(IString::parse(c)?.to_bytes());
    }
    let at = c.at();
    while c
        .peek()
        .is_some_and(|octet| octet != b']' && Chars::TEXT.holds(octet))
    {
        c.set_at(c.at() + 1);
    }
    match c.at() > at {
        true => Ok(c.slice(at, c.at())),
        false => c.expected("a URL"),
    }
}

/// `mechanism ["=" base64]`.
fn mechanism(c: &mut Cursor<'_>) -> Parsed<(Atom, Option<Bytes>)> {
    let at = c.at();
    let text = c.atom_text()?;
    let invalid = || Cursor::error_at(crate::ParseErrorKind::Expected("a mechanism"), at);
    let (name, data) = match text.split_once('=') {
        Some((name, data)) => (name, Some(data)),
        None => (text, None),
    };
    let name = Atom::new(name).map_err(|_| invalid())?;
    let data = data.map(|data| proto_core::sasl::decode_base64(data.as_bytes()));
    let data = data.transpose().map_err(|_| invalid())?;
    Ok((name, data.map(Bytes::from)))
}

fn annotations(c: &mut Cursor<'_>) -> Parsed<AnnotationSupport> {
    if c.eat_text("NONE") {
        return Ok(AnnotationSupport::None);
    }
    let max_size = match c.eat_text("READ-ONLY") {
        true => None,
        false => Some(c.nz_number()?),
    };
    let no_private = c.eat_text(" NOPRIVATE");
    Ok(match max_size {
        None => AnnotationSupport::ReadOnly { no_private },
        Some(max_size) => AnnotationSupport::Writable {
            max_size,
            no_private,
        },
    })
}

/// `"(" tag SP number SP number ")"`, each of them or NIL.
fn progress(c: &mut Cursor<'_>) -> Parsed<Progress> {
    c.open()?;
    let mut progress = Progress::default();
    if !nil(c) {
        let at = c.at();
        let tag = Tag::new(&IString::parse_astring(c)?.to_text());
        let expected = crate::ParseErrorKind::Expected("a tag");
        progress.tag = Some(tag.map_err(|_| Cursor::error_at(expected, at))?);
    }
    let number = |c: &mut Cursor<'_>| {
        c.space()?;
        match nil(c) {
            true => Ok(None),
            false => c.number().map(Some),
        }
    };
    progress.done = number(c)?;
    progress.goal = number(c)?;
    c.close()?;
    Ok(progress)
}

impl Progress {
    fn encode(&self, w: &mut Writer<'_>) {
        w.raw(b"INPROGRESS");
        if *self == Self::default() {
            return;
        }
        w.raw(b" (");
        match &self.tag {
            Some(tag) => crate::types::string::quote(w, tag.as_str().as_bytes()),
            None => w.raw(b"NIL"),
        }
        for number in [self.done, self.goal] {
            w.space();
            match number {
                Some(number) => w.number(number),
                None => w.raw(b"NIL"),
            }
        }
        w.byte(b')');
    }
}

/// A URL up to the next space or the end of the code.
fn referral(c: &mut Cursor<'_>) -> Parsed<ImapUrl> {
    let at = c.at();
    let is_url = |octet: u8| octet.is_ascii_graphic() && octet != b']';
    while c.peek().is_some_and(is_url) {
        c.set_at(c.at() + 1);
    }
    let octets = c.slice(at, c.at());
    let url = ImapUrl::parse(&String::from_utf8_lossy(&octets));
    url.map_err(|error| Cursor::error_at(error.kind, at + error.at))
}

fn metadata(c: &mut Cursor<'_>) -> Parsed<Code> {
    Ok(if c.eat_text("LONGENTRIES ") {
        Code::MetadataLongEntries(c.number64()?)
    } else if c.eat_text("MAXSIZE ") {
        Code::MetadataMaxSize(c.number64()?)
    } else if c.eat_text("TOOMANY") {
        Code::MetadataTooMany
    } else {
        c.expect_text("NOPRIVATE")?;
        Code::MetadataNoPrivate
    })
}
