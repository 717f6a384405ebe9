use std::fs;
use std::sync::Arc;

use super::*;

struct Site {
    folder: tempfile::TempDir,
    router: Router,
}

fn site(config: &str, aliases: &str, virtuals: &str) -> Site {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("aliases"), aliases).unwrap();
    fs::write(folder.path().join("virtual"), virtuals).unwrap();
    let base =
        "myhostname = \"mail.example.org\"\nmydestination = [\"$myhostname\", \"example.org\"]\n";
    let config = Config::parse(
        &format!("{base}{config}"),
        &folder.path().join("posthaste.toml"),
    )
    .unwrap();
    let accounts = ["ann", "bob", "carol", "dave@virt.example", "eve+x"];
    let router = Router::new(Arc::new(config), move |user: &str| {
        Ok(accounts.contains(&user))
    });
    Site { folder, router }
}

impl Site {
    fn to(&self, recipient: &str) -> String {
        match self.router.accept(recipient, false) {
            Err(rejection) => rejection.to_string(),
            Ok(()) => self.trusted(recipient),
        }
    }

    /// The whole way, as delivery goes it.
    fn trusted(&self, recipient: &str) -> String {
        match self.router.route(recipient) {
            Route::Alias { targets } => targets
                .iter()
                .map(|target| {
                    let to = self.router.route(target);
                    assert!(!matches!(to, Route::Alias { .. }), "{target}");
                    show(target, &to)
                })
                .collect::<Vec<_>>()
                .join(" "),
            route => show(recipient, &route),
        }
    }
}

fn show(address: &str, route: &Route) -> String {
    match route {
        Route::Local {
            user,
            extension: None,
        } => user.clone(),
        Route::Local {
            user,
            extension: Some(extension),
        } => format!("{user}/{extension}"),
        Route::Relay { destination } => format!("{address}>{destination}"),
        Route::Command { command } => format!("|{command}"),
        Route::File { path } => path.display().to_string(),
        Route::Reject(rejection) => rejection.to_string(),
        Route::TryAgain { reason } => format!("later: {reason}"),
        Route::Alias { targets } => targets.join(" "),
    }
}

const UNKNOWN: &str = "Recipient address rejected: User unknown in local recipient table";

#[test]
fn local_users() {
    let site = site("", "", "");
    for (recipient, to) in [
        ("ann@example.org", "ann"),
        ("Ann@EXAMPLE.org", "ann"),
        ("ann", "ann"),
        ("ann+lists@mail.example.org", "ann/lists"),
        ("ann+@example.org", "ann"),
        ("eve+x@example.org", "eve+x"),
        ("\"ann\"@example.org", "ann"),
        ("ann@[127.0.0.1]", "ann"),
        ("ann@[IPv6:::1]", "ann"),
    ] {
        assert_eq!(site.to(recipient), to, "{recipient}");
    }
    for unknown in [
        "nobody@example.org",
        "a/../b@example.org",
        "ann%x.example@example.org",
        "@example.org",
        "+x@example.org",
    ] {
        assert_eq!(
            site.to(unknown),
            format!("550 5.1.1 <{unknown}>: {UNKNOWN}")
        );
    }
}

#[test]
fn relaying() {
    let site = site("relay_domains = \"branch.example\"", "", "");
    for denied in [
        "x@far.example",
        "x@notbranch.example",
        "x@[192.0.2.1]",
        "ann@example.org.far.example",
    ] {
        assert_eq!(
            site.to(denied),
            format!("554 5.7.1 <{denied}>: Relay access denied")
        );
    }
    assert_eq!(
        site.to("x@branch.example"),
        "x@branch.example>branch.example"
    );
    assert_eq!(
        site.to("x@a.branch.example"),
        "x@a.branch.example>a.branch.example"
    );
    assert_eq!(site.router.accept("x@far.example", true), Ok(()));
    assert_eq!(site.trusted("x@far.example"), "x@far.example>far.example");
    assert!(site.router.is_trusted("127.0.0.1".parse().unwrap()));
    assert!(!site.router.is_trusted("192.0.2.1".parse().unwrap()));
    assert!(site.router.is_ours("Example.Org"));
    assert!(!site.router.is_ours("branch.example"));
}

#[test]
fn relayhost() {
    let site = site("relayhost = \"[smart.example]:587\"", "", "");
    assert_eq!(site.router.accept("x@far.example", true), Ok(()));
    assert_eq!(
        site.trusted("x@far.example"),
        "x@far.example>[smart.example]:587"
    );
}

