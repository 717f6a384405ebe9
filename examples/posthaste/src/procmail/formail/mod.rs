//! `formail`: makes, takes apart and splits mail.
//!
//! Where Debian's program crashes or takes memory for text, this one does what was asked for:
//! `-u` and `-U` of fields that a reply keeps, `-I ""` with `-l`. A program that is refused by
//! the system is run by `/bin/sh`, as there. `-0 -s` ends with 0, and what cannot be read with 69.

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
use options::{Change, Options, Refusal};
use reader::Reader;

/// Bad options.
const USAGE: u8 = 64;
/// Nobody can be replied to.
const NO_USER: u8 = 67;
/// A program could not be run.
const UNAVAILABLE: u8 = 69;
/// The cache of message identifiers cannot be used.
const NO_CACHE: u8 = 73;
/// So many octets of a folder's name stand in procmail's log.
const LONG_FOLDER: usize = 60;
/// What was made cannot be written.
const WRITE_ERROR: u8 = 74;

/// Runs the command; its exit code.
pub(super) fn run(arguments: &[OsString]) -> u8 {
    let options = match Options::parse(arguments) {
        Ok(options) => options,
        Err(refusal) => return refused(&refusal),
    };
    if let Some((_, file)) = &options.cache {
        // It is there afterwards, even if there is no message.
        let made = fs::OpenOptions::new().create(true).append(true).open(file);
        if made.is_err() {
            let file = file.to_string_lossy();
            complain(&format!("Couldn't open \"{file}\""));
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
        return refused(&Refusal::Usage);
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
        WRITE_ERROR
    }
}

fn refused(refusal: &Refusal) -> u8 {
    match refusal {
        Refusal::Version => {
            let _ = writeln!(
                io::stderr(),
                "formail v3.23pre, as posthaste {}",
                env!("CARGO_PKG_VERSION")
            );
            return USAGE;
        }
        Refusal::Name(name) => {
            let name = String::from_utf8_lossy(name);
            complain(&format!("Invalid field-name: \"{name}\""));
        }
        Refusal::Usage | Refusal::Help => {}
    }
    let _ = io::stderr().write_all(options::USAGE_TEXT.as_bytes());
    if *refusal == Refusal::Help {
        let _ = io::stderr().write_all(options::HELP_TEXT.trim_start_matches('\n').as_bytes());
    }
    USAGE
}

fn complain(text: &str) {
    let _ = writeln!(io::stderr(), "formail: {text}");
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
        // The cache ends its entries with NUL.
        let key = key.as_deref().map(|key| {
            let end = memchr::memchr(0, key).unwrap_or(key.len());
            key.get(..end).unwrap_or(key)
        });
        let seen = duplicate::seen(file, *size, key);
        if options.talks && matches!(seen, Ok(true)) {
            let key = String::from_utf8_lossy(key.unwrap_or(&[]));
            complain(&format!("Duplicate key found:{key}"));
        }
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
        && !options.leaves_out_header()
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
    } else {
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
        out.bytes = abstract_lines(&text, length, folder, size);
    }
    Treated { code, more }
}

/// As procmail's log has it, but with all lines that the envelope has, and one more octet of the
/// folder's name.
fn abstract_lines(text: &[u8], length: usize, folder: &[u8], size: usize) -> Vec<u8> {
    let lines = text.split_inclusive(|byte| *byte == b'\n');
    let first = lines.clone().next().unwrap_or(&[]);
    if !header::is_from(first) {
        return told(text, length, folder, size);
    }
    let more = lines.skip(1).take_while(|line| line.starts_with(b">"));
    let envelope = first.len() + more.map(<[u8]>::len).sum::<usize>();
    let (envelope, rest) = text.split_at_checked(envelope).unwrap_or((text, &[]));
    let rest = told(rest, length.saturating_sub(envelope.len()), folder, size);
    [envelope, &rest].concat()
}

/// The lines of the subject and of the folder.
fn told(text: &[u8], length: usize, folder: &[u8], size: usize) -> Vec<u8> {
    let mut told = format::abstract_lines(text, length, folder, size);
    // The longest name that is told of as it is ends a column before the next stop.
    if let Some(last) = folder.get(LONG_FOLDER)
        && let Some(tab) = memchr::memrchr(b'\t', &told)
    {
        told.insert(tab, *last);
    }
    told
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
