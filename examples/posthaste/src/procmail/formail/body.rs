//! What follows a header: copied, quoted, and searched for the beginning of another message.

use super::Options;
use super::header::is_from;
use super::reader::{MAIL_FROM, Reader, is_postmark};

/// The end of a Babyl file's message.
const BABYL_END: u8 = 0x1f;

/// Text that goes somewhere, or nowhere any more.
#[derive(Debug)]
pub(super) struct Out {
    pub(super) bytes: Vec<u8>,
    pub(super) open: bool,
}

impl Out {
    pub(super) fn new(open: bool) -> Self {
        Self {
            bytes: Vec::new(),
            open,
        }
    }

    pub(super) fn extend(&mut self, bytes: &[u8]) {
        if self.open {
            self.bytes.extend_from_slice(bytes);
        }
    }
}

/// Copies a body of which the first `length` octets are no lines that could begin a message:
/// what Content-Length says. True if another message follows, whose first fields are read.
pub(super) fn copy(
    options: &Options,
    reader: &mut Reader<'_>,
    length: usize,
    out: &mut Out,
) -> bool {
    let split = options.split.is_some();
    let quote = options.prefix.as_deref().unwrap_or(b">");
    let bogus = !options.no_quoting;
    // The empty line behind the header is written already.
    if reader.line.len() == 1 {
        reader.line.clear();
    }
    if options.babyl {
        reader.skip_shown_header();
    }
    // In a Babyl file nothing begins before the message's end.
    let mut may_begin = !options.babyl;
    let mut after_empty = length == 0 || copy_length(reader, length, out, options.talks);
    while !reader.line.is_empty() || !after_empty || reader.peek().is_some() {
        if reader.line.is_empty() {
            reader.field();
        }
        let free = split && (after_empty || options.every);
        if may_begin {
            if reader.fields.is_empty() && is_from(&reader.line) {
                reader.take_line();
            }
            let begins = match reader.fields.first() {
                Some(first) if is_from(first) => {
                    let begins = free && is_postmark(first);
                    if bogus && !begins {
                        out.extend(quote);
                    }
                    begins
                }
                Some(first) => {
                    let postmark = options.babyl && first.starts_with(MAIL_FROM);
                    free && options.digest && (postmark || reader.is_known())
                }
                None => free && options.digest && reader.article(),
            };
            if begins && reader.has_header(options.minimum) {
                if !after_empty {
                    out.extend(b"\n");
                }
                return true;
            }
        }
        after_empty = reader.line.len() == 1;
        if options.babyl && reader.line.first() == Some(&BABYL_END) {
            may_begin = true;
            out.open = false;
        }
        let fields = std::mem::take(&mut reader.fields);
        let cites = options.reply && bogus;
        for field in &fields {
            for line in field.split_inclusive(|byte| *byte == b'\n') {
                if cites {
                    out.extend(quote);
                }
                out.extend(line);
            }
        }
        if fields.is_empty() {
            if cites && reader.line.len() > 1 {
                out.extend(quote);
            }
            out.extend(&reader.line);
            reader.line.clear();
        }
    }
    false
}

/// Copies so many octets as they are; do they end with an empty line?
fn copy_length(reader: &mut Reader<'_>, length: usize, out: &mut Out, talks: bool) -> bool {
    let mut left = length;
    let mut after_empty = true;
    if !reader.line.is_empty() {
        // No empty line ended the header, but this one.
        out.extend(&reader.line);
        left = left.saturating_sub(reader.line.len());
        reader.line.clear();
        after_empty = false;
    }
    let mut last = b'\n';
    while left > 0
        && let Some(byte) = reader.next()
    {
        after_empty = byte == b'\n' && last == b'\n';
        out.extend(&[byte]);
        last = byte;
        left -= 1;
    }
    if talks && left > 1 {
        let missing = left - 1;
        super::complain(&format!(
            "Content-Length: field exceeds actual length by {missing} bytes"
        ));
    }
    if reader.peek() == Some(b'\n') && last != b'\n' {
        reader.next();
        out.extend(b"\n");
    }
    after_empty
}
