//! What is wrong with a configuration file.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::KEYS;

/// Why there is no configuration.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{path}: {error}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// The file does not say what a configuration can say; a line for each
    /// problem.
    #[error("{}", lines(.path, .problems))]
    Invalid {
        /// The file.
        path: PathBuf,
        /// At least one.
        problems: Vec<Problem>,
    },
}

impl ConfigError {
    pub(super) fn invalid(path: &Path, mut problems: Vec<Problem>) -> Self {
        problems.sort_by_key(|problem| (problem.line, problem.column));
        Self::Invalid {
            path: path.to_owned(),
            problems,
        }
    }
}

fn lines(path: &Path, problems: &[Problem]) -> String {
    let lines: Vec<String> = problems
        .iter()
        .map(|problem| format!("{}:{problem}", path.display()))
        .collect();
    lines.join("\n")
}

/// One thing that is wrong in a configuration file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The line, from 1.
    pub line: usize,
    /// The character in the line, from 1.
    pub column: usize,
    /// What was expected, and what was found.
    pub message: String,
}

impl Problem {
    pub(super) fn new(text: &str, at: usize, message: String) -> Self {
        let before = text.get(..at).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |end| end + 1);
        Self {
            line: before.matches('\n').count() + 1,
            column: before.get(line_start..).unwrap_or("").chars().count() + 1,
            message,
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.line, self.column, self.message)
    }
}

/// Keys of Postfix and Dovecot that are common and go by another name here.
const ELSEWHERE: [(&str, &str); 18] = [
    ("inet_interfaces", "listen_smtp and the other listen_ keys"),
    ("inet_protocols", "listen_smtp and the other listen_ keys"),
    ("listen", "listen_imap and the other listen_ keys"),
    ("protocols", "the listen_ keys; an empty list turns one off"),
    ("mail_path", "mail_location"),
    ("mail_driver", "mail_location"),
    ("mail_spool_directory", "mail_location"),
    ("alias_database", "alias_maps"),
    ("virtual_maps", "virtual_alias_maps"),
    ("virtual_mailbox_maps", "users_file"),
    ("local_recipient_maps", "users_file"),
    ("passdb", "users_file"),
    ("userdb", "users_file"),
    ("auth_allow_cleartext", "disable_plaintext_auth"),
    ("ssl_server_cert_file", "ssl_cert"),
    ("ssl_server_key_file", "ssl_key"),
    ("smtpd_use_tls", "smtpd_tls_security_level"),
    ("smtp_use_tls", "smtp_tls_security_level"),
];

/// The message for a key that does not exist, with the one most alike.
pub(crate) fn unknown_key(name: &str) -> String {
    let known = ELSEWHERE
        .iter()
        .find(|(theirs, _)| *theirs == name)
        .map(|(_, ours)| format!("; here that is {ours}"));
    let alike = || {
        KEYS.iter()
            .map(|key| (distance(name, key.name), key.name))
            .min()
            .filter(|(distance, _)| *distance <= name.len().max(3) / 3)
            .map(|(_, key)| format!("; did you mean {key}?"))
    };
    let hint = known.or_else(alike).unwrap_or_default();
    format!("unknown key {name}{hint}")
}

/// How many letters to add, take away, change or swap with their neighbour
/// make `a` into `b`. Linear in both, and keys longer than all others are not
/// compared at all.
fn distance(a: &str, b: &str) -> usize {
    if a.len() > 64 {
        return usize::MAX;
    }
    let b: Vec<char> = b.chars().collect();
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    let mut previous = None;
    for (row, letter) in a.chars().enumerate() {
        let mut current = vec![row + 1];
        for (column, other) in b.iter().enumerate() {
            let at = |cells: &[usize], index: usize| cells.get(index).copied().unwrap_or(0);
            let change = at(&last, column) + usize::from(letter != *other);
            let mut best = change
                .min(at(&last, column + 1) + 1)
                .min(at(&current, column) + 1);
            let swapped =
                column > 0 && previous == Some(*other) && b.get(column - 1) == Some(&letter);
            if swapped {
                best = best.min(at(&before_last, column - 1) + 1);
            }
            current.push(best);
        }
        before_last = std::mem::replace(&mut last, current);
        previous = Some(letter);
    }
    last.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        for (a, b, expected) in [
            ("", "", 0),
            ("", "abc", 3),
            ("abc", "abc", 0),
            ("abc", "acb", 1),
            ("kitten", "sitting", 3),
            ("abcd", "badc", 2),
        ] {
            assert_eq!(distance(a, b), expected, "{a} {b}");
            assert_eq!(distance(b, a), expected, "{b} {a}");
        }
    }

    #[test]
    fn hints() {
        assert_eq!(
            unknown_key("myhostnmae"),
            "unknown key myhostnmae; did you mean myhostname?"
        );
        assert_eq!(unknown_key("zzz"), "unknown key zzz");
        assert!(unknown_key("inet_interfaces").contains("listen_smtp"));
        assert_eq!(unknown_key(&"m".repeat(1000)).len(), 1012);
    }

    #[test]
    fn positions() {
        let at = |at| {
            let problem = Problem::new("a\nüb\n", at, String::new());
            (problem.line, problem.column)
        };
        assert_eq!(at(0), (1, 1));
        assert_eq!(at(2), (2, 1));
        assert_eq!(at(4), (2, 2));
        assert_eq!(at(6), (3, 1));
        assert_eq!(at(99), (3, 1));
    }
}