#[test]
fn aliases() {
    let site = site(
        "",
        "team: ann, bob, far@far.example\n\
         ann: ann, bob\n\
         loop1: loop2\nloop2: loop1\n\
         lists: team, carol, team\n\
         direct: \\ann\n\
         broken: nobody\n\
         bob: bob+alias\n",
        "",
    );
    assert_eq!(
        site.to("team@example.org"),
        "ann bob/alias far@far.example>far.example"
    );
    assert_eq!(site.to("TEAM@example.org"), site.to("team@example.org"));
    assert_eq!(site.to("ann@example.org"), "ann bob/alias");
    assert_eq!(
        site.to("lists@example.org"),
        "ann bob/alias far@far.example>far.example carol"
    );
    assert_eq!(site.to("direct@example.org"), "ann");
    assert!(
        site.to("loop1@example.org")
            .starts_with("550 5.4.6 <loop1@")
    );
    assert!(
        site.to("broken@example.org")
            .starts_with("550 5.1.1 <broken@")
    );
}

#[test]
fn postmaster_is_always_there() {
    let plain = site(
        "virtual_alias_domains = \"va.example\"\nvirtual_mailbox_domains = \"virt.example\"",
        "",
        "",
    );
    for recipient in [
        "postmaster",
        "Postmaster@example.org",
        "POSTMASTER@va.example",
        "postmaster@virt.example",
    ] {
        assert_eq!(plain.to(recipient), "postmaster", "{recipient}");
    }
    let aliased = site(
        "virtual_alias_domains = \"va.example\"",
        "postmaster: ann\n",
        "",
    );
    assert_eq!(aliased.to("postmaster"), "ann");
    assert_eq!(aliased.to("postmaster@va.example"), "ann");
}

#[test]
fn programs_and_files_need_leave() {
    let aliases = "prog: \"|/usr/bin/prog -x\"\nfile: /var/archive\nlist: :include:list\n";
    let strict = site("", aliases, "");
    assert_eq!(
        strict.to("prog@example.org"),
        "550 5.7.1 <prog@example.org>: Alias prog names a command, which the configuration does not allow"
    );
    assert!(strict.to("file@example.org").starts_with("550 5.7.1"));

    let open = site(
        "allow_mail_to_commands = \"alias\"\nallow_mail_to_files = \"alias\"\nprogram_allow = \"/usr/bin/prog\"",
        aliases,
        "",
    );
    assert_eq!(open.to("prog@example.org"), "|/usr/bin/prog -x");
    assert_eq!(open.to("file@example.org"), "/var/archive");
    fs::write(open.folder.path().join("list"), "|/usr/bin/prog\n").unwrap();
    assert!(open.to("list@example.org").starts_with("550 5.7.1"));

    let other = site(
        "allow_mail_to_commands = \"alias\"\nprogram_allow = \"/usr/bin/other\"",
        aliases,
        "",
    );
    assert!(other.to("prog@example.org").starts_with("550 5.7.1"));
}

#[test]
fn included_lists() {
    let site = site("", "list: :include:list\n", "");
    assert_eq!(
        site.to("list@example.org"),
        "451 4.3.0 <list@example.org>: Temporary lookup failure"
    );
    fs::write(
        site.folder.path().join("list"),
        "ann\nbob, x@far.example\n:include:list\n",
    )
    .unwrap();
    assert_eq!(
        site.to("list@example.org"),
        "ann bob x@far.example>far.example"
    );
}

#[test]
fn tables_are_read_again_when_they_change() {
    let site = site("", "", "");
    assert!(site.to("new@example.org").starts_with("550"));
    fs::write(site.folder.path().join("aliases"), "new: ann\n").unwrap();
    assert_eq!(site.to("new@example.org"), "ann");
    fs::remove_file(site.folder.path().join("aliases")).unwrap();
    assert!(site.to("new@example.org").starts_with("550"));
    fs::create_dir(site.folder.path().join("aliases")).unwrap();
    assert!(site.to("new@example.org").starts_with("451"));
}

