//! What the comparisons with Debian's mail programs share.

use std::path::{Path, PathBuf};

/// The number in a variable of the environment: a seed, or how many pairs.
pub(crate) fn number(variable: &str, otherwise: u64) -> u64 {
    let given = std::env::var(variable).ok();
    given.map_or(otherwise, |given| given.parse().unwrap())
}

/// Our command in a folder, under the name that it answers to.
pub(crate) fn command(folder: &Path, name: &str) -> PathBuf {
    let command = folder.join(name);
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_posthaste"), &command).unwrap();
    command
}

/// Fails with what differed: how much of it, and the first few.
pub(crate) fn assert_same(differing: &[String], compared: u64) {
    let shown = usize::try_from(number("POSTHASTE_SHOWN", 8)).unwrap();
    let shown: Vec<&str> = differing.iter().take(shown).map(String::as_str).collect();
    assert!(
        differing.is_empty(),
        "{} of {compared} differ\n{}",
        differing.len(),
        shown.join("\n==========\n")
    );
}
