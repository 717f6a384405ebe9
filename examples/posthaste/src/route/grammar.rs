//! The grammar of alias files: aliases(5) and virtual(5).

use std::collections::HashMap;

use super::address::{fold, unquoted};

/// One destination on the right of an alias.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Target {
    /// An address, or a local name when there is no domain.
    Address(String),
    /// `\name`: the account itself, no matter which aliases it has.
    Account(String),
    /// `|command`
    Command(String),
    /// `/file`
    File(String),
    /// `:include:/file`
    Include(String),
}

/// Which of the two grammars a file is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Grammar {
    /// `name: target, target`
    Aliases,
    /// `user@domain target, target`
    Virtual,
    /// `target, target`: a file that an alias includes.
    Include,
}

/// A line that says nothing that could be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct BadLine {
    /// From 1.
    pub(super) line: usize,
    pub(super) reason: String,
}

/// What a file says; the lines that say nothing are left out and named.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Parsed {
    /// By the folded name; an included file has the one name "".
    pub(super) entries: HashMap<String, Vec<Target>>,
    pub(super) bad: Vec<BadLine>,
}

/// A file's logical lines: comments and empty lines are gone, a line that
/// begins with white space goes on with the one before.
fn logical_lines(text: &str) -> Vec<(usize, String)> {
    let mut lines: Vec<(usize, String)> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let trimmed = line.trim();
        if trimmed.is_empty() || trimmed.starts_with('#') {
            continue;
        }
        match lines.last_mut() {
            Some((_, before)) if line.starts_with([' ', '\t']) => {
                before.push(' ');
                before.push_str(trimmed);
            }
            _ => lines.push((index + 1, trimmed.to_owned())),
        }
    }
    lines
}

pub(super) fn parse(text: &str, grammar: Grammar) -> Parsed {
    let mut parsed = Parsed::default();
    for (line, content) in logical_lines(text) {
        let mut bad = |reason: String| parsed.bad.push(BadLine { line, reason });
        let (name, right) = match grammar {
            Grammar::Include => (String::new(), content.as_str()),
            Grammar::Aliases => match split_name(&content, |c| c == ':') {
                Some((name, right)) if !name.is_empty() => (fold(&name), right),
                _ => {
                    bad("expected \"name: target\"".into());
                    continue;
                }
            },
            Grammar::Virtual => match split_name(&content, char::is_whitespace) {
                Some((name, right)) => (fold(&name), right),
                None => {
                    bad("expected \"address target\"".into());
                    continue;
                }
            },
        };
        let targets = match targets(right) {
            Ok(targets) if targets.is_empty() => Err("there is no target".to_owned()),
            Ok(targets) if grammar == Grammar::Virtual => targets
                .iter()
                .all(|target| matches!(target, Target::Address(_)))
                .then_some(targets)
                .ok_or_else(|| "only addresses can be targets here".to_owned()),
            other => other,
        };
        match targets {
            Err(reason) => bad(reason),
            Ok(targets) if grammar == Grammar::Include => {
                parsed.entries.entry(name).or_default().extend(targets);
            }
            // The first one holds, as in a Postfix table.
            Ok(_) if parsed.entries.contains_key(&name) => {
                bad(format!("{name} stands in the file twice"));
            }
            Ok(targets) => {
                parsed.entries.insert(name, targets);
            }
        }
    }
    parsed
}

/// Cuts `line` at the first `end` outside quotes.
fn split_name(line: &str, end: impl Fn(char) -> bool) -> Option<(String, &str)> {
    let mut quoted = false;
    let mut escaped = false;
    for (at, letter) in line.char_indices() {
        match letter {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ if !quoted && end(letter) => {
                let (name, rest) = line.split_at_checked(at)?;
                let rest = rest.get(letter.len_utf8()..)?;
                return Some((unquoted(name.trim()), rest));
            }
            _ => {}
        }
    }
    None
}

/// The targets between commas; RFC 5322 comments are left out.
fn targets(text: &str) -> Result<Vec<Target>, String> {
    let mut found = Vec::new();
    let mut word = String::new();
    let (mut quoted, mut escaped, mut comments) = (false, false, 0usize);
    for letter in text.chars() {
        match letter {
            _ if escaped => escaped = false,
            '\\' if quoted || comments > 0 => escaped = true,
            '"' if comments == 0 => quoted = !quoted,
            // A parenthesis within a bare |command is the shell's.
            '(' if !quoted && !word.trim_start().starts_with('|') => {
                comments += 1;
                continue;
            }
            ')' if !quoted && comments > 0 => {
                comments -= 1;
                continue;
            }
            ',' if !quoted && comments == 0 => {
                found.extend(target(&word)?);
                word.clear();
                continue;
            }
            _ => {}
        }
        if comments == 0 {
            word.push(letter);
        }
    }
    if quoted {
        return Err("a \" is missing".into());
    }
    if comments > 0 {
        return Err("a ) is missing".into());
    }
    found.extend(target(&word)?);
    Ok(found)
}

