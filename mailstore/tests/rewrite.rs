//! An mbox changed in place: what a loss of power leaves of it, beside programs that do not know our journal.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::print_stdout,
    missing_docs
)]

mod common;

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use common::at;
use common::power::{Power, Trial};
use common::sim::{Line, Sim, World};
use mailstore::{Account, AccountConfig, AppendOptions, FlagChange, Flags, Fs, Mailbox, Store};

const INBOX: &str = "/mail/INBOX";
const FROM: &str = "From ann@example.org Thu Nov 12 13:14:15 2026\n";

fn config() -> AccountConfig {
    let mut config = AccountConfig::mbox("/mail", INBOX, "host");
    // It is never synced, so that with it all worlds would be too many.
    config.index = false;
    config
}

/// A message of one line, many times over.
fn body(name: &str) -> String {
    let (octets, line) = match name {
        // More than is written at once, of an octet that others begin with.
        "wide" => (70_000, "FFFFFFFFFFFFFFF".to_owned()),
        "long" => (1500, format!("a line of {name}")),
        _ => (400, format!("a line of {name}")),
    };
    let mut body = format!("Subject: {name}\r\n\r\n");
    while body.len() < octets {
        body.push_str(&line);
        body.push_str("\r\n");
    }
    if name == "open" {
        // What begins a message when it has a line end, and is text as long as it has none.
        body.push_str(&format!("\r\n{}\r\n", FROM.trim_end()));
    }
    body
}

fn is_whole(name: &str, content: &str) -> bool {
    let body = body(name);
    content == body || name == "open" && Some(content) == body.strip_suffix("\r\n")
}

/// As another program has it in the file.
fn stranger(name: &str) -> String {
    format!("{FROM}{}\n", body(name).replace("\r\n", "\n"))
}

fn open(sim: &Sim) -> (Arc<Account>, Arc<Mailbox>) {
    let account = Store::with_fs(Arc::new(sim.clone()))
        .account(&config())
        .unwrap();
    let mailbox = account.mailbox("INBOX", at(10)).unwrap();
    (account, mailbox)
}

fn append(mailbox: &Arc<Mailbox>, name: &str) -> u32 {
    let mut append = mailbox.append(at(10)).unwrap();
    append.write(body(name).as_bytes()).unwrap();
    append.commit(AppendOptions::at(at(3)), at(10)).unwrap().uid
}

/// Names and flags of the messages.
type Rows = Vec<(String, Flags)>;

fn rows(mailbox: &Mailbox) -> Result<Rows, String> {
    let view = mailbox
        .refresh(at(20_000))
        .map_err(|error| error.to_string())?;
    let mut rows = Vec::new();
    for message in view.messages() {
        let mut content = String::new();
        mailbox
            .reader(message.uid, at(20_000))
            .map_err(|error| error.to_string())?
            .read_to_string(&mut content)
            .map_err(|error| error.to_string())?;
        let name = content.lines().next().unwrap_or_default();
        let name = name.strip_prefix("Subject: ").unwrap_or_default();
        if !is_whole(name, &content) {
            return Err(format!("UID {}, {name:?}, is not whole", message.uid));
        }
        rows.push((name.to_owned(), message.flags));
    }
    Ok(rows)
}

/// What another program does to the file, its locks aside.
fn by_stranger(sim: &Sim, act: impl FnOnce(&dyn mailstore::File, u64)) {
    let file = sim.open_write(Path::new(INBOX)).unwrap();
    let len = file.stat().unwrap().len;
    act(&*file, len);
    file.sync().unwrap();
}

/// A run of changes; what the mbox holds behind each, and the operations that it took.
struct Run {
    power: Power,
    states: Vec<(usize, Rows)>,
    /// The file ends in a line end before.
    ends_a_line: bool,
}

