//! Fuzz targets of the posthaste crates: functions that take octets and panic when something is
//! wrong.
//!
//! [`TARGETS`] names them all. `corpus/NAME` holds inputs of each; the tests play them, and what
//! [`Accidents`] make of them.

pub mod accidents;
mod files;
pub mod imap;
pub mod mailstore;
pub mod mime;
pub mod pop3;
pub mod procmail;
pub mod sieve;
pub mod smtp;

use std::path::{Path, PathBuf};

pub use accidents::Accidents;

/// What an input is given to.
pub type Target = fn(&[u8]);

/// Every target, by the name of its corpus.
pub const TARGETS: &[(&str, Target)] = &[
    ("smtp_server", smtp::server),
    ("smtp_client", smtp::client),
    ("smtp_grammar", smtp::grammar),
    ("smtp_address", smtp::address),
    ("smtp_reply", smtp::reply),
    ("smtp_data", smtp::data),
    ("pop3_server", pop3::server),
    ("pop3_client", pop3::client),
    ("imap_command", imap::command),
    ("imap_response", imap::response),
    ("imap_names", imap::names),
    ("imap_body_structure", imap::body_structure),
    ("imap_urls", imap::urls),
    ("imap_framing", imap::framing),
    ("imap_threads", imap::threads),
    ("imap_server", imap::server),
    ("imap_client", imap::client),
    ("mime_structure", mime::structure),
    ("mime_header", mime::header),
    ("mime_address", mime::address),
    ("mime_date", mime::date),
    ("mime_encoded_word", mime::encoded_word),
    ("mime_value", mime::value),
    ("mime_transfer", mime::transfer),
    ("mime_build", mime::build),
    ("mailstore_mbox", mailstore::mbox),
    ("mailstore_state", mailstore::state),
    ("sieve_script", sieve::script),
    ("sieve_evaluation", sieve::evaluation),
    ("sieve_compiled", sieve::compiled),
    ("managesieve_server", sieve::managesieve_server),
    ("managesieve_client", sieve::managesieve_client),
    ("procmail_rcfile", procmail::parse),
    ("procmail_evaluation", procmail::evaluate),
    ("procmail_expression", procmail::expression),
];

/// The target of this name.
#[must_use]
pub fn target(name: &str) -> Option<Target> {
    TARGETS
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, target)| *target)
}

/// The folder of the committed inputs, a folder a target.
#[must_use]
pub fn corpus_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus")
}

/// The committed inputs of a target, by the order of their names.
///
/// # Errors
/// When the target has no corpus, or a file cannot be read.
pub fn corpus(name: &str) -> std::io::Result<Vec<Vec<u8>>> {
    let mut paths = std::fs::read_dir(corpus_folder().join(name))?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<Vec<_>, _>>()?;
    paths.sort();
    paths.into_iter().map(std::fs::read).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// So many changed inputs are tried for each input of the corpus.
    const CHANGED: usize = 200;

    #[test]
    fn each_target_has_a_corpus_and_each_corpus_a_target() {
        let folders = std::fs::read_dir(corpus_folder()).unwrap();
        let folders: BTreeSet<String> = folders
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        let targets: BTreeSet<String> = TARGETS.iter().map(|(name, _)| (*name).into()).collect();
        assert_eq!(folders, targets);
    }

    #[test]
    fn each_target_has_a_binary_of_the_engine() {
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("engine/Cargo.toml");
        let manifest = std::fs::read_to_string(manifest).unwrap();
        let binaries: Vec<&str> = manifest
            .split("[[bin]]\nname = \"")
            .skip(1)
            .map(|binary| binary.split('"').next().unwrap())
            .collect();
        let targets: Vec<&str> = TARGETS.iter().map(|(name, _)| *name).collect();
        assert_eq!(binaries, targets);
    }

    /// Plays the corpora of the targets whose names begin so.
    fn play(prefix: &str) {
        let mut played = 0;
        for (name, target) in TARGETS {
            if !name.starts_with(prefix) {
                continue;
            }
            let corpus = corpus(name).unwrap();
            let mut accidents = Accidents::new(1);
            for input in &corpus {
                target(input);
                for _ in 0..CHANGED {
                    target(&accidents.change(input, &corpus));
                }
                played += 1;
            }
        }
        assert!(played > 0, "no corpus for {prefix}");
    }

    #[test]
    fn smtp() {
        play("smtp_");
        // The first two octets choose the configuration: each seed in all of them.
        for (name, target) in TARGETS {
            if name.starts_with("smtp_") {
                for input in corpus(name).unwrap() {
                    for (first, second) in
                        (0..=16).flat_map(|one| (0..=32).map(move |two| (one, two)))
                    {
                        target(&[&[first, second], &input[..]].concat());
                    }
                }
            }
        }
    }

    #[test]
    fn pop3() {
        play("pop3_");
    }

    #[test]
    fn imap() {
        play("imap_");
    }

    #[test]
    fn mime() {
        play("mime_");
    }

    #[test]
    fn mailstore() {
        play("mailstore_");
    }

    #[test]
    fn sieve() {
        play("sieve_");
    }

    #[test]
    fn managesieve() {
        play("managesieve_");
    }

    #[test]
    fn procmail() {
        play("procmail_");
    }
}
