//! What a server offers: the keywords of EHLO's reply (RFC 5321 §4.1.1.1).

use memchr::memchr;

use crate::error::{ParseError, ParseErrorKind};
use crate::octets::{self, keyword};
use crate::parameter::decimal;
use crate::reply::{Line as ReplyLine, Reply, lossy};

/// The service extensions in a reply to EHLO or LHLO.
///
/// Flags and numbers are fields; what is text is looked up in the reply, which
/// is kept.
///
/// ```
/// use smtp_proto::{Capabilities, Reply};
///
/// let reply = Reply::bare(250, "mx.example.org\nSIZE 1000\nAUTH PLAIN LOGIN\nX-NEW a b");
/// let capabilities = Capabilities::from(reply);
/// assert_eq!(capabilities.size, Some(Some(1000)));
/// assert!(capabilities.has_auth("plain"));
/// assert_eq!(capabilities.others().collect::<Vec<_>>(), ["X-NEW a b"]);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Capabilities {
    /// The reply as it came.
    text: String,
    /// SIZE (RFC 1870), with the limit; none or 0 when it tells none.
    pub size: Option<Option<u64>>,
    /// DELIVERBY (RFC 2852), with the least time in seconds.
    pub deliver_by: Option<Option<u32>>,
    /// FUTURERELEASE (RFC 4865), with the longest time in seconds; the latest
    /// date is in [`future_release_until`](Self::future_release_until).
    pub future_release: Option<u32>,
    /// LIMITS (RFC 9422): recipients of one message.
    pub recipients_max: Option<u32>,
    /// LIMITS: messages of one connection.
    pub mails_max: Option<u32>,
    /// LIMITS: recipient domains of one message.
    pub recipient_domains_max: Option<u32>,
    /// PIPELINING (RFC 2920)
    pub pipelining: bool,
    /// 8BITMIME (RFC 6152)
    pub eight_bit_mime: bool,
    /// ENHANCEDSTATUSCODES (RFC 2034)
    pub enhanced_status_codes: bool,
    /// CHUNKING (RFC 3030)
    pub chunking: bool,
    /// BINARYMIME (RFC 3030)
    pub binary_mime: bool,
    /// STARTTLS (RFC 3207)
    pub starttls: bool,
    /// SMTPUTF8 (RFC 6531)
    pub smtputf8: bool,
    /// DSN (RFC 3461)
    pub dsn: bool,
    /// ETRN (RFC 1985)
    pub etrn: bool,
    /// VRFY
    pub vrfy: bool,
    /// EXPN
    pub expn: bool,
    /// HELP
    pub help: bool,
    /// MTRK (RFC 3885)
    pub mtrk: bool,
    /// REQUIRETLS (RFC 8689)
    pub requiretls: bool,
    /// RRVS (RFC 7293)
    pub rrvs: bool,
    /// AUTH (RFC 4954); its mechanisms are [`auth`](Self::auth).
    pub auth: bool,
    /// MT-PRIORITY (RFC 6710); its profile is
    /// [`mt_priority_profile`](Self::mt_priority_profile).
    pub mt_priority: bool,
    /// NO-SOLICITING (RFC 3865); its keywords are
    /// [`solicitations`](Self::solicitations).
    pub no_soliciting: bool,
    /// BURL (RFC 4468); its words are [`burl_words`](Self::burl_words).
    pub burl: bool,
    /// XCLIENT; its attributes are
    /// [`xclient_attributes`](Self::xclient_attributes).
    pub xclient: bool,
    /// XFORWARD; its attributes are
    /// [`xforward_attributes`](Self::xforward_attributes).
    pub xforward: bool,
}

/// Understands the reply, whatever its code.
impl From<Reply> for Capabilities {
    fn from(reply: Reply) -> Self {
        let mut wire = String::with_capacity(reply.text().len() + 64);
        let mut lines = reply.lines().peekable();
        while let Some(line) = lines.next() {
            let mark = if lines.peek().is_some() { '-' } else { ' ' };
            wire.push_str("250");
            wire.push(mark);
            if line.starts_with("2.") {
                // What looks like an enhanced code is text here.
                wire.push_str("2.0.0 ");
            }
            wire.push_str(line);
            wire.push_str("\r\n");
        }
        let read = Self::parse(wire.as_bytes());
        read.ok().flatten().unwrap_or_default().0
    }
}

/// `ehlo-line = ehlo-keyword *( SP ehlo-param )`
struct Line<'a> {
    keyword: &'a [u8],
    /// The keyword's first eight octets.
    word: u64,
    /// What follows the keyword, with the octet between.
    behind: &'a [u8],
}

impl<'a> Line<'a> {
    #[inline]
    fn new(line: &'a [u8]) -> Self {
        let split = octets::until_delimiter(line);
        let (keyword, behind) = line.split_at_checked(split).unwrap_or_default();
        Self {
            keyword,
            word: octets::word(keyword, split),
            behind,
        }
    }

