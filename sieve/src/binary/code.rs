//! How each value is written and read.

use super::LoadError;
use crate::limits::Limits;

/// A value with one written form.
pub(crate) trait Code: Sized {
    fn put(&self, out: &mut Vec<u8>);

    /// # Errors
    /// The octets are not what [`put`](Self::put) writes.
    fn get(from: &mut Reader<'_>) -> Result<Self, LoadError>;
}

/// Octets to read, with what may still be made of them.
pub(crate) struct Reader<'o> {
    octets: &'o [u8],
    at: usize,
    pub(crate) regex_size: usize,
    /// Octets that regular expressions may still take: a few octets can ask for much.
    regex_left: usize,
}

impl<'o> Reader<'o> {
    pub(crate) fn new(octets: &'o [u8], at: usize, limits: &Limits) -> Self {
        Self {
            octets,
            at,
            regex_size: limits.regex_size,
            regex_left: limits.regex_total,
        }
    }

    pub(crate) fn malformed(&self) -> LoadError {
        LoadError::Malformed { at: self.at }
    }

    pub(crate) fn take_regex(&mut self, octets: usize) -> Result<(), LoadError> {
        self.regex_left = self
            .regex_left
            .checked_sub(octets)
            .ok_or(LoadError::Limit("regex_total"))?;
        Ok(())
    }

    pub(crate) fn octet(&mut self) -> Result<u8, LoadError> {
        let octet = self.octets.get(self.at).copied().ok_or(self.malformed())?;
        self.at += 1;
        Ok(octet)
    }

    pub(crate) fn slice(&mut self, length: usize) -> Result<&'o [u8], LoadError> {
        let end = self.at.checked_add(length).ok_or(self.malformed())?;
        let slice = self.octets.get(self.at..end).ok_or(self.malformed())?;
        self.at = end;
        Ok(slice)
    }

    pub(super) fn end(&self) -> Result<(), LoadError> {
        if self.at == self.octets.len() {
            Ok(())
        } else {
            Err(self.malformed())
        }
    }
}

impl Code for u64 {
    fn put(&self, out: &mut Vec<u8>) {
        let mut rest = *self;
        loop {
            let low = u8::try_from(rest & 0x7F).unwrap_or(0);
            rest >>= 7;
            if rest == 0 {
                return out.push(low);
            }
            out.push(low | 0x80);
        }
    }

    fn get(from: &mut Reader<'_>) -> Result<Self, LoadError> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let octet = from.octet()?;
            let low = u64::from(octet & 0x7F);
            let part = low << shift;
            // Bits shifted out at the top.
            if part >> shift != low {
                return Err(from.malformed());
            }
            value |= part;
            if octet & 0x80 == 0 {
                // A last octet of zero would have been left out.
                return if octet == 0 && shift > 0 {
                    Err(from.malformed())
                } else {
                    Ok(value)
                };
            }
        }
        Err(from.malformed())
    }
}

macro_rules! number {
    ($($type:ty),*) => {$(
        impl Code for $type {
            fn put(&self, out: &mut Vec<u8>) {
                u64::try_from(*self).unwrap_or(u64::MAX).put(out);
            }

            fn get(from: &mut Reader<'_>) -> Result<Self, LoadError> {
                Self::try_from(u64::get(from)?).map_err(|_| from.malformed())
            }
        }
    )*};
}

number!(usize, u32, u8);

/// Minutes of a time zone.
impl Code for i32 {
    fn put(&self, out: &mut Vec<u8>) {
        self.is_negative().put(out);
        self.unsigned_abs().put(out);
    }

    fn get(from: &mut Reader<'_>) -> Result<Self, LoadError> {
        let negative = bool::get(from)?;
        let value = Self::try_from(u32::get(from)?).map_err(|_| from.malformed())?;
        // No zone is a day away, and zero has one sign.
        if value >= 1440 || (negative && value == 0) {
            return Err(from.malformed());
        }
        Ok(if negative { -value } else { value })
    }
}

