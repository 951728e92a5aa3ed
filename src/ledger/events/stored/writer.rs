//! Writes a batch event by event, so that what an event says is still at hand when it is written.
//!
//! Invariants: `rows` has `count` rows, in the order in which events came; each is told after `from_ms`.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use foldhash::quality::RandomState;
use postcard::ser_flavors::Flavor;

use super::{Row, StoredEvent, VERSION, decode, index};
use crate::bank::Events;
use crate::cost::Sheet;

/// Fields that are texts with a place.
const FIELDS: usize = 11;

/// About what a batch takes beside its rows, bytes.
const ROOM: usize = 256;

/// A batch being written: each event is brought into its form as it comes.
#[derive(Default)]
pub struct Writer {
    origins: Vec<u64>,
    texts: Vec<Box<str>>,
    places: HashMap<Box<str>, u32, RandomState>,
    /// The place of what each field had last: most events of a batch share most of their texts.
    last: [u32; FIELDS],
    sheets: Vec<Arc<Sheet>>,
    sheet_places: HashMap<Arc<Sheet>, u32, RandomState>,
    /// The rows, one after the other.
    rows: Vec<u8>,
    count: usize,
    from_ms: u64,
    to_ms: u64,
}

impl Writer {
    /// The batch after this one, which is likely to be about as long.
    pub fn next(&self) -> Writer {
        Writer {
            rows: Vec::with_capacity(self.rows.len()),
            ..Writer::default()
        }
    }

    /// How many events there are.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Adds an event.
    pub fn push(&mut self, event: &StoredEvent<'_>) {
        if self.is_empty() {
            (self.from_ms, self.to_ms) = (event.at_ms, event.at_ms);
        } else if event.at_ms < self.from_ms {
            // The clock was set back, or it is made up late: times are told after the first.
            self.rewrite(0, event.at_ms);
        }
        self.to_ms = self.to_ms.max(event.at_ms);
        self.append(event);
    }

    /// Leaves out the oldest events.
    pub fn forget(&mut self, oldest: usize) {
        self.rewrite(oldest, u64::MAX);
    }

    /// Writes all but the first `skip` events anew; their times are told after `from_ms`, or the first of theirs.
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
            self.append(event);
        }
    }

    fn append(&mut self, event: &StoredEvent<'_>) {
        let row = (self.row(event), event.provider_request_id);
        match postcard::serialize_with_flavor(&row, Rows(&mut self.rows)) {
            Ok(()) => self.count += 1,
            // Writing to memory cannot fail; if it did, the totals are stored all the same.
            Err(_) => *self = Writer::default(),
        }
    }

    /// The batch; `None` if there are no events.
    pub fn finish(self) -> Option<Events> {
        if self.is_empty() {
            return None;
        }
        let room = Vec::with_capacity(ROOM + self.rows.len());
        let head = (VERSION, self.origins, self.texts, self.sheets, self.count);
        let mut bytes = postcard::to_extend(&head, room).ok()?;
        bytes.extend_from_slice(&self.rows);
        Some(Events {
            count: u32::try_from(self.count).unwrap_or(u32::MAX),
            from_ms: self.from_ms,
            to_ms: self.to_ms,
            bytes: Bytes::from(bytes),
        })
    }

    /// The place of a field's text, the same one each time.
    fn place(&mut self, field: usize, text: &str) -> u32 {
        let last = self.last[field];
        if self
            .texts
            .get(index(last))
            .is_some_and(|last| **last == *text)
        {
            return last;
        }
        let place = self.places.get(text).copied().unwrap_or_else(|| {
            let place = place(self.texts.len());
            self.texts.push(text.into());
            self.places.insert(text.into(), place);
            place
        });
        self.last[field] = place;
        place
    }

    fn sheet(&mut self, sheet: &Arc<Sheet>) -> u32 {
        let last = self.sheets.last().filter(|last| *last == sheet);
        if last.is_some() {
            return place(self.sheets.len() - 1);
        }
        let known = self.sheet_places.get(sheet).copied();
        known.unwrap_or_else(|| {
            let place = place(self.sheets.len());
            self.sheets.push(sheet.clone());
            self.sheet_places.insert(sheet.clone(), place);
            place
        })
    }

    fn origin(&mut self, origin: u64) -> u32 {
        let known = self.origins.iter().position(|known| *known == origin);
        place(known.unwrap_or_else(|| {
            self.origins.push(origin);
            self.origins.len() - 1
        }))
    }

    fn row<'a>(&mut self, event: &StoredEvent<'a>) -> Row<'a> {
        let (origin, sequence) = event.id.parts();
        let flags = [
            event.is_final_attempt,
            event.timed_out,
            event.is_error,
            event.is_streaming,
            event.estimated,
            event.orphaned,
            event.assumed,
            event.held,
            event.user_key.is_some(),
        ];
        let (key_id, key_name) = event.user_key.unwrap_or((event.managed_key, ""));
        Row {
            origin: self.origin(origin),
            sequence,
            after: event.at_ms - self.from_ms,
            request_id: event.request_id,
            access_key_id: self.place(0, event.access_key_id),
            account: self.place(1, event.account),
            surface: self.place(2, event.surface),
            provider: self.place(3, event.provider),
            provider_display_name: self.place(4, event.provider_display_name),
            model: self.place(5, event.model),
            model_display_name: self.place(6, event.model_display_name),
            attempt_number: event.attempt_number,
            flags: (0..)
                .zip(flags)
                .fold(0, |all, (bit, flag)| all | u16::from(flag) << bit),
            status_code: event.status_code,
            outcome: self.place(7, event.outcome),
            stop_reason: self.place(8, event.stop_reason),
            tokens: event.tokens,
            served: event.served.clone(),
            total_cost: event.total_cost.0,
            sheet: event.sheet.as_ref().map(|sheet| self.sheet(sheet)),
            key_id: self.place(9, key_id),
            key_name: self.place(10, key_name),
            latency_to_commit_ms: event.latency_to_commit_ms,
            latency_ms: event.latency_ms,
        }
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
