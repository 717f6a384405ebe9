//! BODY and BODYSTRUCTURE from a part tree (RFC 9051 §7.5.2).

use mime::{Kind, Part, Span};

use crate::types::NString;
use crate::{
    BodyExtension, BodyStructure, Envelope, IString, Media, MultiExtension, MultiPart, Parameters,
    SingleExtension, SinglePart,
};

impl BodyStructure {
    /// The structure of a part; `envelope` gives the envelopes of messages
    /// inside it, by where their headers are.
    ///
    /// It recurses as deep as [`mime::Limits`] let the parts nest.
    #[must_use]
    pub fn of_part(part: Part<'_>, envelope: &dyn Fn(Span) -> Envelope) -> Self {
        if part.kind() == Kind::Multipart {
            let (_, subtype) = part.media_type();
            return Self::Multi(Box::new(MultiPart {
                parts: part
                    .children()
                    .map(|part| Self::of_part(part, envelope))
                    .collect(),
                subtype: upper(subtype),
                extension: Some(MultiExtension {
                    parameters: parameters(part.content_type().map(|own| own.parameters())),
                    common: common(part),
                }),
            }));
        }
        let (main, sub) = part.media_type();
        let lines = part.body_lines();
        let media = match part.nested() {
            Some(nested) => Media::Message {
                subtype: upper(sub),
                envelope: Box::new(envelope(nested.header())),
                body: Self::of_part(nested, envelope),
                lines,
            },
            None if main.eq_ignore_ascii_case("text") => Media::Text {
                subtype: upper(sub),
                lines,
            },
            None => Media::Basic {
                media_type: upper(main),
                subtype: upper(sub),
            },
        };
        let declared = part.content_type().filter(|own| own.is(main, sub));
        let mut parameters = parameters(declared.map(|own| own.parameters()));
        // RFC 2046 §4.1.2: what a text without a charset is in.
        if parameters.is_empty() && matches!(media, Media::Text { .. }) {
            parameters.push((string("CHARSET"), string("US-ASCII")));
        }
        Self::Single(Box::new(SinglePart {
            media,
            parameters,
            id: nstring(part.id()),
            description: nstring(part.description()),
            encoding: part.encoding_value().map_or_else(|| string("7BIT"), upper),
            size: part.body().len(),
            extension: Some(SingleExtension {
                md5: nstring(part.md5()),
                common: common(part),
            }),
        }))
    }
}

fn common(part: Part<'_>) -> BodyExtension {
    BodyExtension {
        disposition: part.disposition().map(|disposition| {
            let parameters = parameters(Some(disposition.parameters()));
            (upper(disposition.kind()), parameters)
        }),
        language: part.languages().map(string).collect(),
        location: nstring(part.location()),
        future: Vec::new(),
    }
}

fn parameters(own: Option<mime::Parameters<'_>>) -> Parameters {
    own.into_iter()
        .flatten()
        .map(|parameter| (upper(&parameter.name), string(&parameter.value)))
        .collect()
}

fn string(text: &str) -> IString {
    IString::lossy(text.as_bytes().to_vec())
}

/// Names compare without regard to case; servers show them in capitals.
fn upper(text: &str) -> IString {
    IString::lossy(text.trim().to_ascii_uppercase().into_bytes())
}

fn nstring(text: Option<&str>) -> NString {
    text.map(string)
}