impl Code for bool {
    fn put(&self, out: &mut Vec<u8>) {
        out.push(u8::from(*self));
    }

    fn get(from: &mut Reader<'_>) -> Result<Self, LoadError> {
        match from.octet()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(from.malformed()),
        }
    }
}

impl Code for String {
    fn put(&self, out: &mut Vec<u8>) {
        self.len().put(out);
        out.extend_from_slice(self.as_bytes());
    }

    fn get(from: &mut Reader<'_>) -> Result<Self, LoadError> {
        let length = usize::get(from)?;
        let octets = from.slice(length)?.to_vec();
        Self::from_utf8(octets).map_err(|_| from.malformed())
    }
}

/// Each item is read before there is room for the next: a length alone takes no memory.
impl<T: Code> Code for Vec<T> {
    fn put(&self, out: &mut Vec<u8>) {
        self.len().put(out);
        self.iter().for_each(|item| item.put(out));
    }

    fn get(from: &mut Reader<'_>) -> Result<Self, LoadError> {
        let length = usize::get(from)?;
        let mut items = Self::new();
        for _ in 0..length {
            items.push(T::get(from)?);
        }
        Ok(items)
    }
}

impl<T: Code> Code for Box<[T]> {
    fn put(&self, out: &mut Vec<u8>) {
        self.len().put(out);
        self.iter().for_each(|item| item.put(out));
    }

    fn get(from: &mut Reader<'_>) -> Result<Self, LoadError> {
        Ok(Vec::get(from)?.into())
    }
}

impl<T: Code> Code for Option<T> {
    fn put(&self, out: &mut Vec<u8>) {
        self.is_some().put(out);
        if let Some(value) = self {
            value.put(out);
        }
    }

    fn get(from: &mut Reader<'_>) -> Result<Self, LoadError> {
        Ok(if bool::get(from)? {
            Some(T::get(from)?)
        } else {
            None
        })
    }
}

impl<T: Code> Code for Box<T> {
    fn put(&self, out: &mut Vec<u8>) {
        (**self).put(out);
    }

    fn get(from: &mut Reader<'_>) -> Result<Self, LoadError> {
        Ok(Self::new(T::get(from)?))
    }
}

/// A struct: its fields in this order.
macro_rules! record {
    ($type:ident { $($field:ident),* $(,)? }) => {
        impl $crate::binary::Code for $type {
            fn put(&self, out: &mut Vec<u8>) {
                $($crate::binary::Code::put(&self.$field, out);)*
            }

            fn get(from: &mut $crate::binary::Reader<'_>) -> Result<Self, $crate::LoadError> {
                Ok(Self { $($field: $crate::binary::Code::get(from)?),* })
            }
        }
    };
}

/// An enum: a tag, then what the variant holds.
macro_rules! choice {
    ($type:ident { $($tag:literal => $variant:ident $(($($item:ident),*))? $({ $($field:ident),* })?),* $(,)? }) => {
        impl $crate::binary::Code for $type {
            fn put(&self, out: &mut Vec<u8>) {
                match self {
                    $(Self::$variant $(($($item),*))? $({ $($field),* })? => {
                        out.push($tag);
                        $($($crate::binary::Code::put($item, out);)*)?
                        $($($crate::binary::Code::put($field, out);)*)?
                    })*
                }
            }

            fn get(from: &mut $crate::binary::Reader<'_>) -> Result<Self, $crate::LoadError> {
                Ok(match from.octet()? {
                    $($tag => {
                        $($(let $item = $crate::binary::Code::get(from)?;)*)?
                        $($(let $field = $crate::binary::Code::get(from)?;)*)?
                        Self::$variant $(($($item),*))? $({ $($field),* })?
                    })*
                    _ => return Err(from.malformed()),
                })
            }
        }
    };
}

pub(crate) use {choice, record};
