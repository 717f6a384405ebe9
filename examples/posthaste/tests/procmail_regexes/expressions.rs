//! Conditions, and texts that they may be found in.

use super::generator::Writer;

/// A recipe's flags and its condition.
pub(crate) struct Condition {
    pub(crate) flags: String,
    pub(crate) line: String,
}

/// Part of an expression.
struct Part {
    text: String,
    /// It can be passed without consuming an octet.
    empty: bool,
    /// Its end can be that of a `+`, behind which the real program takes `\/` wrongly.
    plus: bool,
}

impl Part {
    fn one(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            empty: false,
            plus: false,
        }
    }

    fn nothing() -> Self {
        Self {
            text: String::new(),
            empty: true,
            plus: false,
        }
    }

    /// This and what follows it.
    fn then(&mut self, next: &Self) {
        self.text.push_str(&next.text);
        self.plus = next.plus || next.empty && self.plus;
        self.empty &= next.empty;
    }
}

const LITERALS: &[&str] = &[
    "a",
    "a",
    "a",
    "b",
    "b",
    "A",
    "B",
    "1",
    "x",
    "_",
    "-",
    " ",
    ":",
    "ab",
    "ba",
    "a b",
    "]",
    "{",
    "}",
    "a{2}",
    ",",
    "=",
    "!",
    "'",
    "/",
    "&",
    "\"",
    "\t",
    "\u{e9}",
    "To",
    "From",
    "^To:",
    "Subject: ",
    "%",
    "@",
    ";",
    "~",
    "\r",
];

const CLASSES: &[&str] = &[
    "ab",
    "^ab",
    "a-b",
    "^a-b",
    "]a",
    "^]a",
    "]",
    "^]",
    "a-",
    "-a",
    "^-a",
    "-",
    "^-",
    "b-a",
    "^b-a",
    "a-c-e",
    "--1",
    "+--",
    "a^",
    "^^",
    "^^a",
    "$",
    ".*",
    "|()",
    "\\",
    "\\a",
    "a\\-b",
    "\\\\",
    "\\n",
    "[",
    "[a",
    ":a:",
    "^ ",
    " -~",
    "^ -~",
    "]-a",
    "!-/",
    "A-Z",
    "^A-Z",
    "A-z",
    "Z-a",
    "0-9",
    "^0-9a-f",
    "a-a",
    "\t ",
    "^\t ",
    "/",
    "^/",
    "?+",
    "#",
    "a-b]b",
    "\u{e9}",
    "^\u{e9}",
    "\u{1}-\u{7f}",
    "a-Z",
    "@-[",
    "[-a",
];

const ESCAPED: &[&str] = &[
    "\\.", "\\a", "\\b", "\\n", "\\t", "\\w", "\\d", "\\s", "\\\\", "\\(", "\\)", "\\[", "\\]",
    "\\*", "\\+", "\\?", "\\|", "\\^", "\\$", "\\-", "\\ ", "\\1", "\\{", "\\B", "\\A", "\\z",
    "\\\"", "\\'", "\\^TO",
];

const MACROS: &[&str] = &[
    "^TO_",
    "^TO",
    "^FROM_DAEMON",
    "^FROM_MAILER",
    "^TO_b",
    "^TO_.*a",
    "x^TO",
    "^TOa",
    "^TO_^TO",
    "^to_",
    "^FROM_",
    "(^TO|^Cc:)",
    "!^TO",
    "a|^TO_b",
    "^TO_?",
    "^^TO_",
    "\\^TO|^TO",
    "^FROM_DAEMON$",
    "^FROM_DAEMON.*a",
    "^TO_(a|b)",
    "(^TO_)*a",
    "^(From|^TO)",
];

/// What is empty when repeated, and yet does not have the real program compile for ever.
const LOOPS: &[&str] = &[
    "(a*)*b",
    "(.|$)*x",
    "(a|b*)+c",
    "(a*)*",
    "(a?)*",
    "(a|)*b",
    "(|a)+",
    "()*",
    "()+a",
    "()?b",
    "(a*)+b",
    "(a*)?",
    "(a+)*",
    "(a+)+b",
    "((a))*",
    "(a*b*)*",
    "(^)*a",
    "($)*",
    "(^^)*a",
    "(^^|a)*",
    "(\\<)*a",
    "(a|ab)(c|bcd)*",
    "(a*|b)*",
    "((a|b)*b)*a",
    "(.*)*",
    "(.*)+$",
    "(a|b|)+$",
];

