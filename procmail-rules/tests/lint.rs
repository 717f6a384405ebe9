//! Every trap is seen, at its place, and its fix takes it away; sound rcfiles have none.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

use std::collections::BTreeSet;

use procmail_rules::{Kind, Script, Severity};

/// An rcfile with `‸` in front of the place, the kind, and the rcfile with the fix made.
const TRAPS: &[(&str, Kind, Option<&str>)] = &[
    ("A=1\n‸* ^Subject\n", Kind::Skipped, None),
    ("‸}\n", Kind::StrayBrace, None),
    (":0\n‸{\nA=1\n", Kind::UnclosedBlock, None),
    ("A=‸\"b\nC=1\n", Kind::UnclosedQuote, None),
    ("A=${‸X%b}\n", Kind::BadSubstitution, None),
    ("‸:0\n* ^Subject\n", Kind::MissingAction, None),
    ("‸:0 x\nbox/\n", Kind::LeftOnRecipeLine, None),
    (":0\n‸* ^Subject: (a\nbox/\n", Kind::UnbalancedRegex, None),
    (":0\n‸* > 100k\nbox/\n", Kind::TextAfterSize, None),
    (
        "A=1‸\r\nB=2\r\n",
        Kind::CarriageReturn,
        Some("A=1\nB=2\r\n"),
    ),
    ("A=\"`echo ‸\"x\"`\"\n", Kind::QuoteInBackquotes, None),
    ("‸:0 $FLAGS\nbox/\n", Kind::DependsOnValues, None),
    (
        "‸:0 c\n* ^Subject\nbox\n",
        Kind::MissingLock,
        Some(":0 c:\n* ^Subject\nbox\n"),
    ),
    (
        "‸:0 # a\n$MAILDIR/box\n",
        Kind::MissingLock,
        Some(":0: # a\n$MAILDIR/box\n"),
    ),
    (
        "‸:0\n| cat >>box\n",
        Kind::MissingLock,
        Some(":0:\n| cat >>box\n"),
    ),
    ("‸:0:\nbox/\n", Kind::UselessLock, Some(":0\nbox/\n")),
    (
        "‸:0:\n/dev/null\n",
        Kind::UselessLock,
        Some(":0\n/dev/null\n"),
    ),
    (
        ":0\n* ^From:.*@example‸.com\nbox/\n",
        Kind::UnescapedDot,
        Some(":0\n* ^From:.*@example\\.com\nbox/\n"),
    ),
    (
        ":0\n* ^From\\\n  ‸* ^To\nbox/\n",
        Kind::StarOnContinuation,
        Some(":0\n* ^From\n  * ^To\nbox/\n"),
    ),
    (
        "‸:\n* ^From\nbox/\n",
        Kind::NoNumber,
        Some(":0\n* ^From\nbox/\n"),
    ),
    (
        "‸:2\n* ^From\n* ^To\nbox/\n",
        Kind::CountedConditions,
        Some(":0\n* ^From\n* ^To\nbox/\n"),
    ),
    ("‸:1\n^From\nbox/\n", Kind::CountedConditions, None),
    (
        "A=two ‸words\n",
        Kind::JunkAfterValue,
        Some("A=\"two words\"\n"),
    ),
    (
        ":0\n{ A=‸} \n}\n",
        Kind::BraceAsValue,
        Some(":0\n{ A=\"\" } \n}\n"),
    ),
    (
        "# one‸\\\nA=2\n",
        Kind::ContinuedComment,
        Some("# one\nA=2\n"),
    ),
    (
        ":0\n* ^Subject ‸# a comment\nbox/\n",
        Kind::HashInCondition,
        Some(":0\n* ^Subject\nbox/\n"),
    ),
    (
        ":0\n‸^Subject:.*a\nbox/\n",
        Kind::MissingStar,
        Some(":0\n* ^Subject:.*a\nbox/\n"),
    ),
    (
        ":0\n* A ?? ‸\\/a\nbox/\n",
        Kind::LostBackslash,
        Some(":0\n* A ?? ()\\/a\nbox/\n"),
    ),
    (
        ":0\n* ^Subject: (a‸\\/|b)\nbox/\n",
        Kind::MarkAtTheEnd,
        Some(":0\n* ^Subject: (a\\/()|b)\nbox/\n"),
    ),
    (
        ":0\n* ‸$FOO\nbox/\n",
        Kind::DollarCondition,
        Some(":0\n* $ $FOO\nbox/\n"),
    ),
    (
        ":0\n* ‸^TOTAL: 1\nbox/\n",
        Kind::ToMacro,
        Some(":0\n* ^()TOTAL: 1\nbox/\n"),
    ),
    ("‸:0 c\n* ^From\n{\nA=1\n}\n", Kind::CloneFallsOut, None),
    (
        "‸:0 f\n| cat\n",
        Kind::FilterWithoutWait,
        Some(":0 fw\n| cat\n"),
    ),
    ("‸:0 i\nbox/\n", Kind::IgnoredFolderErrors, None),
    ("‸LOCKEXT=\n", Kind::EmptyLockExtension, None),
    ("‸UMASK=\n", Kind::EmptyUmask, Some("UMASK=077\n")),
    ("A=‸$_B\n", Kind::RcNameThenText, None),
    (":0: ‸c\nbox\n", Kind::FlagsAsLock, Some(":0c:\nbox\n")),
    ("‸:0 eE\nbox/\n", Kind::ConflictingFlags, None),
    ("‸:0 h\n{ A=1\n}\n", Kind::ExtraneousFlags, None),
    (
        ":0\n* ^A: [‸[:digit:]]\nbox/\n",
        Kind::NamedClass,
        Some(":0\n* ^A: [0-9]\nbox/\n"),
    ),
    (
        ":0\n* ^A: ‸\\d\nbox/\n",
        Kind::LetterEscape,
        Some(":0\n* ^A: [0-9]\nbox/\n"),
    ),
    (":0\n* ^A: b‸{2}\nbox/\n", Kind::BraceRepeat, None),
    (
        ":0\n* ^A: [b‸\\.]\nbox/\n",
        Kind::BackslashInClass,
        Some(":0\n* ^A: [b.]\nbox/\n"),
    ),
    (":0\nbox/\n\n‸A=1\n", Kind::NeverReached, None),
    (
        ":0\nA‸ =| cat\n",
        Kind::BlankBeforeCapture,
        Some(":0\nA=| cat\n"),
    ),
    (
        "MAILDIR=‸~/Mail\n",
        Kind::Tilde,
        Some("MAILDIR=$HOME/Mail\n"),
    ),
    ("‸SWITCHRC=$_\n", Kind::EndlessSwitch, None),
    ("‸HOST=mx\n", Kind::HostCheck, None),
];

