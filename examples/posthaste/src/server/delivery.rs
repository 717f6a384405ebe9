//! What delivers, as the configuration has it.

use std::sync::Arc;
use std::time::Duration;

use net::Resolver;
use smtp_proto::ClientConfig;

use super::StartError;
use crate::config::{Config, Named};
use crate::delivery::{
    DeliveryAgent, DeliveryConfig, LocalAgent, LocalConfig, Logins, ProcmailConfig, RemoteAgent,
    RemoteConfig, SieveConfig,
};
use crate::queue::Queue;
use crate::route::Router;
use crate::store::MailStore;

pub(super) fn delivery(
    config: &Arc<Config>,
    queue: &Arc<dyn Queue>,
    router: &Arc<Router>,
    store: &Arc<dyn MailStore>,
) -> Result<Arc<DeliveryAgent>, StartError> {
    let mut client = ClientConfig::new(&config.myhostname).map_err(|error| StartError::Key {
        key: "myhostname",
        reason: error.to_string(),
    })?;
    // Nearly every server takes 8-bit mail, offered or not.
    client.eight_bit_anyway = true;
    let resolver = Resolver::system()?;
    let remote = RemoteAgent::new(
        RemoteConfig {
            client: Arc::new(client),
            tls: config.smtp_tls_security_level,
            port: 25,
            connect_timeout: Duration::from_secs(30),
            address_limit: 5,
            destination_concurrency: config.default_destination_concurrency_limit,
            concurrency: config.default_process_limit.saturating_mul(10),
            pause: config.minimal_backoff_time,
            logins: Logins::read(config.smtp_sasl_password_maps.iter().map(|file| &*file.0))?,
        },
        resolver,
    )?;
    let local = LocalAgent::new(
        &LocalConfig {
            hostname: config.myhostname.clone(),
            recipient_delimiter: config.recipient_delimiter.clone(),
            procmail: procmail(config),
            sieve: sieve(config).map_err(StartError::Scanner)?,
            quota_full_tempfail: config.quota_full_tempfail,
        },
        Arc::clone(store),
    );
    Ok(Arc::new(DeliveryAgent::new(
        DeliveryConfig {
            hostname: config.myhostname.clone(),
            active_messages: config.qmgr_message_active_limit,
            local_concurrency: config.default_process_limit,
            command_time_limit: config.command_time_limit,
            minimal_backoff: config.minimal_backoff_time,
            maximal_backoff: config.maximal_backoff_time,
            maximal_queue_lifetime: config.maximal_queue_lifetime,
            bounce_queue_lifetime: config.bounce_queue_lifetime,
            delay_warning: config.delay_warning_time,
        },
        Arc::clone(queue),
        Arc::clone(router),
        local,
        remote,
    )))
}

/// What users' Sieve scripts may do on this host.
pub(crate) fn sieve(config: &Config) -> Result<SieveConfig, String> {
    let text = |value: &String| Some(value.clone()).filter(|value| !value.is_empty());
    let spam = |name: &str| match name {
        "status_type" => text(&config.sieve_spamtest_status_type),
        "status_header" => text(&config.sieve_spamtest_status_header),
        "max_value" => text(&config.sieve_spamtest_max_value),
        "max_header" => text(&config.sieve_spamtest_max_header),
        other => word(&config.sieve_spamtest_text_values, other),
    };
    let virus = |name: &str| match name {
        "status_type" => text(&config.sieve_virustest_status_type),
        "status_header" => text(&config.sieve_virustest_status_header),
        "max_value" => text(&config.sieve_virustest_max_value),
        "max_header" => text(&config.sieve_virustest_max_header),
        other => word(&config.sieve_virustest_text_values, other),
    };
    Ok(SieveConfig {
        global: config.sieve_global.clone(),
        lists: config.sieve_extlists.clone(),
        pipe: config.sieve_pipe_bin_dir.clone(),
        filter: config.sieve_filter_bin_dir.clone(),
        execute: config.sieve_execute_bin_dir.clone(),
        time_limit: config.sieve_exec_timeout,
        spam: sieve::Scanner::from_settings(false, spam)
            .map_err(|fault| format!("sieve_spamtest_{fault}"))?,
        virus: sieve::Scanner::from_settings(true, virus)
            .map_err(|fault| format!("sieve_virustest_{fault}"))?,
    })
}

/// The word for a value, counted from zero; an empty one stands for none.
fn word(words: &[String], name: &str) -> Option<String> {
    let number: usize = name.strip_prefix("text_value")?.parse().ok()?;
    words.get(number).filter(|word| !word.is_empty()).cloned()
}

/// What users' procmailrcs may do on this host.
fn procmail(config: &Config) -> ProcmailConfig {
    let may_run = config.allow_mail_to_commands.contains(&Named::Procmail);
    ProcmailConfig {
        programs: if may_run {
            config.program_allow.clone()
        } else {
            Vec::new()
        },
        time_limit: config.command_time_limit,
        files: config.allow_mail_to_files.contains(&Named::Procmail),
    }
}
