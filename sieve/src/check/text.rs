//! Strings of a script: encoded characters (RFC 5228 §2.4.2.4), then variables (RFC 5229 §3).

use super::Checker;
use crate::ast::{Argument, Value};
use crate::capability::Capabilities;
use crate::diagnostic::DiagnosticKind;
use crate::matching::CAPTURES;
use crate::octets::Octets;
use crate::position::Span;
use crate::program::{List, Piece, Text, Variable};

/// The octets between `${` and `}` and the length of all.
///
/// A dollar sign within ends the search, since no reference holds one: many open braces stay linear.
fn reference(rest: &[u8]) -> Option<(&[u8], usize)> {
    let body = rest.strip_prefix(b"${")?;
    let end = memchr::memchr2(b'}', b'$', body)?;
    (body.get(end) == Some(&b'}')).then_some((body.get(..end)?, end + 3))
}

fn is_identifier(name: &[u8]) -> bool {
    name.first()
        .is_some_and(|c| c.is_ascii_alphabetic() || *c == b'_')
        && name.iter().all(|c| c.is_ascii_alphanumeric() || *c == b'_')
}

impl Checker<'_, '_> {
    /// Octets of a string with encoded characters resolved.
    fn decoded(&mut self, octets: &[u8], span: Span) -> Vec<u8> {
        if !self.enabled.contains("encoded-character")
            || memchr::memmem::find(octets, b"${").is_none()
        {
            return octets.to_vec();
        }
        let mut out = Vec::with_capacity(octets.len());
        let mut at = 0;
        while let Some(rest) = octets.get(at..).filter(|rest| !rest.is_empty()) {
            if let Some((body, length)) = reference(rest)
                && let Some(decoded) = self.encoded(body, span)
            {
                out.extend(decoded);
                at += length;
                continue;
            }
            out.extend(rest.first());
            at += 1;
        }
        out
    }

