//! Notifications (RFC 5435) by mail (RFC 5436) and by XMPP (RFC 5437).

use super::xmpp::Xmpp;
use super::{Evaluation, Fault};
use crate::action::{Action, Notify};
use crate::program;

/// What a `mailto:` URI says (RFC 6068).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Mailto {
    pub(crate) recipients: Vec<String>,
    /// Name and value of header fields and of `body`.
    pub(crate) fields: Vec<(String, String)>,
}

pub(super) fn percent_decoded(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut octets = text.bytes();
    while let Some(octet) = octets.next() {
        let decoded = (octet == b'%').then(|| octets.as_slice_hex()).flatten();
        match decoded {
            Some(value) => {
                octets.nth(1);
                out.push(value);
            }
            None => out.push(octet),
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

trait PeekHex {
    fn as_slice_hex(&self) -> Option<u8>;
}

impl PeekHex for std::str::Bytes<'_> {
    /// The value of the two hexadecimal digits ahead.
    fn as_slice_hex(&self) -> Option<u8> {
        let mut ahead = self.clone();
        let high = char::from(ahead.next()?).to_digit(16)?;
        let low = char::from(ahead.next()?).to_digit(16)?;
        u8::try_from(high * 16 + low).ok()
    }
}

impl Mailto {
    pub(crate) fn parse(uri: &[u8]) -> Option<Self> {
        let uri = std::str::from_utf8(uri).ok()?;
        let (scheme, rest) = uri.split_once(':')?;
        if !scheme.eq_ignore_ascii_case("mailto") {
            return None;
        }
        let (to, query) = rest.split_once('?').unwrap_or((rest, ""));
        let mut out = Self::default();
        let mut add = |list: &str| {
            for part in list.split(',').filter(|part| !part.is_empty()) {
                let address = super::address::parse_one(percent_decoded(part).as_bytes())?;
                out.recipients.push(address);
            }
            Some(())
        };
        add(to)?;
        let mut fields = Vec::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=')?;
            let name = percent_decoded(name).to_ascii_lowercase();
            if name == "to" || name == "cc" {
                add(value)?;
            } else {
                fields.push((name, percent_decoded(value)));
            }
        }
        out.fields = fields;
        (!out.recipients.is_empty()).then_some(out)
    }
}

/// Whether a method's URI can be carried out.
pub(crate) fn is_supported(uri: &[u8], xmpp: bool) -> bool {
    Mailto::parse(uri).is_some() || (xmpp && Xmpp::parse(uri).is_some())
}

/// What a method's URI gives to a notification.
struct Method {
    recipients: Vec<String>,
    subject: Option<String>,
    body: Option<String>,
    by_xmpp: bool,
}

impl Method {
    fn parse(uri: &[u8], xmpp: bool) -> Option<Self> {
        if let Some(mailto) = Mailto::parse(uri) {
            let field = |name: &str| {
                let found = mailto.fields.iter().find(|(known, _)| known == name);
                found.map(|(_, value)| value.clone())
            };
            return Some(Self {
                subject: field("subject"),
                body: field("body"),
                recipients: mailto.recipients,
                by_xmpp: false,
            });
        }
        let found = Xmpp::parse(uri).filter(|_| xmpp)?;
        Some(Self {
            recipients: vec![found.recipient],
            subject: found.subject,
            body: found.body,
            by_xmpp: true,
        })
    }
}

impl Evaluation<'_> {
    pub(super) fn notify(&mut self, notify: &program::Notify) -> Result<(), Fault> {
        let method = self.expand_string(&notify.method);
        let Some(to) = Method::parse(method.as_bytes(), self.config.xmpp) else {
            return Err(Fault::Fail(format!(
                "the notification method `{method}` is not supported"
            )));
        };
        let count = self
            .actions
            .iter()
            .filter(|a| matches!(a, Action::Notify(_)))
            .count();
        if count >= self.config.limits.notifications {
            return Err(Fault::Fail(format!(
                "more than {} notifications",
                self.config.limits.notifications
            )));
        }
        // RFC 5436 §2.7: a notification about a notification would never end.
        if let Some(value) = self.message.first_text("auto-submitted")
            && value
                .trim_start()
                .to_ascii_lowercase()
                .starts_with("auto-notified")
        {
            return Ok(());
        }
        let message = notify.message.as_ref().map(|text| self.expand_string(text));
        let original = self.message.first_text("subject");
        let (subject, body) = if to.by_xmpp {
            // RFC 5437 §2.7: `:message` is the body.
            let body = message.clone().or(to.body);
            let sender = self.envelope.from.as_deref().unwrap_or_default();
            (
                to.subject.unwrap_or_else(|| "SIEVE".to_owned()),
                body.unwrap_or_else(|| format!("<{sender}> You got mail.")),
            )
        } else {
            // RFC 5436 §2.4: `:message`, else the URI's subject, else the message's.
            let subject = message.clone().or(to.subject).or(original);
            (subject.unwrap_or_default(), to.body.unwrap_or_default())
        };
        let from = notify.from.as_ref().map(|text| self.expand_string(text));
        let from = match from {
            Some(from) => super::address::parse_one(from.as_bytes()),
            None => None,
        };
        let fcc = self.fcc(notify.fcc.as_ref())?;
        let action = Notify {
            body,
            recipients: to.recipients,
            subject,
            from,
            method,
            importance: notify.importance,
            options: self.expand_list(&notify.options),
            message,
            fcc,
        };
        self.push(Action::Notify(action))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mailto_uris() {
        let found =
            Mailto::parse(b"mailto:0123456789@sms.example.net?to=backup@example.com&body=a%20b")
                .unwrap();
        assert_eq!(
            found.recipients,
            ["0123456789@sms.example.net", "backup@example.com"]
        );
        assert_eq!(found.fields, [("body".to_owned(), "a b".to_owned())]);
        // RFC 5436 §2.3: those of the URI's fields are recipients as well.
        let found = Mailto::parse(b"mailto:a@example.org?CC=b@example.org,c@example.org").unwrap();
        assert_eq!(
            found.recipients,
            ["a@example.org", "b@example.org", "c@example.org"]
        );
        assert!(!is_supported(b"xmpp:me@example.org", false));
        assert!(is_supported(b"xmpp:me@example.org", true));
        assert!(!is_supported(b"mailto:", true));
        assert!(!is_supported(b"mailto:nobody", true));
    }
}
