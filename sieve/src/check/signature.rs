//! What each command and test takes: one table row each, so that all argument faults are found in one place.

use std::sync::LazyLock;

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
    /// Tags of one group exclude each other; empty excludes only itself.
    pub(super) group: &'static str,
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
    pub(super) tags: &'static [&'static [Tag]],
    pub(super) positional: &'static [Kind],
    /// How many of the positional arguments, from the front, may be left out.
    pub(super) optional: usize,
    /// They are left out at the back instead.
    pub(super) at_back: bool,
    pub(super) tests: Tests,
    pub(super) block: bool,
}

const fn flag(name: &'static str, capability: &'static str) -> Tag {
    grouped(name, None, capability, "")
}

const fn valued(name: &'static str, value: Kind, capability: &'static str) -> Tag {
    grouped(name, Some(value), capability, "")
}

const fn grouped(
    name: &'static str,
    value: Option<Kind>,
    capability: &'static str,
    group: &'static str,
) -> Tag {
    Tag {
        name,
        value,
        capability,
        group,
    }
}

use Kind::{List, Number, Text};

const MATCH: &[Tag] = &[
    grouped("is", None, "", "match type"),
    grouped("contains", None, "", "match type"),
    grouped("matches", None, "", "match type"),
    grouped("count", Some(Text), "relational", "match type"),
    grouped("value", Some(Text), "relational", "match type"),
    grouped("regex", None, "regex", "match type"),
    grouped("list", None, "extlists", "match type"),
    valued("comparator", Text, ""),
];

const ADDRESS: &[Tag] = &[
    grouped("all", None, "", "address part"),
    grouped("localpart", None, "", "address part"),
    grouped("domain", None, "", "address part"),
    grouped("user", None, "subaddress", "address part"),
    grouped("detail", None, "subaddress", "address part"),
];

const INDEX: &[Tag] = &[valued("index", Number, "index"), flag("last", "index")];

const MIME: &[Tag] = &[flag("mime", "mime"), flag("anychild", "mime")];

const MIME_OPTIONS: &[Tag] = &[
    grouped("type", None, "mime", "mime option"),
    grouped("subtype", None, "mime", "mime option"),
    grouped("contenttype", None, "mime", "mime option"),
    grouped("param", Some(List), "mime", "mime option"),
];

const BODY: &[Tag] = &[
    grouped("raw", None, "", "body transform"),
    grouped("content", Some(List), "", "body transform"),
    grouped("text", None, "", "body transform"),
];

const ZONE: &[Tag] = &[
    grouped("zone", Some(Text), "", "time zone"),
    grouped("originalzone", None, "", "time zone"),
];

const CURRENT_ZONE: &[Tag] = &[valued("zone", Text, "")];

const SIZE: &[Tag] = &[
    grouped("over", None, "", "size relation"),
    grouped("under", None, "", "size relation"),
];

const TARGET: &[Tag] = &[
    valued("flags", List, "imap4flags"),
    flag("create", "mailbox"),
    grouped("mailboxid", Some(Text), "mailboxid", "mailbox choice"),
    grouped("specialuse", Some(Text), "special-use", "mailbox choice"),
];

const FCC: &[Tag] = &[valued("fcc", Text, "fcc")];

const COPY: &[Tag] = &[flag("copy", "copy")];

const MODIFIERS: &[Tag] = &[
    grouped("lower", None, "variables", "letter case modifier"),
    grouped("upper", None, "variables", "letter case modifier"),
    grouped("lowerfirst", None, "variables", "first letter modifier"),
    grouped("upperfirst", None, "variables", "first letter modifier"),
    grouped("quotewildcard", None, "variables", "quoting modifier"),
    grouped("quoteregex", None, "regex", "quoting modifier"),
    grouped("encodeurl", None, "enotify", "URL modifier"),
    grouped("length", None, "variables", "length modifier"),
];

const PROGRAM_INPUT: &[Tag] = &[
    grouped("input", Some(Text), "", "program input"),
    grouped("pipe", None, "", "program input"),
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
        tags,
        positional,
        optional: 0,
        at_back: false,
        tests: Tests::None,
        block: false,
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
        tags: &[],
        positional: &[],
        optional: 0,
        at_back: false,
        tests,
        block,
    }
}

/// An action and a test (RFC 6558 §2.2).
const CONVERT: Signature = plain("convert", &["convert"], &[], &[Text, Text, List]);

/// `test_message` looks and moves; as a test it tells whether there is one.
const TEST_MESSAGE: Signature = plain(
    "test_message",
    SUITE,
    &[&[
        grouped("smtp", None, "", "message source"),
        grouped("folder", Some(Text), "", "message source"),
    ]],
    &[Number],
);

const SUITE: &[&str] = &["vnd.dovecot.testsuite"];

const COMMAND_ROWS: &[Signature] = &[
    plain("require", &[], &[], &[List]),
    control("if", &[], Tests::One, true),
    control("elsif", &[], Tests::One, true),
    control("else", &[], Tests::None, true),
    plain("stop", &[], &[], &[]),
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
                    "by-time",
                ),
                grouped(
                    "bytimeabsolute",
                    Some(Text),
                    "redirect-deliverby",
                    "by-time",
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
                grouped("days", Some(Number), "", "vacation interval"),
                grouped(
                    "seconds",
                    Some(Number),
                    "vacation-seconds",
                    "vacation interval",
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
            grouped("personal", None, "", "location"),
            grouped("global", None, "", "location"),
            flag("once", ""),
            flag("optional", ""),
        ]],
        &[Text],
    ),
    plain("return", &["include"], &[], &[]),
    plain("global", &["include"], &[], &[List]),
    Signature {
        tags: &[&[valued("name", Text, "")]],
        ..control("foreverypart", &["foreverypart"], Tests::None, true)
    },
    plain(
        "break",
        &["foreverypart"],
        &[&[valued("name", Text, "")]],
        &[],
    ),
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
            grouped("updatesonly", None, "", "calendar choice"),
            grouped("calendarid", Some(Text), "", "calendar choice"),
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
    plain("error", &["ihave"], &[], &[Text]),
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
    plain("true", &[], &[], &[]),
    plain("false", &[], &[], &[]),
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
    plain("ihave", &["ihave"], &[], &[List]),
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
            grouped("header", Some(Text), "", "unique id"),
            grouped("uniqueid", Some(Text), "", "unique id"),
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
            .is_some_and(|row| row.name.eq_ignore_ascii_case(name))
    };
    table.rows.get(table.index.find(name, is)?)
}
