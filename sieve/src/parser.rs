//! Tokens to the syntax tree (RFC 5228 §8.2), going on after faults.

use crate::ast::{Argument, Command, Identifier, Test, Text, Tree, Value};
use crate::diagnostic::{DiagnosticKind, Sink};
use crate::lexer::{Lexed, Token, TokenKind};
use crate::position::Span;

struct Parser<'a, 's> {
    sink: &'a mut Sink<'s>,
    tokens: std::iter::Peekable<std::vec::IntoIter<Token<'s>>>,
    /// Of the last token taken, for "expected … after".
    last: Span,
    depth: usize,
    nesting: usize,
    unclosed: bool,
}

/// A fault was reported; the caller skips to a known place.
struct Broken;

type Parsed<T> = Result<T, Broken>;

pub(crate) fn parse<'s>(sink: &mut Sink<'s>, lexed: Lexed<'s>, nesting: usize) -> Tree<'s> {
    let mut parser = Parser {
        sink,
        tokens: lexed.tokens.into_iter().peekable(),
        unclosed: lexed.unclosed,
        last: Span::default(),
        depth: 0,
        nesting,
    };
    let mut commands = Vec::new();
    loop {
        parser.commands(&mut commands);
        match parser.tokens.peek() {
            Some(token) if token.kind != TokenKind::End => {
                let span = token.span;
                parser.sink.error_with(
                    DiagnosticKind::Syntax,
                    span,
                    "this brace closes no block",
                    "remove it, or add the missing {",
                );
                parser.take();
            }
            _ => break,
        }
    }
    Tree { commands }
}

