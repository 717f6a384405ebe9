//! Writing messages: header fields, bodies, reports and automatic replies.
//!
//! Everything is written with CRLF, in lines that SMTP carries (RFC 5321 §4.5.3.1.6), encoded so
//! that no relay has a reason to touch it: a signature (DKIM) made over it holds.
//!
//! ```
//! use mime::build::{Entity, Fields};
//!
//! let mut fields = Fields::new();
//! fields.structured("From", "Jo <jo@example.org>").text("Subject", "Grüße");
//! let message = Entity::text("Hallo,\nschöne Grüße!\n").into_message(fields);
//! let text = std::str::from_utf8(&message).unwrap();
//! assert!(text.starts_with(
//!     "From: Jo <jo@example.org>\r\nSubject: =?UTF-8?Q?Gr=C3=BC=C3=9Fe?=\r\nMIME-Version: 1.0\r\n"
//! ));
//! assert!(text.ends_with("\r\n\r\nHallo,\r\nsch=C3=B6ne Gr=C3=BC=C3=9Fe!\r\n"));
//! ```

mod entity;
mod reply;
mod report;

pub use entity::{Entity, to_crlf};
pub use reply::{AutoReply, ReplyBody};
pub use report::{
    Action, DeliveryReport, Disposition, DispositionReport, Original, RecipientStatus,
};

use crate::address::Mailbox;
use crate::header::NAME_OCTETS;
use crate::{Date, encoded_word};

/// Lines are folded to this length where they can be, RFC 5322 §2.1.1.
const LINE: usize = 78;

/// A word longer than this cannot stand in a line of 998 octets with its field name.
const WORD: usize = 900;

/// The fields of a header under construction.
///
/// Whatever is passed in stays in its field: line ends and NUL in a value become spaces.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fields {
    text: String,
}

impl Fields {
    /// No fields.
    pub fn new() -> Self {
        Self::default()
    }

    /// A field whose value is written as it is, folded at its spaces. Line ends become one space,
    /// and a word that no line of 998 octets has room for (RFC 5322 §2.1.1) is cut by one. A field
    /// without a name is left out.
    pub fn structured(&mut self, name: &str, value: &str) -> &mut Self {
        let name: String = name
            .chars()
            .filter(|byte| matches!(byte, '!'..='9' | ';'..='~'))
            .collect();
        if !(1..NAME_OCTETS - WORD).contains(&name.len()) {
            return self;
        }
        self.text.push_str(&name);
        self.text.push(':');
        let mut column = name.len() + 1;
        let mut first = true;
        for (space, word) in words(value, WORD) {
            if column + space.len() + word.len() > LINE && !first {
                self.text.push_str("\r\n");
                column = 0;
            }
            self.text.push_str(space);
            self.text.push_str(word);
            column += space.len() + word.len();
            first = false;
        }
        self.text.push_str("\r\n");
        self
    }

    /// An unstructured field (`Subject`, `Comments`): encoded words are used for what is not plain
    /// ASCII.
    pub fn text(&mut self, name: &str, value: &str) -> &mut Self {
        let mut line = String::with_capacity(value.len());
        for (space, word) in words(value, usize::MAX) {
            if !line.is_empty() {
                line.push_str(space);
            }
            line.push_str(word);
        }
        let value = line;
        let mut needy = value
            .split_inclusive(' ')
            .scan(0, |at, word| {
                let start = *at;
                *at += word.len();
                // Other white space (U+00A0) is text.
                Some((start, word.trim_end_matches(' ')))
            })
            .filter(|(_, word)| encoded_word::needs_encoding(word) || word.len() > WORD)
            .map(|(start, word)| (start, start + word.len()));
        let Some((start, mut end)) = needy.next() else {
            return self.structured(name, &value);
        };
        if let Some((_, last)) = needy.last() {
            end = last;
        }
        // One run from the first word to the last that needs it: spaces between encoded words
        // would be lost.
        let (before, rest) = value.split_at_checked(start).unwrap_or((&value, ""));
        let (run, after) = rest.split_at_checked(end - start).unwrap_or((rest, ""));
        let column = if before.is_empty() { name.len() } else { 0 };
        let run = encoded_word::encode_behind(run, column);
        self.structured(name, &format!("{before}{run}{after}"))
    }

