//! Numbers and strings of the index's files.

use std::time::{Duration, SystemTime};

/// Octets being read off the front; nothing is given behind their end.
#[derive(Clone, Copy)]
pub(crate) struct Cursor<'a>(pub(crate) &'a [u8]);

impl<'a> Cursor<'a> {
    pub(crate) fn octets(&mut self, count: usize) -> Option<&'a [u8]> {
        let (octets, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(octets)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (octets, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*octets)
    }

    pub(crate) fn u8(&mut self) -> Option<u8> {
        self.array().map(|[octet]| octet)
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    /// A time that [`put_time`] wrote.
    pub(crate) fn time(&mut self) -> Option<SystemTime> {
        let seconds = i64::from_le_bytes(self.array()?);
        let nanos = self.u32().filter(|nanos| *nanos < 1_000_000_000)?;
        let whole = Duration::from_secs(seconds.unsigned_abs());
        let start = if seconds < 0 {
            SystemTime::UNIX_EPOCH.checked_sub(whole)?
        } else {
            SystemTime::UNIX_EPOCH.checked_add(whole)?
        };
        start.checked_add(Duration::new(0, nanos))
    }

    /// LEB128.
    pub(crate) fn number(&mut self) -> Option<u64> {
        let mut value = 0u64;
        for place in 0..10 {
            let octet = self.u8()?;
            let low = u64::from(octet & 0x7f);
            value |= low
                .checked_shl(place * 7)
                .filter(|shifted| shifted >> (place * 7) == low)?;
            if octet & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    /// A number and that many octets.
    pub(crate) fn string(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.number()?).ok()?;
        self.octets(length)
    }

    /// As [`string`](Self::string), with one more than the length; 0 for none.
    pub(crate) fn maybe_string(&mut self) -> Option<Option<&'a [u8]>> {
        match self.number()?.checked_sub(1) {
            None => Some(None),
            Some(length) => self.octets(usize::try_from(length).ok()?).map(Some),
        }
    }
}

/// Seconds since 1970 (before it: negative) and nanoseconds after them.
pub(crate) fn put_time(out: &mut Vec<u8>, time: SystemTime) {
    let (seconds, nanos) = match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(after) => (
            i64::try_from(after.as_secs()).unwrap_or(i64::MAX),
            after.subsec_nanos(),
        ),
        Err(before) => {
            let before = before.duration();
            let seconds = i64::try_from(before.as_secs()).map_or(i64::MIN, |seconds| -seconds);
            match before.subsec_nanos() {
                0 => (seconds, 0),
                nanos => (seconds.saturating_sub(1), 1_000_000_000 - nanos),
            }
        }
    };
    out.extend_from_slice(&seconds.to_le_bytes());
    out.extend_from_slice(&nanos.to_le_bytes());
}

pub(crate) fn put_number(out: &mut Vec<u8>, mut value: u64) {
    loop {
        let low = u8::try_from(value & 0x7f).unwrap_or_default();
        value >>= 7;
        if value == 0 {
            return out.push(low);
        }
        out.push(low | 0x80);
    }
}

pub(crate) fn put_string(out: &mut Vec<u8>, octets: &[u8]) {
    put_number(out, octets.len() as u64);
    out.extend_from_slice(octets);
}

pub(crate) fn put_maybe(out: &mut Vec<u8>, octets: Option<&[u8]>) {
    match octets {
        None => put_number(out, 0),
        Some(octets) => {
            put_number(out, octets.len() as u64 + 1);
            out.extend_from_slice(octets);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_numbers_come_back() {
        let epoch = SystemTime::UNIX_EPOCH;
        for time in [
            epoch,
            epoch + Duration::new(1_800_000_000, 999_999_999),
            epoch - Duration::new(5, 1),
            epoch - Duration::from_secs(7),
        ] {
            let mut out = Vec::new();
            put_time(&mut out, time);
            assert_eq!(Cursor(&out).time(), Some(time));
        }
        for value in [0, 1, 127, 128, 1 << 40, u64::MAX] {
            let mut out = Vec::new();
            put_number(&mut out, value);
            assert_eq!(Cursor(&out).number(), Some(value));
        }
        assert_eq!(Cursor(&[0xff; 11]).number(), None);
    }
}
