//! The command line.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use super::header::name_length;

pub(super) const USAGE_TEXT: &str = "\
Usage: formail [-vbczfrktqY] [-D nnn idcache] [-p prefix] [-l folder]
	[-xXaAiIuU field] [-R ofield nfield]
   Or: formail [+nnn] [-nnn] [-bczfrktedqBY] [-D nnn idcache] [-p prefix]
	[-n [nnn]] [-m nnn] [-l folder] [-xXaAiIuU field] [-R ofield nfield]
	-s [prg [arg ...]]
";

/// What `-h` tells besides.
pub(super) const HELP_TEXT: &str = "
 -v             tell the version
 -b             leave lines of the body that begin with From as they are
 -Y             do not believe Content-Length
 -c             join folded fields
 -z             a blank behind each colon, and no empty fields
 -f             make no From line
 -r             make the header of a reply
 -k             keep the body in a reply, or with what is extracted
 -t             reply to whom the header names, and not to the envelope's sender
 -l folder      tell of the message as procmail's log does
 -D n cache     is the message in a cache of so many octets?
 -s prg arg     split a mailbox, and start a program for each message
 +n, -n         skip so many messages; treat no more than so many
 -n [n]         programs may run beside one another
 -d, -e, -B     split digests; without empty lines; Babyl files
 -m n           so many fields head a message (2)
 -q             tell of no duplicates and wrong lengths; -q- does
 -p prefix      what quotes a line
 -x, -X field   extract what a field says; with its name
 -a, -A field   add a field if there is none; in any case
 -i, -I field   add a field, and rename those there are; remove them
 -u, -U field   keep the first of several fields; the last
 -R old new     rename a field
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
    /// `-q-`: duplicates and wrong lengths are told of.
    pub(super) talks: bool,
}

/// A command line that is refused.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It makes no sense.
    Usage,
    /// This is not what fields are called.
    Name(Vec<u8>),
    /// `-v`
    Version,
    /// `-h`
    Help,
}

/// Fields that head a message, where nothing else is said.
const MINIMUM: usize = 2;

impl Options {
    pub(super) fn parse(arguments: &[OsString]) -> Result<Self, Refusal> {
        const NO_SENSE: Refusal = Refusal::Usage;
        let mut options = Self::default();
        let mut rest = arguments.iter().map(|argument| argument.as_bytes());
        // Programs may run beside one another; here they run in turn.
        let mut beside = false;
        while let Some(argument) = rest.next() {
            let mut letters = match argument.split_first().ok_or(NO_SENSE)? {
                (b'+', digits) => {
                    let (skip, after) = leading_number(digits).ok_or(NO_SENSE)?;
                    options.skip = skip;
                    after
                }
                (b'-', letters) => letters,
                _ => return Err(NO_SENSE),
            };
            while let Some((letter, after)) = letters.split_first() {
                letters = after;
                let mut value = || {
                    let own = Some(after).filter(|own| !own.is_empty());
                    own.or_else(|| rest.next()).ok_or(NO_SENSE)
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
                    b'q' => {
                        options.talks = after.starts_with(b"-");
                        letters = after.strip_prefix(b"-").unwrap_or(after);
                    }
                    b'n' => {
                        beside = true;
                        let count = value()?;
                        let sign = usize::from(matches!(count.first(), Some(b'+' | b'-')));
                        let number = count.get(sign..).and_then(leading_number);
                        // Other letters may follow at once.
                        letters = match number {
                            Some((_, letters)) => letters,
                            None if !after.is_empty() => after,
                            None => return Err(NO_SENSE),
                        };
                    }
                    b'm' => {
                        (options.minimum, letters) = leading_number(value()?).ok_or(NO_SENSE)?;
                    }
                    b'0'..=b'9' => {
                        let digits = argument.get(argument.len() - after.len() - 1..);
                        let (total, after) = digits.and_then(leading_number).ok_or(NO_SENSE)?;
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
                        let (size, own) = leading_number(value()?).ok_or(NO_SENSE)?;
                        let own = Some(own).filter(|own| !own.is_empty());
                        let file = own.or_else(|| rest.next()).ok_or(NO_SENSE)?;
                        let file = OsStr::from_bytes(file).to_owned();
                        let size = u64::try_from(size).map_err(|_| NO_SENSE)?;
                        options.cache = Some((size, file));
                        letters = &[];
                    }
                    b'x' | b'X' | b'a' | b'A' | b'i' | b'I' | b'u' | b'U' => {
                        let name = value()?.to_vec();
                        options.changes.push(Change::new(*letter, name)?);
                        letters = &[];
                    }
                    b'R' => {
                        let name = value()?.to_vec();
                        let with = rest.next().unwrap_or(&[]).to_vec();
                        options.changes.push(Change::renaming(name, with)?);
                        letters = &[];
                    }
                    b's' if after.is_empty() => {
                        let program = rest.by_ref();
                        let program = program.map(|word| OsString::from_vec(word.to_vec()));
                        options.split = Some(program.collect());
                    }
                    b'v' => return Err(Refusal::Version),
                    b'h' | b'?' => return Err(Refusal::Help),
                    _ => return Err(NO_SENSE),
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
        if options.split.is_none() && splits {
            return Err(NO_SENSE);
        }
        Ok(options)
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
    /// Refused if the text is not that of a field. The names of those that are added have to be
    /// whole.
    fn new(letter: u8, mut name: Vec<u8>) -> Result<Self, Refusal> {
        if let Some(start) = name.get_mut(..FROM.len())
            && start.eq_ignore_ascii_case(FROM)
        {
            start.copy_from_slice(FROM);
        }
        let whole = name_length(&name).is_some();
        if whole || is_part(&name) && !matches!(letter, b'a' | b'A') {
            return Ok(Self {
                letter,
                name,
                with: Vec::new(),
            });
        }
        Err(Refusal::Name(name))
    }

    /// `-R`: the names have to be whole, or the old one is the beginning of names, and the new
    /// one what they begin with then.
    fn renaming(name: Vec<u8>, with: Vec<u8>) -> Result<Self, Refusal> {
        let old = Self::new(b'R', name).map_err(|_| Refusal::Usage)?;
        let name = whole_name(&old.name);
        let renamed = match (name, whole_name(&with)) {
            (Some(name), Some(with)) => Some((name, with)),
            (None, Some(with)) if is_part(&old.name) => Some((old.name.clone(), with)),
            (None, None) if is_part(&old.name) && is_part(&with) && !with.is_empty() => {
                Some((old.name.clone(), with.clone()))
            }
            _ => None,
        };
        let (name, with) = renamed.ok_or(Refusal::Name(with))?;
        Ok(Self {
            letter: b'R',
            name,
            with,
        })
    }
}

/// What envelope lines begin with.
const FROM: &[u8] = b"From ";

/// Can names of fields begin so?
fn is_part(text: &[u8]) -> bool {
    text.iter().all(|byte| *byte > b' ' && *byte != b':')
}

/// The name that a text is, but for blanks behind it.
fn whole_name(text: &[u8]) -> Option<Vec<u8>> {
    let (name, rest) = text.split_at_checked(name_length(text)?)?;
    rest.trim_ascii().is_empty().then(|| name.to_vec())
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
