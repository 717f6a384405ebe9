use crate::cursor::{Cursor, Parsed};
use crate::types::{Atom, IString, Mailbox};
use crate::wire::Writer;
use crate::{Extension, ParseErrorKind};

/// RESETKEY (RFC 4467 §7): makes URLs void.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResetKey {
    /// Whose URLs; `None` for those of all mailboxes.
    pub mailbox: Option<Mailbox>,
    /// For which mechanisms; INTERNAL without. None without a mailbox.
    pub mechanisms: Vec<Atom>,
}

/// One URL of URLFETCH (RFC 4467 §7, RFC 5524 §3.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UrlFetch {
    /// The URL, for [`ImapUrl::parse`](crate::ImapUrl::parse): one that is
    /// none is answered NIL.
    pub url: IString,
    /// What is asked of it; `None` for the form without parameters.
    pub items: Option<UrlFetchItems>,
}

/// `BODYPARTSTRUCTURE`, `BODY`, `BINARY` (RFC 5524 §3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct UrlFetchItems {
    /// `BODYPARTSTRUCTURE`
    pub structure: bool,
    /// Which octets.
    pub content: Option<UrlContent>,
}

/// Which octets of a URL's part (RFC 5524 §3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum UrlContent {
    /// `BODY`: as they stand in the message.
    Body,
    /// `BINARY`: decoded.
    Binary,
}

impl ResetKey {
    pub(super) fn parse(c: &mut Cursor<'_>) -> Parsed<Self> {
        let mut reset = Self {
            mailbox: None,
            mechanisms: Vec::new(),
        };
        if c.eat(b' ') {
            reset.mailbox = Some(Mailbox::parse(c)?);
            while c.eat(b' ') {
                reset.mechanisms.push(Atom::parse(c)?);
            }
        }
        Ok(reset)
    }

    pub(super) fn encode(&self, w: &mut Writer<'_>) {
        w.raw(b"RESETKEY");
        let Some(mailbox) = &self.mailbox else {
            return;
        };
        w.space();
        mailbox.encode(w);
        for mechanism in &self.mechanisms {
            w.space();
            w.str(mechanism.as_str());
        }
    }
}

/// `1*(SP url-rump SP mechanism)`.
pub(super) fn parse_gen(c: &mut Cursor<'_>) -> Parsed<Vec<(IString, Atom)>> {
    let mut pairs = Vec::new();
    while c.eat(b' ') {
        let url = IString::parse_astring(c)?;
        c.space()?;
        pairs.push((url, Atom::parse(c)?));
    }
    match pairs.is_empty() {
        true => c.expected("a URL"),
        false => Ok(pairs),
    }
}

pub(super) fn encode_gen(pairs: &[(IString, Atom)], w: &mut Writer<'_>) {
    w.raw(b"GENURLAUTH");
    for (url, mechanism) in pairs {
        w.space();
        url.encode_astring(w);
        w.space();
        w.str(mechanism.as_str());
    }
}

impl UrlFetch {
    /// `1*(SP (url / "(" url *(SP parameter) ")"))`.
    pub(super) fn parse_all(c: &mut Cursor<'_>) -> Parsed<Vec<Self>> {
        let mut all = Vec::new();
        while c.eat(b' ') {
            all.push(Self::parse(c)?);
        }
        match all.is_empty() {
            true => c.expected("a URL"),
            false => Ok(all),
        }
    }

    fn parse(c: &mut Cursor<'_>) -> Parsed<Self> {
        if !c.eat(b'(') {
            let url = IString::parse_astring(c)?;
            return Ok(Self { url, items: None });
        }
        let url = IString::parse_astring(c)?;
        let mut items = UrlFetchItems::default();
        while c.eat(b' ') {
            let at = c.at();
            let twice = ParseErrorKind::Conflict("each parameter once, BODY or BINARY");
            let content = if c.eat_text("BODYPARTSTRUCTURE") {
                if std::mem::replace(&mut items.structure, true) {
                    return Err(Cursor::error_at(twice, at));
                }
                continue;
            } else if c.eat_text("BODY") {
                UrlContent::Body
            } else if c.eat_text("BINARY") {
                UrlContent::Binary
            } else {
                return Err(c.error(ParseErrorKind::Unknown("URLFETCH parameter")));
            };
            if items.content.replace(content).is_some() {
                return Err(Cursor::error_at(twice, at));
            }
        }
        c.close()?;
        let items = Some(items);
        Ok(Self { url, items })
    }

    pub(super) fn encode(&self, w: &mut Writer<'_>) {
        let Some(items) = self.items else {
            return self.url.encode_astring(w);
        };
        w.byte(b'(');
        self.url.encode_astring(w);
        if items.structure {
            w.raw(b" BODYPARTSTRUCTURE");
        }
        match items.content {
            Some(UrlContent::Body) => w.raw(b" BODY"),
            Some(UrlContent::Binary) => w.raw(b" BINARY"),
            None => {}
        }
        w.byte(b')');
    }

    pub(super) fn requires(&self, need: &mut dyn FnMut(Extension)) {
        need(Extension::UrlAuth);
        if self.items.is_some() {
            need(Extension::UrlAuthBinary);
        }
    }
}
