//! Outcomes, questions and limits of the runtime.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

use proptest::prelude::*;
use sieve::{
    Action, Answer, Capabilities, Config, Envelope, Evaluation, Outcome, Progress, Question, Script,
};

const MESSAGE: &[u8] = b"From: ann@example.org\r\nTo: bob@example.com\r\nSubject: hello there\r\n\
    Message-ID: <1@example.org>\r\n\r\nText\r\n";

fn config() -> Config {
    Config::new("2026-05-04T12:00:00+00:00[+00:00]".parse().unwrap())
}

fn compile(source: &str) -> Script {
    sieve::compile(source, &Capabilities::all())
        .unwrap_or_else(|faults| panic!("{faults:?}\n{source}"))
}

fn run_with(
    script: &Script,
    message: &[u8],
    config: Config,
    mut host: impl FnMut(&Question) -> Answer,
) -> Outcome {
    let envelope = Envelope::new("ann@example.org", "bob@example.com");
    let mut evaluation = Evaluation::new(script, message, envelope, config);
    loop {
        match evaluation.step() {
            Progress::Done(outcome) => return outcome,
            Progress::Ask(question) => {
                // It stands until it is answered.
                assert_eq!(evaluation.step(), Progress::Ask(question.clone()));
                evaluation.answer(host(&question)).unwrap();
                assert!(
                    evaluation.answer(Answer::Bool(true)).is_err(),
                    "nothing is asked any more"
                );
            }
        }
    }
}

fn run(source: &str) -> Outcome {
    run_with(&compile(source), MESSAGE, config(), |question| {
        panic!("{question:?}")
    })
}

fn names(outcome: &Outcome) -> Vec<&'static str> {
    outcome.actions.iter().map(Action::name).collect()
}

#[test]
fn a_test_asks_as_often_as_it_must() {
    let script = compile(
        "require [\"mboxmetadata\", \"fileinto\"];
         if metadataexists \"INBOX\" [\"/private/a\", \"/private/b\"] { fileinto \"x\"; }",
    );
    let mut asked = Vec::new();
    let outcome = run_with(&script, MESSAGE, config(), |question| {
        asked.push(question.clone());
        Answer::Text(Some(String::new()))
    });
    assert_eq!(asked.len(), 2);
    assert_eq!(names(&outcome), ["fileinto"]);
}

#[test]
fn failures_keep_the_message() {
    let script = compile(
        "require [\"mailbox\", \"fileinto\"]; fileinto \"a\"; if mailboxexists \"b\" { discard; }",
    );
    for answer in [Answer::Failed("no connection".into()), Answer::Text(None)] {
        let outcome = run_with(&script, MESSAGE, config(), |_| answer.clone());
        assert_eq!(names(&outcome), ["keep"]);
        assert!(matches!(&outcome.actions[0], Action::Keep(keep) if keep.implicit));
        assert_eq!(outcome.error.unwrap().line, 1);
    }
}

#[test]
fn edits_are_carried_by_the_actions() {
    let outcome = run("require [\"editheader\", \"fileinto\", \"copy\"];
        fileinto :copy \"plain\"; deleteheader \"subject\"; addheader \"X-A\" \"b\";");
    let Action::FileInto(plain) = &outcome.actions[0] else {
        panic!()
    };
    assert!(plain.edited.is_none());
    let Action::Keep(keep) = &outcome.actions[1] else {
        panic!()
    };
    assert_eq!(
        keep.edited.as_ref().unwrap().to_bytes(MESSAGE),
        b"X-A: b\r\nFrom: ann@example.org\r\nTo: bob@example.com\r\nMessage-ID: <1@example.org>\r\n\r\nText\r\n"
    );
}

#[test]
fn messages_in_lf_form() {
    let script = compile("require \"editheader\"; deleteheader \"to\";");
    let message = b"From: a@b.example\nTo: c@d.example\n\nText\n";
    let outcome = run_with(&script, message, config(), |_| Answer::Bool(false));
    let Action::Keep(keep) = &outcome.actions[0] else {
        panic!()
    };
    assert_eq!(
        keep.edited.as_ref().unwrap().to_bytes(message),
        b"From: a@b.example\n\nText\n"
    );
}

#[test]
fn messages_without_body_or_header() {
    for message in [
        &b""[..],
        b"\r\n",
        b"Subject: x",
        b"\n\nSubject: body",
        b"no header at all",
    ] {
        let script = compile(
            "require [\"editheader\", \"body\"]; if body :contains \"x\" { addheader \"A\" \"b\"; }",
        );
        let outcome = run_with(&script, message, config(), |_| Answer::Bool(false));
        assert!(outcome.error.is_none());
    }
}

