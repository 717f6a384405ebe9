use crate::cursor::{Cursor, Parsed};
use crate::types::{IString, Mailbox, Rights};
use crate::wire::Writer;

/// SETACL (RFC 4314 §3.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetAcl {
    /// Which mailbox.
    pub mailbox: Mailbox,
    /// Whose rights.
    pub identifier: IString,
    /// What to do with them.
    pub change: RightsChange,
    /// The rights.
    pub rights: Rights,
}

/// What SETACL does with rights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RightsChange {
    /// These and no others.
    Replace,
    /// `+`
    Add,
    /// `-`
    Remove,
}

impl SetAcl {
    pub(super) fn parse(c: &mut Cursor<'_>) -> Parsed<Self> {
        c.space()?;
        let mailbox = Mailbox::parse(c)?;
        c.space()?;
        let identifier = IString::parse_astring(c)?;
        c.space()?;
        // The sign is inside the quotes, where the string is quoted.
        let at = c.at();
        let quoted = c.eat(b'"');
        let change = if c.eat(b'+') {
            RightsChange::Add
        } else if c.eat(b'-') {
            RightsChange::Remove
        } else {
            c.set_at(at);
            let rights = Rights::parse(c)?;
            return Ok(Self {
                mailbox,
                identifier,
                change: RightsChange::Replace,
                rights,
            });
        };
        let text = c.take_text(crate::types::Chars::ATOM, "rights")?;
        let rights = Rights::new(text)
            .map_err(|_| Cursor::error_at(crate::ParseErrorKind::Expected("rights"), at))?;
        if quoted {
            c.expect(b'"', "a closing quote")?;
        }
        Ok(Self {
            mailbox,
            identifier,
            change,
            rights,
        })
    }

    pub(super) fn encode(&self, w: &mut Writer<'_>) {
        w.raw(b"SETACL ");
        self.mailbox.encode(w);
        w.space();
        self.identifier.encode_astring(w);
        w.space();
        match self.change {
            RightsChange::Replace => {}
            RightsChange::Add => w.byte(b'+'),
            RightsChange::Remove => w.byte(b'-'),
        }
        self.rights.encode(w);
    }
}
