//! What the protocol machines are told, as the configuration has it.

use imap_proto::{Capability, Extension};

use super::MailService;
use crate::auth::MECHANISMS;
use crate::config::{Config, Ssl, TlsLevel};

pub(super) fn smtp_config(
    config: &Config,
    service: MailService,
    starttls: bool,
) -> smtp_proto::Config {
    let mut machine = match service {
        MailService::Lmtp => smtp_proto::Config::lmtp(&config.myhostname),
        _ => smtp_proto::Config::new(&config.myhostname),
    };
    let banner = config.smtpd_banner.strip_prefix(&config.myhostname);
    if service != MailService::Lmtp {
        machine.banner = banner.unwrap_or(&config.smtpd_banner).trim().to_owned();
    }
    machine.extensions.starttls = starttls;
    machine.extensions.dsn = true;
    machine.extensions.smtputf8 = true;
    machine.extensions.requiretls = true;
    machine.extensions.limits = true;
    if service == MailService::Submission {
        machine.extensions.auth = MECHANISMS.iter().map(|known| known.name().into()).collect();
        machine.auth_required = true;
        machine.auth_needs_tls = config.smtpd_tls_auth_only;
    }
    machine.tls_required = config.smtpd_tls_security_level == TlsLevel::Encrypt;
    machine.limits.message_size = match config.message_size_limit {
        0 => u64::MAX,
        limit => limit,
    };
    let most = |limit: usize| u32::try_from(limit).unwrap_or(u32::MAX);
    let session = config.smtpd_session_time_limit;
    machine.timeouts.command = config.smtpd_timeout;
    machine.timeouts.data_block = config.smtpd_timeout;
    machine.timeouts.data_rate = most(config.smtpd_min_data_rate);
    machine.timeouts.session = Some(session).filter(|limit| !limit.is_zero());
    machine.limits.recipients = most(config.smtpd_recipient_limit);
    machine.limits.errors = most(config.smtpd_hard_error_limit);
    machine.limits.auth_failures = most(config.auth_failure_limit);
    machine
}

/// What of IMAP is offered beside what the machine offers by itself.
const OFFERED: [Extension; 18] = [
    Extension::CondStore,
    Extension::QResync,
    Extension::Sort,
    Extension::SortDisplay,
    Extension::ESort,
    Extension::ThreadOrderedSubject,
    Extension::ThreadReferences,
    Extension::ThreadRefs,
    Extension::Partial,
    Extension::Preview,
    Extension::SaveDate,
    Extension::ObjectId,
    Extension::CreateSpecialUse,
    Extension::CompressDeflate,
    Extension::Quota,
    Extension::MultiAppend,
    Extension::Replace,
    Extension::Metadata,
];

pub(super) fn imap_config(
    config: &Config,
    starttls: bool,
    implicit_tls: bool,
    within_host: bool,
) -> imap_proto::Config {
    let mechanisms: Vec<Box<str>> = MECHANISMS.iter().map(|known| known.name().into()).collect();
    let in_clear = config.ssl != Ssl::Required && (within_host || !config.disable_plaintext_auth);
    let mut machine = imap_proto::Config {
        greeting: format!("{} posthaste ready", config.myhostname),
        starttls,
        implicit_tls,
        mechanisms_without_tls: if in_clear {
            mechanisms.clone()
        } else {
            Vec::new()
        },
        mechanisms,
        login_without_tls: in_clear,
        // Nobody is told of what other sessions annotate.
        metadata_news: false,
        capabilities: ["STORAGE", "MESSAGE"]
            .into_iter()
            .filter_map(|name| Capability::with_value(Extension::QuotaResource, name).ok())
            .collect(),
        ..imap_proto::Config::default()
    };
    for extension in OFFERED {
        machine.extensions.insert(extension);
    }
    if config.imap_unauthenticate {
        machine.extensions.insert(Extension::Unauthenticate);
    }
    if config.message_size_limit > 0 {
        machine.limits.message = config.message_size_limit;
    }
    machine
}
