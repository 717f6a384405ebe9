//! Runs a `C:`/`S:` script against a machine.
//!
//! A transcript is lines of text; `#` begins a comment line.
//!
//! | line | meaning |
//! |---|---|
//! | `C: text` | the client sends `text` CRLF |
//! | `S: text` | the server sends `text` CRLF |
//! | `C+ text`, `S+ text` | the same without the CRLF |
//! | `E: text` | the machine gives an event that the adapter shows as `text` |
//! | `E+ text` | the machine gives payload octets |
//! | `A: text` | the host's answer, understood by the adapter |
//! | `T: +300s` | that much time passes (`ms`, `s`, `m`, `h`), then `handle_timeout` |
//! | `EOF:` | the peer closes its side |
//! | `SHUTDOWN:` | the host calls `shutdown` |
//! | `CLOSED:` | the machine is over: `poll` says `Closed` or fails |
//!
//! In text, `\r`, `\n`, `\t`, `\0`, `\\` and `\xNN` stand for octets, and
//! `{*N}c` at the end of a line stands for N times the octet `c`.
//! Of the peer's octets and the machine's, the side under test decides which
//! are fed and which are expected.
//!
//! [`run`] plays a script whole, octet by octet, and cut at random places
//! (seeded, so a failure can be seen again), and expects the same of each.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::{Buf, BytesMut};

use crate::{Misuse, Output, Step};

/// Which side the machine under test plays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// `C:` lines are fed, `S:` lines are expected.
    Server,
    /// `S:` lines are fed, `C:` lines are expected.
    Client,
}

/// An event as a script shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shown {
    /// For an `E:` line.
    Event(String),
    /// For `E+` lines; neighbours are joined, since where a payload is cut
    /// is no promise.
    Payload(Vec<u8>),
}

/// A machine as [`run`] drives it: the six methods, and the host's answers.
pub trait Machine {
    /// The machine's `poll`, with the event or the error shown as text.
    ///
    /// # Errors
    /// When the machine's `poll` fails: the connection is over.
    fn poll(&mut self, input: &mut BytesMut, now: Instant) -> Result<Step<Shown>, String>;
    /// The machine's `output`.
    fn output(&mut self) -> &mut Output;
    /// The machine's `poll_timeout`; a `T:` line fails where nothing has a
    /// deadline.
    fn poll_timeout(&self) -> Option<Instant>;
    /// The machine's `handle_timeout`.
    fn handle_timeout(&mut self, now: Instant);
    /// The machine's `handle_eof`.
    fn handle_eof(&mut self);
    /// The machine's `shutdown`.
    fn shutdown(&mut self);
    /// Understands an `A:` line and makes the call that it stands for.
    ///
    /// # Errors
    /// The machine's own [`Misuse`].
    fn answer(&mut self, text: &str) -> Result<(), Misuse>;
}

/// The methods of [`Machine`] between `poll` and `answer`, for an adapter
/// whose field of this name holds the machine: `forward!(server);`.
#[doc(inline)]
pub use crate::__forward as forward;

#[doc(hidden)]
#[macro_export]
macro_rules! __forward {
    ($field:tt) => {
        fn output(&mut self) -> &mut $crate::Output {
            self.$field.output()
        }
        fn poll_timeout(&self) -> Option<::std::time::Instant> {
            self.$field.poll_timeout()
        }
        fn handle_timeout(&mut self, now: ::std::time::Instant) {
            self.$field.handle_timeout(now);
        }
        fn handle_eof(&mut self) {
            self.$field.handle_eof();
        }
        fn shutdown(&mut self) {
            self.$field.shutdown();
        }
    };
}

