//! What an evaluation starts from.

use std::sync::Arc;

use crate::limits::Limits;
use crate::regex::RegexCache;

/// Everything a run knows before it reads the first rcfile.
///
/// The defaults are those of a user without a name; set at least the first five fields.
#[derive(Clone, Debug)]
pub struct Config {
    /// LOGNAME: whom the mail is for.
    pub logname: Vec<u8>,
    /// HOME.
    pub home: Vec<u8>,
    /// SHELL: what runs shell commands.
    pub shell: Vec<u8>,
    /// The host's name, compared with HOST and given as its value.
    pub host: Vec<u8>,
    /// ORGMAIL and DEFAULT; none with `-m`, which has no system mailbox.
    pub system_mailbox: Option<Vec<u8>>,
    /// `$0`.
    pub program: Vec<u8>,
    /// `$1`, `$2` and so on.
    pub arguments: Vec<Vec<u8>>,
    /// `$$`.
    pub pid: u32,
    /// Variables kept from outside, such as TZ, set before procmail's own.
    pub inherited: Vec<(Vec<u8>, Vec<u8>)>,
    /// Assignments from the command line, as `NAME=value`, made in order.
    pub assignments: Vec<Vec<u8>>,
    /// What runs for everybody before the rcfiles, as `/etc/procmailrc` does where none is named
    /// on the command line. The directory is the one the program was started in until it sets
    /// MAILDIR; behind it PATH is the default again and VERBOSE is off.
    pub system_rcfile: Option<RcFile>,
    /// The rcfiles: the first that can be read runs, the others only after a HOST mismatch.
    pub rcfiles: Vec<RcFile>,
    /// MAILDIR once an rcfile is read.
    pub maildir: Vec<u8>,
    /// COMSAT starts as `no`, as it does where an rcfile is named on the command line.
    pub quiet: bool,
    /// `-t`: what cannot be delivered is to be tried again (75) rather than bounced (73).
    pub requeue: bool,
    /// `-Y`: Content-Length is ignored.
    pub ignore_content_length: bool,
    /// `-m`: a mail filter for everybody. It has no mailbox of its own, though DEFAULT tells of
    /// [`system_mailbox`](Self::system_mailbox).
    pub mail_filter: bool,
    /// `-p`: what is [`inherited`](Self::inherited) is the caller's environment. That of a
    /// filter for everybody is then not set up at all.
    pub preserve: bool,
    /// Each step is told to the host in an [`Effect::Note`](crate::Effect::Note).
    pub notes: bool,
    /// The umask at the start.
    pub umask: u32,
    /// Compiled expressions, to share between runs.
    pub regexes: Arc<RegexCache>,
    /// What the run may use up.
    pub limits: Limits,
}

/// An rcfile: a name, and the text where it is at hand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RcFile {
    /// The name, as `$_` shows it.
    pub name: Vec<u8>,
    /// The text; none to have the host read it.
    pub text: Option<Arc<[u8]>>,
}

impl RcFile {
    /// An rcfile for the host to read.
    pub fn named(name: impl Into<Vec<u8>>) -> Self {
        Self {
            name: name.into(),
            text: None,
        }
    }

    /// An rcfile whose text is at hand.
    pub fn text(name: impl Into<Vec<u8>>, text: impl AsRef<[u8]>) -> Self {
        Self {
            name: name.into(),
            text: Some(Arc::from(text.as_ref())),
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            logname: b"nobody".to_vec(),
            home: b"/".to_vec(),
            shell: b"/bin/sh".to_vec(),
            host: b"localhost".to_vec(),
            system_mailbox: Some(b"/var/mail/nobody".to_vec()),
            program: b"procmail".to_vec(),
            arguments: Vec::new(),
            pid: 1,
            inherited: Vec::new(),
            assignments: Vec::new(),
            system_rcfile: None,
            rcfiles: Vec::new(),
            maildir: b".".to_vec(),
            quiet: true,
            requeue: false,
            ignore_content_length: false,
            mail_filter: false,
            preserve: false,
            notes: false,
            umask: 0o077,
            regexes: Arc::new(RegexCache::new()),
            limits: Limits::default(),
        }
    }
}
