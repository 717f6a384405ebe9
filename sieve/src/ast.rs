//! The syntax tree: what was written, before any meaning (RFC 5228 §8.2).

use std::borrow::Cow;

use crate::position::Span;

/// A whole script.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tree<'s> {
    /// Its commands in order.
    pub commands: Vec<Command<'s>>,
}

/// A command with its arguments and, for control structures, its block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command<'s> {
    /// The command's name as written; names are case-insensitive.
    pub name: Identifier<'s>,
    /// Tags and positional arguments in order.
    pub arguments: Vec<Argument<'s>>,
    /// The test or list of tests that follows the arguments.
    pub tests: Vec<Test<'s>>,
    /// The commands between braces.
    pub block: Option<Vec<Command<'s>>>,
    /// From the name to the semicolon or closing brace.
    pub span: Span,
}

/// A test with its arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Test<'s> {
    /// The test's name as written.
    pub name: Identifier<'s>,
    /// Tags and positional arguments in order.
    pub arguments: Vec<Argument<'s>>,
    /// The test or list of tests that follows the arguments.
    pub tests: Vec<Test<'s>>,
    /// From the name to the last argument.
    pub span: Span,
}

/// A name and its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identifier<'s> {
    /// As written.
    pub text: &'s str,
    /// Where.
    pub span: Span,
}

/// One argument and its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Argument<'s> {
    /// What was written.
    pub value: Value<'s>,
    /// Where.
    pub span: Span,
}

/// What an argument can be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value<'s> {
    /// `:tag`, without its colon.
    Tag(&'s str),
    /// `100K`, multiplied out.
    Number(u64),
    /// A quoted or multi-line string with its backslashes resolved.
    Text(Cow<'s, [u8]>),
    /// A string list in brackets.
    List(Vec<Text<'s>>),
}

/// A string in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text<'s> {
    /// Its octets with backslashes resolved.
    pub octets: Cow<'s, [u8]>,
    /// Where.
    pub span: Span,
}
