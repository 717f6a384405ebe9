//! The command line.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use super::header::name_length;

pub(super) const USAGE_TEXT: &str = "\
Usage: formail [-vbczfrktqY] [-D nnn idcache] [-p prefix] [-l folder]
        [-xXaAiIuU field] [-R ofield nfield]
   Or: formail [+nnn] [-nnn] [-bczfrktedqBY] [-D nnn idcache] [-p prefix]
        [-m nnn] [-n [nnn]] [-l folder] [-xXaAiIuU field] [-R ofield nfield]
        -s [prg [arg ...]]
";

/// One thing to do to fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) letter: u8,
    pub(super) name: Vec<u8>,
    /// For `-R`: the new name.
    pub(super) with: Vec<u8>,
}

/// The command line, read.
#[derive(Debug, Default)]
pub(super) struct Options {
    pub(super) no_from: bool,
    pub(super) no_quoting: bool,
    pub(super) concatenate: bool,
    pub(super) zap: bool,
    pub(super) reply: bool,
    pub(super) trust: bool,
    pub(super) keep_body: bool,
    pub(super) ignore_content_length: bool,
    pub(super) prefix: Option<Vec<u8>>,
    pub(super) cache: Option<(u64, OsString)>,
    pub(super) abstract_folder: Option<Vec<u8>>,
    pub(super) changes: Vec<Change>,
    /// The program that each message goes to, with its arguments; none of them to print.
    pub(super) split: Option<Vec<OsString>>,
    pub(super) skip: usize,
    pub(super) total: Option<usize>,
    /// `-d`: messages may begin without a `From ` line.
    pub(super) digest: bool,
    /// `-e`: and without an empty line before them.
    pub(super) every: bool,
    pub(super) babyl: bool,
    /// So many fields have to head a message.
    pub(super) minimum: usize,
}

/// Fields that head a message, where nothing else is said.
const MINIMUM: usize = 2;

impl Options {
    /// None if they make no sense.
    pub(super) fn parse(arguments: &[OsString]) -> Option<Self> {
        let mut options = Self::default();
        let mut rest = arguments.iter().map(|argument| argument.as_bytes());
        // Programs may run beside one another; here they run in turn.
        let mut beside = false;
        while let Some(argument) = rest.next() {
            let mut letters = match argument.split_first()? {
                (b'+', digits) => {
                    let (skip, after) = leading_number(digits)?;
                    options.skip = skip;
                    after
                }
                (b'-', letters) => letters,
                _ => return None,
            };
            while let Some((letter, after)) = letters.split_first() {
                letters = after;
                let mut value = || {
                    let own = Some(after).filter(|own| !own.is_empty());
                    own.or_else(|| rest.next())
                };
                match letter {
                    b'f' => options.no_from = true,
                    b'b' => options.no_quoting = true,
                    b'c' => options.concatenate = true,
                    b'z' => options.zap = true,
                    b'r' => options.reply = true,
                    b't' => options.trust = true,
                    b'k' => options.keep_body = true,
                    b'Y' => options.ignore_content_length = true,
                    b'd' => options.digest = true,
                    b'e' => options.every = true,
                    b'B' => {
                        options.babyl = true;
                        options.digest = true;
                        options.every = true;
                    }
                    // What it is to be quiet about is not told here.
                    b'q' => letters = after.strip_prefix(b"-").unwrap_or(after),
                    b'n' => {
                        beside = true;
                        let count = value()?;
                        let sign = usize::from(matches!(count.first(), Some(b'+' | b'-')));
                        (_, letters) = leading_number(count.get(sign..)?)?;
                    }
                    b'm' => (options.minimum, letters) = leading_number(value()?)?,
                    b'0'..=b'9' => {
                        let digits = argument.get(argument.len() - after.len() - 1..)?;
                        let (total, after) = leading_number(digits)?;
                        options.total = Some(total);
                        letters = after;
                    }
                    b'p' => {
                        options.prefix = Some(value()?.to_vec());
                        letters = &[];
                    }
                    b'l' => {
                        options.abstract_folder = Some(value()?.to_vec());
                        letters = &[];
                    }
                    b'D' => {
                        let (size, own) = leading_number(value()?)?;
                        let own = Some(own).filter(|own| !own.is_empty());
                        let file = own.or_else(|| rest.next())?;
                        let file = OsStr::from_bytes(file).to_owned();
                        options.cache = Some((u64::try_from(size).ok()?, file));
                        letters = &[];
                    }
                    b'x' | b'X' | b'a' | b'A' | b'i' | b'I' | b'u' | b'U' => {
                        let name = value()?.to_vec();
                        options.changes.push(Change::new(*letter, name)?);
                        letters = &[];
                    }
                    b'R' => {
                        let name = value()?.to_vec();
                        let with = rest.next()?.to_vec();
                        options.changes.push(Change {
                            letter: *letter,
                            name,
                            with,
                        });
                        letters = &[];
                    }
                    b's' if after.is_empty() => {
                        let program = rest.by_ref();
                        let program = program.map(|word| OsString::from_vec(word.to_vec()));
                        options.split = Some(program.collect());
                    }
                    _ => return None,
                }
            }
        }
        let splits = options.skip > 0
            || options.total.is_some()
            || options.every
            || options.digest
            || options.minimum > 0
            || beside;
        if options.minimum == 0 {
            options.minimum = MINIMUM;
        }
        (options.split.is_some() || !splits).then_some(options)
    }

    /// Does what is to be written go together?
    pub(super) fn make_sense(&self) -> bool {
        let extracts = self.wants(b"xX");
        !(extracts && self.abstract_folder.is_some()) && (!self.keep_body || self.reply || extracts)
    }

    pub(super) fn wants(&self, letters: &[u8]) -> bool {
        self.changes
            .iter()
            .any(|change| letters.contains(&change.letter))
    }

    /// `-I ""`
    pub(super) fn leaves_out_header(&self) -> bool {
        self.changes
            .iter()
            .any(|change| change.letter == b'I' && change.name.is_empty())
    }

    /// Are whole fields extracted, but not the one that tells the length of the body?
    pub(super) fn keeps_fields_but_length(&self) -> bool {
        let mut names = self
            .changes
            .iter()
            .filter(|change| change.letter == b'X')
            .map(|change| &change.name)
            .peekable();
        names.peek().is_some()
            && !names.any(|name| super::header::matches(b"Content-Length:", name))
    }
}

impl Change {
    /// None if the text is not that of a field. The names of those that are added have to be
    /// whole.
    fn new(letter: u8, name: Vec<u8>) -> Option<Self> {
        let whole = name_length(&name).is_some();
        let part = name.iter().all(|byte| *byte > b' ' && *byte != b':');
        (whole || part && !matches!(letter, b'a' | b'A')).then_some(Self {
            letter,
            name,
            with: Vec::new(),
        })
    }
}

pub(super) fn number(text: &[u8]) -> Option<usize> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// The number that a text begins with, and what follows it.
fn leading_number(text: &[u8]) -> Option<(usize, &[u8])> {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, after) = text.split_at_checked(digits)?;
    Some((number(digits)?, after))
}
