//! IMAP4rev1 and IMAP4rev2: sans-IO server and client machines, grammar, and
//! session bookkeeping.
//!
//! No socket, no clock, no mail: the host reads octets into a buffer, calls
//! [`Server::poll`], acts on [`Event`]s, and writes [`Server::output`] out.
//!
//! | item | what it is |
//! |---|---|
//! | [`Server`], [`Event`], [`Config`], [`Limits`] | a server's side of one connection |
//! | [`Client`], [`ClientEvent`], [`ClientConfig`] | a client's side |
//! | [`Command`], [`CommandBody`] | what clients say, typed |
//! | [`Response`], [`Untagged`], [`StatusResponse`], [`Code`] | what servers say, typed |
//! | [`Mailbox`], [`SequenceSet`], [`Flag`], [`Section`] … | the terms; none can hold what the grammar cannot |
//! | [`View`], [`Change`] | a session's frozen sequence numbers, and the news it was not told yet |
//! | [`Uids`] | a mailbox's messages, which its sessions' views share |
//! | [`MailboxState`], [`MailboxList::matching`], [`FetchItem::of_message`] | answers to SELECT, STATUS, LIST, and FETCH of a message's octets |
//! | `WholeMessage`, `Envelope::of_header`, `BodyStructure::of_part` | all that FETCH, SEARCH, SORT and THREAD want of a message, by the crate `mime`: with the feature of that name |
//! | [`Program`], [`sort`], [`thread`], [`ListPattern::matches`] | SEARCH, SORT, THREAD and LIST, worked out without a store |
//! | [`Extension`], [`Extensions`], [`Capability`] | what is offered |
//!
//! # A server's loop
//!
//! ```
//! use std::sync::Arc;
//! use std::time::Instant;
//!
//! use bytes::{Buf, Bytes, BytesMut};
//! use imap_proto::{
//!     CommandBody, Config, Content, Event, FetchItem, Section, Server, Step, Untagged,
//! };
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let config = Config {
//!     login_without_tls: true, // an example; real passwords go through TLS
//!     ..Config::default()
//! };
//! let mut server = Server::new(Arc::new(config), Instant::now());
//! let mut input = BytesMut::from(
//!     "a LOGIN joe secret\r\nb SELECT INBOX\r\nc FETCH 1 BODY[]\r\nd LOGOUT\r\n",
//! );
//! let mut sent = Vec::new();
//! loop {
//!     match server.poll(&mut input, Instant::now())? {
//!         Step::Event(Event::Command(command)) => match command.body {
//!             CommandBody::Login { password, .. } if password.expose() == b"secret" => {
//!                 server.ok("Welcome")?;
//!             }
//!             CommandBody::Select(_) => {
//!                 server.untagged(&Untagged::Exists(1))?;
//!                 server.ok("SELECT completed")?;
//!             }
//!             CommandBody::Fetch(fetch) => {
//!                 // A real host asks the attributes; the body is announced,
//!                 // then streamed in chunks of any size.
//!                 let item = FetchItem::Section {
//!                     section: Section::default(),
//!                     origin: None,
//!                     content: Content::Stream(12),
//!                 };
//!                 let sequence = std::num::NonZeroU32::MIN;
//!                 server.untagged(&Untagged::Fetch { sequence, items: vec![item] })?;
//!                 server.send_payload(Bytes::from_static(b"A: b\r\n"))?;
//!                 server.send_payload(Bytes::from_static(b"\r\nhi\r\n"))?;
//!                 server.ok("FETCH completed")?;
//!             }
//!             _ => server.no("Not here")?,
//!         },
//!         Step::Event(Event::Rejected(rejected)) => eprintln!("{:?}", rejected.rejection),
//!         Step::Event(_) => server.no("Not here")?,
//!         Step::Closed => break,
//!         // A real host reads more into `input`, or waits for poll_timeout().
//!         Step::NeedInput | Step::NeedAnswer | Step::NeedDrain => {}
//!     }
//!     // A real host: socket.write_all_buf(server.output()).
//!     let output = server.output();
//!     sent.extend_from_slice(&output.copy_to_bytes(output.remaining()));
//! }
//! let output = server.output();
//! sent.extend_from_slice(&output.copy_to_bytes(output.remaining()));
//! let sent = String::from_utf8(sent)?;
//! assert!(sent.contains("* 1 FETCH (BODY[] {12}\r\nA: b\r\n\r\nhi\r\n)\r\nc OK FETCH completed\r\n"));
//! assert!(sent.ends_with("* BYE Logging out\r\nd OK LOGOUT completed\r\n"));
//! # Ok(())
//! # }
//! ```
//!
//! # RFCs
//!
//! | RFC | what is here |
//! |---|---|
//! | 3501, 9051 | IMAP4rev1 and IMAP4rev2: grammar both ways, server, client |
//! | 7888 | LITERAL+, LITERAL-: server, client |
//! | 2177, 5161, 4959 | IDLE, ENABLE, SASL-IR: server, client |
//! | 3502, 6855 | MULTIAPPEND, UTF8=ACCEPT: server, grammar |
//! | 4731, 5182, 9394 | ESEARCH, SEARCHRES, PARTIAL: grammar, answers, saved result |
//! | 5032, 6203, 8474, 8514 | WITHIN, SEARCH=FUZZY, OBJECTID, SAVEDATE: grammar, evaluation |
//! | 5256, 5957 | SORT, THREAD, SORT=DISPLAY, THREAD=REFS: grammar, algorithms |
//! | 5267, 5465 | ESORT, CONTEXT=SEARCH, CONTEXT=SORT, NOTIFY: grammar, updates in [`View`] |
//! | 7162, 9586 | CONDSTORE, QRESYNC, UIDONLY: grammar, ENABLE, news and resynchronization in [`View`] |
//! | 2342, 2971, 3348, 3516, 3691, 4315, 5258, 5819, 6154, 6851, 8438, 8440 | NAMESPACE, ID, CHILDREN, BINARY, UNSELECT, UIDPLUS, LIST-EXTENDED, LIST-STATUS, SPECIAL-USE, MOVE, STATUS=SIZE, LIST-MYRIGHTS: grammar |
//! | 4314, 5464, 9208, 8970, 7889, 5530 | ACL, METADATA, QUOTA, PREVIEW, APPENDLIMIT, response codes: grammar |
//! | 4978, 8437 | COMPRESS, UNAUTHENTICATE: grammar, states; deflating is the host's |
//! | 4469, 8508 | CATENATE, REPLACE: server, client, streamed |
//! | 5092, 4467, 5524, 5550 | [`ImapUrl`], URLAUTH, URLAUTH=BINARY, URL-PARTIAL: grammar; keys are the host's |
//! | 7377, 5466 | MULTISEARCH, FILTERS: grammar, answers, filters put in |
//! | 5257, 5255 | ANNOTATE, LANGUAGE, I18NLEVEL: grammar, search, sort |
//! | 9585, 9590, 9698, 9738 | INPROGRESS, LIST-METADATA, JMAPACCESS, MESSAGELIMIT: grammar |
//! | 2193, 2221, 6785 | MAILBOX-REFERRALS, LOGIN-REFERRALS, IMAPSIEVE: grammar |
//! | – | UIDBATCHES: grammar, [`View::batches`]; XAPPLEPUSHSERVICE: grammar |
//!
//! # What is bounded
//!
//! [`Limits`] names each bound and the attack that it stops. Messages in
//! APPEND, FETCH and URLFETCH are streamed both ways and never held; everything
//! else of a command stays in the host's `input` until it is whole, and
//! [`Limits::command`] bounds it; [`ClientConfig::response`] does so for a
//! response.

mod algorithm;
mod client;
mod command;
mod cursor;
mod error;
mod extension;
mod framing;
mod response;
mod server;
mod types;
mod view;
mod wire;

#[cfg(feature = "mime")]
pub use algorithm::WholeMessage;
pub use algorithm::{
    BaseSubject, Candidate, MailboxState, Need, Needle, Program, SearchError, SortFields,
    ThreadInput, Verdict, base_subject, header_fields, sort, thread,
};
pub use client::{Client, ClientConfig, ClientEvent, Ticket};
pub use command::{
    Annotation, AnnotationMatch, AnnotationRequest, AnnotationScope, Append, AppendData,
    AppendMessage, AppendOptions, CatenatePart, Command, CommandBody, EventGroup, Fetch,
    FetchAttribute, FilterName, GetMetadata, List, ListReturn, ListSelection, MailboxFilter,
    MetadataDepth, MetadataValue, MultiSearch, Notify, NotifyEvent, PartialRange, QResync,
    Replaced, ResetKey, RightsChange, Search, SearchKey, SearchKeys, SearchPart, SearchParts,
    SearchReturn, SearchView, Select, SetAcl, SetMetadata, Sort, SortCriterion, SortKey, Status,
    StatusItem, Store, StoreAction, Thread, ThreadAlgorithm, UndefinedFilter, UrlContent, UrlFetch,
    UrlFetchItems, XApplePushService,
};
pub use error::{Error, Invalid, ParseError, ParseErrorKind};
pub use extension::{Capability, Extension, Extensions};
pub use proto_core::{Misuse, Output, Secret, Step};
pub use response::{
    AnnotationSupport, Code, Content, ContextUpdate, Delimiter, ESearch, FetchItem, FetchedUrl,
    MailboxAttribute, MailboxList, Namespace, Namespaces, Progress, QuotaResource, Response,
    StatusKind, StatusResponse, StatusValue, ThreadNode, Untagged, UrlData,
};
pub use server::{Config, Event, Limits, Payload, Rejected, Rejection, Server, State};
pub use types::{
    Address, Atom, BodyStructure, Date, DateTime, EntryName, Envelope, Extension as BodyExtension,
    Flag, IString, ImapUrl, ListPattern, Mailbox, Media, MultiExtension, MultiPart, NString,
    NumberSequence, NumberSet, Parameters, PartNumber, Partial, PermanentFlag, Ranges, Rights,
    Section, SectionText, SequenceNumber, SequenceRange, SequenceSet, SingleExtension, SinglePart,
    Tag, UrlAccess, UrlAuthorization, UrlPartial, UrlParts, UrlServer,
};
pub use view::{
    Change, Message, NoSuchMessage, NoUpdate, Resync, Resynced, SelectedEvents, Uids, View,
    ViewOptions,
};
pub use wire::{Dialect, Literals};

/// The README's example compiles and runs.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
