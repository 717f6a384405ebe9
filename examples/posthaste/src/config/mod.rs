//! The configuration: one TOML file of flat keys, which carry the names of
//! Postfix and Dovecot where those have one.
//!
//! Every key has a default, so an empty file and a missing one are fine
//! configurations. [`KEYS`] is the one table that the reader, the commented
//! file of the first start, `posthaste config show` and
//! `docs/configuration.md` are all made from.
//!
//! ```
//! use posthaste::config::Config;
//!
//! let config = Config::parse(
//!     "message_size_limit = \"10M\"",
//!     "/srv/mail/posthaste.toml".as_ref(),
//! )?;
//! assert_eq!(config.message_size_limit, 10 << 20);
//! assert_eq!(config.data_directory.to_str(), Some("/srv/mail"));
//!
//! let error = Config::parse("mydestinaton = []", "posthaste.toml".as_ref()).unwrap_err();
//! assert_eq!(
//!     error.to_string(),
//!     "posthaste.toml:1:1: unknown key mydestinaton; did you mean mydestination?"
//! );
//! # Ok::<(), posthaste::config::ConfigError>(())
//! ```

mod error;
mod keys;
mod location;
mod resolve;
mod types;
mod value;
mod write;

#[cfg(test)]
mod tests;

use std::fs;
use std::io;
use std::path::Path;

use toml::de::DeTable;

pub(crate) use error::unknown_key;
pub use error::{ConfigError, Problem};
pub use keys::{Config, KEYS, Key, NamedBy};
pub use location::{Account, Location, MailLocation, SieveLocation, UnsafePath, UserPath};
pub use types::{
    AutoMailbox, ClientTlsLevel, LmtpListener, LogFormat, MailboxCommand, Named, Network, Quota,
    RelayHost, Ssl, TableFile, TlsLevel, is_domain,
};
pub use write::{commented_toml, reference_markdown};

/// The name of the configuration file in the data folder.
pub const FILE_NAME: &str = "posthaste.toml";

/// No configuration is as long; a wrong path could name anything.
const MAX_FILE_LENGTH: u64 = 1 << 20;

impl Config {
    /// Reads the file at `path`.
    ///
    /// # Errors
    /// When it cannot be read, is no TOML, or has keys or values that do not
    /// exist; all of them are told at once.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let read = || {
            if fs::metadata(path)?.len() > MAX_FILE_LENGTH {
                return Err(io::Error::other("too long for a configuration"));
            }
            fs::read_to_string(path)
        };
        let text = read().map_err(|error| ConfigError::Read {
            path: path.to_owned(),
            error,
        })?;
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        Self::parse(&text, &path)
    }

    /// The defaults, with everything in `data_directory`.
    #[must_use]
    pub fn default_in(data_directory: &Path) -> Self {
        let data_directory =
            std::path::absolute(data_directory).unwrap_or_else(|_| data_directory.to_owned());
        let mut config = Self::unresolved(&data_directory.join(FILE_NAME));
        config.resolve();
        config
    }

    /// Reads `text`, which stands in the file `path`.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        let problem = |at: usize, message: String| Problem::new(text, at, message);
        let (table, errors) = DeTable::parse_recoverable(text);
        if !errors.is_empty() {
            let problems = errors
                .iter()
                .map(|error| {
                    let at = error.span().map_or(0, |span| span.start);
                    problem(at, error.message().to_owned())
                })
                .collect();
            return Err(ConfigError::invalid(path, problems));
        }
        let mut config = Self::unresolved(path);
        let mut problems = Vec::new();
        for (name, value) in table.get_ref() {
            let at = name.span();
            match KEYS.iter().find(|key| key.name == name.get_ref()) {
                None => problems.push(problem(at.start, error::unknown_key(name.get_ref()))),
                Some(key) => {
                    config.set.insert(key.name, value.span());
                    if let Err(fault) = (key.read)(&mut config, value) {
                        let at = fault.span.unwrap_or_else(|| value.span()).start;
                        problems.push(problem(at, format!("{}: {}", key.name, fault.message)));
                    }
                }
            }
        }
        if problems.is_empty() {
            config.resolve();
            for (key, message) in config.contradictions() {
                let at = config.set.get(key).map_or(0, |span| span.start);
                problems.push(problem(at, format!("{key}: {message}")));
            }
        }
        if !problems.is_empty() {
            return Err(ConfigError::invalid(path, problems));
        }
        Ok(config)
    }

    /// Whether the file sets `key`.
    #[must_use]
    pub fn is_set(&self, key: &str) -> bool {
        self.set.contains_key(key)
    }
}
