use std::time::Duration;

/// How much a client bears, and which faults it forgives. Share it by `Arc`.
#[derive(Debug, Clone)]
pub struct ClientConfig {
    /// A response, streamed contents not counted: with the literals of
    /// METADATA, of annotations and of all else that is not streamed. Stops
    /// servers that send without end; a SEARCH result of a million messages
    /// needs 8 MB.
    pub response: usize,
    /// Elements of a response: the flags, addresses, parts, parameters of its
    /// lists. Stops servers whose responses are many small elements, of which
    /// each takes more memory than octets on the wire: 100,000 take 30 MB at
    /// most. A response of more comes as [`ClientEvent::Unparsed`].
    ///
    /// [`ClientEvent::Unparsed`]: crate::ClientEvent::Unparsed
    pub elements: usize,
    /// Literals up to this size come inside their response; larger ones that
    /// are contents in FETCH or URLFETCH (`BODY[…]`, `BINARY[…]`, `RFC822`)
    /// are streamed.
    pub inline: usize,
    /// Largest payload event.
    pub chunk: usize,
    /// Output that waits for the server before more is read.
    pub output: usize,
    /// Commands without reply.
    pub in_flight: usize,
    /// How long nothing may come while something is waited for: the
    /// greeting, a reply, `+`, a challenge, the rest of a content, the TLS
    /// handshake, the end after BYE; and how long the server may take nothing
    /// of what is to be sent.
    pub response_time: Duration,
    /// How long an IDLE lasts before DONE is sent; RFC 2177 wants less than
    /// 30 minutes.
    pub idle_time: Duration,
    /// Takes lines that end in LF without CR. Spaces to spare, between and at
    /// the end of lists and lines, are always taken.
    pub tolerate_bare_lf: bool,
    /// Takes responses that lack a space where parentheses, quotes or
    /// brackets show the boundary without it: `BODY[]{3}`, `"a""b"`, `)(`.
    pub tolerate_missing_space: bool,
    /// Asks for CAPABILITY where the server did not tell by itself: behind
    /// the greeting, STARTTLS and authentication.
    pub refresh_capabilities: bool,
}

impl Default for ClientConfig {
    fn default() -> Self {
        Self {
            response: 16 * 1024 * 1024,
            elements: crate::cursor::ELEMENTS,
            inline: 16 * 1024,
            chunk: 64 * 1024,
            output: 256 * 1024,
            in_flight: 1000,
            response_time: Duration::from_secs(300),
            idle_time: Duration::from_secs(29 * 60),
            tolerate_bare_lf: false,
            tolerate_missing_space: false,
            refresh_capabilities: true,
        }
    }
}
