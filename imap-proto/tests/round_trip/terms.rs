//! Any term.

use std::num::{NonZeroU32, NonZeroU64};

use bytes::Bytes;
use imap_proto::*;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

pub fn nz() -> impl Strategy<Value = NonZeroU32> {
    prop_oneof![1_u32..20, any::<u32>()].prop_map(|number| NonZeroU32::new(number.max(1)).unwrap())
}

pub fn istring() -> impl Strategy<Value = IString> {
    prop_oneof![
        "[a-z]{0,8}".prop_map(String::into_bytes),
        "\\PC{0,6}".prop_map(String::into_bytes),
        Just(b"NIL".to_vec()),
        Just(b"a\\\"b{3}".to_vec()),
        vec(1_u8..=255, 0..12),
        vec(Just(b'x'), 600..1100),
    ]
    .prop_map(|octets| IString::new(octets).unwrap())
}

pub fn nstring() -> impl Strategy<Value = NString> {
    option::of(istring())
}

pub fn atom() -> impl Strategy<Value = Atom> {
    "[A-Za-z$_.&+-][A-Za-z0-9/=:]{0,6}".prop_map(|text| Atom::new(&text).unwrap())
}

pub fn tag() -> impl Strategy<Value = Tag> {
    "[A-Za-z0-9.]{1,6}".prop_map(|text| Tag::new(&text).unwrap())
}

pub fn mailbox() -> impl Strategy<Value = Mailbox> {
    prop_oneof![
        Just(Mailbox::inbox()),
        "[a-z/&\" ]{0,8}".prop_map(|name| Mailbox::new(&name).unwrap()),
        "\\PC{0,6}".prop_map(|name| Mailbox::new(&name).unwrap()),
        Just(Mailbox::new("nil").unwrap()),
    ]
}

pub fn pattern() -> impl Strategy<Value = ListPattern> {
    "[a-zäöü/%*&\" ]{0,8}".prop_map(|text| ListPattern::new(&text).unwrap())
}

pub fn sequence_set() -> impl Strategy<Value = SequenceSet> {
    let number = prop_oneof![
        nz().prop_map(SequenceNumber::Number),
        Just(SequenceNumber::Largest)
    ];
    let range =
        (number.clone(), number).prop_map(|(first, second)| SequenceRange { first, second });
    prop_oneof![
        vec(range, 1..4).prop_map(|ranges| SequenceSet::new(ranges).unwrap()),
        Just(SequenceSet::SavedResult),
    ]
}

pub fn numbers() -> impl Strategy<Value = NumberSet> {
    vec(nz(), 1..6).prop_map(|numbers| numbers.into_iter().collect())
}

pub fn sequence() -> impl Strategy<Value = NumberSequence> {
    vec(nz(), 1..6).prop_map(|numbers| numbers.into_iter().collect())
}

pub fn filter_name() -> impl Strategy<Value = FilterName> {
    "[A-Za-z$_.&+-][A-Za-z0-9=:]{0,6}".prop_map(|name| FilterName::new(&name).unwrap())
}

pub fn annotations() -> impl Strategy<Value = Vec<Annotation>> {
    let value = option::of(vec(any::<u8>(), 0..8).prop_map(Bytes::from));
    let one = (entry(), vec((istring(), value), 1..3));
    vec(
        one.prop_map(|(entry, values)| Annotation { entry, values }),
        1..3,
    )
}

/// A section whose names a URL can hold.
fn url_section() -> impl Strategy<Value = Section> {
    let name = || "[A-Za-z-]{1,6}".prop_map(|name| IString::try_from(name.as_str()).unwrap());
    let text = prop_oneof![
        Just(SectionText::Whole),
        Just(SectionText::Header),
        Just(SectionText::Text),
        Just(SectionText::Mime),
        vec(name(), 1..3).prop_map(SectionText::HeaderFields),
        vec(name(), 1..3).prop_map(SectionText::HeaderFieldsNot),
    ];
    (vec(nz(), 0..3), text)
        .prop_filter_map("a section", |(part, text)| Section::new(part, text).ok())
}