/// Plays `script` in every way of cutting; each time with a machine from `make`.
///
/// # Panics
/// Where the machine does not do what the script says, with the script's line.
#[expect(
    clippy::disallowed_methods,
    reason = "a start for the script's own time"
)]
pub fn run<M: Machine>(script: &str, side: Side, mut make: impl FnMut(Instant) -> M) {
    let lines = parse(script);
    let start = Instant::now();
    let mut play = |name: String, cut: &mut dyn FnMut(usize) -> usize| {
        Player::new(make(start), side, start, name).play(&lines, cut);
    };
    play("whole".into(), &mut |all| all);
    play("bytewise".into(), &mut |_| 1);
    for seed in 1..=24_u64 {
        let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        play(format!("random cuts, seed {seed}"), &mut |all| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            let size = usize::try_from(state >> 33).unwrap_or(1) % 9 + 1;
            size.min(all)
        });
    }
}

#[derive(Debug, Clone)]
enum Line {
    Client(Vec<u8>),
    Server(Vec<u8>),
    Event(String),
    Payload(Vec<u8>),
    Answer(String),
    Time(Duration),
    Eof,
    Shutdown,
    Closed,
}

fn parse(script: &str) -> Vec<(usize, Line)> {
    let mut lines = Vec::new();
    for (index, text) in script.lines().enumerate() {
        let number = index + 1;
        if text.trim().is_empty() || text.starts_with('#') {
            continue;
        }
        let (tag, rest) = match text.find([':', '+']) {
            Some(at) => text.split_at(at + 1),
            None => fail(&format!("line {number}: no tag in {text:?}")),
        };
        let rest = rest.strip_prefix(' ').unwrap_or(rest);
        let with_crlf = || {
            let mut octets = unescape(rest);
            octets.extend_from_slice(b"\r\n");
            octets
        };
        let line = match tag {
            "C:" => Line::Client(with_crlf()),
            "S:" => Line::Server(with_crlf()),
            "C+" => Line::Client(unescape(rest)),
            "S+" => Line::Server(unescape(rest)),
            "E:" => Line::Event(rest.to_owned()),
            "E+" => Line::Payload(unescape(rest)),
            "A:" => Line::Answer(rest.to_owned()),
            "T:" => Line::Time(duration(rest)),
            "EOF:" => Line::Eof,
            "SHUTDOWN:" => Line::Shutdown,
            "CLOSED:" => Line::Closed,
            other => fail(&format!("line {number}: unknown tag {other:?}")),
        };
        lines.push((number, line));
    }
    lines
}

/// Octets of a script's text, escapes taken back.
#[must_use]
pub fn unescape(text: &str) -> Vec<u8> {
    let (text, repeat) = match text.rsplit_once("{*") {
        Some((before, after)) => match after.split_once('}') {
            Some((count, octets)) if count.parse::<usize>().is_ok() => {
                (before, Some((count.parse().unwrap_or(0), octets)))
            }
            _ => (text, None),
        },
        None => (text, None),
    };
    let mut octets = plain_unescape(text);
    if let Some((count, unit)) = repeat {
        octets.extend(plain_unescape(unit).repeat(count));
    }
    octets
}

fn plain_unescape(text: &str) -> Vec<u8> {
    let mut octets = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(octet) = rest.next() {
        if octet != b'\\' {
            octets.push(octet);
            continue;
        }
        match rest.next() {
            Some(b'r') => octets.push(b'\r'),
            Some(b'n') => octets.push(b'\n'),
            Some(b't') => octets.push(b'\t'),
            Some(b'0') => octets.push(0),
            Some(b'x') => {
                let digits: String = rest.by_ref().take(2).map(char::from).collect();
                match u8::from_str_radix(&digits, 16) {
                    Ok(value) => octets.push(value),
                    Err(_) => fail(&format!("bad escape \\x{digits}")),
                }
            }
            Some(other) => octets.push(other),
            None => octets.push(b'\\'),
        }
    }
    octets
}

fn duration(text: &str) -> Duration {
    let text = text.trim().trim_start_matches('+');
    let split = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (digits, unit) = text.split_at(split);
    let Ok(count) = digits.parse::<u64>() else {
        fail(&format!("bad time {text:?}"))
    };
    match unit {
        "ms" => Duration::from_millis(count),
        "s" => Duration::from_secs(count),
        "m" => Duration::from_secs(count * 60),
        "h" => Duration::from_secs(count * 3600),
        _ => fail(&format!("bad unit of time {unit:?}")),
    }
}

