//! What is sent: whatever a server or a client could spoil.

use std::sync::atomic::{AtomicUsize, Ordering};

/// Headers that nobody has a reason to add to, with a name of its own.
fn header(subject: &str) -> Vec<u8> {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!(
        "From: Sender <sender@near.example>\r\nTo: Far <far@far.example>\r\n\
         Date: Tue, 14 Nov 2023 22:13:20 +0000\r\n\
         Message-ID: <{count}.{subject}@near.example>\r\nSubject: {subject}\r\n\
         MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\
         Content-Transfer-Encoding: 8bit\r\n\r\n"
    )
    .into_bytes()
}

fn message(subject: &str, body: &[u8]) -> Vec<u8> {
    let mut message = header(subject);
    message.extend_from_slice(body);
    message
}

pub(crate) fn dots() -> Vec<u8> {
    message(
        "dots",
        b".\r\n..\r\n.leading\r\n..two\r\nnone\r\n\r\n.\r\n\r\n. \r\n...\r\nend.\r\n.\r\n",
    )
}

/// Lines as long as they may be (RFC 5321 §4.5.3.1.6), one with a dot in
/// front of it.
pub(crate) fn long_lines() -> Vec<u8> {
    let mut body = Vec::new();
    for first in [b'a', b'.', b'c'] {
        body.push(first);
        body.extend(std::iter::repeat_n(b'x', 997));
        body.extend_from_slice(b"\r\n");
    }
    message("long", &body)
}

pub(crate) fn empty() -> Vec<u8> {
    message("empty", b"")
}

/// A MiB, in lines of all lengths, some of which begin with dots.
pub(crate) fn large() -> Vec<u8> {
    let mut body = Vec::with_capacity(1 << 20);
    let mut seed = 12_345_u32;
    while body.len() < 1 << 20 {
        seed = seed.wrapping_mul(1_103_515_245).wrapping_add(12_345);
        let len = (seed >> 16) % 100;
        if len.is_multiple_of(7) {
            body.push(b'.');
        }
        body.extend((0..len).map(|at| b"abcdefghij klmnop.rst"[(at % 21) as usize]));
        body.extend_from_slice(b"\r\n");
    }
    message("large", &body)
}

/// UTF-8, and octets that are none.
pub(crate) fn eight_bit() -> Vec<u8> {
    message("eight", "żółć — grüße\r\n.é\r\n".as_bytes())
        .into_iter()
        .chain([0xE9, 0xFF, 0x80, b'\r', b'\n'])
        .collect()
}

/// All of the above.
pub(crate) fn all() -> Vec<Vec<u8>> {
    vec![dots(), long_lines(), empty(), large(), eight_bit()]
}

/// The line that tells messages apart.
pub(crate) fn id(message: &[u8]) -> String {
    let text = String::from_utf8_lossy(message);
    let line = text.lines().find(|line| line.starts_with("Message-ID:"));
    line.unwrap().to_owned()
}

/// The octets that came must be those that were sent, with nothing but trace
/// fields in front.
pub(crate) fn assert_same(came: &[u8], sent: &[u8]) {
    let Some(trace) = came.strip_suffix(sent) else {
        let same = came.iter().rev().zip(sent.iter().rev());
        let at = same.take_while(|(came, sent)| came == sent).count();
        let around = |octets: &[u8]| {
            let to = octets.len() - at.min(octets.len());
            let from = to.saturating_sub(300);
            String::from_utf8_lossy(&octets[from..(to + 40).min(octets.len())]).into_owned()
        };
        panic!(
            "{} octets came, {} were sent, the last {at} are the same\n--- came\n{}\n--- sent\n{}",
            came.len(),
            sent.len(),
            around(came),
            around(sent)
        );
    };
    let trace = String::from_utf8_lossy(trace);
    for line in trace.lines() {
        let known = [
            "Received:",
            "Return-Path:",
            "Delivered-To:",
            "X-Originating-IP",
            "\t",
            " ",
        ];
        assert!(
            known.iter().any(|known| line.starts_with(known)),
            "{line:?} was added"
        );
    }
}
