//! Scripts as people write them by mistake: one error for each fault, that says what to do.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

use std::process::Command;

use sieve::Severity;

/// What it is, the script, its errors.
const MISTAKES: &[(&str, &str, &[&str])] = &[
    (
        "missing semicolon",
        "require \"fileinto\";\nif header :contains \"Subject\" \"x\" {\n    fileinto \"A\"\n}\nkeep\n",
        &[
            "3:14: expected `;` after this, found `}` (commands end with a semicolon)",
            "5:1: expected `;` after this, found the end of the script (commands end with a semicolon)",
        ],
    ),
    (
        "missing require",
        "if header :contains \"Subject\" \"x\" { fileinto \"A\"; }\n",
        &[
            "1:37: the command `fileinto` needs the capability `fileinto` (add require \"fileinto\"; at the top)",
        ],
    ),
    (
        "wrong tag",
        "if header :contain \"Subject\" \"x\" { keep; }\n",
        &["1:11: `header` has no tag `:contain` (did you mean `:contains`?)"],
    ),
    (
        "tabs",
        "require\t\"fileinto\";\nif\theader\t:is\t\"a\"\t\"b\"\t{\n\t\tfilento\t\"x\";\n\t}\n",
        &["3:3: there is no command `filento` (did you mean `fileinto`?)"],
    ),
    (
        "if no block",
        "if header :is \"Subject\" \"x\" keep;\n",
        &["1:1: `if` needs a block (write the commands between { and })"],
    ),
    (
        "elsif after else",
        "if true { keep; } else { stop; } elsif false { keep; }\n",
        &["1:34: `elsif` may not follow `else`"],
    ),
    (
        "near name",
        "require \"fileinto\";\nfilinto \"Junk\";\n",
        &["2:1: there is no command `filinto` (did you mean `fileinto`?)"],
    ),
    (
        "wrong comparator",
        "if header :comparator \"i;ascii-casmap\" :is \"Subject\" \"x\" { keep; }\n",
        &[
            "1:23: there is no comparator `i;ascii-casmap` (known are i;octet, i;ascii-casemap, i;ascii-numeric and i;unicode-casemap)",
        ],
    ),
    (
        "open string",
        "require \"fileinto\";\nif header :is \"Subject\" \"x { \n    fileinto \"Junk\";\n}\n",
        &[
            "3:19: this string is never closed (end it with a double quote; a double quote within a string is written \\\")",
        ],
    ),
    (
        "open text",
        "require \"reject\";\nreject text:\nno thanks\nkeep;\n",
        &["2:8: this text: block is never closed (end it with a line that holds a single dot)"],
    ),
    (
        "overflow",
        "if size :over 99999999999999999999G { discard; }\n",
        &["1:15: this number is too large"],
    ),
    (
        "deep",
        "if not not not not not not not not not not not not not not not not not not not not not not not not not not not not not not not not not not not not not not not not not not not not not not not not not not not not not not not not not not not not not not not not not not not not not not not not not not not not not not not not not not not not not not not not not not not not not not not not not not not not true { keep; }\n",
        &["1:132: nested deeper than 32 levels"],
    ),
    (
        "else if",
        "require \"fileinto\";\nif header :is \"a\" \"b\" { keep; } else if header :is \"a\" \"c\" { fileinto \"x\"; }\n",
        &["2:38: `else` takes no test (an else with a condition is written elsif)"],
    ),
    (
        "single quotes",
        "require 'fileinto';\nfileinto 'Junk';\n",
        &[
            "1:9: strings stand in double quotes (write \" instead of ')",
            "2:10: strings stand in double quotes (write \" instead of ')",
        ],
    ),
    (
        "equals",
        "if header :is \"Subject\" == \"x\" { keep; }\n",
        &[
            "1:25: `==` begins no word of the language (there are no operators: compare with tags like :is, join tests with allof (…), anyof (…) and not)",
        ],
    ),
    (
        "missing brace",
        "require \"fileinto\";\nif header :is \"Subject\" \"x\" {\n    fileinto \"Junk\";\nkeep;\n",
        &["2:29: this block is never closed (add the missing })"],
    ),
    (
        "extra brace",
        "require \"fileinto\";\nif header :is \"Subject\" \"x\" {\n    fileinto \"Junk\";\n}}\nkeep;\n",
        &["4:2: this brace closes no block (remove it, or add the missing {)"],
    ),
    (
        "and",
        "if header :is \"Subject\" \"x\" and header :is \"From\" \"y\" { keep; }\n",
        &["1:29: `header` takes no test (tests are joined as allof (…, …))"],
    ),
    (
        "allof no paren",
        "if allof header :is \"Subject\" \"x\", header :is \"From\" \"y\" { keep; }\n",
        &[
            "1:34: expected `;` or a block, found `,` (a list of tests stands in parentheses: allof (…, …))",
        ],
    ),
    (
        "size no unit",
        "if size :over \"1M\" { discard; }\n",
        &["1:15: `size` expects a number here, not a string (numbers stand without quotes)"],
    ),
    (
        "require late",
        "keep;\nrequire \"fileinto\";\nfileinto \"x\";\n",
        &[
            "2:1: `require` may only stand at the top (move it before all other commands)",
            "3:1: the command `fileinto` needs the capability `fileinto` (add require \"fileinto\"; at the top)",
        ],
    ),
    (
        "list parens",
        "if header :contains (\"Subject\", \"From\") \"x\" { keep; }\n",
        &[
            "1:22: expected a test, found a string (a list of strings stands in brackets: [\"…\", \"…\"])",
        ],
    ),
    (
        "http comment",
        "// move spam\nif header :is \"X-Spam\" \"yes\" { discard; }\n",
        &["1:1: `//` begins no comment (comments begin with # or stand between /* and */)"],
    ),
    (
        "tag last",
        "require [\"fileinto\",\"copy\"];\nfileinto \"x\" :copy;\n",
        &[
            "2:14: the tag `:copy` stands behind a positional argument (tags come first (RFC 5228 section 2.6.2))",
        ],
    ),
    (
        "variable",
        "require [\"variables\",\"fileinto\"];\nset \"${a}\" \"x\";\nset a \"y\";\n",
        &[
            "2:5: `${a}` is no variable name (a name is letters, digits and underscores and does not begin with a digit; no ${} around it)",
            "3:5: `set` takes no test (is a semicolon missing before this word, or are quotes missing around it?)",
        ],
    ),
    (
        "colon missing",
        "if header contains \"Subject\" \"x\" { keep; }\n",
        &["1:11: `header` takes no test (tags begin with a colon: `:contains`)"],
    ),
    (
        "semicolon after if",
        "if header :is \"Subject\" \"x\"; { keep; };\n",
        &["1:28: `if` ends here, before its block (remove this semicolon)"],
    ),
    (
        "comma require",
        "require [\"fileinto\" \"envelope\"];\nkeep;\n",
        &["1:21: expected `,` or `]` in this list, found a string"],
    ),
    (
        "kb",
        "if size :over 100KB { discard; }\n",
        &["1:15: a number with a strange ending (numbers are digits with an optional K, M or G)"],
    ),
    (
        "bad address",
        "redirect \"me at example.org\";\n",
        &[
            "1:10: `me at example.org` is no mail address (an address is written like user@example.org)",
        ],
    ),
];

