//! Words: quoting, substitution and splitting.

use super::Machine;
use super::source::{Source, is_name, is_name_start, is_space};
use crate::effect::{Output, Purpose, Status};
use crate::error::{Error, Limit};

/// How text is made into words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// One word; substituted text is not split.
    Single,
    /// All words of the line; substituted text is split.
    Line,
    /// The same, with the line's newline left where it is.
    Arguments,
    /// As if the text began inside double quotes; its end is the end. Outside quotes blanks
    /// collapse to one, and nothing is split.
    Quoted,
    /// The same, beginning outside quotes.
    Unquoted,
}

impl Mode {
    /// One text rather than words.
    fn is_text(self) -> bool {
        matches!(self, Self::Quoted | Self::Unquoted)
    }
}

/// Words read from a line.
#[derive(Clone, Debug, Default)]
pub(super) struct Words {
    words: Vec<Vec<u8>>,
    /// Where the last `"$@"` stands: the word, and the octet in it.
    arguments: Option<(usize, usize)>,
    /// The word that ends in it.
    arguments_at: Option<usize>,
    /// The variable substituted last.
    pub(super) last_name: Vec<u8>,
}

impl Words {
    pub(super) fn joined(&self, by: u8) -> Vec<u8> {
        self.words.join(&by)
    }

    pub(super) fn words(&self) -> &[Vec<u8>] {
        &self.words
    }

    pub(super) fn into_words(self) -> Vec<Vec<u8>> {
        self.words
    }

    pub(super) fn arguments_at(&self) -> Option<usize> {
        self.arguments_at
    }
}

/// A `${NAME:-w}` that is open.
#[derive(Clone, Debug)]
struct Brace {
    /// `w` is used.
    active: bool,
    /// Where it begins: the word, and the octet in it.
    at: (usize, usize),
    /// Had the word begun there?
    begun: bool,
    /// Was it no more than a folder line's name there?
    named: bool,
    /// What stands there instead.
    value: Option<Vec<u8>>,
}

/// The state of one expansion.
struct Expansion {
    mode: Mode,
    words: Words,
    word: Vec<u8>,
    /// The word has begun, if only with empty quotes: a `#` is text from here on. The name that a
    /// folder line begins with does not count.
    begun: bool,
    /// The brace depth at which a double quote was opened.
    quote: Option<usize>,
    braces: Vec<Brace>,
    /// What the line has room for.
    room: usize,
    overflow: bool,
    /// Nothing is substituted: the line is only read over.
    inert: bool,
    /// The word is no more than the name that a folder line begins with: what follows belongs to
    /// it, whatever blanks come before.
    named: bool,
}

impl Expansion {
    /// Is the text here used, rather than a `w` that is not?
    fn is_used(&self) -> bool {
        self.braces.iter().all(|brace| brace.active)
    }

    /// Is anything substituted here?
    fn is_active(&self) -> bool {
        !self.inert && self.is_used()
    }

    fn splits(&self) -> bool {
        matches!(self.mode, Mode::Line | Mode::Arguments) && self.quote.is_none()
    }

    fn push(&mut self, byte: u8) {
        self.begun = true;
        self.named = false;
        // Literal text is kept even where nothing is substituted: it tells what a recipe is. That
        // of a `w` that is not used goes when its brace is closed, and stays if none does.
        if !self.is_used() {
            self.word.push(byte);
            return;
        }
        match self.room.checked_sub(1) {
            Some(room) => {
                self.room = room;
                self.word.push(byte);
            }
            None => self.overflow = true,
        }
    }

    fn open(&mut self, active: bool, value: Option<Vec<u8>>) {
        self.braces.push(Brace {
            active,
            at: (self.words.words.len(), self.word.len()),
            begun: self.begun,
            named: self.named,
            value,
        });
    }

    fn close(&mut self) {
        let Some(brace) = self.braces.pop() else {
            return;
        };
        if brace.active {
            return;
        }
        // Where there is one word alone it has begun, even with nothing that is put in.
        let single = self.mode == Mode::Single;
        self.begun |= single;
        let (word, octet) = brace.at;
        // Elsewhere no word begins with what is not used.
        if !single {
            (self.begun, self.named) = (brace.begun, brace.named);
        }
        // Blanks in it have divided nothing.
        if word < self.words.words.len() {
            self.words.words.truncate(word + 1);
            self.word = self.words.words.pop().unwrap_or_default();
        }
        self.word.truncate(octet);
        if let Some(value) = brace.value.filter(|_| self.is_active()) {
            self.substitute(&value);
        }
    }

