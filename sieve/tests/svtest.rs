//! Runs every suite below `tests/svtest`.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

use std::path::{Path, PathBuf};

/// The files below a folder whose names end so.
fn files(folder: &Path, ending: &str, out: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, ending, out);
        } else if path.extension().is_some_and(|found| found == ending) {
            out.push(path);
        }
    }
}

#[test]
fn all_suites_pass() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/svtest");
    let mut list = Vec::new();
    files(&folder, "svtest", &mut list);
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

/// An example that is not run shows nothing but that it compiles.
#[test]
fn every_example_of_an_rfc_is_compiled_and_run() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/svtest");
    let mut list = Vec::new();
    files(&folder, "svtest", &mut list);
    let examples = folder.join("rfc/examples.svtest");
    let compiled = std::fs::read_to_string(&examples).unwrap();
    let run: String = list
        .iter()
        .filter(|path| **path != examples)
        .map(|path| std::fs::read_to_string(path).unwrap())
        .collect();
    let mut scripts = Vec::new();
    files(&folder.join("rfc"), "sieve", &mut scripts);
    assert!(scripts.len() > 120, "the examples are missing");
    for script in scripts {
        let name = script.strip_prefix(folder.join("rfc")).unwrap().display();
        assert!(
            compiled.contains(&format!("\"{name}\"")),
            "{name} is not compiled"
        );
        let is_run =
            run.contains(&format!("\"{name}\"")) || run.contains(&format!("\"rfc/{name}\""));
        assert!(is_run, "{name} is not run");
    }
}

/// `test_result_print` and `test_message_print`, and what ends a suite or one test of it.
#[test]
fn what_suites_print_and_where_they_fail() {
    let suite = br#"require "vnd.dovecot.testsuite";
test_set "message" "Subject: shown";
test "prints" {
    test_message_print;
    if not test_script_compile "x.sieve" { test_fail "compile"; }
    if not test_script_run { test_fail "run"; }
    test_result_print;
}
test "fails" {
    test_binary_load "never saved";
    test_fail "not reached";
}
test "fails twice" { test_fail "first"; test_fail "second"; }
test "no such mailbox" { test_mailbox_delete "Nowhere"; }
test "no such field" { test_set "envelop.from" "x"; }
test "no such message" { test_message :smtp 3; }
test "no such extension" { test_config_reload :extension "nowhere"; }
test_binary_load "outside of any test";
test "never run" { }
"#;
    let read = |path: &Path| match path.to_str() {
        Some("x.sieve") => Ok(b"keep;".to_vec()),
        _ => Err("not there".to_owned()),
    };
    let report = sieve::testsuite::run(suite, Path::new("x.svtest"), &read);
    assert_eq!(report.printed.len(), 2, "{:?}", report.printed);
    assert_eq!(report.printed[0], "Subject: shown");
    assert!(report.printed[1].contains("Keep"), "{}", report.printed[1]);
    let failures: Vec<_> = report
        .cases
        .iter()
        .map(|case| case.failure.as_ref().map(|(line, why)| (*line, &why[..])))
        .collect();
    assert_eq!(
        failures,
        [
            None,
            Some((10, "no binary `never saved` was saved")),
            Some((13, "first")),
            Some((14, "the test runner could not do that")),
            Some((15, "test_set knows no `envelop.from`")),
            Some((16, "there is no message 3")),
            Some((17, "there is no extension `nowhere`")),
        ]
    );
    let error = report.error.as_deref().unwrap();
    assert!(
        error.contains("18:") && error.contains("outside of any test"),
        "{error}"
    );
    assert_eq!(report.failures(), 7);
    // All but what a suite says itself are faults.
    let faults: Vec<bool> = report.cases.iter().map(|case| case.fault).collect();
    assert_eq!(faults, [false, true, false, true, true, true, true]);
}
