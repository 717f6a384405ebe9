//! Types of keys that are more than a text or a number.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use super::value::{Resolve, Text, words};

words! {
    /// How far TLS is asked for or offered.
    TlsLevel: "\"none\", \"may\" or \"encrypt\"" {
        /// No TLS.
        None = "none",
        /// TLS where the other side can.
        May = "may",
        /// No mail without TLS.
        Encrypt = "encrypt",
    }
}

words! {
    /// How far TLS is asked for when mail is sent out.
    ClientTlsLevel: "\"none\", \"may\", \"encrypt\" or \"verify\"" {
        /// No TLS.
        None = "none",
        /// TLS where the other side can, with whatever certificate (RFC 7435).
        May = "may",
        /// No mail without TLS, with whatever certificate.
        Encrypt = "encrypt",
        /// No mail without a certificate that is valid for the peer's name.
        Verify = "verify",
    }
}

words! {
    /// TLS in IMAP, POP3 and ManageSieve.
    Ssl: "\"no\", \"yes\" or \"required\"" {
        /// No TLS; the implicit TLS listeners stay closed.
        No = "no",
        /// TLS is offered.
        Yes = "yes",
        /// No login without TLS, not even on this host.
        Required = "required",
    }
}

words! {
    /// The shape of log lines.
    LogFormat: "\"human\" or \"json\"" {
        /// For eyes: time, level, event, fields.
        Human = "human",
        /// One JSON object a line.
        Json = "json",
    }
}

words! {
    /// Where a program or a file may be named as a destination.
    Named: "\"alias\", \"include\" or \"procmail\"" {
        /// In an alias file.
        Alias = "alias",
        /// In a file that an alias includes.
        Include = "include",
        /// In a user's `.procmailrc`.
        Procmail = "procmail",
    }
}

/// A network: all addresses that share the first `prefix` bits (RFC 4632).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

impl Network {
    /// `None` when `prefix` is longer than the address, or bits behind the
    /// prefix are set.
    #[must_use]
    pub fn new(address: IpAddr, prefix: u8) -> Option<Self> {
        let network = Self { address, prefix };
        let length = if address.is_ipv4() { 32 } else { 128 };
        (prefix <= length && network.masked(address) == bits(address)).then_some(network)
    }

    /// Whether `address` lies in it. An IPv4 address mapped to IPv6
    /// (RFC 4291 §2.5.5.2) counts as the IPv4 address that it is.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_ipv4() == self.address.is_ipv4() && self.masked(address) == bits(self.address)
    }

    fn masked(&self, address: IpAddr) -> u128 {
        let length = if address.is_ipv4() { 32 } else { 128 };
        let behind = u32::from(u8::saturating_sub(length, self.prefix));
        let mask = u128::MAX.checked_shl(behind).unwrap_or(0);
        bits(address) & mask
    }
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u128::from(v4.to_bits()),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

impl Text for Network {
    const EXPECTED: &'static str = "a network such as \"192.168.0.0/16\" or \"[2001:db8::]/32\"";

    fn from_text(text: &str) -> Result<Self, String> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address
            .strip_prefix('[')
            .and_then(|inner| inner.strip_suffix(']'))
            .unwrap_or(address)
            .parse()
            .map_err(|_| String::new())?;
        let prefix = match prefix {
            Some(digits) => digits.parse().map_err(|_| String::new())?,
            None if address.is_ipv4() => 32,
            None => 128,
        };
        Self::new(address, prefix)
            .ok_or_else(|| "the prefix is too long, or bits behind it are set".into())
    }

    fn to_text(&self) -> String {
        match self.address {
            IpAddr::V4(address) => format!("{address}/{}", self.prefix),
            IpAddr::V6(address) => format!("[{address}]/{}", self.prefix),
        }
    }
}

/// The host that takes all mail for elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelayHost {
    /// A domain, or an address.
    pub host: String,
    /// The TCP port.
    pub port: u16,
    /// Whether `host`'s MX records are to be looked up. Written in brackets,
    /// it is a host and they are not.
    pub mx: bool,
}

