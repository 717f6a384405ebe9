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

/// Exactly one mailbox with a domain, as `local@domain`.
pub(crate) fn parse_one(value: &[u8]) -> Option<String> {
    let mut list = mime::address::parse(value);
    let Some(mime::Address::Mailbox(mailbox)) = list.next() else {
        return None;
    };
    if list.next().is_some() || mailbox.local_part.is_empty() {
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
