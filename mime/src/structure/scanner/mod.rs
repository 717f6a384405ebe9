mod fields;
#[cfg(test)]
mod tests;

use memchr::{memchr, memchr_iter, memmem};

use super::boundary::{Boundaries, Delimiter};
use super::{
    ABSENT, CONTENT_FIELDS, ContentField, Kind, Limits, NONE, Node, Structure, VALUE_OCTETS,
};
use crate::Span;
use crate::header::{Line, classify, without_eol};

/// Octets at the front of a header line that are looked at; a longer line is cut. Bounds what is
/// kept between two calls of [`Scanner::feed`].
const LINE_OCTETS: usize = VALUE_OCTETS;

/// A longer boundary is none: RFC 2046 §5.1.1 allows 70 octets. Bounds what is kept of a line that
/// may be a delimiter.
const BOUNDARY_OCTETS: usize = 1000;

/// Where in the message the next octet lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// First octet of a line of the innermost open part's header.
    Header,
    /// In a header line, behind [`LINE_OCTETS`].
    HeaderRest,
    /// First octet of a body line.
    LineStart,
    /// In a body, where only a line end is of interest.
    Body,
    /// In a boundary line, behind the boundary.
    DelimiterRest { closes: bool },
}

/// Takes a message apart as it comes by, in pieces of any size.
///
/// Memory grows with the number of parts and their `Content-*` values, within [`Limits`], and never
/// with the size of the message. The outcome is that of [`Structure::parse`] however the message is
/// cut.
///
/// ```
/// let mut scanner = mime::Scanner::new();
/// scanner.feed(b"Content-Type: text/html\r");
/// scanner.feed(b"\n\r\n<p>Hello");
/// let structure = scanner.finish();
/// assert_eq!(structure.root().media_type(), ("text", "html"));
/// assert_eq!(structure.root().body(), mime::Span::new(27, 35));
/// ```
#[derive(Clone, Debug)]
pub struct Scanner {
    limits: Limits,
    state: State,
    /// Octets and lines before the window that is looked at.
    offset: u64,
    lines: u64,
    /// Front of a line that cannot be judged yet, and how much of it has no line end.
    carry: Vec<u8>,
    searched: usize,
    /// Octets of the line end before this line: 0, 1 or 2.
    eol: u64,
    /// The last octet seen was CR.
    after_cr: bool,
    nodes: Vec<Node>,
    text: String,
    /// Parts whose end has not been seen, the message first.
    open: Vec<u32>,
    boundaries: Boundaries,
    newline_dashes: memmem::Finder<'static>,
    /// No field of the current header seen yet.
    front: bool,
    field: Option<ContentField>,
    value: Vec<u8>,
    /// What the current header's Content-Type asks for.
    declared: Declared,
    boundary: Vec<u8>,
    truncated: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Declared {
    Nothing,
    Leaf,
    Multipart { digest: bool },
    Message,
}

impl Default for Scanner {
    fn default() -> Self {
        Self::new()
    }
}

impl Scanner {
    /// A scanner at the front of a message, with the default [`Limits`].
    pub fn new() -> Self {
        Self::with_limits(Limits::default())
    }

    /// A scanner at the front of a message.
    pub fn with_limits(limits: Limits) -> Self {
        let mut scanner = Self {
            limits,
            state: State::Header,
            offset: 0,
            lines: 0,
            carry: Vec::new(),
            searched: 0,
            eol: 0,
            after_cr: false,
            nodes: Vec::new(),
            text: String::new(),
            open: Vec::new(),
            boundaries: Boundaries::default(),
            newline_dashes: memmem::Finder::new(b"\n--"),
            front: true,
            field: None,
            value: Vec::new(),
            declared: Declared::Nothing,
            boundary: Vec::new(),
            truncated: false,
        };
        scanner.begin_part(0, false);
        scanner
    }

