//! Replies (RFC 5321 §4.2, RFC 2034, RFC 3463).

mod enhanced;
mod parse;
mod text;

use std::borrow::Cow;
use std::fmt;

use bytes::BytesMut;

pub use self::enhanced::EnhancedCode;
pub use self::parse::ReplyParser;
pub(crate) use self::parse::{Line, lossy};
use self::text::Text;
use crate::octets;

/// Octets of a reply line with its CRLF (RFC 5321 §4.5.3.1.5).
const LINE_MAX: usize = 512;

/// Octets of the codes and the spaces behind them, at the most.
const PREFIX_MAX: usize = 20;

/// What a reply's first digit says (RFC 5321 §4.2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// 2yz: done.
    Positive,
    /// 3yz: go on.
    Intermediate,
    /// 4yz: not now; the same command may succeed later.
    Transient,
    /// 5yz: not ever, as it was put.
    Permanent,
}

/// A reply: code, enhanced code, one or more lines of text.
///
/// ```
/// use smtp_proto::Reply;
///
/// let reply = Reply::new(550, [5, 1, 1], "<b@example.org>: no such user");
/// assert_eq!(reply.to_string(), "550 5.1.1 <b@example.org>: no such user");
/// assert_eq!(Reply::bare(354, "End data").to_string(), "354 End data");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    code: u16,
    enhanced: Option<EnhancedCode>,
    text: Text,
}

impl Reply {
    /// A reply with an enhanced code. Lines of `text` are parted by `\n`.
    #[must_use]
    pub fn new(
        code: u16,
        enhanced: impl Into<EnhancedCode>,
        text: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self {
            code,
            enhanced: Some(enhanced.into()),
            text: text.into().into(),
        }
    }

    /// A reply without an enhanced code: greetings, EHLO, 3yz.
    #[must_use]
    pub fn bare(code: u16, text: impl Into<Cow<'static, str>>) -> Self {
        Self {
            code,
            enhanced: None,
            text: text.into().into(),
        }
    }

    /// The code of three digits.
    #[must_use]
    pub fn code(&self) -> u16 {
        self.code
    }

    /// The enhanced code, where there is one.
    #[must_use]
    pub fn enhanced(&self) -> Option<EnhancedCode> {
        self.enhanced
    }

    /// The text, lines parted by `\n`, without the codes.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The lines of text.
    pub fn lines(&self) -> impl Iterator<Item = &str> {
        self.text.split('\n')
    }

    /// What the code's first digit says; nothing for a code that is none.
    #[must_use]
    pub fn severity(&self) -> Option<Severity> {
        match self.code {
            200..=299 => Some(Severity::Positive),
            300..=399 => Some(Severity::Intermediate),
            400..=499 => Some(Severity::Transient),
            500..=599 => Some(Severity::Permanent),
            _ => None,
        }
    }

    /// Whether the code is 2yz.
    #[must_use]
    pub fn is_positive(&self) -> bool {
        self.severity() == Some(Severity::Positive)
    }

    /// Whether the code is 4yz.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        self.severity() == Some(Severity::Transient)
    }

    /// Whether the code is 5yz.
    #[must_use]
    pub fn is_permanent(&self) -> bool {
        self.severity() == Some(Severity::Permanent)
    }

    /// Appends the reply as it goes over the wire.
    ///
    /// Whatever the text holds, each line ends in CRLF, has its code, and is
    /// at most 512 octets long: longer ones are folded, control characters
    /// become spaces.
    pub fn encode(&self, out: &mut BytesMut) {
        self.encode_with(self.enhanced, out);
    }

    pub(crate) fn encode_with(&self, enhanced: Option<EnhancedCode>, out: &mut BytesMut) {
        let text = self.text.as_bytes();
        if text.len() <= LINE_MAX - 2 - PREFIX_MAX && !octets::survey(text).control {
            out.reserve(PREFIX_MAX + text.len() + 2);
            // Copies of a fixed size are a store or two.
            match enhanced.and_then(EnhancedCode::digits) {
                Some([class, subject, detail]) => {
                    let [a, b, c] = three_digits(self.code);
                    out.extend_from_slice(&[
                        a, b, c, b' ', class, b'.', subject, b'.', detail, b' ',
                    ]);
                }
                None => out.extend_from_slice(Prefix::new(self.code, enhanced).text()),
            }
            out.extend_from_slice(text);
            out.extend_from_slice(b"\r\n");
            return;
        }
        self.encode_lines(Prefix::new(self.code, enhanced), out);
    }

    /// Of several lines, or of one that is too long or holds what it must not.
    fn encode_lines(&self, mut prefix: Prefix, out: &mut BytesMut) {
        let room = LINE_MAX - 2 - prefix.len;
        let control = |octet: u8| octet < b' ' || octet == 127;
        let mut lines = self.text.split('\n').peekable();
        while let Some(line) = lines.next() {
            let mut rest = line.strip_suffix('\r').unwrap_or(line);
            loop {
                let (now, later) = fold(rest, room);
                let last = later.is_empty() && lines.peek().is_none();
                prefix.mark(last);
                out.extend_from_slice(prefix.text());
                out.extend(now.bytes().map(|octet| match control(octet) {
                    true => b' ',
                    false => octet,
                }));
                out.extend_from_slice(b"\r\n");
                if later.is_empty() {
                    break;
                }
                rest = later;
            }
        }
    }
}

