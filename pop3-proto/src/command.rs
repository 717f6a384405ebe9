use std::fmt::Write as _;

use proto_core::sasl::{decode_base64, encode_base64};
use proto_core::{Output, Secret};

use crate::{MessageNumber, ParseError, ParseErrorKind};

/// A command, whole and well-formed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Command {
    /// RFC 2449 §5
    Capa,
    /// RFC 1939 §4, §6
    Quit,
    /// RFC 2595 §4
    Stls,
    /// RFC 6856 §2.1
    Utf8,
    /// RFC 1939 §7
    User(String),
    /// RFC 1939 §7
    Pass(Secret),
    /// RFC 1939 §7
    Apop {
        /// The maildrop's name.
        name: String,
        /// MD5 of the greeting's timestamp and the shared secret.
        digest: [u8; 16],
    },
    /// RFC 5034 §4
    Auth(AuthStart),
    /// AUTH without a mechanism: a list is asked for. In no RFC, but old
    /// clients do it, and the answer costs nothing.
    AuthList,
    /// RFC 1939 §5
    Stat,
    /// RFC 1939 §5
    List(Option<MessageNumber>),
    /// RFC 1939 §7
    Uidl(Option<MessageNumber>),
    /// RFC 1939 §5
    Retr(MessageNumber),
    /// RFC 1939 §7: that many lines of the body.
    Top(MessageNumber, u32),
    /// RFC 1939 §5
    Dele(MessageNumber),
    /// RFC 1939 §5
    Noop,
    /// RFC 1939 §5
    Rset,
}

/// The beginning of a SASL exchange (RFC 5034 §4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthStart {
    /// The mechanism's name, upper case.
    pub mechanism: String,
    /// The initial response, decoded; `Some` of nothing for `=`.
    pub initial_response: Option<Secret>,
}

impl Command {
    /// The keyword, upper case.
    #[must_use]
    pub fn keyword(&self) -> &'static str {
        match self {
            Self::Capa => "CAPA",
            Self::Quit => "QUIT",
            Self::Stls => "STLS",
            Self::Utf8 => "UTF8",
            Self::User(_) => "USER",
            Self::Pass(_) => "PASS",
            Self::Apop { .. } => "APOP",
            Self::Auth(_) | Self::AuthList => "AUTH",
            Self::Stat => "STAT",
            Self::List(_) => "LIST",
            Self::Uidl(_) => "UIDL",
            Self::Retr(_) => "RETR",
            Self::Top(..) => "TOP",
            Self::Dele(_) => "DELE",
            Self::Noop => "NOOP",
            Self::Rset => "RSET",
        }
    }

    /// Reads a line without its CRLF. Blanks at its end are ignored, save in
    /// USER and PASS, whose argument is all that follows their one SP.
    ///
    /// ```text
    /// command      =  keyword *(SP param) CRLF    ; RFC 2449 §3
    /// keyword      =  3*4VCHAR
    /// param        =  1*VCHAR
    /// ```
    ///
    /// # Errors
    /// [`ParseError`], with the octet.
    pub fn parse(line: &[u8]) -> Result<Self, ParseError> {
        let keyword_len = memchr::memchr(b' ', line).unwrap_or(line.len());
        let (keyword, rest) = line.split_at(keyword_len);
        let mut upper = [0; 4];
        match upper.get_mut(..keyword.len()) {
            Some(target) => target.copy_from_slice(keyword),
            None => return Err(error(ParseErrorKind::UnknownCommand, 0)),
        }
        upper.make_ascii_uppercase();
        match &upper {
            b"USER" => return verbatim(line, rest).and_then(|name| user(name, line)),
            b"PASS" => {
                let password = verbatim(line, rest)?;
                if let Some(found) = memchr::memchr3(0, b'\r', b'\n', password) {
                    let at = line.len() - password.len() + found;
                    return Err(error(ParseErrorKind::InvalidOctet, at));
                }
                return Ok(Self::Pass(Secret::new(password)));
            }
            _ => {}
        }
        let mut arguments = Arguments::new(line, keyword_len);
        let command = match &upper {
            b"CAPA" => Self::Capa,
            b"QUIT" => Self::Quit,
            b"STLS" => Self::Stls,
            b"UTF8" => Self::Utf8,
            b"APOP" => Self::Apop {
                name: arguments.needed()?.to_owned(),
                digest: arguments.digest()?,
            },
            b"AUTH" => match arguments.next()? {
                None => Self::AuthList,
                Some(mechanism) => Self::Auth(AuthStart {
                    mechanism: mechanism.to_ascii_uppercase(),
                    initial_response: arguments.base64()?,
                }),
            },
            b"STAT" => Self::Stat,
            b"LIST" => Self::List(arguments.number()?),
            b"UIDL" => Self::Uidl(arguments.number()?),
            b"RETR" => Self::Retr(arguments.needed_number()?),
            b"TOP\0" => Self::Top(arguments.needed_number()?, arguments.lines()?),
            b"DELE" => Self::Dele(arguments.needed_number()?),
            b"NOOP" => Self::Noop,
            b"RSET" => Self::Rset,
            _ => return Err(error(ParseErrorKind::UnknownCommand, 0)),
        };
        arguments.end()?;
        Ok(command)
    }

    /// Appends the command's line, with its CRLF.
    pub fn encode(&self, output: &mut Output) {
        output.push_slice(self.keyword().as_bytes());
        let _ = match self {
            Self::User(name) => write!(output, " {name}"),
            Self::Pass(password) => {
                output.push_slice(b" ");
                output.push_slice(password.expose());
                Ok(())
            }
            Self::Apop { name, digest } => {
                let _ = write!(output, " {name} ");
                digest
                    .iter()
                    .try_for_each(|octet| write!(output, "{octet:02x}"))
            }
            Self::Auth(start) => {
                let _ = write!(output, " {}", start.mechanism);
                match &start.initial_response {
                    None => Ok(()),
                    Some(response) if response.expose().is_empty() => write!(output, " ="),
                    Some(response) => write!(output, " {}", encode_base64(response.expose())),
                }
            }
            Self::List(Some(number))
            | Self::Uidl(Some(number))
            | Self::Retr(number)
            | Self::Dele(number) => write!(output, " {number}"),
            Self::Top(number, lines) => write!(output, " {number} {lines}"),
            _ => Ok(()),
        };
        output.push_slice(b"\r\n");
    }
}