    /// Takes the next piece of the message.
    pub fn feed(&mut self, mut chunk: &[u8]) {
        while !self.carry.is_empty() && !chunk.is_empty() {
            // Enough for the line to be judged, whatever it is.
            let (head, _) = chunk.split_at(chunk.len().min(2 * LINE_OCTETS));
            let held = self.carry.len();
            let mut window = std::mem::take(&mut self.carry);
            window.extend_from_slice(head);
            let consumed = self.process(&window, false);
            let beyond = consumed.saturating_sub(held);
            if consumed < held {
                // Still not enough: all of the head stays.
                window.drain(..consumed);
                self.carry = window;
                chunk = chunk.get(head.len()..).unwrap_or_default();
            } else {
                window.clear();
                self.carry = window;
                chunk = chunk.get(beyond..).unwrap_or_default();
                break;
            }
        }
        if self.carry.is_empty() && !chunk.is_empty() {
            let consumed = self.process(chunk, false);
            let rest = chunk.get(consumed..).unwrap_or_default();
            self.carry.extend_from_slice(rest);
        }
    }

    /// A whole message at once.
    pub(super) fn whole(&mut self, message: &[u8]) {
        self.process(message, true);
    }

    /// Ends the message.
    pub fn finish(mut self) -> Structure {
        let rest = std::mem::take(&mut self.carry);
        self.process(&rest, true);
        while self.state == State::Header {
            self.end_header(self.offset, self.lines);
        }
        self.close_parts(0, self.offset, self.lines);
        Structure {
            nodes: self.nodes,
            text: self.text,
            size: self.offset,
            truncated: self.truncated,
        }
    }

    /// Looks at as much of `window` as can be judged and returns how much that was. What is left
    /// over begins a line and is shorter than [`LINE_OCTETS`]; nothing is left over if `last`.
    fn process(&mut self, window: &[u8], last: bool) -> usize {
        let mut at = 0;
        while let Some(rest) = window.get(at..).filter(|rest| !rest.is_empty()) {
            let start = self.offset + at as u64;
            let step = match self.state {
                State::Header => self.header_line(rest, start, last),
                State::HeaderRest => Some(self.skip_line(rest, State::Header)),
                State::LineStart => self.line_start(rest, start, last),
                State::Body => Some(self.body(rest)),
                State::DelimiterRest { closes } => Some(self.delimiter_rest(rest, start, closes)),
            };
            match step {
                Some(len) => {
                    at += len;
                    self.searched = 0;
                }
                None => break,
            }
        }
        self.offset += at as u64;
        at
    }

    fn header_line(&mut self, rest: &[u8], start: u64, last: bool) -> Option<usize> {
        let unseen = rest.get(self.searched..).unwrap_or_default();
        let (line, len, next) = match memchr(b'\n', unseen) {
            Some(at) => {
                let len = self.searched + at + 1;
                (rest.get(..len.min(LINE_OCTETS))?, len, State::Header)
            }
            None if rest.len() >= LINE_OCTETS => {
                (rest.get(..LINE_OCTETS)?, LINE_OCTETS, State::HeaderRest)
            }
            None if last => (rest, rest.len(), State::Header),
            None => {
                self.searched = rest.len();
                return None;
            }
        };
        if line.starts_with(b"--")
            && let Some(delimiter) = self.boundaries.find(without_eol(line))
        {
            while self.state == State::Header {
                self.end_header(start, self.lines);
            }
            self.eol = 0;
            self.delimiter(delimiter, start);
            return Some(delimiter.len);
        }
        match classify(line, self.front) {
            Line::Field { name, colon } => {
                self.end_field();
                self.front = false;
                if let [b'c' | b'C', ..] = line {
                    self.begin_field(line, name, colon);
                }
            }
            Line::Continuation => {
                if self.field.is_some() {
                    self.extend_value(without_eol(line));
                }
            }
            Line::Envelope => {}
            Line::Blank => {
                self.lines += 1;
                self.eol = len as u64;
                self.end_header(start + len as u64, self.lines);
                return Some(len);
            }
            Line::Other => {
                self.eol = 0;
                self.end_header(start, self.lines);
                return Some(0);
            }
        }
        if next == State::Header && line.last() == Some(&b'\n') || len > line.len() {
            self.lines += 1;
        }
        self.state = next;
        Some(len)
    }

