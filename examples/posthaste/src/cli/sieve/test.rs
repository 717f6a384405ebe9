//! `posthaste sieve test`: runs test suites.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use sieve::testsuite::{self, Report};

use super::Ending;
use crate::cli::print;

pub(super) const ENDINGS: &str = "Exit status:
  0  all tests passed
  1  one failed, or a suite has errors
  2  a file cannot be read, the report cannot be written, or the arguments are wrong";

/// What came of a suite, or why it cannot be read.
type Outcome = Result<Report, String>;

pub(super) fn run(files: &[PathBuf], junit: Option<&Path>, verbose: bool) -> Ending {
    let mut suites = Vec::new();
    let mut outcomes: Vec<(PathBuf, Outcome)> = Vec::new();
    for path in files {
        if let Err(fault) = collect(path, &mut suites) {
            outcomes.push((path.clone(), Err(fault.to_string())));
        }
    }
    suites.sort();
    let fetch =
        |path: &Path| std::fs::read(path).map_err(|fault| format!("{}: {fault}", path.display()));
    outcomes.extend(suites.into_iter().map(|path| {
        let source = std::fs::read(&path).map_err(|fault| fault.to_string());
        let outcome = source.map(|source| testsuite::run(&source, &path, &fetch));
        (path, outcome)
    }));
    let mut ending = Ending::Good;
    let (mut ran, mut cases, mut failures) = (0, 0, 0);
    for (path, outcome) in &outcomes {
        match outcome {
            Ok(report) => {
                show(path, report, verbose);
                ran += 1;
                cases += report.cases.len();
                failures += report.failures();
            }
            Err(fault) => {
                print::error(format_args!("{}: {fault}", path.display()));
                ending = Ending::Trouble;
            }
        }
    }
    print::line(format_args!(
        "{ran} suites, {cases} tests, {failures} failures"
    ));
    if let Some(path) = junit
        && let Err(fault) = std::fs::write(path, to_junit(&outcomes))
    {
        print::error(format_args!("{}: {fault}", path.display()));
        ending = Ending::Trouble;
    }
    ending.max(Ending::of(failures == 0))
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

/// The form that build servers read: a failure is what a test says of itself,
/// an error what kept it from saying anything.
fn to_junit(outcomes: &[(PathBuf, Outcome)]) -> String {
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n");
    for (path, outcome) in outcomes {
        let name = escape(&path.display().to_string());
        let (cases, error) = match outcome {
            Ok(report) => (report.cases.as_slice(), report.error.as_ref()),
            Err(fault) => (&[][..], Some(fault)),
        };
        let failed = cases.iter().filter(|case| case.failure.is_some());
        let (faults, failures): (Vec<_>, Vec<_>) = failed.partition(|case| case.fault);
        let _ = writeln!(
            out,
            "  <testsuite name=\"{name}\" tests=\"{}\" failures=\"{}\" errors=\"{}\">",
            cases.len() + usize::from(error.is_some()),
            failures.len(),
            faults.len() + usize::from(error.is_some()),
        );
        for case in cases {
            let _ = write!(
                out,
                "    <testcase classname=\"{name}\" name=\"{}\" line=\"{}\"",
                escape(&case.name),
                case.line
            );
            let kind = if case.fault { "error" } else { "failure" };
            let _ = match &case.failure {
                None => writeln!(out, "/>"),
                Some((line, reason)) => writeln!(
                    out,
                    ">\n      <{kind} message=\"line {line}: {}\"/>\n    </testcase>",
                    escape(reason)
                ),
            };
        }
        if let Some(error) = error {
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

/// Text as it may stand in an attribute. What XML 1.0 (§2.2) knows no way to write becomes U+FFFD.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            // As they are, they would be read as blanks.
            '\t' | '\n' | '\r' => {
                let _ = write!(out, "&#{};", u32::from(c));
            }
            '\0'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn junit_names_failures_and_errors() {
        let suite = b"require \"vnd.dovecot.testsuite\"; test \"a\" { } test \"b<\" { test_fail \"why\"; }\n\
            test \"c\" { test_message :smtp 9; }";
        let report = testsuite::run(suite, Path::new("x.svtest"), &|_| Err(String::new()));
        let text = to_junit(&[
            (PathBuf::from("x.svtest"), Ok(report)),
            (PathBuf::from("y.svtest"), Err("not there".into())),
        ]);
        for expected in [
            "<testsuite name=\"x.svtest\" tests=\"3\" failures=\"1\" errors=\"1\">",
            "name=\"a\" line=\"1\"/>",
            "name=\"b&lt;\" line=\"1\">\n      <failure message=\"line 1: why\"/>",
            "name=\"c\" line=\"2\">\n      <error message=\"line 2: there is no message 9\"/>",
            "<testsuite name=\"y.svtest\" tests=\"1\" failures=\"0\" errors=\"1\">",
            "<error message=\"not there\"/>",
        ] {
            assert!(text.contains(expected), "{expected}: {text}");
        }
    }

    #[test]
    fn what_xml_cannot_write_is_replaced() {
        let text = "<a&\"b\">\t\r\n\0\u{1b}\u{85}\u{fffe}\u{ffff}\u{1f600}";
        assert_eq!(
            escape(text),
            "&lt;a&amp;&quot;b&quot;&gt;&#9;&#13;&#10;\u{fffd}\u{fffd}\u{85}\u{fffd}\u{fffd}\u{1f600}"
        );
    }
}
