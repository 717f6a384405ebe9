//! The header of an automatic reply.

use super::Options;
use super::header::{Header, matches};

/// Where a reply goes: field, and its weight without and with `-t`.
///
/// Without `-t` the envelope is trusted more than the header, as an automatic reply should go to
/// where bounces go; with it, what the author asked for.
const SOURCES: [(&[u8], u8, u8); 11] = [
    (b"From ", 11, 7),
    (b"Return-Path:", 10, 8),
    (b"Errors-To:", 9, 6),
    (b"Return-Receipt-To:", 8, 5),
    (b"Path:", 7, 4),
    (b"Resent-Sender:", 6, 3),
    (b"Resent-From:", 5, 3),
    (b"Resent-Reply-To:", 4, 3),
    (b"Sender:", 3, 9),
    (b"From:", 2, 10),
    (b"Reply-To:", 1, 11),
];

/// The best sender, and the field it is from.
pub(super) fn sender(header: &Header, trust: bool) -> Option<(Vec<u8>, &'static [u8])> {
    SOURCES
        .iter()
        .map(|(name, plain, trusted)| (name, if trust { *trusted } else { *plain }))
        .filter(|(_, weight)| *weight > 0)
        .filter_map(|(name, weight)| {
            Some((weight, *name, address(header.last_value(name)?, name)?))
        })
        .max_by_key(|(weight, _, _)| *weight)
        .map(|(_, name, address)| (address, name))
}

/// The bare address of a field.
fn address(value: &[u8], name: &[u8]) -> Option<Vec<u8>> {
    if name == b"From " {
        let first = value.split(|byte| byte.is_ascii_whitespace()).next()?;
        return (!first.is_empty()).then(|| first.to_vec());
    }
    let mut out = Vec::new();
    let mut comment = 0_usize;
    let mut quoted = false;
    let mut escaped = false;
    let mut angle = false;
    for byte in value {
        if escaped {
            escaped = false;
            if comment == 0 {
                out.push(*byte);
            }
            continue;
        }
        match byte {
            b'\\' => {
                escaped = true;
                if comment == 0 {
                    out.push(*byte);
                }
            }
            b'"' if comment == 0 => {
                quoted = !quoted;
                out.push(*byte);
            }
            _ if quoted => out.push(*byte),
            b'(' => comment += 1,
            b')' => comment = comment.saturating_sub(1),
            _ if comment > 0 => {}
            b'<' => {
                // What stood before was a name.
                out.clear();
                angle = true;
            }
            b'>' if angle => break,
            b',' | b';' => break,
            byte if byte.is_ascii_whitespace() => {}
            byte => out.push(*byte),
        }
    }
    (!out.is_empty()).then_some(out)
}

/// The reply's header; false if nobody can be replied to.
pub(super) fn make(header: &Header, options: &Options) -> (Header, bool) {
    let mut reply = Header::default();
    for field in header.fields() {
        let kept = matches(field, b"X-Loop:")
            || options.changes.iter().any(|change| {
                let (name, value) = super::edit::parts(&change.name);
                let bare = value.trim_ascii().is_empty();
                change.letter == b'i' && bare && matches(field, name)
            });
        if kept {
            reply.fields_mut().push(field.clone());
        }
    }
    let found = sender(header, options.trust);
    let known = found.is_some();
    let to = found.map_or_else(|| b"foo@bar".to_vec(), |found| found.0);
    reply.push(b"To:", &[b" ", to.as_slice()].concat());
    if let Some(subject) = header.value(b"Subject:") {
        let subject = subject.strip_prefix(b" ").unwrap_or(subject);
        reply.push(b"Subject:", &[b" Re: ", subject].concat());
    }
    if let Some(id) = header.message_id() {
        let before = header
            .value(b"References:")
            .map(<[u8]>::trim_ascii)
            .unwrap_or(&[]);
        let separator: &[u8] = if before.is_empty() { b"" } else { b" " };
        reply.push(b"References:", &[b" ", before, separator, &id].concat());
        reply.push(b"In-Reply-To:", &[b" ", id.as_slice()].concat());
    }
    (reply, known)
}
