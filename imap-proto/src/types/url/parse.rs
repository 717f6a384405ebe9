//! URLs as they are read.

use super::percent::{Class, decode};
use super::{Form, ImapUrl, UrlAccess, UrlAuthorization, UrlPartial, UrlParts, UrlServer};
use crate::cursor::{Cursor, Parsed};
use crate::types::{Mailbox, Section};
use crate::{ParseError, ParseErrorKind};

/// Longest URL; what a line can hold is longer.
const LONGEST: usize = 8192;

pub(super) fn parse(text: &str) -> Result<ImapUrl, ParseError> {
    if text.len() > LONGEST {
        return Err(Cursor::error_at(ParseErrorKind::Count, LONGEST));
    }
    let mut c = Cursor::new(text.as_bytes());
    let mut parts = UrlParts::default();
    let form = if c.eat_text("imap://") || c.eat_text("//") {
        parts.server = Some(server(&mut c)?);
        Form::Absolute
    } else {
        match c.peek() {
            Some(b'/') => Form::Rooted,
            _ => Form::Relative,
        }
    };
    let rooted = c.eat(b'/');
    if c.is_end() || form == Form::Absolute && !rooted {
        c.end()?;
        return Ok(finish(text, parts, form));
    }
    path(&mut c, &mut parts, form)?;
    parts.authorization = authorization(&mut c)?;
    c.end()?;
    if !parts.belong_together() {
        let conflict = ParseErrorKind::Conflict("parts that do not belong together");
        return Err(Cursor::error_at(conflict, 0));
    }
    Ok(finish(text, parts, form))
}

fn finish(text: &str, parts: UrlParts, form: Form) -> ImapUrl {
    ImapUrl {
        text: text.into(),
        parts,
        form,
    }
}

/// The octets of the class and of percent-encoding that come next.
fn raw<'a>(c: &mut Cursor<'a>, class: Class) -> Parsed<&'a str> {
    let at = c.at();
    let rest = c.rest();
    let end = rest
        .iter()
        .position(|octet| !class.holds(*octet) && *octet != b'%');
    let taken = rest.get(..end.unwrap_or(rest.len())).unwrap_or_default();
    c.set_at(at + taken.len());
    std::str::from_utf8(taken).map_err(|_| Cursor::error_at(ParseErrorKind::Octets, at))
}

fn decoded(text: &str, at: usize) -> Parsed<String> {
    decode(text).ok_or(Cursor::error_at(ParseErrorKind::Octets, at))
}

/// One or more octets of the class, decoded.
fn some(c: &mut Cursor<'_>, class: Class, name: &'static str) -> Parsed<String> {
    let at = c.at();
    match raw(c, class)? {
        "" => c.expected(name),
        text => decoded(text, at),
    }
}

/// `[iuserinfo "@"] host [":" port]`.
fn server(c: &mut Cursor<'_>) -> Parsed<UrlServer> {
    let rest = c.rest();
    let end = rest.iter().position(|octet| matches!(octet, b'/' | b'?'));
    let authority = rest.get(..end.unwrap_or(rest.len())).unwrap_or_default();
    let (mut user, mut mechanism) = (None, None);
    if authority.contains(&b'@') {
        if c.peek() != Some(b';') {
            user = Some(some(c, Class::User, "a user")?);
        }
        if c.eat_text(";AUTH=") {
            mechanism = Some(some(c, Class::User, "a mechanism")?);
        }
        c.expect(b'@', "\"@\"")?;
    }
    let at = c.at();
    let host = match c.peek() {
        Some(b'[') => {
            let close = c.rest().iter().position(|octet| *octet == b']');
            let len = close.map_or(0, |close| close + 1);
            let address = c.rest().get(..len).unwrap_or_default();
            c.set_at(at + len);
            let fits = |octet: &u8| octet.is_ascii_hexdigit() || b"[]:.".contains(octet);
            address.iter().all(fits).then_some(address)
        }
        _ => {
            let octet = |octet: &u8| octet.is_ascii_alphanumeric() || b"-._~".contains(octet);
            let rest = c.rest();
            let len = rest
                .iter()
                .position(|one| !octet(one))
                .unwrap_or(rest.len());
            c.set_at(at + len);
            rest.get(..len)
        }
    };
    let host = host.filter(|host| !host.is_empty());
    let host = host.ok_or(Cursor::error_at(ParseErrorKind::Expected("a host"), at))?;
    let port = if c.eat(b':') {
        let at = c.at();
        let port = u16::try_from(c.number()?);
        Some(port.map_err(|_| Cursor::error_at(ParseErrorKind::Number, at))?)
    } else {
        None
    };
    Ok(UrlServer {
        user,
        mechanism,
        host: String::from_utf8_lossy(host).into_owned(),
        port,
    })
}

