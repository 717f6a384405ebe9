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
        let late = mail.by.is_some_and(|by| by.mode == ByMode::Return);
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
                late && offered.deliver_by.is_none(),
                [5, 3, 3],
                "the server does not offer DELIVERBY",
            )
        })
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
