//! SMTP, submission and LMTP: sans-IO server and client machines.
