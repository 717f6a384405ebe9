//! Tests to instructions.

use super::bind::{Bound, number};
use super::{Checker, Known, literals, signature};
use crate::ProgramKind;
use crate::ast;
use crate::diagnostic::DiagnosticKind;
use crate::matching::{Comparator, Keys, MatchType, Matching, Pattern, Relation};
use crate::position::Span;
use crate::program::{
    AddressPart, DatePart, Index, List, Mime, MimeOf, Op, ProgramInput, RunProgram, SuiteTest,
    Test, Text, Transform, UniqueId, Zone,
};

/// Fields whose value is an address list (RFC 5228 §5.1 and the registry); others need not be.
const ADDRESS_FIELDS: &[&str] = &[
    "from",
    "to",
    "cc",
    "bcc",
    "sender",
    "reply-to",
    "resent-from",
    "resent-to",
    "resent-cc",
    "resent-bcc",
    "resent-sender",
    "resent-reply-to",
    "return-path",
    "errors-to",
    "delivered-to",
    "envelope-to",
    "disposition-notification-to",
    "original-recipient",
    "mail-followup-to",
    "mail-reply-to",
    "approved",
    "return-receipt-to",
    "apparently-to",
    "list-post",
    "author",
];

const UNKNOWN: Known = Known {
    value: None,
    by_ihave: false,
};

impl Checker<'_, '_> {
    /// Emits instructions that set the result.
    pub(super) fn test(&mut self, test: &ast::Test) -> Known {
        let Some(signature) = self.lookup(signature::TESTS, &test.name, "test") else {
            // The arguments may hold faults of their own.
            for inner in &test.tests {
                self.test(inner);
            }
            return UNKNOWN;
        };
        let Some(bound) = self.bind(
            signature,
            &test.name,
            &test.arguments,
            &test.tests,
            test.span,
        ) else {
            return UNKNOWN;
        };
        match bound.name {
            "true" | "false" => {
                let value = bound.name == "true";
                self.emit(test.span, Op::Constant(value));
                Known {
                    value: Some(value),
                    by_ihave: false,
                }
            }
            "not" => {
                let mut known = bound
                    .tests
                    .first()
                    .map_or(UNKNOWN, |inner| self.test(inner));
                self.emit(test.span, Op::Not);
                known.value = known.value.map(|value| !value);
                known
            }
            "allof" => self.junction(bound.tests, false),
            "anyof" => self.junction(bound.tests, true),
            "ihave" => self.ihave(&bound),
            _ => {
                if let Some(lowered) = self.lower_test(&bound) {
                    self.emit(test.span, Op::Test(Box::new(lowered)));
                }
                UNKNOWN
            }
        }
    }

    /// `allof` and `anyof`, left to right, ending at the first `stop` value.
    fn junction(&mut self, tests: &[ast::Test], stop: bool) -> Known {
        let mut ends = Vec::new();
        let mut known = Known {
            value: Some(!stop),
            by_ihave: false,
        };
        for (at, test) in tests.iter().enumerate() {
            let one = self.test(test);
            known.by_ihave |= one.by_ihave;
            match one.value {
                Some(value) if value == stop => {
                    known.value = Some(stop);
                    if one.by_ihave {
                        // What follows may use what is not there.
                        break;
                    }
                }
                Some(_) => {}
                None if known.value == Some(!stop) => known.value = None,
                None => {}
            }
            if at + 1 < tests.len() {
                let jump = if stop {
                    Op::JumpIfTrue(0)
                } else {
                    Op::JumpIfFalse(0)
                };
                ends.push(self.emit(test.span, jump));
            }
        }
        for end in ends {
            self.patch(end);
        }
        known
    }

    fn ihave(&mut self, bound: &Bound<'_>) -> Known {
        let Some(argument) = bound.at(0) else {
            return UNKNOWN;
        };
        let list = self.list(argument);
        let mut all = true;
        for text in &list {
            let Text::Literal(name) = text else {
                self.emit(bound.span, Op::Test(Box::new(Test::IHave(list.clone()))));
                return UNKNOWN;
            };
            all &= self.offered.contains(&String::from_utf8_lossy(name));
        }
        if all {
            for (name, _) in literals(argument) {
                self.enabled = self.enabled.with_implied(&String::from_utf8_lossy(name));
            }
        }
        self.emit(bound.span, Op::Constant(all));
        Known {
            value: Some(all),
            by_ihave: true,
        }
    }

