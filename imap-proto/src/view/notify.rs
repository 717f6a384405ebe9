//! Which news of the selected mailbox NOTIFY wants (RFC 5465 §6.1).

use crate::{FetchAttribute, MailboxFilter, Notify, NotifyEvent};

/// Which news a client wants of its selected mailbox.
///
/// Without NOTIFY all of it, while a command is in progress.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SelectedEvents {
    /// `MessageNew` and `MessageExpunge`, which go together.
    pub messages: bool,
    /// What of a new message is sent along; to be sent by the host, behind
    /// [`View::pending`](crate::View::pending), for
    /// [`View::take_new`](crate::View::take_new).
    pub attributes: Vec<FetchAttribute>,
    /// `FlagChange`
    pub flags: bool,
    /// `AnnotationChange`
    pub annotations: bool,
    /// `SELECTED`: expunged messages are told at once, not only where a
    /// command allows it.
    pub immediate: bool,
}

impl Notify {
    /// What of it concerns the selected mailbox, whichever that is.
    #[must_use]
    pub fn selected(&self) -> SelectedEvents {
        let mut wanted = SelectedEvents {
            messages: false,
            attributes: Vec::new(),
            flags: false,
            annotations: false,
            immediate: false,
        };
        let Self::Set { groups, .. } = self else {
            return wanted;
        };
        // Without a group for it, as with SELECTED NONE (RFC 5465 §3.1).
        let group = groups.iter().find(|group| group.mailboxes.is_selected());
        let Some(group) = group else {
            return wanted;
        };
        wanted.immediate = group.mailboxes == MailboxFilter::Selected;
        for event in &group.events {
            match event {
                NotifyEvent::MessageNew(attributes) => {
                    wanted.messages = true;
                    wanted.attributes.clone_from(attributes);
                }
                NotifyEvent::FlagChange => wanted.flags = true,
                NotifyEvent::AnnotationChange => wanted.annotations = true,
                _ => {}
            }
        }
        wanted
    }
}
