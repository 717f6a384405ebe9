//! What is written reads back, streams equal the whole, and changes leave the rest alone.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

use mime::build::{Entity, Fields, to_crlf};
use mime::{
    Encoding, HeaderEdit, Headers, Kind, Mailbox, Structure, address, encoded_word, transfer,
};
use proptest::prelude::*;

fn soup(pieces: &'static [&'static str]) -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        8 => prop::sample::select(pieces).prop_map(|piece| piece.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 1..4),
    ];
    prop::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
}

fn encoded() -> impl Strategy<Value = Vec<u8>> {
    soup(&[
        "=", "==", "A", "Zm9v", "=41", "=4", "=\r\n", " ", "\t", "\r", "\n", "\r\n", "!", "=\n",
        "= \n", "-",
    ])
}

fn chunked(encoding: Encoding, text: &[u8], size: usize) -> Vec<u8> {
    let mut decoder = encoding.decoder();
    let mut out = Vec::new();
    text.chunks(size)
        .for_each(|chunk| decoder.feed(chunk, &mut out));
    decoder.finish(&mut out);
    out
}

fn show(octets: &[u8]) -> String {
    octets.escape_ascii().to_string()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn decoding_a_stream_equals_decoding_the_whole(text in encoded(), size in 1usize..20) {
        for encoding in [Encoding::Base64, Encoding::QuotedPrintable, Encoding::EightBit] {
            let whole = encoding.decode(&text);
            prop_assert_eq!(show(&chunked(encoding, &text, size)), show(&whole), "{:?}", encoding);
        }
    }

    #[test]
    fn transfer_encodings_round_trip(octets in prop::collection::vec(any::<u8>(), 0..400), size in 1usize..100) {
        let base64 = transfer::encode_base64(&octets);
        prop_assert_eq!(&transfer::decode_base64(base64.as_bytes()), &octets);
        prop_assert!(base64.lines().all(|line| line.len() <= 76));
        let mut encoder = transfer::Base64Encoder::new();
        let mut out = String::new();
        octets.chunks(size).for_each(|chunk| encoder.feed(chunk, &mut out));
        encoder.finish(&mut out);
        prop_assert_eq!(&out, &base64);
        let quoted = transfer::encode_quoted_printable(&octets);
        prop_assert!(quoted.split("\r\n").all(|line| line.len() <= 76));
        prop_assert_eq!(transfer::decode_quoted_printable(quoted.as_bytes()), to_crlf(&octets).into_owned());
    }

    #[test]
    fn encoded_words_round_trip(text in "\\PC{0,120}") {
        let encoded = encoded_word::encode(&text);
        prop_assert_eq!(encoded_word::decode(encoded.as_bytes()), text.as_str());
        let mut fields = Fields::new();
        fields.text("Subject", &text);
        for line in fields.as_str().split("\r\n") {
            prop_assert!(line.len() <= 78 || line.is_ascii());
        }
        let field = Headers::new(fields.as_str().as_bytes()).next().unwrap();
        let words = |text: &str| text.split_ascii_whitespace().collect::<Vec<_>>().join(" ");
        prop_assert_eq!(words(&field.text()), words(&text));
    }

    #[test]
    fn mailboxes_round_trip(name in "[ -~äß]{0,30}", local_part in "[!-~]{1,20}", domain in "[a-z]{1,9}\\.example") {
        let name = name.split_ascii_whitespace().collect::<Vec<_>>().join(" ");
        prop_assume!(!name.contains("=?"));
        let mailbox = Mailbox {
            name: (!name.is_empty()).then(|| name.as_str().into()),
            local_part: local_part.as_str().into(),
            domain: Some(domain.as_str().into()),
            route: None,
        };
        let text = mailbox.to_string();
        let mut list = address::mailboxes(text.as_bytes());
        let read = list.next().unwrap();
        prop_assert_eq!(&read.local_part, &local_part);
        prop_assert_eq!(read.domain.as_deref(), Some(domain.as_str()));
        prop_assert_eq!(read.display_name().unwrap_or_default(), name.as_str());
        prop_assert!(list.next().is_none());
    }

    #[test]
    fn address_lists_are_read_to_the_end(list in soup(&["a", "\"", "<", ">", "@", ",", ";", ":", "(", ")", "[", "]", ".", " ", "\\", "\r\n "])) {
        prop_assert!(address::parse(&list).count() <= 2 * list.len() + 2);
        let _ = mime::Date::parse(&list);
        let _ = mime::message_id::list(&list).count();
        let _ = encoded_word::decode(&list);
    }

    #[test]
    fn dates_round_trip(second in -2_000_000_000i64..8_000_000_000, quarters in -56i32..=56) {
        let timestamp = jiff::Timestamp::from_second(second).unwrap();
        let offset = jiff::tz::Offset::from_seconds(quarters * 900).unwrap();
        let date = mime::Date::new(timestamp, offset);
        prop_assert_eq!(mime::Date::parse(date.to_string().as_bytes()), Some(date));
    }

    #[test]
    fn any_date_text(text in soup(&["Fri", ",", " ", "21", "Nov", "1997", "09:55:06", "-0600", "+", ":", "T", "Z", "(", "-", "99999999999"])) {
        if let Some(date) = mime::Date::parse(&text) {
            let again = mime::Date::parse(date.to_string().as_bytes());
            prop_assert_eq!(again.map(|date| date.timestamp()), Some(date.timestamp()));
        }
    }

    #[test]
    fn what_is_built_is_what_is_read(texts in prop::collection::vec("(?s).{0,80}", 1..5), octets in prop::collection::vec(any::<u8>(), 0..200), nested in any::<bool>()) {
        let mut parts: Vec<Entity> = texts.iter().map(|text| Entity::text(text)).collect();
        parts.push(Entity::attachment("application/octet-stream", "ä.bin", &octets));
        let mut entity = Entity::multipart("mixed", &parts);
        if nested {
            entity = Entity::multipart("mixed", &[entity]);
        }
        let message = entity.into_message(Fields::new());
        let structure = Structure::parse(&message);
        prop_assert_eq!(structure.parts().count(), parts.len() + 1 + usize::from(nested));
        let leaves: Vec<_> = structure.parts().filter(|part| part.kind() == Kind::Leaf).collect();
        for (part, text) in leaves.iter().zip(&texts) {
            let text = to_crlf(text.as_bytes()).into_owned();
            prop_assert_eq!(show(&part.decoded(&message)), show(&text));
        }
        prop_assert_eq!(&*leaves[texts.len()].decoded(&message), &octets[..]);
        prop_assert_eq!(leaves[texts.len()].file_name().unwrap(), "ä.bin");
    }

    #[test]
    fn changes_leave_the_rest(
        message in soup(&["A: 1\r\n", "B: 2\n c\n", "Subject: x\r\n", "From x\n", " d\r\n", "\r\n", "\n", "text", "C:"]),
        delete in any::<u8>(),
        value in "(?s).{0,40}",
    ) {
        let old: Vec<_> = Headers::new(&message).collect();
        let mut edit = HeaderEdit::new(&message);
        prop_assert_eq!(&edit.clone().finish(), &message);
        for (at, field) in old.iter().enumerate() {
            if delete & (1 << (at % 8)) != 0 {
                edit.delete(field);
            }
        }
        edit.insert_first("X-First", value.as_bytes());
        edit.insert_last("X-Last", value.as_bytes());
        let out = edit.finish();
        let kept = old.iter().enumerate().filter(|(at, _)| delete & (1 << (at % 8)) == 0);
        let kept: Vec<_> = kept.map(|(_, field)| field.octets().trim_ascii_end()).collect();
        let new: Vec<_> = Headers::new(&out).collect();
        prop_assert_eq!(new.len(), kept.len() + 2, "{}", show(&out));
        prop_assert!(new[0].is("X-First") && new[new.len() - 1].is("X-Last"));
        for (new, kept) in new[1..].iter().zip(kept) {
            prop_assert_eq!(new.octets().trim_ascii_end(), kept);
        }
        prop_assert_eq!(show(Headers::new(&out).body()), show(Headers::new(&message).body()));
        prop_assert_eq!(Headers::new(&out).envelope_line(), Headers::new(&message).envelope_line());
    }
}
