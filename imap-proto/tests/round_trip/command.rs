//! Any command.

use imap_proto::*;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::terms::*;

pub fn fetch_attribute() -> impl Strategy<Value = FetchAttribute> {
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
        (vec(istring(), 1..3), vec(istring(), 1..3)).prop_map(|(entries, attributes)| {
            A::Annotation(Box::new(AnnotationRequest {
                entries,
                attributes,
            }))
        }),
    ]
}

pub fn search_keys() -> impl Strategy<Value = SearchKeys> {
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
        (istring(), istring()).prop_map(|(name, text)| K::Header(Box::new((name, text)))),
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
        nz().prop_map(K::UidAfter),
        nz().prop_map(K::UidBefore),
        filter_name().prop_map(K::Filter),
        (istring(), 0..3, nstring()).prop_map(|(entry, scope, value)| {
            K::Annotation(Box::new(AnnotationMatch {
                entry,
                scope: match scope {
                    0 => AnnotationScope::Any,
                    1 => AnnotationScope::Private,
                    _ => AnnotationScope::Shared,
                },
                value,
            }))
        }),
        istring().prop_map(K::ThreadId),
        sequence_set().prop_map(K::Uid),
        sequence_set().prop_map(K::Sequence),
    ];
    let leaf = leaf.prop_map(SearchKeys::from);
    leaf.prop_recursive(4, 16, 3, |inner| {
        prop_oneof![
            inner.clone().prop_map(SearchKeys::not),
            inner.clone().prop_map(SearchKeys::fuzzy),
            (inner.clone(), inner.clone()).prop_map(|(one, other)| SearchKeys::or(one, other)),
            vec(inner, 1..3).prop_map(|keys| SearchKeys::and(keys).unwrap()),
        ]
    })
}

/// RELEVANCY wants a key that is fuzzy.
fn for_relevancy(wanted: bool, keys: SearchKeys) -> SearchKeys {
    match wanted {
        true => SearchKeys::fuzzy(keys),
        false => keys,
    }
}

fn wants_relevancy(options: &Option<SearchReturn>) -> bool {
    options.as_ref().is_some_and(|options| options.relevancy)
}

pub fn search_return() -> impl Strategy<Value = Option<SearchReturn>> {
    let update = option::of(vec(fetch_attribute(), 0..3));
    let options = (any::<[bool; 7]>(), option::of(partial_range()), update);
    option::of(options.prop_map(|(words, partial, update)| {
        let [min, max, all, count, save, relevancy, context] = words;
        let mut options = SearchReturn {
            min,
            max,
            all,
            count,
            save,
            partial,
            relevancy,
            context,
            update,
        };
        options.all |= options == SearchReturn::default();
        options
    }))
}

pub fn status_items() -> impl Strategy<Value = Vec<StatusItem>> {
    vec(prop::sample::select(StatusItem::ALL.to_vec()), 1..4)
}

