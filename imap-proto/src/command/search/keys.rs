use std::fmt;

use super::{FilterName, SearchKey};
use crate::types::SequenceSet;
use crate::wire::Writer;
use crate::{Extension, Invalid};

/// `search-key *(SP search-key)`: keys with NOT, OR and lists of them.
///
/// It is made of single keys and looked at as a tree; however it is nested, it
/// takes one allocation.
///
/// ```
/// use imap_proto::{SearchKey, SearchKeys, SearchView};
///
/// # fn main() -> Result<(), imap_proto::Invalid> {
/// let unread = SearchKeys::not(SearchKey::Seen);
/// let keys = SearchKeys::and([unread, SearchKey::Larger(1024).into()])?;
/// let SearchView::And(mut parts) = keys.view() else {
///     unreachable!("two keys");
/// };
/// assert!(matches!(parts.next().map(|part| part.view()), Some(SearchView::Not(_))));
/// assert!(keys.keys().any(|key| *key == SearchKey::Larger(1024)));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct SearchKeys(Vec<Node>);

/// What is made of others stands before them, and says how many nodes they
/// and it are.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Node {
    Key(SearchKey),
    Not(usize),
    Fuzzy(usize),
    Or(usize),
    And(usize),
}

/// A part of [`SearchKeys`], or all of them.
#[derive(Clone, Copy)]
pub struct SearchPart<'a>(&'a [Node]);

/// What a [`SearchPart`] is.
#[derive(Debug, Clone)]
pub enum SearchView<'a> {
    /// A single key.
    Key(&'a SearchKey),
    /// NOT
    Not(SearchPart<'a>),
    /// FUZZY (RFC 6203)
    Fuzzy(SearchPart<'a>),
    /// OR
    Or(SearchPart<'a>, SearchPart<'a>),
    /// All of these; at least one.
    And(SearchParts<'a>),
}

/// The parts of a [`SearchView::And`].
#[derive(Clone)]
pub struct SearchParts<'a>(&'a [Node]);

impl Node {
    /// How many nodes begin here, this among them.
    fn len(&self) -> usize {
        match self {
            Self::Key(_) => 1,
            Self::Not(len) | Self::Fuzzy(len) | Self::Or(len) | Self::And(len) => *len,
        }
    }
}

impl From<SearchKey> for SearchKeys {
    fn from(key: SearchKey) -> Self {
        Self(vec![Node::Key(key)])
    }
}

impl SearchKeys {
    /// NOT
    #[must_use]
    pub fn not(keys: impl Into<Self>) -> Self {
        Self::of(Node::Not, [keys.into()])
    }

    /// FUZZY (RFC 6203)
    #[must_use]
    pub fn fuzzy(keys: impl Into<Self>) -> Self {
        Self::of(Node::Fuzzy, [keys.into()])
    }

    /// OR
    #[must_use]
    pub fn or(one: impl Into<Self>, other: impl Into<Self>) -> Self {
        Self::of(Node::Or, [one.into(), other.into()])
    }

    /// All of these.
    ///
    /// # Errors
    /// When there is none.
    pub fn and(keys: impl IntoIterator<Item = Self>) -> Result<Self, Invalid> {
        let keys = Self::of(Node::And, keys);
        match keys.0.len() {
            ..=1 => Err(Invalid { term: "search-key" }),
            _ => Ok(keys),
        }
    }

    fn of(made: fn(usize) -> Node, keys: impl IntoIterator<Item = Self>) -> Self {
        let mut nodes = vec![made(1)];
        for key in keys {
            nodes.extend(key.0);
        }
        let len = nodes.len();
        if let Some(first) = nodes.first_mut() {
            *first = made(len);
        }
        Self(nodes)
    }

    pub(super) fn from_nodes(nodes: Vec<Node>) -> Self {
        Self(nodes)
    }

    /// All of it as a part.
    #[must_use]
    pub fn part(&self) -> SearchPart<'_> {
        SearchPart(&self.0)
    }

    /// What stands at the top.
    #[must_use]
    pub fn view(&self) -> SearchView<'_> {
        self.part().view()
    }

    /// The single keys, in the order they were written, whatever is asked of
    /// them.
    pub fn keys(&self) -> impl Iterator<Item = &SearchKey> {
        self.0.iter().filter_map(|node| match node {
            Node::Key(key) => Some(key),
            _ => None,
        })
    }

    /// Keys and what they are made to.
    pub(super) fn count(&self) -> usize {
        self.0.len()
    }

    pub(in crate::command) fn encode(&self, w: &mut Writer<'_>) {
        match self.view() {
            SearchView::And(parts) if parts.clone().nth(1).is_some() => {
                w.spaced(parts, |w, part| part.encode(w));
            }
            _ => self.part().encode(w),
        }
    }

    pub(in crate::command) fn names_sequence_numbers(&self) -> bool {
        let saved = SequenceSet::SavedResult;
        self.keys()
            .any(|key| matches!(key, SearchKey::Sequence(set) if *set != saved))
    }

    /// Whether MODSEQ is in it: then the answer says the highest modification
    /// sequence among what was found (RFC 7162 §3.1.5).
    #[must_use]
    pub fn names_mod_seq(&self) -> bool {
        self.keys().any(|key| matches!(key, SearchKey::ModSeq(_)))
    }

    /// Whether a part of it is fuzzy, or a filter that may be.
    pub(in crate::command) fn may_be_fuzzy(&self) -> bool {
        let may = |node: &Node| matches!(node, Node::Fuzzy(_) | Node::Key(SearchKey::Filter(_)));
        self.0.iter().any(may)
    }

    pub(in crate::command) fn requires(&self, need: &mut dyn FnMut(Extension)) {
        for node in &self.0 {
            match node {
                Node::Key(key) => key.requires(need),
                Node::Fuzzy(_) => need(Extension::SearchFuzzy),
                Node::Not(_) | Node::Or(_) | Node::And(_) => {}
            }
        }
    }

    /// These with others in place of each filter.
    ///
    /// # Errors
    /// What `replace` says.
    pub(super) fn replacing_filters<E>(
        self,
        replace: &mut dyn FnMut(FilterName) -> Result<Self, E>,
    ) -> Result<Self, E> {
        let mut nodes = Vec::with_capacity(self.0.len());
        // Those that have parts to come: where they are, and the end of these.
        let mut open: Vec<(usize, usize)> = Vec::new();
        for (index, node) in self.0.into_iter().enumerate() {
            if node.len() > 1 {
                open.push((nodes.len(), index + node.len()));
            }
            match node {
                Node::Key(SearchKey::Filter(name)) => nodes.extend(replace(name)?.0),
                node => nodes.push(node),
            }
            while let Some((at, _)) = open.pop_if(|(_, end)| *end == index + 1) {
                close(&mut nodes, at);
            }
        }
        Ok(Self(nodes))
    }
}

