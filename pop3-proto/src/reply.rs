use std::borrow::Cow;
use std::fmt;

/// `+OK` or `-ERR` (RFC 1939 §3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Status {
    /// `+OK`
    Ok,
    /// `-ERR`
    Err,
}

/// Why, in a word that programs understand (RFC 2449 §8).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ResponseCode {
    /// The maildrop is in use by another session (RFC 2449 §8.1.2).
    InUse,
    /// The user logs in too often (RFC 2449 §8.1.1).
    LoginDelay,
    /// The server's fault, perhaps gone the next time (RFC 3206 §4).
    SysTemp,
    /// The server's fault, until somebody mends it (RFC 3206 §4).
    SysPerm,
    /// The credentials are wrong (RFC 3206 §5).
    Auth,
    /// The message needs UTF-8 mode (RFC 6856 §5).
    Utf8,
    /// Any other, without the brackets.
    Other(String),
}

impl ResponseCode {
    /// The code without its brackets.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::InUse => "IN-USE",
            Self::LoginDelay => "LOGIN-DELAY",
            Self::SysTemp => "SYS/TEMP",
            Self::SysPerm => "SYS/PERM",
            Self::Auth => "AUTH",
            Self::Utf8 => "UTF8",
            Self::Other(code) => code,
        }
    }

    /// Reads a code without its brackets, in any case.
    #[must_use]
    pub fn from_code(text: &str) -> Self {
        [
            Self::InUse,
            Self::LoginDelay,
            Self::SysTemp,
            Self::SysPerm,
            Self::Auth,
            Self::Utf8,
        ]
        .into_iter()
        .find(|code| code.as_str().eq_ignore_ascii_case(text))
        .unwrap_or_else(|| Self::Other(text.to_owned()))
    }
}

impl fmt::Display for ResponseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The one line, or the first, of a response (RFC 1939 §3, RFC 2449 §3).
///
/// ```
/// use pop3_proto::{Reply, ResponseCode};
///
/// let reply = Reply::err("another session holds the maildrop").with(ResponseCode::InUse);
/// assert_eq!(reply.to_string(), "-ERR [IN-USE] another session holds the maildrop");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Reply {
    /// `+OK` or `-ERR`.
    pub status: Status,
    /// The response code.
    pub code: Option<ResponseCode>,
    /// For people; may be empty.
    pub text: Cow<'static, str>,
}

/// Longest first line without its CRLF (RFC 2449 §4).
const MAX_REPLY: usize = 510;

impl Reply {
    /// `+OK text`
    #[must_use]
    pub fn ok(text: impl Into<Cow<'static, str>>) -> Self {
        Self {
            status: Status::Ok,
            code: None,
            text: text.into(),
        }
    }

    /// `-ERR text`
    #[must_use]
    pub fn err(text: impl Into<Cow<'static, str>>) -> Self {
        Self {
            status: Status::Err,
            code: None,
            text: text.into(),
        }
    }

    /// Puts a response code before the text.
    #[must_use]
    pub fn with(mut self, code: ResponseCode) -> Self {
        self.code = Some(code);
        self
    }

    /// Whether it is `+OK`.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        self.status == Status::Ok
    }

    /// What stops it from being sent as one line of at most 512 octets.
    pub(crate) fn fault(&self) -> Option<&'static str> {
        if self.text.chars().any(char::is_control) {
            return Some("a control character in the text");
        }
        if self.code.is_none() && self.text.starts_with('[') {
            // It would be taken for a response code (RFC 2449 §6.4).
            return Some("a text that begins with [");
        }
        if let Some(code) = &self.code {
            let code = code.as_str();
            if code.is_empty() || !code.bytes().all(|o| o.is_ascii_graphic() && o != b']') {
                return Some("not a response code");
            }
        }
        (self.to_string().len() > MAX_REPLY).then_some("over 512 octets")
    }

    /// Reads a response's line; `None` if it has no status.
    #[must_use]
    pub fn parse(line: &[u8]) -> Option<Self> {
        let (status, rest) = if let Some(rest) = line.strip_prefix(b"+OK") {
            (Status::Ok, rest)
        } else {
            (Status::Err, line.strip_prefix(b"-ERR")?)
        };
        let rest = match rest {
            [] => rest,
            [b' ', text @ ..] => text,
            // Greetings such as `+OK<1896.697170952@...>` are within the
            // grammar of RFC 2449 §3.
            [b'<' | b'[', ..] => rest,
            _ => return None,
        };
        let text = String::from_utf8_lossy(rest);
        if let Some(inner) = text.strip_prefix('[')
            && let Some((code, after)) = inner.split_once(']')
            && !code.is_empty()
        {
            return Some(Self {
                status,
                code: Some(ResponseCode::from_code(code)),
                text: after.strip_prefix(' ').unwrap_or(after).to_owned().into(),
            });
        }
        Some(Self {
            status,
            code: None,
            text: text.into_owned().into(),
        })
    }
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.status {
            Status::Ok => "+OK",
            Status::Err => "-ERR",
        })?;
        if let Some(code) = &self.code {
            write!(f, " [{code}]")?;
        }
        if !self.text.is_empty() {
            write!(f, " {}", self.text)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn parse_and_show() {
        for line in [
            "+OK",
            "-ERR",
            "+OK 2 320",
            "-ERR [IN-USE] Do you have another POP session running?",
            "-ERR [SYS/TEMP] later",
            "-ERR [X-NEW/ONE]",
        ] {
            assert_eq!(Reply::parse(line.as_bytes()).unwrap().to_string(), line);
        }
        let reply = Reply::parse(b"-ERR [in-use] x").unwrap();
        assert_eq!(reply.code, Some(ResponseCode::InUse));
        for bad in ["", "OK", "+ok", "+OKAY", "-ERROR x", "+ abc"] {
            assert_eq!(Reply::parse(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn what_is_not_one_line() {
        assert!(Reply::ok("a\r\nb").fault().is_some());
        assert!(Reply::ok("[x] y").fault().is_some());
        assert!(Reply::ok("x".repeat(507)).fault().is_some());
        assert!(Reply::ok("x".repeat(506)).fault().is_none());
        let code = ResponseCode::Other("a]b".into());
        assert!(Reply::err("x").with(code).fault().is_some());
    }

    proptest! {
        #[test]
        fn sound_replies_round_trip(text in "[ -Z^-~][ -~]{0,60}|", ok in any::<bool>()) {
            let reply = if ok { Reply::ok(text) } else { Reply::err(text) };
            prop_assert_eq!(reply.fault(), None);
            prop_assert_eq!(Reply::parse(reply.to_string().as_bytes()), Some(reply));
        }

        #[test]
        fn never_panics(octets in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = Reply::parse(&octets);
            let _ = Reply::parse(&[b"+OK ", &octets[..]].concat());
        }
    }
}
