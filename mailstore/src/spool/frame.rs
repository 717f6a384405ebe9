//! Octets of the log: frames, each with its checksums, and the records in them. `docs/format.md` has the table.

use super::QueueId;

/// First octets of a segment, with its number and its salt behind them.
const SEGMENT_MAGIC: &[u8; 8] = b"PHSPOOL2";
/// Those of an older version, whose frames are others.
const OLD_MAGIC: &[u8; 8] = b"PHSPOOL1";
const SEGMENT_HEADER: usize = 36;
/// Where the header stands once more: in another block of the disk, whatever size its blocks have.
const SECOND_HEADER: u64 = 4096;
/// Where the first frame stands.
pub(super) const FIRST_FRAME: u64 = SECOND_HEADER + SEGMENT_HEADER as u64;
/// What the magics of frames and of end marks begin with.
const MAGIC: [u8; 3] = *b"PHF";
const FRAME_MAGIC: [u8; 4] = *b"PHFR";
const END_MAGIC: [u8; 4] = *b"PHFE";
pub(super) const FRAME_HEADER: usize = 24;
/// A frame's body at most.
pub(super) const BODY_LIMIT: usize = 16 << 20;

const ACCEPT: u8 = 1;
const STATE: u8 = 2;
const REMOVE: u8 = 3;
const VOID: u8 = 4;
const END: u8 = 5;

/// What the checksums of a segment's frames begin with.
///
/// A segment's file may have been another segment before, and what stands in it behind the end was written by
/// whoever sent mail then. The salt, which nobody could know, keeps that from being taken for frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Key {
    number: u64,
    /// For frames' headers, and for their bodies: one checksum says nothing of the other.
    salt: [[u8; 8]; 2],
}

impl Key {
    /// The key of a new segment.
    pub(super) fn new(number: u64) -> Result<Self, getrandom::Error> {
        let mut salt = [[0; 8]; 2];
        getrandom::fill(salt.as_flattened_mut())?;
        Ok(Self { number, salt })
    }

    /// First octets of a new segment: both of its headers, and the end mark of what has no frames yet.
    pub(super) fn beginning(&self) -> Vec<u8> {
        let second = usize::try_from(SECOND_HEADER).unwrap_or_default();
        let mut out = self.header();
        out.resize(second, 0);
        out.extend_from_slice(&self.header());
        let at = At {
            place: FIRST_FRAME,
            group: FIRST_FRAME,
        };
        write_end(self, at, &mut out);
        out
    }

    fn header(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(SEGMENT_HEADER);
        out.extend_from_slice(SEGMENT_MAGIC);
        out.extend_from_slice(&self.number.to_le_bytes());
        out.extend_from_slice(self.salt.as_flattened());
        let checksum = crc32fast::hash(&out);
        out.extend_from_slice(&checksum.to_le_bytes());
        out
    }

    /// Reads a header, of whichever segment.
    fn read(header: &[u8]) -> Option<Self> {
        let (octets, checksum) = header
            .get(..SEGMENT_HEADER)?
            .split_at_checked(SEGMENT_HEADER - 4)?;
        let mut cursor = Cursor(octets);
        let magic: [u8; 8] = cursor.array()?;
        let number = u64::from_le_bytes(cursor.array()?);
        let salt = [cursor.array()?, cursor.array()?];
        let is_good = magic == *SEGMENT_MAGIC && crc32fast::hash(octets).to_le_bytes() == *checksum;
        is_good.then_some(Self { number, salt })
    }

    fn of_header(&self, header: &[u8]) -> u32 {
        let [salt, _] = &self.salt;
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(salt);
        hasher.update(&self.number.to_le_bytes());
        hasher.update(header);
        hasher.finalize()
    }

    fn of_body<P: AsRef<[u8]>>(&self, body: &[P]) -> u32 {
        let [_, salt] = &self.salt;
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(salt);
        for part in body {
            hasher.update(part.as_ref());
        }
        hasher.finalize()
    }
}

/// What the octets of a segment before its first frame tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Beginning {
    /// At least one of its two headers is good.
    Good(Key),
    /// No header of it came to the disk, and so nothing that was acknowledged: there is what the file held before,
    /// which is zeros, or headers of another segment.
    Never,
    /// It was written by an older version.
    Old,
    /// Neither.
    Bad,
}

