//! Commands on mailboxes as a whole: LIST, CREATE, STATUS …

use std::collections::BTreeSet;
use std::num::NonZeroU32;

use imap_proto::{
    Atom, Code, Delimiter, IString, List, ListPattern, Mailbox, MailboxAttribute, MailboxList,
    Namespace, Namespaces, Status, StatusItem, StatusValue, Untagged,
};

use super::{Done, Machine, Result, Session};
use crate::store::{Account, Flags, MailboxInfo, StoreError, StoreResult};

/// Between two levels of a name.
const DELIMITER: char = '/';

/// The same, as the machine wants it.
pub(super) fn delimiter() -> Option<Delimiter> {
    Delimiter::new(DELIMITER).ok()
}

/// The store's name of a mailbox that a client named.
pub(super) fn name_of(mailbox: &Mailbox) -> String {
    if mailbox.is_inbox() {
        return "INBOX".into();
    }
    let name = mailbox.as_str();
    name.strip_suffix(DELIMITER).unwrap_or(name).to_owned()
}

/// Whether it is a use that a mailbox can be given (RFC 6154 §2).
pub(super) fn is_special_use(name: &str) -> bool {
    let known = [
        "\\All",
        "\\Archive",
        "\\Drafts",
        "\\Flagged",
        "\\Junk",
        "\\Sent",
        "\\Trash",
    ];
    known.iter().any(|known| known.eq_ignore_ascii_case(name))
}

/// One line of LIST before its attributes are chosen.
struct Entry {
    name: String,
    info: Option<MailboxInfo>,
    subscribed: bool,
    has_children: bool,
    subscribed_below: bool,
}

