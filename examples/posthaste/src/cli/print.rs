//! The only place that writes to the terminal.

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};

/// A line for the standard output. A reader that has gone is no error.
pub(crate) fn line(text: impl Display) {
    let _ = writeln!(io::stdout().lock(), "{text}");
}

/// Whether what goes to this stream may have colours: people who want none say so by `NO_COLOR`, whatever it holds
/// but nothing.
pub(crate) fn has_colours(stream: &impl IsTerminal) -> bool {
    let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    stream.is_terminal() && !unwanted
}

/// A finding as a person is shown it, on the standard error output. The word that it begins with is coloured there.
pub(crate) fn finding(drawn: &str, word: &str, is_error: bool) {
    let code = if is_error { "1;31" } else { "1;33" };
    match drawn.strip_prefix(word) {
        Some(rest) if has_colours(&io::stderr()) => {
            error(format_args!("\u{1b}[{code}m{word}\u{1b}[0m{rest}"));
        }
        _ => error(drawn),
    }
}

/// Octets for the standard output, as they are.
pub(crate) fn octets(octets: &[u8]) {
    let _ = io::stdout().lock().write_all(octets);
}

/// A line for the standard error output.
pub(crate) fn error(text: impl Display) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// A question on the standard error output; the answer stands behind it.
pub(crate) fn prompt(text: impl Display) {
    let mut err = io::stderr().lock();
    let _ = write!(err, "{text}");
    let _ = err.flush();
}
