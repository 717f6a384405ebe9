use std::fmt::{self, Write as _};

use super::{Atom, Chars};
use crate::cursor::{Cursor, KEYWORD, Parsed};
use crate::wire::Writer;
use crate::{Invalid, ParseErrorKind};

/// `flag` (RFC 9051 §2.3.2).
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Flag {
    /// `\Answered`
    Answered,
    /// `\Flagged`
    Flagged,
    /// `\Deleted`
    Deleted,
    /// `\Seen`
    Seen,
    /// `\Draft`
    Draft,
    /// `\Recent`: a server may say it (RFC 3501), a client may not set it.
    Recent,
    /// A keyword, without backslash.
    Keyword(Atom),
    /// Any other system flag: the atom behind the backslash.
    Extension(Atom),
}

impl Flag {
    /// The keyword of this name.
    ///
    /// # Errors
    /// When it is not an atom.
    pub fn keyword(name: &str) -> Result<Self, Invalid> {
        Atom::new(name).map(Self::Keyword)
    }

    /// A flag as it is written, backslash and all.
    ///
    /// # Errors
    /// When it is not a flag.
    pub fn new(text: &str) -> Result<Self, Invalid> {
        let invalid = Invalid { term: "flag" };
        let mut c = Cursor::new(text.as_bytes());
        let flag = Self::parse(&mut c).map_err(|_| invalid)?;
        c.end().map_err(|_| invalid)?;
        Ok(flag)
    }

    pub(crate) fn parse(c: &mut Cursor<'_>) -> Parsed<Self> {
        if !c.eat(b'\\') {
            return Atom::parse(c).map(Self::Keyword);
        }
        let at = c.at();
        let mut buffer = [0; KEYWORD];
        Ok(match c.keyword(Chars::ATOM, &mut buffer) {
            b"SEEN" => Self::Seen,
            b"ANSWERED" => Self::Answered,
            b"FLAGGED" => Self::Flagged,
            b"DELETED" => Self::Deleted,
            b"DRAFT" => Self::Draft,
            b"RECENT" => Self::Recent,
            _ => {
                c.set_at(at);
                Self::Extension(Atom::parse(c)?)
            }
        })
    }

    /// A flag as a command may name it: not `\Recent`.
    pub(crate) fn parse_settable(c: &mut Cursor<'_>) -> Parsed<Self> {
        let at = c.at();
        match Self::parse(c)? {
            Self::Recent => Err(Cursor::error_at(
                ParseErrorKind::Expected("a flag other than \\Recent"),
                at,
            )),
            flag => Ok(flag),
        }
    }

    pub(crate) fn encode(&self, w: &mut Writer<'_>) {
        let _ = write!(w.text, "{self}");
    }

    /// `"(" [flag *(SP flag)] ")"`.
    pub(crate) fn encode_list(flags: &[Self], w: &mut Writer<'_>) {
        if flags.is_empty() {
            return w.raw(b"()");
        }
        let mut before = b'(';
        for flag in flags {
            flag.encode_behind(before, w);
            before = b' ';
        }
        w.byte(b')');
    }

    /// The flag behind what stands before it.
    #[inline]
    fn encode_behind(&self, before: u8, w: &mut Writer<'_>) {
        // As many octets as are copied at once, and how many of them count.
        let (mut name, len) = match self {
            Self::Answered => (*b"_\\Answered______", 10),
            Self::Flagged => (*b"_\\Flagged_______", 9),
            Self::Deleted => (*b"_\\Deleted_______", 9),
            Self::Seen => (*b"_\\Seen__________", 6),
            Self::Draft => (*b"_\\Draft_________", 7),
            Self::Recent => (*b"_\\Recent________", 8),
            Self::Keyword(name) => {
                w.byte(before);
                return w.str(name.as_str());
            }
            Self::Extension(name) => {
                w.byte(before);
                w.byte(b'\\');
                return w.str(name.as_str());
            }
        };
        let [first, ..] = &mut name;
        *first = before;
        w.short(&name, len);
    }
}

impl fmt::Debug for Flag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Flag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Keyword(name) => write!(f, "{name}"),
            Self::Extension(name) => write!(f, "\\{name}"),
            Self::Answered => f.write_str("\\Answered"),
            Self::Flagged => f.write_str("\\Flagged"),
            Self::Deleted => f.write_str("\\Deleted"),
            Self::Seen => f.write_str("\\Seen"),
            Self::Draft => f.write_str("\\Draft"),
            Self::Recent => f.write_str("\\Recent"),
        }
    }
}

/// `flag-perm`: what PERMANENTFLAGS lists.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum PermanentFlag {
    /// A flag that the client can change permanently.
    Flag(Flag),
    /// `\*`: new keywords can be created.
    Any,
}

impl PermanentFlag {
    pub(crate) fn parse(c: &mut Cursor<'_>) -> Parsed<Self> {
        if c.eat_text("\\*") {
            return Ok(Self::Any);
        }
        Flag::parse(c).map(Self::Flag)
    }

    pub(crate) fn encode(&self, w: &mut Writer<'_>) {
        match self {
            Self::Flag(flag) => flag.encode(w),
            Self::Any => w.raw(b"\\*"),
        }
    }
}
