//! The procmailrc language: parser and pausable evaluator.
