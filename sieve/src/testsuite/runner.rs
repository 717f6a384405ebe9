//! Answers a suite's requests.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::host::Host;
use super::{Case, Report, Request};
use crate::config::{Config, Envelope, ImapCause, ImapEvent};
use crate::eval::{Evaluation, Progress};
use crate::question::{Answer, Question};
use crate::script::{Compiler, Script};
use crate::{Action, Capabilities, Diagnostic, Scanner, Score, Severity};

/// Where suites and the scripts they name are read from. Tests may hand out texts from memory.
pub(super) type Read<'r> = &'r dyn Fn(&Path) -> Result<Vec<u8>, String>;

pub(super) struct Runner<'r> {
    read: Read<'r>,
    folder: PathBuf,
    config: Config,
    pending: BTreeMap<String, Option<String>>,
    script: Option<Script>,
    saved: BTreeMap<String, Vec<u8>>,
    host: Host,
    actions: Vec<Action>,
    errors: Vec<String>,
    message: Vec<u8>,
    envelope: Envelope,
    pub(super) printed: Vec<String>,
}

impl<'r> Runner<'r> {
    pub(super) fn new(read: Read<'r>, suite: &Path, config: Config) -> Self {
        Self {
            read,
            folder: suite.parent().map(Path::to_owned).unwrap_or_default(),
            config,
            pending: BTreeMap::new(),
            script: None,
            saved: BTreeMap::new(),
            host: Host::default(),
            actions: Vec::new(),
            errors: Vec::new(),
            message: Vec::new(),
            envelope: Envelope::default(),
            printed: Vec::new(),
        }
    }

    /// Runs a whole suite.
    pub(super) fn run(mut self, script: &Script) -> Report {
        // A suite is as long as its author likes.
        let mut config = self.config.clone();
        config.limits.steps = u64::MAX;
        config.limits.octets = u64::MAX;
        config.limits.variables = usize::MAX;
        let mut evaluation = Evaluation::new(script, b"", Envelope::default(), config);
        let outcome = loop {
            match evaluation.step() {
                Progress::Done(outcome) => break outcome,
                Progress::Ask(question) => {
                    let answer = self.answer(&question);
                    // Only a question that is open is answered here.
                    if evaluation.answer(answer).is_err() {
                        break crate::Outcome {
                            actions: Vec::new(),
                            error: None,
                            debug: Vec::new(),
                        };
                    }
                }
            }
        };
        Report {
            cases: evaluation
                .cases()
                .iter()
                .map(|case| Case {
                    name: case.name.clone(),
                    line: case.line,
                    failure: case.failure.clone(),
                    fault: case.failure.is_some() && !case.stated,
                })
                .collect(),
            error: outcome.error.map(|error| error.to_string()),
            printed: self.printed,
        }
    }

    fn answer(&mut self, question: &Question) -> Answer {
        match question {
            Question::Suite(request) => self.request(request),
            Question::Script { name, global } => self.included(name, *global),
            other => self.host.answer(other),
        }
    }

    /// The compiler with the settings at hand.
    fn compiler(&self) -> Compiler {
        let mut capabilities = Capabilities::all().without("vnd.dovecot.testsuite");
        if let Some(list) = self.setting("sieve_extensions") {
            for word in list.split_whitespace() {
                capabilities = match word.strip_prefix('-') {
                    Some(name) => capabilities.without(name),
                    None => capabilities.with(word.trim_start_matches('+')),
                };
            }
        }
        Compiler::new()
            .capabilities(capabilities)
            .limits(self.config.limits.clone())
            .xmpp(self.setting("sieve_notify_xmpp") == Some("yes"))
    }

    fn setting(&self, name: &str) -> Option<&str> {
        self.host.settings.get(name).map(String::as_str)
    }

    fn compile_source(&mut self, source: &[u8]) -> Option<Script> {
        match self.compiler().compile(source) {
            Ok(script) => Some(script),
            Err(faults) => {
                let errors = faults
                    .iter()
                    .filter(|fault| fault.severity == Severity::Error);
                self.errors.extend(errors.map(Diagnostic::to_string));
                None
            }
        }
    }

    fn load(&mut self, path: &Path) -> Option<Script> {
        match (self.read)(path) {
            Ok(source) => self.compile_source(&source),
            Err(fault) => {
                self.errors.push(fault);
                None
            }
        }
    }

    /// Scripts for `include` lie in `included` and `included-global` beside the suite, as Pigeonhole has it.
    fn included(&mut self, name: &str, global: bool) -> Answer {
        let setting = if global { "sieve_global" } else { "sieve_dir" };
        let default = if global {
            "included-global"
        } else {
            "included"
        };
        let folder = self.setting(setting).unwrap_or(default);
        let path = self.folder.join(folder).join(format!("{name}.sieve"));
        let before = self.errors.len();
        match (self.read)(&path) {
            Err(_) => Answer::Script(None),
            Ok(source) => match self.compile_source(&source) {
                Some(script) => Answer::Script(Some(script)),
                None => {
                    let fault = self.errors.drain(before..).next().unwrap_or_default();
                    Answer::Failed(format!("the included script `{name}` has faults: {fault}"))
                }
            },
        }
    }

