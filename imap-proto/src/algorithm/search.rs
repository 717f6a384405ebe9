use memchr::memmem::Finder;
use thiserror::Error;

use super::fold;
use crate::{
    Code, Date, DateTime, ESearch, Flag, IString, Message, NoSuchMessage, NumberSet, Search,
    SearchKey, SearchReturn, SequenceSet, StatusResponse, Tag, Untagged, View,
};

/// A message that a [`Program`] looks at.
///
/// What costs something to get answers `None` until the host has loaded it:
/// then [`Program::evaluate`] says what it needs.
pub trait Candidate {
    /// Its number and UID.
    fn message(&self) -> Message;
    /// Whether it has the flag; `\Recent` too.
    fn has_flag(&self, flag: &Flag) -> bool;
    /// When it arrived.
    fn internal_date(&self) -> DateTime;
    /// Its octets (RFC822.SIZE).
    fn size(&self) -> u64;
    /// Its modification sequence (RFC 7162).
    fn mod_seq(&self) -> u64 {
        0
    }
    /// When it came into this mailbox, where that is known (RFC 8514).
    fn save_date(&self) -> Option<DateTime> {
        None
    }
    /// Its EMAILID (RFC 8474).
    fn email_id(&self) -> Option<&[u8]> {
        None
    }
    /// Its THREADID (RFC 8474).
    fn thread_id(&self) -> Option<&[u8]> {
        None
    }
    /// The day in its Date field, in that field's own zone; `Some(None)` when
    /// it has no such day.
    fn sent_date(&self) -> Option<Option<Date>>;
    /// Whether a field of that name has the needle in its value, RFC 2047
    /// words decoded. An empty needle is in each field that is there.
    fn field_contains(&self, name: &[u8], needle: &Needle) -> Option<bool>;
    /// Whether the header has the needle in it.
    fn header_contains(&self, needle: &Needle) -> Option<bool>;
    /// Whether the body has the needle in it: its text parts, decoded.
    fn body_contains(&self, needle: &Needle) -> Option<bool>;
}

/// Whether a message matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It does.
    Match,
    /// It does not.
    NoMatch,
    /// Load this, then evaluate again.
    Needs(Need),
}

/// What a verdict needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Need {
    /// The header.
    Header,
    /// The body.
    Body,
}

/// Why a search cannot be run.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SearchError {
    /// A charset that is neither US-ASCII nor UTF-8, or octets that are not
    /// of the charset.
    #[error("unsupported charset")]
    BadCharset,
    /// A sequence number beyond the last message.
    #[error(transparent)]
    NoSuchMessage(#[from] NoSuchMessage),
}

impl SearchError {
    /// What a server replies.
    #[must_use]
    pub fn status(&self) -> StatusResponse {
        match self {
            Self::BadCharset => {
                let known = ["US-ASCII", "UTF-8"].map(|name| IString::lossy(name.as_bytes()));
                StatusResponse::no(self.to_string()).with(Code::BadCharset(known.to_vec()))
            }
            Self::NoSuchMessage(_) => StatusResponse::bad(self.to_string()),
        }
    }
}

/// What is looked for, made ready to be looked for often.
#[derive(Debug, Clone)]
pub struct Needle(Finder<'static>);

impl Needle {
    /// The text, to be found without regard to case.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(Finder::new(fold(text).as_bytes()).into_owned())
    }

    /// Whether it is empty, and so in everything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.needle().is_empty()
    }

    /// Whether it is in the text, in time linear in the text.
    #[must_use]
    pub fn is_in(&self, text: &str) -> bool {
        self.is_empty() || self.0.find(fold(text).as_bytes()).is_some()
    }
}

/// A search, its sets resolved and its keys in order of cost.
#[derive(Debug, Clone)]
pub struct Program(Test);

