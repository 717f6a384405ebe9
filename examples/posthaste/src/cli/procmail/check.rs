//! `posthaste procmail check`.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use procmail_rules::{Diagnostic, Script, Severity};

use crate::cli::print;
use crate::cli::sieve::read;

pub(super) fn run(files: &[PathBuf], strict: bool) -> bool {
    let (mut errors, mut warnings, mut good) = (0, 0, true);
    for path in files {
        let Some(text) = read(path) else {
            good = false;
            continue;
        };
        let script = Script::parse(&text);
        let found = script.check();
        tell(path, &script, &found);
        for diagnostic in &found {
            match diagnostic.kind.severity() {
                Severity::Error => errors += 1,
                Severity::Warning => warnings += 1,
            }
        }
    }
    if errors + warnings > 0 {
        print::error(format_args!("{errors} errors, {warnings} warnings"));
    }
    good && errors == 0 && !(strict && warnings > 0)
}

/// Draws findings on the standard error output.
pub(super) fn tell(path: &Path, script: &Script, found: &[Diagnostic]) {
    let colour = std::io::stderr().is_terminal();
    for diagnostic in found {
        let drawn = diagnostic.render(&path.display().to_string(), script);
        let severity = diagnostic.kind.severity();
        let code = match severity {
            Severity::Error => "\u{1b}[1;31m",
            Severity::Warning => "\u{1b}[1;33m",
        };
        let word = severity.to_string();
        match drawn.strip_prefix(&word).filter(|_| colour) {
            Some(rest) => print::error(format_args!("{code}{word}\u{1b}[0m{rest}\n")),
            None => print::error(format_args!("{drawn}\n")),
        }
    }
}
