//! Arguments that many tests share: match types, keys, address parts, indexes, zones, names.

use super::bind::Bound;
use super::signature::Group;
use super::{Checker, literals};
use crate::ast;
use crate::diagnostic::DiagnosticKind;
use crate::items::Items;
use crate::matching::{Comparator, Keys, MatchType, Matching, Pattern, Relation};
use crate::position::Span;
use crate::program::{AddressPart, DatePart, Index, List, Mime, MimeOf, Text, Zone};

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

impl Checker<'_, '_> {
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
        let Some((name, span)) = bound.of_group(Group::MatchType) else {
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

    pub(super) fn relation(&mut self, bound: &Bound<'_>, tag: &str) -> Relation {
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

    pub(super) fn keys(&mut self, argument: &ast::Argument<'_>, matching: Matching) -> Keys {
        // Without variables, which most keys are, none of them is copied twice.
        if let ast::Value::Text(octets) = &argument.value
            && !self.may_expand(octets)
        {
            let pattern = self.pattern(matching, octets, argument.span);
            return Keys::Fixed(pattern.map_or_else(Items::default, Items::One));
        }
        let constant = !literals(argument).any(|(octets, _)| self.may_expand(octets));
        if constant {
            let patterns = literals(argument)
                .filter_map(|(octets, span)| self.pattern(matching, octets, span));
            return Keys::Fixed(patterns.collect());
        }
        let list = self.list(argument);
        let mut patterns = Vec::with_capacity(list.len());
        for (text, (_, span)) in list.iter().zip(literals(argument)) {
            let Text::Literal(octets) = text else {
                return Keys::Dynamic(list);
            };
            patterns.extend(self.pattern(matching, octets, span));
        }
        Keys::Fixed(Items::Many(patterns))
    }

    /// Flags as keys: spaces within a string separate them (RFC 5232 §2, §4).
    pub(super) fn flag_keys(&mut self, argument: &ast::Argument<'_>, matching: Matching) -> Keys {
        let list = self.list(argument);
        let mut patterns = Vec::with_capacity(list.len());
        for (text, (_, span)) in list.iter().zip(literals(argument)) {
            let Text::Literal(octets) = text else {
                return Keys::Dynamic(list);
            };
            for flag in octets.split(|c| *c == b' ').filter(|flag| !flag.is_empty()) {
                patterns.extend(self.pattern(matching, flag, span));
            }
        }
        Keys::Fixed(Items::Many(patterns))
    }

    fn pattern(&mut self, matching: Matching, octets: &[u8], span: Span) -> Option<Pattern> {
        match Pattern::compile(matching, octets, self.limits.regex_size) {
            Ok(pattern) => {
                let before = self.regex_octets;
                self.regex_octets += pattern.regex_octets();
                let limit = self.limits.regex_total;
                if before <= limit && self.regex_octets > limit {
                    self.sink.error(
                        DiagnosticKind::Limit,
                        span,
                        format!("the regular expressions take more than {limit} octets together"),
                    );
                }
                (self.regex_octets <= limit).then_some(pattern)
            }
            Err(fault) => {
                self.sink.error(
                    DiagnosticKind::Value,
                    span,
                    format!("this regular expression is not valid: {fault}"),
                );
                None
            }
        }
    }

    pub(super) fn address_part(&mut self, bound: &Bound<'_>) -> AddressPart {
        match bound.of_group(Group::AddressPart).map(|(name, _)| name) {
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

    pub(super) fn mime(&mut self, bound: &Bound<'_>) -> Option<Mime> {
        let option = bound.of_group(Group::MimeOption);
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

    pub(super) fn zone(&mut self, bound: &Bound<'_>) -> Zone {
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

    pub(super) fn date_part(&mut self, argument: &ast::Argument) -> DatePart {
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
    pub(super) fn names(&mut self, argument: &ast::Argument, addresses: bool) -> List {
        if let ast::Value::Text(octets) = &argument.value {
            // One name, as most have, needs no list.
            let text = self.octets(octets, argument.span);
            self.name(&text, argument.span, addresses);
            return List::One(text);
        }
        let list = self.list(argument);
        for (text, (_, span)) in list.iter().zip(literals(argument)) {
            self.name(text, span, addresses);
        }
        list
    }

    fn name(&mut self, text: &Text, span: Span, addresses: bool) {
        self.header_name(text, span);
        if let Text::Literal(name) = text
            && addresses
        {
            let known = |known: &&str| name.eq_ignore_ascii_case(known.as_bytes());
            let own = name
                .get(..2)
                .is_some_and(|start| start.eq_ignore_ascii_case(b"x-"));
            if !own && !ADDRESS_FIELDS.iter().any(known) {
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
    }

    pub(super) fn envelope_parts(&mut self, argument: &ast::Argument, bound: &Bound<'_>) -> List {
        let list = self.list(argument);
        let address_part = bound.of_group(Group::AddressPart);
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
            self.uses(capability);
            if let Some((part, at)) = address_part {
                self.sink.error_with(
                    DiagnosticKind::Argument,
                    at,
                    format!("`:{part}` means nothing for the envelope part `{name}`"),
                    "it is no address (RFC 6009 section 4)",
                );
            }
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
