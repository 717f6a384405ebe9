//! What each command and test takes: one table row each, so that all argument faults are found in one place.

use std::sync::LazyLock;

use crate::Capabilities;
use crate::few::NameIndex;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    /// A string or a list of them.
    List,
    Number,
}

impl Kind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Text => "a string",
            Self::List => "a string list",
            Self::Number => "a number",
        }
    }
}

pub(super) struct Tag {
    pub(super) name: &'static str,
    pub(super) value: Option<Kind>,
    /// Required capability; empty for none of its own.
    pub(super) capability: &'static str,
    pub(super) group: Group,
    pub(super) mark: u64,
}

/// A bit for some names of tags, without regard to case.
#[inline]
pub(super) const fn mark(tag: &str) -> u64 {
    let octets = tag.as_bytes();
    match (octets.first(), octets.last()) {
        (Some(first), Some(last)) => {
            1 << ((octets.len() as u64 * 5 + (*first | 0x20) as u64 * 3 + (*last | 0x20) as u64)
                & 63)
        }
        _ => 1,
    }
}

/// Tags of one group exclude each other; without a group a tag excludes only itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Group {
    None,
    MatchType,
    AddressPart,
    MimeOption,
    BodyTransform,
    TimeZone,
    SizeRelation,
    MailboxChoice,
    LetterCaseModifier,
    FirstLetterModifier,
    QuotingModifier,
    UrlModifier,
    LengthModifier,
    ProgramInput,
    MessageSource,
    ByTime,
    VacationInterval,
    Location,
    CalendarChoice,
    UniqueId,
}

impl Group {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::None => "tag",
            Self::MatchType => "match type",
            Self::AddressPart => "address part",
            Self::MimeOption => "mime option",
            Self::BodyTransform => "body transform",
            Self::TimeZone => "time zone",
            Self::SizeRelation => "size relation",
            Self::MailboxChoice => "mailbox choice",
            Self::LetterCaseModifier => "letter case modifier",
            Self::FirstLetterModifier => "first letter modifier",
            Self::QuotingModifier => "quoting modifier",
            Self::UrlModifier => "URL modifier",
            Self::LengthModifier => "length modifier",
            Self::ProgramInput => "program input",
            Self::MessageSource => "message source",
            Self::ByTime => "by-time",
            Self::VacationInterval => "vacation interval",
            Self::Location => "location",
            Self::CalendarChoice => "calendar choice",
            Self::UniqueId => "unique id",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tests {
    None,
    One,
    Many,
}

pub(super) struct Signature {
    pub(super) name: &'static str,
    /// Any one of these must be required; empty for the base language.
    pub(super) capabilities: &'static [&'static str],
    /// The same as a set.
    pub(super) needs: Capabilities,
    pub(super) tags: &'static [&'static [Tag]],
    pub(super) positional: &'static [Kind],
    /// How many of the positional arguments, from the front, may be left out.
    pub(super) optional: usize,
    /// They are left out at the back instead.
    pub(super) at_back: bool,
    pub(super) tests: Tests,
    pub(super) block: bool,
    /// It has a say in which instructions run, and is made by hand.
    pub(super) structural: bool,
    /// What follows in its block is never reached.
    pub(super) ends: bool,
}

impl Signature {
    /// What it knows of a tag.
    pub(super) fn tag(&self, name: &str) -> Option<&'static Tag> {
        for group in self.tags {
            for known in *group {
                if known.name.eq_ignore_ascii_case(name) {
                    return Some(known);
                }
            }
        }
        None
    }
}

const fn flag(name: &'static str, capability: &'static str) -> Tag {
    grouped(name, None, capability, Group::None)
}

const fn valued(name: &'static str, value: Kind, capability: &'static str) -> Tag {
    grouped(name, Some(value), capability, Group::None)
}

const fn grouped(
    name: &'static str,
    value: Option<Kind>,
    capability: &'static str,
    group: Group,
) -> Tag {
    Tag {
        name,
        value,
        capability,
        group,
        mark: mark(name),
    }
}

use Kind::{List, Number, Text};

