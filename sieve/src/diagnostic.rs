//! What the compiler says about a script.

use std::cell::OnceCell;

use crate::position::{Lines, Position, Span};

/// How grave a [`Diagnostic`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// The script runs, but probably not as meant.
    Warning,
    /// The script is refused.
    Error,
}

impl std::fmt::Display for Severity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Warning => "warning",
            Self::Error => "error",
        })
    }
}

/// The sort of fault, for programs that want to tell them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DiagnosticKind {
    /// The octets form no token (RFC 5228 §8.1).
    Lexical,
    /// The tokens form no command (RFC 5228 §8.2).
    Syntax,
    /// A command, test or tag that no known capability offers.
    Unknown,
    /// A known command, test, tag or comparator whose capability was not required.
    NotRequired,
    /// `require` of a capability that is not offered.
    Unsupported,
    /// Wrong number or type of arguments, conflicting or repeated tags.
    Argument,
    /// An argument of the right type with an impossible value.
    Value,
    /// A command in a place where it may not stand.
    Structure,
    /// A [limit](crate::Limits) was exceeded.
    Limit,
    /// The script is sound but does something that is hardly meant.
    Suspicious,
}

/// One fault or doubt, with its place, the offending text and often a way out.
///
/// `Display` gives one line (`3:5: error: …`); [`render`](Diagnostic::render) gives a drawing with the source line.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Diagnostic {
    /// Error or warning.
    pub severity: Severity,
    /// The sort of fault.
    pub kind: DiagnosticKind,
    /// The octets at fault.
    pub span: Span,
    /// Where they begin.
    pub position: Position,
    /// What is wrong.
    pub message: String,
    /// How to mend it, where that is known.
    pub hint: Option<String>,
}

/// Characters of a line that a drawing shows.
const WIDTH: usize = 120;

impl Diagnostic {
    /// The offending text.
    #[must_use]
    pub fn text<'s>(&self, source: &'s [u8]) -> &'s [u8] {
        source
            .get(self.span.start..self.span.end)
            .unwrap_or_default()
    }

    /// The diagnostic with the line it speaks of and a marker below the offending text, for terminals.
    #[must_use]
    pub fn render(&self, name: &str, source: &[u8]) -> String {
        let line = source
            .split(|&octet| octet == b'\n')
            .nth(self.position.line.saturating_sub(1) as usize)
            .unwrap_or_default();
        let line = String::from_utf8_lossy(line);
        let line = line.trim_end_matches('\r').replace('\t', " ");
        let before = self.position.column.saturating_sub(1) as usize;
        let text = String::from_utf8_lossy(self.text(source));
        let marked = text.lines().next().map_or(0, |first| first.chars().count());
        let marked = marked
            .min(line.chars().count().saturating_sub(before))
            .max(1);
        // A long line is cut to what stands around the marker.
        let first = if before > WIDTH / 2 && line.chars().count() > WIDTH {
            before - WIDTH / 4
        } else {
            0
        };
        let marked = marked.min(WIDTH);
        let (open, before) = if first > 0 {
            ("…", before - first + 1)
        } else {
            ("", before)
        };
        let shown: String = line.chars().skip(first).take(WIDTH).collect();
        let close = if line.chars().count() > first + WIDTH {
            "…"
        } else {
            ""
        };
        let line = format!("{open}{shown}{close}");
        let number = self.position.line.to_string();
        let gutter = " ".repeat(number.len());
        let mut out = format!(
            "{}: {}\n{gutter}--> {name}:{}\n{gutter} |\n{number} | {line}\n{gutter} | {}{}\n",
            self.severity,
            self.message,
            self.position,
            " ".repeat(before),
            "^".repeat(marked),
        );
        if let Some(hint) = &self.hint {
            out.push_str(&format!("{gutter} = help: {hint}\n"));
        }
        out
    }
}

impl std::fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}: {}", self.position, self.severity, self.message)?;
        if let Some(hint) = &self.hint {
            write!(f, " ({hint})")?;
        }
        Ok(())
    }
}

impl std::error::Error for Diagnostic {}

/// Collects diagnostics while the compiler goes on.
#[derive(Debug)]
pub(crate) struct Sink<'s> {
    pub(crate) source: &'s [u8],
    /// Cut at the first fault, since most scripts have none.
    lines: OnceCell<Lines>,
    pub(crate) list: Vec<Diagnostic>,
    limit: usize,
}

impl<'s> Sink<'s> {
    pub(crate) fn new(source: &'s [u8], limit: usize) -> Self {
        Self {
            source,
            lines: OnceCell::new(),
            list: Vec::new(),
            limit,
        }
    }

    fn lines(&self) -> &Lines {
        self.lines.get_or_init(|| Lines::new(self.source))
    }

    pub(crate) fn line(&self, at: usize) -> u32 {
        self.lines().line(at)
    }

    pub(crate) fn position(&self, at: usize) -> Position {
        self.lines().position(self.source, at)
    }

    pub(crate) fn error(&mut self, kind: DiagnosticKind, span: Span, message: impl Into<String>) {
        self.push(Severity::Error, kind, span, message.into(), None);
    }

    pub(crate) fn error_with(
        &mut self,
        kind: DiagnosticKind,
        span: Span,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        self.push(
            Severity::Error,
            kind,
            span,
            message.into(),
            Some(hint.into()),
        );
    }

    pub(crate) fn warn(&mut self, span: Span, message: impl Into<String>, hint: Option<String>) {
        self.push(
            Severity::Warning,
            DiagnosticKind::Suspicious,
            span,
            message.into(),
            hint,
        );
    }

    fn push(
        &mut self,
        severity: Severity,
        kind: DiagnosticKind,
        span: Span,
        message: String,
        hint: Option<String>,
    ) {
        // A script of nothing but faults must not make a report many times its size.
        if self.list.len() >= self.limit {
            return;
        }
        self.list.push(Diagnostic {
            severity,
            kind,
            span,
            position: self.position(span.start),
            message,
            hint,
        });
    }

    pub(crate) fn failed(&self) -> bool {
        self.list.iter().any(|d| d.severity == Severity::Error)
    }

    /// Errors first, each sort in the order of the source.
    pub(crate) fn into_list(mut self) -> Vec<Diagnostic> {
        self.list
            .sort_by_key(|d| (std::cmp::Reverse(d.severity), d.span.start, d.span.end));
        self.list
    }
}
