//! How long a server may take, however it spreads what it says and takes.

use std::time::{Duration, Instant};

use super::transaction::{Encoder, Phase, Transaction};
use super::{Client, ClientTimeouts, Expect, Timer};
use crate::patience::Patience;

impl ClientTimeouts {
    pub(super) fn of_message(&self, encoder: &Encoder) -> Patience {
        Patience::new(match encoder {
            Encoder::Dots(_) => self.data_block,
            // With the replies between.
            Encoder::Lines(_) | Encoder::Binary => self.data_block.saturating_add(self.data_end),
        })
    }

    /// `once`, and what each recipient adds.
    fn with_each(&self, once: Duration, recipients: usize) -> Duration {
        let count = u32::try_from(recipients).unwrap_or(u32::MAX);
        once.saturating_add(self.recipient.saturating_mul(count))
    }
}

impl Client {
    /// Remembers what the server has taken of the output since the last look.
    pub(super) fn note_taken(&mut self) {
        let left = self.output.len();
        if let Some(transaction) = &mut self.transaction {
            transaction.taken += self.undrained.saturating_sub(left);
        }
        self.undrained = left;
    }

    /// What the server has taken buys it time.
    pub(super) fn see_taken(&mut self, now: Instant) {
        self.note_taken();
        if let Some(transaction) = &mut self.transaction {
            let taken = std::mem::take(&mut transaction.taken);
            if taken > 0 {
                let rate = self.config.timeouts.data_rate;
                transaction.patience.earn(taken, now, rate);
            }
        }
    }

    /// Sets when the next reply must have come: once for all of its octets.
    pub(super) fn wait_for_reply(&mut self, now: Instant) {
        let Some(expect) = self.expected.front() else {
            return;
        };
        let set = self.deadlines.when(Timer::Reply);
        let mut at = set.unwrap_or(now + self.time_for(*expect));
        if *expect == Expect::Chunk
            && let Some(transaction) = &mut self.transaction
            && (set.is_none() || !transaction.patience.is_waiting())
        {
            at = at.min(now + transaction.patience.wait(now));
        }
        self.deadlines.set(Timer::Reply, at);
        self.bound_all(now);
    }

    fn time_for(&self, expect: Expect) -> Duration {
        let timeouts = &self.config.timeouts;
        match expect {
            Expect::Greeting => timeouts.greeting,
            Expect::Data => timeouts.data,
            Expect::Chunk | Expect::End(_) | Expect::Ignored => timeouts.data_end,
            Expect::Quit => timeouts.quit,
            _ => timeouts.command,
        }
    }

    /// Sets the time for all replies to the commands that are under way.
    fn bound_all(&mut self, now: Instant) {
        let Some(transaction) = &self.transaction else {
            return;
        };
        let timeouts = &self.config.timeouts;
        let count = transaction.recipients.len();
        let (timer, wait) = if transaction.is_before_message() {
            let commands = timeouts.command.saturating_mul(2);
            (Timer::Envelope, timeouts.with_each(commands, count))
        } else if self.awaits_ends() {
            (Timer::Ends, timeouts.with_each(timeouts.data_end, count))
        } else {
            return;
        };
        if self.deadlines.when(timer).is_none() {
            self.deadlines.set(timer, now + wait);
        }
    }

    /// Forgets that time where those replies have come.
    pub(super) fn clear_past(&mut self) {
        let transaction = self.transaction.as_ref();
        if !transaction.is_some_and(Transaction::is_before_message) {
            self.deadlines.clear(Timer::Envelope);
        }
        if !self.awaits_ends() {
            self.deadlines.clear(Timer::Ends);
        }
    }

    fn awaits_ends(&self) -> bool {
        matches!(self.expected.front(), Some(Expect::End(Some(_))))
    }
}

impl Transaction {
    fn is_before_message(&self) -> bool {
        matches!(self.phase, Phase::Envelope | Phase::Data)
    }

    /// A reply has come.
    pub(super) fn heard(&mut self, now: Instant) {
        self.patience.spend(now);
    }
}
