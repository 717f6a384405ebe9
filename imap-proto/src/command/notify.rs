use super::FetchAttribute;
use crate::cursor::{Cursor, KEYWORD, Parsed};
use crate::types::{Atom, Mailbox};
use crate::wire::Writer;
use crate::{Extension, ParseErrorKind};

/// NOTIFY (RFC 5465 §3.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notify {
    /// `NONE`: no news at all.
    None,
    /// `SET`: these, and no others.
    Set {
        /// `STATUS`: the watched mailboxes' status comes first.
        status: bool,
        /// What is watched; at least one.
        groups: Vec<EventGroup>,
    },
}

/// `event-group`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventGroup {
    /// Where.
    pub mailboxes: MailboxFilter,
    /// What; none for `NONE`.
    pub events: Vec<NotifyEvent>,
}

/// `filter-mailboxes` (RFC 5465 §6, RFC 7377 §2.2): a choice of mailboxes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum MailboxFilter {
    /// `selected`: the one that is selected.
    Selected,
    /// `selected-delayed`: the same, but EXPUNGE waits for a command that
    /// allows it. Not in ESEARCH.
    SelectedDelayed,
    /// `inboxes`: where mail may be delivered.
    Inboxes,
    /// `personal`: all of the personal namespace.
    Personal,
    /// `subscribed`
    Subscribed,
    /// `subtree`: these and all below; at least one.
    Subtree(Vec<Mailbox>),
    /// `subtree-one`: these and those right below; at least one. Only in
    /// ESEARCH.
    SubtreeOne(Vec<Mailbox>),
    /// `mailboxes`: these, `*` and `%` taken as they are; at least one.
    Mailboxes(Vec<Mailbox>),
}

/// `event` (RFC 5465 §5).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum NotifyEvent {
    /// `MessageNew`: mail came; what of it is sent along, only where the
    /// mailbox is the selected one.
    MessageNew(Vec<FetchAttribute>),
    /// `MessageExpunge`
    MessageExpunge,
    /// `FlagChange`
    FlagChange,
    /// `AnnotationChange`
    AnnotationChange,
    /// `MailboxName`: a mailbox was made, renamed, deleted.
    MailboxName,
    /// `SubscriptionChange`
    SubscriptionChange,
    /// `MailboxMetadataChange`
    MailboxMetadataChange,
    /// `ServerMetadataChange`
    ServerMetadataChange,
    /// One that this crate does not know: to be refused with
    /// [`Code::BadEvent`](crate::Code::BadEvent).
    Other(Atom),
}

const PLAIN_EVENTS: [(&str, NotifyEvent); 7] = [
    ("MessageExpunge", NotifyEvent::MessageExpunge),
    ("FlagChange", NotifyEvent::FlagChange),
    ("AnnotationChange", NotifyEvent::AnnotationChange),
    ("MailboxName", NotifyEvent::MailboxName),
    ("SubscriptionChange", NotifyEvent::SubscriptionChange),
    ("MailboxMetadataChange", NotifyEvent::MailboxMetadataChange),
    ("ServerMetadataChange", NotifyEvent::ServerMetadataChange),
];

impl Notify {
    pub(super) fn parse(c: &mut Cursor<'_>) -> Parsed<Self> {
        c.space()?;
        if c.eat_text("NONE") {
            return Ok(Self::None);
        }
        c.expect_text("SET")?;
        let status = c.eat_text(" STATUS");
        let at = c.at();
        let mut groups = Vec::new();
        while c.eat(b' ') {
            groups.push(EventGroup::parse(c)?);
        }
        if groups.is_empty() {
            return c.expected("an event group");
        }
        let selected = |group: &&EventGroup| group.mailboxes.is_selected();
        if groups.iter().filter(selected).count() > 1 {
            return Err(conflict(
                "SELECTED and SELECTED-DELAYED exclude each other",
                at,
            ));
        }
        Ok(Self::Set { status, groups })
    }

    pub(super) fn encode(&self, w: &mut Writer<'_>) {
        match self {
            Self::None => w.raw(b"NOTIFY NONE"),
            Self::Set { status, groups } => {
                w.raw(b"NOTIFY SET ");
                w.raw(if *status { b"STATUS " } else { b"" });
                w.spaced(groups, |w, group| group.encode(w));
            }
        }
    }

    pub(super) fn requires(&self, need: &mut dyn FnMut(Extension)) {
        need(Extension::Notify);
        let Self::Set { groups, .. } = self else {
            return;
        };
        for event in groups.iter().flat_map(|group| &group.events) {
            if let NotifyEvent::MessageNew(attributes) = event {
                attributes.iter().for_each(|one| one.requires(need));
            }
        }
    }
}

fn conflict(what: &'static str, at: usize) -> crate::ParseError {
    Cursor::error_at(ParseErrorKind::Conflict(what), at)
}

impl EventGroup {
    fn parse(c: &mut Cursor<'_>) -> Parsed<Self> {
        let at = c.at();
        c.open()?;
        let mailboxes = MailboxFilter::parse(c)?;
        c.space()?;
        let events = match c.eat_text("NONE") {
            true => Vec::new(),
            false => c.list1(NotifyEvent::parse)?,
        };
        c.close()?;
        let group = Self { mailboxes, events };
        group.check(at)?;
        Ok(group)
    }