/// `icommand`, or a part of it in a relative URL.
fn path(c: &mut Cursor<'_>, parts: &mut UrlParts, form: Form) -> Parsed<()> {
    let at = c.at();
    let name = raw(c, Class::Path)?;
    // The last slash belongs to `iuid`.
    let has_uid = eat_behind(c, name, ";UID=");
    let name = name.strip_suffix('/').filter(|_| has_uid).unwrap_or(name);
    // `path-noscheme`: what has a colon in front names a scheme.
    let first = name.split('/').next().unwrap_or_default();
    if form == Form::Relative && first.contains(':') {
        return Err(Cursor::error_at(ParseErrorKind::Expected("imap://"), at));
    }
    if !name.is_empty() {
        let decoded = decoded(name, at)?;
        let mailbox = Mailbox::new(&decoded);
        parts.mailbox =
            Some(mailbox.map_err(|_| Cursor::error_at(ParseErrorKind::MailboxName, at))?);
    } else if form != Form::Relative {
        return Err(Cursor::error_at(ParseErrorKind::Expected("a mailbox"), at));
    }
    if has_uid {
        parts.uid = Some(c.nz_number()?);
        return inside(c, parts, b'/');
    }
    if parts.mailbox.is_none() {
        return inside_first(c, parts);
    }
    if c.eat_text(";UIDVALIDITY=") {
        parts.uid_validity = Some(c.nz_number()?);
    }
    if c.eat(b'?') {
        parts.search = Some(some(c, Class::Path, "a search")?);
        return Ok(());
    }
    if c.eat_text("/;UID=") {
        parts.uid = Some(c.nz_number()?);
        return inside(c, parts, b'/');
    }
    Ok(())
}

/// Takes `text` if it is next, and a slash before it or nothing.
fn eat_behind(c: &mut Cursor<'_>, before: &str, text: &str) -> bool {
    (before.is_empty() || before.ends_with('/')) && c.eat_text(text)
}

/// `[isection] [ipartial]`.
fn inside(c: &mut Cursor<'_>, parts: &mut UrlParts, slash: u8) -> Parsed<()> {
    let at = c.at();
    if c.eat(slash) && c.peek() == Some(b';') {
        return inside_first(c, parts);
    }
    c.set_at(at);
    Ok(())
}

/// `isection-only ["/" ipartial-only] / ipartial-only`.
fn inside_first(c: &mut Cursor<'_>, parts: &mut UrlParts) -> Parsed<()> {
    if c.eat_text(";SECTION=") {
        let at = c.at();
        let text = raw(c, Class::Path)?;
        let has_partial = text.ends_with('/') && c.eat_text(";PARTIAL=");
        let text = text
            .strip_suffix('/')
            .filter(|_| has_partial)
            .unwrap_or(text);
        parts.section = Some(section(&decoded(text, at)?, at)?);
        if has_partial {
            parts.partial = Some(partial(c)?);
        }
        return Ok(());
    }
    c.expect_text(";PARTIAL=")?;
    parts.partial = Some(partial(c)?);
    Ok(())
}

