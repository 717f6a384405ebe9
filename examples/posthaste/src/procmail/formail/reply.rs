//! The header of an automatic reply.

use super::Options;
use super::header::{Header, matches, name_length};

/// Where a reply goes: field, and its weight without and with `-t`.
///
/// Without `-t` the envelope is trusted more than the header, as an automatic reply should go to
/// where bounces go; with it, what the author asked for.
const SOURCES: [(&[u8], u8, u8); 11] = [
    (b"From ", 11, 7),
    (b"Return-Path:", 10, 8),
    (b"Errors-To:", 9, 6),
    (b"Return-Receipt-To:", 8, 5),
    (b"Path:", 7, 4),
    (b"Resent-Sender:", 6, 3),
    (b"Resent-From:", 5, 3),
    (b"Resent-Reply-To:", 4, 3),
    (b"Sender:", 3, 9),
    (b"From:", 2, 10),
    (b"Reply-To:", 1, 11),
];

/// What an address that looks worse loses, as many times as it does.
const PENALTY: i32 = 12;

/// The sender of what is not to be answered.
const NOBODY: &[u8] = b"<>";

/// The best sender, and the field it is from: of two that are as good, the first.
pub(super) fn sender(header: &Header, trust: bool) -> Option<(Vec<u8>, &'static [u8])> {
    let mut best: Option<(i32, Vec<u8>, &'static [u8])> = None;
    for (index, field) in header.fields().iter().enumerate() {
        let source = SOURCES.iter().find(|(name, _, _)| matches(field, name));
        let Some((name, plain, trusted)) = source else {
            continue;
        };
        if *name == b"From " && index > 0 {
            continue;
        }
        let value = name_length(field).and_then(|length| field.get(length..));
        let Some(address) = value.and_then(|value| address(value, name)) else {
            continue;
        };
        let weight = if *name == b"Return-Path:" && address == NOBODY {
            // That nobody is to be answered is believed whatever else is there.
            i32::MAX
        } else {
            i32::from(if trust { *trusted } else { *plain }) - PENALTY * worse(&address)
        };
        if best.as_ref().is_none_or(|(than, _, _)| weight > *than) {
            best = Some((weight, address, name));
        }
    }
    best.map(|(_, address, name)| (address, name))
}

/// How much worse than a full address this one is.
fn worse(address: &[u8]) -> i32 {
    let has = |byte| address.contains(&byte);
    if !(has(b'@') || has(b'!') || has(b'/')) {
        4
    } else if address.windows(5).any(|part| part == b".UUCP") {
        3
    } else if has(b'@') && !has(b'.') {
        2
    } else {
        i32::from(has(b'!'))
    }
}

/// The address of a `From ` line: that of the last `>From ` line behind it, and the hosts it came
/// by, if it has none of its own.
fn envelope(value: &[u8]) -> Option<Vec<u8>> {
    let lines = value.split(|byte| *byte == b'\n');
    let mut hosts = Vec::new();
    let mut user: &[u8] = b"";
    for line in lines.filter(|line| !line.is_empty()) {
        let line = line.strip_prefix(b">From ").unwrap_or(line);
        user = line.split(|byte| *byte == b' ').next().unwrap_or(&[]);
        for mark in [b" remote from ".as_slice(), b" forwarded by "] {
            if let Some(at) = line.windows(mark.len()).position(|part| part == mark) {
                hosts.extend_from_slice(line.get(at + mark.len()..).unwrap_or(&[]));
                hosts.push(b'!');
            }
        }
    }
    if user.contains(&b'@') {
        hosts.clear();
    }
    hosts.extend_from_slice(user);
    (!hosts.is_empty()).then_some(hosts)
}

/// The bare address of a field.
fn address(value: &[u8], name: &[u8]) -> Option<Vec<u8>> {
    if name == b"From " {
        return envelope(value);
    }
    let mut found = Found::default();
    let mut comment = 0_usize;
    let mut quoted = false;
    let mut escaped = false;
    for &byte in value {
        if escaped {
            escaped = false;
            if comment == 0 {
                found.push(byte);
            }
            continue;
        }
        match byte {
            b'\\' => {
                escaped = true;
                if comment == 0 {
                    found.push(byte);
                }
            }
            b'"' if comment == 0 => {
                quoted = !quoted;
                found.push(byte);
            }
            _ if quoted => found.push(byte),
            b'(' => {
                comment += 1;
                found.gap = true;
            }
            b')' if comment > 0 => comment -= 1,
            _ if comment > 0 => {}
            b' ' | b'\t' | b'\n' => found.gap = true,
            _ if found.ends(byte) => break,
            _ => {}
        }
    }
    let mut text = found.text;
    if text.ends_with(b"\n") {
        // The line ended in a quoted string.
        text.pop();
    }
    if found.route {
        // A route is told as it was written.
        text = [b"<".as_slice(), &text, b">"].concat();
    }
    if text.is_empty() && found.angle && name == b"Return-Path:" {
        return Some(NOBODY.to_vec());
    }
    (!text.is_empty()).then_some(text)
}

/// An address as it is read: the part in angle brackets if there is one, and else the first word.
#[derive(Debug, Default)]
struct Found {
    text: Vec<u8>,
    /// A blank or a comment came last, which ends the word unless a dot or the like is beside it.
    gap: bool,
    ended: bool,
    /// In angle brackets.
    angle: bool,
    /// A group's name was read.
    group: bool,
    /// There is a comma in the angle brackets, as there is between the hosts of a route.
    route: bool,
}

impl Found {
    fn push(&mut self, byte: u8) {
        if std::mem::take(&mut self.gap) && !self.angle {
            let joins = match self.text.last() {
                None => true,
                Some(b',') if self.group => true,
                Some(last) => b"@.:".contains(last) || b"@.:\"[".contains(&byte),
            };
            self.ended |= !joins;
        }
        if !self.ended {
            self.text.push(byte);
        }
    }

    /// Takes an octet that is neither quoted nor a blank; true if it ends the address.
    fn ends(&mut self, byte: u8) -> bool {
        match byte {
            b'<' => {
                // What stood before was a name.
                *self = Self {
                    angle: true,
                    ..Self::default()
                };
            }
            b'>' => return true,
            b',' | b';' if !self.angle => {
                if !self.group || self.ended {
                    return true;
                }
                self.gap = false;
                self.push(byte);
                return byte == b';';
            }
            _ => {
                self.push(byte);
                self.route |= byte == b',';
                self.group |= byte == b':' && !self.ended;
            }
        }
        false
    }
}

/// The reply's header; false if nobody can be replied to.
pub(super) fn make(header: &Header, options: &Options) -> (Header, bool) {
    let mut reply = Header::default();
    for field in header.fields() {
        let about = options.changes.iter().find(|change| {
            change.letter == b'i' && matches(field, super::edit::parts(&change.name).0)
        });
        let kept = match about {
            Some(change) => super::edit::parts(&change.name).1.is_empty(),
            None => matches(field, b"X-Loop:"),
        };
        if kept {
            reply.fields_mut().push(field.clone());
        }
    }
    let found = sender(header, options.trust);
    let known = found.is_some();
    let to = found.map_or_else(|| b"foo@bar".to_vec(), |found| found.0);
    reply.push(b"To:", &[b" ", to.as_slice()].concat());
    if let Some(subject) = saved(header, b"Subject:") {
        reply.push(b"Subject:", &[b" Re:", subject.as_slice()].concat());
    }
    let references = saved(header, b"References:");
    let id = saved(header, b"Message-ID:");
    if references.is_some() || id.is_some() {
        let all = [
            references.unwrap_or_default(),
            id.clone().unwrap_or_default(),
        ];
        reply.push(b"References:", &all.concat());
    }
    if let Some(id) = id {
        reply.push(b"In-Reply-To:", &id);
    }
    (reply, known)
}

/// What the last of the messages' names is: what a duplicate is known by.
pub(super) fn message_id(header: &Header) -> Option<Vec<u8>> {
    let id = saved(header, b"Message-ID:")?;
    let blanks = id.iter().take_while(|byte| **byte == b' ').count();
    id.get(blanks..).map(<[u8]>::to_vec)
}

/// What the last field called so says, if any says something, with a blank in front.
fn saved(header: &Header, name: &[u8]) -> Option<Vec<u8>> {
    let fields = header.fields().iter().rev();
    let mut values = fields
        .filter(|field| matches(field, name))
        .filter_map(|field| field.get(name_length(field)?..)?.strip_suffix(b"\n"));
    let value = values.find(|value| !value.is_empty())?;
    let blank: &[u8] = match value.first() {
        Some(b' ' | b'\t') => b"",
        _ => b" ",
    };
    Some([blank, value].concat())
}
