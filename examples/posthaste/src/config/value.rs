//! How a value of the configuration file is read, shown and resolved.

use std::net::SocketAddr;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;
use toml::Spanned;
use toml::de::DeValue;

/// Why a value does not fit its key; `span` narrows it to one list element.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) message: String,
    pub(super) span: Option<Range<usize>>,
}

/// What `$names` and relative paths stand for, once the file is read.
pub(super) struct Resolve<'a> {
    pub(super) myhostname: &'a str,
    pub(super) mydomain: &'a str,
    pub(super) myorigin: &'a str,
    pub(super) data_directory: &'a Path,
}

/// The type of a key.
pub(super) trait Value: Sized {
    /// What stands in the documentation, and in errors after "expected".
    const EXPECTED: &'static str;
    fn read(value: &Spanned<DeValue<'_>>) -> Result<Self, Fault>;
    /// As TOML.
    fn show(&self) -> String;
    fn resolve(&mut self, _: &Resolve<'_>) {}
}

/// A type that is written as one TOML string.
pub(super) trait Text: Sized {
    const EXPECTED: &'static str;
    /// `Err` says what is wrong beyond the expectation, or is empty.
    fn from_text(text: &str) -> Result<Self, String>;
    fn to_text(&self) -> String;
    fn resolve(&mut self, _: &Resolve<'_>) {}
}

fn describe(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => format!("{:?}", text.as_ref()),
        DeValue::Integer(number) => number.to_string(),
        DeValue::Float(number) => number.to_string(),
        DeValue::Boolean(value) => value.to_string(),
        DeValue::Datetime(_) => "a date".into(),
        DeValue::Array(_) => "a list".into(),
        DeValue::Table(_) => "a table".into(),
    }
}

fn unfit(expected: &str, value: &Spanned<DeValue<'_>>, reason: &str) -> Fault {
    let found = describe(value.get_ref());
    let reason = if reason.is_empty() {
        String::new()
    } else {
        format!(" ({reason})")
    };
    Fault {
        message: format!("expected {expected}, found {found}{reason}"),
        span: Some(value.span()),
    }
}

pub(super) fn toml_text(text: &str) -> String {
    let mut out = String::new();
    match text.serialize(toml::ser::ValueSerializer::new(&mut out)) {
        Ok(_) => out,
        Err(_) => format!("{text:?}"),
    }
}

impl<T: Text> Value for T {
    const EXPECTED: &'static str = <T as Text>::EXPECTED;

    fn read(value: &Spanned<DeValue<'_>>) -> Result<Self, Fault> {
        value
            .get_ref()
            .as_str()
            .map_or(Err(String::new()), T::from_text)
            .map_err(|reason| unfit(T::EXPECTED, value, &reason))
    }

    fn show(&self) -> String {
        toml_text(&self.to_text())
    }

    fn resolve(&mut self, names: &Resolve<'_>) {
        Text::resolve(self, names);
    }
}

/// A list, or a single element without its brackets; `""` is the empty list.
impl<T: Text> Value for Vec<T> {
    const EXPECTED: &'static str = T::EXPECTED;

    fn read(value: &Spanned<DeValue<'_>>) -> Result<Self, Fault> {
        match value.get_ref() {
            DeValue::Array(elements) => elements.iter().map(T::read).collect(),
            DeValue::String(text) if text.is_empty() => Ok(Vec::new()),
            DeValue::String(_) => Ok(vec![T::read(value)?]),
            _ => Err(unfit(
                &format!("a list, each element {}", T::EXPECTED),
                value,
                "",
            )),
        }
    }

    fn show(&self) -> String {
        let elements: Vec<String> = self.iter().map(T::show).collect();
        format!("[{}]", elements.join(", "))
    }

    fn resolve(&mut self, names: &Resolve<'_>) {
        for element in self {
            Text::resolve(element, names);
        }
    }
}

/// `""` is none.
impl<T: Text> Value for Option<T> {
    const EXPECTED: &'static str = T::EXPECTED;

    fn read(value: &Spanned<DeValue<'_>>) -> Result<Self, Fault> {
        match value.get_ref() {
            DeValue::String(text) if text.is_empty() => Ok(None),
            _ => T::read(value).map(Some),
        }
    }

    fn show(&self) -> String {
        self.as_ref().map_or_else(|| "\"\"".into(), T::show)
    }

    fn resolve(&mut self, names: &Resolve<'_>) {
        if let Some(value) = self {
            Text::resolve(value, names);
        }
    }
}

impl Value for bool {
    const EXPECTED: &'static str = "true or false";

    fn read(value: &Spanned<DeValue<'_>>) -> Result<Self, Fault> {
        match value.get_ref() {
            DeValue::Boolean(value) => Ok(*value),
            DeValue::String(text) if text == "yes" => Ok(true),
            DeValue::String(text) if text == "no" => Ok(false),
            _ => Err(unfit(Self::EXPECTED, value, "")),
        }
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

fn whole(value: &DeValue<'_>) -> Option<u64> {
    let number = value.as_integer()?;
    u64::from_str_radix(number.as_str(), number.radix()).ok()
}

/// A count.
impl Value for usize {
    const EXPECTED: &'static str = "a whole number, 0 or more";

    fn read(value: &Spanned<DeValue<'_>>) -> Result<Self, Fault> {
        whole(value.get_ref())
            .and_then(|number| usize::try_from(number).ok())
            .ok_or_else(|| unfit(Self::EXPECTED, value, ""))
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

/// Octets.
impl Value for u64 {
    const EXPECTED: &'static str = "a number of octets such as 10240000, \"50M\" or \"1G\"";

    fn read(value: &Spanned<DeValue<'_>>) -> Result<Self, Fault> {
        let size = |text: &str| {
            let (digits, unit) = text.split_at(
                text.find(|c: char| !c.is_ascii_digit())
                    .unwrap_or(text.len()),
            );
            let factor: u64 = match unit.trim_start().to_ascii_lowercase().as_str() {
                "" => 1,
                "k" | "kb" | "kib" => 1 << 10,
                "m" | "mb" | "mib" => 1 << 20,
                "g" | "gb" | "gib" => 1 << 30,
                _ => return None,
            };
            digits.parse::<u64>().ok()?.checked_mul(factor)
        };
        whole(value.get_ref())
            .or_else(|| value.get_ref().as_str().and_then(size))
            .ok_or_else(|| unfit(<Self as Value>::EXPECTED, value, ""))
    }

    fn show(&self) -> String {
        for (unit, shift) in [("G", 30), ("M", 20)] {
            if *self > 0 && self.trailing_zeros() >= shift {
                return format!("\"{}{unit}\"", self >> shift);
            }
        }
        self.to_string()
    }
}

const TIME_UNITS: [(char, u64); 5] = [
    ('w', 604_800),
    ('d', 86_400),
    ('h', 3_600),
    ('m', 60),
    ('s', 1),
];

impl Value for Duration {
    const EXPECTED: &'static str = "a time such as \"300s\", \"5m\", \"4h\", \"5d\" or \"1w\"";

    fn read(value: &Spanned<DeValue<'_>>) -> Result<Self, Fault> {
        let time = |text: &str| {
            let (digits, unit) = text.split_at(
                text.find(|c: char| !c.is_ascii_digit())
                    .unwrap_or(text.len()),
            );
            let mut unit = unit.chars();
            let seconds = match (unit.next(), unit.next()) {
                (None, _) => 1,
                (Some(unit), None) => TIME_UNITS.iter().find(|(name, _)| *name == unit)?.1,
                _ => return None,
            };
            digits.parse::<u64>().ok()?.checked_mul(seconds)
        };
        whole(value.get_ref())
            .or_else(|| value.get_ref().as_str().and_then(time))
            // A century: far past every use, and safe to add to any clock.
            .filter(|seconds| *seconds <= 100 * 366 * 86_400)
            .map(Duration::from_secs)
            .ok_or_else(|| unfit(Self::EXPECTED, value, ""))
    }

    fn show(&self) -> String {
        let seconds = self.as_secs();
        TIME_UNITS
            .iter()
            .find(|(_, unit)| seconds >= *unit && seconds.is_multiple_of(*unit))
            .map_or_else(
                || format!("\"{seconds}s\""),
                |(name, unit)| format!("\"{}{name}\"", seconds / unit),
            )
    }
}

impl Text for String {
    const EXPECTED: &'static str = "a text";

    fn from_text(text: &str) -> Result<Self, String> {
        if text.contains(['\r', '\n', '\0']) {
            return Err("it must be one line".into());
        }
        if let Some(name) = unknown_name(text) {
            return Err(format!(
                "${name} is none of $myhostname, $mydomain, $myorigin"
            ));
        }
        Ok(text.to_owned())
    }

    fn to_text(&self) -> String {
        self.clone()
    }

    fn resolve(&mut self, names: &Resolve<'_>) {
        if self.contains('$') {
            for (name, value) in [
                ("$myhostname", names.myhostname),
                ("$mydomain", names.mydomain),
                ("$myorigin", names.myorigin),
            ] {
                *self = self.replace(name, value);
            }
        }
    }
}

fn unknown_name(text: &str) -> Option<&str> {
    text.split('$').skip(1).find_map(|rest| {
        let end = rest
            .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
            .unwrap_or(rest.len());
        let name = rest.get(..end).unwrap_or(rest);
        let known = ["myhostname", "mydomain", "myorigin"].contains(&name);
        (!known).then_some(name)
    })
}

impl Text for PathBuf {
    const EXPECTED: &'static str = "a path";

    fn from_text(text: &str) -> Result<Self, String> {
        if text.is_empty() || text.contains('\0') {
            return Err(String::new());
        }
        Ok(text.into())
    }

    fn to_text(&self) -> String {
        self.to_string_lossy().into_owned()
    }

    fn resolve(&mut self, names: &Resolve<'_>) {
        *self = names.data_directory.join(&*self);
    }
}

impl Text for SocketAddr {
    const EXPECTED: &'static str = "an address and port such as \"127.0.0.1:2525\" or \"[::]:25\"";

    fn from_text(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_| String::new())
    }

    fn to_text(&self) -> String {
        self.to_string()
    }
}

/// An enumeration whose values are single words.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident: $expected:literal {
        $($(#[$word_doc:meta])* $variant:ident = $word:literal,)+
    }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$word_doc])* $variant,)+
        }

        impl $name {
            /// As it is written in the configuration.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }
        }

        impl $crate::config::value::Text for $name {
            const EXPECTED: &'static str = $expected;

            fn from_text(text: &str) -> Result<Self, String> {
                match text {
                    $($word => Ok(Self::$variant),)+
                    _ => Err(String::new()),
                }
            }

            fn to_text(&self) -> String {
                self.as_str().to_owned()
            }
        }
    };
}
pub(super) use words;

