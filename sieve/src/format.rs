//! One way to write a script.

use crate::diagnostic::{Diagnostic, Sink};
use crate::lexer::TokenKind;
use crate::limits::Limits;
use crate::position::Span;

/// Columns that lines are kept to where they can be.
const WIDTH: usize = 80;
const INDENT: usize = 4;

/// Lays a script out anew: one command on a line, blocks indented, long lists one item on a line, comments and single
/// blank lines kept. Doing it twice changes nothing more, and the meaning never changes.
///
/// ```
/// let neat = sieve::format("if header\"a\"  [ \"b\",\"c\"]{keep;#yes\n}").unwrap();
/// assert_eq!(neat, "if header \"a\" [\"b\", \"c\"] {\n    keep; #yes\n}\n");
/// ```
///
/// # Errors
/// The faults of syntax, of a script that has some.
pub fn format(source: impl AsRef<[u8]>) -> Result<String, Vec<Diagnostic>> {
    let source = source.as_ref();
    crate::parse(source)?;
    let mut sink = Sink::new(source, Limits::default().diagnostics);
    let lexed = crate::lexer::lex(&mut sink);
    let Ok(text) = std::str::from_utf8(source) else {
        return Ok(String::new());
    };
    // A comment inside of a multi-line string's first line is part of that token.
    let mut pieces: Vec<(Span, Sort)> = lexed
        .tokens
        .iter()
        .filter_map(|token| {
            Some((
                token.span,
                match token.kind {
                    TokenKind::End => return None,
                    TokenKind::Mark(mark) => Sort::Mark(mark),
                    _ => Sort::Word,
                },
            ))
        })
        .collect();
    let inside = |comment: &Span| {
        let at = pieces.partition_point(|(span, _)| span.end <= comment.start);
        pieces
            .get(at)
            .is_some_and(|(span, _)| span.start < comment.start)
    };
    let comments: Vec<(Span, Sort)> = lexed
        .comments
        .iter()
        .filter(|comment| !inside(comment))
        .map(|comment| (*comment, Sort::Comment))
        .collect();
    pieces.extend(comments);
    pieces.sort_by_key(|(span, _)| span.start);
    let mut printer = Printer {
        text,
        pieces: pieces.into_iter().peekable(),
        out: String::with_capacity(source.len() + 64),
        depth: 0,
        last: 0,
    };
    printer.script();
    Ok(printer.out)
}

#[derive(Clone, Copy, PartialEq)]
enum Sort {
    Word,
    Mark(u8),
    Comment,
}

