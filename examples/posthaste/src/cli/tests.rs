use clap::CommandFactory;

use super::*;

#[test]
fn the_command_line_is_consistent() {
    Arguments::command().debug_assert();
}

#[test]
fn applets_go_by_their_names() {
    assert!(applet("sendmail".as_ref()).is_some());
    assert!(applet("mailq".as_ref()).is_some());
    assert!(applet("posthaste".as_ref()).is_none());
}

#[test]
fn sendmail_gets_its_own_options() {
    let arguments = Arguments::try_parse_from([
        "posthaste",
        "--data",
        "/x",
        "sendmail",
        "-t",
        "-i",
        "--",
        "a",
    ])
    .unwrap();
    let Some(Command::Sendmail { arguments }) = arguments.command else {
        panic!("{arguments:?}");
    };
    assert_eq!(arguments, ["-t", "-i", "--", "a"]);
}
