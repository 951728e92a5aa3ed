//! Usage events as a bank stores them: a batch in a compact, versioned binary form.
//!
//! Invariant: what is read back is the event that was written.
//!
//! The form: a version byte, then [`postcard`] of `Batch`. Names and rates repeat within a batch, so each is written
//! once and referred to by its place; an event takes about 70 bytes, most of them its request's id and its own. A row is
//! written with its length: one of before a field was added ends without it, and reads as if that were zero.

mod older;
mod writer;

use std::borrow::Borrow;
use std::sync::Arc;

use serde::Deserialize;

pub use writer::Writer;

use super::event::{ADDED, Event};
use super::{EventId, Flag};
use crate::bank::Events;
use crate::cost::Sheet;
use crate::padded;

/// The first version whose rows are events.
const FOURTH: u8 = 4;

/// The form that is written. Another change than a field at the end of a row gets a new number, and this form is still
/// read.
const VERSION: u8 = FOURTH + ADDED;

/// An event that was read, with the texts of its batch.
pub type StoredEvent<'a> = Event<&'a str, Arc<Sheet>>;

/// Why stored events cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoredError {
    /// A newer version wrote them.
    #[error(
        "usage events of form {0} were written by a newer version of Tollgate; this one reads form {VERSION}"
    )]
    Newer(u8),
    /// They are not what any version writes.
    #[error("stored usage events are damaged: {0}")]
    Damaged(String),
}

/// What follows the version byte.
#[derive(Deserialize)]
struct Batch<'a> {
    /// The processes that made the events' ids, usually one.
    origins: Vec<u64>,
    #[serde(borrow)]
    texts: Vec<&'a str>,
    sheets: Vec<Arc<Sheet>>,
    /// Each a [`Row`].
    #[serde(borrow)]
    rows: Vec<&'a [u8]>,
}

/// An event whose texts and rates are given by their places, but for ids, which rarely repeat; so is the first part of
/// its own id, by the place in [`Batch::origins`]. Its time is counted from the earliest of the batch. Nearly all are
/// final, so the others are marked.
type Row<'a> = Event<u32, u32, &'a str>;

/// Writes a batch; `None` if there are no events.
pub fn encode<S: Borrow<str>, R: Borrow<Sheet>>(events: &[Event<S, R>]) -> Option<Events> {
    let mut batch = Writer::default();
    for event in events {
        batch.push(&event.borrowed());
    }
    batch.finish()
}

/// Reads a batch, in the order in which it was written.
///
/// # Errors
/// [`StoredError::Newer`] if a newer version wrote it; [`StoredError::Damaged`] if no version did.
pub fn decode(events: &Events) -> Result<Vec<StoredEvent<'_>>, StoredError> {
    let (version, rest) = events
        .bytes
        .split_first()
        .ok_or_else(|| damaged("they are empty"))?;
    match *version {
        older::FIRST => older::first(rest, events.from_ms),
        older::THIRD => older::third(rest, events.from_ms),
        FOURTH..=VERSION => {
            let batch: Batch<'_> = read(rest)?;
            let rows = batch.rows.iter();
            rows.map(|row| unpack(&batch, row, events.from_ms))
                .collect()
        }
        0 | 2 => Err(damaged("no version writes their form")),
        newer => Err(StoredError::Newer(newer)),
    }
}

fn damaged(what: &str) -> StoredError {
    StoredError::Damaged(what.to_owned())
}

fn read<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, StoredError> {
    postcard::from_bytes(bytes).map_err(|error| damaged(&error.to_string()))
}

/// Makes an event of its row.
fn unpack<'a>(
    batch: &Batch<'a>,
    row: &'a [u8],
    from_ms: u64,
) -> Result<StoredEvent<'a>, StoredError> {
    let row: Row<'a> = padded::read(row).ok_or_else(|| damaged("one is no event"))?;
    let mut event = row.try_map(
        |text| at(&batch.texts, *text),
        |sheet| at(&batch.sheets, *sheet),
        |id| Ok(*id),
    )?;
    event.at_ms = from_ms.saturating_add(row.at_ms);
    let (origin, sequence) = row.attempt.id.parts();
    event.attempt.id = EventId::made_up(at(&batch.origins, origin)?, sequence);
    event.attempt.flags = row.attempt.flags.turned(Flag::Final);
    Ok(event)
}

/// Returns what stands at a place.
fn at<T: Clone>(all: &[T], place: impl TryInto<usize>) -> Result<T, StoredError> {
    let found = place.try_into().ok().and_then(|place| all.get(place));
    found
        .cloned()
        .ok_or_else(|| damaged("one refers to something that is not there"))
}

#[cfg(test)]
mod tests;
