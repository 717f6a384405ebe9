//! A user's Sieve script, run on a delivery.

mod answer;
mod dsn;
mod later;
mod mailbox;
mod plan;
mod program;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use sha2::{Digest, Sha256};
use sieve::{Capabilities, Compiler, Config, Scanner, Script};

use self::later::Later;
use super::Outcome;
use super::local::Job;
use crate::blocking::Blocking;
use crate::queue::Born;
use crate::store::Account;

/// Compiled scripts kept; more are compiled again.
const CACHED: usize = 256;

/// How often a message may be sent on by users' filters, one after the other,
/// on this host, and messages that they write may be answered by more of
/// them. With the redirects that one script may do, this stops scripts that
/// multiply a message among themselves.
pub(super) const GENERATIONS: u32 = 5;

/// Messages of this size are evaluated while other threads take over.
pub(super) const LONG_WORK: usize = 128 * 1024;

/// Members of a list that a message is sent on to: a list is as long as its
/// keeper likes, and each member costs a delivery.
const LIST_MEMBERS: usize = 100;

/// Programs of scripts at once.
const PROGRAMS: usize = 20;

/// What users' Sieve scripts may do.
#[derive(Debug, Clone, Default)]
pub struct SieveConfig {
    /// The folder of the scripts that `include :global` names.
    pub global: Option<PathBuf>,
    /// The folder of the external lists, one file each with a member a line.
    pub lists: Option<PathBuf>,
    /// The folder of the programs that `pipe` names.
    pub pipe: Option<PathBuf>,
    /// The folder of the programs that `filter` names.
    pub filter: Option<PathBuf>,
    /// The folder of the programs that `execute` names.
    pub execute: Option<PathBuf>,
    /// How long a program may run.
    pub time_limit: Duration,
    /// Where the spam scanner before this server leaves its score.
    pub spam: Option<Scanner>,
    /// Where the virus scanner before this server leaves its score.
    pub virus: Option<Scanner>,
}

/// Runs scripts.
pub(super) struct SieveFilter {
    config: SieveConfig,
    programs: Blocking,
    compiler: Compiler,
    hostname: String,
    separator: String,
    /// By the hash of the source.
    compiled: Mutex<HashMap<[u8; 32], Result<Script, String>>>,
}

/// What scripts want done with a delivery.
struct Plan<'a> {
    filter: &'a SieveFilter,
    job: &'a Job<'a>,
    account: &'a dyn Account,
    /// As the scripts so far have left it.
    message: Bytes,
    /// Whether that is another than the one delivered.
    edited: bool,
    stored: Vec<String>,
    done: Vec<String>,
    later: Later,
}

/// What scripts left to the filter behind them.
pub(super) struct Before {
    /// Whether it is to have its say.
    pub(super) kept: bool,
    /// The message as they left it.
    pub(super) message: Bytes,
    /// Whether that is another than the one delivered.
    pub(super) edited: bool,
    /// What they have done.
    pub(super) done: Vec<String>,
    /// What they want once the message is where it belongs.
    pub(super) later: Later,
}

impl Before {
    /// What no script leaves: the message as it came.
    pub(super) fn of(message: Bytes) -> Self {
        Self {
            kept: true,
            message,
            edited: false,
            done: Vec::new(),
            later: Later::default(),
        }
    }
}

impl SieveConfig {
    /// What scripts may ask for: all that this host can answer.
    #[must_use]
    pub fn capabilities(&self) -> Capabilities {
        let never = [
            "vnd.dovecot.testsuite",
            "imapsieve",
            "convert",
            "processcalendar",
            "redirect-deliverby",
            "envelope-deliverby",
        ];
        let where_configured: [(&[&str], bool); 6] = [
            (&["vnd.dovecot.pipe"], self.pipe.is_some()),
            (&["vnd.dovecot.filter"], self.filter.is_some()),
            (&["vnd.dovecot.execute"], self.execute.is_some()),
            (&["extlists"], self.lists.is_some()),
            (&["spamtest", "spamtestplus"], self.spam.is_some()),
            (&["virustest"], self.virus.is_some()),
        ];
        where_configured
            .into_iter()
            .filter(|(_, offered)| !offered)
            .flat_map(|(names, _)| names)
            .chain(&never)
            .fold(Capabilities::all(), |set, name| set.without(name))
    }

    /// The compiler of users' scripts.
    #[must_use]
    pub fn compiler(&self) -> Compiler {
        Compiler::new().capabilities(self.capabilities())
    }
}

impl SieveFilter {
    pub(super) fn new(hostname: &str, separator: &str, config: &SieveConfig) -> Self {
        Self {
            compiler: config.compiler(),
            config: config.clone(),
            programs: Blocking::new(PROGRAMS),
            hostname: hostname.to_owned(),
            separator: separator.to_owned(),
            compiled: Mutex::default(),
        }
    }

