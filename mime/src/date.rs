//! Dates, RFC 5322 §3.3 with the obsolete forms of §4.3, and the other forms real mail has.

use std::fmt;

use jiff::Timestamp;
use jiff::civil::{self, Weekday};
use jiff::tz::Offset;

use crate::param::{comment, skip_cfws};

/// A date with its time zone as it was written.
///
/// ```
/// let date = mime::Date::parse(b"Fri, 21 Nov 1997 09:55:06 -0600").unwrap();
/// assert_eq!(date.timestamp().as_second(), 880127706);
/// assert_eq!(date.civil().hour(), 9);
/// assert_eq!(date.to_string(), "Fri, 21 Nov 1997 09:55:06 -0600");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Date {
    timestamp: Timestamp,
    civil: civil::DateTime,
    offset: Offset,
    zone_known: bool,
}

impl Date {
    /// Reads a date.
    ///
    /// Besides RFC 5322: no comma, no or two-digit seconds, asctime order (`Thu Jan  1 00:00:00
    /// 1970`), dashes between day, month and year, ISO 8601, long names, zone names and offsets
    /// behind them. A missing or unknown zone is read as `-0000`, and a leap second as the second
    /// before it. `None` if day, month, year or time is missing or does not exist.
    pub fn parse(value: &[u8]) -> Option<Self> {
        let mut reader = Reader::default();
        let mut rest = value;
        while !rest.is_empty() {
            rest = reader.item(rest)?;
        }
        reader.date()
    }

    /// A moment in a time zone.
    pub fn new(timestamp: Timestamp, offset: Offset) -> Self {
        Self {
            timestamp,
            civil: offset.to_datetime(timestamp),
            offset,
            zone_known: true,
        }
    }

    /// The moment.
    pub fn timestamp(&self) -> Timestamp {
        self.timestamp
    }

    /// Date and time of day in its own zone, as IMAP's SENTON and Sieve's date tests want it.
    pub fn civil(&self) -> civil::DateTime {
        self.civil
    }

    /// The offset from UTC.
    pub fn offset(&self) -> Offset {
        self.offset
    }

    /// Whether the writer said what zone it is in; not so for `-0000` (RFC 5322 §3.3).
    pub fn is_zone_known(&self) -> bool {
        self.zone_known
    }
}

impl fmt::Display for Date {
    /// As RFC 5322 §3.3 has it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (date, time) = (self.civil.date(), self.civil.time());
        let weekday = match date.weekday() {
            Weekday::Monday => "Mon",
            Weekday::Tuesday => "Tue",
            Weekday::Wednesday => "Wed",
            Weekday::Thursday => "Thu",
            Weekday::Friday => "Fri",
            Weekday::Saturday => "Sat",
            Weekday::Sunday => "Sun",
        };
        let month = usize::try_from(date.month() - 1)
            .ok()
            .and_then(|month| MONTHS.get(month))
            .unwrap_or(&"");
        let minutes = self.offset.seconds() / 60;
        let sign = if minutes < 0 || !self.zone_known {
            '-'
        } else {
            '+'
        };
        let minutes = minutes.abs();
        write!(
            f,
            "{weekday}, {} {month} {:04} {:02}:{:02}:{:02} {sign}{:02}{:02}",
            date.day(),
            date.year(),
            time.hour(),
            time.minute(),
            time.second(),
            minutes / 60,
            minutes % 60,
        )
    }
}

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// Zone names of RFC 5322 §4.3, in hours; military letters are unknown, as that says.
const ZONES: [(&str, i32); 11] = [
    ("UT", 0),
    ("UTC", 0),
    ("GMT", 0),
    ("EST", -5),
    ("EDT", -4),
    ("CST", -6),
    ("CDT", -5),
    ("MST", -7),
    ("MDT", -6),
    ("PST", -8),
    ("PDT", -7),
];

/// What has been found so far.
#[derive(Default)]
struct Reader {
    day: Option<i8>,
    month: Option<i8>,
    year: Option<i16>,
    time: Option<(i8, i8, i8)>,
    afternoon: Option<bool>,
    /// Seconds from UTC.
    zone: Option<i32>,
    zone_is_number: bool,
}

