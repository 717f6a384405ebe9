//! Quota: how much an account may hold, by rules in Dovecot's words, and what is used of it.

mod ledger;
mod maildirsize;

use std::fmt;
use std::str::FromStr;

pub(crate) use ledger::{Admission, Ledger};

/// What a quota counts (RFC 9208 §5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum QuotaResource {
    /// Octets on the disk. RFC 9208 tells them in units of 1,024.
    Storage,
    /// Messages.
    Message,
}

impl fmt::Display for QuotaResource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Storage => "octets",
            Self::Message => "messages",
        })
    }
}

/// How much there may be; `None` is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QuotaLimits {
    /// Octets on the disk.
    pub storage: Option<u64>,
    /// Messages.
    pub messages: Option<u64>,
}

/// How much there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QuotaUsed {
    /// Octets on the disk.
    pub storage: u64,
    /// Messages.
    pub messages: u64,
}

/// A limit, or its distance from the account's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum QuotaAmount {
    /// So much.
    Is(u64),
    /// So much more than the account's limit.
    More(u64),
    /// So much less than the account's limit.
    Less(u64),
    /// So many hundredths of the account's limit.
    Percent(u64),
    /// So many hundredths of the account's limit more than it.
    MorePercent(u64),
}

impl QuotaAmount {
    fn of(self, limit: Option<u64>) -> Option<u64> {
        let part = |percent: u64| {
            let whole = u128::from(limit?) * u128::from(percent) / 100;
            Some(u64::try_from(whole).unwrap_or(u64::MAX))
        };
        match self {
            Self::Is(amount) => Some(amount),
            Self::More(amount) => Some(limit?.saturating_add(amount)),
            Self::Less(amount) => Some(limit?.saturating_sub(amount)),
            Self::Percent(percent) => part(percent),
            Self::MorePercent(percent) => Some(limit?.saturating_add(part(percent)?)),
        }
    }
}

/// One rule, as Dovecot's `quota_rule`: `*:storage=1G:messages=10000`, `Trash:storage=+100M`, `Junk:ignore`.
///
/// The rule for `*` is the account's own limit. Another one is for the mailboxes that its pattern matches (`*` any
/// characters, `?` one): what it says of storage or messages is the limit while a message goes into them, and the
/// account's limit stays for what it does not say. The first rule that matches counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuotaRule {
    /// Pattern of mailbox names.
    pub mailbox: String,
    /// Whether what these mailboxes hold is counted at all.
    pub ignore: bool,
    /// Octets on the disk.
    pub storage: Option<QuotaAmount>,
    /// Messages.
    pub messages: Option<QuotaAmount>,
}

/// Why a text is no [`QuotaRule`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("quota rule: {reason} at octet {at}")]
pub struct ParseQuotaRuleError {
    /// Where in the text.
    pub at: usize,
    /// What is wrong.
    pub reason: &'static str,
}

const UNKNOWN: &str = "expected storage=, bytes=, messages= or ignore";

impl FromStr for QuotaRule {
    type Err = ParseQuotaRuleError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = |at, reason| Err(ParseQuotaRuleError { at, reason });
        let Some((mailbox, _)) = text.split_once(':').filter(|(name, _)| !name.is_empty()) else {
            return error(0, "expected MAILBOX:LIMITS");
        };
        let mut rule = Self {
            mailbox: mailbox.to_owned(),
            ignore: false,
            storage: None,
            messages: None,
        };
        let mut at = mailbox.len() + 1;
        for part in text.get(at..).unwrap_or_default().split(':') {
            let amount = |units| match part.split_once('=') {
                Some((key, value)) => amount(value, units).ok_or(ParseQuotaRuleError {
                    at: at + key.len() + 1,
                    reason: "expected a number, or one behind + or -, or hundredths with %",
                }),
                None => Err(ParseQuotaRuleError {
                    at,
                    reason: UNKNOWN,
                }),
            };
            match part.split('=').next().unwrap_or_default() {
                "ignore" if part == "ignore" => rule.ignore = true,
                "storage" => rule.storage = Some(amount(1 << 10)?),
                "bytes" => rule.storage = Some(amount(1)?),
                "messages" => rule.messages = Some(amount(1)?),
                _ => return error(at, UNKNOWN),
            }
            at += part.len() + 1;
        }
        Ok(rule)
    }
}

impl fmt::Display for QuotaRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.mailbox)?;
        if self.ignore {
            f.write_str(":ignore")?;
        }
        for (key, amount) in [("bytes", self.storage), ("messages", self.messages)] {
            match amount {
                None => {}
                Some(QuotaAmount::Is(amount)) => write!(f, ":{key}={amount}")?,
                Some(QuotaAmount::More(amount)) => write!(f, ":{key}=+{amount}")?,
                Some(QuotaAmount::Less(amount)) => write!(f, ":{key}=-{amount}")?,
                Some(QuotaAmount::Percent(percent)) => write!(f, ":{key}={percent}%")?,
                Some(QuotaAmount::MorePercent(percent)) => write!(f, ":{key}=+{percent}%")?,
            }
        }
        Ok(())
    }
}

