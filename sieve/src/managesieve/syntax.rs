//! Lines, quoted strings and literals (RFC 5804 §4), read as they come.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use proto_core::{LineScanner, Scan};

/// A word of a command or response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token {
    Atom(String),
    Number(u64),
    Text(Bytes),
    Open,
    Close,
}

/// Reads one command or response line with its literals.
#[derive(Debug)]
pub(super) struct Reader {
    scanner: LineScanner,
    line_limit: usize,
    literal_limit: u64,
    tokens: Vec<Token>,
    literal: Literal,
    fault: Option<Fault>,
}

#[derive(Debug)]
enum Literal {
    None,
    /// Still missing so many octets.
    Reading(BytesMut, u64),
    /// Too large: thrown away.
    Skipping(u64),
}

/// Why a command could not be read; it was skipped to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    LineTooLong,
    LiteralTooLarge,
    BareLf,
    Syntax(&'static str),
}

pub(super) enum Read {
    /// More octets are needed.
    Partial,
    Tokens(Vec<Token>),
    Fault(Fault),
}

/// Words of one command: an endless line of parentheses costs no more.
const TOKENS: usize = 64;

impl Reader {
    pub(super) fn new(line_limit: usize, literal_limit: u64) -> Self {
        Self {
            scanner: LineScanner::default(),
            line_limit,
            literal_limit,
            tokens: Vec::new(),
            literal: Literal::None,
            fault: None,
        }
    }

    /// Takes octets off the front of `input` until a line is complete.
    pub(super) fn read(&mut self, input: &mut BytesMut) -> Read {
        loop {
            match std::mem::replace(&mut self.literal, Literal::None) {
                Literal::None => {}
                Literal::Reading(mut octets, missing) => {
                    let take = usize::try_from(missing)
                        .unwrap_or(usize::MAX)
                        .min(input.len());
                    octets.put(input.split_to(take));
                    let left = missing - u64::try_from(take).unwrap_or(missing);
                    if left > 0 {
                        self.literal = Literal::Reading(octets, left);
                        return Read::Partial;
                    }
                    self.tokens.push(Token::Text(octets.freeze()));
                }
                Literal::Skipping(missing) => {
                    let take = usize::try_from(missing)
                        .unwrap_or(usize::MAX)
                        .min(input.len());
                    input.advance(take);
                    let left = missing - u64::try_from(take).unwrap_or(missing);
                    if left > 0 {
                        self.literal = Literal::Skipping(left);
                        return Read::Partial;
                    }
                }
            }
            let (len, consumed) = match self.scanner.scan(input, self.line_limit) {
                Scan::Partial => return Read::Partial,
                Scan::Skip { consumed } => {
                    input.advance(consumed);
                    return Read::Partial;
                }
                Scan::TooLong { consumed } => {
                    input.advance(consumed);
                    self.fault.get_or_insert(Fault::LineTooLong);
                    return self.finish();
                }
                Scan::BareLf { consumed, .. } => {
                    input.advance(consumed);
                    self.fault.get_or_insert(Fault::BareLf);
                    return self.finish();
                }
                Scan::Line { len, consumed } => (len, consumed),
            };
            let mut line = input.split_to(consumed);
            line.truncate(len);
            let literal = match tokenize(&line, &mut self.tokens) {
                Ok(literal) => literal,
                Err(fault) => {
                    self.fault.get_or_insert(fault);
                    None
                }
            };
            match literal {
                None => return self.finish(),
                Some(size) if size > self.literal_limit || self.fault.is_some() => {
                    self.fault.get_or_insert(Fault::LiteralTooLarge);
                    self.literal = Literal::Skipping(size);
                }
                Some(size) => self.literal = Literal::Reading(BytesMut::new(), size),
            }
        }
    }

    fn finish(&mut self) -> Read {
        let tokens = std::mem::take(&mut self.tokens);
        match self.fault.take() {
            Some(fault) => Read::Fault(fault),
            None => Read::Tokens(tokens),
        }
    }
}

