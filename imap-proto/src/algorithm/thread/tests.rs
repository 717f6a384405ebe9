use super::*;
use crate::{Dialect, Response, Untagged};

/// Number, subject, Message-ID, References.
type Mail<'a> = (u32, &'a str, &'a str, &'a str);

fn threads(mails: &[Mail<'_>], algorithm: ThreadAlgorithm) -> String {
    let inputs: Vec<_> = mails
        .iter()
        .map(|(number, subject, id, references)| {
            ThreadInput::new(NonZeroU32::new(*number).unwrap(), i64::from(*number))
                .with_subject(subject)
                .with_ids(id, references, "")
        })
        .collect();
    let nodes = thread(&inputs, algorithm);
    let line = Response::Untagged(Untagged::Thread(nodes.clone())).to_vec(Dialect::SERVER);
    // What is written reads as the same again.
    let bytes = bytes::Bytes::from(line.clone());
    let parsed = Response::parse(&bytes, Dialect::SERVER).unwrap();
    assert_eq!(parsed, Response::Untagged(Untagged::Thread(nodes)));
    let line = String::from_utf8(line).unwrap();
    line.trim_end()
        .strip_prefix("* THREAD")
        .unwrap()
        .trim()
        .to_owned()
}

#[test]
fn references() {
    let run = |mails: &[Mail<'_>]| threads(mails, ThreadAlgorithm::References);
    assert_eq!(run(&[]), "");
    assert_eq!(run(&[(1, "a", "<1>", ""), (2, "b", "<2>", "")]), "(1)(2)");
    // A chain, then a fork (RFC 5256 §4's forms).
    assert_eq!(
        run(&[
            (3, "", "<3>", ""),
            (6, "", "<6>", "<3>"),
            (4, "", "<4>", "<3> <6>")
        ]),
        "(3 6 4)"
    );
    assert_eq!(
        run(&[
            (3, "", "<3>", ""),
            (6, "", "<6>", "<3>"),
            (4, "", "<4>", "<3> <6>"),
            (23, "", "<23>", "<3><6><4>"),
            (44, "", "<44>", "<3> <6>"),
            (7, "", "<7>", "<3> <6> <44>"),
            (96, "", "<96>", "<3> <6> <44> <7>"),
        ]),
        "(3 6 (4 23)(44 7 96))"
    );
    // Two replies to a message that is not there.
    assert_eq!(
        run(&[(1, "", "<1>", "<x>"), (2, "", "<2>", "<x>")]),
        "((1)(2))"
    );
    // One reply: the dummy is gone.
    assert_eq!(run(&[(1, "", "<1>", "<x> <y>")]), "(1)");
    // A dummy in between gives way.
    assert_eq!(
        run(&[(1, "", "<1>", ""), (2, "", "<2>", "<1> <x>")]),
        "(1 2)"
    );
    // Loops.
    assert_eq!(
        run(&[(1, "", "<1>", "<2>"), (2, "", "<2>", "<1>")]),
        "(2 1)"
    );
    assert_eq!(run(&[(1, "", "<1>", "<1>")]), "(1)");
    // The same identifier twice.
    assert_eq!(
        run(&[
            (1, "", "<1>", ""),
            (2, "", "<1>", ""),
            (3, "", "<3>", "<1>")
        ]),
        "(1 3)(2)"
    );
    // Quoted local parts are the same identifier.
    assert_eq!(
        run(&[(1, "", "<\"a\\b\"@x>", ""), (2, "", "<2>", "<ab@x>")]),
        "(1 2)"
    );
}

/// draft-ietf-morg-inthread: subjects join nothing, and the thread with
/// the newest message is the last.
#[test]
fn refs() {
    let run = |mails: &[Mail<'_>]| threads(mails, ThreadAlgorithm::Refs);
    let mails = [
        (1, "a", "<1>", ""),
        (2, "b", "<2>", ""),
        (3, "Re: a", "<3>", ""),
        (4, "c", "<4>", "<1>"),
        (5, "d", "<5>", "<x>"),
        (6, "e", "<6>", "<x>"),
    ];
    assert_eq!(run(&mails), "(2)(3)(1 4)((5)(6))");
    // By arrival, not by date.
    let number = |number| NonZeroU32::new(number).unwrap();
    let inputs = [
        ThreadInput::new(number(1), 10).with_arrival(3),
        ThreadInput::new(number(2), 20).with_arrival(2),
    ];
    let order = thread(&inputs, ThreadAlgorithm::Refs);
    let order: Vec<_> = order.iter().filter_map(|node| node.number).collect();
    assert_eq!(order, [number(2), number(1)]);
}

#[test]
fn subjects_are_merged() {
    let run = |mails: &[Mail<'_>]| threads(mails, ThreadAlgorithm::References);
    assert_eq!(
        run(&[(1, "a", "<1>", ""), (2, "Re: A", "<2>", "")]),
        "(1 2)"
    );
    assert_eq!(
        run(&[(1, "Re: a", "<1>", ""), (2, "a", "<2>", "")]),
        "(2 1)"
    );
    assert_eq!(run(&[(1, "a", "<1>", ""), (2, "a", "<2>", "")]), "((1)(2))");
    assert_eq!(
        run(&[
            (1, "a", "<1>", ""),
            (2, "a", "<2>", ""),
            (3, "re: a", "<3>", "")
        ]),
        "((1)(2)(3))"
    );
    // Both are dummies.
    assert_eq!(
        run(&[
            (1, "a", "<1>", "<x>"),
            (2, "a", "<2>", "<x>"),
            (3, "a", "<3>", "<y>"),
            (4, "a", "<4>", "<y>"),
        ]),
        "((1)(2)(3)(4))"
    );
}

#[test]
fn ordered_subject_has_no_grandchildren() {
    let run = |mails: &[Mail<'_>]| threads(mails, ThreadAlgorithm::OrderedSubject);
    assert_eq!(
        run(&[
            (1, "b", "", ""),
            (2, "a", "", ""),
            (3, "Re: b", "", ""),
            (4, "b", "", ""),
            (5, "re: A", "", ""),
        ]),
        "(1 (3)(4))(2 5)"
    );
}

#[test]
fn a_crafted_chain_is_no_stack() {
    let inputs: Vec<_> = (1..=50_000_u32)
        .map(|number| {
            let (id, up) = (format!("<{number}>"), format!("<{}>", number - 1));
            ThreadInput::new(NonZeroU32::new(number).unwrap(), 0).with_ids(&id, &up, "")
        })
        .collect();
    let nodes = thread(&inputs, ThreadAlgorithm::References);
    assert_eq!(nodes.len(), 50_000);
    assert_eq!(nodes.last().map(|last| last.depth), Some(49_999));
}
