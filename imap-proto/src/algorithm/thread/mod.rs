#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::num::NonZeroU32;

use super::{base_subject, fold};
use crate::{ThreadAlgorithm, ThreadNode};

/// What of a message THREAD looks at (RFC 5256 §3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ThreadInput {
    number: NonZeroU32,
    date: i64,
    arrival: i64,
    subject: String,
    is_reply: bool,
    message_id: Option<String>,
    references: Vec<String>,
}

impl ThreadInput {
    /// A message as the answer will name it (by sequence number or UID), with
    /// the Unix time in its Date field, else of its arrival.
    #[must_use]
    pub fn new(number: NonZeroU32, date: i64) -> Self {
        Self {
            number,
            date,
            arrival: date,
            subject: String::new(),
            is_reply: false,
            message_id: None,
            references: Vec::new(),
        }
    }

    /// The Unix time of its arrival (INTERNALDATE), for
    /// [`ThreadAlgorithm::Refs`].
    #[must_use]
    pub fn with_arrival(mut self, arrival: i64) -> Self {
        self.arrival = arrival;
        self
    }

    /// Its subject, RFC 2047 words decoded.
    #[must_use]
    pub fn with_subject(mut self, subject: &str) -> Self {
        let found = base_subject(subject);
        self.subject = fold(&found.base);
        self.is_reply = found.is_reply;
        self
    }

    /// The values of its Message-ID, References and In-Reply-To fields, as
    /// they stand; empty where there is none.
    #[must_use]
    pub fn with_ids(mut self, message_id: &str, references: &str, in_reply_to: &str) -> Self {
        self.message_id = message_ids(message_id).next();
        self.references = message_ids(references).collect();
        if self.references.is_empty() {
            self.references = message_ids(in_reply_to).take(1).collect();
        }
        self
    }
}

/// The message identifiers in a field: what stands in `<…>`, the quotes of a
/// local part taken away.
fn message_ids(field: &str) -> impl Iterator<Item = String> + '_ {
    field.split('<').skip(1).filter_map(|part| {
        let id = part.split('>').next().filter(|_| part.contains('>'))?;
        let id: String = id.chars().filter(|one| !one.is_whitespace()).collect();
        if id.is_empty() {
            return None;
        }
        if !id.contains(['"', '\\']) {
            return Some(id);
        }
        let mut plain = String::with_capacity(id.len());
        let mut chars = id.chars();
        while let Some(one) = chars.next() {
            match one {
                '"' => {}
                '\\' => plain.extend(chars.next()),
                one => plain.push(one),
            }
        }
        Some(plain)
    })
}

/// Threads messages, given in ascending order of sequence numbers.
///
/// The time grows as n log n, in messages and references; nothing recurses,
/// so crafted References cost no stack.
#[must_use]
pub fn thread(messages: &[ThreadInput], algorithm: ThreadAlgorithm) -> Vec<ThreadNode> {
    match algorithm {
        ThreadAlgorithm::OrderedSubject => ordered_subject(messages),
        ThreadAlgorithm::References => Forest::build(messages).answer(),
        ThreadAlgorithm::Refs => Forest::by_references(messages).answer(),
    }
}

fn ordered_subject(messages: &[ThreadInput]) -> Vec<ThreadNode> {
    let mut sorted: Vec<&ThreadInput> = messages.iter().collect();
    sorted.sort_by(|one, other| {
        let key = |one: &ThreadInput| (one.date, one.number);
        (one.subject.cmp(&other.subject)).then(key(one).cmp(&key(other)))
    });
    let mut threads: Vec<&[&ThreadInput]> = sorted
        .chunk_by(|one, next| one.subject == next.subject)
        .collect();
    threads.sort_by_key(|thread| thread.first().map(|first| (first.date, first.number)));
    let nodes = threads.iter().flat_map(|thread| {
        thread.iter().enumerate().map(|(index, one)| ThreadNode {
            depth: u32::from(index > 0),
            number: Some(one.number),
        })
    });
    nodes.collect()
}

/// Index of a node.
type Id = usize;

/// Messages and dummies, linked; step numbers are those of RFC 5256 §3.
struct Forest<'a> {
    messages: &'a [ThreadInput],
    /// For each node its message; the first nodes are the messages in order.
    parent: Vec<Option<Id>>,
    children: Vec<Vec<Id>>,
    /// Sets of nodes that are linked, for finding loops.
    leader: Vec<Id>,
    roots: Vec<Id>,
}

impl<'a> Forest<'a> {
    fn build(messages: &'a [ThreadInput]) -> Self {
        let mut forest = Self::linked(messages);
        forest.sort_siblings_of_root();
        forest.merge_subjects();
        forest.sort_siblings_of_root();
        forest
    }

