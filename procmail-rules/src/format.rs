//! The octets that deliveries write, to the byte as procmail writes them.
//!
//! Pure functions: hosts that file mail use them, and so does the evaluator.

/// The part of a message that an action is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Part {
    /// Header, empty line and body.
    Whole,
    /// The header with its empty line.
    Header,
    /// The body.
    Body,
}

/// Octets of the leading `From ` line and the lines beginning with `>` right after it: the
/// envelope that maildir files and forwarded mail do without.
#[must_use]
pub fn envelope_length(text: &[u8]) -> usize {
    if !text.starts_with(b"From ") {
        return 0;
    }
    let mut length = 0;
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        if length > 0 && !line.starts_with(b">") {
            break;
        }
        length += line.len();
    }
    length
}

/// Does the text end in an empty line?
#[must_use]
pub fn ends_empty(text: &[u8]) -> bool {
    text.ends_with(b"\n\n")
}

/// Adds one newline unless the text ends in an empty line.
pub fn terminate(text: &mut Vec<u8>) {
    if !ends_empty(text) {
        text.push(b'\n');
    }
}

/// What an mbox is given: `>` before every `From ` at the start of a line but the first, and one
/// newline if the text does not end in an empty line.
///
/// `shield` octets behind `header_length` (an honoured `Content-Length`), and the line that begins
/// right behind them, are not quoted.
#[must_use]
pub fn mbox(text: &[u8], header_length: usize, shield: Option<usize>) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() + 64);
    let shielded = |at: usize| {
        let end = shield.map(|shield| header_length.saturating_add(shield));
        at >= header_length && end.is_some_and(|end| at <= end)
    };
    let mut copied = 0;
    // A header's first line is not quoted, wherever it begins.
    let first = text.iter().take_while(|byte| **byte == b'\n').count();
    for at in memchr::memmem::find_iter(text, b"\nFrom ") {
        let at = at + 1;
        if shielded(at) || at == first && at < header_length {
            continue;
        }
        out.extend_from_slice(text.get(copied..at).unwrap_or(&[]));
        out.push(b'>');
        copied = at;
    }
    out.extend_from_slice(text.get(copied..).unwrap_or(&[]));
    terminate(&mut out);
    out
}

/// A message's own `From ` line as procmail writes it anew: sender, two blanks if `date` is in
/// ctime's layout as it should be, and a newline.
#[must_use]
pub fn from_line(sender: &[u8], date: &str) -> Vec<u8> {
    let mut line = b"From ".to_vec();
    line.extend_from_slice(sender);
    line.extend_from_slice(b"  ");
    line.extend_from_slice(date.as_bytes());
    line.push(b'\n');
    line
}

/// Finds the value of `Content-Length` in a header: its octets, without the field's line end.
#[must_use]
pub fn content_length(header: &[u8]) -> Option<std::ops::Range<usize>> {
    const NAME: &[u8] = b"Content-Length:";
    let mut at = 0;
    for line in header.split_inclusive(|byte| *byte == b'\n') {
        if line
            .get(..NAME.len())
            .is_some_and(|name| name.eq_ignore_ascii_case(NAME))
        {
            let end = line.len() - usize::from(line.ends_with(b"\n"));
            return Some(at + NAME.len()..at + end);
        }
        at += line.len();
    }
    None
}

/// Writes the real body length into a `Content-Length` value, right-aligned in the width it has;
/// nines where it is too narrow. Returns the number that now stands there.
pub fn correct_content_length(
    text: &mut [u8],
    value: &std::ops::Range<usize>,
    body_length: usize,
) -> usize {
    let Some(value) = text.get_mut(value.clone()) else {
        return 0;
    };
    let width = value.len();
    let digits = body_length.to_string();
    let digits = if digits.len() > width {
        "9".repeat(width)
    } else {
        digits
    };
    let padded = format!("{digits:>width$}");
    value
        .iter_mut()
        .zip(padded.bytes())
        .for_each(|(octet, new)| *octet = new);
    digits.parse().unwrap_or(0)
}