impl Text for RelayHost {
    const EXPECTED: &'static str = "a host such as \"[smtp.example.org]:587\", or without brackets a domain to look the MX up of";

    fn from_text(text: &str) -> Result<Self, String> {
        let parse_port = |digits: &str| {
            digits
                .parse()
                .ok()
                .filter(|port| *port != 0)
                .ok_or_else(|| format!("{digits:?} is no port"))
        };
        let (host, port, mx) = if let Some(rest) = text.strip_prefix('[') {
            let (host, rest) = rest.split_once(']').ok_or("] is missing")?;
            match rest.strip_prefix(':') {
                Some(digits) => (host, parse_port(digits)?, false),
                None if rest.is_empty() => (host, 25, false),
                None => return Err("after ] comes a colon and a port".into()),
            }
        } else {
            match text.split_once(':') {
                Some((host, digits)) => (host, parse_port(digits)?, true),
                None => (text, 25, true),
            }
        };
        if !is_domain(host) && (mx || host.parse::<IpAddr>().is_err()) {
            return Err(format!("{host:?} is no host name"));
        }
        Ok(Self {
            host: host.to_owned(),
            port,
            mx,
        })
    }

    fn to_text(&self) -> String {
        let host = if self.mx {
            self.host.clone()
        } else {
            format!("[{}]", self.host)
        };
        match self.port {
            25 => host,
            port => format!("{host}:{port}"),
        }
    }
}

/// Where LMTP is spoken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LmtpListener {
    /// By TCP.
    Tcp(SocketAddr),
    /// A socket in the file system.
    Local(PathBuf),
}

impl Text for LmtpListener {
    const EXPECTED: &'static str =
        "an address and port such as \"127.0.0.1:24\", or the path of a socket";

    fn from_text(text: &str) -> Result<Self, String> {
        match text.parse() {
            Ok(address) => Ok(Self::Tcp(address)),
            // A mistyped address is no name for a file.
            Err(_) if text.contains(':') => Err(String::new()),
            Err(_) => PathBuf::from_text(text).map(Self::Local),
        }
    }

    fn to_text(&self) -> String {
        match self {
            Self::Tcp(address) => address.to_string(),
            Self::Local(path) => path.to_text(),
        }
    }

    fn resolve(&mut self, names: &Resolve<'_>) {
        if let Self::Local(path) = self {
            Text::resolve(path, names);
        }
    }
}

/// A file of aliases. Postfix's `hash:/etc/aliases` names the same text file
/// as `/etc/aliases`: the index beside it is not needed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableFile(pub PathBuf);

impl From<&str> for TableFile {
    fn from(path: &str) -> Self {
        Self(path.into())
    }
}

impl Text for TableFile {
    const EXPECTED: &'static str = "a path such as \"aliases\" or \"hash:/etc/aliases\"";

    fn from_text(text: &str) -> Result<Self, String> {
        const TEXT_BEHIND: [&str; 7] = ["texthash", "hash", "btree", "lmdb", "cdb", "dbm", "sdbm"];
        let path = match text.split_once(':') {
            Some((kind, path)) if TEXT_BEHIND.contains(&kind) => path,
            Some((kind, _)) if !kind.contains('/') => {
                return Err(format!("tables of the type {kind} are not supported"));
            }
            _ => text,
        };
        PathBuf::from_text(path).map(Self)
    }

    fn to_text(&self) -> String {
        self.0.to_text()
    }

    fn resolve(&mut self, names: &Resolve<'_>) {
        Text::resolve(&mut self.0, names);
    }
}

/// A mailbox that every account has from the start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AutoMailbox {
    /// The mailbox's name, in UTF-8.
    pub name: String,
    /// Its special use (RFC 6154), with the backslash: `\Sent`.
    pub special_use: Option<String>,
}

impl AutoMailbox {
    pub(super) fn special(name: &str, special_use: &str) -> Self {
        Self {
            name: name.into(),
            special_use: Some(special_use.into()),
        }
    }
}