    pub(super) fn matching(&mut self, bound: &Bound<'_>) -> Matching {
        let mut matching = Matching::default();
        if let Some(argument) = bound.tag("comparator") {
            let name = self
                .constant(argument, "the comparator")
                .unwrap_or_default();
            let shown = String::from_utf8_lossy(&name).into_owned();
            match Comparator::parse(&name) {
                Some(comparator) => {
                    matching.comparator = comparator;
                    let capability = format!("comparator-{shown}");
                    self.uses(&capability);
                    let always = matches!(comparator, Comparator::Octet | Comparator::AsciiCasemap);
                    if !always && !self.enabled.contains(&capability) {
                        self.sink.error_with(
                            DiagnosticKind::NotRequired,
                            argument.span,
                            format!("the comparator `{shown}` needs the capability `{capability}`"),
                            format!("add require \"{capability}\"; at the top"),
                        );
                    }
                }
                None => self.sink.error_with(
                    DiagnosticKind::Unknown,
                    argument.span,
                    format!("there is no comparator `{shown}`"),
                    "known are i;octet, i;ascii-casemap, i;ascii-numeric and i;unicode-casemap",
                ),
            }
        }
        let Some((name, span)) = bound.of_group("match type") else {
            return matching;
        };
        matching.kind = match name {
            "contains" => MatchType::Contains,
            "matches" => MatchType::Matches,
            "regex" => {
                self.uses("regex");
                MatchType::Regex
            }
            "list" => {
                self.uses("extlists");
                MatchType::List
            }
            "value" => MatchType::Value(self.relation(bound, name)),
            "count" => MatchType::Count(self.relation(bound, name)),
            _ => MatchType::Is,
        };
        let substrings = matches!(
            matching.kind,
            MatchType::Contains | MatchType::Matches | MatchType::Regex
        );
        if substrings && !matching.comparator.has_substrings() {
            self.sink.error_with(
                DiagnosticKind::Argument,
                span,
                format!("the comparator `i;ascii-numeric` cannot be used with `:{name}`"),
                "use it with :is, :value or :count",
            );
        }
        matching
    }

    fn relation(&mut self, bound: &Bound<'_>, tag: &str) -> Relation {
        self.uses("relational");
        let Some(argument) = bound.tag(tag) else {
            return Relation::Eq;
        };
        let name = self.constant(argument, "the relation").unwrap_or_default();
        Relation::parse(&name).unwrap_or_else(|| {
            self.sink.error_with(
                DiagnosticKind::Value,
                argument.span,
                format!("`{}` is no relation", String::from_utf8_lossy(&name)),
                "relations are gt, ge, lt, le, eq and ne",
            );
            Relation::Eq
        })
    }

    pub(super) fn keys(&mut self, argument: &ast::Argument, matching: Matching) -> Keys {
        let list = self.list(argument);
        let mut patterns = Vec::with_capacity(list.len());
        for (text, (_, span)) in list.iter().zip(literals(argument)) {
            let Text::Literal(octets) = text else {
                return Keys::Dynamic(list);
            };
            match Pattern::compile(matching, octets, self.limits.regex_size) {
                Ok(pattern) => patterns.push(pattern),
                Err(fault) => self.sink.error(
                    DiagnosticKind::Value,
                    span,
                    format!("this regular expression is not valid: {fault}"),
                ),
            }
        }
        Keys::Fixed(patterns.into())
    }

    fn address_part(&mut self, bound: &Bound<'_>) -> AddressPart {
        match bound.of_group("address part").map(|(name, _)| name) {
            Some("localpart") => AddressPart::LocalPart,
            Some("domain") => AddressPart::Domain,
            Some("user") => {
                self.uses("subaddress");
                AddressPart::User
            }
            Some("detail") => {
                self.uses("subaddress");
                AddressPart::Detail
            }
            _ => AddressPart::All,
        }
    }

    pub(super) fn index(&mut self, bound: &Bound<'_>) -> Option<Index> {
        let given = bound.number("index");
        let Some((value, span)) = given else {
            if let Some(span) = bound.tag_span("last") {
                self.sink.error(
                    DiagnosticKind::Argument,
                    span,
                    "`:last` is only used together with `:index`",
                );
            }
            return None;
        };
        self.uses("index");
        if value == 0 {
            self.sink
                .error(DiagnosticKind::Value, span, "`:index` counts from one");
        }
        Some(Index {
            number: usize::try_from(value).unwrap_or(usize::MAX),
            last: bound.has("last"),
        })
    }

