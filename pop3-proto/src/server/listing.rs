use std::fmt::Write as _;

use proto_core::Output;

use crate::{Maildrop, MessageNumber};

/// A multi-line LIST or UIDL on its way out, so that a maildrop of a million
/// messages is never in the output as a whole.
#[derive(Debug, Clone)]
pub(super) struct Listing {
    pub(super) kind: Kind,
    next: u32,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    Sizes,
    UniqueIds,
}

impl Kind {
    /// The scan listing or unique-id listing of one message, without CRLF;
    /// `false` where there is no such message.
    pub(super) fn write(
        self,
        maildrop: &Maildrop,
        number: MessageNumber,
        prefix: &str,
        output: &mut Output,
    ) -> bool {
        let written = match self {
            Self::Sizes => maildrop
                .size(number)
                .map(|size| write!(output, "{prefix}{number} {size}\r\n")),
            Self::UniqueIds => maildrop
                .unique_id(number)
                .map(|unique_id| write!(output, "{prefix}{number} {unique_id}\r\n")),
        };
        written.is_some()
    }
}

impl Listing {
    pub(super) fn new(kind: Kind) -> Self {
        Self { kind, next: 1 }
    }

    /// Writes lines until the output holds `limit` octets; whether all is
    /// written, the last dot too.
    pub(super) fn write(&mut self, maildrop: &Maildrop, output: &mut Output, limit: usize) -> bool {
        while output.len() < limit {
            let number = MessageNumber::new(self.next);
            let Some(number) = number.filter(|number| number.value() <= maildrop.highest()) else {
                output.push_slice(b".\r\n");
                return true;
            };
            self.kind.write(maildrop, number, "", output);
            self.next += 1;
        }
        false
    }
}
