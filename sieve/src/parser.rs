//! Tokens to the syntax tree (RFC 5228 §8.2), going on after faults.

use std::borrow::Cow;

use crate::ast::{Argument, CommandNode, Inner, Name, TestNode, Text, Tree, Value, place};
use crate::diagnostic::{DiagnosticKind, Sink};
use crate::lexer::{Lexer, TokenKind};
use crate::position::Span;

struct Parser<'a, 's> {
    /// Its token is the one that is looked at.
    lexer: Lexer<'a, 's>,
    tree: Tree<'s>,
    /// Of the last token taken, for "expected … after".
    last: Span,
    /// Where it ends.
    last_line: u32,
    depth: usize,
    nesting: usize,
}

/// A fault was reported; the caller skips to a known place.
struct Broken;

type Parsed<T> = Result<T, Broken>;

pub(crate) fn parse<'s>(sink: &mut Sink<'s>, nesting: usize) -> Tree<'s> {
    let tree = Tree::with_room(sink.source.len());
    let mut parser = Parser {
        lexer: Lexer::new(sink),
        tree,
        last: Span::default(),
        last_line: 1,
        depth: 0,
        nesting,
    };
    parser.advance();
    loop {
        parser.commands();
        if parser.lexer.token.kind != TokenKind::End {
            let span = parser.lexer.token.span;
            parser.lexer.sink.error_with(
                DiagnosticKind::Syntax,
                span,
                "this brace closes no block",
                "remove it, or add the missing {",
            );
            parser.take();
        } else {
            break;
        }
    }
    parser.tree
}

