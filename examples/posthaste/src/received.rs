//! The `Received` field that every message gets on its way in (RFC 5321 §4.4).

use std::fmt::Write;
use std::net::IpAddr;
use std::time::SystemTime;

use jiff::Timestamp;
use jiff::tz::Offset;

/// What is told of a message's arrival.
#[derive(Debug, Clone)]
pub struct Received<'a> {
    /// The client's name for itself, if it gave one.
    pub hello: Option<&'a str>,
    /// The client's address, if it came by network.
    pub client: Option<IpAddr>,
    /// This host's name.
    pub hostname: &'a str,
    /// `ESMTP`, `ESMTPSA`, `LMTP` … (RFC 3848, RFC 6531 §4.3).
    pub protocol: &'a str,
    /// TLS version and cipher, if encrypted.
    pub tls: Option<(&'a str, &'a str)>,
    /// The queue's name for the message.
    pub id: &'a str,
    /// The recipient, if there is only one.
    pub recipient: Option<&'a str>,
    /// When it arrived.
    pub at: SystemTime,
}

impl Received<'_> {
    /// The field with its line end, folded.
    #[must_use]
    pub fn field(&self) -> String {
        let mut text = String::with_capacity(256);
        text.push_str("Received: ");
        let known = self.client.filter(|client| !client.is_unspecified());
        match (self.hello, known) {
            (Some(hello), None) if self.client.is_some() => {
                let _ = write!(text, "from {hello} (unknown)\r\n\t");
            }
            (Some(hello), Some(client)) => {
                let _ = write!(text, "from {hello} ([{}])\r\n\t", literal(client));
            }
            (None, Some(client)) => {
                let _ = write!(text, "from [{0}] ([{0}])\r\n\t", literal(client));
            }
            _ => {}
        }
        if let Some((version, cipher)) = self.tls {
            let _ = write!(text, "(using {version} with cipher {cipher})\r\n\t");
        }
        let _ = write!(
            text,
            "by {} (posthaste) with {} id {}",
            self.hostname, self.protocol, self.id
        );
        if let Some(recipient) = self.recipient {
            let _ = write!(text, "\r\n\tfor <{recipient}>");
        }
        let _ = write!(text, ";\r\n\t{}\r\n", date(self.at));
        text
    }
}

/// `with` of a message that came by SMTP (RFC 3848, RFC 6531 §4.3).
#[must_use]
pub fn protocol(extended: bool, utf8: bool, tls: bool, authenticated: bool) -> &'static str {
    match (extended, utf8, tls, authenticated) {
        (false, ..) => "SMTP",
        (true, false, false, false) => "ESMTP",
        (true, false, true, false) => "ESMTPS",
        (true, false, false, true) => "ESMTPA",
        (true, false, true, true) => "ESMTPSA",
        (true, true, false, false) => "UTF8SMTP",
        (true, true, true, false) => "UTF8SMTPS",
        (true, true, false, true) => "UTF8SMTPA",
        (true, true, true, true) => "UTF8SMTPSA",
    }
}

fn literal(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("IPv6:{address}"),
    }
}

/// A time as a header field has it, in UTC.
#[must_use]
pub fn date(at: SystemTime) -> String {
    let timestamp = Timestamp::try_from(at).unwrap_or(Timestamp::UNIX_EPOCH);
    mime::Date::new(timestamp, Offset::UTC).to_string()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_field_is_folded_and_whole() {
        let received = Received {
            hello: Some("client.example.com"),
            client: Some("192.0.2.7".parse().unwrap()),
            hostname: "mx.example.org",
            protocol: protocol(true, false, true, false),
            tls: Some(("TLSv1.3", "TLS13_AES_256_GCM_SHA384")),
            id: "4XyZ",
            recipient: Some("b@example.org"),
            at: SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000),
        };
        assert_eq!(
            received.field(),
            "Received: from client.example.com ([192.0.2.7])\r\n\
             \t(using TLSv1.3 with cipher TLS13_AES_256_GCM_SHA384)\r\n\
             \tby mx.example.org (posthaste) with ESMTPS id 4XyZ\r\n\
             \tfor <b@example.org>;\r\n\
             \tTue, 14 Nov 2023 22:13:20 +0000\r\n"
        );
    }
}