impl Run {
    /// `start`: what is there before. Whatever `change` does is acknowledged one by one by its argument.
    fn new(
        start: &str,
        prepare: impl FnOnce(&Arc<Mailbox>),
        change: impl FnOnce(&Sim, &Arc<Mailbox>, &mut dyn FnMut()),
    ) -> Self {
        let first = Sim::new(World::new());
        first.mkdir(Path::new("/mail")).unwrap();
        let file = first.create_excl(Path::new(INBOX)).unwrap();
        file.write_all_at(start.as_bytes(), 0).unwrap();
        let (account, mailbox) = open(&first);
        prepare(&mailbox);
        drop((account, mailbox));
        let base = first.world();
        let sim = Sim::traced(base.clone());
        let (_account, mailbox) = open(&sim);
        let mut states = vec![(0, rows(&mailbox).unwrap())];
        change(&sim, &mailbox, &mut || {
            states.push((sim.op_count(), rows(&mailbox).unwrap()));
        });
        Self {
            power: Power::new(base.with_other_times(), sim.ops()),
            states,
            ends_a_line: start.is_empty() || start.ends_with('\n'),
        }
    }

    /// The file must hold the last acknowledged state or the next one, and behind it what was appended since.
    fn judge(&self, now: &Rows, cut: usize, appended: &[&str]) -> Result<(), String> {
        let mut now = now.clone();
        for name in appended.iter().rev() {
            if now.pop().map(|row| row.0).as_deref() != Some(name) {
                return Err(format!("{name}, appended after the crash, is not there"));
            }
        }
        let last = self.states.iter().rposition(|(ops, _)| *ops <= cut);
        let mut allowed = self.states.iter().skip(last.unwrap_or(0)).take(2);
        if allowed.any(|(_, state)| *state == now) {
            return Ok(());
        }
        Err(format!("{now:?} is not what was told last, or next"))
    }

    /// Loses power everywhere, alone and with mail that a program appended after the crash and before the journal
    /// was looked at; and then without each line of the journal that syncs and of which nothing depends on yet.
    fn lose_power(&self, needed: &mut BTreeMap<Line, bool>) {
        let look = |sim: &Sim| {
            let account = Store::with_fs(Arc::new(sim.clone()))
                .account(&config())
                .unwrap();
            let mailbox = account
                .mailbox("INBOX", at(20_000))
                .map_err(|error| error.to_string())?;
            rows(&mailbox)
        };
        let alone = |now: &Rows, cut: usize| self.judge(now, cut, &[]);
        let trial = Trial::new(&look, &alone);
        self.power.loss(&trial).unwrap();
        println!("{trial}");
        Self::leave_out_syncs(&self.power, &trial, needed);
        if !self.ends_a_line {
            // Whoever appends ends the line first.
            return;
        }
        let appended = |now: &Rows, cut: usize| self.judge(now, cut, &["later"]);
        let trial = Trial::new(&look, &appended);
        let mut power = Power::new(self.power.base.clone(), self.power.ops.clone());
        power.then = |world| {
            let later = stranger("later").into_bytes();
            world.edit(INBOX, |file| file.extend(later));
        };
        power.loss(&trial).unwrap();
        println!("{trial}");
        Self::leave_out_syncs(&power, &trial, needed);
    }

    fn leave_out_syncs(power: &Power, trial: &Trial<'_, Rows>, needed: &mut BTreeMap<Line, bool>) {
        let of_journal = ["mbox/draft.rs", "mbox/redo.rs"];
        let wanted = |line: &Line| {
            of_journal.iter().any(|file| line.starts_with(file)) && needed.get(line) != Some(&true)
        };
        for (line, idle) in power.syncs_of(trial, wanted) {
            *needed.entry(line).or_default() |= !idle;
        }
    }
}

