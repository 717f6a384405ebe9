//! A mail message as byte ranges: structure, headers, decoding, building and editing.
//!
//! Nothing here copies a message. [`Headers`] walks through the fields of a header block,
//! [`Structure`] knows where each part of a message lies (a [`Scanner`] finds out while the message
//! comes by in pieces), and what they give out are ranges or borrowed octets to be decoded when
//! somebody asks.
//!
//! ```
//! let message = b"Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n\
//!     Content-Type: text/plain; charset=iso-8859-1\r\n\
//!     Content-Transfer-Encoding: quoted-printable\r\n\r\nsch=F6n\r\n";
//!
//! let subject = mime::Headers::new(message).find("Subject").unwrap();
//! assert_eq!(subject.text(), "Grüße");
//!
//! let structure = mime::Structure::parse(message);
//! let part = structure.root();
//! let octets = part.encoding().decode(part.body().of(message));
//! assert_eq!(mime::charset::decode(&part.charset(), &octets), "schön\r\n");
//! ```
//!
//! # Line ends
//! Messages may be in CRLF or in LF form, as mail on disk is; ranges are those of the octets given.
//! A CR alone ends no line.
//!
//! # RFCs
//! 2045, 2046, 2047, 2183, 2231, 5322 (with its obsolete forms), 6532; sections after 3501 and 9051.

pub mod address;
pub mod build;
pub mod charset;
mod date;
mod edit;
pub mod encoded_word;
mod header;
pub mod message_id;
mod param;
mod section;
mod span;
mod structure;
pub mod text;
pub mod transfer;

pub use address::{Address, Mailbox};
pub use date::Date;
pub use edit::HeaderEdit;
pub use header::{Field, Headers, unfold};
pub use param::{ContentType, Disposition, Parameter, ParameterIter, Parameters};
pub use section::{Located, Section, SectionText, select_fields};
pub use span::Span;
pub use structure::{Kind, Limits, Part, Scanner, Structure};
pub use transfer::Encoding;
