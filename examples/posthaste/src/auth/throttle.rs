use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long a failure counts.
const MEMORY: Duration = Duration::from_secs(600);

/// Addresses that are remembered at most; stops memory from growing with
/// attackers.
const CAPACITY: usize = 16_384;

/// Different failures up to here cost nothing: people mistype.
const FREE: u32 = 3;

/// The longest wait before a login is looked at.
const LONGEST: Duration = Duration::from_secs(16);

/// Slows guessing down: the more logins of an address fail, the longer its
/// next one waits, whether it is right or not.
///
/// The same wrong login again is not a guess, but a program that has not yet
/// been told of a new password: it counts once.
#[derive(Debug, Default)]
pub(super) struct Throttle {
    addresses: Mutex<HashMap<IpAddr, Record>>,
}

#[derive(Debug)]
struct Record {
    failures: u32,
    last: Instant,
    /// The latest different failures.
    seen: [u64; 8],
}

impl Throttle {
    /// How long the next login of `address` waits.
    pub(super) fn wait(&self, address: IpAddr, now: Instant) -> Duration {
        let addresses = self.lock();
        match addresses.get(&network(address)) {
            Some(record) if now.duration_since(record.last) < MEMORY => {
                match record.failures.checked_sub(FREE) {
                    None | Some(0) => Duration::ZERO,
                    Some(over) => LONGEST.min(Duration::from_secs(1 << over.min(10))),
                }
            }
            _ => Duration::ZERO,
        }
    }

    /// A login of `address` was wrong; `fingerprint` stands for what was tried.
    pub(super) fn failed(&self, address: IpAddr, fingerprint: u64, now: Instant) {
        let mut addresses = self.lock();
        let current = |record: &Record| now.duration_since(record.last) < MEMORY;
        if addresses.len() >= CAPACITY {
            addresses.retain(|_, record| current(record));
        }
        if addresses.len() >= CAPACITY
            && let Some(any) = addresses.keys().next().copied()
        {
            addresses.remove(&any);
        }
        let record = addresses.entry(network(address)).or_insert(Record {
            failures: 0,
            last: now,
            seen: [0; 8],
        });
        if !current(record) {
            record.failures = 0;
            record.seen = [0; 8];
        }
        record.last = now;
        if !record.seen.contains(&fingerprint) {
            record.failures = record.failures.saturating_add(1);
            record.seen.rotate_right(1);
            if let Some(first) = record.seen.first_mut() {
                *first = fingerprint;
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<IpAddr, Record>> {
        self.addresses
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// What one attacker has: an IPv4 address, or the /64 of an IPv6 address.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => {
            let prefix = address.to_bits() & !u128::from(u64::MAX);
            std::net::Ipv6Addr::from_bits(prefix).into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guessing_gets_slower() {
        let throttle = Throttle::default();
        let now = Instant::now();
        let address = IpAddr::from([192, 0, 2, 1]);
        let mut waits = Vec::new();
        for guess in 1..=9 {
            throttle.failed(address, guess, now);
            waits.push(throttle.wait(address, now).as_secs());
        }
        assert_eq!(waits, [0, 0, 0, 2, 4, 8, 16, 16, 16]);
        assert_eq!(
            throttle.wait(IpAddr::from([192, 0, 2, 2]), now),
            Duration::ZERO
        );
        assert_eq!(throttle.wait(address, now + MEMORY), Duration::ZERO);
    }

    #[test]
    fn the_same_mistake_counts_once() {
        let throttle = Throttle::default();
        let now = Instant::now();
        let address = IpAddr::from([192, 0, 2, 1]);
        for _ in 0..100 {
            throttle.failed(address, 7, now);
        }
        assert_eq!(throttle.wait(address, now), Duration::ZERO);
    }

    #[test]
    fn an_ipv6_network_is_one_attacker() {
        let throttle = Throttle::default();
        let now = Instant::now();
        for guess in 1..=4 {
            let address: IpAddr = format!("2001:db8::{guess}").parse().unwrap();
            throttle.failed(address, guess, now);
        }
        let wait = |text: &str| throttle.wait(text.parse().unwrap(), now);
        assert!(wait("2001:db8::99") > Duration::ZERO);
        assert_eq!(wait("2001:db8:0:1::1"), Duration::ZERO);
        throttle.failed("::ffff:192.0.2.1".parse().unwrap(), 1, now);
        assert!(throttle.lock().contains_key(&IpAddr::from([192, 0, 2, 1])));
    }

    #[test]
    fn is_bounded() {
        let throttle = Throttle::default();
        let now = Instant::now();
        for number in 0..u32::try_from(CAPACITY).unwrap() + 100 {
            throttle.failed(std::net::Ipv4Addr::from_bits(number).into(), 1, now);
        }
        assert_eq!(throttle.lock().len(), CAPACITY);
    }
}