impl Reader {
    /// Reads one item at the front and returns the rest; `None` if it contradicts.
    fn item<'a>(&mut self, text: &'a [u8]) -> Option<&'a [u8]> {
        match text {
            [b'(', rest @ ..] => Some(comment(rest).1),
            [b'0'..=b'9', ..] => self.number(text),
            [b'+' | b'-', b'0'..=b'9', ..] if self.time.is_some() && !self.zone_is_number => {
                self.numeric_zone(text)
            }
            [first, ..] if first.is_ascii_alphabetic() => {
                let end = text.iter().position(|byte| !byte.is_ascii_alphabetic());
                let (word, rest) = text.split_at(end.unwrap_or(text.len()));
                self.word(word);
                Some(rest)
            }
            [_, rest @ ..] => Some(rest),
            [] => Some(text),
        }
    }

    fn number<'a>(&mut self, text: &'a [u8]) -> Option<&'a [u8]> {
        let (number, digits, rest) = digits(text);
        if let [b':', rest @ ..] = skip_cfws(rest)
            && self.time.is_none()
            && digits <= 2
        {
            return self.clock(number, rest);
        }
        match rest {
            // ISO 8601, RFC 3339: year first.
            [b'-', after @ ..] if digits == 4 && self.year.is_none() && self.month.is_none() => {
                if let (month, 2, [b'-', after @ ..]) = self::digits(after)
                    && let (day, 2, rest) = self::digits(after)
                {
                    self.year = i16::try_from(number).ok();
                    self.month = i8::try_from(month).ok();
                    self.day = i8::try_from(day).ok();
                    return Some(rest);
                }
            }
            _ => {}
        }
        if self.day.is_none() && digits <= 2 {
            self.day = i8::try_from(number).ok();
        } else if self.year.is_none() && digits <= 5 {
            // RFC 5322 §4.3: two digits are 1950 to 2049, three count from 1900.
            let year = match (digits, number) {
                (1 | 2, 0..=49) => number + 2000,
                (1..=3, _) => number + 1900,
                _ => number,
            };
            self.year = Some(i16::try_from(year).ok()?);
        }
        Some(rest)
    }

    /// Behind `hh:`.
    fn clock<'a>(&mut self, hour: u32, text: &'a [u8]) -> Option<&'a [u8]> {
        let (minute, width, mut rest) = digits(skip_cfws(text));
        let mut second = 0;
        if let [b':', tail @ ..] = skip_cfws(rest)
            && let (value, 1..=2, tail) = digits(skip_cfws(tail))
        {
            second = value;
            rest = tail;
            // A fraction is dropped.
            if let [b'.', fraction @ ..] = rest
                && let (_, 1.., tail) = digits(fraction)
            {
                rest = tail;
            }
        }
        if width == 0 || hour > 23 || minute > 59 || second > 60 {
            return None;
        }
        self.time = Some((
            i8::try_from(hour).ok()?,
            i8::try_from(minute).ok()?,
            i8::try_from(second.min(59)).ok()?,
        ));
        Some(rest)
    }

    /// `("+" / "-") hhmm`, also `hh:mm` and `hh`.
    fn numeric_zone<'a>(&mut self, text: &'a [u8]) -> Option<&'a [u8]> {
        let (sign, rest) = text.split_first()?;
        let (number, width, mut rest) = digits(rest);
        let (hours, minutes) = match width {
            4 => (number / 100, number % 100),
            3 => (number / 100, number % 100),
            1 | 2 => match rest {
                [b':', tail @ ..] if digits(tail).1 == 2 => {
                    let (minutes, _, tail) = digits(tail);
                    rest = tail;
                    (number, minutes)
                }
                _ => (number, 0),
            },
            _ => return Some(rest),
        };
        if hours > 24 || minutes > 59 {
            return Some(rest);
        }
        let seconds = i32::try_from(hours * 3600 + minutes * 60).ok()?;
        self.zone_is_number = true;
        // -0000: the zone is not known.
        self.zone = match (sign, seconds) {
            (b'-', 0) => None,
            (b'-', _) => Some(-seconds),
            _ => Some(seconds),
        };
        Some(rest)
    }

    fn word(&mut self, word: &[u8]) {
        let is = |name: &str| word.eq_ignore_ascii_case(name.as_bytes());
        if let Some((short, _)) = word.split_at_checked(3)
            && let Some(month) = MONTHS
                .iter()
                .position(|name| short.eq_ignore_ascii_case(name.as_bytes()))
            && self.month.is_none()
        {
            self.month = i8::try_from(month + 1).ok();
        } else if is("AM") || is("PM") {
            self.afternoon = Some(is("PM"));
        } else if self.time.is_some() && self.zone.is_none() && !self.zone_is_number {
            self.zone = if is("Z") {
                Some(0)
            } else {
                let known = ZONES.iter().find(|(name, _)| is(name));
                known.map(|(_, hours)| hours * 3600)
            };
        }
    }

    fn date(self) -> Option<Date> {
        let (mut hour, minute, second) = self.time?;
        match self.afternoon {
            Some(true) if hour < 12 => hour += 12,
            Some(false) if hour == 12 => hour = 0,
            _ => {}
        }
        let date = civil::Date::new(self.year?, self.month?, self.day?).ok()?;
        let time = civil::Time::new(hour, minute, second, 0).ok()?;
        let civil = date.to_datetime(time);
        let offset = Offset::from_seconds(self.zone.unwrap_or(0)).ok()?;
        Some(Date {
            timestamp: offset.to_timestamp(civil).ok()?,
            civil,
            offset,
            zone_known: self.zone.is_some(),
        })
    }
}