#[derive(Debug, Clone)]
enum Test {
    Always(bool),
    Uids(NumberSet),
    Sequences(NumberSet),
    Flag(Flag),
    Larger(u64),
    Smaller(u64),
    ModSeq(u64),
    /// Arrived at or before that second.
    Before(i64),
    /// Arrived at or after that second.
    After(i64),
    Arrived(Days),
    Saved(Days),
    Sent(Days),
    EmailId(IString),
    ThreadId(IString),
    Field(Box<[u8]>, Needle),
    Body(Needle),
    Text(Needle),
    Not(Box<Test>),
    All(Vec<Test>),
    Any(Vec<Test>),
}

#[derive(Debug, Clone, Copy)]
enum Days {
    Before(Date),
    On(Date),
    Since(Date),
}

impl Days {
    fn hold(self, day: Date) -> bool {
        match self {
            Self::Before(limit) => day < limit,
            Self::On(only) => day == only,
            Self::Since(limit) => day >= limit,
        }
    }
}

impl Program {
    /// Makes a search ready. `now` is the Unix time in seconds, for OLDER and
    /// YOUNGER.
    ///
    /// # Errors
    /// For an unknown charset, or a sequence number beyond the last message.
    pub fn new(
        key: &SearchKey,
        charset: Option<&IString>,
        view: &View,
        now: i64,
    ) -> Result<Self, SearchError> {
        if let Some(charset) = charset {
            let name = charset.as_bytes();
            if !name.eq_ignore_ascii_case(b"US-ASCII") && !name.eq_ignore_ascii_case(b"UTF-8") {
                return Err(SearchError::BadCharset);
            }
        }
        Compiler { view, now }.test(key).map(Self)
    }

    /// Looks at one message.
    pub fn evaluate(&self, candidate: &impl Candidate) -> Verdict {
        match self.0.holds(candidate) {
            Ok(true) => Verdict::Match,
            Ok(false) => Verdict::NoMatch,
            Err(need) => Verdict::Needs(need),
        }
    }
}

struct Compiler<'a> {
    view: &'a View,
    now: i64,
}

impl Compiler<'_> {
    fn test(&self, key: &SearchKey) -> Result<Test, SearchError> {
        let flag = |flag: Flag| Test::Flag(flag);
        let not = |test: Test| Test::Not(Box::new(test));
        Ok(match key {
            SearchKey::All => Test::Always(true),
            SearchKey::Answered => flag(Flag::Answered),
            SearchKey::Deleted => flag(Flag::Deleted),
            SearchKey::Draft => flag(Flag::Draft),
            SearchKey::Flagged => flag(Flag::Flagged),
            SearchKey::Seen => flag(Flag::Seen),
            SearchKey::Recent => flag(Flag::Recent),
            SearchKey::New => Test::All(vec![flag(Flag::Recent), not(flag(Flag::Seen))]),
            SearchKey::Old => not(flag(Flag::Recent)),
            SearchKey::Unanswered => not(flag(Flag::Answered)),
            SearchKey::Undeleted => not(flag(Flag::Deleted)),
            SearchKey::Undraft => not(flag(Flag::Draft)),
            SearchKey::Unflagged => not(flag(Flag::Flagged)),
            SearchKey::Unseen => not(flag(Flag::Seen)),
            SearchKey::Keyword(name) => flag(Flag::Keyword(name.clone())),
            SearchKey::Unkeyword(name) => not(flag(Flag::Keyword(name.clone()))),
            SearchKey::Bcc(text) => field(b"Bcc", text)?,
            SearchKey::Cc(text) => field(b"Cc", text)?,
            SearchKey::From(text) => field(b"From", text)?,
            SearchKey::Subject(text) => field(b"Subject", text)?,
            SearchKey::To(text) => field(b"To", text)?,
            SearchKey::Header(name, text) => field(name.as_bytes(), text)?,
            SearchKey::Body(text) => Test::Body(needle(text)?),
            SearchKey::Text(text) => Test::Text(needle(text)?),
            SearchKey::Before(day) => Test::Arrived(Days::Before(*day)),
            SearchKey::On(day) => Test::Arrived(Days::On(*day)),
            SearchKey::Since(day) => Test::Arrived(Days::Since(*day)),
            SearchKey::SentBefore(day) => Test::Sent(Days::Before(*day)),
            SearchKey::SentOn(day) => Test::Sent(Days::On(*day)),
            SearchKey::SentSince(day) => Test::Sent(Days::Since(*day)),
            SearchKey::SavedBefore(day) => Test::Saved(Days::Before(*day)),
            SearchKey::SavedOn(day) => Test::Saved(Days::On(*day)),
            SearchKey::SavedSince(day) => Test::Saved(Days::Since(*day)),
            SearchKey::SaveDateSupported => Test::Always(true),
            SearchKey::Larger(size) => Test::Larger(*size),
            SearchKey::Smaller(size) => Test::Smaller(*size),
            SearchKey::Older(age) => Test::Before(self.now.saturating_sub(age.get().into())),
            SearchKey::Younger(age) => Test::After(self.now.saturating_sub(age.get().into())),
            SearchKey::ModSeq(value) => Test::ModSeq(*value),
            SearchKey::EmailId(id) => Test::EmailId(id.clone()),
            SearchKey::ThreadId(id) => Test::ThreadId(id.clone()),
            SearchKey::Uid(set) => Test::Uids(self.uids(set)?),
            SearchKey::Sequence(set) => {
                let messages = self.view.resolve(set, false)?;
                Test::Sequences(messages.iter().map(|one| one.sequence).collect())
            }
            // Fuzzier than exact is allowed, not demanded (RFC 6203 §3).
            SearchKey::Fuzzy(key) => self.test(key)?,
            SearchKey::Not(key) => not(self.test(key)?),
            SearchKey::Or(keys) => {
                Test::Any(by_cost(vec![self.test(&keys.0)?, self.test(&keys.1)?]))
            }
            SearchKey::And(keys) => {
                let tests: Result<_, _> = keys.iter().map(|key| self.test(key)).collect();
                Test::All(by_cost(tests?))
            }
        })
    }

    fn uids(&self, set: &SequenceSet) -> Result<NumberSet, SearchError> {
        let messages = self.view.resolve(set, true)?;
        Ok(messages.iter().map(|one| one.uid).collect())
    }
}

