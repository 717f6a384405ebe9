use std::borrow::Cow;
use std::fmt::Write as _;
use std::hash::Hasher as _;

use memchr::memmem;

use super::Fields;
use crate::encoded_word::push_hex;
use crate::transfer;

/// A body with the header fields that describe it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entity {
    fields: Fields,
    body: Vec<u8>,
}

/// What octets a body has, for its `Content-Transfer-Encoding`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Domain {
    SevenBit,
    EightBit,
    Binary,
}

impl Domain {
    fn of(body: &[u8]) -> Self {
        let long = body
            .split(|&byte| byte == b'\n')
            .any(|line| line.len() > 998 + 1);
        if long || body.contains(&0) {
            Self::Binary
        } else if body.is_ascii() {
            Self::SevenBit
        } else {
            Self::EightBit
        }
    }

    /// To be said of a part that must not be encoded; 7bit goes without saying.
    fn describe(self, fields: &mut Fields) {
        match self {
            Self::SevenBit => {}
            Self::EightBit => {
                fields.structured("Content-Transfer-Encoding", "8bit");
            }
            Self::Binary => {
                fields.structured("Content-Transfer-Encoding", "binary");
            }
        }
    }
}

impl Entity {
    /// A text/plain part in UTF-8, quoted-printable if it needs that.
    pub fn text(text: &str) -> Self {
        Self::encoded_text("plain", text)
    }

    /// A text/html part in UTF-8, quoted-printable if it needs that.
    pub fn html(text: &str) -> Self {
        Self::encoded_text("html", text)
    }

    fn encoded_text(subtype: &str, text: &str) -> Self {
        let mut fields = Fields::new();
        let ascii = text.is_ascii();
        let charset = if ascii { "us-ascii" } else { "utf-8" };
        fields.structured(
            "Content-Type",
            &format!("text/{subtype}; charset={charset}"),
        );
        let safe = |line: &[u8]| {
            line.len() <= 78
                && !line.starts_with(b"From ")
                && !line.starts_with(b".")
                && !line.ends_with(b" ")
                && line.iter().all(|byte| matches!(byte, b' '..=b'~' | b'\t'))
        };
        let lines = to_crlf(text.as_bytes());
        let plain = lines
            .split(|&byte| byte == b'\n')
            .all(|line| safe(line.strip_suffix(b"\r").unwrap_or(line)));
        let body = if plain {
            lines.into_owned()
        } else {
            fields.structured("Content-Transfer-Encoding", "quoted-printable");
            transfer::encode_quoted_printable(text.as_bytes()).into_bytes()
        };
        Self { fields, body }
    }

    /// An attachment in base64. The file name is written as RFC 2231 has it if it is not ASCII.
    pub fn attachment(media_type: &str, file_name: &str, content: &[u8]) -> Self {
        let mut fields = Fields::new();
        let mut disposition = String::from("attachment");
        push_parameter(&mut disposition, "filename", file_name);
        fields
            .structured("Content-Type", media_type)
            .structured("Content-Disposition", &disposition)
            .structured("Content-Transfer-Encoding", "base64");
        Self {
            fields,
            body: transfer::encode_base64(content).into_bytes(),
        }
    }

    /// A part that must stay as it is (message/rfc822, message/delivery-status, text/rfc822-headers:
    /// RFC 2046 §5.2.1 and RFC 6522 §3 forbid encoding). LF is made CRLF.
    pub fn verbatim(media_type: &str, body: &[u8]) -> Self {
        let mut fields = Fields::new();
        let body = to_crlf(body).into_owned();
        fields.structured("Content-Type", media_type);
        Domain::of(&body).describe(&mut fields);
        Self { fields, body }
    }

