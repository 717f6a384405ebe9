//! Dates and their parts (RFC 5260 §4).

use jiff::tz::{Offset, TimeZone};
use jiff::{Timestamp, Zoned};

use super::{Evaluation, Fault};
use crate::program::{DatePart, Zone};

/// The date in a header field: all of it, or what follows its last semicolon.
pub(super) fn parse(raw: &[u8]) -> Option<mime::Date> {
    let tail = memchr::memrchr(b';', raw).and_then(|at| raw.get(at + 1..));
    tail.and_then(mime::Date::parse)
        .or_else(|| mime::Date::parse(raw))
}

/// Modified Julian Day of the Unix epoch.
const EPOCH: i64 = 40_587;

impl Evaluation<'_> {
    /// A moment in the zone that the test asks for.
    pub(super) fn in_zone(
        &self,
        moment: Timestamp,
        zone: &Zone,
        original: Offset,
    ) -> Result<Zoned, Fault> {
        let minutes = match zone {
            Zone::Local => return Ok(moment.to_zoned(self.config.now.time_zone().clone())),
            Zone::Original => return Ok(moment.to_zoned(TimeZone::fixed(original))),
            Zone::Offset(minutes) => *minutes,
            Zone::Dynamic(text) => {
                let text = self.expand(text);
                crate::check::argument::parse_zone(&text).ok_or_else(|| {
                    Fault::Fail(format!(
                        "`{}` is no time zone offset",
                        String::from_utf8_lossy(&text)
                    ))
                })?
            }
        };
        let offset = Offset::from_seconds(minutes * 60).unwrap_or(Offset::UTC);
        Ok(moment.to_zoned(TimeZone::fixed(offset)))
    }
}

pub(super) fn part(date: &Zoned, part: DatePart) -> String {
    let offset = date.offset().seconds() / 60;
    let (hours, minutes) = (offset.abs() / 60, offset.abs() % 60);
    let sign = if offset < 0 { '-' } else { '+' };
    let day = || format!("{:04}-{:02}-{:02}", date.year(), date.month(), date.day());
    let time = || {
        format!(
            "{:02}:{:02}:{:02}",
            date.hour(),
            date.minute(),
            date.second()
        )
    };
    match part {
        DatePart::Year => format!("{:04}", date.year()),
        DatePart::Month => format!("{:02}", date.month()),
        DatePart::Day => format!("{:02}", date.day()),
        DatePart::Date => day(),
        DatePart::Julian => {
            let civil = date.date();
            let seconds = civil
                .to_zoned(TimeZone::UTC)
                .map_or(0, |midnight| midnight.timestamp().as_second());
            (seconds.div_euclid(86_400) + EPOCH).to_string()
        }
        DatePart::Hour => format!("{:02}", date.hour()),
        DatePart::Minute => format!("{:02}", date.minute()),
        DatePart::Second => format!("{:02}", date.second()),
        DatePart::Time => time(),
        DatePart::Iso8601 if offset == 0 => format!("{}T{}Z", day(), time()),
        DatePart::Iso8601 => format!("{}T{}{sign}{hours:02}:{minutes:02}", day(), time()),
        DatePart::Std11 => mime::Date::new(date.timestamp(), date.offset()).to_string(),
        DatePart::Zone => format!("{sign}{hours:02}{minutes:02}"),
        DatePart::Weekday => date.weekday().to_sunday_zero_offset().to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_a_date() {
        let date = parse(b" from x by y; Tue, 1 Apr 2003 23:30:09 -0330").unwrap();
        let date = date.timestamp().to_zoned(TimeZone::fixed(date.offset()));
        let table = [
            (DatePart::Year, "2003"),
            (DatePart::Month, "04"),
            (DatePart::Day, "01"),
            (DatePart::Date, "2003-04-01"),
            (DatePart::Julian, "52730"),
            (DatePart::Hour, "23"),
            (DatePart::Minute, "30"),
            (DatePart::Second, "09"),
            (DatePart::Time, "23:30:09"),
            (DatePart::Iso8601, "2003-04-01T23:30:09-03:30"),
            (DatePart::Std11, "Tue, 1 Apr 2003 23:30:09 -0330"),
            (DatePart::Zone, "-0330"),
            (DatePart::Weekday, "2"),
        ];
        for (which, text) in table {
            assert_eq!(part(&date, which), text, "{which:?}");
        }
        let utc = date.timestamp().to_zoned(TimeZone::UTC);
        assert_eq!(part(&utc, DatePart::Iso8601), "2003-04-02T03:00:09Z");
        assert_eq!(part(&utc, DatePart::Zone), "+0000");
    }
}
