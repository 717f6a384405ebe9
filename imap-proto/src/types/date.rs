use std::fmt;
use std::time::{Duration, SystemTime};

use crate::cursor::{Cursor, Parsed, words};
use crate::types::Chars;
use crate::wire::Writer;
use crate::{Invalid, ParseErrorKind};

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

words! { JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV DEC }

/// The month of a name in any case, counted from 1.
#[inline]
fn month_number([first, second, third]: &[u8; 3]) -> Option<u8> {
    let word = u64::from_le_bytes([*first, *second, *third, 0, 0, 0, 0, 0]);
    // Only letters become letters with this bit gone.
    Some(match word & 0x00df_dfdf {
        JAN => 1,
        FEB => 2,
        MAR => 3,
        APR => 4,
        MAY => 5,
        JUN => 6,
        JUL => 7,
        AUG => 8,
        SEP => 9,
        OCT => 10,
        NOV => 11,
        DEC => 12,
        _ => return None,
    })
}

/// The number of two digits.
#[inline]
fn pair(tens: u8, ones: u8) -> Option<u8> {
    let (tens, ones) = (tens.wrapping_sub(b'0'), ones.wrapping_sub(b'0'));
    (tens <= 9 && ones <= 9).then_some(tens.wrapping_mul(10).wrapping_add(ones))
}

/// A number of 1 to `most` digits, of which there are 4 at most.
fn digits(c: &mut Cursor<'_>, most: usize, name: &'static str) -> Parsed<u16> {
    let at = c.at();
    let digits = c.take_some(Chars::DIGIT, name)?;
    if digits.len() > most {
        return Err(Cursor::error_at(ParseErrorKind::Date, at));
    }
    let value = |value, digit: &u8| value * 10 + u16::from(digit - b'0');
    Ok(digits.iter().fold(0, value))
}

/// `date-text`: a day of the Gregorian calendar, years 0 to 9999.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Date {
    year: u16,
    month: u8,
    day: u8,
}

impl Date {
    /// The day; `month` and `day` count from 1.
    ///
    /// # Errors
    /// When the calendar has no such day.
    pub fn new(year: u16, month: u8, day: u8) -> Result<Self, Invalid> {
        if year > 9999 || day == 0 || day > days_in(year, month) {
            return Err(Invalid { term: "date" });
        }
        Ok(Self { year, month, day })
    }

    /// The year.
    #[must_use]
    pub fn year(self) -> u16 {
        self.year
    }

    /// The month, 1 to 12.
    #[must_use]
    pub fn month(self) -> u8 {
        self.month
    }

    /// The day of the month, 1 to 31.
    #[must_use]
    pub fn day(self) -> u8 {
        self.day
    }

    /// Days since 1970-01-01.
    #[must_use]
    pub fn days(self) -> i64 {
        // Years that begin in March put the leap day last.
        let shifted = i64::from(self.month) <= 2;
        let year = i64::from(self.year) - i64::from(shifted);
        let month = (i64::from(self.month) + 9) % 12;
        let in_year = (153 * month + 2) / 5 + i64::from(self.day) - 1;
        let era = year.div_euclid(400);
        let in_era = year.rem_euclid(400);
        era * 146_097 + in_era * 365 + in_era / 4 - in_era / 100 + in_year - 719_468
    }

    /// The day that many days after 1970-01-01, if its year fits.
    #[must_use]
    pub fn from_days(days: i64) -> Option<Self> {
        let days = days.checked_add(719_468)?;
        let era = days.div_euclid(146_097);
        let in_era = days.rem_euclid(146_097);
        let year = (in_era - in_era / 1460 + in_era / 36_524 - in_era / 146_096) / 365;
        let in_year = in_era - (365 * year + year / 4 - year / 100);
        let month = (5 * in_year + 2) / 153;
        let day = in_year - (153 * month + 2) / 5 + 1;
        let month = if month < 10 { month + 3 } else { month - 9 };
        let year = year + era * 400 + i64::from(month <= 2);
        Self::new(
            u16::try_from(year).ok()?,
            u8::try_from(month).ok()?,
            u8::try_from(day).ok()?,
        )
        .ok()
    }

