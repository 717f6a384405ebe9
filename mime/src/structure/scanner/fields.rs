//! The scanner's reading of `Content-*` fields.

use super::{BOUNDARY_OCTETS, Declared, Scanner};
use crate::header::without_eol;
use crate::param::ContentType;
use crate::structure::{ABSENT, ContentField, NONE, Stored, VALUE_OCTETS};

impl Scanner {
    /// A field begins with this line.
    pub(super) fn begin_field(&mut self, line: &[u8], name: usize, colon: usize) {
        let Some((prefix, suffix)) = line.get(..name).and_then(|name| name.split_at_checked(8))
        else {
            return;
        };
        if !prefix.eq_ignore_ascii_case(b"content-") {
            return;
        }
        let Some(field) = ContentField::from_suffix(suffix) else {
            return;
        };
        // The first of several fields of one name counts.
        let current = self.open.last().copied().unwrap_or(NONE);
        if self.stored(current, field).is_none() {
            self.field = Some(field);
            self.extend_value(without_eol(line.get(colon..).unwrap_or_default()));
        }
    }

    /// More of the value of the field that is kept.
    pub(super) fn extend_value(&mut self, text: &[u8]) {
        let room = VALUE_OCTETS.saturating_sub(self.value.len());
        let text = text.get(..room).unwrap_or(text);
        self.value.extend_from_slice(text);
    }

    /// Stores the field that is kept, if there is one.
    pub(super) fn end_field(&mut self) {
        let Some(field) = self.field.take() else {
            return;
        };
        let start = self.text.len();
        if start + self.value.trim_ascii().len() <= self.limits.stored {
            // A type that is not kept declares nothing: the tree must not contradict it.
            if field == ContentField::Type {
                self.declare();
            }
            let value = self.value.trim_ascii();
            match std::str::from_utf8(value) {
                Ok(value) => self.text.push_str(value),
                Err(_) => self.text.push_str(&crate::charset::guess(value)),
            }
            let stored = u32::try_from(start)
                .ok()
                .zip(u32::try_from(self.text.len()).ok())
                .map_or(ABSENT, |(start, end)| Stored { start, end });
            if let Some(node) = self
                .open
                .last()
                .copied()
                .and_then(|node| self.node_mut(node))
                && let Some(slot) = node.fields.get_mut(field as usize)
            {
                *slot = stored;
            }
        } else {
            self.truncated = true;
        }
        self.value.clear();
    }

    /// Learns from the Content-Type in `value` what the part contains.
    fn declare(&mut self) {
        let Some(content_type) = ContentType::parse_octets(&self.value) else {
            return;
        };
        self.declared = Declared::Leaf;
        if content_type.is("multipart", "*") {
            if let Some(boundary) = content_type.boundary()
                && (1..=BOUNDARY_OCTETS).contains(&boundary.len())
            {
                self.boundary.clear();
                self.boundary.extend_from_slice(&boundary);
                self.declared = Declared::Multipart {
                    digest: content_type.is("multipart", "digest"),
                };
            }
        } else if content_type.is("message", "rfc822") || content_type.is("message", "global") {
            self.declared = Declared::Message;
        }
    }
}