    /// A part that comes with its own header, as Sieve's `vacation :mime` has it (RFC 5230 §4.2).
    /// Of the header only the `Content-*` fields are taken.
    pub fn from_octets(entity: &[u8]) -> Self {
        let headers = crate::Headers::new(entity);
        let body = to_crlf(headers.body()).into_owned();
        let mut fields = Fields::new();
        for field in headers {
            let is_content = field
                .name()
                .get(..8)
                .is_some_and(|name| name.eq_ignore_ascii_case("Content-"));
            if is_content {
                fields.structured(field.name(), &crate::charset::guess(&field.unfolded()));
            }
        }
        Self { fields, body }
    }

    /// A multipart of these parts. `parameters` go behind the subtype: `report; report-type=x`.
    ///
    /// The boundary is made from the parts and tried against them: none of their lines begins with
    /// it, whatever they contain.
    pub fn multipart(subtype: &str, parts: &[Self]) -> Self {
        let boundary = boundary(parts);
        let mut fields = Fields::new();
        fields.structured(
            "Content-Type",
            &format!("multipart/{subtype}; boundary=\"{boundary}\""),
        );
        let domain = parts.iter().map(|part| Domain::of(&part.body)).max();
        domain.unwrap_or(Domain::SevenBit).describe(&mut fields);
        let mut body = Vec::new();
        for part in parts {
            body.extend_from_slice(format!("--{boundary}\r\n").as_bytes());
            body.extend_from_slice(part.fields.as_str().as_bytes());
            body.extend_from_slice(b"\r\n");
            body.extend_from_slice(&part.body);
            body.extend_from_slice(b"\r\n");
        }
        body.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
        Self { fields, body }
    }

    /// The fields that describe the body, to add others.
    pub fn fields_mut(&mut self) -> &mut Fields {
        &mut self.fields
    }

    /// The encoded body.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// The whole message: these fields, `MIME-Version`, the entity's own fields, its body.
    pub fn into_message(self, mut fields: Fields) -> Vec<u8> {
        fields
            .structured("MIME-Version", "1.0")
            .append(&self.fields);
        let mut message = fields.as_str().as_bytes().to_vec();
        message.extend_from_slice(b"\r\n");
        message.extend_from_slice(&self.body);
        message
    }
}

/// A boundary that no line of the parts begins with. It contains `=_`, which neither
/// quoted-printable nor base64 text can (RFC 2045 §6.7).
fn boundary(parts: &[Entity]) -> String {
    let mut hasher = std::hash::DefaultHasher::new();
    for part in parts {
        hasher.write(part.fields.as_str().as_bytes());
        hasher.write(&part.body);
    }
    loop {
        let boundary = format!("=_{:016x}", hasher.finish());
        let finder = memmem::Finder::new(&boundary);
        let taken = |part: &Entity| {
            finder.find(&part.body).is_some() || part.fields.as_str().contains(&boundary)
        };
        if !parts.iter().any(taken) {
            return boundary;
        }
        hasher.write_u8(0);
    }
}

/// Octets of a parameter's value in one piece; a longer value is continued as RFC 2231 §3 has it,
/// so that no line is too long for SMTP.
const PIECE: usize = 60;

