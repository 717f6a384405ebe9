//! The attributes of SCRAM's messages (RFC 5802 §5.1, §7).

/// Takes `attribute=value` off an iterator over the parts between commas.
pub(super) fn attribute<'a>(
    parts: &mut impl Iterator<Item = &'a str>,
    name: &str,
) -> Result<&'a str, &'static str> {
    let part = parts.next().ok_or("an attribute is missing")?;
    if part.starts_with("m=") {
        return Err("a mandatory extension is not known");
    }
    part.strip_prefix(name)
        .and_then(|rest| rest.strip_prefix('='))
        .ok_or("an attribute is missing")
}

/// `printable = %x21-2B / %x2D-7E`: a nonce (RFC 5802 §7).
pub(super) fn is_nonce(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|o| (0x21..=0x7E).contains(&o) && o != b',')
}