    /// A list of mailboxes (`From`, `To`, `Cc`); names are quoted or encoded as they need it.
    pub fn mailboxes(&mut self, name: &str, mailboxes: &[Mailbox<'_>]) -> &mut Self {
        let list: Vec<String> = mailboxes.iter().map(Mailbox::to_string).collect();
        self.structured(name, &list.join(", "))
    }

    /// A date.
    pub fn date(&mut self, name: &str, date: &Date) -> &mut Self {
        self.structured(name, &date.to_string())
    }

    /// Message identifiers, given without angle brackets; what cannot stand in one is left out.
    pub fn message_ids<I: AsRef<str>>(&mut self, name: &str, ids: &[I]) -> &mut Self {
        let id = |id: &I| {
            let inside = |character: &char| !matches!(character, '<' | '>' | ' ' | '\0'..='\x1f');
            format!(
                "<{}>",
                id.as_ref().chars().filter(inside).collect::<String>()
            )
        };
        let ids: Vec<String> = ids.iter().map(id).collect();
        self.structured(name, &ids.join(" "))
    }

    /// All fields of another block, behind these.
    pub fn append(&mut self, other: &Self) -> &mut Self {
        self.text.push_str(&other.text);
        self
    }

    /// The fields as octets, without the blank line.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

/// Runs of this many spaces are kept, since they may stand in a quoted string; of a longer one only
/// so much that it fits into a line.
const SPACES: &str = "                ";

/// The words of a value, each with the white space to be written before it; a word longer than
/// `limit` octets comes in pieces.
fn words(value: &str, limit: usize) -> impl Iterator<Item = (&'static str, &str)> {
    let is_space = |character: char| matches!(character, ' ' | '\t' | '\r' | '\n' | '\0');
    let mut rest = value.trim_matches(is_space);
    let mut space = " ";
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let end = rest.find(is_space).unwrap_or(rest.len());
        let end = rest.floor_char_boundary(end.min(limit));
        let (word, tail) = rest.split_at_checked(end)?;
        rest = tail.trim_start_matches(is_space);
        let (blank, _) = tail.split_at_checked(tail.len() - rest.len())?;
        let before = std::mem::replace(&mut space, " ");
        if blank.bytes().all(|byte| byte == b' ') {
            space = SPACES.get(..blank.len().max(1)).unwrap_or(SPACES);
        }
        Some((before, word))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Headers;

    #[test]
    fn long_values_fold_and_read_back() {
        let mut fields = Fields::new();
        let ids: Vec<String> = (0..30).map(|at| format!("{at}@host.example")).collect();
        let subject = "Wörter ".repeat(40);
        fields
            .message_ids("References", &ids)
            .text("Subject", subject.trim())
            .text("Comments", &"x".repeat(2000))
            .text("X-B", "a \u{a0} b\u{a0}")
            .text("X-A", "plain then =?utf-8?q?x?= and ü, then plain");
        assert!(
            fields
                .as_str()
                .split("\r\n")
                .all(|line| line.len() <= 78 || !line.contains(' '))
        );
        let texts: Vec<_> = Headers::new(fields.as_str().as_bytes())
            .map(|field| field.text().into_owned())
            .collect();
        assert_eq!(texts[1], subject.trim());
        assert_eq!(texts[2], "x".repeat(2000));
        assert!(fields.as_str().is_ascii());
        assert_eq!(texts[3], "a \u{a0} b\u{a0}");
        assert_eq!(texts[4], "plain then =?utf-8?q?x?= and ü, then plain");
        assert_eq!(crate::message_id::list(texts[0].as_bytes()).count(), 30);
    }

    #[test]
    fn values_stay_in_their_field() {
        let mut fields = Fields::new();
        fields
            .text("Subject:\r\nX", "a\r\nBcc: b\r\n\r\nbody")
            .structured("To", "a\nb\0c")
            .structured("Empty", "")
            .structured(" :\r\n", "no name")
            .message_ids("Message-ID", &["a@b>\r\n <c"]);
        assert_eq!(
            fields.as_str(),
            "SubjectX: a Bcc: b body\r\nTo: a b c\r\nEmpty:\r\nMessage-ID: <a@bc>\r\n"
        );
    }

    #[test]
    fn spaces_stay_and_no_line_is_too_long() {
        let mut fields = Fields::new();
        fields
            .structured("To", "\"a  b\"@x,   c@x")
            .structured("Long", &"\u{e4}".repeat(2000))
            .structured("Wide", &format!("a{}b", " ".repeat(2000)));
        let text = fields.as_str();
        assert!(text.starts_with("To: \"a  b\"@x,   c@x\r\n"));
        assert!(text.split("\r\n").all(|line| line.len() <= 998));
        let long = Headers::new(text.as_bytes()).find("Long");
        let long = long.map(|field| field.text().replace(' ', ""));
        assert_eq!(long, Some("\u{e4}".repeat(2000)));
    }
}
