//! The same scripts in Pigeonhole, where its programs are installed.
//!
//! They are processes, most of whose time is their start. So each is run with few rules and with many, and the
//! difference is divided by the rules more: what a rule costs. Ours is measured the same way.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Instant;

use crate::cases::{header_rules, message};
use crate::run_ours;

const FEW: usize = 50;
const MANY: usize = 2050;

/// The shortest of several runs, in nanoseconds: what others do on the machine only adds.
fn shortest(mut run: impl FnMut()) -> u128 {
    (0..15)
        .map(|_| {
            let start = Instant::now();
            run();
            start.elapsed().as_nanos()
        })
        .min()
        .unwrap_or(0)
}

fn run(program: &str, arguments: &[&Path], config: &Path) {
    let done = Command::new(program)
        .arg("-c")
        .arg(config)
        .args(arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .unwrap();
    assert!(done.success(), "{program}");
}

/// What one header rule costs on a message of 4 KiB, to compile and to run.
pub(crate) fn compare(compiler: &ours::Compiler, config: &Arc<ours::Config>) {
    if Command::new("sieve-test").output().is_err() || Command::new("sievec").output().is_err() {
        println!("sieve-test and sievec (Debian package dovecot-sieve) are not installed");
        return;
    }
    let folder = std::env::temp_dir().join(format!("posthaste-sieve-speed-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    // The program gives up the rights of root.
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o777);
    std::fs::set_permissions(&folder, open).unwrap();
    let settings = folder.join("dovecot.conf");
    let home = folder.display();
    std::fs::write(
        &settings,
        format!(
            "ssl = no\nmail_uid = nobody\nmail_gid = nogroup\nfirst_valid_uid = 0\nfirst_valid_gid = 0\nmail_home = \
             {home}\nmail_location = maildir:{home}/Maildir\nlog_path = /dev/stderr\n"
        ),
    )
    .unwrap();
    let mail = folder.join("mail.eml");
    std::fs::write(&mail, message(4 << 10)).unwrap();
    let mut theirs = Vec::new();
    let mut own = Vec::new();
    for rules in [FEW, MANY] {
        let source = header_rules(rules);
        let script = folder.join(format!("{rules}.sieve"));
        let binary = folder.join(format!("{rules}.svbin"));
        std::fs::write(&script, &source).unwrap();
        let compile = shortest(|| run("sievec", &[&script, &binary], &settings));
        // It takes the binary beside the script.
        let execute = shortest(|| run("sieve-test", &[&script, &mail], &settings));
        theirs.push((compile, execute));
        let compile = || compiler.compile(&source).unwrap();
        let compiled = compile();
        let text = message(4 << 10);
        own.push((
            shortest(|| drop(compile())),
            shortest(|| {
                run_ours(&compiled, &text, config);
            }),
        ));
    }
    std::fs::remove_dir_all(&folder).unwrap();
    let each = |few: u128, many: u128| many.saturating_sub(few) / (MANY - FEW) as u128;
    println!(
        "{:<32} {:>10} {:>10}",
        "each of 2,000 rules more", "ours", "Pigeonhole"
    );
    println!(
        "{:<32} {:>10} {:>10}",
        "compile",
        each(own[0].0, own[1].0),
        each(theirs[0].0, theirs[1].0)
    );
    println!(
        "{:<32} {:>10} {:>10}",
        "run on 4 KiB",
        each(own[0].1, own[1].1),
        each(theirs[0].1, theirs[1].1)
    );
}
