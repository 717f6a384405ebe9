//! Reading the line of an action.

use crate::effect::Command;
use crate::error::Error;
use crate::eval::Machine;
use crate::eval::expand::Mode;
use crate::eval::program::Program;
use crate::eval::source::{Source, is_blank, is_name, is_name_start, is_space};

/// What an action line says.
pub(super) enum Line {
    Block,
    Forward(Option<Program>),
    Pipe(Vec<u8>),
    Capture(Vec<u8>, Box<Line>),
    Folders(Option<Vec<Vec<u8>>>),
}

impl Machine {
    pub(super) async fn action_line(&mut self) -> Result<Line, Error> {
        let Some(mut source) = self.current() else {
            return Ok(Line::Folders(None));
        };
        let start = source.position();
        let line = match source.peek() {
            Some(b'!') => {
                source.next();
                self.forward_line(&mut source).await?
            }
            Some(b'|') => {
                source.next();
                self.pipe_line(&mut source)?
            }
            Some(b'{') if source.peek_second().is_some_and(is_space) => {
                source.next();
                Line::Block
            }
            Some(byte) if is_name_start(byte) => {
                let name = source.take_while(is_name).to_vec();
                if name.len() + 6 > self.settings.linebuf {
                    return self.name_too_long(source).await;
                }
                source.take_while(is_blank);
                let assigns = source.accept(b'=');
                source.take_while(is_blank);
                match source.peek() {
                    Some(b'|') if assigns => {
                        source.next();
                        Line::Capture(name, Box::new(Line::Pipe(source.raw_line())))
                    }
                    Some(b'!') if assigns => {
                        source.next();
                        let line = self.forward_line(&mut source).await?;
                        Line::Capture(name, Box::new(line))
                    }
                    _ => {
                        source.rewind(start);
                        self.folder_line(&mut source).await?
                    }
                }
            }
            _ => self.folder_line(&mut source).await?,
        };
        self.resume(&source);
        Ok(line)
    }

    /// An action that begins with a longer name than LINEBUF has room for; the rest of its line is
    /// read over.
    async fn name_too_long(&mut self, mut source: Source) -> Result<Line, Error> {
        self.exceeded()?;
        self.expand(&mut source, Mode::Line, 0).await?;
        self.resume(&source);
        self.overflow = self.skipping > 0;
        Ok(Line::Folders(None))
    }

    fn pipe_line(&mut self, source: &mut Source) -> Result<Line, Error> {
        let text = source.raw_line();
        if text.len() >= self.settings.linebuf {
            self.exceeded()?;
            self.overflow = self.skipping > 0;
            return Ok(Line::Folders(None));
        }
        Ok(Line::Pipe(text))
    }

    /// `! args`: `$SENDMAIL`, its flags, and the words of the line.
    async fn forward_line(&mut self, source: &mut Source) -> Result<Line, Error> {
        let sendmail = self.settings.sendmail.clone();
        let mut argv = vec![sendmail];
        let flags = self.settings.sendmail_flags.clone();
        if !flags.is_empty() {
            let mut flags = flags.split(|byte| is_space(*byte));
            // Behind a blank at the end an empty one follows.
            let last = flags.next_back();
            let flags = flags.filter(|flag| !flag.is_empty()).chain(last);
            argv.extend(flags.map(<[u8]>::to_vec));
        }
        let used = argv.iter().map(|word| word.len() + 1).sum();
        let words = self.expand(source, Mode::Line, used).await?;
        if self.overflow {
            self.overflow = self.skipping > 0;
            return Ok(Line::Forward(None));
        }
        let fixed = argv.join(&b' ');
        let Program {
            command,
            text,
            lost,
        } = self.direct(words);
        let lost = lost.map(|(at, word)| (argv.len() + at, word));
        if let Command::Direct(words) = command {
            argv.extend(words);
        }
        let text = [&fixed, b" ".as_slice(), &text].concat();
        Ok(Line::Forward(Some(Program {
            command: Command::Direct(argv),
            text,
            lost,
        })))
    }

    async fn folder_line(&mut self, source: &mut Source) -> Result<Line, Error> {
        let mut name = Vec::new();
        if source.peek().is_some_and(is_name_start) {
            name = source.take_while(is_name).to_vec();
            if source.accept(b'=') {
                name.push(b'=');
            }
        }
        // A blank ends the name, and something follows it, if only the end of the line.
        let ended = !name.is_empty() && source.peek().is_some_and(is_blank);
        let first = if ended {
            vec![std::mem::take(&mut name)]
        } else {
            Vec::new()
        };
        let used = first.iter().map(|word| word.len() + 1).sum();
        source.skip_blanks();
        let words = self.expand_after(source, Mode::Line, used, name).await?;
        if self.overflow {
            self.overflow = self.skipping > 0;
            return Ok(Line::Folders(None));
        }
        let mut words = words.into_words();
        if ended && words.is_empty() {
            words.push(Vec::new());
        }
        Ok(Line::Folders(Some([first, words].concat())))
    }
}
