//! Search keys as they are read.

use super::keys::{Node, close};
use super::{FilterName, SearchKey, SearchKeys};
use crate::command::AnnotationMatch;
use crate::cursor::{self, Cursor, Parsed, words};
use crate::types::{Atom, Chars, Date, IString, SequenceSet};
use crate::{ParseError, ParseErrorKind};

words! {
    ALL ANSWERED DELETED DRAFT FLAGGED NEW OLD RECENT SEEN UNDRAFT UNSEEN KEYWORD BCC BODY CC FROM
    SUBJECT TEXT TO HEADER BEFORE ON SINCE SENTON SAVEDON LARGER SMALLER UID NOT FILTER UIDAFTER
    FUZZY OR OLDER YOUNGER MODSEQ EMAILID THREADID
}

#[cold]
fn unknown(at: usize) -> ParseError {
    Cursor::error_at(ParseErrorKind::Unknown("search key"), at)
}

/// Most nodes that there is room for before they are seen.
const FEW: usize = 16;

impl SearchKeys {
    /// `search-key *(SP search-key)` up to the end.
    pub(in crate::command) fn parse(c: &mut Cursor<'_>) -> Parsed<Self> {
        // A key and what it is made to take about as many octets, mostly more.
        let mut nodes = Vec::with_capacity((c.rest().len() / 8 + 2).min(FEW));
        nodes.push(Node::And(0));
        parse_into(c, &mut nodes)?;
        if c.peek() == Some(b' ') {
            while c.eat(b' ') {
                parse_into(c, &mut nodes)?;
            }
            close(&mut nodes, 0);
        } else {
            nodes.remove(0);
        }
        Ok(Self::from_nodes(nodes))
    }
}

/// A key and what it is made of, put behind the others.
fn parse_into(c: &mut Cursor<'_>, nodes: &mut Vec<Node>) -> Parsed<()> {
    c.deeper(|c| parse_here(c, nodes))
}

/// `NOT SP search-key` and its like, behind the space.
fn parse_made(c: &mut Cursor<'_>, nodes: &mut Vec<Node>, made: Node) -> Parsed<()> {
    let at = nodes.len();
    let pair = matches!(made, Node::Or(_));
    nodes.push(made);
    parse_into(c, nodes)?;
    if pair {
        c.space()?;
        parse_into(c, nodes)?;
    }
    close(nodes, at);
    Ok(())
}

/// `"(" search-key *(SP search-key) ")"`
fn parse_list(c: &mut Cursor<'_>, nodes: &mut Vec<Node>) -> Parsed<()> {
    let (start, at) = (c.at(), nodes.len());
    c.opens()?;
    if c.closes() {
        let kind = ParseErrorKind::Expected("an element");
        return Err(Cursor::error_at(kind, start + 1));
    }
    nodes.push(Node::And(0));
    loop {
        c.element()?;
        parse_into(c, nodes)?;
        if c.closes() {
            close(nodes, at);
            return Ok(());
        }
        c.space()?;
    }
}

