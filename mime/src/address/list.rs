use std::borrow::Cow;

use super::{Address, Mailbox};
use crate::charset;
use crate::param::{comment, quoted};

/// Iterator over an address list, see [`parse`](super::parse).
#[derive(Clone, Debug)]
pub struct Addresses<'a> {
    rest: &'a [u8],
    in_group: bool,
    /// The group's `;` was met behind a mailbox.
    closing: bool,
}

/// Words gathered for a name, local part or domain.
#[derive(Default)]
struct Words<'a> {
    text: Option<Cow<'a, [u8]>>,
    /// Where the last word begins that white space stands before.
    last: usize,
}

impl<'a> Words<'a> {
    /// Appends a word, `spaced` from the one before or not.
    fn push(&mut self, word: Cow<'a, [u8]>, spaced: bool) {
        match &mut self.text {
            None => self.text = Some(word),
            Some(text) => {
                let text = text.to_mut();
                if spaced {
                    text.push(b' ');
                    self.last = text.len();
                }
                text.extend_from_slice(&word);
            }
        }
    }

    fn ends_in_dot(&self) -> bool {
        self.text.as_ref().is_some_and(|text| text.ends_with(b"."))
    }

    fn take(&mut self) -> Option<Cow<'a, str>> {
        self.last = 0;
        Some(to_text(self.text.take()?))
    }
}

/// Octets that no part of an address may carry into a command or another field.
fn ends_lines(byte: &u8) -> bool {
    matches!(byte, b'\r' | b'\n' | b'\0')
}