    fn run_script(&mut self, script: &Script, message: &[u8], envelope: &Envelope) -> bool {
        let config: Arc<Config> = Arc::new(self.configured());
        match (self.score(false, message), self.score(true, message)) {
            (Ok(spam), Ok(virus)) => self.host.scores = (spam, virus),
            (Err(fault), _) | (_, Err(fault)) => {
                self.errors.push(fault);
                return false;
            }
        }
        let flags = self.setting("imap/flags").unwrap_or_default();
        let flags: Vec<String> = flags.split_whitespace().map(str::to_owned).collect();
        let mut evaluation =
            Evaluation::new(script, message, envelope.clone(), config).with_flags(flags);
        let outcome = loop {
            match evaluation.step() {
                Progress::Done(outcome) => break outcome,
                Progress::Ask(question) => {
                    let answer = self.answer(&question);
                    if evaluation.answer(answer).is_err() {
                        return false;
                    }
                }
            }
        };
        self.actions.extend(outcome.actions);
        self.message = message.to_vec();
        self.envelope = envelope.clone();
        match outcome.error {
            Some(error) => {
                self.errors.push(error.to_string());
                false
            }
            None => true,
        }
    }

    /// The configuration with the settings that Pigeonhole's suites use.
    fn configured(&self) -> Config {
        let mut config = self.config.clone();
        let number = |name: &str| {
            self.setting(name)
                .and_then(|value| value.parse::<usize>().ok())
        };
        if let Some(value) = number("sieve_max_actions").filter(|&value| value > 0) {
            config.limits.actions = value;
        }
        if let Some(value) = number("sieve_max_redirects") {
            config.limits.redirects = value;
        }
        if let Some(value) = self.setting("recipient_delimiter") {
            value.clone_into(&mut config.separator);
        }
        if let Some(value) = self.setting("sieve_user_email") {
            config
                .addresses
                .push(value.trim_matches(['<', '>']).to_owned());
        }
        if let Some(value) = self.setting("sieve_editheader_protected") {
            config.protected_fields = value.split_whitespace().map(str::to_owned).collect();
        }
        if let Some(value) = number("sieve_variables_max_value_size") {
            config.limits.string_size = value;
        }
        let seconds = |name: &str| self.setting(name).and_then(parse_seconds);
        if let Some(value) = seconds("sieve_vacation_min_period") {
            config.vacation_minimum = value;
        }
        if let Some(value) = seconds("sieve_vacation_default_period") {
            config.vacation_default = value;
        }
        if let Some(value) = seconds("sieve_vacation_max_period").filter(|&value| value > 0) {
            config.vacation_maximum = value;
        }
        config.xmpp = self.setting("sieve_notify_xmpp") == Some("yes");
        config.imap_event = self.imap_event();
        let environment = self.host.settings.iter().filter_map(|(name, value)| {
            let name = name.strip_prefix("environment/")?;
            Some((name.to_owned(), value.clone()))
        });
        config.environment.extend(environment);
        config
    }

    /// `imap/cause` and so on: the event that runs the script.
    fn imap_event(&self) -> Option<ImapEvent> {
        let text = |name: &str| self.setting(name).unwrap_or_default().to_owned();
        Some(ImapEvent {
            cause: match self.setting("imap/cause")? {
                "APPEND" => ImapCause::Append,
                "COPY" => ImapCause::Copy,
                _ => ImapCause::Flag,
            },
            mailbox: text("imap/mailbox"),
            user: text("imap/user"),
            email: text("imap/email"),
            changed_flags: text("imap/changedflags")
                .split_whitespace()
                .map(str::to_owned)
                .collect(),
        })
    }

    /// The score of a scanner by the settings of Pigeonhole.
    fn score(&self, virus: bool, message: &[u8]) -> Result<Option<Score>, String> {
        let prefix = if virus {
            "sieve_virustest_"
        } else {
            "sieve_spamtest_"
        };
        let setting = |name: &str| self.setting(&format!("{prefix}{name}")).map(str::to_owned);
        let scanner =
            Scanner::from_settings(virus, setting).map_err(|fault| format!("{prefix}{fault}"))?;
        Ok(scanner.and_then(|scanner| scanner.score(message)))
    }

    fn reset(&mut self) {
        self.actions.clear();
        self.errors.clear();
    }

