//! ESMTP parameters (RFC 5321 §4.1.2) and xtext (RFC 3461 §4).

use std::fmt;

use memchr::memchr2;

use crate::error::{ParseError, ParseErrorKind};
use crate::octets;

/// Parameters of one command that are not known: each is compared with all
/// before it, and a line of them must not keep a processor busy.
const OTHERS_MAX: usize = 64;

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
    pub(crate) keyword: &'a [u8],
    /// The keyword's first eight octets, for [`octets::keyword`].
    pub(crate) word: u64,
    pub(crate) value: Option<&'a [u8]>,
    /// The keyword's offset in the line.
    pub(crate) at: usize,
}

impl<'a> Raw<'a> {
    #[cold]
    pub(crate) fn fault(&self, kind: ParseErrorKind) -> ParseError {
        ParseError::new(kind, self.at)
    }

    /// The value, which must be there.
    #[inline]
    pub(crate) fn value(&self) -> Result<&'a [u8], ParseError> {
        self.value
            .ok_or_else(|| self.fault(ParseErrorKind::ParameterValue))
    }

    /// The value as text, which must be there.
    pub(crate) fn text(&self) -> Result<&'a str, ParseError> {
        std::str::from_utf8(self.value()?).map_err(|_| self.fault(ParseErrorKind::ParameterValue))
    }

    /// Stores what a parameter says, once.
    #[inline(always)]
    pub(crate) fn put<T>(&self, slot: &mut Option<T>, value: Option<T>) -> Result<(), ParseError> {
        if slot.is_some() {
            // A value that is malformed besides is told first, as by itself.
            return Err(self.fault(match value {
                None => ParseErrorKind::ParameterValue,
                Some(_) => ParseErrorKind::DuplicateParameter,
            }));
        }
        match value {
            None => Err(self.fault(ParseErrorKind::ParameterValue)),
            value => {
                *slot = value;
                Ok(())
            }
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

    pub(crate) fn is(&self, keyword: &str) -> bool {
        self.keyword.eq_ignore_ascii_case(keyword.as_bytes())
    }

    /// Keeps an unknown parameter, once.
    pub(crate) fn keep(&self, others: &mut Vec<Parameter>) -> Result<(), ParseError> {
        if others.iter().any(|other| self.is(&other.keyword)) {
            return Err(self.fault(ParseErrorKind::DuplicateParameter));
        }
        if others.len() >= OTHERS_MAX {
            return Err(self.fault(ParseErrorKind::TooManyParameters));
        }
        others.push(Parameter {
            keyword: String::from_utf8_lossy(self.keyword).into(),
            value: match self.value {
                Some(_) => Some(self.text()?.into()),
                None => None,
            },
        });
        Ok(())
    }
}

/// `*(SP esmtp-param)` behind a path, one by one; the text has no control
/// octets.
#[derive(Debug)]
pub(crate) struct Parameters<'a> {
    rest: &'a [u8],
    at: usize,
}

impl<'a> Parameters<'a> {
    /// `at` is the offset of `rest` in the line.
    pub(crate) fn new(rest: &'a [u8], at: usize) -> Self {
        Self { rest, at }
    }

    // What is inlined here is copied nowhere: reading a structure back before
    // the processor has written it costs more than finding its octets.
    #[inline(always)]
    pub(crate) fn next(&mut self) -> Result<Option<Raw<'a>>, ParseError> {
        while let Some((b' ', behind)) = self.rest.split_first() {
            self.at += 1;
            self.rest = behind;
            // Several spaces are tolerated, as trailing ones are (RFC 5321
            // §4.1.1).
            if matches!(behind.first(), None | Some(b' ')) {
                continue;
            }
            let (raw, len) = one(behind, self.at)?;
            self.rest = behind.get(len..).unwrap_or_default();
            self.at += len;
            return Ok(Some(raw));
        }
        match self.rest {
            [] => Ok(None),
            _ => Err(ParseError::new(ParseErrorKind::Parameter, self.at)),
        }
    }
}

/// `esmtp-param = esmtp-keyword ["=" esmtp-value]`; answers its length too.
#[inline(always)]
fn one(text: &[u8], at: usize) -> Result<(Raw<'_>, usize), ParseError> {
    let split = octets::keyword_len(text);
    let (keyword, behind) = text.split_at_checked(split).unwrap_or_default();
    let has_value = match behind.first() {
        None | Some(b' ') => false,
        Some(b'=') => true,
        Some(_) => return Err(ParseError::new(ParseErrorKind::Parameter, at + split)),
    };
    if matches!(keyword.first(), None | Some(b'-')) {
        return Err(ParseError::new(ParseErrorKind::Parameter, at));
    }
    let word = octets::word(text, split);
    let raw = |value| Raw {
        keyword,
        word,
        value,
        at,
    };
    if !has_value {
        return Ok((raw(None), split));
    }
    // RFC 5321 forbids `=` in a value, but MTRK's base64 (RFC 3885) has it.
    let behind = behind.get(1..).unwrap_or_default();
    let len = octets::until_space(behind);
    if len == 0 {
        return Err(ParseError::new(
            ParseErrorKind::ParameterValue,
            at + split + 1,
        ));
    }
    Ok((raw(behind.get(..len)), split + 1 + len))
}

/// `1*20DIGIT` and the like: a plain decimal number within `digits`.
#[inline]
pub(crate) fn decimal(text: &[u8], digits: usize) -> Option<u64> {
    if !(1..=digits).contains(&text.len()) {
        return None;
    }
    text.iter().try_fold(0_u64, |value, octet| {
        let digit = octet.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value.checked_mul(10)?.checked_add(u64::from(digit))
    })
}

/// Takes xtext back (RFC 3461 §4): `+` and two upper-case hexadecimal digits
/// stand for an octet. UTF-8 may stand as it is (RFC 6533 §3). No control
/// octet may be hidden in it.
pub(crate) fn decode_xtext(text: &[u8]) -> Option<Box<str>> {
    if memchr2(b'+', b'=', text).is_none() {
        return std::str::from_utf8(text).ok().map(Into::into);
    }
    let mut octets = Vec::with_capacity(text.len());
    let mut rest = text.iter();
    while let Some(&octet) = rest.next() {
        match octet {
            b'+' => octets.push(hex(*rest.next()?)? << 4 | hex(*rest.next()?)?),
            b'=' => return None,
            other => octets.push(other),
        }
    }
    if octets::survey(&octets).control {
        return None;
    }
    String::from_utf8(octets).ok().map(Into::into)
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
        assert_eq!(decode_xtext(b"a+2Bb+3D").as_deref(), Some("a+b="));
        assert_eq!(decode_xtext(b"+2b"), None);
        assert_eq!(decode_xtext(b"+2"), None);
        assert_eq!(decode_xtext(b"a=b"), None);
        assert_eq!(decode_xtext(b"+FF"), None);
        assert_eq!(Xtext("a+b= \r\nü").to_string(), "a+2Bb+3D+20+0D+0Aü");
    }

    #[test]
    fn decimals() {
        assert_eq!(decimal(b"18446744073709551615", 20), Some(u64::MAX));
        for bad in [
            "18446744073709551616",
            "",
            "+1",
            "-1",
            "1a",
            "000000000000000000001",
        ] {
            assert_eq!(decimal(bad.as_bytes(), 20), None, "{bad}");
        }
    }
}