/// A command's words, with what stands in brackets or parentheses as one.
enum Item<'s> {
    Text(&'s str),
    Comment(&'s str),
    Group(char, char, Vec<Vec<Item<'s>>>),
}

struct Printer<'s> {
    text: &'s str,
    pieces: std::iter::Peekable<std::vec::IntoIter<(Span, Sort)>>,
    out: String,
    depth: usize,
    /// End of the last piece taken.
    last: usize,
}

impl<'s> Printer<'s> {
    fn slice(&self, span: Span) -> &'s str {
        self.text.get(span.start..span.end).unwrap_or_default()
    }

    fn between(&self, span: Span) -> &'s str {
        self.text.get(self.last..span.start).unwrap_or_default()
    }

    fn take(&mut self) -> Option<(Span, Sort)> {
        let piece = self.pieces.next()?;
        self.last = piece.0.end;
        Some(piece)
    }

    fn script(&mut self) {
        while let Some(&(span, sort)) = self.pieces.peek() {
            let gap = self.between(span);
            let lines = gap.matches('\n').count();
            match sort {
                Sort::Comment => {
                    let comment = self.slice(span).trim_end();
                    // Behind a command on its line it stays there.
                    if lines == 0 && self.out.ends_with('\n') && self.last > 0 {
                        self.out.pop();
                        self.out.push(' ');
                    } else {
                        self.blank(lines);
                        self.indent(self.depth);
                    }
                    self.out.push_str(comment);
                    self.out.push('\n');
                    self.take();
                }
                Sort::Mark(b'}') => {
                    self.depth = self.depth.saturating_sub(1);
                    self.indent(self.depth);
                    self.out.push_str("}\n");
                    self.take();
                }
                _ => {
                    let joins = ["elsif", "else"]
                        .iter()
                        .any(|word| self.slice(span).eq_ignore_ascii_case(word));
                    if joins && lines_join(&self.out) {
                        self.out.pop();
                        self.out.push(' ');
                    } else {
                        self.blank(lines);
                        self.indent(self.depth);
                    }
                    self.command();
                }
            }
        }
    }

    /// Keeps one blank line of those that were there, except at the front of a block.
    fn blank(&mut self, lines: usize) {
        if lines > 1
            && !self.out.is_empty()
            && !self.out.ends_with("{\n")
            && !self.out.ends_with("\n\n")
        {
            self.out.push('\n');
        }
    }

    fn indent(&mut self, depth: usize) {
        self.out.extend(std::iter::repeat_n(' ', depth * INDENT));
    }

    fn command(&mut self) {
        let items = self.items();
        self.layout(&items, self.depth);
        match self.take() {
            Some((_, Sort::Mark(b'{'))) => {
                self.out.push_str(if self.out.ends_with('\n') {
                    "{\n"
                } else {
                    " {\n"
                });
                self.depth += 1;
            }
            _ => self.out.push_str(";\n"),
        }
    }

    /// Items up to a semicolon, brace, comma or closing mark, which is left.
    fn items(&mut self) -> Vec<Item<'s>> {
        let mut items = Vec::new();
        while let Some(&(span, sort)) = self.pieces.peek() {
            match sort {
                Sort::Mark(b'(' | b'[') => {
                    let (open, close) = if sort == Sort::Mark(b'(') {
                        ('(', ')')
                    } else {
                        ('[', ']')
                    };
                    self.take();
                    let mut elements = Vec::new();
                    loop {
                        elements.push(self.items());
                        match self.take() {
                            Some((_, Sort::Mark(b','))) => {}
                            _ => break,
                        }
                    }
                    items.push(Item::Group(open, close, elements));
                }
                Sort::Mark(_) => return items,
                Sort::Word => {
                    items.push(Item::Text(self.slice(span)));
                    self.take();
                }
                Sort::Comment => {
                    items.push(Item::Comment(self.slice(span).trim_end()));
                    self.take();
                }
            }
        }
        items
    }

    fn layout(&mut self, items: &[Item<'s>], depth: usize) {
        let room = WIDTH.saturating_sub(self.column() + 2);
        if let Some(line) = inline(items).filter(|line| line.chars().count() <= room) {
            self.out.push_str(&line);
            return;
        }
        let mut first = true;
        for item in items {
            if !first && self.out.ends_with('\n') {
                self.indent(depth + 1);
            } else if !first {
                self.out.push(' ');
            }
            first = false;
            match item {
                Item::Text(text) => self.out.push_str(text),
                Item::Comment(text) => {
                    self.out.push_str(text);
                    if ends_line(text) {
                        self.out.push('\n');
                    }
                }
                Item::Group(open, close, elements) => {
                    let room = WIDTH.saturating_sub(self.column() + 2);
                    let whole = inline(std::slice::from_ref(item));
                    if let Some(line) = whole.filter(|line| line.chars().count() <= room) {
                        self.out.push_str(&line);
                        continue;
                    }
                    self.out.push(*open);
                    self.out.push('\n');
                    let last = elements.len().saturating_sub(1);
                    for (at, element) in elements.iter().enumerate() {
                        self.indent(depth + 1);
                        self.layout(element, depth + 1);
                        if at < last {
                            if self.out.ends_with('\n') {
                                self.indent(depth + 1);
                            }
                            self.out.push(',');
                        }
                        if !self.out.ends_with('\n') {
                            self.out.push('\n');
                        }
                    }
                    self.indent(depth);
                    self.out.push(*close);
                }
            }
        }
    }

    fn column(&self) -> usize {
        let line = self.out.rsplit('\n').next().unwrap_or_default();
        line.chars().count()
    }
}

