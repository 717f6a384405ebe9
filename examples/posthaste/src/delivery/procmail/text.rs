//! Line ends and dates as procmail has them.

use std::time::SystemTime;

use bytes::Bytes;

pub(super) fn ctime(time: SystemTime) -> String {
    match jiff::Timestamp::try_from(time) {
        Ok(time) => time
            .to_zoned(jiff::tz::TimeZone::system())
            .strftime("%a %b %e %H:%M:%S %Y")
            .to_string(),
        Err(_) => crate::procmail::date(),
    }
}

pub(super) fn with_lf(octets: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(octets.len());
    for line in octets.split_inclusive(|octet| *octet == b'\n') {
        match line.strip_suffix(b"\r\n") {
            Some(line) => {
                text.extend_from_slice(line);
                text.push(b'\n');
            }
            None => text.extend_from_slice(line),
        }
    }
    text
}

pub(super) fn with_crlf(text: &[u8]) -> Bytes {
    let mut octets = Vec::with_capacity(text.len() + text.len() / 32);
    for line in text.split_inclusive(|octet| *octet == b'\n') {
        match line.strip_suffix(b"\n") {
            Some(line) => {
                octets.extend_from_slice(line.strip_suffix(b"\r").unwrap_or(line));
                octets.extend_from_slice(b"\r\n");
            }
            None => octets.extend_from_slice(line),
        }
    }
    octets.into()
}
