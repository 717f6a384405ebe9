//! Parameters of `Content-Type` and `Content-Disposition`, RFC 2045 §5.1 and RFC 2231.

use std::borrow::Cow;
use std::collections::HashSet;

use crate::charset;
use crate::encoded_word::hex_pair;

/// A `Content-Type` value, RFC 2045 §5.1.
///
/// ```
/// let value = mime::ContentType::parse("text/plain; charset=us-ascii (Plain text)").unwrap();
/// assert!(value.is("TEXT", "*"));
/// assert_eq!(value.parameter("charset").unwrap(), "us-ascii");
/// ```
#[derive(Clone, Copy, Debug)]
pub struct ContentType<'a> {
    main: &'a [u8],
    sub: &'a [u8],
    parameters: Parameters<'a>,
}

impl<'a> ContentType<'a> {
    /// Reads an unfolded value; `None` unless it begins with `type "/" subtype`.
    pub fn parse(value: &'a str) -> Option<Self> {
        Self::parse_octets(value.as_bytes())
    }

    pub(crate) fn parse_octets(value: &'a [u8]) -> Option<Self> {
        let (main, rest) = token(skip_cfws(value));
        let rest = skip_cfws(rest).strip_prefix(b"/")?;
        let (sub, rest) = token(skip_cfws(rest));
        if main.is_empty() || sub.is_empty() {
            return None;
        }
        Some(Self {
            main,
            sub,
            parameters: Parameters { rest },
        })
    }

    /// The type, as written.
    pub fn main(&self) -> &'a str {
        as_str(self.main)
    }

    /// The subtype, as written.
    pub fn sub(&self) -> &'a str {
        as_str(self.sub)
    }

    /// Whether type and subtype are these, in any case; `*` stands for any subtype.
    pub fn is(&self, main: &str, sub: &str) -> bool {
        self.main.eq_ignore_ascii_case(main.as_bytes())
            && (sub == "*" || self.sub.eq_ignore_ascii_case(sub.as_bytes()))
    }

    /// The parameters as written.
    pub fn parameters(&self) -> Parameters<'a> {
        self.parameters
    }

    /// One parameter, see [`Parameters::find`].
    pub fn parameter(&self, name: &str) -> Option<Cow<'a, str>> {
        self.parameters.find(name)
    }

    /// The boundary, octet for octet.
    pub(crate) fn boundary(&self) -> Option<Cow<'a, [u8]>> {
        // The same rule as for every other parameter, so that the tree and who asks for the
        // parameter see the same boundary.
        let value = match self.parameters.gather("boundary") {
            (_, Some(segments)) => Cow::Owned(join(&segments).into_bytes()),
            (plain, None) => plain?,
        };
        // It does not end in white space, RFC 2046 §5.1.1.
        Some(match value {
            Cow::Borrowed(value) => Cow::Borrowed(value.trim_ascii_end()),
            Cow::Owned(value) => Cow::Owned(value.trim_ascii_end().to_vec()),
        })
    }
}

/// A `Content-Disposition` value, RFC 2183.
#[derive(Clone, Copy, Debug)]
pub struct Disposition<'a> {
    kind: &'a [u8],
    parameters: Parameters<'a>,
}

impl<'a> Disposition<'a> {
    /// Reads an unfolded value; `None` unless it begins with a token.
    pub fn parse(value: &'a str) -> Option<Self> {
        let (kind, rest) = token(skip_cfws(value.as_bytes()));
        (!kind.is_empty()).then_some(Self {
            kind,
            parameters: Parameters { rest },
        })
    }

    /// `inline`, `attachment` or another disposition type, as written.
    pub fn kind(&self) -> &'a str {
        as_str(self.kind)
    }

    /// Whether the disposition type is this, in any case.
    pub fn is(&self, kind: &str) -> bool {
        self.kind.eq_ignore_ascii_case(kind.as_bytes())
    }

    /// The parameters as written.
    pub fn parameters(&self) -> Parameters<'a> {
        self.parameters
    }

    /// One parameter, see [`Parameters::find`].
    pub fn parameter(&self, name: &str) -> Option<Cow<'a, str>> {
        self.parameters.find(name)
    }
}

/// The parameters of a value. Iterates over them as they are written, as BODYSTRUCTURE shows
/// them: names with RFC 2231 asterisks, values unquoted but not decoded.
///
/// Read with the latitude that mail needs: white space in unquoted values, quotes that never
/// close, missing and doubled semicolons.
#[derive(Clone, Copy, Debug)]
pub struct Parameters<'a> {
    rest: &'a [u8],
}

/// RFC 2231 continuations beyond this many are ignored: a file name does not have thousands of
/// pieces, and gathering them costs a search each.
const SEGMENTS: u32 = 100;

