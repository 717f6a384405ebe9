//! Content transfer encodings, RFC 2045 §6.

mod base64;
mod quoted_printable;

use std::borrow::Cow;

pub use base64::{Base64Encoder, decode_base64, encode_base64};
pub use quoted_printable::{decode_quoted_printable, encode_quoted_printable};

/// A content transfer encoding, RFC 2045 §6.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// `7bit`: lines of ASCII.
    SevenBit,
    /// `8bit`: lines of octets.
    EightBit,
    /// `binary`: any octets.
    Binary,
    /// `quoted-printable`, §6.7.
    QuotedPrintable,
    /// `base64`, §6.8.
    Base64,
    /// Another one: the part is to be treated as application/octet-stream (§6.4).
    Unknown,
}

impl Encoding {
    /// The encoding with this name; comments and case do not matter.
    pub fn parse(value: &str) -> Self {
        let value = crate::param::skip_cfws(value.as_bytes());
        let end = value
            .iter()
            .position(|byte| matches!(byte, b' ' | b'\t' | b'(' | b';'));
        let (name, _) = value.split_at(end.unwrap_or(value.len()));
        for (encoding, known) in [
            (Self::SevenBit, "7bit"),
            (Self::EightBit, "8bit"),
            (Self::Binary, "binary"),
            (Self::QuotedPrintable, "quoted-printable"),
            (Self::Base64, "base64"),
        ] {
            if name.eq_ignore_ascii_case(known.as_bytes()) {
                return encoding;
            }
        }
        if name.is_empty() {
            return Self::SevenBit;
        }
        Self::Unknown
    }

    pub(crate) fn is_base64(self) -> bool {
        self == Self::Base64
    }

    /// Decodes a whole body. Octets that have no place in the encoding are left out (base64) or
    /// kept as they are (quoted-printable), as RFC 2045 §6.7 and §6.8 advise.
    ///
    /// ```
    /// use mime::Encoding;
    /// assert_eq!(*Encoding::Base64.decode(b"SGVs\r\nbG8="), *b"Hello");
    /// assert_eq!(*Encoding::QuotedPrintable.decode(b"caf=C3=A9 =\r\n!"), *"café !".as_bytes());
    /// ```
    pub fn decode<'a>(self, body: &'a [u8]) -> Cow<'a, [u8]> {
        match self {
            Self::Base64 => Cow::Owned(decode_base64(body)),
            Self::QuotedPrintable => Cow::Owned(decode_quoted_printable(body)),
            _ => Cow::Borrowed(body),
        }
    }

    /// A decoder for a body that comes in pieces.
    pub fn decoder(self) -> Decoder {
        Decoder {
            inner: match self {
                Self::Base64 => Inner::Base64(base64::Decoder::default()),
                Self::QuotedPrintable => {
                    Inner::QuotedPrintable(quoted_printable::Decoder::default())
                }
                _ => Inner::Identity,
            },
        }
    }
}

/// Decodes a body that comes in pieces of any size; memory does not depend on its length.
///
/// ```
/// let mut decoder = mime::Encoding::Base64.decoder();
/// let mut out = Vec::new();
/// decoder.feed(b"SGVsb", &mut out);
/// decoder.feed(b"G8=", &mut out);
/// decoder.finish(&mut out);
/// assert_eq!(out, b"Hello");
/// ```
#[derive(Clone, Debug)]
pub struct Decoder {
    inner: Inner,
}

#[derive(Clone, Debug)]
enum Inner {
    Identity,
    Base64(base64::Decoder),
    QuotedPrintable(quoted_printable::Decoder),
}

impl Decoder {
    /// Decodes `text` and appends the outcome to `out`.
    pub fn feed(&mut self, text: &[u8], out: &mut Vec<u8>) {
        match &mut self.inner {
            Inner::Identity => out.extend_from_slice(text),
            Inner::Base64(decoder) => decoder.feed(text, out),
            Inner::QuotedPrintable(decoder) => decoder.feed(text, out),
        }
    }

    /// Ends the body.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        match &mut self.inner {
            Inner::Identity => {}
            Inner::Base64(decoder) => decoder.finish(out),
            Inner::QuotedPrintable(decoder) => decoder.finish(out),
        }
    }
}
