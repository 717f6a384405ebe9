//! IMAP4rev1 and IMAP4rev2: sans-IO server and client machines, grammar, and session bookkeeping.