/// On one line, as a log shows it.
impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:03}", self.code)?;
        if let Some(enhanced) = self.enhanced {
            write!(f, " {enhanced}")?;
        }
        for line in self.lines() {
            write!(f, " {}", line.trim_end_matches('\r'))?;
        }
        Ok(())
    }
}

fn three_digits(code: u16) -> [u8; 3] {
    let digit = |value: u16| b'0' + u8::try_from(value % 10).unwrap_or_default();
    [digit(code / 100), digit(code / 10), digit(code)]
}

/// `250 2.1.0 `, written without allocating.
struct Prefix {
    octets: [u8; PREFIX_MAX],
    len: usize,
}

impl Prefix {
    fn new(code: u16, enhanced: Option<EnhancedCode>) -> Self {
        let mut prefix = Self {
            octets: [b' '; PREFIX_MAX],
            len: 4,
        };
        for (to, from) in prefix.octets.iter_mut().zip(three_digits(code)) {
            *to = from;
        }
        if let Some(enhanced) = enhanced {
            prefix.number(u16::from(enhanced.class));
            prefix.push(b'.');
            prefix.number(enhanced.subject);
            prefix.push(b'.');
            prefix.number(enhanced.detail);
            prefix.push(b' ');
        }
        prefix
    }

    fn push(&mut self, octet: u8) {
        if let Some(slot) = self.octets.get_mut(self.len) {
            *slot = octet;
            self.len += 1;
        }
    }

    fn number(&mut self, value: u16) {
        // Three digits at the most (RFC 3463 §2).
        let value = value.min(999);
        if value < 10 {
            return self.push(b'0' + u8::try_from(value).unwrap_or_default());
        }
        let [hundreds, tens, ones] = three_digits(value);
        if value >= 100 {
            self.push(hundreds);
        }
        self.push(tens);
        self.push(ones);
    }

    /// Whether another line of the reply follows.
    fn mark(&mut self, last: bool) {
        if let Some(slot) = self.octets.get_mut(3) {
            *slot = if last { b' ' } else { b'-' };
        }
    }

    fn text(&self) -> &[u8] {
        self.octets.get(..self.len).unwrap_or_default()
    }
}

/// Cuts what fits off the front, at a space if there is one.
fn fold(line: &str, room: usize) -> (&str, &str) {
    if line.len() <= room {
        return (line, "");
    }
    let end = (0..=room)
        .rev()
        .find(|&at| line.is_char_boundary(at))
        .unwrap_or(0);
    let (fits, _) = line.split_at(end);
    match fits.rfind(' ') {
        Some(space) if space > 0 => {
            let (now, later) = line.split_at(space);
            (now, later.strip_prefix(' ').unwrap_or(later))
        }
        _ => line.split_at(end.max(1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ParseError;

    fn wire(reply: &Reply) -> String {
        let mut out = BytesMut::new();
        reply.encode(&mut out);
        String::from_utf8(out.to_vec()).unwrap()
    }

    #[test]
    fn encodes() {
        assert_eq!(wire(&Reply::new(250, [2, 1, 0], "Ok")), "250 2.1.0 Ok\r\n");
        assert_eq!(wire(&Reply::bare(250, "a\nb")), "250-a\r\n250 b\r\n");
        assert_eq!(wire(&Reply::bare(250, "a\r\nb")), "250-a\r\n250 b\r\n");
        assert_eq!(wire(&Reply::bare(250, "")), "250 \r\n");
        assert_eq!(wire(&Reply::bare(250, "a\rb\0")), "250 a b \r\n");
        assert_eq!(
            wire(&Reply::new(550, [5, 7, 512], "x")),
            "550 5.7.512 x\r\n"
        );
    }

    #[test]
    fn folds_long_lines() {
        for text in ["word ".repeat(300), "ü".repeat(900), "x".repeat(1500)] {
            let all = wire(&Reply::new(550, [5, 1, 1], text));
            let lines: Vec<&str> = all.split_inclusive("\r\n").collect();
            assert!(lines.len() > 2);
            for (index, line) in lines.iter().enumerate() {
                let mark = if index + 1 == lines.len() { ' ' } else { '-' };
                assert!(line.len() <= 512);
                assert!(line.starts_with(&format!("550{mark}5.1.1 ")), "{line}");
            }
        }
    }

    fn parse(lines: &[&str]) -> Result<Option<Reply>, ParseError> {
        let mut parser = ReplyParser::default();
        let mut last = Ok(None);
        for line in lines {
            last = parser.line(line.as_bytes());
        }
        last
    }

    #[test]
    fn parses() {
        assert_eq!(
            parse(&["250 2.1.0 Ok"]),
            Ok(Some(Reply::new(250, [2, 1, 0], "Ok")))
        );
        assert_eq!(parse(&["250"]), Ok(Some(Reply::bare(250, ""))));
        assert_eq!(
            parse(&["250 5.1.0 x"]),
            Ok(Some(Reply::bare(250, "5.1.0 x")))
        );
        assert_eq!(
            parse(&["220 1.2.3.4 hi"]),
            Ok(Some(Reply::bare(220, "1.2.3.4 hi")))
        );
        assert_eq!(parse(&["250-a", "250"]), Ok(Some(Reply::bare(250, "a\n"))));
        assert_eq!(parse(&["250-a"]), Ok(None));
        for bad in [
            &["250-a", "251 b"][..],
            &["25"],
            &["2500 a"],
            &["150 a"],
            &["650 a"],
            &["abc"],
            &[""],
            &[" 250 a"],
        ] {
            assert!(parse(bad).is_err(), "{bad:?}");
        }
    }
}
