//! Bounds on what a script may cost.

/// Limits of compiler and evaluator; each names what it guards against.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Largest source in octets: a script is read whole into memory. Default 1 MiB.
    pub script_size: usize,
    /// Deepest nesting of blocks and tests: the parser recurses, and thousands of `not` would exhaust the stack. Default 32.
    pub nesting: usize,
    /// Diagnostics reported for one script: a source of garbage must not make a report many times its size. Default 100.
    pub diagnostics: usize,
    /// Instructions executed in one evaluation: loops over crafted part trees and includes multiply. Default 100,000.
    pub steps: u64,
    /// Octets that tests and strings of one evaluation go through, each key for itself: thousands of tests on the body of
    /// a large message. A field of the header, a key and a part count as a few octets more. Default 1 GiB.
    pub octets: u64,
    /// Actions of one evaluation that store, send or report: stops amplification. Default 32.
    pub actions: usize,
    /// Redirects of one evaluation (RFC 5228 §10 demands such a limit): stops mail bombs. Default 4.
    pub redirects: usize,
    /// Notifications of one evaluation. Default 4.
    pub notifications: usize,
    /// Distinct variables (RFC 5229 §6 demands at least 128). Default 256.
    pub variables: usize,
    /// Octets of one expanded string or variable: stops doubling (`set "a" "${a}${a}"`). Longer values are cut. Default 64 KiB.
    pub string_size: usize,
    /// Octets of text that a `body` test or `extracttext` decodes from one message: nested encodings. Default 16 MiB.
    pub body_text: usize,
    /// Octets a compiled regular expression may take: `(a{1000}){1000}`. Default 1 MiB.
    pub regex_size: usize,
    /// Octets that all regular expressions of a script may take together: many that are just small enough. Default 16 MiB.
    pub regex_total: usize,
    /// Octets of a compiled script that is loaded: what is read is held in memory. Default 16 MiB.
    pub compiled_size: usize,
    /// Depth of `include`: a script that includes itself. Default 10.
    pub include_depth: usize,
    /// Scripts included in one evaluation. Default 64.
    pub includes: usize,
    /// Nested `foreverypart` loops: each multiplies the parts visited. Default 4.
    pub part_loops: usize,
    /// Header fields changed by one evaluation: each change shifts the list. Default 256.
    pub header_changes: usize,
    /// Entries kept of a trace. Default 10,000.
    pub trace: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            script_size: 1 << 20,
            nesting: 32,
            diagnostics: 100,
            steps: 100_000,
            octets: 1 << 30,
            actions: 32,
            redirects: 4,
            notifications: 4,
            variables: 256,
            string_size: 64 << 10,
            body_text: 16 << 20,
            regex_size: 1 << 20,
            regex_total: 16 << 20,
            compiled_size: 16 << 20,
            include_depth: 10,
            includes: 64,
            part_loops: 4,
            header_changes: 256,
            trace: 10_000,
        }
    }
}
