//! Variables: the environment programs see, and procmail's own copies of the special ones.

use std::collections::BTreeMap;

use crate::error::{Error, Limit};
use crate::limits::Limits;
use crate::number;

/// Names and values, in the order of their names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Environment {
    values: BTreeMap<Vec<u8>, Vec<u8>>,
    size: usize,
}

impl Environment {
    /// The value of a variable, if it is set.
    #[must_use]
    pub fn get(&self, name: &[u8]) -> Option<&[u8]> {
        self.values.get(name).map(Vec::as_slice)
    }

    /// All variables.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.values
            .iter()
            .map(|(name, value)| (name.as_slice(), value.as_slice()))
    }

    pub(crate) fn set(&mut self, name: &[u8], value: &[u8], limits: &Limits) -> Result<(), Error> {
        if value.len() > limits.value_size {
            return Err(Error::limit(Limit::ValueSize));
        }
        self.remove(name);
        self.size += name.len() + value.len();
        if self.size > limits.environment_size {
            return Err(Error::limit(Limit::EnvironmentSize));
        }
        self.values.insert(name.to_vec(), value.to_vec());
        if self.values.len() > limits.variables {
            return Err(Error::limit(Limit::Variables));
        }
        Ok(())
    }

    pub(crate) fn remove(&mut self, name: &[u8]) {
        if let Some(old) = self.values.remove(name) {
            self.size -= name.len() + old.len();
        }
    }
}

/// EXITCODE as procmail understands it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ExitCode {
    /// Never set, or removed.
    Unset,
    /// Set to something that is no number.
    Open,
    /// A number; negative: no effect.
    Fixed(i64),
}

/// The smallest LINEBUF.
pub(crate) const LINEBUF_MINIMUM: i64 = 128;

/// The copies of special variables that act. Only assignments change them.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) shell: Vec<u8>,
    pub(crate) shell_flags: Vec<u8>,
    pub(crate) shell_metas: Vec<u8>,
    pub(crate) sendmail: Vec<u8>,
    pub(crate) sendmail_flags: Vec<u8>,
    pub(crate) lock_extension: Vec<u8>,
    pub(crate) message_prefix: Vec<u8>,
    pub(crate) default: Vec<u8>,
    pub(crate) orgmail: Vec<u8>,
    pub(crate) trap: Vec<u8>,
    pub(crate) comsat: Vec<u8>,
    pub(crate) notify: bool,
    pub(crate) linebuf: usize,
    pub(crate) verbose: i64,
    pub(crate) log_abstract: i64,
    pub(crate) lock_sleep: i64,
    pub(crate) lock_timeout: i64,
    pub(crate) suspend: i64,
    pub(crate) timeout: i64,
    pub(crate) no_resource_retry: i64,
    pub(crate) exit_code: ExitCode,
}

impl Settings {
    pub(crate) fn new(shell: &[u8]) -> Self {
        Self {
            shell: shell.to_vec(),
            shell_flags: b"-c".to_vec(),
            shell_metas: b"&|<>~;?*[".to_vec(),
            sendmail: b"/usr/sbin/sendmail".to_vec(),
            sendmail_flags: b"-oi".to_vec(),
            lock_extension: b".lock".to_vec(),
            message_prefix: b"msg.".to_vec(),
            default: Vec::new(),
            orgmail: Vec::new(),
            trap: Vec::new(),
            comsat: Vec::new(),
            notify: true,
            linebuf: 2048,
            verbose: 0,
            log_abstract: -1,
            lock_sleep: 8,
            lock_timeout: 1024,
            suspend: 16,
            timeout: 960,
            no_resource_retry: 4,
            exit_code: ExitCode::Unset,
        }
    }

    /// Takes over the variables that need nothing but a new value. Removal (`None`) empties a
    /// text and keeps a number.
    pub(crate) fn take(&mut self, name: &[u8], value: Option<&[u8]>) {
        let text = value.unwrap_or(&[]);
        let copy = match name {
            b"SHELL" => &mut self.shell,
            b"SHELLFLAGS" => &mut self.shell_flags,
            b"SHELLMETAS" => &mut self.shell_metas,
            b"SENDMAIL" => &mut self.sendmail,
            b"SENDMAILFLAGS" => &mut self.sendmail_flags,
            b"LOCKEXT" => &mut self.lock_extension,
            b"MSGPREFIX" => &mut self.message_prefix,
            b"DEFAULT" => &mut self.default,
            b"ORGMAIL" => &mut self.orgmail,
            b"TRAP" => &mut self.trap,
            b"COMSAT" => {
                // A host is one whatever its service is called.
                self.notify = text.contains(&b'@') || number::setting(text, 1) != 0;
                &mut self.comsat
            }
            _ => return self.take_number(name, text, value.is_some()),
        };
        text.clone_into(copy);
    }

    fn take_number(&mut self, name: &[u8], text: &[u8], set: bool) {
        let copy = match name {
            b"VERBOSE" => &mut self.verbose,
            b"LOGABSTRACT" => &mut self.log_abstract,
            b"LOCKSLEEP" => &mut self.lock_sleep,
            b"LOCKTIMEOUT" => &mut self.lock_timeout,
            b"SUSPEND" => &mut self.suspend,
            b"TIMEOUT" => &mut self.timeout,
            b"NORESRETRY" => &mut self.no_resource_retry,
            b"LINEBUF" => {
                let wanted = number::integer(text, 10).0.max(LINEBUF_MINIMUM);
                self.linebuf = usize::try_from(wanted).unwrap_or(usize::MAX).min(1 << 20);
                return;
            }
            b"EXITCODE" => {
                // This number means what those do that are not understood.
                self.exit_code = match number::low_word(number::setting(text, -2)) {
                    _ if !set => ExitCode::Unset,
                    -2 => ExitCode::Open,
                    value => ExitCode::Fixed(i64::from(value)),
                };
                return;
            }
            _ => return,
        };
        *copy = number::setting(text, *copy);
    }
}