    /// As [`Self::parse_text`], if it is one.
    #[inline]
    fn quick(octets: &[u8]) -> Option<(Self, &[u8])> {
        let (day, behind) = match octets {
            [ones, b'-', ..] => (pair(b'0', *ones)?, octets.get(1..)?),
            [tens, ones, behind @ ..] => (pair(*tens, *ones)?, behind),
            _ => return None,
        };
        let (text, behind) = behind.split_first_chunk::<9>()?;
        let [b'-', a, b, c, b'-', y1, y2, y3, y4] = text else {
            return None;
        };
        let year = u16::from(pair(*y1, *y2)?) * 100 + u16::from(pair(*y3, *y4)?);
        let date = Self::new(year, month_number(&[*a, *b, *c])?, day).ok()?;
        let ends = !behind.first().is_some_and(u8::is_ascii_digit);
        ends.then_some((date, behind))
    }

    fn parse_text(c: &mut Cursor<'_>, fixed: bool) -> Parsed<Self> {
        let at = c.at();
        let _ = fixed && c.eat(b' ');
        let day = digits(c, 2, "a day")?;
        c.expect(b'-', "\"-\"")?;
        let Some(month) = c.rest().first_chunk().and_then(month_number) else {
            return c.expected("a month");
        };
        c.set_at(c.at() + 3);
        c.expect(b'-', "\"-\"")?;
        let start = c.at();
        let year = digits(c, 4, "a year")?;
        let error = Cursor::error_at(ParseErrorKind::Date, at);
        match u8::try_from(day) {
            Ok(day) if c.at() - start == 4 => Self::new(year, month, day).map_err(|_| error),
            _ => Err(error),
        }
    }

    /// `date`: with or without quotes.
    pub(crate) fn parse(c: &mut Cursor<'_>) -> Parsed<Self> {
        let quoted = c.eat(b'"');
        let date = match Self::quick(c.rest()) {
            Some((date, behind)) => {
                c.leave(behind);
                date
            }
            None => Self::parse_text(c, false)?,
        };
        if quoted {
            c.expect(b'"', "a closing quote")?;
        }
        Ok(date)
    }

    pub(crate) fn encode(self, w: &mut Writer<'_>) {
        w.number(self.day);
        self.encode_month(w);
    }

    /// `-Jul-1996`
    fn encode_month(self, w: &mut Writer<'_>) {
        w.byte(b'-');
        w.str(self.month_name());
        w.byte(b'-');
        two(w, self.year / 100);
        two(w, self.year % 100);
    }

    fn month_name(self) -> &'static str {
        let at = usize::from(self.month.saturating_sub(1));
        MONTHS.get(at).copied().unwrap_or("Jan")
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-{:04}", self.day, self.month_name(), self.year)
    }
}

impl fmt::Debug for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

fn days_in(year: u16, month: u8) -> u8 {
    let leap = year.is_multiple_of(4) && !year.is_multiple_of(100) || year.is_multiple_of(400);
    match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        _ => 0,
    }
}

/// `date-time`: an INTERNALDATE.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct DateTime {
    date: Date,
    hour: u8,
    minute: u8,
    /// 60 is a leap second.
    second: u8,
    /// Minutes east of Greenwich.
    zone: i16,
}

impl DateTime {
    /// 1970-01-01 00:00 UTC.
    pub const EPOCH: Self = Self {
        date: Date {
            year: 1970,
            month: 1,
            day: 1,
        },
        hour: 0,
        minute: 0,
        second: 0,
        zone: 0,
    };

    /// The moment; `zone` in minutes east of Greenwich.
    ///
    /// # Errors
    /// When the clock has no such time or zone.
    pub fn new(
        date: Date,
        (hour, minute, second): (u8, u8, u8),
        zone: i16,
    ) -> Result<Self, Invalid> {
        if hour > 23 || minute > 59 || second > 60 || !(-5999..=5999).contains(&zone) {
            return Err(Invalid { term: "date-time" });
        }
        Ok(Self {
            date,
            hour,
            minute,
            second,
            zone,
        })
    }