struct Maker<'w> {
    writer: &'w mut Writer,
}

impl Maker<'_> {
    fn below(&mut self, end: usize) -> usize {
        self.writer.0.below(end)
    }

    fn of(&mut self, choices: &[&str]) -> String {
        self.writer.of(choices).to_owned()
    }

    /// An atom. `marks` tells whether `\/` may be in it, `plus` whether a `+` may have ended
    /// just before it.
    fn atom(&mut self, depth: usize, marks: bool, plus: bool) -> Part {
        match self.below(24) {
            0..9 => Part::one(self.of(LITERALS)),
            9 | 10 => Part::one("."),
            11 | 12 => Part::one(format!("[{}]", self.of(CLASSES))),
            13 => Part::one(self.of(&["$", "^", "$", "^", "$^", "^$", "$(^)"])),
            14 => Part::one(self.of(&["\\<", "\\>", "\\<", "\\>", "\\>\\<"])),
            15 => Part::one(self.of(ESCAPED)),
            16 => Part {
                text: self.of(&["^^", "^^", "^^", "^^^^", "^^^", "$^^"]),
                empty: true,
                plus,
            },
            17..20 if depth < 3 => self.group(depth, marks, plus),
            20 if marks && !plus => Part {
                text: "\\/".into(),
                empty: true,
                plus: false,
            },
            21 if depth == 0 => Part::one(self.of(MACROS)),
            22 => Part {
                text: self.of(&[
                    "()", "(|)", "(())", "(|a)", "(a|)", "(a||b)", "(a)", "((b))",
                ]),
                empty: true,
                plus: false,
            },
            _ => Part::one("a"),
        }
    }

    fn group(&mut self, depth: usize, marks: bool, plus: bool) -> Part {
        let mut group = self.expression(depth + 1, marks, plus);
        group.text = format!("({})", group.text);
        group
    }

    fn piece(&mut self, depth: usize, marks: bool, plus: bool) -> Part {
        let repeat = match self.below(10) {
            0 => "*",
            1 => "+",
            2 => "?",
            _ => return self.atom(depth, marks, plus),
        };
        if self.below(12) == 0 {
            return Part {
                text: self.of(LOOPS),
                empty: true,
                plus: true,
            };
        }
        // What a `\/` that is repeated means is nobody's guess.
        let mut part = self.atom(depth, false, plus);
        if part.empty && repeat != "?" {
            // Most of what is empty and repeated would break the real program.
            part = Part::one(self.of(&["a", "b", ".", "[ab]", "$", "\\<", "(a|b)", "(ab)"]));
        }
        // Only the last octet of a text is repeated.
        part.text.push_str(repeat);
        part.empty |= repeat != "+";
        part.plus |= repeat == "+";
        part
    }

    fn branch(&mut self, depth: usize, marks: bool, plus: bool) -> Part {
        let mut branch = Part {
            plus,
            ..Part::nothing()
        };
        for _ in 0..self.below(if depth == 0 { 6 } else { 4 }) {
            let next = self.piece(depth, marks, branch.plus);
            branch.then(&next);
        }
        branch
    }

    fn expression(&mut self, depth: usize, marks: bool, plus: bool) -> Part {
        let more = match (depth, self.below(10)) {
            (0, 0) => 1,
            (0, _) => 0,
            (_, 0..4) => 0,
            (_, 4..9) => 1,
            _ => 2,
        };
        let mut all = self.branch(depth, marks, plus);
        for _ in 0..more {
            let branch = self.branch(depth, marks, plus);
            all.text.push('|');
            all.text.push_str(&branch.text);
            all.empty |= branch.empty;
            all.plus |= branch.plus;
        }
        all
    }

    /// The whole text of a condition's expression, and what is wrong in it.
    fn text(&mut self) -> String {
        let mut text = self.expression(0, true, false).text;
        match self.below(40) {
            0 => text.insert_str(
                0,
                &self.of(&["*", "+", "?a", "\\", "\\/", "\\<", "a**", "a*+"]),
            ),
            1 => text.push_str(&self.of(&["**", "*+", "+?", "?*", "|*a", "(*a)", "(+", "(?a)"])),
            2 => text.push_str(&self.of(&["(", "(a", "((a)", "(a|", "(a*"])),
            3 => text.push_str(&self.of(&[")", "a)b", "))", "(a))", "|)", ")|a"])),
            4 => text.push_str(&self.of(&["[", "[a", "[^", "[]", "[^]", "[a-", "[]a", "[^a"])),
            5 => text.push_str("\\\n  b"),
            6 => text.insert_str(0, "\\\n \t"),
            _ => {}
        }
        text
    }
}

