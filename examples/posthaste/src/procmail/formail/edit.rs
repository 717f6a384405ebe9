//! Changes to fields, and what is extracted.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use super::header::{Header, matches, name_length};
use super::{Change, Options};
use crate::procmail::host::date;
use procmail_rules::format;

/// Splits `Field: value` into name and value.
pub(super) fn parts(text: &[u8]) -> (&[u8], &[u8]) {
    let length = name_length(text).unwrap_or(text.len());
    text.split_at_checked(length).unwrap_or((text, &[]))
}

/// Do the changes see to the `From ` line themselves?
pub(super) fn makes_from(options: &Options) -> bool {
    options.changes.iter().any(|change| {
        change.letter == b'i' && change.name.is_empty()
            || matches!(change.letter, b'a' | b'A' | b'i' | b'I')
                && change.name.starts_with(b"From ")
    })
}

/// Is the `From ` line extracted, which is made if there is none?
pub(super) fn extracts_from(options: &Options) -> bool {
    options
        .changes
        .iter()
        .any(|change| change.letter == b'X' && b"From ".starts_with(&change.name))
}

/// Adds the fields asked for. They go to the end, in the order -a, -A, -i, -I in which they are
/// kept by formail, and in that of the command line.
pub(super) fn add(header: &mut Header, options: &Options, from: Option<&[u8]>) {
    let mut added: Vec<(u8, Vec<u8>, Vec<u8>)> = Vec::new();
    for change in &options.changes {
        let (name, value) = parts(&change.name);
        let present = header.fields().iter().any(|field| matches(field, name));
        match change.letter {
            b'a' if name == b"From " && !present => {
                let sender = from
                    .and_then(|line| line.split(|byte| *byte == b' ').next())
                    .map(<[u8]>::to_vec)
                    .or_else(|| super::reply::sender(header, false).map(|found| found.0))
                    .unwrap_or_else(|| b"foo@bar".to_vec());
                header.prepend(format::from_line(&sender, &date()));
            }
            b'a' if !present && names_message(name) && value.trim_ascii().is_empty() => {
                added.push((change.letter, name.to_vec(), message_id(header)));
            }
            b'a' if !present => added.push((change.letter, name.to_vec(), value.to_vec())),
            b'A' | b'i' | b'I' if !value.trim_ascii().is_empty() => {
                added.push((change.letter, name.to_vec(), value.to_vec()));
            }
            _ => {}
        }
    }
    // Fields of -A and -a stand before those of -i and -I.
    added.sort_by_key(|(letter, _, _)| match letter {
        b'a' => 0,
        b'A' => 1,
        b'i' => 2,
        _ => 3,
    });
    for (_, name, value) in &added {
        header.push(name, value);
    }
}

/// The lines that go on a `From ` line begin with a blank in any other field.
fn continue_as_field(field: &mut [u8]) {
    let found: Vec<usize> = memchr::memmem::find_iter(field, b"\n>").collect();
    for at in found {
        if let Some(byte) = field.get_mut(at + 1) {
            *byte = b' ';
        }
    }
}

/// A field whose value is made up where none is given.
fn names_message(name: &[u8]) -> bool {
    [b"Message-ID:".as_slice(), b"Resent-Message-ID:"]
        .iter()
        .any(|known| name.eq_ignore_ascii_case(known))
}

/// A name no other message has.
fn message_id(header: &Header) -> Vec<u8> {
    static MADE: AtomicU64 = AtomicU64::new(0);
    let mut hasher = DefaultHasher::new();
    header.fields().hash(&mut hasher);
    let seconds = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |time| time.as_secs());
    let parts = [
        hasher.finish(),
        MADE.fetch_add(1, Ordering::Relaxed),
        u64::from(std::process::id()),
        seconds,
    ];
    let parts = parts.map(|part| match format::inode_code(part) {
        code if code.is_empty() => "A".to_owned(),
        code => code,
    });
    let host = crate::procmail::host_name();
    format!(" <{}@{host}>", parts.join(".")).into_bytes()
}

/// What becomes of the fields there are: the first of -i, -I and -R that is about a field does
/// its work, and -u and -U keep one of several. The header that is replied to is changed before
/// the reply is made, but for what the reply's own fields are to be.
pub(super) fn change(header: &mut Header, options: &Options, replied_to: bool) {
    let about = |field: &[u8], letter: u8| {
        options.changes.iter().find(|change| {
            let name = if letter == b'R' {
                change.name.as_slice()
            } else {
                parts(&change.name).0
            };
            // Without a name, -i is about all fields.
            change.letter == letter && (letter == b'i' || !name.is_empty()) && matches(field, name)
        })
    };
    header.fields_mut().retain_mut(|field| {
        // In a reply, -i without a value keeps what there was.
        let kept =
            |change: &&Change| options.reply && parts(&change.name).1.trim_ascii().is_empty();
        if !replied_to && about(field, b'i').filter(|change| !kept(change)).is_some() {
            if field.starts_with(b"From ") {
                continue_as_field(field);
            }
            field.splice(..0, b"Old-".iter().copied());
            return true;
        }
        let replaced =
            |change: &&Change| replied_to && !parts(&change.name).1.trim_ascii().is_empty();
        if about(field, b'I')
            .filter(|change| !replaced(change))
            .is_some()
        {
            return false;
        }
        if let Some(change) = about(field, b'R') {
            let length = if change.name.ends_with(b":") {
                name_length(field).unwrap_or(0)
            } else {
                change.name.len()
            };
            field.splice(..length, change.with.iter().copied());
        }
        true
    });
    for change in &options.changes {
        if matches!(change.letter, b'u' | b'U') {
            keep_one(header, parts(&change.name).0, change.letter == b'u');
        }
    }
}

/// Of several fields called so, the first or the last stays.
fn keep_one(header: &mut Header, name: &[u8], first: bool) {
    let found: Vec<usize> = header
        .fields()
        .iter()
        .enumerate()
        .filter(|(_, field)| matches(field, name))
        .map(|(index, _)| index)
        .collect();
    let kept = if first { found.first() } else { found.last() };
    let mut index = 0;
    header.fields_mut().retain(|_| {
        let keep = !found.contains(&index) || kept == Some(&index);
        index += 1;
        keep
    });
}

/// `-x` and `-X`, in the order of the header.
pub(super) fn extract(header: &Header, options: &Options, out: &mut Vec<u8>) {
    for field in header.fields() {
        for change in options
            .changes
            .iter()
            .filter(|change| matches!(change.letter, b'x' | b'X'))
        {
            let name = match name_length(&change.name) {
                Some(length) => change.name.get(..length).unwrap_or(&change.name),
                None => &change.name,
            };
            if !name.is_empty() && !matches(field, name) {
                continue;
            }
            if change.letter == b'X' {
                out.extend_from_slice(field);
                break;
            }
            let length = name_length(field)
                .unwrap_or(0)
                .max(name.len().min(field.len()));
            let value = field.get(length..).unwrap_or(&[]);
            if options.zap {
                let value = value.trim_ascii();
                if !value.is_empty() {
                    out.extend_from_slice(value);
                    out.push(b'\n');
                }
            } else {
                out.extend_from_slice(value);
            }
            break;
        }
    }
}
