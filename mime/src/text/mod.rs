//! The text of a message as people read it, for searches, filters and previews.

mod entity;
mod html;

use std::borrow::Cow;

pub use html::html_to_text;

use crate::{Kind, Part, Structure, charset};

impl<'s> Part<'s> {
    /// The body with its transfer encoding undone: what Sieve's `body :content` looks at in parts
    /// that are no text, and what IMAP's BINARY fetches.
    pub fn decoded<'m>(&self, message: &'m [u8]) -> Cow<'m, [u8]> {
        self.encoding().decode(self.body().of(message))
    }

    /// The body of a text part as UTF-8, markup and all; `None` if this is no text part.
    ///
    /// ```
    /// let message = b"Content-Type: text/plain; charset=koi8-r\n\
    ///     Content-Transfer-Encoding: base64\n\nxME=\n";
    /// let structure = mime::Structure::parse(message);
    /// assert_eq!(structure.root().text(message).unwrap(), "да");
    /// ```
    pub fn text<'m>(&self, message: &'m [u8]) -> Option<Cow<'m, str>> {
        if self.kind() != Kind::Leaf || !self.is("text", "*") {
            return None;
        }
        let charset = self.charset();
        Some(match self.decoded(message) {
            Cow::Borrowed(octets) => charset::decode(&charset, octets),
            Cow::Owned(octets) => Cow::Owned(charset::decode(&charset, &octets).into_owned()),
        })
    }

    /// As [`text`](Self::text), with markup removed from text/html, as RFC 5173 §5.3 allows for
    /// `body :text`.
    pub fn plain_text<'m>(&self, message: &'m [u8]) -> Option<Cow<'m, str>> {
        let text = self.text(message)?;
        if self.is("text", "html") {
            return Some(Cow::Owned(html_to_text(&text)));
        }
        Some(text)
    }
}

/// Texts shorter than this are decoded whole to make a preview; of longer ones only the front is
/// looked at.
const PREVIEW_OCTETS: u64 = 16 * 1024;

/// The first text a reader sees, white space collapsed, at most `characters` long: IMAP's PREVIEW
/// (RFC 8970), which asks for 200. Empty if the message has no text.
///
/// A text/plain part is taken before a text/html one; attachments are left out.
///
/// ```
/// let message = b"Content-Type: text/html\n\n<style>p{}</style><p>Hi&nbsp;there,<br>\n  you";
/// let structure = mime::Structure::parse(message);
/// assert_eq!(mime::text::preview(&structure, message, 200), "Hi there, you");
/// ```
pub fn preview(structure: &Structure, message: &[u8], characters: usize) -> String {
    let shown = |part: &Part<'_>| {
        let is_attachment = part
            .disposition()
            .is_some_and(|disposition| disposition.is("attachment"));
        part.kind() == Kind::Leaf && part.is("text", "*") && !is_attachment
    };
    let plain = structure
        .parts()
        .find(|part| shown(part) && part.is("text", "plain") && !part.body().is_empty());
    let Some(part) = plain.or_else(|| structure.parts().find(shown)) else {
        return String::new();
    };
    let mut body = part.body();
    body.end = body.end.min(body.start + PREVIEW_OCTETS);
    let octets = part.encoding().decode(body.of(message));
    let text = charset::decode(&part.charset(), &octets);
    let text = if part.is("text", "html") {
        Cow::Owned(html_to_text(&text))
    } else {
        text
    };
    let mut out = String::new();
    let mut count = 0;
    for word in text.split_whitespace() {
        let space = usize::from(count > 0);
        let room = characters.saturating_sub(count + space);
        if room == 0 {
            break;
        }
        if space > 0 {
            out.push(' ');
        }
        let before = out.len();
        out.extend(word.chars().take(room));
        let taken = out.get(before..).unwrap_or_default().chars().count();
        count += space + taken;
    }
    out
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn previews() {
        let preview = |message: &[u8], length| preview(&Structure::parse(message), message, length);
        assert_eq!(preview(b"\n a\n\n b  c", 200), "a b c");
        assert_eq!(preview("\näöü xyz".as_bytes(), 5), "äöü x");
        assert_eq!(preview(b"\nab cd", 2), "ab");
        assert_eq!(preview(b"\nab cd", 3), "ab");
        assert_eq!(preview(b"Content-Type: image/png\n\nx", 9), "");
        assert_eq!(
            preview(
                b"Content-Type: multipart/alternative; boundary=a\n\n--a\nContent-Type: text/html\n\n\
                  <b>html\n--a\n\nplain\n--a--\n",
                9
            ),
            "plain"
        );
    }

    #[test]
    fn only_text_parts_have_text() {
        let message = b"Content-Type: image/png\n\nx";
        assert_eq!(Structure::parse(message).root().text(message), None);
        let html = b"Content-Type: text/html; charset=iso-8859-1\n\n<p>\xe9&amp;";
        let structure = Structure::parse(html);
        assert_eq!(structure.root().text(html).unwrap(), "<p>é&amp;");
        assert_eq!(structure.root().plain_text(html).unwrap(), "é&");
    }
}
