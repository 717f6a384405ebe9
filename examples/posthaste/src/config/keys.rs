//! The one table of all keys.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::Spanned;
use toml::de::DeValue;

use super::location::{MailLocation, SieveLocation, UserPath};
use super::types::{
    AutoMailbox, ClientTlsLevel, LmtpListener, LogFormat, MailboxCommand, Named, Network, Quota,
    RelayHost, Ssl, TableFile, TlsLevel,
};
use super::value::{Fault, Resolve, Value};

/// Whose name a key carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum NamedBy {
    /// Postfix (`postconf(5)`).
    Postfix,
    /// Dovecot.
    Dovecot,
    /// This server alone has it.
    Posthaste,
}

/// What is known of one key.
#[derive(Debug)]
pub struct Key {
    /// As it stands in the file.
    pub name: &'static str,
    /// The heading that it stands under.
    pub group: &'static str,
    /// Whose name it is.
    pub named_by: NamedBy,
    /// What its value is to be.
    pub expected: &'static str,
    help: &'static str,
    show: fn(&Config) -> String,
    pub(super) read: fn(&mut Config, &Spanned<DeValue<'_>>) -> Result<(), Fault>,
}

impl Key {
    /// Its help, one paragraph on one line.
    #[must_use]
    pub fn help(&self) -> String {
        self.help.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// Its value in `config`, as TOML.
    #[must_use]
    pub fn show(&self, config: &Config) -> String {
        (self.show)(config)
    }
}

macro_rules! keys {
    ($($group:literal { $(
        $(#[doc = $help:literal])+
        [$named_by:ident] $name:ident: $type:ty = $default:expr;
    )+ })+) => {
        /// The configuration: a field for each key, and where it came from.
        #[derive(Debug, Clone, PartialEq)]
        pub struct Config {
            /// The file that it was read from, or would be written to.
            pub file: PathBuf,
            /// Where the keys stand that the file sets, in octets.
            pub(super) set: BTreeMap<&'static str, Range<usize>>,
            $($( $(#[doc = $help])+ pub $name: $type, )+)+
        }

        /// All keys, in the order of the written file.
        pub static KEYS: &[Key] = &[$($( Key {
            name: stringify!($name),
            group: $group,
            named_by: NamedBy::$named_by,
            expected: <$type as Value>::EXPECTED,
            help: concat!($($help),+),
            show: |config| config.$name.show(),
            read: |config, value| {
                config.$name = <$type as Value>::read(value)?;
                Ok(())
            },
        }, )+)+];

        impl Config {
            /// The defaults as they are written, nothing resolved.
            pub(super) fn unresolved(file: &Path) -> Self {
                Self {
                    file: file.to_owned(),
                    set: BTreeMap::new(),
                    $($( $name: $default, )+)+
                }
            }

            pub(super) fn resolve_values(&mut self, names: &Resolve<'_>) {
                $($( Value::resolve(&mut self.$name, names); )+)+
            }
        }
    };
}

keys! {
    "The host" {
        /// The name of this host on the Internet. When empty, the system's own
        /// name, made whole with mydomain.
        [Postfix] myhostname: String = String::new();
        /// The domain of this host. When empty, myhostname without its first
        /// part, or localdomain.
        [Postfix] mydomain: String = String::new();
        /// The domain that is put behind addresses without one in mail
        /// submitted on this host.
        [Postfix] myorigin: String = text("$myhostname");
        /// Where everything is kept that the server writes, seen from this
        /// file's folder. All other relative paths begin there.
        [Postfix] data_directory: PathBuf = ".".into();
    }
    "Listeners" {
        /// Where mail from other servers comes in; port 25 in production.
        [Posthaste] listen_smtp: Vec<SocketAddr> = local(2525);
        /// Where users send their mail, with a login, TLS by STARTTLS; port 587
        /// in production.
        [Posthaste] listen_submission: Vec<SocketAddr> = local(2587);
        /// The same with TLS from the first octet; port 465 in production.
        [Posthaste] listen_submissions: Vec<SocketAddr> = local(2465);
        /// Where another mail server on this host or network hands over mail
        /// for local recipients by LMTP: addresses, or paths of sockets, which
        /// the server's user and group may write to.
        [Posthaste] listen_lmtp: Vec<LmtpListener> = Vec::new();
        /// IMAP, TLS by STARTTLS; port 143 in production.
        [Posthaste] listen_imap: Vec<SocketAddr> = local(2143);
        /// IMAP with TLS from the first octet; port 993 in production.
        [Posthaste] listen_imaps: Vec<SocketAddr> = local(2993);
        /// POP3, TLS by STLS; port 110 in production.
        [Posthaste] listen_pop3: Vec<SocketAddr> = local(2110);
        /// POP3 with TLS from the first octet; port 995 in production.
        [Posthaste] listen_pop3s: Vec<SocketAddr> = local(2995);
        /// ManageSieve, TLS by STARTTLS; port 4190 in production.
        [Posthaste] listen_managesieve: Vec<SocketAddr> = local(14190);
        /// How many connections each listener holds at once. More are told to
        /// come back later.
        [Dovecot] client_limit: usize = 4096;
        /// How many connections each listener holds from one address; 0 is no
        /// limit.
        [Postfix] smtpd_client_connection_count_limit: usize = 50;
        /// The networks of proxies such as HAProxy. Each of their connections,
        /// to whatever listener, must begin with a PROXY header of version 1
        /// or 2, and counts as one from the client that it names. Of one that
        /// names nobody ("UNKNOWN") the address is unknown: whatever
        /// mynetworks says, it may not relay. The proxy's own health checks
        /// ("LOCAL" of version 2) are the proxy's.
        [Dovecot] haproxy_trusted_networks: Vec<Network> = Vec::new();
        /// How long a proxy may take for that header.
        [Dovecot] haproxy_timeout: Duration = seconds(3);
    }
    "Routing" {
        /// The domains whose addresses are accounts or aliases here.
        [Postfix] mydestination: Vec<String> =
            vec![text("$myhostname"), text("localhost.$mydomain"), text("localhost")];
        /// The networks whose mail is relayed anywhere without a login.
        [Postfix] mynetworks: Vec<Network> = loopback();
        /// The domains that anybody may send mail to through this host, beyond
        /// the local ones.
        [Postfix] relay_domains: Vec<String> = Vec::new();
        /// The host that takes all mail for elsewhere, such as
        /// "[smtp.example.org]:587". When empty, mail goes to the hosts that
        /// the DNS names.
        [Postfix] relayhost: Option<RelayHost> = None;
        /// Files of lines "[smtp.example.org]:587 user:password": the login at
        /// a relay host, named as relayhost names it. Read at the start. A
        /// password is sent under TLS alone.
        [Postfix] smtp_sasl_password_maps: Vec<TableFile> = Vec::new();
        /// Behind this character an address carries an extension: mail for
        /// ann+lists goes to ann. When empty, there are none.
        [Postfix] recipient_delimiter: String = text("+");
        /// Files of aliases for local names, in the grammar of aliases(5).
        [Postfix] alias_maps: Vec<TableFile> = vec!["aliases".into()];
        /// Files of aliases for whole addresses and, with @domain, for all
        /// others of a domain, in the grammar of virtual(5).
        [Postfix] virtual_alias_maps: Vec<TableFile> = vec!["virtual".into()];
        /// The domains all of whose addresses are in virtual_alias_maps.
        [Postfix] virtual_alias_domains: Vec<String> = Vec::new();
        /// The domains whose accounts are named by the whole address:
        /// ann@example.org is another person than ann@example.com.
        [Postfix] virtual_mailbox_domains: Vec<String> = Vec::new();
    }
    "Receiving" {
        /// What the server says first.
        [Postfix] smtpd_banner: String = text("$myhostname ESMTP posthaste");
        /// The largest message that is taken; 0 is no limit.
        [Postfix] message_size_limit: u64 = 50 << 20;
        /// How many recipients a message may have.
        [Postfix] smtpd_recipient_limit: usize = 1000;
        /// After so many errors without a message taken a session is ended:
        /// wrong commands, and recipients that do not exist.
        [Postfix] smtpd_hard_error_limit: usize = 20;
        /// How long a client may take for a whole command, and how long it may
        /// be silent within a message.
        [Postfix] smtpd_timeout: Duration = seconds(300);
        /// The octets per second that a client must send of a message, over
        /// and above the silence of smtpd_timeout.
        [Postfix] smtpd_min_data_rate: usize = 500;
        /// How long a session may last in all, whatever is done in it; 0 is no
        /// limit.
        [Posthaste] smtpd_session_time_limit: Duration = seconds(86_400);
        /// How long an error's reply waits once a client has made ten.
        [Postfix] smtpd_error_sleep_time: Duration = seconds(1);
    }
    "TLS" {
        /// TLS for mail that comes in by SMTP.
        [Postfix] smtpd_tls_security_level: TlsLevel = TlsLevel::May;
        /// The certificate with its chain, PEM. The first start makes a
        /// self-signed one.
        [Postfix] smtpd_tls_cert_file: PathBuf = "certificate.pem".into();
        /// Its private key, PEM, readable by the server's user alone.
        [Postfix] smtpd_tls_key_file: PathBuf = "key.pem".into();
        /// Whether SMTP takes a login only under TLS.
        [Postfix] smtpd_tls_auth_only: bool = true;
        /// TLS in IMAP, POP3 and ManageSieve.
        [Dovecot] ssl: Ssl = Ssl::Yes;
        /// The certificate for IMAP, POP3 and ManageSieve. When empty, the one
        /// for SMTP.
        [Dovecot] ssl_cert: Option<PathBuf> = None;
        /// The key of ssl_cert.
        [Dovecot] ssl_key: Option<PathBuf> = None;
        /// TLS for mail that goes out.
        [Postfix] smtp_tls_security_level: ClientTlsLevel = ClientTlsLevel::May;
    }
    "Accounts and logins" {
        /// The accounts and their password hashes, a line each.
        [Posthaste] users_file: PathBuf = "users".into();
        /// Each account's home folder, unless users_file names another.
        [Dovecot] mail_home: UserPath = UserPath::literal("home/%u");
        /// Whether IMAP, POP3 and ManageSieve refuse passwords without TLS.
        /// Connections within this host are always safe enough, unless ssl is
        /// "required".
        [Dovecot] disable_plaintext_auth: bool = true;
        /// How long the answer to a wrong password waits.
        [Dovecot] auth_failure_delay: Duration = seconds(2);
        /// After so many wrong passwords a connection is closed.
        [Posthaste] auth_failure_limit: usize = 3;
        /// How many IMAP, and how many POP3 connections one account holds from
        /// one address; 0 is no limit.
        [Dovecot] mail_max_userip_connections: usize = 10;
        /// Whether a client may log out of IMAP and in again on the same
        /// connection (UNAUTHENTICATE). Not behind a proxy that looks at the
        /// first login alone.
        [Posthaste] imap_unauthenticate: bool = true;
    }
    "Storage" {
        /// Where each account's mail lies, and in which format.
        [Dovecot] mail_location: MailLocation = MailLocation::usual();
        /// The same in Postfix's way: a path in the home folder, a Maildir when
        /// it ends with a slash, or else an mbox file. It cannot stand beside
        /// mail_location.
        [Postfix] home_mailbox: Option<UserPath> = None;
        /// The mailboxes that every account has from the start.
        [Posthaste] mailbox_autocreate: Vec<AutoMailbox> = vec![
            AutoMailbox::special("Drafts", "\\Drafts"),
            AutoMailbox::special("Sent", "\\Sent"),
            AutoMailbox::special("Junk", "\\Junk"),
            AutoMailbox::special("Trash", "\\Trash"),
            AutoMailbox::special("Archive", "\\Archive"),
        ];
        /// How much an account may hold: storage in KiB or with a unit,
        /// messages, by mailboxes. The rule for "*" is the account's own limit,
        /// those for other patterns add to it, replace it or are for what is
        /// not counted. Without one for "*", the limits are those in an
        /// account's maildirsize file, if there is one.
        [Dovecot] quota_rule: Vec<Quota> = Vec::new();
        /// Whether mail for a full account waits in the queue instead of going
        /// back to its sender.
        [Dovecot] quota_full_tempfail: bool = false;
    }
    "Filters" {
        /// Which filters run. When empty, a user's Sieve script where there is
        /// one, or else the .procmailrc; "procmail" or "dovecot-lda" is that
        /// one alone. Both are built in.
        [Postfix] mailbox_command: MailboxCommand = MailboxCommand::UserFilter;
        /// Where a user's Sieve scripts are, and the active one.
        [Dovecot] sieve: SieveLocation = SieveLocation::usual();
        /// Scripts, or folders of them, that run before the user's.
        [Dovecot] sieve_before: Vec<PathBuf> = Vec::new();
        /// Scripts, or folders of them, that run after the user's.
        [Dovecot] sieve_after: Vec<PathBuf> = Vec::new();
        /// The script of users who have none.
        [Dovecot] sieve_default: Option<PathBuf> = None;
        /// The folder of the scripts that others include with
        /// `include :global`, as NAME.sieve.
        [Dovecot] sieve_global: Option<PathBuf> = None;
        /// The folder of external lists that scripts may ask (RFC 6134): a
        /// file for each, named like the list, with a member on each line.
        [Posthaste] sieve_extlists: Option<PathBuf> = None;
        /// The folder of the programs that scripts may send mail to. They run
        /// as the server's own user, seen by no shell. When empty, none.
        [Dovecot] sieve_pipe_bin_dir: Option<PathBuf> = None;
        /// The same for programs that change mail.
        [Dovecot] sieve_filter_bin_dir: Option<PathBuf> = None;
        /// The same for programs that are asked something.
        [Dovecot] sieve_execute_bin_dir: Option<PathBuf> = None;
        /// How long such a program may run.
        [Posthaste] sieve_exec_timeout: Duration = seconds(10);
        /// The header field with the spam scanner's result, for the test
        /// spamtest: its name, and behind a colon a POSIX regular expression
        /// whose first group is the result. When empty, nothing scans.
        [Dovecot] sieve_spamtest_status_header: String = text("");
        /// What the result is: "score", a number; "strlen", as many characters
        /// as there are points; "text", a word.
        [Dovecot] sieve_spamtest_status_type: String = text("score");
        /// The score of what is spam for certain.
        [Dovecot] sieve_spamtest_max_value: String = text("");
        /// The header field where that score is, instead, in the same way.
        [Dovecot] sieve_spamtest_max_header: String = text("");
        /// The words for the values from 0, not tested, and 1, no spam, to 10.
        [Posthaste] sieve_spamtest_text_values: Vec<String> = Vec::new();
        /// The header field with the virus scanner's result, for the test
        /// virustest.
        [Dovecot] sieve_virustest_status_header: String = text("");
        /// What the result is, as for spam.
        [Dovecot] sieve_virustest_status_type: String = text("text");
        /// The score of what is a virus for certain.
        [Dovecot] sieve_virustest_max_value: String = text("");
        /// The header field where that score is, instead.
        [Dovecot] sieve_virustest_max_header: String = text("");
        /// The words for the values from 0, not tested, and 1, no virus, to 5.
        [Posthaste] sieve_virustest_text_values: Vec<String> = Vec::new();
        /// Whether a .procmailrc in the home folder runs.
        [Posthaste] procmail: bool = true;
        /// Where "|command" is a destination. It runs as the server's own user,
        /// seen by no shell, and must be in program_allow.
        [Postfix] allow_mail_to_commands: Vec<Named> = Vec::new();
        /// Where "/file" is a destination. Deliveries to files outside of
        /// accounts are not made, so mail for one that is allowed here goes
        /// back to its sender; one that is not is refused at RCPT.
        [Postfix] allow_mail_to_files: Vec<Named> = Vec::new();
        /// The programs, by their absolute paths, that may be run where
        /// allow_mail_to_commands permits any.
        [Posthaste] program_allow: Vec<PathBuf> = Vec::new();
        /// How long such a program may run.
        [Postfix] command_time_limit: Duration = seconds(1000);
    }
    "The queue" {
        /// The folder of accepted messages.
        [Postfix] queue_directory: PathBuf = "queue".into();
        /// How long a message that cannot be delivered is tried again, before
        /// it goes back to its sender.
        [Postfix] maximal_queue_lifetime: Duration = seconds(5 * 86_400);
        /// The same for bounces, before they are given up.
        [Postfix] bounce_queue_lifetime: Duration = seconds(5 * 86_400);
        /// After so long in the queue, the sender is told that a message is
        /// late. 0 is never.
        [Postfix] delay_warning_time: Duration = seconds(0);
        /// The shortest wait between two attempts. A destination none of whose
        /// hosts can be talked to is left alone for as long, but for `queue flush`.
        [Postfix] minimal_backoff_time: Duration = seconds(300);
        /// The longest wait between two attempts.
        [Postfix] maximal_backoff_time: Duration = seconds(4000);
        /// How many messages are worked on at once, most of them waiting for
        /// their destination.
        [Postfix] qmgr_message_active_limit: usize = 20_000;
        /// How many deliveries into mailboxes and to programs go on at once;
        /// to other hosts ten times as many, since most of those wait.
        [Postfix] default_process_limit: usize = 100;
        /// How many deliveries go to one destination at once.
        [Postfix] default_destination_concurrency_limit: usize = 20;
    }
    "Logs" {
        /// The shape of log lines.
        [Posthaste] log_format: LogFormat = LogFormat::Human;
        /// What is logged: error, warn, info, debug or trace, also for a part
        /// of the server alone, as in "info,posthaste::queue=debug".
        [Posthaste] log_level: String = text("info");
        /// The file that logs go to. When empty, the standard error output.
        [Dovecot] log_path: Option<PathBuf> = None;
    }
}

fn text(text: &str) -> String {
    text.to_owned()
}

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn local(port: u16) -> Vec<SocketAddr> {
    vec![SocketAddr::from((Ipv4Addr::LOCALHOST, port))]
}

fn loopback() -> Vec<Network> {
    [
        Network::new(IpAddr::V4(Ipv4Addr::new(127, 0, 0, 0)), 8),
        Network::new(IpAddr::V6(Ipv6Addr::LOCALHOST), 128),
    ]
    .into_iter()
    .flatten()
    .collect()
}
