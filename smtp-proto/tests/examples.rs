//! The example programs, which the crate's documentation runs: short enough to
//! be read.
#![allow(missing_docs)]

#[test]
fn are_short() {
    let server = include_str!("../examples/server.rs");
    let client = include_str!("../examples/client.rs");
    for (program, most) in [(server, 60), (client, 40)] {
        assert!(program.lines().count() < most);
        assert!(program.lines().all(|line| line.len() <= 100));
    }
}