    fn value(&self) -> &'a [u8] {
        self.behind.get(1..).unwrap_or_default().trim_ascii()
    }

    /// Nothing, or a number; no answer for anything else.
    fn number<N: TryFrom<u64>>(&self) -> Option<Option<N>> {
        match self.value() {
            [] => Some(None),
            digits => N::try_from(decimal(digits, 20)?).ok().map(Some),
        }
    }
}

impl Capabilities {
    /// Reads a whole reply of 250 off the front of `wire`; answers how many
    /// octets it takes there, or nothing if its last line is still to come.
    ///
    /// A keyword's line that is malformed is among the
    /// [`others`](Self::others).
    ///
    /// ```
    /// use smtp_proto::Capabilities;
    ///
    /// let wire = b"250-mx.example.org\r\n250-SIZE 1000\r\n250 DSN\r\n";
    /// let (capabilities, taken) = Capabilities::parse(wire)?.unwrap();
    /// assert_eq!((capabilities.size, taken), (Some(Some(1000)), wire.len()));
    /// assert_eq!(Capabilities::parse(&wire[..taken - 1])?, None);
    /// # Ok::<(), smtp_proto::ParseError>(())
    /// ```
    ///
    /// # Errors
    /// When a line does not begin with 250 and a space, a hyphen or nothing.
    pub fn parse(wire: &[u8]) -> Result<Option<(Self, usize)>, ParseError> {
        let mut capabilities = Self::default();
        let mut rest = wire;
        loop {
            let end = octets::until_lf(rest);
            let Some((line, behind)) = rest.split_at_checked(end + 1) else {
                return Ok(None);
            };
            let at = wire.len() - rest.len();
            let fault = |by| ParseError::new(ParseErrorKind::ReplyCode, at + by);
            let line = ReplyLine::read(unended(line)).map_err(|error| fault(error.at))?;
            if line.code != 250 {
                return Err(fault(0));
            }
            if at > 0 {
                // A line that cannot be read stays among the others.
                let _known = capabilities.add(line.text);
            }
            rest = behind;
            if line.last {
                let taken = wire.len() - rest.len();
                let text = wire.get(..taken).unwrap_or_default();
                capabilities.text = lossy(text.to_vec());
                return Ok(Some((capabilities, taken)));
            }
        }
    }

    /// The reply's lines without their codes.
    fn lines(&self) -> impl Iterator<Item = &str> {
        self.text.split_terminator('\n').map(|line| {
            let line = line.strip_suffix('\r').unwrap_or(line);
            let text = ReplyLine::read(line.as_bytes()).map_or(0, |read| read.text.len());
            line.get(line.len() - text..).unwrap_or_default()
        })
    }

    /// The server's name for itself.
    #[must_use]
    pub fn domain(&self) -> &str {
        let first = self.lines().next().unwrap_or_default();
        first.split(' ').next().unwrap_or_default()
    }

    /// Whether a mechanism of AUTH is offered.
    #[must_use]
    pub fn has_auth(&self, mechanism: &str) -> bool {
        self.auth()
            .any(|offered| offered.eq_ignore_ascii_case(mechanism))
    }

    /// The mechanisms of AUTH (RFC 4954) as written, with those of the old
    /// form `AUTH=`; one may stand there twice.
    pub fn auth(&self) -> impl Iterator<Item = &str> {
        self.values("AUTH").flat_map(words)
    }

    /// The latest date of FUTURERELEASE (RFC 4865 §4), as written.
    #[must_use]
    pub fn future_release_until(&self) -> Option<&str> {
        self.values("FUTURERELEASE").flat_map(words).nth(1)
    }

    /// The profile of MT-PRIORITY (RFC 6710).
    #[must_use]
    pub fn mt_priority_profile(&self) -> Option<&str> {
        self.values("MT-PRIORITY").flat_map(words).next()
    }

    /// The keywords of NO-SOLICITING (RFC 3865), comma-separated.
    #[must_use]
    pub fn solicitations(&self) -> Option<&str> {
        self.values("NO-SOLICITING").flat_map(words).next()
    }

    /// The words of BURL (RFC 4468 §3.3): `imap` and URLs.
    pub fn burl_words(&self) -> impl Iterator<Item = &str> {
        self.values("BURL").flat_map(words)
    }

    /// The attributes of XCLIENT.
    pub fn xclient_attributes(&self) -> impl Iterator<Item = &str> {
        self.values("XCLIENT").flat_map(words)
    }

    /// The attributes of XFORWARD.
    pub fn xforward_attributes(&self) -> impl Iterator<Item = &str> {
        self.values("XFORWARD").flat_map(words)
    }

    /// Lines with keywords that this crate does not know, or cannot read.
    pub fn others(&self) -> impl Iterator<Item = &str> {
        let mut known = Self::default();
        let lines = self.lines().skip(1);
        lines.filter(move |line| known.add(line.as_bytes()).is_none())
    }

    /// What stands behind a keyword, on each of its lines.
    fn values(&self, keyword: &'static str) -> impl Iterator<Item = &str> {
        self.lines().skip(1).filter_map(move |line| {
            let line = line.trim_ascii();
            let (start, value) = line.split_at_checked(keyword.len())?;
            let ends = value.is_empty() || value.starts_with([' ', '=']);
            (start.eq_ignore_ascii_case(keyword) && ends)
                .then(|| value.get(1..).unwrap_or_default())
        })
    }