/// [`Parameters::joined`] stops at this many names, for each costs a search.
const NAMES: usize = 100;

/// Number, whether it is percent-encoded, and value.
type Segment<'a> = (u32, bool, Cow<'a, [u8]>);

impl<'a> Parameters<'a> {
    /// The value of a parameter (ASCII case of the name does not matter) with RFC 2231
    /// continuations joined and charsets decoded.
    ///
    /// If a parameter comes both plain and in RFC 2231 form, the latter wins.
    ///
    /// ```
    /// let value = mime::ContentType::parse(
    ///     "application/x-stuff; title*0*=us-ascii'en'This%20is%20even%20more%20; \
    ///      title*1*=%2A%2A%2Afun%2A%2A%2A%20; title*2=\"isn't it!\"",
    /// )
    /// .unwrap();
    /// assert_eq!(value.parameter("title").unwrap(), "This is even more ***fun*** isn't it!");
    /// ```
    pub fn find(&self, name: &str) -> Option<Cow<'a, str>> {
        match self.gather(name) {
            (_, Some(segments)) => Some(Cow::Owned(join(&segments))),
            (plain, None) => plain.map(text),
        }
    }

    /// All parameters as [`find`](Self::find) reads them, each name once, without the asterisks of
    /// RFC 2231, in the order in which they first appear.
    ///
    /// ```
    /// let value = mime::Disposition::parse("attachment; filename*0=\"a \"; filename*1=b; size=1");
    /// let all = value.unwrap().parameters().joined();
    /// assert_eq!(all[0], mime::Parameter { name: "filename".into(), value: "a b".into() });
    /// assert_eq!(all.len(), 2);
    /// ```
    pub fn joined(&self) -> Vec<Parameter<'a>> {
        let mut seen = HashSet::new();
        let mut out = Vec::new();
        for (own, _) in RawParameters(self.rest) {
            let name = own.split(|&byte| byte == b'*').next().unwrap_or(own);
            if out.len() == NAMES || !seen.insert(name.to_ascii_lowercase()) {
                continue;
            }
            let name = String::from_utf8_lossy(name);
            if let Some(value) = self.find(&name) {
                out.push(Parameter { name, value });
            }
        }
        out
    }

    /// The plain form of a parameter, and the segments of its RFC 2231 form from the first one on.
    fn gather(&self, name: &str) -> (Option<Cow<'a, [u8]>>, Option<Vec<Segment<'a>>>) {
        let mut plain = None;
        let mut segments: Vec<Segment<'a>> = Vec::new();
        for (own, value) in RawParameters(self.rest) {
            let Some((own, suffix)) = own.split_at_checked(name.len()) else {
                continue;
            };
            if !own.eq_ignore_ascii_case(name.as_bytes()) {
                continue;
            }
            match suffix {
                [] => plain = plain.or(Some(value)),
                [b'*', suffix @ ..] => {
                    if let Some((number, extended)) = segment_number(suffix)
                        && number < SEGMENTS
                        && !segments.iter().any(|&(other, ..)| other == number)
                    {
                        segments.push((number, extended, value));
                    }
                }
                _ => {}
            }
        }
        segments.sort_by_key(|&(number, ..)| number);
        let begins = segments.first().is_some_and(|&(number, ..)| number == 0);
        (plain, begins.then_some(segments))
    }
}

impl<'a> IntoIterator for Parameters<'a> {
    type Item = Parameter<'a>;
    type IntoIter = ParameterIter<'a>;

    fn into_iter(self) -> ParameterIter<'a> {
        ParameterIter(RawParameters(self.rest))
    }
}

/// Iterator over [`Parameters`].
#[derive(Clone, Debug)]
pub struct ParameterIter<'a>(RawParameters<'a>);

impl<'a> Iterator for ParameterIter<'a> {
    type Item = Parameter<'a>;

    fn next(&mut self) -> Option<Parameter<'a>> {
        let (name, value) = self.0.next()?;
        Some(Parameter {
            name: String::from_utf8_lossy(name),
            value: text(value),
        })
    }
}

/// One parameter as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter<'a> {
    /// The name, with the asterisks of RFC 2231.
    pub name: Cow<'a, str>,
    /// The value without its quotes.
    pub value: Cow<'a, str>,
}