    /// A blank between words.
    fn separate(&mut self) {
        if self.begun || !self.named {
            self.end_word();
        }
    }

    fn end_word(&mut self) {
        if self.begun || !self.word.is_empty() {
            self.room = self.room.saturating_sub(1);
            let last = (self.words.words.len(), self.word.len());
            if self.words.arguments == Some(last) {
                self.words.arguments_at = Some(last.0);
            }
            let word = std::mem::take(&mut self.word);
            if memchr::memchr(0, &word).is_none() {
                self.words.words.push(word);
            } else {
                // A NUL ends it. On a line of words another follows.
                let most = if self.mode == Mode::Line {
                    usize::MAX
                } else {
                    1
                };
                let parts = word.split(|byte| *byte == 0).take(most);
                self.words.words.extend(parts.map(<[u8]>::to_vec));
            }
            self.begun = false;
            self.named = false;
        }
    }

    /// What stands for a variable. That of an assignment has begun even where nothing is put in.
    fn put(&mut self, value: &[u8]) {
        self.begun |= self.mode == Mode::Single;
        if self.is_active() {
            self.substitute(value);
        }
    }

    /// Puts in text that is not looked at again, except for blanks that split.
    fn substitute(&mut self, text: &[u8]) {
        if self.splits() {
            for byte in text {
                if is_space(*byte) {
                    self.separate();
                } else {
                    self.push(*byte);
                }
            }
        } else {
            self.begun = true;
            text.iter().for_each(|byte| self.push(*byte));
        }
    }
}

/// How a `${NAME` goes on.
enum Alternative {
    Plain,
    /// `-`: `w`, if so, stands for the value.
    Default(bool),
    /// `+`: `w`, if so, stands alone.
    Replace(bool),
    Bad,
}

impl Machine {
    /// Has LINEBUF been exceeded since this was last asked?
    pub(super) fn take_overflow(&mut self) -> bool {
        std::mem::take(&mut self.overflow)
    }

    pub(super) fn exceeded(&mut self) -> Result<(), Error> {
        self.overflow = true;
        self.log_line(&[b"Exceeded LINEBUF"])?;
        self.note_overflow()
    }

    pub(super) fn note_overflow(&mut self) -> Result<(), Error> {
        self.trace_line(&[b"Assigning \"PROCMAIL_OVERFLOW=yes\""])?;
        self.set_value(b"PROCMAIL_OVERFLOW", b"yes")
    }

    /// Reads words from `source`; `used` octets of LINEBUF are taken already.
    pub(super) async fn expand(
        &mut self,
        source: &mut Source,
        mode: Mode,
        used: usize,
    ) -> Result<Words, Error> {
        self.expand_after(source, mode, used, Vec::new()).await
    }

    /// The same, where `name` is what the first word begins with.
    pub(super) async fn expand_after(
        &mut self,
        source: &mut Source,
        mode: Mode,
        used: usize,
        name: Vec<u8>,
    ) -> Result<Words, Error> {
        let room = self
            .settings
            .linebuf
            .saturating_sub(used)
            .saturating_sub(name.len());
        let name_is_empty = name.is_empty();
        let mut state = Expansion {
            mode,
            words: Words::default(),
            word: name,
            begun: mode == Mode::Quoted,
            quote: (mode == Mode::Quoted).then_some(0),
            braces: Vec::new(),
            room,
            overflow: false,
            inert: self.skipping > 0,
            named: !name_is_empty,
        };
        // Is an open quote at the end told?
        let told = source.is_file() || matches!(mode, Mode::Single | Mode::Arguments);
        loop {
            let Some(byte) = source.peek() else {
                if told && state.quote.is_some() {
                    self.log_line(&[b"Unexpected EOL"])?;
                }
                break;
            };
            source.next();
            match byte {
                b'\\' if source.peek().is_none() => {
                    self.log_line(&[b"Unexpected EOL"])?;
                    break;
                }
                b'\\' => escape(&mut state, source),
                b'"' if state.quote == Some(state.braces.len()) => state.quote = None,
                b'"' if state.quote.is_none() => {
                    state.begun = true;
                    state.quote = Some(state.braces.len());
                }
                b'}' if state.braces.last().is_some()
                    && state.quote.is_none_or(|depth| depth < state.braces.len()) =>
                {
                    state.close();
                }
                b'$' => self.dollar(&mut state, source)?,
                b'`' => self.backquote(&mut state, source).await?,
                _ if state.quote.is_some() => state.push(byte),
                b'\'' => {
                    if self.single_quoted(&mut state, source, told)? {
                        break;
                    }
                }
                // An open quote apart, a newline ends the text, whatever follows.
                b'\n' => {
                    if matches!(mode, Mode::Single | Mode::Arguments) {
                        source.rewind(source.position() - 1);
                    }
                    break;
                }
                // Blanks before the word, behind a newline that was quoted.
                b' ' | b'\t' if mode == Mode::Single && !state.begun => {}
                b' ' | b'\t' if mode == Mode::Single => {
                    source.rewind(source.position() - 1);
                    break;
                }
                b' ' | b'\t' if mode.is_text() => {
                    if state.begun {
                        state.push(b' ');
                        state.begun = false;
                    }
                }
                b' ' | b'\t' => state.separate(),
                b'#' if !state.begun => {
                    source.take_while(|byte| byte != b'\n');
                    if mode == Mode::Line && source.peek().is_some() {
                        source.next();
                    }
                    break;
                }
                _ => state.push(byte),
            }
        }
        state.end_word();
        if state.overflow {
            self.exceeded()?;
        }
        Ok(state.words)
    }