    /// Takes a keyword that stands by itself; no answer if it is none.
    #[inline(always)]
    fn add(&mut self, line: &[u8]) -> Option<()> {
        const PIPELINING: u64 = keyword(b"PIPELINI");
        const EIGHT_BIT_MIME: u64 = keyword(b"8BITMIME");
        const ENHANCED_STATUS_CODES: u64 = keyword(b"ENHANCED");
        const CHUNKING: u64 = keyword(b"CHUNKING");
        const STARTTLS: u64 = keyword(b"STARTTLS");
        const DSN: u64 = keyword(b"DSN\0\0\0\0\0");
        const ETRN: u64 = keyword(b"ETRN\0\0\0\0");
        const VRFY: u64 = keyword(b"VRFY\0\0\0\0");
        const HELP: u64 = keyword(b"HELP\0\0\0\0");
        let is = |keyword: &[u8]| line.eq_ignore_ascii_case(keyword);
        match (octets::word(line, line.len()), line.len()) {
            (PIPELINING, 10) if is(b"PIPELINING") => self.pipelining = true,
            (EIGHT_BIT_MIME, 8) if line.starts_with(b"8") => self.eight_bit_mime = true,
            (ENHANCED_STATUS_CODES, 19) if is(b"ENHANCEDSTATUSCODES") => {
                self.enhanced_status_codes = true;
            }
            (CHUNKING, 8) => self.chunking = true,
            (STARTTLS, 8) => self.starttls = true,
            (DSN, 3) => self.dsn = true,
            (ETRN, 4) => self.etrn = true,
            (VRFY, 4) => self.vrfy = true,
            (HELP, 4) => self.help = true,
            _ => return self.add_other(&Line::new(line.trim_ascii())),
        }
        Some(())
    }

    fn add_other(&mut self, line: &Line<'_>) -> Option<()> {
        const AUTH: u64 = keyword(b"AUTH\0\0\0\0");
        const SIZE: u64 = keyword(b"SIZE\0\0\0\0");
        match (line.word, line.behind.first()) {
            // Only AUTH has ever been offered with a `=`.
            (AUTH, _) => self.auth = true,
            (_, Some(b'=')) => return None,
            (SIZE, _) => self.size = Some(line.number()?),
            _ => return self.add_rare(line),
        }
        Some(())
    }

    fn add_rare(&mut self, line: &Line<'_>) -> Option<()> {
        let mut upper = [0_u8; 24];
        let target = upper.get_mut(..line.keyword.len())?;
        target.copy_from_slice(line.keyword);
        target.make_ascii_uppercase();
        match &*target {
            b"PIPELINING" => self.pipelining = true,
            b"8BITMIME" => self.eight_bit_mime = true,
            b"ENHANCEDSTATUSCODES" => self.enhanced_status_codes = true,
            b"CHUNKING" => self.chunking = true,
            b"STARTTLS" => self.starttls = true,
            b"DSN" => self.dsn = true,
            b"ETRN" => self.etrn = true,
            b"VRFY" => self.vrfy = true,
            b"HELP" => self.help = true,
            b"SMTPUTF8" => self.smtputf8 = true,
            b"BINARYMIME" => self.binary_mime = true,
            b"EXPN" => self.expn = true,
            b"MTRK" => self.mtrk = true,
            b"REQUIRETLS" => self.requiretls = true,
            b"RRVS" => self.rrvs = true,
            b"DELIVERBY" => self.deliver_by = Some(line.number()?),
            b"FUTURERELEASE" => {
                let value = line.value();
                let interval = value.split(|&octet| octet == b' ').next()?;
                self.future_release = Some(u32::try_from(decimal(interval, 9)?).ok()?);
            }
            b"BURL" => self.burl = true,
            b"MT-PRIORITY" => self.mt_priority = true,
            b"NO-SOLICITING" => self.no_soliciting = true,
            b"LIMITS" => self.limits(line.value())?,
            b"XCLIENT" => self.xclient = true,
            b"XFORWARD" => self.xforward = true,
            _ => return None,
        }
        Some(())
    }

    /// Limits of unknown names are ignored (RFC 9422 §3).
    fn limits(&mut self, value: &[u8]) -> Option<()> {
        let limits = value.split(|&octet| octet == b' ');
        for limit in limits.filter(|limit| !limit.is_empty()) {
            let (name, value) = limit.split_at_checked(memchr(b'=', limit)?)?;
            let slot = match name.to_ascii_uppercase().as_slice() {
                b"RCPTMAX" => &mut self.recipients_max,
                b"MAILMAX" => &mut self.mails_max,
                b"RCPTDOMAINMAX" => &mut self.recipient_domains_max,
                _ => continue,
            };
            *slot = decimal(value.get(1..)?, 6).and_then(|value| u32::try_from(value).ok());
        }
        Some(())
    }
}

/// A line without its LF, and the CR before it if there is one.
#[inline]
fn unended(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

fn words(value: &str) -> impl Iterator<Item = &str> {
    value.split(' ').filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests;
