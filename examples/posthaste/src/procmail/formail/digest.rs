//! Where one message ends and the next begins.

use procmail_rules::format;

use super::Options;
use super::header::name_length;

/// Splits a mailbox into its messages.
pub(super) fn split<'a>(text: &'a [u8], options: &Options) -> Vec<&'a [u8]> {
    let mut messages = Vec::new();
    let mut start = 0;
    let mut at = 0;
    let mut empty_before = true;
    let mut shielded = shield(text, options);
    while at < text.len() {
        let rest = text.get(at..).unwrap_or(&[]);
        let end = rest
            .iter()
            .position(|byte| *byte == b'\n')
            .map_or(rest.len(), |newline| newline + 1);
        if at > start
            && at >= shielded
            && (empty_before
                || options.every_header && is_postmark(rest.get(..end).unwrap_or(rest)))
            && begins(rest, options)
        {
            messages.push(text.get(start..at).unwrap_or(&[]));
            start = at;
            shielded = at + shield(rest, options);
        }
        empty_before = rest.first() == Some(&b'\n');
        at += end;
    }
    if let Some(last) = text.get(start..).filter(|last| !last.is_empty()) {
        messages.push(last);
    }
    messages
}

/// Octets of a message that `Content-Length` vouches for.
fn shield(text: &[u8], options: &Options) -> usize {
    if options.ignore_content_length {
        return 0;
    }
    let header = memchr::memmem::find(text, b"\n\n").map_or(text.len(), |at| at + 2);
    let header_text = text.get(..header).unwrap_or(&[]);
    let value = format::content_length(header_text).and_then(|value| header_text.get(value));
    match value
        .and_then(|value| super::number(value.trim_ascii()))
        .unwrap_or(0)
    {
        0 => 0,
        length => header.saturating_add(length).min(text.len()),
    }
}

/// Is it a sender and a date, as a message begins? Without an empty line before it that has to
/// be certain.
fn is_postmark(line: &[u8]) -> bool {
    let mut words = line
        .split(|byte| byte.is_ascii_whitespace())
        .filter(|word| !word.is_empty());
    words.next() == Some(b"From")
        && words.next().is_some()
        && words.any(|word| word.contains(&b':') && word.iter().any(u8::is_ascii_digit))
}

/// Does a message begin here? With `-d` any header of enough fields will do.
fn begins(text: &[u8], options: &Options) -> bool {
    if !options.loose {
        return text.starts_with(b"From ");
    }
    if text.starts_with(b"From ") {
        return true;
    }
    let mut fields = 0;
    for line in text.split(|byte| *byte == b'\n') {
        if matches!(line.first(), Some(b' ' | b'\t')) && fields > 0 {
            continue;
        }
        if name_length(line).is_none() {
            break;
        }
        fields += 1;
        if fields >= options.minimal_fields {
            return true;
        }
    }
    false
}
