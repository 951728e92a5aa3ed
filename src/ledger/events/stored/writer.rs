//! Writes a batch event by event, so that what an event says is still at hand when it is written.
//!
//! Invariants: `rows` has `count` rows, in the order in which events came; each time is relative to `from_ms`.

use std::collections::HashMap;
use std::convert::Infallible;
use std::hash::Hash;
use std::sync::Arc;

use bytes::Bytes;
use foldhash::quality::RandomState;
use postcard::ser_flavors::Flavor;

use super::{Row, VERSION, decode};
use crate::bank::{Events, index};
use crate::cost::Sheet;
use crate::events::{EventId, Flag, UsageEvent};

/// About what a batch takes beside its rows, bytes.
const ROOM: usize = 256;

/// A batch being written: each event is brought into its form as it comes.
#[derive(Default)]
pub struct Writer {
    origins: Vec<u64>,
    texts: Table<str>,
    sheets: Table<Sheet>,
    /// The rows, one after the other, each after its length.
    rows: Vec<u8>,
    /// As [`Events::ids`].
    ids: Vec<u8>,
    /// The row that is being written.
    row: Vec<u8>,
    count: usize,
    from_ms: u64,
    to_ms: u64,
}

/// Things that are written once, and given by their places.
struct Table<T: ?Sized> {
    all: Vec<Arc<T>>,
    places: HashMap<Arc<T>, u32, RandomState>,
    /// The place of what each field had last: most events of a batch share most of what they say.
    last: Vec<u32>,
}

impl Writer {
    /// Returns the batch after this one, which is likely to be about as long.
    pub fn next(&self) -> Writer {
        Writer {
            rows: Vec::with_capacity(self.rows.len()),
            ids: Vec::with_capacity(self.ids.len()),
            ..Writer::default()
        }
    }

    /// Returns how many events there are.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Returns whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Adds an event.
    pub fn push(&mut self, event: &UsageEvent<'_>) {
        if self.is_empty() {
            (self.from_ms, self.to_ms) = (event.at_ms, event.at_ms);
        } else if event.at_ms < self.from_ms {
            // The clock was set back, or it is made up late: times are relative to the first.
            self.rewrite(0, event.at_ms);
        }
        self.to_ms = self.to_ms.max(event.at_ms);
        self.append(event);
    }

    /// Leaves out the oldest events.
    pub fn forget(&mut self, oldest: usize) {
        self.rewrite(oldest, u64::MAX);
    }

    /// Writes all but the first `skip` events anew; their times are relative to `from_ms`, or the first of theirs.
    fn rewrite(&mut self, skip: usize, from_ms: u64) {
        let Some(written) = std::mem::take(self).finish() else {
            return;
        };
        // What was written a moment ago can be read.
        let events = decode(&written).unwrap_or_default();
        let kept = events.get(skip..).unwrap_or_default();
        self.from_ms = kept
            .iter()
            .fold(from_ms, |from, event| from.min(event.at_ms));
        for event in kept {
            self.to_ms = self.to_ms.max(event.at_ms);
            self.append(&event.borrowed());
        }
    }

    fn append(&mut self, event: &UsageEvent<'_>) {
        let row = self.row(event);
        match self.write(&row) {
            Ok(()) => {
                self.count += 1;
                let entry = index::entry(event.request.id, event.at_ms);
                self.ids.extend_from_slice(&entry);
            }
            // Writing to memory cannot fail; if it did, the totals are stored all the same.
            Err(_) => *self = Writer::default(),
        }
    }

    fn write(&mut self, row: &Row<'_>) -> postcard::Result<()> {
        self.row.clear();
        postcard::serialize_with_flavor(row, Rows(&mut self.row))?;
        postcard::serialize_with_flavor(&self.row.len(), Rows(&mut self.rows))?;
        self.rows.extend_from_slice(&self.row);
        Ok(())
    }

    /// Returns the batch; `None` if there are no events.
    pub fn finish(self) -> Option<Events> {
        if self.is_empty() {
            return None;
        }
        let room = Vec::with_capacity(ROOM + self.rows.len());
        let head = (
            VERSION,
            self.origins,
            self.texts.all,
            self.sheets.all,
            self.count,
        );
        let mut bytes = postcard::to_extend(&head, room).ok()?;
        bytes.extend_from_slice(&self.rows);
        Some(Events {
            count: u32::try_from(self.count).unwrap_or(u32::MAX),
            from_ms: self.from_ms,
            to_ms: self.to_ms,
            bytes: Bytes::from(bytes),
            ids: Bytes::from(self.ids),
        })
    }

    fn origin(&mut self, origin: u64) -> u32 {
        let known = self.origins.iter().position(|known| *known == origin);
        place(known.unwrap_or_else(|| {
            self.origins.push(origin);
            self.origins.len() - 1
        }))
    }

    fn row<'a>(&mut self, event: &UsageEvent<'a>) -> Row<'a> {
        let mut field = 0;
        let text = |text: &&str| {
            let place = self.texts.place(field, text, |text| text.into());
            field += 1;
            Ok::<_, Infallible>(place)
        };
        let sheet = |sheet: &&Sheet| {
            let shared = |sheet: &Sheet| Arc::new(sheet.clone());
            Ok(self.sheets.place(0, sheet, shared))
        };
        let Ok(mut row) = event.try_map(text, sheet, |id| Ok(*id));
        row.at_ms -= self.from_ms;
        let (origin, sequence) = row.attempt.id.parts();
        row.attempt.id = EventId::made_up(self.origin(origin).into(), sequence);
        row.attempt.flags = row.attempt.flags.turned(Flag::Final);
        row
    }
}

impl<T: ?Sized> Default for Table<T> {
    fn default() -> Self {
        Table {
            all: Vec::new(),
            places: HashMap::default(),
            last: Vec::new(),
        }
    }
}

impl<T: ?Sized + Eq + Hash> Table<T> {
    /// Returns the place of what a field says, the same one each time; fields are asked for in their order.
    fn place(&mut self, field: usize, one: &T, shared: impl FnOnce(&T) -> Arc<T>) -> u32 {
        let last = self.last.get(field).copied();
        let same = |place: &u32| {
            let all = usize::try_from(*place).ok().and_then(|at| self.all.get(at));
            all.is_some_and(|known| **known == *one)
        };
        if let Some(place) = last.filter(same) {
            return place;
        }
        let place = self.places.get(one).copied().unwrap_or_else(|| {
            let (place, one) = (place(self.all.len()), shared(one));
            self.all.push(one.clone());
            self.places.insert(one, place);
            place
        });
        match self.last.get_mut(field) {
            Some(last) => *last = place,
            None => self.last.push(place),
        }
        place
    }
}

/// Where rows are written: a text at once, not byte by byte as postcard's own flavor for what grows does.
struct Rows<'a>(&'a mut Vec<u8>);

impl Flavor for Rows<'_> {
    type Output = ();

    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.0.push(byte);
        Ok(())
    }

    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }

    fn finalize(self) -> postcard::Result<()> {
        Ok(())
    }
}

fn place(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}
