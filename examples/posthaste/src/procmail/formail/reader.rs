//! Reads mail field by field, and tells where in a body another message may begin.

use super::header::{Field, Header, is_from, name_length};

/// The fields that are known to head the messages of a digest, besides `X-` and `Old-` ones.
const KNOWN: &[&str] = &[
    "Approved:",
    "Article-I.D.:",
    "Article:",
    "Auto-Forward-Count:",
    "Auto-Forwarded-From:",
    "Bcc:",
    "Cc:",
    "Comments:",
    "Content-Description:",
    "Content-Disposition:",
    "Content-ID:",
    "Content-Length:",
    "Content-MD5:",
    "Content-Transfer-Encoding:",
    "Content-Type:",
    "Control:",
    "Date:",
    "Default-Options:",
    "Distribution:",
    "Encoding:",
    "Encrypted:",
    "End-of-Header:",
    "Errors-To:",
    "Expires:",
    "Fcc:",
    "Followup-To:",
    "Forwarded:",
    "From:",
    "Full-Name:",
    "In-Reply-To:",
    "Keywords:",
    "Lines:",
    "Message-ID:",
    "Message-Type:",
    "Message:",
    "MIME-Version:",
    "Newsgroups:",
    "NNTP-Posting-Host:",
    "Not-Delivered-To:",
    "Organisation:",
    "Organization:",
    "Original-Auto-Forwarded-From:",
    "Original-Date:",
    "Originator:",
    "Path:",
    "Posted-Date:",
    "Posted:",
    "Precedence:",
    "Priority:",
    "Read-Receipt-To:",
    "Received-Date:",
    "Received:",
    "Reference:",
    "References:",
    "Replied:",
    "Reply-To:",
    "Report-Version:",
    "Resent-Bcc:",
    "Resent-Cc:",
    "Resent-Date:",
    "Resent-From:",
    "Resent-Message-ID:",
    "Resent-Reply-To:",
    "Resent-Sender:",
    "Resent-To:",
    "Resent:",
    "Return-Path:",
    "Return-Receipt-To:",
    "Sender:",
    "Status:",
    "Subject:",
    "Submitted-by:",
    "Summary:",
    "Text:",
    "Title:",
    "To:",
    "Transport-Options:",
    "Via:",
    "X400-Received:",
    "Xref:",
];

/// How an article of a news spool begins.
const ARTICLE: &[u8] = b"Article ";

/// How a Babyl file has the `From ` line of a message.
pub(super) const MAIL_FROM: &[u8] = b"Mail-from:";

