//! Domains and address literals (RFC 5321 §4.1.2, §4.1.3; RFC 6531 §3.3).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use idna::uts46::{AsciiDenyList, DnsLength, Hyphens, Uts46};

use crate::error::{ParseError, ParseErrorKind};
use crate::octets::{self, DOMAIN};

/// Octets of a domain, and of a label in it (RFC 1035 §2.3.4).
const DOMAIN_MAX: usize = 253;
const LABEL_MAX: usize = 63;

/// An address literal without its brackets (RFC 5321 §4.1.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AddressLiteral<'a> {
    /// `[192.0.2.1]` or `[IPv6:2001:db8::1]`.
    Ip(IpAddr),
    /// `[tag:content]` of a standardized tag that this crate does not know.
    General {
        /// The tag, as written.
        tag: &'a str,
        /// What follows the colon.
        content: &'a str,
    },
}

/// Checks a domain by the rules of host names: labels of letters, digits and
/// hyphens, A-labels and U-labels by IDNA.
pub(crate) fn check_domain(domain: &[u8], at: usize, underscores: bool) -> Result<(), ParseError> {
    let end = domain_prefix(domain, at, underscores)?;
    if end == domain.len() {
        Ok(())
    } else {
        Err(ParseError::new(ParseErrorKind::Domain, at + end))
    }
}

/// Checks the domain at the front of `text`, up to `>` or a space; answers its
/// length.
#[inline]
pub(crate) fn domain_prefix(
    text: &[u8],
    at: usize,
    underscores: bool,
) -> Result<usize, ParseError> {
    match plain_domain_prefix(text) {
        Some(len) if matches!(text.get(len), None | Some(b'>' | b' ')) => Ok(len),
        _ => unusual_domain_prefix(text, at, underscores),
    }
}

/// The length of what is at the front of `text`, if it is surely a domain:
/// letters, digits, and single hyphens and dots, so few that no label can be
/// too long.
#[inline]
fn plain_domain_prefix(text: &[u8]) -> Option<usize> {
    let (len, sound) = octets::run(DOMAIN, text);
    (sound && len <= LABEL_MAX).then_some(len)
}

/// Whether all of `text` is such a domain.
#[inline]
pub(crate) fn is_plain_domain(text: &[u8]) -> bool {
    text.len() <= LABEL_MAX && octets::is_plain_domain(text)
}

/// As `domain_prefix`, of any domain.
fn unusual_domain_prefix(text: &[u8], at: usize, underscores: bool) -> Result<usize, ParseError> {
    let fault = |offset: usize| ParseError::new(ParseErrorKind::Domain, at + offset);
    let mut end = text.len();
    let mut label = 0;
    let mut before = b'.';
    let mut needs_idna = false;
    for (offset, &octet) in text.iter().enumerate() {
        match octet {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => label += 1,
            b'.' if label > 0 && before != b'-' => {
                if label > LABEL_MAX && !needs_idna {
                    return Err(fault(offset));
                }
                label = 0;
            }
            b'-' if label > 0 => {
                label += 1;
                // Only an A-label has a hyphen as its third and fourth octet
                // behind `xn`; other labels of that shape pass the IDNA check.
                needs_idna |= label == 4 && before == b'-';
            }
            b'>' | b' ' => {
                end = offset;
                break;
            }
            0x80.. => {
                needs_idna = true;
                label += 1;
            }
            b'_' if underscores => label += 1,
            _ => return Err(fault(offset)),
        }
        before = octet;
    }
    // A U-label's own limit is that of its A-label: IDNA checks it.
    let too_long = label > LABEL_MAX && !needs_idna;
    if label == 0 || before == b'-' || too_long || end > DOMAIN_MAX {
        return Err(fault(end.saturating_sub(1)));
    }
    if needs_idna {
        let domain = text.get(..end).unwrap_or_default();
        to_ascii(domain).map(drop).ok_or_else(|| fault(0))?;
    }
    Ok(end)
}

/// The A-label form in lower case.
pub(crate) fn to_ascii(domain: &[u8]) -> Option<std::borrow::Cow<'_, str>> {
    Uts46::new()
        .to_ascii(
            domain,
            AsciiDenyList::STD3,
            Hyphens::CheckFirstLast,
            DnsLength::Verify,
        )
        .ok()
}

/// A host's own name with A-labels in the place of U-labels; whatever is no
/// such domain stays as it is.
pub(crate) fn in_ascii(name: String) -> String {
    if name.is_ascii() {
        return name;
    }
    match to_ascii(name.as_bytes()) {
        Some(ascii) => ascii.into_owned(),
        None => name,
    }
}

/// Reads what stands between the brackets of an address literal.
pub(crate) fn parse_literal(text: &str, at: usize) -> Result<AddressLiteral<'_>, ParseError> {
    let fault = || ParseError::new(ParseErrorKind::AddressLiteral, at);
    if let Ok(v4) = text.parse::<Ipv4Addr>() {
        return Ok(AddressLiteral::Ip(v4.into()));
    }
    let (tag, content) = text.split_once(':').ok_or_else(fault)?;
    if tag.eq_ignore_ascii_case("IPv6") {
        let v6 = content.parse::<Ipv6Addr>().map_err(|_| fault())?;
        return Ok(AddressLiteral::Ip(v6.into()));
    }
    let tag_ok = tag
        .bytes()
        .all(|octet| octet.is_ascii_alphanumeric() || octet == b'-')
        && tag
            .bytes()
            .next_back()
            .is_some_and(|last| last.is_ascii_alphanumeric());
    // dcontent: %d33-90 / %d94-126
    let content_ok = !content.is_empty()
        && content
            .bytes()
            .all(|octet| matches!(octet, 33..=90 | 94..=126));
    if tag_ok && content_ok {
        Ok(AddressLiteral::General { tag, content })
    } else {
        Err(fault())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn domains() {
        for good in [
            "example.org",
            "localhost",
            "a",
            "3com.com",
            "xn--bcher-kva.example",
            "bücher.example",
            "r3---sn-4g5e.example",
            "1.2.3.4x",
        ] {
            assert!(check_domain(good.as_bytes(), 0, false).is_ok(), "{good}");
        }
        for bad in [
            "",
            ".",
            "a..b",
            ".a",
            "a.",
            "-a.b",
            "a-.b",
            "a.b-",
            "a_b",
            "a b",
            "xn--\u{fc}",
            "xn--a",
            "a\u{200b}\u{202e}.example",
        ] {
            assert!(check_domain(bad.as_bytes(), 0, false).is_err(), "{bad}");
        }
        assert!(check_domain(b"a_b.c", 0, true).is_ok());
        assert!(check_domain("a".repeat(64).as_bytes(), 0, false).is_err());
        assert!(check_domain("a".repeat(63).as_bytes(), 0, false).is_ok());
        assert!(check_domain(format!("{}a", "a.".repeat(127)).as_bytes(), 0, false).is_err());
    }

    #[test]
    fn literals() {
        assert_eq!(
            parse_literal("192.0.2.1", 0),
            Ok(AddressLiteral::Ip(IpAddr::from([192, 0, 2, 1])))
        );
        assert!(matches!(
            parse_literal("IPv6:2001:db8::1", 0),
            Ok(AddressLiteral::Ip(IpAddr::V6(_)))
        ));
        assert!(parse_literal("x-new:abc", 0).is_ok());
        for bad in [
            "",
            "300.1.1.1",
            "IPv6:zz",
            "2001:db8::1 ",
            "1.2.3",
            "a:",
            ":a",
            "a-:b",
        ] {
            assert!(parse_literal(bad, 0).is_err(), "{bad}");
        }
    }
}