#[cfg(test)]
mod tests {
    use super::*;

    fn read<T: Value>(text: &str) -> Result<T, String> {
        T::read(&DeValue::parse(text).unwrap()).map_err(|fault| fault.message)
    }

    #[test]
    fn sizes() {
        assert_eq!(read::<u64>("10240000"), Ok(10_240_000));
        assert_eq!(read::<u64>("\"50M\""), Ok(50 << 20));
        assert_eq!(read::<u64>("\"1 GiB\""), Ok(1 << 30));
        assert_eq!(read::<u64>("0x10"), Ok(16));
        assert_eq!((50u64 << 20).show(), "\"50M\"");
        assert_eq!(0u64.show(), "0");
        assert_eq!(10_240_001u64.show(), "10240001");
        for bad in ["\"lots\"", "-1", "1.5", "\"99999999999G\"", "\"\"", "true"] {
            assert!(read::<u64>(bad).is_err(), "{bad}");
        }
        assert_eq!(
            read::<u64>("\"lots\"").unwrap_err(),
            "expected a number of octets such as 10240000, \"50M\" or \"1G\", found \"lots\""
        );
    }

    #[test]
    fn times() {
        assert_eq!(read("300"), Ok(Duration::from_secs(300)));
        assert_eq!(read("\"5d\""), Ok(Duration::from_secs(432_000)));
        assert_eq!(Duration::from_secs(4000).show(), "\"4000s\"");
        assert_eq!(Duration::from_secs(432_000).show(), "\"5d\"");
        assert_eq!(Duration::ZERO.show(), "\"0s\"");
        for bad in ["\"5 days\"", "\"d\"", "-1", "\"99999999999w\"", "\"5x\""] {
            assert!(read::<Duration>(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn lists_and_options() {
        assert_eq!(read::<Vec<String>>("\"one\""), Ok(vec!["one".into()]));
        assert_eq!(read::<Vec<String>>("\"\""), Ok(vec![]));
        assert_eq!(
            read::<Vec<String>>("[\"one\", \"two\"]").unwrap().show(),
            "[\"one\", \"two\"]"
        );
        assert!(read::<Vec<String>>("[1]").is_err());
        assert!(read::<Vec<String>>("1").is_err());
        assert_eq!(read::<Option<PathBuf>>("\"\""), Ok(None));
        assert_eq!(read::<Option<PathBuf>>("\"a\""), Ok(Some("a".into())));
    }

    #[test]
    fn names_in_texts() {
        let mut text: String = read("\"$myhostname ESMTP, not $mydomain.\"").unwrap();
        Value::resolve(
            &mut text,
            &Resolve {
                myhostname: "mail.example.org",
                mydomain: "example.org",
                myorigin: "",
                data_directory: Path::new("/"),
            },
        );
        assert_eq!(text, "mail.example.org ESMTP, not example.org.");
        assert!(read::<String>("\"$mydomian\"").is_err());
        assert!(read::<String>("\"a\\nb\"").is_err());
    }
}
