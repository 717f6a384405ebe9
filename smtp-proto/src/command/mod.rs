//! Commands, a file per verb (RFC 5321 §4.1.1 and the extensions).

mod auth;
mod bdat;
mod burl;
mod etrn;
mod extras;
mod hello;
mod lookup;
mod mail;
mod proxy;
mod rcpt;

use std::fmt;

pub use auth::AuthStart;
pub use bdat::Bdat;
pub use burl::Burl;
pub use etrn::Etrn;
pub use hello::{Hello, HelloVerb};
pub use lookup::Lookup;
pub use mail::{Body, ByMode, DeliverBy, Hold, Mail, MailAuth, MailExtras, Mtrk, Ret};
pub use proxy::{Attribute, ProxyAttributes};
pub use rcpt::{Notify, NotifyOn, Orcpt, Rcpt, RcptExtras, Rrvs};

use crate::error::{ParseError, ParseErrorKind};
use crate::octets;
use crate::path::{ForwardPath, Lenient};

/// A command line, understood.
///
/// ```
/// use smtp_proto::{Command, Lenient};
///
/// let line = b"MAIL FROM:<a@example.org> SIZE=1000 BODY=8BITMIME";
/// let Command::Mail(mail) = Command::parse(line, &Lenient::default())? else {
///     panic!()
/// };
/// assert_eq!(mail.size, Some(1000));
/// assert_eq!(mail.to_string(), "MAIL FROM:<a@example.org> SIZE=1000 BODY=8BITMIME");
/// # Ok::<(), smtp_proto::ParseError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Command {
    /// EHLO, HELO or LHLO.
    Hello(Hello),
    /// MAIL: a transaction begins.
    Mail(Mail),
    /// RCPT: one recipient more.
    Rcpt(Rcpt),
    /// DATA: the message follows, dot-stuffed.
    Data,
    /// BDAT: a chunk of the message follows, counted (RFC 3030).
    Bdat(Bdat),
    /// BURL: the message is elsewhere (RFC 4468).
    Burl(Burl),
    /// RSET: the transaction is dropped.
    Rset,
    /// VRFY: is this a mailbox?
    Vrfy(Lookup),
    /// EXPN: who is on this list?
    Expn(Lookup),
    /// HELP, perhaps about something.
    Help(Option<Box<str>>),
    /// NOOP
    Noop,
    /// QUIT
    Quit,
    /// STARTTLS (RFC 3207)
    StartTls,
    /// AUTH (RFC 4954)
    Auth(AuthStart),
    /// ETRN (RFC 1985)
    Etrn(Etrn),
    /// XCLIENT: a proxy tells who is behind it, for access control.
    Xclient(ProxyAttributes),
    /// XFORWARD: a relay tells where a message came from, for logs.
    Xforward(ProxyAttributes),
}

/// A command's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[expect(missing_docs, reason = "each is its own name")]
pub enum Verb {
    Helo,
    Ehlo,
    Lhlo,
    Mail,
    Rcpt,
    Data,
    Bdat,
    Burl,
    Rset,
    Vrfy,
    Expn,
    Help,
    Noop,
    Quit,
    StartTls,
    Auth,
    Etrn,
    Xclient,
    Xforward,
}

