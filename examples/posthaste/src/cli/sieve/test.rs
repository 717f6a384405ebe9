//! `posthaste sieve test`: runs test suites.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use sieve::testsuite::{self, Report};

use super::read;
use crate::cli::print;

pub(super) fn run(files: &[PathBuf], junit: Option<&Path>, verbose: bool) -> bool {
    let mut suites = Vec::new();
    let mut good = true;
    for path in files {
        if let Err(fault) = collect(path, &mut suites) {
            print::error(format_args!("{}: {fault}", path.display()));
            good = false;
        }
    }
    suites.sort();
    let fetch =
        |path: &Path| std::fs::read(path).map_err(|fault| format!("{}: {fault}", path.display()));
    let (mut cases, mut failures) = (0, 0);
    let mut reports = Vec::new();
    for path in suites {
        let Some(source) = read(&path) else {
            good = false;
            continue;
        };
        let report = testsuite::run(&source, &path, &fetch);
        show(&path, &report, verbose);
        cases += report.cases.len();
        failures += report.failures();
        reports.push((path, report));
    }
    print::line(format_args!(
        "{} suites, {cases} tests, {failures} failures",
        reports.len()
    ));
    if let Some(path) = junit
        && let Err(fault) = std::fs::write(path, to_junit(&reports))
    {
        print::error(format_args!("{}: {fault}", path.display()));
        good = false;
    }
    good && failures == 0
}

/// A suite, or those below a folder.
fn collect(path: &Path, out: &mut Vec<PathBuf>) -> std::io::Result<()> {
    if !path.is_dir() {
        out.push(path.to_owned());
        return Ok(());
    }
    for entry in std::fs::read_dir(path)? {
        let entry = entry?;
        let inner = entry.path();
        if entry.file_type()?.is_dir() {
            collect(&inner, out)?;
        } else if inner
            .extension()
            .is_some_and(|extension| extension == "svtest")
        {
            out.push(inner);
        }
    }
    Ok(())
}

fn show(path: &Path, report: &Report, verbose: bool) {
    let path = path.display();
    for line in &report.printed {
        print::line(line);
    }
    for case in &report.cases {
        match &case.failure {
            Some((line, reason)) => {
                print::line(format_args!("FAIL  {path}:{line}: {}: {reason}", case.name))
            }
            None if verbose => {
                print::line(format_args!("ok    {path}:{}: {}", case.line, case.name))
            }
            None => {}
        }
    }
    if let Some(error) = &report.error {
        print::line(format_args!("FAIL  {path}: {error}"));
    }
}

/// The form that build servers read.
fn to_junit(reports: &[(PathBuf, Report)]) -> String {
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n");
    for (path, report) in reports {
        let name = escape(&path.display().to_string());
        let _ = writeln!(
            out,
            "  <testsuite name=\"{name}\" tests=\"{}\" failures=\"{}\" errors=\"{}\">",
            report.cases.len() + usize::from(report.error.is_some()),
            report.failures() - usize::from(report.error.is_some()),
            usize::from(report.error.is_some()),
        );
        for case in &report.cases {
            let _ = write!(
                out,
                "    <testcase classname=\"{name}\" name=\"{}\" line=\"{}\"",
                escape(&case.name),
                case.line
            );
            let _ = match &case.failure {
                None => writeln!(out, "/>"),
                Some((line, reason)) => writeln!(
                    out,
                    ">\n      <failure message=\"line {line}: {}\"/>\n    </testcase>",
                    escape(reason)
                ),
            };
        }
        if let Some(error) = &report.error {
            let _ = writeln!(
                out,
                "    <testcase classname=\"{name}\" name=\"the suite itself\">\n      <error message=\"{}\"/>\n    \
                 </testcase>",
                escape(error)
            );
        }
        out.push_str("  </testsuite>\n");
    }
    out.push_str("</testsuites>\n");
    out
}

/// Text as it may stand in an attribute; control characters, which XML knows no way to write, become blanks.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' => out.push_str("&#10;"),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn junit_names_failures() {
        let suite =
            b"require \"vnd.dovecot.testsuite\"; test \"a\" { } test \"b<\" { test_fail \"why\"; }";
        let report = testsuite::run(suite, Path::new("x.svtest"), &|_| Err(String::new()));
        let text = to_junit(&[(PathBuf::from("x.svtest"), report)]);
        assert!(
            text.contains("tests=\"2\" failures=\"1\" errors=\"0\""),
            "{text}"
        );
        assert!(text.contains("name=\"a\" line=\"1\"/>"), "{text}");
        assert!(text.contains("name=\"b&lt;\""), "{text}");
        assert!(
            text.contains("<failure message=\"line 1: why\"/>"),
            "{text}"
        );
    }
}
