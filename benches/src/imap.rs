//! What IMAP's benchmarks and the count of its allocations read.

/// What a client says to list a mailbox.
pub const FETCH: &[u8] = b"A1 UID FETCH 1:* (FLAGS BODY.PEEK[HEADER.FIELDS (FROM SUBJECT)])\r\n";
/// A search of many keys.
pub const SEARCH: &[u8] = b"A2 SEARCH CHARSET UTF-8 OR (FROM \"smith\" NOT SEEN) (SUBJECT \"report\" SINCE 1-Feb-1994) LARGER 1024 UID 100:2000,3000:* NOT KEYWORD $Junk HEADER List-Id \"posthaste\"\r\n";
/// An answer with ENVELOPE and BODYSTRUCTURE (RFC 9051 §7.5.2), 569 octets.
pub const RESPONSE: &[u8] = b"* 12 FETCH (FLAGS (\\Seen) INTERNALDATE \"17-Jul-1996 02:44:25 -0700\" RFC822.SIZE 4286 ENVELOPE (\"Wed, 17 Jul 1996 02:23:25 -0700 (PDT)\" \"IMAP4rev1 WG mtg summary and minutes\" ((\"Terry Gray\" NIL \"gray\" \"cac.washington.edu\")) ((\"Terry Gray\" NIL \"gray\" \"cac.washington.edu\")) ((\"Terry Gray\" NIL \"gray\" \"cac.washington.edu\")) ((NIL NIL \"imap\" \"cac.washington.edu\")) ((NIL NIL \"minutes\" \"CNRI.Reston.VA.US\")(\"John Klensin\" NIL \"KLENSIN\" \"MIT.EDU\")) NIL NIL \"<B27397-0100000@cac.washington.edu>\") BODYSTRUCTURE (\"TEXT\" \"PLAIN\" (\"CHARSET\" \"US-ASCII\") NIL NIL \"7BIT\" 3028 92))\r\n";