#[test]
fn virtual_aliases() {
    let site = site(
        "virtual_alias_domains = [\"va.example\", \"all.example\"]\nvirtual_mailbox_domains = \"virt.example\"",
        "",
        "sales@va.example ann, x@far.example\n\
         sales+vip@va.example bob\n\
         @all.example carol\n\
         one@all.example ann\n\
         moved@virt.example dave@virt.example\n\
         dave@virt.example dave@virt.example, ann\n\
         @old.example @example.org\n\
         bob carol\n\
         up@va.example down@va.example\n\
         down@va.example up@va.example\n",
    );
    for (recipient, to) in [
        ("sales@va.example", "ann x@far.example>far.example"),
        ("Sales+vip@va.example", "bob"),
        (
            "sales+other@va.example",
            "ann/other x+other@far.example>far.example",
        ),
        ("anything@all.example", "carol"),
        ("one@all.example", "ann"),
        ("bob@example.org", "carol"),
        ("dave@virt.example", "dave@virt.example ann"),
        ("moved@virt.example", "dave@virt.example ann"),
        ("dave+x@virt.example", "dave@virt.example/x ann/x"),
    ] {
        // "bob" as a target of sales+vip is an alias itself.
        let to = if to == "bob" { "carol" } else { to };
        assert_eq!(site.to(recipient), to, "{recipient}");
    }
    assert_eq!(
        site.to("none@va.example"),
        "550 5.1.1 <none@va.example>: Recipient address rejected: User unknown in virtual alias table"
    );
    assert!(
        site.to("none@virt.example")
            .contains("virtual mailbox table")
    );
    assert!(site.to("up@va.example").starts_with("550 5.1.1"));
    // A table makes no open relay of a domain that is not ours.
    assert!(site.to("ann@old.example").starts_with("554 5.7.1"));
    assert_eq!(site.router.accept("ann@old.example", true), Ok(()));
    assert_eq!(site.trusted("ann@old.example"), "ann");
}

#[test]
fn tables_that_grow_are_bounded() {
    let mut deep = String::new();
    for n in 0..100 {
        deep.push_str(&format!("n{n}: n{}\n", n + 1));
    }
    let wide: Vec<String> = (0..20_000).map(|n| format!("u{n}@far.example")).collect();
    deep.push_str(&format!("wide: {}\n", wide.join(",")));
    let site = site("", &deep, "grow@example.org grow+x@example.org\n");
    assert!(site.to("n0@example.org").starts_with("550 5.4.6"));
    assert!(site.to("wide@example.org").starts_with("550 5.4.6"));
    assert!(site.to("grow@example.org").starts_with("550 5."));
}

#[test]
fn a_failing_account_list_is_temporary() {
    let config = Config::parse("mydestination = \"example.org\"", "/nowhere/x".as_ref()).unwrap();
    let router = Router::new(Arc::new(config), |_: &str| Err(io::Error::other("gone")));
    let rejection = router.accept("ann@example.org", false).unwrap_err();
    assert_eq!((rejection.code, rejection.enhanced), (451, "4.3.0"));
    assert!(matches!(
        router.route("ann@example.org"),
        Route::TryAgain { .. }
    ));
}

/// What is written into an envelope leads to one place, today and after a
/// restart.
#[test]
fn expanded_addresses_are_stable() {
    let site = site(
        "allow_mail_to_commands = \"alias\"\nprogram_allow = \"/bin/p\"\nvirtual_mailbox_domains = \"virt.example\"",
        "ann: ann, bob, \"|/bin/p x@y\"\nall: ann+x, dave+y@virt.example\n",
        "dave@virt.example dave@virt.example, carol\n",
    );
    assert_eq!(
        site.router.route("ann@example.org"),
        Route::Alias {
            targets: vec![
                "\\ann@mail.example.org".into(),
                "bob@mail.example.org".into(),
                "\\|/bin/p x@y".into()
            ]
        }
    );
    assert_eq!(site.to("ann@example.org"), "ann bob |/bin/p x@y");
    assert_eq!(
        site.to("all@example.org"),
        "ann bob |/bin/p x@y dave@virt.example/y carol/y"
    );
    // From outside, none of that has a meaning.
    for forged in [
        "\\ann@example.org",
        "\\|/bin/p@example.org",
        "|/bin/p@example.org",
        "\"|/bin/p\"@example.org",
    ] {
        assert!(site.to(forged).starts_with("55"), "{forged}");
    }
    let strict = site_without_programs();
    assert!(matches!(
        strict.router.route("\\|/bin/p x"),
        Route::Reject(_)
    ));
    assert!(matches!(strict.router.route("\\/var/x"), Route::Reject(_)));
}

fn site_without_programs() -> Site {
    site("", "", "")
}
