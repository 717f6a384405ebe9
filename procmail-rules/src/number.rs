//! Numbers as C reads them.

/// `strtod`: the value and the octets it takes, or none if there is no number.
pub(crate) fn float(text: &[u8]) -> Option<(f64, usize)> {
    let blanks = text
        .iter()
        .take_while(|byte| byte.is_ascii_whitespace() || **byte == 0x0b)
        .count();
    let mut at = blanks;
    let negative = match text.get(at) {
        Some(b'-') => {
            at += 1;
            true
        }
        Some(b'+') => {
            at += 1;
            false
        }
        _ => false,
    };
    let (value, used) = magnitude(text.get(at..)?)?;
    Some((if negative { -value } else { value }, at + used))
}

fn magnitude(text: &[u8]) -> Option<(f64, usize)> {
    let starts = |word: &[u8]| {
        text.get(..word.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(word))
    };
    if starts(b"infinity") {
        return Some((f64::INFINITY, 8));
    }
    if starts(b"inf") {
        return Some((f64::INFINITY, 3));
    }
    if starts(b"0x")
        && let Some(found) = hexadecimal(text)
    {
        return Some(found);
    }
    decimal(text)
}

fn digits(text: &[u8], from: usize) -> usize {
    text.get(from..).map_or(0, |rest| {
        rest.iter().take_while(|byte| byte.is_ascii_digit()).count()
    })
}

fn decimal(text: &[u8]) -> Option<(f64, usize)> {
    let whole = digits(text, 0);
    let mut used = whole;
    if text.get(used) == Some(&b'.') {
        let fraction = digits(text, used + 1);
        if whole + fraction == 0 {
            return None;
        }
        used += 1 + fraction;
    } else if whole == 0 {
        return None;
    }
    if matches!(text.get(used), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(text.get(used + 1), Some(b'+' | b'-')));
        let exponent = digits(text, used + 1 + sign);
        if exponent > 0 {
            used += 1 + sign + exponent;
        }
    }
    let value = std::str::from_utf8(text.get(..used)?).ok()?.parse().ok()?;
    Some((value, used))
}

fn hexadecimal(text: &[u8]) -> Option<(f64, usize)> {
    let mut value = 0.0;
    let mut scale = 1.0;
    let mut used = 2;
    let mut any = false;
    let mut fraction = false;
    while let Some(byte) = text.get(used) {
        if *byte == b'.' && !fraction {
            fraction = true;
        } else if let Some(digit) = char::from(*byte).to_digit(16) {
            any = true;
            value = value * 16.0 + f64::from(digit);
            if fraction {
                scale /= 16.0;
            }
        } else {
            break;
        }
        used += 1;
    }
    if !any {
        return None;
    }
    let mut power = 0;
    if matches!(text.get(used), Some(b'p' | b'P')) {
        let sign = usize::from(matches!(text.get(used + 1), Some(b'+' | b'-')));
        let length = digits(text, used + 1 + sign);
        let number = text.get(used + 1..used + 1 + sign + length);
        if let Some(parsed) = number
            .and_then(|number| std::str::from_utf8(number).ok())
            .and_then(|number| number.parse().ok())
            && length > 0
        {
            power = parsed;
            used += 1 + sign + length;
        }
    }
    Some((value * scale * 2_f64.powi(power), used))
}

/// `strtol` in the given radix: the value, saturating, and the octets it takes (0: no number).
pub(crate) fn integer(text: &[u8], radix: u32) -> (i64, usize) {
    let mut at = text
        .iter()
        .take_while(|byte| byte.is_ascii_whitespace() || **byte == 0x0b)
        .count();
    let negative = text.get(at) == Some(&b'-');
    if matches!(text.get(at), Some(b'-' | b'+')) {
        at += 1;
    }
    let start = at;
    let mut value: i64 = 0;
    while let Some(digit) = text
        .get(at)
        .and_then(|byte| char::from(*byte).to_digit(radix))
    {
        let digit = i64::from(digit);
        let more = value.saturating_mul(i64::from(radix));
        value = if negative {
            more.saturating_sub(digit)
        } else {
            more.saturating_add(digit)
        };
        at += 1;
    }
    if at == start {
        return (0, 0);
    }
    (value, at)
}

/// How many lines of a recipe are conditions with or without a star, as its first line says, and
/// the octets that this takes. Of the number 32 bits count; a negative one is as good as none.
pub(crate) fn lines(text: &[u8]) -> (Option<usize>, usize) {
    let (value, used) = integer(text, 10);
    let count = usize::try_from(low_word(value)).ok();
    (count.filter(|_| used > 0), used)
}

/// What is left of a number in 32 bits.
pub(crate) fn low_word(value: i64) -> i32 {
    let low = u32::try_from(value & 0xffff_ffff).unwrap_or(u32::MAX);
    low.cast_signed()
}

/// A number or a boolean word; `present` where the text is neither.
pub(crate) fn setting(text: &[u8], present: i64) -> i64 {
    let (value, used) = integer(text, 10);
    if used > 0 {
        return value;
    }
    let word = text
        .iter()
        .find(|byte| !matches!(byte, b' ' | b'\t' | b'\n'));
    let rest = text
        .iter()
        .skip_while(|byte| matches!(byte, b' ' | b'\t' | b'\n'))
        .nth(1);
    match word.map(u8::to_ascii_lowercase) {
        Some(b'o') => match rest.map(u8::to_ascii_lowercase) {
            Some(b'n') => 1,
            Some(b'f') => 0,
            _ => present,
        },
        Some(b'y' | b't' | b'e') => 1,
        Some(b'n' | b'f' | b'd') => 0,
        Some(b'a') => 2,
        _ => present,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats() {
        assert_eq!(float(b"1e2x"), Some((100.0, 3)));
        assert_eq!(float(b" -.5^"), Some((-0.5, 4)));
        assert_eq!(float(b"0x10^"), Some((16.0, 4)));
        assert_eq!(float(b"5."), Some((5.0, 2)));
        assert_eq!(float(b"."), None);
        assert_eq!(float(b"-inf"), Some((f64::NEG_INFINITY, 4)));
        assert_eq!(float(b"1e"), Some((1.0, 1)));
    }

    #[test]
    fn counted_lines() {
        assert_eq!(lines(b"2c"), (Some(2), 1));
        assert_eq!(lines(b" +1 "), (Some(1), 3));
        assert_eq!(lines(b"c"), (None, 0));
        assert_eq!(lines(b"-1"), (None, 2));
        assert_eq!(lines(b"4294967297"), (Some(1), 10));
        assert_eq!(lines(b"99999999999999999999"), (None, 20));
        assert_eq!(lines(b"-99999999999999999999"), (Some(0), 21));
    }

    #[test]
    fn settings() {
        assert_eq!(setting(b"7up", 3), 7);
        assert_eq!(setting(b"maybe", 3), 3);
        assert_eq!(setting(b"all", 3), 2);
        assert_eq!(setting(b" On", 3), 1);
        assert_eq!(setting(b"off", 3), 0);
        assert_eq!(setting(b"", 3), 3);
    }
}
