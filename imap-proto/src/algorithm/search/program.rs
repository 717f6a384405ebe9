use super::{Candidate, Need, Needle, SearchError, Verdict};
use std::num::NonZeroU32;

use crate::{
    AnnotationMatch, Date, DateTime, Flag, IString, NumberSet, SearchKey, SearchKeys, SearchPart,
    SearchView, SequenceSet, UndefinedFilter, View,
};

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
    HasSaveDate,
    /// Arrived at or before that second.
    Before(i64),
    /// Arrived at or after that second.
    After(i64),
    Arrived(Days),
    Saved(Days),
    Sent(Days),
    EmailId(IString),
    ThreadId(IString),
    Annotation(Box<AnnotationMatch>, Option<Needle>),
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
        keys: &SearchKeys,
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
        Compiler { view, now }.test(keys.part()).map(Self)
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
    fn test(&self, part: SearchPart<'_>) -> Result<Test, SearchError> {
        Ok(match part.view() {
            SearchView::Key(key) => self.single(key)?,
            SearchView::Not(part) => Test::Not(Box::new(self.test(part)?)),
            // Fuzzier than exact is allowed, not demanded (RFC 6203 §3).
            SearchView::Fuzzy(part) => self.test(part)?,
            SearchView::Or(one, other) => {
                Test::Any(by_cost(vec![self.test(one)?, self.test(other)?]))
            }
            SearchView::And(parts) => {
                let tests: Result<_, _> = parts.map(|part| self.test(part)).collect();
                Test::All(by_cost(tests?))
            }
        })
    }

    fn single(&self, key: &SearchKey) -> Result<Test, SearchError> {
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
            SearchKey::Header(header) => field(header.0.as_bytes(), &header.1)?,
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
            SearchKey::SaveDateSupported => Test::HasSaveDate,
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
            SearchKey::Filter(name) => return Err(UndefinedFilter(name.clone()).into()),
            SearchKey::Annotation(wanted) => {
                let needle = wanted.value.as_ref().map(needle).transpose()?;
                Test::Annotation(wanted.clone(), needle)
            }
            SearchKey::UidAfter(uid) => Self::beyond(uid.checked_add(1), None),
            SearchKey::UidBefore(uid) => {
                let last = uid.get().checked_sub(1).and_then(NonZeroU32::new);
                match last {
                    Some(last) => Self::beyond(Some(NonZeroU32::MIN), Some(last)),
                    None => Test::Always(false),
                }
            }
        })
    }

    /// UIDs from `first` on, up to `last`.
    fn beyond(first: Option<NonZeroU32>, last: Option<NonZeroU32>) -> Test {
        let Some(first) = first else {
            return Test::Always(false);
        };
        let mut uids = NumberSet::default();
        uids.insert_range(first, last.unwrap_or(NonZeroU32::MAX));
        Test::Uids(uids)
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
            Self::Sent(_) | Self::EmailId(_) | Self::ThreadId(_) => 1,
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
            Self::HasSaveDate => candidate.save_date().is_some(),
            Self::Before(second) => candidate.internal_date().timestamp() <= *second,
            Self::After(second) => candidate.internal_date().timestamp() >= *second,
            Self::Arrived(days) => days.hold(day(candidate.internal_date())),
            // RFC 8514 §4.3: without, the date of arrival counts.
            Self::Saved(days) => {
                let date = candidate.save_date();
                days.hold(day(date.unwrap_or_else(|| candidate.internal_date())))
            }
            Self::Sent(days) => {
                let date = candidate.sent_date().ok_or(Need::Header)?;
                date.is_some_and(|date| days.hold(date))
            }
            Self::EmailId(id) => candidate.has_email_id(id.as_bytes()).ok_or(Need::Header)?,
            Self::ThreadId(id) => candidate.has_thread_id(id.as_bytes()).ok_or(Need::Header)?,
            Self::Annotation(wanted, needle) => {
                candidate.annotation_contains(wanted, needle.as_ref())
            }
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
