//! What the end of a run tells the queue.

use procmail_rules::{End, Outcome as Ended};

use super::Plan;
use crate::delivery::local::{Content, from_store};
use crate::delivery::{Failure, Outcome};

/// `EX_NOUSER`, `EX_NOPERM` and `EX_TEMPFAIL` of sysexits.h, and the range of
/// its codes.
const NO_USER: u8 = 67;
const NO_PERMISSION: u8 = 77;
const TRY_LATER: u8 = 75;
const FAILURES: std::ops::RangeInclusive<u8> = 64..=78;

impl Plan<'_> {
    /// Sees to it that the message is somewhere, or that its sender hears.
    pub(super) async fn conclude(&mut self, ended: Result<Ended, String>) -> Result<(), Outcome> {
        let reason = match ended {
            Ok(ended) => {
                let exit = ended.exit;
                let fixed = ended.environment.get(b"EXITCODE");
                let meant = fixed == Some(exit.to_string().as_bytes()) && FAILURES.contains(&exit);
                match ended.end {
                    End::Delivered if meant && exit != TRY_LATER => return Err(failed(exit)),
                    End::Delivered => return Ok(()),
                    End::HostMismatch if meant => return Err(failed(exit)),
                    End::HostMismatch => "HOST is another".to_owned(),
                    _ => "it delivers nowhere".to_owned(),
                }
            }
            Err(reason) => reason,
        };
        self.complain(&reason, "kept in INBOX");
        let content = if self.edited {
            Content::Edited(self.message.clone())
        } else {
            Content::Original
        };
        self.store("INBOX", content).await?.map_err(from_store)
    }
}

/// What EXITCODE tells the mail system.
fn failed(exit: u8) -> Outcome {
    let failure = |code: &str| {
        let reason = format!("the recipient's filter gave exit code {exit}");
        Failure::new(code, reason)
    };
    match exit {
        TRY_LATER => Outcome::Deferred(failure("4.3.0")),
        NO_USER => Outcome::Failed(failure("5.1.1")),
        NO_PERMISSION => Outcome::Failed(failure("5.7.1")),
        _ => Outcome::Failed(failure("5.3.0")),
    }
}