fn section(text: &str, at: usize) -> Parsed<Section> {
    let expected = Cursor::error_at(ParseErrorKind::Expected("a section"), at);
    let text = format!("[{text}]");
    let mut c = Cursor::new(text.as_bytes());
    let section = Section::parse(&mut c).map_err(|_| expected.clone())?;
    match c.is_end() && section != Section::default() {
        true => Ok(section),
        false => Err(expected),
    }
}

/// `number ["." nz-number]`.
fn partial(c: &mut Cursor<'_>) -> Parsed<UrlPartial> {
    let first = c.number64()?;
    let mut length = None;
    if c.eat(b'.') {
        let at = c.at();
        let number = std::num::NonZeroU64::new(c.number64()?);
        length = Some(number.ok_or(Cursor::error_at(ParseErrorKind::Number, at))?);
    }
    Ok(UrlPartial { first, length })
}

/// `[expire] ";URLAUTH=" access [":" mechanism ":" enc-urlauth]`.
fn authorization(c: &mut Cursor<'_>) -> Parsed<Option<UrlAuthorization>> {
    let mut expire = None;
    if c.eat_text(";EXPIRE=") {
        expire = Some(date_time(c)?);
    } else if c.is_end() {
        return Ok(None);
    }
    c.expect_text(";URLAUTH=")?;
    let access = if c.eat_text("submit+") {
        UrlAccess::Submit(some(c, Class::User, "a user")?)
    } else if c.eat_text("user+") {
        UrlAccess::User(some(c, Class::User, "a user")?)
    } else if c.eat_text("authuser") {
        UrlAccess::AuthUser
    } else if c.eat_text("anonymous") {
        UrlAccess::Anonymous
    } else {
        return c.expected("an access identifier");
    };
    let mut verifier = None;
    if c.eat(b':') {
        let mechanism = word(c, |octet| {
            octet.is_ascii_alphanumeric() || b"-.".contains(&octet)
        });
        c.expect(b':', "\":\"")?;
        let at = c.at();
        let token = word(c, |octet| octet.is_ascii_hexdigit());
        if mechanism.is_empty() || token.len() < 32 {
            return Err(Cursor::error_at(ParseErrorKind::Expected("a token"), at));
        }
        verifier = Some((mechanism.to_ascii_uppercase(), token));
    }
    Ok(Some(UrlAuthorization {
        expire,
        access,
        verifier,
    }))
}

fn word(c: &mut Cursor<'_>, fits: impl Fn(u8) -> bool) -> String {
    let mut word = String::new();
    while let Some(octet) = c.peek().filter(|octet| fits(*octet)) {
        word.push(char::from(octet));
        c.set_at(c.at() + 1);
    }
    word
}

/// `date-time` of RFC 3339: its form, not whether a calendar has it.
fn date_time(c: &mut Cursor<'_>) -> Parsed<String> {
    let at = c.at();
    let text = word(c, |octet| {
        octet.is_ascii_alphanumeric() || b"-+:.".contains(&octet)
    });
    let (date, time) = text.split_at_checked(10).unwrap_or_default();
    let is_digits = |text: &str, form: &str| {
        let fits = |(octet, form): (u8, u8)| match form {
            b'0' => octet.is_ascii_digit(),
            form => octet.eq_ignore_ascii_case(&form),
        };
        text.len() == form.len() && text.bytes().zip(form.bytes()).all(fits)
    };
    let (clock, rest) = time.split_at_checked(9).unwrap_or_default();
    let zone = match rest.strip_prefix('.') {
        Some(fraction) => fraction.trim_start_matches(|one: char| one.is_ascii_digit()),
        None => rest,
    };
    let zone_fits = is_digits(zone, "Z") || is_digits(zone, "+00:00") || is_digits(zone, "-00:00");
    if is_digits(date, "0000-00-00") && is_digits(clock, "T00:00:00") && zone_fits {
        return Ok(text);
    }
    Err(Cursor::error_at(ParseErrorKind::Date, at))
}
