//! What is wrong with an rcfile, or looks as if something else had been meant.

use std::fmt;

use crate::ast::{Script, Span};

/// A finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// What it is.
    pub kind: Kind,
    /// Where it is.
    pub span: Span,
    /// A change that mends it, where one is known.
    pub fix: Option<Fix>,
}

/// A change of the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fix {
    /// What is replaced; empty to insert.
    pub span: Span,
    /// What takes its place.
    pub text: Vec<u8>,
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Severity {
    /// procmail does what the text says, which may not be what was meant.
    Warning,
    /// procmail does not understand the text.
    Error,
}

macro_rules! kinds {
    ($($(#[doc = $doc:literal])* $name:ident $severity:ident $message:literal $hint:literal)*) => {
        /// The kinds of finding.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum Kind {
            $($(#[doc = $doc])* $name,)*
        }

        impl Kind {
            /// All kinds.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// How bad it is.
            #[must_use]
            pub fn severity(self) -> Severity {
                match self {
                    $(Self::$name => Severity::$severity,)*
                }
            }

            /// What is the matter.
            #[must_use]
            pub fn message(self) -> &'static str {
                match self {
                    $(Self::$name => $message,)*
                }
            }

            /// What to do about it.
            #[must_use]
            pub fn hint(self) -> &'static str {
                match self {
                    $(Self::$name => $hint,)*
                }
            }
        }
    };
}

kinds! {
    /// A line that is no statement.
    Skipped Error "this is no statement, and is passed over"
        "write NAME=value, a recipe that begins with :0, or # in front of a comment"
    /// A `}` that closes nothing.
    StrayBrace Error "this brace closes no block"
        "delete it, or put the { of its block on the action line"
    /// A block without an end.
    UnclosedBlock Error "this block is never closed"
        "add a line with } where it ends; blocks cannot reach into other files"
    /// Blocks nested too deeply.
    TooDeep Error "blocks are nested too deeply"
        "put the inner blocks into a file and include it with INCLUDERC"
    /// A quote without an end.
    UnclosedQuote Error "this quote is never closed"
        "add the closing quote; without it everything up to the end of the file belongs to it"
    /// `${` with something else than a name.
    BadSubstitution Error "this is no substitution that procmail knows"
        "only ${NAME}, ${NAME:-word}, ${NAME-word}, ${NAME:+word} and ${NAME+word} are known"
    /// A recipe without an action.
    MissingAction Error "this recipe has no action, and does nothing"
        "add a line with a folder, ! and addresses, | and a program, or a block"
    /// Unknown flags and other text.
    LeftOnRecipeLine Error "something on this line is not understood, and is passed over"
        "flags are H B D A a E e h b c f w W i r; behind a second colon one lockfile may be named"
    /// Parentheses that do not match.
    UnbalancedRegex Error "the parentheses of this expression do not match"
        "add or delete one; for the character itself put a backslash in front of it"
    /// Text behind the number of a size.
    TextAfterSize Error "only the number counts, what follows is passed over"
        "write the size in octets, without a unit"
    /// CRLF line ends.
    CarriageReturn Error "this line ends in CR LF, and the CR is taken for a part of it"
        "write line ends as LF alone"
    /// A `"` in backquotes in double quotes.
    QuoteInBackquotes Warning "this double quote ends the command in backquotes"
        "write \\\" for it, or take the quotes around the backquotes away"
    /// Something that only values decide.
    DependsOnValues Warning "what this means depends on the values of variables"
        "write flags as they are, and put a substitution in front of # in double quotes"
    /// An mbox written without a lock.
    MissingLock Warning "mail is appended to this file without a lock, so two deliveries can mix"
        "add a second colon behind the flags: \":0:\""
    /// A lock for what needs none.
    UselessLock Warning "this lock is of no use"
        "take the second colon away: directories and /dev/null need no lock, and a block only with the flag c"
    /// `.` in what looks like a domain.
    UnescapedDot Warning "this dot stands for any character"
        "put a backslash in front of it"
    /// `*` at the start of a line that continues a condition.
    StarOnContinuation Warning "this line continues the condition above, so its star is part of the expression"
        "take the backslash at the end of the line before away, or the star"
    /// `:` without a number.
    NoNumber Warning "without a number the next line is a condition even if it has no star"
        "write :0 and put a star in front of each condition"
    /// `:2`
    CountedConditions Warning "counting the conditions is a form of old; the next lines are conditions with or without a star"
        "write :0 and put a star in front of each condition"
    /// `A=x junk`
    JunkAfterValue Warning "this is no part of the value before it: the variable of that name is removed"
        "put the whole value in double quotes"
    /// `{ A= }`
    BraceAsValue Warning "this brace is the value, and closes no block"
        "write an empty value as \"\""
    /// A comment with a backslash at its end.
    ContinuedComment Warning "comments are not continued: the next line is one of its own"
        "put # in front of the next line, or delete the backslash"
    /// `#` in a condition.
    HashInCondition Warning "there are no comments in conditions: this is part of the expression"
        "put the comment on a line of its own"
    /// A folder that looks like a condition.
    MissingStar Warning "this is taken for a folder's name"
        "put a star in front of it to make it a condition"
    /// A leading `\/` or `\<`.
    LostBackslash Warning "a backslash that a condition begins with is dropped, so this is a literal character"
        "put () in front of it"
    /// `a\/|b`
    MarkAtTheEnd Warning "an alternative that ends in \\/ goes on with the next one"
        "put () behind it"
    /// `* $NAME`
    DollarCondition Warning "the $ asks for substitution and the name behind it is the expression"
        "write $ twice: \"* $ $NAME\""
    /// `^TOTAL`
    ToMacro Warning "the macro ^TO stands for the fields with addressees, here too"
        "put () behind the ^, or write ^TO_ for addressees"
    /// A clone whose block may not deliver.
    CloneFallsOut Warning "a clone that does not deliver in its block goes on behind it, and the mail is delivered twice"
        "end the block with a recipe that delivers, or take the flag c away"
    /// A filter that is not waited for.
    FilterWithoutWait Warning "if this filter fails, what is left of the mail is used nevertheless"
        "add the flag w"
    /// `i` on a folder.
    IgnoredFolderErrors Warning "with the flag i mail that cannot be written is lost"
        "take the flag i away: it is meant for programs"
    /// An empty LOCKEXT.
    EmptyLockExtension Warning "an empty LOCKEXT makes the folder its own lock, and it is deleted with it"
        "delete the line: the default is .lock"
    /// An empty UMASK.
    EmptyUmask Warning "an empty UMASK lets everybody read and write all folders"
        "write UMASK=077"
    /// `$_NAME`
    RcNameThenText Warning "this is $_, the rcfile's name, and text behind it"
        "put the name in braces: ${_NAME}"
    /// `:0: c`
    FlagsAsLock Warning "this is taken for the lockfile's name"
        "put the flags in front of the second colon"
    /// Flags that say opposite things.
    ConflictingFlags Warning "these flags exclude one another"
        "with e, take E and a away"
    /// Flags that mean nothing here.
    ExtraneousFlags Warning "a flag of this recipe means nothing for its action"
        "take it away"
    /// `[[:alpha:]]`
    NamedClass Warning "there are no named classes: this is a class of these characters"
        "write the characters, [a-zA-Z] for letters"
    /// `\d`, `\n`
    LetterEscape Warning "a backslash makes the letter behind it stand for itself, and nothing else"
        "write the class: [0-9] for a digit, $ for the end of a line"
    /// `x{2,3}`
    BraceRepeat Warning "braces repeat nothing: they stand for themselves"
        "write the piece as often as it is wanted, with ? behind those that may be missing"
    /// `[\.]`
    BackslashInClass Warning "in brackets a backslash is a character like others"
        "take it away: nothing needs it there"
    /// Statements behind one that always delivers.
    NeverReached Warning "this is never reached: the recipe before it takes all mail"
        "delete it, or give the recipe before it a condition or the flag c"
    /// `NAME =| program`
    BlankBeforeCapture Warning "procmail damages the variable's name if there is a blank in front of the ="
        "delete the blank"
    /// `~/Mail`
    Tilde Warning "procmail knows no ~: this is a folder of that name"
        "write $HOME"
    /// `SWITCHRC=$_`
    EndlessSwitch Warning "an rcfile that switches to itself may never end"
        "make sure that a variable ends it"
    /// `HOST=`
    HostCheck Warning "where this is not the name of the machine, all mail is lost"
        "test \"HOST ?? ^^name^^\" instead"
}

impl Diagnostic {
    pub(crate) fn new(kind: Kind, span: Span) -> Self {
        Self {
            kind,
            span,
            fix: None,
        }
    }

    pub(crate) fn with_fix(mut self, span: Span, text: impl Into<Vec<u8>>) -> Self {
        self.fix = Some(Fix {
            span,
            text: text.into(),
        });
        self
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.kind.message(), self.kind.hint())
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Warning => "warning",
            Self::Error => "error",
        })
    }
}

