//! `posthaste mailbox verify` and `repair`.

use std::process::ExitCode;
use std::time::SystemTime;

use super::{AnyError, Opened, named, print};

/// Succeeds when all is sound now.
pub(super) fn run(opened: &Opened, mailboxes: &[String], mend: bool) -> Result<ExitCode, AnyError> {
    let account = &opened.account;
    let (mut left, mut mended) = (0u64, 0u64);
    for name in named(account, mailboxes)? {
        let now = SystemTime::now();
        let found = if mend {
            account.repair(&name, now)?
        } else {
            account.verify(&name, now)?
        };
        for finding in &found {
            let what = if finding.mended { "mended" } else { "found" };
            print::line(format_args!(
                "{name}: {what}: {}: {}",
                finding.path.display(),
                finding.problem
            ));
            if finding.mended {
                mended += 1;
            } else {
                left += 1;
            }
        }
        if found.is_empty() {
            print::line(format_args!("{name}: sound"));
        }
    }
    if left == 0 {
        return Ok(ExitCode::SUCCESS);
    }
    print::error(match (mend, mended) {
        (false, _) => format!("{left} found; \"posthaste mailbox repair\" mends what can be"),
        (true, _) => format!("{mended} mended, {left} left that need a person"),
    });
    Ok(ExitCode::FAILURE)
}
