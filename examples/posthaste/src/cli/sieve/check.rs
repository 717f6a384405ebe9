//! `posthaste sieve check`.

use std::path::PathBuf;

use sieve::Severity;

use super::{Ending, capabilities, read, tell};
use crate::cli::print;

pub(super) const ENDINGS: &str = "Exit status:
  0  no script has errors, nor warnings if those fail
  1  one has
  2  a file cannot be read, or the arguments are wrong";

pub(super) fn run(files: &[PathBuf], strict: bool) -> Ending {
    let (mut errors, mut warnings, mut unread) = (0, 0, false);
    for path in files {
        let Some(source) = read(path) else {
            unread = true;
            continue;
        };
        let list = match sieve::compile(&source, &capabilities()) {
            Ok(script) => script.warnings().to_vec(),
            Err(list) => list,
        };
        tell(path, &source, &list);
        errors += list
            .iter()
            .filter(|found| found.severity == Severity::Error)
            .count();
        warnings += list
            .iter()
            .filter(|found| found.severity == Severity::Warning)
            .count();
    }
    if errors + warnings > 0 {
        let some = |count: usize, what: &str| {
            let end = if count == 1 { "" } else { "s" };
            format!("{count} {what}{end}")
        };
        print::error(format_args!(
            "{}, {}",
            some(errors, "error"),
            some(warnings, "warning")
        ));
    }
    if unread {
        return Ending::Trouble;
    }
    Ending::of(errors == 0 && !(strict && warnings > 0))
}