/// What follows the asterisk of a name: `""` | `n ["*"]`, RFC 2231 §3 and §4.1.
fn segment_number(suffix: &[u8]) -> Option<(u32, bool)> {
    let (digits, extended) = match suffix {
        [] => return Some((0, true)),
        [digits @ .., b'*'] => (digits, true),
        digits => (digits, false),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number = std::str::from_utf8(digits).ok()?.parse().ok()?;
    Some((number, extended))
}

/// Joins segments up to the first gap. The first extended one names the charset.
fn join(segments: &[Segment<'_>]) -> String {
    let mut octets = Vec::new();
    let mut label = String::new();
    for ((number, extended, value), expected) in segments.iter().zip(0..) {
        if *number != expected {
            break;
        }
        let mut value: &[u8] = value;
        if !extended {
            octets.extend_from_slice(value);
            continue;
        }
        // The first one should name it; some writers put it where it is needed.
        if label.is_empty() {
            let mut pieces = value.splitn(3, |&byte| byte == b'\'');
            if let (Some(charset), Some(_), Some(rest)) =
                (pieces.next(), pieces.next(), pieces.next())
                && let charset = String::from_utf8_lossy(charset)
                && (*number == 0 || charset::is_known(&charset))
            {
                label = charset.into_owned();
                value = rest;
            }
        }
        while let [byte, rest @ ..] = value {
            value = rest;
            match hex_pair(rest).filter(|_| *byte == b'%') {
                Some(decoded) => {
                    octets.push(decoded);
                    value = rest.get(2..).unwrap_or_default();
                }
                None => octets.push(*byte),
            }
        }
    }
    charset::decode(&label, &octets).into_owned()
}

fn text(value: Cow<'_, [u8]>) -> Cow<'_, str> {
    match value {
        Cow::Borrowed(value) => charset::guess(value),
        Cow::Owned(value) => Cow::Owned(charset::guess(&value).into_owned()),
    }
}

/// `*(";" attribute "=" value)` in octets.
#[derive(Clone, Debug)]
struct RawParameters<'a>(&'a [u8]);

impl<'a> Iterator for RawParameters<'a> {
    type Item = (&'a [u8], Cow<'a, [u8]>);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let mut rest = skip_cfws(self.0);
            while let [b';', tail @ ..] = rest {
                rest = skip_cfws(tail);
            }
            let (name, rest) = token(rest);
            let rest = skip_cfws(rest);
            match rest {
                [b'=', rest @ ..] if !name.is_empty() => {
                    let (value, rest) = value(skip_cfws(rest));
                    self.0 = rest;
                    return Some((name, value));
                }
                [] => {
                    self.0 = rest;
                    return None;
                }
                // No parameter: go on behind it.
                [b';', ..] => self.0 = rest,
                [_, tail @ ..] if name.is_empty() => self.0 = tail,
                _ => self.0 = rest,
            }
        }
    }
}

/// A quoted string, or everything up to a semicolon or comment. RFC 2045 allows one token only, but
/// unquoted file names with spaces are common.
fn value(text: &[u8]) -> (Cow<'_, [u8]>, &[u8]) {
    if let [b'"', rest @ ..] = text {
        return unquote(rest, |octet| matches!(octet, b'"' | b'\\'));
    }
    let mut end = 0;
    let mut previous = b'a';
    for &byte in text {
        if byte == b';' || (byte == b'(' && matches!(previous, b' ' | b'\t')) {
            break;
        }
        previous = byte;
        end += 1;
    }
    let (value, rest) = text.split_at(end);
    (Cow::Borrowed(value.trim_ascii_end()), rest)
}

/// The inside of a quoted string (RFC 5322 §3.2.4) whose opening quote is gone, and what is behind
/// its closing quote. Borrows unless there are quoted pairs.
pub(crate) fn quoted(text: &[u8]) -> (Cow<'_, [u8]>, &[u8]) {
    unquote(text, |_| true)
}

/// As [`quoted`], where a backslash stands for itself unless such an octet follows. File names of
/// some writers hold plain backslashes.
fn unquote(text: &[u8], escapes: fn(u8) -> bool) -> (Cow<'_, [u8]>, &[u8]) {
    let special = memchr::memchr2(b'"', b'\\', text).unwrap_or(text.len());
    let (plain, rest) = text.split_at(special);
    if let [b'"', rest @ ..] = rest {
        return (Cow::Borrowed(plain), rest);
    }
    let mut out = plain.to_vec();
    let mut rest = rest;
    loop {
        match rest {
            [b'\\', byte, tail @ ..] if escapes(*byte) => {
                out.push(*byte);
                rest = tail;
            }
            [b'"', tail @ ..] => {
                rest = tail;
                break;
            }
            [] | [b'\\'] => {
                rest = &[];
                break;
            }
            [byte, tail @ ..] => {
                out.push(*byte);
                rest = tail;
            }
        }
    }
    (Cow::Owned(out), rest)
}

/// Skips white space and comments, RFC 5322 §3.2.2. An unclosed comment is skipped to the end.
pub(crate) fn skip_cfws(mut text: &[u8]) -> &[u8] {
    loop {
        text = text.trim_ascii_start();
        let [b'(', rest @ ..] = text else {
            return text;
        };
        text = comment(rest).1;
    }
}

