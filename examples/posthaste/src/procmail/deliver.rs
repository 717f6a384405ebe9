//! `procmail`: reads a message on standard input and does what the rcfiles say.
//!
//! A directory is no rcfile, and standard input that cannot be read is no empty message, as they
//! are to Debian's program. A process whose account is not listed has its number for a name, and
//! no mailbox in a folder that is everybody's. Each rcfile that cannot be read is told, and the next
//! one tried behind a directory, too; Debian's tells the first alone. There an argument `A=b #c`
//! keeps its blank, `HOST=x` as an argument leaves EXITCODE unset, and any argument before `./rc`
//! makes MAILDIR the directory where it was started.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Component, Path, PathBuf};
use std::process::{Command, Stdio};

use procmail_rules::{Config, Evaluator, RcFile, format};

use super::account::Account;
use super::host::{Host, Policy, date};
use super::signals::Held;

/// The rcfile of the system.
const SYSTEM_RC: &str = "/etc/procmailrc";

/// An option that is refused.
const USAGE: u8 = 64;
/// `-m` without an rcfile that can be read.
const NO_INPUT: u8 = 66;
/// No such user.
const NO_USER: u8 = 67;
/// It could not be delivered.
const FAILED: u8 = 73;
/// The message cannot be read, or the evaluation was broken off.
const TEMPORARY: u8 = 75;

const VERSION: &str = concat!(
    "procmail v3.23pre, as posthaste ",
    env!("CARGO_PKG_VERSION"),
    "\n"
);

const HELP: &str = "\
Usage: procmail [-vptoY] [-f fromwhom] [parameter=value | rcfile] ...
   Or: procmail [-toY] [-f fromwhom] [-a argument] ... -d recipient ...
   Or: procmail [-ptY] [-f fromwhom] -m [parameter=value] ... rcfile [arg] ...
";

/// The command line, read.
#[derive(Debug, Default)]
struct Options {
    preserve: bool,
    requeue: bool,
    override_from: bool,
    ignore_content_length: bool,
    from: Option<Vec<u8>>,
    arguments: Vec<Vec<u8>>,
    mail_filter: bool,
    deliver: bool,
    version: bool,
    help: bool,
    /// `-z`, which is another way to talk altogether, and is not offered.
    lmtp: bool,
    /// What is no option.
    rest: Vec<Vec<u8>>,
}

impl Options {
    /// Reads the options. What is wrong with them is told, and the mail is delivered all the
    /// same: a slip in a `.forward` must not make mail bounce.
    fn parse(program: &OsStr, arguments: &[OsString]) -> Self {
        let mut options = Self::default();
        let mut arguments = arguments.iter().map(|argument| argument.as_bytes());
        'words: while let Some(argument) = arguments.next() {
            let letters = match argument.split_first() {
                Some((b'-', b"" | b"-")) => break,
                Some((b'-', letters)) => letters,
                _ => {
                    options.rest.push(argument.to_vec());
                    break;
                }
            };
            for (at, letter) in letters.iter().enumerate() {
                let mut value = || {
                    let own = letters.get(at + 1..).filter(|own| !own.is_empty());
                    own.or_else(|| arguments.next()).map(<[u8]>::to_vec)
                };
                match letter {
                    b'p' => options.preserve = true,
                    b't' => options.requeue = true,
                    b'o' => options.override_from = true,
                    b'Y' => options.ignore_content_length = true,
                    b'm' => options.mail_filter = true,
                    b'v' => options.version = true,
                    b'h' | b'?' => options.help = true,
                    b'z' => options.lmtp = true,
                    b'f' | b'r' => {
                        match value() {
                            Some(value) => options.from = Some(value),
                            None => complain("Missing name"),
                        }
                        continue 'words;
                    }
                    b'a' => {
                        match value() {
                            Some(value) => options.arguments.push(value),
                            None => complain("Missing argument"),
                        }
                        continue 'words;
                    }
                    b'd' => {
                        match value() {
                            Some(value) => {
                                options.deliver = true;
                                options.rest.push(value);
                            }
                            None => complain("Missing recipient"),
                        }
                        // All that follows are recipients.
                        break 'words;
                    }
                    _ => {
                        let text = letters.get(at..).unwrap_or(&[]);
                        let text = text.strip_prefix(b"-").unwrap_or(text);
                        let text = String::from_utf8_lossy(text);
                        complain(&format!("Unrecognised options: \"{text}\""));
                        let _ = io::stderr().write_all(HELP.as_bytes());
                        let _ = io::stderr().write_all(b"Processing continued\n");
                        continue 'words;
                    }
                }
            }
        }
        options.rest.extend(arguments.map(<[u8]>::to_vec));
        // To a program called as a login shell is, all are recipients.
        options.deliver |= program.as_bytes().starts_with(b"-") && !options.rest.is_empty();
        let conflicts = if options.deliver {
            options.mail_filter
        } else {
            options.mail_filter && !options.arguments.is_empty()
        };
        if conflicts {
            options.arguments.clear();
            complain("Conflicting options");
            let _ = io::stderr().write_all(HELP.as_bytes());
        }
        if options.deliver {
            options.mail_filter = false;
        }
        options
    }

    /// Splits what is no option into assignments, rcfiles, and the arguments of `-m`.
    fn sort(&mut self) -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
        let mut assignments = Vec::new();
        let mut rcfiles = Vec::new();
        let mut rest = std::mem::take(&mut self.rest).into_iter();
        while let Some(argument) = rest.next() {
            if argument.contains(&b'=') {
                assignments.push(argument);
                continue;
            }
            rcfiles.push(argument);
            if self.mail_filter {
                self.arguments.extend(rest);
                break;
            }
        }
        (assignments, rcfiles)
    }
}

