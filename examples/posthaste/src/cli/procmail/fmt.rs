//! `posthaste procmail fmt`.

use std::path::PathBuf;

use procmail_rules::Script;

use super::check::tell;
use crate::cli::print;
use crate::cli::sieve::{fmt::replace, read};

pub(super) fn run(files: &[PathBuf], write: bool, check: bool) -> bool {
    let mut good = true;
    for path in files {
        let Some(text) = read(path) else {
            good = false;
            continue;
        };
        let script = Script::parse(&text);
        let neat = match script.format() {
            Ok(neat) => neat,
            Err(faults) => {
                tell(path, &script, &faults);
                good = false;
                continue;
            }
        };
        let same = neat == text;
        if check {
            if !same {
                print::line(path.display());
                good = false;
            }
        } else if write && path.as_os_str() != "-" {
            if !same && let Err(fault) = replace(path, &neat) {
                print::error(format_args!("{}: {fault}", path.display()));
                good = false;
            }
        } else {
            print::octets(&neat);
        }
    }
    good
}