/// A position in the input, with what was read ahead.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    text: &'a [u8],
    /// Fields read, and not used yet.
    pub(super) fields: Vec<Field>,
    /// The last line read, if it is none of a field.
    pub(super) line: Vec<u8>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(text: &'a [u8]) -> Self {
        Self {
            text,
            fields: Vec::new(),
            line: Vec::new(),
        }
    }

    pub(super) fn peek(&self) -> Option<u8> {
        self.text.first().copied()
    }

    pub(super) fn next(&mut self) -> Option<u8> {
        let (first, rest) = self.text.split_first()?;
        self.text = rest;
        Some(*first)
    }

    pub(super) fn skip_newlines(&mut self) {
        while self.peek() == Some(b'\n') {
            self.next();
        }
    }

    /// Skips the beginning of a Babyl file, to behind the status line of its first message.
    pub(super) fn skip_babyl(&mut self) {
        let start =
            memchr::memmem::find(self.text, b"\x1f\x0c\n").map_or(self.text.len(), |at| at + 3);
        self.text = self.text.get(start..).unwrap_or(&[]);
        self.skip_line();
    }

    fn skip_line(&mut self) {
        let end = memchr::memchr(b'\n', self.text).map_or(self.text.len(), |at| at + 1);
        self.text = self.text.get(end..).unwrap_or(&[]);
    }

    /// Skips the second header of a Babyl file's message, up to its empty line.
    pub(super) fn skip_shown_header(&mut self) {
        self.next();
        let mut last = 0;
        while let Some(byte) = self.peek() {
            if byte == b'\n' && last == b'\n' {
                break;
            }
            last = byte;
            self.next();
        }
    }

    /// Appends a line to `line`; at the end of the input, an empty one.
    fn read_line(&mut self) {
        let end = memchr::memchr(b'\n', self.text);
        let length = end.map_or(self.text.len(), |at| at + 1);
        let (line, rest) = self
            .text
            .split_at_checked(length)
            .unwrap_or((self.text, &[]));
        self.line.extend_from_slice(line);
        self.text = rest;
        if end.is_none() {
            self.line.push(b'\n');
        }
    }

    /// Reads a field with its continuation lines, or the `From ` line, which stands in front of
    /// all fields. If there is none, its line is left in `line`.
    pub(super) fn field(&mut self) -> bool {
        self.read_line();
        if is_from(&self.line) {
            if !self.fields.is_empty() {
                return false;
            }
            while self.peek() == Some(b'>') {
                self.read_line();
            }
        } else if name_length(&self.line).is_none() {
            return false;
        } else {
            while matches!(self.peek(), Some(b' ' | b'\t')) {
                self.read_line();
            }
        }
        self.take_line();
        true
    }

    /// Has the line be a field.
    pub(super) fn take_line(&mut self) {
        self.fields.push(std::mem::take(&mut self.line));
    }

    /// Reads all fields there are.
    pub(super) fn rest_of_header(&mut self) {
        while self.field() {}
    }

    /// Takes the line if an article of news begins with it.
    pub(super) fn article(&mut self) -> bool {
        let begins = self.fields.is_empty() && self.line.starts_with(ARTICLE);
        if begins {
            self.take_line();
        }
        begins
    }

    /// Is the last field one of those that head messages?
    pub(super) fn is_known(&self) -> bool {
        let Some(field) = self.fields.last() else {
            return false;
        };
        let name = name_length(field).and_then(|length| field.get(..length));
        let name = name.unwrap_or(&[]);
        let prefixed = |prefix: &[u8]| {
            name.len() > prefix.len()
                && name
                    .get(..prefix.len())
                    .is_some_and(|start| start.eq_ignore_ascii_case(prefix))
        };
        prefixed(b"X-")
            || prefixed(b"Old-")
            || KNOWN
                .iter()
                .any(|known| name.eq_ignore_ascii_case(known.as_bytes()))
    }

    /// Does another message begin with the fields read, if `minimum` of its header are known?
    pub(super) fn has_header(&mut self, minimum: usize) -> bool {
        for _ in 1..minimum {
            if !(self.field() && self.is_known()) {
                return false;
            }
        }
        true
    }

    /// The header read. The first line of an article of news becomes a field.
    pub(super) fn take_header(&mut self, babyl: bool) -> Header {
        let mut fields = std::mem::take(&mut self.fields);
        if let Some(first) = fields.first_mut() {
            if first.starts_with(ARTICLE) {
                if let Some(blank) = first.get_mut(ARTICLE.len() - 1) {
                    *blank = b':';
                }
            } else if babyl && first.starts_with(MAIL_FROM) {
                let line = first.get(MAIL_FROM.len()..).unwrap_or(&[]);
                let line = line.trim_ascii_start();
                if is_from(line) {
                    *first = line.to_vec();
                }
            }
        }
        for field in &mut fields {
            join_colon(field);
        }
        Header::of(fields)
    }
}

/// Has the colon follow a field's name at once.
fn join_colon(field: &mut Field) {
    if is_from(field) {
        return;
    }
    let name = field
        .iter()
        .take_while(|byte| !is_blank(**byte) && **byte != b':')
        .count();
    if let Some(length) = name_length(field)
        && name < length - 1
    {
        field.drain(name..length - 1);
    }
}

/// Is it a `From ` line with a sender and something behind that, as a message begins?
pub(super) fn is_postmark(field: &[u8]) -> bool {
    let rest = past(field.get(5..).unwrap_or(&[]), is_blank);
    let after = past(rest, |byte| !is_blank(byte) && byte != b'\n');
    after.len() < rest.len() && past(after, is_blank).first() != Some(&b'\n')
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

/// The text behind the octets at its front that satisfy a test.
fn past(text: &[u8], test: impl Fn(u8) -> bool) -> &[u8] {
    let count = text.iter().take_while(|byte| test(**byte)).count();
    text.get(count..).unwrap_or(&[])
}
