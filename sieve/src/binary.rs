//! The compiled form as octets: written by [`Script::to_bytes`](crate::Script::to_bytes), checked by
//! [`Compiler::load`](crate::Compiler::load).
//!
//! ```text
//! octets  what
//! 4       "PSvb"
//! 1       version of the form
//! 8       checksum of all that follows: FNV-1a, little endian
//! ..      version of this crate, the program
//! ```
//! There is one way to write each program: numbers in as few octets as they need, seven bits each; octets, strings
//! and lists behind their length; alternatives behind a tag. So what is loaded is written again as the same octets,
//! and octets that would not be are refused.

mod code;
mod verify;

use crate::limits::Limits;
use crate::program::{
    AddressPart, ByTime, Calendar, Command, Convert, DatePart, FlagChange, Index, Instruction,
    Mime, MimeOf, Modifier, Notify, Op, Piece, Program, ProgramInput, Redirect, Report, RunProgram,
    SuiteCommand, SuiteTest, Target, Test, Text, Transform, UniqueId, Vacation, Variable, Zone,
};
use crate::{Capabilities, ProgramKind};
pub(crate) use code::{Code, Reader, choice, record};

const MAGIC: &[u8; 4] = b"PSvb";

/// Of the form; another crate's version is refused as well, since the meaning may differ.
const VERSION: u8 = 4;

/// Octets before what the checksum covers.
const HEAD: usize = 13;

/// Why a compiled script is not loaded. The script is then compiled from its source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The octets are no compiled script.
    #[error("this is no compiled script")]
    Foreign,
    /// It was written by another version of this crate.
    #[error("it was compiled by another version")]
    Version,
    /// Octets were lost or changed.
    #[error("it is damaged: its checksum does not hold")]
    Checksum,
    /// The octets say something that no compiler writes.
    #[error("octet {at}: no compiler writes this")]
    Malformed {
        /// Where, counted from the beginning.
        at: usize,
    },
    /// The program would do what no compiled program does.
    #[error("instruction {instruction}: no compiler writes this")]
    Unsound {
        /// Which, counted from zero.
        instruction: usize,
    },
    /// It was compiled for a host that offers other capabilities.
    #[error("it was compiled for other capabilities")]
    Capabilities,
    /// It exceeds a [limit](crate::Limits).
    #[error("it exceeds the limit of {0}")]
    Limit(&'static str),
}

pub(crate) fn save(program: &Program) -> Vec<u8> {
    let mut body = Vec::with_capacity(64 * program.instructions.len() + 64);
    env!("CARGO_PKG_VERSION").to_owned().put(&mut body);
    program.put(&mut body);
    let mut out = Vec::with_capacity(HEAD + body.len());
    out.extend_from_slice(MAGIC);
    out.push(VERSION);
    out.extend_from_slice(&checksum(&body).to_le_bytes());
    out.extend_from_slice(&body);
    out
}

pub(crate) fn load(
    octets: &[u8],
    offered: Capabilities,
    limits: &Limits,
) -> Result<Program, LoadError> {
    if octets.len() > limits.compiled_size {
        return Err(LoadError::Limit("compiled_size"));
    }
    let head = octets.get(..HEAD).ok_or(LoadError::Foreign)?;
    if !head.starts_with(MAGIC) {
        return Err(LoadError::Foreign);
    }
    if head.get(4) != Some(&VERSION) {
        return Err(LoadError::Version);
    }
    let body = octets.get(HEAD..).unwrap_or_default();
    if head.get(5..) != Some(&checksum(body).to_le_bytes()) {
        return Err(LoadError::Checksum);
    }
    let mut reader = Reader::new(octets, HEAD, limits);
    let version = String::get(&mut reader)?;
    if version != env!("CARGO_PKG_VERSION") {
        return Err(LoadError::Version);
    }
    let program = Program::get(&mut reader)?;
    reader.end()?;
    verify::verify(&program, offered, limits)?;
    Ok(program)
}

/// Against accidents only: who writes the file can write a checksum.
fn checksum(octets: &[u8]) -> u64 {
    octets.iter().fold(0xcbf2_9ce4_8422_2325, |sum, octet| {
        (sum ^ u64::from(*octet)).wrapping_mul(0x0100_0000_01b3)
    })
}

impl Code for Program {
    fn put(&self, out: &mut Vec<u8>) {
        self.instructions.put(out);
        self.tests.put(out);
        self.commands.put(out);
        self.locals.put(out);
        self.captures.put(out);
        self.required.put(out);
        self.offered.put(out);
    }

    fn get(from: &mut Reader<'_>) -> Result<Self, LoadError> {
        Ok(Self {
            instructions: Code::get(from)?,
            tests: Code::get(from)?,
            commands: Code::get(from)?,
            locals: Code::get(from)?,
            captures: Code::get(from)?,
            warnings: Vec::new(),
            required: Code::get(from)?,
            offered: Code::get(from)?,
        })
    }
}

/// By name: the numbers of capabilities may change.
impl Code for Capabilities {
    fn put(&self, out: &mut Vec<u8>) {
        let names: Vec<String> = self.iter().map(str::to_owned).collect();
        names.put(out);
    }

    fn get(from: &mut Reader<'_>) -> Result<Self, LoadError> {
        let names: Vec<String> = Code::get(from)?;
        let set = names.iter().fold(Self::none(), |set, name| set.with(name));
        // In their order, each once, all known.
        if set.iter().eq(names.iter().map(String::as_str)) {
            Ok(set)
        } else {
            Err(from.malformed())
        }
    }
}

