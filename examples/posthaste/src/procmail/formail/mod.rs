//! `formail`: makes, takes apart and splits mail.

mod digest;
mod duplicate;
mod edit;
mod header;
mod reply;

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::process::{Command, Stdio};

use procmail_rules::format;

use super::host::date;
use header::Header;

/// Bad options.
const USAGE: u8 = 64;
/// A program could not be run.
const UNAVAILABLE: u8 = 69;

/// One thing to do to fields.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Change {
    letter: u8,
    name: Vec<u8>,
    /// For `-R`: the new name.
    with: Vec<u8>,
}

/// The command line, read.
#[derive(Debug, Default)]
struct Options {
    no_from: bool,
    no_quoting: bool,
    concatenate: bool,
    zap: bool,
    reply: bool,
    trust: bool,
    keep_body: bool,
    ignore_content_length: bool,
    prefix: Option<Vec<u8>>,
    cache: Option<(u64, OsString)>,
    abstract_folder: Option<Vec<u8>>,
    changes: Vec<Change>,
    split: Option<Vec<OsString>>,
    skip: usize,
    total: Option<usize>,
    loose: bool,
    every_header: bool,
    minimal_fields: usize,
    digest_headers: bool,
    children: usize,
    quiet: bool,
}

impl Options {
    fn parse(arguments: &[OsString]) -> Option<Self> {
        let mut options = Self {
            minimal_fields: 2,
            ..Self::default()
        };
        let mut rest = arguments
            .iter()
            .map(|argument| argument.as_bytes())
            .peekable();
        while let Some(argument) = rest.next() {
            if let Some(skip) = argument.strip_prefix(b"+") {
                options.skip = number(skip)?;
                continue;
            }
            let mut letters = argument.strip_prefix(b"-")?;
            if letters.first().is_some_and(u8::is_ascii_digit) {
                options.total = Some(number(letters)?);
                continue;
            }
            while let Some((letter, after)) = letters.split_first() {
                letters = after;
                let own = Some(after).filter(|own| !own.is_empty());
                match letter {
                    b'f' => options.no_from = true,
                    b'b' => options.no_quoting = true,
                    b'c' => options.concatenate = true,
                    b'z' => options.zap = true,
                    b'r' => options.reply = true,
                    b't' => options.trust = true,
                    b'k' => options.keep_body = true,
                    b'Y' => options.ignore_content_length = true,
                    b'd' => options.loose = true,
                    b'e' => options.every_header = true,
                    b'B' => options.digest_headers = true,
                    b'q' => options.quiet = true,
                    b'n' => {
                        let digits = after
                            .iter()
                            .take_while(|byte| byte.is_ascii_digit())
                            .count();
                        let (count, more) = after.split_at(digits);
                        // The number may be a word of its own; what is none is a mistake.
                        let next = match (digits, after) {
                            (0, b"") => rest.next()?,
                            _ => count,
                        };
                        options.children = number(next)?;
                        letters = more;
                    }
                    b'm' => {
                        let digits = after
                            .iter()
                            .take_while(|byte| byte.is_ascii_digit())
                            .count();
                        let (count, more) = after.split_at(digits);
                        let next = match digits {
                            0 => rest.next()?,
                            _ => count,
                        };
                        options.minimal_fields = number(next)?;
                        letters = more;
                    }
                    b'p' => {
                        options.prefix = Some(own.or_else(|| rest.next())?.to_vec());
                        letters = &[];
                    }
                    b'l' => {
                        options.abstract_folder = Some(own.or_else(|| rest.next())?.to_vec());
                        letters = &[];
                    }
                    b'D' => {
                        let size = number(own.or_else(|| rest.next())?)?;
                        let file = OsStr::from_bytes(rest.next()?).to_owned();
                        options.cache = Some((u64::try_from(size).ok()?, file));
                        letters = &[];
                    }
                    b'x' | b'X' | b'a' | b'A' | b'i' | b'I' | b'u' | b'U' | b'R' => {
                        let name = own.or_else(|| rest.next())?.to_vec();
                        let with = if *letter == b'R' {
                            rest.next()?.to_vec()
                        } else {
                            Vec::new()
                        };
                        options.changes.push(Change {
                            letter: *letter,
                            name,
                            with,
                        });
                        letters = &[];
                    }
                    b's' => {
                        let own = own.map(|own| OsString::from_vec(own.to_vec()));
                        let program = own
                            .into_iter()
                            .chain(rest.by_ref().map(|word| OsStr::from_bytes(word).to_owned()));
                        options.split = Some(program.collect());
                        letters = &[];
                    }
                    _ => return None,
                }
            }
        }
        if options.skip > 0 || options.total.is_some() {
            options.split.get_or_insert_default();
        }
        Some(options)
    }