/// The inside of a comment whose opening parenthesis is gone, and what is behind it.
pub(crate) fn comment(text: &[u8]) -> (&[u8], &[u8]) {
    let mut depth = 1u32;
    let mut escaped = false;
    for (at, &byte) in text.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'(' => depth = depth.saturating_add(1),
            b')' => {
                depth -= 1;
                if depth == 0 {
                    let (inside, rest) = text.split_at(at);
                    return (inside, rest.get(1..).unwrap_or_default());
                }
            }
            _ => {}
        }
    }
    (text, &[])
}

/// A token, RFC 2045 §5.1; `/`, `?`, `[` and the like end it, 8-bit octets do not.
fn token(text: &[u8]) -> (&[u8], &[u8]) {
    let end = text.iter().position(|&byte| {
        byte <= b' '
            || matches!(
                byte,
                b'(' | b')'
                    | b'<'
                    | b'>'
                    | b'@'
                    | b','
                    | b';'
                    | b':'
                    | b'\\'
                    | b'"'
                    | b'/'
                    | b'['
                    | b']'
                    | b'?'
                    | b'='
                    | 127
            )
    });
    text.split_at(end.unwrap_or(text.len()))
}

fn as_str(octets: &[u8]) -> &str {
    std::str::from_utf8(octets).unwrap_or_default()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn raw(value: &str) -> Vec<(String, String)> {
        let value = ContentType::parse(value).unwrap();
        value
            .parameters()
            .into_iter()
            .map(|parameter| (parameter.name.into_owned(), parameter.value.into_owned()))
            .collect()
    }

    fn find(value: &str, name: &str) -> Option<String> {
        let value = format!("a/b; {value}");
        let value = ContentType::parse(&value).unwrap();
        value.parameter(name).map(Cow::into_owned)
    }

    #[test]
    fn content_types() {
        let value = ContentType::parse(" Text / (x) HTML ;charset=x").unwrap();
        assert_eq!((value.main(), value.sub()), ("Text", "HTML"));
        assert!(value.is("text", "html") && value.is("text", "*") && !value.is("text", "plain"));
        for bad in ["", "text", "text/", "/plain", "; a=b", "(text/plain)"] {
            assert!(ContentType::parse(bad).is_none(), "{bad}");
        }
        assert_eq!(Disposition::parse("INLINE;x=y").unwrap().kind(), "INLINE");
    }

    #[test]
    fn parameters_as_written() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(
            raw("a/b; one=1 (c;d) ; two=\"2; \\\"x\\\"\";; three = a b.txt ;junk; four*0*=''%20"),
            [
                pair("one", "1"),
                pair("two", "2; \"x\""),
                pair("three", "a b.txt"),
                pair("four*0*", "''%20"),
            ]
        );
        assert_eq!(raw("a/b; x=\"C:\\a\\\\b\\\"\""), [pair("x", "C:\\a\\b\"")]);
        assert_eq!(raw("text/plain charset=utf-8"), [pair("charset", "utf-8")]);
        assert_eq!(
            raw("a/b; x=\"never closed; y=z"),
            [pair("x", "never closed; y=z")]
        );
        assert_eq!(raw("a/b; =x; @; y="), [pair("y", "")]);
    }

    #[test]
    fn rfc_2231() {
        assert_eq!(
            find("URL*0=\"ftp://\"; URL*1=\"cs.utk.edu/pub\"", "url").unwrap(),
            "ftp://cs.utk.edu/pub"
        );
        assert_eq!(
            find(
                "title*=us-ascii'en-us'This%20is%20%2A%2A%2Afun%2A%2A%2A",
                "title"
            )
            .unwrap(),
            "This is ***fun***"
        );
        assert_eq!(find("n*=iso-8859-1''f%FCr; n=fur", "n").unwrap(), "für");
        assert_eq!(find("n*1=b; n*0=a; n*3=d", "n").unwrap(), "ab");
        assert_eq!(find("n*1=b; n=x", "n").unwrap(), "x");
        assert_eq!(
            find("n*2*=%20x; n*0=a; n*1*=utf-8''%C3%A4", "n").unwrap(),
            "aä x"
        );
        assert_eq!(find("n*=no-quotes%21", "n").unwrap(), "no-quotes!");
        assert_eq!(find("name=a", "nam"), None);
        let value = ContentType::parse("a/b; boundary=x; boundary*=us-ascii''y%20").unwrap();
        assert_eq!(value.parameter("boundary").unwrap(), "y ");
        assert_eq!(*value.boundary().unwrap(), *b"y");
        assert_eq!(find("n*x=a", "n"), None);
    }
}
