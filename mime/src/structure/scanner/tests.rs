use super::{LINE_OCTETS, Scanner};

/// What is kept between two pieces does not grow with the message, whatever it is.
#[test]
fn pieces_do_not_pile_up() {
    let header = "Content-Type: multipart/mixed; boundary=a\n\n";
    let endless = "x".repeat(5_000);
    let messages = [
        endless.clone(),
        format!("Subject: {endless}"),
        "Subject: x\n folded\n".repeat(5_000),
        "X: y\n".repeat(5_000),
        format!("{header}--{endless}"),
        header.to_owned() + &"--a\nContent-Type: text/plain\n x\n".repeat(2_000),
        header.to_owned() + &"--a ".repeat(5_000),
        header.to_owned() + &"\n-".repeat(5_000),
        header.to_owned() + &"\n--".repeat(5_000),
    ];
    for message in messages {
        for size in [1, 100, 10_000, 100_000] {
            let mut scanner = Scanner::new();
            let repeated = std::iter::repeat_n(message.as_bytes(), 4);
            for piece in repeated.flat_map(|message| message.chunks(size)) {
                scanner.feed(piece);
                assert!(scanner.carry.len() < LINE_OCTETS);
                assert!(scanner.value.len() <= super::VALUE_OCTETS);
                assert!(scanner.text.len() <= scanner.limits.stored);
            }
            let structure = scanner.finish();
            assert_eq!(structure.size(), 4 * message.len() as u64);
        }
    }
}