    fn mime(&mut self, bound: &Bound<'_>) -> Option<Mime> {
        let option = bound.of_group("mime option");
        if !bound.has("mime") {
            if let Some((name, span)) =
                option.or(bound.tag_span("anychild").map(|span| ("anychild", span)))
            {
                self.sink.error(
                    DiagnosticKind::Argument,
                    span,
                    format!("`:{name}` is only used together with `:mime`"),
                );
            }
            return None;
        }
        self.uses("mime");
        Some(Mime {
            any_child: bound.has("anychild"),
            of: match option.map(|(name, _)| name) {
                Some("type") => MimeOf::Type,
                Some("subtype") => MimeOf::Subtype,
                Some("contenttype") => MimeOf::ContentType,
                Some("param") => MimeOf::Parameters(self.tag_list(bound, "param")),
                _ => MimeOf::Whole,
            },
        })
    }

    pub(super) fn tag_list(&mut self, bound: &Bound<'_>, tag: &str) -> List {
        bound
            .tag(tag)
            .map(|argument| self.list(argument))
            .unwrap_or_default()
    }

    pub(super) fn tag_text(&mut self, bound: &Bound<'_>, tag: &str) -> Option<Text> {
        bound.tag(tag).map(|argument| self.text(argument))
    }

    fn zone(&mut self, bound: &Bound<'_>) -> Zone {
        if bound.has("originalzone") {
            return Zone::Original;
        }
        let Some(argument) = bound.tag("zone") else {
            return Zone::Local;
        };
        match self.text(argument) {
            Text::Literal(octets) => match parse_zone(&octets) {
                Some(minutes) => Zone::Offset(minutes),
                None => {
                    self.sink.error_with(
                        DiagnosticKind::Value,
                        argument.span,
                        format!(
                            "`{}` is no time zone offset",
                            String::from_utf8_lossy(&octets)
                        ),
                        "an offset is written like +0100 or -0530",
                    );
                    Zone::Local
                }
            },
            text @ Text::Expand(_) => Zone::Dynamic(text),
        }
    }

    fn date_part(&mut self, argument: &ast::Argument) -> DatePart {
        let name = self.constant(argument, "the date part").unwrap_or_default();
        parse_date_part(&name.to_ascii_lowercase()).unwrap_or_else(|| {
            self.sink.error_with(
                DiagnosticKind::Value,
                argument.span,
                format!("there is no date part `{}`", String::from_utf8_lossy(&name)),
                "date parts are year, month, day, date, julian, hour, minute, second, time, iso8601, std11, zone and \
                 weekday",
            );
            DatePart::Date
        })
    }

    /// Header names that are constant are looked at.
    fn names(&mut self, argument: &ast::Argument, addresses: bool) -> List {
        let list = self.list(argument);
        for (text, (_, span)) in list.iter().zip(literals(argument)) {
            self.header_name(text, span);
            let Text::Literal(name) = text else { continue };
            let lower = String::from_utf8_lossy(name).to_ascii_lowercase();
            if addresses && !ADDRESS_FIELDS.contains(&lower.as_str()) && !lower.starts_with("x-") {
                self.sink.error_with(
                    DiagnosticKind::Value,
                    span,
                    format!(
                        "the field `{}` holds no addresses",
                        String::from_utf8_lossy(name)
                    ),
                    "use the header test for it",
                );
            }
        }
        list
    }

    fn envelope_parts(&mut self, argument: &ast::Argument) -> List {
        let list = self.list(argument);
        for (text, (_, span)) in list.iter().zip(literals(argument)) {
            let Text::Literal(name) = text else { continue };
            let name = String::from_utf8_lossy(name).to_ascii_lowercase();
            let capability = match name.as_str() {
                "from" | "to" | "auth" | "orig_to" => continue,
                "notify" | "orcpt" | "ret" | "envid" => "envelope-dsn",
                "bytimeabsolute" | "bytimerelative" | "bymode" | "bytrace" => "envelope-deliverby",
                _ => {
                    self.sink.error_with(
                        DiagnosticKind::Value,
                        span,
                        format!("the envelope has no part `{name}`"),
                        "parts are from and to",
                    );
                    continue;
                }
            };
            if !self.enabled.contains(capability) {
                self.sink.error_with(
                    DiagnosticKind::NotRequired,
                    span,
                    format!("the envelope part `{name}` needs the capability `{capability}`"),
                    format!("add require \"{capability}\"; at the top"),
                );
            }
        }
        list
    }