fn target(word: &str) -> Result<Option<Target>, String> {
    let word = word.trim();
    if word.is_empty() {
        return Ok(None);
    }
    // "|command with, commas" and "/file" may stand in quotes as a whole, an
    // address keeps those of its local part.
    let bare = match word.strip_prefix('"') {
        Some(rest) if rest.ends_with('"') && rest.starts_with(['|', '/', ':']) => unquoted(word),
        _ => word.to_owned(),
    };
    Ok(Some(if let Some(command) = bare.strip_prefix('|') {
        match command.trim() {
            "" => return Err("a command is missing behind |".into()),
            command => Target::Command(command.to_owned()),
        }
    } else if bare.starts_with('/') {
        Target::File(bare)
    } else if let Some(path) = bare.strip_prefix(":include:") {
        match path.trim() {
            "" => return Err("a path is missing behind :include:".into()),
            path => Target::Include(path.to_owned()),
        }
    } else if let Some(name) = bare.strip_prefix('\\') {
        Target::Account(name.to_owned())
    } else {
        let address = match (bare.rfind('<'), bare.strip_suffix('>')) {
            (Some(at), Some(_)) => bare.get(at + 1..bare.len() - 1).unwrap_or_default().trim(),
            (None, None) => bare.as_str(),
            _ => return Err(format!("{bare} has only one of < and >")),
        };
        let in_quotes = address.starts_with('"');
        if address.is_empty() || (!in_quotes && address.contains(char::is_whitespace)) {
            return Err(format!("{bare} is no address; commas go between targets"));
        }
        Target::Address(address.to_owned())
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(line: &str) -> Result<Vec<Target>, String> {
        let parsed = parse(line, Grammar::Aliases);
        match parsed.bad.into_iter().next() {
            Some(bad) => Err(bad.reason),
            None => Ok(parsed.entries.into_values().next().unwrap()),
        }
    }

    fn address(text: &str) -> Target {
        Target::Address(text.into())
    }

    #[test]
    fn aliases() {
        let text = "# comment\n\
            Postmaster: root\n\
            \n\
            root:\tann,\n\
            \t# a comment within\n\
            \tbob@example.org\n\
            \"odd: name\": carol\n\
            spaced : dave\n";
        let parsed = parse(text, Grammar::Aliases);
        assert_eq!(parsed.bad, []);
        assert_eq!(parsed.entries.len(), 4);
        assert_eq!(parsed.entries["postmaster"], [address("root")]);
        assert_eq!(
            parsed.entries["root"],
            [address("ann"), address("bob@example.org")]
        );
        assert_eq!(parsed.entries["odd: name"], [address("carol")]);
        assert_eq!(parsed.entries["spaced"], [address("dave")]);
    }

    #[test]
    fn targets_of_every_kind() {
        for (right, expected) in [
            (
                "\"|/bin/prog a, b\"",
                Target::Command("/bin/prog a, b".into()),
            ),
            ("|/bin/prog", Target::Command("/bin/prog".into())),
            (
                "|\"/bin/prog x\"",
                Target::Command("\"/bin/prog x\"".into()),
            ),
            (
                "/var/mail/archive",
                Target::File("/var/mail/archive".into()),
            ),
            (
                "\"/var/mail/with space\"",
                Target::File("/var/mail/with space".into()),
            ),
            (":include:/etc/list", Target::Include("/etc/list".into())),
            (
                "\":include: /etc/list\"",
                Target::Include("/etc/list".into()),
            ),
            ("\\ann", Target::Account("ann".into())),
            ("Ann Example <ann@example.org>", address("ann@example.org")),
            ("ann@example.org (Ann, herself)", address("ann@example.org")),
            (
                "\"ann example\"@example.org",
                address("\"ann example\"@example.org"),
            ),
        ] {
            assert_eq!(one(&format!("x: {right}")), Ok(vec![expected]), "{right}");
        }
    }

    #[test]
    fn bad_lines_have_reasons_and_leave_the_others() {
        let parsed = parse(
            "no colon\n: x\nx:\nx: \"open\nx: (open\nx: a b\nx: <a\ngood: ann\ngood: bob\nx: |\nx: :include:\n",
            Grammar::Aliases,
        );
        assert_eq!(parsed.entries.len(), 1);
        let lines: Vec<usize> = parsed.bad.iter().map(|bad| bad.line).collect();
        assert_eq!(lines, [1, 2, 3, 4, 5, 6, 7, 9, 10, 11]);
        assert_eq!(
            one("x: a b"),
            Err("a b is no address; commas go between targets".into())
        );
    }

    #[test]
    fn virtual_tables() {
        let parsed = parse(
            "ann@Example.org ann, bob\n@example.org\tcarol\n\"a b\"@example.org dave\nbad\nx |prog\n",
            Grammar::Virtual,
        );
        assert_eq!(parsed.entries["ann@example.org"].len(), 2);
        assert_eq!(parsed.entries["@example.org"], [address("carol")]);
        assert_eq!(parsed.entries["a b@example.org"], [address("dave")]);
        assert_eq!(parsed.bad.len(), 2);
    }

    #[test]
    fn included_files() {
        let parsed = parse("ann\n# no\nbob, carol\n", Grammar::Include);
        assert_eq!(parsed.entries[""].len(), 3);
    }

    proptest::proptest! {
        #[test]
        fn no_input_panics(text in "[ -~\n\t\"\\\\(),:|<>é]*") {
            for grammar in [Grammar::Aliases, Grammar::Virtual, Grammar::Include] {
                let _ = parse(&text, grammar);
            }
        }
    }
}
