//! Conditions: prefixes, the three final forms, and scores.

use std::sync::Arc;

use super::Machine;
use super::expand::Mode;
use super::program::exit_status;
use super::source::{Source, is_blank, join_expression, join_lines, until_nul};
use crate::ast::{Area, Flags, Prefixes};
use crate::compiled::Expression;
use crate::effect::{Output, Purpose};
use crate::error::Error;
use crate::message::Message;
use crate::note::{Subject, Verdict};
use crate::number;
use crate::regex::{Haystack, Regex, frame};

/// Scores do not leave these bounds.
const MAXIMUM: f64 = 2_147_483_647.0;
const MINIMUM: f64 = -2_147_483_647.0;

/// The sum of a recipe's weighted conditions.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tally {
    weighted: bool,
    sum: f64,
}

impl Tally {
    /// Does the recipe match, as far as weights are concerned?
    pub(super) fn is_positive(self) -> bool {
        !self.weighted || self.sum > 0.0 || self.sum.is_nan()
    }

    /// `$=`
    pub(super) fn score(self) -> i64 {
        if self.sum > 0.0 && self.sum < 1.0 {
            1
        } else {
            truncated(self.sum)
        }
    }

    /// Had any condition a weight?
    pub(super) fn is_weighted(self) -> bool {
        self.weighted
    }

    fn is_open(self) -> bool {
        self.sum > MINIMUM && self.sum < MAXIMUM
    }

    fn limit(&mut self) {
        // What is no number stays none.
        self.sum = self.sum.clamp(MINIMUM, MAXIMUM);
    }
}

/// Toward zero; the bounds of scores fit. What is no number is the least there is.
#[allow(
    clippy::cast_possible_truncation,
    reason = "the cast saturates, and scores are bounded"
)]
fn truncated(value: f64) -> i64 {
    if value.is_nan() {
        i64::MIN
    } else {
        value as i64
    }
}

#[derive(Clone, Copy, Debug)]
struct Weight {
    weight: f64,
    exponent: f64,
}

/// A condition without its prefixes.
struct Test {
    flags: Flags,
    area: Area,
    negated: bool,
    weight: Option<Weight>,
    text: Vec<u8>,
}

impl Machine {
    /// Evaluates one condition; false fails the recipe.
    pub(super) async fn condition(
        &mut self,
        flags: Flags,
        line: &[u8],
        tally: &mut Tally,
    ) -> Result<bool, Error> {
        let mut prefixes = Prefixes::default();
        prefixes.take(line);
        let mut text = line.get(prefixes.length..).unwrap_or(&[]).to_vec();
        while text.first() == Some(&b'$') {
            let joined = join_lines(text.get(1..).unwrap_or(&[]));
            let mut source = Source::line_text(&joined);
            let words = self.expand(&mut source, Mode::Quoted, 0).await?;
            if self.take_overflow() {
                self.trace_quoted(b"No match on", &words.last_name)?;
                self.verdict = Verdict::TooLong;
                return Ok(false);
            }
            text = words.joined(b' ');
            prefixes.length = 0;
            prefixes.take(&text);
            text.drain(..prefixes.length);
        }
        if matches!(prefixes.area, Area::Header | Area::Both) {
            self.joined = true;
        }
        let test = Test {
            flags,
            area: prefixes.area,
            negated: prefixes.negated,
            weight: prefixes
                .weight
                .map(|(weight, exponent)| Weight { weight, exponent }),
            text,
        };
        if test.weight.is_some() {
            tally.weighted = true;
            if tally.sum >= MAXIMUM {
                return Ok(true);
            }
        }
        match test.text.first() {
            Some(b'?') => self.program_condition(&test, tally).await,
            Some(b'<' | b'>') => self.size_condition(&test, tally).await,
            _ => {
                let text = join_expression(&test.text);
                let fold = !test.flags.distinguish_case;
                let limits = &self.config.limits;
                let regex = self.config.regexes.get(&text, fold, limits)?;
                self.regex_condition(&test, &regex, tally)
            }
        }
    }

    /// Evaluates a condition that was read before, and is an expression.
    pub(super) fn compiled_condition(
        &mut self,
        flags: Flags,
        prefixes: &Prefixes,
        expression: &Expression,
        tally: &mut Tally,
    ) -> Result<bool, Error> {
        if matches!(prefixes.area, Area::Header | Area::Both) {
            self.joined = true;
        }
        let test = Test {
            flags,
            area: prefixes.area.clone(),
            negated: prefixes.negated,
            weight: prefixes
                .weight
                .map(|(weight, exponent)| Weight { weight, exponent }),
            text: Vec::new(),
        };
        if test.weight.is_some() {
            tally.weighted = true;
            if tally.sum >= MAXIMUM {
                return Ok(true);
            }
        }
        let regex = match expression.regex.get() {
            Some(regex) => Arc::clone(regex),
            None => {
                let fold = !flags.distinguish_case;
                let limits = &self.config.limits;
                let regex = self.config.regexes.get(&expression.text, fold, limits)?;
                Arc::clone(expression.regex.get_or_init(|| regex))
            }
        };
        self.regex_condition(&test, &regex, tally)
    }

