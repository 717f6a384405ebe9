//! ESMTP parameters (RFC 5321 §4.1.2) and xtext (RFC 3461 §4).

use std::fmt;

use crate::error::{ParseError, ParseErrorKind};

/// A parameter that this crate does not know: `KEYWORD` or `KEYWORD=value`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Parameter {
    /// As written.
    pub keyword: Box<str>,
    /// As written, without the `=`.
    pub value: Option<Box<str>>,
}

impl fmt::Display for Parameter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.value {
            Some(value) => write!(f, "{}={value}", self.keyword),
            None => f.write_str(&self.keyword),
        }
    }
}

/// One parameter of a command line, not yet understood.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Raw<'a> {
    pub(crate) keyword: &'a str,
    pub(crate) value: Option<&'a str>,
    /// The keyword's offset in the line.
    pub(crate) at: usize,
}

impl<'a> Raw<'a> {
    pub(crate) fn fault(&self, kind: ParseErrorKind) -> ParseError {
        ParseError::new(kind, self.at)
    }

    /// The value, which must be there.
    pub(crate) fn value(&self) -> Result<&'a str, ParseError> {
        self.value
            .ok_or_else(|| self.fault(ParseErrorKind::ParameterValue))
    }

    /// Stores what a parameter says, once.
    #[inline]
    pub(crate) fn put<T>(&self, slot: &mut Option<T>, value: Option<T>) -> Result<(), ParseError> {
        let value = value.ok_or_else(|| self.fault(ParseErrorKind::ParameterValue))?;
        match slot.replace(value) {
            None => Ok(()),
            Some(_) => Err(self.fault(ParseErrorKind::DuplicateParameter)),
        }
    }

    /// Marks a parameter that has no value, once.
    #[inline]
    pub(crate) fn mark(&self, slot: &mut bool) -> Result<(), ParseError> {
        if self.value.is_some() {
            return Err(self.fault(ParseErrorKind::ParameterValue));
        }
        match std::mem::replace(slot, true) {
            false => Ok(()),
            true => Err(self.fault(ParseErrorKind::DuplicateParameter)),
        }
    }

    #[inline]
    pub(crate) fn is(&self, keyword: &str) -> bool {
        self.keyword.eq_ignore_ascii_case(keyword)
    }

    /// Keeps an unknown parameter, once.
    pub(crate) fn keep(&self, others: &mut Vec<Parameter>) -> Result<(), ParseError> {
        if others.iter().any(|other| self.is(&other.keyword)) {
            return Err(self.fault(ParseErrorKind::DuplicateParameter));
        }
        others.push(Parameter {
            keyword: self.keyword.into(),
            value: self.value.map(Into::into),
        });
        Ok(())
    }
}

/// Goes through `*(SP esmtp-param)` behind a path; the text has no control
/// octets.
#[inline]
pub(crate) fn each<'a>(
    text: &'a str,
    at: usize,
    mut take: impl FnMut(Raw<'a>) -> Result<(), ParseError>,
) -> Result<(), ParseError> {
    let mut rest = text;
    let mut at = at;
    while let Some(behind) = rest.strip_prefix(' ') {
        at += 1;
        // Several spaces are tolerated, as trailing ones are (RFC 5321 §4.1.1).
        if behind.starts_with(' ') || behind.is_empty() {
            rest = behind;
            continue;
        }
        let (raw, len) = one(behind, at)?;
        take(raw)?;
        rest = behind.get(len..).unwrap_or_default();
        at += len;
    }
    match rest {
        "" => Ok(()),
        _ => Err(ParseError::new(ParseErrorKind::Parameter, at)),
    }
}

/// `esmtp-param = esmtp-keyword ["=" esmtp-value]`; answers its length too.
#[inline]
fn one(text: &str, at: usize) -> Result<(Raw<'_>, usize), ParseError> {
    let octets = text.as_bytes();
    let split = octets
        .iter()
        .position(|octet| !(octet.is_ascii_alphanumeric() || *octet == b'-'))
        .unwrap_or(text.len());
    let keyword = text.get(..split).unwrap_or_default();
    let has_value = match octets.get(split) {
        None | Some(b' ') => false,
        Some(b'=') => true,
        Some(_) => return Err(ParseError::new(ParseErrorKind::Parameter, at + split)),
    };
    if keyword.is_empty() || keyword.starts_with('-') {
        return Err(ParseError::new(ParseErrorKind::Parameter, at));
    }
    if !has_value {
        let value = None;
        return Ok((Raw { keyword, value, at }, split));
    }
    // RFC 5321 forbids `=` in a value, but MTRK's base64 (RFC 3885) has it.
    let behind = text.get(split + 1..).unwrap_or_default();
    let len = behind
        .bytes()
        .position(|octet| octet == b' ')
        .unwrap_or(behind.len());
    let value = behind.get(..len).filter(|value| !value.is_empty());
    if value.is_none() {
        return Err(ParseError::new(
            ParseErrorKind::ParameterValue,
            at + split + 1,
        ));
    }
    Ok((Raw { keyword, value, at }, split + 1 + len))
}

/// `1*20DIGIT` and the like: a plain decimal number within `digits`.
pub(crate) fn decimal(text: &str, digits: usize) -> Option<u64> {
    if !(1..=digits).contains(&text.len()) {
        return None;
    }
    text.bytes().try_fold(0_u64, |value, octet| {
        let digit = octet.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value.checked_mul(10)?.checked_add(u64::from(digit))
    })
}

/// Takes xtext back (RFC 3461 §4): `+` and two upper-case hexadecimal digits
/// stand for an octet. UTF-8 may stand as it is (RFC 6533 §3).
pub(crate) fn decode_xtext(text: &str) -> Option<String> {
    if !text.contains(['+', '=']) {
        return Some(text.to_owned());
    }
    let mut octets = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(octet) = rest.next() {
        match octet {
            b'+' => octets.push(hex(rest.next()?)? << 4 | hex(rest.next()?)?),
            b'=' => return None,
            other => octets.push(other),
        }
    }
    String::from_utf8(octets).ok()
}

fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

/// Shows text as xtext.
pub(crate) struct Xtext<'a>(pub(crate) &'a str);

impl fmt::Display for Xtext<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write;
        for c in self.0.chars() {
            match c {
                '+' | '=' | '\0'..=' ' | '\u{7f}' => write!(f, "+{:02X}", u32::from(c))?,
                _ => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn xtext() {
        assert_eq!(decode_xtext("a+2Bb+3D").as_deref(), Some("a+b="));
        assert_eq!(decode_xtext("+2b"), None);
        assert_eq!(decode_xtext("+2"), None);
        assert_eq!(decode_xtext("a=b"), None);
        assert_eq!(decode_xtext("+FF"), None);
        assert_eq!(Xtext("a+b= \r\nü").to_string(), "a+2Bb+3D+20+0D+0Aü");
    }

    #[test]
    fn decimals() {
        assert_eq!(decimal("18446744073709551615", 20), Some(u64::MAX));
        for bad in [
            "18446744073709551616",
            "",
            "+1",
            "-1",
            "1a",
            "000000000000000000001",
        ] {
            assert_eq!(decimal(bad, 20), None, "{bad}");
        }
    }
}
