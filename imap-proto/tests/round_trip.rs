//! Whatever the types can hold is parsed to the same from what it encodes to.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use std::num::{NonZeroU32, NonZeroU64};

use bytes::Bytes;
use imap_proto::*;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

fn nz() -> impl Strategy<Value = NonZeroU32> {
    prop_oneof![1_u32..20, any::<u32>()].prop_map(|number| NonZeroU32::new(number.max(1)).unwrap())
}

fn istring() -> impl Strategy<Value = IString> {
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

fn nstring() -> impl Strategy<Value = NString> {
    option::of(istring())
}

fn atom() -> impl Strategy<Value = Atom> {
    "[A-Za-z$_.&+-][A-Za-z0-9/=:]{0,6}".prop_map(|text| Atom::new(&text).unwrap())
}

fn tag() -> impl Strategy<Value = Tag> {
    "[A-Za-z0-9.]{1,6}".prop_map(|text| Tag::new(&text).unwrap())
}

fn mailbox() -> impl Strategy<Value = Mailbox> {
    prop_oneof![
        Just(Mailbox::inbox()),
        "[a-z/&\" ]{0,8}".prop_map(|name| Mailbox::new(&name).unwrap()),
        "\\PC{0,6}".prop_map(|name| Mailbox::new(&name).unwrap()),
        Just(Mailbox::new("nil").unwrap()),
    ]
}

fn pattern() -> impl Strategy<Value = ListPattern> {
    "[a-zäöü/%*&\" ]{0,8}".prop_map(|text| ListPattern::new(&text).unwrap())
}

fn sequence_set() -> impl Strategy<Value = SequenceSet> {
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

fn numbers() -> impl Strategy<Value = NumberSet> {
    vec(nz(), 1..6).prop_map(|numbers| numbers.into_iter().collect())
}

fn flag() -> impl Strategy<Value = Flag> {
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

fn date() -> impl Strategy<Value = Date> {
    (0_i64..100_000).prop_map(|days| Date::from_days(days).unwrap())
}

fn date_time() -> impl Strategy<Value = DateTime> {
    (0_i64..4_000_000_000, -840_i16..840)
        .prop_map(|(seconds, zone)| DateTime::from_timestamp(seconds, zone).unwrap())
}

fn section() -> impl Strategy<Value = Section> {
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

fn partial() -> impl Strategy<Value = Option<Partial>> {
    option::of(
        (any::<u64>(), 1..u64::MAX).prop_map(|(first, length)| Partial {
            first,
            length: NonZeroU64::new(length).unwrap(),
        }),
    )
}

fn partial_range() -> impl Strategy<Value = PartialRange> {
    (any::<bool>(), nz(), nz()).prop_map(|(from_end, one, other)| PartialRange {
        from_end,
        first: one.min(other),
        last: one.max(other),
    })
}

fn fetch_attribute() -> impl Strategy<Value = FetchAttribute> {
    use FetchAttribute as A;
    let plain = [
        A::Envelope,
        A::Flags,
        A::InternalDate,
        A::Rfc822,
        A::Rfc822Header,
        A::Rfc822Text,
        A::Rfc822Size,
        A::Body,
        A::BodyStructure,
        A::Uid,
        A::ModSeq,
        A::EmailId,
        A::ThreadId,
        A::SaveDate,
        A::Preview { lazy: true },
        A::Preview { lazy: false },
    ];
    prop_oneof![
        prop::sample::select(plain.to_vec()),
        (section(), partial(), any::<bool>()).prop_map(|(section, partial, peek)| A::Section {
            section,
            partial,
            peek
        }),
        (vec(nz(), 0..3), partial(), any::<bool>()).prop_map(|(part, partial, peek)| A::Binary {
            part,
            partial,
            peek
        }),
        vec(nz(), 0..3).prop_map(A::BinarySize),
    ]
}

fn search_key() -> impl Strategy<Value = SearchKey> {
    use SearchKey as K;
    let plain = [
        K::All,
        K::Answered,
        K::Deleted,
        K::Draft,
        K::Flagged,
        K::New,
        K::Old,
        K::Recent,
        K::Seen,
        K::Unanswered,
        K::Undeleted,
        K::Undraft,
        K::Unflagged,
        K::Unseen,
        K::SaveDateSupported,
    ];
    let leaf = prop_oneof![
        prop::sample::select(plain.to_vec()),
        atom().prop_map(K::Keyword),
        atom().prop_map(K::Unkeyword),
        (0_usize..7, istring()).prop_map(|(which, text)| match which {
            0 => K::Bcc(text),
            1 => K::Body(text),
            2 => K::Cc(text),
            3 => K::From(text),
            4 => K::Subject(text),
            5 => K::Text(text),
            _ => K::To(text),
        }),
        (istring(), istring()).prop_map(|(name, text)| K::Header(name, text)),
        (0_usize..9, date()).prop_map(|(which, day)| match which {
            0 => K::Before(day),
            1 => K::On(day),
            2 => K::Since(day),
            3 => K::SentBefore(day),
            4 => K::SentOn(day),
            5 => K::SentSince(day),
            6 => K::SavedBefore(day),
            7 => K::SavedOn(day),
            _ => K::SavedSince(day),
        }),
        (0_usize..3, any::<u64>()).prop_map(|(which, number)| match which {
            0 => K::Larger(number),
            1 => K::Smaller(number),
            _ => K::ModSeq(number),
        }),
        nz().prop_map(K::Older),
        nz().prop_map(K::Younger),
        istring().prop_map(K::EmailId),
        istring().prop_map(K::ThreadId),
        sequence_set().prop_map(K::Uid),
        sequence_set().prop_map(K::Sequence),
    ];
    leaf.prop_recursive(4, 16, 3, |inner| {
        prop_oneof![
            inner.clone().prop_map(|key| K::Not(Box::new(key))),
            inner.clone().prop_map(|key| K::Fuzzy(Box::new(key))),
            (inner.clone(), inner.clone()).prop_map(|keys| K::Or(Box::new(keys))),
            vec(inner, 1..3).prop_map(K::And),
        ]
    })
}

fn search_return() -> impl Strategy<Value = Option<SearchReturn>> {
    let options = (any::<[bool; 5]>(), option::of(partial_range()));
    option::of(options.prop_map(|([min, max, all, count, save], partial)| {
        let none = !(min || max || count || save || partial.is_some());
        SearchReturn {
            min,
            max,
            all: all || none,
            count,
            save,
            partial,
        }
    }))
}

fn status_items() -> impl Strategy<Value = Vec<StatusItem>> {
    vec(prop::sample::select(StatusItem::ALL.to_vec()), 1..4)
}

fn body() -> impl Strategy<Value = CommandBody> {
    use CommandBody as B;
    let plain = [
        B::Capability,
        B::Noop,
        B::Logout,
        B::StartTls,
        B::Namespace,
        B::Idle,
        B::Check,
        B::Close,
        B::Unselect,
        B::Expunge,
        B::Unauthenticate,
        B::Compress,
    ];
    let criterion = (
        any::<bool>(),
        prop::sample::select(vec![SortKey::Arrival, SortKey::DisplayTo, SortKey::Subject]),
    )
        .prop_map(|(reverse, key)| SortCriterion { reverse, key });
    prop_oneof![
        prop::sample::select(plain.to_vec()),
        (atom(), option::of(vec(any::<u8>(), 0..8))).prop_map(|(mechanism, initial)| {
            B::Authenticate {
                mechanism: mechanism.as_str().to_ascii_uppercase().into(),
                initial_response: initial.map(Secret::new),
            }
        }),
        (istring(), istring()).prop_map(|(username, password)| B::Login {
            username,
            password: Secret::new(password.as_bytes()),
        }),
        vec(atom(), 1..3).prop_map(|names| {
            B::Enable(
                names
                    .iter()
                    .map(|name| Capability::new(name.as_str()).unwrap())
                    .collect(),
            )
        }),
        (
            mailbox(),
            any::<[bool; 2]>(),
            nz(),
            any::<u64>(),
            option::of(numbers()),
            option::of((numbers(), numbers())),
            any::<bool>()
        )
            .prop_map(
                |(
                    mailbox,
                    [read_only, condstore],
                    uid_validity,
                    mod_seq,
                    known_uids,
                    sequence_match,
                    known,
                )| {
                    let qresync = known.then_some(QResync {
                        uid_validity,
                        mod_seq,
                        known_uids,
                        sequence_match,
                    });
                    B::Select(Select {
                        mailbox,
                        read_only,
                        condstore,
                        qresync,
                    })
                }
            ),
        (mailbox(), vec(atom(), 0..3)).prop_map(|(mailbox, special_use)| B::Create {
            mailbox,
            special_use
        }),
        mailbox().prop_map(B::Delete),
        mailbox().prop_map(B::Subscribe),
        mailbox().prop_map(B::Unsubscribe),
        mailbox().prop_map(B::GetQuotaRoot),
        (mailbox(), mailbox()).prop_map(|(from, to)| B::Rename { from, to }),
        (mailbox(), pattern()).prop_map(|(reference, pattern)| B::Lsub { reference, pattern }),
        (
            mailbox(),
            vec(pattern(), 1..3),
            any::<[bool; 8]>(),
            option::of(status_items())
        )
            .prop_map(|(reference, patterns, [a, b, c, d, e, f, g, h], status)| {
                let selection = ListSelection {
                    subscribed: a,
                    remote: b,
                    recursive_match: c && (a || d),
                    special_use: d,
                };
                let returns = ListReturn {
                    subscribed: e,
                    children: f,
                    special_use: g,
                    my_rights: h,
                    status,
                };
                let plain = selection == ListSelection::default()
                    && returns == ListReturn::default()
                    && patterns.len() == 1;
                B::List(List {
                    selection,
                    reference,
                    patterns,
                    returns,
                    extended: !plain || a,
                })
            }),
        (mailbox(), status_items())
            .prop_map(|(mailbox, items)| B::Status(Status { mailbox, items })),
        sequence_set().prop_map(B::UidExpunge),
        (
            any::<bool>(),
            search_return(),
            option::of(istring()),
            search_key()
        )
            .prop_map(|(uid, return_options, charset, key)| B::Search(Search {
                uid,
                return_options,
                charset,
                key
            })),
        (
            any::<bool>(),
            search_return(),
            vec(criterion, 1..3),
            istring(),
            search_key()
        )
            .prop_map(
                |(uid, return_options, criteria, charset, key)| B::Sort(Sort {
                    uid,
                    return_options,
                    criteria,
                    charset,
                    key
                })
            ),
        (any::<bool>(), istring(), search_key()).prop_map(|(uid, charset, key)| B::Thread(
            Thread {
                uid,
                algorithm: ThreadAlgorithm::References,
                charset,
                key
            }
        )),
        (
            any::<[bool; 2]>(),
            sequence_set(),
            vec(fetch_attribute(), 1..4),
            option::of(any::<u64>()),
            option::of(partial_range())
        )
            .prop_map(
                |([uid, vanished], set, attributes, changed_since, partial)| B::Fetch(Fetch {
                    uid,
                    set,
                    attributes,
                    changed_since,
                    vanished: vanished && uid && changed_since.is_some(),
                    partial,
                })
            ),
        (
            any::<[bool; 2]>(),
            sequence_set(),
            option::of(any::<u64>()),
            0..3,
            vec(flag(), 0..3)
        )
            .prop_map(
                |([uid, silent], set, unchanged_since, action, flags)| B::Store(Store {
                    uid,
                    set,
                    unchanged_since,
                    action: match action {
                        0 => StoreAction::Replace,
                        1 => StoreAction::Add,
                        _ => StoreAction::Remove,
                    },
                    silent,
                    flags,
                })
            ),
        (any::<[bool; 2]>(), sequence_set(), mailbox()).prop_map(|([uid, copy], set, mailbox)| {
            match copy {
                true => B::Copy { uid, set, mailbox },
                false => B::Move { uid, set, mailbox },
            }
        }),
        option::of(vec((istring(), nstring()), 1..3)).prop_map(B::Id),
        istring().prop_map(B::GetQuota),
        (istring(), vec((atom(), any::<u64>()), 0..3))
            .prop_map(|(root, limits)| B::SetQuota { root, limits }),
        (mailbox(), istring(), 0..3, rights()).prop_map(|(mailbox, identifier, change, rights)| {
            B::SetAcl(SetAcl {
                mailbox,
                identifier,
                change: match change {
                    0 => RightsChange::Replace,
                    1 => RightsChange::Add,
                    _ => RightsChange::Remove,
                },
                rights,
            })
        }),
        (mailbox(), istring()).prop_map(|(mailbox, identifier)| B::DeleteAcl {
            mailbox,
            identifier
        }),
        (mailbox(), istring()).prop_map(|(mailbox, identifier)| B::ListRights {
            mailbox,
            identifier
        }),
        mailbox().prop_map(B::GetAcl),
        mailbox().prop_map(B::MyRights),
        (
            mailbox(),
            option::of(any::<u32>()),
            0..3,
            vec(entry(), 1..3)
        )
            .prop_map(
                |(mailbox, max_size, depth, entries)| B::GetMetadata(GetMetadata {
                    mailbox,
                    max_size,
                    depth: match depth {
                        0 => MetadataDepth::Zero,
                        1 => MetadataDepth::One,
                        _ => MetadataDepth::Infinity,
                    },
                    entries,
                })
            ),
        (mailbox(), vec(metadata_value(), 1..3))
            .prop_map(|(mailbox, values)| B::SetMetadata(SetMetadata { mailbox, values })),
    ]
}

fn rights() -> impl Strategy<Value = Rights> {
    "[a-z0-9]{1,6}".prop_map(|letters| Rights::new(&letters).unwrap())
}

fn entry() -> impl Strategy<Value = EntryName> {
    "/[a-z \"]{1,5}(/[a-z]{1,3})?".prop_map(|name| EntryName::new(&name).unwrap())
}

fn metadata_value() -> impl Strategy<Value = MetadataValue> {
    let value = option::of(vec(any::<u8>(), 0..8).prop_map(Bytes::from));
    (entry(), value).prop_map(|(entry, value)| MetadataValue { entry, value })
}

fn parameters() -> impl Strategy<Value = Parameters> {
    vec((istring(), istring()), 0..2)
}

fn address() -> impl Strategy<Value = Address> {
    (nstring(), nstring(), nstring(), nstring()).prop_map(|(name, adl, mailbox, host)| Address {
        name,
        adl,
        mailbox,
        host,
    })
}

fn envelope() -> impl Strategy<Value = Envelope> {
    let list = || vec(address(), 0..2);
    (
        (nstring(), nstring(), nstring(), nstring()),
        (list(), list(), list(), list(), list(), list()),
    )
        .prop_map(|(texts, lists)| {
            let (date, subject, in_reply_to, message_id) = texts;
            let (from, sender, reply_to, to, cc, bcc) = lists;
            Envelope {
                date,
                subject,
                from,
                sender,
                reply_to,
                to,
                cc,
                bcc,
                in_reply_to,
                message_id,
            }
        })
}

fn body_extension() -> impl Strategy<Value = BodyExtension> {
    (
        option::of((istring(), parameters())),
        vec(istring(), 0..3),
        nstring(),
    )
        .prop_map(|(disposition, language, location)| BodyExtension {
            disposition,
            language,
            location,
            future: Vec::new(),
        })
}

/// `extended` for BODYSTRUCTURE.
fn structure(extended: bool) -> impl Strategy<Value = BodyStructure> {
    let single = move |media: BoxedStrategy<Media>| {
        let fields = (parameters(), nstring(), nstring(), istring(), any::<u64>());
        (media, fields, nstring(), body_extension()).prop_map(
            move |(media, (parameters, id, description, encoding, size), md5, common)| {
                BodyStructure::Single(Box::new(SinglePart {
                    media,
                    parameters,
                    id,
                    description,
                    encoding,
                    size,
                    extension: extended.then_some(SingleExtension { md5, common }),
                }))
            },
        )
    };
    let text =
        (istring(), any::<u64>()).prop_map(|(subtype, lines)| Media::Text { subtype, lines });
    let basic = istring().prop_map(|subtype| Media::Basic {
        media_type: IString::try_from("APPLICATION").unwrap(),
        subtype,
    });
    let leaf = single(prop_oneof![text, basic].boxed());
    leaf.prop_recursive(3, 8, 3, move |inner| {
        let message =
            (envelope(), inner.clone(), any::<u64>()).prop_map(|(envelope, body, lines)| {
                Media::Message {
                    subtype: IString::try_from("RFC822").unwrap(),
                    envelope: Box::new(envelope),
                    body,
                    lines,
                }
            });
        let multi = (vec(inner, 1..3), istring(), parameters(), body_extension()).prop_map(
            move |(parts, subtype, parameters, common)| {
                BodyStructure::Multi(Box::new(MultiPart {
                    parts,
                    subtype,
                    extension: extended.then_some(MultiExtension { parameters, common }),
                }))
            },
        );
        prop_oneof![single(message.boxed()), multi]
    })
}

fn content() -> impl Strategy<Value = Content> {
    prop_oneof![
        Just(Content::Nil),
        vec(any::<u8>(), 0..10).prop_map(|octets| Content::Octets(octets.into())),
        vec(any::<u8>(), 600..700).prop_map(|octets| Content::Octets(octets.into())),
    ]
}

fn fetch_item() -> impl Strategy<Value = FetchItem> {
    use FetchItem as I;
    prop_oneof![
        vec(flag(), 0..3).prop_map(I::Flags),
        Just(I::Flags(vec![Flag::Recent])),
        nz().prop_map(I::Uid),
        date_time().prop_map(I::InternalDate),
        any::<u64>().prop_map(I::Rfc822Size),
        envelope().prop_map(|envelope| I::Envelope(Box::new(envelope))),
        structure(false).prop_map(I::Body),
        structure(true).prop_map(I::BodyStructure),
        (section(), option::of(any::<u64>()), content()).prop_map(|(section, origin, content)| {
            I::Section {
                section,
                origin,
                content,
            }
        }),
        (vec(nz(), 0..3), option::of(any::<u64>()), content()).prop_map(
            |(part, origin, content)| I::Binary {
                part,
                origin,
                content
            }
        ),
        content().prop_map(I::Rfc822),
        content().prop_map(I::Rfc822Header),
        content().prop_map(I::Rfc822Text),
        (vec(nz(), 0..3), any::<u64>()).prop_map(|(part, size)| I::BinarySize { part, size }),
        (1..u64::MAX).prop_map(|value| I::ModSeq(NonZeroU64::new(value).unwrap())),
        istring().prop_map(I::EmailId),
        option::of(istring()).prop_map(I::ThreadId),
        option::of(date_time()).prop_map(I::SaveDate),
        nstring().prop_map(I::Preview),
        Just(I::Opaque {
            name: "X-FOO".into(),
            value: Bytes::from_static(b"(a \"b)\" {2}\r\n() (c))"),
        }),
    ]
}

fn code() -> impl Strategy<Value = Code> {
    prop_oneof![
        Just(Code::Alert),
        Just(Code::ReadWrite),
        Just(Code::OverQuota),
        vec(
            istring().prop_filter("one line", |text| {
                text.as_bytes()
                    .iter()
                    .all(|octet| (b' '..0x7f).contains(octet))
            }),
            0..3
        )
        .prop_map(Code::BadCharset),
        vec(atom(), 1..3).prop_map(|names| {
            Code::Capability(
                names
                    .iter()
                    .map(|name| Capability::new(name.as_str()).unwrap())
                    .collect(),
            )
        }),
        vec(
            prop_oneof![
                flag().prop_map(PermanentFlag::Flag),
                Just(PermanentFlag::Any)
            ],
            0..3
        )
        .prop_map(Code::PermanentFlags),
        nz().prop_map(Code::UidNext),
        nz().prop_map(Code::UidValidity),
        nz().prop_map(Code::Unseen),
        (nz(), numbers()).prop_map(|(uid_validity, uids)| Code::AppendUid { uid_validity, uids }),
        (nz(), numbers(), numbers()).prop_map(|(uid_validity, source, destination)| {
            Code::CopyUid {
                uid_validity,
                source,
                destination,
            }
        }),
        any::<u64>().prop_map(Code::HighestModSeq),
        numbers().prop_map(Code::Modified),
        Just(Code::Other {
            name: "X-FOO".into(),
            argument: Some(Bytes::from_static(b"a (b \"]\")")),
        }),
        Just(Code::Other {
            name: "X-BAR".into(),
            argument: None
        }),
    ]
}

fn status() -> impl Strategy<Value = StatusResponse> {
    let kinds = vec![
        StatusKind::Ok,
        StatusKind::No,
        StatusKind::Bad,
        StatusKind::Bye,
    ];
    (
        prop::sample::select(kinds),
        option::of(code()),
        "[a-z][ -~]{0,10}[{}5]?",
    )
        .prop_map(|(kind, code, text)| {
            let status = StatusResponse::new(kind, text);
            match code {
                Some(code) => status.with(code),
                None => status,
            }
        })
}

fn delimiter() -> impl Strategy<Value = Option<Delimiter>> {
    option::of(
        prop::sample::select(vec!['/', '.', '\\', '"'])
            .prop_map(|one| Delimiter::new(one).unwrap()),
    )
}

fn mailbox_list() -> impl Strategy<Value = MailboxList> {
    let attribute = prop_oneof![
        Just(MailboxAttribute::NoSelect),
        Just(MailboxAttribute::Drafts),
        Just(MailboxAttribute::Other(Atom::new("X-Foo").unwrap())),
    ];
    (
        vec(attribute, 0..3),
        delimiter(),
        mailbox(),
        vec(istring(), 0..2),
        option::of(mailbox()),
    )
        .prop_map(
            |(attributes, delimiter, mailbox, child_info, old_name)| MailboxList {
                attributes,
                delimiter,
                mailbox,
                child_info,
                old_name,
            },
        )
}

fn status_value() -> impl Strategy<Value = StatusValue> {
    prop_oneof![
        any::<u32>().prop_map(StatusValue::Messages),
        any::<u32>().prop_map(StatusValue::Recent),
        nz().prop_map(StatusValue::UidNext),
        nz().prop_map(StatusValue::UidValidity),
        any::<u32>().prop_map(StatusValue::Deleted),
        any::<u64>().prop_map(StatusValue::Size),
        any::<u64>().prop_map(StatusValue::HighestModSeq),
        option::of(any::<u32>()).prop_map(StatusValue::AppendLimit),
        istring().prop_map(StatusValue::MailboxId),
    ]
}

fn esearch() -> impl Strategy<Value = ESearch> {
    (
        option::of(tag()),
        any::<bool>(),
        (option::of(nz()), option::of(nz()), option::of(any::<u32>())),
        prop_oneof![numbers(), Just(NumberSet::default())],
        option::of((
            partial_range(),
            prop_oneof![numbers(), Just(NumberSet::default())],
        )),
        option::of(any::<u64>()),
    )
        .prop_map(
            |(tag, uid, (min, max, count), all, partial, mod_seq)| ESearch {
                tag,
                uid,
                min,
                max,
                count,
                all,
                partial,
                mod_seq,
            },
        )
}

fn namespaces() -> impl Strategy<Value = Namespaces> {
    let one =
        (pattern(), delimiter()).prop_map(|(prefix, delimiter)| Namespace { prefix, delimiter });
    let kind = vec(one, 0..2).boxed();
    (kind.clone(), kind.clone(), kind).prop_map(|(personal, other_users, shared)| Namespaces {
        personal,
        other_users,
        shared,
    })
}

fn untagged() -> impl Strategy<Value = Untagged> {
    use Untagged as U;
    let resource = (atom(), any::<u64>(), any::<u64>())
        .prop_map(|(name, usage, limit)| QuotaResource { name, usage, limit });
    prop_oneof![
        status().prop_map(U::Status),
        mailbox_list().prop_map(U::List),
        mailbox_list().prop_map(U::Lsub),
        namespaces().prop_map(U::Namespace),
        (mailbox(), vec(status_value(), 0..3))
            .prop_map(|(mailbox, values)| U::MailboxStatus { mailbox, values }),
        vec(flag(), 0..3).prop_map(U::Flags),
        (vec(nz(), 0..4), option::of(any::<u64>()))
            .prop_map(|(numbers, mod_seq)| U::Search { numbers, mod_seq }),
        esearch().prop_map(U::ESearch),
        vec(nz(), 0..4).prop_map(U::Sort),
        any::<u32>().prop_map(U::Exists),
        any::<u32>().prop_map(U::Recent),
        nz().prop_map(U::Expunge),
        (any::<bool>(), numbers()).prop_map(|(earlier, uids)| U::Vanished { earlier, uids }),
        (nz(), vec(fetch_item(), 0..4)).prop_map(|(sequence, items)| U::Fetch { sequence, items }),
        (nz(), vec(fetch_item(), 0..2)).prop_map(|(uid, items)| U::UidFetch { uid, items }),
        option::of(vec((istring(), nstring()), 1..3)).prop_map(U::Id),
        (istring(), vec(resource, 0..2)).prop_map(|(root, resources)| U::Quota { root, resources }),
        (mailbox(), vec(istring(), 0..2))
            .prop_map(|(mailbox, roots)| U::QuotaRoot { mailbox, roots }),
        (mailbox(), vec((istring(), rights()), 0..2))
            .prop_map(|(mailbox, entries)| U::Acl { mailbox, entries }),
        (mailbox(), istring(), rights(), vec(rights(), 0..2)).prop_map(
            |(mailbox, identifier, required, optional)| U::ListRights {
                mailbox,
                identifier,
                required,
                optional
            }
        ),
        (mailbox(), rights()).prop_map(|(mailbox, rights)| U::MyRights { mailbox, rights }),
        (mailbox(), vec(metadata_value(), 1..3))
            .prop_map(|(mailbox, values)| U::Metadata { mailbox, values }),
        (mailbox(), vec(entry(), 1..3))
            .prop_map(|(mailbox, entries)| U::MetadataChanged { mailbox, entries }),
    ]
}

fn dialect() -> impl Strategy<Value = Dialect> {
    let literals = vec![
        Literals::Server,
        Literals::Synchronizing,
        Literals::Minus,
        Literals::Plus,
    ];
    (any::<bool>(), prop::sample::select(literals))
        .prop_map(|(utf8, literals)| Dialect { utf8, literals })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn commands(tag in tag(), body in body(), dialect in dialect()) {
        let command = Command { tag, body };
        let octets = Bytes::from(command.to_vec(dialect));
        let parsed = Command::parse(&octets, dialect);
        prop_assert_eq!(parsed, Ok(command), "{}", octets.escape_ascii());
    }

    #[test]
    fn responses(data in untagged(), utf8 in any::<bool>()) {
        let dialect = Dialect { utf8, ..Dialect::SERVER };
        let response = Response::Untagged(data);
        let octets = Bytes::from(response.to_vec(dialect));
        let parsed = Response::parse(&octets, dialect);
        prop_assert_eq!(parsed, Ok(response), "{}", octets.escape_ascii());
    }

    #[test]
    fn tagged(tag in tag(), status in status()) {
        let response = Response::Tagged { tag, status };
        let octets = Bytes::from(response.to_vec(Dialect::SERVER));
        let parsed = Response::parse(&octets, Dialect::SERVER);
        prop_assert_eq!(parsed, Ok(response), "{}", octets.escape_ascii());
    }

    /// A server takes what a client encodes, however it is cut.
    #[test]
    fn through_the_server(body in body(), piece in 1_usize..40) {
        let command = Command { tag: Tag::new("t").unwrap(), body };
        let octets = command.to_vec(Dialect { utf8: false, literals: Literals::Plus });
        let now = start();
        let mut config = Config { login_without_tls: true, starttls: true, ..Config::default() };
        config.extensions = Extension::ALL.iter().copied().collect();
        let mut server = Server::new(std::sync::Arc::new(config), now);
        let mut input = bytes::BytesMut::from("a LOGIN u p\r\n");
        prop_assert!(matches!(server.poll(&mut input, now), Ok(Step::Event(_))));
        server.ok("in").unwrap();
        input.extend_from_slice(b"b SELECT INBOX\r\n");
        prop_assert!(matches!(server.poll(&mut input, now), Ok(Step::Event(_))));
        server.ok("in").unwrap();
        let mut seen = None;
        for part in octets.chunks(piece) {
            prop_assert!(seen.is_none());
            input.extend_from_slice(part);
            match server.poll(&mut input, now) {
                Ok(Step::NeedInput) => {}
                other => seen = Some(other),
            }
        }
        prop_assert!(input.is_empty());
        if let Some(Ok(Step::Event(Event::Command(got)))) = &seen {
            prop_assert_eq!(got, &command);
        }
    }

    #[test]
    fn garbage_never_panics(octets in vec(any::<u8>(), 0..60), words in "[a-zA-Z0-9 (){}\\[\\]\"<>.*%$\\\\,:~+-]{0,40}") {
        for text in [octets, words.clone().into_bytes(), format!("a {words}").into_bytes(), format!("* 1 FETCH ({words})").into_bytes()] {
            let text = Bytes::from(text);
            for utf8 in [false, true] {
                let dialect = Dialect { utf8, ..Dialect::SERVER };
                if let Ok(command) = Command::parse(&text, dialect) {
                    let again = Bytes::from(command.to_vec(dialect));
                    prop_assert_eq!(Command::parse(&again, dialect), Ok(command));
                }
                if let Ok(response) = Response::parse(&text, dialect) {
                    let again = Bytes::from(response.to_vec(dialect));
                    prop_assert!(Response::parse(&again, dialect).is_ok(), "{}", again.escape_ascii());
                }
            }
        }
    }
}

#[allow(clippy::disallowed_methods)]
fn start() -> std::time::Instant {
    std::time::Instant::now()
}
