use std::net::IpAddr;
use std::path::Path;

use super::*;

fn parse(text: &str) -> Result<Config, String> {
    Config::parse(text, Path::new("/srv/posthaste.toml")).map_err(|error| error.to_string())
}

fn problem(text: &str) -> String {
    let error = parse(text).expect_err(text);
    error.replace("/srv/posthaste.toml:", "")
}

#[test]
fn names_and_paths_are_resolved() {
    let config = parse(
        "myhostname = \"mail.example.org\"\nalias_maps = [\"aliases\", \"/etc/aliases\"]\ndata_directory = \"data\"",
    )
    .unwrap();
    assert_eq!(config.mydomain, "example.org");
    assert_eq!(config.myorigin, "mail.example.org");
    assert_eq!(
        config.mydestination,
        ["mail.example.org", "localhost.example.org", "localhost"]
    );
    assert_eq!(config.smtpd_banner, "mail.example.org ESMTP posthaste");
    assert_eq!(config.data_directory, Path::new("/srv/data"));
    assert_eq!(config.users_file, Path::new("/srv/data/users"));
    assert_eq!(
        config.alias_maps,
        ["/srv/data/aliases".into(), "/etc/aliases".into()]
    );
    assert_eq!(
        config.home_of("ann").unwrap(),
        Path::new("/srv/data/home/ann")
    );
    assert!(config.home_of("../ann").is_err());
    assert!(config.is_set("myhostname"));
    assert!(!config.is_set("mydomain"));
    assert!(config.trusts(IpAddr::from([127, 0, 0, 9])));
    assert!(!config.trusts(IpAddr::from([10, 0, 0, 9])));
}

#[test]
fn a_short_host_name_is_made_whole() {
    let config = parse("myhostname = \"mail\"\nmydomain = \"example.org\"").unwrap();
    assert_eq!(config.myhostname, "mail.example.org");
    let config = parse("myhostname = \"mail\"").unwrap();
    assert_eq!(config.myhostname, "mail.localdomain");
    assert_eq!(config.mydomain, "localdomain");
}

#[test]
fn mail_lies_where_either_key_says() {
    let ann = Account {
        user: "ann",
        home: Path::new("/home/ann"),
    };
    let of = |text: &str| parse(text).unwrap().location_of(ann).unwrap();
    let maildir = Location::Maildir {
        root: "/home/ann/Maildir".into(),
        fs: false,
    };
    assert_eq!(of(""), maildir);
    assert_eq!(of("home_mailbox = \"Maildir/\""), maildir);
    assert!(matches!(
        of("mail_location = \"mbox:~/mail\""),
        Location::Mbox { .. }
    ));
}

#[test]
fn problems_have_places_and_expectations() {
    for (text, expected) in [
        (
            "\nmydestinaton = []",
            "2:1: unknown key mydestinaton; did you mean mydestination?",
        ),
        (
            "mydestination = [\"a\", 5]",
            "1:23: mydestination: expected a text, found 5",
        ),
        (
            "smtp_tls_security_level = \"maybe\"",
            "1:27: smtp_tls_security_level: expected \"none\", \"may\", \"encrypt\" or \"verify\", found \"maybe\"",
        ),
        (
            "mynetworks = [\"10.0.0.1/8\"]",
            "1:15: mynetworks: expected a network such as \"192.168.0.0/16\" or \"[2001:db8::]/32\", found \"10.0.0.1/8\" (the prefix is too long, or bits behind it are set)",
        ),
        (
            "mydestination = [\"a b\"]",
            "1:17: mydestination: expected a domain name, found \"a b\"",
        ),
        (
            "mydestination = [\"example.org\"]\nvirtual_alias_domains = [\"Example.org\"]",
            "2:25: virtual_alias_domains: Example.org stands in mydestination too; one must go",
        ),
        (
            "minimal_backoff_time = \"1d\"",
            "1:24: minimal_backoff_time: it is longer than maximal_backoff_time",
        ),
        (
            "home_mailbox = \"Mailbox\"\nmail_location = \"mbox:~/mail\"",
            "1:16: home_mailbox: it says the same as mail_location; one must go",
        ),
        (
            "ssl_cert = \"a.pem\"",
            "1:12: ssl_cert: ssl_cert and ssl_key belong together",
        ),
        (
            "myorigin = \"$mydomian\"",
            "1:12: myorigin: expected a text, found \"$mydomian\" ($mydomian is none of $myhostname, $mydomain, $myorigin)",
        ),
        (
            "client_limit = 0",
            "1:16: client_limit: 0 would let nothing through",
        ),
        (
            "[client_limit]\nx = 1",
            "1:1: client_limit: expected a whole number, 0 or more, found a table",
        ),
    ] {
        assert_eq!(problem(text), expected, "{text}");
    }
}

#[test]
fn all_problems_are_told_at_once_in_their_order() {
    let all = problem("zzz = 1\nssl = 5\nmyhostname = true");
    let lines: Vec<&str> = all.lines().collect();
    assert_eq!(lines.len(), 3);
    assert!(lines[0].starts_with("1:1:"));
    assert!(lines[1].starts_with("2:7:"));
    assert!(lines[2].starts_with("3:14:"));
}

#[test]
fn broken_toml_has_a_place() {
    for text in [
        "myhostname = ",
        "= 1",
        "myhostname = \"a",
        "a = 1\na = 2",
        "[[",
    ] {
        let error = problem(text);
        assert!(
            error.split(':').take(2).all(|n| n.parse::<usize>().is_ok()),
            "{error}"
        );
    }
}

#[test]
fn files() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(FILE_NAME);
    assert!(matches!(Config::load(&path), Err(ConfigError::Read { .. })));
    std::fs::write(&path, commented_toml()).unwrap();
    let config = Config::load(&path).unwrap();
    assert_eq!(config, Config::default_in(folder.path()));
    std::fs::write(&path, "#".repeat(2 << 20)).unwrap();
    assert!(matches!(Config::load(&path), Err(ConfigError::Read { .. })));
}

proptest::proptest! {
    #[test]
    fn no_input_panics(text in ".*", value in ".*") {
        let _ = parse(&text);
        for key in KEYS {
            let _ = parse(&format!("{} = {value}", key.name));
            let _ = parse(&format!("{} = {value:?}", key.name));
        }
    }
}
