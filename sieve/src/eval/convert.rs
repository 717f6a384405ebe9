//! Conversion of parts by the host (RFC 6558).

use std::sync::Arc;

use super::{Evaluation, Fault};
use crate::program::Convert;
use crate::question::{Answer, Conversion, Question};

/// Type and subtype (RFC 6838 §4.2).
pub(crate) fn is_media_type(octets: &[u8]) -> bool {
    let name = |name: &[u8]| {
        (1..=127).contains(&name.len())
            && name
                .iter()
                .all(|c| c.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(c))
    };
    let mut parts = octets.splitn(2, |c| *c == b'/');
    parts.next().is_some_and(name) && parts.next().is_some_and(name)
}

impl Evaluation<'_> {
    /// Whether no conversion failed (RFC 6558 §2.2); the message is changed then, or had nothing to change.
    ///
    /// All parts go to the host in one question: either all of them are converted or none.
    pub(super) fn convert(&mut self, convert: &Convert) -> Result<bool, Fault> {
        let from = self.expand_string(&convert.from);
        let to = self.expand_string(&convert.to);
        let parameters = self.expand_list(&convert.parameters);
        if !is_media_type(from.as_bytes()) || !is_media_type(to.as_bytes()) {
            return Ok(false);
        }
        let (main, sub) = from.split_once('/').unwrap_or_default();
        let (loops_over, at, in_loop) = self.current_part();
        let octets = self.message.current().into_owned();
        let structure = mime::Structure::parse(&octets);
        // What `replace` did within a loop can leave other parts than the loop goes over.
        if in_loop && structure.parts().count() != loops_over.parts().count() {
            return Ok(false);
        }
        let wanted = |(place, part): &(usize, mime::Part<'_>)| {
            (!in_loop || *place == at)
                && part.is(main, sub)
                && part.nested().is_none()
                && part.children().next().is_none()
        };
        let parts: Vec<mime::Part<'_>> = structure
            .parts()
            .enumerate()
            .filter(wanted)
            .map(|(_, part)| part)
            .collect();
        if parts.is_empty() {
            return Ok(true);
        }
        // A new part that holds parts would shift all that come behind it.
        let holds_parts = ["multipart/", "message/"].iter().any(|prefix| {
            to.get(..prefix.len())
                .is_some_and(|start| start.eq_ignore_ascii_case(prefix))
        });
        if holds_parts {
            return Ok(false);
        }
        let question = Question::Convert(Conversion {
            from,
            to: to.clone(),
            parameters,
            parts: parts
                .iter()
                .map(|part| part.encoding().decode(part.body().of(&octets)).into_owned())
                .collect(),
        });
        let converted = match self.ask(question)? {
            Answer::Converted(Some(converted)) if converted.len() == parts.len() => converted,
            Answer::Converted(None) => return Ok(false),
            _ => return Err(super::wrong_answer()),
        };
        self.count_change()?;
        let mut out = Vec::with_capacity(octets.len());
        let mut done = 0;
        for (part, content) in parts.iter().zip(&converted) {
            let range = |span: mime::Span| {
                Some(usize::try_from(span.start).ok()?..usize::try_from(span.end).ok()?)
            };
            let (Some(header), Some(body)) = (range(part.header()), range(part.body())) else {
                return Ok(false);
            };
            out.extend_from_slice(octets.get(done..header.start).unwrap_or_default());
            push_part(&mut out, part.header().of(&octets), &to, content);
            done = body.end;
        }
        out.extend_from_slice(octets.get(done..).unwrap_or_default());
        let renewed = Arc::new(mime::Structure::parse(&out));
        let same = renewed.parts().count() == structure.parts().count();
        self.message.replace_all(out);
        for frame in &mut self.frames {
            if same {
                super::part::PartLoop::renew(&mut frame.loops, &renewed);
            } else {
                frame.loops.clear();
            }
        }
        Ok(true)
    }
}

/// The part anew: its header but for what described the old content, then the new content.
fn push_part(out: &mut Vec<u8>, header: &[u8], to: &str, content: &[u8]) {
    for field in mime::Headers::new(header) {
        let name = field.name();
        let about_content = [
            "Content-Type",
            "Content-Transfer-Encoding",
            "Content-MD5",
            "Content-Length",
        ]
        .iter()
        .any(|gone| name.eq_ignore_ascii_case(gone));
        if about_content {
            continue;
        }
        out.extend_from_slice(field.octets());
        if !field.octets().ends_with(b"\n") {
            out.extend_from_slice(b"\r\n");
        }
    }
    let text = to
        .get(..5)
        .is_some_and(|start| start.eq_ignore_ascii_case("text/"));
    let (charset, encoding, body) = match std::str::from_utf8(content) {
        Ok(content) if text => (
            "; charset=utf-8",
            "quoted-printable",
            mime::transfer::encode_quoted_printable(content.as_bytes()),
        ),
        _ => ("", "base64", mime::transfer::encode_base64(content)),
    };
    out.extend_from_slice(
        format!("Content-Type: {to}{charset}\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n")
            .as_bytes(),
    );
    out.extend_from_slice(body.trim_end_matches("\r\n").as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn media_types() {
        for good in ["image/jpeg", "application/vnd.ms-excel", "text/x+y"] {
            assert!(is_media_type(good.as_bytes()), "{good}");
        }
        for bad in [
            "",
            "image",
            "image/",
            "/jpeg",
            "a/b/c",
            "im age/jpeg",
            "a/b;c=d",
        ] {
            assert!(!is_media_type(bad.as_bytes()), "{bad}");
        }
    }
}
