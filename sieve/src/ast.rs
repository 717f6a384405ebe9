//! The syntax tree: what was written, before any meaning (RFC 5228 §8.2).

use crate::position::Span;

/// A whole script.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tree {
    /// Its commands in order.
    pub commands: Vec<Command>,
}

/// A command with its arguments and, for control structures, its block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// The command's name as written; names are case-insensitive.
    pub name: Identifier,
    /// Tags and positional arguments in order.
    pub arguments: Vec<Argument>,
    /// The test or list of tests that follows the arguments.
    pub tests: Vec<Test>,
    /// The commands between braces.
    pub block: Option<Vec<Command>>,
    /// From the name to the semicolon or closing brace.
    pub span: Span,
}

/// A test with its arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Test {
    /// The test's name as written.
    pub name: Identifier,
    /// Tags and positional arguments in order.
    pub arguments: Vec<Argument>,
    /// The test or list of tests that follows the arguments.
    pub tests: Vec<Test>,
    /// From the name to the last argument.
    pub span: Span,
}

/// A name and its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identifier {
    /// As written.
    pub text: String,
    /// Where.
    pub span: Span,
}

/// One argument and its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Argument {
    /// What was written.
    pub value: Value,
    /// Where.
    pub span: Span,
}

/// What an argument can be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// `:tag`, without its colon.
    Tag(String),
    /// `100K`, multiplied out.
    Number(u64),
    /// A quoted or multi-line string with its backslashes resolved.
    Text(Vec<u8>),
    /// A string list in brackets.
    List(Vec<Text>),
}

/// A string in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    /// Its octets with backslashes resolved.
    pub octets: Vec<u8>,
    /// Where.
    pub span: Span,
}
