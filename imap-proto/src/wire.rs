//! Where encoders write.

use bytes::{Bytes, BytesMut};

/// Literals from this size on are queued uncopied.
const COPY_BELOW: usize = 512;

/// Octets that most lines fit in.
const ROOM: usize = 512;

/// How strings and mailbox names are put on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dialect {
    /// UTF-8 in quoted strings and mailbox names (after `ENABLE IMAP4rev2`
    /// or `ENABLE UTF8=ACCEPT`); otherwise modified UTF-7 and literals.
    pub utf8: bool,
    /// Which literals the sender may use.
    pub literals: Literals,
}

/// Which literals a sender may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Literals {
    /// A server's: nobody waits for them.
    #[default]
    Server,
    /// A client's, each waits for `+` (RFC 9051 §4.3).
    Synchronizing,
    /// A client's under LITERAL-: up to 4,096 octets without waiting.
    Minus,
    /// A client's under LITERAL+ (RFC 7888).
    Plus,
}

impl Dialect {
    /// A server before anything is enabled.
    pub const SERVER: Self = Self {
        utf8: false,
        literals: Literals::Server,
    };
    /// A client before it knows what the server can do.
    pub const CLIENT: Self = Self {
        utf8: false,
        literals: Literals::Synchronizing,
    };
}

/// A place in the text where something else has to happen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Break {
    /// Offset in the text.
    pub(crate) at: usize,
    pub(crate) what: Hold,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Hold {
    /// Wait for the server's `+`.
    Continue,
    /// These octets come next.
    Octets(Bytes),
    /// That many octets come next, from the host.
    Stream(u64),
}

/// Writes terms behind `text`, remembers the breaks.
#[derive(Debug)]
pub(crate) struct Writer<'a> {
    pub(crate) text: &'a mut BytesMut,
    pub(crate) breaks: &'a mut Vec<Break>,
    pub(crate) dialect: Dialect,
}

impl Writer<'_> {
    #[inline]
    pub(crate) fn raw(&mut self, octets: &[u8]) {
        self.text.extend_from_slice(octets);
    }

    #[inline]
    pub(crate) fn str(&mut self, text: &str) {
        self.raw(text.as_bytes());
    }

    #[inline]
    pub(crate) fn byte(&mut self, octet: u8) {
        self.text.extend_from_slice(&[octet]);
    }

    #[inline]
    pub(crate) fn space(&mut self) {
        self.byte(b' ');
    }

    #[inline]
    pub(crate) fn number(&mut self, value: impl Into<u64>) {
        let value = value.into();
        match u32::try_from(value) {
            Ok(few) if few < 100_000_000 => {
                let (digits, len) = digits(few);
                self.short(&digits, len);
            }
            _ => self.long_number(value),
        }
    }

    /// A number of more than eight digits.
    #[inline(never)]
    fn long_number(&mut self, mut value: u64) {
        let mut digits = [0_u8; 20];
        let mut start = digits.len();
        for slot in digits.iter_mut().rev() {
            // One digit: it fits.
            *slot = b'0' | (value % 10) as u8;
            value /= 10;
            start -= 1;
            if value == 0 {
                break;
            }
        }
        self.raw(digits.get(start..).unwrap_or_default());
    }

    /// The first `len` of these octets. All are copied and some taken back:
    /// cheaper than copying a number that is not known beforehand.
    #[inline]
    pub(crate) fn short<const N: usize>(&mut self, octets: &[u8; N], len: u8) {
        let end = self.text.len() + usize::from(len);
        self.text.extend_from_slice(octets);
        self.text.truncate(end);
    }

    /// Items with a space between.
    #[inline]
    pub(crate) fn spaced<T>(
        &mut self,
        items: impl IntoIterator<Item = T>,
        mut item: impl FnMut(&mut Self, T),
    ) {
        for (index, one) in items.into_iter().enumerate() {
            if index > 0 {
                self.space();
            }
            item(self, one);
        }
    }

    /// `"(" items ")"`.
    #[inline]
    pub(crate) fn list<T>(
        &mut self,
        items: impl IntoIterator<Item = T>,
        item: impl FnMut(&mut Self, T),
    ) {
        self.byte(b'(');
        self.spaced(items, item);
        self.byte(b')');
    }

    /// `{n}` CRLF and the octets; `binary` makes it a literal8.
    pub(crate) fn literal(&mut self, octets: &Bytes, binary: bool) {
        self.announce(octets.len() as u64, binary);
        if octets.len() < COPY_BELOW {
            self.raw(octets);
        } else {
            self.hold(Hold::Octets(octets.clone()));
        }
    }

    /// `{n}` CRLF; the host sends the octets.
    pub(crate) fn stream(&mut self, size: u64, binary: bool) {
        self.announce(size, binary);
        if size > 0 {
            self.hold(Hold::Stream(size));
        }
    }

    fn announce(&mut self, size: u64, binary: bool) {
        let waits = match self.dialect.literals {
            Literals::Server | Literals::Plus => false,
            Literals::Synchronizing => true,
            Literals::Minus => size > 4096,
        };
        if binary {
            self.byte(b'~');
        }
        self.byte(b'{');
        self.number(size);
        if !waits && self.dialect.literals != Literals::Server {
            self.byte(b'+');
        }
        self.raw(b"}\r\n");
        if waits {
            self.hold(Hold::Continue);
        }
    }

    fn hold(&mut self, what: Hold) {
        self.breaks.push(Break {
            at: self.text.len(),
            what,
        });
    }
}