fn field(name: &[u8], text: &IString) -> Result<Test, SearchError> {
    Ok(Test::Field(name.into(), needle(text)?))
}

fn needle(text: &IString) -> Result<Needle, SearchError> {
    let text = std::str::from_utf8(text.as_bytes());
    text.map(Needle::new).map_err(|_| SearchError::BadCharset)
}

fn by_cost(mut tests: Vec<Test>) -> Vec<Test> {
    tests.sort_by_key(Test::cost);
    tests
}

impl Test {
    fn cost(&self) -> u8 {
        match self {
            Self::Sent(_) => 1,
            Self::Field(..) => 2,
            Self::Body(_) => 3,
            Self::Text(_) => 4,
            Self::Not(test) => test.cost(),
            Self::All(tests) | Self::Any(tests) => tests.iter().map(Self::cost).max().unwrap_or(0),
            _ => 0,
        }
    }

    fn holds(&self, candidate: &impl Candidate) -> Result<bool, Need> {
        let day = |date: DateTime| date.date();
        Ok(match self {
            Self::Always(always) => *always,
            Self::Uids(set) => set.contains(candidate.message().uid),
            Self::Sequences(set) => set.contains(candidate.message().sequence),
            Self::Flag(flag) => candidate.has_flag(flag),
            Self::Larger(size) => candidate.size() > *size,
            Self::Smaller(size) => candidate.size() < *size,
            Self::ModSeq(value) => candidate.mod_seq() >= *value,
            Self::Before(second) => candidate.internal_date().timestamp() <= *second,
            Self::After(second) => candidate.internal_date().timestamp() >= *second,
            Self::Arrived(days) => days.hold(day(candidate.internal_date())),
            Self::Saved(days) => candidate
                .save_date()
                .is_some_and(|date| days.hold(day(date))),
            Self::Sent(days) => {
                let date = candidate.sent_date().ok_or(Need::Header)?;
                date.is_some_and(|date| days.hold(date))
            }
            Self::EmailId(id) => candidate.email_id() == Some(id.as_bytes()),
            Self::ThreadId(id) => candidate.thread_id() == Some(id.as_bytes()),
            Self::Field(name, needle) => {
                candidate.field_contains(name, needle).ok_or(Need::Header)?
            }
            Self::Body(needle) => candidate.body_contains(needle).ok_or(Need::Body)?,
            Self::Text(needle) => {
                candidate.header_contains(needle).ok_or(Need::Header)?
                    || candidate.body_contains(needle).ok_or(Need::Body)?
            }
            Self::Not(test) => !test.holds(candidate)?,
            Self::All(tests) => !decides(tests, candidate, false)?,
            Self::Any(tests) => decides(tests, candidate, true)?,
        })
    }
}

