//! Where accounts' mail lies.

use mailstore::AccountConfig;

use crate::auth::Users;
use crate::config::{Account, Config, Location, MailboxCommand, UserPath};
use crate::store::{AccountPlace, FilterKind, ScriptPlace, StoreError};

/// How mail in a place is kept.
pub(crate) fn account_config(config: &Config, location: Location) -> AccountConfig {
    let mut mail = match location {
        Location::Maildir { root, fs: false } => AccountConfig::maildir(root, &config.myhostname),
        Location::Maildir { root, fs: true } => AccountConfig::maildir_fs(root, &config.myhostname),
        Location::Mbox { root, inbox } => AccountConfig::mbox(root, inbox, &config.myhostname),
    };
    mail.quota = config
        .quota_rule
        .iter()
        .map(|rule| rule.0.clone())
        .collect();
    mail
}

/// Where one account's mail lies.
pub(crate) fn place(
    config: &Config,
    users: &Users,
    user: &str,
) -> Result<AccountPlace, StoreError> {
    let named = |reason: String| StoreError::Name {
        name: user.to_owned(),
        reason,
    };
    let named_home = users.find(user).and_then(|user| user.home.clone());
    let home = match named_home {
        Some(home) => config.data_directory.join(home),
        None => config
            .home_of(user)
            .map_err(|error| named(error.to_string()))?,
    };
    let account = Account { user, home: &home };
    let location = config
        .location_of(account)
        .map_err(|error| named(error.to_string()))?;
    let mail = account_config(config, location);
    std::fs::create_dir_all(&home)
        .map_err(|error| StoreError::Storage(format!("{}: {error}", home.display())))?;
    let expand = |path: &UserPath| {
        path.expand(account)
            .map_err(|error| named(error.to_string()))
    };
    let sieve = expand(&config.sieve.active)?;
    let scripts = ScriptPlace {
        folder: expand(&config.sieve.scripts)?,
        active: sieve.clone(),
    };
    let sieve =
        (config.mailbox_command != MailboxCommand::Procmail).then_some((FilterKind::Sieve, sieve));
    let procmail = (config.procmail && config.mailbox_command != MailboxCommand::Sieve)
        .then(|| (FilterKind::Procmail, home.join(".procmailrc")));
    let default = config.sieve_default.clone();
    let default = default.map(|path| (FilterKind::Sieve, path));
    let autocreate = config.mailbox_autocreate.iter();
    Ok(AccountPlace {
        mail,
        filters: sieve.into_iter().chain(procmail).chain(default).collect(),
        before: config.sieve_before.clone(),
        after: config.sieve_after.clone(),
        scripts: Some(scripts),
        autocreate: autocreate
            .map(|mailbox| (mailbox.name.clone(), mailbox.special_use.clone()))
            .collect(),
        home,
    })
}
