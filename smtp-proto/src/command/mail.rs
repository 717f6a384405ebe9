use std::fmt;
use std::ops::{Deref, DerefMut};

use super::behind_colon;
use super::extras::{Absent, Extras};
use crate::address::Address;
use crate::error::{ParseError, ParseErrorKind};
use crate::octets::{self, keyword};
use crate::parameter::{Parameter, Parameters, Raw, Xtext, decimal, decode_xtext};
use crate::path::{Lenient, ReversePath};

/// MAIL: a transaction begins (RFC 5321 §4.1.1.2), with the parameters of
/// every extension; the rarer ones are those of [`MailExtras`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Mail {
    /// Who gets the bounces.
    pub reverse_path: ReversePath,
    /// The message's octets, as the client counts or guesses (RFC 1870).
    pub size: Option<u64>,
    /// What octets the message holds (RFC 6152, RFC 3030).
    pub body: Option<Body>,
    /// Addresses and header may hold UTF-8 (RFC 6531).
    pub smtputf8: bool,
    /// What of the message goes into a failure notification (RFC 3461 §4.3).
    pub ret: Option<Ret>,
    /// Only over TLS, all the way (RFC 8689).
    pub requiretls: bool,
    extras: Extras<MailExtras>,
}

/// Parameters of MAIL that few messages have: read and written as if they
/// were fields of [`Mail`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct MailExtras {
    /// The sender's own name for this sending, xtext taken back (RFC 3461 §4.4).
    pub envid: Option<Box<str>>,
    /// Who submitted it, says a trusted client (RFC 4954 §5).
    pub auth: Option<MailAuth>,
    /// Not to be sent on before (RFC 4865).
    pub hold: Option<Hold>,
    /// To be delivered by (RFC 2852).
    pub by: Option<DeliverBy>,
    /// From −9 to 9, 0 being what mail has without it (RFC 6710).
    pub mt_priority: Option<i8>,
    /// The sender wants to track it (RFC 3885).
    pub mtrk: Option<Mtrk>,
    /// The labels of solicited mail, comma-separated (RFC 3865).
    pub solicit: Option<Box<str>>,
    /// Parameters that this crate does not know. A server refuses them with
    /// 555 unless its configuration says otherwise.
    pub others: Vec<Parameter>,
}

impl Absent for MailExtras {
    const ABSENT: &'static Self = &Self {
        envid: None,
        auth: None,
        hold: None,
        by: None,
        mt_priority: None,
        mtrk: None,
        solicit: None,
        others: Vec::new(),
    };
}

impl Deref for Mail {
    type Target = MailExtras;

    fn deref(&self) -> &MailExtras {
        &self.extras
    }
}

impl DerefMut for Mail {
    fn deref_mut(&mut self) -> &mut MailExtras {
        &mut self.extras
    }
}

/// BODY: what octets a message holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Body {
    /// `7BIT`: octets up to 127, lines up to 998.
    SevenBit,
    /// `8BITMIME`: any octets in lines up to 998 (RFC 6152).
    EightBitMime,
    /// `BINARYMIME`: any octets at all, sent with BDAT (RFC 3030).
    BinaryMime,
}

/// RET: what a failure notification returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Ret {
    /// `FULL`: the whole message.
    Full,
    /// `HDRS`: its header.
    Hdrs,
}

/// AUTH on MAIL: who submitted the message.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum MailAuth {
    /// `<>`: not known, or not trusted.
    Unknown,
    /// A mailbox.
    Mailbox(Address),
}

/// HOLDFOR or HOLDUNTIL (RFC 4865 §5).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Hold {
    /// Seconds from now.
    For(u32),
    /// A date and time of RFC 3339, as written.
    Until(Box<str>),
}

/// BY (RFC 2852 §4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DeliverBy {
    /// Seconds left; negative when the time is over.
    pub seconds: i32,
    /// What happens then.
    pub mode: ByMode,
    /// Whether each hop is to send a notification.
    pub trace: bool,
}

/// What happens to a message that is late.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ByMode {
    /// `N`: the sender is told, delivery goes on.
    Notify,
    /// `R`: the message is returned.
    Return,
}

/// MTRK (RFC 3885 §3).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Mtrk {
    /// base64 of the hash that proves who may ask.
    pub certifier: Box<str>,
    /// Seconds for which the tracking data are to be kept.
    pub timeout: Option<u32>,
}

