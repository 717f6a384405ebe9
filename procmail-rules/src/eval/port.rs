//! Where effects leave the evaluation and answers enter it.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use crate::effect::{Effect, Expected, Reply};
use crate::error::{Error, Limit, Misuse};
use crate::limits::Limits;

#[derive(Debug, Default)]
struct State {
    /// Not yet handed to the host.
    outgoing: Option<Effect>,
    /// What may answer the effect handed to the host, which has not answered.
    asked: Option<Expected>,
    reply: Option<Reply>,
    effects: usize,
    rc_files: usize,
    clones: usize,
    statements: usize,
    regex_work: u64,
    log_size: usize,
}

/// Shared by the evaluator, the run, and its clones, whose work counts together.
#[derive(Debug)]
pub(super) struct Port {
    state: Mutex<State>,
    limits: Limits,
}

impl Port {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            state: Mutex::default(),
            limits,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is_waiting(&self) -> bool {
        self.state().asked.is_some()
    }

    /// The effect to hand to the host.
    pub(super) fn take(&self) -> Option<Effect> {
        let mut state = self.state();
        let effect = state.outgoing.take()?;
        state.asked = Some(effect.expects());
        Some(effect)
    }

    pub(super) fn answer(&self, reply: Reply) -> Result<(), Misuse> {
        let mut state = self.state();
        let Some(asked) = state.asked else {
            return Err(Misuse::NotAsked);
        };
        if !asked.allows(&reply) {
            return Err(Misuse::WrongReply);
        }
        state.asked = None;
        state.reply = Some(reply);
        Ok(())
    }

    pub(super) fn ask(self: &Arc<Self>, effect: Effect) -> Result<Answer, Error> {
        let mut state = self.state();
        if state.effects >= self.limits.effects {
            return Err(Error::limit(Limit::Effects));
        }
        state.effects += 1;
        state.outgoing = Some(effect);
        drop(state);
        Ok(Answer(Arc::clone(self)))
    }

    pub(super) fn count_rc(&self) -> Result<(), Error> {
        let mut state = self.state();
        count(&mut state.rc_files, 1, self.limits.rc_files, Limit::RcFiles)
    }

    pub(super) fn count_clone(&self) -> Result<(), Error> {
        let mut state = self.state();
        count(&mut state.clones, 1, self.limits.clones, Limit::Clones)
    }

    pub(super) fn count_statement(&self) -> Result<(), Error> {
        let mut state = self.state();
        count(
            &mut state.statements,
            1,
            self.limits.statements,
            Limit::Statements,
        )
    }

    pub(super) fn count_log(&self, octets: usize) -> Result<(), Error> {
        let mut state = self.state();
        count(
            &mut state.log_size,
            octets,
            self.limits.log_size,
            Limit::LogSize,
        )
    }

    pub(super) fn count_regex(&self, states: usize, octets: usize) -> Result<(), Error> {
        let mut state = self.state();
        let work = u64::try_from(states)
            .unwrap_or(u64::MAX)
            .saturating_mul(u64::try_from(octets).unwrap_or(u64::MAX));
        state.regex_work = state.regex_work.saturating_add(work);
        if state.regex_work > self.limits.regex_work {
            Err(Error::limit(Limit::RegexWork))
        } else {
            Ok(())
        }
    }
}

fn count(counter: &mut usize, more: usize, limit: usize, kind: Limit) -> Result<(), Error> {
    *counter = counter.saturating_add(more);
    if *counter > limit {
        Err(Error::limit(kind))
    } else {
        Ok(())
    }
}

/// The host's answer to come.
pub(super) struct Answer(Arc<Port>);

impl Future for Answer {
    type Output = Result<Reply, Error>;

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
        match self.0.state().reply.take() {
            Some(reply) => Poll::Ready(Ok(reply)),
            None => Poll::Pending,
        }
    }
}
