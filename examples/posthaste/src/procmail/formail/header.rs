//! A header as a list of fields.

/// A field with its name, folds and line end; or a `From ` line.
pub(super) type Field = Vec<u8>;

/// The fields of a message, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Header {
    fields: Vec<Field>,
}

/// Is it a `From ` line?
pub(super) fn is_from(line: &[u8]) -> bool {
    line.starts_with(b"From ")
}

/// Octets of a field's name with its colon; 5 for a `From ` line; none if it is no field.
pub(super) fn name_length(line: &[u8]) -> Option<usize> {
    if line.starts_with(b"From ") {
        return Some(5);
    }
    let colon = line
        .iter()
        .position(|byte| *byte == b':' || *byte <= b' ')?;
    let blanks = line
        .get(colon..)?
        .iter()
        .take_while(|byte| matches!(byte, b' ' | b'\t'))
        .count();
    (colon > 0 && line.get(colon + blanks) == Some(&b':')).then_some(colon + blanks + 1)
}

impl Header {
    pub(super) fn of(fields: Vec<Field>) -> Self {
        Self { fields }
    }

    pub(super) fn fields(&self) -> &[Field] {
        &self.fields
    }

    pub(super) fn fields_mut(&mut self) -> &mut Vec<Field> {
        &mut self.fields
    }

    pub(super) fn prepend(&mut self, field: Field) {
        self.fields.insert(0, field);
    }

    pub(super) fn push(&mut self, name: &[u8], value: &[u8]) {
        let mut field = name.to_vec();
        field.extend_from_slice(value);
        if !field.ends_with(b"\n") {
            field.push(b'\n');
        }
        self.fields.push(field);
    }

    /// What follows the name in the first field called so, without the line end.
    pub(super) fn value(&self, name: &[u8]) -> Option<&[u8]> {
        let field = self.fields.iter().find(|field| matches(field, name))?;
        let value = field.get(name_length(field)?..)?;
        Some(value.strip_suffix(b"\n").unwrap_or(value))
    }

    /// Joins folded fields.
    pub(super) fn unfold(&mut self) {
        for field in &mut self.fields {
            if !field.starts_with(b"From ") {
                unfold(field);
            }
        }
    }

    /// The header as it is, folded fields joined.
    pub(super) fn joined(&self) -> Vec<u8> {
        let mut copy = self.clone();
        copy.unfold();
        copy.fields.concat()
    }

    /// One blank after each colon, and no empty fields.
    pub(super) fn zap(&mut self) {
        self.fields.retain_mut(|field| {
            let Some(length) = name_length(field).filter(|_| !field.starts_with(b"From ")) else {
                return true;
            };
            let value = field.get(length..).unwrap_or(&[]);
            if value.len() > 1 && !matches!(value.first(), Some(b' ' | b'\t')) {
                field.insert(length, b' ');
                return true;
            }
            value.len() > 2
        });
    }
}

/// Newlines before blanks become blanks.
pub(super) fn unfold(field: &mut [u8]) {
    let last = field.len().saturating_sub(1);
    for byte in field.iter_mut().take(last).filter(|byte| **byte == b'\n') {
        *byte = b' ';
    }
}

/// Is the field called so? A name without a colon is the beginning of names.
pub(super) fn matches(field: &[u8], name: &[u8]) -> bool {
    let Some(length) = name_length(field) else {
        return false;
    };
    let own = field.get(..length).unwrap_or(&[]);
    if let Some(bare) = name.strip_suffix(b":") {
        if own == b"From " {
            return false;
        }
        let own = own.strip_suffix(b":").unwrap_or(own).trim_ascii_end();
        return own.eq_ignore_ascii_case(bare);
    }
    own.get(..name.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(name))
}
