//! What one run may use up.

/// Bounds of one evaluation. Exceeding one ends it with an [`Error`](crate::Error).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Octets of one rcfile: a file that is not an rcfile at all would otherwise be read whole.
    pub rc_size: usize,
    /// Rcfiles included in one another: an rcfile that includes itself never ends.
    pub include_depth: usize,
    /// Rcfiles opened in one run: `SWITCHRC=$_` never ends.
    pub rc_files: usize,
    /// Blocks nested in one another.
    pub brace_depth: usize,
    /// Statements executed in one run.
    pub statements: usize,
    /// Variables, as captures and computed rcfiles may add any number.
    pub variables: usize,
    /// Octets of one value: MATCH and captures are not bounded by LINEBUF.
    pub value_size: usize,
    /// Octets of all names and values.
    pub environment_size: usize,
    /// Octets of a regular expression after macro expansion.
    pub regex_length: usize,
    /// Groups nested in one another: the compiler is recursive.
    pub regex_depth: usize,
    /// States of one compiled expression.
    pub regex_states: usize,
    /// States times octets searched in one run: a message can be made to match slowly, most of all by an expression with
    /// `\/` that is counted, each of whose matches may look at all the rest of the text.
    pub regex_work: u64,
    /// Effects asked of the host in one run.
    pub effects: usize,
    /// Clones made in one run; each has its own copy of the variables.
    pub clones: usize,
    /// Backquotes nested in one another.
    pub expansion_depth: usize,
    /// Octets of log: VERBOSE repeats whatever is assigned.
    pub log_size: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            rc_size: 1 << 20,
            include_depth: 32,
            rc_files: 1_000,
            brace_depth: 128,
            statements: 100_000,
            variables: 10_000,
            value_size: 1 << 20,
            environment_size: 16 << 20,
            regex_length: 64 << 10,
            regex_depth: 250,
            regex_states: 100_000,
            regex_work: 10_000_000_000,
            effects: 10_000,
            clones: 64,
            expansion_depth: 32,
            log_size: 16 << 20,
        }
    }
}
