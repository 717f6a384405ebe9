//! Notifications of delivery (RFC 3461) as scripts see and ask for them
//! (RFC 6009).

use crate::queue::{Envelope, Notify, Recipient, Ret};

/// The parts of the envelope that `envelope-dsn` tests (RFC 6009 §4): those
/// that the sender gave.
pub(super) fn envelope_parts(envelope: &Envelope, recipient: &Recipient) -> Vec<(String, String)> {
    let orcpt = recipient.orcpt.as_ref();
    let parts = [
        ("notify", recipient.notify.map(conditions)),
        (
            "orcpt",
            orcpt.map(|orcpt| format!("{};{}", orcpt.address_type, orcpt.address)),
        ),
        (
            "ret",
            envelope.ret.map(|ret| {
                let name = match ret {
                    Ret::Full => "FULL",
                    Ret::Hdrs => "HDRS",
                };
                name.to_owned()
            }),
        ),
        ("envid", envelope.envelope_id.clone()),
    ];
    let given = parts.into_iter();
    given
        .filter_map(|(name, value)| Some((name.to_owned(), value?)))
        .collect()
}

fn conditions(notify: Notify) -> String {
    let names = [
        ("SUCCESS", notify.success),
        ("FAILURE", notify.failure),
        ("DELAY", notify.delay),
    ];
    let wanted: Vec<&str> = names
        .into_iter()
        .filter_map(|(name, wanted)| wanted.then_some(name))
        .collect();
    if wanted.is_empty() {
        "NEVER".into()
    } else {
        wanted.join(",")
    }
}

/// What a script asks for with `redirect` (RFC 6009 §6), laid on the new
/// envelope. The owner of the script is told then, not the sender, whose own
/// wishes end here (§6.1).
pub(super) fn ask(envelope: &mut Envelope, redirect: &sieve::Redirect, owner: &str) {
    if redirect.notify.is_none() && redirect.ret.is_none() {
        return;
    }
    if !envelope.sender.is_empty() {
        owner.clone_into(&mut envelope.sender);
    }
    envelope.envelope_id = None;
    envelope.ret = redirect.ret.as_deref().map(|ret| match ret {
        "HDRS" => Ret::Hdrs,
        _ => Ret::Full,
    });
    let wanted = redirect.notify.as_deref().map(|conditions| {
        let has = |wanted: &str| conditions.split(',').any(|one| one == wanted);
        Notify {
            success: has("SUCCESS"),
            failure: has("FAILURE"),
            delay: has("DELAY"),
        }
    });
    for recipient in &mut envelope.recipients {
        recipient.notify = wanted;
        recipient.orcpt = None;
    }
}
