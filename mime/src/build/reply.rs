use super::{Entity, Fields};
use crate::address::Mailbox;
use crate::{Date, Headers, message_id};

/// What an automatic reply says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplyBody<'a> {
    /// Plain text.
    Text(&'a str),
    /// A MIME entity with its own header, RFC 5230 §4.2 (`:mime`).
    Mime(&'a [u8]),
}

/// An automatic reply: vacation (RFC 5230) and notifications, marked as RFC 3834 §5 asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AutoReply<'a> {
    /// `From`: the user on whose behalf this is sent.
    pub from: Mailbox<'a>,
    /// The address the reply goes to.
    pub to: &'a str,
    /// `Subject`.
    pub subject: &'a str,
    /// `Date`.
    pub date: Date,
    /// `Message-ID`, without angle brackets.
    pub message_id: &'a str,
    /// The message that is answered (its header is enough): `In-Reply-To` and `References` come
    /// from it, RFC 5322 §3.6.4.
    pub original: Option<&'a [u8]>,
    /// `Auto-Submitted`: `auto-replied`, or what RFC 5436 §2.7.1 asks of a notification.
    pub auto_submitted: &'a str,
    /// What it says.
    pub body: ReplyBody<'a>,
}

/// References kept of a long thread: the first and the last ones, so that the field stays short.
const REFERENCES: usize = 20;

impl AutoReply<'_> {
    /// The message, ready to be queued.
    pub fn to_message(&self) -> Vec<u8> {
        let mut fields = Fields::new();
        fields
            .mailboxes("From", std::slice::from_ref(&self.from))
            .structured("To", self.to)
            .text("Subject", self.subject)
            .date("Date", &self.date)
            .message_ids("Message-ID", &[self.message_id]);
        if let Some(original) = self.original {
            thread(original, &mut fields);
        }
        fields.structured("Auto-Submitted", self.auto_submitted);
        let entity = match self.body {
            ReplyBody::Text(text) => Entity::text(text),
            ReplyBody::Mime(entity) => Entity::from_octets(entity),
        };
        entity.into_message(fields)
    }
}

/// `In-Reply-To` and `References` for a reply to this message.
fn thread(original: &[u8], fields: &mut Fields) {
    let headers = Headers::new(original);
    let ids = |name: &str| -> Vec<String> {
        let field = headers.clone().find(name);
        let value = field.map(|field| field.unfolded()).unwrap_or_default();
        message_id::list(&value).map(Into::into).collect()
    };
    let Some(parent) = ids("Message-ID").into_iter().next() else {
        return;
    };
    fields.message_ids("In-Reply-To", &[&parent]);
    let mut references = ids("References");
    if references.is_empty() {
        let replied = ids("In-Reply-To");
        if replied.len() == 1 {
            references = replied;
        }
    }
    references.push(parent);
    if references.len() > REFERENCES {
        references.drain(1..=references.len() - REFERENCES);
    }
    fields.message_ids("References", &references);
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn reply(original: &[u8], body: ReplyBody<'_>) -> String {
        let message = AutoReply {
            from: Mailbox {
                local_part: "me".into(),
                domain: Some("a.example".into()),
                ..Mailbox::default()
            },
            to: "you@b.example",
            subject: "Re: caf\u{e9}",
            date: Date::parse(b"1 Jan 2020 00:00:00 +0000").unwrap(),
            message_id: "2@a.example",
            original: Some(original),
            auto_submitted: "auto-replied",
            body,
        };
        String::from_utf8(message.to_message()).unwrap()
    }

    #[test]
    fn a_reply_joins_its_thread() {
        let text = reply(
            b"Message-ID: <1@b>\r\nReferences: <0@b>\r\n <x@c>\r\n\r\n",
            ReplyBody::Text("Away.\n"),
        );
        assert!(text.contains("\r\nIn-Reply-To: <1@b>\r\nReferences: <0@b> <x@c> <1@b>\r\nAuto-Submitted: auto-replied\r\n"));
        assert!(text.ends_with("\r\n\r\nAway.\r\n"));
        let many: String = (0..50).map(|id| format!("<{id}@b> ")).collect();
        let text = reply(
            format!("Message-ID: <p@b>\nReferences: {many}\n\n").as_bytes(),
            ReplyBody::Text("x"),
        );
        let field = Headers::new(text.as_bytes()).find("References").unwrap();
        let ids: Vec<_> = message_id::list(field.raw_value()).collect();
        assert_eq!(
            (ids.len(), &*ids[0], &*ids[1], &*ids[19]),
            (20, "0@b", "32@b", "p@b")
        );
        assert!(!reply(b"", ReplyBody::Text("x")).contains("In-Reply-To"));
    }

    #[test]
    fn a_reply_may_bring_its_own_mime_header() {
        let mime = b"Content-Type: multipart/alternative; boundary=foo\n\n--foo\n\nText\n--foo--\n";
        let text = reply(b"", ReplyBody::Mime(mime));
        assert!(text.contains("\r\nMIME-Version: 1.0\r\nContent-Type: multipart/alternative; boundary=foo\r\n\r\n--foo\r\n"));
        let only = reply(
            b"",
            ReplyBody::Mime(b"X-Bad: 1\nContent-Type: text/html\n\n<p>"),
        );
        assert!(!only.contains("X-Bad") && only.ends_with("text/html\r\n\r\n<p>"));
    }
}