fn complain(text: &str) {
    let _ = writeln!(io::stderr(), "procmail: {text}");
}

/// Runs the command; its exit code.
pub(super) fn run(program: &OsStr, arguments: &[OsString]) -> u8 {
    let mut options = Options::parse(program, arguments);
    if options.version || options.help {
        let text = if options.version { VERSION } else { HELP };
        let _ = io::stderr().write_all(text.as_bytes());
        return if options.version { 0 } else { USAGE };
    }
    if options.lmtp {
        complain("LMTP is spoken by the server, not by this program");
        return USAGE;
    }
    if options.mail_filter && options.rest.iter().all(|argument| argument.contains(&b'=')) {
        complain("Missing rcfile");
        return NO_INPUT;
    }
    let held = Held::default();
    held.watch();
    let mut message = Vec::new();
    if io::stdin().lock().read_to_end(&mut message).is_err() {
        return TEMPORARY;
    }
    let own = Account::own();
    if options.deliver {
        return deliver_to_all(program, &options, own.as_ref(), &message, &held);
    }
    let account = own.unwrap_or_else(Account::nameless);
    let (assignments, rcfiles) = options.sort();
    if options.mail_filter
        && let Some(name) = rcfiles.first().filter(|name| is_special(name))
    {
        let path = Path::new(OsStr::from_bytes(name));
        let owner = owner(path).filter(|_| assignments.is_empty() && !options.preserve);
        match owner {
            Some(owner) if owner.uid == account.uid => {}
            Some(owner) if account.uid == 0 => {
                return again(&owner, arguments, &message);
            }
            _ => complain(&format!(
                "Denying special privileges for \"{}\"",
                path.display()
            )),
        }
    }
    let start = Start {
        program,
        options: &options,
        account: &account,
        held: &held,
    };
    start.run(assignments, rcfiles, message)
}

/// Where filters for everybody are, that run with their owners' rights: as they may not be told
/// what to do, nothing is assigned before them.
const SPECIAL: &[u8] = b"/etc/procmailrcs/";

fn is_special(name: &[u8]) -> bool {
    name.starts_with(SPECIAL)
}

/// Whose the file is, if it is one, and no way leads out of the directory.
fn owner(path: &Path) -> Option<Account> {
    let inside = path.components().all(|part| part != Component::ParentDir);
    let metadata = fs::symlink_metadata(path).ok()?;
    let uid = (inside && metadata.is_file()).then_some(metadata.uid())?;
    Account::numbered(uid)
}

/// Starts this program again with the same arguments, and somebody's rights.
fn again(account: &Account, arguments: &[OsString], message: &[u8]) -> u8 {
    let Ok(program) = std::env::current_exe() else {
        return TEMPORARY;
    };
    let mut command = Command::new(program);
    command.arg0("procmail").args(arguments);
    feed(&mut command, account, message)
}