fn error(kind: ParseErrorKind, at: usize) -> ParseError {
    ParseError { kind, at }
}

/// All that follows the keyword's SP: PASS has one argument, whose spaces
/// belong to it (RFC 1939 §7).
fn verbatim<'a>(line: &[u8], rest: &'a [u8]) -> Result<&'a [u8], ParseError> {
    match rest.strip_prefix(b" ") {
        None | Some([]) => Err(error(ParseErrorKind::MissingArgument, line.len())),
        Some(argument) => Ok(argument),
    }
}

fn user(name: &[u8], line: &[u8]) -> Result<Command, ParseError> {
    let start = line.len() - name.len();
    let text = str::from_utf8(name)
        .map_err(|fault| error(ParseErrorKind::InvalidOctet, start + fault.valid_up_to()))?;
    match text.find(char::is_control) {
        Some(found) => Err(error(ParseErrorKind::InvalidOctet, start + found)),
        None => Ok(Command::User(text.to_owned())),
    }
}

/// The parameters of a line, each behind one SP.
struct Arguments<'a> {
    line: &'a [u8],
    at: usize,
}

impl<'a> Arguments<'a> {
    fn new(line: &'a [u8], at: usize) -> Self {
        let end = line.iter().rposition(|octet| *octet != b' ');
        let line = line.get(..end.map_or(0, |end| end + 1)).unwrap_or_default();
        Self { line, at }
    }

