//! Durable mail storage: Maildir++, mbox and a group-committing spool.
