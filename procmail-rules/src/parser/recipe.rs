//! Recipes: the line with the flags, the conditions, the action.

use std::sync::OnceLock;

use super::Parser;
use super::word::{Mode, text_word};
use crate::ast::{Action, Condition, Flags, Lock, Piece, Prefixes, Recipe, Span, Test, Word};
use crate::compiled;
use crate::diagnostic::{Diagnostic, Kind};
use crate::eval::{
    LocalLock, is_blank, is_name, is_name_start, is_space, join_expression, join_lines, trim,
};
use crate::number;

/// Stands for what is substituted, while the line is looked at octet by octet.
const UNKNOWN: u8 = 0x1a;

/// A line of flags, read.
struct Line {
    number: Option<usize>,
    flags: Flags,
    lock: Lock,
    rest: Vec<u8>,
}

impl Parser<'_> {
    pub(super) fn recipe(&mut self) -> Recipe {
        let start = self.at;
        let faults = self.faults.len();
        self.at += 1;
        let words = self.words(Mode::Line);
        let end = words.last().map_or(start + 1, |word| word.span.end);
        let line = self.recipe_line(start, &words);
        let conditions = self.conditions(&line);
        let plain =
            self.faults.len() == faults && words.iter().all(|word| word.constant().is_some());
        let read = self.at;
        let (action, action_span) = match self.find_action() {
            None => (Action::Missing, end..end),
            Some(()) => {
                let start = self.at;
                let (action, end) = self.action();
                (action, start..end)
            }
        };
        if action == Action::Missing {
            self.fault(Kind::MissingAction, start..end);
        } else if plain && self.faults.len() == faults {
            // What is wrong with an action is reported while it is read.
            self.compile(start, read, &line, &conditions, (&action, &action_span));
        }
        let last = conditions
            .last()
            .map_or(end, |condition| condition.span.end);
        Recipe {
            span: start..action_span.end.max(last),
            line: start..end,
            number: line.number,
            flags: line.flags,
            lock: line.lock,
            rest: line.rest,
            conditions,
            action,
            action_span,
        }
    }

    /// Keeps the recipe for the evaluator.
    fn compile(
        &mut self,
        start: usize,
        read: usize,
        line: &Line,
        conditions: &[Condition],
        (action, action_span): (&Action, &Span),
    ) {
        let after = match action {
            Action::Folders(_) if line.flags.filter => None,
            Action::Folders(_) | Action::Pipe(_) => Some(self.at),
            _ => None,
        };
        let Some(compiled) = &mut self.compiled else {
            return;
        };
        let lock = match &line.lock {
            Lock::None => LocalLock::None,
            Lock::Implicit(_) => LocalLock::Implicit,
            Lock::Named(name) => match name.constant() {
                Some(name) => LocalLock::Named(name),
                None => return,
            },
        };
        // What is left of a line that fits is shorter than the recipe.
        let longest = action_span.start.max(after.unwrap_or(0)) - start;
        let conditions = conditions
            .iter()
            .map(|condition| {
                let expression = match &condition.test {
                    Test::Regex(text) => Some(compiled::Expression {
                        text: text.clone(),
                        regex: OnceLock::new(),
                    }),
                    _ => None,
                };
                compiled::Condition {
                    text: condition.text.clone(),
                    prefixes: condition.prefixes.clone(),
                    expression,
                }
            })
            .collect();
        compiled.push(compiled::Recipe {
            start,
            longest,
            flags: line.flags,
            lock,
            conditions,
            action: read.max(action_span.start),
            after,
        });
    }

    fn recipe_line(&mut self, start: usize, words: &[Word]) -> Line {
        let shown: Vec<Vec<u8>> = words.iter().map(shown).collect();
        let text = shown.join(&b' ');
        let (number, mut at) = number::lines(&text);
        let mut flags = Flags::default();
        while let Some(byte) = text.get(at) {
            if *byte == b':' || !(is_blank(*byte) || flags.take(*byte)) {
                break;
            }
            at += 1;
        }
        if text.get(at) == Some(&UNKNOWN) {
            let end = words.last().map_or(start, |word| word.span.end);
            self.doubt(start..end);
        }
        let mut line = Line {
            number,
            flags,
            lock: Lock::None,
            rest: Vec::new(),
        };
        if text.get(at) != Some(&b':') {
            line.rest = text.get(at..).unwrap_or(&[]).to_vec();
        } else {
            let mut left = at;
            let mut words = words.iter().zip(&shown);
            for (word, shown) in words.by_ref() {
                if left < shown.len() {
                    line.lock = if left + 1 < shown.len() {
                        Lock::Named(self.tail(word, shown, left + 1))
                    } else {
                        let colon = word.span.end.saturating_sub(1)..word.span.end;
                        match words.next() {
                            Some((name, _)) => Lock::Named(name.clone()),
                            None => Lock::Implicit(colon),
                        }
                    };
                    break;
                }
                left -= shown.len() + 1;
            }
            let rest: Vec<&[u8]> = words.map(|(_, shown)| shown.as_slice()).collect();
            line.rest = rest.join(&b' ');
        }
        if !line.rest.is_empty() {
            let end = words.last().map_or(start, |word| word.span.end);
            self.fault(Kind::LeftOnRecipeLine, start..end);
        }
        line
    }

    fn conditions(&mut self, line: &Line) -> Vec<Condition> {
        let mut counted = line.number.unwrap_or(usize::from(!line.flags.is_chained()));
        let mut conditions = Vec::new();
        loop {
            let (before, comments) = (self.at, self.comments.len());
            let mut starred = true;
            let start;
            if counted > 0 {
                counted -= 1;
                self.take_while(is_blank);
                start = self.at;
                starred = self.accept(b'*');
            } else {
                self.take_while(is_space);
                while self.peek() == Some(b'#') {
                    self.comment();
                    self.take_while(is_space);
                }
                start = self.at;
                if !self.accept(b'*') {
                    self.at = before;
                    self.comments.truncate(comments);
                    return conditions;
                }
            }
            if self.peek().is_none() {
                counted = 0;
            }
            conditions.push(self.condition(start, starred));
        }
    }

    fn condition(&mut self, start: usize, starred: bool) -> Condition {
        self.take_while(is_blank);
        let from = self.at;
        let (raw, end) = self.raw_line();
        let text = trim(&raw).to_vec();
        let mut prefixes = Prefixes::default();
        prefixes.take(&text);
        let rest = text.get(prefixes.length..).unwrap_or(&[]);
        let test = match rest.first() {
            Some(b'$') => {
                let joined = join_lines(rest.get(1..).unwrap_or(&[]));
                let mut words = text_word(&joined, Mode::Quoted);
                Test::Substituted(words.pop().unwrap_or_default())
            }
            Some(b'?') => Test::Program(rest.get(1..).unwrap_or(&[]).to_vec()),
            Some(sign @ (b'<' | b'>')) => {
                let joined = join_lines(rest.get(1..).unwrap_or(&[]));
                let mut words = text_word(&joined, Mode::Unquoted);
                Test::Size {
                    less: *sign == b'<',
                    limit: words.pop().unwrap_or_default(),
                }
            }
            _ => Test::Regex(join_expression(rest)),
        };
        Condition {
            span: start..end,
            start: from,
            starred,
            text,
            prefixes,
            test,
        }
    }

    /// A line of a condition or a program, joined with those that continue it, and its end.
    fn raw_line(&mut self) -> (Vec<u8>, usize) {
        let mut line = Vec::new();
        loop {
            let span = self.rest_of_line();
            let end = span.end;
            match self.slice(span) {
                b"\\" => line.push(b'\n'),
                part @ [.., b'\\'] => {
                    line.extend_from_slice(part);
                    line.push(b'\n');
                }
                part => {
                    line.extend_from_slice(part);
                    return (line, end);
                }
            }
            if self.peek().is_none() {
                return (line, end);
            }
        }
    }

    /// Skips blank lines and comments in front of the action; none if there is no action.
    fn find_action(&mut self) -> Option<()> {
        let mut blank_line = false;
        loop {
            let blanks = self.take_while(is_space);
            blank_line |= self.slice(blanks).contains(&b'\n');
            match self.peek()? {
                b'#' => self.comment(),
                b':' if blank_line => return None,
                _ => return Some(()),
            }
        }
    }

    /// The action, and where it ends.
    fn action(&mut self) -> (Action, usize) {
        let start = self.at;
        match self.peek() {
            Some(b'!') => {
                self.at += 1;
                self.forward(start)
            }
            Some(b'|') => {
                self.at += 1;
                let (text, end) = self.raw_line();
                (Action::Pipe(text), end)
            }
            Some(b'{') if self.looking_at(1).is_some_and(is_space) => {
                self.at += 1;
                let block = self.block();
                let end = block.close.map_or(self.at, |close| close + 1);
                (Action::Block(block), end)
            }
            Some(byte) if is_name_start(byte) => {
                let name = self.take_while(is_name);
                let bytes = self.slice(name.clone()).to_vec();
                let blanks = self.take_while(is_blank);
                let assigns = self.accept(b'=');
                self.take_while(is_blank);
                let program = match self.peek() {
                    Some(b'|') if assigns => {
                        self.at += 1;
                        let (text, end) = self.raw_line();
                        Some((Action::Pipe(text), end))
                    }
                    Some(b'!') if assigns => {
                        self.at += 1;
                        Some(self.forward(start))
                    }
                    _ => None,
                };
                let Some((program, end)) = program else {
                    self.at = start;
                    return self.folders(start);
                };
                if !blanks.is_empty() {
                    let fault = Diagnostic::new(Kind::BlankBeforeCapture, blanks.clone());
                    self.faults.push(fault.with_fix(blanks, b"".as_slice()));
                }
                let program = Box::new(program);
                (
                    Action::Capture {
                        name: bytes,
                        program,
                    },
                    end,
                )
            }
            _ => self.folders(start),
        }
    }

    fn forward(&mut self, start: usize) -> (Action, usize) {
        let words = self.words(Mode::Line);
        let end = words.last().map_or(start + 1, |word| word.span.end);
        (Action::Forward(words), end)
    }

    fn folders(&mut self, start: usize) -> (Action, usize) {
        let mut name = 0;
        if self.peek().is_some_and(is_name_start) {
            while self.looking_at(name).is_some_and(is_name) {
                name += 1;
            }
            name += usize::from(self.looking_at(name) == Some(b'='));
        }
        let words = self.words_after(Mode::Line, name);
        let end = words.last().map_or(start, |word| word.span.end);
        (Action::Folders(words), end)
    }
}

impl Parser<'_> {
    /// The word without its first octets.
    fn tail(&self, word: &Word, shown: &[u8], mut octets: usize) -> Word {
        let mut span: Span = word.span.clone();
        if self.slice(span.start..span.start + octets) == shown.get(..octets).unwrap_or(&[]) {
            span.start += octets;
        }
        let mut pieces = Vec::new();
        for piece in &word.pieces {
            match piece {
                Piece::Text { text, quoted } if octets > 0 => {
                    let rest = text.get(octets..).unwrap_or(&[]).to_vec();
                    octets = octets.saturating_sub(text.len());
                    if !rest.is_empty() {
                        pieces.push(Piece::Text {
                            text: rest,
                            quoted: *quoted,
                        });
                    }
                }
                _ if octets > 0 => octets -= 1,
                piece => pieces.push(piece.clone()),
            }
        }
        Word { span, pieces }
    }
}

/// The literal text of a word, with a mark for each substitution.
fn shown(word: &Word) -> Vec<u8> {
    let mut out = Vec::new();
    for piece in &word.pieces {
        match piece {
            Piece::Text { text, .. } => out.extend_from_slice(text),
            _ => out.push(UNKNOWN),
        }
    }
    out
}