impl Verb {
    /// As it is sent.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Helo => "HELO",
            Self::Ehlo => "EHLO",
            Self::Lhlo => "LHLO",
            Self::Mail => "MAIL",
            Self::Rcpt => "RCPT",
            Self::Data => "DATA",
            Self::Bdat => "BDAT",
            Self::Burl => "BURL",
            Self::Rset => "RSET",
            Self::Vrfy => "VRFY",
            Self::Expn => "EXPN",
            Self::Help => "HELP",
            Self::Noop => "NOOP",
            Self::Quit => "QUIT",
            Self::StartTls => "STARTTLS",
            Self::Auth => "AUTH",
            Self::Etrn => "ETRN",
            Self::Xclient => "XCLIENT",
            Self::Xforward => "XFORWARD",
        }
    }

    /// The verb at the front of a line and the offset of what follows it.
    #[must_use]
    #[inline]
    pub fn parse_prefix(line: &[u8]) -> Option<(Self, usize)> {
        match line.get(4) {
            None | Some(b' ') => Self::of_four(line).map(|verb| (verb, 4)),
            Some(_) => Self::of_more(line),
        }
    }

    #[inline]
    fn of_four(line: &[u8]) -> Option<Self> {
        // Compared as numbers: octet by octet would take longer than to read
        // what follows.
        const HELO: u32 = four(b"HELO");
        const EHLO: u32 = four(b"EHLO");
        const LHLO: u32 = four(b"LHLO");
        const MAIL: u32 = four(b"MAIL");
        const RCPT: u32 = four(b"RCPT");
        const DATA: u32 = four(b"DATA");
        const BDAT: u32 = four(b"BDAT");
        const BURL: u32 = four(b"BURL");
        const RSET: u32 = four(b"RSET");
        const VRFY: u32 = four(b"VRFY");
        const EXPN: u32 = four(b"EXPN");
        const HELP: u32 = four(b"HELP");
        const NOOP: u32 = four(b"NOOP");
        const QUIT: u32 = four(b"QUIT");
        const AUTH: u32 = four(b"AUTH");
        const ETRN: u32 = four(b"ETRN");
        // As the verb's octets in the other case of letters differ in this bit
        // alone, four comparisons are one.
        Some(match four(line.first_chunk()?) & four(&[0xdf; 4]) {
            HELO => Self::Helo,
            EHLO => Self::Ehlo,
            LHLO => Self::Lhlo,
            MAIL => Self::Mail,
            RCPT => Self::Rcpt,
            DATA => Self::Data,
            BDAT => Self::Bdat,
            BURL => Self::Burl,
            RSET => Self::Rset,
            VRFY => Self::Vrfy,
            EXPN => Self::Expn,
            HELP => Self::Help,
            NOOP => Self::Noop,
            QUIT => Self::Quit,
            AUTH => Self::Auth,
            ETRN => Self::Etrn,
            _ => return None,
        })
    }

    #[cold]
    fn of_more(line: &[u8]) -> Option<(Self, usize)> {
        let len = octets::until_space(line);
        let word = line.get(..len)?;
        [Self::StartTls, Self::Xclient, Self::Xforward]
            .into_iter()
            .find(|verb| word.eq_ignore_ascii_case(verb.as_str().as_bytes()))
            .map(|verb| (verb, len))
    }
}

