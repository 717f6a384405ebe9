//! How much an evaluation goes through: what a step costs is up to the message.

use std::sync::atomic::Ordering;

use super::{Evaluation, Fault};

/// What looking at the name of a field, at a key or at a part counts for, in octets.
pub(super) const FIELD: usize = 16;

/// Octets of a list of strings: each may be a variable at its limit.
pub(super) const LIST: usize = 16 << 20;

impl Evaluation<'_> {
    /// Notes that so many octets were gone through.
    pub(super) fn spend(&self, octets: usize) {
        let octets = u64::try_from(octets).unwrap_or(u64::MAX);
        let spent = self.spent.load(Ordering::Relaxed);
        self.spent
            .store(spent.saturating_add(octets), Ordering::Relaxed);
    }

    /// Whether no more may be gone through.
    pub(super) fn is_spent(&self) -> bool {
        self.spent.load(Ordering::Relaxed) > self.config.limits.octets
    }

    pub(super) fn left_to_spend(&self) -> u64 {
        let spent = self.spent.load(Ordering::Relaxed);
        self.config.limits.octets.saturating_sub(spent)
    }

    pub(super) fn check_spent(&self) -> Result<(), Fault> {
        if self.is_spent() {
            let limit = self.config.limits.octets;
            return Err(Fault::Fail(format!(
                "the script goes through more than {limit} octets"
            )));
        }
        Ok(())
    }

    /// A test or command looks for a field or two.
    pub(super) fn spend_look(&self) {
        self.spend(self.message.entries().len().saturating_mul(FIELD));
    }
}