/// `-d`: each recipient's mail is filtered with that user's rights.
fn deliver_to_all(
    program: &OsStr,
    options: &Options,
    own: Option<&Account>,
    message: &[u8],
    held: &Held,
) -> u8 {
    let mut worst = 0;
    for (at, recipient) in options.rest.iter().enumerate() {
        // Of all but the last recipient, only whether they failed is told.
        let failed = |code| match (at + 1 == options.rest.len(), options.requeue) {
            (true, _) => code,
            (false, true) => TEMPORARY,
            (false, false) => FAILED,
        };
        let Some(account) = Account::named(recipient) else {
            complain(&format!(
                "Unknown user \"{}\"",
                String::from_utf8_lossy(recipient).to_ascii_lowercase()
            ));
            worst = failed(NO_USER);
            continue;
        };
        let code = if own.is_some_and(|own| own.uid == account.uid) {
            let mut own_options = Options {
                preserve: options.preserve,
                requeue: options.requeue,
                override_from: options.override_from,
                ignore_content_length: options.ignore_content_length,
                from: options.from.clone(),
                arguments: options.arguments.clone(),
                deliver: true,
                ..Options::default()
            };
            own_options.from.get_or_insert_with(|| b"-".to_vec());
            let start = Start {
                program,
                options: &own_options,
                account: &account,
                held,
            };
            start.run(Vec::new(), Vec::new(), message.to_vec())
        } else {
            as_user(&account, options, recipient, message)
        };
        if code != 0 {
            worst = failed(code);
        }
    }
    worst
}

/// Starts this program again with the user's rights, for that user alone.
fn as_user(account: &Account, options: &Options, recipient: &[u8], message: &[u8]) -> u8 {
    let Ok(program) = std::env::current_exe() else {
        return TEMPORARY;
    };
    make_mailbox(account);
    let mut command = Command::new(program);
    command.arg0("procmail");
    for (letter, given) in [
        ("-p", options.preserve),
        ("-t", options.requeue),
        ("-o", options.override_from),
        ("-Y", options.ignore_content_length),
    ] {
        if given {
            command.arg(letter);
        }
    }
    if let Some(from) = &options.from {
        command.arg("-f").arg(OsStr::from_bytes(from));
    }
    for argument in &options.arguments {
        command.arg("-a").arg(OsStr::from_bytes(argument));
    }
    command.arg("-d").arg(OsStr::from_bytes(recipient));
    feed(&mut command, account, message)
}

/// Makes the system mailbox of somebody who has none yet: only who has all rights can, where the
/// folder is not everybody's. What fails here is told when the mailbox is written to.
fn make_mailbox(account: &Account) {
    let path = PathBuf::from(OsString::from_vec(account.mailbox()));
    let folder = path.parent().and_then(|folder| fs::metadata(folder).ok());
    // As Debian's programs have it: the folder's group may lock and read it.
    let group = folder.filter(|folder| folder.mode() & 0o020 != 0);
    let group = group.map_or(account.gid, |folder| folder.gid());
    let mut options = fs::OpenOptions::new();
    // No link is followed to what is there already.
    let made = options.write(true).create_new(true).mode(0o660).open(&path);
    let owned = made.map(|file| std::os::unix::fs::fchown(&file, Some(account.uid), Some(group)));
    if let Ok(Err(_)) = owned {
        let _ = fs::remove_file(&path);
    }
}

/// Gives a program the message, and the rights of somebody.
fn feed(command: &mut Command, account: &Account, message: &[u8]) -> u8 {
    let child = command
        .uid(account.uid)
        .gid(account.gid)
        .stdin(Stdio::piped())
        .spawn();
    let Ok(mut child) = child else {
        complain("Insufficient privileges");
        return TEMPORARY;
    };
    if let Some(mut stdin) = child.stdin.take() {
        let _ = stdin.write_all(message);
    }
    let ended = child.wait().ok().and_then(|status| status.code());
    ended
        .and_then(|code| u8::try_from(code).ok())
        .unwrap_or(TEMPORARY)
}

/// Who delivers, and how.
struct Start<'a> {
    program: &'a OsStr,
    options: &'a Options,
    account: &'a Account,
    held: &'a Held,
}

