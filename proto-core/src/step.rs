use thiserror::Error;

/// What a machine's `poll` wants of its host.
#[must_use]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step<E> {
    /// Something happened: act on it, answer if the event asks for an
    /// answer, and poll again.
    Event(E),
    /// Append octets to `input`, or wait for `poll_timeout()`, then poll again.
    NeedInput,
    /// An earlier event still waits for the host's answer.
    NeedAnswer,
    /// The peer reads too slowly: write `output()` before polling again.
    NeedDrain,
    /// Over: drain `output()`, then close the transport.
    Closed,
}

impl<E> Step<E> {
    /// Changes the event, keeps every other step.
    pub fn map<F>(self, change: impl FnOnce(E) -> F) -> Step<F> {
        match self {
            Self::Event(event) => Step::Event(change(event)),
            Self::NeedInput => Step::NeedInput,
            Self::NeedAnswer => Step::NeedAnswer,
            Self::NeedDrain => Step::NeedDrain,
            Self::Closed => Step::Closed,
        }
    }
}

/// A mistake of the host: a call that the machine's state does not allow.
///
/// The machine is unchanged by a call that answers with `Misuse`.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Misuse {
    /// No event waits for this answer.
    #[error("{call}: no event waits for this answer")]
    NotExpected {
        /// The method that was called.
        call: &'static str,
    },
    /// The connection is over.
    #[error("{call}: the connection is over")]
    Closed {
        /// The method that was called.
        call: &'static str,
    },
    /// An argument cannot be sent as it is (say, a line break in a reply).
    #[error("{call}: {reason}")]
    Argument {
        /// The method that was called.
        call: &'static str,
        /// What is wrong with the argument.
        reason: &'static str,
    },
}
