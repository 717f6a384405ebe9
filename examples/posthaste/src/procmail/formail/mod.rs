//! `formail`: makes, takes apart and splits mail.

mod body;
mod duplicate;
mod edit;
mod header;
mod options;
mod reader;
mod reply;
mod split;

use std::ffi::OsString;
use std::fs;
use std::io::{self, Read, Write};

use procmail_rules::format;

use super::host::date;
use body::Out;
use header::Header;
use options::{Change, Options};
use reader::Reader;

/// Bad options.
const USAGE: u8 = 64;
/// Nobody can be replied to.
const NO_USER: u8 = 67;
/// A program could not be run.
const UNAVAILABLE: u8 = 69;
/// The cache of message identifiers cannot be used.
const NO_CACHE: u8 = 73;
/// What was made cannot be written.
const WRITE_ERROR: u8 = 74;

/// Runs the command; its exit code.
pub(super) fn run(arguments: &[OsString]) -> u8 {
    let Some(options) = Options::parse(arguments) else {
        return refused();
    };
    if let Some((_, file)) = &options.cache {
        // It is there afterwards, even if there is no message.
        let made = fs::OpenOptions::new().create(true).append(true).open(file);
        if made.is_err() {
            return NO_CACHE;
        }
    }
    let mut input = Vec::new();
    if io::stdin().lock().read_to_end(&mut input).is_err() {
        return UNAVAILABLE;
    }
    let mut reader = Reader::new(&input);
    if options.babyl {
        reader.skip_babyl();
    }
    reader.skip_newlines();
    if options.split.is_some() && reader.peek().is_none() {
        // An empty mailbox is split into no messages.
        return 0;
    }
    if !options.make_sense() {
        return refused();
    }
    if let Some(program) = &options.split {
        return split::run(&options, program, &mut reader);
    }
    first_header(&options, &mut reader);
    let mut out = Out::new(true);
    let treated = one(&options, &mut reader, &mut out);
    if io::stdout().write_all(&out.bytes).is_ok() {
        treated.code
    } else {
        UNAVAILABLE
    }
}

fn refused() -> u8 {
    let _ = io::stderr().write_all(options::USAGE_TEXT.as_bytes());
    USAGE
}

/// Reads the header of the first message: what begins with no field has none.
fn first_header(options: &Options, reader: &mut Reader<'_>) {
    if reader.field() || options.digest && reader.article() {
        reader.rest_of_header();
    }
}

/// The `From ` line for a message that has none.
fn from_line(header: &Header) -> Vec<u8> {
    let sender = reply::sender(header, false);
    let sender = sender.map_or_else(|| b"foo@bar".to_vec(), |found| found.0);
    format::from_line(&sender, &date())
}

/// What came of a message.
#[derive(Debug)]
struct Treated {
    code: u8,
    /// Another one follows.
    more: bool,
}

/// Treats one message, of which the header has been read.
fn one(options: &Options, reader: &mut Reader<'_>, out: &mut Out) -> Treated {
    let mut header = reader.take_header(options.babyl);
    let split = options.split.is_some();
    let from = header.value(b"From ").map(<[u8]>::to_vec);
    edit::change(&mut header, options, options.reply);
    if options.zap {
        header.zap();
    }
    if options.concatenate {
        header.unfold();
    }
    let mut code = 0;
    if let Some((size, file)) = &options.cache {
        let key = if options.reply {
            reply::sender(&header, options.trust).map(|found| found.0)
        } else {
            reply::message_id(&header)
        };
        let seen = duplicate::seen(file, *size, key.as_deref());
        if !split {
            let code = match seen {
                Ok(true) => 0,
                Ok(false) => 1,
                Err(_) => NO_CACHE,
            };
            return Treated { code, more: false };
        }
        // Where messages are split, only what is new goes on.
        if seen.unwrap_or(false) {
            out.open = false;
        }
    }
    let summarised = options.abstract_folder.as_ref().filter(|_| out.open);
    let length = content_length(options, &header);
    if options.reply {
        let known;
        (header, known) = reply::make(&header, options);
        edit::change(&mut header, options, false);
        if !known {
            code = NO_USER;
        }
    } else if !options.no_from
        && (!options.wants(b"xX") || edit::extracts_from(options))
        && from.is_none()
        && !edit::makes_from(options)
    {
        header.prepend(from_line(&header));
    }
    let summary = header.joined();
    edit::add(&mut header, options, from.as_deref());
    let extracting = options.wants(b"xX");
    let mut text = Vec::new();
    if extracting {
        edit::extract(&header, options, &mut text);
    } else if !options.leaves_out_header() {
        text.extend(header.fields().concat());
    }
    if options.keep_body || !extracting {
        text.push(b'\n');
    }
    out.extend(&text);
    let mut more = false;
    let rest = options.keep_body || !(options.reply || extracting);
    if !rest {
        out.open = false;
    }
    if rest || split {
        more = body::copy(options, reader, length, out);
    }
    if let Some(folder) = summarised {
        let size = out.bytes.len();
        let length = summary.len();
        let text = [summary.as_slice(), b"\n"].concat();
        out.bytes = format::abstract_lines(&text, length, folder, size);
    }
    Treated { code, more }
}

/// So many octets of the body are no lines that could begin with `From `: what Content-Length
/// says, where that is believed.
fn content_length(options: &Options, header: &Header) -> usize {
    let lost = options.keep_body && (options.reply || options.keeps_fields_but_length());
    if options.ignore_content_length || options.digest || lost {
        return 0;
    }
    let value = header.value(b"Content-Length:").unwrap_or(b"").trim_ascii();
    let digits = value.iter().take_while(|byte| byte.is_ascii_digit());
    let length = value.get(..digits.count()).and_then(options::number);
    length.unwrap_or(0)
}