impl Mail {
    /// MAIL without parameters.
    #[must_use]
    pub fn new(reverse_path: impl Into<ReversePath>) -> Self {
        Self {
            reverse_path: reverse_path.into(),
            ..Self::default()
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
        let [
            b'F' | b'f',
            b'R' | b'r',
            b'O' | b'o',
            b'M' | b'm',
            b':',
            path @ ..,
        ] = text
        else {
            return Err(ParseError::new(ParseErrorKind::Argument, at));
        };
        let (path, at) = behind_colon(path, at + 5, lenient);
        let (reverse_path, end) = ReversePath::parse_prefix(path, at, lenient)?;
        self.reverse_path = reverse_path;
        let rest = path.get(end..).unwrap_or_default();
        let mut parameters = Parameters::new(rest, at + end);
        while let Some(raw) = parameters.next()? {
            self.set(raw)?;
        }
        Ok(())
    }

    #[inline(always)]
    fn set(&mut self, raw: Raw<'_>) -> Result<(), ParseError> {
        const SIZE: u64 = keyword(b"SIZE\0\0\0\0");
        const BODY: u64 = keyword(b"BODY\0\0\0\0");
        match raw.word {
            SIZE => raw.put(&mut self.size, decimal(raw.value()?, 20)),
            BODY => raw.put(&mut self.body, Body::parse(raw.value()?)),
            _ => self.set_other(raw),
        }
    }

    fn set_other(&mut self, raw: Raw<'_>) -> Result<(), ParseError> {
        match raw.keyword.len() {
            2 if raw.is("BY") => raw.put(&mut self.by, DeliverBy::parse(raw.text()?)),
            3 if raw.is("RET") => raw.put(&mut self.ret, Ret::parse(raw.text()?)),
            4 if raw.is("AUTH") => raw.put(&mut self.auth, MailAuth::parse(raw.value()?)),
            4 if raw.is("MTRK") => raw.put(&mut self.mtrk, Mtrk::parse(raw.text()?)),
            5 if raw.is("ENVID") => raw.put(&mut self.envid, envid(raw.value()?)),
            7 if raw.is("SOLICIT") => raw.put(&mut self.solicit, Some(raw.text()?.into())),
            7 if raw.is("HOLDFOR") => {
                let seconds = decimal(raw.value()?, 9).and_then(|value| u32::try_from(value).ok());
                raw.put(&mut self.hold, seconds.map(Hold::For))
            }
            8 if raw.is("SMTPUTF8") => raw.mark(&mut self.smtputf8),
            9 if raw.is("HOLDUNTIL") => {
                let value = raw.text()?;
                let until = is_date_time(value).then(|| Hold::Until(value.into()));
                raw.put(&mut self.hold, until)
            }
            10 if raw.is("REQUIRETLS") => raw.mark(&mut self.requiretls),
            11 if raw.is("MT-PRIORITY") => raw.put(&mut self.mt_priority, priority(raw.text()?)),
            _ => raw.keep(&mut self.others),
        }
    }

    /// Whether it has no parameters but SIZE and BODY.
    #[inline]
    pub(crate) fn has_none_rarer(&self) -> bool {
        self.extras.is_absent() && !self.smtputf8 && self.ret.is_none() && !self.requiretls
    }

    /// Whether every octet of the command is ASCII: no SMTPUTF8 needed.
    #[must_use]
    pub fn is_ascii(&self) -> bool {
        self.reverse_path.is_ascii() && (self.extras.is_absent() || self.has_ascii_extras())
    }

    fn has_ascii_extras(&self) -> bool {
        self.envid.as_deref().is_none_or(str::is_ascii)
            && self.solicit.as_deref().is_none_or(str::is_ascii)
            && self
                .others
                .iter()
                .all(|other| other.value.as_deref().is_none_or(str::is_ascii))
            && match &self.auth {
                Some(MailAuth::Mailbox(address)) => address.is_ascii(),
                _ => true,
            }
    }
}

/// `4.4`: xtext of printable characters, up to 100 octets.
fn envid(value: &[u8]) -> Option<Box<str>> {
    decode_xtext(value).filter(|_| value.len() <= 100)
}

fn priority(value: &str) -> Option<i8> {
    let (sign, digits) = match value.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, value),
    };
    match digits.as_bytes() {
        [digit @ b'0'..=b'9'] => i8::try_from(digit - b'0').ok().map(|digit| sign * digit),
        _ => None,
    }
}

