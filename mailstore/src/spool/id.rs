//! Queue ids.

use std::fmt;
use std::hash::{BuildHasherDefault, Hasher};
use std::str::FromStr;
use std::time::{Duration, SystemTime};

/// Digits and consonants, ascending: no id spells a word.
const ALPHABET: &[u8; 52] = b"0123456789BCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz";
const SECONDS_DIGITS: usize = 6;
const MICROS_DIGITS: usize = 4;
const MICROS: u64 = 1_000_000;

/// Names a message of the spool, for ever: six digits of seconds and four of microseconds to base 52, `z`, and
/// the number of the spool's opening, in the shape of Postfix's long queue ids. Ids sort by time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QueueId {
    /// Microseconds since 1970; never twice in one opening of the spool.
    pub(super) micros: u64,
    /// Which opening; never twice.
    pub(super) epoch: u32,
}

impl QueueId {
    /// When the message began to arrive, to the microsecond; later than the clock said where that stood still.
    pub fn arrived(self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_micros(self.micros)
    }
}

/// Hashes ids. Nobody else chooses them, so that a multiplication serves, where an attack on the table would need more.
#[derive(Default)]
pub(super) struct IdHasher(u64);

/// What [`IdHasher`] is named by in a table's type.
pub(super) type IdState = BuildHasherDefault<IdHasher>;

impl Hasher for IdHasher {
    fn write(&mut self, bytes: &[u8]) {
        for &octet in bytes {
            self.write_u64(octet.into());
        }
    }

    fn write_u32(&mut self, number: u32) {
        self.write_u64(number.into());
    }

    fn write_u64(&mut self, number: u64) {
        // The golden ratio's digits. The table takes its highest and its lowest bits.
        let mixed = (self.0 ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = mixed ^ (mixed >> 32);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

fn digits(mut number: u64, least: usize) -> String {
    let mut out = Vec::new();
    while number > 0 || out.len() < least {
        let digit = usize::try_from(number % 52).unwrap_or_default();
        out.push(char::from(ALPHABET.get(digit).copied().unwrap_or(b'0')));
        number /= 52;
    }
    out.iter().rev().collect()
}

fn number(digits: &str) -> Option<u64> {
    digits.bytes().try_fold(0u64, |number, octet| {
        let digit = ALPHABET.iter().position(|&known| known == octet)?;
        number
            .checked_mul(52)?
            .checked_add(u64::try_from(digit).ok()?)
    })
}

impl fmt::Display for QueueId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, micros) = (self.micros / MICROS, self.micros % MICROS);
        let text = digits(seconds, SECONDS_DIGITS) + &digits(micros, MICROS_DIGITS);
        write!(f, "{text}z{}", digits(self.epoch.into(), 1))
    }
}

/// The text is no queue id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a queue id")]
pub struct ParseQueueIdError;

impl FromStr for QueueId {
    type Err = ParseQueueIdError;

    fn from_str(text: &str) -> Result<Self, ParseQueueIdError> {
        let parse = || {
            let (time, epoch) = text.split_at_checked(SECONDS_DIGITS + MICROS_DIGITS)?;
            let (seconds, micros) = time.split_at_checked(SECONDS_DIGITS)?;
            let micros = number(seconds)?
                .checked_mul(MICROS)?
                .checked_add(number(micros)?)?;
            let epoch = u32::try_from(number(
                epoch.strip_prefix('z').filter(|rest| !rest.is_empty())?,
            )?)
            .ok()?;
            Some(Self { micros, epoch })
        };
        parse()
            .filter(|id| id.to_string() == text)
            .ok_or(ParseQueueIdError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_back_and_sort() {
        let id = QueueId {
            micros: 1_795_289_845_000_123,
            epoch: 7,
        };
        let text = id.to_string();
        assert_eq!(text.len(), 12);
        assert_eq!(text.parse(), Ok(id));
        let later = QueueId {
            micros: id.micros + 1,
            epoch: 1,
        };
        assert!(later > id && later.to_string() > text);
        for bad in [
            "",
            "4Zx",
            "aaaaaaaaaaz1",
            "0000000000z",
            "0000000000z01",
            "zzzzzzzzzzz1",
        ] {
            assert!(bad.parse::<QueueId>().is_err(), "{bad}");
        }
    }
}
