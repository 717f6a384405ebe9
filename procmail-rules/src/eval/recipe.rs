//! Recipes: the `:0` line, the chain, and what leads from conditions to the action.

use super::Machine;
use super::expand::Mode;
use super::source::{is_blank, is_space};
use std::sync::Arc;

use crate::ast::Flags;
use crate::compiled::Compiled;
use crate::error::Error;
use crate::format::Part;
use crate::note::{Fact, Gate, Verdict};

impl Flags {
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
pub(crate) enum LocalLock {
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
        let (number, mut at) = crate::number::lines(&line);
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
        recipe.count = number.unwrap_or(usize::from(!chained));
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
        let start = source.position() - 1;
        if let Some(compiled) = self.compiled_at(start) {
            return self.compiled_recipe(&compiled, start).await;
        }
        let words = self.expand(&mut source, Mode::Line, 0).await?;
        self.resume(&source);
        if self.take_overflow() {
            self.abandon_file();
            return Ok(());
        }
        let mut recipe = Recipe::parse(words.words());
        let rest = std::mem::take(&mut recipe.rest);
        self.skipped(&rest)?;
        let gate = self.gate(&mut recipe.flags)?;
        let line = start..self.position();
        self.note(line.clone(), Fact::Recipe(gate)).await?;
        let mut matched = gate == Gate::Open;
        self.score = 0;
        let weighted;
        (matched, weighted) = self.conditions(&recipe, matched).await?;
        let next = self.find_action()?;
        let decided = Fact::Decided {
            matched: matched && matches!(next, Next::Action),
            score: weighted.then_some(self.score),
        };
        self.note(line, decided).await?;
        self.remember(recipe.flags, matched && matches!(next, Next::Action));
        match next {
            Next::Action => self.action(recipe, matched).await,
            Next::Missing => self.log_line(&[b"Missing action"]),
            Next::EndOfFile => self.log_line(&[b"Incomplete recipe"]),
        }
    }

    /// What is left of the file cannot be trusted.
    pub(super) fn abandon_file(&mut self) {
        if let Some(frame) = self.frames.last_mut() {
            let end = frame.source.position() + frame.source.rest().len();
            frame.source.rewind(end);
        }
    }

    /// The state of the chain, once it is known whether a recipe's action is carried out.
    fn remember(&mut self, flags: Flags, holds: bool) {
        if self.skipping > 0 {
            return;
        }
        if !flags.also && !flags.also_succeeded {
            self.last_condition = holds;
        }
        if !(flags.otherwise && self.previous_condition) {
            self.previous_condition = holds;
        }
    }

    /// The recipe at a place, if it was read before. Notes tell about each line that is read, and
    /// what LINEBUF does not hold has to be met while reading.
    fn compiled_at(&self, start: usize) -> Option<Arc<Compiled>> {
        let compiled = &self.frames.last()?.compiled;
        let recipe = compiled.at(start)?;
        let fits = recipe.longest + 16 < self.settings.linebuf;
        (fits && !self.config.notes).then(|| Arc::clone(compiled))
    }

    /// A recipe that was read before.
    async fn compiled_recipe(&mut self, compiled: &Compiled, start: usize) -> Result<(), Error> {
        let Some(read) = compiled.at(start) else {
            return Ok(());
        };
        let mut flags = read.flags;
        let mut matched = self.gate(&mut flags)? == Gate::Open;
        self.score = 0;
        let mut tally = super::condition::Tally::default();
        for condition in &read.conditions {
            if !matched {
                break;
            }
            matched = match &condition.expression {
                Some(expression) => {
                    self.compiled_condition(flags, &condition.prefixes, expression, &mut tally)?
                }
                None => self.condition(flags, &condition.text, &mut tally).await?,
            };
        }
        if self.skipping == 0 {
            self.score = tally.score();
        }
        matched = matched && tally.is_positive();
        self.remember(flags, matched);
        let to = match read.after {
            Some(after) if !matched => after,
            _ => read.action,
        };
        if let Some(frame) = self.frames.last_mut() {
            frame.source.rewind(to);
        }
        if !matched && read.after.is_some() {
            return Ok(());
        }
        let recipe = Recipe {
            flags,
            lock: read.lock.clone(),
            ..Recipe::default()
        };
        self.action(recipe, matched).await
    }

    /// The tests of the flags A, a, E and e.
    fn gate(&mut self, flags: &mut Flags) -> Result<Gate, Error> {
        if self.skipping == 0 && (flags.search_header || !flags.search_body) {
            self.joined = true;
        }
        if flags.on_error && flags.otherwise {
            flags.otherwise = false;
            self.log_line(&[b"Conflicting else-if-flag suppressed"])?;
        }
        if flags.on_error && flags.also_succeeded {
            flags.also_succeeded = false;
            self.log_line(&[b"Conflicting also-if-succeeded-flag suppressed"])?;
        }
        Ok(if self.skipping > 0 {
            Gate::Passed
        } else if flags.also && !self.last_condition {
            Gate::NotAlso
        } else if flags.also_succeeded && !(self.last_condition && self.last_success) {
            Gate::NotSucceeded
        } else if flags.otherwise && self.previous_condition {
            Gate::NotOtherwise
        } else if flags.on_error && (!self.previous_condition || self.last_success) {
            Gate::NoError
        } else {
            Gate::Open
        })
    }

    /// Reads all conditions, and evaluates them as long as they hold. Do they all, and has any of
    /// them a weight?
    async fn conditions(
        &mut self,
        recipe: &Recipe,
        mut holds: bool,
    ) -> Result<(bool, bool), Error> {
        let mut counted = recipe.count;
        let mut tally = super::condition::Tally::default();
        loop {
            let Some(frame) = self.frames.last_mut() else {
                return Ok((false, false));
            };
            let source = &mut frame.source;
            let start = source.position();
            let begin;
            if counted > 0 {
                // Even an empty line counts.
                counted -= 1;
                source.skip_blanks();
                begin = source.position();
                source.accept(b'*');
            } else {
                source.take_while(is_space);
                while source.peek() == Some(b'#') {
                    source.rest_of_line();
                    source.take_while(is_space);
                }
                begin = source.position();
                if !source.accept(b'*') {
                    source.rewind(start);
                    break;
                }
            }
            // At the end of the file the line that counts is empty, and the last.
            if source.peek().is_none() {
                counted = 0;
            }
            // A line that is a backslash alone may have blanks before it.
            source.skip_blanks();
            let line = source.raw_line();
            let span = begin..source.position();
            self.verdict = Verdict::NotTried;
            if line.len() >= self.settings.linebuf {
                self.exceeded()?;
                self.overflow = false;
                self.verdict = Verdict::TooLong;
                holds = false;
            }
            if holds {
                holds = self
                    .condition(recipe.flags, trim(&line), &mut tally)
                    .await?;
            }
            if self.config.notes {
                let verdict = std::mem::replace(&mut self.verdict, Verdict::NotTried);
                self.note(span, Fact::Condition(verdict)).await?;
            }
        }
        if self.skipping == 0 {
            self.score = tally.score();
        }
        Ok((holds && tally.is_positive(), tally.is_weighted()))
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
pub(crate) fn trim(line: &[u8]) -> &[u8] {
    let mut line = line;
    while let [rest @ .., b' ' | b'\t'] = line {
        line = rest;
    }
    line
}