    /// `hex:` or `unicode:` and what it stands for; `None` leaves the text as it is.
    fn encoded(&mut self, body: &[u8], span: Span) -> Option<Vec<u8>> {
        let colon = memchr::memchr(b':', body)?;
        let (kind, digits) = body.split_at_checked(colon)?;
        let digits = digits.get(1..)?;
        let words = digits
            .split(|c| matches!(c, b' ' | b'\t' | b'\r' | b'\n'))
            .filter(|word| !word.is_empty());
        let mut out = Vec::new();
        let mut bad = None;
        let mut any = false;
        for word in words {
            any = true;
            if !word.iter().all(u8::is_ascii_hexdigit) {
                return None;
            }
            let text = std::str::from_utf8(word).ok()?;
            if kind.eq_ignore_ascii_case(b"hex") {
                if word.len() > 2 {
                    return None;
                }
                out.push(u8::from_str_radix(text, 16).ok()?);
            } else if kind.eq_ignore_ascii_case(b"unicode") {
                let trimmed = text.trim_start_matches('0');
                let value = if trimmed.len() > 8 {
                    None
                } else {
                    u32::from_str_radix(if trimmed.is_empty() { "0" } else { trimmed }, 16).ok()
                };
                match value.and_then(char::from_u32) {
                    Some(character) => {
                        out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes())
                    }
                    None => bad = Some(text.to_owned()),
                }
            } else {
                return None;
            }
        }
        if !any {
            return None;
        }
        // Only a well-formed sequence may be found out of range.
        if let Some(bad) = bad {
            self.sink.error_with(
                DiagnosticKind::Value,
                span,
                format!("`{bad}` is no Unicode character"),
                "allowed are 0 to D7FF and E000 to 10FFFF",
            );
        }
        Some(out)
    }

    /// Whether there may be encoded characters or variables in it: most scripts require neither.
    pub(super) fn may_expand(&self, octets: &[u8]) -> bool {
        const EXPANDING: Capabilities = Capabilities::of(&["variables", "encoded-character"]);
        self.enabled.meets(EXPANDING) && memchr::memchr(b'$', octets).is_some()
    }

    pub(super) fn octets(&mut self, octets: &[u8], span: Span) -> Text {
        if !self.may_expand(octets) {
            return Text::Literal(octets.into());
        }
        let octets = self.decoded(octets, span);
        if !self.enabled.contains("variables") || memchr::memmem::find(&octets, b"${").is_none() {
            return Text::Literal(octets.into());
        }
        let mut pieces = Vec::new();
        let mut literal = Vec::new();
        let mut at = 0;
        while let Some(rest) = octets.get(at..).filter(|rest| !rest.is_empty()) {
            if let Some((name, length)) = reference(rest)
                && let Some(piece) = self.piece(name, span)
            {
                if !literal.is_empty() {
                    pieces.push(Piece::Literal(std::mem::take(&mut literal).into()));
                }
                pieces.push(piece);
                at += length;
                continue;
            }
            literal.extend(rest.first());
            at += 1;
        }
        if pieces.is_empty() {
            return Text::Literal(literal.into());
        }
        if !literal.is_empty() {
            pieces.push(Piece::Literal(literal.into()));
        }
        Text::Expand(pieces.into())
    }

    /// What a name between braces refers to; `None` if it is no name.
    fn piece(&mut self, name: &[u8], span: Span) -> Option<Piece> {
        if !name.is_empty() && name.iter().all(u8::is_ascii_digit) {
            let number = std::str::from_utf8(name)
                .ok()?
                .parse::<usize>()
                .unwrap_or(usize::MAX);
            if number > CAPTURES {
                self.sink.error(
                    DiagnosticKind::Value,
                    span,
                    format!("match variables end at ${{{CAPTURES}}}"),
                );
            }
            return Some(Piece::Match(number));
        }
        let mut parts = name.split(|&c| c == b'.');
        let first = parts.next()?;
        if !is_identifier(first) {
            return None;
        }
        let rest: Vec<&[u8]> = parts.collect();
        if !rest.iter().all(|part| {
            is_identifier(part) || (!part.is_empty() && part.iter().all(u8::is_ascii_digit))
        }) {
            return None;
        }
        let lower = String::from_utf8_lossy(name).to_ascii_lowercase();
        if rest.is_empty() {
            return Some(match self.variable_named(&lower, span) {
                Variable::Local(slot) => Piece::Local(slot),
                Variable::Global(name) => Piece::Global(name),
            });
        }
        let inner = lower.split_once('.').map(|(_, inner)| inner.to_owned())?;
        if first.eq_ignore_ascii_case(b"global") && rest.len() == 1 {
            if !self.enabled.contains("include") {
                self.namespace_fault("global", "include", span);
            }
            return Some(Piece::Global(inner));
        }
        if first.eq_ignore_ascii_case(b"env") && rest.len() == 1 {
            if !self.enabled.contains("vnd.dovecot.environment") {
                self.namespace_fault("env", "vnd.dovecot.environment", span);
            }
            return Some(Piece::Environment(inner));
        }
        self.sink.error(
            DiagnosticKind::Value,
            span,
            format!(
                "there is no variable namespace `{}`",
                String::from_utf8_lossy(first)
            ),
        );
        Some(Piece::Literal(Octets::default()))
    }

    fn namespace_fault(&mut self, namespace: &str, capability: &str, span: Span) {
        self.sink.error_with(
            DiagnosticKind::NotRequired,
            span,
            format!("the variable namespace `{namespace}` needs the capability `{capability}`"),
            format!("add require \"{capability}\"; at the top"),
        );
    }

    fn variable_named(&mut self, lower: &str, span: Span) -> Variable {
        if self.globals.iter().any(|name| name == lower) {
            return Variable::Global(lower.to_owned());
        }
        let slot = self
            .locals
            .iter()
            .position(|name| name == lower)
            .unwrap_or_else(|| {
                self.locals.push(lower.to_owned());
                self.locals.len() - 1
            });
        if self.locals.len() == self.limits.variables + 1 && slot == self.limits.variables {
            self.sink.error(
                DiagnosticKind::Limit,
                span,
                format!("more than {} variables", self.limits.variables),
            );
        }
        Variable::Local(slot)
    }

    pub(super) fn text(&mut self, argument: &Argument) -> Text {
        match &argument.value {
            Value::Text(octets) => self.octets(octets, argument.span),
            _ => Text::Literal(Octets::default()),
        }
    }

    pub(super) fn list(&mut self, argument: &Argument) -> List {
        match &argument.value {
            Value::Text(octets) => List::One(self.octets(octets, argument.span)),
            Value::List(texts) => texts
                .iter()
                .map(|text| self.octets(&text.octets, text.span))
                .collect(),
            _ => List::default(),
        }
    }

    /// A string that must be constant: `what` names it in the fault.
    pub(super) fn constant(&mut self, argument: &Argument, what: &str) -> Option<Vec<u8>> {
        match self.text(argument) {
            Text::Literal(octets) => Some(octets.to_vec()),
            Text::Expand(_) => {
                self.sink.error(
                    DiagnosticKind::Value,
                    argument.span,
                    format!("{what} must be a constant string, without variables"),
                );
                None
            }
        }
    }

    /// A variable's name as an argument (RFC 5229 §4).
    pub(super) fn variable(&mut self, argument: &Argument) -> Option<Variable> {
        let Value::Text(octets) = &argument.value else {
            return None;
        };
        let octets = octets.clone();
        self.variable_from(&octets, argument.span)
    }

    pub(super) fn variable_from(&mut self, octets: &[u8], span: Span) -> Option<Variable> {
        let lower = String::from_utf8_lossy(octets).to_ascii_lowercase();
        if let Some(name) = lower.strip_prefix("global.")
            && is_identifier(name.as_bytes())
        {
            if !self.enabled.contains("include") {
                self.namespace_fault("global", "include", span);
            }
            return Some(Variable::Global(name.to_owned()));
        }
        if !is_identifier(octets) {
            let hint = if octets.iter().all(u8::is_ascii_digit) && !octets.is_empty() {
                "match variables cannot be set"
            } else {
                "a name is letters, digits and underscores and does not begin with a digit; no ${} around it"
            };
            self.sink.error_with(
                DiagnosticKind::Value,
                span,
                format!("`{}` is no variable name", String::from_utf8_lossy(octets)),
                hint,
            );
            return None;
        }
        Some(self.variable_named(&lower, span))
    }

    /// A header field name (RFC 5322 §2.2), if it is constant.
    pub(super) fn header_name(&mut self, text: &Text, span: Span) {
        if let Text::Literal(name) = text
            && !crate::lexer::is_field_name(name)
        {
            self.sink.warn(
                span,
                format!(
                    "`{}` can be no header field's name",
                    String::from_utf8_lossy(name)
                ),
                Some("names are written without colon or spaces".to_owned()),
            );
        }
    }
}
