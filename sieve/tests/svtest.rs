//! Runs every suite below `tests/svtest`.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use std::path::{Path, PathBuf};

fn suites(folder: &Path, out: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            suites(&path, out);
        } else if path
            .extension()
            .is_some_and(|extension| extension == "svtest")
        {
            out.push(path);
        }
    }
}

#[test]
fn all_suites_pass() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/svtest");
    let mut list = Vec::new();
    suites(&folder, &mut list);
    list.sort();
    assert!(list.len() > 20, "the suites are missing");
    let read =
        |path: &Path| std::fs::read(path).map_err(|fault| format!("{}: {fault}", path.display()));
    let mut faults = Vec::new();
    let mut cases = 0;
    for path in &list {
        let report = sieve::testsuite::run(&std::fs::read(path).unwrap(), path, &read);
        let name = path.strip_prefix(&folder).unwrap().display();
        cases += report.cases.len();
        if let Some(error) = &report.error {
            faults.push(format!("{name}: {error}"));
        } else if report.cases.is_empty() {
            faults.push(format!("{name}: no test in it"));
        }
        for case in &report.cases {
            if let Some((line, reason)) = &case.failure {
                faults.push(format!("{name}:{line}: {}: {reason}", case.name));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(cases > 75, "only {cases} tests were run");
}