impl Session<'_> {
    pub(super) async fn create(&mut self, mailbox: &Mailbox, special_use: &[Atom]) -> Done {
        // RFC 6154 §3: what cannot be had is refused.
        let is_known = |use_: &Atom| is_special_use(&format!("\\{}", use_.as_str()));
        if special_use.len() > 1 || !special_use.iter().all(is_known) {
            return Done::no("A mailbox has one of the uses of RFC 6154").with(Code::UseAttr);
        }
        let created = async {
            let account = self.account()?;
            let special_use = special_use
                .first()
                .map(|name| format!("\\{}", name.as_str()));
            let name = name_of(mailbox);
            account.create(&name, special_use.as_deref()).await?;
            account.open(&name).await?.object_id().await
        };
        match created.await {
            // RFC 8474 §4.1.
            Ok(id) => Done::ok("CREATE completed").with(Code::MailboxId(IString::lossy(id))),
            Err(error) => Done::failed(&error),
        }
    }

    pub(super) async fn delete(&mut self, mailbox: &Mailbox) -> Done {
        let name = name_of(mailbox);
        let deleted = async { self.account()?.delete(&name).await };
        finish(deleted.await, "DELETE completed")
    }

    pub(super) async fn rename(&mut self, from: &Mailbox, to: &Mailbox) -> Done {
        let renamed = async { self.account()?.rename(&name_of(from), &name_of(to)).await };
        finish(renamed.await, "RENAME completed")
    }

    pub(super) async fn subscribe(&mut self, mailbox: &Mailbox, subscribed: bool) -> Done {
        let name = name_of(mailbox);
        let changed = async { self.account()?.subscribe(&name, subscribed).await };
        let text = if subscribed {
            "SUBSCRIBE completed"
        } else {
            "UNSUBSCRIBE completed"
        };
        finish(changed.await, text)
    }

    pub(super) fn namespace(&mut self, conn: &mut Machine) -> Result<Done> {
        let Ok(prefix) = ListPattern::new("") else {
            return Ok(Done::no("There is no namespace"));
        };
        let personal = Namespace::new(prefix, delimiter());
        conn.machine().untagged(&Untagged::Namespace(Namespaces {
            personal: vec![personal],
            ..Namespaces::default()
        }))?;
        Ok(Done::ok("NAMESPACE completed"))
    }

    pub(super) async fn list(&mut self, list: &List, conn: &mut Machine) -> Result<Done> {
        let account = match self.account() {
            Ok(account) => account,
            Err(error) => return Ok(Done::failed(&error)),
        };
        // An empty pattern asks for the delimiter (RFC 9051 §6.3.9).
        if !list.extended
            && list
                .patterns
                .iter()
                .all(|pattern| pattern.as_str().is_empty())
        {
            if let Ok(root) = Mailbox::new("") {
                let mut root = MailboxList::new(root, delimiter());
                root.attributes.push(MailboxAttribute::NoSelect);
                conn.machine().untagged(&Untagged::List(root))?;
            }
            return Ok(Done::ok("LIST completed"));
        }
        let entries = match entries(&*account).await {
            Ok(entries) => entries,
            Err(error) => return Ok(Done::failed(&error)),
        };
        let patterns: Vec<ListPattern> = list
            .patterns
            .iter()
            .map(|pattern| pattern.behind(list.reference.as_str(), delimiter()))
            .collect();
        let limit = self.service.strict.limits.message;
        for entry in &entries {
            let matches = patterns
                .iter()
                .any(|pattern| pattern.matches(&entry.name, delimiter()));
            let wanted = matches && entry.is_selected(list);
            let Some(data) = wanted.then(|| entry.data(list)).flatten() else {
                continue;
            };
            let mailbox = data.mailbox.clone();
            conn.machine().untagged(&Untagged::List(data))?;
            let selectable = entry.info.as_ref().is_some_and(|info| info.selectable);
            if let Some(items) = list.returns.status.as_ref().filter(|_| selectable)
                && let Ok(values) = status(&*account, &entry.name, items, limit).await
            {
                let status = Untagged::MailboxStatus { mailbox, values };
                conn.machine().untagged(&status)?;
            }
            if conn.machine().wants_drain() {
                conn.flush().await?;
            }
        }
        Ok(Done::ok("LIST completed"))
    }

    /// LSUB (RFC 3501 §6.3.9).
    pub(super) async fn lsub(
        &mut self,
        reference: &Mailbox,
        pattern: &ListPattern,
        conn: &mut Machine,
    ) -> Result<Done> {
        let entries = async { entries(&*self.account()?).await };
        let entries = match entries.await {
            Ok(entries) => entries,
            Err(error) => return Ok(Done::failed(&error)),
        };
        let pattern = pattern.behind(reference.as_str(), delimiter());
        // With `%`, a level above a subscribed name is told as \Noselect.
        let stops_at_levels = pattern.as_str().ends_with('%');
        for entry in &entries {
            let told = entry.subscribed || stops_at_levels && entry.subscribed_below;
            if !told || !pattern.matches(&entry.name, delimiter()) {
                continue;
            }
            let Ok(mailbox) = Mailbox::new(&entry.name) else {
                continue;
            };
            let mut data = MailboxList::new(mailbox, delimiter());
            let selectable = entry.info.as_ref().is_some_and(|info| info.selectable);
            if !entry.subscribed || !selectable {
                data.attributes.push(MailboxAttribute::NoSelect);
            }
            conn.machine().untagged(&Untagged::Lsub(data))?;
        }
        Ok(Done::ok("LSUB completed"))
    }

    pub(super) async fn status(&mut self, asked: &Status, conn: &mut Machine) -> Result<Done> {
        let name = name_of(&asked.mailbox);
        let limit = self.service.strict.limits.message;
        let values = async { status(&*self.account()?, &name, &asked.items, limit).await };
        let values = match values.await {
            Ok(values) => values,
            Err(error) => return Ok(Done::failed(&error)),
        };
        let mailbox = asked.mailbox.clone();
        let data = Untagged::MailboxStatus { mailbox, values };
        conn.machine().untagged(&data)?;
        Ok(Done::ok("STATUS completed"))
    }
}

fn finish(result: StoreResult<()>, text: &str) -> Done {
    match result {
        Ok(()) => Done::ok(text),
        Err(error) => Done::failed(&error),
    }
}

/// Every mailbox, every subscribed name, and every level above one of them.
async fn entries(account: &dyn Account) -> StoreResult<Vec<Entry>> {
    let infos = account.mailboxes().await?;
    let subscriptions: BTreeSet<String> = account.subscriptions().await?.into_iter().collect();
    let mut names: BTreeSet<String> = subscriptions.clone();
    names.extend(infos.iter().map(|info| info.name.clone()));
    let above: Vec<String> = names
        .iter()
        .flat_map(|name| {
            name.match_indices(DELIMITER)
                .filter_map(|(at, _)| name.get(..at))
                .map(str::to_owned)
                .collect::<Vec<_>>()
        })
        .collect();
    names.extend(above);
    let below = |among: &BTreeSet<String>, name: &str| {
        let prefix = format!("{name}{DELIMITER}");
        let mut range = among.range(prefix.clone()..);
        range.next().is_some_and(|next| next.starts_with(&prefix))
    };
    let existing: BTreeSet<String> = infos.iter().map(|info| info.name.clone()).collect();
    let mut by_name: std::collections::HashMap<String, MailboxInfo> = infos
        .into_iter()
        .map(|info| (info.name.clone(), info))
        .collect();
    let entry = |name: String| Entry {
        info: by_name.remove(&name),
        subscribed: subscriptions.contains(&name),
        has_children: below(&existing, &name),
        subscribed_below: below(&subscriptions, &name),
        name,
    };
    Ok(names.into_iter().map(entry).collect())
}

