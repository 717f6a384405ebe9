//! Fields of mailing lists: `List-Help`, `List-Post`, `List-Unsubscribe` and the like (RFC 2369), and
//! `List-Id` (RFC 2919).

use std::borrow::Cow;

use memchr::{memchr, memrchr};

use crate::param::{comment, quoted, skip_cfws};
use crate::{charset, encoded_word};

/// The URLs of a field value, the preferred one first (RFC 2369 §2), without angle brackets and
/// without the white space inside that folding brings. What follows something that is no URL in
/// brackets is ignored, as that section asks.
///
/// ```
/// let value = b"<mailto:list@host.com?subject=help> (List Instructions),\r\n <http://host.com/\r\n help>";
/// let urls: Vec<_> = mime::list::urls(value).collect();
/// assert_eq!(urls, ["mailto:list@host.com?subject=help", "http://host.com/help"]);
/// ```
pub fn urls(value: &[u8]) -> impl Iterator<Item = Cow<'_, str>> {
    let mut rest = value;
    std::iter::from_fn(move || {
        while let [b',', tail @ ..] = skip_cfws(rest) {
            rest = tail;
        }
        let inside = skip_cfws(rest).strip_prefix(b"<")?;
        let (url, tail) = inside.split_at(memchr(b'>', inside)?);
        // Behind it only a comma may follow.
        rest = match skip_cfws(tail.get(1..)?) {
            rest @ [b',', ..] => rest,
            _ => &[],
        };
        Some(without_blank(url))
    })
}

/// Whether a `List-Post` field says that nobody may post, RFC 2369 §3.4.
///
/// ```
/// assert!(mime::list::is_closed(b" NO (posting not allowed on this list)"));
/// ```
pub fn is_closed(value: &[u8]) -> bool {
    let (word, rest) = match skip_cfws(value).split_at_checked(2) {
        Some(split) => split,
        None => return false,
    };
    word.eq_ignore_ascii_case(b"no") && skip_cfws(rest).is_empty()
}

/// What a `List-Id` field says, RFC 2919 §2.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListId<'a> {
    /// What people call the list, decoded.
    pub name: Option<String>,
    /// The identifier; to be compared without regard to case (§6).
    pub id: Cow<'a, str>,
}

/// Reads a `List-Id` value; without angle brackets all of it is the identifier if it is one word.
///
/// ```
/// let list = mime::list::id(b"\"Lena's \\\"Joy\\\" List\" <lenas-jokes.da39efc25c530ad145d41b86f7420c3b\r\n .052000.localhost>");
/// let list = list.unwrap();
/// assert_eq!(list.name.unwrap(), "Lena's \"Joy\" List");
/// assert_eq!(list.id, "lenas-jokes.da39efc25c530ad145d41b86f7420c3b.052000.localhost");
/// ```
pub fn id(value: &[u8]) -> Option<ListId<'_>> {
    let Some((name, inside)) = memrchr(b'<', value).and_then(|at| value.split_at_checked(at))
    else {
        let value = value.trim_ascii();
        let is_one_word = !value.is_empty() && !value.iter().any(u8::is_ascii_whitespace);
        return is_one_word.then(|| ListId {
            name: None,
            id: charset::guess(value),
        });
    };
    let inside = inside.get(1..)?;
    let (id, _) = inside.split_at(memchr(b'>', inside)?);
    let id = without_blank(id);
    (!id.is_empty()).then(|| ListId {
        name: phrase(name),
        id,
    })
}

/// The text of a phrase: comments left out, quotes removed, encoded words decoded.
fn phrase(text: &[u8]) -> Option<String> {
    let mut out = Vec::new();
    let mut rest = text;
    while let [byte, tail @ ..] = rest {
        rest = tail;
        match byte {
            b'(' => rest = comment(tail).1,
            b'"' => {
                let (text, tail) = quoted(tail);
                out.extend_from_slice(&text);
                rest = tail;
            }
            b'\r' | b'\n' => {}
            &byte => out.push(byte),
        }
    }
    let name = encoded_word::decode(out.trim_ascii()).into_owned();
    (!name.is_empty()).then_some(name)
}

fn without_blank(text: &[u8]) -> Cow<'_, str> {
    let is_blank = |byte: &u8| byte.is_ascii_whitespace() || *byte == 0;
    if !text.iter().any(is_blank) {
        return charset::guess(text);
    }
    let text: Vec<u8> = text
        .iter()
        .copied()
        .filter(|byte| !is_blank(byte))
        .collect();
    Cow::Owned(charset::guess(&text).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn url_lists() {
        let show = |value: &'static str| urls(value.as_bytes()).collect::<Vec<_>>();
        assert_eq!(
            show("<ftp://ftp.host.com/list.txt> (FTP),\n <mailto:list@host.com?subject=help>"),
            [
                "ftp://ftp.host.com/list.txt",
                "mailto:list@host.com?subject=help"
            ]
        );
        assert_eq!(
            show(" (Use this) ,, <a:b?c=d,e>, <f:g>"),
            ["a:b?c=d,e", "f:g"]
        );
        assert_eq!(show("<a:b>; <c:d>"), ["a:b"]);
        assert_eq!(show("<a:b>, http://no.brackets, <c:d>"), ["a:b"]);
        for nothing in ["", "NO", "<never closed", "(<a:b>", ",,,"] {
            assert_eq!(show(nothing), [""; 0], "{nothing}");
        }
        assert!(!is_closed(b"<mailto:no>") && !is_closed(b"nobody") && !is_closed(b"n"));
    }

    #[test]
    fn list_ids() {
        let show = |value: &'static str| {
            let list = id(value.as_bytes())?;
            Some(format!("{}|{}", list.name.unwrap_or_default(), list.id))
        };
        assert_eq!(
            show("List Header Mailing List <list-header.nisto.com>").unwrap(),
            "List Header Mailing List|list-header.nisto.com"
        );
        assert_eq!(
            show("<commonspace-users.list-id.within.com>").unwrap(),
            "|commonspace-users.list-id.within.com"
        );
        assert_eq!(
            show("=?utf-8?q?Gr=C3=BC=C3=9Fe?= (x) <g.x>").unwrap(),
            "Grüße|g.x"
        );
        assert_eq!(show(" bare.list.id ").unwrap(), "|bare.list.id");
        for none in ["", "two words", "<>", "x <open"] {
            assert_eq!(show(none), None, "{none}");
        }
    }
}
