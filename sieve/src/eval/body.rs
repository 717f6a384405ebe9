//! The `body` test (RFC 5173).

use super::value::Values;
use super::{Evaluation, Fault};
use crate::program::Transform;

/// The decoded text of a part in UTF-8, cut at `limit` octets.
pub(super) fn part_text(octets: &[u8], part: mime::Part<'_>, limit: usize) -> String {
    let body = part.body().of(octets);
    let body = body.get(..limit).unwrap_or(body);
    let decoded = part.encoding().decode(body);
    mime::charset::decode(&part.charset(), &decoded).into_owned()
}

/// What a content type of `:content` asks for (RFC 5173 §5.2).
fn wanted(part: mime::Part<'_>, types: &[String]) -> bool {
    let (main, sub) = part.media_type();
    types.iter().any(|wanted| match wanted.split_once('/') {
        None => wanted.is_empty() || wanted.eq_ignore_ascii_case(main),
        Some((wanted_main, wanted_sub)) => {
            !wanted_main.is_empty()
                && !wanted_sub.is_empty()
                && wanted_main.eq_ignore_ascii_case(main)
                && wanted_sub.eq_ignore_ascii_case(sub)
        }
    })
}

impl Evaluation<'_> {
    pub(super) fn feed_body(
        &mut self,
        transform: &Transform,
        values: &mut Values<'_>,
    ) -> Result<(), Fault> {
        let types = match transform {
            Transform::Raw => {
                self.message.prepare();
                let octets = self.message.octets();
                values.feed(mime::Headers::new(octets).body());
                return Ok(());
            }
            Transform::Content(list) => self.expand_list(list),
            Transform::Text => vec!["text".to_owned()],
        };
        let structure = self.message.structure();
        let octets = self.message.octets();
        let mut left = self.config.limits.body_text;
        for part in structure.parts() {
            if !wanted(part, &types) {
                continue;
            }
            if part.children().next().is_some() && part.nested().is_none() {
                if values.feed(part.preamble().of(octets))
                    || values.feed(part.epilogue().of(octets))
                {
                    return Ok(());
                }
                continue;
            }
            if let Some(nested) = part.nested() {
                if values.feed(nested.header().of(octets)) {
                    return Ok(());
                }
                continue;
            }
            let stop = if part.is("text", "*") {
                let fits = usize::try_from(part.body().len()).is_ok_and(|len| len <= left);
                let text = match transform {
                    // RFC 5173 §5.3: what a reader sees, without mark-up.
                    Transform::Text if fits => part.plain_text(octets).unwrap_or_default(),
                    _ => part_text(octets, part, left).into(),
                };
                left = left.saturating_sub(text.len());
                values.feed(text.as_bytes())
            } else {
                let body = part.body().of(octets);
                let decoded = part.encoding().decode(body.get(..left).unwrap_or(body));
                left = left.saturating_sub(decoded.len());
                values.feed(&decoded)
            };
            if stop {
                return Ok(());
            }
        }
        Ok(())
    }
}
