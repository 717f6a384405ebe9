//! Actions: reading the line, and doing it if the recipe matched.

mod line;
mod program;

use self::line::Line;
use self::program::Use;
use super::folder::How;
use super::recipe::{LocalLock, Recipe};
use super::{Machine, Progress};
use crate::effect::{Effect, Purpose, Reply};
use crate::error::{Error, Limit};
use crate::format::Part;
use crate::note::Fact;

impl Machine {
    /// Reads the action, and carries it out if the recipe matched.
    pub(super) async fn action(&mut self, recipe: Recipe, matched: bool) -> Result<(), Error> {
        let skipping = self.skipping > 0;
        let start = self.position();
        let program = matches!(
            self.current().and_then(|line| line.peek()),
            Some(b'!' | b'|')
        );
        if recipe.flags.filter && !program {
            // Reported even in a block that is not entered.
            self.extraneous(b"filter-flag")?;
        }
        // What is not done is not expanded either.
        if !matched {
            self.skipping += 1;
        }
        let line = self.action_line().await;
        if !matched {
            self.skipping -= 1;
        }
        let line = line?;
        if matched {
            self.joined = false;
        }
        let span = start..self.position();
        self.note(span, Fact::Action { done: matched }).await?;
        if !matched {
            if matches!(line, Line::Block) {
                self.extraneous_on_block(&recipe)?;
                self.open_brace(false)?;
            } else if self.take_overflow() && !skipping {
                self.last_success = false;
            }
            self.overflow = false;
            return Ok(());
        }
        match line {
            Line::Block => self.block(&recipe).await,
            Line::Forward(None) | Line::Folders(None) => {
                self.last_success = false;
                Ok(())
            }
            Line::Forward(Some(program)) => {
                self.extraneous_copy(&recipe, recipe.flags.filter)?;
                let used = if recipe.flags.filter {
                    Use::Filter
                } else {
                    Use::Deliver
                };
                self.program_action(recipe, program, Purpose::Forward, used)
                    .await
            }
            Line::Pipe(text) => self.pipe(recipe, &text).await,
            Line::Capture(name, line) => self.capture(recipe, name, *line).await,
            Line::Folders(Some(names)) => self.folder_action(recipe, names).await,
        }
    }

    fn open_brace(&mut self, executed: bool) -> Result<(), Error> {
        if self.braces.len() + self.skipping >= self.config.limits.brace_depth {
            return Err(Error::limit(Limit::BraceDepth));
        }
        if executed {
            self.braces
                .push((self.previous_condition, self.last_condition));
        } else {
            self.skipping += 1;
        }
        Ok(())
    }

    fn extraneous(&mut self, what: &[u8]) -> Result<(), Error> {
        self.log_line(&[b"Extraneous ", what, b" ignored"])
    }

    fn extraneous_copy(&mut self, recipe: &Recipe, used: bool) -> Result<(), Error> {
        if used && recipe.flags.copy {
            self.extraneous(b"copy-flag")
        } else {
            Ok(())
        }
    }

    /// What means nothing on a block is reported whether it is entered or not.
    fn extraneous_on_block(&mut self, recipe: &Recipe) -> Result<(), Error> {
        if recipe.has_lock() && !recipe.flags.copy {
            self.extraneous(b"locallockfile")?;
        }
        if recipe.flags.body {
            self.extraneous(b"deliver-body flag")?;
        }
        if recipe.flags.header {
            self.extraneous(b"deliver-head flag")?;
        }
        if recipe.flags.ignore_errors {
            self.extraneous(b"ignore-write-error flag")?;
        }
        if recipe.flags.raw {
            self.extraneous(b"raw-mode flag")?;
        }
        Ok(())
    }

    async fn block(&mut self, recipe: &Recipe) -> Result<(), Error> {
        self.extraneous_on_block(recipe)?;
        let implicit = self.settings.lock_extension.clone();
        self.lock_for(recipe, Some(implicit)).await?;
        if recipe.flags.copy {
            return self.clone_block(recipe).await;
        }
        self.last_success = true;
        self.open_brace(true)
    }

    /// The clone does the block and everything after it; then the parent jumps over the block.
    async fn clone_block(&mut self, recipe: &Recipe) -> Result<(), Error> {
        self.port.count_clone()?;
        self.trace_line(&[b"Forking \"procmail\""])?;
        if self.ask(Effect::CloneBegin).await? == Reply::Failed {
            self.log_line(&[b"Failed forking \"procmail\""])?;
            self.last_success = false;
            return self.open_brace(false);
        }
        let mut clone = self.clone();
        clone.local_lock = None;
        clone.global_lock = None;
        clone.last_success = true;
        clone.open_brace(true)?;
        let exit = Box::pin(clone.run_clone())
            .await
            .map_err(|error| clone.locate(error))?;
        self.ask(Effect::CloneEnd { exit }).await?;
        let (wait, loud) = recipe.waits();
        self.last_success = !wait || exit == 0;
        if wait {
            self.status = i32::from(exit);
            self.report_failure(i32::from(exit), loud, b"procmail")?;
        }
        self.open_brace(false)
    }

    async fn run_clone(&mut self) -> Result<u8, Error> {
        self.drive().await?;
        Ok(self.finish().await?.exit)
    }

    /// Takes the recipe's lock; `implicit` is the name it has if none is given.
    async fn lock_for(&mut self, recipe: &Recipe, implicit: Option<Vec<u8>>) -> Result<(), Error> {
        match &recipe.lock {
            LocalLock::None => Ok(()),
            LocalLock::Named(name) => self.take_local_lock(name).await,
            LocalLock::Implicit => match implicit {
                Some(name) => self.take_local_lock(&name).await,
                None => Ok(()),
            },
        }
    }

    async fn folder_action(&mut self, recipe: Recipe, names: Vec<Vec<u8>>) -> Result<(), Error> {
        let first = names.first().cloned().unwrap_or_default();
        let implicit = match recipe.lock {
            LocalLock::Implicit => self.folder_lock(&first)?,
            _ => None,
        };
        self.lock_for(&recipe, implicit).await?;
        let part = if recipe.flags.filter {
            Part::Whole
        } else {
            recipe.flags.part()
        };
        let raw = recipe.flags.raw;
        let delivered = if names.len() == 1 && first.starts_with(b"|") {
            self.print(&first, part, raw).await?
        } else {
            let how = How {
                part,
                raw,
                partial: recipe.flags.ignore_errors,
                lock: false,
                exact: false,
            };
            self.deliver(&names, how).await?
        };
        self.delivered(&recipe, delivered)
    }

    /// The end of a delivering action.
    fn delivered(&mut self, recipe: &Recipe, delivered: bool) -> Result<(), Error> {
        self.last_success = delivered;
        if !delivered {
            return Ok(());
        }
        if recipe.flags.copy {
            if self.settings.log_abstract == 2 {
                self.log_abstract()?;
            }
            return Ok(());
        }
        self.progress = Progress::Delivered;
        Ok(())
    }
}
