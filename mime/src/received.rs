//! `Received` fields, RFC 5321 §4.4 and RFC 5322 §3.6.7.

use std::borrow::Cow;

use crate::param::{comment, quoted};
use crate::{Date, charset, header};

/// A `Received` field: how a host got the message.
///
/// What it says is only worth as much as the host that wrote it: fields below the ones of hosts
/// that are trusted can be forged.
///
/// ```
/// let value = b"from foo.test (foo.test [192.0.2.1])\r\n\tby mx.test with ESMTPS id 4Zz\r\n\t\
///     for <jo@mx.test>; Fri, 21 Nov 1997 09:55:06 -0600";
/// let received = mime::Received::parse(value);
/// let from = received.from.unwrap();
/// assert_eq!(from.value, "foo.test");
/// assert_eq!(from.comment.unwrap(), "foo.test [192.0.2.1]");
/// assert_eq!(received.by.unwrap().value, "mx.test");
/// assert_eq!(received.with.unwrap().value, "ESMTPS");
/// assert_eq!(received.id.unwrap().value, "4Zz");
/// assert_eq!(received.recipient.unwrap().value, "jo@mx.test");
/// assert_eq!(received.date.unwrap().timestamp().as_second(), 880127706);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Received<'a> {
    /// `from`: the name the client gave; who it was is in the comment.
    pub from: Option<Clause<'a>>,
    /// `by`: the host that took the message.
    pub by: Option<Clause<'a>>,
    /// `via`: the link.
    pub via: Option<Clause<'a>>,
    /// `with`: the protocol, RFC 3848.
    pub with: Option<Clause<'a>>,
    /// `id`: what the host calls the message.
    pub id: Option<Clause<'a>>,
    /// `for`: the recipient, without angle brackets.
    pub recipient: Option<Clause<'a>>,
    /// When the message was taken.
    pub date: Option<Date>,
}

/// What follows one of the keywords of [`Received`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Clause<'a> {
    /// The words up to the next keyword, with single spaces between them.
    pub value: Cow<'a, str>,
    /// The first comment behind them.
    pub comment: Option<Cow<'a, str>>,
}

