//! The syntax tree: what was written, before any meaning (RFC 5228 §8.2).
//!
//! Commands, tests and arguments each lie in one list in the order of the source, so that a script of any size takes
//! the same few lists; [`Command`], [`Test`] and the iterators over them are places in those lists.

use std::borrow::Cow;

use crate::position::Span;

/// A whole script.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tree<'s> {
    /// Each before those of its block.
    pub(crate) commands: Vec<CommandNode<'s>>,
    /// Each before those inside of it.
    pub(crate) tests: Vec<TestNode<'s>>,
    pub(crate) arguments: Vec<Argument<'s>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CommandNode<'s> {
    pub(crate) name: Name<'s>,
    pub(crate) inner: Inner,
    pub(crate) has_block: bool,
    /// The command behind this one and its block.
    pub(crate) next: u32,
    /// One past its last octet.
    pub(crate) end: u32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TestNode<'s> {
    pub(crate) name: Name<'s>,
    pub(crate) inner: Inner,
    /// One past its last octet.
    pub(crate) end: u32,
}

/// What a command or test begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Name<'s> {
    pub(crate) text: &'s str,
    /// Its first octet.
    pub(crate) at: u32,
    /// 1-based.
    pub(crate) line: u32,
}

impl<'s> Name<'s> {
    fn identifier(self) -> Identifier<'s> {
        let at = self.at as usize;
        Identifier {
            text: self.text,
            span: Span::new(at, at + self.text.len()),
        }
    }

    fn to(self, end: u32) -> Span {
        Span::new(self.at as usize, end as usize)
    }
}

/// Places are kept in half a word: longer sources are not parsed.
pub(crate) const LONGEST: usize = u32::MAX as usize;

pub(crate) fn place(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

/// What stands behind a name: places in the lists of arguments and of tests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Inner {
    pub(crate) arguments: (u32, u32),
    pub(crate) tests: (u32, u32),
}

/// A command with its arguments and, for control structures, its block.
#[derive(Clone, Copy, Debug)]
pub struct Command<'t> {
    tree: &'t Tree<'t>,
    node: &'t CommandNode<'t>,
    at: usize,
}

/// A test with its arguments.
#[derive(Clone, Copy, Debug)]
pub struct Test<'t> {
    tree: &'t Tree<'t>,
    node: &'t TestNode<'t>,
}

/// Commands of one block in order.
#[derive(Clone, Copy, Debug)]
pub struct Commands<'t> {
    tree: &'t Tree<'t>,
    at: usize,
    end: usize,
}

/// Tests of one list in order.
#[derive(Clone, Copy, Debug)]
pub struct Tests<'t> {
    tree: &'t Tree<'t>,
    at: usize,
    end: usize,
}

/// A name and its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identifier<'s> {
    /// As written; names are case-insensitive.
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

impl<'s> Tree<'s> {
    /// With room for what a script of so many octets holds as a rule.
    pub(crate) fn with_room(octets: usize) -> Self {
        Self {
            commands: Vec::with_capacity(octets / 36 + 4),
            tests: Vec::with_capacity(octets / 48 + 4),
            arguments: Vec::with_capacity(octets / 24 + 4),
        }
    }

    /// Its commands in order.
    #[must_use]
    pub fn commands(&self) -> Commands<'_> {
        Commands {
            tree: self,
            at: 0,
            end: self.commands.len(),
        }
    }

    fn arguments_at(&self, (start, end): (u32, u32)) -> &[Argument<'s>] {
        self.arguments
            .get(start as usize..end as usize)
            .unwrap_or_default()
    }

    fn tests_at(&self, (at, end): (u32, u32)) -> Tests<'_> {
        Tests {
            tree: self,
            at: at as usize,
            end: end as usize,
        }
    }
}

/// What commands and tests have in common.
macro_rules! accessors {
    ($kind:ident) => {
        impl<'t> $kind<'t> {
            /// Its name.
            #[must_use]
            pub fn name(&self) -> Identifier<'t> {
                self.node.name.identifier()
            }

            /// Tags and positional arguments in order.
            #[must_use]
            pub fn arguments(&self) -> &'t [Argument<'t>] {
                self.tree.arguments_at(self.node.inner.arguments)
            }

            /// The test or list of tests that follows the arguments.
            #[must_use]
            pub fn tests(&self) -> Tests<'t> {
                self.tree.tests_at(self.node.inner.tests)
            }

            /// From the name to its end: the last argument of a test, the semicolon or closing brace of a command.
            #[must_use]
            pub fn span(&self) -> Span {
                self.node.name.to(self.node.end)
            }

            pub(crate) fn line(&self) -> u32 {
                self.node.name.line
            }
        }
    };
}

accessors!(Command);
accessors!(Test);

impl<'t> Command<'t> {
    /// The commands between braces.
    #[must_use]
    pub fn block(&self) -> Option<Commands<'t>> {
        self.node.has_block.then_some(Commands {
            tree: self.tree,
            at: self.at + 1,
            end: self.node.next as usize,
        })
    }
}

impl<'t> Iterator for Commands<'t> {
    type Item = Command<'t>;

    fn next(&mut self) -> Option<Command<'t>> {
        if self.at >= self.end {
            return None;
        }
        let node = self.tree.commands.get(self.at)?;
        let command = Command {
            tree: self.tree,
            node,
            at: self.at,
        };
        self.at = node.next as usize;
        Some(command)
    }
}

impl<'t> Iterator for Tests<'t> {
    type Item = Test<'t>;

    fn next(&mut self) -> Option<Test<'t>> {
        if self.at >= self.end {
            return None;
        }
        let node = self.tree.tests.get(self.at)?;
        // What is inside of it lies behind it.
        self.at = (node.inner.tests.1 as usize).max(self.at + 1);
        Some(Test {
            tree: self.tree,
            node,
        })
    }
}
