use super::*;
use crate::types::SectionText;

fn parts(text: &str) -> UrlParts {
    match ImapUrl::parse(text) {
        Ok(url) => {
            assert_eq!(url.as_str(), text);
            // What is rendered means the same.
            let again = ImapUrl::new(url.parts().clone()).unwrap();
            assert_eq!(again.parts(), url.parts(), "{text} {again}");
            url.parts
        }
        Err(error) => panic!("{text}: {error}"),
    }
}

/// The examples of RFC 5092, RFC 4467, RFC 4469, RFC 2193.
#[test]
fn examples() {
    let one = parts(
        "imap://minbari.example.org/gray-council;UIDVALIDITY=385759045/;UID=20/;PARTIAL=0.1024",
    );
    assert_eq!(one.mailbox, Some(Mailbox::new("gray-council").unwrap()));
    assert_eq!(one.uid_validity, NonZeroU32::new(385_759_045));
    assert_eq!(one.uid, NonZeroU32::new(20));
    let length = NonZeroU64::new(1024);
    assert_eq!(one.partial, Some(UrlPartial { first: 0, length }));

    let one =
        parts("imap://psicorp.example.org/~peter/%E6%97%A5%E6%9C%AC%E8%AA%9E/%E5%8F%B0%E5%8C%97");
    assert_eq!(
        one.mailbox,
        Some(Mailbox::new("~peter/日本語/台北").unwrap())
    );

    let one = parts("imap://;AUTH=GSSAPI@minbari.example.org/gray-council/;uid=20/;section=1.2");
    let server = one.server.unwrap();
    assert_eq!(
        (server.user, server.mechanism.as_deref()),
        (None, Some("GSSAPI"))
    );
    let two = NonZeroU32::new(2).unwrap();
    let section = Section::new([NonZeroU32::MIN, two], SectionText::Whole).unwrap();
    assert_eq!(one.section, Some(section));

    let one = parts("imap://;AUTH=*@minbari.example.org/gray%20council?SUBJECT%20shadows");
    assert_eq!(one.search.as_deref(), Some("SUBJECT shadows"));

    let one = parts("IMAP://user;AUTH=*@SERVER2/SHARED/FOO");
    assert_eq!(one.server.unwrap().user.as_deref(), Some("user"));
    let one = parts("imap://[::1]:1143/");
    assert_eq!(one.server.unwrap().port, Some(1143));

    let one = parts("/Drafts;UIDVALIDITY=385759045/;UID=20/;section=1.MIME");
    assert_eq!(one.server, None);
    let one = parts("/Drafts;UIDVALIDITY=385759045/;UID=20/;Section=HEADER.FIELDS%20(To)");
    assert!(matches!(
        one.section.as_ref().map(Section::text),
        Some(SectionText::HeaderFields(_))
    ));
    parts(";UID=20/;SECTION=1.2");
    parts(";SECTION=1.2/;PARTIAL=5");
    parts("");
}

#[test]
fn authorized() {
    let rump = "imap://joe@example.com/INBOX/;uid=20/;section=1.2;urlauth=submit+fred";
    let url = ImapUrl::parse(rump).unwrap();
    assert_eq!(url.rump(), rump);
    let full = url
        .authorize("internal", "91354a473744909de610943775f92038")
        .unwrap();
    assert_eq!(
        full.as_str(),
        format!("{rump}:internal:91354a473744909de610943775f92038")
    );
    assert_eq!(full.rump(), rump);
    let one = parts(full.as_str()).authorization.unwrap();
    assert_eq!(one.access, UrlAccess::Submit("fred".into()));
    assert_eq!(one.verifier.unwrap().0, "INTERNAL");
    assert!(
        full.authorize("internal", "91354a473744909de610943775f92038")
            .is_err()
    );
    assert!(url.authorize("internal", "91354a").is_err());
    let expires = "/a/;UID=1;EXPIRE=2026-02-03T04:05:06.7+01:00;URLAUTH=anonymous";
    let one = parts(expires).authorization.unwrap();
    assert_eq!(one.expire.as_deref(), Some("2026-02-03T04:05:06.7+01:00"));
}

#[test]
fn refused() {
    for text in [
        "http://example.com/",
        "imap://",
        "imap://a b/",
        "imap://host:70000/",
        "imap://host/a;UID=0",
        "imap://host/a/;UID=0",
        "imap://host/;UID=5",
        "imap://host/%zz",
        "imap://host/%+1",
        "imap://host/a%0a",
        "imap://host/%ff",
        "imap://host/a/;UID=1/;SECTION=",
        "imap://host/a/;UID=1/;SECTION=MIME",
        "imap://host/a/;UID=1/;PARTIAL=1.0",
        "imap://host/a;URLAUTH=anonymous",
        "imap://host/a/;UID=1;URLAUTH=nobody",
        "imap://host/a/;UID=1;EXPIRE=soon;URLAUTH=anonymous",
        "imap://host/a?;",
        "imap://host/a b",
    ] {
        assert!(ImapUrl::parse(text).is_err(), "{text}");
    }
}

/// RFC 5092 §7.1 and RFC 4469 §3.
#[test]
fn relative() {
    let resolve = |base: &str, text: &str| {
        let url = ImapUrl::parse(text).unwrap();
        let base = ImapUrl::parse(base).unwrap();
        url.resolve(&base).unwrap().to_string()
    };
    let base = "imap://user@host/mailbox";
    for (text, whole) in [
        ("/foo/;UID=20", "imap://user@host/foo/;UID=20"),
        (";UID=20", "imap://user@host/mailbox/;UID=20"),
        ("foo", "imap://user@host/foo"),
        ("", "imap://user@host/mailbox"),
        ("imap://x/y", "imap://x/y"),
    ] {
        assert_eq!(resolve(base, text), whole);
    }
    let base = "imap://joe@host/a/b;UIDVALIDITY=7/;UID=20/;SECTION=1.2";
    for (text, whole) in [
        (
            ";SECTION=1.4",
            "imap://joe@host/a/b;UIDVALIDITY=7/;UID=20/;SECTION=1.4",
        ),
        (
            ";PARTIAL=3",
            "imap://joe@host/a/b;UIDVALIDITY=7/;UID=20/;SECTION=1.2/;PARTIAL=3",
        ),
        ("c;UIDVALIDITY=8", "imap://joe@host/a/c;UIDVALIDITY=8"),
    ] {
        assert_eq!(resolve(base, text), whole);
    }
}
