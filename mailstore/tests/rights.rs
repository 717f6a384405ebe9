//! Rights and annotations: kept with their mailboxes, whatever becomes of those.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

mod common;

use common::{configs, now};
use mailstore::{
    Account, AccountConfig, AclIdentifier, Error, METADATA_ENTRY_LIMIT, METADATA_VALUE_LIMIT,
    Principal, Rights, Store,
};

fn each(test: impl Fn(&Account)) {
    let directory = tempfile::tempdir().unwrap();
    let memory = AccountConfig::memory("memory");
    let store = Store::new();
    for config in configs(directory.path()).into_iter().chain([memory]) {
        test(&store.account(&config).unwrap());
    }
}

fn of_bob(account: &Account, mailbox: &str) -> String {
    let bob = Principal {
        user: Some("bob"),
        groups: &[],
        owner: false,
    };
    account.acl(mailbox).unwrap().rights_of(&bob).to_string()
}

#[test]
fn rights_go_with_their_mailbox() {
    each(|account| {
        let bob = AclIdentifier::User("bob".to_owned());
        let rights: Rights = "lrs".parse().unwrap();
        account.create("A").unwrap();
        assert_eq!(of_bob(account, "A"), "");
        account
            .set_acl(
                "A",
                &AclIdentifier::Anyone,
                false,
                Some(Rights::LOOKUP),
                now(),
            )
            .unwrap();
        account
            .set_acl("A", &bob, false, Some(rights), now())
            .unwrap();
        account
            .set_acl("INBOX", &bob, false, Some(Rights::POST), now())
            .unwrap();
        assert_eq!(of_bob(account, "INBOX"), "p");
        assert_eq!(of_bob(account, "A"), "lrs");
        if matches!(account.create("A/B"), Err(Error::InvalidName { .. })) {
            // An mbox has no mailboxes below it.
            account.rename("A", "Z", now()).unwrap();
            assert_eq!(of_bob(account, "Z"), "lrs");
            account.delete("Z").unwrap();
            account.create("Z").unwrap();
            assert_eq!(of_bob(account, "Z"), "");
            return;
        }
        // Those below begin with the same.
        assert_eq!(of_bob(account, "A/B"), "lrs");
        account
            .set_acl("A/B", &bob, true, Some(Rights::READ), now())
            .unwrap();
        assert_eq!(of_bob(account, "A/B"), "ls");
        assert_eq!(account.acl("A/B").unwrap().entries().len(), 2);
        account.rename("A", "Z", now()).unwrap();
        assert_eq!(
            (of_bob(account, "Z"), of_bob(account, "Z/B")),
            ("lrs".into(), "ls".into())
        );
        account.set_acl("Z", &bob, false, None, now()).unwrap();
        assert_eq!(of_bob(account, "Z"), "l");
        account.delete("Z/B").unwrap();
        account.delete("Z").unwrap();
        account.create("Z").unwrap();
        assert_eq!(of_bob(account, "Z"), "");
        assert!(account.acl("A").is_err());
    });
}

#[test]
fn annotations_go_with_their_mailbox() {
    each(|account| {
        let entry = |name: &str, value: &[u8]| (name.to_owned(), Some(value.to_vec()));
        account.create("A/B").unwrap();
        account.create("Other").unwrap();
        account
            .set_metadata(
                Some("A/B"),
                &[
                    entry("/shared/Comment", b"a\nb\0\tc"),
                    entry("/private/comment", b""),
                ],
                now(),
            )
            .unwrap();
        account
            .set_metadata(None, &[entry("/shared/admin", b"mailto:x")], now())
            .unwrap();
        account
            .set_special_use("Other", Some("\\Sent"), now())
            .unwrap();
        let wanted = [
            ("/private/comment".to_owned(), Vec::new()),
            ("/shared/comment".to_owned(), b"a\nb\0\tc".to_vec()),
        ];
        assert_eq!(account.metadata(Some("A/B")).unwrap(), wanted);
        assert_eq!(account.metadata(None).unwrap().len(), 1);
        let uses = |account: &Account| -> Vec<(String, String)> {
            let listed = account.list().unwrap().into_iter();
            listed
                .filter_map(|listed| Some((listed.name, listed.special_use?)))
                .collect()
        };
        assert_eq!(uses(account), [("Other".to_owned(), "\\Sent".to_owned())]);
        account.rename("A", "Level/A", now()).unwrap();
        account.rename("Level", "Gesendet", now()).unwrap();
        assert_eq!(account.metadata(Some("Gesendet/A/B")).unwrap(), wanted);
        account.rename("Other", "Anders", now()).unwrap();
        assert_eq!(uses(account)[0].0, "Anders");
        account
            .set_metadata(
                Some("Gesendet/A/B"),
                &[("/PRIVATE/comment".to_owned(), None)],
                now(),
            )
            .unwrap();
        assert_eq!(account.metadata(Some("Gesendet/A/B")).unwrap(), wanted[1..]);
        account.delete("Gesendet/A/B").unwrap();
        account.create("Gesendet/A/B").unwrap();
        assert_eq!(account.metadata(Some("Gesendet/A/B")).unwrap(), []);
        assert!(account.metadata(Some("Nowhere")).is_err());

        // Limits: all of a change or none of it.
        let large = vec![b'x'; METADATA_VALUE_LIMIT];
        let refused = account.set_metadata(
            None,
            &[
                entry("/shared/fits", &large),
                entry("/shared/large", &[&large[..], b"x"].concat()),
            ],
            now(),
        );
        assert!(matches!(refused, Err(Error::TooLarge { .. })));
        let many: Vec<_> = (0..=METADATA_ENTRY_LIMIT)
            .map(|number| entry(&format!("/shared/{number}"), b""))
            .collect();
        let refused = account.set_metadata(None, &many, now());
        assert!(matches!(refused, Err(Error::TooManyEntries(_))));
        let much: Vec<_> = (0..20)
            .map(|number| entry(&format!("/shared/{number}"), &large))
            .collect();
        let refused = account.set_metadata(None, &much, now());
        assert!(matches!(refused, Err(Error::TooLarge { .. })));
        let refused = account.set_metadata(None, &[entry("/shared//x", b"")], now());
        assert!(matches!(refused, Err(Error::InvalidEntry { .. })));
        assert_eq!(account.metadata(None).unwrap().len(), 1);
    });
}
