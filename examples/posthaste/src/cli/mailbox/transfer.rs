//! `posthaste mailbox import`, `export` and `convert`.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::SystemTime;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use mailstore::{AccountConfig, Foreign, Progress, Source, Store, Target, Transfer};

use super::{AnyError, Kind, Opened, print};
use crate::config::{Account, Config, MailLocation};

pub(super) fn import(
    opened: &Opened,
    path: &Path,
    format: Option<Foreign>,
    only: Option<String>,
    into: Option<String>,
) -> Result<ExitCode, AnyError> {
    let format = match format {
        Some(format) => format,
        None => Foreign::detect(path)?
            .ok_or_else(|| format!("{}: --format must say what it is", path.display()))?,
    };
    let source = Source::Files {
        format,
        path: path.to_owned(),
    };
    let target = Target::Account(Arc::clone(&opened.account));
    run(opened, source, target, only, into)
}

pub(super) fn export(
    opened: &Opened,
    path: &Path,
    kind: Kind,
    only: Option<String>,
) -> Result<ExitCode, AnyError> {
    let host = &opened.mail.host;
    let account = |config: AccountConfig| Store::new().account(&config).map(Target::Account);
    let target = match kind {
        Kind::Maildir => account(AccountConfig::maildir(path, host))?,
        Kind::MaildirFs => account(AccountConfig::maildir_fs(path, host))?,
        Kind::Mbox => account(AccountConfig::mbox(path, path.join("INBOX"), host))?,
        Kind::Mh | Kind::Eml => Target::Files {
            format: kind.foreign(),
            path: path.to_owned(),
        },
    };
    apart(opened, path)?;
    let source = Source::Account(Arc::clone(&opened.account));
    run(opened, source, target, only, None)
}

pub(super) fn convert(
    config: &Config,
    opened: &Opened,
    user: &str,
    location: &str,
) -> Result<ExitCode, AnyError> {
    let location: MailLocation = location.parse()?;
    let location = location.of(Account {
        user,
        home: &opened.home,
    })?;
    let mail = crate::server::account_config(config, location);
    apart(opened, &mail.root)?;
    let target = Target::Account(Store::new().account(&mail)?);
    let source = Source::Account(Arc::clone(&opened.account));
    run(opened, source, target, None, None)
}

/// A store that is copied into itself would not end.
fn apart(opened: &Opened, target: &Path) -> Result<(), AnyError> {
    let (from, to) = (
        std::fs::canonicalize(&opened.mail.root)?,
        std::path::absolute(target)?,
    );
    let to = std::fs::canonicalize(&to).unwrap_or(to);
    if to == from {
        return Err(format!("{}: the account's mail is there already", to.display()).into());
    }
    Ok(())
}

fn run(
    opened: &Opened,
    source: Source,
    target: Target,
    only: Option<String>,
    into: Option<String>,
) -> Result<ExitCode, AnyError> {
    let transfer = Transfer {
        source,
        target,
        only,
        into,
        host: opened.mail.host.clone(),
    };
    // Nothing is drawn where that is no terminal.
    let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr());
    let style = "{msg:30!} {wide_bar} {pos}/{len} {per_sec} {eta}";
    bar.set_style(ProgressStyle::with_template(style)?);
    let done = transfer.run(&mut SystemTime::now, &mut |progress| match progress {
        Progress::Mailbox { name, messages } => {
            bar.set_message(name.to_owned());
            bar.inc_length(messages);
        }
        _ => bar.inc(1),
    });
    bar.finish_and_clear();
    let done = done?;
    for unread in &done.unread {
        print::error(format_args!("{}: not read: {}", unread.what, unread.error));
    }
    print::line(format_args!(
        "{} copied, {} there already, {} not read",
        done.copied,
        done.present,
        done.unread.len()
    ));
    Ok(if done.unread.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