/// Each kind of change of a file: shorter, longer, of the same length, all of it and its end.
fn runs() -> Vec<Run> {
    let all = |mailbox: &Arc<Mailbox>| {
        for name in ["one", "long", "three"] {
            append(mailbox, name);
        }
    };
    let flag = |mailbox: &Arc<Mailbox>, uid: u32, flags: Flags, keyword: &str| {
        let change = FlagChange::add(flags).with_keywords([keyword]);
        mailbox.set_flags(&[uid], &change, None, at(10)).unwrap();
    };
    vec![
        Run::new("", all, |_, mailbox, told| {
            mailbox.expunge(&[2], at(10)).unwrap();
            told();
            mailbox.expunge(&[3], at(10)).unwrap();
            told();
            mailbox.expunge(&[1], at(10)).unwrap();
            told();
        }),
        // A stranger's file has no room for flags.
        Run::new(
            &(stranger("one") + &stranger("long")),
            |_| {},
            |_, mailbox, told| {
                mailbox
                    .set_flags(&[2], &FlagChange::add(Flags::SEEN), None, at(10))
                    .unwrap();
                told();
            },
        ),
        // What is written in several parts.
        Run::new(
            &(stranger("one") + &stranger("wide")),
            |_| {},
            |_, mailbox, told| {
                mailbox
                    .set_flags(&[1], &FlagChange::add(Flags::SEEN), None, at(10))
                    .unwrap();
                told();
            },
        ),
        Run::new("", all, |_, mailbox, told| {
            // Names that need more room, and then as much.
            let keyword = "k".repeat(150);
            flag(mailbox, 2, Flags::NONE, &keyword);
            told();
            flag(mailbox, 3, Flags::ANSWERED, &keyword);
            told();
        }),
        // A last line without end is quoted before something stands behind it.
        Run::new(
            (stranger("one") + &stranger("open")).trim_end(),
            |_| {},
            |_, mailbox, told| {
                append(mailbox, "two");
                told();
            },
        ),
        // Somebody else takes a message away as soon as the mbox is his: it must not come back.
        Run::new("", all, |sim, mailbox, told| {
            mailbox.expunge(&[1], at(10)).unwrap();
            told();
            by_stranger(sim, |file, len| {
                let mut text = vec![0; len as usize];
                file.read_at(&mut text, 0).unwrap();
                let text = String::from_utf8(text).unwrap();
                let last = text.rfind("\nFrom ").unwrap() + 1;
                file.set_len(last as u64).unwrap();
            });
            told();
        }),
    ]
}

#[test]
fn a_change_is_whole_or_was_not_made() {
    let mut needed: BTreeMap<Line, bool> = BTreeMap::new();
    for (nth, run) in runs().iter().enumerate() {
        assert!(run.states.len() > 1, "run {nth}");
        run.lose_power(&mut needed);
    }
    // Each line of the journal that syncs is there for a reason.
    println!("{needed:?}");
    assert!(needed.len() > 3, "{needed:?}");
    for (line, needed) in needed {
        assert!(needed, "nothing depends on {line}");
    }
}

/// Names of the messages that are whole, whatever else there is.
fn whole(sim: &Sim) -> Result<Vec<String>, String> {
    let account = Store::with_fs(Arc::new(sim.clone()))
        .account(&config())
        .unwrap();
    let fail = |error: mailstore::Error| error.to_string();
    let mailbox = account.mailbox("INBOX", at(20_000)).map_err(fail)?;
    let view = mailbox.refresh(at(20_000)).map_err(fail)?;
    let mut names = Vec::new();
    for message in view.messages() {
        let mut content = Vec::new();
        let mut reader = mailbox.reader(message.uid, at(20_000)).map_err(fail)?;
        reader
            .read_to_end(&mut content)
            .map_err(|error| error.to_string())?;
        let content = String::from_utf8_lossy(&content);
        let name = content.lines().next().unwrap_or_default();
        let name = name.strip_prefix("Subject: ").unwrap_or_default();
        if is_whole(name, &content) {
            names.push(name.to_owned());
        }
    }
    Ok(names)
}

#[test]
fn what_others_write_over_loses_nothing() {
    for run in runs() {
        let judge = |found: &Vec<String>, cut: usize| {
            let last = run.states.iter().rposition(|(ops, _)| *ops <= cut);
            let allowed: Vec<&Rows> = run
                .states
                .iter()
                .skip(last.unwrap_or(0))
                .take(2)
                .map(|(_, rows)| rows)
                .collect();
            for (name, _) in allowed[0] {
                let stays = allowed
                    .iter()
                    .all(|rows| rows.iter().any(|(other, _)| other == name));
                let count = found.iter().filter(|other| *other == name).count();
                if stays && count == 0 {
                    return Err(format!("{name} is lost, there is {found:?}"));
                }
            }
            Ok(())
        };
        // All messages get a flag, as by a program that writes over the field.
        let mut power = Power::new(run.power.base.clone(), run.power.ops.clone());
        power.then = |world| {
            world.edit(INBOX, |file| {
                let text = String::from_utf8(std::mem::take(file)).unwrap();
                *file = text.replace("Status: O ", "Status: RO").into_bytes();
            });
        };
        let trial = Trial::new(&whole, &judge);
        power.loss(&trial).unwrap();
        assert!(trial.looked.get() > 100, "{trial}");
    }
}
