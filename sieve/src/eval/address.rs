//! Addresses and their parts (RFC 5228 §2.7.4, RFC 5233).

use std::borrow::Cow;

use crate::program::AddressPart;

/// The text of an address part that a test looks at; `None` if the address has no such part.
pub(crate) fn part_of<'a>(
    mailbox: &'a mime::Mailbox<'_>,
    part: AddressPart,
    separator: &str,
) -> Option<Cow<'a, str>> {
    let Some(domain) = &mailbox.domain else {
        // Not valid: only the whole of it is compared.
        return (part == AddressPart::All).then(|| Cow::Borrowed(&*mailbox.local_part));
    };
    let local = &*mailbox.local_part;
    match part {
        AddressPart::All => Some(Cow::Owned(mailbox.addr_spec())),
        AddressPart::LocalPart => Some(Cow::Borrowed(local)),
        AddressPart::Domain => Some(Cow::Borrowed(domain)),
        AddressPart::User => Some(Cow::Borrowed(split(local, separator).0)),
        AddressPart::Detail => split(local, separator).1.map(Cow::Borrowed),
    }
}

/// User and detail.
fn split<'a>(local: &'a str, separator: &str) -> (&'a str, Option<&'a str>) {
    if separator.is_empty() {
        return (local, None);
    }
    match local.split_once(separator) {
        Some((user, detail)) => (user, Some(detail)),
        None => (local, None),
    }
}

/// The one address of a field in its most common form: `local@domain`, or that in brackets behind plain words.
pub(crate) struct Simple<'a> {
    local: &'a [u8],
    domain: &'a [u8],
    all: &'a [u8],
}

/// Where a [`Simple`] address begins and ends in a field, and where its `@` is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Places {
    start: usize,
    at: usize,
    end: usize,
}

impl Places {
    pub(crate) fn of<'a>(&self, raw: &'a [u8]) -> Option<Simple<'a>> {
        Some(Simple {
            local: raw.get(self.start..self.at)?,
            domain: raw.get(self.at + 1..self.end)?,
            all: raw.get(self.start..self.end)?,
        })
    }
}

/// Reads the most common form without taking memory; any other is for the parser.
pub(crate) fn simple(raw: &[u8]) -> Option<Simple<'_>> {
    places(raw)?.of(raw)
}

pub(crate) fn places(raw: &[u8]) -> Option<Places> {
    let atom = |c: &u8| c.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(c);
    let dots = |text: &[u8]| {
        text.split(|c| *c == b'.')
            .all(|part| !part.is_empty() && part.iter().all(atom))
    };
    let text = raw.trim_ascii();
    let mut start = raw.len() - raw.trim_ascii_start().len();
    let all = match text.strip_suffix(b">") {
        None => text,
        Some(text) => {
            let open = memchr::memchr(b'<', text)?;
            let (words, address) = text.split_at_checked(open)?;
            if !words.iter().all(|c| atom(c) || *c == b' ')
                || memchr::memmem::find(words, b"=?").is_some()
            {
                return None;
            }
            start += open + 1;
            address.get(1..)?
        }
    };
    let at = memchr::memchr(b'@', all)?;
    let (local, domain) = (all.get(..at)?, all.get(at + 1..)?);
    (dots(local) && dots(domain)).then_some(Places {
        start,
        at: start + at,
        end: start + all.len(),
    })
}

impl<'a> Simple<'a> {
    pub(crate) fn part(&self, part: AddressPart, separator: &str) -> Option<&'a [u8]> {
        let split = || {
            let at = match separator.as_bytes() {
                [] => None,
                [one] => memchr::memchr(*one, self.local),
                many => memchr::memmem::find(self.local, many),
            };
            at.and_then(|at| {
                Some((
                    self.local.get(..at)?,
                    self.local.get(at + separator.len()..)?,
                ))
            })
        };
        match part {
            AddressPart::All => Some(self.all),
            AddressPart::LocalPart => Some(self.local),
            AddressPart::Domain => Some(self.domain),
            AddressPart::User => Some(split().map_or(self.local, |(user, _)| user)),
            AddressPart::Detail => split().map(|(_, detail)| detail),
        }
    }
}

