//! Changes to the message: editheader (RFC 5293), `replace` and `enclose` (RFC 5703).

use super::message::Entry;
use super::{Evaluation, Fault};
use crate::matching::{Keys, Matching};
use crate::program::{Index, List, Text};

/// Printable ASCII without colon (RFC 5322 §2.2).
pub(crate) fn is_field_name(name: &[u8]) -> bool {
    !name.is_empty()
        && name.len() <= 256
        && name.iter().all(|c| (33..=126).contains(c) && *c != b':')
}

/// A value as it stands in a header: one line, encoded words for what is not ASCII, folded where it is long.
pub(super) fn field_value(name: &str, text: &str) -> Vec<u8> {
    let line: String = text
        .chars()
        .map(|c| {
            if c == '\r' || c == '\n' || c == '\0' {
                ' '
            } else {
                c
            }
        })
        .collect();
    let line = line
        .split(' ')
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join(" ");
    let line = if mime::encoded_word::needs_encoding(&line) && !line.is_ascii() {
        mime::encoded_word::encode(&line)
    } else {
        line
    };
    let mut out = String::with_capacity(line.len() + 8);
    let mut width = name.len() + 1;
    for word in line.split(' ') {
        if width + 1 + word.len() > 78 && width > name.len() + 1 {
            out.push_str("\r\n");
            width = 0;
        }
        out.push(' ');
        out.push_str(word);
        width += 1 + word.len();
    }
    out.into_bytes()
}