const MATCH: &[Tag] = &[
    grouped("is", None, "", Group::MatchType),
    grouped("contains", None, "", Group::MatchType),
    grouped("matches", None, "", Group::MatchType),
    grouped("count", Some(Text), "relational", Group::MatchType),
    grouped("value", Some(Text), "relational", Group::MatchType),
    grouped("regex", None, "regex", Group::MatchType),
    grouped("list", None, "extlists", Group::MatchType),
    valued("comparator", Text, ""),
];

const ADDRESS: &[Tag] = &[
    grouped("all", None, "", Group::AddressPart),
    grouped("localpart", None, "", Group::AddressPart),
    grouped("domain", None, "", Group::AddressPart),
    grouped("user", None, "subaddress", Group::AddressPart),
    grouped("detail", None, "subaddress", Group::AddressPart),
];

const INDEX: &[Tag] = &[valued("index", Number, "index"), flag("last", "index")];

const MIME: &[Tag] = &[flag("mime", "mime"), flag("anychild", "mime")];

const MIME_OPTIONS: &[Tag] = &[
    grouped("type", None, "mime", Group::MimeOption),
    grouped("subtype", None, "mime", Group::MimeOption),
    grouped("contenttype", None, "mime", Group::MimeOption),
    grouped("param", Some(List), "mime", Group::MimeOption),
];

const BODY: &[Tag] = &[
    grouped("raw", None, "", Group::BodyTransform),
    grouped("content", Some(List), "", Group::BodyTransform),
    grouped("text", None, "", Group::BodyTransform),
];

const ZONE: &[Tag] = &[
    grouped("zone", Some(Text), "", Group::TimeZone),
    grouped("originalzone", None, "", Group::TimeZone),
];

const CURRENT_ZONE: &[Tag] = &[valued("zone", Text, "")];

const SIZE: &[Tag] = &[
    grouped("over", None, "", Group::SizeRelation),
    grouped("under", None, "", Group::SizeRelation),
];

const TARGET: &[Tag] = &[
    valued("flags", List, "imap4flags"),
    flag("create", "mailbox"),
    grouped("mailboxid", Some(Text), "mailboxid", Group::MailboxChoice),
    grouped(
        "specialuse",
        Some(Text),
        "special-use",
        Group::MailboxChoice,
    ),
];

const FCC: &[Tag] = &[valued("fcc", Text, "fcc")];

const COPY: &[Tag] = &[flag("copy", "copy")];

const MODIFIERS: &[Tag] = &[
    grouped("lower", None, "variables", Group::LetterCaseModifier),
    grouped("upper", None, "variables", Group::LetterCaseModifier),
    grouped("lowerfirst", None, "variables", Group::FirstLetterModifier),
    grouped("upperfirst", None, "variables", Group::FirstLetterModifier),
    grouped("quotewildcard", None, "variables", Group::QuotingModifier),
    grouped("quoteregex", None, "regex", Group::QuotingModifier),
    grouped("encodeurl", None, "enotify", Group::UrlModifier),
    grouped("length", None, "variables", Group::LengthModifier),
];

const PROGRAM_INPUT: &[Tag] = &[
    grouped("input", Some(Text), "", Group::ProgramInput),
    grouped("pipe", None, "", Group::ProgramInput),
    valued("output", Text, "variables"),
];

/// A command or test with neither tests nor block.
const fn plain(
    name: &'static str,
    capabilities: &'static [&'static str],
    tags: &'static [&'static [Tag]],
    positional: &'static [Kind],
) -> Signature {
    Signature {
        name,
        capabilities,
        needs: Capabilities::of(capabilities),
        tags,
        positional,
        optional: 0,
        at_back: false,
        tests: Tests::None,
        block: false,
        structural: false,
        ends: false,
    }
}

const fn structural(signature: Signature) -> Signature {
    Signature {
        structural: true,
        ..signature
    }
}

const fn ending(signature: Signature) -> Signature {
    Signature {
        ends: true,
        ..signature
    }
}

const fn optional(count: usize, signature: Signature) -> Signature {
    Signature {
        optional: count,
        ..signature
    }
}

const fn optional_at_back(count: usize, signature: Signature) -> Signature {
    Signature {
        optional: count,
        at_back: true,
        ..signature
    }
}

