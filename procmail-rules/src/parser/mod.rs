//! The parser: the evaluator's way of reading, without carrying anything out.

mod recipe;
mod word;

use std::sync::Arc;

use crate::ast::{Assignment, Block, Script, Span, Statement};
use crate::compiled;
use crate::diagnostic::{Diagnostic, Kind};
use crate::eval::{is_blank, is_name, is_name_start, is_space};

/// Blocks nested deeper than this are not taken apart: the parser is recursive.
const DEPTH: usize = 128;

use word::Mode;

/// Parses a whole rcfile.
pub(crate) fn parse(text: &[u8]) -> Script {
    let mut parser = Parser {
        text,
        at: 0,
        depth: 0,
        faults: Vec::new(),
        comments: Vec::new(),
        certain: true,
        compiled: None,
    };
    let statements = parser.all();
    Script {
        faults: parser.faults,
        comments: parser.comments,
        certain: parser.certain,
        statements,
        text: Arc::from(text),
    }
}

/// The recipes whose reading depends on no variable.
pub(crate) fn recipes(text: &[u8]) -> Vec<compiled::Recipe> {
    let mut parser = Parser {
        text,
        at: 0,
        depth: 0,
        faults: Vec::new(),
        comments: Vec::new(),
        certain: true,
        compiled: Some(Vec::new()),
    };
    parser.all();
    parser.compiled.unwrap_or_default()
}

struct Parser<'a> {
    text: &'a [u8],
    at: usize,
    depth: usize,
    faults: Vec<Diagnostic>,
    /// Comments that are no statements: in and behind the lines of recipes.
    comments: Vec<Span>,
    certain: bool,
    /// Recipes for the evaluator, where they are wanted.
    compiled: Option<Vec<compiled::Recipe>>,
}

impl Parser<'_> {
    fn all(&mut self) -> Vec<Statement> {
        let mut statements = Vec::new();
        loop {
            self.statements(&mut statements);
            let at = self.at;
            if self.peek().is_none() {
                return statements;
            }
            self.at += 1;
            self.fault(Kind::StrayBrace, at..at + 1);
            statements.push(Statement::StrayBrace(at..at + 1));
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn looking_at(&self, offset: usize) -> Option<u8> {
        self.text.get(self.at + offset).copied()
    }

    fn accept(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn take_while(&mut self, test: impl Fn(u8) -> bool) -> Span {
        let start = self.at;
        while self.peek().is_some_and(&test) {
            self.at += 1;
        }
        start..self.at
    }

    /// The rest of the line; its newline is taken, but no part of the span.
    fn rest_of_line(&mut self) -> Span {
        let line = self.take_while(|byte| byte != b'\n');
        self.at += usize::from(self.peek().is_some());
        line
    }

    fn slice(&self, span: Span) -> &[u8] {
        self.text.get(span).unwrap_or(&[])
    }

    /// The tree holds only for some values.
    fn doubt(&mut self, span: Span) {
        self.certain = false;
        self.fault(Kind::DependsOnValues, span);
    }

    fn comment(&mut self) {
        let start = self.at;
        let line = self.take_while(|byte| byte != b'\n');
        self.comments.push(start..line.end);
    }

    fn fault(&mut self, kind: Kind, span: Span) {
        self.faults.push(Diagnostic::new(kind, span));
    }

    /// Reads statements up to a closing brace, which is not taken, or to the end.
    fn statements(&mut self, statements: &mut Vec<Statement>) {
        loop {
            self.take_while(is_space);
            match self.peek() {
                None | Some(b'}') => return,
                Some(b'#') => {
                    let line = self.rest_of_line();
                    statements.push(Statement::Comment(line));
                }
                Some(b':') => {
                    let recipe = self.recipe();
                    statements.push(Statement::Recipe(Box::new(recipe)));
                }
                Some(byte) if is_name_start(byte) => statements.push(self.assignment()),
                Some(_) => {
                    let line = self.rest_of_line();
                    self.fault(Kind::Skipped, line.clone());
                    statements.push(Statement::Skipped(line));
                }
            }
        }
    }

    fn assignment(&mut self) -> Statement {
        let name = self.take_while(is_name);
        let follows = self.peek();
        if !follows.is_some_and(|byte| byte == b'=' || is_space(byte)) {
            self.fault(Kind::Skipped, name.clone());
            return Statement::Skipped(name);
        }
        self.take_while(is_blank);
        let start = name.start;
        let bytes = self.slice(name.clone()).to_vec();
        if !self.accept(b'=') {
            return Statement::Assignment(Assignment {
                span: name,
                name: bytes,
                value: None,
            });
        }
        let after = self.at;
        self.take_while(is_blank);
        let mut words = self.words(Mode::Single);
        let value = words.pop().unwrap_or_else(|| {
            // There is nothing, a comment, or a substitution that is none.
            let read = self.slice(after..self.at).trim_ascii_end();
            let nothing = read.trim_ascii_start().starts_with(b"#");
            let end = if nothing { after } else { after + read.len() };
            crate::ast::Word {
                span: after..end,
                pieces: Vec::new(),
            }
        });
        Statement::Assignment(Assignment {
            span: start..value.span.end,
            name: bytes,
            value: Some(value),
        })
    }

    /// The inside of a block, from behind its opening brace.
    fn block(&mut self) -> Block {
        let mut statements = Vec::new();
        if self.depth >= DEPTH {
            let rest = self.at..self.text.len();
            self.at = self.text.len();
            self.fault(Kind::TooDeep, rest);
            return Block {
                statements,
                close: None,
            };
        }
        let open = self.at;
        self.depth += 1;
        self.statements(&mut statements);
        self.depth -= 1;
        let close = self.peek().map(|_| self.at);
        match close {
            Some(_) => self.at += 1,
            None => self.fault(Kind::UnclosedBlock, open.saturating_sub(1)..open),
        }
        Block { statements, close }
    }
}