impl Entry {
    /// Whether the selection options let it through (RFC 5258 §3).
    fn is_selected(&self, list: &List) -> bool {
        let selection = &list.selection;
        let special = self
            .info
            .as_ref()
            .is_some_and(|info| info.special_use.is_some());
        if selection.special_use && !special {
            return false;
        }
        if selection.subscribed {
            return self.subscribed || selection.recursive_match && self.subscribed_below;
        }
        self.info.is_some() || self.has_children
    }

    fn data(&self, list: &List) -> Option<MailboxList> {
        let mailbox = Mailbox::new(&self.name).ok()?;
        let mut data = MailboxList::new(mailbox, delimiter());
        let attributes = &mut data.attributes;
        match &self.info {
            None if self.has_children => attributes.push(MailboxAttribute::NoSelect),
            None => attributes.push(MailboxAttribute::NonExistent),
            Some(info) if !info.selectable => attributes.push(MailboxAttribute::NoSelect),
            Some(_) => {}
        }
        attributes.push(if self.has_children {
            MailboxAttribute::HasChildren
        } else {
            MailboxAttribute::HasNoChildren
        });
        if self.subscribed && (list.returns.subscribed || list.selection.subscribed) {
            attributes.push(MailboxAttribute::Subscribed);
        }
        let special_use = self
            .info
            .as_ref()
            .and_then(|info| info.special_use.as_ref());
        if let Some(name) = special_use
            && let Ok(name) = Atom::new(name.trim_start_matches('\\'))
        {
            attributes.push(MailboxAttribute::from_name(&name));
        }
        if list.selection.recursive_match && self.subscribed_below {
            data.child_info = vec![IString::lossy("SUBSCRIBED")];
        }
        Some(data)
    }
}

async fn status(
    account: &dyn Account,
    name: &str,
    items: &[StatusItem],
    append_limit: u64,
) -> StoreResult<Vec<StatusValue>> {
    let mailbox = account.open(name).await?;
    let snapshot = mailbox.snapshot().await?;
    let messages = snapshot.messages();
    let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    let with = |flag| {
        messages
            .iter()
            .filter(|message| message.flags.contains(flag))
            .count()
    };
    let number = |value: u32| NonZeroU32::new(value).unwrap_or(NonZeroU32::MIN);
    let mut values = Vec::with_capacity(items.len());
    for item in items {
        values.push(match item {
            StatusItem::Messages => StatusValue::Messages(count(messages.len())),
            StatusItem::Recent => StatusValue::Recent(0),
            StatusItem::UidNext => StatusValue::UidNext(number(snapshot.uid_next)),
            StatusItem::UidValidity => StatusValue::UidValidity(number(snapshot.uid_validity)),
            StatusItem::Unseen => StatusValue::Unseen(count(messages.len() - with(Flags::SEEN))),
            StatusItem::Deleted => StatusValue::Deleted(count(with(Flags::DELETED))),
            StatusItem::Size => {
                let uids = messages.iter().map(|message| message.uid).collect();
                StatusValue::Size(mailbox.sizes(uids).await?.iter().sum())
            }
            StatusItem::DeletedStorage => {
                let deleted = messages.iter();
                let deleted = deleted.filter(|one| one.flags.contains(Flags::DELETED));
                let uids = deleted.map(|message| message.uid).collect();
                StatusValue::DeletedStorage(mailbox.sizes(uids).await?.iter().sum())
            }
            StatusItem::AppendLimit => StatusValue::AppendLimit(u32::try_from(append_limit).ok()),
            StatusItem::HighestModSeq => StatusValue::HighestModSeq(snapshot.highest_modseq),
            StatusItem::MailboxId => {
                StatusValue::MailboxId(IString::lossy(mailbox.object_id().await?))
            }
            other => {
                return Err(StoreError::Storage(format!(
                    "{} is not known",
                    other.name()
                )));
            }
        });
    }
    Ok(values)
}

/// NO for a target that does not exist: the client may make it
/// (RFC 9051 §6.3.12, §6.4.7).
pub(super) fn target_failed(error: &StoreError) -> Done {
    match error {
        StoreError::NoMailbox(_) => Done::no(error.to_string()).with(Code::TryCreate),
        other => Done::failed(other),
    }
}
