//! What comes from the server.

use std::num::NonZeroU32;

use bytes::{Bytes, BytesMut};
use proto_core::{Secret, Step};

use super::in_flight::{Continued, Kind};
use super::{Client, ClientEvent, Mode};
use crate::cursor::{Cursor, Parsed};
use crate::framing::{Announcement, Frame, Framer};
use crate::response::fetch::{FetchFront, parse_front, parse_items_front};
use crate::response::url_front::{self, UrlFront, UrlRest};
use crate::{
    Capability, Code, Error, Extension, FetchItem, Response, StatusKind, StatusResponse, Untagged,
    UrlData,
};

/// How often one response is looked at for a content that can be streamed:
/// the large literals that it may have besides.
const FRONTS: u8 = 64;

/// Whose rest comes behind a large content.
#[derive(Debug, Clone)]
pub(super) enum Rest {
    /// Of a FETCH response.
    Fetch { number: NonZeroU32, is_uid: bool },
    /// Of a URLFETCH response.
    Url(UrlRest),
}

/// What stands before a large content.
enum Front {
    Fetch(FetchFront),
    Url(UrlFront),
}

type Received = Result<Option<Step<ClientEvent>>, Error>;

fn event(event: ClientEvent) -> Received {
    Ok(Some(Step::Event(event)))
}

impl Client {
    pub(super) fn receive(&mut self, input: &mut BytesMut) -> Received {
        match &mut self.mode {
            Mode::Closed => return Ok(Some(Step::Closed)),
            Mode::Handshake if input.is_empty() => return Ok(Some(Step::NeedAnswer)),
            Mode::Handshake => return Err(Error::InjectedBehindStartTls),
            Mode::Content { rest, left: 0 } => {
                self.mode = Mode::Behind(rest.clone());
                return event(ClientEvent::PayloadEnd);
            }
            Mode::Content { left, .. } => {
                if input.is_empty() {
                    return Ok(Some(Step::NeedInput));
                }
                let most = usize::try_from(*left).unwrap_or(usize::MAX);
                let most = most.min(self.config.chunk.max(1)).min(input.len());
                *left -= most as u64;
                return event(ClientEvent::Payload(input.split_to(most).freeze()));
            }
            Mode::Greeting | Mode::Ready | Mode::Behind(_) => {}
        }
        match self.framer.poll(input, self.config.response) {
            Frame::NeedInput => Ok(Some(Step::NeedInput)),
            Frame::Whole(text) => self.response(text, input),
            Frame::Literal(literal) => self.literal(input, literal),
            Frame::TooLong => Err(Error::ResponseTooLarge("line")),
            Frame::BareLf => Err(Error::PeerMisbehaved("line ends without CR")),
            // Nothing is discarded on this side.
            Frame::Discarded => Ok(None),
        }
    }

    fn literal(&mut self, input: &mut BytesMut, literal: Announcement) -> Received {
        let prefix = input.get(..literal.start).unwrap_or_default();
        let in_fetch = matches!(self.mode, Mode::Behind(_));
        if !in_fetch && self.framer.literals() == 0 && is_status(prefix) {
            // The text of a status may end in anything, `{5}` too.
            let text = self.framer.stream(input, literal);
            return self.response(text, input);
        }
        if literal.size > self.config.inline as u64
            && let Some(front) = self.front(prefix)
        {
            return self.stream(input, literal, front);
        }
        let room = self.config.response.saturating_sub(literal.start);
        if literal.size > room as u64 {
            return Err(Error::ResponseTooLarge("literal"));
        }
        self.framer.keep(literal);
        Ok(None)
    }