pub fn url() -> impl Strategy<Value = ImapUrl> {
    let user = || option::of("\\PC{1,6}");
    let server = (user(), user(), "[a-z.]{1,9}", option::of(any::<u16>())).prop_map(
        |(user, mechanism, host, port)| UrlServer {
            user,
            mechanism,
            host,
            port,
        },
    );
    let partial = (any::<u64>(), option::of(1..u64::MAX)).prop_map(|(first, length)| UrlPartial {
        first,
        length: length.and_then(NonZeroU64::new),
    });
    let access = prop_oneof![
        "\\PC{1,6}".prop_map(UrlAccess::Submit),
        "\\PC{1,6}".prop_map(UrlAccess::User),
        Just(UrlAccess::AuthUser),
        Just(UrlAccess::Anonymous),
    ];
    let authorization = (
        option::of(Just("2026-02-03T04:05:06Z".to_owned())),
        access,
        option::of(("[A-Z0-9.-]{1,6}", "[0-9a-f]{32,40}")),
    )
        .prop_map(|(expire, access, verifier)| UrlAuthorization {
            expire,
            access,
            verifier,
        });
    let in_message = (
        option::of(url_section()),
        option::of(partial),
        option::of(authorization),
    );
    let name = "[^\\p{C}/]\\PC{0,6}[^\\p{C}/]".prop_map(|name| Mailbox::new(&name).unwrap());
    (
        option::of(server),
        name,
        option::of(nz()),
        option::of(nz()),
        "\\PC{1,6}",
        in_message,
    )
        .prop_map(|(server, mailbox, uid_validity, uid, search, inside)| {
            let mut parts = UrlParts {
                server,
                mailbox: Some(mailbox),
                uid_validity,
                uid,
                ..UrlParts::default()
            };
            match uid {
                Some(_) => {
                    parts.section = inside.0.filter(|section| *section != Section::default());
                    parts.partial = inside.1;
                    parts.authorization = inside.2;
                }
                None => parts.search = Some(search),
            }
            ImapUrl::new(parts).unwrap()
        })
}

pub fn flag() -> impl Strategy<Value = Flag> {
    let flags = [
        Flag::Seen,
        Flag::Answered,
        Flag::Flagged,
        Flag::Deleted,
        Flag::Draft,
    ];
    prop_oneof![
        prop::sample::select(flags.to_vec()),
        atom().prop_map(Flag::Keyword),
        Just(Flag::new("\\X-Ext").unwrap()),
    ]
}

pub fn date() -> impl Strategy<Value = Date> {
    (0_i64..100_000).prop_map(|days| Date::from_days(days).unwrap())
}

pub fn date_time() -> impl Strategy<Value = DateTime> {
    (0_i64..4_000_000_000, -840_i16..840)
        .prop_map(|(seconds, zone)| DateTime::from_timestamp(seconds, zone).unwrap())
}

pub fn section() -> impl Strategy<Value = Section> {
    let text = prop_oneof![
        Just(SectionText::Whole),
        Just(SectionText::Header),
        Just(SectionText::Text),
        Just(SectionText::Mime),
        vec(istring(), 1..3).prop_map(SectionText::HeaderFields),
        vec(istring(), 1..3).prop_map(SectionText::HeaderFieldsNot),
    ];
    (vec(nz(), 0..3), text)
        .prop_filter_map("a section", |(part, text)| Section::new(part, text).ok())
}

pub fn partial() -> impl Strategy<Value = Option<Partial>> {
    option::of(
        (any::<u64>(), 1..u64::MAX).prop_map(|(first, length)| Partial {
            first,
            length: NonZeroU64::new(length).unwrap(),
        }),
    )
}

pub fn partial_range() -> impl Strategy<Value = PartialRange> {
    (any::<bool>(), nz(), nz()).prop_map(|(from_end, one, other)| PartialRange {
        from_end,
        first: one.min(other),
        last: one.max(other),
    })
}

pub fn rights() -> impl Strategy<Value = Rights> {
    "[a-z0-9]{1,6}".prop_map(|letters| Rights::new(&letters).unwrap())
}

pub fn entry() -> impl Strategy<Value = EntryName> {
    "/[a-z \"]{1,5}(/[a-z]{1,3})?".prop_map(|name| EntryName::new(&name).unwrap())
}

pub fn metadata_value() -> impl Strategy<Value = MetadataValue> {
    let value = option::of(vec(any::<u8>(), 0..8).prop_map(Bytes::from));
    (entry(), value).prop_map(|(entry, value)| MetadataValue { entry, value })
}
