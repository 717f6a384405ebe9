//! The header fields that mbox keeps its state in. They are never part of a message in wire form.

use std::fmt::Write as _;

use crate::flags::Flags;

/// Fields that are left out of messages, coming in and going out.
const HIDDEN: [&[u8]; 8] = [
    b"status",
    b"x-status",
    b"x-keywords",
    b"x-uid",
    b"x-imapbase",
    b"x-imap",
    b"x-delivery-id",
    b"content-length",
];

/// Room for keywords, so that most changes of flags fit.
const KEYWORD_ROOM: usize = 64;

/// The name of a header line's field in small letters; `None` for continuation lines and what is no field.
pub(super) fn field(line: &[u8]) -> Option<Vec<u8>> {
    let colon = memchr::memchr(b':', line)?;
    let name = line.get(..colon)?;
    (!name.is_empty() && name.iter().all(u8::is_ascii_graphic)).then(|| name.to_ascii_lowercase())
}

/// Whether it is the field of [`Meta::base`].
pub(super) fn is_base(field: &[u8]) -> bool {
    matches!(field, b"x-imapbase" | b"x-imap")
}

pub(super) fn is_hidden(field: &[u8]) -> bool {
    HIDDEN.contains(&field)
}

/// State of one message, as its header tells it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Meta {
    /// 0: none yet.
    pub(super) uid: u32,
    pub(super) flags: Flags,
    pub(super) keywords: Vec<String>,
    /// `X-IMAPbase`: UIDVALIDITY, last UID.
    pub(super) base: Option<(u32, u32)>,
    /// The keywords named there; Dovecot believes no others.
    pub(super) listed: Vec<String>,
    pub(super) delivery: Option<String>,
}

impl Meta {
    /// Takes a hidden field in.
    pub(super) fn read(&mut self, field: &[u8], value: &str) {
        let value = value.trim();
        match field {
            b"x-uid" => self.uid = value.parse().unwrap_or(0),
            b"status" if value.contains('R') => self.flags |= Flags::SEEN,
            b"x-status" => {
                for (letter, flag) in STATUS {
                    if value.contains(letter) {
                        self.flags |= flag;
                    }
                }
            }
            b"x-keywords" => {
                self.keywords = value.split_ascii_whitespace().map(str::to_owned).collect()
            }
            field if is_base(field) => {
                let mut words = value.split_ascii_whitespace();
                let mut number = || words.next().and_then(|word| word.parse().ok());
                if let (Some(validity), Some(last)) = (number(), number())
                    && validity > 0
                {
                    self.base = Some((validity, last));
                    self.listed = words.map(str::to_owned).collect();
                }
            }
            b"x-delivery-id" => self.delivery = Some(value.to_owned()),
            _ => {}
        }
    }

    /// The fields as lines. All but the keywords have a fixed width, and those are padded to `width` octets of
    /// line, so that a change of flags puts no line end elsewhere.
    pub(super) fn write(&self, width: usize) -> String {
        let mut out = String::new();
        if self.base.is_some() {
            let width = self.base_line(0).len() + KEYWORD_ROOM;
            let _ = writeln!(out, "{}", self.base_line(width));
        }
        if let Some(id) = &self.delivery {
            let _ = writeln!(out, "X-Delivery-ID: {id}");
        }
        let _ = writeln!(out, "X-UID: {:010}", self.uid);
        out.push_str(&self.flag_lines(width));
        out
    }

    /// The first message's line of UIDVALIDITY, last UID and all keywords, padded to `width` octets.
    pub(super) fn base_line(&self, width: usize) -> String {
        let (validity, last) = self.base.unwrap_or_default();
        let mut line = format!("X-IMAPbase: {validity:010} {last:010}");
        for keyword in &self.listed {
            let _ = write!(line, " {keyword}");
        }
        format!("{line:<width$}")
    }

    /// The lines that a change of flags touches.
    pub(super) fn flag_lines(&self, width: usize) -> String {
        let seen = if self.flags.contains(Flags::SEEN) {
            "RO"
        } else {
            "O "
        };
        let status: String = STATUS
            .iter()
            .map(|(letter, flag)| {
                if self.flags.contains(*flag) {
                    *letter
                } else {
                    ' '
                }
            })
            .collect();
        let keywords = format!("X-Keywords: {}", self.keywords.join(" "));
        format!("Status: {seen}\nX-Status: {status}\n{keywords:<width$}\n")
    }

    /// Width of the keywords' line in a new message.
    pub(super) fn width(&self) -> usize {
        let length: usize = self.keywords.iter().map(|keyword| keyword.len() + 1).sum();
        "X-Keywords: ".len() + KEYWORD_ROOM.max(length + KEYWORD_ROOM / 2)
    }
}

const STATUS: [(char, Flags); 4] = [
    ('A', Flags::ANSWERED),
    ('F', Flags::FLAGGED),
    ('T', Flags::DRAFT),
    ('D', Flags::DELETED),
];

/// Octets of `Status: RO\nX-Status: AFTD\n`.
pub(super) const STATUS_OCTETS: usize = 26;
/// Octets of `X-UID: 0000000000\n`.
pub(super) const UID_OCTETS: usize = 18;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_keep_their_widths() {
        let mut meta = Meta {
            uid: 12,
            flags: Flags::SEEN | Flags::DELETED,
            ..Meta::default()
        };
        let lines = meta.write(30);
        assert_eq!(
            lines,
            "X-UID: 0000000012\nStatus: RO\nX-Status:    D\nX-Keywords:                   \n"
        );
        meta.keywords = vec!["Junk".to_owned(), "$Forwarded".to_owned()];
        meta.flags = Flags::NONE;
        assert_eq!(meta.write(30).len(), lines.len());
        assert_eq!("X-UID: 0000000000\n".len(), UID_OCTETS);
        assert!(
            lines
                .get(UID_OCTETS + STATUS_OCTETS..)
                .unwrap()
                .starts_with("X-Keywords")
        );
        let mut back = Meta::default();
        for line in meta.write(40).lines() {
            let name = field(line.as_bytes()).unwrap();
            assert!(is_hidden(&name));
            back.read(&name, line.split_once(':').unwrap().1);
        }
        assert_eq!(back, meta);
    }
}
