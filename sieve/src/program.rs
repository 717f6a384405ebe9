//! The compiled form: a flat list of instructions over checked arguments.

use crate::items::Items;
use crate::matching::{Keys, Matching};
use crate::octets::Octets;

/// A string of the script: constant, or with variables to fill in.
#[derive(Clone, Debug)]
pub(crate) enum Text {
    Literal(Octets),
    Expand(Box<[Piece]>),
}

#[derive(Clone, Debug)]
pub(crate) enum Piece {
    Literal(Octets),
    /// `${1}`.
    Match(usize),
    /// A slot of the running script.
    Local(usize),
    /// `${global.name}` or a name declared by `global` (RFC 6609 §3.4), lower case.
    Global(String),
    /// `${env.name}` (vnd.dovecot.environment).
    Environment(String),
}

pub(crate) type List = Items<Text>;

/// Where `set` and its like store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Variable {
    Local(usize),
    Global(String),
}

#[derive(Debug)]
pub(crate) struct Program {
    pub(crate) instructions: Vec<Instruction>,
    /// In the order of the instructions that name them.
    pub(crate) tests: Vec<Test>,
    /// In the order of the instructions that name them.
    pub(crate) commands: Vec<Command>,
    /// Number of local variable slots.
    pub(crate) locals: usize,
    /// Whether `variables` was required, so that matches leave match variables.
    pub(crate) captures: bool,
    pub(crate) warnings: Vec<crate::Diagnostic>,
    pub(crate) required: crate::Capabilities,
    /// What `ihave` with a name only known at run time answers from.
    pub(crate) offered: crate::Capabilities,
}

#[derive(Debug)]
pub(crate) struct Instruction {
    pub(crate) line: u32,
    pub(crate) op: Op,
}

#[derive(Debug)]
pub(crate) enum Op {
    Jump(usize),
    JumpIfTrue(usize),
    JumpIfFalse(usize),
    /// Flips the result.
    Not,
    /// Sets the result.
    Constant(bool),
    /// The one of this number sets the result.
    Test(usize),
    /// The one of this number.
    Run(usize),
    /// Ends all scripts.
    Stop,
    /// Ends this script (RFC 6609 §3.3).
    Return,
    /// Begins a loop over the parts below the current one (RFC 5703 §3).
    EnterParts,
    /// Moves to the next part, or ends the loop and jumps.
    NextPart(usize),
    /// Ends this many loops, then jumps.
    Break(usize, usize),
    /// Begins a `test` of a test suite that ends at the instruction given.
    BeginCase(Box<Text>, usize),
    EndCase,
}

/// `:index N` with `:last` (RFC 5260 §6).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Index {
    pub(crate) number: usize,
    pub(crate) last: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AddressPart {
    All,
    LocalPart,
    Domain,
    User,
    Detail,
}

/// `:mime` and its options (RFC 5703 §4).
#[derive(Debug)]
pub(crate) struct Mime {
    pub(crate) any_child: bool,
    pub(crate) of: MimeOf,
}

#[derive(Debug)]
pub(crate) enum MimeOf {
    Whole,
    Type,
    Subtype,
    ContentType,
    Parameters(List),
}