record!(Instruction { line, op });
record!(Index { number, last });
record!(Mime { any_child, of });
record!(RunProgram {
    kind,
    name,
    arguments,
    input,
    output,
    copy,
    try_
});
record!(Target {
    mailbox,
    flags,
    create,
    mailbox_id,
    special_use
});
record!(Convert {
    from,
    to,
    parameters
});
record!(Calendar {
    allow_public,
    addresses,
    updates_only,
    calendar_id,
    delete_cancelled,
    organizers,
    outcome,
    reason
});
record!(Report {
    headers_only,
    feedback_type,
    message,
    address
});
record!(Redirect {
    address,
    copy,
    list,
    notify,
    ret,
    by_time,
    by_mode,
    by_trace
});
record!(Vacation {
    seconds,
    subject,
    from,
    addresses,
    mime,
    handle,
    reason,
    fcc
});
record!(Notify {
    from,
    importance,
    options,
    message,
    method,
    fcc
});

choice!(Text { 0 => Literal(octets), 1 => Expand(pieces) });
choice!(Piece { 0 => Literal(octets), 1 => Match(number), 2 => Local(slot), 3 => Global(name), 4 => Environment(name) });
choice!(Variable { 0 => Local(slot), 1 => Global(name) });
choice!(AddressPart { 0 => All, 1 => LocalPart, 2 => Domain, 3 => User, 4 => Detail });
choice!(MimeOf { 0 => Whole, 1 => Type, 2 => Subtype, 3 => ContentType, 4 => Parameters(names) });
choice!(Transform { 0 => Raw, 1 => Content(types), 2 => Text });
choice!(DatePart {
    0 => Year, 1 => Month, 2 => Day, 3 => Date, 4 => Julian, 5 => Hour, 6 => Minute, 7 => Second, 8 => Time,
    9 => Iso8601, 10 => Std11, 11 => Zone, 12 => Weekday,
});
choice!(Zone { 0 => Local, 1 => Original, 2 => Offset(minutes), 3 => Dynamic(text) });
choice!(UniqueId { 0 => MessageId, 1 => Header(name), 2 => Value(text) });
choice!(ProgramKind { 0 => Pipe, 1 => Filter, 2 => Execute });
choice!(ProgramInput { 0 => None, 1 => Message, 2 => Text(text) });
choice!(Modifier {
    0 => Lower, 1 => Upper, 2 => LowerFirst, 3 => UpperFirst, 4 => QuoteWildcard, 5 => QuoteRegex, 6 => EncodeUrl,
    7 => Length,
});
choice!(FlagChange { 0 => Set, 1 => Add, 2 => Remove });
choice!(ByTime { 0 => Relative(seconds), 1 => Absolute(time) });
choice!(Op {
    0 => Jump(target), 1 => JumpIfTrue(target), 2 => JumpIfFalse(target), 3 => Not, 4 => Constant(value),
    5 => Test(number), 6 => Run(number), 7 => Stop, 8 => Return, 9 => EnterParts, 10 => NextPart(end),
    11 => Break(loops, end), 12 => BeginCase(name, end), 13 => EndCase,
});
choice!(Test {
    0 => Header { names, keys, matching, index, mime },
    1 => Address { names, keys, matching, part, index, mime },
    2 => Envelope { parts, keys, matching, part, zone },
    3 => Exists { names, mime },
    4 => Size { over, limit },
    5 => Body { transform, keys, matching },
    6 => Date { header, zone, part, keys, matching, index },
    7 => CurrentDate { zone, part, keys, matching },
    8 => Environment { name, keys, matching },
    9 => Text { sources, keys, matching },
    10 => HasFlag { variables, keys, matching },
    11 => MailboxExists(names),
    12 => MailboxIdExists(ids),
    13 => SpecialUseExists { mailbox, attributes },
    14 => Metadata { mailbox, annotation, keys, matching },
    15 => MetadataExists { mailbox, annotations },
    16 => ValidNotifyMethod(uris),
    17 => NotifyMethodCapability { uri, capability, keys, matching },
    18 => Duplicate { handle, id, seconds, last },
    19 => ValidExtList(lists),
    20 => Scanner { virus, percent, keys, matching },
    21 => Program(program),
    22 => Convert(convert),
    23 => IHave(names),
    24 => Suite(test),
});
choice!(Command {
    0 => Keep { flags },
    1 => Discard,
    2 => FileInto { target, copy },
    3 => Redirect(redirect),
    4 => Reject { reason, extended },
    5 => Vacation(vacation),
    6 => Set { variable, value, modifiers },
    7 => Flags { change, variable, flags },
    8 => Notify(notify),
    9 => AddHeader { name, value, last },
    10 => DeleteHeader { name, keys, matching, index },
    11 => Include { name, global, once, optional },
    12 => ExtractText { variable, modifiers, first },
    13 => Replace { mime, subject, from, body },
    14 => Enclose { subject, headers, body },
    15 => Convert(convert),
    16 => Calendar(calendar),
    17 => Report(report),
    18 => Error(text),
    19 => Debug(text),
    20 => Program(program),
    21 => Suite(command),
});
choice!(SuiteTest {
    0 => Compile(path), 1 => Run { append }, 2 => MultiScript(paths), 3 => Execute,
    4 => MessageFromFolder { folder, index }, 5 => MessageFromMail { index },
    6 => Action { index, keys, matching }, 7 => Error { index, keys, matching },
});
choice!(SuiteCommand {
    0 => Set { field, value }, 1 => Fail(reason), 2 => MessageFromFolder { folder, index },
    3 => MessageFromMail { index }, 4 => ResultReset, 5 => ResultPrint, 6 => MessagePrint,
    7 => ConfigSet { name, value }, 8 => ConfigReload(extension), 9 => MailboxCreate(name), 10 => MailboxDelete(name),
    11 => BinarySave(name), 12 => BinaryLoad(name), 13 => MetadataSet { mailbox, annotation, value },
});
