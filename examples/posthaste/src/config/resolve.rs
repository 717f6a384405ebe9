//! What the values mean together: names, relative paths, contradictions.

use std::path::{Path, PathBuf};

use super::value::Resolve;
use super::{Account, Config, Location, MailLocation, Network, Ssl, UnsafePath, is_domain};

impl Config {
    /// The home folder of `user`, unless the users file names another.
    ///
    /// # Errors
    /// When the name could lead out of the folder of all homes.
    pub fn home_of(&self, user: &str) -> Result<PathBuf, UnsafePath> {
        self.mail_home.expand(Account {
            user,
            home: &self.data_directory,
        })
    }

    /// Where `account`'s mail is stored.
    ///
    /// # Errors
    /// As [`MailLocation::of`].
    pub fn location_of(&self, account: Account<'_>) -> Result<Location, UnsafePath> {
        match &self.home_mailbox {
            Some(path) => MailLocation::of_home_mailbox(path).of(account),
            None => self.mail_location.of(account),
        }
    }

    /// The certificate and key of IMAP, POP3 and ManageSieve.
    #[must_use]
    pub fn ssl_files(&self) -> (&Path, &Path) {
        match (&self.ssl_cert, &self.ssl_key) {
            (Some(certificate), Some(key)) => (certificate, key),
            _ => (&self.smtpd_tls_cert_file, &self.smtpd_tls_key_file),
        }
    }

    /// Whether mail from `address` is relayed without a login: never, when
    /// the address is unspecified, which stands for one that is not known.
    #[must_use]
    pub fn trusts(&self, address: std::net::IpAddr) -> bool {
        let mut networks = self.mynetworks.iter();
        !address.is_unspecified() && networks.any(|network: &Network| network.contains(address))
    }

    pub(super) fn resolve(&mut self) {
        let here = self.file.parent().unwrap_or(Path::new("")).to_owned();
        let data_directory = here.join(&self.data_directory);
        // Takes away the dots that joining has left.
        let data_directory: PathBuf = data_directory.components().collect();
        if self.myhostname.is_empty() {
            self.myhostname = system_name();
        }
        if !self.myhostname.contains('.') && self.myhostname != "localhost" {
            let domain = match self.mydomain.as_str() {
                "" => "localdomain",
                domain => domain,
            };
            self.myhostname = format!("{}.{domain}", self.myhostname);
        }
        if self.mydomain.is_empty() {
            self.mydomain = match self.myhostname.split_once('.') {
                Some((_, domain)) => domain.to_owned(),
                None => "localdomain".to_owned(),
            };
        }
        let (myhostname, mydomain) = (self.myhostname.clone(), self.mydomain.clone());
        let myorigin = self
            .myorigin
            .replace("$myhostname", &myhostname)
            .replace("$mydomain", &mydomain);
        self.data_directory.clone_from(&data_directory);
        self.resolve_values(&Resolve {
            myhostname: &myhostname,
            mydomain: &mydomain,
            myorigin: &myorigin,
            data_directory: &data_directory,
        });
    }

    /// What no value can tell alone: the key to blame, and why.
    pub(super) fn contradictions(&self) -> Vec<(&'static str, String)> {
        let mut found = Vec::new();
        for (key, name) in [
            ("myhostname", &self.myhostname),
            ("mydomain", &self.mydomain),
            ("myorigin", &self.myorigin),
        ] {
            if !is_domain(name) {
                found.push((key, format!("expected a domain name, found {name:?}")));
            }
        }
        let lists = [
            ("mydestination", &self.mydestination),
            ("relay_domains", &self.relay_domains),
            ("virtual_alias_domains", &self.virtual_alias_domains),
            ("virtual_mailbox_domains", &self.virtual_mailbox_domains),
        ];
        for (index, (key, domains)) in lists.iter().enumerate() {
            for domain in *domains {
                if !is_domain(domain) {
                    found.push((key, format!("expected a domain name, found {domain:?}")));
                }
                let elsewhere = lists
                    .iter()
                    .take(index)
                    .find(|(_, other)| other.iter().any(|name| name.eq_ignore_ascii_case(domain)));
                if let Some((other, _)) = elsewhere {
                    found.push((key, format!("{domain} stands in {other} too; one must go")));
                }
            }
        }
        if self.home_mailbox.is_some() && self.is_set("mail_location") {
            found.push((
                "home_mailbox",
                "it says the same as mail_location; one must go".into(),
            ));
        }
        if self.ssl_cert.is_some() != self.ssl_key.is_some() {
            let key = if self.is_set("ssl_cert") {
                "ssl_cert"
            } else {
                "ssl_key"
            };
            found.push((key, "ssl_cert and ssl_key belong together".into()));
        }
        if self.minimal_backoff_time > self.maximal_backoff_time {
            found.push((
                "minimal_backoff_time",
                "it is longer than maximal_backoff_time".into(),
            ));
        }
        for (key, number) in [
            ("client_limit", self.client_limit),
            ("qmgr_message_active_limit", self.qmgr_message_active_limit),
            ("default_process_limit", self.default_process_limit),
            (
                "default_destination_concurrency_limit",
                self.default_destination_concurrency_limit,
            ),
            ("auth_failure_limit", self.auth_failure_limit),
        ] {
            if number == 0 {
                found.push((key, "0 would let nothing through".into()));
            }
        }
        if self.smtpd_timeout.is_zero() {
            found.push(("smtpd_timeout", "0 would end every session".into()));
        }
        if self.smtpd_recipient_limit < 100 {
            found.push((
                "smtpd_recipient_limit",
                "every server takes 100 recipients (RFC 5321 section 4.5.3.1.8)".into(),
            ));
        }
        if self.recipient_delimiter.chars().count() > 1 || self.recipient_delimiter.contains('@') {
            found.push(("recipient_delimiter", "expected one character".into()));
        }
        if let Some(program) = self.program_allow.iter().find(|path| !path.is_absolute()) {
            found.push((
                "program_allow",
                format!("{} is not absolute", program.display()),
            ));
        }
        if let Err(error) = crate::logging::check_level(&self.log_level) {
            found.push(("log_level", error.to_string().replace("log_level: ", "")));
        }
        if self.ssl == Ssl::No && self.is_set("ssl_cert") {
            found.push(("ssl", "ssl_cert has no use with it".into()));
        }
        found
    }
}

/// What the system calls this host, as far as it is a domain name.
fn system_name() -> String {
    let name = rustix::system::uname();
    let name = name.nodename().to_string_lossy().to_ascii_lowercase();
    if is_domain(&name) {
        name
    } else {
        "localhost".into()
    }
}
