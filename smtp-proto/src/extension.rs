//! What a server offers: the keywords of EHLO's reply (RFC 5321 §4.1.1.1).

use crate::reply::Reply;

/// The service extensions in a reply to EHLO or LHLO.
///
/// ```
/// use smtp_proto::{Capabilities, Reply};
///
/// let reply = Reply::bare(250, "mx.example.org\nSIZE 1000\nAUTH PLAIN LOGIN\nX-NEW a b");
/// let capabilities = Capabilities::parse(&reply);
/// assert_eq!(capabilities.size, Some(Some(1000)));
/// assert!(capabilities.has_auth("plain"));
/// assert_eq!(capabilities.others, ["X-NEW a b".into()]);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Capabilities {
    /// The server's name for itself.
    pub domain: Box<str>,
    /// PIPELINING (RFC 2920)
    pub pipelining: bool,
    /// SIZE (RFC 1870), with the limit; none or 0 when it tells none.
    pub size: Option<Option<u64>>,
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
    /// The mechanisms of AUTH (RFC 4954) in upper case, and those of the
    /// old form `AUTH=`.
    pub auth: Vec<Box<str>>,
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
    /// DELIVERBY (RFC 2852), with the least time in seconds.
    pub deliver_by: Option<Option<u32>>,
    /// FUTURERELEASE (RFC 4865), its two values.
    pub future_release: Option<Box<str>>,
    /// MT-PRIORITY (RFC 6710), its profile.
    pub mt_priority: Option<Option<Box<str>>>,
    /// MTRK (RFC 3885)
    pub mtrk: bool,
    /// REQUIRETLS (RFC 8689)
    pub requiretls: bool,
    /// RRVS (RFC 7293)
    pub rrvs: bool,
    /// NO-SOLICITING (RFC 3865), its keywords.
    pub no_soliciting: Option<Option<Box<str>>>,
    /// BURL (RFC 4468), its values.
    pub burl: Option<Box<str>>,
    /// LIMITS (RFC 9422): recipients of one message.
    pub recipients_max: Option<u32>,
    /// LIMITS: messages of one connection.
    pub mails_max: Option<u32>,
    /// LIMITS: recipient domains of one message.
    pub recipient_domains_max: Option<u32>,
    /// The attributes of XCLIENT.
    pub xclient: Vec<Box<str>>,
    /// The attributes of XFORWARD.
    pub xforward: Vec<Box<str>>,
    /// Lines with keywords that this crate does not know.
    pub others: Vec<Box<str>>,
}

impl Capabilities {
    /// Understands the reply. A line that is malformed counts as unknown.
    #[must_use]
    pub fn parse(reply: &Reply) -> Self {
        let mut capabilities = Self::default();
        let mut lines = reply.lines();
        if let Some(first) = lines.next() {
            capabilities.domain = first.split(' ').next().unwrap_or_default().into();
        }
        for line in lines {
            if capabilities.add(line.trim_ascii()).is_none() {
                capabilities.others.push(line.into());
            }
        }
        capabilities
    }

    /// Whether a mechanism of AUTH is offered.
    #[must_use]
    pub fn has_auth(&self, mechanism: &str) -> bool {
        self.auth
            .iter()
            .any(|offered| offered.eq_ignore_ascii_case(mechanism))
    }

