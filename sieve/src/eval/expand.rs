//! Strings, variables and flags at run time.

use std::borrow::Cow;

use super::spend::{FIELD, LIST};
use super::{Evaluation, Fault};
use crate::program::{List, Modifier, Piece, Text, Variable};

impl Evaluation<'_> {
    /// The string with its variables filled in, cut at the limit (RFC 5229 §6).
    pub(super) fn expand<'t>(&self, text: &'t Text) -> Cow<'t, [u8]> {
        let pieces = match text {
            Text::Literal(octets) => return Cow::Borrowed(octets),
            Text::Expand(pieces) => pieces,
        };
        let limit = self.config.limits.string_size;
        let mut out = Vec::new();
        for piece in pieces {
            let value = match piece {
                Piece::Literal(octets) => octets,
                Piece::Match(number) => self.captured(*number),
                Piece::Local(slot) => self.local(*slot),
                Piece::Global(name) => self
                    .globals
                    .get(name)
                    .map(Vec::as_slice)
                    .unwrap_or_default(),
                Piece::Environment(name) => {
                    let value = self.environment(name).unwrap_or_default().into_owned();
                    out.extend_from_slice(value.as_bytes());
                    continue;
                }
            };
            out.extend_from_slice(value);
            if out.len() > limit {
                break;
            }
        }
        cut(&mut out, limit);
        self.spend(out.len());
        Cow::Owned(out)
    }

    pub(super) fn expand_string(&self, text: &Text) -> String {
        String::from_utf8_lossy(&self.expand(text)).into_owned()
    }

    pub(super) fn expand_list(&self, list: &List) -> Vec<String> {
        let mut out = Vec::new();
        let mut held = 0_usize;
        for text in list {
            let text = self.expand_string(text);
            held = held.saturating_add(text.len() + FIELD);
            self.spend(if held > LIST {
                usize::MAX
            } else {
                text.len() + FIELD
            });
            if self.is_spent() {
                break;
            }
            out.push(text);
        }
        out
    }

    fn local(&self, slot: usize) -> &[u8] {
        self.frames
            .last()
            .and_then(|frame| frame.locals.get(slot))
            .map(Vec::as_slice)
            .unwrap_or_default()
    }

    fn captured(&self, number: usize) -> &[u8] {
        self.frames
            .last()
            .and_then(|frame| frame.captures.get(number))
            .map(|value| &**value)
            .unwrap_or_default()
    }

    pub(super) fn captures_wanted(&self) -> bool {
        self.frames
            .last()
            .is_some_and(|frame| frame.program.captures)
    }

    pub(super) fn set_captures(&mut self, captured: Vec<Box<[u8]>>) {
        if let Some(frame) = self.frames.last_mut() {
            frame.captures = captured;
        }
    }

    pub(super) fn variable(&self, variable: &Variable) -> &[u8] {
        match variable {
            Variable::Local(slot) => self.local(*slot),
            Variable::Global(name) => self
                .globals
                .get(name)
                .map(Vec::as_slice)
                .unwrap_or_default(),
        }
    }

    pub(super) fn set_variable(
        &mut self,
        variable: &Variable,
        mut value: Vec<u8>,
    ) -> Result<(), Fault> {
        cut(&mut value, self.config.limits.string_size);
        match variable {
            Variable::Local(slot) => {
                if let Some(place) = self
                    .frames
                    .last_mut()
                    .and_then(|frame| frame.locals.get_mut(*slot))
                {
                    *place = value;
                }
            }
            Variable::Global(name) => {
                if self.globals.len() >= self.config.limits.variables
                    && !self.globals.contains_key(name)
                {
                    return Err(Fault::Fail(
                        "there are too many global variables".to_owned(),
                    ));
                }
                self.globals.insert(name.clone(), value);
            }
        }
        Ok(())
    }

    /// Flags of variables, or of the internal one (RFC 5232 §2).
    pub(super) fn flags_of(&self, variables: Option<&[Variable]>) -> Vec<String> {
        match variables {
            None => self.flags.clone(),
            Some(variables) => {
                let mut flags = Vec::new();
                for variable in variables {
                    self.add_flags(
                        &mut flags,
                        &String::from_utf8_lossy(self.variable(variable)),
                    );
                }
                flags
            }
        }
    }

    /// `:flags`, or the internal variable's.
    pub(super) fn flags_for(&self, given: Option<&List>) -> Vec<String> {
        match given {
            None => self.flags.clone(),
            Some(list) => self.flag_list(list),
        }
    }

    pub(super) fn flag_list(&self, list: &List) -> Vec<String> {
        let mut flags = Vec::new();
        for text in list {
            self.add_flags(&mut flags, &String::from_utf8_lossy(&self.expand(text)));
        }
        flags
    }

    /// Each flag is compared with all that are there.
    pub(super) fn add_flags(&self, flags: &mut Vec<String>, text: &str) {
        let most = flags.len() + text.len() / FIELD;
        self.spend(text.len().saturating_mul(most));
        if !self.is_spent() {
            add_flags(flags, text);
        }
    }
}