    /// Skips through the end of the line.
    fn skip_line(&mut self, rest: &[u8], next: State) -> usize {
        match memchr(b'\n', rest) {
            Some(at) => {
                self.lines += 1;
                self.state = next;
                at + 1
            }
            None => rest.len(),
        }
    }

    fn line_start(&mut self, rest: &[u8], start: u64, last: bool) -> Option<usize> {
        self.after_cr = false;
        if self.boundaries.is_empty() {
            self.state = State::Body;
            return Some(0);
        }
        match rest {
            [b'-', b'-', ..] => {}
            [b'-'] if !last => return None,
            _ => {
                self.state = State::Body;
                return Some(0);
            }
        }
        let needed = self.boundaries.needed();
        let head = rest.get(..needed).unwrap_or(rest);
        let head = match memchr(b'\n', head) {
            Some(at) => without_eol(head.get(..=at)?),
            None if head.len() < needed && !last => return None,
            None => head,
        };
        match self.boundaries.find(head) {
            Some(delimiter) => {
                self.delimiter(delimiter, start);
                Some(delimiter.len)
            }
            None => {
                self.state = State::Body;
                Some(0)
            }
        }
    }

    /// Looks for the next line that may be a boundary.
    fn body(&mut self, rest: &[u8]) -> usize {
        let line_end = if self.boundaries.is_empty() {
            None
        } else {
            self.newline_dashes.find(rest)
        };
        let (seen, at_line) = match (line_end, rest) {
            (Some(at), _) => (rest.get(..=at).unwrap_or(rest), true),
            (None, [.., b'\n']) => (rest, true),
            (None, [seen @ .., b'-']) if seen.last() == Some(&b'\n') => (seen, true),
            (None, _) => (rest, false),
        };
        self.lines += count_lines(seen);
        if at_line {
            let cr = match seen {
                [.., before, _] => *before == b'\r',
                _ => self.after_cr,
            };
            self.eol = if cr { 2 } else { 1 };
            self.state = State::LineStart;
        }
        self.after_cr = seen.last() == Some(&b'\r');
        seen.len()
    }

    /// A boundary line: ends parts. `start` is the line's first octet.
    fn delimiter(&mut self, delimiter: Delimiter, start: u64) {
        let Delimiter {
            index,
            open,
            closes,
            ..
        } = delimiter;
        let innermost = self.open.last().and_then(|&node| self.node(node));
        let floor = innermost.map_or(0, |node| node.body.start);
        let end = start.saturating_sub(self.eol).max(floor);
        let lines = self.lines - u64::from(end < start);
        self.close_parts(open, end, lines);
        self.boundaries
            .truncate(if closes { index } else { index + 1 });
        if let Some(node) = open
            .checked_sub(1)
            .and_then(|at| self.open.get(at).copied())
            && let Some(node) = self.node_mut(node)
            && node.first_child == NONE
            && node.preamble_end == 0
        {
            node.preamble_end = end;
        }
        self.state = State::DelimiterRest { closes };
    }

    fn delimiter_rest(&mut self, rest: &[u8], start: u64, closes: bool) -> usize {
        let len = self.skip_line(rest, State::LineStart);
        if self.state == State::LineStart {
            let cr = match rest.get(..len) {
                Some([.., before, _]) => *before == b'\r',
                _ => self.after_cr,
            };
            self.eol = if cr { 2 } else { 1 };
            let at = start + len as u64;
            if closes {
                if let Some(&node) = self.open.last()
                    && let Some(node) = self.node_mut(node)
                {
                    node.epilogue_start = at;
                }
            } else {
                self.begin_part(at, false);
            }
        }
        self.after_cr = rest.last() == Some(&b'\r');
        len
    }

