//! A mail message as byte ranges: structure, headers, decoding, building and editing.
