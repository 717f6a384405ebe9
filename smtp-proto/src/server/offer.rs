//! What EHLO offers, and what MAIL and RCPT may therefore ask for.

use std::fmt::Write;

use super::{Config, Fault};
use crate::command::{Body, Mail, Rcpt};
use crate::parameter::Parameter;
use crate::reply::Reply;

type Refusal = (Fault, Reply);

impl Config {
    /// The text of the reply to EHLO, a keyword per line.
    pub(super) fn offer(&self, tls: bool, authenticated: bool) -> String {
        let extensions = &self.extensions;
        let mut text = self.hostname.clone();
        let mut line = |words: &[&str]| {
            text.push('\n');
            for (index, word) in words.iter().enumerate() {
                if index > 0 {
                    text.push(' ');
                }
                text.push_str(word);
            }
        };
        for (offered, keyword) in [
            (extensions.pipelining, "PIPELINING"),
            (extensions.vrfy, "VRFY"),
            (extensions.expn, "EXPN"),
            (extensions.help, "HELP"),
            (extensions.etrn, "ETRN"),
            (extensions.starttls && !tls, "STARTTLS"),
            (extensions.enhanced_status_codes, "ENHANCEDSTATUSCODES"),
            (extensions.eight_bit_mime, "8BITMIME"),
            (extensions.dsn, "DSN"),
            (extensions.smtputf8, "SMTPUTF8"),
            (extensions.chunking, "CHUNKING"),
            (extensions.chunking && extensions.binary_mime, "BINARYMIME"),
            (extensions.mtrk, "MTRK"),
            (extensions.requiretls && tls, "REQUIRETLS"),
            (extensions.rrvs, "RRVS"),
        ] {
            if offered {
                line(&[keyword]);
            }
        }
        if extensions.size {
            line(&["SIZE", &self.limits.message_size.to_string()]);
        }
        // RFC 4954 §4: not after it has succeeded, and not where it would
        // have to be refused.
        let auth = !authenticated && (tls || !self.auth_needs_tls);
        if auth && !extensions.auth.is_empty() {
            line(&["AUTH", &extensions.auth.join(" ")]);
        }
        if let Some(words) = extensions.burl.as_deref().filter(|_| extensions.chunking) {
            line(&[format!("BURL {words}").trim_end()]);
        }
        match extensions.deliver_by {
            None => {}
            Some(0) => line(&["DELIVERBY"]),
            Some(least) => line(&["DELIVERBY", &least.to_string()]),
        }
        if let Some(release) = &extensions.future_release {
            let interval = release.max_interval.to_string();
            line(&["FUTURERELEASE", &interval, &release.max_date_time]);
        }
        for (keyword, offered) in [
            ("MT-PRIORITY", &extensions.mt_priority),
            ("NO-SOLICITING", &extensions.no_soliciting),
        ] {
            match offered {
                None => {}
                Some(None) => line(&[keyword]),
                Some(Some(value)) => line(&[keyword, value]),
            }
        }
        if extensions.limits {
            let mut value = format!("RCPTMAX={}", self.limits.recipients);
            if let Some(most) = self.limits.transactions {
                // Writing to a String cannot fail.
                let _ = write!(value, " MAILMAX={most}");
            }
            line(&["LIMITS", &value]);
        }
        for (keyword, attributes) in [
            ("XCLIENT", &extensions.xclient),
            ("XFORWARD", &extensions.xforward),
        ] {
            if !attributes.is_empty() {
                line(&[keyword, &attributes.join(" ")]);
            }
        }
        for other in &extensions.others {
            line(&[other]);
        }
        text
    }

    /// Why MAIL is refused before the host sees it.
    pub(super) fn refuse_mail(&self, mail: &Mail, tls: bool) -> Option<Refusal> {
        let extensions = &self.extensions;
        if mail.size.is_some() && !extensions.size {
            return Some(unsupported("SIZE"));
        }
        let body_offered = match mail.body {
            None => true,
            Some(Body::BinaryMime) => extensions.binary_mime && extensions.chunking,
            Some(_) => extensions.eight_bit_mime,
        };
        if !body_offered {
            return Some(unsupported("BODY"));
        }
        if let Some(refusal) = self.refuse_rarer(mail, tls) {
            return Some(refusal);
        }
        if mail
            .size
            .is_some_and(|size| size > self.limits.message_size)
        {
            let text = "Message size exceeds fixed limit";
            return Some((Fault::MessageTooLarge, Reply::new(552, [5, 3, 4], text)));
        }
        if let Some(refusal) = self.refuse_late(mail) {
            return Some(refusal);
        }
        self.refuse_others(&mail.others)
            .or_else(|| non_ascii(mail.is_ascii() || mail.smtputf8))
    }

