//! Who to log in as at other hosts: Postfix's `smtp_sasl_password_maps`.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use proto_core::Secret;
use proto_core::sasl::Credentials;
use thiserror::Error;

use crate::route::NextHop;

/// Files are read whole; a wrong path could name anything.
const MAX_FILE_LENGTH: u64 = 1 << 20;

/// Names and passwords for other hosts.
#[derive(Debug, Clone, Default)]
pub struct Logins(HashMap<String, Credentials>);

/// Why a file of logins is of no use.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum LoginsError {
    /// It could not be read.
    #[error("{path}: {error}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// A line is not as it must be.
    #[error("{path}:{line}: expected a destination, then user:password")]
    Line {
        /// The file.
        path: PathBuf,
        /// 1-based.
        line: usize,
    },
}

impl Logins {
    /// Reads files of lines `[smtp.example.org]:587 user:password`: the
    /// destination as `relayhost` has it, then the login. Of several lines
    /// for a destination the first counts. `#` begins a comment.
    ///
    /// # Errors
    /// [`LoginsError`]; a password is in none of them.
    pub fn read<'a>(files: impl IntoIterator<Item = &'a Path>) -> Result<Self, LoginsError> {
        let mut logins = Self::default();
        for path in files {
            let read = || {
                if fs::metadata(path)?.len() > MAX_FILE_LENGTH {
                    return Err(io::Error::other("too long for a file of logins"));
                }
                fs::read_to_string(path)
            };
            let text = read().map_err(|error| LoginsError::Read {
                path: path.to_owned(),
                error,
            })?;
            logins.add(&text).map_err(|line| LoginsError::Line {
                path: path.to_owned(),
                line,
            })?;
        }
        Ok(logins)
    }

    /// The number of the line that is wrong, if one is.
    fn add(&mut self, text: &str) -> Result<(), usize> {
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let words = line.split_once(char::is_whitespace);
            let login = words.and_then(|(destination, login)| {
                let (user, password) = login.trim_start().split_once(':')?;
                let whole = !user.is_empty() && !password.is_empty();
                whole.then_some((destination, user, password))
            });
            let Some((destination, user, password)) = login else {
                return Err(index + 1);
            };
            self.0
                .entry(destination.to_ascii_lowercase())
                .or_insert_with(|| Credentials {
                    authorization_id: None,
                    authentication_id: user.to_owned(),
                    password: Secret::new(password),
                });
        }
        Ok(())
    }

    /// The login for a destination: as it is written in the configuration,
    /// then by its host alone.
    pub(super) fn of(&self, destination: &NextHop) -> Option<&Credentials> {
        let host = match destination {
            NextHop::Domain(domain) => domain,
            NextHop::RelayHost { host, .. } => host,
        };
        let mut names = vec![destination.to_string(), host.clone()];
        if let NextHop::RelayHost {
            host, port: 25, mx, ..
        } = destination
        {
            names.push(if *mx {
                host.clone()
            } else {
                format!("[{host}]")
            });
        }
        names
            .iter()
            .find_map(|name| self.0.get(&name.to_ascii_lowercase()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn relay(host: &str, port: u16, mx: bool) -> NextHop {
        let host = host.into();
        NextHop::RelayHost { host, port, mx }
    }

    #[test]
    fn the_destination_names_the_login() {
        let mut logins = Logins::default();
        let text = "# ours\n\n[smtp.example.org]:587  ann:one:two three\n\
                    \tMail.example.com bob:x \n[smtp.example.org]:587 late:late\n\
                    [bare.example] carol:y\n";
        assert_eq!(logins.add(text), Ok(()));
        let user = |hop: NextHop| {
            let login = logins.of(&hop)?;
            let password = String::from_utf8_lossy(login.password.expose()).into_owned();
            Some((login.authentication_id.clone(), password))
        };
        let pair = |user: &str, password: &str| Some((user.into(), password.into()));
        assert_eq!(
            user(relay("smtp.example.org", 587, false)),
            pair("ann", "one:two three")
        );
        assert_eq!(user(relay("smtp.example.org", 25, false)), None);
        assert_eq!(user(relay("smtp.example.org", 587, true)), None);
        assert_eq!(
            user(relay("mail.example.com", 2525, true)),
            pair("bob", "x")
        );
        assert_eq!(user(relay("bare.example", 25, false)), pair("carol", "y"));
        assert_eq!(
            user(NextHop::Domain("mail.EXAMPLE.com".into())),
            pair("bob", "x")
        );
    }

    #[test]
    fn lines_that_are_none() {
        for bad in ["host", "host user", "host :password", "host user:"] {
            assert_eq!(
                Logins::default().add(&format!("# x\n{bad}\n")),
                Err(2),
                "{bad}"
            );
        }
    }
}
