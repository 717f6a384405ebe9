use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use hmac::{Hmac, Mac};
use sha2::Sha256;

/// How long a login that was right is remembered.
const LIFETIME: Duration = Duration::from_secs(300);

/// Logins that are remembered at most; stops memory from growing with users.
const CAPACITY: usize = 8192;

/// Logins that were right a short while ago, so that a client that connects
/// every few seconds does not have its password hashed each time.
///
/// Kept is only a keyed hash over the name, the stored hash and the password,
/// the key being random and nowhere else: who reads the memory later has
/// nothing to guess passwords against without that key, and a password that
/// was changed does not match any more.
#[derive(Debug)]
pub(super) struct Cache {
    key: [u8; 32],
    logins: Mutex<HashMap<[u8; 32], Instant>>,
}

impl Cache {
    pub(super) fn new() -> Result<Self, getrandom::Error> {
        let mut key = [0; 32];
        getrandom::fill(&mut key)?;
        Ok(Self {
            key,
            logins: Mutex::default(),
        })
    }

    /// What stands for a login.
    pub(super) fn tag(&self, name: &str, stored: &str, password: &[u8]) -> [u8; 32] {
        let mut mac = match Hmac::<Sha256>::new_from_slice(&self.key) {
            Ok(mac) => mac,
            Err(_) => unreachable!("HMAC takes a key of any length (RFC 2104 §2)"),
        };
        for part in [name.as_bytes(), stored.as_bytes(), password] {
            // The length first: no two triples give the same octets.
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part);
        }
        mac.finalize().into_bytes().into()
    }

    pub(super) fn knows(&self, tag: &[u8; 32], now: Instant) -> bool {
        let logins = self.logins.lock().unwrap_or_else(PoisonError::into_inner);
        logins.get(tag).is_some_and(|until| now < *until)
    }

    pub(super) fn remember(&self, tag: [u8; 32], now: Instant) {
        let mut logins = self.logins.lock().unwrap_or_else(PoisonError::into_inner);
        if logins.len() >= CAPACITY {
            logins.retain(|_, until| now < *until);
        }
        if logins.len() >= CAPACITY
            && let Some(any) = logins.keys().next().copied()
        {
            logins.remove(&any);
        }
        logins.insert(tag, now + LIFETIME);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remembers_for_a_while() {
        let cache = Cache::new().unwrap();
        let start = Instant::now();
        let tag = cache.tag("ann", "hash", b"password");
        assert!(!cache.knows(&tag, start));
        cache.remember(tag, start);
        assert!(cache.knows(&tag, start + LIFETIME / 2));
        assert!(!cache.knows(&tag, start + LIFETIME));
        assert_ne!(tag, cache.tag("ann", "other", b"password"));
        assert_ne!(tag, cache.tag("ann", "hashp", b"assword"));
        assert_ne!(tag, Cache::new().unwrap().tag("ann", "hash", b"password"));
    }

    #[test]
    fn is_bounded() {
        let cache = Cache::new().unwrap();
        let start = Instant::now();
        for number in 0..CAPACITY + 100 {
            cache.remember(cache.tag(&number.to_string(), "", b""), start);
        }
        assert_eq!(cache.logins.lock().unwrap().len(), CAPACITY);
    }
}