    /// A text given a frame where it needs one of its own.
    fn area_text(&self, test: &Test) -> Option<Vec<u8>> {
        match &test.area {
            Area::Variable(name) => Some(frame(self.value(name).unwrap_or(&[]))),
            _ => None,
        }
    }

    fn regex_condition(
        &mut self,
        test: &Test,
        regex: &Regex,
        tally: &mut Tally,
    ) -> Result<bool, Error> {
        if regex.unbalanced() {
            self.log_quoted(b"Invalid regexp", regex.pattern())?;
        }
        let message = Arc::clone(&self.message);
        let own = self.area_text(test);
        let haystack = test.haystack(&message, own.as_deref());
        self.port
            .count_regex(regex.states(), haystack.bytes().len())?;
        if self.config.notes {
            let found = regex.first_end(haystack);
            self.subject = Some(Subject::Regex {
                pattern: regex.pattern().to_vec(),
                area: test.area.clone(),
                found: found.map(|end| haystack.line_at(end).to_vec()),
            });
        }
        let before = *tally;
        let holds = match test.weight {
            None => self.search(regex, haystack, test)? != test.negated,
            Some(weight) if test.negated => {
                if weight.weight != 0.0 && !self.search(regex, haystack, test)? {
                    tally.sum += weight.weight;
                }
                true
            }
            Some(weight) => {
                self.count(regex, haystack, test, weight, tally)?;
                true
            }
        };
        self.conclude(test, regex.text(), before, tally, holds)
    }

    /// Searches, and sets MATCH if something is found.
    fn search(
        &mut self,
        regex: &Regex,
        haystack: Haystack<'_>,
        test: &Test,
    ) -> Result<bool, Error> {
        let Some(found) = regex.find(haystack) else {
            return Ok(false);
        };
        self.set_match(
            found.matched.and_then(|range| haystack.bytes().get(range)),
            test,
        )?;
        Ok(true)
    }

    fn set_match(&mut self, text: Option<&[u8]>, test: &Test) -> Result<(), Error> {
        let Some(text) = text else { return Ok(()) };
        // Searched itself, it is cut where it is.
        let itself = test.area == Area::Variable(b"MATCH".to_vec());
        if !itself || self.value(b"MATCH").is_none() {
            self.trace_line(&[b"Assigning \"MATCH=\""])?;
        }
        self.trace_quoted(b"Matched", until_nul(text))?;
        self.set_value(b"MATCH", text)
    }

    /// Adds w, wx, wxx and so on for each match.
    fn count(
        &mut self,
        regex: &Regex,
        haystack: Haystack<'_>,
        test: &Test,
        weight: Weight,
        tally: &mut Tally,
    ) -> Result<(), Error> {
        let Weight {
            mut weight,
            exponent,
        } = weight;
        if weight == 0.0 || !regex.is_match(haystack) {
            return Ok(());
        }
        let mut matches = regex.matches(haystack);
        while weight != 0.0 && tally.is_open() {
            let Some((found, empty)) = matches.advance() else {
                break;
            };
            // Octets that a search looks at in vain are looked at again by the next.
            self.port.count_regex(regex.states(), found.ahead)?;
            self.set_match(
                found.matched.and_then(|range| haystack.bytes().get(range)),
                test,
            )?;
            let added = weight;
            tally.sum += weight;
            weight *= exponent;
            if empty {
                if exponent > 0.0 && exponent < 1.0 {
                    tally.sum += weight / (1.0 - exponent);
                } else if exponent >= 1.0 && weight != 0.0 {
                    tally.sum += MAXIMUM.copysign(weight);
                }
                break;
            }
            if weight.abs() < added.abs() && added.abs() < 1.0 {
                break;
            }
        }
        Ok(())
    }

    async fn size_condition(&mut self, test: &Test, tally: &mut Tally) -> Result<bool, Error> {
        let mut source = Source::line_text(&test.text);
        let words = self.expand(&mut source, Mode::Unquoted, 0).await?;
        if self.take_overflow() {
            return Ok(false);
        }
        let text = words.joined(b' ');
        let after = text.get(1..).unwrap_or(&[]);
        let (limit, used) = number::integer(after, 10);
        let rest = after.get(used..).unwrap_or(&[]);
        let rest = rest
            .get(rest.iter().take_while(|byte| is_blank(**byte)).count()..)
            .unwrap_or(&[]);
        self.skipped(rest)?;
        let message = Arc::clone(&self.message);
        let own = self.area_text(test);
        let size = match &test.area {
            Area::Flags | Area::Both => message.text().len(),
            Area::Header => message.header().len(),
            Area::Body => message.body().len(),
            Area::Variable(_) => own.as_ref().map_or(0, |framed| framed.len() - 2),
        };
        let size = i64::try_from(size).unwrap_or(i64::MAX);
        let less = text.first() == Some(&b'<');
        self.subject = Some(Subject::Size { size, limit, less });
        let before = *tally;
        let holds = match test.weight {
            None => (if less { size < limit } else { size > limit }) != test.negated,
            Some(Weight { weight, exponent }) => {
                let (size, limit) = (float(size), float(limit));
                let (above, below) = if less == test.negated {
                    (size, limit)
                } else {
                    (limit, size)
                };
                tally.sum += if below != 0.0 {
                    weight * (above / below).powf(exponent)
                } else if above > 0.0 || less == test.negated {
                    MAXIMUM
                } else {
                    MINIMUM
                };
                true
            }
        };
        self.conclude(test, &text, before, tally, holds)
    }

