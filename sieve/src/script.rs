//! The compiler's front door and what it makes.

use std::sync::Arc;

use crate::ast::Tree;
use crate::binary::LoadError;
use crate::capability::Capabilities;
use crate::diagnostic::{Diagnostic, DiagnosticKind, Sink};
use crate::limits::Limits;
use crate::position::Span;
use crate::program::Program;

/// Turns source into [`Script`]s.
#[derive(Clone, Debug, Default)]
pub struct Compiler {
    capabilities: Capabilities,
    limits: Limits,
    xmpp: bool,
}

impl Compiler {
    /// A compiler that offers [`Capabilities::default`] under [`Limits::default`].
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Offers these capabilities instead.
    #[must_use]
    pub fn capabilities(mut self, capabilities: Capabilities) -> Self {
        self.capabilities = capabilities;
        self
    }

    /// Sets these limits instead.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Allows notifications by XMPP (RFC 5437); see [`Config::xmpp`](crate::Config::xmpp).
    #[must_use]
    pub fn xmpp(mut self, offered: bool) -> Self {
        self.xmpp = offered;
        self
    }

    /// Checks a script and makes it ready to run.
    ///
    /// # Errors
    /// All that is wrong with it: errors, then warnings, each in the order of the source.
    pub fn compile(&self, source: impl AsRef<[u8]>) -> Result<Script, Vec<Diagnostic>> {
        let source = source.as_ref();
        let mut sink = Sink::new(source, self.limits.diagnostics);
        let tree = self.tree(&mut sink);
        let syntax_failed = sink.failed();
        let mut program =
            crate::check::check(&mut sink, &tree, self.capabilities, &self.limits, self.xmpp);
        if syntax_failed {
            // What is missing from a broken tree would be called unused or unreachable.
            sink.list.retain(|d| d.severity == crate::Severity::Error);
        }
        if sink.failed() {
            return Err(sink.into_list());
        }
        program.warnings = sink.into_list();
        Ok(Script {
            program: Arc::new(program),
        })
    }

    /// Loads what [`Script::to_bytes`] wrote, without its source and without [warnings](Script::warnings).
    ///
    /// The octets may come from anywhere: a script that is loaded is one that this compiler could have made, and is
    /// written again as the same octets. Its cost is bounded by the [limits](Self::limits).
    ///
    /// ```
    /// let compiler = sieve::Compiler::new();
    /// let script = compiler.compile("if size :over 1M { discard; }").unwrap();
    /// let octets = script.to_bytes();
    /// assert_eq!(compiler.load(&octets).unwrap().to_bytes(), octets);
    /// ```
    ///
    /// # Errors
    /// The octets are no compiled script, are damaged, or were written by another version or for a host that offers
    /// other capabilities. The script must then be compiled from its source.
    pub fn load(&self, compiled: &[u8]) -> Result<Script, LoadError> {
        let program = crate::binary::load(compiled, self.capabilities, &self.limits)?;
        Ok(Script {
            program: Arc::new(program),
        })
    }

    fn tree<'s>(&self, sink: &mut Sink<'s>) -> Tree<'s> {
        let longest = self.limits.script_size.min(crate::ast::LONGEST);
        if sink.source.len() > longest {
            sink.error(
                DiagnosticKind::Limit,
                Span::new(0, 0),
                format!("the script is larger than {longest} octets"),
            );
            return Tree::default();
        }
        crate::parser::parse(sink, self.limits.nesting)
    }
}

/// Compiles with default limits; see [`Compiler`].
///
/// # Errors
/// All that is wrong with the script, warnings included.
pub fn compile(
    source: impl AsRef<[u8]>,
    capabilities: &Capabilities,
) -> Result<Script, Vec<Diagnostic>> {
    Compiler::new().capabilities(*capabilities).compile(source)
}

/// The syntax tree of a script, for tools.
///
/// # Errors
/// The faults of syntax.
pub fn parse<'s>(source: &'s (impl AsRef<[u8]> + ?Sized)) -> Result<Tree<'s>, Vec<Diagnostic>> {
    let mut sink = Sink::new(source.as_ref(), Limits::default().diagnostics);
    let tree = Compiler::new().tree(&mut sink);
    if sink.failed() {
        return Err(sink.into_list());
    }
    Ok(tree)
}

/// A checked script, ready to run any number of times. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Script {
    pub(crate) program: Arc<Program>,
}

impl Script {
    /// What the compiler had doubts about.
    #[must_use]
    pub fn warnings(&self) -> &[Diagnostic] {
        &self.program.warnings
    }

    /// The compiled form as octets, for [`Compiler::load`].
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        crate::binary::save(&self.program)
    }

    /// What the script requires, with what that brings along.
    #[must_use]
    pub fn required(&self) -> Capabilities {
        self.program.required
    }
}