/// The shape of RFC 3339's `date-time`; the calendar is the host's affair.
pub(super) fn is_date_time(text: &str) -> bool {
    let pattern = b"0000-00-00T00:00:00";
    let octets = text.as_bytes();
    let Some((main, rest)) = octets.split_at_checked(pattern.len()) else {
        return false;
    };
    let digits = |octets: &[u8], pattern: &[u8]| {
        octets.len() == pattern.len()
            && octets.iter().zip(pattern).all(|(octet, want)| match want {
                b'0' => octet.is_ascii_digit(),
                want => octet.eq_ignore_ascii_case(want),
            })
    };
    let zone = match rest.strip_prefix(b".") {
        Some(fraction) => {
            let len = fraction
                .iter()
                .take_while(|octet| octet.is_ascii_digit())
                .count();
            if len == 0 {
                return false;
            }
            fraction.get(len..).unwrap_or_default()
        }
        None => rest,
    };
    digits(main, pattern)
        && (zone.eq_ignore_ascii_case(b"Z") || digits(zone, b"+00:00") || digits(zone, b"-00:00"))
}

impl Body {
    #[inline]
    fn parse(value: &[u8]) -> Option<Self> {
        const SEVEN_BIT: u64 = keyword(b"7BIT\0\0\0\0");
        const EIGHT_BIT_MIME: u64 = keyword(b"8BITMIME");
        match (octets::word(value, value.len()), value.len()) {
            (SEVEN_BIT, 4) => Some(Self::SevenBit),
            (EIGHT_BIT_MIME, 8) => Some(Self::EightBitMime),
            _ if value.eq_ignore_ascii_case(b"BINARYMIME") => Some(Self::BinaryMime),
            _ => None,
        }
    }

    /// As it is sent.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SevenBit => "7BIT",
            Self::EightBitMime => "8BITMIME",
            Self::BinaryMime => "BINARYMIME",
        }
    }
}

impl Ret {
    fn parse(value: &str) -> Option<Self> {
        [Self::Full, Self::Hdrs]
            .into_iter()
            .find(|ret| value.eq_ignore_ascii_case(ret.as_str()))
    }

    /// As it is sent.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Full => "FULL",
            Self::Hdrs => "HDRS",
        }
    }
}

impl MailAuth {
    fn parse(value: &[u8]) -> Option<Self> {
        if value == b"<>" {
            return Some(Self::Unknown);
        }
        decode_xtext(value)?.parse().ok().map(Self::Mailbox)
    }
}

impl DeliverBy {
    /// `by-time ";" by-mode [by-trace]`
    fn parse(value: &str) -> Option<Self> {
        let (time, mode) = value.split_once(';')?;
        let (sign, digits) = match time.as_bytes().first()? {
            b'-' => (-1, time.get(1..)?),
            b'+' => (1, time.get(1..)?),
            _ => (1, time),
        };
        let seconds = sign * i32::try_from(decimal(digits.as_bytes(), 9)?).ok()?;
        let (mode, trace) = match mode.to_ascii_uppercase().as_str() {
            "N" => (ByMode::Notify, false),
            "R" => (ByMode::Return, false),
            "NT" => (ByMode::Notify, true),
            "RT" => (ByMode::Return, true),
            _ => return None,
        };
        // RFC 2852 §4: nothing can be returned in no time.
        if mode == ByMode::Return && seconds <= 0 {
            return None;
        }
        Some(Self {
            seconds,
            mode,
            trace,
        })
    }
}

impl Mtrk {
    /// `mtrk-certifier [ ":" mtrk-timeout ]`
    fn parse(value: &str) -> Option<Self> {
        let (certifier, timeout) = match value.split_once(':') {
            Some((certifier, timeout)) => {
                let seconds = u32::try_from(decimal(timeout.as_bytes(), 9)?).ok()?;
                (certifier, Some(seconds))
            }
            None => (value, None),
        };
        proto_core::sasl::decode_base64(certifier.as_bytes()).ok()?;
        Some(Self {
            certifier: certifier.into(),
            timeout,
        })
    }
}

