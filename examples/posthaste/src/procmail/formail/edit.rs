//! Changes to fields, and what is extracted.

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
        matches!(change.letter, b'a' | b'A' | b'i' | b'I') && change.name.starts_with(b"From ")
    })
}

/// Is the `From ` line extracted, which is made if there is none?
pub(super) fn extracts_from(options: &Options) -> bool {
    options
        .changes
        .iter()
        .any(|change| change.letter == b'X' && b"From ".starts_with(&change.name))
}

/// Makes the changes asked for. New fields go to the end, in the order -a, -A, -i, -I in which
/// they are kept by formail: that of the command line.
pub(super) fn apply(header: &mut Header, options: &Options) {
    let from = header.value(b"From ").map(<[u8]>::to_vec);
    for change in &options.changes {
        rename(header, change);
    }
    let mut added: Vec<(u8, Vec<u8>, Vec<u8>)> = Vec::new();
    for change in &options.changes {
        let (name, value) = parts(&change.name);
        let present = header.fields().iter().any(|field| matches(field, name));
        match change.letter {
            b'a' if name == b"From " && !present => {
                let sender = from
                    .as_deref()
                    .and_then(|line| line.split(|byte| *byte == b' ').next())
                    .map(<[u8]>::to_vec)
                    .or_else(|| super::reply::sender(header, false).map(|found| found.0))
                    .unwrap_or_else(|| b"foo@bar".to_vec());
                header.prepend(format::from_line(&sender, &date()));
            }
            b'a' if !present => added.push((change.letter, name.to_vec(), value.to_vec())),
            b'A' => added.push((change.letter, name.to_vec(), value.to_vec())),
            b'i' => {
                let bare = value.trim_ascii().is_empty();
                // In a reply, -i without a value keeps what there was.
                for field in header
                    .fields_mut()
                    .iter_mut()
                    .filter(|field| !(options.reply && bare) && matches(field, name))
                {
                    field.splice(..0, b"Old-".iter().copied());
                }
                if !bare {
                    added.push((change.letter, name.to_vec(), value.to_vec()));
                }
            }
            b'I' if !change.name.is_empty() => {
                header.fields_mut().retain(|field| !matches(field, name));
                if !value.trim_ascii().is_empty() {
                    added.push((change.letter, name.to_vec(), value.to_vec()));
                }
            }
            b'u' | b'U' => keep_one(header, name, change.letter == b'u'),
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

fn rename(header: &mut Header, change: &Change) {
    if change.letter != b'R' {
        return;
    }
    for field in header
        .fields_mut()
        .iter_mut()
        .filter(|field| matches(field, &change.name))
    {
        let length = if change.name.ends_with(b":") {
            name_length(field).unwrap_or(0)
        } else {
            change.name.len()
        };
        field.splice(..length, change.with.iter().copied());
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
            if !change.name.is_empty() && !matches(field, &change.name) {
                continue;
            }
            if change.letter == b'X' {
                out.extend_from_slice(field);
                break;
            }
            let length = name_length(field)
                .unwrap_or(0)
                .max(change.name.len().min(field.len()));
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
