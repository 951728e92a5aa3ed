//! What the store's scripts and commands answer.

use redis::Value;

use super::super::{Entry, Record};
use tollgate_store::StoreError;
use tollgate_store::redis::{read, strange};

/// The answer of `since.lua`.
pub(super) struct Changes {
    /// Where the store is.
    pub revision: u64,
    /// The commit that made it; empty before the first.
    pub mark: String,
    /// Whether the changes are known.
    pub is_known: bool,
    /// In the order of their revisions.
    pub records: Vec<Record>,
}

impl Changes {
    pub(super) fn read(answer: Value) -> Result<Changes, StoreError> {
        let (revision, mark, is_known, rows): (u64, String, bool, Vec<Value>) = read(answer)?;
        let records = rows.into_iter().map(|row| change(row).ok_or_else(odd));
        Ok(Changes {
            revision,
            mark,
            is_known,
            records: records.collect::<Result<_, _>>()?,
        })
    }
}

fn odd() -> StoreError {
    strange("a resource")
}

fn change(row: Value) -> Option<Record> {
    let Value::Array(row) = row else { return None };
    let mut row = row.into_iter().map(text);
    let (kind, id) = name(row.next()??)?;
    Some(Record {
        kind,
        id,
        revision: row.next()??.parse().ok()?,
        body: match row.next() {
            None => None,
            Some(body) => Some(body?),
        },
    })
}

fn text(value: Value) -> Option<String> {
    match value {
        Value::BulkString(bytes) => String::from_utf8(bytes).ok(),
        _ => None,
    }
}

fn name(name: String) -> Option<(String, String)> {
    let (kind, id) = name.split_once('/')?;
    Some((kind.to_owned(), id.to_owned()))
}

/// The pages of `HSCAN`, one after another.
#[derive(Default)]
pub(super) struct Pages {
    cursor: String,
    ended: bool,
}

impl Pages {
    /// What the next page is asked for with; `None` after the last one.
    pub(super) fn next(&self) -> Option<&str> {
        match &*self.cursor {
            _ if self.ended => None,
            "" => Some("0"),
            cursor => Some(cursor),
        }
    }

    /// Reads a page.
    pub(super) fn read(&mut self, page: Value) -> Result<Vec<Record>, StoreError> {
        let (cursor, fields): (String, Value) = read(page)?;
        self.ended = cursor == "0";
        self.cursor = cursor;
        let Value::Array(fields) = fields else {
            return Err(odd());
        };
        let mut fields = fields.into_iter();
        let mut records = Vec::with_capacity(fields.len() / 2);
        while let (Some(name), Some(stored)) = (fields.next(), fields.next()) {
            records.push(resource(name, stored).ok_or_else(odd)?);
        }
        Ok(records)
    }
}

fn resource(key: Value, stored: Value) -> Option<Record> {
    let (kind, id) = name(text(key)?)?;
    let mut stored = text(stored)?;
    let space = stored.find(' ')?;
    let revision = stored[..space].parse().ok()?;
    stored.drain(..=space);
    Some(Record {
        kind,
        id,
        revision,
        body: Some(stored),
    })
}

/// The answer of `XREVRANGE`.
pub(super) fn entries(answer: Value) -> Result<Vec<Entry>, StoreError> {
    let rows: Vec<(String, Vec<String>)> = read(answer)?;
    let entry = |(position, fields): (String, Vec<String>)| {
        let at_ms = position.split_once('-')?.0.parse().ok()?;
        let [_, body] = <[String; 2]>::try_from(fields).ok()?;
        Some(Entry {
            position,
            at_ms,
            body,
        })
    };
    rows.into_iter()
        .map(|row| entry(row).ok_or_else(|| strange("an entry of the audit log")))
        .collect()
}
