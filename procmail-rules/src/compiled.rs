//! Recipes read once, for rcfiles that are run on many messages.
//!
//! The evaluator reads an rcfile anew for each message, as procmail does. What the reading of a
//! recipe comes to depends on variables only where something is substituted; every other recipe
//! is read once and found again by its place.

use std::sync::{Arc, OnceLock};

use crate::ast::{Flags, Prefixes};
use crate::eval::LocalLock;
use crate::regex::Regex;

/// An rcfile's recipes, by their places.
#[derive(Debug, Default)]
pub(crate) struct Compiled {
    recipes: Vec<Recipe>,
}

/// A recipe whose reading depends on nothing.
#[derive(Debug)]
pub(crate) struct Recipe {
    /// Where its colon is.
    pub(crate) start: usize,
    /// Octets of its longest line: LINEBUF has to be larger.
    pub(crate) longest: usize,
    pub(crate) flags: Flags,
    pub(crate) lock: LocalLock,
    pub(crate) conditions: Vec<Condition>,
    /// Where its action begins.
    pub(crate) action: usize,
    /// Where the next statement is looked for if the action is not carried out, for actions that
    /// nothing but reading over is done to then.
    pub(crate) after: Option<usize>,
}

/// A condition.
#[derive(Debug)]
pub(crate) struct Condition {
    /// Its text, without the star and blanks at its end.
    pub(crate) text: Vec<u8>,
    pub(crate) prefixes: Prefixes,
    /// The expression, if that is what it is, compiled when it is first asked for.
    pub(crate) expression: Option<Expression>,
}

/// An expression, and what it is compiled to.
#[derive(Debug)]
pub(crate) struct Expression {
    pub(crate) text: Vec<u8>,
    pub(crate) regex: OnceLock<Arc<Regex>>,
}

impl Compiled {
    pub(crate) fn new(text: &[u8]) -> Self {
        // A NUL ends texts early, which only the evaluator knows.
        if text.contains(&0) {
            return Self::default();
        }
        let mut recipes = crate::parser::recipes(text);
        recipes.sort_by_key(|recipe| recipe.start);
        Self { recipes }
    }

    /// The recipe whose colon is at this octet.
    pub(crate) fn at(&self, start: usize) -> Option<&Recipe> {
        let index = self
            .recipes
            .binary_search_by_key(&start, |recipe| recipe.start)
            .ok()?;
        self.recipes.get(index)
    }
}
