//! What tests look at: fields, their addresses and parameters, the envelope.

use super::message::Entry;
use super::spend::FIELD;
use super::value::Values;
use super::{Evaluation, Fault, address, date};
use crate::program::{AddressPart, Index, List, Mime, Zone};

/// The one of `len` items that an index means, 0-based.
pub(super) fn place(index: Index, len: usize) -> Option<usize> {
    let place = if index.last {
        len.checked_sub(index.number)?
    } else {
        index.number.checked_sub(1)?
    };
    (place < len).then_some(place)
}

impl Evaluation<'_> {
    /// Calls `visit` with the named fields and the message's octets until it says stop. An index counts the fields of all
    /// names, in the order of the names (RFC 5260 §6).
    pub(super) fn named_fields(
        &mut self,
        names: &List,
        index: Option<Index>,
        mut visit: impl FnMut(&Entry, &[u8]) -> bool,
    ) {
        self.message.prepare();
        let Some(index) = index else {
            for name in names {
                self.spend_look();
                if self.is_spent() {
                    return;
                }
                if self.message.fields(&self.expand(name)).any(|entry| {
                    let octets = self.message.octets();
                    self.spend(entry.raw(octets).len());
                    self.is_spent() || visit(entry, octets)
                }) {
                    return;
                }
            }
            return;
        };
        let names = self.expand_list(names);
        self.spend(
            names
                .len()
                .saturating_mul(self.message.entries().len() * FIELD),
        );
        if self.is_spent() {
            return;
        }
        let fields: Vec<&Entry> = names
            .iter()
            .flat_map(|name| self.message.fields(name.as_bytes()))
            .collect();
        if let Some(entry) = place(index, fields.len()).and_then(|at| fields.get(at)) {
            visit(entry, self.message.octets());
        }
    }

    pub(super) fn feed_headers(
        &mut self,
        names: &List,
        index: Option<Index>,
        values: &mut Values<'_>,
    ) {
        self.named_fields(names, index, |entry, octets| {
            if values.is_count() {
                values.feed(b"")
            } else {
                values.feed(entry.text(octets))
            }
        });
    }

    pub(super) fn feed_addresses(
        &mut self,
        names: &List,
        part: AddressPart,
        index: Option<Index>,
        mime: Option<&Mime>,
        values: &mut Values<'_>,
    ) {
        let config = std::sync::Arc::clone(&self.config);
        let mut feed = |raw: &[u8], simple: Option<address::Simple<'_>>| {
            if let Some(simple) = simple {
                return values.is_count() && values.feed(b"")
                    || !values.is_count()
                        && simple
                            .part(part, &config.separator)
                            .is_some_and(|text| values.feed(text));
            }
            mime::address::mailboxes(raw).any(|mailbox| {
                if values.is_count() {
                    // RFC 5231 §4.2: addresses are counted, whatever part of them is asked for.
                    return values.feed(b"");
                }
                address::part_of(&mailbox, part, &config.separator)
                    .is_some_and(|text| values.feed(text.as_bytes()))
            })
        };
        let Some(mime) = mime else {
            return self.named_fields(names, index, |entry, octets| {
                feed(entry.raw(octets), entry.simple_address(octets))
            });
        };
        for name in names {
            let name = self.expand(name).into_owned();
            let values = self.part_values(mime, &name);
            if values.iter().any(|raw| feed(raw, address::simple(raw))) {
                return;
            }
        }
    }

    pub(super) fn feed_envelope(
        &self,
        parts: &List,
        part: AddressPart,
        zone: &Zone,
        values: &mut Values<'_>,
    ) -> Result<(), Fault> {
        for name in parts {
            let name = self.expand(name);
            let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
            let path = if is("from") {
                self.envelope.from.as_deref()
            } else if is("to") {
                self.envelope.to.as_deref()
            } else if is("orig_to") {
                self.envelope.original_to.as_deref()
            } else if is("auth") {
                self.envelope.auth.as_deref()
            } else {
                let name = String::from_utf8_lossy(&name).to_ascii_lowercase();
                if self.feed_parameter(&name, part, zone, values)? {
                    return Ok(());
                }
                continue;
            };
            let Some(path) = path else { continue };
            // RFC 5228 §5.4: the null path is the empty string, whatever the address part.
            if path.is_empty() || path == "<>" {
                if !values.is_count() && values.feed(b"") {
                    return Ok(());
                }
                continue;
            }
            if values.is_count() {
                values.feed(b"");
                continue;
            }
            if let Some(simple) = address::simple(path.as_bytes()) {
                if let Some(text) = simple.part(part, &self.config.separator)
                    && values.feed(text)
                {
                    return Ok(());
                }
                continue;
            }
            let mailbox = address::envelope_mailbox(path);
            if let Some(text) = address::part_of(&mailbox, part, &self.config.separator)
                && values.feed(text.as_bytes())
            {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Parameters of DSN and Deliver-By (RFC 6009 §4, §5); true if no more values are needed.
    pub(super) fn feed_parameter(
        &self,
        name: &str,
        part: AddressPart,
        zone: &Zone,
        values: &mut Values<'_>,
    ) -> Result<bool, Fault> {
        let other = self.envelope.other.iter().find(|(known, _)| known == name);
        let Some((_, value)) = other else {
            return Ok(false);
        };
        if part != AddressPart::All {
            return Err(Fault::Fail(format!(
                "`{name}` of the envelope is no address and has no address parts"
            )));
        }
        Ok(match name {
            // Each condition is a value of its own.
            "notify" => value
                .split(',')
                .map(str::trim)
                .filter(|condition| !condition.is_empty())
                .any(|condition| values.feed(condition.as_bytes())),
            "bytimeabsolute" => {
                let moment: jiff::Timestamp = value.parse().map_err(|_| {
                    Fault::Fail(format!("the host gave `{value}` as a time of delivery"))
                })?;
                let moment = self.in_zone(moment, zone, jiff::tz::Offset::UTC)?;
                values.feed(date::part(&moment, crate::program::DatePart::Iso8601).as_bytes())
            }
            _ => values.feed(value.as_bytes()),
        })
    }

    pub(super) fn exists(&mut self, names: &List, mime: Option<&Mime>) -> bool {
        self.message.prepare();
        for name in names {
            self.spend_look();
            if self.is_spent() {
                return false;
            }
            let found = match mime {
                Some(mime) => {
                    let name = self.expand(name).into_owned();
                    self.part_exists(mime, &name)
                }
                None => self.message.fields(&self.expand(name)).next().is_some(),
            };
            if !found {
                return false;
            }
        }
        true
    }
}
