//! File names: `base[,S=octets][,W=octets]:2,flags`.

use std::fmt::Write as _;
use std::time::{Duration, SystemTime};

use crate::flags::{Flags, Keywords};

/// Letters of the system flags, in the order of their ASCII codes, as they stand in a name.
const LETTERS: [(u8, Flags); 5] = [
    (b'D', Flags::DRAFT),
    (b'F', Flags::FLAGGED),
    (b'R', Flags::ANSWERED),
    (b'S', Flags::SEEN),
    (b'T', Flags::DELETED),
];

/// The part of a name that stays the same for the message's life: all before `:`.
pub(crate) fn base(name: &[u8]) -> &[u8] {
    name.split(|&octet| octet == b':').next().unwrap_or(name)
}

/// The part of a base that the deliverer chose: all before the first `,`.
pub(crate) fn unique(name: &[u8]) -> &[u8] {
    base(name)
        .split(|&octet| octet == b',')
        .next()
        .unwrap_or(name)
}

/// A size field of a base: `S` (octets on the disk) or `W` (octets in wire form).
pub(crate) fn size(name: &[u8], field: u8) -> Option<u64> {
    base(name)
        .split(|&octet| octet == b',')
        .skip(1)
        .find_map(|part| match part.split_first_chunk() {
            Some(([key, b'='], digits)) if *key == field => {
                std::str::from_utf8(digits).ok()?.parse().ok()
            }
            _ => None,
        })
}

/// The letters of a name's flags, and what follows them: from the next `,` on it is of another kind, which nobody
/// defined so far (Dovecot passes over it as well).
fn info(name: &[u8]) -> (&[u8], &[u8]) {
    let at = base(name).len();
    let info = name.get(at..).unwrap_or_default();
    let info = info.strip_prefix(b":2,").unwrap_or_default();
    let end = memchr::memchr(b',', info).unwrap_or(info.len());
    info.split_at_checked(end).unwrap_or((info, &[]))
}

/// The flags and keywords that a name tells.
pub(crate) fn flags(name: &[u8]) -> (Flags, Keywords) {
    let (mut flags, mut keywords) = (Flags::NONE, Keywords::default());
    for &letter in info(name).0 {
        match LETTERS.iter().find(|(known, _)| *known == letter) {
            Some((_, flag)) => flags |= *flag,
            None if letter.is_ascii_lowercase() => keywords.set(usize::from(letter - b'a')),
            None => {}
        }
    }
    (flags, keywords)
}

/// The name with other flags; letters that mean nothing here stay, as they mean something to others.
pub(crate) fn with_flags(name: &[u8], flags: Flags, keywords: Keywords) -> Vec<u8> {
    let known = |letter: u8| {
        letter.is_ascii_lowercase() || LETTERS.iter().any(|(known, _)| *known == letter)
    };
    let (letters, rest) = info(name);
    let mut letters: Vec<u8> = letters
        .iter()
        .copied()
        .filter(|&letter| !known(letter))
        .collect();
    letters.extend(
        LETTERS
            .iter()
            .filter(|(_, flag)| flags.contains(*flag))
            .map(|(letter, _)| *letter),
    );
    letters.extend(
        (b'a'..=b'z')
            .enumerate()
            .filter(|(index, _)| keywords.contains(*index))
            .map(|(_, letter)| letter),
    );
    letters.sort_unstable();
    letters.dedup();
    let mut out = base(name).to_vec();
    out.extend_from_slice(b":2,");
    out.extend_from_slice(&letters);
    out.extend_from_slice(rest);
    out
}

/// Seconds and microseconds since 1970; nothing before it.
fn since_epoch(time: SystemTime) -> Duration {
    time.duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default()
}

/// A base that no other process or thread makes: time, process and a count.
pub(crate) fn fresh(now: SystemTime, count: u64, host: &str) -> String {
    let now = since_epoch(now);
    format!(
        "{}.M{}P{}Q{count}.{}",
        now.as_secs(),
        now.subsec_micros(),
        std::process::id(),
        escape_host(host)
    )
}

