//! Addresses as tables see them: local part and domain, without quotes.

/// A local part without its quotes (RFC 5321 §4.1.2), and a domain, folded,
/// empty for a local name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Parts {
    pub(super) local: String,
    pub(super) domain: String,
}

impl Parts {
    /// Cuts at the last `@`; all behind it is the domain.
    pub(super) fn of(address: &str) -> Self {
        let (local, domain) = match address.rsplit_once('@') {
            Some((local, domain)) if !domain.contains('"') => (local, domain),
            _ => (address, ""),
        };
        Self {
            local: unquoted(local),
            domain: fold_domain(domain),
        }
    }

    /// The local part without its extension, and that.
    pub(super) fn split_extension(&self, delimiter: &str) -> Option<(&str, &str)> {
        let delimiter = delimiter.chars().next()?;
        let (base, extension) = self.local.split_once(delimiter)?;
        // "+x" is a name, and owner-, -request and Postfix's own addresses
        // with - as the delimiter would be harmed.
        let lists_own = delimiter == '-'
            && (base.eq_ignore_ascii_case("owner")
                || self.local.to_ascii_lowercase().ends_with("-request")
                || self.local.eq_ignore_ascii_case("mailer-daemon"));
        (!base.is_empty() && !lists_own).then_some((base, extension))
    }

    /// As it stands in an envelope, quoted where it must be.
    pub(super) fn address(&self) -> String {
        let atom = |c: char| {
            c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~.".contains(c) || !c.is_ascii()
        };
        let dots_fit = self.local.split('.').all(|atom| !atom.is_empty());
        // Where destinations are told apart, | and / begin other things.
        let other = self.local.starts_with(['|', '/']);
        let local = if dots_fit && !other && self.local.chars().all(atom) {
            self.local.clone()
        } else {
            let escaped = self.local.replace('\\', "\\\\").replace('"', "\\\"");
            format!("\"{escaped}\"")
        };
        if self.domain.is_empty() {
            local
        } else {
            format!("{local}@{}", self.domain)
        }
    }
}

/// `text` as a key of a table: letters are folded, as Postfix does.
pub(super) fn fold(text: &str) -> String {
    match text.rsplit_once('@') {
        Some((local, domain)) => format!("{}@{}", local.to_lowercase(), fold_domain(domain)),
        None => text.to_lowercase(),
    }
}

/// Small letters and A-labels (RFC 5890 §2.3.2.1), no final dot.
pub(super) fn fold_domain(domain: &str) -> String {
    let domain = domain.strip_suffix('.').unwrap_or(domain);
    if domain.is_ascii() {
        return domain.to_ascii_lowercase();
    }
    idna::domain_to_ascii(domain).unwrap_or_else(|_| domain.to_lowercase())
}

/// Takes away double quotes and the backslashes within them.
pub(super) fn unquoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut quoted = false;
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '"' => quoted = !quoted,
            '\\' if quoted => out.extend(letters.next()),
            _ => out.push(letter),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_and_back() {
        for (text, local, domain, address) in [
            ("ann", "ann", "", "ann"),
            ("ann@Example.ORG.", "ann", "example.org", "ann@example.org"),
            ("\"a b\"@x", "a b", "x", "\"a b\"@x"),
            ("\"ann\"@x", "ann", "x", "ann@x"),
            ("\"a@b\"", "a@b", "", "\"a@b\""),
            ("\"a\\\"b\"@x", "a\"b", "x", "\"a\\\"b\"@x"),
            ("a..b@x", "a..b", "x", "\"a..b\"@x"),
            ("@x", "", "x", "\"\"@x"),
            ("|p@x", "|p", "x", "\"|p\"@x"),
            (
                "ann@bücher.example",
                "ann",
                "xn--bcher-kva.example",
                "ann@xn--bcher-kva.example",
            ),
        ] {
            let parts = Parts::of(text);
            assert_eq!(
                (parts.local.as_str(), parts.domain.as_str()),
                (local, domain)
            );
            assert_eq!(parts.address(), address);
        }
    }

    #[test]
    fn extensions() {
        let split = |local: &str, delimiter: &str| {
            Parts::of(local)
                .split_extension(delimiter)
                .map(|(base, extension)| format!("{base}|{extension}"))
        };
        assert_eq!(split("ann+a+b", "+").as_deref(), Some("ann|a+b"));
        assert_eq!(split("ann+", "+").as_deref(), Some("ann|"));
        assert_eq!(split("+ann", "+"), None);
        assert_eq!(split("ann", "+"), None);
        assert_eq!(split("ann+a", ""), None);
        assert_eq!(split("owner-list", "-"), None);
        assert_eq!(split("list-request", "-"), None);
        assert_eq!(split("ann-x", "-").as_deref(), Some("ann|x"));
    }
}