/// Cuts a line into words; the size of the literal that it ends with, if it does.
fn tokenize(line: &[u8], out: &mut Vec<Token>) -> Result<Option<u64>, Fault> {
    let mut rest = line;
    while let Some((&octet, tail)) = rest.split_first() {
        if out.len() >= TOKENS {
            return Err(Fault::Syntax("too many words"));
        }
        match octet {
            b' ' => rest = tail,
            b'(' => {
                out.push(Token::Open);
                rest = tail;
            }
            b')' => {
                out.push(Token::Close);
                rest = tail;
            }
            b'"' => {
                let mut text = Vec::new();
                let mut octets = tail.iter();
                loop {
                    match octets.next() {
                        None => return Err(Fault::Syntax("a quoted string is not closed")),
                        Some(b'"') => break,
                        Some(b'\\') => match octets.next() {
                            Some(&escaped) => text.push(escaped),
                            None => return Err(Fault::Syntax("a quoted string is not closed")),
                        },
                        Some(b'\0' | b'\r') => {
                            return Err(Fault::Syntax("a control character in a quoted string"));
                        }
                        Some(&other) => text.push(other),
                    }
                }
                out.push(Token::Text(text.into()));
                rest = octets.as_slice();
            }
            b'{' => {
                let inner = tail
                    .strip_suffix(b"+}")
                    .or_else(|| tail.strip_suffix(b"}"))
                    .ok_or(Fault::Syntax("a literal that is none"))?;
                let digits = std::str::from_utf8(inner).ok().filter(|text| {
                    !text.is_empty() && text.len() <= 10 && text.bytes().all(|c| c.is_ascii_digit())
                });
                let size = digits.and_then(|text| text.parse().ok());
                return size
                    .map(Some)
                    .ok_or(Fault::Syntax("a literal that is none"));
            }
            _ => {
                let end = rest
                    .iter()
                    .position(|c| matches!(c, b' ' | b'(' | b')' | b'"' | b'{'))
                    .unwrap_or(rest.len());
                let (word, tail) = rest.split_at_checked(end).unwrap_or((rest, &[]));
                if !word.iter().all(u8::is_ascii_graphic) {
                    return Err(Fault::Syntax("octets that form no word"));
                }
                let word = String::from_utf8_lossy(word).into_owned();
                out.push(match word.parse::<u64>() {
                    Ok(number) if word.bytes().all(|c| c.is_ascii_digit()) => Token::Number(number),
                    _ => Token::Atom(word),
                });
                rest = tail;
            }
        }
    }
    Ok(None)
}

/// Longest quoted string (RFC 5804 §4).
const QUOTED: usize = 1024;

/// Appends a string: quoted where it can be, else as a literal (`{n}` from servers, `{n+}` from clients).
pub(super) fn put_string(out: &mut BytesMut, text: &[u8], client: bool) {
    let quotable = text.len() <= QUOTED
        && !text.iter().any(|c| matches!(c, b'\r' | b'\n' | b'\0'))
        && std::str::from_utf8(text).is_ok();
    if quotable {
        out.put_u8(b'"');
        for &octet in text {
            if octet == b'"' || octet == b'\\' {
                out.put_u8(b'\\');
            }
            out.put_u8(octet);
        }
        out.put_u8(b'"');
    } else {
        let plus = if client { "+" } else { "" };
        out.put_slice(format!("{{{}{plus}}}\r\n", text.len()).as_bytes());
        out.put_slice(text);
    }
}

/// Whether a script may have this name (RFC 5804 §1.6).
pub(super) fn is_script_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 512
        && !name
            .chars()
            .any(|c| c.is_control() || c == '\u{2028}' || c == '\u{2029}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(octets: &[u8]) -> Vec<Result<Vec<Token>, Fault>> {
        let mut reader = Reader::new(64, 16);
        let mut input = BytesMut::from(octets);
        let mut out = Vec::new();
        loop {
            match reader.read(&mut input) {
                Read::Partial => return out,
                Read::Tokens(tokens) => out.push(Ok(tokens)),
                Read::Fault(fault) => out.push(Err(fault)),
            }
        }
    }

    /// RFC 5804 §1.6; what a file system makes of a slash or of dots is for the host to refuse.
    #[test]
    fn names_of_scripts() {
        let longest = "\u{1F600}".repeat(128);
        for good in [
            "a",
            " ",
            "a/b",
            "..",
            "\u{a0}",
            "\u{2027}\u{202a}",
            &longest,
        ] {
            assert!(is_script_name(good), "{good:?}");
        }
        let controls = (0..0x20).chain(0x7F..0xA0).chain([0x2028, 0x2029]);
        for control in controls.filter_map(char::from_u32) {
            for bad in [format!("{control}"), format!("a{control}b")] {
                assert!(!is_script_name(&bad), "{bad:?}");
            }
        }
        assert!(!is_script_name(""));
        assert!(!is_script_name(&format!("{longest}a")));
    }

    #[test]
    fn words_and_literals() {
        let text = |text: &'static str| Token::Text(Bytes::from_static(text.as_bytes()));
        assert_eq!(
            read(b"PUT \"a\\\"b\" {3+}\r\nx\r\n 7 (A/B)\r\n"),
            [Ok(vec![
                Token::Atom("PUT".into()),
                text("a\"b"),
                text("x\r\n"),
                Token::Number(7),
                Token::Open,
                Token::Atom("A/B".into()),
                Token::Close,
            ])]
        );
    }

    #[test]
    fn faults_are_skipped_to_their_end() {
        let noop = || Ok(vec![Token::Atom("NOOP".into())]);
        assert_eq!(
            read(b"PUT {20+}\r\nNOOP\r\nNOOP\r\nNOOP...\r\n\r\nNOOP\r\n"),
            [Err(Fault::LiteralTooLarge), Ok(vec![]), noop()]
        );
        assert_eq!(read(b"NOOP\nNOOP\r\n"), [Err(Fault::BareLf), noop()]);
        let long = [b"x".repeat(100), b"\r\nNOOP\r\n".to_vec()].concat();
        assert_eq!(read(&long), [Err(Fault::LineTooLong), noop()]);
    }
}