    fn stream(&mut self, input: &mut BytesMut, literal: Announcement, front: Front) -> Received {
        self.framer.stream(input, literal);
        self.fronts = 0;
        let left = literal.size;
        match front {
            Front::Fetch(front) => {
                let rest = Rest::Fetch {
                    number: front.number,
                    is_uid: front.is_uid,
                };
                self.mode = Mode::Content { rest, left };
                event(ClientEvent::PayloadStart {
                    sequence: front.number,
                    items: front.items,
                    item: front.item,
                })
            }
            Front::Url(UrlFront { urls, url }) => {
                let rest = Rest::Url(UrlRest {
                    url: url.url.clone(),
                    is_item: matches!(url.data, UrlData::Items { .. }),
                });
                self.mode = Mode::Content { rest, left };
                event(ClientEvent::UrlPayloadStart { urls, url })
            }
        }
    }

    fn cursor<'c>(&self, text: &'c [u8]) -> Cursor<'c> {
        let mut c = Cursor::new(text);
        self.prepare(&mut c);
        c
    }

    fn prepare(&self, c: &mut Cursor<'_>) {
        c.utf8 = self.dialect.utf8;
        c.lax_spaces = self.config.tolerate_missing_space;
        c.spare_spaces = true;
        c.elements = self.config.elements;
    }

    /// What stands before a literal, if it is a content that can be streamed.
    fn front(&mut self, prefix: &[u8]) -> Option<Front> {
        // Each look is at all that stands before.
        self.fronts = self.fronts.checked_add(1).filter(|looks| *looks < FRONTS)?;
        let mut c = self.cursor(prefix);
        let front = match &self.mode {
            Mode::Behind(Rest::Fetch { number, is_uid }) => c
                .space()
                .and_then(|()| parse_items_front(&mut c))
                .map(|found| {
                    found.map(|(items, item)| {
                        Front::Fetch(FetchFront {
                            number: *number,
                            is_uid: *is_uid,
                            items,
                            item,
                        })
                    })
                }),
            Mode::Behind(Rest::Url(rest)) => {
                url_front::parse_rest_front(&mut c, rest).map(|found| found.map(Front::Url))
            }
            _ if prefix.get(2).is_some_and(u8::is_ascii_digit) => {
                parse_front(&mut c).map(|found| found.map(Front::Fetch))
            }
            _ => url_front::parse_front(&mut c).map(|found| found.map(Front::Url)),
        };
        front.ok().flatten()
    }

    fn response(&mut self, text: Bytes, input: &BytesMut) -> Received {
        let text = match text.strip_suffix(b"\n") {
            Some(line) => {
                let line = line.strip_suffix(b"\r").unwrap_or(line);
                text.slice(..line.len())
            }
            None => text,
        };
        self.fronts = 0;
        if let Mode::Behind(rest) = &self.mode {
            let rest = rest.clone();
            return self.behind(&text, rest);
        }
        let mut c = Cursor::shared(&text);
        self.prepare(&mut c);
        let parsed = Response::parse_at(c);
        if let Mode::Greeting = self.mode {
            return self.greeting(parsed.ok());
        }
        match parsed {
            Ok(Response::Untagged(data)) => self.untagged(data),
            Ok(Response::Continue(text)) => self.continued(&text),
            Ok(Response::Tagged { tag, status }) => {
                let Some((ticket, kind)) = self.in_flight.replied(&tag) else {
                    return Err(Error::PeerMisbehaved("a tag that was not sent"));
                };
                self.replied(kind, &status, input)?;
                if kind == Kind::Refresh {
                    return Ok(None);
                }
                event(ClientEvent::Reply { ticket, status })
            }
            Err(_) if !text.starts_with(b"* ") => Err(Error::PeerMisbehaved("no response")),
            Err(error) => event(ClientEvent::Unparsed {
                octets: text,
                error,
            }),
        }
    }

    fn greeting(&mut self, response: Option<Response>) -> Received {
        let Some(Response::Untagged(Untagged::Status(status))) = response else {
            return Err(Error::PeerMisbehaved("no greeting"));
        };
        self.mode = Mode::Ready;
        self.learn(&status);
        if status.kind == StatusKind::Bye {
            self.bye = true;
        } else {
            self.refresh();
        }
        event(ClientEvent::Greeting(status))
    }

    fn replied(
        &mut self,
        kind: Kind,
        status: &StatusResponse,
        input: &BytesMut,
    ) -> Result<(), Error> {
        if kind == Kind::StartTls && status.kind == StatusKind::Ok && !input.is_empty() {
            return Err(Error::InjectedBehindStartTls);
        }
        if kind == Kind::StartTls && status.kind != StatusKind::Ok && self.in_flight.has_queued() {
            return Err(Error::StartTlsRefused);
        }
        self.challenged &= kind != Kind::Authenticate;
        self.learn(status);
        self.conclude(kind, status);
        self.flow();
        Ok(())
    }

    fn learn(&mut self, status: &StatusResponse) {
        if let Some(Code::Capability(all)) = &status.code {
            self.learn_capabilities(all);
        }
    }

    fn untagged(&mut self, data: Untagged) -> Received {
        match &data {
            Untagged::Status(status) => {
                self.learn(status);
                self.bye |= status.kind == StatusKind::Bye;
            }
            Untagged::Capability(all) => self.learn_capabilities(all),
            Untagged::Enabled(all) => {
                let utf8 =
                    |extension| matches!(extension, Extension::Imap4Rev2 | Extension::Utf8Accept);
                self.dialect.utf8 |= all.iter().filter_map(Capability::extension).any(utf8);
            }
            _ => {}
        }
        event(ClientEvent::Untagged(data))
    }

    fn continued(&mut self, text: &[u8]) -> Received {
        match self.in_flight.continued() {
            Continued::Flow => {
                self.flow();
                Ok(None)
            }
            Continued::Initial(initial) => {
                self.challenged = true;
                let _ = self.respond(initial.expose());
                Ok(None)
            }
            Continued::Challenge => {
                let Ok(data) = proto_core::sasl::decode_base64(text) else {
                    return Err(Error::PeerMisbehaved("a challenge that is no base64"));
                };
                self.challenged = true;
                event(ClientEvent::Challenge(Secret::new(data)))
            }
            Continued::Idling => event(ClientEvent::Idling),
            Continued::Unexpected => Err(Error::PeerMisbehaved("an unexpected \"+\"")),
        }
    }

    /// What stands behind a streamed content in its response.
    fn behind(&mut self, text: &Bytes, rest: Rest) -> Received {
        self.mode = Mode::Ready;
        self.framer = Framer::tolerant(self.config.tolerate_bare_lf);
        let mut c = Cursor::shared(text);
        self.prepare(&mut c);
        match parse_rest(&mut c, rest) {
            Ok(None) => Ok(None),
            Ok(Some(data)) => event(ClientEvent::Untagged(data)),
            Err(error) => event(ClientEvent::Unparsed {
                octets: text.clone(),
                error,
            }),
        }
    }
}

/// `*(SP item) ")"`, or the URLs that are left; `None` where there is no more.
fn parse_rest(c: &mut Cursor<'_>, rest: Rest) -> Parsed<Option<Untagged>> {
    let (number, is_uid) = match rest {
        Rest::Url(rest) => {
            let urls = url_front::parse_rest(c, rest)?;
            return Ok((!urls.is_empty()).then_some(Untagged::UrlFetch(urls)));
        }
        Rest::Fetch { number, is_uid } => (number, is_uid),
    };
    let mut items = Vec::new();
    while !c.closes() {
        c.space()?;
        c.element()?;
        FetchItem::parse_onto(c, &mut items)?;
    }
    c.end()?;
    Ok((!items.is_empty()).then_some(match is_uid {
        true => Untagged::UidFetch { uid: number, items },
        false => Untagged::Fetch {
            sequence: number,
            items,
        },
    }))
}

/// Whether a line is a status, or `+`: what ends in free text.
fn is_status(line: &[u8]) -> bool {
    let mut words = line.split(|octet| matches!(octet, b' ' | b'\r'));
    let first = words.next().unwrap_or_default();
    let second = words.next().unwrap_or_default();
    first == b"+" || StatusKind::from_name(second).is_some()
}