/// Appends a parameter: plain, quoted, or in RFC 2231 form if it is not ASCII or long.
fn push_parameter(out: &mut String, name: &str, value: &str) {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$&+-.^_`{|}~".contains(&byte);
    let ascii = value.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    let mut pieces = Vec::new();
    let mut rest = value;
    while rest.len() > PIECE {
        let (piece, tail) = rest.split_at(rest.floor_char_boundary(PIECE));
        pieces.push(piece);
        rest = tail;
    }
    pieces.push(rest);
    for (number, piece) in pieces.iter().enumerate() {
        let segment = if pieces.len() > 1 {
            format!("*{number}")
        } else {
            String::new()
        };
        let _ = write!(out, "; {name}{segment}");
        if !ascii {
            out.push_str(if number == 0 { "*=utf-8''" } else { "*=" });
            for byte in piece.bytes() {
                if is_token(byte) {
                    out.push(byte.into());
                } else {
                    out.push('%');
                    push_hex(byte, out);
                }
            }
        } else if !piece.is_empty() && piece.bytes().all(is_token) {
            let _ = write!(out, "={piece}");
        } else {
            let escaped = piece.replace('\\', "\\\\").replace('"', "\\\"");
            let _ = write!(out, "=\"{escaped}\"");
        }
    }
}

/// The text with LF made CRLF where CR is missing. IMAP and SMTP know only CRLF.
pub fn to_crlf(text: &[u8]) -> Cow<'_, [u8]> {
    let mut out = Vec::new();
    let mut copied = 0;
    for at in memchr::memchr_iter(b'\n', text) {
        let bare = at.checked_sub(1).and_then(|before| text.get(before)) != Some(&b'\r');
        if bare {
            if out.is_empty() {
                out.reserve(text.len() + text.len() / 16);
            }
            out.extend_from_slice(text.get(copied..at).unwrap_or_default());
            out.push(b'\r');
            copied = at;
        }
    }
    if copied == 0 && out.is_empty() {
        return Cow::Borrowed(text);
    }
    out.extend_from_slice(text.get(copied..).unwrap_or_default());
    Cow::Owned(out)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::{Kind, Structure};

    #[test]
    fn what_was_built_reads_back() {
        let original = b"Subject: x\n\nbody \xff\n--=_0000\n";
        let parts = [
            Entity::text("From me\n.\nGr\u{fc}n "),
            Entity::html("<p>x"),
            Entity::attachment("image/png", "B\u{e4}r 1.png", &[0, 1, 255]),
            Entity::verbatim("message/rfc822", original),
        ];
        let message = Entity::multipart("mixed", &parts).into_message(Fields::new());
        let structure = Structure::parse(&message);
        assert_eq!(structure.root().kind(), Kind::Multipart);
        assert_eq!(structure.root().encoding(), crate::Encoding::EightBit);
        let decoded = |number| {
            let part = structure.find(&[number]).unwrap();
            part.encoding()
                .decode(part.body().of(&message))
                .into_owned()
        };
        assert_eq!(decoded(1), "From me\r\n.\r\nGr\u{fc}n ".as_bytes());
        assert_eq!(decoded(2), b"<p>x");
        assert_eq!(decoded(3), [0, 1, 255]);
        assert_eq!(
            structure.find(&[3]).unwrap().file_name().unwrap(),
            "B\u{e4}r 1.png"
        );
        assert_eq!(decoded(4), *to_crlf(original));
        assert_eq!(structure.find(&[4]).unwrap().kind(), Kind::Message);
    }

    #[test]
    fn boundaries_do_not_collide() {
        let inner = [Entity::text("x")];
        let first = boundary(&inner);
        let hostile = [
            Entity::text("x"),
            Entity::verbatim("text/plain", format!("--{first}").as_bytes()),
        ];
        assert_ne!(boundary(&hostile), first);
        let once = Entity::multipart("mixed", &inner);
        let twice = Entity::multipart("mixed", std::slice::from_ref(&once));
        let message = twice.into_message(Fields::new());
        assert_eq!(Structure::parse(&message).parts().count(), 3);
    }

    #[test]
    fn line_ends() {
        assert!(matches!(to_crlf(b"a\r\nb\r"), Cow::Borrowed(_)));
        assert_eq!(*to_crlf(b"\na\r\n\nb"), *b"\r\na\r\n\r\nb");
    }

    #[test]
    fn parameters_of_all_forms() {
        let long = [
            "x".repeat(3000),
            "\u{e4} \"".repeat(500),
            " \"\\".repeat(500),
        ];
        let short = ["a.png", "a b.png", "a  b\"\\c", "\u{e4}", ""];
        for name in short.into_iter().chain(long.iter().map(String::as_str)) {
            let entity = Entity::attachment("a/b", name, b"");
            let message = entity.into_message(Fields::new());
            assert!(
                message
                    .split(|&byte| byte == b'\n')
                    .all(|line| line.len() <= 998)
            );
            assert_eq!(Structure::parse(&message).root().file_name().unwrap(), name);
        }
    }
}