#[derive(Debug)]
pub(crate) enum Transform {
    Raw,
    Content(List),
    Text,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DatePart {
    Year,
    Month,
    Day,
    Date,
    Julian,
    Hour,
    Minute,
    Second,
    Time,
    Iso8601,
    Std11,
    Zone,
    Weekday,
}

#[derive(Debug)]
pub(crate) enum Zone {
    Local,
    Original,
    /// Minutes east of UTC.
    Offset(i32),
    /// Only known when the script runs.
    Dynamic(Text),
}

#[derive(Debug)]
pub(crate) enum UniqueId {
    MessageId,
    Header(Text),
    Value(Text),
}

#[derive(Debug)]
pub(crate) enum Test {
    Header {
        names: List,
        keys: Keys,
        matching: Matching,
        index: Option<Index>,
        mime: Option<Mime>,
    },
    Address {
        names: List,
        keys: Keys,
        matching: Matching,
        part: AddressPart,
        index: Option<Index>,
        mime: Option<Mime>,
    },
    Envelope {
        parts: List,
        keys: Keys,
        matching: Matching,
        part: AddressPart,
        /// Of `bytimeabsolute` (RFC 6009 §5).
        zone: Zone,
    },
    Exists {
        names: List,
        mime: Option<Mime>,
    },
    Size {
        over: bool,
        limit: u64,
    },
    Body {
        transform: Transform,
        keys: Keys,
        matching: Matching,
    },
    Date {
        header: Text,
        zone: Zone,
        part: DatePart,
        keys: Keys,
        matching: Matching,
        index: Option<Index>,
    },
    CurrentDate {
        zone: Zone,
        part: DatePart,
        keys: Keys,
        matching: Matching,
    },
    Environment {
        name: Text,
        keys: Keys,
        matching: Matching,
    },
    Text {
        sources: List,
        keys: Keys,
        matching: Matching,
    },
    HasFlag {
        variables: Option<Vec<Variable>>,
        keys: Keys,
        matching: Matching,
    },
    MailboxExists(List),
    MailboxIdExists(List),
    SpecialUseExists {
        mailbox: Option<Text>,
        attributes: List,
    },
    Metadata {
        mailbox: Option<Text>,
        annotation: Text,
        keys: Keys,
        matching: Matching,
    },
    MetadataExists {
        mailbox: Option<Text>,
        annotations: List,
    },
    ValidNotifyMethod(List),
    NotifyMethodCapability {
        uri: Text,
        capability: Text,
        keys: Keys,
        matching: Matching,
    },
    Duplicate {
        handle: Option<Text>,
        id: UniqueId,
        seconds: Option<u64>,
        last: bool,
    },
    ValidExtList(List),
    Scanner {
        virus: bool,
        percent: bool,
        keys: Keys,
        matching: Matching,
    },
    Program(RunProgram),
    Convert(Convert),
    /// `ihave` whose names are only known now.
    IHave(List),
    Suite(SuiteTest),
}

#[derive(Debug)]
pub(crate) struct RunProgram {
    pub(crate) kind: crate::ProgramKind,
    pub(crate) name: Text,
    pub(crate) arguments: List,
    pub(crate) input: ProgramInput,
    pub(crate) output: Option<Variable>,
    pub(crate) copy: bool,
    pub(crate) try_: bool,
}

#[derive(Debug)]
pub(crate) enum ProgramInput {
    None,
    Message,
    Text(Text),
}

/// Where a copy or the message itself is put.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) mailbox: Text,
    pub(crate) flags: Option<List>,
    pub(crate) create: bool,
    pub(crate) mailbox_id: Option<Text>,
    pub(crate) special_use: Option<Text>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Modifier {
    Lower,
    Upper,
    LowerFirst,
    UpperFirst,
    QuoteWildcard,
    QuoteRegex,
    EncodeUrl,
    Length,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FlagChange {
    Set,
    Add,
    Remove,
}

#[derive(Debug)]
pub(crate) enum Command {
    Keep {
        flags: Option<List>,
    },
    Discard,
    FileInto {
        target: Target,
        copy: bool,
    },
    Redirect(Box<Redirect>),
    Reject {
        reason: Text,
        extended: bool,
    },
    Vacation(Box<Vacation>),
    Set {
        variable: Variable,
        value: Text,
        modifiers: Vec<Modifier>,
    },
    Flags {
        change: FlagChange,
        variable: Option<Variable>,
        flags: List,
    },
    Notify(Box<Notify>),
    AddHeader {
        name: Text,
        value: Text,
        last: bool,
    },
    DeleteHeader {
        name: Text,
        keys: Option<Keys>,
        matching: Matching,
        index: Option<Index>,
    },
    Include {
        name: Text,
        global: bool,
        once: bool,
        optional: bool,
    },
    ExtractText {
        variable: Variable,
        modifiers: Vec<Modifier>,
        first: Option<usize>,
    },
    Replace {
        mime: bool,
        subject: Option<Text>,
        from: Option<Text>,
        body: Text,
    },
    Enclose {
        subject: Option<Text>,
        headers: List,
        body: Text,
    },
    Convert(Convert),
    Calendar(Box<Calendar>),
    Report(Box<Report>),
    Error(Text),
    Debug(Text),
    Program(RunProgram),
    Suite(SuiteCommand),
}

#[derive(Debug)]
pub(crate) struct Redirect {
    pub(crate) address: Text,
    pub(crate) copy: bool,
    pub(crate) list: bool,
    pub(crate) notify: Option<Text>,
    pub(crate) ret: Option<Text>,
    pub(crate) by_time: Option<ByTime>,
    pub(crate) by_mode: Option<Text>,
    pub(crate) by_trace: bool,
}

#[derive(Debug)]
pub(crate) enum ByTime {
    Relative(u64),
    Absolute(Text),
}

#[derive(Debug)]
pub(crate) struct Vacation {
    /// Seconds between answers; `None` is the host's default.
    pub(crate) seconds: Option<u64>,
    pub(crate) subject: Option<Text>,
    pub(crate) from: Option<Text>,
    pub(crate) addresses: List,
    pub(crate) mime: bool,
    pub(crate) handle: Option<Text>,
    pub(crate) reason: Text,
    pub(crate) fcc: Option<Target>,
}

#[derive(Debug)]
pub(crate) struct Notify {
    pub(crate) from: Option<Text>,
    pub(crate) importance: u8,
    pub(crate) options: List,
    pub(crate) message: Option<Text>,
    pub(crate) method: Text,
    pub(crate) fcc: Option<Target>,
}

#[derive(Debug)]
pub(crate) struct Convert {
    pub(crate) from: Text,
    pub(crate) to: Text,
    pub(crate) parameters: List,
}

#[derive(Debug)]
pub(crate) struct Calendar {
    pub(crate) allow_public: bool,
    pub(crate) addresses: List,
    pub(crate) updates_only: bool,
    pub(crate) calendar_id: Option<Text>,
    pub(crate) delete_cancelled: bool,
    pub(crate) organizers: Option<Text>,
    pub(crate) outcome: Option<Variable>,
    pub(crate) reason: Option<Variable>,
}

#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) headers_only: bool,
    pub(crate) feedback_type: Text,
    pub(crate) message: Text,
    pub(crate) address: Text,
}

#[derive(Debug)]
pub(crate) enum SuiteTest {
    Compile(Text),
    Run {
        append: bool,
    },
    MultiScript(List),
    Execute,
    MessageFromFolder {
        folder: Text,
        index: usize,
    },
    MessageFromMail {
        index: usize,
    },
    Action {
        index: Option<Index>,
        keys: Keys,
        matching: Matching,
    },
    Error {
        index: Option<Index>,
        keys: Keys,
        matching: Matching,
    },
}

#[derive(Debug)]
pub(crate) enum SuiteCommand {
    Set {
        field: Text,
        value: Text,
    },
    Fail(Text),
    MessageFromFolder {
        folder: Text,
        index: usize,
    },
    MessageFromMail {
        index: usize,
    },
    ResultReset,
    ResultPrint,
    MessagePrint,
    ConfigSet {
        name: Text,
        value: Option<Text>,
    },
    ConfigReload(Option<Text>),
    MailboxCreate(Text),
    MailboxDelete(Text),
    BinarySave(Text),
    BinaryLoad(Text),
    MetadataSet {
        mailbox: Option<Text>,
        annotation: Text,
        value: Text,
    },
}