/// Whether an `else` may stand on the last line, which then closes a block.
fn lines_join(out: &str) -> bool {
    out.lines()
        .next_back()
        .is_some_and(|line| line.trim() == "}")
        && !out.ends_with("\n\n")
}

/// Whether nothing may stand behind this comment on its line: a command's name on the next line is read as the next
/// command where a semicolon is missing.
fn ends_line(comment: &str) -> bool {
    comment.starts_with('#') || comment.contains('\n')
}

/// The items on one line, if they can be.
fn inline(items: &[Item<'_>]) -> Option<String> {
    let mut out = String::new();
    for (at, item) in items.iter().enumerate() {
        if at > 0 {
            out.push(' ');
        }
        match item {
            Item::Comment(text) if ends_line(text) => return None,
            Item::Text(text) if text.contains('\n') => return None,
            Item::Text(text) | Item::Comment(text) => out.push_str(text),
            Item::Group(open, close, elements) => {
                out.push(*open);
                for (at, element) in elements.iter().enumerate() {
                    if at > 0 {
                        out.push_str(", ");
                    }
                    out.push_str(&inline(element)?);
                }
                out.push(*close);
            }
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    type Word<'s> = (TokenKind<'s>, Vec<u8>);

    fn words(source: &str) -> (Vec<Word<'_>>, Vec<String>) {
        let mut sink = Sink::new(source.as_bytes(), 10);
        let lexed = crate::lexer::lex(&mut sink);
        let comments = lexed
            .comments
            .iter()
            .map(|span| source[span.start..span.end].trim_end().to_owned());
        let (kinds, _) = crate::lexer::tests::kinds(source);
        (kinds, comments.collect())
    }

    fn check(source: &str) -> String {
        let once = format(source).unwrap_or_else(|faults| panic!("{faults:?}"));
        assert_eq!(words(&once), words(source), "{once}");
        assert_eq!(format(&once).unwrap(), once);
        once
    }

    #[test]
    fn layout() {
        let source = "# head\n\n\nrequire  [\"fileinto\" , \"copy\"] ;\n\n\nif anyof(header :contains\"subject\"[\"one long \
                      key\",\"another long key\",\"a third one\"],not exists \"x\"){fileinto\"a\"; # why\n}\nelsif \
                      true{\n\nstop;}else{/* nothing */}\nvacation text:\nAway\n.\n;keep;";
        let neat = "# head\n\nrequire [\"fileinto\", \"copy\"];\n\nif anyof (\n    header :contains \"subject\" [\n        \
                    \"one long key\",\n        \"another long key\",\n        \"a third one\"\n    ],\n    not exists \
                    \"x\"\n) {\n    fileinto \"a\"; # why\n} elsif true {\n    stop;\n} else { /* nothing */\n}\n\
                    vacation text:\nAway\n.\n;\nkeep;\n";
        let got = check(source);
        assert_eq!(got, neat);
    }

    #[test]
    fn comments_everywhere() {
        check(
            "if # a\n header # b\n \"x\" # c\n [ # d\n \"y\" # e\n , # f\n \"z\" ] # g\n { # h\n keep # i\n ; # j\n } # k\n",
        );
        check("/* a */ if /* b */ true /* c */ { /* d */ } /* e */ else { }");
        check("");
        check("#");
    }

    #[test]
    fn suites_keep_their_meaning() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/svtest");
        let mut count = 0;
        for folder in [folder.clone(), folder.join("scripts")] {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_file() {
                    check(&std::fs::read_to_string(path).unwrap());
                    count += 1;
                }
            }
        }
        assert!(count > 40);
    }
}