impl Evaluation<'_> {
    fn is_protected(&self, name: &str) -> bool {
        // RFC 5293 §5: loops could no longer be found without these.
        name.eq_ignore_ascii_case("received")
            || name.eq_ignore_ascii_case("auto-submitted")
            || self
                .config
                .protected_fields
                .iter()
                .any(|field| field.eq_ignore_ascii_case(name))
    }

    pub(super) fn count_change(&mut self) -> Result<(), Fault> {
        self.header_changes += 1;
        if self.header_changes > self.config.limits.header_changes {
            return Err(Fault::Fail("too many changes of the header".to_owned()));
        }
        Ok(())
    }

    pub(super) fn add_header(
        &mut self,
        name: &Text,
        value: &Text,
        last: bool,
    ) -> Result<(), Fault> {
        let name = self.expand_string(name);
        if !is_field_name(name.as_bytes()) {
            return Err(Fault::Fail(format!(
                "`{}` can be no header field's name",
                name.escape_debug()
            )));
        }
        if self.is_protected(&name) && !name.eq_ignore_ascii_case("auto-submitted") {
            return Ok(());
        }
        self.count_change()?;
        let value = field_value(&name, &self.expand_string(value));
        let entry = Entry::added(name.as_bytes(), value);
        let entries = self.message.change();
        if last {
            entries.push(entry);
        } else {
            entries.insert(0, entry);
        }
        Ok(())
    }

    pub(super) fn delete_header(
        &mut self,
        name: &Text,
        keys: Option<&Keys>,
        matching: Matching,
        index: Option<Index>,
    ) -> Result<(), Fault> {
        let name = self.expand_string(name);
        if !is_field_name(name.as_bytes()) {
            return Err(Fault::Fail(format!(
                "`{}` can be no header field's name",
                name.escape_debug()
            )));
        }
        if self.is_protected(&name) {
            return Ok(());
        }
        self.message.prepare();
        let octets = self.message.octets();
        let mut found: Vec<usize> = self
            .message
            .entries()
            .iter()
            .enumerate()
            .filter(|(_, entry)| entry.name(octets).eq_ignore_ascii_case(name.as_bytes()))
            .map(|(at, _)| at)
            .collect();
        // The index counts fields of that name; then the value must match too (RFC 5293 §5).
        if let Some(index) = index {
            let at = if index.last {
                found.len().checked_sub(index.number)
            } else {
                index.number.checked_sub(1)
            };
            found = at
                .and_then(|at| found.get(at).copied())
                .into_iter()
                .collect();
        }
        let mut gone = Vec::new();
        for at in found {
            let matched = match keys {
                None => true,
                Some(keys) => {
                    let mut values = self.values(keys, matching)?;
                    if let Some(entry) = self.message.entries().get(at) {
                        values.feed(entry.text(self.message.octets()));
                    }
                    self.decide(values)?
                }
            };
            if matched {
                gone.push(at);
            }
        }
        if gone.is_empty() {
            return Ok(());
        }
        self.count_change()?;
        let mut at = 0;
        let mut gone = gone.into_iter().peekable();
        self.message.change().retain(|_| {
            let out = gone.next_if_eq(&at).is_some();
            at += 1;
            !out
        });
        Ok(())
    }

    /// Replaces the part at hand, or the whole body (RFC 5703 §5).
    pub(super) fn replace(
        &mut self,
        mime: bool,
        subject: Option<&Text>,
        from: Option<&Text>,
        body: &Text,
    ) -> Result<(), Fault> {
        let body = self.expand_string(body);
        let (fields, body) = content(mime, &body);
        self.count_change()?;
        // Loops go on over the parts as they were; the change shows in what is stored or sent.
        if let Some(range) = self.inner_part_range() {
            let part = [&fields, b"\r\n".as_slice(), body.as_bytes()].concat();
            self.message.replace_range(range, part);
            return Ok(());
        }
        let subject = subject.map(|text| self.expand_string(text));
        let from = from.map(|text| self.expand_string(text));
        let original_subject = self.message.first_text("subject");
        self.message.prepare();
        let octets = self.message.octets().to_vec();
        let entries = self.message.change();
        entries.retain(|entry| {
            let name = entry.name(&octets);
            let is = |other: &str| name.eq_ignore_ascii_case(other.as_bytes());
            let content = name
                .get(..8)
                .is_some_and(|start| start.eq_ignore_ascii_case(b"content-"));
            !(content
                || is("mime-version")
                || (subject.is_some() && is("subject"))
                || (from.is_some() && is("from")))
        });
        let mut add = |name: &str, text: &str| {
            entries.push(Entry::added(name.as_bytes(), field_value(name, text)));
        };
        if let Some(subject) = subject {
            add("Subject", &subject);
            if let Some(original) = original_subject {
                add("Original-Subject", &original);
            }
        }
        if let Some(from) = from {
            add("From", &from);
        }
        add("MIME-Version", "1.0");
        for field in mime::Headers::new(&fields) {
            entries.push(Entry::added(
                field.name().as_bytes(),
                field.raw_value().to_vec(),
            ));
        }
        self.message.replace_body(body.into_bytes());
        Ok(())
    }

    /// Puts the message into a new one, behind a text (RFC 5703 §6).
    pub(super) fn enclose(
        &mut self,
        subject: Option<&Text>,
        headers: &List,
        body: &Text,
    ) -> Result<(), Fault> {
        self.count_change()?;
        let body = self.expand_string(body);
        let subject = subject
            .map(|text| self.expand_string(text))
            .or_else(|| self.message.first_text("subject"))
            .unwrap_or_default();
        let inner = self.message.current().into_owned();
        let boundary = boundary(&inner);
        let mut out = Vec::with_capacity(inner.len() + body.len() + 512);
        let mut field = |name: &str, text: &str| {
            out.extend_from_slice(name.as_bytes());
            out.push(b':');
            out.extend_from_slice(&field_value(name, text));
            out.extend_from_slice(b"\r\n");
        };
        field("Subject", &subject);
        for name in ["From", "To", "Date", "Message-ID"] {
            if let Some(found) = mime::Headers::new(&inner).find(name) {
                field(name, &String::from_utf8_lossy(&found.unfolded()));
            }
        }
        for line in self.expand_list(headers) {
            if let Some((name, text)) = line.split_once(':')
                && is_field_name(name.as_bytes())
            {
                field(name, text);
            }
        }
        field("MIME-Version", "1.0");
        field(
            "Content-Type",
            &format!("multipart/mixed; boundary=\"{boundary}\""),
        );
        let (fields, body) = content(false, &body);
        out.extend_from_slice(format!("\r\n--{boundary}\r\n").as_bytes());
        out.extend_from_slice(&fields);
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(body.as_bytes());
        out.extend_from_slice(
            format!("\r\n--{boundary}\r\nContent-Type: message/rfc822\r\n\r\n").as_bytes(),
        );
        out.extend_from_slice(&inner);
        out.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
        self.replace_message(out);
        Ok(())
    }
}

/// MIME fields and body of a replacement text.
fn content(mime: bool, text: &str) -> (Vec<u8>, String) {
    if mime {
        let headers = mime::Headers::new(text.as_bytes());
        let fields = text
            .as_bytes()
            .get(..headers.fields_len())
            .unwrap_or_default();
        let body = text.get(headers.header_len()..).unwrap_or_default();
        return (fields.to_vec(), body.to_owned());
    }
    let encoding = if text.is_ascii() { "7bit" } else { "8bit" };
    let fields = format!(
        "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: {encoding}\r\n"
    );
    (fields.into_bytes(), text.to_owned())
}

/// A boundary that does not occur in `inner`.
fn boundary(inner: &[u8]) -> String {
    let mut number = 0_u64;
    loop {
        let candidate = format!("=_sieve_{number:x}_{:x}", inner.len());
        if memchr::memmem::find(inner, candidate.as_bytes()).is_none() {
            return candidate;
        }
        number += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_stay_on_their_line() {
        assert_eq!(field_value("X", "a\r\nBcc: b"), b" a Bcc: b");
        let long = field_value("X", &"word ".repeat(40));
        assert!(
            String::from_utf8(long)
                .unwrap()
                .split("\r\n")
                .all(|line| line.len() <= 78)
        );
        assert_eq!(field_value("X", "\u{fc}"), b" =?UTF-8?Q?=C3=BC?=");
    }
}
