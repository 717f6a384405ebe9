//! MH folders as Python's `mailbox` writes and reads them. Runs where `POSTHASTE_INTEROP=1` is set; then a missing
//! `python3` is a failure.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

mod common;

use std::process::Command;
use std::sync::Arc;

use common::{now, read};
use mailstore::{AccountConfig, Flags, Foreign, Source, Store, Target, Transfer};

fn python(script: &str, folder: &std::path::Path) -> String {
    let output = Command::new("python3")
        .args(["-c", script])
        .arg(folder)
        .output()
        .expect("python3 must be installed");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn python_writes_and_reads() {
    if std::env::var_os("POSTHASTE_INTEROP").is_none_or(|value| value != "1") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let folder = directory.path().join("Mail");
    python(
        "import mailbox, sys\n\
         mh = mailbox.MH(sys.argv[1])\n\
         for number in range(1, 5):\n\
         \x20   message = mailbox.MHMessage(f'Subject: {number}\\n\\nbody {number}\\n')\n\
         \x20   if number % 2: message.add_sequence('unseen')\n\
         \x20   if number == 2: message.add_sequence('replied'); message.add_sequence('Work')\n\
         \x20   if number == 3: message.add_sequence('flagged')\n\
         \x20   mh.add(message)\n\
         mh.remove(1)\n\
         mh.add_folder('below').add('Subject: below\\n\\n\\n')\n",
        &folder,
    );
    let account = |name: &str| {
        let config = AccountConfig::maildir(directory.path().join(name), "host");
        Store::new().account(&config).unwrap()
    };
    let first = account("first");
    let mut transfer = Transfer {
        source: Source::Files {
            format: Foreign::detect(&folder).unwrap().unwrap(),
            path: folder.clone(),
        },
        target: Target::Account(Arc::clone(&first)),
        only: None,
        into: None,
        host: "host".to_owned(),
    };
    assert_eq!(transfer.run(&mut now, &mut |_| {}).unwrap().copied, 4);
    let inbox = first.mailbox("INBOX", now()).unwrap();
    let view = inbox.refresh(now()).unwrap();
    let flags: Vec<Flags> = view
        .messages()
        .iter()
        .map(|message| message.flags)
        .collect();
    assert_eq!(
        flags,
        [Flags::SEEN | Flags::ANSWERED, Flags::FLAGGED, Flags::SEEN]
    );
    let keywords: Vec<&str> = view.keywords(&view.messages()[0]).collect();
    assert_eq!(keywords, ["Work"]);
    assert_eq!(read(&inbox, 1), b"Subject: 2\r\n\r\nbody 2\r\n");
    assert!(first.exists("below").unwrap());

    // More of them into the same folder, behind what is there.
    let second = account("second");
    let mut append = second
        .mailbox("INBOX", now())
        .unwrap()
        .append(now())
        .unwrap();
    append.write(b"Subject: ours\r\n\r\nbody\r\n").unwrap();
    let options = mailstore::AppendOptions {
        flags: Flags::FLAGGED,
        keywords: vec!["Work".to_owned()],
        internal_date: now(),
    };
    append.commit(options, now()).unwrap();
    transfer.source = Source::Account(second);
    transfer.target = Target::Files {
        format: Foreign::Mh,
        path: folder.clone(),
    };
    assert_eq!(transfer.run(&mut now, &mut |_| {}).unwrap().copied, 1);
    let said = python(
        "import mailbox, sys\n\
         mh = mailbox.MH(sys.argv[1], create=False)\n\
         print(sorted(mh.keys()), mh[5]['Subject'], sorted(mh[5].get_sequences()), sorted(mh[3].get_sequences()))\n",
        &folder,
    );
    assert_eq!(
        said,
        "[2, 3, 4, 5] ours ['Work', 'flagged', 'unseen'] ['flagged', 'unseen']\n"
    );
}
