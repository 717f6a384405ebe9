/// The base subject of a message (RFC 5256 §2.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseSubject {
    /// The text without `Re:`, `Fwd:`, `[list]`, `(fwd)`, white space folded.
    pub base: String,
    /// Whether something said that it is a reply or was forwarded.
    pub is_reply: bool,
}

/// Takes the base out of a subject whose RFC 2047 words are decoded.
///
/// Linear in the subject.
///
/// ```
/// let subject = imap_proto::base_subject("Re: [posthaste] Re[2]: [Fwd: Hello  World (fwd)]");
/// assert_eq!(subject.base, "Hello World");
/// assert!(subject.is_reply);
/// ```
#[must_use]
pub fn base_subject(subject: &str) -> BaseSubject {
    let words: Vec<&str> = subject.split_ascii_whitespace().collect();
    let text = words.join(" ");
    let mut rest = text.as_str();
    let mut is_reply = false;
    loop {
        // (2) subj-trailer
        while let Some(shorter) = strip_trailer(rest) {
            is_reply |= shorter.len() + 1 < rest.len();
            rest = shorter;
        }
        // (3), (4), (5) subj-leader and subj-blob
        is_reply |= strip_leaders(&mut rest);
        // (6) subj-fwd
        match strip_forward(rest) {
            Some(inside) => {
                is_reply = true;
                rest = inside;
            }
            None => {
                return BaseSubject {
                    base: rest.to_owned(),
                    is_reply,
                };
            }
        }
    }
}

/// `"(fwd)" / WSP`
fn strip_trailer(text: &str) -> Option<&str> {
    if let Some(shorter) = text.strip_suffix(' ') {
        return Some(shorter);
    }
    let at = text.len().checked_sub(5)?;
    let (shorter, last) = text.split_at_checked(at)?;
    last.eq_ignore_ascii_case("(fwd)").then_some(shorter)
}

/// Takes every leader and every blob off the front; whether one was `Re:` or
/// `Fwd:`.
///
/// A run of blobs is looked at once: when no `Re:` is behind it, none is
/// behind a shorter run either, and what remains is to drop the blobs, the
/// last of them only if something is left.
fn strip_leaders(rest: &mut &str) -> bool {
    let mut is_reply = false;
    loop {
        *rest = rest.trim_start_matches(' ');
        let mut behind = *rest;
        let mut last_blob = *rest;
        while let Some(shorter) = strip_blob(behind) {
            last_blob = behind;
            behind = shorter;
        }
        if let Some(shorter) = strip_refwd(behind) {
            is_reply = true;
            *rest = shorter;
        } else {
            *rest = if behind.is_empty() { last_blob } else { behind };
            return is_reply;
        }
    }
}

/// `("re" / ("fw" ["d"])) *WSP [subj-blob] ":"`
fn strip_refwd(text: &str) -> Option<&str> {
    let word = ["fwd", "re", "fw"]
        .into_iter()
        .find(|word| starts_with(text, word))?;
    let behind = text.get(word.len()..)?.trim_start_matches(' ');
    let behind = strip_blob(behind).unwrap_or(behind);
    behind.strip_prefix(':')
}

/// `"[" *BLOBCHAR "]" *WSP`; a BLOBCHAR is no bracket.
fn strip_blob(text: &str) -> Option<&str> {
    let inside = text.strip_prefix('[')?;
    let (_, behind) = inside.split_at_checked(inside.find(['[', ']'])?)?;
    Some(behind.strip_prefix(']')?.trim_start_matches(' '))
}

/// `"[fwd:" subject "]"`
fn strip_forward(text: &str) -> Option<&str> {
    if !starts_with(text, "[fwd:") {
        return None;
    }
    text.get("[fwd:".len()..)?.strip_suffix(']')
}

fn starts_with(text: &str, start: &str) -> bool {
    let front = text.get(..start.len());
    front.is_some_and(|front| front.eq_ignore_ascii_case(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table() {
        for (subject, base, is_reply) in [
            ("Hello", "Hello", false),
            ("  Hello \t World ", "Hello World", false),
            ("Re: Hello", "Hello", true),
            ("RE : Hello", "Hello", true),
            ("Fw: fwd: re: Hello", "Hello", true),
            ("Re[5]: Hello", "Hello", true),
            ("[list] Hello", "Hello", false),
            ("[list] [two] Re: [three] Hello", "Hello", true),
            ("[list]", "[list]", false),
            ("[a] [b]", "[b]", false),
            ("Re: [list]", "[list]", true),
            ("Hello (fwd)", "Hello", true),
            ("Hello (FWD) (fwd)", "Hello", true),
            ("[Fwd: Hello]", "Hello", true),
            ("[fwd: Re: [x] Hello (fwd)]", "Hello", true),
            ("[fwd: Hello", "[fwd: Hello", false),
            ("Really", "Really", false),
            ("Re", "Re", false),
            ("Re:", "", true),
            ("", "", false),
            ("[a[b] c", "[a[b] c", false),
            ("Ré: x", "Ré: x", false),
        ] {
            let found = base_subject(subject);
            assert_eq!(
                (found.base.as_str(), found.is_reply),
                (base, is_reply),
                "{subject}"
            );
        }
    }

    #[test]
    fn crafted_subjects_are_linear() {
        for part in ["[a]", "Re:", "[fwd:", "(fwd)", "[fwd:]", "[", "] "] {
            let _ = base_subject(&part.repeat(100_000));
        }
        let nested = format!("{}x{}", "[fwd: ".repeat(50_000), "]".repeat(50_000));
        assert_eq!(base_subject(&nested).base, "x");
    }
}