fn to_text(text: Cow<'_, [u8]>) -> Cow<'_, str> {
    match text {
        Cow::Borrowed(text) if !text.iter().any(ends_lines) => charset::guess(text),
        text => {
            let text: Vec<u8> = text
                .iter()
                .copied()
                .filter(|byte| !ends_lines(byte))
                .collect();
            Cow::Owned(charset::guess(&text).into_owned())
        }
    }
}

impl<'a> Addresses<'a> {
    pub(super) fn new(value: &'a [u8]) -> Self {
        Self {
            rest: value,
            in_group: false,
            closing: false,
        }
    }

    /// Reads one address up to its separator.
    fn address(&mut self) -> Option<Address<'a>> {
        let mut words = Words::default();
        let mut local: Option<Cow<'a, str>> = None;
        let mut name: Option<Cow<'a, str>> = None;
        let mut note: Option<&'a [u8]> = None;
        let mut spaced = false;
        let mut angle: Option<Mailbox<'a>> = None;
        while let [byte, rest @ ..] = self.rest {
            match byte {
                b' ' | b'\t' | b'\r' | b'\n' => {
                    self.rest = rest;
                    spaced = true;
                    continue;
                }
                b'(' => {
                    let (inside, rest) = comment(rest);
                    note = Some(inside);
                    self.rest = rest;
                    spaced = true;
                    continue;
                }
                b',' => {
                    self.rest = rest;
                    break;
                }
                b';' => {
                    self.rest = rest;
                    self.closing = self.in_group;
                    break;
                }
                _ if angle.is_some() => {
                    // Nothing belongs here: perhaps the comma is missing.
                    break;
                }
                b':' if !self.in_group && local.is_none() && words.text.is_some() => {
                    self.rest = rest;
                    self.in_group = true;
                    return Some(Address::GroupStart(words.take().unwrap_or_default()));
                }
                b'<' => {
                    self.rest = rest;
                    let mut mailbox = self.angle();
                    if let Some(local) = local.take() {
                        // An address as the display name, unquoted.
                        let domain = words.take().unwrap_or_default();
                        mailbox.name = Some(Cow::Owned(format!("{local}@{domain}")));
                    } else {
                        mailbox.name = words.take();
                    }
                    angle = Some(mailbox);
                }
                b'@' => {
                    self.rest = rest;
                    let before = match local.take() {
                        // Only the last @ separates.
                        Some(local) => append(local, words.take()),
                        None => {
                            let last = words.last;
                            let all = words.take().unwrap_or_default();
                            match all.split_at_checked(last) {
                                // A name in front without angle brackets.
                                Some((front, spec)) if last > 0 => {
                                    name = Some(Cow::Owned(front.trim_end().to_owned()));
                                    Cow::Owned(spec.to_owned())
                                }
                                _ => all,
                            }
                        }
                    };
                    local = Some(before);
                }
                _ => {
                    let glued = words.ends_in_dot() || *byte == b'.';
                    if local.is_some() && words.text.is_some() && spaced && !glued {
                        // The address is complete: perhaps the comma is missing.
                        break;
                    }
                    let word = self.word();
                    // "a . b" is an obsolete local part; a name keeps its space: "J. Doe".
                    let in_name = local.is_none() && words.ends_in_dot() && *byte != b'.';
                    words.push(word, spaced && (!glued || in_name));
                }
            }
            spaced = false;
        }
        if let Some(mut mailbox) = angle {
            mailbox.name = mailbox.name.or_else(|| note.map(comment_text));
            return Some(Address::Mailbox(mailbox));
        }
        let name = name.or_else(|| note.map(comment_text));
        let mailbox = match local {
            Some(local_part) => Mailbox {
                name,
                route: None,
                local_part,
                domain: words.take().filter(|domain| !domain.is_empty()),
            },
            None => Mailbox {
                name,
                route: None,
                local_part: words.take()?,
                domain: None,
            },
        };
        Some(Address::Mailbox(mailbox))
    }

    /// The inside of angle brackets, through the closing one.
    fn angle(&mut self) -> Mailbox<'a> {
        let mut mailbox = Mailbox::default();
        let mut words = Words::default();
        let mut local: Option<Cow<'a, str>> = None;
        let mut spaced = false;
        while let [byte, rest @ ..] = self.rest {
            match byte {
                b' ' | b'\t' | b'\r' | b'\n' => {
                    self.rest = rest;
                    spaced = true;
                    continue;
                }
                b'(' => {
                    self.rest = comment(rest).1;
                    spaced = true;
                    continue;
                }
                b'>' => {
                    self.rest = rest;
                    break;
                }
                // The closing bracket is missing.
                b',' | b';' => break,
                b'@' if local.is_none() && words.text.is_none() && mailbox.route.is_none() => {
                    mailbox.route = self.route();
                    if mailbox.route.is_none() {
                        self.rest = rest;
                        local = Some(Cow::Borrowed(""));
                    }
                }
                b'@' => {
                    self.rest = rest;
                    let more = words.take();
                    local = Some(match local.take() {
                        Some(local) => append(local, more),
                        None => more.unwrap_or_default(),
                    });
                }
                _ => {
                    let glued = words.ends_in_dot() || *byte == b'.';
                    let word = self.word();
                    words.push(word, spaced && !glued);
                }
            }
            spaced = false;
        }
        match local {
            Some(local) => {
                mailbox.local_part = local;
                mailbox.domain = words.take().filter(|domain| !domain.is_empty());
            }
            None => mailbox.local_part = words.take().unwrap_or_default(),
        }
        mailbox
    }

    /// `obs-route`: `"@" domain *("," "@" domain) ":"`; leaves everything if there is no colon
    /// before the bracket closes.
    fn route(&mut self) -> Option<Cow<'a, str>> {
        let end = self
            .rest
            .iter()
            .position(|byte| matches!(byte, b':' | b'>' | b'"' | b';' | b'<'))?;
        let (route, rest) = self.rest.split_at(end);
        let [b':', rest @ ..] = rest else {
            return None;
        };
        self.rest = rest;
        Some(to_text(Cow::Borrowed(route.trim_ascii())))
    }

    /// A quoted string, domain literal or run of other characters. Always takes something.
    fn word(&mut self) -> Cow<'a, [u8]> {
        match self.rest {
            [b'"', rest @ ..] => {
                let (word, rest) = quoted(rest);
                self.rest = rest;
                word
            }
            [b'[', ..] => {
                let end = memchr::memchr(b']', self.rest).map(|at| at + 1);
                let (word, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
                self.rest = rest;
                Cow::Borrowed(word)
            }
            text => {
                let mut octets = text.iter();
                octets.next();
                let end = octets.position(|byte| {
                    matches!(
                        byte,
                        b' ' | b'\t'
                            | b'\r'
                            | b'\n'
                            | b'('
                            | b','
                            | b';'
                            | b':'
                            | b'<'
                            | b'>'
                            | b'@'
                            | b'"'
                            | b'['
                    )
                });
                let (word, rest) = text.split_at(end.map_or(text.len(), |end| end + 1));
                self.rest = rest;
                Cow::Borrowed(word)
            }
        }
    }
}

/// `local@more`, in place: there may be as many `@` as octets.
fn append<'a>(local: Cow<'a, str>, more: Option<Cow<'a, str>>) -> Cow<'a, str> {
    let mut local = local.into_owned();
    local.push('@');
    local.push_str(&more.unwrap_or_default());
    Cow::Owned(local)
}

/// The text of a comment, quoted pairs undone.
fn comment_text(inside: &[u8]) -> Cow<'_, str> {
    let inside = inside.trim_ascii();
    if !inside.contains(&b'\\') {
        return to_text(Cow::Borrowed(inside));
    }
    let mut out = Vec::with_capacity(inside.len());
    let mut octets = inside.iter();
    while let Some(&byte) = octets.next() {
        if byte == b'\\' {
            out.extend(octets.next());
        } else {
            out.push(byte);
        }
    }
    to_text(Cow::Owned(out))
}

impl<'a> Iterator for Addresses<'a> {
    type Item = Address<'a>;

    fn next(&mut self) -> Option<Address<'a>> {
        loop {
            if self.closing {
                self.closing = false;
                self.in_group = false;
                return Some(Address::GroupEnd);
            }
            if self.rest.is_empty() {
                // A group that was never closed ends with the list.
                return std::mem::take(&mut self.in_group).then_some(Address::GroupEnd);
            }
            if let Some(address) = self.address() {
                return Some(address);
            }
        }
    }
}
