//! URLs as they are written.

use std::fmt::Write;

use super::percent::{Class, encode};
use super::{UrlAccess, UrlAuthorization, UrlParts, UrlServer};
use crate::types::Section;

impl UrlParts {
    pub(super) fn render(&self) -> String {
        let mut url = String::new();
        if let Some(server) = &self.server {
            server.render(&mut url);
        }
        if let Some(mailbox) = &self.mailbox {
            url.push('/');
            encode(mailbox.as_str(), Class::Path, &mut url);
        }
        // Writing to a String cannot fail.
        if let Some(validity) = self.uid_validity {
            let _ = write!(url, ";UIDVALIDITY={validity}");
        }
        if let Some(search) = &self.search {
            url.push('?');
            encode(search, Class::Path, &mut url);
        }
        let mut part = |text: String| {
            if !url.is_empty() {
                url.push('/');
            }
            url.push_str(&text);
        };
        if let Some(uid) = self.uid {
            part(format!(";UID={uid}"));
        }
        if let Some(section) = &self.section {
            let mut text = String::from(";SECTION=");
            encode(&section_text(section), Class::Path, &mut text);
            part(text);
        }
        if let Some(partial) = &self.partial {
            part(match partial.length {
                Some(length) => format!(";PARTIAL={}.{length}", partial.first),
                None => format!(";PARTIAL={}", partial.first),
            });
        }
        if let Some(authorization) = &self.authorization {
            authorization.render(&mut url);
        }
        url
    }
}

/// `section-spec`, without brackets.
fn section_text(section: &Section) -> String {
    let octets = crate::wire::to_vec(crate::Dialect::SERVER, |w| section.encode(w));
    let text = String::from_utf8_lossy(&octets);
    let inside = text
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'));
    inside.unwrap_or_default().to_owned()
}

impl UrlServer {
    fn render(&self, url: &mut String) {
        url.push_str("imap://");
        if let Some(user) = &self.user {
            encode(user, Class::User, url);
        }
        if let Some(mechanism) = &self.mechanism {
            url.push_str(";AUTH=");
            encode(mechanism, Class::User, url);
        }
        if self.user.is_some() || self.mechanism.is_some() {
            url.push('@');
        }
        url.push_str(&self.host);
        if let Some(port) = self.port {
            let _ = write!(url, ":{port}");
        }
    }
}

impl UrlAuthorization {
    fn render(&self, url: &mut String) {
        if let Some(expire) = &self.expire {
            url.push_str(";EXPIRE=");
            url.push_str(expire);
        }
        url.push_str(";URLAUTH=");
        match &self.access {
            UrlAccess::Submit(user) => {
                url.push_str("submit+");
                encode(user, Class::User, url);
            }
            UrlAccess::User(user) => {
                url.push_str("user+");
                encode(user, Class::User, url);
            }
            UrlAccess::AuthUser => url.push_str("authuser"),
            UrlAccess::Anonymous => url.push_str("anonymous"),
        }
        if let Some((mechanism, token)) = &self.verifier {
            let _ = write!(url, ":{mechanism}:{token}");
        }
    }
}