const fn four(octets: &[u8; 4]) -> u32 {
    u32::from_be_bytes(*octets)
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Command {
    /// Understands a line without its line end.
    ///
    /// Spaces at its end are tolerated (RFC 5321 §4.1.1).
    ///
    /// # Errors
    /// [`ParseError`] with what is wrong and the offset in the line.
    pub fn parse(line: &[u8], lenient: &Lenient) -> Result<Self, ParseError> {
        let (verb, at) = Verb::parse_prefix(line)
            .ok_or_else(|| ParseError::new(ParseErrorKind::UnknownCommand, 0))?;
        Self::parse_arguments(verb, line, at, lenient)
    }

    /// Understands what follows the verb, which ends at `at`.
    #[inline(always)]
    pub(crate) fn parse_arguments(
        verb: Verb,
        line: &[u8],
        at: usize,
        lenient: &Lenient,
    ) -> Result<Self, ParseError> {
        if verb == Verb::Ehlo
            && let Some(hello) = Hello::parse_plain(HelloVerb::Ehlo, line, at)
        {
            return Ok(Self::Hello(hello));
        }
        let (text, at) = arguments(line, at)?;
        match verb {
            Verb::Mail => {
                let mut mail = Mail::default();
                mail.read(text, at, lenient)?;
                Ok(Self::Mail(mail))
            }
            Verb::Rcpt => {
                let mut rcpt = Rcpt::new(ForwardPath::Postmaster);
                rcpt.read(text, at, lenient)?;
                Ok(Self::Rcpt(rcpt))
            }
            _ => Self::parse_other(verb, text, at, lenient),
        }
    }

    fn parse_other(
        verb: Verb,
        text: &[u8],
        at: usize,
        lenient: &Lenient,
    ) -> Result<Self, ParseError> {
        let bare = |command: Self| match text {
            [] => Ok(command),
            _ => Err(ParseError::new(ParseErrorKind::UnexpectedArgument, at)),
        };
        let string = || {
            std::str::from_utf8(text)
                .map_err(|error| ParseError::new(ParseErrorKind::Octet, at + error.valid_up_to()))
        };
        match verb {
            Verb::Helo => Hello::parse(HelloVerb::Helo, text, at, lenient).map(Self::Hello),
            Verb::Ehlo => Hello::parse(HelloVerb::Ehlo, text, at, lenient).map(Self::Hello),
            Verb::Lhlo => Hello::parse(HelloVerb::Lhlo, text, at, lenient).map(Self::Hello),
            // Read above.
            Verb::Mail | Verb::Rcpt => Err(ParseError::new(ParseErrorKind::Argument, at)),
            Verb::Data => bare(Self::Data),
            Verb::Bdat => Bdat::parse(string()?, at).map(Self::Bdat),
            Verb::Burl => Burl::parse(string()?, at).map(Self::Burl),
            Verb::Rset => bare(Self::Rset),
            Verb::Vrfy => Lookup::parse(string()?, at).map(Self::Vrfy),
            Verb::Expn => Lookup::parse(string()?, at).map(Self::Expn),
            Verb::Help => Ok(Self::Help(match string()? {
                "" => None,
                about => Some(about.into()),
            })),
            // RFC 5321 §4.1.1.9: a parameter of NOOP is ignored.
            Verb::Noop => Ok(Self::Noop),
            Verb::Quit => bare(Self::Quit),
            Verb::StartTls => bare(Self::StartTls),
            Verb::Auth => AuthStart::parse(string()?, at).map(Self::Auth),
            Verb::Etrn => Etrn::parse(string()?, at).map(Self::Etrn),
            Verb::Xclient => ProxyAttributes::parse(string()?, at).map(Self::Xclient),
            Verb::Xforward => ProxyAttributes::parse(string()?, at).map(Self::Xforward),
        }
    }

    /// The command's name.
    #[must_use]
    pub fn verb(&self) -> Verb {
        match self {
            Self::Hello(hello) => hello.verb.into(),
            Self::Mail(_) => Verb::Mail,
            Self::Rcpt(_) => Verb::Rcpt,
            Self::Data => Verb::Data,
            Self::Bdat(_) => Verb::Bdat,
            Self::Burl(_) => Verb::Burl,
            Self::Rset => Verb::Rset,
            Self::Vrfy(_) => Verb::Vrfy,
            Self::Expn(_) => Verb::Expn,
            Self::Help(_) => Verb::Help,
            Self::Noop => Verb::Noop,
            Self::Quit => Verb::Quit,
            Self::StartTls => Verb::StartTls,
            Self::Auth(_) => Verb::Auth,
            Self::Etrn(_) => Verb::Etrn,
            Self::Xclient(_) => Verb::Xclient,
            Self::Xforward(_) => Verb::Xforward,
        }
    }
}

/// The line without its CRLF. AUTH's initial response is shown: never log it.
impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hello(hello) => hello.fmt(f),
            Self::Mail(mail) => mail.fmt(f),
            Self::Rcpt(rcpt) => rcpt.fmt(f),
            Self::Bdat(bdat) => bdat.fmt(f),
            Self::Burl(burl) => burl.fmt(f),
            Self::Vrfy(lookup) => write!(f, "VRFY {lookup}"),
            Self::Expn(lookup) => write!(f, "EXPN {lookup}"),
            Self::Help(Some(about)) => write!(f, "HELP {about}"),
            Self::Auth(auth) => auth.fmt(f),
            Self::Etrn(etrn) => etrn.fmt(f),
            Self::Xclient(attributes) => write!(f, "XCLIENT{attributes}"),
            Self::Xforward(attributes) => write!(f, "XFORWARD{attributes}"),
            Self::Data
            | Self::Rset
            | Self::Help(None)
            | Self::Noop
            | Self::Quit
            | Self::StartTls => self.verb().fmt(f),
        }
    }
}