/// A limit of accounts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quota(pub mailstore::QuotaRule);

impl Text for Quota {
    const EXPECTED: &'static str = "a rule such as \"*:storage=1G:messages=10000\", \"Trash:storage=+100M\" or \"Junk:ignore\"";

    fn from_text(text: &str) -> Result<Self, String> {
        text.parse()
            .map(Self)
            .map_err(|error: mailstore::ParseQuotaRuleError| error.to_string())
    }

    fn to_text(&self) -> String {
        self.0.to_string()
    }
}

/// RFC 6154 §2, without `\All` and `\Flagged`, which are views and no places.
const SPECIAL_USES: [&str; 5] = ["\\Archive", "\\Drafts", "\\Junk", "\\Sent", "\\Trash"];

impl Text for AutoMailbox {
    const EXPECTED: &'static str = "a mailbox and its special use, such as 'Sent \\Sent'";

    fn from_text(text: &str) -> Result<Self, String> {
        let (name, special_use) = match text.rsplit_once(' ') {
            Some((name, word)) if word.starts_with('\\') => (name.trim_end(), Some(word)),
            _ => (text, None),
        };
        if name.is_empty() || name.contains(char::is_control) {
            return Err("the name is missing or has control characters".into());
        }
        let special_use = match special_use {
            None => None,
            Some(word) => Some(
                SPECIAL_USES
                    .into_iter()
                    .find(|known| known.eq_ignore_ascii_case(word))
                    .ok_or_else(|| format!("{word} is none of {}", SPECIAL_USES.join(", ")))?
                    .to_owned(),
            ),
        };
        Ok(Self {
            name: name.to_owned(),
            special_use,
        })
    }

    fn to_text(&self) -> String {
        match &self.special_use {
            Some(special_use) => format!("{} {special_use}", self.name),
            None => self.name.clone(),
        }
    }
}

/// Postfix's `mailbox_command`, with the two programs that are built in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum MailboxCommand {
    /// None: a user's Sieve script runs, or else the user's `.procmailrc`.
    UserFilter,
    /// Sieve alone.
    Sieve,
    /// procmail's rules alone.
    Procmail,
}

impl Text for MailboxCommand {
    const EXPECTED: &'static str = "\"\", \"procmail\" or \"dovecot-lda\"";

    fn from_text(text: &str) -> Result<Self, String> {
        let mut words = text.split_whitespace();
        let Some(program) = words.next() else {
            return Ok(Self::UserFilter);
        };
        match program.rsplit('/').next() {
            Some("procmail") => Ok(Self::Procmail),
            Some("dovecot-lda" | "deliver" | "sieve") => Ok(Self::Sieve),
            _ => Err("both are built in; no other program is run".into()),
        }
    }

    fn to_text(&self) -> String {
        match self {
            Self::UserFilter => "",
            Self::Sieve => "dovecot-lda",
            Self::Procmail => "procmail",
        }
        .to_owned()
    }
}