impl fmt::Display for Mail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MAIL FROM:{}", self.reverse_path)?;
        if let Some(size) = self.size {
            write!(f, " SIZE={size}")?;
        }
        if let Some(body) = self.body {
            write!(f, " BODY={}", body.as_str())?;
        }
        if self.smtputf8 {
            f.write_str(" SMTPUTF8")?;
        }
        if let Some(ret) = self.ret {
            write!(f, " RET={}", ret.as_str())?;
        }
        if let Some(envid) = &self.envid {
            write!(f, " ENVID={}", Xtext(envid))?;
        }
        match &self.auth {
            None => {}
            Some(MailAuth::Unknown) => f.write_str(" AUTH=<>")?,
            Some(MailAuth::Mailbox(address)) => write!(f, " AUTH={}", Xtext(address.as_str()))?,
        }
        match &self.hold {
            None => {}
            Some(Hold::For(seconds)) => write!(f, " HOLDFOR={seconds}")?,
            Some(Hold::Until(date)) => write!(f, " HOLDUNTIL={date}")?,
        }
        if let Some(by) = self.by {
            let mode = match by.mode {
                ByMode::Notify => "N",
                ByMode::Return => "R",
            };
            let trace = if by.trace { "T" } else { "" };
            write!(f, " BY={};{mode}{trace}", by.seconds)?;
        }
        if let Some(priority) = self.mt_priority {
            write!(f, " MT-PRIORITY={priority}")?;
        }
        if let Some(mtrk) = &self.mtrk {
            write!(f, " MTRK={}", mtrk.certifier)?;
            if let Some(timeout) = mtrk.timeout {
                write!(f, ":{timeout}")?;
            }
        }
        if self.requiretls {
            f.write_str(" REQUIRETLS")?;
        }
        if let Some(solicit) = &self.solicit {
            write!(f, " SOLICIT={solicit}")?;
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

    fn parse(line: &str) -> Result<Mail, ParseError> {
        let mut mail = Mail::new(ReversePath::Null);
        mail.read(line.as_bytes(), 0, &Lenient::default())
            .map(|()| mail)
    }

    #[test]
    fn shown_as_written() {
        for text in [
            "FROM:<>",
            "FROM:<a@b> SIZE=18446744073709551615 BODY=BINARYMIME SMTPUTF8 RET=HDRS ENVID=a+2Bb",
            "FROM:<a@b> AUTH=<>",
            "FROM:<a@b> AUTH=e+3Dmc2@example.com",
            "FROM:<a@b> HOLDFOR=999999999 BY=-120;NT MT-PRIORITY=-9 MTRK=YWJj:60 REQUIRETLS",
            "FROM:<a@b> HOLDUNTIL=2026-12-01T00:00:00Z",
            "FROM:<a@b> X-NEW X-OTHER=1=2",
        ] {
            assert_eq!(
                parse(text).map(|mail| mail.to_string()),
                Ok(format!("MAIL {text}"))
            );
        }
        assert_eq!(
            parse("from:<a@b> size=1 body=8bitmime").unwrap().size,
            Some(1)
        );
    }

    #[test]
    fn refused() {
        use ParseErrorKind as K;
        for (text, kind, at) in [
            ("<a@b>", K::Argument, 0),
            ("FROM <a@b>", K::Argument, 0),
            ("FROM: <a@b>", K::Path, 5),
            ("FROM:a@b", K::Path, 5),
            ("FROM:<a@b>SIZE=1", K::Parameter, 10),
            ("FROM:<a@b> SIZE=1 SIZE=1", K::DuplicateParameter, 18),
            ("FROM:<a@b> SIZE", K::ParameterValue, 11),
            ("FROM:<a@b> SIZE=-1", K::ParameterValue, 11),
            (
                "FROM:<a@b> SIZE=18446744073709551616",
                K::ParameterValue,
                11,
            ),
            ("FROM:<a@b> BODY=9BIT", K::ParameterValue, 11),
            ("FROM:<a@b> SMTPUTF8=1", K::ParameterValue, 11),
            ("FROM:<a@b> =1", K::Parameter, 11),
            ("FROM:<a@b> X=", K::ParameterValue, 13),
            ("FROM:<a@b> X X", K::DuplicateParameter, 13),
            (
                "FROM:<a@b> HOLDFOR=1 HOLDUNTIL=2026-12-01T00:00:00Z",
                K::DuplicateParameter,
                21,
            ),
            ("FROM:<a@b> HOLDUNTIL=tomorrow", K::ParameterValue, 11),
            ("FROM:<a@b> BY=0;R", K::ParameterValue, 11),
            ("FROM:<a@b> BY=1;X", K::ParameterValue, 11),
            ("FROM:<a@b> MT-PRIORITY=10", K::ParameterValue, 11),
            ("FROM:<a@b> AUTH=a", K::ParameterValue, 11),
            ("FROM:<a@b> ENVID=a+0Ab", K::ParameterValue, 11),
        ] {
            assert_eq!(parse(text), Err(ParseError::new(kind, at)), "{text}");
        }
    }
}
