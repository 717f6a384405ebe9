//! The house's floors: arrows run only down, siblings are blind to each
//! other, and the lower floors pull in no runtime and no TLS.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

/// Package, and the packages of the workspace that it may reach.
const FLOORS: &[(&str, &[&str])] = &[
    ("posthaste-proto-core", &[]),
    ("posthaste-mime", &[]),
    ("posthaste-smtp-proto", &["posthaste-proto-core"]),
    ("posthaste-pop3-proto", &["posthaste-proto-core"]),
    (
        "posthaste-imap-proto",
        &["posthaste-proto-core", "posthaste-mime"],
    ),
    (
        "posthaste-sieve",
        &["posthaste-proto-core", "posthaste-mime"],
    ),
    ("posthaste-procmail-rules", &["posthaste-mime"]),
    ("posthaste-mailstore", &["posthaste-mime"]),
    (
        "posthaste-net",
        &[
            "posthaste-proto-core",
            "posthaste-mime",
            "posthaste-smtp-proto",
            "posthaste-pop3-proto",
            "posthaste-imap-proto",
            "posthaste-sieve",
        ],
    ),
];

/// What only `net` and the server may pull in.
const UPSTAIRS: &[&str] = &[
    "tokio",
    "rustls",
    "tokio-rustls",
    "hickory-resolver",
    "mio",
    "ring",
];

fn dependencies(package: &str) -> BTreeSet<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--offline", "--all-features", "--edges", "normal"])
        .args(["--prefix", "none", "--format", "{p}", "--package", package])
        .current_dir(root)
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "cargo tree: {errors}");
    String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != package)
        .map(str::to_owned)
        .collect()
}

#[test]
fn arrows_run_only_down() {
    for (package, allowed) in FLOORS {
        for dependency in dependencies(package) {
            if dependency.starts_with("posthaste") {
                assert!(
                    allowed.contains(&dependency.as_str()),
                    "{package} reaches {dependency}"
                );
            }
            if *package != "posthaste-net" {
                assert!(
                    !UPSTAIRS.contains(&dependency.as_str()),
                    "{package} pulls in {dependency}"
                );
            }
        }
    }
}

#[test]
fn the_lower_floors_read_no_clock() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let banned = std::fs::read_to_string(root.join("clippy.toml")).unwrap();
    for clock in ["std::time::Instant::now", "std::time::SystemTime::now"] {
        assert!(banned.contains(clock), "clippy no longer refuses {clock}");
    }
    for (package, _) in FLOORS {
        let folder = package.trim_start_matches("posthaste-");
        let own = root.join(folder).join("clippy.toml");
        assert!(
            folder == "net" || !own.exists(),
            "{folder} has rules of its own"
        );
    }
}