impl<'a> Received<'a> {
    /// Reads a field value, folds and all. Of clauses that come twice the first counts; what
    /// belongs to no keyword is passed over.
    pub fn parse(value: &'a [u8]) -> Self {
        let mut received = Self::default();
        // The clause being read, and whether it is new: nobody else's words are wanted.
        let mut clause: Option<(Keyword, Clause<'a>)> = None;
        let mut rest = value;
        loop {
            rest = rest.trim_ascii_start();
            match rest {
                [] | [b';', ..] => break,
                [b'(', inside @ ..] => {
                    let (inside, tail) = comment(inside);
                    rest = tail;
                    if let Some((_, clause)) = &mut clause {
                        let text = || text(inside.trim_ascii());
                        clause.comment.get_or_insert_with(text);
                    }
                }
                _ => {
                    let (word, tail) = word(rest);
                    rest = tail;
                    let filled = clause.as_ref().is_none_or(|(_, own)| !own.value.is_empty());
                    match (Keyword::from_word(&word).filter(|_| filled), &mut clause) {
                        (Some(keyword), _) => {
                            let new = (keyword, Clause::default());
                            received.keep(clause.replace(new));
                        }
                        (None, Some((_, clause))) => clause.push(word),
                        (None, None) => {}
                    }
                }
            }
        }
        received.keep(clause);
        received.date = header::trace_date(value);
        received
    }

    fn keep(&mut self, clause: Option<(Keyword, Clause<'a>)>) {
        let Some((keyword, clause)) = clause.filter(|(_, clause)| !clause.value.is_empty()) else {
            return;
        };
        let slot = match keyword {
            Keyword::From => &mut self.from,
            Keyword::By => &mut self.by,
            Keyword::Via => &mut self.via,
            Keyword::With => &mut self.with,
            Keyword::Id => &mut self.id,
            Keyword::For => &mut self.recipient,
        };
        slot.get_or_insert(clause);
    }
}

impl<'a> Clause<'a> {
    fn push(&mut self, word: Cow<'a, str>) {
        if self.value.is_empty() {
            self.value = word;
        } else {
            let value = self.value.to_mut();
            value.push(' ');
            value.push_str(&word);
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Keyword {
    From,
    By,
    Via,
    With,
    Id,
    For,
}

impl Keyword {
    fn from_word(word: &str) -> Option<Self> {
        [
            (Self::From, "from"),
            (Self::By, "by"),
            (Self::Via, "via"),
            (Self::With, "with"),
            (Self::Id, "id"),
            (Self::For, "for"),
        ]
        .into_iter()
        .find_map(|(keyword, name)| word.eq_ignore_ascii_case(name).then_some(keyword))
    }
}

/// One word: angle brackets around it are left out, quoted strings in it are kept as written.
fn word(text: &[u8]) -> (Cow<'_, str>, &[u8]) {
    let mut rest = text;
    loop {
        match rest {
            [] | [b' ' | b'\t' | b'\r' | b'\n' | b';' | b'(', ..] => break,
            [b'"', tail @ ..] => rest = quoted(tail).1,
            [_, tail @ ..] => rest = tail,
        }
    }
    let (word, _) = text.split_at(text.len() - rest.len());
    let inside = word
        .strip_prefix(b"<")
        .and_then(|word| word.strip_suffix(b">"));
    (self::text(inside.unwrap_or(word)), rest)
}

/// Without the line ends that a quoted string or comment may be folded with.
fn text(octets: &[u8]) -> Cow<'_, str> {
    let ends_lines = |byte: &u8| matches!(byte, b'\r' | b'\n' | b'\0');
    if !octets.iter().any(ends_lines) {
        return charset::guess(octets);
    }
    let octets: Vec<u8> = octets
        .iter()
        .copied()
        .filter(|byte| !ends_lines(byte))
        .collect();
    Cow::Owned(charset::guess(&octets).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(value: &str) -> String {
        let received = Received::parse(value.as_bytes());
        let clause = |clause: &Option<Clause<'_>>| match clause {
            None => "-".to_owned(),
            Some(Clause { value, comment }) => match comment {
                None => value.to_string(),
                Some(comment) => format!("{value}({comment})"),
            },
        };
        let Received {
            from,
            by,
            via,
            with,
            id,
            recipient,
            date,
        } = &received;
        let clauses = [from, by, via, with, id, recipient].map(clause);
        format!("{} {}", clauses.join("|"), u8::from(date.is_some()))
    }

    #[test]
    fn forms_of_the_wild() {
        for (value, shown) in [
            // RFC 5322, appendix A.4
            (
                "from x.y.test by example.net via TCP with ESMTP id ABC12345 for <mary@example.net>; 21 Nov 1997 10:05:43 -0600",
                "x.y.test|example.net|TCP|ESMTP|ABC12345|mary@example.net 1",
            ),
            (
                "from by (a;b (c)) by by with Microsoft SMTP Server\r\n (TLS) id 15.1; x",
                "by(a;b (c))|by|-|Microsoft SMTP Server(TLS)|15.1|- 0",
            ),
            (
                "(qmail 1 invoked by uid 0); 1 Jan 2020 00:00:00 -0000",
                "-|-|-|-|-|- 1",
            ),
            ("junk by a by b for \"x; y\"@z ;", "-|a|-|-|-|\"x; y\"@z 0"),
            ("from", "-|-|-|-|-|- 0"),
            ("from (never closed", "-|-|-|-|-|- 0"),
            ("", "-|-|-|-|-|- 0"),
        ] {
            assert_eq!(show(value), shown, "{value}");
        }
    }
}
