use crate::cursor::{Cursor, Parsed};
use crate::types::{DateTime, Flag, Mailbox};
use crate::wire::Writer;

/// APPEND (RFC 9051 §6.3.12): where a message goes. The message itself is
/// streamed, never part of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Append {
    /// Which mailbox.
    pub mailbox: Mailbox,
    /// Its flags and date.
    pub options: AppendOptions,
}

/// `append-opts`: what comes before each message.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AppendOptions {
    /// The message's flags.
    pub flags: Vec<Flag>,
    /// The message's INTERNALDATE; `None` for the time of arrival.
    pub date: Option<DateTime>,
}

/// `"{" number64 ["+"] "}"` and what may stand before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Announced {
    pub(crate) size: u64,
    /// `~{n}`: the message may hold NUL (RFC 3516, RFC 6855).
    pub(crate) binary: bool,
    /// `UTF8 (~{n} …)` of RFC 6855: a `)` follows the message.
    pub(crate) utf8: bool,
}

impl Append {
    /// All between `APPEND` and the octets of the first message.
    pub(crate) fn parse_prefix(c: &mut Cursor<'_>) -> Parsed<(Self, Announced)> {
        c.space()?;
        let mailbox = Mailbox::parse(c)?;
        let (options, announced) = AppendOptions::parse_prefix(c)?;
        Ok((Self { mailbox, options }, announced))
    }

    /// The command up to its end, the message streamed.
    pub(crate) fn encode(&self, w: &mut Writer<'_>, size: u64, binary: bool) {
        w.raw(b"APPEND ");
        self.mailbox.encode(w);
        w.space();
        if !self.options.flags.is_empty() {
            w.list(&self.options.flags, |w, flag| flag.encode(w));
            w.space();
        }
        if let Some(date) = self.options.date {
            date.encode(w);
            w.space();
        }
        w.stream(size, binary);
    }
}

impl AppendOptions {
    /// `[SP flag-list] [SP date-time] SP literal`, up to the octets.
    pub(crate) fn parse_prefix(c: &mut Cursor<'_>) -> Parsed<(Self, Announced)> {
        c.space()?;
        let mut options = Self::default();
        if c.peek() == Some(b'(') {
            options.flags = c.list(Flag::parse_settable)?;
            c.space()?;
        }
        if c.peek() == Some(b'"') {
            options.date = Some(DateTime::parse(c)?);
            c.space()?;
        }
        let utf8 = c.eat_text("UTF8 (");
        let binary = c.eat(b'~');
        if utf8 && !binary {
            return c.expected("a literal8");
        }
        let size = crate::types::string::announcement(c)?;
        let announced = Announced { size, binary, utf8 };
        Ok((options, announced))
    }
}
