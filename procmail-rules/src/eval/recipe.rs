//! Recipes: the `:0` line, the chain, and what leads from conditions to the action.

use super::Machine;
use super::expand::Mode;
use super::source::{is_blank, is_space};
use crate::error::Error;
use crate::format::Part;

/// The flags of a recipe line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Flags {
    pub(super) search_header: bool,
    pub(super) search_body: bool,
    pub(super) distinguish_case: bool,
    pub(super) also: bool,
    pub(super) also_succeeded: bool,
    pub(super) otherwise: bool,
    pub(super) on_error: bool,
    pub(super) header: bool,
    pub(super) body: bool,
    pub(super) filter: bool,
    pub(super) copy: bool,
    pub(super) wait: bool,
    pub(super) wait_quietly: bool,
    pub(super) ignore_errors: bool,
    pub(super) raw: bool,
}

impl Flags {
    /// Takes one letter; false if it is no flag.
    fn take(&mut self, letter: u8) -> bool {
        let flag = match letter {
            b'H' => &mut self.search_header,
            b'B' => &mut self.search_body,
            b'D' => &mut self.distinguish_case,
            b'A' => &mut self.also,
            b'a' => &mut self.also_succeeded,
            b'E' => &mut self.otherwise,
            b'e' => &mut self.on_error,
            b'h' => &mut self.header,
            b'b' => &mut self.body,
            b'f' => &mut self.filter,
            b'c' => &mut self.copy,
            b'w' => &mut self.wait,
            b'W' => &mut self.wait_quietly,
            b'i' => &mut self.ignore_errors,
            b'r' => &mut self.raw,
            _ => return false,
        };
        *flag = true;
        true
    }

    pub(super) fn part(self) -> Part {
        match (self.header, self.body) {
            (true, false) => Part::Header,
            (false, true) => Part::Body,
            _ => Part::Whole,
        }
    }
}

/// Whether and how a recipe locks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum LocalLock {
    #[default]
    None,
    Implicit,
    Named(Vec<u8>),
}

/// A recipe line.
#[derive(Clone, Debug, Default)]
pub(super) struct Recipe {
    pub(super) flags: Flags,
    pub(super) lock: LocalLock,
    /// So many lines are conditions with or without a star.
    count: usize,
    /// What could not be understood.
    rest: Vec<u8>,
}

impl Recipe {
    pub(super) fn has_lock(&self) -> bool {
        self.lock != LocalLock::None
    }

    /// Is a program waited for, and is its failure reported?
    pub(super) fn waits(&self) -> (bool, bool) {
        let Flags {
            wait, wait_quietly, ..
        } = self.flags;
        (
            wait || wait_quietly || self.has_lock(),
            wait && !wait_quietly,
        )
    }

    fn parse(words: &[Vec<u8>]) -> Self {
        let mut recipe = Self::default();
        let line = words.join(&b' ');
        let digits = line.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let number = line.get(..digits).unwrap_or(&[]);
        let mut at = digits;
        while let Some(byte) = line.get(at) {
            if *byte == b':' || !(is_blank(*byte) || recipe.flags.take(*byte)) {
                break;
            }
            at += 1;
        }
        let chained = recipe.flags.also
            || recipe.flags.also_succeeded
            || recipe.flags.otherwise
            || recipe.flags.on_error;
        recipe.count = match digits {
            0 => usize::from(!chained),
            _ => usize::try_from(crate::number::integer(number, 10).0).unwrap_or(usize::MAX),
        };
        if line.get(at) == Some(&b':') {
            recipe.take_lock(words, at);
        } else {
            recipe.rest = line.get(at..).unwrap_or(&[]).to_vec();
        }
        recipe
    }

    /// The lock name is the rest of the colon's word, or the next word.
    fn take_lock(&mut self, words: &[Vec<u8>], mut at: usize) {
        let mut words = words.iter();
        for word in words.by_ref() {
            if at < word.len() {
                let name = word.get(at + 1..).unwrap_or(&[]);
                let name = if name.is_empty() {
                    words.next().map(Vec::as_slice)
                } else {
                    Some(name)
                };
                self.lock =
                    name.map_or(LocalLock::Implicit, |name| LocalLock::Named(name.to_vec()));
                break;
            }
            at -= word.len() + 1;
        }
        self.rest = words.map(Vec::as_slice).collect::<Vec<_>>().join(&b' ');
    }
}

/// What is found after the conditions.
enum Next {
    Action,
    /// A new recipe after a blank line.
    Missing,
    EndOfFile,
}