    /// The script compiled, or the first of its faults.
    fn compile(&self, source: &Bytes) -> Result<Script, String> {
        let cache = || self.compiled.lock().unwrap_or_else(PoisonError::into_inner);
        let hash: [u8; 32] = Sha256::digest(source).into();
        if let Some(compiled) = cache().get(&hash) {
            return compiled.clone();
        }
        let compiled = self.compiler.compile(source).map_err(|faults| {
            let fault = faults.first().map(ToString::to_string);
            fault.unwrap_or_else(|| "it does not compile".into())
        });
        let mut cache = cache();
        if cache.len() >= CACHED {
            cache.clear();
        }
        cache.insert(hash, compiled.clone());
        compiled
    }

    /// Runs the scripts and carries out what they want. The next one has its
    /// say while the message is kept, as in Pigeonhole. Whatever fails, the
    /// message is kept.
    pub(super) async fn run(
        &self,
        job: &Job<'_>,
        account: &dyn Account,
        sources: &[Bytes],
        message: Bytes,
        born: &mut Vec<Born>,
    ) -> Result<String, Outcome> {
        let mut plan = self.plan(job, account, message);
        if let Some(flags) = plan.run(sources, born).await? {
            let to = plan.keep(flags, None).await?;
            plan.done.push(format!("keep {to}"));
        }
        let later = std::mem::take(&mut plan.later);
        plan.conclude(later, born).await;
        Ok(format!("{}: sieve: {}", job.user, plan.done.join(", ")))
    }

    /// Runs scripts that come before a filter of another kind, which has its
    /// say where they keep the message.
    pub(super) async fn run_before(
        &self,
        job: &Job<'_>,
        account: &dyn Account,
        sources: &[Bytes],
        message: Bytes,
        born: &mut Vec<Born>,
    ) -> Result<Before, Outcome> {
        let mut plan = self.plan(job, account, message);
        let flags = plan.run(sources, born).await?;
        Ok(Before {
            kept: flags.is_some(),
            message: plan.message,
            edited: plan.edited,
            done: plan.done,
            later: plan.later,
        })
    }

    /// Does what scripts that came before a filter of another kind left for
    /// the end of the delivery.
    pub(super) async fn conclude(
        &self,
        job: &Job<'_>,
        account: &dyn Account,
        later: Later,
        born: &mut Vec<Born>,
    ) {
        let plan = self.plan(job, account, Bytes::new());
        plan.conclude(later, born).await;
    }

    fn plan<'a>(&'a self, job: &'a Job<'a>, account: &'a dyn Account, message: Bytes) -> Plan<'a> {
        Plan {
            filter: self,
            job,
            account,
            message,
            edited: false,
            stored: Vec::new(),
            done: Vec::new(),
            later: Later::default(),
        }
    }

    fn config(&self, job: &Job<'_>) -> Config {
        let mut config = Config::new(jiff::Zoned::now());
        config.separator.clone_from(&self.separator);
        config.addresses = vec![job.address().to_owned(), job.recipient.original.clone()];
        if let Some((_, domain)) = job.address().rsplit_once('@') {
            config.addresses.push(format!("{}@{domain}", job.user));
        }
        config.environment = vec![
            ("domain".into(), self.domain().into()),
            ("host".into(), self.hostname.clone()),
            ("location".into(), "MDA".into()),
            ("name".into(), "posthaste".into()),
            ("phase".into(), "during".into()),
            ("version".into(), env!("CARGO_PKG_VERSION").into()),
            // vnd.dovecot.environment.
            ("vnd.dovecot.default-mailbox".into(), "INBOX".into()),
            ("vnd.dovecot.username".into(), job.user.to_owned()),
        ];
        if let Some(client) = job.envelope.client {
            config
                .environment
                .push(("remote-ip".into(), client.to_string()));
        }
        config
    }

    fn domain(&self) -> &str {
        let (_, domain) = self.hostname.split_once('.').unwrap_or_default();
        domain
    }
}

/// `INBOX` in any case of letters is one mailbox (RFC 9051 §5.1).
fn inbox(name: &str) -> String {
    if name.eq_ignore_ascii_case("INBOX") {
        "INBOX".into()
    } else {
        name.to_owned()
    }
}

fn vacation_key(handle: &str, recipient: &str) -> Vec<u8> {
    let recipient = recipient.to_lowercase();
    key("vacation", &[recipient.as_bytes(), handle.as_bytes()])
}

fn duplicate_key(handle: &str, id: &[u8]) -> Vec<u8> {
    key("duplicate", &[handle.as_bytes(), id])
}

/// Of one length, since a handle may be a whole text and a store remembers
/// only so much of a key (RFC 5230 §4.2 wants answers told apart).
fn key(what: &str, parts: &[&[u8]]) -> Vec<u8> {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.len().to_le_bytes());
        hash.update(part);
    }
    [what.as_bytes(), b"\0", &hash.finalize()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_handles_are_told_apart() {
        let text = "I am away. ".repeat(100);
        let [one, other] = ["one", "two"].map(|end| vacation_key(&format!("{text}{end}"), "A@b.c"));
        assert!(one != other && one.len() < 100);
        let again = vacation_key(&format!("{text}one"), "a@B.c");
        assert_eq!(one, again);
        let ids = ["one", "two"].map(|end| duplicate_key("h", format!("{text}{end}").as_bytes()));
        assert_ne!(ids[0], ids[1]);
        assert_ne!(duplicate_key("ab", b"c"), duplicate_key("a", b"bc"));
    }
}