/// Digits at the front: their value (saturating), how many, and the rest.
fn digits(text: &[u8]) -> (u32, usize, &[u8]) {
    let end = text.iter().position(|byte| !byte.is_ascii_digit());
    let (digits, rest) = text.split_at(end.unwrap_or(text.len()));
    let value = digits.iter().fold(0u32, |value, digit| {
        value
            .saturating_mul(10)
            .saturating_add(u32::from(digit - b'0'))
    });
    (value, digits.len(), rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let date = Date::parse(text.as_bytes()).map(|date| date.to_string());
        assert_eq!(date.as_deref(), Some(expected), "{text}");
    }

    #[test]
    fn rfc_5322() {
        check(
            "Fri, 21 Nov 1997 09:55:06 -0600",
            "Fri, 21 Nov 1997 09:55:06 -0600",
        );
        check(
            "Tue, 1 Jul 2003 10:52:37 +0200",
            "Tue, 1 Jul 2003 10:52:37 +0200",
        );
        check(
            "Thu, 13 Feb 1969 23:32 -0330 (Newfoundland Time)",
            "Thu, 13 Feb 1969 23:32:00 -0330",
        );
        check("21 Nov 97 09:55:06 GMT", "Fri, 21 Nov 1997 09:55:06 +0000");
        check(
            "Thu,\r\n\t13\r\n\tFeb\r\n\t1969\r\n\t23:32\r\n\t-0330",
            "Thu, 13 Feb 1969 23:32:00 -0330",
        );
        check(
            "Fri, 21 Nov 1997 09(comment):   55  :  06 -0600",
            "Fri, 21 Nov 1997 09:55:06 -0600",
        );
        check("21 Nov 97 09:55:06 EDT", "Fri, 21 Nov 1997 09:55:06 -0400");
        check("1 Jan 49 00:00 Z", "Fri, 1 Jan 2049 00:00:00 +0000");
        check("1 Jan 103 00:00 A", "Wed, 1 Jan 2003 00:00:00 -0000");
        check(
            "31 Dec 2016 23:59:60 +0000",
            "Sat, 31 Dec 2016 23:59:59 +0000",
        );
        check(
            "1 Jan 2020 00:00:00 -0000",
            "Wed, 1 Jan 2020 00:00:00 -0000",
        );
    }

    #[test]
    fn forms_of_the_wild() {
        check("Thu Jan  1 00:00:00 1970", "Thu, 1 Jan 1970 00:00:00 -0000");
        check(
            "Thu Jan  1 00:00:00 PST 1970",
            "Thu, 1 Jan 1970 00:00:00 -0800",
        );
        check(
            "Thu Jan  1 00:00:00 1970 +0100",
            "Thu, 1 Jan 1970 00:00:00 +0100",
        );
        check(
            "Wed, 01-Jul-2020 10:00:00 GMT",
            "Wed, 1 Jul 2020 10:00:00 +0000",
        );
        check(
            "2020-07-01T10:00:00.123+02:00",
            "Wed, 1 Jul 2020 10:00:00 +0200",
        );
        check("2020-07-01 10:00:00 Z", "Wed, 1 Jul 2020 10:00:00 +0000");
        check(
            "Wed 1 July 2020 10:00:00 GMT+0200",
            "Wed, 1 Jul 2020 10:00:00 +0200",
        );
        check(
            "Wed, 1 Jul 2020 10:00:00 +0200 GMT",
            "Wed, 1 Jul 2020 10:00:00 +0200",
        );
        check(
            "1 Jul 2020 3:04:05 PM -0700",
            "Wed, 1 Jul 2020 15:04:05 -0700",
        );
        check(
            "Wed, 1 Jul 2020 10:00:00 \"GMT\"",
            "Wed, 1 Jul 2020 10:00:00 +0000",
        );
    }

    #[test]
    fn what_is_no_date() {
        for text in [
            "",
            "never",
            "1 Jul 2020",
            "31 Feb 2020 10:00",
            "1 Jul 2020 25:00",
            "1 Jul 2020 10:99",
            "99999999999999999999",
            "10:00:00 +9999",
            "Jul 2020 10:00",
            ":::",
            "1 Jul 20200 10:00:00",
        ] {
            assert_eq!(Date::parse(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn moments_format_in_their_zone() {
        let date = Date::new(Timestamp::UNIX_EPOCH, Offset::constant(-5));
        assert_eq!(date.to_string(), "Wed, 31 Dec 1969 19:00:00 -0500");
        assert_eq!(Date::parse(date.to_string().as_bytes()), Some(date));
    }
}
