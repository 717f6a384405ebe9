//! What is offered, and ENABLE.

use super::{Server, State};
use crate::{Capability, Config, Extension, Extensions};

impl Server {
    /// What the server can do for this client now.
    #[must_use]
    pub fn capabilities(&self) -> Vec<Capability> {
        let config = &self.config;
        let mut names: Vec<String> = config
            .extensions
            .iter()
            .filter(|extension| !extension.takes_value())
            .map(|extension| extension.name().to_owned())
            .collect();
        names.push(format!("APPENDLIMIT={}", config.limits.message));
        if self.state == State::NotAuthenticated {
            if config.starttls && !self.tls {
                names.push("STARTTLS".into());
            }
            let mechanisms = self.mechanisms().iter();
            names.extend(mechanisms.map(|mechanism| format!("AUTH={mechanism}")));
            if !self.allows_login() {
                names.push("LOGINDISABLED".into());
            }
        }
        let known = names.iter().filter_map(|name| Capability::new(name).ok());
        known.chain(config.capabilities.iter().cloned()).collect()
    }

    pub(super) fn mechanisms(&self) -> &[Box<str>] {
        match self.tls {
            true => &self.config.mechanisms,
            false => &self.config.mechanisms_without_tls,
        }
    }

    pub(super) fn allows_login(&self) -> bool {
        self.tls || self.config.login_without_tls
    }

    /// Enables what can be enabled; answers with what was not enabled before.
    pub(super) fn enable(&mut self, wanted: &[Capability]) -> Vec<Capability> {
        let mut enabled = Vec::new();
        for capability in wanted {
            let Some(extension) = capability.extension() else {
                continue;
            };
            let can_be = matches!(
                extension,
                Extension::Imap4Rev2
                    | Extension::Utf8Accept
                    | Extension::CondStore
                    | Extension::QResync
                    | Extension::Metadata
                    | Extension::MetadataServer
                    | Extension::UidOnly
            );
            let news = self.config.metadata_news;
            if matches!(extension, Extension::Metadata | Extension::MetadataServer) && !news {
                continue;
            }
            let offered = match extension {
                Extension::CondStore => self.config.extensions.has(extension),
                other => self.config.extensions.holds(other),
            };
            if can_be && offered && !self.enabled.holds(extension) {
                self.enabled.insert(extension);
                enabled.extend(Capability::new(extension.name()));
            }
        }
        self.dialect.utf8 =
            self.enabled.holds(Extension::Imap4Rev2) || self.enabled.holds(Extension::Utf8Accept);
        enabled
    }
}

/// What a configuration offers: extensions by themselves, those that take a
/// value by their capability.
pub(super) fn offered(config: &Config) -> Extensions {
    let mut offered = config.extensions;
    let valued = config.capabilities.iter().filter_map(Capability::extension);
    valued.for_each(|extension| offered.insert(extension));
    offered
}