fn parse_here(c: &mut Cursor<'_>, nodes: &mut Vec<Node>) -> Parsed<()> {
    match c.peek() {
        Some(b'(') => return parse_list(c, nodes),
        Some(b'0'..=b'9' | b'*' | b'$') => {
            nodes.push(Node::Key(SearchKey::Sequence(SequenceSet::parse(c)?)));
            return Ok(());
        }
        _ => {}
    }
    let at = c.at();
    let word = c.word(Chars::ATOM);
    if word == 0 {
        nodes.push(Node::Key(SearchKey::parse_long(at, c)?));
        return Ok(());
    }
    let behind = c.rest();
    if !c.eat(b' ') {
        let key = SearchKey::plain(word).ok_or_else(|| unknown(at))?;
        nodes.push(Node::Key(key));
        return Ok(());
    }
    let key = match word {
        KEYWORD => SearchKey::Keyword(Atom::parse(c)?),
        BCC => SearchKey::Bcc(IString::parse_astring(c)?),
        BODY => SearchKey::Body(IString::parse_astring(c)?),
        CC => SearchKey::Cc(IString::parse_astring(c)?),
        FROM => SearchKey::From(IString::parse_astring(c)?),
        SUBJECT => SearchKey::Subject(IString::parse_astring(c)?),
        TEXT => SearchKey::Text(IString::parse_astring(c)?),
        TO => SearchKey::To(IString::parse_astring(c)?),
        HEADER => {
            let name = IString::parse_astring(c)?;
            c.space()?;
            let value = IString::parse_astring(c)?;
            SearchKey::Header(Box::new((name, value)))
        }
        BEFORE => SearchKey::Before(Date::parse(c)?),
        ON => SearchKey::On(Date::parse(c)?),
        SINCE => SearchKey::Since(Date::parse(c)?),
        SENTON => SearchKey::SentOn(Date::parse(c)?),
        SAVEDON => SearchKey::SavedOn(Date::parse(c)?),
        LARGER => SearchKey::Larger(c.number64()?),
        SMALLER => SearchKey::Smaller(c.number64()?),
        UID => SearchKey::Uid(SequenceSet::parse(c)?),
        NOT => return parse_made(c, nodes, Node::Not(0)),
        FILTER => SearchKey::Filter(FilterName::parse(c)?),
        UIDAFTER => SearchKey::UidAfter(c.nz_number()?),
        FUZZY => return parse_made(c, nodes, Node::Fuzzy(0)),
        OR => return parse_made(c, nodes, Node::Or(0)),
        OLDER => SearchKey::Older(c.nz_number()?),
        YOUNGER => SearchKey::Younger(c.nz_number()?),
        MODSEQ => {
            // [SP entry-name SP entry-type-req]: flags have no sequence
            // of their own here, so the message's is what is compared.
            if c.peek() == Some(b'"') {
                IString::parse(c)?;
                c.space()?;
                c.atom_text()?;
                c.space()?;
            }
            SearchKey::ModSeq(c.number64()?)
        }
        EMAILID => SearchKey::EmailId(IString::parse_astring(c)?),
        THREADID => SearchKey::ThreadId(IString::parse_astring(c)?),
        _ => {
            c.leave(behind);
            SearchKey::plain(word).ok_or_else(|| unknown(at))?
        }
    };
    nodes.push(Node::Key(key));
    Ok(())
}

impl SearchKey {
    /// The keys of short names that stand alone.
    fn plain(word: u64) -> Option<Self> {
        Some(match word {
            ALL => Self::All,
            ANSWERED => Self::Answered,
            DELETED => Self::Deleted,
            DRAFT => Self::Draft,
            FLAGGED => Self::Flagged,
            NEW => Self::New,
            OLD => Self::Old,
            RECENT => Self::Recent,
            SEEN => Self::Seen,
            UNDRAFT => Self::Undraft,
            UNSEEN => Self::Unseen,
            _ => return None,
        })
    }

    /// The keys whose names are long.
    fn parse_long(at: usize, c: &mut Cursor<'_>) -> Parsed<Self> {
        let mut buffer = [0; cursor::KEYWORD];
        let word = c.keyword(Chars::ATOM, &mut buffer);
        match word {
            b"UNANSWERED" => return Ok(Self::Unanswered),
            b"UNDELETED" => return Ok(Self::Undeleted),
            b"UNFLAGGED" => return Ok(Self::Unflagged),
            b"SAVEDATESUPPORTED" => return Ok(Self::SaveDateSupported),
            _ => {}
        }
        if c.at() == at {
            return c.expected("a search key");
        }
        if !c.eat(b' ') {
            return Err(unknown(at));
        }
        Ok(match word {
            b"UNKEYWORD" => Self::Unkeyword(Atom::parse(c)?),
            b"SENTBEFORE" => Self::SentBefore(Date::parse(c)?),
            b"SENTSINCE" => Self::SentSince(Date::parse(c)?),
            b"SAVEDBEFORE" => Self::SavedBefore(Date::parse(c)?),
            b"SAVEDSINCE" => Self::SavedSince(Date::parse(c)?),
            b"ANNOTATION" => Self::Annotation(Box::new(AnnotationMatch::parse(c)?)),
            b"UIDBEFORE" => Self::UidBefore(c.nz_number()?),
            _ => return Err(unknown(at)),
        })
    }
}
