//! Any response.

use std::num::NonZeroU64;

use bytes::Bytes;
use imap_proto::*;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::terms::*;

pub fn parameters() -> impl Strategy<Value = Parameters> {
    vec((istring(), istring()), 0..2)
}

pub fn address() -> impl Strategy<Value = Address> {
    (nstring(), nstring(), nstring(), nstring()).prop_map(|(name, adl, mailbox, host)| Address {
        name,
        adl,
        mailbox,
        host,
    })
}

pub fn envelope() -> BoxedStrategy<Envelope> {
    let list = || vec(address(), 0..2);
    (
        (nstring(), nstring(), nstring(), nstring()),
        (list(), list(), list(), list(), list(), list()).boxed(),
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
        .boxed()
}

pub fn body_extension() -> BoxedStrategy<BodyExtension> {
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
        .boxed()
}

/// `extended` for BODYSTRUCTURE.
pub fn structure(extended: bool) -> impl Strategy<Value = BodyStructure> {
    let single = move |media: BoxedStrategy<Media>| {
        let fields = (parameters(), nstring(), nstring(), istring(), any::<u64>()).boxed();
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

pub fn content() -> impl Strategy<Value = Content> {
    prop_oneof![
        Just(Content::Nil),
        vec(any::<u8>(), 0..10).prop_map(|octets| Content::Octets(octets.into())),
        vec(any::<u8>(), 600..700).prop_map(|octets| Content::Octets(octets.into())),
    ]
}

pub fn fetch_item() -> impl Strategy<Value = FetchItem> {
    use FetchItem as I;
    prop_oneof![
        vec(flag(), 0..3).prop_map(I::Flags),
        annotations().prop_map(I::Annotation),
        vec(entry(), 1..3).prop_map(I::AnnotationChanged),
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

pub fn code() -> impl Strategy<Value = Code> {
    prop_oneof![
        prop::sample::select(vec![
            Code::Alert,
            Code::Parse,
            Code::ReadOnly,
            Code::ReadWrite,
            Code::TryCreate,
            Code::UidNotSticky,
            Code::UnknownCte,
            Code::Closed,
            Code::NotSaved,
            Code::HasChildren,
            Code::Unavailable,
            Code::AuthenticationFailed,
            Code::AuthorizationFailed,
            Code::Expired,
            Code::PrivacyRequired,
            Code::ContactAdmin,
            Code::NoPerm,
            Code::InUse,
            Code::ExpungeIssued,
            Code::Corruption,
            Code::ServerBug,
            Code::ClientBug,
            Code::Cannot,
            Code::Limit,
            Code::OverQuota,
            Code::AlreadyExists,
            Code::NonExistent,
            Code::NoModSeq,
            Code::TooBig,
            Code::UseAttr,
            Code::UidRequired,
            Code::CompressionActive,
        ]),
        "[A-Za-z0-9_-]{1,9}".prop_map(|id| Code::MailboxId(IString::try_from(&*id).unwrap())),
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
        extended_code(),
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

pub fn status() -> impl Strategy<Value = StatusResponse> {
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

pub fn delimiter() -> impl Strategy<Value = Option<Delimiter>> {
    option::of(
        prop::sample::select(vec!['/', '.', '\\', '"'])
            .prop_map(|one| Delimiter::new(one).unwrap()),
    )
}

pub fn mailbox_list() -> impl Strategy<Value = MailboxList> {
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
        vec(
            (istring(), Just(Bytes::from_static(b"(a \"(\" {1}\r\n) b)"))),
            0..2,
        ),
    )
        .prop_map(
            |(attributes, delimiter, mailbox, child_info, old_name, extended)| MailboxList {
                attributes,
                delimiter,
                mailbox,
                child_info,
                old_name,
                extended,
            },
        )
}

pub fn status_value() -> impl Strategy<Value = StatusValue> {
    prop_oneof![
        any::<u32>().prop_map(StatusValue::Messages),
        any::<u32>().prop_map(StatusValue::Recent),
        nz().prop_map(StatusValue::UidNext),
        nz().prop_map(StatusValue::UidValidity),
        any::<u32>().prop_map(StatusValue::Deleted),
        any::<u64>().prop_map(StatusValue::DeletedStorage),
        any::<u64>().prop_map(StatusValue::Size),
        any::<u64>().prop_map(StatusValue::HighestModSeq),
        option::of(any::<u32>()).prop_map(StatusValue::AppendLimit),
        istring().prop_map(StatusValue::MailboxId),
        Just(StatusValue::Other(
            Atom::new("X-FOO").unwrap(),
            Bytes::from_static(b"(1 \")\")")
        )),
    ]
}

pub fn esearch() -> impl Strategy<Value = ESearch> {
    (
        option::of(tag()),
        any::<bool>(),
        (option::of(nz()), option::of(nz()), option::of(any::<u32>())),
        prop_oneof![sequence(), Just(NumberSequence::default())],
        option::of((
            partial_range(),
            prop_oneof![sequence(), Just(NumberSequence::default())],
        )),
        option::of(any::<u64>()),
        (
            option::of(mailbox()),
            option::of(nz()),
            vec(1_u8..=100, 0..3),
        ),
        vec((any::<bool>(), vec((any::<u32>(), sequence()), 1..3)), 0..3),
        vec(
            (
                Just(Atom::new("X-FOO").unwrap()),
                Just(Bytes::from_static(b"(1 2)")),
            ),
            0..2,
        ),
    )
        .prop_map(
            |(tag, uid, (min, max, count), all, partial, mod_seq, correlators, updates, others)| {
                ESearch {
                    tag,
                    uid,
                    min,
                    max,
                    count,
                    all,
                    partial,
                    mod_seq,
                    mailbox: correlators.0,
                    uid_validity: correlators.1,
                    relevancy: correlators.2,
                    updates: updates
                        .into_iter()
                        .map(|(add, places)| match add {
                            true => ContextUpdate::Add(places),
                            false => ContextUpdate::Remove(places),
                        })
                        .collect(),
                    others,
                }
            },
        )
}

pub fn namespaces() -> impl Strategy<Value = Namespaces> {
    let one = (
        pattern(),
        delimiter(),
        vec((istring(), vec(istring(), 1..3)), 0..2),
    )
        .prop_map(|(prefix, delimiter, extensions)| Namespace {
            prefix,
            delimiter,
            extensions,
        });
    let kind = vec(one, 0..2).boxed();
    (kind.clone(), kind.clone(), kind).prop_map(|(personal, other_users, shared)| Namespaces {
        personal,
        other_users,
        shared,
    })
}

fn capabilities() -> impl Strategy<Value = Vec<Capability>> {
    let name = "[A-Z0-9][A-Z0-9=+-]{0,9}";
    vec(name.prop_map(|name| Capability::new(&name).unwrap()), 0..4)
}

/// A forest: each node at most one deeper than the one before it. One without
/// message has at least two below it, or it would not be there.
fn threads() -> impl Strategy<Value = Vec<ThreadNode>> {
    let tree = (vec((0_u32..5, nz()), 1..8), any::<bool>()).prop_map(|(nodes, dummy)| {
        let mut tree = Vec::new();
        let mut deepest = 0;
        for (index, (depth, number)) in nodes.into_iter().enumerate() {
            let depth = if index == 0 {
                0
            } else {
                depth.min(deepest).max(1)
            };
            deepest = depth + 1;
            let number = Some(number);
            tree.push(ThreadNode { depth, number });
        }
        let below = tree.iter().filter(|node| node.depth == 1).count();
        if dummy && below > 1 {
            tree[0].number = None;
        }
        tree
    });
    vec(tree, 0..4).prop_map(|trees| trees.concat())
}

pub fn untagged() -> impl Strategy<Value = Untagged> {
    use Untagged as U;
    let resource = (atom(), any::<u64>(), any::<u64>())
        .prop_map(|(name, usage, limit)| QuotaResource { name, usage, limit });
    prop_oneof![
        status().prop_map(U::Status),
        "[a-z]{1,9}".prop_map(|text| U::Status(StatusResponse::new(StatusKind::PreAuth, text))),
        extended(),
        capabilities().prop_map(U::Capability),
        capabilities().prop_map(U::Enabled),
        threads().prop_map(U::Thread),
        "X[A-Z]{0,5}( [ -|~]{0,9}[!-|~])?".prop_map(|raw| U::Other(raw.into())),
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

/// Codes that few servers send.
fn extended_code() -> impl Strategy<Value = Code> {
    let mechanism = (
        "[A-Z][A-Z0-9-]{0,6}",
        option::of(vec(any::<u8>(), 1..8).prop_map(Bytes::from)),
    )
        .prop_map(|(name, data)| (Atom::new(&name).unwrap(), data));
    let one_line = |url: &ImapUrl| !url.as_str().contains(']') && !url.as_str().is_empty();
    let support = (option::of(nz()), any::<bool>()).prop_map(|(size, no_private)| match size {
        Some(max_size) => AnnotationSupport::Writable {
            max_size,
            no_private,
        },
        None => AnnotationSupport::ReadOnly { no_private },
    });
    let number = || option::of(any::<u32>());
    prop_oneof![
        prop::sample::select(vec![
            Code::NotificationOverflow,
            Code::BadComparator,
            Code::AnnotateTooBig,
            Code::AnnotateTooMany,
            Code::Annotations(AnnotationSupport::None),
            Code::MetadataTooMany,
            Code::MetadataNoPrivate,
        ]),
        "[!#-Z^-~][ -Z^-~]{0,9}".prop_map(|url| Code::BadUrl(url.into())),
        vec(mechanism, 1..3).prop_map(Code::UrlMech),
        vec(atom(), 1..3).prop_map(Code::BadEvent),
        tag().prop_map(Code::NoUpdate),
        support.prop_map(Code::Annotations),
        filter_name().prop_map(Code::UndefinedFilter),
        (nz(), option::of(nz()))
            .prop_map(|(limit, last_uid)| Code::MessageLimit { limit, last_uid }),
        (option::of(tag()), number(), number())
            .prop_map(|(tag, done, goal)| Code::InProgress(Progress { tag, done, goal })),
        vec(url().prop_filter("one line", one_line), 1..3).prop_map(Code::Referral),
        any::<u64>().prop_map(Code::MetadataLongEntries),
        any::<u64>().prop_map(Code::MetadataMaxSize),
    ]
}

/// What few servers send.
fn extended() -> impl Strategy<Value = Untagged> {
    use Untagged as U;
    let items = (
        option::of(structure(true)),
        option::of((any::<bool>(), content())),
    )
        .prop_filter("one of both", |(structure, content)| {
            structure.is_some() || content.is_some()
        })
        .prop_map(|(structure, content)| UrlData::Items {
            structure,
            content: content.map(|(binary, content)| match binary {
                true => (UrlContent::Binary, content),
                false => (UrlContent::Body, content),
            }),
        });
    let data = prop_oneof![content().prop_map(UrlData::Plain), items];
    let fetched = (istring(), data).prop_map(|(url, data)| FetchedUrl { url, data });
    let batch = (nz(), nz()).prop_map(|(one, other)| (one.max(other), one.min(other)));
    prop_oneof![
        vec(istring(), 1..3).prop_map(U::GenUrlAuth),
        vec(fetched, 1..3).prop_map(U::UrlFetch),
        vec(istring(), 1..3).prop_map(U::Language),
        (istring(), vec(istring(), 0..3))
            .prop_map(|(active, matching)| U::Comparator { active, matching }),
        (tag(), vec(batch, 0..3)).prop_map(|(tag, batches)| U::UidBatches { tag, batches }),
        (any::<u32>(), istring())
            .prop_map(|(version, topic)| U::XApplePushService { version, topic }),
        istring().prop_map(U::JmapAccess),
    ]
}
