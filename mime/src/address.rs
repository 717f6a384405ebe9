//! Address lists, RFC 5322 §3.4 with the obsolete forms of §4.4 and UTF-8 (RFC 6532).

use std::borrow::Cow;
use std::fmt;

use crate::charset;
use crate::encoded_word;
use crate::param::{comment, quoted};

/// One item of an address list. Groups come as a pair of markers around their members, as IMAP's
/// ENVELOPE shows them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address<'a> {
    /// A mailbox, alone or in a group.
    Mailbox(Mailbox<'a>),
    /// `display-name ":"`, with the display name.
    GroupStart(Cow<'a, str>),
    /// `";"`
    GroupEnd,
}

/// A mailbox: `[display-name] "<" [route] addr-spec ">"` or a bare addr-spec.
///
/// Nothing is decoded: quotes are removed, encoded words are not ([`Mailbox::display_name`] does).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mailbox<'a> {
    /// Display name as written; of a bare addr-spec the comment behind it, as old mail has it.
    pub name: Option<Cow<'a, str>>,
    /// Source route (obsolete, RFC 5322 §4.4): `@a,@b`.
    pub route: Option<Cow<'a, str>>,
    /// What stands before the `@`, without quotes. Empty for `<>`.
    pub local_part: Cow<'a, str>,
    /// What stands behind the `@`; `None` if there is none.
    pub domain: Option<Cow<'a, str>>,
}

impl Mailbox<'_> {
    /// The display name with encoded words decoded.
    pub fn display_name(&self) -> Option<Cow<'_, str>> {
        let name = self.name.as_deref()?;
        Some(encoded_word::decode(name.as_bytes()))
    }

    /// `local-part@domain` as it can stand in a command or field: the local part is quoted if it
    /// must be. Only the local part if there is no domain.
    pub fn addr_spec(&self) -> String {
        let mut out = String::new();
        if is_dot_atom(&self.local_part) || (self.local_part.is_empty() && self.domain.is_none()) {
            out.push_str(&self.local_part);
        } else {
            push_quoted(&self.local_part, &mut out);
        }
        if let Some(domain) = &self.domain {
            out.push('@');
            out.push_str(domain);
        }
        out
    }
}

impl fmt::Display for Mailbox<'_> {
    /// As in a header field, with the name decoded, if possible as plain text: quoted if needed,
    /// in encoded words if it is not ASCII.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.display_name() {
            Some(name) if !name.is_empty() => {
                write!(f, "{} <{}>", phrase(&name), self.addr_spec())
            }
            _ => f.write_str(&self.addr_spec()),
        }
    }
}

/// A display name as it can stand in a field: atoms as they are, quoted if it must be, in encoded
/// words if it is not ASCII.
pub fn phrase(name: &str) -> Cow<'_, str> {
    if encoded_word::needs_encoding(name) {
        return Cow::Owned(encoded_word::encode(name));
    }
    let is_atoms = name
        .split(' ')
        .all(|word| !word.is_empty() && word.bytes().all(is_atext));
    if is_atoms {
        return Cow::Borrowed(name);
    }
    let mut out = String::with_capacity(name.len() + 2);
    push_quoted(name, &mut out);
    Cow::Owned(out)
}

fn push_quoted(text: &str, out: &mut String) {
    out.push('"');
    for character in text.chars() {
        match character {
            // Would end the field line.
            '\r' | '\n' => continue,
            '"' | '\\' => out.push('\\'),
            _ => {}
        }
        out.push(character);
    }
    out.push('"');
}

/// `atext`, RFC 5322 §3.2.3 and RFC 6532 §3.2.
fn is_atext(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte >= 0x80 || b"!#$%&'*+-/=?^_`{|}~".contains(&byte)
}

fn is_dot_atom(text: &str) -> bool {
    text.split('.')
        .all(|atom| !atom.is_empty() && atom.bytes().all(is_atext))
}