impl Beginning {
    /// Reads the first octets of a segment: those before [`FIRST_FRAME`], or as many as there are.
    pub(super) fn read(number: u64, octets: &[u8]) -> Self {
        let second = usize::try_from(SECOND_HEADER).unwrap_or_default();
        let copies = [octets, octets.get(second..).unwrap_or_default()]
            .map(|copy| copy.get(..SEGMENT_HEADER).unwrap_or(copy));
        let keys = copies.map(Key::read);
        if let Some(key) = keys.into_iter().flatten().find(|key| key.number == number) {
            return Self::Good(key);
        }
        let old = octets.strip_prefix(OLD_MAGIC);
        if old.is_some_and(|rest| rest.starts_with(&number.to_le_bytes())) {
            return Self::Old;
        }
        let was_never = |(copy, key): (&[u8], Option<Key>)| {
            key.is_some() || copy.iter().all(|&octet| octet == 0)
        };
        if copies.into_iter().zip(keys).all(was_never) {
            Self::Never
        } else {
            Self::Bad
        }
    }
}

/// One change as it stands in the log; places are counted from the start of the frame's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Record<'a> {
    /// A message, with the state it has now. Without content, that is in a file of its own.
    Accept {
        id: QueueId,
        size: u64,
        envelope: &'a [u8],
        state: &'a [u8],
        content: Option<&'a [u8]>,
    },
    /// New state of a message.
    State { id: QueueId, state: &'a [u8] },
    /// The message is done.
    Remove { id: QueueId },
    /// What a segment holds before this place was acknowledged, and what it holds from there on was not.
    Void { segment: u64, from: u64 },
    /// What was found at an opening: behind this place of a segment, nothing counts.
    End { segment: u64, at: u64 },
}

fn put_id(id: QueueId, out: &mut Vec<u8>) {
    out.extend_from_slice(&id.micros.to_le_bytes());
    out.extend_from_slice(&id.epoch.to_le_bytes());
}

/// A length; what is too long for it is refused before, by [`BODY_LIMIT`].
fn put_len(bytes: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes());
}

impl Record<'_> {
    /// Adds the record to a frame's body.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        self.write_head(out);
        if let Self::Accept { content, .. } = self {
            out.extend_from_slice(content.unwrap_or_default());
        }
    }

    /// Adds all of it but a message's content, which stands last.
    pub(super) fn write_head(&self, out: &mut Vec<u8>) {
        match self {
            Self::Accept {
                id,
                size,
                envelope,
                state,
                content,
            } => {
                out.push(ACCEPT);
                put_id(*id, out);
                out.extend_from_slice(&size.to_le_bytes());
                out.push(u8::from(content.is_some()));
                put_len(envelope, out);
                put_len(state, out);
                put_len(content.unwrap_or_default(), out);
                out.extend_from_slice(envelope);
                out.extend_from_slice(state);
            }
            Self::State { id, state } => {
                out.push(STATE);
                put_id(*id, out);
                put_len(state, out);
                out.extend_from_slice(state);
            }
            Self::Remove { id } => {
                out.push(REMOVE);
                put_id(*id, out);
            }
            Self::Void { segment, from } => {
                out.push(VOID);
                out.extend_from_slice(&segment.to_le_bytes());
                out.extend_from_slice(&from.to_le_bytes());
            }
            Self::End { segment, at } => {
                out.push(END);
                out.extend_from_slice(&segment.to_le_bytes());
                out.extend_from_slice(&at.to_le_bytes());
            }
        }
    }
}

/// Reads integers and slices off the front.
struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn bytes(&mut self, len: usize) -> Option<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(bytes)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (array, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*array)
    }

    fn len(&mut self) -> Option<usize> {
        usize::try_from(u32::from_le_bytes(self.array()?)).ok()
    }

    fn id(&mut self) -> Option<QueueId> {
        Some(QueueId {
            micros: u64::from_le_bytes(self.array()?),
            epoch: u32::from_le_bytes(self.array()?),
        })
    }

    /// The next record; `None` behind the last one, too.
    fn record(&mut self) -> Option<Record<'a>> {
        let [kind] = self.array()?;
        Some(match kind {
            ACCEPT => {
                let id = self.id()?;
                let size = u64::from_le_bytes(self.array()?);
                let [inline] = self.array()?;
                let (envelope, state, content) = (self.len()?, self.len()?, self.len()?);
                let (envelope, state) = (self.bytes(envelope)?, self.bytes(state)?);
                let content = self.bytes(content)?;
                Record::Accept {
                    id,
                    size,
                    envelope,
                    state,
                    content: (inline == 1).then_some(content),
                }
            }
            STATE => {
                let id = self.id()?;
                let len = self.len()?;
                Record::State {
                    id,
                    state: self.bytes(len)?,
                }
            }
            REMOVE => Record::Remove { id: self.id()? },
            VOID => Record::Void {
                segment: u64::from_le_bytes(self.array()?),
                from: u64::from_le_bytes(self.array()?),
            },
            END => Record::End {
                segment: u64::from_le_bytes(self.array()?),
                at: u64::from_le_bytes(self.array()?),
            },
            _ => return None,
        })
    }
}

