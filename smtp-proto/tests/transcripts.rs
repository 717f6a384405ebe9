//! Sessions of both machines, played whole, octet by octet and cut at
//! random.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

mod common;

use std::panic::AssertUnwindSafe;
use std::path::Path;

/// Plays every file in the folder; a `#! key value` line configures.
fn each(folder: &str, play: impl Fn(&str)) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/transcripts")
        .join(folder);
    let mut paths: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    assert!(!paths.is_empty());
    for path in paths {
        let script = std::fs::read_to_string(&path).unwrap();
        let played = std::panic::catch_unwind(AssertUnwindSafe(|| play(&script)));
        assert!(played.is_ok(), "{}", path.display());
    }
}

#[test]
fn server() {
    each("server", common::server::play);
}

#[test]
fn client() {
    each("client", common::client::play);
}
