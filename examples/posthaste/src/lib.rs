//! The posthaste mail server: SMTP in and out, filters, durable storage, IMAP and POP3.