    /// What RFC 5465 §5 and §8 have BAD for.
    fn check(&self, at: usize) -> Parsed<()> {
        if let MailboxFilter::SubtreeOne(_) = self.mailboxes {
            return Err(conflict("SUBTREE-ONE belongs to ESEARCH", at));
        }
        let has = |one: &NotifyEvent| self.events.contains(one);
        let new = self.events.iter().find_map(|event| match event {
            NotifyEvent::MessageNew(attributes) => Some(attributes),
            _ => None,
        });
        let expunge = has(&NotifyEvent::MessageExpunge);
        let changes = has(&NotifyEvent::FlagChange) || has(&NotifyEvent::AnnotationChange);
        if new.is_some() != expunge || changes && !expunge {
            return Err(conflict("MessageNew and MessageExpunge go together", at));
        }
        let selected = self.mailboxes.is_selected();
        if !selected && new.is_some_and(|attributes| !attributes.is_empty()) {
            return Err(conflict("attributes are for the selected mailbox", at));
        }
        if selected && !self.events.iter().all(NotifyEvent::is_of_messages) {
            return Err(conflict("SELECTED takes message events only", at));
        }
        Ok(())
    }

    fn encode(&self, w: &mut Writer<'_>) {
        w.byte(b'(');
        self.mailboxes.encode(w);
        w.space();
        match &self.events[..] {
            [] => w.raw(b"NONE"),
            events => w.list(events, |w, event| event.encode(w)),
        }
        w.byte(b')');
    }
}

impl MailboxFilter {
    /// Whether it is the selected mailbox, delayed or not.
    #[must_use]
    pub fn is_selected(&self) -> bool {
        matches!(self, Self::Selected | Self::SelectedDelayed)
    }

    pub(super) fn parse(c: &mut Cursor<'_>) -> Parsed<Self> {
        let at = c.at();
        let mut buffer = [0; KEYWORD];
        Ok(match c.verb(&mut buffer)? {
            b"SELECTED" => Self::Selected,
            b"SELECTED-DELAYED" => Self::SelectedDelayed,
            b"INBOXES" => Self::Inboxes,
            b"PERSONAL" => Self::Personal,
            b"SUBSCRIBED" => Self::Subscribed,
            b"SUBTREE" => Self::Subtree(mailboxes(c)?),
            b"SUBTREE-ONE" => Self::SubtreeOne(mailboxes(c)?),
            b"MAILBOXES" => Self::Mailboxes(mailboxes(c)?),
            _ => {
                let unknown = ParseErrorKind::Unknown("mailbox specifier");
                return Err(Cursor::error_at(unknown, at));
            }
        })
    }

    pub(super) fn encode(&self, w: &mut Writer<'_>) {
        let (name, mailboxes): (&[u8], _) = match self {
            Self::Selected => return w.raw(b"SELECTED"),
            Self::SelectedDelayed => return w.raw(b"SELECTED-DELAYED"),
            Self::Inboxes => return w.raw(b"INBOXES"),
            Self::Personal => return w.raw(b"PERSONAL"),
            Self::Subscribed => return w.raw(b"SUBSCRIBED"),
            Self::Subtree(mailboxes) => (b"SUBTREE ", mailboxes),
            Self::SubtreeOne(mailboxes) => (b"SUBTREE-ONE ", mailboxes),
            Self::Mailboxes(mailboxes) => (b"MAILBOXES ", mailboxes),
        };
        w.raw(name);
        match &mailboxes[..] {
            [one] => one.encode(w),
            many => w.list(many, |w, one| one.encode(w)),
        }
    }
}

/// `SP one-or-more-mailbox`.
fn mailboxes(c: &mut Cursor<'_>) -> Parsed<Vec<Mailbox>> {
    c.space()?;
    match c.peek() {
        Some(b'(') => c.list1(Mailbox::parse),
        _ => Ok(vec![Mailbox::parse(c)?]),
    }
}

impl NotifyEvent {
    /// Whether it is a `message-event`.
    #[must_use]
    pub fn is_of_messages(&self) -> bool {
        matches!(
            self,
            Self::MessageNew(_) | Self::MessageExpunge | Self::FlagChange | Self::AnnotationChange
        )
    }

    /// The name on the wire.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::MessageNew(_) => "MessageNew",
            Self::Other(name) => name.as_str(),
            plain => {
                let found = PLAIN_EVENTS.iter().find(|(_, event)| event == plain);
                found.map_or("", |(name, _)| *name)
            }
        }
    }

    fn parse(c: &mut Cursor<'_>) -> Parsed<Self> {
        let name = Atom::parse(c)?;
        let is = |known: &str| name.as_str().eq_ignore_ascii_case(known);
        if is("MessageNew") {
            if c.peek() == Some(b' ') && c.peek_at(1) == Some(b'(') {
                c.space()?;
                return c.list1(FetchAttribute::parse).map(Self::MessageNew);
            }
            return Ok(Self::MessageNew(Vec::new()));
        }
        let found = PLAIN_EVENTS.iter().find(|(known, _)| is(known));
        Ok(match found {
            Some((_, event)) => event.clone(),
            None => Self::Other(name),
        })
    }

    fn encode(&self, w: &mut Writer<'_>) {
        w.str(self.name());
        if let Self::MessageNew(attributes) = self
            && !attributes.is_empty()
        {
            w.space();
            w.list(attributes, |w, one| one.encode(w));
        }
    }
}
