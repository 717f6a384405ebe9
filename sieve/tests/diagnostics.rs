//! Each fault is told once, at its place, with its text and a way out.
#![allow(clippy::unwrap_used, missing_docs)]

use sieve::{Capabilities, Severity};

fn told(source: &str) -> Vec<String> {
    let list = match sieve::compile(source, &Capabilities::all()) {
        Ok(script) => script.warnings().to_vec(),
        Err(list) => list,
    };
    list.iter().map(ToString::to_string).collect()
}

fn check(source: &str, expected: &[&str]) {
    assert_eq!(told(source), expected, "{source}");
}

#[test]
fn syntax() {
    check(
        "keep",
        &[
            "1:1: error: expected `;` after this, found the end of the script (commands end with a semicolon)",
        ],
    );
    check(
        "if true { keep;",
        &["1:9: error: this block is never closed (add the missing })"],
    );
    check(
        "keep; }",
        &["1:7: error: this brace closes no block (remove it, or add the missing {)"],
    );
    check(
        "if header [\"a\" \"b\"] \"c\" { keep; }",
        &["1:16: error: expected `,` or `]` in this list, found a string"],
    );
    check(
        "if anyof (true] false) { keep; }",
        &["1:15: error: expected `,` or `)` in this list of tests, found `]`"],
    );
    check(
        "redirect \"a@b.example;\n",
        &[
            "1:10: error: this string is never closed (end it with a double quote; a double quote within a string is \
         written \\\")",
        ],
    );
    check(
        "\"x\";\nkeep;",
        &["1:1: error: expected a command, found a string"],
    );
    check(
        "fileinto 1x;",
        &[
            "1:1: error: the command `fileinto` needs the capability `fileinto` (add require \"fileinto\"; at the top)",
            "1:10: error: a number with a strange ending (numbers are digits with an optional K, M or G)",
            "1:10: error: `fileinto` expects a string here, not a number (strings stand in double quotes)",
        ],
    );
}

#[test]
fn names() {
    check(
        "kep;",
        &["1:1: error: there is no command `kep` (did you mean `keep`?)"],
    );
    check(
        "if headr \"a\" \"b\" { stop; }",
        &["1:4: error: there is no test `headr` (did you mean `header`?)"],
    );
    check(
        "if keep { stop; }",
        &["1:4: error: there is no test `keep` (`keep` is a command)"],
    );
    check(
        "require \"fileintoo\";",
        &["1:9: error: the capability `fileintoo` is not supported (did you mean `fileinto`?)"],
    );
    check(
        "require \"elbonia\";",
        &["1:9: error: the capability `elbonia` is not supported"],
    );
    check(
        "if header :contain \"a\" \"b\" { stop; }",
        &["1:11: error: `header` has no tag `:contain` (did you mean `:contains`?)"],
    );
    let faults = sieve::compile("require \"reject\";", &Capabilities::none()).unwrap_err();
    assert_eq!(
        faults[0].message,
        "the capability `reject` is not offered here"
    );
}

#[test]
fn arguments() {
    check(
        "redirect;",
        &["1:1: error: `redirect` lacks an argument: a string (it takes one positional argument)"],
    );
    check(
        "if header :is \"a\" { stop; }",
        &[
            "1:4: error: `header` lacks an argument: a string list (it takes 2 positional arguments)",
        ],
    );
    check(
        "if header :is :matches \"a\" \"b\" { stop; }",
        &["1:15: error: `:is` and `:matches` exclude each other: one match type only"],
    );
    check(
        "if header \"a\" :is \"b\" { stop; }",
        &[
            "1:15: error: the tag `:is` stands behind a positional argument (tags come first (RFC 5228 section 2.6.2))",
        ],
    );
    check(
        "require \"comparator-i;ascii-numeric\";\nif header :contains :comparator \"i;ascii-numeric\" \"a\" \"b\" { stop; }",
        &[
            "2:11: error: the comparator `i;ascii-numeric` cannot be used with `:contains` (use it with :is, :value or \
         :count)",
        ],
    );
    check(
        "require \"regex\"; if header :regex \"a\" \"(b\" { stop; }",
        &["1:39: error: this regular expression is not valid: a group is never closed"],
    );
    check(
        "redirect \"\u{e4}\u{f6}\"; redirect \"b\";",
        &[
            "1:10: error: `\u{e4}\u{f6}` is no mail address (an address is written like user@example.org)",
            "1:25: error: `b` is no mail address (an address is written like user@example.org)",
        ],
    );
}

#[test]
fn structure() {
    check(
        "else { keep; }",
        &["1:1: error: `else` must follow `if` or `elsif` at once"],
    );
    check(
        "if true { stop; } else { stop; } elsif false { stop; }",
        &[
            "1:34: error: `elsif` may not follow `else`",
            "1:4: warning: this test is always true",
            "1:40: warning: this test is always false",
        ],
    );
    check(
        "keep; require \"copy\";",
        &["1:7: error: `require` may only stand at the top (move it before all other commands)"],
    );
    check(
        "require \"foreverypart\"; break;",
        &["1:25: error: `break` stands outside of any foreverypart"],
    );
    let deep = format!("{}keep;{}", "if true {".repeat(100), "}".repeat(100));
    assert!(
        told(&deep)
            .iter()
            .any(|fault| fault.contains("nested deeper"))
    );
}

#[test]
fn warnings() {
    check(
        "require \"fileinto\"; keep;",
        &["1:9: warning: the capability `fileinto` is required but not used"],
    );
    check(
        "stop; keep;",
        &["1:7: warning: this command is never reached"],
    );
    check(
        "if header \"sub ject\" \"x\" { stop; }",
        &[
            "1:11: warning: `sub ject` can be no header field's name (names are written without colon or spaces)",
        ],
    );
}

#[test]
fn drawing() {
    let source = b"# filter\nif headr \"a\" \"b\" { stop; }\n";
    let faults = sieve::compile(source, &Capabilities::default()).unwrap_err();
    assert_eq!(faults[0].severity, Severity::Error);
    assert_eq!(faults[0].text(source), b"headr");
    assert_eq!(
        faults[0].render("my.sieve", source),
        "error: there is no test `headr`\n --> my.sieve:2:4\n  |\n2 | if headr \"a\" \"b\" { stop; }\n  |    ^^^^^\n  = \
         help: did you mean `header`?\n"
    );
}

#[test]
fn limits() {
    let big = vec![b' '; (1 << 20) + 1];
    let faults = sieve::compile(&big, &Capabilities::default()).unwrap_err();
    assert!(faults[0].message.contains("larger"));
    let garbage = "@ ".repeat(10_000);
    assert_eq!(told(&garbage).len(), 100);
    let variables: String = (0..300).map(|n| format!("set \"v{n}\" \"x\";")).collect();
    assert!(
        told(&format!("require \"variables\"; {variables}"))
            .iter()
            .any(|f| f.contains("variables"))
    );
}