const fn control(
    name: &'static str,
    capabilities: &'static [&'static str],
    tests: Tests,
    block: bool,
) -> Signature {
    Signature {
        name,
        capabilities,
        needs: Capabilities::of(capabilities),
        tags: &[],
        positional: &[],
        optional: 0,
        at_back: false,
        tests,
        block,
        structural: true,
        ends: false,
    }
}

/// An action and a test (RFC 6558 §2.2).
const CONVERT: Signature = plain("convert", &["convert"], &[], &[Text, Text, List]);

/// `test_message` looks and moves; as a test it tells whether there is one.
const TEST_MESSAGE: Signature = plain(
    "test_message",
    SUITE,
    &[&[
        grouped("smtp", None, "", Group::MessageSource),
        grouped("folder", Some(Text), "", Group::MessageSource),
    ]],
    &[Number],
);

const SUITE: &[&str] = &["vnd.dovecot.testsuite"];

const IF: Signature = control("if", &[], Tests::One, true);
const ELSIF: Signature = control("elsif", &[], Tests::One, true);
const ELSE: Signature = control("else", &[], Tests::None, true);

/// Of `if`, `elsif` and `else`, each of which is the most frequent command of its scripts.
pub(super) fn of_branch(name: &str) -> &'static Signature {
    const BRANCHES: &[Signature; 3] = &[IF, ELSIF, ELSE];
    let [first, elsif, last] = BRANCHES;
    match name.len() {
        2 => first,
        4 => last,
        _ => elsif,
    }
}

