use std::borrow::Cow;
use std::fmt;
use std::ops::{Deref, DerefMut};

use super::after_colon;
use super::extras::{Absent, Extras};
use super::mail::is_date_time;
use crate::error::ParseError;
use crate::parameter::{self, Parameter, Raw, Xtext, decode_xtext};
use crate::path::{ForwardPath, Lenient};

/// RCPT: one recipient more (RFC 5321 §4.1.1.3).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rcpt {
    /// Who gets the message.
    pub forward_path: ForwardPath,
    /// When the sender wants a notification (RFC 3461 §4.1).
    pub notify: Option<Notify>,
    /// The recipient as the sender knew it (RFC 3461 §4.2).
    pub orcpt: Option<Orcpt>,
    extras: Extras<RcptExtras>,
}

/// Parameters of RCPT that few recipients have: read and written as if they
/// were fields of [`Rcpt`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct RcptExtras {
    /// Since when the mailbox must have had its owner (RFC 7293).
    pub rrvs: Option<Rrvs>,
    /// Parameters that this crate does not know. A server refuses them with
    /// 555 unless its configuration says otherwise.
    pub others: Vec<Parameter>,
}

impl Absent for RcptExtras {
    const ABSENT: &'static Self = &Self {
        rrvs: None,
        others: Vec::new(),
    };
}

impl Deref for Rcpt {
    type Target = RcptExtras;

    fn deref(&self) -> &RcptExtras {
        &self.extras
    }
}

impl DerefMut for Rcpt {
    fn deref_mut(&mut self) -> &mut RcptExtras {
        &mut self.extras
    }
}

/// NOTIFY
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Notify {
    /// `NEVER`
    Never,
    /// At least one of the three.
    On(NotifyOn),
}

/// The events of NOTIFY.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct NotifyOn {
    /// `SUCCESS`
    pub success: bool,
    /// `FAILURE`
    pub failure: bool,
    /// `DELAY`
    pub delay: bool,
}

/// ORCPT
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Orcpt {
    /// Mostly `rfc822` or `utf-8`.
    pub address_type: Cow<'static, str>,
    /// xtext taken back.
    pub address: Box<str>,
}

/// RRVS (RFC 7293 §3.2): reject or continue when the mailbox is newer.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Rrvs {
    /// A date and time of RFC 3339, as written.
    pub since: Box<str>,
    /// `;C`: relay on even where the next hop does not know RRVS.
    pub continue_unsupported: bool,
}

impl Rcpt {
    /// RCPT without parameters.
    #[must_use]
    pub fn new(forward_path: impl Into<ForwardPath>) -> Self {
        Self {
            forward_path: forward_path.into(),
            notify: None,
            orcpt: None,
            extras: Extras::default(),
        }
    }

    #[inline]
    pub(super) fn parse(text: &str, at: usize, lenient: &Lenient) -> Result<Self, ParseError> {
        let (path, at) = after_colon(text, at, "TO:", lenient)?;
        let (forward_path, end) = ForwardPath::parse_prefix(path, at, lenient)?;
        let mut rcpt = Self::new(forward_path);
        let rest = path.get(end..).unwrap_or_default();
        parameter::each(rest, at + end, |raw| rcpt.set(raw))?;
        Ok(rcpt)
    }

    #[inline]
    fn set(&mut self, raw: Raw<'_>) -> Result<(), ParseError> {
        match raw.keyword.len() {
            4 if raw.is("RRVS") => raw.put(&mut self.rrvs, Rrvs::parse(raw.value()?)),
            5 if raw.is("ORCPT") => raw.put(&mut self.orcpt, Orcpt::parse(raw.value()?)),
            6 if raw.is("NOTIFY") => raw.put(&mut self.notify, Notify::parse(raw.value()?)),
            _ => raw.keep(&mut self.others),
        }
    }

    /// Whether every octet of the command is ASCII: no SMTPUTF8 needed.
    #[must_use]
    pub fn is_ascii(&self) -> bool {
        self.forward_path.is_ascii()
            && self
                .orcpt
                .as_ref()
                .is_none_or(|orcpt| orcpt.address.is_ascii())
            && self
                .others
                .iter()
                .all(|other| other.value.as_deref().is_none_or(str::is_ascii))
    }
}

