//! Rcfiles and messages made by chance, the same for the same seed.

use std::fmt::Write as _;

pub(crate) const MESSAGES: [&str; 12] = [
    "From a@b Mon Jan  1 00:00:00 2024\n>From c remote from d\nFrom: e\nsubject:\ttabs\there\n\nFrom x\n>From \
     y\nFrom\n",
    "From: root@example.org\nTo: Multiple recipients of list\nSubject: a subject that is longer than the \
     seventy-eight octets which the abstract of the log has room for, by far\n\nb\n\n",
    "X: y\nSubject:\n folded at once\nsubject: second\n\nno end",
    "\n\nFrom: late\nSubject: newlines first\n\nbody\n",
    "From: MAILER-DAEMON\nCc: a,b\nApparently-To: x\nX-Loop: $A `id` \"q\" \\\\ (p|q)*\n\n$A\n{ }\n:0\n* x\n",
    "no header at all",
    "From: e\nContent-Length:    3\nX: 1\n\nFrom a\nFrom b\nFrom c\n\n",
    "From a@b.org Mon Jan  1 00:00:00 2024\nFrom: Ann <a@b.org>\nTo: bob@example.net, Carol \
     <carol@example.com>\nSubject: Weekly report: green\nX-N: 12\n\nHello Bob,\nnumbers are \
     up.\nFrom here\n",
    "From: Dave <dave@example.com>\nTo: rust-l@lists.example.org\nSubject: [rust-l] Re: a\n \
     folded\n\tsubject\nPrecedence: bulk\nList-Id: Rust <rust-l.lists.org>\n\n> \
     quoted\nown\n\n\nend",
    "From: z\nSubject: x\n\n",
    "From: q@w\nContent-Length: 5\nSubject:\n\nFrom one\n\nFrom two\n\n",
    "To: a b\nSubject: no body",
];

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
        match self.0.below(9) {
            0..3 => format!("${name}"),
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
            6 => self
                .of(&[
                    "LOGABSTRACT=all",
                    "LOGABSTRACT=no",
                    "VERBOSE=off",
                    "VERBOSE=on",
                    "LASTFOLDER=x",
                    "LOG=\"x\n\"",
                    "EXITCODE=3",
                    "EXITCODE=",
                    "EXITCODE",
                    "SHIFT=1",
                    "DEFAULT=d2",
                    "DEFAULT",
                    "ORGMAIL",
                    "MAILDIR=sub",
                    "MAILDIR=nope",
                    "LINEBUF=200",
                    "SENDMAILFLAGS=-x",
                    "INCLUDERC=inc.rc",
                    "SWITCHRC=inc.rc",
                    "SWITCHRC",
                    "INCLUDERC=none.rc",
                    "LOCKFILE=g.lk",
                    "LOCKFILE",
                    "LOCKEXT=.lk",
                    "MSGPREFIX=m-",
                    "SHELLMETAS=",
                    "SHELLMETAS",
                    "SHELLFLAGS=-ec",
                    "COMSAT=no",
                    "COMSAT=yes",
                    "LOGABSTRACT=1",
                    "LOGABSTRACT=2",
                    "LOGABSTRACT",
                    "LINEBUF=130",
                    "LINEBUF=nonsense",
                    "HOST=$HOST",
                    "HOST=elsewhere",
                    "HOST",
                    "EXITCODE=off",
                    "EXITCODE=300",
                    "EXITCODE=-1",
                    "TRAP=",
                    "TRAP=\"echo trapped; exit 9\"",
                    "TRAP=false",
                    "ORGMAIL=o2",
                    "DEFAULT=dmd/",
                    "DEFAULT=dir",
                    "DEFAULT=dmh/.",
                    "DEFAULT=no/such",
                    "DEFAULT=$NOPE",
                    "INCLUDERC=inc2.rc",
                    "SWITCHRC=inc2.rc",
                    "INCLUDERC=",
                    "INCLUDERC=$A",
                    "SWITCHRC=/dev/null",
                    "SWITCHRC=none.rc",
                    "LOCKFILE=no/such/g.lk",
                    "LASTFOLDER",
                    "MATCH",
                    "LOG=$LASTFOLDER",
                    "DROPPRIVS=no",
                    "TIMEOUT=20",
                    "SUSPEND=1",
                    "NORESRETRY=1",
                    "SHIFT=9",
                    "SHIFT=-1",
                ])
                .into(),
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
                5 => text.push_str(self.of(&["o.", ".*", "e?", "[a-z]+", "[^ ]*", "r.+"])),
                6 => text.push_str(self.of(&["$", "^^", "\\<", "\\>", "^"])),
                7 if depth < 2 => {
                    let (one, other) = (self.expression(depth + 1), self.expression(depth + 1));
                    let _ = write!(text, "({one}|{other})");
                }
                8 => {
                    let set = self.of(&["a-z", "^a-z", "A-Z", "]a", "a-]", "^]", "0-9"]);
                    let _ = write!(text, "[{set}]");
                }
                9 => text.push_str(self.of(&["\\.", "\\^", "\\$", "\\a"])),
                10 if depth == 0 => {
                    text.push_str(self.of(&["^TO_", "^TO", "^FROM_DAEMON", "^FROM_MAILER"]));
                }
                11 if depth == 0 => {
                    text.push_str(self.of(&["^Subject: \\/.*", "()\\/e", "^From:.*\\/[a-z]+"]));
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
                    "1^1 ", "2^.5 ", "-3^1 ", "10^0 ", "1^2 ", ".5^0 ", "-1^-1 ", "8^0.25 ",
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
            ])),
            1 => text.push_str(self.of(&[
                "< 10", "> 200", "< 1000", "> $A", "> 0", "< 0", ">100k", "<1e3", "< ", "> -5",
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
        let lock = self.of(&["", "", "", ":", ": l.lock"]);
        let (flags, action) = match kind {
            0..5 => {
                let folder = self.of(&[
                    "f1",
                    "f2",
                    "md/",
                    "mh/.",
                    "dir",
                    "no/such",
                    "/dev/null",
                    "f1 x",
                    "\"f 3\"",
                    "`echo f4`",
                    "md/ mh/. dir",
                    "dir md2/",
                    "mh/. f1",
                    "box#1",
                    "f1 # c",
                    "box$NOPE#1",
                    "x $NOPE#1",
                    "a=#b",
                    "|",
                    "\"\"",
                    "$NOPE",
                    "$A",
                    "${A:-f5}/",
                    "sub/../f6",
                    "./f7",
                    "f1/",
                    "dir/.",
                    "A=f8",
                    "$DEFAULT",
                ]);
                (flags, folder.to_owned())
            }
            // What is not waited for may still run when procmail has ended.
            5 => {
                let to = self.of(&[
                    "a@b", "\"$A\" x", "-f me x", "$A", "", "\"$@\"", "a b # c", "`echo q`",
                ]);
                (flags + "w", format!("! {to}"))
            }
            6 => {
                let program = self.of(&[
                    "cat >>p1",
                    "cat >/dev/null; exit 2",
                    "tee p3 >/dev/null",
                    "tee p4 \"$A\"",
                    "cat >>p9; true $A",
                    "sh -c 'cat >p5'",
                    "tee p6 p7 \"$@\"",
                    "cat >>\\\n  p8",
                ]);
                (flags + "wi", format!("| {program}"))
            }
            7 => {
                let program = self.of(&[
                    "sed s/e/E/",
                    "cat",
                    "tr a-z A-Z",
                    "cat >/dev/null; exit 1",
                    "sed s/^Subject:/Object:/",
                    "cat; echo; echo more",
                    "sed '$d'",
                    "cat >/dev/null",
                    "cat; exit 3",
                ]);
                (flags.replace('c', "") + "fw", format!("| {program}"))
            }
            8 => {
                let name = self.of(&["A", "B", "X"]);
                let program = self.of(&["cat >/dev/null; echo v", "sed -n 1p", "wc -l"]);
                (flags.replace('c', "") + "w", format!("{name}=| {program}"))
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
            self.of(&[":", ":1", ":2", ":00", ": 0", ":0 $NOPE", ":0 x", ":0 \\\n"])
        } else {
            ":0"
        };
        // With another number of conditions the action is one of them, and a folder may follow.
        let flags = match start {
            ":0" => flags,
            _ => flags.replace('i', ""),
        };
        let mut text = format!("{start} {flags}{lock}\n");
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
        statements.join("\n") + end
    }
}