fn found(rc: &[u8], kind: Kind) -> Vec<procmail_rules::Diagnostic> {
    let mut found = Script::parse(rc).check();
    found.retain(|diagnostic| diagnostic.kind == kind);
    found
}

#[test]
fn each_trap_is_seen_and_mended() {
    for (marked, kind, mended) in TRAPS {
        let at = marked.find('‸').unwrap();
        let rc = marked.replace('‸', "");
        let all = found(rc.as_bytes(), *kind);
        let script = Script::parse(rc.as_bytes());
        let first = all
            .first()
            .unwrap_or_else(|| panic!("{kind:?} not seen in {rc:?}: {:?}", script.check()));
        // A substitution is told from its dollar on.
        let from = if *kind == Kind::BadSubstitution {
            at - 2
        } else {
            at
        };
        assert_eq!(first.span.start, from, "{kind:?} in {rc:?}");
        let fixed = first.fix.as_ref().map(|fix| fix.apply(rc.as_bytes()));
        let fixed = fixed.map(|text| String::from_utf8(text).unwrap());
        assert_eq!(fixed.as_deref(), *mended, "{kind:?} in {rc:?}");
        if let Some(fixed) = fixed {
            let left = found(fixed.as_bytes(), *kind);
            assert!(left.len() < all.len(), "{kind:?} is still in {fixed:?}");
        }
    }
}

#[test]
fn no_kind_is_left_out() {
    let tested: BTreeSet<Kind> = TRAPS.iter().map(|(_, kind, _)| *kind).collect();
    let left: Vec<_> = Kind::ALL
        .iter()
        .filter(|kind| !tested.contains(*kind))
        .collect();
    // Blocks nested too deeply have a test of their own.
    assert_eq!(left, [&Kind::TooDeep]);
    let deep = ":0\n{\n".repeat(200);
    assert!(!found(deep.as_bytes(), Kind::TooDeep).is_empty());
}

#[test]
fn sound_rcfiles_have_none() {
    for rc in [
        "",
        "# a comment\nMAILDIR=$HOME/Mail\nLOGFILE=log\nVERBOSE=yes\n",
        ":0:\n* ^From.*toto\namigos/toto\n",
        ":0 Wh: msgid.lock\n| formail -D 8192 msgid.cache\n",
        ":0 fhw\n| formail -I X-Spam\n\n:0\n* ^X-Spam\nspam/\n",
        ":0\n* ^TO_rust@lists\\.example\\.org\n{\n  :0 c\n  ! ann@example.org\n\n  :0\n  rust/\n}\n",
        ":0\n* ^Subject:.*\\/[a-z]+\nlists/$MATCH/\n",
        ":0 c\n{\n  :0 fw\n  | cat\n\n  :0:\n  copy\n}\n",
        ":0 E\n* 1^1 ^Received:\n* -5^0\n/dev/null\n",
        "A=\"two words\" B=`date` # both\nIMPORTANT=\"(ann|bob)@\"\n:0\n* $ ^From:.*$IMPORTANT\n* !^FROM_DAEMON\nbox/\n",
        ":0 w\n| program\n\n:0 e\n{\n  EXITCODE=75\n}\n",
        ":0\n* ^Subject: a.b.*c..d\n* B ?? x\\.com\n* > 10000\n* ? test -f vacation\nbox/\n",
    ] {
        let found = Script::parse(rc.as_bytes()).check();
        assert!(found.is_empty(), "{rc:?}: {found:?}");
    }
}

#[test]
fn drawn_for_people() {
    let script = Script::parse(b"A=1\n:0\n* ^From:.*@example.com\nbox/\n");
    let all = script.check();
    assert_eq!(
        all[0].render("rc", &script),
        "warning: this dot stands for any character\n --> rc:3:19\n  |\n3 | * ^From:.*@example.com\n  |                   ^\n  = help: put a backslash in front of it\n  = write: * ^From:.*@example\\.com"
    );
    assert_eq!(all[0].kind.severity(), Severity::Warning);
}