/// All that is behind the node at this place belongs to it.
pub(super) fn close(nodes: &mut [Node], at: usize) {
    let nodes = nodes.get_mut(at..).unwrap_or_default();
    let all = nodes.len();
    if let Some(Node::Not(len) | Node::Fuzzy(len) | Node::Or(len) | Node::And(len)) =
        nodes.first_mut()
    {
        *len = all;
    }
}

impl<'a> SearchPart<'a> {
    /// What it is.
    #[must_use]
    pub fn view(self) -> SearchView<'a> {
        static ALL: SearchKey = SearchKey::All;
        let Some((first, behind)) = self.0.split_first() else {
            return SearchView::Key(&ALL);
        };
        match first {
            Node::Key(key) => SearchView::Key(key),
            Node::Not(_) => SearchView::Not(Self(behind)),
            Node::Fuzzy(_) => SearchView::Fuzzy(Self(behind)),
            Node::Or(_) => {
                let len = behind.first().map_or(0, Node::len);
                let (one, other) = behind.split_at_checked(len).unwrap_or_default();
                SearchView::Or(Self(one), Self(other))
            }
            Node::And(_) => SearchView::And(SearchParts(behind)),
        }
    }

    fn encode(self, w: &mut Writer<'_>) {
        match self.view() {
            SearchView::Key(key) => key.encode(w),
            SearchView::Not(part) => {
                w.raw(b"NOT ");
                part.encode(w);
            }
            SearchView::Fuzzy(part) => {
                w.raw(b"FUZZY ");
                part.encode(w);
            }
            SearchView::Or(one, other) => {
                w.raw(b"OR ");
                one.encode(w);
                w.space();
                other.encode(w);
            }
            SearchView::And(parts) => w.list(parts, |w, part| part.encode(w)),
        }
    }
}

impl<'a> Iterator for SearchParts<'a> {
    type Item = SearchPart<'a>;

    fn next(&mut self) -> Option<SearchPart<'a>> {
        let len = self.0.first()?.len();
        let (part, behind) = self.0.split_at_checked(len)?;
        self.0 = behind;
        Some(SearchPart(part))
    }
}

impl fmt::Debug for SearchKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.part(), f)
    }
}

impl fmt::Debug for SearchPart<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.view() {
            SearchView::Key(key) => fmt::Debug::fmt(key, f),
            made => fmt::Debug::fmt(&made, f),
        }
    }
}

impl fmt::Debug for SearchParts<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.clone()).finish()
    }
}
