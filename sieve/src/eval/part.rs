//! Loops over parts and tests on part headers (RFC 5703).

use std::ops::Range;
use std::sync::Arc;

use super::message::decoded;
use super::spend::FIELD;
use super::value::Values;
use super::{Evaluation, Fault};
use crate::program::{Command, List, Mime, MimeOf};

/// A running `foreverypart`.
pub(super) struct PartLoop {
    structure: Arc<mime::Structure>,
    /// By place, so that no step walks past the parts before it.
    places: Arc<[Place]>,
    /// Place in the order of [`mime::Structure::parts`] of the part at hand; `None` before the first.
    at: Option<usize>,
    /// First place to visit.
    first: usize,
    /// One past the last place to visit.
    end: usize,
}

/// What is known of a part by its place.
#[derive(Clone, Copy)]
struct Place {
    header: mime::Span,
    /// One past the place of its last descendant.
    end: usize,
}

fn places(structure: &mime::Structure) -> Arc<[Place]> {
    let mut list: Vec<Place> = Vec::new();
    // The parts whose descendants are being met, with their depths.
    let mut open: Vec<(usize, u32)> = Vec::new();
    for (at, part) in structure.parts().enumerate() {
        while let Some((done, _)) = open.pop_if(|(_, depth)| *depth >= part.depth()) {
            if let Some(place) = list.get_mut(done) {
                place.end = at;
            }
        }
        open.push((at, part.depth()));
        list.push(Place {
            header: part.header(),
            end: at + 1,
        });
    }
    let count = list.len();
    for (at, _) in open {
        if let Some(place) = list.get_mut(at) {
            place.end = count;
        }
    }
    list.into()
}

impl PartLoop {
    /// The loops go on over a message of as many parts.
    pub(super) fn renew(loops: &mut [Self], structure: &Arc<mime::Structure>) {
        let places = places(structure);
        for open in loops {
            open.structure = Arc::clone(structure);
            open.places = Arc::clone(&places);
        }
    }
}

