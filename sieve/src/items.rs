//! Lists of a compiled script, most of which hold one item.

use std::ops::Deref;

use crate::LoadError;
use crate::binary::{Code, Reader};

/// Items that take no memory of their own where there is only one.
#[derive(Clone, Debug)]
pub(crate) enum Items<T> {
    One(T),
    Many(Vec<T>),
}

impl<T> Default for Items<T> {
    fn default() -> Self {
        Self::Many(Vec::new())
    }
}

impl<T> Deref for Items<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        match self {
            Self::One(item) => std::slice::from_ref(item),
            Self::Many(items) => items,
        }
    }
}

impl<'a, T> IntoIterator for &'a Items<T> {
    type Item = &'a T;
    type IntoIter = std::slice::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<T> FromIterator<T> for Items<T> {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        let mut items = items.into_iter();
        let Some(first) = items.next() else {
            return Self::default();
        };
        let Some(second) = items.next() else {
            return Self::One(first);
        };
        let mut list = Vec::with_capacity(2 + items.size_hint().0);
        list.extend([first, second]);
        list.extend(items);
        Self::Many(list)
    }
}

impl<T: Code> Code for Items<T> {
    fn put(&self, out: &mut Vec<u8>) {
        self.len().put(out);
        self.iter().for_each(|item| item.put(out));
    }

    /// Each item is read before there is room for the next: a length alone takes no memory.
    fn get(from: &mut Reader<'_>) -> Result<Self, LoadError> {
        let length = usize::get(from)?;
        (0..length).map(|_| T::get(from)).collect()
    }
}