pub fn body() -> impl Strategy<Value = CommandBody> {
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
        prop_oneof![
            prop::sample::select(vec![
                SortKey::Arrival,
                SortKey::Cc,
                SortKey::Date,
                SortKey::From,
                SortKey::Size,
                SortKey::Subject,
                SortKey::To,
                SortKey::DisplayFrom,
                SortKey::DisplayTo,
                SortKey::Relevancy
            ]),
            (entry(), any::<bool>())
                .prop_map(|(entry, shared)| SortKey::Annotation { entry, shared }),
        ],
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
            any::<[bool; 3]>(),
            nz(),
            any::<u64>(),
            option::of(numbers()),
            option::of((numbers(), numbers())),
            any::<bool>()
        )
            .prop_map(
                |(
                    mailbox,
                    [read_only, condstore, annotate],
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
                        annotate,
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
            option::of(status_items()),
            option::of(vec(entry(), 1..3)),
        )
            .prop_map(
                |(reference, patterns, [a, b, c, d, e, f, g, h], status, metadata)| {
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
                        metadata,
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
                }
            ),
        (mailbox(), status_items())
            .prop_map(|(mailbox, items)| B::Status(Status { mailbox, items })),
        sequence_set().prop_map(B::UidExpunge),
        (
            any::<bool>(),
            search_return(),
            option::of(istring()),
            search_keys()
        )
            .prop_map(|(uid, return_options, charset, keys)| B::Search(Search {
                keys: for_relevancy(wants_relevancy(&return_options), keys),
                uid,
                return_options,
                charset,
            })),
        (
            any::<bool>(),
            search_return(),
            vec(criterion, 1..3),
            istring(),
            search_keys()
        )
            .prop_map(
                |(uid, return_options, criteria, charset, keys): (
                    _,
                    _,
                    Vec<SortCriterion>,
                    _,
                    _
                )| {
                    let mut asked = criteria.iter().map(|one| &one.key);
                    let relevancy = asked.any(|key| *key == SortKey::Relevancy);
                    let wanted = relevancy || wants_relevancy(&return_options);
                    B::Sort(Sort {
                        keys: for_relevancy(wanted, keys),
                        uid,
                        return_options,
                        criteria,
                        charset,
                    })
                }
            ),
        (any::<bool>(), 0..3, istring(), search_keys()).prop_map(
            |(uid, algorithm, charset, keys)| {
                B::Thread(Thread {
                    uid,
                    algorithm: match algorithm {
                        0 => ThreadAlgorithm::Refs,
                        1 => ThreadAlgorithm::References,
                        _ => ThreadAlgorithm::OrderedSubject,
                    },
                    charset,
                    keys,
                })
            }
        ),
        extended(),
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

fn filter(esearch: bool) -> impl Strategy<Value = MailboxFilter> {
    use MailboxFilter as F;
    let named = (vec(mailbox(), 1..3), 0..3).prop_map(move |(names, which)| match which {
        0 => F::Subtree(names),
        1 if esearch => F::SubtreeOne(names),
        _ => F::Mailboxes(names),
    });
    prop_oneof![
        prop::sample::select(vec![F::Inboxes, F::Personal, F::Subscribed]),
        named
    ]
}

fn notify() -> impl Strategy<Value = Notify> {
    use NotifyEvent as E;
    let others = vec![
        E::MailboxName,
        E::SubscriptionChange,
        E::MailboxMetadataChange,
        E::ServerMetadataChange,
        E::Other(Atom::new("X-Event").unwrap()),
    ];
    let new = |attributes| {
        vec![
            E::MessageNew(attributes),
            E::MessageExpunge,
            E::FlagChange,
            E::AnnotationChange,
        ]
    };
    let group = (
        filter(false),
        any::<bool>(),
        vec(prop::sample::select(others), 0..3),
    )
        .prop_map(move |(mailboxes, messages, others)| {
            let mut events = match messages {
                true => new(Vec::new()),
                false => Vec::new(),
            };
            events.extend(others);
            EventGroup { mailboxes, events }
        });
    let selected =
        (any::<bool>(), vec(fetch_attribute(), 0..3)).prop_map(move |(delayed, some)| EventGroup {
            mailboxes: match delayed {
                true => MailboxFilter::SelectedDelayed,
                false => MailboxFilter::Selected,
            },
            events: new(some),
        });
    prop_oneof![
        Just(Notify::None),
        (any::<bool>(), vec(group, 0..3), selected).prop_map(|(status, mut groups, selected)| {
            groups.push(selected);
            Notify::Set { status, groups }
        }),
    ]
}

/// The commands that few clients send.
fn extended() -> impl Strategy<Value = CommandBody> {
    use CommandBody as B;
    let search = (
        vec(filter(true), 0..3),
        search_return(),
        option::of(istring()),
        search_keys(),
    )
        .prop_map(|(sources, return_options, charset, keys)| {
            let save = sources.is_empty();
            B::MultiSearch(MultiSearch {
                keys: for_relevancy(wants_relevancy(&return_options), keys),
                sources,
                return_options: return_options.filter(|options| save || !options.save),
                charset,
            })
        });
    let url_items = (any::<bool>(), 0..3).prop_map(|(structure, content)| UrlFetchItems {
        structure,
        content: match content {
            0 => None,
            1 => Some(UrlContent::Body),
            _ => Some(UrlContent::Binary),
        },
    });
    let push = (
        0_u32..3,
        istring(),
        istring(),
        istring(),
        vec(mailbox(), 0..3),
    )
        .prop_map(|(version, account_id, device_token, subtopic, mailboxes)| {
            B::XApplePushService(Box::new(XApplePushService {
                version,
                account_id,
                device_token,
                subtopic,
                mailboxes,
            }))
        });
    prop_oneof![
        notify().prop_map(B::Notify),
        search,
        (option::of(mailbox()), vec(atom(), 0..3)).prop_map(|(mailbox, mechanisms)| {
            let mechanisms = mailbox.as_ref().map_or(Vec::new(), |_| mechanisms);
            B::ResetKey(ResetKey {
                mailbox,
                mechanisms,
            })
        }),
        vec((istring(), atom()), 1..3).prop_map(B::GenUrlAuth),
        vec((istring(), option::of(url_items)), 1..3).prop_map(|urls| {
            let urls = urls.into_iter();
            B::UrlFetch(urls.map(|(url, items)| UrlFetch { url, items }).collect())
        }),
        vec(tag(), 1..3).prop_map(B::CancelUpdate),
        vec(istring(), 0..3).prop_map(B::Language),
        vec(istring(), 0..3).prop_map(B::Comparator),
        (nz(), option::of((nz(), nz()))).prop_map(|(size, range)| B::UidBatches {
            size,
            range: range.map(|(one, other)| (one.min(other), one.max(other))),
        }),
        push,
        Just(B::GetJmapAccess),
        (mailbox(), pattern()).prop_map(|(reference, pattern)| B::Rlist { reference, pattern }),
        (mailbox(), pattern()).prop_map(|(reference, pattern)| B::Rlsub { reference, pattern }),
        (any::<bool>(), sequence_set(), annotations()).prop_map(|(uid, set, annotations)| {
            B::StoreAnnotations {
                uid,
                set,
                annotations,
            }
        }),
    ]
}