    fn next(&mut self) -> Result<Option<&'a str>, ParseError> {
        let rest = self.line.get(self.at..).unwrap_or_default();
        let Some(rest) = rest.strip_prefix(b" ") else {
            return Ok(None);
        };
        let start = self.at + 1;
        let len = memchr::memchr(b' ', rest).unwrap_or(rest.len());
        let (argument, _) = rest.split_at(len);
        if argument.is_empty() {
            return Err(error(ParseErrorKind::InvalidOctet, start));
        }
        let text = str::from_utf8(argument)
            .map_err(|fault| error(ParseErrorKind::InvalidOctet, start + fault.valid_up_to()))?;
        if let Some(found) = text.find(char::is_control) {
            return Err(error(ParseErrorKind::InvalidOctet, start + found));
        }
        self.at = start + len;
        Ok(Some(text))
    }

    fn needed(&mut self) -> Result<&'a str, ParseError> {
        let at = self.at;
        self.next()?
            .ok_or(error(ParseErrorKind::MissingArgument, at))
    }

    fn number(&mut self) -> Result<Option<MessageNumber>, ParseError> {
        let at = self.at + 1;
        match self.next()? {
            None => Ok(None),
            Some(text) => digits(text)
                .and_then(MessageNumber::new)
                .map(Some)
                .ok_or(error(ParseErrorKind::NotANumber, at)),
        }
    }

    fn needed_number(&mut self) -> Result<MessageNumber, ParseError> {
        let at = self.at;
        self.number()?
            .ok_or(error(ParseErrorKind::MissingArgument, at))
    }

    fn lines(&mut self) -> Result<u32, ParseError> {
        let at = self.at + 1;
        let text = self.needed()?;
        digits(text).ok_or(error(ParseErrorKind::NotANumber, at))
    }

    fn digest(&mut self) -> Result<[u8; 16], ParseError> {
        let at = self.at + 1;
        let text = self.needed()?;
        let mut digest = [0; 16];
        let whole = text.len() == 32 && text.bytes().all(|octet| octet.is_ascii_hexdigit());
        for (octet, pair) in digest.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            let pair = str::from_utf8(pair).ok();
            match pair.and_then(|pair| u8::from_str_radix(pair, 16).ok()) {
                Some(value) if whole => *octet = value,
                _ => return Err(error(ParseErrorKind::NotADigest, at)),
            }
        }
        if whole {
            Ok(digest)
        } else {
            Err(error(ParseErrorKind::NotADigest, at))
        }
    }

    fn base64(&mut self) -> Result<Option<Secret>, ParseError> {
        let at = self.at + 1;
        match self.next()? {
            None => Ok(None),
            Some("=") => Ok(Some(Secret::default())),
            Some(text) => decode_base64(text.as_bytes())
                .map(|octets| Some(Secret::new(octets)))
                .map_err(|_| error(ParseErrorKind::Base64, at)),
        }
    }

    fn end(mut self) -> Result<(), ParseError> {
        let at = self.at + 1;
        match self.next()? {
            None => Ok(()),
            Some(_) => Err(error(ParseErrorKind::UnexpectedArgument, at)),
        }
    }
}

