//! A structure as octets, for indexes that keep it beside the message.

use super::{ABSENT, CONTENT_FIELDS, Kind, NONE, Node, Stored, Structure};
use crate::Span;

impl Structure {
    /// Writes the tree so that [`read_from`](Self::read_from) gives it back without the message. Numbers are
    /// LEB128; the form may be another in another version of this crate, so whoever keeps it keeps a version too.
    pub fn write_to(&self, out: &mut Vec<u8>) {
        number(out, self.size);
        number(out, u64::from(self.truncated));
        number(out, self.text.len() as u64);
        out.extend_from_slice(self.text.as_bytes());
        number(out, self.nodes.len() as u64);
        for node in &self.nodes {
            let kind = match node.kind {
                Kind::Leaf => 0,
                Kind::Multipart => 1,
                Kind::Message => 2,
            };
            let bits = [node.in_digest, node.digest, node.opaque];
            let bits = bits
                .iter()
                .enumerate()
                .fold(0, |bits, (place, set)| bits | u64::from(*set) << place);
            number(out, kind | bits << 2);
            number(out, u64::from(node.parent.wrapping_add(1)));
            number(out, u64::from(node.depth));
            for span in [node.header, node.body] {
                number(out, span.start);
                number(out, span.len());
            }
            number(out, node.preamble_end);
            number(out, node.epilogue_start);
            number(out, node.header_lines);
            number(out, node.body_lines);
            let present = node
                .fields
                .iter()
                .enumerate()
                .filter(|(_, field)| **field != ABSENT)
                .fold(0, |set, (place, _)| set | 1 << place);
            number(out, present);
            for field in node.fields.iter().filter(|field| **field != ABSENT) {
                number(out, u64::from(field.start));
                number(out, u64::from(field.end));
            }
        }
    }

    /// Reads what [`write_to`](Self::write_to) wrote off the front of `octets`; `None` for anything else. Parts
    /// are as many as the octets can hold, so that a lie costs no memory.
    pub fn read_from(octets: &mut &[u8]) -> Option<Self> {
        let size = take(octets)?;
        let truncated = take(octets)? != 0;
        let length = usize::try_from(take(octets)?).ok()?;
        let (text, rest) = octets.split_at_checked(length)?;
        *octets = rest;
        let text = std::str::from_utf8(text).ok()?.to_owned();
        let count = usize::try_from(take(octets)?).ok()?;
        // A part has no fewer octets than this.
        if count == 0 || count > octets.len() / 11 + 1 {
            return None;
        }
        let mut nodes: Vec<Node> = Vec::with_capacity(count);
        for index in 0..count {
            let node = read_node(octets)?;
            link(&mut nodes, index, &node)?;
            nodes.push(node);
        }
        Some(Self {
            nodes,
            text,
            size,
            truncated,
        })
    }
}

fn read_node(octets: &mut &[u8]) -> Option<Node> {
    let bits = take(octets)?;
    let kind = match bits & 3 {
        0 => Kind::Leaf,
        1 => Kind::Multipart,
        2 => Kind::Message,
        _ => return None,
    };
    let parent = u32::try_from(take(octets)?).ok()?.wrapping_sub(1);
    let depth = u32::try_from(take(octets)?).ok()?;
    let mut spans = [Span::default(); 2];
    for span in &mut spans {
        let start = take(octets)?;
        *span = Span::new(start, start.checked_add(take(octets)?)?);
    }
    let [header, body] = spans;
    let preamble_end = take(octets)?;
    let epilogue_start = take(octets)?;
    let header_lines = take(octets)?;
    let body_lines = take(octets)?;
    let present = take(octets)?;
    let mut fields = [ABSENT; CONTENT_FIELDS];
    for (place, field) in fields.iter_mut().enumerate() {
        if present >> place & 1 == 1 {
            *field = Stored {
                start: u32::try_from(take(octets)?).ok()?,
                end: u32::try_from(take(octets)?).ok()?,
            };
        }
    }
    Some(Node {
        header,
        body,
        preamble_end,
        epilogue_start,
        header_lines,
        body_lines,
        parent,
        first_child: NONE,
        last_child: NONE,
        next_sibling: NONE,
        depth,
        kind,
        in_digest: bits >> 2 & 1 == 1,
        digest: bits >> 3 & 1 == 1,
        opaque: bits >> 4 & 1 == 1,
        fields,
    })
}

/// Ties a node to its parent, which stands before it, and to the sibling before it.
fn link(nodes: &mut [Node], index: usize, node: &Node) -> Option<()> {
    let own = u32::try_from(index).ok()?;
    if node.parent == NONE {
        return (index == 0).then_some(());
    }
    let parent = nodes.get_mut(usize::try_from(node.parent).ok()?)?;
    let before = std::mem::replace(&mut parent.last_child, own);
    if before == NONE {
        parent.first_child = own;
    } else {
        nodes.get_mut(usize::try_from(before).ok()?)?.next_sibling = own;
    }
    Some(())
}

fn number(out: &mut Vec<u8>, mut value: u64) {
    loop {
        let low = u8::try_from(value & 0x7f).unwrap_or_default();
        value >>= 7;
        if value == 0 {
            return out.push(low);
        }
        out.push(low | 0x80);
    }
}

fn take(octets: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for place in 0..10 {
        let (&octet, rest) = octets.split_first()?;
        *octets = rest;
        let low = u64::from(octet & 0x7f);
        value |= low
            .checked_shl(place * 7)
            .filter(|shifted| shifted >> (place * 7) == low)?;
        if octet & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NESTED: &[u8] = b"Content-Type: multipart/digest; boundary=b\r\n\r\npre\r\n--b\r\n\r\n\
        Subject: in\r\n\r\ntext\r\n--b\r\nContent-Type: text/html; charset=x\r\nContent-ID: <i>\r\n\r\n<p>\r\n\
        --b--\r\nepilogue\r\n";

    #[test]
    fn a_tree_comes_back() {
        for message in [NESTED, b"", b"\r\n", b"a: b\r\n\r\nc"] {
            let structure = Structure::parse(message);
            let mut octets = Vec::new();
            structure.write_to(&mut octets);
            octets.push(7);
            let mut rest = &octets[..];
            assert_eq!(Structure::read_from(&mut rest).unwrap(), structure);
            assert_eq!(rest, [7]);
        }
    }

    proptest! {
        #[test]
        fn any_tree_comes_back(message in proptest::collection::vec(prop::sample::select(vec![
            "Content-Type: multipart/mixed; boundary=x\n", "Content-Type: message/rfc822\n", "\n", "--x\n", "--x--\n", "text\n"]), 0..30)) {
            let structure = Structure::parse(message.concat().as_bytes());
            let mut octets = Vec::new();
            structure.write_to(&mut octets);
            prop_assert_eq!(Structure::read_from(&mut &octets[..]), Some(structure));
        }

        #[test]
        fn rubbish_is_refused_or_walked(cut in 0usize..200, at in 0usize..200, octet: u8) {
            let mut octets = Vec::new();
            Structure::parse(NESTED).write_to(&mut octets);
            let cut = cut.min(octets.len());
            octets.truncate(cut);
            if let Some(slot) = octets.get_mut(at) {
                *slot = octet;
            }
            if let Some(structure) = Structure::read_from(&mut &octets[..]) {
                for part in structure.parts() {
                    let _ = (part.media_type(), part.children().count(), part.nested());
                }
            }
        }
    }
}