    /// Returns whether the text ended inside the quotes.
    fn single_quoted(
        &mut self,
        state: &mut Expansion,
        source: &mut Source,
        told: bool,
    ) -> Result<bool, Error> {
        state.begun = true;
        loop {
            match source.next() {
                Some(b'\'') => return Ok(false),
                Some(byte) => state.push(byte),
                None => {
                    if told {
                        self.log_line(&[b"Unexpected EOL"])?;
                    }
                    return Ok(true);
                }
            }
        }
    }

    /// What follows a `$`.
    fn dollar(&mut self, state: &mut Expansion, source: &mut Source) -> Result<(), Error> {
        let Some(byte) = source.peek() else {
            state.push(b'$');
            return Ok(());
        };
        let value = match byte {
            b'{' => {
                source.next();
                return self.braced(state, source);
            }
            b'\\' if source.peek_second().is_some_and(is_name) => {
                source.next();
                let name = source.take_while(is_name).to_vec();
                state.begun |= state.mode == Mode::Single;
                if state.is_active() {
                    state.begun = true;
                    let quoted = self.disarmed(&name);
                    quoted.iter().for_each(|byte| state.push(*byte));
                }
                state.words.last_name = name;
                return Ok(());
            }
            b'@' => {
                if state.quote.is_none() {
                    return Ok(());
                }
                source.next();
                state.begun = true;
                if state.is_active() {
                    state.words.arguments = Some((state.words.words.len(), state.word.len()));
                    state.words.arguments_at = None;
                }
                return Ok(());
            }
            b'0'..=b'9' => {
                source.next();
                self.positional(byte)
            }
            b'#' => {
                source.next();
                self.arguments.len().to_string().into_bytes()
            }
            b'$' => {
                source.next();
                self.config.pid.to_string().into_bytes()
            }
            b'?' => {
                source.next();
                self.status.to_string().into_bytes()
            }
            b'=' => {
                source.next();
                self.score.to_string().into_bytes()
            }
            b'-' => {
                source.next();
                self.last_folder.clone()
            }
            b'_' => {
                source.next();
                self.frames
                    .last()
                    .map(|frame| frame.name.clone())
                    .unwrap_or_default()
            }
            _ if is_name_start(byte) => {
                let name = source.take_while(is_name).to_vec();
                state.overflow |= name.len() > self.settings.linebuf;
                let value = self.value(&name).unwrap_or(&[]).to_vec();
                state.words.last_name = name;
                value
            }
            _ => {
                state.push(b'$');
                return Ok(());
            }
        };
        state.put(&value);
        Ok(())
    }

    fn positional(&self, digit: u8) -> Vec<u8> {
        match usize::from(digit - b'0').checked_sub(1) {
            None => self.config.program.clone(),
            Some(index) => self.arguments.get(index).cloned().unwrap_or_default(),
        }
    }

    /// `$\NAME`: the value with everything that means something in a regex quoted.
    fn disarmed(&self, name: &[u8]) -> Vec<u8> {
        let mut out = b"()".to_vec();
        let value = match name.first() {
            Some(digit) if digit.is_ascii_digit() => self.positional(*digit),
            _ => self.value(name).unwrap_or(&[]).to_vec(),
        };
        for byte in value {
            if b"(|)*?+.^$[\\".contains(&byte) {
                out.push(b'\\');
            }
            out.push(byte);
        }
        out
    }