const COMMAND_ROWS: &[Signature] = &[
    structural(plain("require", &[], &[], &[List])),
    IF,
    ELSIF,
    ELSE,
    ending(structural(plain("stop", &[], &[], &[]))),
    plain("keep", &[], &[&[valued("flags", List, "imap4flags")]], &[]),
    plain("discard", &[], &[], &[]),
    plain("fileinto", &["fileinto"], &[COPY, TARGET], &[Text]),
    plain(
        "redirect",
        &[],
        &[
            COPY,
            &[
                flag("list", "extlists"),
                valued("notify", Text, "redirect-dsn"),
                valued("ret", Text, "redirect-dsn"),
                grouped(
                    "bytimerelative",
                    Some(Number),
                    "redirect-deliverby",
                    Group::ByTime,
                ),
                grouped(
                    "bytimeabsolute",
                    Some(Text),
                    "redirect-deliverby",
                    Group::ByTime,
                ),
                valued("bymode", Text, "redirect-deliverby"),
                flag("bytrace", "redirect-deliverby"),
            ],
        ],
        &[Text],
    ),
    plain("reject", &["reject"], &[], &[Text]),
    plain("ereject", &["ereject"], &[], &[Text]),
    plain(
        "vacation",
        &["vacation"],
        &[
            &[
                grouped("days", Some(Number), "", Group::VacationInterval),
                grouped(
                    "seconds",
                    Some(Number),
                    "vacation-seconds",
                    Group::VacationInterval,
                ),
                valued("subject", Text, ""),
                valued("from", Text, ""),
                valued("addresses", List, ""),
                flag("mime", ""),
                valued("handle", Text, ""),
            ],
            FCC,
            TARGET,
        ],
        &[Text],
    ),
    plain("set", &["variables"], &[MODIFIERS], &[Text, Text]),
    optional(1, plain("setflag", &["imap4flags"], &[], &[Text, List])),
    optional(1, plain("addflag", &["imap4flags"], &[], &[Text, List])),
    optional(1, plain("removeflag", &["imap4flags"], &[], &[Text, List])),
    plain(
        "notify",
        &["enotify"],
        &[
            &[
                valued("from", Text, ""),
                valued("importance", Text, ""),
                valued("options", List, ""),
                valued("message", Text, ""),
            ],
            FCC,
            TARGET,
        ],
        &[Text],
    ),
    plain(
        "addheader",
        &["editheader"],
        &[&[flag("last", "")]],
        &[Text, Text],
    ),
    optional_at_back(
        1,
        plain(
            "deleteheader",
            &["editheader"],
            &[MATCH, &[valued("index", Number, ""), flag("last", "")]],
            &[Text, List],
        ),
    ),
    plain(
        "include",
        &["include"],
        &[&[
            grouped("personal", None, "", Group::Location),
            grouped("global", None, "", Group::Location),
            flag("once", ""),
            flag("optional", ""),
        ]],
        &[Text],
    ),
    ending(structural(plain("return", &["include"], &[], &[]))),
    structural(plain("global", &["include"], &[], &[List])),
    Signature {
        tags: &[&[valued("name", Text, "")]],
        ..control("foreverypart", &["foreverypart"], Tests::None, true)
    },
    ending(structural(plain(
        "break",
        &["foreverypart"],
        &[&[valued("name", Text, "")]],
        &[],
    ))),
    plain(
        "extracttext",
        &["extracttext"],
        &[MODIFIERS, &[valued("first", Number, "")]],
        &[Text],
    ),
    plain(
        "replace",
        &["replace"],
        &[&[
            flag("mime", ""),
            valued("subject", Text, ""),
            valued("from", Text, ""),
        ]],
        &[Text],
    ),
    plain(
        "enclose",
        &["enclose"],
        &[&[valued("subject", Text, ""), valued("headers", List, "")]],
        &[Text],
    ),
    CONVERT,
    plain(
        "processcalendar",
        &["processcalendar"],
        &[&[
            flag("allowpublic", ""),
            valued("addresses", List, ""),
            grouped("updatesonly", None, "", Group::CalendarChoice),
            grouped("calendarid", Some(Text), "", Group::CalendarChoice),
            flag("deletecancelled", ""),
            valued("organizers", Text, "extlists"),
            valued("outcome", Text, "variables"),
            valued("reason", Text, "variables"),
        ]],
        &[],
    ),
    plain(
        "report",
        &["vnd.dovecot.report"],
        &[&[flag("headers_only", "")]],
        &[Text, Text, Text],
    ),
    ending(plain("error", &["ihave"], &[], &[Text])),
    plain("debug_log", &["vnd.dovecot.debug"], &[], &[Text]),
    optional_at_back(
        1,
        plain(
            "pipe",
            &["vnd.dovecot.pipe"],
            &[COPY, &[flag("try", "")]],
            &[Text, List],
        ),
    ),
    optional_at_back(
        1,
        plain("filter", &["vnd.dovecot.filter"], &[], &[Text, List]),
    ),
    optional_at_back(
        1,
        plain(
            "execute",
            &["vnd.dovecot.execute"],
            &[PROGRAM_INPUT],
            &[Text, List],
        ),
    ),
    Signature {
        positional: &[Text],
        ..control("test", SUITE, Tests::None, true)
    },
    plain("test_set", SUITE, &[], &[Text, Text]),
    plain("test_fail", SUITE, &[], &[Text]),
    TEST_MESSAGE,
    plain("test_message_print", SUITE, &[], &[]),
    plain("test_result_reset", SUITE, &[], &[]),
    plain("test_result_print", SUITE, &[], &[]),
    plain("test_config_set", SUITE, &[], &[Text, Text]),
    plain("test_config_unset", SUITE, &[], &[Text]),
    plain(
        "test_config_reload",
        SUITE,
        &[&[valued("extension", Text, "")]],
        &[],
    ),
    plain("test_mailbox_create", SUITE, &[], &[Text]),
    plain("test_mailbox_delete", SUITE, &[], &[Text]),
    plain("test_binary_save", SUITE, &[], &[Text]),
    plain("test_binary_load", SUITE, &[], &[Text]),
    plain(
        "test_imap_metadata_set",
        SUITE,
        &[&[valued("mailbox", Text, "")]],
        &[Text, Text],
    ),
];