/// A plain directory's file name behind MSGPREFIX: the inode number in base 64, least
/// significant digit first.
#[must_use]
pub fn inode_code(mut inode: u64) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut code = String::new();
    while inode > 0 {
        let digit = usize::try_from(inode & 63)
            .ok()
            .and_then(|digit| DIGITS.get(digit));
        code.push(char::from(digit.copied().unwrap_or(b'A')));
        inode >>= 6;
    }
    code
}

/// A maildir file name: `time.pid_n.host`, with the octets a name cannot have as octal escapes.
#[must_use]
pub fn maildir_name(time: u64, pid: u32, serial: u32, host: &str) -> String {
    let mut name = format!("{time}.{pid}_{serial}.");
    for letter in host.chars() {
        match letter {
            '/' => name.push_str("\\057"),
            ':' => name.push_str("\\072"),
            '\\' => name.push_str("\\134"),
            other => name.push(other),
        }
    }
    name
}

/// The number an MH folder gives its next message: one above the highest all-digit name.
pub fn mh_next<'a>(names: impl IntoIterator<Item = &'a [u8]>) -> u64 {
    names
        .into_iter()
        .filter(|name| !name.is_empty() && name.iter().all(u8::is_ascii_digit))
        .filter_map(|name| std::str::from_utf8(name).ok()?.parse::<u64>().ok())
        .max()
        .map_or(1, |highest| highest.saturating_add(1))
}

/// The log abstract: `From ` line, subject, folder and size.
#[must_use]
pub fn abstract_lines(text: &[u8], header_length: usize, folder: &[u8], size: usize) -> Vec<u8> {
    let mut out = Vec::new();
    if text.starts_with(b"From ") {
        let line = text
            .split_inclusive(|byte| *byte == b'\n')
            .next()
            .unwrap_or(&[]);
        out.extend_from_slice(line);
        if !line.ends_with(b"\n") {
            out.push(b'\n');
        }
    }
    let header = text.get(..header_length).unwrap_or(text);
    let subject = header.split(|byte| *byte == b'\n').find(|line| {
        line.get(..8)
            .is_some_and(|name| name.eq_ignore_ascii_case(b"Subject:"))
    });
    if let Some(subject) = subject {
        out.push(b' ');
        out.extend(subject.iter().take(78).map(|byte| plain(*byte)));
        out.push(b'\n');
    }
    out.extend_from_slice(b"  Folder: ");
    let folder = folder.get(..60).unwrap_or(folder);
    out.extend(folder.iter().map(|byte| plain(*byte)));
    let mut column = 10 + folder.len();
    loop {
        out.push(b'\t');
        column = (column & !7) + 8;
        if column >= 72 {
            break;
        }
    }
    out.extend_from_slice(format!("{size:7}\n").as_bytes());
    out
}

/// Control blanks as spaces.
fn plain(byte: u8) -> u8 {
    if matches!(byte, b'\t'..=b'\r') {
        b' '
    } else {
        byte
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoting() {
        let text = b"From a\nFrom b\nX: 1\n\nFrom c\n>From d\nfromage";
        assert_eq!(
            mbox(text, 0, None),
            b"From a\n>From b\nX: 1\n\n>From c\n>From d\nfromage\n"
        );
        assert_eq!(mbox(b"x\n\n", 0, None), b"x\n\n");
        assert_eq!(
            mbox(b"\nFrom a\nFrom b\n", 1, Some(6)),
            b"\nFrom a\n>From b\n\n"
        );
    }

    #[test]
    fn lengths() {
        let mut text = b"Content-Length: 10\n\nFrom one\nFrom two\n".to_vec();
        let field = content_length(&text).unwrap();
        assert_eq!(correct_content_length(&mut text, &field, 18), 18);
        assert!(text.starts_with(b"Content-Length: 18\n"));
        assert_eq!(correct_content_length(&mut text, &field, 1800), 999);
    }

    #[test]
    fn names() {
        assert_eq!(maildir_name(1, 2, 3, "a/b"), "1.2_3.a\\057b");
        assert_eq!(mh_next([b"7".as_slice(), b"12a", b"3"]), 8);
        assert_eq!(inode_code(65), "BB");
        assert_eq!(envelope_length(b"From a\n>From b\nX"), 15);
    }
}
