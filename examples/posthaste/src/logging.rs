//! Log lines: one for each event of a message, so that one search for a queue
//! id tells its whole life.
//!
//! ```text
//! 2026-11-21T20:14:07.512Z info queued queue_id=4F2A1 from=ann@example.org size=1204 nrcpt=1
//! 2026-11-21T20:14:07.530Z info delivery queue_id=4F2A1 to=bob@example.org delay=0.018 status=sent
//! ```
//!
//! Code logs with `tracing` and names fields as above. Passwords and message
//! contents are no fields. What a peer says can hold anything: it is escaped,
//! so that nobody forges a line.

use std::fmt::{self, Debug, Write};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::sync::Arc;

use thiserror::Error;
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::writer::BoxMakeWriter;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use crate::config::{Config, LogFormat};

/// Why there are no logs.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum LoggingError {
    /// `log_level` says nothing.
    #[error("log_level: {level:?}: {reason}")]
    Level {
        /// As configured.
        level: String,
        /// What is wrong with it.
        reason: String,
    },
    /// `log_path` cannot be opened.
    #[error("log_path: {path}: {error}")]
    Open {
        /// As configured.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// This process logs already.
    #[error("logging was set up before")]
    Twice,
}

/// Begins to log as `config` says, until the process ends.
///
/// # Errors
/// When the level or the file is no good, or it was called before.
pub fn init(config: &Config) -> Result<(), LoggingError> {
    let subscriber = subscriber(config, writer(config)?)?;
    tracing::subscriber::set_global_default(subscriber).map_err(|_| LoggingError::Twice)
}

/// Whether `level` can be a `log_level`.
///
/// # Errors
/// When it cannot.
pub fn check_level(level: &str) -> Result<(), LoggingError> {
    filter(level).map(|_| ())
}

fn filter(level: &str) -> Result<EnvFilter, LoggingError> {
    EnvFilter::builder()
        .parse(level)
        .map_err(|error| LoggingError::Level {
            level: level.to_owned(),
            reason: error.to_string(),
        })
}

fn writer(config: &Config) -> Result<BoxMakeWriter, LoggingError> {
    let Some(path) = &config.log_path else {
        return Ok(BoxMakeWriter::new(io::stderr));
    };
    let file: File = OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o640)
        .open(path)
        .map_err(|error| LoggingError::Open {
            path: path.clone(),
            error,
        })?;
    Ok(BoxMakeWriter::new(Arc::new(file)))
}

fn subscriber(
    config: &Config,
    writer: BoxMakeWriter,
) -> Result<Box<dyn Subscriber + Send + Sync>, LoggingError> {
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter(&config.log_level)?)
        .with_ansi(false)
        .with_writer(writer);
    Ok(match config.log_format {
        LogFormat::Json => Box::new(
            builder
                .json()
                .flatten_event(true)
                .with_current_span(false)
                .with_span_list(false)
                .finish(),
        ),
        _ => Box::new(builder.event_format(Human).finish()),
    })
}

/// Time, level, message, then the fields as `name=value`.
struct Human;

impl<S, N> FormatEvent<S, N> for Human
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut fields = Fields::default();
        event.record(&mut fields);
        SystemTime.format_time(&mut writer)?;
        let level = event.metadata().level().as_str().to_ascii_lowercase();
        write!(writer, " {level} {}", fields.message)?;
        writeln!(writer, "{}", fields.others)
    }
}

#[derive(Default)]
struct Fields {
    message: String,
    others: String,
}

impl Fields {
    fn add(&mut self, name: &str, value: &str) {
        if name == "message" {
            push_escaped(&mut self.message, value);
            return;
        }
        let _ = write!(self.others, " {name}=");
        let bare = !value.is_empty() && !value.contains([' ', '"', '=']);
        if bare {
            push_escaped(&mut self.others, value);
        } else {
            self.others.push('"');
            push_escaped(&mut self.others, &value.replace('"', "\\\""));
            self.others.push('"');
        }
    }
}

/// Line ends, escape sequences and what turns the direction of writing could
/// show something that was never logged.
fn push_escaped(out: &mut String, text: &str) {
    for letter in text.chars() {
        let turns = matches!(letter, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        if letter.is_control() || turns {
            out.extend(letter.escape_default());
        } else {
            out.push(letter);
        }
    }
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field.name(), value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.add(field.name(), &format!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Mutex;

    use super::*;

    #[derive(Clone, Default)]
    struct Buffer(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Buffer {
        fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(octets);
            Ok(octets.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(config: &str, log: impl FnOnce()) -> String {
        let config = Config::parse(config, Path::new("/nowhere/x")).unwrap();
        let buffer = Buffer::default();
        let writer = {
            let buffer = buffer.clone();
            BoxMakeWriter::new(move || buffer.clone())
        };
        tracing::subscriber::with_default(subscriber(&config, writer).unwrap(), log);
        let octets = buffer.0.lock().unwrap().clone();
        String::from_utf8(octets).unwrap()
    }

    fn events() {
        let from = "a\r\n2026 info forged\u{1b}[2J";
        tracing::info!(queue_id = "4F2A1", %from, size = 12, detail = "to \"x\"", "queued");
        tracing::debug!("not this");
    }

    #[test]
    fn human_lines_cannot_be_forged() {
        let text = logged("", events);
        assert_eq!(text.lines().count(), 1);
        let (time, rest) = text.split_once(' ').unwrap();
        assert!(time.ends_with('Z'), "{time}");
        assert_eq!(
            rest,
            "info queued queue_id=4F2A1 from=\"a\\r\\n2026 info forged\\u{1b}[2J\" size=12 detail=\"to \\\"x\\\"\"\n"
        );
    }

    #[test]
    fn json_lines() {
        let text = logged("log_format = \"json\"\nlog_level = \"debug\"", events);
        assert_eq!(text.lines().count(), 2);
        let line: serde_json::Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
        assert_eq!(line["queue_id"], "4F2A1");
        assert_eq!(line["size"], 12);
        assert_eq!(line["message"], "queued");
        assert_eq!(line["level"], "INFO");
    }

    #[test]
    fn levels() {
        assert!(check_level("info,posthaste::queue=debug").is_ok());
        assert!(check_level("loud=very").is_err());
    }

    #[test]
    fn a_file_is_appended_to() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        std::fs::write(&path, "before\n").unwrap();
        let config = Config::parse("log_path = \"log\"", &folder.path().join("x")).unwrap();
        let subscriber = subscriber(&config, writer(&config).unwrap()).unwrap();
        tracing::subscriber::with_default(subscriber, events);
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("before\n"));
        assert!(text.contains("queued"));
    }
}
