use std::num::NonZeroU32;

use super::{Candidate, Program, SearchError, Verdict};
use crate::{
    ESearch, Mailbox, Message, MultiSearch, NumberSet, Search, SearchReturn, SequenceSet, Sort,
    Tag, Untagged, View,
};

impl View {
    /// SEARCH whole, of messages that are at hand: what is found is answered
    /// with, as [`Search::answer`] does, and saved where SAVE asks for it.
    /// `now` is Unix time. A message that has no candidate is gone; one whose
    /// verdict needs what its candidate has not does not match.
    ///
    /// # Errors
    /// As [`Program::new`]; what was saved is lost where SAVE was asked for
    /// (RFC 5182 §2.1).
    pub fn search<C: Candidate>(
        &mut self,
        search: &Search,
        tag: &Tag,
        rev2: bool,
        now: i64,
        mut candidate: impl FnMut(Message) -> Option<C>,
    ) -> Result<Option<Untagged>, SearchError> {
        let charset = search.charset.as_ref();
        let program = match Program::new(&search.keys, charset, self, now) {
            Ok(program) => program,
            Err(error) => {
                let options = search.return_options.as_ref();
                if options.is_some_and(|options| options.save) {
                    self.save(NumberSet::default());
                }
                return Err(error);
            }
        };
        let (mut found, mut mod_seq) = (Vec::new(), None);
        for message in self.resolve(&SequenceSet::all(), true)? {
            let own = candidate(message);
            let own = own.filter(|own| program.evaluate(own) == Verdict::Match);
            if let Some(own) = own {
                found.push(message);
                mod_seq = mod_seq.max(Some(own.mod_seq()));
            }
        }
        if let Some(saved) = search.saves(&found) {
            self.save(saved);
        }
        let mod_seq = mod_seq.filter(|_| search.keys.names_mod_seq());
        Ok(search.answer(tag, &found, rev2, mod_seq))
    }
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
        let options = match &self.return_options {
            Some(options) => options,
            None if rev2 => &all,
            None => {
                let numbers = numbers.collect();
                return Some(Untagged::Search { numbers, mod_seq });
            }
        };
        let mut result = options.answer(tag, self.uid, found)?;
        result.mod_seq = mod_seq;
        Some(Untagged::ESearch(result))
    }

    /// What `$` becomes, if SAVE asks for it (RFC 5182 §2.4): for
    /// [`View::save`](crate::View::save).
    #[must_use]
    pub fn saves(&self, found: &[Message]) -> Option<NumberSet> {
        self.return_options.as_ref()?.saves(found)
    }
}

impl SearchReturn {
    fn saves(&self, found: &[Message]) -> Option<NumberSet> {
        let options = Some(self).filter(|options| options.save)?;
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

impl Sort {
    /// As [`Search::saves`]: MIN and MAX are the first and the last in this
    /// order.
    #[must_use]
    pub fn saves(&self, sorted: &[Message]) -> Option<NumberSet> {
        self.return_options.as_ref()?.saves(sorted)
    }

    /// The response to a SORT that put these messages in this order: SORT, or
    /// ESEARCH where RETURN asks for it (RFC 5267 §3).
    #[must_use]
    pub fn answer(&self, tag: &Tag, sorted: &[Message]) -> Option<Untagged> {
        let number = |one: &Message| if self.uid { one.uid } else { one.sequence };
        match &self.return_options {
            None => Some(Untagged::Sort(sorted.iter().map(number).collect())),
            Some(options) => options.answer(tag, self.uid, sorted).map(Untagged::ESearch),
        }
    }
}

impl MultiSearch {
    /// The response of one mailbox, whose messages these are, ascending;
    /// `None` where nothing was found (RFC 7377 §2.1).
    #[must_use]
    pub fn answer(
        &self,
        tag: &Tag,
        mailbox: &Mailbox,
        uid_validity: NonZeroU32,
        found: &[Message],
    ) -> Option<Untagged> {
        if found.is_empty() {
            return None;
        }
        let all = SearchReturn {
            all: true,
            ..SearchReturn::default()
        };
        let options = self.return_options.as_ref().unwrap_or(&all);
        let mut result = options.answer(tag, true, found)?;
        result.mailbox = Some(mailbox.clone());
        result.uid_validity = Some(uid_validity);
        Some(Untagged::ESearch(result))
    }
}

impl SearchReturn {
    /// What these options ask of a result; `None` where that is nothing.
    fn answer(&self, tag: &Tag, uid: bool, found: &[Message]) -> Option<ESearch> {
        let only_save = Self {
            save: true,
            ..Self::default()
        };
        if *self == only_save {
            return None;
        }
        let number = |one: &Message| if uid { one.uid } else { one.sequence };
        let mut result = ESearch {
            tag: Some(tag.clone()),
            uid,
            ..ESearch::default()
        };
        if self.min {
            result.min = found.first().map(number);
        }
        if self.max {
            result.max = found.last().map(number);
        }
        if self.count {
            result.count = Some(u32::try_from(found.len()).unwrap_or(u32::MAX));
        }
        if self.all {
            result.all = found.iter().map(number).collect();
        }
        if let Some(range) = self.partial {
            let slice = range.of(found).iter().map(number).collect();
            result.partial = Some((range, slice));
        }
        Some(result)
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
