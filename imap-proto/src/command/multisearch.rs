use super::MailboxFilter;
use super::search::{SearchKeys, SearchReturn, check_relevancy, parse_return, requires_return};
use crate::cursor::{Cursor, Parsed};
use crate::types::IString;
use crate::wire::Writer;
use crate::{Extension, ParseErrorKind};

/// ESEARCH: a search of several mailboxes (RFC 7377). Its answers always name
/// UIDs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MultiSearch {
    /// Where; none for the selected mailbox alone.
    pub sources: Vec<MailboxFilter>,
    /// What `RETURN (…)` asks for; ALL without.
    pub return_options: Option<SearchReturn>,
    /// The charset of the key's strings.
    pub charset: Option<IString>,
    /// What to look for.
    pub keys: SearchKeys,
}

impl MultiSearch {
    /// Whether the selected mailbox is searched: then there must be one.
    #[must_use]
    pub fn needs_selected(&self) -> bool {
        let updates = self
            .return_options
            .as_ref()
            .is_some_and(|options| options.update.is_some());
        updates || self.sources.is_empty() || self.sources.iter().any(MailboxFilter::is_selected)
    }

    pub(super) fn parse(c: &mut Cursor<'_>) -> Parsed<Self> {
        c.space()?;
        let at = c.at();
        let mut sources = Vec::new();
        if c.eat_text("IN ") {
            c.open()?;
            loop {
                sources.push(MailboxFilter::parse(c)?);
                if c.eat(b')') {
                    break;
                }
                c.space()?;
                if c.peek() == Some(b'(') {
                    // scope-options: none is defined.
                    return Err(c.error(ParseErrorKind::Unknown("scope option")));
                }
            }
            c.space()?;
        }
        let return_options = parse_return(c)?;
        let mut charset = None;
        if c.eat_text("CHARSET ") {
            charset = Some(IString::parse_astring(c)?);
            c.space()?;
        }
        let search = Self {
            sources,
            return_options,
            charset,
            keys: SearchKeys::parse(c)?,
        };
        search.check(at)?;
        check_relevancy(search.return_options.as_ref(), &search.keys, c)?;
        Ok(search)
    }

    /// What RFC 7377 §2.2 has BAD for.
    fn check(&self, at: usize) -> Parsed<()> {
        let conflict = |what| Err(Cursor::error_at(ParseErrorKind::Conflict(what), at));
        if self.sources.contains(&MailboxFilter::SelectedDelayed) {
            return conflict("SELECTED-DELAYED belongs to NOTIFY");
        }
        let others = self.sources.iter().any(|source| !source.is_selected());
        if others
            && self
                .return_options
                .as_ref()
                .is_some_and(|options| options.save)
        {
            return conflict("SAVE is for the selected mailbox");
        }
        Ok(())
    }

    pub(super) fn encode(&self, w: &mut Writer<'_>) {
        w.raw(b"ESEARCH ");
        if !self.sources.is_empty() {
            w.raw(b"IN ");
            w.list(&self.sources, |w, source| source.encode(w));
            w.space();
        }
        if let Some(options) = &self.return_options {
            options.encode(w);
        }
        if let Some(charset) = &self.charset {
            w.raw(b"CHARSET ");
            charset.encode_astring(w);
            w.space();
        }
        self.keys.encode(w);
    }

    pub(super) fn requires(&self, need: &mut dyn FnMut(Extension)) {
        need(Extension::MultiSearch);
        let options = self.return_options.as_ref();
        requires_return(
            options,
            Extension::MultiSearch,
            Extension::ContextSearch,
            need,
        );
        self.keys.requires(need);
    }
}
