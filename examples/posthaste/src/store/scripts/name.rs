//! What the files of a script are called.
//!
//! A name that can be a file's name is one, with `.sieve` behind it: Pigeonhole
//! finds the script under the same name. Any other (long, with a slash, with a
//! dot in front, or like those made here) has a file named by its digest, and
//! beside it a file of the same stem that holds the true name.

use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

/// Octets of a name: 128 characters (RFC 5804 §1.6), of four octets each.
pub(super) const LONGEST: usize = 512;

/// Octets of a file's name, as file systems have it.
const FILE: usize = 255;

/// What a script's file ends with.
const ENDING: &str = ".sieve";

/// What the file of its true name ends with.
const NAMED: &str = ".name";

/// What stands before a digest.
const DIGEST: &str = "posthaste-";

/// The files of one script.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Files {
    /// Its source.
    pub(super) script: PathBuf,
    /// Its true name, where the file's name cannot tell.
    pub(super) named: Option<PathBuf>,
}

/// Whether a script can have this name (RFC 5804 §1.6).
pub(super) fn is_name(name: &str) -> bool {
    let forbidden = |c: char| c.is_control() || c == '\u{2028}' || c == '\u{2029}';
    !name.is_empty() && name.len() <= LONGEST && !name.contains(forbidden)
}

fn is_digest(stem: &str) -> bool {
    let digits = stem.strip_prefix(DIGEST);
    digits.is_some_and(|digits| {
        HEXLOWER
            .decode(digits.as_bytes())
            .is_ok_and(|d| d.len() == 32)
    })
}

fn fits(name: &str) -> bool {
    let own = name.starts_with('.') || name.contains('/') || is_digest(name);
    !own && name.len() + ENDING.len() <= FILE
}

fn digest(name: &str) -> String {
    format!("{DIGEST}{}", HEXLOWER.encode(&Sha256::digest(name)))
}

/// The files of the script of this name; none lies outside the folder. The
/// link to the active script may lie in it, and is no script.
pub(super) fn files(folder: &Path, active: &Path, name: &str) -> Files {
    let plain = || folder.join(format!("{name}{ENDING}"));
    if fits(name) {
        let script = plain();
        if script != active {
            return Files {
                script,
                named: None,
            };
        }
    }
    let stem = digest(name);
    Files {
        script: folder.join(format!("{stem}{ENDING}")),
        named: Some(folder.join(format!("{stem}{NAMED}"))),
    }
}

/// The name of the script in a file of this name, if it is one's; `told` reads
/// what is beside it.
pub(super) fn name_of(
    folder: &Path,
    active: &Path,
    file: &str,
    told: impl Fn(&Path) -> Option<String>,
) -> Option<String> {
    let stem = file.strip_suffix(ENDING)?;
    let name = if is_digest(stem) {
        told(&folder.join(format!("{stem}{NAMED}")))?
    } else {
        stem.to_owned()
    };
    // What is told may be wrong: such a script could be listed and not read.
    let own = files(folder, active, &name).script == folder.join(file);
    (own && is_name(&name)).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_to_files_and_back() {
        let (folder, active) = (Path::new("/home/sieve"), Path::new("/home/sieve/a.sieve"));
        let like = digest("x");
        let long = "\u{1F600}".repeat(128);
        for (name, plain) in [
            ("one", true),
            ("zwei \u{e4}.sieve", true),
            (&"n".repeat(249), true),
            (&"n".repeat(250), false),
            (&long, false),
            ("a", false),
            (".", false),
            ("..", false),
            ("../x", false),
            ("a/b", false),
            (".hidden", false),
            (&like, false),
        ] {
            let files = files(folder, active, name);
            assert_eq!(files.script.parent(), Some(folder), "{name}");
            assert_eq!(files.named.is_none(), plain, "{name}");
            let file = files.script.file_name().unwrap().to_str().unwrap();
            assert!(file.len() <= FILE, "{name}");
            let back = name_of(folder, active, file, |path| {
                assert_eq!(Some(path), files.named.as_deref());
                Some(name.to_owned())
            });
            assert_eq!(back.as_deref(), Some(name));
        }
        for file in ["x", ".sieve", ".hidden.sieve", "a.sieve", "line\n.sieve"] {
            assert_eq!(name_of(folder, active, file, |_| None), None, "{file:?}");
        }
        // The true name was lost, or is another's.
        let file = format!("{like}{ENDING}");
        assert_eq!(name_of(folder, active, &file, |_| None), None);
        assert_eq!(name_of(folder, active, &file, |_| Some("y".into())), None);
    }

    #[test]
    fn names_are_those_of_the_protocol() {
        assert!(is_name("a/b") && is_name(&"\u{1F600}".repeat(128)));
        for bad in ["", "\0", "a\nb", "\u{85}", "\u{2028}", &"n".repeat(513)] {
            assert!(!is_name(bad), "{bad:?}");
        }
    }
}
