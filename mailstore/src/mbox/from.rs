//! `From ` lines: `From sender weekday month day time year`, as they are found in real files.

use std::time::{Duration, SystemTime};

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];
const WEEKDAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
const DAY: u64 = 86_400;

/// Days since 1970 of a day of the Gregorian calendar, 1970 and later.
fn days(year: u64, month: u64, day: u64) -> Option<u64> {
    let leap = |year: u64| {
        u64::from(year.is_multiple_of(4) && !year.is_multiple_of(100) || year.is_multiple_of(400))
    };
    let since = year.checked_sub(1970).filter(|_| year < 10_000)?;
    let leaps = |year: u64| year / 4 - year / 100 + year / 400;
    let lengths = [31, 28 + leap(year), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let before = usize::try_from(month).ok()?;
    let length = *lengths.get(before)?;
    (1..=length).contains(&day).then_some(())?;
    let months: u64 = lengths.iter().take(before).sum();
    Some(since * 365 + leaps(year - 1) - leaps(1969) + months + day - 1)
}

/// The time a line tells; `None` when it is no `From ` line. Zones are passed over, as their forms cannot be told
/// apart: the time is taken as UTC.
pub(super) fn parse(line: &[u8]) -> Option<SystemTime> {
    let line = std::str::from_utf8(line.strip_prefix(b"From ")?)
        .ok()?
        .trim_end();
    let words: Vec<&str> = line.split_ascii_whitespace().collect();
    // The sender may hold anything, so the last weekday is the one. Some write it as RFC 5322 does.
    let is_weekday = |word: &&str| WEEKDAYS.contains(&word.strip_suffix(',').unwrap_or(word));
    let weekday = words.iter().rposition(is_weekday)?;
    let mut rest = words.get(weekday + 1..)?.iter();
    let (first, second) = (rest.next()?, rest.next()?);
    let month = |word: &str| MONTHS.iter().position(|month| *month == word);
    let (month, day) = match month(first) {
        Some(month) => (month, second),
        None => (month(second)?, first),
    };
    let day: u64 = day.parse().ok()?;
    let rest: Vec<&str> = rest.take(4).copied().collect();
    // The year stands behind the time, or before it as RFC 5322 has it.
    let time = rest.iter().take(2).find(|word| word.contains(':'))?;
    let mut time = time.split(':');
    let hour: u64 = time.next()?.parse().ok().filter(|hour| *hour < 24)?;
    let minute: u64 = time.next()?.parse().ok().filter(|minute| *minute < 60)?;
    let second: u64 = time
        .next()
        .map_or(Some(0), |second| second.parse().ok())
        .filter(|second| *second < 61)?;
    let year = rest
        .iter()
        .find_map(|word| match (word.len(), word.parse::<u64>()) {
            (4, Ok(year)) if !word.starts_with('+') => Some(year),
            _ => None,
        })?;
    let days = days(year, u64::try_from(month).ok()?, day)?;
    Some(
        SystemTime::UNIX_EPOCH
            + Duration::from_secs(days * DAY + hour * 3600 + minute * 60 + second),
    )
}

/// The line for a message, in the form of `asctime` (RFC 4155, appendix A).
pub(super) fn write(time: SystemTime) -> String {
    let seconds = time
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs();
    let (day, second) = (seconds / DAY, seconds % DAY);
    let weekday = usize::try_from(day % 7)
        .ok()
        .and_then(|at| WEEKDAYS.get(at))
        .copied()
        .unwrap_or("Thu");
    let mut year = 1970 + day / 366;
    while days(year + 1, 0, 1).is_some_and(|next| next <= day) {
        year += 1;
    }
    let mut month = 0;
    while days(year, month + 1, 1).is_some_and(|next| next <= day) {
        month += 1;
    }
    let of_month = day - days(year, month, 1).unwrap_or(day) + 1;
    let name = usize::try_from(month)
        .ok()
        .and_then(|at| MONTHS.get(at))
        .copied()
        .unwrap_or("Jan");
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!(
        "From MAILER-DAEMON {weekday} {name} {of_month:>2} {hour:02}:{minute:02}:{second:02} {year:04}\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn real_lines() {
        for line in [
            "From a@example.org Thu Nov 12 13:14:15 2026\n",
            "From a@example.org Thu Nov 12 13:14:15 2026 +0200",
            "From a@example.org Thu Nov 12 13:14:15 MET 2026",
            "From \"a b\"@example.org Thu Nov 12 13:14:15 MET DST 2026",
        ] {
            assert_eq!(parse(line.as_bytes()), Some(at(1_794_489_255)), "{line}");
        }
        assert_eq!(parse(b"From - Thu Jan  1 00:01 1970"), Some(at(60)));
        for bad in [
            "From here to there",
            "From a Thu Nov 31 00:00:00 2026",
            "From Thu",
            "from a Thu Nov 12 13:14:15 2026",
        ] {
            assert_eq!(parse(bad.as_bytes()), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn round_trip(seconds in 0u64..250_000_000_000) {
            prop_assert_eq!(parse(write(at(seconds)).as_bytes()), Some(at(seconds)));
        }
    }
}