/// All errors of a script, as the library tells them.
fn told(source: &str) -> Vec<String> {
    let faults = sieve::compile(source, &sieve::Capabilities::all()).unwrap_err();
    let errors = faults.iter().filter(|d| d.severity == Severity::Error);
    errors
        .map(|fault| fault.to_string().replacen(": error: ", ": ", 1))
        .collect()
}

#[test]
fn each_is_told_once_and_with_a_way_out() {
    for (what, source, expected) in MISTAKES {
        assert_eq!(told(source), *expected, "{what}");
    }
}

#[test]
fn a_drawing_of_a_long_line_is_cut() {
    let source = format!("if {}true {{ keep; }}", "not ".repeat(100));
    let faults = sieve::compile(&source, &sieve::Capabilities::all()).unwrap_err();
    let drawing = faults[0].render("deep.sieve", source.as_bytes());
    let lines: Vec<&str> = drawing.lines().collect();
    assert!(
        lines.iter().all(|line| line.chars().count() < 130),
        "{drawing}"
    );
    // The marker stands below the word.
    let at = lines[4].find('^').unwrap();
    let shown: String = lines[3].chars().skip(at).take(3).collect();
    assert_eq!(shown, "not", "{drawing}");
}

/// Pigeonhole's compiler finds no fewer errors: it repeats some of them.
#[test]
fn pigeonhole_tells_as_many() {
    if std::env::var_os("POSTHASTE_INTEROP").is_none_or(|value| value != "1") {
        return;
    }
    let folder = std::env::temp_dir().join(format!("posthaste-mistakes-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let (config, script) = (folder.join("dovecot.conf"), folder.join("script.sieve"));
    std::fs::write(&config, "ssl = no\nlog_path = /dev/stderr\n").unwrap();
    for (what, source, errors) in MISTAKES {
        std::fs::write(&script, source).unwrap();
        let output = Command::new("sievec")
            .arg("-c")
            .args([&config, &script])
            .output()
            .unwrap_or_else(|fault| panic!("sievec (Debian package dovecot-sieve): {fault}"));
        let log = String::from_utf8_lossy(&output.stderr);
        // The last one only says that there were others.
        let theirs = log.matches(" error: ").count() - 1;
        assert!((1..=theirs).contains(&errors.len()), "{what}: {log}");
    }
    std::fs::remove_dir_all(&folder).unwrap();
}