    /// The moment of a Unix timestamp, in seconds, as a clock in `zone` shows it.
    #[must_use]
    pub fn from_timestamp(seconds: i64, zone: i16) -> Option<Self> {
        let local = seconds.checked_add(i64::from(zone) * 60)?;
        let date = Date::from_days(local.div_euclid(86_400))?;
        let time = local.rem_euclid(86_400);
        let part = |value: i64| u8::try_from(value).unwrap_or(0);
        let time = (part(time / 3600), part(time / 60 % 60), part(time % 60));
        Self::new(date, time, zone).ok()
    }

    /// The moment of a system's clock, as a clock in `zone` shows it; `None`
    /// for years that IMAP cannot show.
    #[must_use]
    pub fn from_system_time(at: SystemTime, zone: i16) -> Option<Self> {
        let seconds = match at.duration_since(SystemTime::UNIX_EPOCH) {
            Ok(after) => i64::try_from(after.as_secs()).ok()?,
            Err(before) => -i64::try_from(before.duration().as_secs()).ok()?,
        };
        Self::from_timestamp(seconds, zone)
    }

    /// The moment on a system's clock; `None` where that does not reach so far.
    #[must_use]
    pub fn to_system_time(self) -> Option<SystemTime> {
        let seconds = self.timestamp();
        let distance = Duration::from_secs(seconds.unsigned_abs());
        match seconds < 0 {
            true => SystemTime::UNIX_EPOCH.checked_sub(distance),
            false => SystemTime::UNIX_EPOCH.checked_add(distance),
        }
    }

    /// Seconds since 1970-01-01 00:00 UTC.
    #[must_use]
    pub fn timestamp(self) -> i64 {
        let (hour, minute, second) = self.time();
        let time = i64::from(hour) * 3600 + i64::from(minute) * 60 + i64::from(second);
        self.date.days() * 86_400 + time - i64::from(self.zone) * 60
    }

    /// The day, in its own zone: what SEARCH compares (RFC 9051 §6.4.4).
    #[must_use]
    pub fn date(self) -> Date {
        self.date
    }

    /// Hour, minute, second.
    #[must_use]
    pub fn time(self) -> (u8, u8, u8) {
        (self.hour, self.minute, self.second)
    }

    /// Minutes east of Greenwich.
    #[must_use]
    pub fn zone(self) -> i16 {
        self.zone
    }

    /// As [`Self::parse`], if it is one.
    #[inline]
    fn quick(octets: &[u8]) -> Option<(Self, &[u8])> {
        let (b'"', text) = octets.split_first()? else {
            return None;
        };
        let (date, behind) = Date::quick(text.strip_prefix(b" ").unwrap_or(text))?;
        let (text, behind) = behind.split_first_chunk::<16>()?;
        let [
            b' ',
            h1,
            h2,
            b':',
            m1,
            m2,
            b':',
            s1,
            s2,
            b' ',
            sign,
            z1,
            z2,
            z3,
            z4,
            b'"',
        ] = text
        else {
            return None;
        };
        let time = (pair(*h1, *h2)?, pair(*m1, *m2)?, pair(*s1, *s2)?);
        let (hours, minutes) = (pair(*z1, *z2)?, pair(*z3, *z4)?);
        let zone = i16::from(hours) * 60 + i16::from(minutes);
        let zone = match sign {
            b'+' => zone,
            b'-' => -zone,
            _ => return None,
        };
        let at = Self::new(date, time, zone).ok().filter(|_| minutes <= 59)?;
        Some((at, behind))
    }

