//! `dovecot-uidlist` version 3: which base has which UID.

use std::collections::{HashMap, HashSet};

use crate::object_id::ObjectId;

/// The list as it stands in the file.
#[derive(Debug, Default)]
pub(crate) struct UidList {
    pub(crate) uid_validity: u32,
    pub(crate) uid_next: u32,
    /// Header fields of others (the mailbox GUID among them), kept as they are.
    header: Vec<String>,
    records: HashMap<Box<[u8]>, Record>,
    /// Bases that are gone and may have a line in the file still.
    gone: HashSet<Box<[u8]>>,
    /// Whether lines may be added behind the file's end: it is ours to read and ends with a line end.
    pub(crate) appendable: bool,
    /// Lines in the file.
    lines: usize,
}

#[derive(Debug)]
struct Record {
    uid: u32,
    /// Fields of others between UID and name.
    fields: Box<str>,
}

impl UidList {
    pub(crate) fn new(uid_validity: u32, uid_next: u32) -> Self {
        Self {
            uid_validity,
            uid_next,
            ..Self::default()
        }
    }

    /// What the mailbox is known by, as Dovecot keeps it: the field `G`.
    pub(crate) fn object_id(&self) -> Option<ObjectId> {
        let mut fields = self.header.iter();
        fields.find_map(|field| ObjectId::parse(field.strip_prefix('G')?))
    }

    /// The same, from the beginning of a file; `None` too when its first line is longer.
    pub(crate) fn object_id_in(start: &[u8]) -> Option<ObjectId> {
        let end = memchr::memchr(b'\n', start)?;
        Self::parse(start.get(..=end)?)?.object_id()
    }

    /// From the next [`write`](Self::write) on.
    pub(crate) fn set_object_id(&mut self, id: ObjectId) {
        self.header.retain(|field| !field.starts_with('G'));
        self.header.push(format!("G{id}"));
    }

    /// Reads the file; `None` when its header is no version 3 (or Courier's version 1) header.
    ///
    /// A last line without line end is one that a crash cut; it was never acknowledged and is passed over, as is
    /// any line that is not in the form.
    pub(crate) fn parse(content: &[u8]) -> Option<Self> {
        let mut lines = content.split_inclusive(|&octet| octet == b'\n');
        let header = std::str::from_utf8(lines.next()?.strip_suffix(b"\n")?).ok()?;
        let mut list = Self {
            appendable: true,
            ..Self::default()
        };
        let mut words = header.split(' ');
        match words.next()? {
            "3" => {
                for word in words {
                    match word.split_at_checked(1) {
                        Some(("V", number)) => list.uid_validity = number.parse().ok()?,
                        Some(("N", number)) => list.uid_next = number.parse().ok()?,
                        _ if word.is_empty() => {}
                        _ => list.header.push(word.to_owned()),
                    }
                }
            }
            "1" => {
                list.uid_validity = words.next()?.parse().ok()?;
                list.uid_next = words.next()?.parse().ok()?;
                list.appendable = false;
            }
            _ => return None,
        }
        if list.uid_validity == 0 {
            return None;
        }
        list.uid_next = list.uid_next.max(1);
        let version_1 = !list.appendable;
        let mut last = 0;
        for line in lines {
            let Some(line) = line.strip_suffix(b"\n") else {
                list.appendable = false;
                break;
            };
            list.lines += 1;
            match parse_record(line, version_1) {
                Some((uid, fields, base)) if uid > last => {
                    last = uid;
                    list.uid_next = list.uid_next.max(uid.saturating_add(1));
                    let record = Record {
                        uid,
                        fields: fields.into(),
                    };
                    // The later one counts; the file is to have one alone.
                    if list.records.insert(base.into(), record).is_some() {
                        list.appendable = false;
                    }
                }
                _ => list.appendable = false,
            }
        }
        Some(list)
    }