/// Exactly one mailbox with a domain, as `local@domain`.
pub(crate) fn parse_one(value: &[u8]) -> Option<String> {
    let mut list = mime::address::parse(value);
    let first = list.next()?;
    if list.next().is_some() {
        return None;
    }
    sound_mailbox(&first)
}

/// Whether it is a list of mailboxes without groups (RFC 5322 §3.4).
pub(crate) fn is_mailbox_list(value: &[u8]) -> bool {
    let mut list = mime::address::parse(value).peekable();
    list.peek().is_some() && list.all(|address| sound_mailbox(&address).is_some())
}

/// The address of a mailbox that could be one.
fn sound_mailbox(address: &mime::Address<'_>) -> Option<String> {
    let mime::Address::Mailbox(mailbox) = address else {
        return None;
    };
    if mailbox.local_part.is_empty() {
        return None;
    }
    let domain = mailbox.domain.as_deref()?;
    let sound = !domain.is_empty()
        && !domain
            .chars()
            .any(|c| c.is_whitespace() || c.is_control() || "<>@,;".contains(c));
    sound.then(|| mailbox.addr_spec())
}

/// A path of the envelope, whose local part may be anything: cut at its last `@`.
pub(crate) fn envelope_mailbox(path: &str) -> mime::Mailbox<'_> {
    let path = path.trim_start_matches('<').trim_end_matches('>');
    let (local, domain) = match path.rsplit_once('@') {
        Some((local, domain)) => (local, Some(domain)),
        None => (path, None),
    };
    let local = local
        .strip_prefix('"')
        .and_then(|local| local.strip_suffix('"'))
        .unwrap_or(local);
    mime::Mailbox {
        local_part: Cow::Borrowed(local),
        domain: domain.map(Cow::Borrowed),
        ..mime::Mailbox::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address() {
        assert_eq!(parse_one(b"a@b.example").as_deref(), Some("a@b.example"));
        assert_eq!(
            parse_one(b"Me <a@b.example>").as_deref(),
            Some("a@b.example")
        );
        for bad in ["", "a", "a@", "@b", "a@b, c@d", "a b@c d"] {
            assert_eq!(parse_one(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn the_simple_form_is_what_the_parser_reads() {
        for raw in [
            " ann@example.org",
            " Ann Example <ann+list.x@Example.ORG>\r\n",
            "<a@b>",
            "a.b.c@d-e.f",
            "a+b+c@d",
            "+@d",
        ] {
            let simple = simple(raw.as_bytes()).unwrap();
            let mut parsed = mime::address::mailboxes(raw.as_bytes());
            let mailbox = parsed.next().unwrap();
            assert!(parsed.next().is_none());
            for separator in ["+", "", "--", "."] {
                for part in [
                    AddressPart::All,
                    AddressPart::LocalPart,
                    AddressPart::Domain,
                    AddressPart::User,
                    AddressPart::Detail,
                ] {
                    let expected = part_of(&mailbox, part, separator);
                    let found = simple.part(part, separator);
                    assert_eq!(
                        found,
                        expected.as_deref().map(str::as_bytes),
                        "{raw} {part:?}"
                    );
                }
            }
        }
        for raw in [
            "",
            "ann",
            "a@b, c@d",
            "\"q\" <a@b>",
            "=?utf-8?q?x?= <a@b>",
            "a@[192.0.2.1]",
            "a..b@c",
            "a@b (comment)",
            "g: a@b;",
            "<@x:a@b>",
            "a <b> <c@d>",
            "\u{e4}@b",
            "a\r\n <b@c>",
        ] {
            assert!(simple(raw.as_bytes()).is_none(), "{raw}");
        }
    }

    #[test]
    fn subaddress() {
        let mailbox = envelope_mailbox("ken+sieve@example.org");
        let part = |part| part_of(&mailbox, part, "+").map(Cow::into_owned);
        assert_eq!(part(AddressPart::User).as_deref(), Some("ken"));
        assert_eq!(part(AddressPart::Detail).as_deref(), Some("sieve"));
        assert_eq!(
            part(AddressPart::All).as_deref(),
            Some("ken+sieve@example.org")
        );
        assert_eq!(
            part_of(&envelope_mailbox("ken@x"), AddressPart::Detail, "+"),
            None
        );
        assert_eq!(
            part_of(&envelope_mailbox("ken+@x"), AddressPart::Detail, "+").as_deref(),
            Some("")
        );
    }
}