    fn wants(&self, letters: &[u8]) -> bool {
        self.changes
            .iter()
            .any(|change| letters.contains(&change.letter))
    }
}

fn number(text: &[u8]) -> Option<usize> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// Runs the command; its exit code.
pub(super) fn run(arguments: &[OsString]) -> u8 {
    let Some(options) = Options::parse(arguments) else {
        let _ = io::stderr().write_all(
            b"usage: formail [+nnn] [-nnn] [-bczfrktqY] [-p prefix] [-D nnn idcache] [-l folder] \
              [-xXaAiIuU field] [-R ofield nfield] [-s [prg [arg ...]]]\n",
        );
        return USAGE;
    };
    let mut input = Vec::new();
    if io::stdin().lock().read_to_end(&mut input).is_err() {
        return UNAVAILABLE;
    }
    let Some(program) = &options.split else {
        let mut out = Vec::new();
        let code = one(&options, &input, &mut out);
        return if io::stdout().write_all(&out).is_ok() {
            code
        } else {
            UNAVAILABLE
        };
    };
    let digits = std::env::var("FILENO").ok();
    let width = digits.as_ref().map_or(3, String::len);
    let first = digits
        .and_then(|text| text.parse::<usize>().ok())
        .unwrap_or(0);
    let messages = digest::split(&input, &options);
    if let Some((_, file)) = &options.cache {
        // It is there afterwards, even if there is no message.
        let made = fs::OpenOptions::new().create(true).append(true).open(file);
        if made.is_err() {
            return UNAVAILABLE;
        }
    }
    let wanted = messages
        .into_iter()
        .skip(options.skip)
        .take(options.total.unwrap_or(usize::MAX));
    let mut worst = 0;
    for (index, message) in wanted.enumerate() {
        let mut out = Vec::new();
        let code = one(&options, message, &mut out);
        if out.is_empty() && options.cache.is_some() {
            // A duplicate.
            worst = worst.max(code);
            continue;
        }
        let fed = match program.split_first() {
            None => io::stdout().write_all(&out).is_ok(),
            Some((name, words)) => {
                let serial = format!("{:0width$}", first + index);
                feed(name, words, &serial, &out)
            }
        };
        worst = if fed { worst.max(code) } else { UNAVAILABLE };
    }
    worst
}

/// Gives a program one message.
fn feed(name: &OsStr, words: &[OsString], serial: &str, message: &[u8]) -> bool {
    let child = Command::new(name)
        .args(words)
        .env("FILENO", serial)
        .stdin(Stdio::piped())
        .spawn();
    let Ok(mut child) = child else { return false };
    if let Some(mut stdin) = child.stdin.take() {
        // A program need not read what it is given.
        let _ = stdin.write_all(message);
    }
    child.wait().is_ok_and(|status| status.success())
}

/// The `From ` line for a message that has none.
fn from_line(header: &Header) -> Vec<u8> {
    let sender = reply::sender(header, false);
    let sender = sender.map_or_else(|| b"foo@bar".to_vec(), |found| found.0);
    format::from_line(&sender, &date())
}