#[expect(clippy::panic, reason = "a test runner fails by panicking")]
fn fail(message: &str) -> ! {
    panic!("transcript: {message}")
}

struct Player<M> {
    machine: M,
    side: Side,
    name: String,
    now: Instant,
    input: BytesMut,
    /// Fed by the script, not yet given to the machine.
    coming: VecDeque<u8>,
    seen: VecDeque<Shown>,
    sent: BytesMut,
    over: Option<String>,
}

impl<M: Machine> Player<M> {
    fn new(machine: M, side: Side, now: Instant, name: String) -> Self {
        Self {
            machine,
            side,
            name,
            now,
            input: BytesMut::new(),
            coming: VecDeque::new(),
            seen: VecDeque::new(),
            sent: BytesMut::new(),
            over: None,
        }
    }

    fn play(mut self, lines: &[(usize, Line)], cut: &mut dyn FnMut(usize) -> usize) {
        for (number, line) in lines {
            if let Err(message) = self.line(line, cut) {
                fail(&format!(
                    "{}: line {number}: {message}\n  unread input: {:?}\n  events not expected yet: {:?}\n  output not expected yet: {:?}\n  over: {:?}",
                    self.name, self.input, self.seen, self.sent, self.over
                ));
            }
        }
        self.pump(cut);
        if !self.seen.is_empty() || !self.sent.is_empty() {
            fail(&format!(
                "{}: after the last line: events {:?}, output {:?}",
                self.name, self.seen, self.sent
            ));
        }
    }

    fn line(&mut self, line: &Line, cut: &mut dyn FnMut(usize) -> usize) -> Result<(), String> {
        match (line, self.side) {
            (Line::Client(octets), Side::Server) | (Line::Server(octets), Side::Client) => {
                self.coming.extend(octets);
                self.pump(cut);
            }
            (Line::Server(octets), Side::Server) | (Line::Client(octets), Side::Client) => {
                self.pump(cut);
                if !self.sent.starts_with(octets) {
                    return Err(format!(
                        "expected output {:?}",
                        octets.escape_ascii().to_string()
                    ));
                }
                self.sent.advance(octets.len());
            }
            (Line::Event(text), _) => {
                self.pump(cut);
                match self.seen.pop_front() {
                    Some(Shown::Event(event)) if event == *text => {}
                    other => return Err(format!("expected event {text:?}, got {other:?}")),
                }
            }
            (Line::Payload(octets), _) => {
                self.pump(cut);
                match self.seen.front_mut() {
                    Some(Shown::Payload(payload)) if payload.starts_with(octets) => {
                        payload.drain(..octets.len());
                        if payload.is_empty() {
                            self.seen.pop_front();
                        }
                    }
                    other => {
                        let octets = octets.escape_ascii().to_string();
                        return Err(format!("expected payload {octets:?}, got {other:?}"));
                    }
                }
            }
            (Line::Answer(text), _) => {
                self.pump(cut);
                self.machine
                    .answer(text)
                    .map_err(|misuse| format!("answer {text:?}: {misuse}"))?;
                self.pump(cut);
            }
            (Line::Time(duration), _) => {
                self.pump(cut);
                if self.machine.poll_timeout().is_none() {
                    return Err("no deadline is set".into());
                }
                self.now += *duration;
                self.machine.handle_timeout(self.now);
                self.pump(cut);
            }
            (Line::Eof, _) => {
                self.pump(cut);
                self.machine.handle_eof();
                self.pump(cut);
            }
            (Line::Shutdown, _) => {
                self.pump(cut);
                self.machine.shutdown();
                self.pump(cut);
            }
            (Line::Closed, _) => {
                self.pump(cut);
                if self.over.is_none() {
                    return Err("the machine is not over".into());
                }
            }
        }
        Ok(())
    }

