//! Prints the BODYSTRUCTURE and the ENVELOPE of messages, as IMAP has them (RFC 9051 §7.5.2).
//!
//! usage: `body_structure FILE…`
#![allow(clippy::print_stdout, reason = "a program for the command line")]

use std::borrow::Cow;

use mime::address::{self, Address};
use mime::build::to_crlf;
use mime::{Headers, Kind, Parameters, Part, Structure};

fn main() -> std::io::Result<()> {
    for file in std::env::args().skip(1) {
        let message = std::fs::read(&file)?;
        // IMAP counts line ends as two octets.
        let message = to_crlf(&message);
        let structure = Structure::parse(&message);
        let root = structure.root();
        println!("BODYSTRUCTURE {}", body(root, &message));
        println!("ENVELOPE {}", envelope(root.header().of(&message)));
    }
    Ok(())
}

pub(crate) fn body(part: Part<'_>, message: &[u8]) -> String {
    let (main, sub) = part.media_type();
    let parameters = part
        .content_type()
        .filter(|declared| (declared.main(), declared.sub()) == (main, sub))
        .map_or("NIL".into(), |declared| {
            parameter_list(declared.parameters())
        });
    let disposition = part.disposition().map_or("NIL".into(), |disposition| {
        let parameters = parameter_list(disposition.parameters());
        format!("({} {parameters})", string(disposition.kind()))
    });
    let languages: Vec<String> = part.languages().map(string).collect();
    let languages = match &*languages {
        [] => "NIL".into(),
        [language] => language.clone(),
        languages => format!("({})", languages.join(" ")),
    };
    let location = optional(part.location());
    if part.kind() == Kind::Multipart {
        let children: String = part.children().map(|child| body(child, message)).collect();
        let sub = string(sub);
        return format!("({children} {sub} {parameters} {disposition} {languages} {location})");
    }
    let mut out = format!(
        "({} {} {parameters} {} {} {} {}",
        string(main),
        string(sub),
        optional(part.id()),
        optional(part.description()),
        string(part.encoding_value().unwrap_or("7bit")),
        part.body().len(),
    );
    if let Some(nested) = part.nested() {
        out += &format!(
            " {} {}",
            envelope(nested.header().of(message)),
            body(nested, message)
        );
    }
    if part.nested().is_some() || part.is("text", "*") {
        out += &format!(" {}", part.body_lines());
    }
    let md5 = optional(part.md5());
    out + &format!(" {md5} {disposition} {languages} {location})")
}

fn parameter_list(parameters: Parameters<'_>) -> String {
    let words: Vec<String> = parameters
        .into_iter()
        .map(|parameter| format!("{} {}", string(&parameter.name), string(&parameter.value)))
        .collect();
    if words.is_empty() {
        return "NIL".into();
    }
    format!("({})", words.join(" "))
}

pub(crate) fn envelope(header: &[u8]) -> String {
    let headers = Headers::new(header);
    let field = |name: &str| headers.clone().find(name).map(|field| field.unfolded());
    let text = |name: &str| {
        let value = field(name);
        optional(value.as_deref().map(String::from_utf8_lossy).as_deref())
    };
    let addresses = |name: &str| field(name).map_or("NIL".into(), |value| address_list(&value));
    let from = addresses("From");
    let or_from = |list: String| if list == "NIL" { from.clone() } else { list };
    format!(
        "({} {} {from} {} {} {} {} {} {} {})",
        text("Date"),
        text("Subject"),
        or_from(addresses("Sender")),
        or_from(addresses("Reply-To")),
        addresses("To"),
        addresses("Cc"),
        addresses("Bcc"),
        text("In-Reply-To"),
        text("Message-ID"),
    )
}

fn address_list(value: &[u8]) -> String {
    let list: String = address::parse(value)
        .map(|address| match address {
            Address::GroupStart(name) => format!("(NIL NIL {} NIL)", string(&name)),
            Address::GroupEnd => "(NIL NIL NIL NIL)".into(),
            Address::Mailbox(mailbox) => format!(
                "({} {} {} {})",
                optional(mailbox.name.as_deref()),
                optional(mailbox.route.as_deref()),
                string(&mailbox.local_part),
                optional(mailbox.domain.as_deref()),
            ),
        })
        .collect();
    if list.is_empty() {
        return "NIL".into();
    }
    format!("({list})")
}

fn optional(text: Option<&str>) -> String {
    text.map_or("NIL".into(), string)
}

/// Quoted, or as a literal if that does not do.
fn string(text: &str) -> String {
    let plain = text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    if plain && !text.contains(['"', '\\']) {
        return format!("\"{text}\"");
    }
    let text: Cow<'_, str> = text.replace('\0', " ").into();
    format!("{{{}}}\r\n{text}", text.len())
}
