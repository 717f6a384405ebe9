//! What stands in front of a condition's test: `!`, `w^x` and `NAME ??`.

use crate::ast::{Area, Prefixes};
use crate::eval::{is_blank, is_name, is_name_start};
use crate::number;

impl Prefixes {
    /// Takes all prefixes off the front of `text`, which `self.length` octets of are taken
    /// already; a `$`, a `\` and everything else ends them.
    pub(crate) fn take(&mut self, text: &[u8]) {
        loop {
            self.length += blanks(text, self.length);
            let rest = text.get(self.length..).unwrap_or(&[]);
            if rest.first() == Some(&b'!') {
                self.negated = !self.negated;
                self.length += 1;
            } else if let Some((weight, used)) = weight(rest) {
                self.weight = Some(weight);
                self.length += used;
            } else if let Some((area, used)) = area(rest) {
                self.area = area;
                self.length += used;
            } else {
                return;
            }
        }
    }
}

/// `w^x`
fn weight(text: &[u8]) -> Option<((f64, f64), usize)> {
    // "inf" is a number only behind a sign: anything that begins with a letter is an expression.
    if !matches!(text.first(), Some(b'0'..=b'9' | b'.' | b'+' | b'-')) {
        return None;
    }
    let (weight, used) = number::float(text)?;
    let mut at = used + blanks(text, used);
    if text.get(at) != Some(&b'^') {
        return None;
    }
    at += 1;
    let (exponent, used) = text.get(at..).and_then(number::float)?;
    Some(((weight, exponent), at + used))
}

/// `NAME ??`
fn area(text: &[u8]) -> Option<(Area, usize)> {
    if !text.first().is_some_and(|byte| is_name_start(*byte)) {
        return None;
    }
    let length = text.iter().take_while(|byte| is_name(**byte)).count();
    let at = length + blanks(text, length);
    if !text.get(at..).is_some_and(|rest| rest.starts_with(b"??")) {
        return None;
    }
    let area = match text.get(..length).unwrap_or(&[]) {
        b"H" => Area::Header,
        b"B" => Area::Body,
        b"HB" | b"BH" => Area::Both,
        name => Area::Variable(name.to_vec()),
    };
    Some((area, at + 2))
}

fn blanks(text: &[u8], from: usize) -> usize {
    text.get(from..).map_or(0, |rest| {
        rest.iter().take_while(|byte| is_blank(**byte)).count()
    })
}