    pub(crate) fn parse(c: &mut Cursor<'_>) -> Parsed<Self> {
        if let Some((date, behind)) = Self::quick(c.rest()) {
            c.leave(behind);
            return Ok(date);
        }
        let at = c.at();
        c.expect(b'"', "a date-time")?;
        let date = Date::parse_text(c, true)?;
        c.space()?;
        let hour = two_digits(c)?;
        c.expect(b':', "\":\"")?;
        let minute = two_digits(c)?;
        c.expect(b':', "\":\"")?;
        let second = two_digits(c)?;
        c.space()?;
        let sign = match c.peek() {
            Some(b'+') => 1,
            Some(b'-') => -1,
            _ => return c.expected("a zone"),
        };
        c.set_at(c.at() + 1);
        let (hours, minutes) = (two_digits(c)?, two_digits(c)?);
        c.expect(b'"', "a closing quote")?;
        let zone = sign * (i16::from(hours) * 60 + i16::from(minutes));
        if minutes > 59 {
            return Err(Cursor::error_at(ParseErrorKind::Date, at));
        }
        Self::new(date, (hour, minute, second), zone)
            .map_err(|_| Cursor::error_at(ParseErrorKind::Date, at))
    }

    pub(crate) fn encode(self, w: &mut Writer<'_>) {
        w.byte(b'"');
        match self.date.day {
            day @ ..10 => {
                w.space();
                w.number(day);
            }
            day => two(w, day),
        }
        self.date.encode_month(w);
        for (before, part) in [(b' ', self.hour), (b':', self.minute), (b':', self.second)] {
            w.byte(before);
            two(w, part);
        }
        w.raw(if self.zone < 0 { b" -" } else { b" +" });
        let zone = self.zone.unsigned_abs();
        two(w, zone / 60);
        two(w, zone % 60);
        w.byte(b'"');
    }
}

impl fmt::Display for DateTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (date, zone) = (self.date, self.zone.unsigned_abs());
        let sign = if self.zone < 0 { '-' } else { '+' };
        write!(
            f,
            "{:2}-{}-{:04} {:02}:{:02}:{:02} {sign}{:02}{:02}",
            date.day,
            date.month_name(),
            date.year,
            self.hour,
            self.minute,
            self.second,
            zone / 60,
            zone % 60
        )
    }
}

impl fmt::Debug for DateTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The last two digits.
fn two(w: &mut Writer<'_>, value: impl Into<u16>) {
    let value = value.into();
    for digit in [value / 10 % 10, value % 10] {
        w.byte(b'0' | (digit % 10) as u8);
    }
}

fn two_digits(c: &mut Cursor<'_>) -> Parsed<u8> {
    match (c.peek(), c.peek_at(1)) {
        (Some(tens @ b'0'..=b'9'), Some(ones @ b'0'..=b'9')) => {
            c.set_at(c.at() + 2);
            Ok((tens - b'0') * 10 + ones - b'0')
        }
        _ => c.expected("two digits"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn date_time_as_written() {
        let text = "\"17-Jul-1996 02:44:25 -0700\"";
        let parsed = DateTime::parse(&mut Cursor::new(text.as_bytes())).unwrap();
        assert_eq!(parsed.timestamp(), 837_596_665);
        assert_eq!(parsed.to_string(), "17-Jul-1996 02:44:25 -0700");
        assert_eq!(DateTime::from_timestamp(837_596_665, -420), Some(parsed));
    }

    #[test]
    fn days_there_and_back() {
        for days in (-719_000..2_900_000).step_by(997) {
            assert_eq!(Date::from_days(days).map(Date::days), Some(days));
        }
        assert_eq!(Date::new(1970, 1, 1).unwrap().days(), 0);
        assert_eq!(Date::new(2000, 2, 29).unwrap().days(), 11_016);
    }

    #[test]
    fn no_such_date() {
        for text in [
            "29-Feb-2023",
            "0-Jan-2020",
            "32-Jan-2020",
            "1-Foo-2020",
            "1-Jan-20",
            "001-Jan-2020",
        ] {
            assert!(
                Date::parse(&mut Cursor::new(text.as_bytes())).is_err(),
                "{text}"
            );
        }
    }
}
