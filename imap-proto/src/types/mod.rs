//! The terms of the protocol; none of them can hold what the grammar cannot.

mod atom;
mod body_structure;
mod chars;
mod date;
mod envelope;
mod flag;
mod mailbox;
mod number_sequence;
mod quoting;
mod rights;
pub(crate) mod section;
pub(crate) mod sequence_set;
pub(crate) mod string;
mod text;
mod url;
mod utf7;

pub use atom::{Atom, Tag};
pub use body_structure::{
    BodyStructure, Extension, Media, MultiExtension, MultiPart, Parameters, SingleExtension,
    SinglePart,
};
pub(crate) use chars::{Chars, letters, packed};
pub use date::{Date, DateTime};
pub use envelope::{Address, Envelope};
pub use flag::{Flag, PermanentFlag};
pub use mailbox::{ListPattern, Mailbox};
pub use number_sequence::NumberSequence;
pub use rights::{EntryName, Rights};
pub use section::{PartNumber, Partial, Section, SectionText};
pub use sequence_set::{NumberSet, Ranges, SequenceNumber, SequenceRange, SequenceSet};
pub use string::{IString, NString};
pub(crate) use text::Text;
pub use url::{ImapUrl, UrlAccess, UrlAuthorization, UrlPartial, UrlParts, UrlServer};