impl Notify {
    /// `"NEVER" / 1#( "SUCCESS" / "FAILURE" / "DELAY" )`
    fn parse(value: &str) -> Option<Self> {
        if value.eq_ignore_ascii_case("NEVER") {
            return Some(Self::Never);
        }
        let mut on = NotifyOn::default();
        for word in value.split(',') {
            let flag = if word.eq_ignore_ascii_case("SUCCESS") {
                &mut on.success
            } else if word.eq_ignore_ascii_case("FAILURE") {
                &mut on.failure
            } else if word.eq_ignore_ascii_case("DELAY") {
                &mut on.delay
            } else {
                return None;
            };
            *flag = true;
        }
        Some(Self::On(on))
    }
}

impl fmt::Display for Notify {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let on = match self {
            Self::Never => return f.write_str("NEVER"),
            Self::On(on) => on,
        };
        let words = [
            (on.success, "SUCCESS"),
            (on.failure, "FAILURE"),
            (on.delay, "DELAY"),
        ];
        let mut comma = "";
        for (_, word) in words.iter().filter(|(set, _)| *set) {
            write!(f, "{comma}{word}")?;
            comma = ",";
        }
        Ok(())
    }
}

impl Orcpt {
    /// `addr-type ";" xtext`
    fn parse(value: &str) -> Option<Self> {
        let (address_type, address) = value.split_once(';')?;
        let type_ok = !address_type.is_empty()
            && address_type
                .bytes()
                .all(|octet| octet.is_ascii_alphanumeric() || octet == b'-');
        let address = decode_xtext(address)?;
        let address_ok =
            !address.is_empty() && !address.bytes().any(|octet| octet < b' ' || octet == 127);
        (type_ok && address_ok && value.len() <= 500).then(|| Self {
            address_type: match address_type {
                "rfc822" => Cow::Borrowed("rfc822"),
                "utf-8" => Cow::Borrowed("utf-8"),
                other => Cow::Owned(other.to_owned()),
            },
            address: address.into(),
        })
    }
}

impl Rrvs {
    /// `date-time [ ";" ( "C" / "R" ) ]`
    fn parse(value: &str) -> Option<Self> {
        let (since, mode) = value.split_once(';').unwrap_or((value, "R"));
        let continue_unsupported = match mode {
            "C" | "c" => true,
            "R" | "r" => false,
            _ => return None,
        };
        is_date_time(since).then(|| Self {
            since: since.into(),
            continue_unsupported,
        })
    }
}

impl fmt::Display for Rcpt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RCPT TO:{}", self.forward_path)?;
        if let Some(notify) = self.notify {
            write!(f, " NOTIFY={notify}")?;
        }
        if let Some(orcpt) = &self.orcpt {
            write!(f, " ORCPT={};{}", orcpt.address_type, Xtext(&orcpt.address))?;
        }
        if let Some(rrvs) = &self.rrvs {
            let mode = if rrvs.continue_unsupported { ";C" } else { "" };
            write!(f, " RRVS={}{mode}", rrvs.since)?;
        }
        for other in &self.others {
            write!(f, " {other}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ParseErrorKind as K;

    fn parse(line: &str) -> Result<Rcpt, K> {
        Rcpt::parse(line, 0, &Lenient::default()).map_err(|error| error.kind)
    }

    #[test]
    fn shown_as_written() {
        for text in [
            "TO:<Postmaster>",
            "TO:<a@b> NOTIFY=NEVER",
            "TO:<a@b> NOTIFY=SUCCESS,FAILURE,DELAY ORCPT=rfc822;Bob+2Bx@example.com",
            "TO:<a@b> RRVS=2014-04-03T23:01:00Z;C",
            "TO:<a@b> X=1",
        ] {
            assert_eq!(
                parse(text).map(|rcpt| rcpt.to_string()),
                Ok(format!("RCPT {text}"))
            );
        }
    }

    #[test]
    fn refused() {
        for (text, kind) in [
            ("TO:<>", K::LocalPart),
            ("FROM:<a@b>", K::Argument),
            ("TO:<a@b> NOTIFY=NEVER,DELAY", K::ParameterValue),
            ("TO:<a@b> NOTIFY=", K::ParameterValue),
            ("TO:<a@b> NOTIFY", K::ParameterValue),
            ("TO:<a@b> NOTIFY=DELAY NOTIFY=DELAY", K::DuplicateParameter),
            ("TO:<a@b> ORCPT=rfc822", K::ParameterValue),
            ("TO:<a@b> ORCPT=rfc822;a+0D+0Ab", K::ParameterValue),
        ] {
            assert_eq!(parse(text), Err(kind), "{text}");
        }
    }
}
