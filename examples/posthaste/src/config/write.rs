//! The key table as a commented file and as documentation.

use std::fmt::Write;
use std::path::Path;

use super::{Config, KEYS, Key, NamedBy};

/// A configuration file that says nothing, with every key and its default in
/// comments.
#[must_use]
pub fn commented_toml() -> String {
    let defaults = Config::unresolved(Path::new(super::FILE_NAME));
    let mut out = String::from(
        "# The configuration of posthaste. Every key is here with its default; take\n\
         # away the # to change one. `posthaste check` says whether all is well.\n",
    );
    let mut group = "";
    for key in KEYS {
        if key.group != group {
            group = key.group;
            let _ = write!(out, "\n#### {group}\n");
        }
        out.push('\n');
        for line in wrapped(&help_with_origin(key), 74) {
            let _ = writeln!(out, "# {line}");
        }
        let _ = writeln!(out, "#{} = {}", key.name, key.show(&defaults));
    }
    out
}

/// The reference of all keys, as Markdown.
#[must_use]
pub fn reference_markdown() -> String {
    let defaults = Config::unresolved(Path::new(super::FILE_NAME));
    let mut out = String::from(
        "# Configuration\n\n\
         The file is `posthaste.toml` in the data folder, or the one that `--config` names.\n\
         `posthaste config show` prints what is in force, `posthaste check` what is wrong.\n\n\
         - Lists may be written without brackets when they have one element; `\"\"` is the empty list.\n\
         - Relative paths begin at `data_directory`.\n\
         - `$myhostname`, `$mydomain` and `$myorigin` in a text stand for those keys' values.\n",
    );
    let mut group = "";
    for key in KEYS {
        if key.group != group {
            group = key.group;
            let _ = write!(out, "\n## {group}\n");
        }
        let _ = write!(out, "\n### `{}`\n\n", key.name);
        for line in wrapped(&key.help(), 100) {
            let _ = writeln!(out, "{line}");
        }
        let _ = write!(out, "\n- Value: {}\n", key.expected);
        let _ = writeln!(out, "- Default: `{}`", key.show(&defaults));
        let named_by = match key.named_by {
            NamedBy::Postfix => "- Named as in Postfix\n",
            NamedBy::Dovecot => "- Named as in Dovecot\n",
            NamedBy::Posthaste => "",
        };
        out.push_str(named_by);
    }
    out
}

fn help_with_origin(key: &Key) -> String {
    let origin = match key.named_by {
        NamedBy::Postfix => " (Postfix)",
        NamedBy::Dovecot => " (Dovecot)",
        NamedBy::Posthaste => "",
    };
    format!("{}{origin}", key.help())
}

fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let fits = lines
            .last()
            .is_some_and(|line| line.is_empty() || line.len() + 1 + word.len() <= width);
        if !fits {
            lines.push(String::new());
        }
        if let Some(line) = lines.last_mut() {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    /// With every comment sign taken away the file must say the defaults.
    #[test]
    fn the_commented_file_is_true() {
        let path = Path::new("/srv/posthaste.toml");
        let written = commented_toml();
        let nothing = Config::parse(&written, path).unwrap();
        assert_eq!(nothing, Config::default_in(Path::new("/srv")));

        let mut all = String::new();
        for line in written.lines() {
            if let Some((name, value)) = line.strip_prefix('#').and_then(|l| l.split_once(" = "))
                && KEYS.iter().any(|key| key.name == name)
            {
                all.push_str(name);
                all.push_str(" = ");
                all.push_str(value);
                all.push('\n');
            }
        }
        assert_eq!(all.lines().count(), KEYS.len());
        let mut all = Config::parse(&all, path).unwrap();
        all.set.clear();
        assert_eq!(all, nothing);
    }

    #[test]
    fn lines_are_short_and_help_is_a_sentence() {
        for line in commented_toml().lines() {
            if line.starts_with("# ") {
                assert!(line.len() <= 76, "{line}");
            }
        }
        for key in KEYS {
            let help = key.help();
            assert!(help.ends_with('.'), "{}: {help}", key.name);
        }
    }

    /// `POSTHASTE_WRITE_DOCS=1 cargo test -p posthaste` writes it anew.
    #[test]
    fn the_reference_is_up_to_date() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/configuration.md");
        if std::env::var_os("POSTHASTE_WRITE_DOCS").is_some() {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, reference_markdown()).unwrap();
        }
        let written = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            written == reference_markdown(),
            "docs/configuration.md is old; run: POSTHASTE_WRITE_DOCS=1 cargo test -p posthaste reference"
        );
    }
}
