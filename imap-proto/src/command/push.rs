use crate::ParseErrorKind;
use crate::cursor::{Cursor, Parsed};
use crate::types::{IString, Mailbox};
use crate::wire::Writer;

/// XAPPLEPUSHSERVICE: a device asks to be woken by Apple's push service when
/// mail comes. No RFC; as Apple's servers and clients speak it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct XApplePushService {
    /// `aps-version`: 1 or 2.
    pub version: u32,
    /// `aps-account-id`: names the account on the device.
    pub account_id: IString,
    /// `aps-device-token`: names the device.
    pub device_token: IString,
    /// `aps-subtopic`: `com.apple.mobilemail`.
    pub subtopic: IString,
    /// `mailboxes`: which; none for INBOX alone (version 1).
    pub mailboxes: Vec<Mailbox>,
}

impl XApplePushService {
    pub(super) fn parse(c: &mut Cursor<'_>) -> Parsed<Self> {
        let start = c.at();
        let (mut version, mut account_id, mut device_token, mut subtopic) =
            (None, None, None, None);
        let mut mailboxes = Vec::new();
        while c.eat(b' ') {
            let at = c.at();
            let name = IString::parse_astring(c)?;
            c.space()?;
            let is = |known: &str| name.as_bytes().eq_ignore_ascii_case(known.as_bytes());
            if is("mailboxes") {
                mailboxes = c.list1(Mailbox::parse)?;
            } else if is("aps-version") {
                version = Some(parse_version(c)?);
            } else if is("aps-account-id") {
                account_id = Some(IString::parse_astring(c)?);
            } else if is("aps-device-token") {
                device_token = Some(IString::parse_astring(c)?);
            } else if is("aps-subtopic") {
                subtopic = Some(IString::parse_astring(c)?);
            } else {
                return Err(Cursor::error_at(ParseErrorKind::Unknown("parameter"), at));
            }
        }
        let missing = |name| Cursor::error_at(ParseErrorKind::Expected(name), start);
        Ok(Self {
            version: version.ok_or(missing("aps-version"))?,
            account_id: account_id.ok_or(missing("aps-account-id"))?,
            device_token: device_token.ok_or(missing("aps-device-token"))?,
            subtopic: subtopic.ok_or(missing("aps-subtopic"))?,
            mailboxes,
        })
    }

    pub(super) fn encode(&self, w: &mut Writer<'_>) {
        w.raw(b"XAPPLEPUSHSERVICE aps-version ");
        w.number(self.version);
        for (name, value) in [
            (" aps-account-id ", &self.account_id),
            (" aps-device-token ", &self.device_token),
            (" aps-subtopic ", &self.subtopic),
        ] {
            w.str(name);
            value.encode_astring(w);
        }
        if !self.mailboxes.is_empty() {
            w.raw(b" mailboxes ");
            w.list(&self.mailboxes, |w, one| one.encode(w));
        }
    }
}

/// A number, quoted or not.
pub(crate) fn parse_version(c: &mut Cursor<'_>) -> Parsed<u32> {
    let at = c.at();
    let text = IString::parse_astring(c)?;
    let number = text.to_text().parse();
    number.map_err(|_| Cursor::error_at(ParseErrorKind::Number, at))
}
