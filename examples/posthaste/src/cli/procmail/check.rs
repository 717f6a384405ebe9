//! `posthaste procmail check`.

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
    for diagnostic in found {
        let drawn = diagnostic.render(&path.display().to_string(), script);
        let severity = diagnostic.kind.severity();
        let is_error = severity == Severity::Error;
        print::finding(&format!("{drawn}\n"), &severity.to_string(), is_error);
    }
}
