//! Rcfiles and messages made by chance, the same for the same seed.

#[path = "generator_choices.rs"]
mod choices;
#[path = "generator_message.rs"]
pub(crate) mod message;

use std::fmt::Write as _;

use choices::{FILTERS, FOLDERS, PROGRAMS, SETTINGS, STATEMENTS};

/// A small generator of numbers (xorshift64*), the same everywhere.
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let number = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        number as usize % end
    }

    fn of<'a>(&mut self, choices: &[&'a str]) -> &'a str {
        choices[self.below(choices.len())]
    }

    fn letters(&mut self) -> String {
        let count = 1 + self.below(4);
        (0..count)
            .map(|_| self.of(&["a", "b", "c", "x", "0", "1", "9", ".", "_", "-", "/"]))
            .collect()
    }
}

/// Writes rcfiles.
pub(crate) struct Writer(pub(crate) Chance);

const NAMES: [&str; 6] = ["A", "B", "C", "X", "MATCH", "FOO_1"];

impl Writer {
    pub(crate) fn of<'a>(&mut self, choices: &[&'a str]) -> &'a str {
        self.0.of(choices)
    }

    fn one_in(&mut self, end: usize) -> bool {
        self.0.below(end) == 0
    }

    fn variable(&mut self, depth: usize) -> String {
        let name = self.of(&NAMES);
        match self.0.below(11) {
            0..3 => format!("${name}"),
            9 => self.of(STATEMENTS).into(),
            10 => self
                .of(&[
                    "`echo \\`echo a\\``",
                    "`echo '$A'`",
                    "\"`echo \\\"a  b\\\"`\"",
                    "`echo \"a  b\"`",
                    "\"`echo a; echo; echo`\"",
                    "`cat | sed 1q`",
                    "`exit 4;`",
                    "`echo $1 $#`",
                    "`echo \"$A\"`",
                    "`printf '\\\\n x \\\\n'`",
                    "`true`",
                    "``",
                    "`echo a\\\nb`",
                    "`sed -n 's/^Subject: *//p'`",
                    "`echo \\$A`",
                    "`echo a#b #c`",
                    "${NOPE:+p q}",
                    "${NOPE-p q}",
                    "${HOME+ p  q}",
                ])
                .into(),
            3 => format!("${{{name}}}"),
            4 if depth < 2 => {
                let how = self.of(&[":-", "-", ":+", "+"]);
                let word = self.word(depth + 1);
                format!("${{{name}{how}{word}}}")
            }
            5 => format!(
                "${}",
                self.of(&[
                    "0", "1", "2", "#", "?", "=", "-", "_", "{1}", "{2}", "{3:-w}"
                ])
            ),
            6 => format!("$\\{name}"),
            7 => format!(
                "`echo {}{}`",
                self.0.letters(),
                self.of(&["", " \"b  c\"", " $A"])
            ),
            _ => format!("\"${name}\""),
        }
    }

    fn word(&mut self, depth: usize) -> String {
        let mut word = String::new();
        for _ in 0..=self.0.below(3) {
            match self.0.below(10) {
                0..4 => word.push_str(&self.0.letters()),
                4..7 => word.push_str(&self.variable(depth)),
                7 => {
                    let quoted = self.of(&["a b", "$A", "x\\y", "#q", ""]);
                    let _ = write!(word, "'{quoted}'");
                }
                8 => {
                    let quoted = self.of(&["a  b", "c\\\"d", "\\$A", "it's", ""]);
                    let _ = write!(word, "\"{quoted}\"");
                }
                _ => word.push_str(self.of(&["\\ ", "\\@", "\\$", "@", "%", "+", "=", "~", ","])),
            }
        }
        word
    }

    fn assignment(&mut self) -> String {
        let name = self.of(&NAMES);
        match self.0.below(12) {
            0 => name.into(),
            1 => format!("{name}="),
            2 => format!("{name} = {}", self.word(0)),
            3 => format!("{name}={} # comment", self.word(0)),
            4 => format!(
                "{name}=\"{}\"",
                self.of(&["multi\nline", "cont\\\n  x", "a\\\nb"])
            ),
            5 => format!("{name}={}\\\n  {}", self.word(0), self.word(0)),
            6 => self.of(SETTINGS).into(),
            _ => format!("{name}={}", self.word(0)),
        }
    }

    /// An expression; what hangs or breaks procmail's compiler is left out:
    /// repeats of repeats and of anchors.
    fn expression(&mut self, depth: usize) -> String {
        let mut text = String::new();
        for _ in 0..=self.0.below(3) {
            match self.0.below(12) {
                0..5 => text.push_str(self.of(&[
                    "Sub",
                    "ject",
                    "a",
                    "e",
                    "o",
                    "x",
                    "re",
                    "From",
                    "numbers",
                    "^Subject:",
                    "^From:",
                    "^To:",
                ])),
                5 => text.push_str(self.of(&[
                    "o.", ".*", "e?", "[a-z]+", "[^ ]*", "r.+", "(e|o)+", "[0-9]?", "(ab*)?c", ".?",
                ])),
                6 => text.push_str(self.of(&["$", "^^", "\\<", "\\>", "^"])),
                7 if depth < 2 => {
                    let (one, other) = (self.expression(depth + 1), self.expression(depth + 1));
                    let _ = write!(text, "({one}|{other})");
                }
                8 => {
                    let set = self.of(&[
                        "a-z", "^a-z", "A-Z", "]a", "a-]", "^]", "0-9", "^]a", "a-", "-a", "^-a",
                        "z-a", "\\n", ":alpha:", "a^",
                    ]);
                    let _ = write!(text, "[{set}]");
                }
                9 => text.push_str(self.of(&["\\.", "\\^", "\\$", "\\a", "\\(", "\\\\", "{", "}"])),
                10 if depth == 0 => {
                    text.push_str(self.of(&["^TO_", "^TO", "^FROM_DAEMON", "^FROM_MAILER"]));
                }
                11 if depth == 0 => {
                    text.push_str(self.of(&[
                        "^Subject: \\/.*",
                        "()\\/e",
                        "^From:.*\\/[a-z]+",
                        "^TO_\\/[^, ]*",
                        "^Subject:.*\\/e.*",
                        "^^\\/.*$.*",
                        "e\\/.*^^",
                        "(a|\\/e)[a-z]*",
                        ".*/\\/[^/]*$",
                        "^FROM_DAEMON\\/",
                        "e\\/",
                        "\\<\\/[a-z]+\\>",
                        "b\\/o*",
                    ]));
                    return text;
                }
                _ => text.push('e'),
            }
        }
        text
    }

    fn condition(&mut self) -> String {
        let mut text = self.of(&["* ", "*", "*  "]).to_owned();
        for _ in 0..self.0.below(3) {
            let prefix = match self.0.below(7) {
                0..2 => "! ",
                2..4 => self.of(&["B ?? ", "H ?? ", "HB ?? ", "A ?? ", "MATCH ?? ", "NOPE ?? "]),
                _ => self.of(&[
                    "1^1 ",
                    "2^.5 ",
                    "-3^1 ",
                    "10^0 ",
                    "1^2 ",
                    ".5^0 ",
                    "-1^-1 ",
                    "8^0.25 ",
                    "1 ^ 1 ",
                    "1e2^0 ",
                    "0x10^0 ",
                    "0^1 ",
                    "-5^0 ",
                    "2147483647^0 ",
                    "-2147483647^0 ",
                    "1^.99 ",
                    "+3^-2",
                    "1^ ",
                    "100^1e1 ",
                    "inf^1 ",
                    "+inf^0 ",
                    "-inf^0 ",
                    "1^inf ",
                    ",5^1 ",
                ]),
            };
            text.push_str(prefix);
        }
        match self.0.below(9) {
            0 => text.push_str(self.of(&[
                "? cat >/dev/null",
                "? cat >/dev/null; exit 1",
                "? cat >/dev/null; exit 5",
                "? grep -c e",
                "? grep $A",
                "? sh -c 'cat >/dev/null; exit 2'",
                "? test 1 = 1",
                "? wc -l \"$@\"",
                "? true",
                "? false",
                "? exit 300;",
                "? kill -9 $$;",
                "? nosuch-program",
                "? sed 1q >q1",
                "?",
                "? ",
                "? test -n \"$A\"",
                "? grep -q \"$MATCH\"",
            ])),
            1 => text.push_str(self.of(&[
                "< 10",
                "> 200",
                "< 1000",
                "> $A",
                "> 0",
                "< 0",
                ">100k",
                "<1e3",
                "< ",
                "> -5",
                "> 99999999999999999999",
                "> `echo 10`",
                "< \"10 0\"",
                "< 10 # c",
                ">  1\\\n0",
                "<${A:-100}",
            ])),
            3 if self.one_in(2) => {
                let rest = self.of(&[
                    "$ ^Subject:.*$A",
                    "$ $\\A",
                    "$ ${B:-^From}",
                    "$ \"^To\"  a",
                    "$ ! $A",
                    "$ 2^1 $B",
                    "$ A ?? $A",
                    "$ ? echo $A >/dev/null",
                    "$ > ${A:-9}",
                    "\\^From",
                    "\\/a",
                    "\\<e",
                    "$ `echo ^From`",
                    "$ ",
                    "$",
                    "$ \\/e",
                    "$ $MATCH",
                    "$ $\\MATCH",
                    "$ ^$A\\/.*",
                    "$ a \"  b\"  c",
                    "$ 1^0 ! A ?? x",
                    "$ H ?? $A",
                    "$$A",
                    "$ !",
                    "$ ${A:-\\^F}",
                    "! ! !  e",
                    "A ?? B ?? e",
                    "_ ?? e",
                    "HH ?? e",
                    "BH ?? ^^From",
                    "MATCH ?? ()\\/.",
                    "A ?? ^^\\/.*^^",
                    "HOST ?? .",
                    "x ??",
                    "??",
                ]);
                text.push_str(rest);
            }
            2 => {
                let (one, other) = (self.expression(1), self.expression(1));
                let _ = write!(text, "{one}\\\n   {other}");
            }
            _ => text.push_str(&self.expression(0)),
        }
        text
    }

    /// A recipe. Its programs read all their input: whether what they leave
    /// can still be written is a matter of time. A folder has no `i`, with
    /// which procmail loses what cannot be written and posthaste does not.
    fn recipe(&mut self, depth: usize) -> String {
        let mut flags = String::new();
        for _ in 0..self.0.below(4) {
            flags.push_str(self.of(&["H", "B", "D", "A", "a", "E", "e", "h", "b", "c", "r"]));
        }
        let kind = self.0.below(12);
        let lock = self.of(&[
            "",
            "",
            "",
            "",
            ":",
            ":",
            ": l.lock",
            ":l.lock",
            ": no/such/l.lock",
            ":$A",
            ": \"l 2\"",
            ": f1.lock",
            ":$NOPE",
            ": l.lock x",
        ]);
        let (flags, action) = match kind {
            0..5 => {
                let folder = self.of(FOLDERS);
                (flags, folder.to_owned())
            }
            // What is not waited for may still run when procmail has ended.
            5 => {
                let to = self.of(&[
                    "a@b",
                    "\"$A\" x",
                    "-f me x",
                    "$A",
                    "",
                    "\"$@\"",
                    "a b # c",
                    "`echo q`",
                    "x\"$@\"",
                    "\"a  b\" c",
                    "a\\\n b",
                    "| cat",
                    "'#a'",
                ]);
                (flags + "w", format!("! {to}"))
            }
            6 => {
                let program = self.of(PROGRAMS);
                {
                    let wait = self.of(&["wi", "wi", "W", "w", "wW"]);
                    (flags + wait, format!("| {}", reading(program)))
                }
            }
            7 => {
                let program = self.of(FILTERS);
                {
                    let wait = self.of(&["w", "w", "W", "wW", "wi"]);
                    (
                        flags.replace('c', "") + "f" + wait,
                        format!("| {}", reading(program)),
                    )
                }
            }
            8 => {
                let name = self.of(&["A", "B", "X", "LASTFOLDER", "MATCH", "LOG"]);
                let program = self.of(&[
                    "cat >/dev/null; echo v",
                    "sed -n 1p",
                    "wc -l",
                    "true",
                    "false",
                    "cat",
                    "echo v; exit 3",
                    "echo; echo",
                    "printf 'a b'",
                    "kill -9 $$;",
                    "",
                ]);
                {
                    let wait = self.of(&["w", "w", "W", "wW", "wi"]);
                    (
                        flags.replace('c', "") + wait,
                        format!("{name}=| {}", reading(program)),
                    )
                }
            }
            _ if depth < 3 => {
                let inner: Vec<String> = (0..self.0.below(4))
                    .map(|_| self.statement(depth + 1))
                    .collect();
                let inner = inner.join("\n");
                // Clones that are not waited for deliver in any order.
                let flags = if flags.contains('c') {
                    flags + "w"
                } else {
                    flags
                };
                (flags, format!("{{\n{inner}\n}}"))
            }
            _ => (flags, "f1".into()),
        };
        let start = if self.one_in(12) {
            self.of(&[
                ":",
                ":1",
                ":2",
                ":00",
                ": 0",
                ":0 $NOPE",
                ":0 \\\n",
                ":-1",
                ":+1",
                ":99999999999999999999",
            ])
        } else {
            ":0"
        };
        // With another number of conditions the action is one of them, and a folder may follow.
        let flags = match start {
            ":0" => flags,
            _ => flags.replace('i', ""),
        };
        let rest = if self.one_in(30) { " x" } else { "" };
        let mut text = format!("{start} {flags}{rest}{lock}\n");
        for _ in 0..self.0.below(4) {
            text.push_str(&self.condition());
            text.push('\n');
        }
        text + &action
    }

    fn statement(&mut self, depth: usize) -> String {
        match self.0.below(20) {
            0..7 => self.assignment(),
            7 => self
                .of(&[
                    "# c",
                    "junk!",
                    "9x",
                    "",
                    "* ^x",
                    "# c\\",
                    "A=b c",
                    "FOO-BAR=x",
                    "}",
                    "{ A=1 }",
                    ":",
                    ":0",
                    "A=1 B=2 # both",
                    "A='x\ny'",
                    "A=${B",
                    "A=${10}",
                    "A=\"$X`echo \\\"q\\\"`\"",
                    "A=$",
                    "A=\\#x",
                    "A=x#y",
                    "A=$NOPE#x",
                    "A='open",
                    "A=\"open $B",
                    "A=`echo open",
                    "\tA=x",
                    "A\t=\tx",
                    "A = x y z",
                    "A=x;B=y",
                    "A=\r",
                    "\r",
                    "A=x\\",
                    "A",
                    "1A=x",
                    "A.B=x",
                    "=x",
                    "A=(x)",
                    ":0\n\n:0 c\nf1",
                    ":0 c\n\n# c\n\nf1",
                    ":0 c\n* ^Subject\n# c\n* ^From\nf1",
                    ":0 c\n  * ^Subject # c\n  f1",
                    ":0c\nf1",
                    ":0c:\nf1",
                    ":0: c\nf1",
                    ":0c:l.lock\nf1",
                    "::\nf1",
                    ":0Bc\n*x\nf1 }",
                    ":0 fwb\n|cat",
                    ":0 c { }",
                    ":0\n{ A=1 B=2\n}",
                    ":0\n{ A=\n}",
                    ":0 c\n* ^Subject\\\n: x\nf1",
                    ":0 c\n*\\\n ^Subject\nf1",
                    ":0 c\n\\\n* ^Subject\nf1",
                    ":0 c\n* ? \\\n true\nf1",
                    ":0 ce\nf1",
                    ":0 eEc\nf1",
                    ":0 eac\nf1",
                    ":0 hHbc\nf1",
                    ":0 Zc\nf1",
                    "A=\"\"#x",
                    "A=$_",
                    "PID=$$",
                ])
                .into(),
            _ => self.recipe(depth),
        }
    }

    pub(crate) fn rcfile(&mut self) -> String {
        let statements: Vec<String> = (0..=self.0.below(7)).map(|_| self.statement(0)).collect();
        let end = if self.one_in(4) { "" } else { "\n" };
        let start = if self.one_in(4) { "" } else { "VERBOSE=on\n" };
        let text = start.to_owned() + &statements.join("\n") + end;
        if self.one_in(40) {
            text.replace('\n', "\r\n")
        } else {
            text
        }
    }
}

/// A program that reads what it is given.
fn reading(program: &str) -> String {
    let reads = ["cat", "tee", "sed s", "sed '", "tr ", "wc"];
    let nothing = program.trim().is_empty() || program.starts_with(['#', '"']);
    if nothing || reads.iter().any(|reader| program.contains(reader)) {
        program.to_owned()
    } else {
        format!("cat >/dev/null; {program}")
    }
}
