//! Messages.

use super::Writer;

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

/// Fields, and what else stands in headers.
const HEADER: &[&str] = &[
    "From: Ann <a@b.org>\n",
    "From: e\n",
    "To: a, b,\n\tc\n",
    "Cc: toto@example.org\n",
    "Subject: x\n",
    "subject:no blank\n",
    "SUBJECT: \t tabs \t\n",
    "Subject:\n",
    "Subject: folded\n \n again\n\tand again\n",
    "Subject: a subject that is longer than what there is room for in the abstract, which is seventy-eight\n",
    "Content-Length: 4\n",
    "Content-Length: 12345\n",
    "Content-Length:1\n",
    "content-length:     \n",
    "X-\u{e4}: \u{f6}\n",
    "X-N: 12\n",
    "not a field\n",
    " leading blank\n",
    "\t\n",
    ">From q\n",
    "From w\n",
    "Precedence: junk\n",
    "Resent-From: Postmaster\n",
    "X: e\r\n",
    "X-Long: 0123456789 0123456789 0123456789 0123456789 0123456789 0123456789 0123456789 0123456789 \
     0123456789 0123456789 0123456789 0123456789 0123456789 0123456789 0123456789 0123456789 0123456789\n",
];

impl Writer {
    /// One of the above, or one put together of odd things.
    pub(crate) fn message(&mut self) -> String {
        if self.one_in(2) {
            return self.of(&MESSAGES).to_owned();
        }
        let mut text = self
            .of(&[
                "",
                "",
                "From a@b Mon Jan  1 00:00:00 2024\n",
                "From a\n",
                "From \n",
                "From x y  z\n>From q\n>From r\n",
                ">From a\n",
                "\n",
            ])
            .to_owned();
        // procmail looks before its buffer for the beginning of a subject that is first.
        if text.is_empty() {
            text.push_str("X-First: a\n");
        }
        for _ in 0..self.0.below(6) {
            text.push_str(self.of(HEADER));
        }
        if !self.one_in(8) {
            text.push('\n');
        }
        for _ in 0..self.0.below(6) {
            text.push_str(self.of(&[
                "From a b\n",
                ">From a b\n",
                "From\n",
                "from a\n",
                " From a\n",
                "text with From in it\n",
                "Subject: in the body\n",
                "\n",
                "\n\n",
                " \n",
                "numbers e o x 123\n",
                "ende\r\n",
                "\u{e4}\u{f6}\u{fc} \u{1f600}\n",
                "a/b/c.d-e_f\n",
                "x",
            ]));
        }
        match self.0.below(12) {
            0 => text.replace('\n', "\r\n"),
            1 => text.trim_end_matches('\n').to_owned(),
            2 => text + "\n\n\n",
            3 => {
                let more = self.of(&["line of the body\n", "x", "From y\n"]);
                text + &more.repeat(1 + self.0.below(200))
            }
            _ => text,
        }
    }
}