#[test]
fn duplicate_tracking_is_the_last_action() {
    let script = compile(
        "require [\"duplicate\", \"fileinto\"]; if duplicate :handle \"h\" :seconds 60 { discard; }",
    );
    let outcome = run_with(&script, MESSAGE, config(), |_| Answer::Bool(false));
    assert_eq!(names(&outcome), ["keep", "duplicate"]);
    let Action::TrackDuplicate(track) = &outcome.actions[1] else {
        panic!()
    };
    assert_eq!((track.handle.as_str(), track.seconds), ("h", 60));
    assert_eq!(track.id, b"<1@example.org>");
    let outcome = run_with(&script, MESSAGE, config(), |_| Answer::Bool(true));
    assert_eq!(names(&outcome), ["discard"]);
}

#[test]
fn lists_and_scores_come_from_the_host() {
    let script = compile(
        "require [\"extlists\", \"spamtestplus\", \"relational\", \"comparator-i;ascii-numeric\", \"fileinto\", \
         \"variables\"];
         if allof (address :list \"from\" \":addrbook:default\",
                   spamtest :percent :value \"ge\" :comparator \"i;ascii-numeric\" \"50\") { fileinto \"${0}\"; }",
    );
    let outcome = run_with(&script, MESSAGE, config(), |question| match question {
        Question::ListContains { values, .. } => Answer::Text(values.first().cloned()),
        Question::Score { .. } => Answer::Score(Some(sieve::Score {
            value: 7,
            maximum: 10,
        })),
        other => panic!("{other:?}"),
    });
    let Action::FileInto(fileinto) = &outcome.actions[0] else {
        panic!()
    };
    assert_eq!(fileinto.mailbox.name, "ann@example.org");
}

#[test]
fn programs_run_at_the_host() {
    let script = compile(
        "require [\"vnd.dovecot.execute\", \"vnd.dovecot.filter\", \"vnd.dovecot.pipe\", \"variables\", \"copy\"];
         if execute :output \"out\" \"hasfrop\" [\"a\", \"b\"] { pipe :copy \"${out}\"; }
         filter \"shout\";",
    );
    let outcome = run_with(&script, MESSAGE, config(), |question| {
        let Question::Program(program) = question else {
            panic!()
        };
        let output = match program.name.as_str() {
            "hasfrop" => b"printer\r\n".to_vec(),
            _ => program.input.to_ascii_uppercase(),
        };
        Answer::Program {
            success: true,
            output,
        }
    });
    assert_eq!(names(&outcome), ["pipe", "keep"]);
    let Action::Pipe(pipe) = &outcome.actions[0] else {
        panic!()
    };
    assert_eq!(pipe.program, "printer");
    let Action::Keep(keep) = &outcome.actions[1] else {
        panic!()
    };
    assert!(
        keep.edited
            .as_ref()
            .unwrap()
            .body(MESSAGE)
            .starts_with(b"TEXT")
    );
}

#[test]
fn names_that_climb_are_refused() {
    for source in [
        "require \"vnd.dovecot.pipe\"; pipe \"../evil\";",
        "require \"include\"; include \"../../etc/passwd\";",
        "require \"fileinto\"; fileinto \"a\nb\";",
    ] {
        let outcome = run(source);
        assert!(outcome.error.is_some(), "{source}");
        assert_eq!(names(&outcome), ["keep"]);
    }
}

#[test]
fn trace_names_lines_and_values() {
    let script = compile("if header :contains \"subject\" \"hello\" {\n  keep;\n}");
    let mut config = config();
    config.trace = true;
    let mut evaluation = Evaluation::new(&script, MESSAGE, Envelope::default(), config);
    let _ = evaluation.step();
    let lines: Vec<String> = evaluation.trace().iter().map(ToString::to_string).collect();
    assert_eq!(lines, ["1: header [\"hello there\"] -> true", "2: keep"]);
}

#[test]
fn doubling_strings_are_bounded() {
    let body = "set \"a\" \"${a}${a}\";".repeat(500);
    let outcome = run(&format!(
        "require [\"variables\", \"fileinto\"]; set \"a\" \"xy\"; {body} fileinto \"${{a}}\";"
    ));
    let Action::FileInto(fileinto) = &outcome.actions[0] else {
        panic!()
    };
    assert_eq!(fileinto.mailbox.name.len(), 64 << 10);
}

#[test]
fn loops_are_bounded() {
    let parts = "--b\r\nContent-Type: text/plain\r\n\r\nx\r\n".repeat(400);
    let message = format!("Content-Type: multipart/mixed; boundary=b\r\n\r\n{parts}--b--\r\n");
    let inner = "if header :mime \"content-type\" \"x\" { stop; }".repeat(200);
    let script = compile(&format!(
        "require [\"foreverypart\", \"mime\"]; foreverypart {{ {inner} }}"
    ));
    let outcome = run_with(&script, message.as_bytes(), config(), |_| {
        Answer::Bool(false)
    });
    assert!(outcome.error.unwrap().message.contains("steps"));
}

#[test]
fn hostile_patterns_are_linear() {
    let script = compile(
        "require \"body\";
         if body :raw :matches [\"*a*a*a*a*a*a*a*a*a*a*b\", \"*?a?a?a?a?a?a?b*\"] { discard; }
         if body :raw :contains [\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab\"] { discard; }",
    );
    let message = format!("Subject: x\r\n\r\n{}", "a".repeat(2 << 20));
    let outcome = run_with(&script, message.as_bytes(), config(), |_| {
        Answer::Bool(false)
    });
    assert_eq!(names(&outcome), ["keep"]);
}

fn word() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("keep".to_owned()),
        Just("if".to_owned()),
        Just("elsif".to_owned()),
        Just("else".to_owned()),
        Just("header".to_owned()),
        Just("anyof".to_owned()),
        Just("not".to_owned()),
        Just("ihave".to_owned()),
        Just("foreverypart".to_owned()),
        Just("set".to_owned()),
        Just("require".to_owned()),
        Just(":contains".to_owned()),
        Just(":regex".to_owned()),
        Just(":count".to_owned()),
        Just("\"gt\"".to_owned()),
        Just("\"${1}${a.b}${hex:41}\"".to_owned()),
        Just("[\"variables\", \"regex\", \"foreverypart\", \"ihave\"]".to_owned()),
        Just("text:\nx\n.\n".to_owned()),
        Just("{".to_owned()),
        Just("}".to_owned()),
        Just("(".to_owned()),
        Just(")".to_owned()),
        Just(";".to_owned()),
        Just(",".to_owned()),
        Just("10K".to_owned()),
        "\\PC{0,8}".prop_map(|text| text),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_words_compile_or_are_told(words in prop::collection::vec(word(), 0..40)) {
        let source = words.join(" ");
        match sieve::compile(&source, &Capabilities::all()) {
            Ok(script) => {
                let outcome = run_with(&script, MESSAGE, config(), |_| Answer::Failed("no".into()));
                prop_assert!(!outcome.actions.is_empty());
            }
            Err(faults) => {
                prop_assert!(!faults.is_empty());
                for fault in &faults {
                    prop_assert!(fault.span.end <= source.len() + 1);
                    let _ = fault.render("x", source.as_bytes());
                }
            }
        }
    }

    #[test]
    fn any_octets_compile_or_are_told(octets in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = sieve::compile(&octets, &Capabilities::all());
    }

    #[test]
    fn any_message_is_read(message in prop::collection::vec(any::<u8>(), 0..400), key in "[a-z*?\\\\]{0,6}") {
        let key = key.replace('\\', "\\\\");
        let script = compile(&format!(
            "require [\"body\", \"date\", \"mime\", \"foreverypart\", \"variables\", \"extracttext\", \"editheader\", \
             \"comparator-i;unicode-casemap\"];
             foreverypart {{ extracttext \"t\"; }}
             if anyof (header :matches [\"subject\", \"from\"] \"{key}\", address :domain \"from\" \"{key}\",
                 body :text :contains \"{key}\", body :content \"\" :matches \"{key}\", date \"date\" \"year\" \"1\",
                 header :comparator \"i;unicode-casemap\" :matches \"to\" \"{key}\",
                 header :mime :anychild :param \"name\" \"content-type\" \"{key}\") {{ addheader \"X\" \"${{0}}${{t}}\"; }}"
        ));
        let mut text = b"Content-Type: multipart/mixed; boundary=a\r\nSubject: ".to_vec();
        text.extend(&message);
        for message in [message, text] {
            let outcome = run_with(&script, &message, config(), |_| Answer::Bool(false));
            prop_assert!(outcome.error.is_none(), "{:?}", outcome.error);
            prop_assert_eq!(names(&outcome), ["keep"]);
        }
    }
}
