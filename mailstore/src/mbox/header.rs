//! The header of a message in an mbox: what of it is state, and where it ends.

use memchr::{memchr, memmem};

use super::meta::{self, STATUS_OCTETS, UID_OCTETS};
use super::scan::Found;

/// A header ends before the line that would bring what clients see of it above this; what is behind is taken for body.
/// So the state is in the midst of such a header, where other programs find it, too.
pub(super) const HEADER_LIMIT: usize = 1 << 20;
/// It ends before a longer line, too.
pub(super) const LINE_LIMIT: usize = 64 << 10;
/// Room for what clients do not see.
pub(super) const HIDDEN_ROOM: usize = 64 << 10;

/// Reads a header's lines; gives the Content-Length. `is_last`: the file ends with these octets.
pub(super) fn read(
    header: &[u8],
    is_last: bool,
    found: &mut Found,
    hasher: &mut crc32fast::Hasher,
) -> Option<u64> {
    let mut state = State::default();
    let (mut at, mut visible) = (0, 0);
    while let Some(rest) = header.get(at..).filter(|rest| !rest.is_empty()) {
        let line = rest
            .get(..memchr(b'\n', rest).map_or(rest.len(), |end| end + 1))
            .unwrap_or(rest);
        let place = found.header + at as u64;
        // The last may be half of a line end.
        if matches!(line, b"\n" | b"\r\n" | b"\r") {
            found.blank = place;
            found.body = place + line.len() as u64;
            return state.finish(found, header);
        }
        let is_cut = !is_last && !line.ends_with(b"\n");
        let is_new = !line.starts_with(b" ") && !line.starts_with(b"\t");
        let field = is_new.then(|| meta::field(line)).flatten();
        let field = field.filter(|field| meta::is_hidden(field));
        let hides = field.is_some() || !is_new && state.field.is_some();
        // A line that goes on where there is no more room is not of the state that was written before it.
        let is_full = visible + line.len() > HEADER_LIMIT && (!is_new || !hides);
        if is_cut || is_full || line.len() > LINE_LIMIT {
            break;
        }
        at += line.len();
        if is_new {
            state.take(found);
            if let Some(field) = field {
                state.begin(field, line, place);
            }
        } else if hides {
            state.value.push(' ');
            state.value.push_str(String::from_utf8_lossy(line).trim());
        }
        if hides {
            match found.hidden.last_mut() {
                Some((_, end)) if *end == place => *end = place + line.len() as u64,
                _ => found.hidden.push((place, place + line.len() as u64)),
            }
        } else {
            visible += line.len();
            hasher.update(line);
        }
    }
    found.blank = found.header + at as u64;
    found.body = found.blank;
    state.finish(found, header)
}

/// Fields that a change of flags writes over.
const WRITTEN_OVER: [&[u8]; 4] = [b"x-uid", b"status", b"x-status", b"x-keywords"];

/// The hidden fields of a header, as they are read.
#[derive(Default)]
struct State {
    /// The one that is read; it may go on in the next line.
    field: Option<Vec<u8>>,
    value: String,
    counted: Option<u64>,
    uid_line: Option<u64>,
    status_line: Option<u64>,
    /// How many there are of those that are written over.
    fields: usize,
}

impl State {
    fn begin(&mut self, field: Vec<u8>, line: &[u8], place: u64) {
        let value = line.get(field.len() + 1..).unwrap_or_default();
        self.value = String::from_utf8_lossy(value).trim().to_owned();
        match &field[..] {
            b"x-uid" if line.len() == UID_OCTETS => self.uid_line = Some(place),
            b"status" => self.status_line = Some(place),
            _ => {}
        }
        if WRITTEN_OVER.contains(&&field[..]) {
            self.fields += 1;
        }
        self.field = Some(field);
    }

    fn take(&mut self, found: &mut Found) {
        let Some(field) = self.field.take() else {
            return;
        };
        if field == b"content-length" {
            self.counted = self.value.parse().ok();
        }
        found.meta.read(&field, &self.value);
    }

    /// Sees whether UID and flags stand one behind the other as they are written here, and nowhere else.
    fn finish(mut self, found: &mut Found, header: &[u8]) -> Option<u64> {
        self.take(found);
        if let (Some(uid), Some(status), 4) = (self.uid_line, self.status_line, self.fields)
            && uid + UID_OCTETS as u64 == status
        {
            let at = usize::try_from(status - found.header).unwrap_or(usize::MAX);
            let lines = header.get(at..).unwrap_or_default();
            let keywords = lines.get(STATUS_OCTETS..).unwrap_or_default();
            if memmem::find(lines, b"\nX-Status: ") == Some(10)
                && lines.get(STATUS_OCTETS - 1) == Some(&b'\n')
                && keywords.starts_with(b"X-Keywords: ")
                && let Some(width) = memchr(b'\n', keywords)
                && !matches!(keywords.get(width + 1), Some(b' ' | b'\t'))
            {
                found.slot = Some((uid, width));
            }
        }
        self.counted
    }
}