/// Reads an address list from a field value, folds and all.
///
/// Reads what mail has beyond the grammar: missing or doubled commas, semicolons for commas, dots
/// and non-ASCII in unquoted names, a missing `>`, addresses without domain. What is no address at
/// all comes out as a [`Mailbox`] without domain.
///
/// ```
/// use mime::address::{self, Address};
///
/// let list = b"\"Joe Q. Public\" <john.q.public@example.com>, (old) mary@x.test (Mary)";
/// let mut list = address::parse(list);
/// let Some(Address::Mailbox(joe)) = list.next() else { panic!() };
/// assert_eq!(joe.name.unwrap(), "Joe Q. Public");
/// assert_eq!(joe.local_part, "john.q.public");
/// assert_eq!(joe.domain.unwrap(), "example.com");
/// let Some(Address::Mailbox(mary)) = list.next() else { panic!() };
/// assert_eq!(mary.to_string(), "Mary <mary@x.test>");
/// assert_eq!(list.next(), None);
/// ```
pub fn parse(value: &[u8]) -> Addresses<'_> {
    Addresses {
        rest: value,
        in_group: false,
        closing: false,
    }
}

/// The mailboxes of an address list, in groups or not.
pub fn mailboxes(value: &[u8]) -> impl Iterator<Item = Mailbox<'_>> {
    parse(value).filter_map(|address| match address {
        Address::Mailbox(mailbox) => Some(mailbox),
        _ => None,
    })
}

/// Iterator over an address list, see [`parse`].
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