    /// What follows `${`.
    fn braced(&mut self, state: &mut Expansion, source: &mut Source) -> Result<(), Error> {
        let name = source.take_while(is_name).to_vec();
        state.overflow |= name.len() > self.settings.linebuf;
        let value = match name.as_slice() {
            [digit @ b'0'..=b'9'] => {
                let within = usize::from(*digit - b'0') <= self.arguments.len();
                within.then(|| self.positional(*digit))
            }
            _ => self.value(&name).map(<[u8]>::to_vec),
        };
        let digits = name.len() > 1 && name.first().is_some_and(u8::is_ascii_digit);
        let filled = value.as_ref().is_some_and(|value| !value.is_empty());
        let alternative = match source.next() {
            _ if digits => Alternative::Bad,
            Some(b'}') => Alternative::Plain,
            Some(b'-') => Alternative::Default(value.is_none()),
            Some(b'+') => Alternative::Replace(value.is_some()),
            Some(b':') => match source.next() {
                Some(b'-') => Alternative::Default(!filled),
                Some(b'+') => Alternative::Replace(filled),
                _ => Alternative::Bad,
            },
            _ => Alternative::Bad,
        };
        match alternative {
            Alternative::Plain => state.put(&value.unwrap_or_default()),
            Alternative::Default(active) => state.open(active, Some(value.unwrap_or_default())),
            Alternative::Replace(active) => state.open(active, None),
            Alternative::Bad => self.log_quoted(b"Bad substitution of", &name)?,
        }
        state.words.last_name = name;
        Ok(())
    }

    /// What follows a backquote: the command, which is run unless nothing is substituted.
    async fn backquote(&mut self, state: &mut Expansion, source: &mut Source) -> Result<(), Error> {
        let quoted = state.quote.is_some();
        let mut command = Vec::new();
        loop {
            match source.next() {
                Some(b'`') => break,
                // It ends the command, and the quotes go on behind it.
                Some(b'"') if quoted && source.is_file() => break,
                Some(b'\\') => match source.peek() {
                    Some(b'\n') => {
                        source.next();
                    }
                    Some(byte @ (b'\\' | b'$' | b'`')) => {
                        source.next();
                        command.push(byte);
                    }
                    Some(b'"') if quoted => {
                        source.next();
                        command.push(b'"');
                    }
                    Some(_) => command.push(b'\\'),
                    None => {
                        self.log_line(&[b"Unexpected EOL"])?;
                        break;
                    }
                },
                Some(byte) => command.push(byte),
                None => break,
            }
        }
        // The command, too, has to find room in the line.
        if state.is_used() && command.len() > state.room.saturating_add(1) {
            state.overflow = true;
            return Ok(());
        }
        if !state.is_active() {
            state.begun |= quoted || state.mode == Mode::Single;
            return Ok(());
        }
        if self.expansion_depth() >= self.config.limits.expansion_depth {
            return Err(Error::limit(Limit::ExpansionDepth));
        }
        let room = state.room;
        let output = Box::pin(self.command_output(&command, room)).await?;
        state.substitute(&output);
        Ok(())
    }

    /// Runs a backquoted command; its output without trailing newlines.
    async fn command_output(&mut self, text: &[u8], room: usize) -> Result<Vec<u8>, Error> {
        self.nested += 1;
        let command = self.command(text).await?;
        self.nested -= 1;
        let Some(command) = command else {
            return Ok(Vec::new());
        };
        self.joined = false;
        let mut input = self.message.text().to_vec();
        crate::format::terminate(&mut input);
        let limit = self.config.limits.value_size.saturating_add(1);
        let ran = self
            .run_program(
                &command,
                Purpose::Substitution,
                input,
                Output::Capture(limit),
                true,
            )
            .await?;
        if ran.status == Status::TimedOut {
            self.log_line(&[b"Rescue of unfiltered data succeeded"])?;
        }
        let mut output = ran.output;
        // Where it fills what there is room for, there may be more.
        let most = room.saturating_sub(2);
        if output.len() >= most.max(1) {
            output.truncate(most);
            self.log_quoted(b"Excessive output quenched from", &command.name())?;
            self.note_overflow()?;
            // Newlines where it was cut are none at its end.
            return Ok(output);
        }
        while output.last() == Some(&b'\n') {
            output.pop();
        }
        Ok(output)
    }
}

/// What follows a backslash.
fn escape(state: &mut Expansion, source: &mut Source) {
    let Some(byte) = source.peek() else {
        return;
    };
    if byte == b'\n' {
        source.next();
        return;
    }
    let quoted = state.quote.is_some();
    let takes = if quoted {
        matches!(byte, b'"' | b'\\' | b'$' | b'`') || byte == b'}' && !state.braces.is_empty()
    } else {
        byte != b'#' || !state.begun
    };
    if takes {
        source.next();
        state.push(byte);
    } else {
        state.push(b'\\');
    }
}
