//! mime: messages and field values that say anything.

use mime::build::{Entity, Fields};
use mime::{
    AuthenticationResults, Encoding, HeaderEdit, Headers, Kind, Limits, Received, Scanner,
    Structure, address, encoded_word, list, message_id, text,
};

/// A message: the first octet says how it is cut.
///
/// The tree is the same however it is cut, and its ranges cover the message once.
pub fn structure(data: &[u8]) {
    let Some((&cut, message)) = data.split_first() else {
        return;
    };
    for limits in [
        Limits::default(),
        Limits {
            depth: 3,
            parts: 5,
            stored: 64,
        },
    ] {
        let whole = Structure::parse_with(message, limits);
        let mut scanner = Scanner::with_limits(limits);
        for piece in message.chunks(usize::from(cut).max(1)) {
            scanner.feed(piece);
        }
        assert_eq!(scanner.finish(), whole);
        cover(&whole, message);
    }
}

fn cover(structure: &Structure, message: &[u8]) {
    let mut end_of_leaves = 0;
    assert_eq!(structure.root().span().len(), structure.size());
    for part in structure.parts() {
        let (header, body) = (part.header(), part.body());
        assert!(header.start <= header.end && header.end == body.start && body.start <= body.end);
        if let Some(parent) = part.parent() {
            assert!(parent.body().start <= header.start && body.end <= parent.body().end);
        }
        if part.kind() == Kind::Leaf {
            assert!(end_of_leaves <= body.start);
            end_of_leaves = body.end;
        }
        let _ = (part.plain_text(message), part.file_name(), part.charset());
        let _ = (part.disposition(), part.languages().count());
    }
    let _ = text::preview(structure, message, 200);
}

/// A header block: fields meet without gap, and changes leave the others alone.
pub fn header(data: &[u8]) {
    let headers = Headers::new(data);
    let mut at = headers.envelope_line().map_or(0, <[u8]>::len);
    let mut edit = HeaderEdit::new(data);
    let mut kept = 0;
    for (index, field) in headers.clone().enumerate() {
        assert_eq!(field.range().start, at);
        at = field.range().end;
        let _ = (field.text(), field.name(), field.value_range());
        if index % 2 == 0 {
            edit.delete(&field);
        } else {
            kept += 1;
        }
    }
    assert_eq!(at, headers.fields_len());
    edit.insert_first("X-First", b"1");
    edit.insert_last("X-Last", b"2");
    let changed = edit.finish();
    assert_eq!(Headers::new(&changed).count(), kept + 2);
    assert_eq!(Headers::new(&changed).body(), headers.body());
}

/// An address list: what is written of a mailbox reads back as that mailbox.
pub fn address(data: &[u8]) {
    assert!(address::parse(data).count() <= 2 * data.len() + 2);
    for mailbox in address::mailboxes(data) {
        let spec = mailbox.addr_spec();
        let shown = mailbox.to_string();
        for text in [&spec, &shown] {
            assert!(!text.contains(['\r', '\n', '\0']), "{text:?}");
        }
        // What no address can hold (a space in a domain) may read back as something else.
        let plain = |text: &str| {
            let allowed = |byte| byte >= 0x80 || b"!#$%&'*+-/=?^_`{|}~.".contains(&byte);
            !text.is_empty()
                && text
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || allowed(byte))
        };
        let domain = mailbox.domain.as_deref().unwrap_or_default();
        if !mailbox.local_part.is_empty() && plain(domain) {
            let again = address::mailboxes(spec.as_bytes()).next();
            let again = again.map(|again| (again.local_part.into_owned(), again.domain));
            assert_eq!(
                again,
                Some((mailbox.local_part.to_string(), Some(domain.into())))
            );
        }
    }
}

/// A date: written and read again it is the same moment.
pub fn date(data: &[u8]) {
    if let Some(date) = mime::Date::parse(data) {
        let again = mime::Date::parse(date.to_string().as_bytes());
        assert_eq!(again.map(|date| date.timestamp()), Some(date.timestamp()));
    }
}

/// Encoded words: what is decoded can be encoded and decoded again.
pub fn encoded_word(data: &[u8]) {
    let decoded = encoded_word::decode(data);
    let encoded = encoded_word::encode(&decoded);
    assert!(encoded.split(' ').all(|word| word.len() <= 75));
    assert_eq!(encoded_word::decode(encoded.as_bytes()), decoded);
    let mut fields = Fields::new();
    fields.text("Subject", &decoded);
    let message = fields.as_str();
    assert!(message.is_ascii() && message.split("\r\n").all(|line| line.len() <= 998));
    assert_eq!(Headers::new(message.as_bytes()).count(), 1);
    assert_eq!(Headers::new(message.as_bytes()).header_len(), message.len());
}

/// A field value, read as everything else it could be.
pub fn value(data: &[u8]) {
    let decoded = String::from_utf8_lossy(data);
    let _ = message_id::list(data).count();
    let _ = (
        list::urls(data).count(),
        list::id(data),
        list::is_closed(data),
    );
    let _ = Received::parse(data);
    if let Some(read) = AuthenticationResults::parse(data) {
        assert!(!read.id.is_empty());
        assert!(read.results.iter().all(|result| !result.method.is_empty()));
    }
    if let Some(content_type) = mime::ContentType::parse(&decoded) {
        for parameter in content_type.parameters() {
            let _ = content_type.parameter(&parameter.name);
        }
        for parameter in content_type.parameters().joined() {
            assert_eq!(
                content_type.parameter(&parameter.name),
                Some(parameter.value)
            );
        }
    }
    let _ = mime::Section::parse(&decoded).map(|section| {
        let text = section.to_string();
        assert_eq!(mime::Section::parse(&text), Some(section));
    });
    let _ = text::html_to_text(&decoded);
}

/// An encoded body: the first octet says how it is cut.
pub fn transfer(data: &[u8]) {
    let Some((&cut, body)) = data.split_first() else {
        return;
    };
    for encoding in [Encoding::Base64, Encoding::QuotedPrintable] {
        let mut decoder = encoding.decoder();
        let mut out = Vec::new();
        for piece in body.chunks(usize::from(cut).max(1)) {
            decoder.feed(piece, &mut out);
        }
        decoder.finish(&mut out);
        assert_eq!(out, *encoding.decode(body));
    }
}

/// Parts to write, one per line of the input: what is read back is what was written.
pub fn build(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let texts: Vec<&str> = text.split('\n').take(100).collect();
    let parts: Vec<Entity> = texts.iter().map(|text| Entity::text(text)).collect();
    let mut fields = Fields::new();
    fields.text("Subject", &text);
    let message = Entity::multipart("mixed", &parts).into_message(fields);
    let structure = Structure::parse(&message);
    assert_eq!(structure.root().children().count(), texts.len());
    for (part, text) in structure.root().children().zip(texts) {
        assert_eq!(*part.decoded(&message), *text.as_bytes());
    }
}
