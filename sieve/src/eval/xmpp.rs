//! Notifications by XMPP (RFC 5437): the URI and the stanza. Sending it is the host's.

use super::notify::percent_decoded;
use crate::Notify;

/// What an `xmpp:` URI says (RFC 5122 §2.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Xmpp {
    /// `node@domain/resource`, as much of it as there is.
    pub(crate) recipient: String,
    pub(crate) subject: Option<String>,
    pub(crate) body: Option<String>,
}

/// An address (RFC 3920 §3.1), as far as it can be told without a network.
fn is_address(address: &str) -> bool {
    let (bare, resource) = match address.split_once('/') {
        Some((bare, resource)) => (bare, Some(resource)),
        None => (address, None),
    };
    let (node, domain) = match bare.split_once('@') {
        Some((node, domain)) => (Some(node), domain),
        None => (None, bare),
    };
    let sound =
        |part: &str| (1..=1023).contains(&part.len()) && !part.chars().any(char::is_control);
    sound(domain)
        && !domain.contains(['@', ' ', '<', '>', '"', '&', '\''])
        && node
            .is_none_or(|node| sound(node) && !node.contains(['"', '&', '\'', ':', '<', '>', ' ']))
        && resource.is_none_or(sound)
}

impl Xmpp {
    pub(crate) fn parse(uri: &[u8]) -> Option<Self> {
        let uri = std::str::from_utf8(uri).ok()?;
        let (scheme, rest) = uri.split_once(':')?;
        // A URI, no IRI: RFC 5437 §5.
        if !scheme.eq_ignore_ascii_case("xmpp") || !rest.bytes().all(|c| c.is_ascii_graphic()) {
            return None;
        }
        let rest = rest.split_once('#').map_or(rest, |(before, _)| before);
        let (path, query) = match rest.split_once('?') {
            Some((path, query)) => (path, query),
            None => (rest, ""),
        };
        // `//account@host/` only says by which account to send.
        let path = match path.strip_prefix("//") {
            Some(authority) => authority.split_once('/')?.1,
            None => path,
        };
        let recipient = percent_decoded(path);
        if !is_address(&recipient) {
            return None;
        }
        let mut out = Self {
            recipient,
            subject: None,
            body: None,
        };
        let mut pairs = query.split(';');
        // RFC 5437 §4: actions and keys that are not known are as if they were not there.
        if pairs.next() == Some("message") {
            for pair in pairs {
                let (key, value) = pair.split_once('=')?;
                match key {
                    "subject" => out.subject = Some(percent_decoded(value)),
                    "body" => out.body = Some(percent_decoded(value)),
                    _ => {}
                }
            }
        }
        Some(out)
    }
}

/// Character data and attribute values; what XML 1.0 cannot hold is left out.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\'' => out.push_str("&apos;"),
            '"' => out.push_str("&quot;"),
            '\t' | '\n' | '\r' => out.push(c),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => {}
            c => out.push(c),
        }
    }
    out
}

/// The `<message/>` stanza (RFC 5437 §2.7).
pub(crate) fn stanza(
    notify: &Notify,
    service: &str,
    resent_from: &str,
    url: Option<&str>,
) -> String {
    let to = notify.recipients.first().map_or("", String::as_str);
    let urgency = match notify.importance {
        1 => "high",
        3 => "low",
        _ => "medium",
    };
    let resent_from = notify.from.as_deref().unwrap_or(resent_from);
    let mut out = format!(
        "<message from='{}' to='{}' type='headline'><subject>{}</subject><body>{}</body>\
         <headers xmlns='http://jabber.org/protocol/shim'>",
        escape(service),
        escape(to),
        escape(&notify.subject),
        escape(&notify.body),
    );
    if !resent_from.is_empty() {
        out.push_str(&format!(
            "<header name='Resent-From'>{}</header>",
            escape(resent_from)
        ));
    }
    out.push_str(&format!(
        "<header name='Urgency'>{urgency}</header></headers>"
    ));
    if let Some(url) = url {
        out.push_str(&format!(
            "<x xmlns='jabber:x:oob'><url>{}</url></x>",
            escape(url)
        ));
    }
    out.push_str("</message>");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uris() {
        let found = Xmpp::parse(
            b"xmpp:romeo@im.example.com?message;body=You%27re%20in%20trouble;subject=ALERT%21;x=y",
        )
        .unwrap();
        assert_eq!(found.recipient, "romeo@im.example.com");
        assert_eq!(found.subject.as_deref(), Some("ALERT!"));
        assert_eq!(found.body.as_deref(), Some("You're in trouble"));
        let found =
            Xmpp::parse(b"xmpp://guest@example.com/support@example.com/desk?other;body=x#y")
                .unwrap();
        assert_eq!(found.recipient, "support@example.com/desk");
        assert_eq!(found.body, None);
        for bad in [
            "xmpp:",
            "xmpp:@example.org",
            "xmpp:a@",
            "xmpp:a b@example.org",
            "xmpp:a@example.org?message;body",
            "xmpp:\u{e4}@example.org",
            "xmpp:a@b@c",
            "mailto:a@example.org",
        ] {
            assert_eq!(Xmpp::parse(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn a_stanza_stays_one() {
        let notify = Notify {
            recipients: vec!["romeo@im.example.com".into()],
            subject: "SIEVE".into(),
            body: "<juliet@example.com> You got \u{1}mail & more.".into(),
            importance: 1,
            ..Notify::default()
        };
        assert_eq!(
            stanza(&notify, "notify.example.com", "", Some("imap://x/y;UID=1")),
            "<message from='notify.example.com' to='romeo@im.example.com' type='headline'><subject>SIEVE</subject>\
             <body>&lt;juliet@example.com&gt; You got mail &amp; more.</body>\
             <headers xmlns='http://jabber.org/protocol/shim'><header name='Urgency'>high</header></headers>\
             <x xmlns='jabber:x:oob'><url>imap://x/y;UID=1</url></x></message>"
        );
    }
}