    fn add(&mut self, line: &str) -> Option<()> {
        let split = line
            .bytes()
            .position(|octet| matches!(octet, b' ' | b'='))
            .unwrap_or(line.len());
        let (keyword, rest) = line.split_at_checked(split)?;
        let value = rest
            .get(1..)
            .map(str::trim)
            .filter(|value| !value.is_empty());
        let mut upper = [0_u8; 24];
        let target = upper.get_mut(..keyword.len())?;
        target.copy_from_slice(keyword.as_bytes());
        target.make_ascii_uppercase();
        let keyword = upper.get(..keyword.len())?;
        // Only AUTH has ever been offered with a `=`.
        if rest.starts_with('=') && keyword != b"AUTH" {
            return None;
        }
        match keyword {
            b"PIPELINING" => self.pipelining = true,
            b"8BITMIME" => self.eight_bit_mime = true,
            b"ENHANCEDSTATUSCODES" => self.enhanced_status_codes = true,
            b"CHUNKING" => self.chunking = true,
            b"BINARYMIME" => self.binary_mime = true,
            b"STARTTLS" => self.starttls = true,
            b"SMTPUTF8" => self.smtputf8 = true,
            b"DSN" => self.dsn = true,
            b"ETRN" => self.etrn = true,
            b"VRFY" => self.vrfy = true,
            b"EXPN" => self.expn = true,
            b"HELP" => self.help = true,
            b"MTRK" => self.mtrk = true,
            b"REQUIRETLS" => self.requiretls = true,
            b"RRVS" => self.rrvs = true,
            b"SIZE" => self.size = Some(number(value)?),
            b"DELIVERBY" => self.deliver_by = Some(number(value)?),
            b"AUTH" => {
                for mechanism in value.into_iter().flat_map(|value| value.split(' ')) {
                    if !mechanism.is_empty() && !self.has_auth(mechanism) {
                        self.auth.push(mechanism.to_ascii_uppercase().into());
                    }
                }
            }
            b"FUTURERELEASE" => self.future_release = Some(value?.into()),
            b"BURL" => self.burl = Some(value.unwrap_or_default().into()),
            b"MT-PRIORITY" => self.mt_priority = Some(value.map(Into::into)),
            b"NO-SOLICITING" => self.no_soliciting = Some(value.map(Into::into)),
            b"LIMITS" => self.limits(value?)?,
            b"XCLIENT" => self.xclient = words(value?),
            b"XFORWARD" => self.xforward = words(value?),
            _ => return None,
        }
        Some(())
    }

    /// Limits of unknown names are ignored (RFC 9422 §3).
    fn limits(&mut self, value: &str) -> Option<()> {
        for limit in value.split(' ').filter(|limit| !limit.is_empty()) {
            let (name, value) = limit.split_once('=')?;
            let slot = match name.to_ascii_uppercase().as_str() {
                "RCPTMAX" => &mut self.recipients_max,
                "MAILMAX" => &mut self.mails_max,
                "RCPTDOMAINMAX" => &mut self.recipient_domains_max,
                _ => continue,
            };
            *slot = value.parse().ok();
        }
        Some(())
    }
}

fn words(value: &str) -> Vec<Box<str>> {
    value
        .split(' ')
        .filter(|word| !word.is_empty())
        .map(|word| word.to_ascii_uppercase().into())
        .collect()
}

/// Nothing, or a number; no answer for anything else.
fn number<N: std::str::FromStr>(value: Option<&str>) -> Option<Option<N>> {
    match value {
        None => Some(None),
        Some(digits) => digits.parse().ok().map(Some),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_real_one() {
        let reply = Reply::bare(
            250,
            "mx.example.org Hello\nPIPELINING\nSIZE 10240000\nVRFY\nETRN\nSTARTTLS\n\
             AUTH PLAIN LOGIN\nAUTH=PLAIN LOGIN\nENHANCEDSTATUSCODES\n8bitmime\nDSN\n\
             SMTPUTF8\nCHUNKING\nLIMITS RCPTMAX=20 FOO=1\nX-EXPS GSSAPI\nSIZE=1\nSIZE x",
        );
        let capabilities = Capabilities::parse(&reply);
        assert_eq!(&*capabilities.domain, "mx.example.org");
        assert_eq!(capabilities.size, Some(Some(10_240_000)));
        assert_eq!(capabilities.auth, ["PLAIN".into(), "LOGIN".into()]);
        assert_eq!(capabilities.recipients_max, Some(20));
        assert!(capabilities.eight_bit_mime && capabilities.chunking);
        assert_eq!(
            capabilities.others,
            ["X-EXPS GSSAPI".into(), "SIZE=1".into(), "SIZE x".into()]
        );
    }
}