    fn lower_test(&mut self, bound: &Bound<'_>) -> Option<Test> {
        let at = |index: usize| bound.at(index);
        Some(match bound.name {
            "header" => {
                let matching = self.matching(bound);
                Test::Header {
                    names: self.names(at(0)?, false),
                    keys: self.keys(at(1)?, matching),
                    matching,
                    index: self.index(bound),
                    mime: self.mime(bound),
                }
            }
            "address" => {
                let matching = self.matching(bound);
                Test::Address {
                    names: self.names(at(0)?, true),
                    keys: self.keys(at(1)?, matching),
                    matching,
                    part: self.address_part(bound),
                    index: self.index(bound),
                    mime: self.mime(bound),
                }
            }
            "envelope" => {
                let matching = self.matching(bound);
                Test::Envelope {
                    parts: self.envelope_parts(at(0)?),
                    keys: self.keys(at(1)?, matching),
                    matching,
                    part: self.address_part(bound),
                }
            }
            "exists" => Test::Exists {
                names: self.names(at(0)?, false),
                mime: self.mime(bound),
            },
            "size" => {
                if bound.of_group("size relation").is_none() {
                    self.sink.error(
                        DiagnosticKind::Argument,
                        bound.span,
                        "`size` needs `:over` or `:under`",
                    );
                }
                Test::Size {
                    over: bound.has("over"),
                    limit: number(at(0)?)?.0,
                }
            }
            "body" => {
                let matching = self.matching(bound);
                let transform = match bound.of_group("body transform").map(|(name, _)| name) {
                    Some("raw") => Transform::Raw,
                    Some("content") => Transform::Content(self.tag_list(bound, "content")),
                    _ => Transform::Text,
                };
                Test::Body {
                    transform,
                    keys: self.keys(at(0)?, matching),
                    matching,
                }
            }
            "date" => {
                let matching = self.matching(bound);
                let header = self.text(at(0)?);
                self.header_name(&header, at(0)?.span);
                Test::Date {
                    header,
                    zone: self.zone(bound),
                    part: self.date_part(at(1)?),
                    keys: self.keys(at(2)?, matching),
                    matching,
                    index: self.index(bound),
                }
            }
            "currentdate" => {
                let matching = self.matching(bound);
                Test::CurrentDate {
                    zone: self.zone(bound),
                    part: self.date_part(at(0)?),
                    keys: self.keys(at(1)?, matching),
                    matching,
                }
            }
            "environment" => {
                let matching = self.matching(bound);
                Test::Environment {
                    name: self.text(at(0)?),
                    keys: self.keys(at(1)?, matching),
                    matching,
                }
            }
            "string" => {
                let matching = self.matching(bound);
                Test::Text {
                    sources: self.list(at(0)?),
                    keys: self.keys(at(1)?, matching),
                    matching,
                }
            }
            "hasflag" => {
                let matching = self.matching(bound);
                let mut variables = None;
                if let Some(argument) = at(0) {
                    self.flag_variables(argument.span);
                    let names: Vec<(Vec<u8>, Span)> = literals(argument)
                        .map(|(name, span)| (name.to_vec(), span))
                        .collect();
                    let found = names
                        .iter()
                        .filter_map(|(name, span)| self.variable_from(name, *span));
                    variables = Some(found.collect());
                }
                Test::HasFlag {
                    variables,
                    keys: self.keys(at(1)?, matching),
                    matching,
                }
            }
            "mailboxexists" => Test::MailboxExists(self.list(at(0)?)),
            "mailboxidexists" => Test::MailboxIdExists(self.list(at(0)?)),
            "specialuse_exists" => Test::SpecialUseExists {
                mailbox: at(0).map(|argument| self.text(argument)),
                attributes: self.list(at(1)?),
            },
            "metadata" => {
                let matching = self.matching(bound);
                Test::Metadata {
                    mailbox: Some(self.text(at(0)?)),
                    annotation: self.text(at(1)?),
                    keys: self.keys(at(2)?, matching),
                    matching,
                }
            }
            "servermetadata" => {
                let matching = self.matching(bound);
                Test::Metadata {
                    mailbox: None,
                    annotation: self.text(at(0)?),
                    keys: self.keys(at(1)?, matching),
                    matching,
                }
            }
            "metadataexists" => Test::MetadataExists {
                mailbox: Some(self.text(at(0)?)),
                annotations: self.list(at(1)?),
            },
            "servermetadataexists" => Test::MetadataExists {
                mailbox: None,
                annotations: self.list(at(0)?),
            },
            "valid_notify_method" => Test::ValidNotifyMethod(self.list(at(0)?)),
            "notify_method_capability" => {
                let matching = self.matching(bound);
                Test::NotifyMethodCapability {
                    uri: self.text(at(0)?),
                    capability: self.text(at(1)?),
                    keys: self.keys(at(2)?, matching),
                    matching,
                }
            }
            "duplicate" => {
                let id = match bound.of_group("unique id").map(|(name, _)| name) {
                    Some("header") => UniqueId::Header(self.tag_text(bound, "header")?),
                    Some(_) => UniqueId::Value(self.tag_text(bound, "uniqueid")?),
                    None => UniqueId::MessageId,
                };
                Test::Duplicate {
                    handle: self.tag_text(bound, "handle"),
                    id,
                    seconds: bound.number("seconds").map(|(seconds, _)| seconds),
                    last: bound.has("last"),
                }
            }
            "valid_ext_list" => Test::ValidExtList(self.list(at(0)?)),
            "spamtest" | "virustest" => {
                let matching = self.matching(bound);
                if bound.has("percent") {
                    self.uses("spamtestplus");
                }
                Test::Scanner {
                    virus: bound.name == "virustest",
                    percent: bound.has("percent"),
                    keys: self.keys(at(0)?, matching),
                    matching,
                }
            }
            "execute" | "filter" => Test::Program(self.program(bound)?),
            _ => Test::Suite(self.suite_test(bound)?),
        })
    }