    /// REFS: steps 1 to 3 and 6, and the threads by their newest message.
    fn by_references(messages: &'a [ThreadInput]) -> Self {
        let mut forest = Self::linked(messages);
        let mut newest = vec![(i64::MIN, 0); forest.parent.len()];
        for (node, message) in messages.iter().enumerate() {
            let root = forest.find(node);
            if let Some(slot) = newest.get_mut(root) {
                *slot = (*slot).max((message.arrival, message.number.get()));
            }
        }
        let mut roots = std::mem::take(&mut forest.roots);
        roots.sort_by_cached_key(|root| {
            let leader = forest.find(*root);
            newest.get(leader).copied().unwrap_or_default()
        });
        forest.roots = roots;
        forest
    }

    fn linked(messages: &'a [ThreadInput]) -> Self {
        let mut forest = Self {
            messages,
            parent: vec![None; messages.len()],
            children: Vec::new(),
            leader: (0..messages.len()).collect(),
            roots: Vec::new(),
        };
        let references = forest.identify();
        forest.link(&references);
        drop(references);
        forest.prune();
        forest
    }

    /// Finds the node of each reference; makes the dummies.
    fn identify(&mut self) -> Vec<Vec<Id>> {
        let messages = self.messages;
        let mut ids: HashMap<&str, Id> = HashMap::with_capacity(messages.len() * 2);
        for (node, message) in messages.iter().enumerate() {
            if let Some(id) = &message.message_id {
                // The first message of an identifier has it.
                ids.entry(id).or_insert(node);
            }
        }
        let mut references = Vec::with_capacity(messages.len());
        for message in messages {
            let nodes = message.references.iter().map(|id| {
                *ids.entry(id).or_insert_with(|| {
                    self.parent.push(None);
                    self.leader.push(self.leader.len());
                    self.leader.len() - 1
                })
            });
            references.push(nodes.collect::<Vec<_>>());
        }
        references
    }

    /// Step 1. A message's own last reference wins over what others say, so
    /// those links are made first, and none is ever broken: that keeps a loop
    /// findable by sets alone.
    fn link(&mut self, references: &[Vec<Id>]) {
        for (node, references) in references.iter().enumerate() {
            if let Some(parent) = references.last() {
                self.adopt(*parent, node);
            }
        }
        for (node, references) in references.iter().enumerate() {
            for pair in references.windows(2) {
                if let [parent, child] = pair
                    // A message that comes later says itself where it belongs.
                    && (*child < node || *child >= self.messages.len())
                {
                    self.adopt(*parent, *child);
                }
            }
        }
    }

    /// Links, unless the child has a parent or a loop would come about.
    fn adopt(&mut self, parent: Id, child: Id) {
        if self.parent.get(child).is_none_or(Option::is_some) {
            return;
        }
        // The child is the root of its tree, so its set is its descendants.
        let (above, below) = (self.find(parent), self.find(child));
        if above == below {
            return;
        }
        if let Some(leader) = self.leader.get_mut(below) {
            *leader = above;
        }
        if let Some(slot) = self.parent.get_mut(child) {
            *slot = Some(parent);
        }
    }

    fn find(&mut self, node: Id) -> Id {
        let mut at = node;
        loop {
            let up = self.leader.get(at).copied().unwrap_or(at);
            if up == at {
                return at;
            }
            let further = self.leader.get(up).copied().unwrap_or(up);
            if let Some(slot) = self.leader.get_mut(at) {
                *slot = further;
            }
            at = further;
        }
    }

    fn is_dummy(&self, node: Id) -> bool {
        node >= self.messages.len()
    }

    /// Steps 2 and 3: roots are gathered, dummies give way to their children.
    fn prune(&mut self) {
        let mut below = vec![Vec::new(); self.parent.len()];
        let mut order = Vec::with_capacity(self.parent.len());
        for (node, parent) in self.parent.iter().enumerate() {
            match parent.and_then(|parent| below.get_mut(parent)) {
                Some(siblings) => siblings.push(node),
                None => order.push(node),
            }
        }
        let roots = order.clone();
        let mut next = 0;
        while let Some(node) = order.get(next) {
            order.extend(below.get(*node).into_iter().flatten());
            next += 1;
        }
        // What stands in a node's place: itself, or a dummy's children.
        let mut place: Vec<Vec<Id>> = vec![Vec::new(); self.parent.len()];
        self.children = vec![Vec::new(); self.parent.len()];
        for node in order.into_iter().rev() {
            let children = std::mem::take(below.get_mut(node).unwrap_or(&mut Vec::new()));
            let mut all: Vec<Id> = Vec::new();
            for child in children {
                let mut one = std::mem::take(place.get_mut(child).unwrap_or(&mut Vec::new()));
                // The smaller behind the larger: long chains stay n log n.
                if one.len() > all.len() {
                    std::mem::swap(&mut one, &mut all);
                }
                all.append(&mut one);
            }
            let at_root = self.parent.get(node).is_none_or(Option::is_none);
            let stays = !self.is_dummy(node) || at_root && all.len() > 1;
            if let Some(slot) = place.get_mut(node) {
                *slot = if stays {
                    vec![node]
                } else {
                    std::mem::take(&mut all)
                };
            }
            if let Some(slot) = self.children.get_mut(node) {
                *slot = all;
            }
        }
        for root in roots {
            self.roots.extend(place.get(root).into_iter().flatten());
        }
    }