impl Start<'_> {
    fn run(&self, assignments: Vec<Vec<u8>>, rcfiles: Vec<Vec<u8>>, mut message: Vec<u8>) -> u8 {
        let Self {
            program,
            options,
            account,
            held,
        } = *self;
        if let Some(from) = &options.from {
            set_from(&mut message, from, account, options.override_from);
        }
        let host = super::host_name();
        let named = !rcfiles.is_empty();
        let local = rcfiles.first().is_some_and(|name| {
            name.starts_with(b"./") || options.mail_filter && !name.starts_with(b"/")
        });
        let maildir = if local {
            b".".to_vec()
        } else {
            account.home.clone()
        };
        let names = if named {
            rcfiles
        } else {
            vec![b".procmailrc".to_vec()]
        };
        let rcfiles: Vec<RcFile> = names
            .into_iter()
            .map(|name| locate(name, account, options.mail_filter))
            .filter(|name| {
                // A default rcfile may be missing; one that others could write is not used.
                let path = Path::new(OsStr::from_bytes(name));
                if !named && !path.exists() {
                    return false;
                }
                let unchecked = name.starts_with(b"./") || name.as_slice() == NOTHING;
                let relative = options.mail_filter && !name.starts_with(b"/");
                let trusted = unchecked || relative || is_trusted(path, account);
                if !trusted {
                    complain(&format!("Suspicious rcfile \"{}\"", path.display()));
                    if named {
                        complain(&format!("Couldn't read \"{}\"", path.display()));
                    }
                }
                trusted
            })
            .map(|name| match name.as_slice() {
                NOTHING => RcFile::text(name, b""),
                _ => RcFile::named(name),
            })
            .collect();
        let system = (!named && !options.mail_filter && !options.preserve)
            .then(|| system_rcfile(Path::new(SYSTEM_RC)))
            .flatten();
        let config = Config {
            system_rcfile: system,
            logname: account.name.clone(),
            home: account.home.clone(),
            shell: account.shell.clone(),
            host: host.clone().into_bytes(),
            system_mailbox: Some(account.mailbox()),
            program: program.as_bytes().to_vec(),
            arguments: options.arguments.clone(),
            pid: std::process::id(),
            inherited: inherited(options.preserve),
            assignments,
            rcfiles,
            maildir,
            quiet: named,
            requeue: options.requeue,
            ignore_content_length: options.ignore_content_length,
            mail_filter: options.mail_filter,
            preserve: options.preserve,
            ..Config::default()
        };
        let policy = Policy {
            programs: true,
            own_process: true,
        };
        let logname = String::from_utf8_lossy(&account.name).into_owned();
        let mut host = Host::new(policy, &host, &logname, &PathBuf::new(), config.umask);
        host.hold(held, &message);
        match host.run(Evaluator::new(config, &message)) {
            Ok(outcome) => outcome.exit,
            Err(error) => {
                host.release_locks();
                complain(&error.to_string());
                TEMPORARY
            }
        }
    }
}

/// The rcfile that says nothing.
const NOTHING: &[u8] = b"/dev/null";

/// What runs for everybody before their own rcfile, with no more rights than theirs: only root
/// may have written it.
fn system_rcfile(path: &Path) -> Option<RcFile> {
    let metadata = fs::metadata(path).ok()?;
    if metadata.uid() != 0 || metadata.mode() & 0o002 != 0 {
        complain(&format!("Suspicious rcfile \"{}\"", path.display()));
        return None;
    }
    Some(RcFile::named(path.as_os_str().as_bytes()))
}

/// An rcfile's path: below the home directory unless it says otherwise.
fn locate(name: Vec<u8>, account: &Account, mail_filter: bool) -> Vec<u8> {
    if mail_filter || name.is_empty() || name.starts_with(b"/") || name.starts_with(b"./") {
        return name;
    }
    [&account.home, b"/".as_slice(), &name].concat()
}

/// Belongs the file to the user or root, and can nobody else write it, or put another one in its
/// place?
fn is_trusted(path: &Path, account: &Account) -> bool {
    let closed = |metadata: &fs::Metadata| {
        metadata.mode() & 0o002 == 0 || metadata.is_dir() && metadata.mode() & 0o1000 != 0
    };
    // What is not there is reported when it cannot be read.
    let Ok(file) = fs::metadata(path) else {
        return true;
    };
    let owned = file.uid() == account.uid || file.uid() == 0;
    let directory = path.parent().and_then(|path| fs::metadata(path).ok());
    owned && closed(&file) && directory.is_none_or(|directory| closed(&directory))
}

/// The variables that outlive the start: TZ, or with `-p` all but those that change what
/// programs load.
fn inherited(all: bool) -> Vec<(Vec<u8>, Vec<u8>)> {
    std::env::vars_os()
        .map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec()))
        .filter(|(name, _)| {
            name == b"TZ"
                || all
                    && !name.starts_with(b"LD_")
                    && !name.starts_with(b"_RLD")
                    && name != b"LIBPATH"
        })
        .collect()
}

/// `-f`: a new `From ` line, or with `-` a new date in the one there is.
fn set_from(message: &mut Vec<u8>, from: &[u8], account: &Account, replace: bool) {
    let present = message.starts_with(b"From ");
    let end = message
        .iter()
        .position(|byte| *byte == b'\n')
        .map_or(message.len(), |at| at + 1);
    let first = message.get(5..end).unwrap_or(&[]).to_vec();
    let sender = match from {
        b"-" if present => first
            .split(|byte| byte.is_ascii_whitespace())
            .next()
            .unwrap_or(&[])
            .to_vec(),
        b"-" => account.name.clone(),
        sender => sender.to_vec(),
    };
    let line = format::from_line(&sender, &date());
    if present && (replace || from != b"-" || !first.is_empty()) {
        message.splice(..end, line);
    } else {
        message.splice(..0, line);
    }
}