    /// A program of the host's choice (vnd.dovecot.pipe, filter, execute).
    pub(super) fn program(&mut self, bound: &Bound<'_>) -> Option<RunProgram> {
        let kind = match bound.name {
            "pipe" => ProgramKind::Pipe,
            "filter" => ProgramKind::Filter,
            _ => ProgramKind::Execute,
        };
        let output = bound
            .tag("output")
            .and_then(|argument| self.variable(argument));
        Some(RunProgram {
            kind,
            name: self.text(bound.at(0)?),
            arguments: bound
                .at(1)
                .map(|argument| self.list(argument))
                .unwrap_or_default(),
            input: match bound.of_group("program input").map(|(name, _)| name) {
                Some("input") => ProgramInput::Text(self.tag_text(bound, "input")?),
                Some(_) => ProgramInput::Message,
                None if kind == ProgramKind::Execute => ProgramInput::None,
                None => ProgramInput::Message,
            },
            output,
            copy: bound.has("copy"),
            try_: bound.has("try"),
        })
    }

    /// Flags in a named variable need both extensions (RFC 5232 §2).
    pub(super) fn flag_variables(&mut self, span: Span) {
        self.uses("variables");
        if !self.enabled.contains("variables") {
            self.sink.error_with(
                DiagnosticKind::NotRequired,
                span,
                "flags in a named variable need the capability `variables`",
                "add require \"variables\"; at the top",
            );
        }
    }

    pub(super) fn suite_test(&mut self, bound: &Bound<'_>) -> Option<SuiteTest> {
        let at = |index: usize| bound.at(index);
        let index = bound.number("index").map(|(number, _)| Index {
            number: usize::try_from(number).unwrap_or(usize::MAX),
            last: false,
        });
        Some(match bound.name {
            "test_script_compile" => SuiteTest::Compile(self.text(at(0)?)),
            "test_script_run" => SuiteTest::Run {
                append: bound.has("append_result"),
            },
            "test_multiscript" => SuiteTest::MultiScript(self.list(at(0)?)),
            "test_result_execute" => SuiteTest::Execute,
            "test_result_action" => {
                let matching = self.matching(bound);
                SuiteTest::Action {
                    index,
                    keys: self.keys(at(0)?, matching),
                    matching,
                }
            }
            "test_error" => {
                let matching = self.matching(bound);
                SuiteTest::Error {
                    index,
                    keys: self.keys(at(0)?, matching),
                    matching,
                }
            }
            _ => return None,
        })
    }
}

pub(crate) fn parse_zone(octets: &[u8]) -> Option<i32> {
    let (sign, digits) = octets.split_first()?;
    let sign = match sign {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    if digits.len() != 4 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number: i32 = std::str::from_utf8(digits).ok()?.parse().ok()?;
    let (hours, minutes) = (number / 100, number % 100);
    (hours < 24 && minutes < 60).then_some(sign * (hours * 60 + minutes))
}

fn parse_date_part(name: &[u8]) -> Option<DatePart> {
    Some(match name {
        b"year" => DatePart::Year,
        b"month" => DatePart::Month,
        b"day" => DatePart::Day,
        b"date" => DatePart::Date,
        b"julian" => DatePart::Julian,
        b"hour" => DatePart::Hour,
        b"minute" => DatePart::Minute,
        b"second" => DatePart::Second,
        b"time" => DatePart::Time,
        b"iso8601" => DatePart::Iso8601,
        b"std11" => DatePart::Std11,
        b"zone" => DatePart::Zone,
        b"weekday" => DatePart::Weekday,
        _ => return None,
    })
}