/// A condition of any kind that has an expression.
pub(crate) fn condition(writer: &mut Writer) -> Condition {
    let mut maker = Maker { writer };
    let mut text = loop {
        let text = maker.text();
        // That would be the name of a variable, and perhaps a program; or a process's number.
        let odd = text.contains("??") || text.contains("$$");
        if !odd {
            break text;
        }
    };
    let backslashes = text.bytes().rev().take_while(|byte| *byte == b'\\').count();
    if backslashes % 2 == 1 {
        // It would go on on the next line.
        text.push('a');
    }
    let mut line = String::new();
    if maker.below(4) == 0 {
        line.push_str(&maker.of(&[
            "1^1 ", "1^0 ", "2^.5 ", "-1^1 ", "1^.9 ", "3^-1 ", "1^2 ", ".4^.5 ", "100^.01 ",
        ]));
    }
    if maker.below(6) == 0 {
        line.push_str("! ");
    }
    line.push_str(&maker.of(&[
        "",
        "",
        "",
        "H ?? ",
        "B ?? ",
        "HB ?? ",
        "A ?? ",
        "B ?? ",
        "A ?? ",
        "A ??",
        "C ?? ",
        "MATCH ?? ",
    ]));
    if maker.below(12) == 0 {
        line.push_str("$ ");
        text = match maker.below(4) {
            _ if text.ends_with('$') => text,
            0 => text + "$A",
            1 => text + "$\\A",
            2 => "$\\MATCH".to_owned() + &text,
            _ => text,
        };
    }
    let begins = text.trim_start_matches(|first: char| " \t\n\\!$\"".contains(first));
    if begins.starts_with('?') {
        // That would be a program. Expanding takes a backslash away.
        line.push_str(if line.ends_with("$ ") { "\\\\" } else { "\\" });
    }
    line.push_str(&text);
    let flags = maker.of(&["", "", "", "B", "B", "HB", "D", "BD", "HBD"]);
    Condition { flags, line }
}

const WORDS: &[&str] = &[
    "a", "a", "a", "b", "b", "A", "B", "1", "x", "_", "-", " ", " ", ":", "ab", "ba", "a b", "aa",
    "bb", "abab", "aXb", "c", "bcd", "/", ",", "\t", "\u{e9}", "]", "{", "}", "(", ")", "^", "*",
    "+", ".",
];

/// A text of lines, the last of which may have no end. It may stand between double quotes.
pub(crate) fn text(writer: &mut Writer) -> String {
    let mut text = String::new();
    for _ in 0..writer.0.below(5) {
        for _ in 0..writer.0.below(7) {
            text.push_str(writer.of(WORDS));
        }
        text.push('\n');
    }
    if writer.0.below(3) == 0 {
        text.push_str(writer.of(WORDS));
    }
    text
}

const FIELDS: &[&str] = &[
    "From a@b Mon Jan  1 00:00:00 2024\n",
    "From: a@b.example\n",
    "From: MAILER-DAEMON@b\n",
    "From: Ann <root@a.b> (A b)\n",
    "Sender: owner-a@b\n",
    "Precedence: bulk\n",
    "To: b, a@x\n",
    "To: abba@x\n",
    "Cc: ba\n",
    "Resent-To: a.b\n",
    "Apparently-To: b-a\n",
    "Subject: ab ba\n",
    "Subject: a\n\tb\n",
    "Subject:\n a\n",
    "Subject: From b to a\n",
    "X-A: a b a\n  b\n \n",
    "X-B:\n",
    "X-C: \\/ [a] (b) a* a+ .\n",
    "Original-Cc: (b)\n",
    "x: y\r\n",
];

/// A message.
pub(crate) fn message(writer: &mut Writer) -> String {
    let mut message = String::new();
    for _ in 0..writer.0.below(6) {
        message.push_str(writer.of(FIELDS));
    }
    let body = text(writer);
    match writer.0.below(8) {
        0 => message,
        1 => message + &body,
        2 => "\n".to_owned() + &message + "\n" + &body,
        3 => message + "\n\n" + &body,
        _ => message + "\n" + &body,
    }
}
