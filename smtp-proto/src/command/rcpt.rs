use std::fmt;
use std::ops::{Deref, DerefMut};

use super::behind_colon;
use super::extras::{Absent, Extras};
use super::mail::is_date_time;
use crate::error::{ParseError, ParseErrorKind};
use crate::octets::{self, keyword};
use crate::parameter::{Parameter, Parameters, Raw, Xtext, decode_xtext};
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

/// ORCPT: the recipient as the sender knew it (RFC 3461 §4.2).
///
/// ```
/// use smtp_proto::Orcpt;
///
/// let orcpt = Orcpt::new("rfc822", "Bob+lists@example.org")?;
/// assert_eq!(orcpt.to_string(), "rfc822;Bob+2Blists@example.org");
/// assert_eq!(orcpt.address(), "Bob+lists@example.org");
/// # Ok::<(), smtp_proto::ParseError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Orcpt {
    /// The type, a semicolon, the address, xtext taken back: one allocation.
    text: Box<str>,
    /// Where the semicolon stands.
    semicolon: usize,
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

    /// Reads what follows the verb into a command without parameters.
    // All of it inlined and nothing handed up: a structure that is copied
    // before the processor has written it takes longer than to be read.
    #[inline(always)]
    pub(crate) fn read(
        &mut self,
        text: &[u8],
        at: usize,
        lenient: &Lenient,
    ) -> Result<(), ParseError> {
        let [b'T' | b't', b'O' | b'o', b':', path @ ..] = text else {
            return Err(ParseError::new(ParseErrorKind::Argument, at));
        };
        let (path, at) = behind_colon(path, at + 3, lenient);
        let (forward_path, end) = ForwardPath::parse_prefix(path, at, lenient)?;
        self.forward_path = forward_path;
        let rest = path.get(end..).unwrap_or_default();
        let mut parameters = Parameters::new(rest, at + end);
        while let Some(raw) = parameters.next()? {
            self.set(raw)?;
        }
        Ok(())
    }

    #[inline(always)]
    fn set(&mut self, raw: Raw<'_>) -> Result<(), ParseError> {
        const NOTIFY: u64 = keyword(b"NOTIFY\0\0");
        const ORCPT: u64 = keyword(b"ORCPT\0\0\0");
        const RRVS: u64 = keyword(b"RRVS\0\0\0\0");
        match raw.word {
            NOTIFY => raw.put(&mut self.notify, Notify::parse(raw.value()?)),
            ORCPT => raw.put(&mut self.orcpt, Orcpt::parse(raw.value()?)),
            RRVS => raw.put(&mut self.rrvs, Rrvs::parse(raw.text()?)),
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
                .is_none_or(|orcpt| orcpt.text.is_ascii())
            && self
                .others
                .iter()
                .all(|other| other.value.as_deref().is_none_or(str::is_ascii))
    }
}

impl Notify {
    /// `"NEVER" / 1#( "SUCCESS" / "FAILURE" / "DELAY" )`
    #[inline]
    fn parse(value: &[u8]) -> Option<Self> {
        const NEVER: u64 = keyword(b"NEVER\0\0\0");
        const SUCCESS: u64 = keyword(b"SUCCESS\0");
        const FAILURE: u64 = keyword(b"FAILURE\0");
        const DELAY: u64 = keyword(b"DELAY\0\0\0");
        let mut on = NotifyOn::default();
        let mut rest = value;
        loop {
            let len = rest.iter().position(|&octet| octet == b',');
            let len = len.unwrap_or(rest.len());
            match octets::word(rest, len) {
                SUCCESS if len == 7 => on.success = true,
                FAILURE if len == 7 => on.failure = true,
                DELAY if len == 5 => on.delay = true,
                NEVER if value.len() == 5 => return Some(Self::Never),
                _ => return None,
            }
            match rest.get(len..) {
                Some([b',', behind @ ..]) => rest = behind,
                _ => return Some(Self::On(on)),
            }
        }
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
    /// An address of a type: `rfc822` is an ordinary mailbox, `utf-8` one with
    /// UTF-8 in it (RFC 6533 §3).
    ///
    /// # Errors
    /// [`ParseErrorKind::ParameterValue`] when the type is anything but
    /// letters, digits and hyphens, or the address is empty, holds control
    /// characters, or is too long to be sent.
    pub fn new(address_type: &str, address: &str) -> Result<Self, ParseError> {
        let value = format!("{address_type};{}", Xtext(address));
        Self::parse(value.as_bytes()).ok_or(ParseError::new(ParseErrorKind::ParameterValue, 0))
    }

    /// What kind of address, as written: mostly `rfc822` or `utf-8`.
    #[must_use]
    pub fn address_type(&self) -> &str {
        self.text.get(..self.semicolon).unwrap_or_default()
    }

    /// The address, xtext taken back.
    #[must_use]
    pub fn address(&self) -> &str {
        self.text.get(self.semicolon + 1..).unwrap_or_default()
    }

    /// `addr-type ";" xtext`
    fn parse(value: &[u8]) -> Option<Self> {
        let (semicolon, _) = value
            .iter()
            .enumerate()
            .find(|(_, octet)| !(octet.is_ascii_alphanumeric() || **octet == b'-'))?;
        let ends_type = value.get(semicolon) == Some(&b';');
        // One octet of address at least.
        let sound = semicolon > 0 && ends_type && (semicolon + 2..=500).contains(&value.len());
        // There is nothing in a type that xtext would take for its own.
        let text = decode_xtext(value).filter(|_| sound)?;
        Some(Self { text, semicolon })
    }
}

/// As it is sent.
impl fmt::Display for Orcpt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{};{}", self.address_type(), Xtext(self.address()))
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
            write!(f, " ORCPT={orcpt}")?;
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
        let mut rcpt = Rcpt::new(ForwardPath::Postmaster);
        rcpt.read(line.as_bytes(), 0, &Lenient::default())
            .map(|()| rcpt)
            .map_err(|error| error.kind)
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