    async fn program_condition(&mut self, test: &Test, tally: &mut Tally) -> Result<bool, Error> {
        let text = test.text.get(1..).unwrap_or(&[]);
        let Some(program) = self.command(text).await? else {
            return Ok(false);
        };
        let message = Arc::clone(&self.message);
        let own = self.area_text(test);
        let mut input = test.haystack(&message, own.as_deref()).text().to_vec();
        let given = input.len();
        crate::format::terminate(&mut input);
        let size = input.len();
        let ran = self
            .run_program(&program, Purpose::Condition, input, Output::Discard, true)
            .await?;
        // The newline added at the end is written last, if at all.
        self.last_size = if ran.input_written { size } else { given };
        let code = exit_status(ran.status);
        if code != 0 {
            self.report_quietly(code, &program.name())?;
        }
        self.subject = Some(Subject::Program { exit: code });
        let before = *tally;
        let holds = match test.weight {
            None => (code == 0) != test.negated,
            Some(_) if code < 0 => {
                let negated = test.negated;
                self.conclude(test, &program.text, before, tally, negated)?;
                return Ok(negated);
            }
            Some(Weight { weight, exponent }) if test.negated => {
                let mut weight = weight;
                for _ in 0..code {
                    if weight == 0.0 || !tally.is_open() {
                        break;
                    }
                    tally.sum += weight;
                    weight *= exponent;
                }
                true
            }
            Some(Weight { weight, exponent }) => {
                tally.sum += if code == 0 { weight } else { exponent };
                true
            }
        };
        self.conclude(test, &program.text, before, tally, holds)
    }

    /// `Non-zero exitcode`, in VERBOSE only.
    pub(super) fn report_quietly(&mut self, code: i32, name: &[u8]) -> Result<(), Error> {
        let code = code.to_string();
        self.trace_line(&[
            b"Non-zero exitcode (",
            code.as_bytes(),
            b") from \"",
            name,
            b"\"",
        ])
    }

    /// Writes the trace of a condition; does the recipe still hold?
    fn conclude(
        &mut self,
        test: &Test,
        text: &[u8],
        before: Tally,
        tally: &mut Tally,
        holds: bool,
    ) -> Result<bool, Error> {
        let not = if test.negated { b" !".as_slice() } else { b"" };
        let subject = self.subject.take();
        let verdict = |holds, points| {
            if let Some(subject) = subject {
                self.verdict = Verdict::Tested {
                    holds,
                    negated: test.negated,
                    points,
                    subject,
                };
            }
        };
        if test.weight.is_none() {
            verdict(holds, None);
            let found = if holds {
                b"Match on".as_slice()
            } else {
                b"No match on"
            };
            self.trace_line(&[found, not, b" \"", text, b"\""])?;
            return Ok(holds);
        }
        tally.limit();
        let points = tally.sum - before.sum;
        let holds = holds && tally.sum != MINIMUM;
        verdict(holds, Some((truncated(points), tally.score())));
        let sum = match tally.sum {
            sum if sum > 0.0 && sum < 1.0 => "+0".to_owned(),
            sum => truncated(sum).to_string(),
        };
        let numbers = format!("Score: {:7} {sum:>7}", truncated(points));
        self.trace_line(&[numbers.as_bytes(), not, b" \"", text, b"\""])?;
        Ok(holds)
    }
}

/// Sizes are far below 2^53.
#[allow(clippy::cast_precision_loss, reason = "sizes are far below 2^53")]
fn float(value: i64) -> f64 {
    value as f64
}

impl Test {
    fn haystack<'a>(&self, message: &'a Message, own: Option<&'a [u8]>) -> Haystack<'a> {
        match (&self.area, own) {
            (Area::Variable(_), Some(framed)) => Haystack::framed(framed),
            (Area::Header, _) => message.header_area(),
            (Area::Body, _) => message.body_area(),
            (Area::Both, _) => message.whole_area(),
            _ => match (self.flags.search_header, self.flags.search_body) {
                (false, true) => message.body_area(),
                (true, true) => message.whole_area(),
                _ => message.header_area(),
            },
        }
    }
}