    fn request(&mut self, request: &Request) -> Answer {
        Answer::Bool(match request {
            Request::Compile { path } => {
                self.errors.clear();
                let path = self.folder.join(path);
                self.script = self.load(&path);
                self.script.is_some()
            }
            Request::Run {
                append,
                message,
                envelope,
            } => {
                if !append {
                    self.actions.clear();
                }
                self.errors.clear();
                match self.script.clone() {
                    Some(script) => self.run_script(&script, message, envelope),
                    None => return Answer::Failed("no script was compiled".to_owned()),
                }
            }
            Request::MultiScript {
                paths,
                message,
                envelope,
            } => self.run_scripts(paths, message, envelope),
            Request::Execute => {
                let actions = std::mem::take(&mut self.actions);
                self.host.execute(&actions, &self.message, &self.envelope);
                self.actions = actions;
                true
            }
            Request::Actions => {
                return Answer::Texts(
                    self.actions
                        .iter()
                        .filter(|action| !matches!(action, Action::TrackDuplicate(_)))
                        .map(|action| match action {
                            // Pigeonhole calls every keep by what it stores into.
                            Action::FileInto(_) => "store".to_owned(),
                            other => other.name().to_owned(),
                        })
                        .collect(),
                );
            }
            Request::Errors => return Answer::Texts(self.errors.clone()),
            Request::Message { folder, index } => {
                let list = match folder {
                    Some(folder) => self.host.mailboxes.get(folder),
                    None => Some(&self.host.sent),
                };
                return Answer::Octets(list.and_then(|list| list.get(*index)).cloned());
            }
            Request::ResetResult => {
                self.reset();
                true
            }
            Request::PrintResult => {
                self.printed
                    .extend(self.actions.iter().map(|action| format!("{action:?}")));
                true
            }
            Request::PrintMessage(octets) => {
                self.printed
                    .push(String::from_utf8_lossy(octets).into_owned());
                true
            }
            Request::Configure { name, value } => {
                self.pending.insert(name.clone(), value.clone());
                true
            }
            Request::Reload { extension } => {
                if let Some(name) = extension
                    && !Capabilities::all().contains(name)
                {
                    return Answer::Failed(format!("there is no extension `{name}`"));
                }
                self.reload(extension.as_deref());
                true
            }
            Request::CreateMailbox(name) => {
                self.host.mailboxes.entry(name.clone()).or_default();
                true
            }
            Request::DeleteMailbox(name) => self.host.mailboxes.remove(name).is_some(),
            Request::SaveBinary(name) => match &self.script {
                Some(script) => {
                    self.saved.insert(name.clone(), script.to_bytes());
                    true
                }
                None => false,
            },
            Request::LoadBinary(name) => {
                let Some(compiled) = self.saved.get(name) else {
                    return Answer::Failed(format!("no binary `{name}` was saved"));
                };
                match self.compiler().load(compiled) {
                    Ok(script) => self.script = Some(script),
                    Err(fault) => return Answer::Failed(format!("the binary `{name}`: {fault}")),
                }
                true
            }
            Request::SetMetadata {
                mailbox,
                annotation,
                value,
            } => {
                let key = (mailbox.clone(), annotation.to_ascii_lowercase());
                self.host.metadata.insert(key, value.clone());
                true
            }
        })
    }

    /// Puts pending settings into force: all of them, or those of one extension.
    fn reload(&mut self, extension: Option<&str>) {
        let (now, later) = std::mem::take(&mut self.pending)
            .into_iter()
            .partition(|(name, _)| extension.is_none_or(|own| is_setting_of(name, own)));
        self.pending = later;
        let now: BTreeMap<String, Option<String>> = now;
        for (name, value) in now {
            match value {
                Some(value) => self.host.settings.insert(name, value),
                None => self.host.settings.remove(&name),
            };
        }
    }

    /// Several scripts one behind the other: each but the first runs only if those before it keep.
    fn run_scripts(&mut self, paths: &[String], message: &[u8], envelope: &Envelope) -> bool {
        self.reset();
        for path in paths {
            let path = self.folder.join(path);
            let Some(script) = self.load(&path) else {
                return false;
            };
            let keeps = self
                .actions
                .iter()
                .position(|action| matches!(action, Action::Keep(_)));
            match keeps {
                Some(at) => {
                    self.actions.remove(at);
                }
                None if self.actions.is_empty() => {}
                None => return true,
            }
            if !self.run_script(&script, message, envelope) {
                return false;
            }
        }
        true
    }
}

/// Whether an extension reads this setting: one of Pigeonhole's, `sieve_` and what it calls the extension, or one of the
/// runner's own, which begins with the extension's name.
fn is_setting_of(setting: &str, extension: &str) -> bool {
    let name = match extension {
        "vacation-seconds" => "vacation",
        "spamtestplus" => "spamtest",
        "enotify" => "notify",
        "imapsieve" => "imap",
        "vnd.dovecot.environment" => "env",
        other => other.strip_prefix("vnd.dovecot.").unwrap_or(other),
    };
    let behind = |prefix: &str| {
        let rest = setting.strip_prefix(prefix)?.strip_prefix(name)?;
        Some(rest.is_empty() || rest.starts_with(['_', '/']))
    };
    (extension == "subaddress" && setting == "recipient_delimiter")
        || (extension == "environment" && setting.starts_with("environment/"))
        || behind("sieve_") == Some(true)
        || behind("") == Some(true)
}

/// `30s`, `2m`, `12h`, `1d` or plain seconds.
fn parse_seconds(text: &str) -> Option<u64> {
    let (digits, unit) = match text.char_indices().last()? {
        (at, unit) if unit.is_ascii_alphabetic() => (text.get(..at)?, unit),
        _ => (text, 's'),
    };
    let factor = match unit.to_ascii_lowercase() {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        _ => return None,
    };
    digits.parse::<u64>().ok()?.checked_mul(factor)
}