impl<'s> Parser<'_, 's> {
    #[inline]
    fn take(&mut self) -> Span {
        let span = self.lexer.token.span;
        self.advance();
        span
    }

    /// The one place where tokens are cut, so that the lexer is part of it.
    #[inline(never)]
    fn advance(&mut self) {
        self.last_line = self.lexer.line;
        self.last = self.lexer.token.span;
        self.lexer.advance();
    }

    /// What the string ahead stands for.
    fn take_built(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.lexer.built)
    }

    fn is_mark(&self, mark: u8) -> bool {
        self.lexer.token.kind == TokenKind::Mark(mark)
    }

    fn take_mark(&mut self, mark: u8) -> bool {
        let is = self.is_mark(mark);
        if is {
            self.advance();
        }
        is
    }

    /// Reports what stands where something else was expected.
    fn expected<T>(&mut self, what: &str) -> Parsed<T> {
        if self.lexer.token.kind == TokenKind::End && self.lexer.unclosed {
            return Err(Broken);
        }
        let token = &self.lexer.token;
        let (span, found) = match &token.kind {
            TokenKind::End => (self.last, "the end of the script".to_owned()),
            TokenKind::Identifier(name) => (token.span, format!("`{name}`")),
            TokenKind::Tag(name) => (token.span, format!("the tag `:{name}`")),
            TokenKind::Number(_) => (token.span, "a number".to_owned()),
            TokenKind::Text(_) | TokenKind::BuiltText => (token.span, "a string".to_owned()),
            TokenKind::Mark(mark) => (token.span, format!("`{}`", char::from(*mark))),
        };
        self.lexer.sink.error(
            DiagnosticKind::Syntax,
            span,
            format!("expected {what}, found {found}"),
        );
        Err(Broken)
    }

    /// Up to the end or a closing brace, which is left.
    fn commands(&mut self) {
        loop {
            match &self.lexer.token.kind {
                TokenKind::End | TokenKind::Mark(b'}') => return,
                TokenKind::Mark(b';') => {
                    let _: Parsed<()> = self.expected("a command");
                    self.advance();
                }
                TokenKind::Identifier(_) => {
                    let at = self.tree.commands.len();
                    if let Err(Broken) = self.command() {
                        self.tree.commands.truncate(at);
                        self.recover();
                    }
                }
                _ => {
                    let _: Parsed<()> = self.expected("a command");
                    self.recover();
                }
            }
        }
    }

    /// Skips past the next semicolon or block, or up to a closing brace.
    fn recover(&mut self) {
        let mut depth = 0_usize;
        loop {
            match &self.lexer.token.kind {
                TokenKind::End => return,
                TokenKind::Mark(b'}') if depth == 0 => return,
                TokenKind::Mark(b'}') => {
                    depth -= 1;
                    self.advance();
                    if depth == 0 {
                        return;
                    }
                }
                TokenKind::Mark(b'{') => {
                    depth += 1;
                    self.advance();
                }
                TokenKind::Mark(b';') if depth == 0 => {
                    self.advance();
                    return;
                }
                _ => {
                    self.advance();
                }
            }
        }
    }

    fn name(&mut self, what: &str) -> Parsed<Name<'s>> {
        let TokenKind::Identifier(text) = self.lexer.token.kind else {
            return self.expected(what);
        };
        let name = Name {
            text,
            at: place(self.lexer.token.span.start),
            line: self.lexer.token.line,
        };
        self.advance();
        Ok(name)
    }

    fn command(&mut self) -> Parsed<()> {
        let name = self.name("a command")?;
        let inner = self.arguments()?;
        let at = self.tree.commands.len();
        self.tree.commands.push(CommandNode {
            name,
            inner,
            has_block: false,
            next: place(at + 1),
            end: name.at,
        });
        let mut has_block = false;
        let mut last = None;
        let mut early = false;
        if !self.is_mark(b'{') {
            last = Some(self.last);
            if self.take_mark(b';') {
                last = Some(self.last);
                early = self.early_end(name.text, self.last);
            } else {
                self.no_end()?;
            }
        }
        if self.is_mark(b'{') && (last.is_none() || early) {
            last = None;
            has_block = true;
            self.block()?;
            if early {
                self.take_mark(b';');
            }
        }
        let next = place(self.tree.commands.len());
        let end = place(last.unwrap_or(self.last).end);
        if let Some(node) = self.tree.commands.get_mut(at) {
            node.has_block = has_block;
            node.next = next;
            node.end = end;
        }
        Ok(())
    }

    fn block(&mut self) -> Parsed<()> {
        let open = self.lexer.token.span;
        self.enter(open)?;
        self.advance();
        self.commands();
        self.depth -= 1;
        if !self.take_mark(b'}') && !self.lexer.unclosed {
            self.lexer.sink.error_with(
                DiagnosticKind::Syntax,
                open,
                "this block is never closed",
                "add the missing }",
            );
        }
        Ok(())
    }

    /// Neither a semicolon nor a block: forgiven where the command ends all the same, before the next line's or at the
    /// end of its block.
    fn no_end(&mut self) -> Parsed<()> {
        let after = self.last;
        let _: Parsed<()> = self.expected("`;` or a block");
        if self.lexer.token.kind == TokenKind::End && self.lexer.unclosed {
            return Err(Broken);
        }
        let sink = &mut *self.lexer.sink;
        let ended = match self.lexer.token.kind {
            TokenKind::Identifier(_) => self.lexer.token.line > self.last_line,
            TokenKind::Mark(b'}') | TokenKind::End => true,
            _ => false,
        };
        let position = sink.position(after.start);
        let Some(fault) = sink.list.last_mut() else {
            return Err(Broken);
        };
        if ended {
            fault.span = after;
            fault.position = position;
            fault.message = fault
                .message
                .replace("expected `;` or a block", "expected `;` after this");
            fault.hint = Some("commands end with a semicolon".to_owned());
            return Ok(());
        }
        if self.lexer.token.kind == TokenKind::Mark(b',') {
            fault.hint = Some("a list of tests stands in parentheses: allof (…, …)".to_owned());
        }
        Err(Broken)
    }

    /// A semicolon between a control structure and its block: one fault, and the block is its own.
    fn early_end(&mut self, name: &str, semicolon: Span) -> bool {
        let controls = ["if", "elsif", "else", "foreverypart"];
        let is = self.is_mark(b'{') && controls.iter().any(|c| name.eq_ignore_ascii_case(c));
        if is {
            self.lexer.sink.error_with(
                DiagnosticKind::Syntax,
                semicolon,
                format!("`{name}` ends here, before its block"),
                "remove this semicolon",
            );
        }
        is
    }

    fn enter(&mut self, span: Span) -> Parsed<()> {
        if self.depth >= self.nesting {
            self.lexer.sink.error(
                DiagnosticKind::Limit,
                span,
                format!("nested deeper than {} levels", self.nesting),
            );
            return Err(Broken);
        }
        self.depth += 1;
        Ok(())
    }

    fn test(&mut self) -> Parsed<()> {
        if matches!(
            self.lexer.token.kind,
            TokenKind::Text(_) | TokenKind::BuiltText
        ) {
            let told = self.expected("a test");
            if let Some(fault) = self.lexer.sink.list.last_mut() {
                fault.hint =
                    Some("a list of strings stands in brackets: [\"…\", \"…\"]".to_owned());
            }
            return told;
        }
        let span = self.lexer.token.span;
        let name = self.name("a test")?;
        self.enter(span)?;
        let at = self.tree.tests.len();
        self.tree.tests.push(TestNode {
            name,
            inner: Inner::default(),
            end: name.at,
        });
        let inner = self.arguments();
        self.depth -= 1;
        let inner = inner?;
        if let Some(node) = self.tree.tests.get_mut(at) {
            node.inner = inner;
            node.end = place(self.last.end);
        }
        Ok(())
    }

    fn arguments(&mut self) -> Parsed<Inner> {
        let first = self.tree.arguments.len();
        let mut tests = false;
        loop {
            let value = match self.lexer.token.kind {
                TokenKind::Tag(name) => Value::Tag(name),
                TokenKind::Number(number) => Value::Number(number),
                TokenKind::Text(octets) => Value::Text(Cow::Borrowed(octets)),
                TokenKind::BuiltText => Value::Text(Cow::Owned(self.take_built())),
                TokenKind::Mark(b'[') => {
                    let list = self.list()?;
                    self.tree.arguments.push(list);
                    continue;
                }
                TokenKind::Mark(b'(') => {
                    tests = true;
                    break;
                }
                // A forgotten semicolon looks like a test on the next line.
                TokenKind::Identifier(_) if !self.looks_like_next_command() => {
                    tests = true;
                    break;
                }
                _ => break,
            };
            let span = self.take();
            self.tree.arguments.push(Argument { value, span });
        }
        let arguments = (place(first), place(self.tree.arguments.len()));
        let first = place(self.tree.tests.len());
        if tests {
            self.tests()?;
        }
        let tests = (first, place(self.tree.tests.len()));
        Ok(Inner { arguments, tests })
    }

    /// One test, or a list of them in parentheses.
    fn tests(&mut self) -> Parsed<()> {
        if !self.take_mark(b'(') {
            return self.test();
        }
        loop {
            self.test()?;
            if self.take_mark(b')') {
                return Ok(());
            }
            if !self.take_mark(b',') {
                return self.expected("`,` or `)` in this list of tests");
            }
        }
    }

    /// Whether the identifier ahead is a well-known command on a new line, which no test is called.
    fn looks_like_next_command(&self) -> bool {
        let TokenKind::Identifier(name) = self.lexer.token.kind else {
            return false;
        };
        const COMMANDS: [&str; 12] = [
            "if", "elsif", "else", "keep", "fileinto", "discard", "redirect", "stop", "reject",
            "vacation", "set", "require",
        ];
        self.lexer.token.line > self.last_line
            && COMMANDS.iter().any(|c| name.eq_ignore_ascii_case(c))
    }

    fn list(&mut self) -> Parsed<Argument<'s>> {
        let open = self.take();
        let mut texts = Vec::with_capacity(2);
        loop {
            let octets = match self.lexer.token.kind {
                TokenKind::Text(octets) => Cow::Borrowed(octets),
                TokenKind::BuiltText => Cow::Owned(self.take_built()),
                _ => return self.expected("a string in this list"),
            };
            let span = self.take();
            texts.push(Text { octets, span });
            if self.take_mark(b']') {
                return Ok(Argument {
                    value: Value::List(texts),
                    span: open.to(self.last),
                });
            }
            if !self.take_mark(b',') {
                return self.expected("`,` or `]` in this list");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(source: &str) -> (Tree<'_>, Vec<String>) {
        let mut sink = Sink::new(source.as_bytes(), 100);
        let tree = parse(&mut sink, 32);
        let list = sink.into_list().iter().map(ToString::to_string).collect();
        (tree, list)
    }

    #[test]
    fn nests_tests_and_blocks() {
        let (tree, faults) =
            run("if anyof (not true, header \"a\" [\"b\", \"c\"]) { keep; stop; }");
        assert_eq!(faults, [""; 0]);
        let commands: Vec<_> = tree.commands().collect();
        assert_eq!(commands.len(), 1);
        let anyof = commands[0].tests().next().unwrap();
        assert_eq!(anyof.name().text, "anyof");
        let names: Vec<_> = anyof.tests().map(|test| test.name().text).collect();
        assert_eq!(names, ["not", "header"]);
        assert_eq!(commands[0].tests().count(), 1);
        assert_eq!(commands[0].block().unwrap().count(), 2);
    }

    #[test]
    fn every_fault_is_found_in_one_pass() {
        let (tree, faults) = run("keep\nfileinto [\"a\" \"b\"];\nif true { stop; } }\ndiscard;");
        assert_eq!(faults.len(), 3, "{faults:?}");
        assert_eq!(tree.commands().count(), 3);
    }

    #[test]
    fn deep_nesting_is_refused() {
        let source = format!("if {} true {{ keep; }}", "not ".repeat(10_000));
        let (_, faults) = run(&source);
        assert_eq!(faults.len(), 1, "{faults:?}");
    }
}
