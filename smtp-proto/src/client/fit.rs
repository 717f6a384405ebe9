//! A message's parameters, cut to what the server offers.

use super::Client;
use crate::command::{Body, ByMode, Mail, Rcpt};
use crate::reply::Reply;

impl Client {
    /// What the message needs and the server does not offer.
    pub(super) fn unfit(&self, mail: &Mail) -> Option<Reply> {
        let offered = &self.capabilities;
        let lacks =
            |needed: bool, detail: [u16; 3], text| needed.then(|| Reply::new(550, detail, text));
        let eight_bit = mail.body == Some(Body::EightBitMime)
            && !offered.eight_bit_mime
            && !self.config.eight_bit_anyway;
        let binary =
            mail.body == Some(Body::BinaryMime) && !(offered.binary_mime && offered.chunking);
        let returned = mail.by.filter(|by| by.mode == ByMode::Return);
        // RFC 2852 §4.1.4: what is left must be what the server asks for.
        let late = returned.is_some_and(|by| match offered.deliver_by {
            Some(least) => i64::from(by.seconds) < i64::from(least.unwrap_or(0)),
            None => true,
        });
        // RFC 1870 §6.1: known beforehand. No number, or 0: no limit.
        let limit = offered.size.flatten().filter(|limit| *limit > 0);
        let large = mail
            .size
            .zip(limit)
            .is_some_and(|(size, limit)| size > limit);
        lacks(
            mail.smtputf8 && !offered.smtputf8,
            [5, 6, 7],
            "the server does not offer SMTPUTF8",
        )
        .or_else(|| lacks(eight_bit, [5, 6, 3], "the server does not offer 8BITMIME"))
        .or_else(|| lacks(binary, [5, 6, 3], "the server does not offer BINARYMIME"))
        .or_else(|| {
            lacks(
                mail.requiretls && !offered.requiretls,
                [5, 7, 30],
                "the server does not offer REQUIRETLS",
            )
        })
        .or_else(|| {
            lacks(
                mail.hold.is_some() && offered.future_release.is_none(),
                [5, 3, 3],
                "the server does not offer FUTURERELEASE",
            )
        })
        .or_else(|| {
            lacks(
                late,
                [5, 3, 3],
                "the server does not offer DELIVERBY for so short a time",
            )
        })
        .or_else(|| lacks(large, [5, 3, 4], "the server takes no message of this size"))
    }

    /// Why not all of the recipients, or none of them, can be sent with this
    /// message (RFC 9422 §5): the rest waits for another transaction.
    pub(super) fn beyond_limits(&self, index: usize, domains: usize) -> Option<Reply> {
        let offered = &self.capabilities;
        let over = |count: usize, limit: Option<u32>| {
            limit.is_some_and(|limit| usize::try_from(limit).is_ok_and(|limit| count >= limit))
        };
        let later = |detail: [u16; 3], text| Some(Reply::new(452, detail, text));
        if offered
            .mails_max
            .is_some_and(|most| self.transactions >= most)
        {
            later(
                [4, 7, 0],
                "the server takes no more messages in this connection",
            )
        } else if over(index, offered.recipients_max) {
            later([4, 5, 3], "the server takes no more recipients")
        } else if over(domains, offered.recipient_domains_max) {
            later([4, 5, 3], "the server takes no more recipient domains")
        } else {
            None
        }
    }

    pub(super) fn fit_mail(&self, mut mail: Mail) -> Mail {
        let offered = &self.capabilities;
        if offered.size.is_none() {
            mail.size = None;
        }
        if !offered.eight_bit_mime && mail.body != Some(Body::BinaryMime) {
            mail.body = None;
        }
        if !offered.dsn {
            mail.ret = None;
            if mail.envid.is_some() {
                mail.envid = None;
            }
        }
        if !offered.auth && mail.auth.is_some() {
            mail.auth = None;
        }
        if offered.deliver_by.is_none() && mail.by.is_some() {
            mail.by = None;
        }
        if !offered.mt_priority && mail.mt_priority.is_some() {
            mail.mt_priority = None;
        }
        if !offered.mtrk && mail.mtrk.is_some() {
            mail.mtrk = None;
        }
        if !offered.no_soliciting && mail.solicit.is_some() {
            mail.solicit = None;
        }
        mail
    }

    pub(super) fn fit_rcpt(&self, mut rcpt: Rcpt) -> Rcpt {
        if !self.capabilities.dsn {
            rcpt.notify = None;
            rcpt.orcpt = None;
        }
        if !self.capabilities.rrvs && rcpt.rrvs.is_some() {
            rcpt.rrvs = None;
        }
        rcpt
    }

    /// RFC 7293 §6: without `;C` it must not go where RRVS is unknown.
    pub(super) fn needs_rrvs(&self, rcpt: &Rcpt) -> bool {
        !self.capabilities.rrvs
            && rcpt
                .rrvs
                .as_ref()
                .is_some_and(|rrvs| !rrvs.continue_unsupported)
    }
}