impl Diagnostic {
    /// The finding for people: the line with a caret under the place, and what to do. `name` is
    /// that of the rcfile.
    #[must_use]
    pub fn render(&self, name: &str, script: &Script) -> String {
        let (line, column) = script.position(self.span.start);
        let start = self.span.start + 1 - column;
        let rest = script.text().get(start..).unwrap_or(&[]);
        let end = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
        let shown = rest.get(..end).unwrap_or(&[]);
        let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
        let before = shown.get(..column - 1).unwrap_or(shown);
        let within = self.span.end.clamp(self.span.start, start + end);
        let marked = script.slice(&(self.span.start..within));
        // Tabs stay, so that the caret stands where they put the text.
        let space: String = text(before)
            .chars()
            .map(|letter| if letter == '\t' { '\t' } else { ' ' })
            .collect();
        let carets = "^".repeat(text(marked).chars().count().max(1));
        let gutter = " ".repeat(line.to_string().len());
        let mended = self.fix.as_ref().map(|fix| {
            let mended = fix.apply(script.text());
            let rest = mended.get(start..).unwrap_or(&[]);
            let line = rest.split(|octet| *octet == b'\n').next();
            format!("\n{gutter} = write: {}", text(line.unwrap_or(&[])))
        });
        format!(
            "{}: {}\n{gutter}--> {name}:{line}:{column}\n{gutter} |\n{line} | {}\n{gutter} | {space}{carets}\n{gutter} = help: {}{}",
            self.kind.severity(),
            self.kind.message(),
            text(shown),
            self.kind.hint(),
            // A change on another line would look like none.
            mended
                .filter(|_| {
                    self.fix
                        .as_ref()
                        .is_some_and(|fix| (start..=start + end).contains(&fix.span.start))
                })
                .unwrap_or_default()
        )
    }
}

impl Fix {
    /// The text with the change made.
    #[must_use]
    pub fn apply(&self, text: &[u8]) -> Vec<u8> {
        let before = text.get(..self.span.start).unwrap_or(text);
        let after = text.get(self.span.end..).unwrap_or(&[]);
        [before, &self.text, after].concat()
    }
}
