use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

type Counts = Mutex<HashMap<(String, IpAddr), usize>>;

/// Counts the connections of one service that a user holds from one address:
/// a broken client that opens ever more of them harms its own user alone.
#[derive(Debug, Clone)]
pub struct Seats {
    limit: usize,
    taken: Arc<Counts>,
}

/// One connection's place; free again when dropped.
#[derive(Debug)]
pub struct Seat {
    key: (String, IpAddr),
    taken: Arc<Counts>,
}

impl Seats {
    /// At most `limit` for each user and address; 0 is no limit.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            taken: Arc::default(),
        }
    }

    /// A place, if there is one.
    #[must_use]
    pub fn take(&self, user: &str, address: IpAddr) -> Option<Seat> {
        let key = (user.to_owned(), address.to_canonical());
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let count = taken.entry(key.clone()).or_default();
        if self.limit > 0 && *count >= self.limit {
            return None;
        }
        *count += 1;
        drop(taken);
        Some(Seat {
            key,
            taken: Arc::clone(&self.taken),
        })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = taken.get_mut(&self.key) {
            *count -= 1;
            if *count == 0 {
                taken.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_and_no_more() {
        let seats = Seats::new(2);
        let (here, there) = (IpAddr::from([192, 0, 2, 1]), IpAddr::from([192, 0, 2, 2]));
        let first = seats.take("ann", here);
        let second = seats.take("ann", here);
        assert!(first.is_some() && second.is_some());
        assert!(seats.take("ann", here).is_none());
        assert!(seats.take("ann", there).is_some());
        assert!(seats.take("bob", here).is_some());
        drop(first);
        assert!(seats.take("ann", here).is_some());
        drop(second);
        assert!(seats.taken.lock().unwrap().is_empty());
    }
}
