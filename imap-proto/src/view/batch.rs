//! UIDs in portions (draft-ietf-mailmaint-imap-uidbatches, RFC 9738).

use std::num::NonZeroU32;

use super::{Message, View};
use crate::Code;

impl View {
    /// The answer to UIDBATCHES: higher and lower end of each batch of `size`
    /// messages, the highest first. Together they cover all UIDs from the
    /// largest down to 1; `range` picks some, the first being 1.
    #[must_use]
    pub fn batches(
        &self,
        size: NonZeroU32,
        range: Option<(NonZeroU32, NonZeroU32)>,
    ) -> Vec<(NonZeroU32, NonZeroU32)> {
        let size = usize::try_from(size.get()).unwrap_or(usize::MAX);
        let index = |number: NonZeroU32| usize::try_from(number.get()).unwrap_or(usize::MAX);
        let (first, last) =
            range.map_or((1, usize::MAX), |(first, last)| (index(first), index(last)));
        let (mut end, mut number) = (self.uids.len(), 0_usize);
        let mut batches = Vec::new();
        while let Some(high) = end.checked_sub(1).and_then(|at| self.uids.get(at)) {
            number += 1;
            end = end.saturating_sub(size);
            let below = end.checked_sub(1).and_then(|at| self.uids.get(at));
            let low = below.map_or(Some(NonZeroU32::MIN), |below| below.checked_add(1));
            if (first..=last).contains(&number) {
                batches.extend(low.map(|low| (high, low)));
            }
        }
        batches
    }

    /// What of a command's messages, ascending, is worked on under
    /// MESSAGELIMIT (RFC 9738 §3.1): the last ones; and the code to reply
    /// with where that is not all. COPY works on all or none.
    #[must_use]
    pub fn within_limit(messages: &[Message], limit: NonZeroU32) -> (&[Message], Option<Code>) {
        let most = usize::try_from(limit.get()).unwrap_or(usize::MAX);
        let Some(start) = messages.len().checked_sub(most).filter(|start| *start > 0) else {
            return (messages, None);
        };
        let kept = messages.get(start..).unwrap_or_default();
        let last_uid = kept.first().map(|message| message.uid);
        (kept, Some(Code::MessageLimit { limit, last_uid }))
    }
}