/// The records of a body whose checksum was right; `None` when they do not fill it exactly.
pub(super) fn records(body: &[u8]) -> Option<impl Iterator<Item = Record<'_>>> {
    let mut cursor = Cursor(body);
    while !cursor.0.is_empty() {
        cursor.record()?;
    }
    let mut cursor = Cursor(body);
    Some(std::iter::from_fn(move || cursor.record()))
}

/// Where a frame stands in a segment, and where the first frame of its group does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct At {
    pub(super) place: u64,
    pub(super) group: u64,
}

fn short(place: u64) -> u32 {
    u32::try_from(place & 0xFFFF_FFFF).unwrap_or_default()
}

/// Adds a header to a write: magic, length of the body, place of the frame in its segment and of its group's first,
/// checksum of the body, checksum of the header.
fn write_header(key: &Key, magic: [u8; 4], at: At, len: usize, checksum: u32, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(&magic);
    out.extend_from_slice(&u32::try_from(len).unwrap_or(u32::MAX).to_le_bytes());
    out.extend_from_slice(&short(at.place).to_le_bytes());
    out.extend_from_slice(&short(at.group).to_le_bytes());
    out.extend_from_slice(&checksum.to_le_bytes());
    let checksum = key.of_header(out.get(start..).unwrap_or_default());
    out.extend_from_slice(&checksum.to_le_bytes());
}

/// Adds a frame to a write.
pub(super) fn write_frame(key: &Key, at: At, body: &[Vec<u8>], out: &mut Vec<u8>) {
    let len = body.iter().map(Vec::len).sum::<usize>();
    out.reserve(FRAME_HEADER + len);
    write_header(key, FRAME_MAGIC, at, len, key.of_body(body), out);
    for part in body {
        out.extend_from_slice(part);
    }
}

/// Adds an end mark to a write: so far the segment goes, until the next group stands here.
pub(super) fn write_end(key: &Key, at: At, out: &mut Vec<u8>) {
    write_header(key, END_MAGIC, at, 0, 0, out);
}

/// Where the first octets of a frame or of an end mark stand.
pub(super) fn candidates(octets: &[u8]) -> impl Iterator<Item = usize> {
    memchr::memmem::find_iter(octets, &MAGIC)
}

/// A header of a frame or an end mark, whose checksum was right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FrameHeader {
    /// Octets of the body.
    pub(super) len: usize,
    /// Where its group begins.
    pub(super) group: u64,
    /// It is an end mark.
    pub(super) is_end: bool,
    body_checksum: u32,
}

impl FrameHeader {
    /// The header of the frame at a place of a segment. `None`: the end of what was written, or a torn write.
    pub(super) fn read(key: &Key, at: u64, content: &[u8]) -> Option<Self> {
        let header = content.get(..FRAME_HEADER)?;
        let mut cursor = Cursor(header);
        let magic: [u8; 4] = cursor.array()?;
        let len = cursor.len()?;
        let place = u32::from_le_bytes(cursor.array()?);
        let group = u32::from_le_bytes(cursor.array()?);
        let body_checksum = u32::from_le_bytes(cursor.array()?);
        let checksum = u32::from_le_bytes(cursor.array()?);
        let good = (magic == FRAME_MAGIC || magic == END_MAGIC)
            && place == short(at)
            && len <= BODY_LIMIT
            && checksum == key.of_header(header.get(..FRAME_HEADER - 4)?);
        good.then_some(Self {
            len,
            group: at.saturating_sub(u64::from(place.wrapping_sub(group))),
            is_end: magic == END_MAGIC,
            body_checksum,
        })
    }