/// Whether one of the tests gives `answer`. What is not loaded is asked for
/// only where nothing else decides, the cheapest first.
fn decides(tests: &[Test], candidate: &impl Candidate, answer: bool) -> Result<bool, Need> {
    let mut needed: Option<Need> = None;
    for test in tests {
        match test.holds(candidate) {
            Ok(holds) if holds == answer => return Ok(true),
            Ok(_) => {}
            Err(need) => needed = Some(needed.map_or(need, |other| other.min(need))),
        }
    }
    needed.map_or(Ok(false), Err)
}

impl Search {
    /// The response to a search that found these messages, ascending: SEARCH,
    /// or ESEARCH where RETURN or IMAP4rev2 (`rev2`) asks for it. `None` where
    /// only SAVE is asked (RFC 5182 §2.1).
    ///
    /// `mod_seq` is the highest among them, where the search named MODSEQ.
    #[must_use]
    pub fn answer(
        &self,
        tag: &Tag,
        found: &[Message],
        rev2: bool,
        mod_seq: Option<u64>,
    ) -> Option<Untagged> {
        let number = |one: &Message| if self.uid { one.uid } else { one.sequence };
        let numbers = found.iter().map(number);
        let mod_seq = mod_seq.filter(|_| !found.is_empty());
        let all = SearchReturn {
            all: true,
            ..SearchReturn::default()
        };
        let options = match self.return_options {
            Some(options) => options,
            None if rev2 => all,
            None => {
                let numbers = numbers.collect();
                return Some(Untagged::Search { numbers, mod_seq });
            }
        };
        let only_save = SearchReturn {
            save: true,
            ..SearchReturn::default()
        };
        if options == only_save {
            return None;
        }
        let mut result = ESearch {
            tag: Some(tag.clone()),
            uid: self.uid,
            mod_seq,
            ..ESearch::default()
        };
        if options.min {
            result.min = found.first().map(number);
        }
        if options.max {
            result.max = found.last().map(number);
        }
        if options.count {
            result.count = Some(u32::try_from(found.len()).unwrap_or(u32::MAX));
        }
        if options.all {
            result.all = numbers.collect();
        }
        if let Some(range) = options.partial {
            let slice = range.of(found).iter().map(number).collect();
            result.partial = Some((range, slice));
        }
        Some(Untagged::ESearch(result))
    }

    /// What `$` becomes, if SAVE asks for it (RFC 5182 §2.4): for
    /// [`View::save`].
    #[must_use]
    pub fn saves(&self, found: &[Message]) -> Option<NumberSet> {
        let options = self.return_options.filter(|options| options.save)?;
        let ends_only = (options.min || options.max)
            && !options.all
            && !options.count
            && options.partial.is_none();
        if let (Some(range), false, false) = (options.partial, options.all, options.count) {
            return Some(range.of(found).iter().map(|one| one.uid).collect());
        }
        if !ends_only {
            return Some(found.iter().map(|one| one.uid).collect());
        }
        let min = found.first().filter(|_| options.min);
        let max = found.last().filter(|_| options.max);
        Some(min.into_iter().chain(max).map(|one| one.uid).collect())
    }
}

