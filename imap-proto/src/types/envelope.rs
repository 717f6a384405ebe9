use super::NString;
use super::string::{encode_nstring, nil, nstring_into, quick_nstring};
use crate::cursor::{Cursor, Parsed};
use crate::wire::Writer;

/// `envelope` (RFC 9051 §7.5.2): the parsed header. Strings are as they stand
/// in the header, RFC 2047 words undecoded.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Envelope {
    /// Date.
    pub date: NString,
    /// Subject.
    pub subject: NString,
    /// From; an empty list is NIL, here and below.
    pub from: Vec<Address>,
    /// Sender; servers put From here when it is absent.
    pub sender: Vec<Address>,
    /// Reply-To; servers put From here when it is absent.
    pub reply_to: Vec<Address>,
    /// To.
    pub to: Vec<Address>,
    /// Cc.
    pub cc: Vec<Address>,
    /// Bcc.
    pub bcc: Vec<Address>,
    /// In-Reply-To.
    pub in_reply_to: NString,
    /// Message-ID.
    pub message_id: NString,
}

/// `address`: one address, or the start or end of a group.
///
/// A group starts with an address without host whose mailbox is the group's
/// name, and ends with one that has neither.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Address {
    /// The display name.
    pub name: NString,
    /// The source route (obsolete).
    pub adl: NString,
    /// The local part.
    pub mailbox: NString,
    /// The domain.
    pub host: NString,
}

impl Envelope {
    pub(crate) fn parse(c: &mut Cursor<'_>) -> Parsed<Box<Self>> {
        let mut envelope = Box::<Self>::default();
        c.open()?;
        nstring_into(c, &mut envelope.date)?;
        c.space()?;
        nstring_into(c, &mut envelope.subject)?;
        for list in [
            &mut envelope.from,
            &mut envelope.sender,
            &mut envelope.reply_to,
            &mut envelope.to,
            &mut envelope.cc,
            &mut envelope.bcc,
        ] {
            c.space()?;
            addresses(c, list)?;
        }
        c.space()?;
        nstring_into(c, &mut envelope.in_reply_to)?;
        c.space()?;
        nstring_into(c, &mut envelope.message_id)?;
        c.close()?;
        Ok(envelope)
    }

    pub(crate) fn encode(&self, w: &mut Writer<'_>) {
        w.byte(b'(');
        encode_nstring(w, &self.date);
        w.space();
        encode_nstring(w, &self.subject);
        for list in [
            &self.from,
            &self.sender,
            &self.reply_to,
            &self.to,
            &self.cc,
            &self.bcc,
        ] {
            w.space();
            encode_addresses(w, list);
        }
        w.space();
        encode_nstring(w, &self.in_reply_to);
        w.space();
        encode_nstring(w, &self.message_id);
        w.byte(b')');
    }
}

/// `"(" 1*address ")" / nil`. Some servers put spaces between, or send `()`.
fn addresses(c: &mut Cursor<'_>, list: &mut Vec<Address>) -> Parsed<()> {
    if nil(c) {
        return Ok(());
    }
    c.open()?;
    // Most lists have one.
    *list = Vec::with_capacity(1);
    while !c.eat(b')') {
        c.element()?;
        list.push(Address::default());
        if let Some(address) = list.last_mut()
            && !c.quickly(|octets| address.parse_quickly(octets))
        {
            address.parse(c)?;
        }
        let _ = c.eat(b' ');
    }
    Ok(())
}

fn encode_addresses(w: &mut Writer<'_>, list: &[Address]) {
    if list.is_empty() {
        return w.raw(b"NIL");
    }
    w.byte(b'(');
    for address in list {
        address.encode(w);
    }
    w.byte(b')');
}

impl Address {
    /// As [`Self::parse`], of plain and short strings.
    #[inline]
    fn parse_quickly<'a>(&mut self, octets: &'a [u8]) -> Option<&'a [u8]> {
        let rest = octets.strip_prefix(b"(")?;
        let rest = quick_nstring(rest, &mut self.name)?.strip_prefix(b" ")?;
        let rest = quick_nstring(rest, &mut self.adl)?.strip_prefix(b" ")?;
        let rest = quick_nstring(rest, &mut self.mailbox)?.strip_prefix(b" ")?;
        quick_nstring(rest, &mut self.host)?.strip_prefix(b")")
    }

    fn parse(&mut self, c: &mut Cursor<'_>) -> Parsed<()> {
        c.open()?;
        nstring_into(c, &mut self.name)?;
        c.space()?;
        nstring_into(c, &mut self.adl)?;
        c.space()?;
        nstring_into(c, &mut self.mailbox)?;
        c.space()?;
        nstring_into(c, &mut self.host)?;
        c.close()
    }

    fn encode(&self, w: &mut Writer<'_>) {
        w.list(
            [&self.name, &self.adl, &self.mailbox, &self.host],
            encode_nstring,
        );
    }
}
