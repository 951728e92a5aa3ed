//! Reads what [`postcard`] wrote before fields were added at its end.
//!
//! A zero byte is the default of every field: 0, false, `None`, an empty text or list. So what ends early is read as if
//! zeros followed.

use postcard::de_flavors::Flavor;
use postcard::{Deserializer, Error, Result};
use serde::Deserialize;

/// The most bytes that may be missing. It bounds what damaged lengths make up, too.
const MOST: usize = 16;

/// Reads what takes all these bytes; `None` if they are something else.
pub(crate) fn read<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Option<T> {
    let missing = MOST;
    let mut reader = Deserializer::from_flavor(Padded { bytes, missing });
    let read = T::deserialize(&mut reader).ok()?;
    reader.finalize().ok()?.is_empty().then_some(read)
}

/// Bytes, and zeros after them.
struct Padded<'a> {
    bytes: &'a [u8],
    /// How many zeros there are.
    missing: usize,
}

impl<'a> Flavor<'a> for Padded<'a> {
    type Remainder = &'a [u8];
    type Source = &'a [u8];

    fn pop(&mut self) -> Result<u8> {
        if let Some((first, rest)) = self.bytes.split_first() {
            self.bytes = rest;
            return Ok(*first);
        }
        let left = self.missing.checked_sub(1);
        self.missing = left.ok_or(Error::DeserializeUnexpectedEnd)?;
        Ok(0)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.bytes.len() + self.missing)
    }

    fn try_take_n(&mut self, count: usize) -> Result<&'a [u8]> {
        let taken = self.bytes.split_at_checked(count);
        let (taken, rest) = taken.ok_or(Error::DeserializeUnexpectedEnd)?;
        self.bytes = rest;
        Ok(taken)
    }

    fn finalize(self) -> Result<&'a [u8]> {
        Ok(self.bytes)
    }
}