/// Whether `text` is a domain name (RFC 1035 §2.3.1, RFC 1123 §2.1), or an
/// internationalized one (RFC 5890); without a final dot.
#[must_use]
pub fn is_domain(text: &str) -> bool {
    let label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.chars().all(|c| {
                c.is_ascii_alphanumeric()
                    || c == '-'
                    || c == '_'
                    || (!c.is_ascii() && c.is_alphanumeric())
            })
    };
    text.len() <= 255 && text.split('.').all(label)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(text: &str) -> Network {
        Network::from_text(text).unwrap()
    }

    #[test]
    fn networks() {
        let lan = network("192.168.0.0/16");
        assert!(lan.contains("192.168.255.1".parse().unwrap()));
        assert!(lan.contains("::ffff:192.168.255.1".parse().unwrap()));
        assert!(!lan.contains("192.169.0.1".parse().unwrap()));
        assert!(!lan.contains("::1".parse().unwrap()));
        let v6 = network("[2001:db8::]/32");
        assert!(v6.contains("2001:db8:1::1".parse().unwrap()));
        assert!(!v6.contains("2001:db9::1".parse().unwrap()));
        assert!(!v6.contains("32.1.13.184".parse().unwrap()));
        assert!(network("0.0.0.0/0").contains("1.2.3.4".parse().unwrap()));
        assert!(!network("0.0.0.0/0").contains("::1".parse().unwrap()));
        assert!(network("::/0").contains("fe80::1".parse().unwrap()));
        assert_eq!(network("10.0.0.1").to_text(), "10.0.0.1/32");
        assert_eq!(network("::1").to_text(), "[::1]/128");
        for bad in [
            "",
            "10.0.0.0/33",
            "10.0.0.1/8",
            "10.0.0/8",
            "10.0.0.0/",
            "[::1/128",
            "x",
        ] {
            assert!(Network::from_text(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn relay_hosts() {
        for (text, host, port, mx) in [
            ("example.org", "example.org", 25, true),
            ("example.org:26", "example.org", 26, true),
            ("[smtp.example.org]:587", "smtp.example.org", 587, false),
            ("[::1]:2525", "::1", 2525, false),
            ("[192.0.2.1]", "192.0.2.1", 25, false),
        ] {
            let relay = RelayHost::from_text(text).unwrap();
            assert_eq!(
                (relay.host.as_str(), relay.port, relay.mx),
                (host, port, mx)
            );
            assert_eq!(relay.to_text(), text);
        }
        for bad in ["", "[a", "[a]587", "a:0", "a:b", "a b", "[]", "a:99999"] {
            assert!(RelayHost::from_text(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn lmtp_listeners() {
        let tcp = LmtpListener::from_text("[::1]:24").unwrap();
        assert_eq!(tcp, LmtpListener::Tcp("[::1]:24".parse().unwrap()));
        let local = LmtpListener::from_text("run/lmtp").unwrap();
        assert_eq!(local, LmtpListener::Local("run/lmtp".into()));
        for text in ["[::1]:24", "run/lmtp"] {
            assert_eq!(LmtpListener::from_text(text).unwrap().to_text(), text);
        }
        for bad in ["", "127.0.0.1:x", "localhost:24", "127.0.0.1:99999"] {
            assert!(LmtpListener::from_text(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn table_files() {
        for (text, path) in [
            ("aliases", "aliases"),
            ("hash:/etc/aliases", "/etc/aliases"),
            ("/odd:name", "/odd:name"),
        ] {
            assert_eq!(TableFile::from_text(text), Ok(path.into()));
        }
        for bad in ["", "hash:", "ldap:/etc/x", "proxy:hash:/etc/aliases"] {
            assert!(TableFile::from_text(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn auto_mailboxes() {
        let sent = AutoMailbox::from_text("Sent Mail \\sent").unwrap();
        assert_eq!(sent, AutoMailbox::special("Sent Mail", "\\Sent"));
        assert_eq!(AutoMailbox::from_text("Lists").unwrap().special_use, None);
        assert!(AutoMailbox::from_text("Sent \\Snet").is_err());
        assert!(AutoMailbox::from_text(" \\Sent").is_err());
    }

    #[test]
    fn mailbox_commands() {
        for (text, command) in [
            ("", MailboxCommand::UserFilter),
            (
                "/usr/bin/procmail -a \"$EXTENSION\"",
                MailboxCommand::Procmail,
            ),
            ("/usr/lib/dovecot/dovecot-lda", MailboxCommand::Sieve),
        ] {
            assert_eq!(MailboxCommand::from_text(text), Ok(command));
        }
        assert!(MailboxCommand::from_text("/usr/bin/maildrop").is_err());
    }

    #[test]
    fn domains() {
        for good in [
            "localhost",
            "a.example.org",
            "bücher.example",
            "_x.example",
            "1.2",
        ] {
            assert!(is_domain(good), "{good}");
        }
        for bad in ["", ".", "a..b", "-a", "a-", "a b", "a.", "a/b"] {
            assert!(!is_domain(bad), "{bad}");
        }
        assert!(!is_domain(&"a".repeat(64)));
    }
}