/// Only digits: `str::parse` alone would take a `+`.
fn digits(text: &str) -> Option<u32> {
    if text.bytes().all(|octet| octet.is_ascii_digit()) {
        text.parse().ok()
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use bytes::Buf;
    use proptest::prelude::*;

    use super::*;

    fn parse(text: &str) -> Result<Command, ParseError> {
        Command::parse(text.as_bytes())
    }

    fn number(value: u32) -> MessageNumber {
        MessageNumber::new(value).unwrap()
    }

    #[test]
    fn well_formed() {
        let cases = [
            ("capa", Command::Capa),
            ("Quit ", Command::Quit),
            ("LIST", Command::List(None)),
            ("list 7", Command::List(Some(number(7)))),
            ("UIDL 007", Command::Uidl(Some(number(7)))),
            ("TOP 1 0", Command::Top(number(1), 0)),
            ("USER joe user", Command::User("joe user".into())),
            ("PASS  a b ", Command::Pass(Secret::new(*b" a b "))),
            ("PASS \u{e4}", Command::Pass(Secret::new("\u{e4}"))),
            ("AUTH", Command::AuthList),
            (
                "auth plain =",
                Command::Auth(AuthStart {
                    mechanism: "PLAIN".into(),
                    initial_response: Some(Secret::default()),
                }),
            ),
        ];
        for (text, command) in cases {
            assert_eq!(parse(text), Ok(command), "{text:?}");
        }
    }

    #[test]
    fn malformed() {
        use ParseErrorKind::*;
        let cases = [
            ("", UnknownCommand, 0),
            (" ", UnknownCommand, 0),
            ("EHLO x", UnknownCommand, 0),
            ("RETRIEVE 1", UnknownCommand, 0),
            ("TOPP 1 1", UnknownCommand, 0),
            ("LIST\t1", UnknownCommand, 0),
            ("NOOP x", UnexpectedArgument, 5),
            ("RETR", MissingArgument, 4),
            ("RETR 0", NotANumber, 5),
            ("RETR -1", NotANumber, 5),
            ("RETR +1", NotANumber, 5),
            ("RETR 4294967296", NotANumber, 5),
            ("RETR  1", InvalidOctet, 5),
            ("RETR 1\r", InvalidOctet, 6),
            ("TOP 1", MissingArgument, 5),
            ("TOP 1 x", NotANumber, 6),
            ("TOP 1 2 3", UnexpectedArgument, 8),
            ("USER", MissingArgument, 4),
            ("USER ", MissingArgument, 5),
            ("USER a\rb", InvalidOctet, 6),
            ("PASS a\0b", InvalidOctet, 6),
            ("APOP mrose c4c9", NotADigest, 11),
            (
                "APOP mrose g4c9334bac560ecc979e58001b3e22fb",
                NotADigest,
                11,
            ),
            ("AUTH PLAIN =AAA", Base64, 11),
            ("AUTH PLAIN AAAA x", UnexpectedArgument, 16),
        ];
        for (text, kind, at) in cases {
            assert_eq!(parse(text), Err(ParseError { kind, at }), "{text:?}");
        }
        assert_eq!(
            Command::parse(b"USER a\xFFb"),
            Err(ParseError {
                kind: InvalidOctet,
                at: 6
            })
        );
    }

    fn any_command() -> impl Strategy<Value = Command> {
        let message = || (1_u32..=u32::MAX).prop_map(number);
        let secret = || proptest::collection::vec(any::<u8>(), 0..60).prop_map(Secret::new);
        prop_oneof![
            Just(Command::Capa),
            Just(Command::Quit),
            Just(Command::Stls),
            Just(Command::Utf8),
            Just(Command::Stat),
            Just(Command::Noop),
            Just(Command::Rset),
            Just(Command::AuthList),
            "[!-~\u{e4}][ -~\u{e4}]{0,30}".prop_map(Command::User),
            "[ -~\u{e4}]{1,30}".prop_map(|text| Command::Pass(Secret::new(text))),
            ("[!-~]{1,30}", any::<[u8; 16]>())
                .prop_map(|(name, digest)| Command::Apop { name, digest }),
            ("[A-Z0-9_-]{1,20}", proptest::option::of(secret())).prop_map(
                |(mechanism, initial_response)| Command::Auth(AuthStart {
                    mechanism,
                    initial_response
                })
            ),
            proptest::option::of(message()).prop_map(Command::List),
            proptest::option::of(message()).prop_map(Command::Uidl),
            message().prop_map(Command::Retr),
            message().prop_map(Command::Dele),
            (message(), any::<u32>()).prop_map(|(number, lines)| Command::Top(number, lines)),
        ]
    }

    proptest! {
        #[test]
        fn round_trip(command in any_command()) {
            let mut output = Output::default();
            command.encode(&mut output);
            let line = output.copy_to_bytes(output.len());
            let line = line.strip_suffix(b"\r\n").unwrap();
            prop_assert!(!line.contains(&b'\n'));
            prop_assert_eq!(Command::parse(line), Ok(command));
        }

        #[test]
        fn never_panics(octets in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = Command::parse(&octets);
        }

        #[test]
        fn never_panics_behind_a_keyword(keyword in 0_usize..15, octets in "[ 0-9a-z=\0\r\u{e4}]{0,40}") {
            let keywords = ["CAPA", "QUIT", "STLS", "UTF8", "USER", "PASS", "APOP", "AUTH",
                "STAT", "LIST", "UIDL", "RETR", "TOP", "DELE", "RSET"];
            if let Err(fault) = parse(&format!("{} {octets}", keywords[keyword])) {
                prop_assert!(fault.at <= octets.len() + 5);
            }
        }
    }
}