fn to_text(text: Cow<'_, [u8]>) -> Cow<'_, str> {
    match text {
        Cow::Borrowed(text) if !text.contains(&b'\n') => charset::guess(text),
        text => {
            let text: Vec<u8> = text
                .iter()
                .copied()
                .filter(|byte| !matches!(byte, b'\r' | b'\n'))
                .collect();
            Cow::Owned(charset::guess(&text).into_owned())
        }
    }
}

impl<'a> Addresses<'a> {
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
                        Some(local) => {
                            let more = words.take().unwrap_or_default();
                            Cow::Owned(format!("{local}@{more}"))
                        }
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
                    let more = words.take().unwrap_or_default();
                    local = Some(match local.take() {
                        Some(local) => Cow::Owned(format!("{local}@{more}")),
                        None => more,
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

#[cfg(test)]
mod tests {
    use super::*;

    /// `name|route|local|domain`, with `-` for what is absent.
    fn show(value: &str) -> Vec<String> {
        let part = |part: &Option<Cow<'_, str>>| part.as_deref().unwrap_or("-").to_owned();
        parse(value.as_bytes())
            .map(|address| match address {
                Address::GroupStart(name) => format!("{name}:"),
                Address::GroupEnd => ";".into(),
                Address::Mailbox(mailbox) => format!(
                    "{}|{}|{}|{}",
                    part(&mailbox.name),
                    part(&mailbox.route),
                    mailbox.local_part,
                    part(&mailbox.domain)
                ),
            })
            .collect()
    }

    #[test]
    fn examples_of_rfc_5322_appendix_a() {
        assert_eq!(
            show("John Doe <jdoe@machine.example>"),
            ["John Doe|-|jdoe|machine.example"]
        );
        assert_eq!(
            show("Mary Smith <mary@x.test>, jdoe@example.org, Who? <one@y.test>"),
            [
                "Mary Smith|-|mary|x.test",
                "-|-|jdoe|example.org",
                "Who?|-|one|y.test"
            ]
        );
        assert_eq!(
            show("<boss@nil.test>, \"Giant; \\\"Big\\\" Box\" <sysservices@example.net>"),
            [
                "-|-|boss|nil.test",
                "Giant; \"Big\" Box|-|sysservices|example.net"
            ]
        );
        assert_eq!(
            show("A Group:Ed Jones <c@a.test>,joe@where.test,John <jdoe@one.test>;"),
            [
                "A Group:",
                "Ed Jones|-|c|a.test",
                "-|-|joe|where.test",
                "John|-|jdoe|one.test",
                ";"
            ]
        );
        assert_eq!(
            show("Undisclosed recipients:;"),
            ["Undisclosed recipients:", ";"]
        );
        assert_eq!(
            show("Pete(A nice \\) chap) <pete(his account)@silly.test(his host)>"),
            ["Pete|-|pete|silly.test"]
        );
        assert_eq!(
            show(
                "A Group(Some people)\r\n :Chris Jones <c@(Chris's host.)public.example>,\r\n joe@example.org,\r\n John <jdoe@one.test> (my dear friend); (the end of the group)"
            ),
            [
                "A Group:",
                "Chris Jones|-|c|public.example",
                "-|-|joe|example.org",
                "John|-|jdoe|one.test",
                ";"
            ]
        );
        assert_eq!(
            show("(Empty list)(start)Hidden recipients  :(nobody(that I know))  ;"),
            ["Hidden recipients:", ";"]
        );
        assert_eq!(
            show("Joe Q. Public <john.q.public@example.com>"),
            ["Joe Q. Public|-|john.q.public|example.com"]
        );
        assert_eq!(
            show("Mary Smith <@node.test:mary@example.net>, , jdoe@test  . example"),
            [
                "Mary Smith|@node.test|mary|example.net",
                "-|-|jdoe|test.example"
            ]
        );
        assert_eq!(
            show("John Doe <jdoe@machine(comment).  example>"),
            ["John Doe|-|jdoe|machine.example"]
        );
    }

    #[test]
    fn forms_of_the_wild() {
        assert_eq!(show("joe@x (Joe \\(Q\\))"), ["Joe (Q)|-|joe|x"]);
        assert_eq!(
            show("\"a b\"@x, \"c@d\"@[1.2.3.4]"),
            ["-|-|a b|x", "-|-|c@d|[1.2.3.4]"]
        );
        assert_eq!(show("a@x; b@y;"), ["-|-|a|x", "-|-|b|y"]);
        assert_eq!(show("Joe <a@x> Bob <b@y>"), ["Joe|-|a|x", "Bob|-|b|y"]);
        assert_eq!(show("Joe <a@x, b@y"), ["Joe|-|a|x", "-|-|b|y"]);
        assert_eq!(show("a@b@c"), ["-|-|a@b|c"]);
        assert_eq!(show("a@b <c@d>"), ["a@b|-|c|d"]);
        assert_eq!(show("a@b c@d"), ["-|-|a|b", "-|-|c|d"]);
        assert_eq!(show("Joe a@b"), ["Joe|-|a|b"]);
        assert_eq!(show("root"), ["-|-|root|-"]);
        assert_eq!(show("<>"), ["-|-||-"]);
        assert_eq!(show("<@b>"), ["-|-||b"]);
        assert_eq!(show("@b"), ["-|-||b"]);
        assert_eq!(show("Jürgen <jürgen@exämple>"), ["Jürgen|-|jürgen|exämple"]);
        assert_eq!(show("list: a@b"), ["list:", "-|-|a|b", ";"]);
        assert_eq!(show("<a:b@c>"), ["-|-|a:b|c"]);
        for nothing in ["", " ", ",", ", ,;", "(only a comment)"] {
            assert_eq!(show(nothing), [""; 0], "{nothing}");
        }
        for broken in [
            "\"", "(", "<", "<@", "a@", "[", ">", ":", "\\", "a:b:c;d;", "<a<b>c>",
        ] {
            let _ = show(broken);
        }
    }

    #[test]
    fn display_is_what_parse_reads() {
        for text in [
            "joe@x",
            "Joe <joe@x>",
            "\"Q. Joe\" <\"a b\"@x>",
            "=?UTF-8?Q?J=C3=BCrgen?= <j@x>",
        ] {
            for mailbox in mailboxes(text.as_bytes()) {
                assert_eq!(mailbox.to_string(), text);
            }
        }
    }
}
