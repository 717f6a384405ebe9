//! Scores of spam and virus scanners that write them into the header (RFC 5235), configured as in Pigeonhole.

use crate::Score;
use crate::matching::{Comparator, Ranges, Regex};

/// How a scanner's result is found in a message: Pigeonhole's `sieve_spamtest_*` and `sieve_virustest_*` settings.
///
/// ```
/// let settings = [
///     ("status_type", "score"),
///     ("status_header", "X-Spam-Status: score=(-?[[:digit:]]+\\.[[:digit:]]+)"),
///     ("max_value", "5.0"),
/// ];
/// let find = |name: &str| settings.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
/// let scanner = sieve::Scanner::from_settings(false, find).unwrap().unwrap();
/// let score = scanner.score(b"X-Spam-Status: No, score=2.5 required=5\r\n\r\n").unwrap();
/// assert_eq!((score.value, score.maximum), (500, 1000));
/// assert_eq!(scanner.score(b"Subject: x\r\n\r\n"), None);
/// ```
#[derive(Clone, Debug)]
pub struct Scanner {
    status: Source,
    kind: Kind,
}

#[derive(Clone, Debug)]
enum Kind {
    /// A number against a maximum.
    Score(Maximum),
    /// As many characters as the score has points.
    Length(Maximum),
    /// A word for each value that the test can have; the first means that the message was not tested.
    Words(Vec<Option<String>>),
}

#[derive(Clone, Debug)]
enum Maximum {
    Value(f64),
    Header(Source),
}

/// A field, and what of its value is looked at.
#[derive(Clone, Debug)]
struct Source {
    field: String,
    regex: Option<Box<Regex>>,
}

impl Source {
    fn parse(text: &str) -> Result<Self, String> {
        let (field, regex) = match text.split_once(':') {
            Some((field, regex)) => (field.trim(), Some(regex.trim_start())),
            None => (text.trim(), None),
        };
        if !crate::eval::edit::is_field_name(field.as_bytes()) {
            return Err(format!("`{field}` can be no header field's name"));
        }
        let compile = |regex: &str| Regex::new(Comparator::Octet, regex.as_bytes(), 1 << 20);
        Ok(Self {
            field: field.to_owned(),
            regex: match regex {
                Some(regex) => Some(Box::new(compile(regex)?)),
                None => None,
            },
        })
    }

    /// The first group of the first field that matches, or all of the match.
    fn find(&self, message: &[u8]) -> Option<String> {
        mime::Headers::new(message)
            .find_all(&self.field)
            .find_map(|field| {
                let text = field.text();
                let Some(regex) = &self.regex else {
                    return Some(text.trim().to_owned());
                };
                let mut ranges = Ranges::new();
                if !regex.matches(text.as_bytes(), Some(&mut ranges)) {
                    return None;
                }
                let &(start, end) = ranges.get(1).or(ranges.first())?;
                text.get(start..end).map(str::to_owned)
            })
    }
}

impl Scanner {
    /// Reads the settings by their names behind the prefix: `status_type`, `status_header`, `max_value`, `max_header`,
    /// `text_value0` and so on. `None` if there is no `status_header`: nothing scans.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn from_settings(
        virus: bool,
        setting: impl Fn(&str) -> Option<String>,
    ) -> Result<Option<Self>, String> {
        let Some(header) = setting("status_header").filter(|header| !header.is_empty()) else {
            return Ok(None);
        };
        let status = Source::parse(&header).map_err(|fault| format!("status_header: {fault}"))?;
        let maximum = || {
            if let Some(header) = setting("max_header").filter(|header| !header.is_empty()) {
                let source =
                    Source::parse(&header).map_err(|fault| format!("max_header: {fault}"))?;
                return Ok(Maximum::Header(source));
            }
            let text = setting("max_value").ok_or("max_value or max_header is missing")?;
            match text.trim().parse::<f64>() {
                Ok(value) if value > 0.0 => Ok(Maximum::Value(value)),
                _ => Err(format!("max_value: `{text}` is no number above zero")),
            }
        };
        let kind = match setting("status_type").as_deref().unwrap_or("score") {
            "score" => Kind::Score(maximum()?),
            "strlen" => Kind::Length(maximum()?),
            "text" => {
                let last = if virus { 5 } else { 10 };
                let words: Vec<Option<String>> = (0..=last)
                    .map(|value| setting(&format!("text_value{value}")))
                    .collect();
                if words.iter().all(Option::is_none) {
                    return Err("text_value0 and those behind it are missing".to_owned());
                }
                Kind::Words(words)
            }
            other => {
                return Err(format!(
                    "status_type: `{other}` is none of score, strlen, text"
                ));
            }
        };
        Ok(Some(Self { status, kind }))
    }

    /// The score; `None` if the message was not scanned.
    #[must_use]
    pub fn score(&self, message: &[u8]) -> Option<Score> {
        let text = self.status.find(message)?;
        let (points, maximum) = match &self.kind {
            Kind::Words(words) => {
                let at = words.iter().position(|word| word.as_ref() == Some(&text))?;
                let value = u32::try_from(at.checked_sub(1)?).ok()?;
                let maximum = u32::try_from(words.len().saturating_sub(2)).ok()?;
                return Some(Score { value, maximum });
            }
            Kind::Score(maximum) => (leading_number(&text)?, maximum),
            Kind::Length(maximum) => {
                let length = u32::try_from(text.trim().chars().count()).unwrap_or(u32::MAX);
                (f64::from(length), maximum)
            }
        };
        let maximum = match maximum {
            Maximum::Value(value) => *value,
            Maximum::Header(source) => {
                leading_number(&source.find(message)?).filter(|value| *value > 0.0)?
            }
        };
        Some(Score {
            value: thousandths(points / maximum),
            maximum: 1000,
        })
    }
}