    /// Lines that `parse` passes over or that take another's place, by their numbers, and why.
    pub(crate) fn problems(content: &[u8]) -> Vec<(usize, &'static str)> {
        let mut problems = Vec::new();
        let version_1 = content.starts_with(b"1 ");
        let mut bases = HashSet::new();
        let mut last = 0;
        for (number, line) in content
            .split_inclusive(|&octet| octet == b'\n')
            .enumerate()
            .skip(1)
        {
            let problem = match line
                .strip_suffix(b"\n")
                .map(|line| parse_record(line, version_1))
            {
                None => Some("a crash cut it"),
                Some(None) => Some("it is not in the form"),
                Some(Some((uid, _, _))) if uid <= last => {
                    Some("its UID is not above the one before")
                }
                Some(Some((uid, _, base))) => {
                    last = uid;
                    (!bases.insert(base)).then_some("its message has another UID already")
                }
            };
            problems.extend(problem.map(|problem| (number + 1, problem)));
        }
        problems
    }

    /// Gives a message's UID to another base; false when it has none.
    pub(crate) fn rename(&mut self, from: &[u8], to: &[u8]) -> bool {
        match self.records.remove(from) {
            Some(record) => {
                let fields = record
                    .fields
                    .split(' ')
                    .filter(|field| !field.starts_with('W'));
                let fields = fields.collect::<Vec<_>>().join(" ").into();
                self.records.insert(
                    to.into(),
                    Record {
                        uid: record.uid,
                        fields,
                    },
                );
                true
            }
            None => false,
        }
    }

    /// Takes away what is said of a message beside its UID.
    pub(crate) fn drop_fields(&mut self, base: &[u8]) {
        if let Some(record) = self.records.get_mut(base) {
            record.fields = "".into();
        }
    }

    /// The bases that have this UID or a higher one.
    pub(crate) fn bases_from(&self, uid: u32) -> impl Iterator<Item = &[u8]> {
        let from = self.records.iter();
        from.filter(move |(_, record)| record.uid >= uid)
            .map(|(base, _)| &**base)
    }

    pub(crate) fn uid(&self, base: &[u8]) -> Option<u32> {
        self.records.get(base).map(|record| record.uid)
    }

    /// The `W` field: size in wire form, for names that do not tell it.
    pub(crate) fn wire_size(&self, base: &[u8]) -> Option<u64> {
        let record = self.records.get(base)?;
        record
            .fields
            .split(' ')
            .find_map(|field| field.strip_prefix('W')?.parse().ok())
    }

    /// Whether so many UIDs are left.
    pub(crate) fn has_room(&self, count: usize) -> bool {
        usize::try_from(u32::MAX - self.uid_next).unwrap_or(usize::MAX) >= count
    }

    /// Gives the next UID to a base and adds its line to `out`; `None` when none is left.
    pub(crate) fn assign(&mut self, base: &[u8], out: &mut Vec<u8>) -> Option<u32> {
        let uid = self.uid_next;
        self.uid_next = uid.checked_add(1)?;
        write_record(uid, "", base, out);
        let record = Record {
            uid,
            fields: "".into(),
        };
        let had_one = self.records.insert(base.into(), record).is_some();
        if had_one || self.gone.remove(base) {
            // A message that was shown as gone is back: Dovecot takes two lines of one base for damage.
            self.appendable = false;
        }
        self.lines += 1;
        Some(uid)
    }

    pub(crate) fn forget(&mut self, base: &[u8]) {
        if self.records.remove(base).is_some() {
            self.gone.insert(base.into());
        }
    }

    /// Whether most of the file's lines are of messages that are gone.
    pub(crate) fn wasteful(&self) -> bool {
        self.lines > 64 && self.lines > self.records.len().saturating_mul(2)
    }

    /// The whole file anew.
    pub(crate) fn write(&mut self) -> Vec<u8> {
        let mut out = format!("3 V{} N{}", self.uid_validity, self.uid_next).into_bytes();
        for field in &self.header {
            out.push(b' ');
            out.extend_from_slice(field.as_bytes());
        }
        out.push(b'\n');
        let mut records: Vec<_> = self.records.iter().collect();
        records.sort_unstable_by_key(|(_, record)| record.uid);
        for (base, record) in &records {
            write_record(record.uid, &record.fields, base, &mut out);
        }
        self.lines = records.len();
        self.gone.clear();
        self.appendable = true;
        out
    }
}