impl Evaluation<'_> {
    pub(super) fn enter_parts(&mut self) {
        let outer = self.frames.last().and_then(|frame| frame.loops.last());
        let next = match outer {
            // Only the parts within the one at hand.
            Some(outer) => {
                let at = outer.at.unwrap_or(outer.first);
                PartLoop {
                    structure: Arc::clone(&outer.structure),
                    places: Arc::clone(&outer.places),
                    at: None,
                    first: at + 1,
                    end: outer.places.get(at).map_or(0, |place| place.end),
                }
            }
            None => {
                let structure = self.message.structure();
                let places = places(&structure);
                PartLoop {
                    structure,
                    at: None,
                    first: 0,
                    end: places.len(),
                    places,
                }
            }
        };
        if let Some(frame) = self.frames.last_mut() {
            frame.loops.push(next);
        }
    }

    /// Moves on; false, with the loop gone, after the last part.
    pub(super) fn next_part(&mut self) -> bool {
        let Some(frame) = self.frames.last_mut() else {
            return false;
        };
        let Some(open) = frame.loops.last_mut() else {
            return false;
        };
        let next = open.at.map_or(open.first, |at| at + 1);
        if next < open.end {
            open.at = Some(next);
            return true;
        }
        frame.loops.pop();
        false
    }

    pub(super) fn leave_parts(&mut self, count: usize) {
        if let Some(frame) = self.frames.last_mut() {
            let left = frame.loops.len().saturating_sub(count);
            frame.loops.truncate(left);
        }
    }

    /// The structure and the place of the part at hand; the loop of the including script counts too.
    pub(super) fn current_part(&mut self) -> (Arc<mime::Structure>, usize, bool) {
        let open = self
            .frames
            .iter()
            .rev()
            .find_map(|frame| frame.loops.last());
        match open {
            Some(open) => (
                Arc::clone(&open.structure),
                open.at.unwrap_or(open.first),
                true,
            ),
            None => (self.message.structure(), 0, false),
        }
    }

    /// Where the part at hand lies, unless it is the message itself.
    pub(super) fn inner_part_range(&mut self) -> Option<Range<usize>> {
        let (structure, at, _) = self.current_part();
        if at == 0 {
            return None;
        }
        let span = structure.parts().nth(at)?.span();
        Some(usize::try_from(span.start).ok()?..usize::try_from(span.end).ok()?)
    }

    /// Puts another message in place of this one. Loops over its parts end.
    pub(super) fn replace_message(&mut self, octets: Vec<u8>) {
        self.message.replace_all(octets);
        for frame in &mut self.frames {
            frame.loops.clear();
        }
    }

    /// Calls `visit` with the header of each part that `mime` speaks of, until it says stop.
    fn part_headers(&mut self, mime: &Mime, names: usize, mut visit: impl FnMut(&[u8]) -> bool) {
        let open = self
            .frames
            .iter()
            .rev()
            .find_map(|frame| frame.loops.last());
        let Some(open) = open else {
            let structure = self.message.structure();
            let count = if mime.any_child { usize::MAX } else { 1 };
            for part in structure.parts().take(count) {
                let header = part.header().of(self.message.octets());
                if self.is_spent_on(header, names) || visit(header) {
                    return;
                }
            }
            return;
        };
        let at = open.at.unwrap_or(open.first);
        let end = match open.places.get(at) {
            Some(place) if mime.any_child => place.end,
            _ => at + 1,
        };
        for place in open.places.get(at..end).unwrap_or_default() {
            let header = place.header.of(self.message.octets());
            if self.is_spent_on(header, names) || visit(header) {
                return;
            }
        }
    }

    /// Notes that a header is searched for so many names; true if that is too much.
    fn is_spent_on(&self, header: &[u8], names: usize) -> bool {
        self.spend((header.len() + FIELD).saturating_mul(names));
        self.is_spent()
    }

    pub(super) fn part_exists(&mut self, mime: &Mime, name: &[u8]) -> bool {
        let name = String::from_utf8_lossy(name).into_owned();
        let mut found = false;
        self.part_headers(mime, 1, |header| {
            found = mime::Headers::new(header).find(&name).is_some();
            found
        });
        found
    }

    /// Feeds what the header test with `:mime` looks at.
    pub(super) fn feed_part_headers(&mut self, mime: &Mime, names: &List, values: &mut Values<'_>) {
        let names: Vec<String> = self.expand_list(names);
        let parameters: Vec<String> = match &mime.of {
            MimeOf::Parameters(list) => self.expand_list(list),
            _ => Vec::new(),
        };
        self.part_headers(mime, names.len(), |header| {
            for name in &names {
                for field in mime::Headers::new(header).find_all(name) {
                    if feed_field(&mime.of, name, &field, &parameters, values) {
                        return true;
                    }
                }
            }
            false
        });
    }

    /// Raw values of the named fields of the parts that `mime` speaks of.
    pub(super) fn part_values(&mut self, mime: &Mime, name: &[u8]) -> Vec<Vec<u8>> {
        let name = String::from_utf8_lossy(name).into_owned();
        let mut out = Vec::new();
        self.part_headers(mime, 1, |header| {
            out.extend(
                mime::Headers::new(header)
                    .find_all(&name)
                    .map(|field| field.raw_value().to_vec()),
            );
            false
        });
        out
    }

    /// `extracttext` (RFC 5703 §7).
    pub(super) fn extract_text(&mut self, command: &Command) -> Result<(), Fault> {
        let Command::ExtractText {
            variable,
            modifiers,
            first,
        } = command
        else {
            return Ok(());
        };
        let (structure, at, in_loop) = self.current_part();
        if !in_loop {
            return Err(Fault::Fail(
                "extracttext stands outside of any foreverypart".to_owned(),
            ));
        }
        let mut text = Vec::new();
        if let Some(part) = structure.parts().nth(at) {
            // RFC 5703 §7: a part that is no text gives the empty string.
            if part.is("text", "*") {
                self.spend(part.body().of(self.message.octets()).len());
                text = super::body::part_text(
                    self.message.octets(),
                    part,
                    self.config.limits.body_text,
                )
                .into_bytes();
            }
        }
        if let Some(first) = first {
            let end = String::from_utf8_lossy(&text)
                .char_indices()
                .nth(*first)
                .map_or(text.len(), |(end, _)| end);
            text.truncate(end);
        }
        super::expand::cut(&mut text, self.config.limits.string_size);
        let text = super::expand::modify(text, modifiers);
        self.set_variable(variable, text)
    }
}

fn feed_field(
    of: &MimeOf,
    name: &str,
    field: &mime::Field<'_>,
    parameters: &[String],
    values: &mut Values<'_>,
) -> bool {
    let value = decoded(field.raw_value());
    let is_type = name.eq_ignore_ascii_case("content-type");
    let is_disposition = name.eq_ignore_ascii_case("content-disposition");
    match of {
        MimeOf::Whole => values.feed(value.as_bytes()),
        MimeOf::Parameters(_) => {
            let content_type = is_type.then(|| mime::ContentType::parse(&value)).flatten();
            let disposition = if is_type {
                None
            } else {
                mime::Disposition::parse(&value)
            };
            for parameter in parameters {
                let found = match (&content_type, &disposition) {
                    (Some(content_type), _) => content_type.parameter(parameter),
                    (None, Some(disposition)) => disposition.parameter(parameter),
                    _ => None,
                };
                if let Some(found) = found {
                    let found = mime::encoded_word::decode(found.as_bytes()).into_owned();
                    if values.feed(found.as_bytes()) {
                        return true;
                    }
                }
            }
            false
        }
        _ => {
            let text = if is_type {
                mime::ContentType::parse(&value).map(|parsed| match of {
                    MimeOf::Type => parsed.main().to_owned(),
                    MimeOf::Subtype => parsed.sub().to_owned(),
                    _ => format!("{}/{}", parsed.main(), parsed.sub()),
                })
            } else if is_disposition && !matches!(of, MimeOf::Subtype) {
                mime::Disposition::parse(&value).map(|parsed| parsed.kind().to_owned())
            } else {
                None
            };
            match text {
                Some(text) => values.feed(text.as_bytes()),
                // Other fields give a blank string, but count as not parsed.
                None if values.is_count() => false,
                None => values.feed(b""),
            }
        }
    }
}