/// The digits of a number of eight at most, and how many they are.
///
/// All eight at once: halves, then pairs, then digits, each in an octet of a
/// word, the first the lowest.
#[inline]
fn digits(value: u32) -> ([u8; 8], u8) {
    const ZEROS: u64 = u64::from_le_bytes([b'0'; 8]);
    let halves = u64::from(value / 10_000) | u64::from(value % 10_000) << 32;
    // Products by these, shifted, are quotients by 100 of what is below 10,000
    // and by 10 of what is below 100.
    let hundreds = ((halves * 10_486) >> 20) & 0x0000_007f_0000_007f;
    let pairs = hundreds | (halves - hundreds * 100) << 16;
    let tens = ((pairs * 103) >> 10) & 0x000f_000f_000f_000f;
    let all = tens | (pairs - tens * 10) << 8;
    // A zero has one digit.
    let leading = (all.trailing_zeros() / 8).min(7);
    let digits = (all | ZEROS) >> (leading * 8);
    let len = u8::try_from(8 - leading).unwrap_or(8);
    (digits.to_le_bytes(), len)
}

/// Encodes into octets of its own; streamed literals are left as gaps.
pub(crate) fn to_vec(dialect: Dialect, encode: impl FnOnce(&mut Writer<'_>)) -> Vec<u8> {
    let mut text = BytesMut::with_capacity(ROOM);
    let mut breaks = Vec::new();
    encode(&mut Writer {
        text: &mut text,
        breaks: &mut breaks,
        dialect,
    });
    if breaks.is_empty() {
        return text.into();
    }
    let mut whole = Vec::with_capacity(text.len());
    let mut done = 0;
    for one in breaks {
        whole.extend_from_slice(text.get(done..one.at).unwrap_or_default());
        done = one.at;
        if let Hold::Octets(octets) = one.what {
            whole.extend_from_slice(&octets);
        }
    }
    whole.extend_from_slice(text.get(done..).unwrap_or_default());
    whole
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_what_the_standard_library_writes() {
        let near = |value: u64| value.saturating_sub(1_100)..value.saturating_add(1_100);
        let powers = (0..20).map(|power| 10_u64.pow(power));
        let steps = (0..100_000_000).step_by(99_991);
        let values = powers
            .flat_map(near)
            .chain(steps)
            .chain(near(u64::from(u32::MAX)))
            .chain([u64::MAX - 1, u64::MAX]);
        for value in values {
            let written = to_vec(Dialect::SERVER, |w| {
                w.number(value);
                w.byte(b')');
            });
            assert_eq!(written, format!("{value})").into_bytes());
        }
    }
}
