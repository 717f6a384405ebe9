use std::fmt;

/// An enhanced status code, `class.subject.detail` (RFC 3463).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EnhancedCode {
    /// 2 success, 4 persistent transient failure, 5 permanent failure.
    pub class: u8,
    /// What it is about: 1 address, 2 mailbox, 3 system, 4 network,
    /// 5 protocol, 6 content, 7 security.
    pub subject: u16,
    /// What of it.
    pub detail: u16,
}

impl EnhancedCode {
    /// `class.subject.detail`
    #[must_use]
    pub const fn new(class: u8, subject: u16, detail: u16) -> Self {
        Self {
            class,
            subject,
            detail,
        }
    }

    /// Reads the code at the front of `text`; answers what follows its space.
    #[must_use]
    pub fn parse_prefix(text: &str) -> Option<(Self, &str)> {
        let (code, rest) = Self::read(text.as_bytes())?;
        // What is left begins behind ASCII.
        Some((code, text.get(text.len() - rest.len()..)?))
    }

    /// What it is written with, if that is three digits, as it mostly is.
    #[inline]
    pub(super) fn digits(self) -> Option<[u8; 3]> {
        let digit = |value: u16| match u8::try_from(value) {
            Ok(value @ 0..=9) => Some(b'0' + value),
            _ => None,
        };
        Some([
            digit(self.class.into())?,
            digit(self.subject)?,
            digit(self.detail)?,
        ])
    }

    pub(super) fn read(text: &[u8]) -> Option<(Self, &[u8])> {
        let (class, rest) = match text {
            [class @ (b'2' | b'4' | b'5'), b'.', rest @ ..] => (class - b'0', rest),
            _ => return None,
        };
        let (subject, rest) = Self::number(rest);
        let [b'.', rest @ ..] = rest else {
            return None;
        };
        let (detail, rest) = Self::number(rest);
        let rest = match rest {
            [] => rest,
            [b' ', behind @ ..] => behind,
            _ => return None,
        };
        Some((Self::new(class, subject?, detail?), rest))
    }

    /// `1*3DIGIT`
    fn number(text: &[u8]) -> (Option<u16>, &[u8]) {
        let mut value = None;
        let mut rest = text;
        for _ in 0..3 {
            match rest {
                [digit @ b'0'..=b'9', behind @ ..] => {
                    value = Some(value.unwrap_or(0) * 10 + u16::from(digit - b'0'));
                    rest = behind;
                }
                _ => break,
            }
        }
        (value, rest)
    }
}

impl From<[u16; 3]> for EnhancedCode {
    fn from([class, subject, detail]: [u16; 3]) -> Self {
        Self::new(u8::try_from(class).unwrap_or(u8::MAX), subject, detail)
    }
}

impl fmt::Display for EnhancedCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.class, self.subject, self.detail)
    }
}