impl crate::PartialRange {
    /// That slice of a result (RFC 9394 §3.1).
    #[must_use]
    pub fn of<T>(self, found: &[T]) -> &[T] {
        let index =
            |number: std::num::NonZeroU32| usize::try_from(number.get()).unwrap_or(usize::MAX);
        let (first, last) = (index(self.first), index(self.last).min(found.len()));
        let range = match self.from_end {
            false => first - 1..last,
            true => found.len() - last..(found.len() + 1).saturating_sub(first),
        };
        found.get(range).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;
    use crate::{Command, CommandBody, ViewOptions};

    struct Mail {
        number: u32,
        flags: Vec<Flag>,
        header: Option<&'static str>,
        body: Option<&'static str>,
    }

    impl Candidate for Mail {
        fn message(&self) -> Message {
            let number = NonZeroU32::new(self.number).unwrap();
            let uid = number.checked_add(100).unwrap();
            Message {
                sequence: number,
                uid,
            }
        }
        fn has_flag(&self, flag: &Flag) -> bool {
            self.flags.contains(flag)
        }
        fn internal_date(&self) -> DateTime {
            DateTime::from_timestamp(86_400 * i64::from(self.number), 0).unwrap()
        }
        fn size(&self) -> u64 {
            u64::from(self.number) * 1000
        }
        fn sent_date(&self) -> Option<Option<Date>> {
            self.header.map(|_| None)
        }
        fn field_contains(&self, name: &[u8], needle: &Needle) -> Option<bool> {
            let header = self.header?;
            Some(header.lines().any(|line| {
                let (field, value) = line.split_once(": ").unwrap();
                field.as_bytes().eq_ignore_ascii_case(name) && needle.is_in(value)
            }))
        }
        fn header_contains(&self, needle: &Needle) -> Option<bool> {
            self.header.map(|header| needle.is_in(header))
        }
        fn body_contains(&self, needle: &Needle) -> Option<bool> {
            self.body.map(|body| needle.is_in(body))
        }
    }

    fn search(text: &str) -> Search {
        let line = bytes::Bytes::from(format!("a SEARCH {text}"));
        match Command::parse(&line, crate::Dialect::SERVER).unwrap().body {
            CommandBody::Search(search) => search,
            other => panic!("{other:?}"),
        }
    }

    fn program(text: &str) -> Program {
        let search = search(text);
        let uids = (101..=109).filter_map(NonZeroU32::new);
        let view = View::new(uids, ViewOptions::default());
        Program::new(&search.key, search.charset.as_ref(), &view, 86_400 * 10).unwrap()
    }

    #[test]
    fn table() {
        let mail = Mail {
            number: 5,
            flags: vec![Flag::Seen, Flag::keyword("$Junk").unwrap()],
            header: Some("Subject: Ängste und Straßen\nFrom: joe@example.org"),
            body: Some("Hello World"),
        };
        for (text, expected) in [
            ("ALL", true),
            ("SEEN", true),
            ("UNSEEN", false),
            ("NEW", false),
            ("OLD", true),
            ("KEYWORD $junk", true),
            ("5", true),
            ("1:4", false),
            ("*", false),
            ("UID 105", true),
            ("UID 5", false),
            ("LARGER 4999", true),
            ("SMALLER 5000", false),
            ("ON 6-Jan-1970", true),
            ("BEFORE 6-Jan-1970", false),
            ("SINCE 6-Jan-1970", true),
            ("SENTON 6-Jan-1970", false),
            ("OLDER 432000", true),
            ("OLDER 432001", false),
            ("YOUNGER 432000", true),
            ("YOUNGER 431999", false),
            ("FROM EXAMPLE.ORG", true),
            ("SUBJECT \"ÄNGSTE UND\"", true),
            ("HEADER Reply-To \"\"", false),
            ("HEADER subject \"\"", true),
            ("BODY world", true),
            ("TEXT joe@", true),
            ("TEXT nothing", false),
            ("OR UNSEEN BODY hello", true),
            ("NOT (SEEN BODY nothing)", true),
            ("SEEN UNSEEN", false),
        ] {
            let verdict = program(text).evaluate(&mail);
            let expected = if expected {
                Verdict::Match
            } else {
                Verdict::NoMatch
            };
            assert_eq!(verdict, expected, "{text}");
        }
    }

    #[test]
    fn asks_only_for_what_decides() {
        let mail = Mail {
            number: 5,
            flags: vec![],
            header: None,
            body: None,
        };
        for (text, expected) in [
            ("BODY x SEEN", Verdict::NoMatch),
            ("OR TEXT x UNSEEN", Verdict::Match),
            ("BODY x SUBJECT y", Verdict::Needs(Need::Header)),
            ("BODY x", Verdict::Needs(Need::Body)),
            ("TEXT x", Verdict::Needs(Need::Header)),
            ("NOT SENTON 1-Jan-2000", Verdict::Needs(Need::Header)),
        ] {
            assert_eq!(program(text).evaluate(&mail), expected, "{text}");
        }
    }

    #[test]
    fn errors() {
        let view = View::default();
        let run = |text: &str| {
            let search = search(text);
            Program::new(&search.key, search.charset.as_ref(), &view, 0).map(|_| ())
        };
        assert_eq!(run("CHARSET KOI8-R TEXT x"), Err(SearchError::BadCharset));
        assert_eq!(run("CHARSET utf-8 TEXT x"), Ok(()));
        assert_eq!(run("1"), Err(SearchError::NoSuchMessage(NoSuchMessage)));
        assert_eq!(run("UID 1"), Ok(()));
    }

    #[test]
    fn answers() {
        let found: Vec<_> = [2, 10, 11, 12, 15, 21]
            .into_iter()
            .filter_map(NonZeroU32::new)
            .map(|number| Message {
                sequence: number,
                uid: number,
            })
            .collect();
        let tag = Tag::new("A282").unwrap();
        let show = |text: &str, rev2| {
            let search = search(text);
            let answer = search.answer(&tag, &found, rev2, None).map(|data| {
                let line = crate::Response::Untagged(data).to_vec(crate::Dialect::SERVER);
                String::from_utf8(line).unwrap()
            });
            (
                answer.unwrap_or_default(),
                search.saves(&found).map(|set| format!("{set:?}")),
            )
        };
        let saved = |text: &str| Some(text.to_owned());
        for (text, rev2, answer, saves) in [
            ("ALL", false, "* SEARCH 2 10 11 12 15 21\r\n", None),
            (
                "ALL",
                true,
                "* ESEARCH (TAG \"A282\") ALL 2,10:12,15,21\r\n",
                None,
            ),
            (
                "RETURN () ALL",
                false,
                "* ESEARCH (TAG \"A282\") ALL 2,10:12,15,21\r\n",
                None,
            ),
            (
                "RETURN (MIN COUNT) ALL",
                false,
                "* ESEARCH (TAG \"A282\") MIN 2 COUNT 6\r\n",
                None,
            ),
            ("RETURN (SAVE) ALL", false, "", saved("2,10:12,15,21")),
            (
                "RETURN (SAVE MIN) ALL",
                false,
                "* ESEARCH (TAG \"A282\") MIN 2\r\n",
                saved("2"),
            ),
            (
                "RETURN (MAX SAVE MIN) ALL",
                false,
                "* ESEARCH (TAG \"A282\") MIN 2 MAX 21\r\n",
                saved("2,21"),
            ),
            (
                "RETURN (MAX SAVE MIN COUNT) ALL",
                false,
                "* ESEARCH (TAG \"A282\") MIN 2 MAX 21 COUNT 6\r\n",
                saved("2,10:12,15,21"),
            ),
            (
                "RETURN (PARTIAL -1:-2) ALL",
                false,
                "* ESEARCH (TAG \"A282\") PARTIAL (-1:-2 15,21)\r\n",
                None,
            ),
            (
                "RETURN (PARTIAL 7:9) ALL",
                false,
                "* ESEARCH (TAG \"A282\") PARTIAL (7:9 NIL)\r\n",
                None,
            ),
        ] {
            assert_eq!(show(text, rev2), (answer.to_owned(), saves), "{text}");
        }
    }
}
