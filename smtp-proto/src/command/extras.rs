//! Parameters that few messages have, boxed: they would make every event as
//! large as the largest.

use std::fmt;
use std::ops::{Deref, DerefMut};

/// What stands for the absent box.
pub(super) trait Absent: Sized + 'static {
    /// Without any parameter.
    const ABSENT: &'static Self;
}

/// Nothing, or a box; reads and compares as the same.
#[derive(Clone)]
pub(super) struct Extras<T>(Option<Box<T>>);

impl<T> Default for Extras<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T> Extras<T> {
    /// Whether no parameter was ever set.
    #[inline]
    pub(super) fn is_absent(&self) -> bool {
        self.0.is_none()
    }
}

impl<T: Absent> Deref for Extras<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.0.as_deref().unwrap_or(T::ABSENT)
    }
}

impl<T: Absent + Default> DerefMut for Extras<T> {
    fn deref_mut(&mut self) -> &mut T {
        self.0.get_or_insert_default()
    }
}

impl<T: Absent + PartialEq> PartialEq for Extras<T> {
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (None, None) => true,
            _ => **self == **other,
        }
    }
}

impl<T: Absent + Eq> Eq for Extras<T> {}

impl<T: fmt::Debug> fmt::Debug for Extras<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
