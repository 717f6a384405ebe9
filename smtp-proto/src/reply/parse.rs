use super::text::Text;
use super::{EnhancedCode, Reply};
use crate::error::{ParseError, ParseErrorKind};

/// Octets of text that the reply of a well-equipped server to EHLO has.
const TEXT_ROOM: usize = 256;

/// One line of a reply, without its CRLF.
pub(crate) struct Line<'a> {
    pub(crate) code: u16,
    /// Whether the reply ends with it.
    pub(crate) last: bool,
    enhanced: Option<EnhancedCode>,
    /// What stands behind the codes.
    pub(crate) text: &'a [u8],
}

impl<'a> Line<'a> {
    #[inline]
    pub(crate) fn read(line: &'a [u8]) -> Result<Self, ParseError> {
        let fault = |at| ParseError::new(ParseErrorKind::ReplyCode, at);
        let (code, rest) = match line {
            [a @ b'2'..=b'5', b @ b'0'..=b'9', c @ b'0'..=b'9', rest @ ..] => {
                let value = |digit: &u8| u16::from(digit - b'0');
                (value(a) * 100 + value(b) * 10 + value(c), rest)
            }
            _ => return Err(fault(0)),
        };
        let (last, text) = match rest.split_first() {
            None => (true, rest),
            Some((b' ', text)) => (true, text),
            Some((b'-', text)) => (false, text),
            Some(_) => return Err(fault(3)),
        };
        // RFC 2034 §4: the class is the code's first digit.
        let (enhanced, text) = match text {
            [class, b'.', ..] if Some(class) == line.first() => match EnhancedCode::read(text) {
                Some((enhanced, text)) => (Some(enhanced), text),
                None => (None, text),
            },
            _ => (None, text),
        };
        Ok(Self {
            code,
            last,
            enhanced,
            text,
        })
    }
}

/// Octets that are no UTF-8 are shown as U+FFFD.
pub(crate) fn lossy(text: Vec<u8>) -> String {
    String::from_utf8(text)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

/// Puts a reply together from the lines that a server sends.
///
/// Tolerates what real servers do: a code with nothing behind it, other
/// enhanced codes on later lines, octets that are no UTF-8 (shown as U+FFFD).
/// Lines with differing codes are refused (RFC 5321 §4.2.1).
///
/// ```
/// use smtp_proto::ReplyParser;
///
/// let mut parser = ReplyParser::default();
/// assert_eq!(parser.line(b"250-2.1.0 one")?, None);
/// let reply = parser.line(b"250 2.1.0 two")?.unwrap();
/// assert_eq!((reply.code(), reply.text()), (250, "one\ntwo"));
/// # Ok::<(), smtp_proto::ParseError>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct ReplyParser {
    begun: Option<(u16, Option<EnhancedCode>)>,
    text: Vec<u8>,
}

impl ReplyParser {
    /// Takes a line without its CRLF; answers the reply at its last line.
    ///
    /// # Errors
    /// When the line does not begin with a code from 200 to 599 and a space,
    /// a hyphen or nothing, or with another code than the lines before.
    pub fn line(&mut self, line: &[u8]) -> Result<Option<Reply>, ParseError> {
        let Line {
            code,
            last,
            enhanced,
            text,
        } = Line::read(line)?;
        match &mut self.begun {
            None => {
                self.begun = Some((code, enhanced));
                if !last {
                    self.text.reserve(TEXT_ROOM);
                }
            }
            Some((begun, _)) if *begun != code => {
                return Err(ParseError::new(ParseErrorKind::ReplyCode, 0));
            }
            Some((_, first)) => {
                *first = first.or(enhanced);
                self.text.push(b'\n');
            }
        }
        self.text.extend_from_slice(text);
        if !last {
            return Ok(None);
        }
        let enhanced = self.begun.take().and_then(|(_, enhanced)| enhanced);
        Ok(Some(Reply {
            code,
            enhanced,
            text: Text::from(lossy(std::mem::take(&mut self.text))),
        }))
    }

    /// Octets of text held so far: what a client's limit is checked against.
    #[must_use]
    pub fn len(&self) -> usize {
        self.text.len()
    }

    /// Whether no line of a reply was taken in yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.begun.is_none()
    }
}
