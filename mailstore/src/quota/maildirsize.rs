//! The `maildirsize` file of Maildir++: limits, then a line for each change since it was counted.
//!
//! ```text
//! 1048576S,100C
//! 52431 7
//! 1060 1
//! -2048 -1
//! ```

use std::path::Path;
use std::time::{Duration, SystemTime};

use super::{QuotaLimits, QuotaUsed};
use crate::durable::{Durable, read_full_at};
use crate::error::{Error, IoContext};

pub(super) const NAME: &str = "maildirsize";
/// Octets in which the limits are, however long the file is.
const LINE: usize = 1024;
/// A file of so many octets is counted anew.
const LIMIT: u64 = 5120;
/// So is one of this age, when it says that the account is full.
const STALE: Duration = Duration::from_secs(15 * 60);

/// The file as it was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct MaildirSize {
    pub(super) limits: QuotaLimits,
    pub(super) used: QuotaUsed,
    /// Whether the sums are of one line, so that they were counted rather than added up.
    counted: bool,
    modified: SystemTime,
}

impl MaildirSize {
    /// `None` when there is none, or when it must be counted anew: it is too long, broken, or below zero.
    pub(super) fn read(durable: &Durable, root: &Path) -> Result<Option<Self>, Error> {
        let (content, stat) = match durable.read_maybe(&root.join(NAME), LIMIT - 1) {
            Ok(Some(read)) => read,
            Ok(None) => return Ok(None),
            Err(error) if error.is_no_file_of_ours() => return Ok(None),
            Err(error) => return Err(error),
        };
        Ok(parse(&content).map(|(limits, used, lines)| Self {
            limits,
            used,
            counted: lines == 1,
            modified: stat.modified,
        }))
    }

    /// Whether "full" may be believed: others add to the file without looking whether another added the same.
    pub(super) fn is_sure(&self, now: SystemTime) -> bool {
        // Another may have counted a moment after `now`.
        let age = now.duration_since(self.modified);
        self.counted && age.unwrap_or_else(|later| later.duration()) < STALE
    }
}

/// The limits of a file that may be too long to be believed otherwise.
pub(super) fn limits(durable: &Durable, root: &Path) -> Result<Option<QuotaLimits>, Error> {
    let path = root.join(NAME);
    let file = match durable.open_own(&path) {
        Err(error) if error.is_not_found() || error.is_no_file_of_ours() => return Ok(None),
        other => other?,
    };
    let mut content = vec![0; LINE];
    let read = read_full_at(&*file, &mut content, 0).at("read", &path)?;
    content.truncate(read);
    let first = content.split(|&octet| octet == b'\n').next();
    Ok(first
        .and_then(|line| std::str::from_utf8(line).ok())
        .and_then(parse_limits))
}

fn parse_limits(line: &str) -> Option<QuotaLimits> {
    let mut limits = QuotaLimits::default();
    for part in line
        .split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty())
    {
        let number = part.get(..part.len().checked_sub(1)?)?;
        let number: u64 = number.parse().ok()?;
        // Nought is no limit.
        let number = (number > 0).then_some(number);
        match part.as_bytes().last()? {
            b'S' => limits.storage = number,
            b'C' => limits.messages = number,
            _ => return None,
        }
    }
    Some(limits)
}

fn parse(content: &[u8]) -> Option<(QuotaLimits, QuotaUsed, usize)> {
    let text = std::str::from_utf8(content).ok()?;
    let mut lines = text.strip_suffix('\n')?.split('\n');
    let limits = parse_limits(lines.next()?)?;
    let (mut storage, mut messages, mut count) = (0i64, 0i64, 0);
    for line in lines {
        let mut words = line.split_ascii_whitespace();
        storage = storage.checked_add(words.next()?.parse().ok()?)?;
        messages = messages.checked_add(words.next()?.parse().ok()?)?;
        count += 1;
    }
    if count == 0 {
        return None;
    }
    let used = QuotaUsed {
        storage: u64::try_from(storage).ok()?,
        messages: u64::try_from(messages).ok()?,
    };
    Some((limits, used, count))
}

/// The file anew.
pub(super) fn write(limits: QuotaLimits, used: QuotaUsed) -> String {
    let mut out = String::new();
    if let Some(storage) = limits.storage {
        out.push_str(&format!("{storage}S"));
    }
    if let Some(messages) = limits.messages {
        if !out.is_empty() {
            out.push(',');
        }
        out.push_str(&format!("{messages}C"));
    }
    out.push('\n');
    out.push_str(&format!("{} {}\n", used.storage, used.messages));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_added_up() {
        let limits = QuotaLimits {
            storage: Some(1_048_576),
            messages: Some(100),
        };
        let used = QuotaUsed {
            storage: 1070,
            messages: 2,
        };
        assert_eq!(
            parse(b"1048576S,100C\n1000 1\n         100           2\n-30 -1\n"),
            Some((limits, used, 3))
        );
        assert_eq!(
            parse(write(limits, used).as_bytes()),
            Some((limits, used, 1))
        );
        let no_limits = QuotaLimits::default();
        assert_eq!(write(no_limits, used), "\n1070 2\n");
        assert_eq!(parse(b"\n1070 2\n"), Some((no_limits, used, 1)));
        assert_eq!(parse(b"0S\n0 0\n").map(|file| file.0), Some(no_limits));
        for bad in [
            &b""[..],
            b"100S",
            b"100S\n5 1",
            b"100S\n-5 1\n",
            b"100S\n",
            b"100S\n5\n",
            b"100X\n",
            b"100S\n9223372036854775807 1\n1 1\n",
        ] {
            assert_eq!(parse(bad), None, "{:?}", String::from_utf8_lossy(bad));
        }
    }
}
