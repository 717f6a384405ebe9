//! `posthaste sieve check`.

use std::path::PathBuf;

use sieve::Severity;

use super::{capabilities, read, tell};
use crate::cli::print;

pub(super) fn run(files: &[PathBuf], strict: bool) -> bool {
    let (mut errors, mut warnings, mut good) = (0, 0, true);
    for path in files {
        let Some(source) = read(path) else {
            good = false;
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
    good && errors == 0 && !(strict && warnings > 0)
}