const TEST_ROWS: &[Signature] = &[
    structural(plain("true", &[], &[], &[])),
    structural(plain("false", &[], &[], &[])),
    control("not", &[], Tests::One, false),
    control("allof", &[], Tests::Many, false),
    control("anyof", &[], Tests::Many, false),
    plain(
        "header",
        &[],
        &[MATCH, INDEX, MIME, MIME_OPTIONS],
        &[List, List],
    ),
    plain(
        "address",
        &[],
        &[MATCH, ADDRESS, INDEX, MIME],
        &[List, List],
    ),
    plain(
        "envelope",
        &["envelope"],
        &[
            MATCH,
            ADDRESS,
            &[valued("zone", Text, "envelope-deliverby")],
        ],
        &[List, List],
    ),
    plain("exists", &[], &[MIME], &[List]),
    plain("size", &[], &[SIZE], &[Number]),
    plain("body", &["body"], &[MATCH, BODY], &[List]),
    plain(
        "date",
        &["date"],
        &[MATCH, ZONE, INDEX],
        &[Text, Text, List],
    ),
    plain(
        "currentdate",
        &["date"],
        &[MATCH, CURRENT_ZONE],
        &[Text, List],
    ),
    plain("environment", &["environment"], &[MATCH], &[Text, List]),
    plain("string", &["variables"], &[MATCH], &[List, List]),
    optional(
        1,
        plain("hasflag", &["imap4flags"], &[MATCH], &[List, List]),
    ),
    structural(plain("ihave", &["ihave"], &[], &[List])),
    plain("mailboxexists", &["mailbox"], &[], &[List]),
    plain("mailboxidexists", &["mailboxid"], &[], &[List]),
    optional(
        1,
        plain("specialuse_exists", &["special-use"], &[], &[Text, List]),
    ),
    plain("metadata", &["mboxmetadata"], &[MATCH], &[Text, Text, List]),
    plain("metadataexists", &["mboxmetadata"], &[], &[Text, List]),
    plain(
        "servermetadata",
        &["servermetadata"],
        &[MATCH],
        &[Text, List],
    ),
    plain("servermetadataexists", &["servermetadata"], &[], &[List]),
    plain("valid_notify_method", &["enotify"], &[], &[List]),
    plain(
        "notify_method_capability",
        &["enotify"],
        &[MATCH],
        &[Text, Text, List],
    ),
    plain(
        "duplicate",
        &["duplicate"],
        &[&[
            valued("handle", Text, ""),
            grouped("header", Some(Text), "", Group::UniqueId),
            grouped("uniqueid", Some(Text), "", Group::UniqueId),
            valued("seconds", Number, ""),
            flag("last", ""),
        ]],
        &[],
    ),
    plain("valid_ext_list", &["extlists"], &[], &[List]),
    plain(
        "spamtest",
        &["spamtest", "spamtestplus"],
        &[MATCH, &[flag("percent", "spamtestplus")]],
        &[Text],
    ),
    plain("virustest", &["virustest"], &[MATCH], &[Text]),
    optional_at_back(
        1,
        plain(
            "execute",
            &["vnd.dovecot.execute"],
            &[PROGRAM_INPUT],
            &[Text, List],
        ),
    ),
    optional_at_back(
        1,
        plain("filter", &["vnd.dovecot.filter"], &[], &[Text, List]),
    ),
    CONVERT,
    TEST_MESSAGE,
    plain("test_script_compile", SUITE, &[], &[Text]),
    plain(
        "test_script_run",
        SUITE,
        &[&[flag("append_result", "")]],
        &[],
    ),
    plain("test_multiscript", SUITE, &[], &[List]),
    plain("test_result_execute", SUITE, &[], &[]),
    plain(
        "test_result_action",
        SUITE,
        &[MATCH, &[valued("index", Number, "")]],
        &[List],
    ),
    plain(
        "test_error",
        SUITE,
        &[MATCH, &[valued("index", Number, "")]],
        &[List],
    ),
];

/// A table with its index.
pub(super) struct Table {
    pub(super) rows: &'static [Signature],
    index: LazyLock<NameIndex>,
}

pub(super) static COMMANDS: Table = Table {
    rows: COMMAND_ROWS,
    index: LazyLock::new(|| NameIndex::new(COMMAND_ROWS.iter().map(|row| row.name))),
};

pub(super) static TESTS: Table = Table {
    rows: TEST_ROWS,
    index: LazyLock::new(|| NameIndex::new(TEST_ROWS.iter().map(|row| row.name))),
};

const _: () = assert!(
    COMMAND_ROWS.len() <= 100 && TEST_ROWS.len() <= 100,
    "the index holds a hundred names"
);

pub(super) fn find(table: &'static Table, name: &str) -> Option<&'static Signature> {
    let is = |at: usize| {
        table
            .rows
            .get(at)
            .is_some_and(|row| row.name == name || row.name.eq_ignore_ascii_case(name))
    };
    table.rows.get(table.index.find(name.as_bytes(), is)?)
}