    /// Parameters besides SIZE and BODY, of extensions that are not offered.
    fn refuse_rarer(&self, mail: &Mail, tls: bool) -> Option<Refusal> {
        if mail.has_none_rarer() {
            return None;
        }
        let extensions = &self.extensions;
        for (asked, offered, keyword) in [
            (mail.smtputf8, extensions.smtputf8, "SMTPUTF8"),
            (mail.ret.is_some(), extensions.dsn, "RET"),
            (mail.envid.is_some(), extensions.dsn, "ENVID"),
            (mail.auth.is_some(), !extensions.auth.is_empty(), "AUTH"),
            (
                mail.hold.is_some(),
                extensions.future_release.is_some(),
                "FUTURERELEASE",
            ),
            (mail.by.is_some(), extensions.deliver_by.is_some(), "BY"),
            (
                mail.mt_priority.is_some(),
                extensions.mt_priority.is_some(),
                "MT-PRIORITY",
            ),
            (mail.mtrk.is_some(), extensions.mtrk, "MTRK"),
            (mail.requiretls, extensions.requiretls && tls, "REQUIRETLS"),
            (
                mail.solicit.is_some(),
                extensions.no_soliciting.is_some(),
                "SOLICIT",
            ),
        ] {
            if asked && !offered {
                return Some(unsupported(keyword));
            }
        }
        None
    }

    /// FUTURERELEASE and DELIVERBY beyond what was offered.
    fn refuse_late(&self, mail: &Mail) -> Option<Refusal> {
        let refusal = |text| Some((Fault::NotOffered, Reply::new(501, [5, 5, 4], text)));
        if let (Some(crate::Hold::For(seconds)), Some(release)) =
            (&mail.hold, &self.extensions.future_release)
            && *seconds > release.max_interval
        {
            return refusal("Error: HOLDFOR is longer than offered");
        }
        if let (Some(by), Some(least)) = (mail.by, self.extensions.deliver_by)
            && by.mode == crate::ByMode::Return
            && i64::from(by.seconds) < i64::from(least)
        {
            return refusal("Error: BY is shorter than offered");
        }
        None
    }

    /// Why RCPT is refused before the host sees it.
    pub(super) fn refuse_rcpt(&self, rcpt: &Rcpt, smtputf8: bool) -> Option<Refusal> {
        let extensions = &self.extensions;
        for (asked, offered, keyword) in [
            (rcpt.notify.is_some(), extensions.dsn, "NOTIFY"),
            (rcpt.orcpt.is_some(), extensions.dsn, "ORCPT"),
            (rcpt.rrvs.is_some(), extensions.rrvs, "RRVS"),
        ] {
            if asked && !offered {
                return Some(unsupported(keyword));
            }
        }
        self.refuse_others(&rcpt.others)
            .or_else(|| non_ascii(rcpt.is_ascii() || smtputf8))
    }

    fn refuse_others(&self, others: &[Parameter]) -> Option<Refusal> {
        match others.first() {
            Some(first) if !self.unknown_parameters => Some(unsupported(&first.keyword)),
            _ => None,
        }
    }
}

fn unsupported(keyword: &str) -> Refusal {
    let text = format!("Unsupported option: {keyword}");
    (Fault::NotOffered, Reply::new(555, [5, 5, 4], text))
}

/// RFC 6531 §3.5
fn non_ascii(allowed: bool) -> Option<Refusal> {
    let text = "Error: non-ASCII address, but SMTPUTF8 was not asked for";
    (!allowed).then(|| (Fault::NeedsSmtpUtf8, Reply::new(553, [5, 6, 7], text)))
}