/// A number with a unit: `B`, `k`, `M`, `G`, `T`, or else `unit` octets.
fn amount(text: &str, unit: u64) -> Option<QuotaAmount> {
    let (sign, number) = match text.as_bytes().first()? {
        b'+' => ('+', text.get(1..)?),
        b'-' => ('-', text.get(1..)?),
        _ => ('=', text),
    };
    let digits = number.bytes().take_while(u8::is_ascii_digit).count();
    let (digits, suffix) = number.split_at_checked(digits)?;
    let count: u64 = digits.parse().ok()?;
    let unit = match suffix.to_ascii_lowercase().as_str() {
        "" => unit,
        "b" => 1,
        "k" | "kb" | "kib" => 1 << 10,
        "m" | "mb" | "mib" => 1 << 20,
        "g" | "gb" | "gib" => 1 << 30,
        "t" | "tb" | "tib" => 1 << 40,
        "%" => {
            return match sign {
                '=' => Some(QuotaAmount::Percent(count)),
                '+' => Some(QuotaAmount::MorePercent(count)),
                _ => None,
            };
        }
        _ => return None,
    };
    let amount = count.checked_mul(unit)?;
    Some(match sign {
        '+' => QuotaAmount::More(amount),
        '-' => QuotaAmount::Less(amount),
        _ => QuotaAmount::Is(amount),
    })
}

/// The account's own limits.
fn account_limits(rules: &[QuotaRule]) -> QuotaLimits {
    let rule = rules.iter().find(|rule| rule.mailbox == "*");
    QuotaLimits {
        storage: rule.and_then(|rule| rule.storage?.of(None)),
        messages: rule.and_then(|rule| rule.messages?.of(None)),
    }
}

/// The limits for what goes into a mailbox; `None` when it is not counted.
fn mailbox_limits(rules: &[QuotaRule], mailbox: &str, account: QuotaLimits) -> Option<QuotaLimits> {
    let Some(rule) = rules
        .iter()
        .find(|rule| rule.mailbox != "*" && matches(rule.mailbox.as_bytes(), mailbox.as_bytes()))
    else {
        return Some(account);
    };
    let limit = |amount: Option<QuotaAmount>, limit| match amount {
        Some(amount) => amount.of(limit),
        None => limit,
    };
    (!rule.ignore).then(|| QuotaLimits {
        storage: limit(rule.storage, account.storage),
        messages: limit(rule.messages, account.messages),
    })
}

/// `*` and `?` against a name, in time that is at most the product of both lengths.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    let (mut p, mut n) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while let Some(&octet) = name.get(n) {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p + 1, n));
                p += 1;
            }
            Some(&wanted) if wanted == b'?' || wanted == octet => {
                p += 1;
                n += 1;
            }
            _ => match &mut star {
                Some((behind, at)) => {
                    *at += 1;
                    (p, n) = (*behind, *at);
                }
                None => return false,
            },
        }
    }
    pattern.iter().skip(p).all(|&octet| octet == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(texts: &[&str]) -> Vec<QuotaRule> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn rules_as_dovecot_reads_them() {
        let rules = rules(&[
            "*:storage=1G:messages=1000",
            "Trash:storage=+100M",
            "Sent*:storage=+10%:messages=-10",
            "Junk:ignore",
            "Lists/?:bytes=77",
            "Half:storage=50%",
        ]);
        let account = account_limits(&rules);
        assert_eq!(
            (account.storage, account.messages),
            (Some(1 << 30), Some(1000))
        );
        let of = |name: &str| {
            mailbox_limits(&rules, name, account)
                .map(|limits| (limits.storage.unwrap(), limits.messages.unwrap()))
        };
        assert_eq!(of("INBOX"), Some((1 << 30, 1000)));
        assert_eq!(of("Trash"), Some(((1 << 30) + (100 << 20), 1000)));
        assert_eq!(of("Sent/2026"), Some(((1 << 30) + (1 << 30) / 10, 990)));
        assert_eq!(of("Junk"), None);
        assert_eq!(of("Lists/a"), Some((77, 1000)));
        assert_eq!(of("Lists/ab"), Some((1 << 30, 1000)));
        assert_eq!(of("Half"), Some((1 << 29, 1000)));
        for rule in &rules {
            assert_eq!(rule.to_string().parse().as_ref(), Ok(rule));
        }
        // Without a unit, storage is in KiB.
        assert_eq!(
            "*:storage=2".parse::<QuotaRule>().unwrap().storage,
            Some(QuotaAmount::Is(2048))
        );
    }

    #[test]
    fn errors_tell_the_place() {
        for (text, at) in [
            ("", 0),
            ("*", 0),
            (":storage=1", 0),
            ("*:", 2),
            ("*:storage=", 10),
            ("*:storage=x", 10),
            ("*:messages=1:storage=1Q", 21),
            ("*:storage=-5%", 10),
            ("*:storage=99999999999T", 10),
            ("*:ignore=1", 2),
        ] {
            assert_eq!(
                text.parse::<QuotaRule>().map_err(|error| error.at),
                Err(at),
                "{text}"
            );
        }
    }

    #[test]
    fn patterns() {
        for (pattern, name, wanted) in [
            ("*", "", true),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-b-b-d", false),
            ("?", "a", true),
            ("?", "", false),
            ("Trash", "Trash/x", false),
            ("Trash*", "Trash/x", true),
        ] {
            assert_eq!(
                matches(pattern.as_bytes(), name.as_bytes()),
                wanted,
                "{pattern} {name}"
            );
        }
    }
}
