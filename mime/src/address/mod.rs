//! Address lists, RFC 5322 §3.4 with the obsolete forms of §4.4 and UTF-8 (RFC 6532).

mod list;

use std::borrow::Cow;
use std::fmt;

pub use list::Addresses;

use crate::encoded_word;

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
            // Would end the field line or the command.
            '\r' | '\n' | '\0' => continue,
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
    Addresses::new(value)
}

/// The mailboxes of an address list, in groups or not.
pub fn mailboxes(value: &[u8]) -> impl Iterator<Item = Mailbox<'_>> {
    parse(value).filter_map(|address| match address {
        Address::Mailbox(mailbox) => Some(mailbox),
        _ => None,
    })
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
    fn names_are_decoded_once() {
        let mailbox = mailboxes(b"=?iso-8859-1?Q?J\xfcrgen?= =?iso-8859-1?Q?_S?= <j@x>").next();
        let name = mailbox.as_ref().and_then(Mailbox::display_name);
        assert_eq!(name.as_deref(), Some("Jürgen S"));
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
