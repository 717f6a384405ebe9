//! `posthaste sieve fmt`.

use std::path::{Path, PathBuf};

use super::{Ending, read, tell};
use crate::cli::print;
use crate::files;

pub(super) const ENDINGS: &str = "Exit status:
  0  all scripts are laid out
  1  a script has errors or, where they are only checked, is laid out in another way
  2  a file cannot be read or written, or the arguments are wrong";

pub(super) fn run(files: &[PathBuf], write: bool, check: bool) -> Ending {
    let mut ending = Ending::Good;
    for path in files {
        let Some(source) = read(path) else {
            ending = Ending::Trouble;
            continue;
        };
        let neat = match sieve::format(&source) {
            Ok(neat) => neat,
            Err(faults) => {
                tell(path, &source, &faults);
                ending = ending.max(Ending::Faults);
                continue;
            }
        };
        let same = neat.as_bytes() == source;
        if check {
            if !same {
                print::line(path.display());
                ending = ending.max(Ending::Faults);
            }
        } else if write && path.as_os_str() != "-" {
            if !same && let Err(fault) = replace(path, neat.as_bytes()) {
                print::error(format_args!("{}: {fault}", path.display()));
                ending = Ending::Trouble;
            }
        } else {
            print::octets(neat.as_bytes());
        }
    }
    ending
}

/// Puts the new text in place at once: a crash leaves the old script or the new one.
pub(in crate::cli) fn replace(path: &Path, text: &[u8]) -> std::io::Result<()> {
    // What a link leads to, or the link would be replaced: the active script is one.
    let path = std::fs::canonicalize(path)?;
    let old = std::fs::metadata(&path)?;
    files::publish(&path, text, Some(&old))
}
