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
//! A CR alone ends no line. IMAP and SMTP want CRLF: [`build::to_crlf`].
//!
//! # Whose words these are
//! A message says what its sender wants. Nothing here panics on any octets or takes more than linear
//! time and memory; [`Limits`] bounds the tree. What is read twice is read alike: the tree, the
//! parameters and the sections follow one rule each (the first of several fields counts; the RFC
//! 2231 form of a parameter wins over its plain form). No value handed to [`build`] or to
//! [`HeaderEdit`] leaves its field: line ends become spaces or folds, and a name that is none is not
//! written.
//!
//! # RFCs
//! - 5322 with its obsolete forms, 6532: [`Headers`], [`address`], [`Date`], [`message_id`]
//! - 5321 (trace fields): [`Received`]; 2369, 2919: [`list`]; 8601: [`AuthenticationResults`]
//! - 2045, 2046, 2183, 1864, 2557, 3282: [`Structure`], [`Scanner`], [`transfer`]; 2047:
//!   [`encoded_word`]; 2152: [`charset`]; 2231: [`Parameters`]
//! - 3501, 9051: [`Section`]; 8970: [`text::preview`]
//! - 3464, 3798, 3834, 5230, 6522, 6533: [`build`]; 5293: [`HeaderEdit`]
//!
//! What other readers of mail make of the same octets, and what the RFCs say to it, is in
//! `tests/differences.md` and at the top of the tests that compare.
//!
//! Not read: x-uuencode, yEnc and BinHex bodies, base64 encoded message/rfc822 parts.

pub mod address;
mod authentication;
pub mod build;
pub mod charset;
mod date;
mod edit;
pub mod encoded_word;
mod header;
pub mod list;
pub mod message_id;
mod param;
mod received;
mod section;
mod span;
mod structure;
pub mod text;
pub mod transfer;

pub use address::{Address, Mailbox};
pub use authentication::{AuthenticationResults, MethodResult, Property};
pub use date::Date;
pub use edit::HeaderEdit;
pub use header::{Field, Headers, unfold};
pub use param::{ContentType, Disposition, Parameter, ParameterIter, Parameters};
pub use received::{Clause, Received};
pub use section::{Located, Section, SectionText, select_fields};
pub use span::Span;
pub use structure::{Kind, Limits, Part, Scanner, Structure};
pub use transfer::Encoding;

/// The README's example compiles and runs.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