    /// Opens a part below the innermost open one, unless that would be too many.
    fn begin_part(&mut self, at: u64, is_nested: bool) {
        let parent = self.open.last().copied().unwrap_or(NONE);
        let in_digest = self
            .node(parent)
            .is_some_and(|node| node.kind == Kind::Multipart && node.digest);
        let opaque = self.nodes.len() + 1 >= self.limits.parts && parent != NONE && !is_nested
            || self.text.len() >= self.limits.stored;
        let index = u32::try_from(self.nodes.len()).unwrap_or(NONE);
        let depth = u32::try_from(self.open.len()).unwrap_or(NONE);
        if let Some(node) = self.node_mut(parent) {
            let last = std::mem::replace(&mut node.last_child, index);
            if last == NONE {
                node.first_child = index;
            }
            if let Some(sibling) = self.node_mut(last) {
                sibling.next_sibling = index;
            }
        }
        self.nodes.push(Node {
            header: Span::new(at, at),
            body: Span::new(at, at),
            preamble_end: 0,
            epilogue_start: 0,
            header_lines: self.lines,
            body_lines: self.lines,
            parent,
            first_child: NONE,
            last_child: NONE,
            next_sibling: NONE,
            depth: depth + 1,
            kind: Kind::Leaf,
            in_digest,
            digest: false,
            opaque,
            fields: [ABSENT; CONTENT_FIELDS],
        });
        self.open.push(index);
        self.front = true;
        self.declared = Declared::Nothing;
        self.state = State::Header;
        if opaque {
            // Nothing behind this is taken apart.
            self.truncated = true;
            self.boundaries.truncate(0);
            self.end_header(at, self.lines);
        }
    }

    /// The innermost open part's header ends at `at`, where its body begins.
    fn end_header(&mut self, at: u64, lines: u64) {
        self.end_field();
        self.state = State::LineStart;
        let depth = self.open.len();
        let declared = self.declared;
        let Some(index) = self.open.last().copied() else {
            return;
        };
        let left = self.limits.parts.saturating_sub(self.nodes.len());
        let deep = u32::try_from(depth).is_ok_and(|depth| depth >= self.limits.depth);
        let is_base64 = self
            .stored(index, ContentField::TransferEncoding)
            .is_some_and(|encoding| crate::transfer::Encoding::parse(encoding).is_base64());
        let Some(node) = self.node_mut(index) else {
            return;
        };
        node.header.end = at;
        node.header_lines = lines - node.header_lines;
        node.body = Span::new(at, at);
        node.body_lines = lines;
        let declared = match declared {
            Declared::Nothing if node.in_digest => Declared::Message,
            declared => declared,
        };
        if node.opaque || matches!(declared, Declared::Nothing | Declared::Leaf) {
            return;
        }
        // A nested message must leave room for the leaf that hides the rest.
        let needed = if declared == Declared::Message { 2 } else { 1 };
        if deep || left < needed {
            node.opaque = true;
            self.truncated = true;
            return;
        }
        match declared {
            Declared::Multipart { digest } => {
                node.kind = Kind::Multipart;
                node.digest = digest;
                self.boundaries.push(&self.boundary, depth);
            }
            Declared::Message if !is_base64 => {
                node.kind = Kind::Message;
                self.begin_part(at, true);
            }
            _ => {}
        }
    }

    /// Ends all open parts but the outermost `keep`.
    fn close_parts(&mut self, keep: usize, end: u64, lines: u64) {
        while self.open.len() > keep {
            let node = self.open.pop().and_then(|index| self.node_mut(index));
            if let Some(node) = node {
                node.body.end = end;
                node.body_lines = lines.saturating_sub(node.body_lines);
                if node.kind == Kind::Multipart && node.first_child == NONE {
                    node.kind = Kind::Leaf;
                }
            }
        }
    }

    fn node(&self, index: u32) -> Option<&Node> {
        self.nodes.get(usize::try_from(index).ok()?)
    }

    fn node_mut(&mut self, index: u32) -> Option<&mut Node> {
        self.nodes.get_mut(usize::try_from(index).ok()?)
    }

    fn stored(&self, index: u32, field: ContentField) -> Option<&str> {
        crate::structure::stored(&self.text, self.node(index)?, field)
    }
}

fn count_lines(text: &[u8]) -> u64 {
    memchr_iter(b'\n', text).count() as u64
}
