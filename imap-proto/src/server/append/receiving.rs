//! Where an APPEND stands.

use std::collections::VecDeque;

use crate::command::append::{Item, Place};
use crate::{Mailbox, Replaced, Tag};

/// Where an APPEND stands.
#[derive(Debug)]
pub(in crate::server) struct Receiving {
    pub(super) tag: Tag,
    pub(super) mailbox: Mailbox,
    pub(super) replaces: Option<Replaced>,
    pub(super) index: u32,
    /// A CATENATE is open.
    pub(super) catenating: bool,
    /// Octets of the texts of that CATENATE.
    pub(super) total: u64,
    /// What was read and not handled yet; a literal or the end is the last.
    pub(super) items: VecDeque<Item>,
    /// Whether the client waits for `+` before the last of them.
    pub(super) synchronizing: bool,
    pub(super) utf8: bool,
    /// Octets of the present literal that did not come yet.
    pub(super) left: u64,
    pub(super) stage: Stage,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::server) enum Stage {
    /// The next item is to be handled.
    Items,
    /// The host decides whether it takes what needs no octets: a message that
    /// is put together, a URL.
    Asked,
    /// The host decides whether it takes a literal.
    Announced,
    /// The literal comes.
    Octets,
    /// What is behind the message?
    Behind,
    /// What comes up to the next literal, or to the end.
    Segment(Place),
}

impl Receiving {
    pub(in crate::server) fn tag(&self) -> &Tag {
        &self.tag
    }

    /// Whether the host may refuse here.
    pub(in crate::server) fn may_fail(&self) -> bool {
        !matches!(self.stage, Stage::Segment(_))
    }

    /// The host takes what was announced; whether it is to be sent `+`.
    pub(in crate::server) fn accept(&mut self) -> Option<bool> {
        match self.stage {
            Stage::Announced => {
                self.stage = Stage::Octets;
                Some(self.synchronizing)
            }
            Stage::Asked => {
                self.stage = Stage::Items;
                Some(false)
            }
            _ => None,
        }
    }

    /// Octets to skip when the host refuses; `None` when the client waits and
    /// will send none, or when the command is whole.
    pub(in crate::server) fn left_to_skip(&self) -> Option<u64> {
        match self.stage {
            Stage::Announced if self.synchronizing => None,
            Stage::Asked | Stage::Items => match self.items.back() {
                Some(Item::Text(announced) | Item::Message(_, Some(announced))) => {
                    (!self.synchronizing).then_some(announced.size)
                }
                _ => None,
            },
            _ => Some(self.left),
        }
    }
}