/// A decimal number, without what stands behind it.
fn leading_number(text: &str) -> Option<f64> {
    let text = text.trim();
    let end = text
        .bytes()
        .enumerate()
        .position(|(at, c)| {
            !(c.is_ascii_digit() || c == b'.' || (at == 0 && (c == b'-' || c == b'+')))
        })
        .unwrap_or(text.len());
    text.get(..end)?
        .parse()
        .ok()
        .filter(|value: &f64| value.is_finite())
}

/// From 0 to 1000, the nearest; by halving, since there is no lossless conversion.
fn thousandths(ratio: f64) -> u32 {
    let (mut low, mut high) = (0_u32, 1000_u32);
    while low < high {
        let middle = (low + high).div_ceil(2);
        if f64::from(middle) <= ratio * 1000.0 + 0.5 {
            low = middle;
        } else {
            high = middle - 1;
        }
    }
    low
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scanner(virus: bool, settings: &[(&str, &str)]) -> Result<Option<Scanner>, String> {
        Scanner::from_settings(virus, |name| {
            let found = settings.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn stars_are_counted() {
        let scanner = scanner(
            false,
            &[
                ("status_type", "strlen"),
                ("status_header", "X-Spam-Bar"),
                ("max_value", "5"),
            ],
        );
        let scanner = scanner.unwrap().unwrap();
        let score = |text: &str| scanner.score(format!("X-Spam-Bar: {text}\r\n\r\n").as_bytes());
        assert_eq!(score("***").unwrap().value, 600);
        assert_eq!(score("**********").unwrap().value, 1000);
        assert_eq!(score("").unwrap().value, 0);
    }

    #[test]
    fn words_and_a_maximum_in_the_header() {
        let settings = [
            ("status_type", "text"),
            ("status_header", "X-Virus-Scan: Found to be (.+)\\."),
            ("text_value1", "clean"),
            ("text_value5", "infected"),
        ];
        let words = scanner(true, &settings).unwrap().unwrap();
        let score = |text: &str| words.score(format!("X-Virus-Scan: {text}\r\n\r\n").as_bytes());
        assert_eq!(
            score("Found to be infected.").unwrap(),
            Score {
                value: 4,
                maximum: 4
            }
        );
        assert_eq!(
            score("Found to be clean.").unwrap(),
            Score {
                value: 0,
                maximum: 4
            }
        );
        assert_eq!(score("Found to be odd."), None);
        let settings = [
            ("status_header", "X-Spam: score=(-?[0-9.]+)"),
            ("max_header", "X-Spam: required=([0-9.]+)"),
        ];
        let header = scanner(false, &settings).unwrap().unwrap();
        let score = |text: &str| header.score(format!("X-Spam: {text}\r\n\r\n").as_bytes());
        assert_eq!(score("score=-1.0 required=5").unwrap().value, 0);
        assert_eq!(score("score=7 required=5").unwrap().value, 1000);
        assert_eq!(score("score=1 required=0"), None);
        assert_eq!(score("score=1"), None);
    }

    #[test]
    fn settings_that_make_no_sense() {
        for settings in [
            &[("status_header", "X Y")][..],
            &[("status_header", "X")],
            &[("status_header", "X: ("), ("max_value", "1")],
            &[("status_header", "X"), ("max_value", "0")],
            &[
                ("status_header", "X"),
                ("max_value", "1"),
                ("status_type", "odd"),
            ],
            &[("status_header", "X"), ("status_type", "text")],
        ] {
            assert!(scanner(false, settings).is_err(), "{settings:?}");
        }
        assert!(scanner(false, &[]).unwrap().is_none());
    }
}
