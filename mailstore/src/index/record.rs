//! The records in the index's frames.

use std::time::SystemTime;

use super::cache::Place;
use super::codec::{Cursor, put_number, put_string, put_time};
use crate::flags::{Flags, Keywords};
use crate::table::Message;

const STATE: u8 = 1;
const KEYWORDS: u8 = 2;
const MESSAGE: u8 = 3;
const GONE: u8 = 4;

/// What is said of the mailbox as a whole; the last one counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) uid_next: u32,
    pub(crate) highest_modseq: u64,
    /// Expunges at or below this are not remembered.
    pub(crate) forgotten: u64,
    /// What the disk said of sequences that may have been given.
    pub(crate) ceiling: u64,
    /// The run of the operating system that wrote this; 0 when it is not known.
    pub(crate) boot: u128,
    /// Nothing was given behind this record by the process that wrote it.
    pub(crate) closed: bool,
    pub(crate) generation: u64,
    pub(crate) cache_end: u64,
    /// What the format needs to see whether the mail is as it was.
    pub(crate) site: Vec<u8>,
}

/// One record, as it is read.
pub(super) enum Record<'a> {
    State(State),
    Keywords(Vec<String>),
    Message {
        message: Message,
        digest: Place,
        place: &'a [u8],
    },
    Gone {
        uid: u32,
        modseq: u64,
    },
}

pub(super) fn put_state(out: &mut Vec<u8>, state: &State) {
    out.push(STATE);
    out.extend_from_slice(&state.uid_next.to_le_bytes());
    for number in [state.highest_modseq, state.forgotten, state.ceiling] {
        out.extend_from_slice(&number.to_le_bytes());
    }
    out.extend_from_slice(&state.boot.to_le_bytes());
    out.push(u8::from(state.closed));
    out.extend_from_slice(&state.generation.to_le_bytes());
    out.extend_from_slice(&state.cache_end.to_le_bytes());
    put_string(out, &state.site);
}

pub(super) fn put_keywords(out: &mut Vec<u8>, names: &[String]) {
    out.push(KEYWORDS);
    put_number(out, names.len() as u64);
    for name in names {
        put_string(out, name.as_bytes());
    }
}

pub(super) fn put_message(out: &mut Vec<u8>, message: &Message, digest: Place, place: &[u8]) {
    out.push(MESSAGE);
    out.extend_from_slice(&message.uid.to_le_bytes());
    out.push(message.flags.bits());
    out.extend_from_slice(&message.keywords.0.to_le_bytes());
    out.extend_from_slice(&message.modseq.to_le_bytes());
    put_time(out, message.internal_date);
    let known = u8::from(message.save_date.is_some()) | u8::from(message.size.is_some()) << 1;
    out.push(known);
    put_time(out, message.save_date.unwrap_or(SystemTime::UNIX_EPOCH));
    out.extend_from_slice(&message.size.unwrap_or(0).to_le_bytes());
    out.extend_from_slice(&digest.at.to_le_bytes());
    out.extend_from_slice(&digest.len.to_le_bytes());
    put_string(out, place);
}

pub(super) fn put_gone(out: &mut Vec<u8>, uid: u32, modseq: u64) {
    out.push(GONE);
    out.extend_from_slice(&uid.to_le_bytes());
    out.extend_from_slice(&modseq.to_le_bytes());
}

/// The next record; `None` for octets that are none.
pub(super) fn read<'a>(cursor: &mut Cursor<'a>) -> Option<Record<'a>> {
    Some(match cursor.u8()? {
        STATE => Record::State(State {
            uid_next: cursor.u32()?,
            highest_modseq: cursor.u64()?,
            forgotten: cursor.u64()?,
            ceiling: cursor.u64()?,
            boot: u128::from_le_bytes(cursor.array()?),
            closed: cursor.u8()? == 1,
            generation: cursor.u64()?,
            cache_end: cursor.u64()?,
            site: cursor.string()?.to_vec(),
        }),
        KEYWORDS => {
            let count = cursor.number()?;
            let mut names = Vec::new();
            for _ in 0..count {
                names.push(std::str::from_utf8(cursor.string()?).ok()?.to_owned());
            }
            Record::Keywords(names)
        }
        MESSAGE => {
            let uid = cursor.u32()?;
            let flags = Flags::from_bits(cursor.u8()?);
            let keywords = Keywords(cursor.u64()?);
            let modseq = cursor.u64()?;
            let internal_date = cursor.time()?;
            let known = cursor.u8()?;
            let save_date = Some(cursor.time()?).filter(|_| known & 1 != 0);
            let size = Some(cursor.u64()?).filter(|_| known & 2 != 0);
            let digest = Place {
                at: cursor.u64()?,
                len: cursor.u32()?,
            };
            Record::Message {
                message: Message {
                    uid,
                    flags,
                    keywords,
                    modseq,
                    internal_date,
                    save_date,
                    size,
                },
                digest,
                place: cursor.string()?,
            }
        }
        GONE => Record::Gone {
            uid: cursor.u32()?,
            modseq: cursor.u64()?,
        },
        _ => return None,
    })
}