/// Flags that mean something to a message, without case and without repeats; others are ignored (RFC 5232 §2).
fn add_flags(flags: &mut Vec<String>, text: &str) {
    for flag in text.split_ascii_whitespace() {
        if is_flag(flag) && !flags.iter().any(|known| known.eq_ignore_ascii_case(flag)) {
            flags.push(flag.to_owned());
        }
    }
}

fn is_flag(flag: &str) -> bool {
    const SYSTEM: [&str; 5] = ["\\answered", "\\flagged", "\\deleted", "\\seen", "\\draft"];
    if flag.starts_with('\\') {
        return SYSTEM.iter().any(|known| flag.eq_ignore_ascii_case(known));
    }
    // An atom (RFC 9051 §9).
    flag.bytes()
        .all(|c| c.is_ascii_graphic() && !b"(){%*\"\\]".contains(&c))
}

/// Cuts at a character boundary.
pub(super) fn cut(value: &mut Vec<u8>, limit: usize) {
    if value.len() <= limit {
        return;
    }
    let mut end = limit;
    while end > 0 && value.get(end).is_some_and(|octet| octet & 0xC0 == 0x80) {
        end -= 1;
    }
    value.truncate(end);
}

/// Applies the modifiers of `set` in order.
pub(super) fn modify(mut value: Vec<u8>, modifiers: &[Modifier]) -> Vec<u8> {
    for modifier in modifiers {
        match modifier {
            Modifier::Lower => value.make_ascii_lowercase(),
            Modifier::Upper => value.make_ascii_uppercase(),
            Modifier::LowerFirst => {
                if let Some(first) = value.first_mut() {
                    first.make_ascii_lowercase();
                }
            }
            Modifier::UpperFirst => {
                if let Some(first) = value.first_mut() {
                    first.make_ascii_uppercase();
                }
            }
            Modifier::QuoteWildcard => value = quote(&value, b"*?\\"),
            Modifier::QuoteRegex => value = quote(&value, b".^$*+?()[]{}|\\"),
            Modifier::EncodeUrl => value = encode_url(&value),
            Modifier::Length => {
                let characters = value.iter().filter(|&&octet| octet & 0xC0 != 0x80).count();
                value = characters.to_string().into_bytes();
            }
        }
    }
    value
}

fn quote(value: &[u8], special: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(value.len() + 8);
    for &octet in value {
        if special.contains(&octet) {
            out.push(b'\\');
        }
        out.push(octet);
    }
    out
}

/// Percent encoding of all but unreserved characters (RFC 5435 §6).
fn encode_url(value: &[u8]) -> Vec<u8> {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let mut out = Vec::with_capacity(value.len() + 8);
    for &octet in value {
        if octet.is_ascii_alphanumeric() || b"-._~".contains(&octet) {
            out.push(octet);
        } else {
            out.push(b'%');
            out.extend(HEX.get(usize::from(octet >> 4)));
            out.extend(HEX.get(usize::from(octet & 15)));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modifiers_of_rfc_5229() {
        let run = |modifiers: &[Modifier], value: &str| {
            String::from_utf8(modify(value.as_bytes().to_vec(), modifiers)).unwrap()
        };
        assert_eq!(run(&[Modifier::Length], "juMBlEd lETteRS"), "15");
        assert_eq!(
            run(&[Modifier::Lower], "juMBlEd lETteRS"),
            "jumbled letters"
        );
        assert_eq!(
            run(&[Modifier::UpperFirst], "juMBlEd lETteRS"),
            "JuMBlEd lETteRS"
        );
        assert_eq!(
            run(&[Modifier::Lower, Modifier::UpperFirst], "juMBlEd lETteRS"),
            "Jumbled letters"
        );
        assert_eq!(run(&[Modifier::QuoteWildcard], "Rock*"), "Rock\\*");
        assert_eq!(run(&[Modifier::Length], "\u{e4}\u{f6}"), "2");
        assert_eq!(run(&[Modifier::EncodeUrl], "a b&c"), "a%20b%26c");
    }

    #[test]
    fn flags_are_a_set() {
        let mut flags = Vec::new();
        add_flags(&mut flags, "\\Seen $work \\seen \\Bogus a(b");
        assert_eq!(flags, ["\\Seen", "$work"]);
    }

    #[test]
    fn cuts_between_characters() {
        let mut value = "a\u{e4}".as_bytes().to_vec();
        cut(&mut value, 2);
        assert_eq!(value, b"a");
    }
}