impl<'s> Parser<'_, 's> {
    fn take(&mut self) -> Option<Token<'s>> {
        let token = self.tokens.next()?;
        self.last = token.span;
        Some(token)
    }

    fn is_mark(&mut self, mark: u8) -> bool {
        matches!(self.tokens.peek(), Some(token) if token.kind == TokenKind::Mark(mark))
    }

    fn take_mark(&mut self, mark: u8) -> bool {
        self.is_mark(mark) && self.take().is_some()
    }

    /// Reports what stands where something else was expected.
    fn expected<T>(&mut self, what: &str) -> Parsed<T> {
        let at_end = matches!(
            self.tokens.peek(),
            None | Some(Token {
                kind: TokenKind::End,
                ..
            })
        );
        if at_end && self.unclosed {
            return Err(Broken);
        }
        let (span, found) = match self.tokens.peek() {
            None => (self.last, "the end of the script".to_owned()),
            Some(token) => match &token.kind {
                TokenKind::End => (self.last, "the end of the script".to_owned()),
                TokenKind::Identifier(name) => (token.span, format!("`{name}`")),
                TokenKind::Tag(name) => (token.span, format!("the tag `:{name}`")),
                TokenKind::Number(_) => (token.span, "a number".to_owned()),
                TokenKind::Text(_) => (token.span, "a string".to_owned()),
                TokenKind::Mark(mark) => (token.span, format!("`{}`", char::from(*mark))),
            },
        };
        self.sink.error(
            DiagnosticKind::Syntax,
            span,
            format!("expected {what}, found {found}"),
        );
        Err(Broken)
    }

    /// Up to the end or a closing brace, which is left.
    fn commands(&mut self, out: &mut Vec<Command<'s>>) {
        loop {
            match self.tokens.peek().map(|t| &t.kind) {
                None | Some(TokenKind::End | TokenKind::Mark(b'}')) => return,
                Some(TokenKind::Mark(b';')) => {
                    let _: Parsed<()> = self.expected("a command");
                    self.take();
                }
                Some(TokenKind::Identifier(_)) => match self.command() {
                    Ok(command) => out.push(command),
                    Err(Broken) => self.recover(),
                },
                Some(_) => {
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
            match self.tokens.peek().map(|t| &t.kind) {
                None | Some(TokenKind::End) => return,
                Some(TokenKind::Mark(b'}')) if depth == 0 => return,
                Some(TokenKind::Mark(b'}')) => {
                    depth -= 1;
                    self.take();
                    if depth == 0 {
                        return;
                    }
                }
                Some(TokenKind::Mark(b'{')) => {
                    depth += 1;
                    self.take();
                }
                Some(TokenKind::Mark(b';')) if depth == 0 => {
                    self.take();
                    return;
                }
                Some(_) => {
                    self.take();
                }
            }
        }
    }

    fn identifier(&mut self, what: &str) -> Parsed<Identifier<'s>> {
        let is_identifier = |token: &Token| matches!(token.kind, TokenKind::Identifier(_));
        match self.tokens.next_if(is_identifier) {
            Some(Token {
                kind: TokenKind::Identifier(text),
                span,
            }) => {
                self.last = span;
                Ok(Identifier { text, span })
            }
            _ => self.expected(what),
        }
    }

    fn command(&mut self) -> Parsed<Command<'s>> {
        let name = self.identifier("a command")?;
        let (arguments, tests) = self.arguments()?;
        let block = if self.is_mark(b'{') {
            let open = self.tokens.peek().map(|t| t.span).unwrap_or_default();
            self.enter(open)?;
            self.take();
            let mut block = Vec::new();
            self.commands(&mut block);
            self.depth -= 1;
            if !self.take_mark(b'}') && !self.unclosed {
                self.sink.error_with(
                    DiagnosticKind::Syntax,
                    open,
                    "this block is never closed",
                    "add the missing }",
                );
            }
            Some(block)
        } else if self.take_mark(b';') {
            None
        } else {
            let after = self.last;
            let _: Parsed<()> = self.expected("`;` or a block");
            // A semicolon forgotten before the next line's command: that command is sound.
            if let Some(Token {
                kind: TokenKind::Identifier(_),
                span,
            }) = self.tokens.peek()
                && self.sink.lines.line(span.start) > self.sink.lines.line(after.end)
            {
                if let Some(fault) = self.sink.list.last_mut() {
                    fault.span = after;
                    fault.position = self.sink.lines.position(self.sink.source, after.start);
                    fault.message = format!("expected `;` after this; {}", fault.message);
                    fault.hint = Some("commands end with a semicolon".to_owned());
                }
                let span = name.span.to(after);
                return Ok(Command {
                    name,
                    arguments,
                    tests,
                    block: None,
                    span,
                });
            }
            return Err(Broken);
        };
        let span = name.span.to(self.last);
        Ok(Command {
            name,
            arguments,
            tests,
            block,
            span,
        })
    }

    fn enter(&mut self, span: Span) -> Parsed<()> {
        if self.depth >= self.nesting {
            self.sink.error(
                DiagnosticKind::Limit,
                span,
                format!("nested deeper than {} levels", self.nesting),
            );
            return Err(Broken);
        }
        self.depth += 1;
        Ok(())
    }

    fn test(&mut self) -> Parsed<Test<'s>> {
        let name = self.identifier("a test")?;
        self.enter(name.span)?;
        let inner = self.arguments();
        self.depth -= 1;
        let (arguments, tests) = inner?;
        let span = name.span.to(self.last);
        Ok(Test {
            name,
            arguments,
            tests,
            span,
        })
    }

    fn arguments(&mut self) -> Parsed<(Vec<Argument<'s>>, Vec<Test<'s>>)> {
        let mut arguments = Vec::new();
        let mut tests = Vec::new();
        loop {
            match self.tokens.peek().map(|t| &t.kind) {
                Some(TokenKind::Tag(_) | TokenKind::Number(_) | TokenKind::Text(_)) => {
                    if let Some(Token { kind, span }) = self.take() {
                        let value = match kind {
                            TokenKind::Tag(name) => Value::Tag(name),
                            TokenKind::Number(number) => Value::Number(number),
                            TokenKind::Text(octets) => Value::Text(octets),
                            TokenKind::Identifier(_) | TokenKind::Mark(_) | TokenKind::End => {
                                continue;
                            }
                        };
                        arguments.push(Argument { value, span });
                    }
                }
                Some(TokenKind::Mark(b'[')) => arguments.push(self.list()?),
                Some(TokenKind::Mark(b'(')) => {
                    self.take();
                    loop {
                        tests.push(self.test()?);
                        if self.take_mark(b')') {
                            return Ok((arguments, tests));
                        }
                        if !self.take_mark(b',') {
                            return self.expected("`,` or `)` in this list of tests");
                        }
                    }
                }
                Some(TokenKind::Identifier(_)) => {
                    // A forgotten semicolon looks like a test on the next line.
                    if self.looks_like_next_command() {
                        return Ok((arguments, tests));
                    }
                    tests.push(self.test()?);
                    return Ok((arguments, tests));
                }
                _ => return Ok((arguments, tests)),
            }
        }
    }

    /// Whether the identifier ahead is a well-known command on a new line, which no test is called.
    fn looks_like_next_command(&mut self) -> bool {
        let after = self.last.end;
        let Some(Token {
            kind: TokenKind::Identifier(name),
            span,
        }) = self.tokens.peek()
        else {
            return false;
        };
        const COMMANDS: [&str; 12] = [
            "if", "elsif", "else", "keep", "fileinto", "discard", "redirect", "stop", "reject",
            "vacation", "set", "require",
        ];
        COMMANDS.iter().any(|c| name.eq_ignore_ascii_case(c))
            && self.sink.lines.line(span.start) > self.sink.lines.line(after)
    }

    fn list(&mut self) -> Parsed<Argument<'s>> {
        let open = self.take().map(|t| t.span).unwrap_or_default();
        let mut texts = Vec::new();
        loop {
            match self.tokens.peek() {
                Some(Token {
                    kind: TokenKind::Text(_),
                    ..
                }) => {
                    if let Some(Token {
                        kind: TokenKind::Text(octets),
                        span,
                    }) = self.take()
                    {
                        texts.push(Text { octets, span });
                    }
                }
                _ => return self.expected("a string in this list"),
            }
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
        let tokens = crate::lexer::lex(&mut sink);
        let tree = parse(&mut sink, tokens, 32);
        let list = sink.into_list().iter().map(ToString::to_string).collect();
        (tree, list)
    }

    #[test]
    fn nests_tests_and_blocks() {
        let (tree, faults) =
            run("if anyof (not true, header \"a\" [\"b\", \"c\"]) { keep; stop; }");
        assert_eq!(faults, [""; 0]);
        assert_eq!(tree.commands.len(), 1);
        assert_eq!(tree.commands[0].tests[0].tests.len(), 2);
        assert_eq!(tree.commands[0].block.as_ref().unwrap().len(), 2);
    }

    #[test]
    fn every_fault_is_found_in_one_pass() {
        let (tree, faults) = run("keep\nfileinto [\"a\" \"b\"];\nif true { stop; } }\ndiscard;");
        assert_eq!(faults.len(), 3, "{faults:?}");
        assert_eq!(tree.commands.len(), 3);
    }

    #[test]
    fn deep_nesting_is_refused() {
        let source = format!("if {} true {{ keep; }}", "not ".repeat(10_000));
        let (_, faults) = run(&source);
        assert_eq!(faults.len(), 1, "{faults:?}");
    }
}