    fn children(&self, node: Id) -> &[Id] {
        self.children.get(node).map_or(&[], Vec::as_slice)
    }

    /// Date and number; a dummy has those of its first child.
    fn key(&self, node: Id) -> (i64, u32) {
        match self.messages.get(node) {
            Some(message) => (message.date, message.number.get()),
            None => {
                let children = self.children(node).iter();
                let keys = children.filter_map(|child| self.messages.get(*child));
                let keys = keys.map(|message| (message.date, message.number.get()));
                keys.min().unwrap_or((i64::MAX, u32::MAX))
            }
        }
    }

    /// Step 4, and the top of step 6.
    fn sort_siblings_of_root(&mut self) {
        let mut roots = std::mem::take(&mut self.roots);
        roots.sort_by_cached_key(|root| self.key(*root));
        self.roots = roots;
    }

    /// The message whose subject is the thread's (step 5.B.i).
    fn speaker(&self, root: Id) -> Option<&'a ThreadInput> {
        let messages = self.messages;
        messages.get(root).or_else(|| {
            let children = self.children(root).iter();
            let first = children.min_by_key(|child| self.key(**child))?;
            messages.get(*first)
        })
    }

    fn is_reply(&self, node: Id) -> bool {
        self.messages
            .get(node)
            .is_some_and(|message| message.is_reply)
    }

    /// Step 5.
    fn merge_subjects(&mut self) {
        let roots = std::mem::take(&mut self.roots);
        let mut table: HashMap<&'a str, Id> = HashMap::new();
        let mut subjects = Vec::with_capacity(roots.len());
        for root in &roots {
            let subject = self.speaker(*root).map_or("", |one| one.subject.as_str());
            subjects.push(subject);
            if subject.is_empty() {
                continue;
            }
            let known = *table.entry(subject).or_insert(*root);
            let better = !self.is_dummy(known)
                && (self.is_dummy(*root) || self.is_reply(known) && !self.is_reply(*root));
            if better {
                table.insert(subject, *root);
            }
        }
        // Whether a root still is one.
        let mut stays = vec![true; self.parent.len()];
        let mut added = Vec::new();
        for (root, subject) in roots.iter().copied().zip(subjects) {
            let Some(known) = table.get(subject).copied().filter(|known| *known != root) else {
                continue;
            };
            if stays.get(root) == Some(&false) {
                continue;
            }
            let into = match (self.is_dummy(known), self.is_dummy(root)) {
                (true, true) => {
                    let mut moved =
                        std::mem::take(self.children.get_mut(root).unwrap_or(&mut Vec::new()));
                    if let Some(children) = self.children.get_mut(known) {
                        children.append(&mut moved);
                    }
                    None
                }
                (true, false) => Some(known),
                (false, _) if self.is_reply(root) && !self.is_reply(known) => Some(known),
                (false, _) => {
                    let dummy = self.children.len();
                    self.children.push(vec![known]);
                    added.push(dummy);
                    if let Some(stays) = stays.get_mut(known) {
                        *stays = false;
                    }
                    table.insert(subject, dummy);
                    Some(dummy)
                }
            };
            if let Some(children) = into.and_then(|into| self.children.get_mut(into)) {
                children.push(root);
            }
            if let Some(stays) = stays.get_mut(root) {
                *stays = false;
            }
        }
        let kept = roots
            .into_iter()
            .filter(|root| stays.get(*root) == Some(&true));
        self.roots = kept.chain(added).collect();
    }

    /// Step 6, and the forest laid out flat.
    fn answer(mut self) -> Vec<ThreadNode> {
        let mut nodes = Vec::with_capacity(self.messages.len());
        let mut stack: Vec<(Id, u32)> = self.roots.iter().rev().map(|root| (*root, 0)).collect();
        while let Some((node, depth)) = stack.pop() {
            nodes.push(ThreadNode {
                depth,
                number: self.messages.get(node).map(|message| message.number),
            });
            let mut children =
                std::mem::take(self.children.get_mut(node).unwrap_or(&mut Vec::new()));
            children.sort_by_cached_key(|child| std::cmp::Reverse(self.key(*child)));
            stack.extend(children.into_iter().map(|child| (child, depth + 1)));
        }
        nodes
    }
}
