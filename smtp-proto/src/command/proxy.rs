use std::fmt;

use crate::error::{ParseError, ParseErrorKind};
use crate::parameter::{Xtext, decode_xtext};

/// What XCLIENT and XFORWARD carry: Postfix's extensions for proxies and
/// relays that stand before a server.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ProxyAttributes {
    /// In the order in which they came.
    pub attributes: Vec<Attribute>,
}

/// One `name=value`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Attribute {
    /// In upper case: NAME, ADDR, PORT, PROTO, HELO, LOGIN, DESTADDR,
    /// DESTPORT, IDENT, SOURCE.
    pub name: Box<str>,
    /// xtext taken back; nothing for `[UNAVAILABLE]` and `[TEMPUNAVAIL]`.
    pub value: Option<Box<str>>,
}

impl ProxyAttributes {
    /// The value of an attribute, by its name in upper case.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&str> {
        self.attributes
            .iter()
            .find(|attribute| &*attribute.name == name)?
            .value
            .as_deref()
    }

    /// `1*( SP attribute-name"="attribute-value )`
    pub(super) fn parse(text: &str, at: usize) -> Result<Self, ParseError> {
        let fault = |kind| ParseError::new(kind, at);
        let mut attributes = Vec::new();
        for word in text.split(' ').filter(|word| !word.is_empty()) {
            let (name, value) = word
                .split_once('=')
                .ok_or_else(|| fault(ParseErrorKind::ParameterValue))?;
            if name.is_empty() || !name.bytes().all(|octet| octet.is_ascii_alphanumeric()) {
                return Err(fault(ParseErrorKind::Parameter));
            }
            let absent = ["[UNAVAILABLE]", "[TEMPUNAVAIL]"]
                .iter()
                .any(|special| value.eq_ignore_ascii_case(special));
            let value = match absent {
                true => None,
                false => Some(
                    decode_xtext(value.as_bytes())
                        .ok_or_else(|| fault(ParseErrorKind::ParameterValue))?,
                ),
            };
            attributes.push(Attribute {
                name: name.to_ascii_uppercase().into(),
                value,
            });
        }
        if attributes.is_empty() {
            return Err(fault(ParseErrorKind::Argument));
        }
        Ok(Self { attributes })
    }
}

impl fmt::Display for ProxyAttributes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Attribute { name, value } in &self.attributes {
            match value {
                Some(value) => write!(f, " {name}={}", Xtext(value))?,
                None => write!(f, " {name}=[UNAVAILABLE]")?,
            }
        }
        Ok(())
    }
}