/// `UID [fields] :base`, with the flags that a name may carry left off.
fn parse_record(line: &[u8], version_1: bool) -> Option<(u32, &str, &[u8])> {
    let space = memchr::memchr(b' ', line)?;
    let (uid, rest) = line.split_at_checked(space)?;
    let uid: u32 = std::str::from_utf8(uid).ok()?.parse().ok()?;
    let rest = rest.get(1..)?;
    let (fields, name) = if version_1 {
        ("", rest)
    } else if let Some(name) = rest.strip_prefix(b":") {
        ("", name)
    } else {
        let at = memchr::memmem::find(rest, b" :")?;
        let (fields, name) = rest.split_at_checked(at)?;
        (std::str::from_utf8(fields).ok()?, name.get(2..)?)
    };
    let base = super::name::base(name);
    (uid > 0 && !base.is_empty()).then_some((uid, fields, base))
}

fn write_record(uid: u32, fields: &str, base: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(uid.to_string().as_bytes());
    out.push(b' ');
    if !fields.is_empty() {
        out.extend_from_slice(fields.as_bytes());
        out.push(b' ');
    }
    out.push(b':');
    out.extend_from_slice(base);
    out.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dovecots_own() {
        let file = b"3 V1275660208 N25022 G3085f01b7f11094c501100008c4a11c1\n\
            25006 :1276528487.M364837P9451.kurkku,S=1355,W=1394:2,\n\
            25017 W2481 :1276533073.M242911P3632.kurkku:2,F\n";
        let mut list = UidList::parse(file).unwrap();
        assert!(list.appendable);
        assert_eq!((list.uid_validity, list.uid_next), (1_275_660_208, 25022));
        assert_eq!(list.uid(b"1276533073.M242911P3632.kurkku"), Some(25017));
        let id = ObjectId::parse("3085f01b7f11094c501100008c4a11c1");
        assert_eq!((list.object_id(), UidList::object_id_in(file)), (id, id));
        assert_eq!(
            list.wire_size(b"1276533073.M242911P3632.kurkku"),
            Some(2481)
        );
        assert_eq!(
            list.write(),
            b"3 V1275660208 N25022 G3085f01b7f11094c501100008c4a11c1\n\
            25006 :1276528487.M364837P9451.kurkku,S=1355,W=1394\n\
            25017 W2481 :1276533073.M242911P3632.kurkku\n"
        );
        let mut lines = Vec::new();
        assert_eq!(list.assign(b"x,S=1", &mut lines), Some(25022));
        assert_eq!(lines, b"25022 :x,S=1\n");
    }

    #[test]
    fn a_base_has_one_line() {
        let mut list = UidList::parse(b"3 V9 N9\n1 :a\n2 :b\n3 :c\n").unwrap();
        let mut lines = Vec::new();
        list.forget(b"a");
        assert_eq!(list.assign(b"d", &mut lines), Some(9));
        assert!(list.appendable);
        assert_eq!(list.assign(b"a", &mut lines), Some(10));
        assert!(!list.appendable);
        assert_eq!(list.write(), b"3 V9 N11\n2 :b\n3 :c\n9 :d\n10 :a\n");
        assert_eq!(list.assign(b"b", &mut lines), Some(11));
        assert!(!list.appendable);
        assert_eq!(list.write(), b"3 V9 N12\n3 :c\n9 :d\n10 :a\n11 :b\n");
        let twice = b"3 V9 N9\n1 :a\n2 :b\n3 :a\n";
        assert_eq!(UidList::problems(twice).len(), 1);
        let list = UidList::parse(twice).unwrap();
        assert_eq!((list.uid(b"a"), list.appendable), (Some(3), false));
    }

    #[test]
    fn cut_and_broken_lines() {
        let list = UidList::parse(b"3 V9 N3\n7 :a\n8 :b").unwrap();
        assert!(!list.appendable);
        assert_eq!(
            (list.uid(b"a"), list.uid(b"b"), list.uid_next),
            (Some(7), None, 8)
        );
        let list = UidList::parse(b"3 V9 N30\n7 :a\n5 :late\nx y\n9 :c\n").unwrap();
        assert!(!list.appendable);
        assert_eq!(
            (list.uid(b"late"), list.uid(b"c"), list.uid_next),
            (None, Some(9), 30)
        );
        for bad in [&b""[..], b"3 V0 N1\n", b"2 V1\n", b"3 V1 N1"] {
            assert!(UidList::parse(bad).is_none());
        }
        let courier = UidList::parse(b"1 99 12\n4 x:2,S\n").unwrap();
        assert_eq!(
            (courier.uid_validity, courier.uid(b"x"), courier.appendable),
            (99, Some(4), false)
        );
    }
}