/// Treats one message.
fn one(options: &Options, input: &[u8], out: &mut Vec<u8>) -> u8 {
    let (mut header, body) = Header::split(input);
    let mut code = 0;
    if let Some((size, file)) = &options.cache {
        let key = if options.reply {
            reply::sender(&header, options.trust).map(|found| found.0)
        } else {
            header.message_id()
        };
        match duplicate::seen(file, *size, key.as_deref()) {
            Ok(true) => return 0,
            // Where messages are split, what is new goes on instead.
            Ok(false) if options.split.is_some() => {}
            Ok(false) => code = 1,
            Err(_) => return UNAVAILABLE,
        }
        if options.changes.is_empty() && options.split.is_none() {
            return code;
        }
    }
    if let Some(folder) = &options.abstract_folder {
        if options.split.is_some() && !options.no_from && !header.has(b"From ") {
            header.prepend(from_line(&header));
        }
        let mut text = header.joined();
        let length = text.len();
        text.push(b'\n');
        let mut whole = header.fields().concat();
        whole.push(b'\n');
        write_body(options, body, &mut whole);
        out.extend(format::abstract_lines(&text, length, folder, whole.len()));
        return code;
    }
    let torn = !input
        .get(..input.len() - body.len())
        .is_some_and(|header| header.ends_with(b"\n\n"));
    let shield = content_length(options, &header).map(|length| {
        // The line that tells that the header is over is written with it.
        let line = body.iter().position(|byte| *byte == b'\n');
        let line = line.map_or(body.len(), |at| at + 1);
        let length = if torn { length.max(line) } else { length };
        Shield { length, torn }
    });
    let from = header.value(b"From ").map(<[u8]>::to_vec);
    edit::change(&mut header, options, options.reply);
    if options.zap {
        header.zap();
    }
    if options.concatenate {
        header.unfold();
    }
    let mut known = true;
    if options.reply {
        (header, known) = reply::make(&header, options);
        edit::change(&mut header, options, false);
    } else if !options.no_from
        && (!options.wants(b"xX") || edit::extracts_from(options))
        && from.is_none()
        && !edit::makes_from(options)
    {
        header.prepend(from_line(&header));
    }
    edit::add(&mut header, options, from.as_deref());
    if !known {
        code = 67;
    }
    write(options, &header, body, shield, out);
    code
}

/// What of a body is written as it is.
#[derive(Debug, Clone, Copy)]
struct Shield {
    length: usize,
    /// No empty line ended the header.
    torn: bool,
}

/// So many octets of the body are no lines that could begin with `From `: what Content-Length
/// says, where that is believed.
fn content_length(options: &Options, header: &Header) -> Option<usize> {
    if options.ignore_content_length || options.digest_headers || options.keep_body {
        return None;
    }
    let value = header.value(b"Content-Length:")?.trim_ascii();
    let digits = value.iter().take_while(|byte| byte.is_ascii_digit());
    let length = number(value.get(..digits.count())?)?;
    (length > 0).then_some(length)
}

/// Writes what is wanted of the message.
fn write(
    options: &Options,
    header: &Header,
    body: &[u8],
    shield: Option<Shield>,
    out: &mut Vec<u8>,
) {
    let extracting = options.wants(b"xX");
    if extracting {
        edit::extract(header, options, out);
        if !options.keep_body {
            return;
        }
    } else if options
        .changes
        .iter()
        .any(|change| change.letter == b'I' && change.name.is_empty())
    {
        // The header is left out.
    } else {
        out.extend(header.fields().concat());
    }
    let nothing = out.is_empty() && body.is_empty();
    out.push(b'\n');
    if nothing || options.reply && !options.keep_body {
        return;
    }
    let Some(shield) = shield.filter(|_| !body.is_empty()) else {
        write_body(options, body, out);
        return;
    };
    let (whole, rest) = body.split_at_checked(shield.length).unwrap_or((body, &[]));
    out.extend_from_slice(whole);
    if shield.torn && rest.is_empty() && !whole.ends_with(b"\n") {
        out.push(b'\n');
    }
    let rest = match rest.strip_prefix(b"\n") {
        Some(after) if !whole.ends_with(b"\n") => {
            out.push(b'\n');
            after
        }
        _ => rest,
    };
    if !rest.is_empty() {
        write_body(options, rest, out);
    } else if !whole.ends_with(b"\n\n") {
        out.push(b'\n');
    }
}

fn write_body(options: &Options, body: &[u8], out: &mut Vec<u8>) {
    let quote = options.prefix.as_deref().unwrap_or(b">");
    let cites = options.reply && !options.no_quoting;
    for line in body.split_inclusive(|byte| *byte == b'\n') {
        if cites && line != b"\n" {
            out.extend_from_slice(quote);
        }
        if !options.no_quoting && line.starts_with(b"From ") {
            out.extend_from_slice(quote);
        }
        out.extend_from_slice(line);
    }
    if !out.ends_with(b"\n") {
        out.push(b'\n');
    }
    if !format::ends_empty(out) {
        out.push(b'\n');
    }
}
