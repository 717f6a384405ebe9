//! Changes to fields, and what is extracted.

use std::collections::HashMap;
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
            || matches!(change.letter, b'a' | b'i' | b'I') && change.name.starts_with(b"From ")
    })
}

/// Is the `From ` line extracted, which is made if there is none?
pub(super) fn extracts_from(options: &Options) -> bool {
    options.changes.iter().any(|change| {
        let start = b"From ".get(..change.name.len());
        matches!(change.letter, b'x' | b'X')
            && start.is_some_and(|start| start.eq_ignore_ascii_case(&change.name))
    })
}

/// Adds the fields asked for. They go to the end, in the order -a, -A, -i, -I in which they are
/// kept by formail, and in that of the command line.
pub(super) fn add(header: &mut Header, options: &Options, from: Option<&[u8]>) {
    let mut added: Vec<(u8, Vec<u8>, Vec<u8>)> = Vec::new();
    for change in &options.changes {
        let (name, value) = parts(&change.name);
        let present = header.fields().iter().any(|field| matches(field, name));
        match change.letter {
            b'a' if name == b"From " && !present && !options.no_from => {
                let sender = from
                    .and_then(|line| line.split(|byte| *byte == b' ').next())
                    .map(<[u8]>::to_vec)
                    .or_else(|| super::reply::sender(header, false).map(|found| found.0))
                    .unwrap_or_else(|| b"foo@bar".to_vec());
                header.prepend(format::from_line(&sender, &date()));
            }
            b'a' if !present && names_message(name) && value.is_empty() => {
                added.push((change.letter, name.to_vec(), message_id(header)));
            }
            b'a' if !present => added.push((change.letter, name.to_vec(), value.to_vec())),
            b'A' | b'i' | b'I' if !value.is_empty() => {
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
            change.letter == letter && matches(field, name)
        })
    };
    header.fields_mut().retain_mut(|field| {
        // In a reply, -i without a value keeps what there was.
        let kept = |change: &&Change| options.reply && parts(&change.name).1.is_empty();
        if !replied_to && about(field, b'i').filter(|change| !kept(change)).is_some() {
            if field.starts_with(b"From ") {
                continue_as_field(field);
            }
            field.splice(..0, b"Old-".iter().copied());
            return true;
        }
        let replaced = |change: &&Change| replied_to && !parts(&change.name).1.is_empty();
        if about(field, b'I')
            .filter(|change| !replaced(change))
            .is_some()
        {
            return false;
        }
        if let Some(change) = about(field, b'R') {
            let whole = |name: &[u8]| name_length(name).is_some();
            let length = if whole(&change.name) || whole(&change.with) {
                name_length(field).unwrap_or(0)
            } else {
                change.name.len()
            };
            field.splice(..length, change.with.iter().copied());
        }
        true
    });
    keep_one(header, options);
}

/// Of several fields of the same name, -u has the first stay, and -U the last.
fn keep_one(header: &mut Header, options: &Options) {
    let wants = |field: &[u8], letter: u8| {
        let mut changes = options.changes.iter();
        changes.any(|change| change.letter == letter && matches(field, parts(&change.name).0))
    };
    if !options.wants(b"uU") {
        return;
    }
    // The first and the last of each name.
    let mut ends: HashMap<Vec<u8>, (usize, usize)> = HashMap::new();
    let name = |field: &[u8]| parts(field).0.to_ascii_lowercase();
    for (index, field) in header.fields().iter().enumerate() {
        ends.entry(name(field)).or_insert((index, index)).1 = index;
    }
    let mut index = 0;
    header.fields_mut().retain(|field| {
        let (first, last) = ends.get(&name(field)).copied().unwrap_or_default();
        let (wants_first, wants_last) = (wants(field, b'u'), wants(field, b'U'));
        let keep = wants_first && index == first
            || wants_last && index == last
            || !(wants_first || wants_last);
        index += 1;
        keep
    });
}

/// `-x` and `-X`, in the order of the header. What both are about is told without its name.
pub(super) fn extract(header: &Header, options: &Options, out: &mut Vec<u8>) {
    for field in header.fields() {
        let about = |letter: u8| {
            let mut names = options
                .changes
                .iter()
                .filter(|change| change.letter == letter)
                .map(|change| match name_length(&change.name) {
                    Some(length) => change.name.get(..length).unwrap_or(&change.name),
                    None => &change.name,
                });
            names.find(|name| matches(field, name))
        };
        let Some(name) = about(b'x') else {
            if about(b'X').is_some() {
                out.extend_from_slice(field);
            }
            continue;
        };
        let length = name_length(field)
            .unwrap_or(0)
            .max(name.len().min(field.len()));
        let value = field.get(length..).unwrap_or(&[]);
        if !options.zap {
            out.extend_from_slice(value);
            continue;
        }
        let blank = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\n');
        let start = value.iter().position(|byte| !blank(byte));
        let end = value.iter().rposition(|byte| !blank(byte));
        if let (Some(start), Some(end)) = (start, end) {
            out.extend_from_slice(value.get(start..=end).unwrap_or(&[]));
            out.push(b'\n');
        }
    }
}