/// What follows the verb, and its offset: the whole line is UTF-8 without
/// control octets, spaces about the arguments are taken off.
#[inline]
pub(crate) fn arguments(line: &[u8], at: usize) -> Result<(&[u8], usize), ParseError> {
    let seen = octets::survey(line);
    if seen.control || !seen.ascii {
        check_octets(line)?;
    }
    let mut text = line.get(at..).unwrap_or_default();
    let mut at = at;
    while let Some((b' ', rest)) = text.split_last() {
        text = rest;
    }
    while let Some((b' ', rest)) = text.split_first() {
        text = rest;
        at += 1;
    }
    Ok((text, at))
}

#[cold]
fn check_octets(line: &[u8]) -> Result<(), ParseError> {
    let fault = |at| ParseError::new(ParseErrorKind::Octet, at);
    let control = |octet: &u8| *octet < b' ' || *octet == 127;
    match line.iter().position(control) {
        Some(at) => Err(fault(at)),
        None => std::str::from_utf8(line)
            .map(drop)
            .map_err(|error| fault(error.valid_up_to())),
    }
}

/// The path behind `FROM:` or `TO:`, which ends at `at`, and its offset.
#[inline]
fn behind_colon<'a>(text: &'a [u8], at: usize, lenient: &Lenient) -> (&'a [u8], usize) {
    let (mut text, mut at) = (text, at);
    while lenient.space_after_colon
        && let Some((b' ', rest)) = text.split_first()
    {
        text = rest;
        at += 1;
    }
    (text, at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Command, ParseErrorKind> {
        Command::parse(line.as_bytes(), &Lenient::default()).map_err(|error| error.kind)
    }

    #[test]
    fn shown_as_written() {
        for line in [
            "HELO example.org",
            "EHLO [192.0.2.1]",
            "LHLO example.org",
            "DATA",
            "BDAT 1000",
            "BDAT 0 LAST",
            "BURL imap://a@b/c LAST",
            "RSET",
            "VRFY Smith",
            "EXPN list SMTPUTF8",
            "HELP",
            "HELP mail",
            "NOOP",
            "QUIT",
            "STARTTLS",
            "AUTH PLAIN",
            "AUTH PLAIN =",
            "AUTH PLAIN AGEAYg==",
            "ETRN example.org",
            "ETRN @example.org",
            "ETRN #queue",
            "XCLIENT NAME=a.example ADDR=192.0.2.1",
            "XFORWARD NAME=[UNAVAILABLE] HELO=a+2Bb",
        ] {
            assert_eq!(
                parse(line).map(|command| command.to_string()),
                Ok(line.to_owned())
            );
            let lower = line.to_ascii_lowercase();
            if !line.starts_with("AUTH PLAIN A") && !line.contains("+2B") {
                assert_eq!(parse(&lower).unwrap().verb(), parse(line).unwrap().verb());
            }
            assert_eq!(parse(&format!("{line} ")), parse(line), "trailing space");
        }
    }

    #[test]
    fn refused() {
        use ParseErrorKind as K;
        for (line, kind) in [
            ("", K::UnknownCommand),
            (" NOOP", K::UnknownCommand),
            ("FOO", K::UnknownCommand),
            ("NOOPX", K::UnknownCommand),
            ("DATA\tx", K::UnknownCommand),
            ("STARTTLSX", K::UnknownCommand),
            ("MAILFROM:<a@b>", K::UnknownCommand),
            ("DATA foo", K::UnexpectedArgument),
            ("RSET foo", K::UnexpectedArgument),
            ("QUIT now", K::UnexpectedArgument),
            ("STARTTLS x", K::UnexpectedArgument),
            ("NOOP a\0b", K::Octet),
            ("HELO", K::Argument),
            ("EHLO a b", K::Domain),
            ("EHLO [1.2.3]", K::AddressLiteral),
            ("VRFY", K::Argument),
            ("BDAT", K::Argument),
            ("BDAT x", K::Argument),
            ("BDAT 1 FIRST", K::Argument),
            ("BDAT 18446744073709551616", K::Argument),
            ("AUTH", K::Argument),
            ("AUTH PLAIN !", K::Base64),
            ("AUTH PLAIN AGEAYg", K::Base64),
            ("AUTH PLAIN AA== x", K::Base64),
            ("ETRN", K::Argument),
            ("XCLIENT", K::Argument),
            ("XCLIENT NAME", K::ParameterValue),
        ] {
            assert_eq!(parse(line), Err(kind), "{line:?}");
        }
    }
}