    /// Polls until the machine wants something that only the script can give.
    fn pump(&mut self, cut: &mut dyn FnMut(usize) -> usize) {
        let mut polls = 0_u64;
        while self.over.is_none() {
            polls += 1;
            if polls > 10_000_000 {
                fail(&format!("{}: the machine never rests", self.name));
            }
            match self.machine.poll(&mut self.input, self.now) {
                Ok(Step::Event(Shown::Payload(octets))) => match self.seen.back_mut() {
                    Some(Shown::Payload(joined)) => joined.extend(octets),
                    _ => self.seen.push_back(Shown::Payload(octets)),
                },
                Ok(Step::Event(event)) => self.seen.push_back(event),
                Ok(Step::NeedInput) => {
                    if self.coming.is_empty() {
                        break;
                    }
                    let count = cut(self.coming.len()).clamp(1, self.coming.len());
                    self.input.extend(self.coming.drain(..count));
                }
                Ok(Step::NeedAnswer) => break,
                Ok(Step::NeedDrain) => {
                    if self.drain() == 0 {
                        fail(&format!("{}: NeedDrain with no output", self.name));
                    }
                }
                Ok(Step::Closed) => self.over = Some("closed".into()),
                Err(error) => self.over = Some(error),
            }
        }
        self.drain();
    }

    fn drain(&mut self) -> usize {
        let output = self.machine.output();
        let count = output.remaining();
        self.sent.extend_from_slice(&output.copy_to_bytes(count));
        count
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{LineScanner, Scan};

    /// Shows each line as an event; `echo` sends it back; closes after 60 s.
    struct Echo {
        scanner: LineScanner,
        output: Output,
        waiting: Option<Vec<u8>>,
        deadline: Instant,
        over: bool,
    }

    impl Machine for Echo {
        fn poll(&mut self, input: &mut BytesMut, _: Instant) -> Result<Step<Shown>, String> {
            if self.over {
                return Ok(Step::Closed);
            }
            if self.waiting.is_some() {
                return Ok(Step::NeedAnswer);
            }
            match self.scanner.scan(input, 100) {
                Scan::Line { len, consumed } => {
                    let line = input.split_to(consumed)[..len].to_vec();
                    let shown = String::from_utf8_lossy(&line).into_owned();
                    self.waiting = Some(line);
                    Ok(Step::Event(Shown::Event(shown)))
                }
                Scan::Partial => Ok(Step::NeedInput),
                _ => Err("bad line".into()),
            }
        }
        fn output(&mut self) -> &mut Output {
            &mut self.output
        }
        fn poll_timeout(&self) -> Option<Instant> {
            Some(self.deadline)
        }
        fn handle_timeout(&mut self, now: Instant) {
            self.over = now >= self.deadline;
        }
        fn handle_eof(&mut self) {
            self.over = true;
        }
        fn shutdown(&mut self) {
            self.over = true;
        }
        fn answer(&mut self, _: &str) -> Result<(), Misuse> {
            let line = self
                .waiting
                .take()
                .ok_or(Misuse::NotExpected { call: "echo" })?;
            self.output.push_slice(&line);
            self.output.push_slice(b"\r\n");
            Ok(())
        }
    }

    fn echo(now: Instant) -> Echo {
        Echo {
            scanner: LineScanner::default(),
            output: Output::default(),
            waiting: None,
            deadline: now + Duration::from_secs(60),
            over: false,
        }
    }

    #[test]
    fn plays_every_way() {
        run(
            "C: one\nC: \\x41{*3}b\nE: one\nA: echo\nS: one\nE: Abbb\nA: echo\nS: Abbb\nT: +59s\nT: +1s\nCLOSED:",
            Side::Server,
            echo,
        );
    }

    #[test]
    #[should_panic(expected = "expected output")]
    fn a_wrong_output_fails() {
        run("C: one\nE: one\nA: echo\nS: two", Side::Server, echo);
    }
}
