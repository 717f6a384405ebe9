use memchr::{memchr, memchr3};

use super::entity;

/// The readable text of an HTML page, in one pass.
///
/// Tags go away, character references are decoded, white space is collapsed as a browser does;
/// blocks begin on new lines. What a browser would not show (scripts, styles, comments, titles) is
/// left out. Meant for searches and previews: nothing is validated, no layout is kept.
///
/// ```
/// let html = "<title>x</title><p>Caf&eacute; &amp; <b>bar</b><script>let x = '<p>';</script><p>end";
/// assert_eq!(mime::text::html_to_text(html), "Café & bar\nend");
/// ```
pub fn html_to_text(html: &str) -> String {
    let mut out = Out {
        text: String::with_capacity(html.len() / 2),
        space: false,
        newline: false,
    };
    let mut rest = html;
    loop {
        let stop = memchr3(b'<', b'&', b'\0', rest.as_bytes()).unwrap_or(rest.len());
        let (text, tail) = rest.split_at_checked(stop).unwrap_or((rest, ""));
        out.text(text);
        rest = match tail.as_bytes() {
            [] => return out.text,
            [b'<', ..] => tag(tail, &mut out),
            [b'&', ..] => match entity::reference(tail) {
                Some((character, rest)) => {
                    out.character(character);
                    rest
                }
                None => {
                    out.character('&');
                    after(tail, 1)
                }
            },
            _ => after(tail, 1),
        };
    }
}

fn after(text: &str, octets: usize) -> &str {
    text.get(octets..).unwrap_or_default()
}

/// Text with white space collapsed.
struct Out {
    text: String,
    space: bool,
    newline: bool,
}

impl Out {
    fn text(&mut self, text: &str) {
        for (at, word) in text.split_ascii_whitespace().enumerate() {
            self.space |= at > 0 || text.starts_with(|first: char| first.is_ascii_whitespace());
            self.separate();
            self.text.push_str(word);
        }
        self.space |= text.ends_with(|last: char| last.is_ascii_whitespace());
    }

    fn character(&mut self, character: char) {
        if character.is_ascii_whitespace() || character == '\u{A0}' {
            self.space = true;
        } else {
            self.separate();
            self.text.push(character);
        }
    }

    fn separate(&mut self) {
        if !self.text.is_empty() {
            if self.newline {
                self.text.push('\n');
            } else if self.space {
                self.text.push(' ');
            }
        }
        (self.space, self.newline) = (false, false);
    }
}

/// A tag, comment or declaration at the front; returns what is behind it.
fn tag<'a>(text: &'a str, out: &mut Out) -> &'a str {
    if let Some(comment) = text.strip_prefix("<!--") {
        return comment
            .find("-->")
            .map_or("", |end| after(comment, end + 3));
    }
    let inside = after(text, 1);
    let (closing, name) = match inside.strip_prefix('/') {
        Some(name) => (true, name),
        None => (false, inside),
    };
    if !name.starts_with(|first: char| first.is_ascii_alphabetic() || matches!(first, '!' | '?')) {
        out.character('<');
        return inside;
    }
    let end = name.find(|next: char| !next.is_ascii_alphanumeric());
    let (name, attributes) = name
        .split_at_checked(end.unwrap_or(name.len()))
        .unwrap_or((name, ""));
    let rest = behind_attributes(attributes);
    let is = |names: &[&str]| names.iter().any(|other| name.eq_ignore_ascii_case(other));
    if is(BLOCKS) {
        out.newline = true;
    } else if is(CELLS) {
        out.space = true;
    }
    if !closing && is(HIDDEN) {
        return behind_element(rest, name);
    }
    rest
}

const BLOCKS: &[&str] = &[
    "address",
    "article",
    "aside",
    "blockquote",
    "br",
    "center",
    "dd",
    "div",
    "dl",
    "dt",
    "footer",
    "form",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "header",
    "hr",
    "li",
    "main",
    "nav",
    "ol",
    "p",
    "pre",
    "section",
    "table",
    "tr",
    "ul",
];
const CELLS: &[&str] = &["td", "th", "option"];
const HIDDEN: &[&str] = &["script", "style", "title", "template", "noframes"];

/// Behind the `>` of a tag; one in a quoted attribute value is none.
fn behind_attributes(text: &str) -> &str {
    let mut rest = text;
    while let Some(at) = memchr3(b'>', b'"', b'\'', rest.as_bytes()) {
        let found = after(rest, at);
        rest = after(found, 1);
        let quote = match found.as_bytes() {
            [b'>', ..] => return rest,
            [quote, ..] => *quote,
            [] => break,
        };
        // A quote that never closes: the tag ends at the next ">" then.
        match memchr(quote, rest.as_bytes()) {
            Some(end) => rest = after(rest, end + 1),
            None => return rest.find('>').map_or("", |end| after(rest, end + 1)),
        }
    }
    ""
}

/// Behind the closing tag of an element whose content is not shown; nothing if that is missing.
fn behind_element<'a>(text: &'a str, name: &str) -> &'a str {
    let mut rest = text;
    while let Some(at) = memchr(b'<', rest.as_bytes()) {
        rest = after(rest, at + 1);
        let closes = rest.strip_prefix('/').is_some_and(|tag| {
            tag.get(..name.len())
                .is_some_and(|tag| tag.eq_ignore_ascii_case(name))
        });
        if closes {
            return rest.find('>').map_or("", |end| after(rest, end + 1));
        }
    }
    ""
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages() {
        for (html, text) in [
            ("", ""),
            ("a  b\n c", "a b c"),
            ("<p>a</p><p>b</p>", "a\nb"),
            ("a<br/>b<BR>c", "a\nb\nc"),
            ("a<b>b</b> <i>c</i>", "ab c"),
            ("<td>a</td><td>b</td>", "a b"),
            ("1 < 2 <3 <= &lt;", "1 < 2 <3 <= <"),
            ("<!doctype html><!-- <p> x -->a<!-- open", "a"),
            ("<a title=\"a > b\" href='>'>x</a>", "x"),
            ("<a title=\"open>x</a>", "x"),
            ("<script>if (a<b) '</p>'</SCRIPT >y<style>p{}", "y"),
            ("&#65;&#x42;&copy;&nbsp;&unknown;&amp&", "AB© &unknown;&&"),
            ("&#0;&#xD800;&#1114112;", "\u{FFFD}\u{FFFD}\u{FFFD}"),
            ("a\0b", "ab"),
            ("<", "<"),
            ("<p", ""),
        ] {
            assert_eq!(html_to_text(html), text, "{html}");
        }
    }

    #[test]
    fn hostile_pages_take_linear_time() {
        for piece in [
            "<a \"",
            "<a '",
            "<!--",
            "<script>",
            "&",
            "<",
            "<script></",
            "&#x",
            "<a b=\"'>",
        ] {
            let page = piece.repeat(200_000);
            let _ = html_to_text(&page);
        }
    }
}
