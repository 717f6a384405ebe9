//! Values for the envelope of a redirected message (RFC 6009 §6, §7).

use super::Fault;
use crate::action::Redirect;

pub(crate) fn is_notify(value: &[u8]) -> bool {
    let words: Vec<&[u8]> = value.split(|c| *c == b',').collect();
    let known = |word: &&[u8]| {
        ["SUCCESS", "FAILURE", "DELAY"]
            .iter()
            .any(|known| word.eq_ignore_ascii_case(known.as_bytes()))
    };
    value.eq_ignore_ascii_case(b"NEVER") || words.iter().all(known)
}

pub(crate) fn is_ret(value: &[u8]) -> bool {
    value.eq_ignore_ascii_case(b"FULL") || value.eq_ignore_ascii_case(b"HDRS")
}

pub(crate) fn is_by_mode(value: &[u8]) -> bool {
    value.eq_ignore_ascii_case(b"notify") || value.eq_ignore_ascii_case(b"return")
}

/// RFC 3339 §5.6; the zone of the `date` extension, without a colon, is taken too: the RFC's own example has it.
pub(crate) fn is_by_time(value: &[u8]) -> bool {
    by_time(value).is_some()
}

fn by_time(value: &[u8]) -> Option<jiff::Timestamp> {
    std::str::from_utf8(value).ok()?.parse().ok()
}

/// Checks what was only known when the script ran, and brings it into one form.
pub(super) fn normalize(redirect: &mut Redirect) -> Result<(), Fault> {
    let fault = |tag: &str, value: &str| Fault::Fail(format!("`{value}` is no value for `:{tag}`"));
    if let Some(notify) = &mut redirect.notify {
        if !is_notify(notify.as_bytes()) {
            return Err(fault("notify", notify));
        }
        notify.make_ascii_uppercase();
    }
    if let Some(ret) = &mut redirect.ret {
        if !is_ret(ret.as_bytes()) {
            return Err(fault("ret", ret));
        }
        ret.make_ascii_uppercase();
    }
    if let Some(mode) = &mut redirect.by_mode {
        if !is_by_mode(mode.as_bytes()) {
            return Err(fault("bymode", mode));
        }
        *mode = if mode.eq_ignore_ascii_case("notify") {
            "N"
        } else {
            "R"
        }
        .to_owned();
    }
    if let Some(time) = &mut redirect.by_absolute {
        match by_time(time.as_bytes()) {
            Some(moment) => *time = moment.to_string(),
            None => return Err(fault("bytimeabsolute", time)),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values() {
        for good in ["NEVER", "success", "SUCCESS,FAILURE,DELAY"] {
            assert!(is_notify(good.as_bytes()), "{good}");
        }
        for bad in ["", "NEVER,SUCCESS", "SUCCESS,", "always"] {
            assert!(!is_notify(bad.as_bytes()), "{bad}");
        }
        assert!(is_by_time(b"2026-05-04T20:00:00Z") && is_by_time(b"2026-05-04T20:00:00+02:00"));
        assert!(is_by_time(b"2026-05-04T20:00:00+0200"));
        assert!(!is_by_time(b"2026-05-04") && !is_by_time(b"10 o'clock"));
    }
}