/// The base of a delivery: the same whenever the same delivery is tried again.
pub(crate) fn delivery(id: &str, arrived: SystemTime, host: &str) -> String {
    let arrived = since_epoch(arrived);
    let mut out = format!("{}.M{}D", arrived.as_secs(), arrived.subsec_micros());
    for octet in id.bytes() {
        if octet.is_ascii_alphanumeric() || octet == b'-' {
            out.push(char::from(octet));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(out, "_{octet:02x}");
        }
    }
    out.push('.');
    out.push_str(&escape_host(host));
    out
}

fn escape_host(host: &str) -> String {
    host.replace('/', "\\057")
        .replace(':', "\\072")
        .replace(',', "\\054")
}

/// Order of arrival: the seconds that a base begins with, then the microseconds, then the name.
pub(crate) fn arrival(name: &[u8]) -> (u64, u64, &[u8]) {
    let mut parts = unique(name).splitn(3, |&octet| octet == b'.');
    let digits = |part: &[u8]| {
        part.iter()
            .take_while(|octet| octet.is_ascii_digit())
            .fold(0u64, |number, octet| {
                number
                    .saturating_mul(10)
                    .saturating_add(u64::from(octet - b'0'))
            })
    };
    let seconds = parts.next().map_or(0, digits);
    let micros = parts
        .next()
        .and_then(|part| part.strip_prefix(b"M"))
        .map_or(0, digits);
    (seconds, micros, name)
}

/// When the message came into the folder: whoever makes a base begins it with that second.
pub(crate) fn save_date(base: &[u8]) -> Option<SystemTime> {
    let (seconds, micros, _) = arrival(base);
    let digits = base.iter().take_while(|octet| octet.is_ascii_digit());
    // A base of another form is none of a time; ten digits are the years 2001 to 2286.
    (digits.count() == 10 && base.get(10) == Some(&b'.')).then_some(())?;
    let micros = Some(micros)
        .filter(|micros| *micros < 1_000_000)
        .unwrap_or(0);
    SystemTime::UNIX_EPOCH
        .checked_add(Duration::from_secs(seconds))?
        .checked_add(Duration::from_micros(micros))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dovecot_names() {
        let name = b"1491941793.M41850P8566V0000000000000015I0000000004F3030E_0.mx1.example.com,S=10956,W=11000:2,STln";
        assert_eq!(size(name, b'S'), Some(10956));
        assert_eq!(size(name, b'W'), Some(11000));
        let (got, keywords) = flags(name);
        assert_eq!(got, Flags::SEEN | Flags::DELETED);
        assert_eq!(keywords.indices().collect::<Vec<_>>(), [11, 13]);
        assert_eq!(arrival(name).0, 1_491_941_793);
        assert_eq!(arrival(name).1, 41850);
        assert_eq!(with_flags(name, got, keywords), name);
        assert_eq!(
            with_flags(b"a:2,PS", Flags::DRAFT, Keywords::default()),
            b"a:2,DP"
        );
        assert_eq!(with_flags(b"a", Flags::NONE, Keywords::default()), b"a:2,");
        assert_eq!(size(b"a:2,S=5", b'S'), None);
    }

    #[test]
    fn what_follows_the_flags_stays_and_is_none() {
        let name = b"a:2,Fb,RSa";
        let (got, keywords) = flags(name);
        assert_eq!(got, Flags::FLAGGED);
        assert_eq!(keywords.indices().collect::<Vec<_>>(), [1]);
        assert_eq!(
            with_flags(name, got | Flags::SEEN, keywords),
            b"a:2,FSb,RSa"
        );
        assert_eq!(
            with_flags(b"a:2,,x", Flags::SEEN, Keywords::default()),
            b"a:2,S,x"
        );
    }

    #[test]
    fn the_same_delivery_has_the_same_base() {
        let at = SystemTime::UNIX_EPOCH + Duration::new(1_700_000_000, 5_000);
        assert_eq!(
            delivery("4Zx.0/1", at, "a,b"),
            "1700000000.M5D4Zx_2e0_2f1.a\\054b"
        );
    }
}