impl Machine {
    /// A recipe, from behind its colon.
    pub(super) async fn recipe(&mut self) -> Result<(), Error> {
        let Some(mut source) = self.current() else {
            return Ok(());
        };
        let words = self.expand(&mut source, Mode::Line, 1).await?;
        self.resume(&source);
        if self.take_overflow() {
            // The rest cannot be trusted: the file ends here.
            if let Some(frame) = self.frames.last_mut() {
                let end = frame.source.position() + frame.source.rest().len();
                frame.source.rewind(end);
            }
            return Ok(());
        }
        let mut recipe = Recipe::parse(words.words());
        let skipping = self.skipping > 0;
        let rest = std::mem::take(&mut recipe.rest);
        self.skipped(&rest)?;
        let mut matched = self.chain_allows(&mut recipe.flags)? && !skipping;
        self.score = 0;
        matched = self.conditions(&recipe, matched).await?;
        let next = self.find_action()?;
        if !skipping {
            let holds = matched && matches!(next, Next::Action);
            let Flags {
                also,
                also_succeeded,
                otherwise,
                ..
            } = recipe.flags;
            if !also && !also_succeeded {
                self.last_condition = holds;
            }
            if !(otherwise && self.previous_condition) {
                self.previous_condition = holds;
            }
        }
        match next {
            Next::Action => self.action(recipe, matched).await,
            Next::Missing => self.log_line(&[b"Missing action"]),
            Next::EndOfFile => self.log_line(&[b"Incomplete recipe"]),
        }
    }

    /// The tests of the flags A, a, E and e.
    fn chain_allows(&mut self, flags: &mut Flags) -> Result<bool, Error> {
        if flags.on_error && flags.otherwise {
            flags.otherwise = false;
            self.log_line(&[b"Conflicting else-if-flag suppressed"])?;
        }
        if flags.on_error && flags.also_succeeded {
            flags.also_succeeded = false;
            self.log_line(&[b"Conflicting also-if-succeeded-flag suppressed"])?;
        }
        Ok(!(flags.also && !self.last_condition
            || flags.also_succeeded && !(self.last_condition && self.last_success)
            || flags.otherwise && self.previous_condition
            || flags.on_error && (!self.previous_condition || self.last_success)))
    }

    /// Reads all conditions, and evaluates them as long as they hold.
    async fn conditions(&mut self, recipe: &Recipe, mut holds: bool) -> Result<bool, Error> {
        let mut counted = recipe.count;
        let mut tally = super::condition::Tally::default();
        loop {
            let Some(frame) = self.frames.last_mut() else {
                return Ok(false);
            };
            let source = &mut frame.source;
            let start = source.position();
            if counted > 0 {
                // Even an empty line counts.
                counted -= 1;
                source.skip_blanks();
                source.accept(b'*');
            } else {
                source.take_while(is_space);
                while source.peek() == Some(b'#') {
                    source.rest_of_line();
                    source.take_while(is_space);
                }
                if !source.accept(b'*') {
                    source.rewind(start);
                    break;
                }
            }
            // At the end of the file the line that counts is empty, and the last.
            if source.peek().is_none() {
                counted = 0;
            }
            let line = source.raw_line();
            if line.len() >= self.settings.linebuf {
                self.exceeded()?;
                self.overflow = false;
                holds = false;
            }
            if holds {
                holds = self
                    .condition(recipe.flags, trim(&line), &mut tally)
                    .await?;
            }
        }
        if self.skipping == 0 {
            self.score = tally.score();
        }
        Ok(holds && tally.is_positive())
    }

    /// Skips blank lines and comments before the action.
    fn find_action(&mut self) -> Result<Next, Error> {
        let Some(frame) = self.frames.last_mut() else {
            return Ok(Next::EndOfFile);
        };
        let source = &mut frame.source;
        let mut blank_line = false;
        loop {
            let blanks = source.take_while(is_space);
            blank_line |= blanks.contains(&b'\n');
            match source.peek() {
                None => return Ok(Next::EndOfFile),
                Some(b'#') => {
                    source.rest_of_line();
                }
                Some(b':') if blank_line => return Ok(Next::Missing),
                Some(_) => return Ok(Next::Action),
            }
        }
    }
}

/// Drops blanks at the end.
fn trim(line: &[u8]) -> &[u8] {
    let mut line = line;
    while let [rest @ .., b' ' | b'\t'] = line {
        line = rest;
    }
    line
}
