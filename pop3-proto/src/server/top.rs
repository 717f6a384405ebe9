use bytes::Bytes;
use memchr::memchr_iter;

/// Cuts a message behind its headers, the blank line and so many lines of
/// the body (RFC 1939 §7, TOP).
#[derive(Debug, Clone)]
pub(super) struct TopCut {
    in_body: bool,
    /// The line so far is nothing, or only CR.
    blank: bool,
    lines_left: u32,
}

impl TopCut {
    pub(super) fn new(lines: u32) -> Self {
        Self {
            in_body: false,
            blank: true,
            lines_left: lines,
        }
    }

    pub(super) fn is_done(&self) -> bool {
        self.in_body && self.lines_left == 0
    }

    /// What of the message's next octets is wanted.
    pub(super) fn take(&mut self, chunk: &Bytes) -> Bytes {
        let mut start = 0;
        for end in memchr_iter(b'\n', chunk) {
            if self.is_done() {
                break;
            }
            if self.in_body {
                self.lines_left -= 1;
            } else {
                let line = chunk.get(start..end).unwrap_or_default();
                self.in_body = self.blank && is_blank(line);
            }
            self.blank = true;
            start = end + 1;
        }
        if self.is_done() {
            return chunk.slice(..start);
        }
        let rest = chunk.get(start..).unwrap_or_default();
        self.blank = self.blank && is_blank(rest);
        chunk.clone()
    }
}

fn is_blank(octets: &[u8]) -> bool {
    octets.iter().all(|octet| *octet == b'\r')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(message: &str, lines: u32, piece: usize) -> String {
        let mut top = TopCut::new(lines);
        let mut wanted = Vec::new();
        for chunk in message.as_bytes().chunks(piece) {
            if top.is_done() {
                break;
            }
            wanted.extend_from_slice(&top.take(&Bytes::copy_from_slice(chunk)));
        }
        String::from_utf8(wanted).unwrap()
    }

    #[test]
    fn header_blank_line_and_lines() {
        let message = "A: 1\r\nB: 2\r\n\r\none\r\n\r\nthree\r\n";
        for piece in [1, 2, 3, 5, 100] {
            assert_eq!(cut(message, 0, piece), "A: 1\r\nB: 2\r\n\r\n");
            assert_eq!(cut(message, 1, piece), "A: 1\r\nB: 2\r\n\r\none\r\n");
            assert_eq!(cut(message, 2, piece), "A: 1\r\nB: 2\r\n\r\none\r\n\r\n");
            assert_eq!(cut(message, 3, piece), message);
            assert_eq!(cut(message, 99, piece), message);
            assert_eq!(cut("\r\nbody\r\n", 0, piece), "\r\n");
            assert_eq!(cut("A: 1\r\n", 9, piece), "A: 1\r\n");
            assert_eq!(
                cut("A: 1\r\n\r\nopen end", 1, piece),
                "A: 1\r\n\r\nopen end"
            );
        }
    }
}