    /// Whether this is the frame's body, whole.
    pub(super) fn is_body(&self, key: &Key, body: &[u8]) -> bool {
        body.len() == self.len && key.of_body(&[body]) == self.body_checksum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_and_records_are_read_back() {
        let id = QueueId {
            micros: 7,
            epoch: 9,
        };
        let all = [
            Record::Accept {
                id,
                size: 3,
                envelope: b"env",
                state: b"",
                content: Some(b"abc"),
            },
            Record::Accept {
                id,
                size: 1 << 40,
                envelope: b"env",
                state: b"s",
                content: None,
            },
            Record::State {
                id,
                state: b"later",
            },
            Record::Remove { id },
            Record::Void {
                segment: 4,
                from: 99,
            },
            Record::End { segment: 5, at: 77 },
        ];
        let mut body = Vec::new();
        for record in &all {
            record.write(&mut body);
        }
        assert!(records(&body).unwrap().eq(all));
        assert!(records(&body[..body.len() - 1]).is_none());
        let key = Key::new(3).unwrap();
        let mut out = Vec::new();
        let at = At {
            place: 16,
            group: 9,
        };
        write_frame(&key, at, std::slice::from_ref(&body), &mut out);
        let header = FrameHeader::read(&key, 16, &out).unwrap();
        assert!(header.group == 9 && !header.is_end);
        let mut end = Vec::new();
        write_end(&key, at, &mut end);
        assert!(FrameHeader::read(&key, 16, &end).unwrap().is_end);
        for at in 0..end.len() {
            let mut bad = end.clone();
            bad[at] ^= 1;
            assert_eq!(
                FrameHeader::read(&key, 16, &bad),
                None,
                "flipped octet {at}"
            );
        }
        let read = |key: &Key, at, content: &[u8]| {
            let header = FrameHeader::read(key, at, content)?;
            let end = content.len().min(FRAME_HEADER + header.len);
            Some(header.is_body(key, &content[FRAME_HEADER..end]))
        };
        assert_eq!(read(&key, 16, &out), Some(true));
        assert_eq!(read(&key, 17, &out), None);
        let other = Key { number: 4, ..key };
        assert_eq!(read(&other, 16, &out), None, "another segment's");
        let salted = Key::new(3).unwrap();
        assert_eq!(read(&salted, 16, &out), None, "an earlier use's");
        assert_eq!(read(&key, 16, &out[..out.len() - 1]), Some(false));
        for at in 0..out.len() {
            let mut bad = out.clone();
            bad[at] ^= 1;
            assert_ne!(read(&key, 16, &bad), Some(true), "flipped octet {at}");
        }
    }

    /// Whichever octets of one of the headers are others, the other one serves.
    #[test]
    fn a_segment_has_two_headers() {
        let key = Key::new(3).unwrap();
        let second = usize::try_from(SECOND_HEADER).unwrap();
        let mut octets = key.beginning();
        let end = octets.split_off(second + SEGMENT_HEADER);
        assert_eq!(octets.len() as u64, FIRST_FRAME);
        assert!(FrameHeader::read(&key, FIRST_FRAME, &end).unwrap().is_end);
        assert_eq!(Beginning::read(3, &octets), Beginning::Good(key));
        for start in [0, second] {
            for at in start..start + SEGMENT_HEADER {
                let mut bad = octets.clone();
                bad[at] ^= 1 << (at % 8);
                assert_eq!(Beginning::read(3, &bad), Beginning::Good(key), "octet {at}");
            }
        }
        let mut lost = octets.clone();
        lost[..second].fill(0);
        assert_eq!(Beginning::read(3, &lost), Beginning::Good(key));
        lost[second] ^= 1;
        assert_eq!(Beginning::read(3, &lost), Beginning::Bad);
        // What the file held before tells of a segment that was never written to.
        assert_eq!(Beginning::read(4, &octets), Beginning::Never);
        assert_eq!(Beginning::read(3, &vec![0; octets.len()]), Beginning::Never);
        assert_eq!(Beginning::read(3, &[]), Beginning::Never);
        let old = [OLD_MAGIC, &3u64.to_le_bytes()[..]].concat();
        assert_eq!(Beginning::read(3, &old), Beginning::Old);
    }
}
