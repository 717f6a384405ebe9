//! Message identifiers, RFC 5322 §3.6.4: `Message-ID`, `In-Reply-To`, `References`.

use std::borrow::Cow;

use memchr::memchr;

use crate::charset;

/// The identifiers of a field value, without their angle brackets and without white space inside
/// (some writers fold long ones).
///
/// ```
/// let ids: Vec<_> = mime::message_id::list(b"<1@a>\r\n (x) <2@\r\n b> junk <").collect();
/// assert_eq!(ids, ["1@a", "2@b"]);
/// ```
pub fn list(value: &[u8]) -> impl Iterator<Item = Cow<'_, str>> {
    let mut rest = value;
    std::iter::from_fn(move || {
        loop {
            let start = memchr(b'<', rest)?;
            let inside = rest.get(start + 1..)?;
            let (id, tail) = inside.split_at(memchr(b'>', inside)?);
            rest = tail;
            // The last opening bracket counts: an unclosed one stood before.
            let id = match memchr::memrchr(b'<', id) {
                Some(at) => id.get(at + 1..).unwrap_or_default(),
                None => id,
            };
            if id.iter().any(u8::is_ascii_whitespace) {
                let id: Vec<u8> = id
                    .iter()
                    .copied()
                    .filter(|byte| !byte.is_ascii_whitespace())
                    .collect();
                if !id.is_empty() {
                    return Some(Cow::Owned(charset::guess(&id).into_owned()));
                }
            } else if !id.is_empty() {
                return Some(charset::guess(id));
            }
        }
    })
}

/// The one identifier of a `Message-ID` field. Without angle brackets the whole trimmed value, since
/// some writers leave them out.
pub fn first(value: &[u8]) -> Option<Cow<'_, str>> {
    if let Some(id) = list(value).next() {
        return Some(id);
    }
    let value = value.trim_ascii();
    let is_one_word = !value.is_empty() && !value.iter().any(u8::is_ascii_whitespace);
    is_one_word.then(|| charset::guess(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn broken_lists() {
        let ids = |text: &'static str| list(text.as_bytes()).collect::<Vec<_>>();
        assert_eq!(ids("<a@b><c@d>,<e f@g>"), ["a@b", "c@d", "ef@g"]);
        assert_eq!(ids("<never closed <a@b> <>< >"), ["a@b"]);
        assert_eq!(ids("a@b"), [""; 0]);
        assert_eq!(first(b" a@b ").as_deref(), Some("a@b"));
        assert_eq!(first(b" "), None);
    }
}
