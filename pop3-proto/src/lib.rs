//! POP3: sans-IO server and client machines.
