//! What a journal's records say, and how they are written: postcard, whose fields have no names.
//!
//! So the order of variants and fields is the format: a change to them is a new format version
//! ([`super::segment::VERSION`]).

use serde::{Deserialize, Serialize};

/// A record to append; what it says is borrowed.
pub type Record<'a> = Entry<&'a str, &'a [&'a str]>;

/// A record read back.
pub(crate) type OwnedRecord = Entry<String, Vec<String>>;

/// A record, over the types of its texts and of its list of texts; see [`Record`] and `OwnedRecord`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Entry<S, L> {
    /// A request was admitted: money is set aside for it.
    Hold {
        /// Counts the requests of this life of the replica.
        id: u64,
        /// When (Unix time, ms).
        at_ms: u64,
        /// Who pays.
        account: S,
        /// The id of the access key that the request came with.
        access_key: S,
        /// The request's id, as the client sees it.
        request_id: S,
        /// The surface it came in by.
        surface: S,
        /// The provider it is expected to go to.
        provider: S,
        /// The model it is expected to go to.
        model: S,
        /// What is set aside, nano-dollars, at least 0.
        estimate: i64,
        /// The prompt's tokens, by a bound or a count.
        prompt_tokens: u64,
        /// The budgets that it is charged to, as meters are named: `key:<access key>/budget_per_day`.
        subjects: L,
    },
    /// A held request has ended: its cost takes the hold's place.
    Settle {
        /// The hold's.
        id: u64,
        /// When (Unix time, ms).
        at_ms: u64,
        /// What it cost, nano-dollars, at least 0.
        cost: i64,
        /// The provider that answered.
        provider: S,
        /// The model that answered.
        model: S,
        /// Whether the operator's key was used.
        managed: bool,
        /// Whether `usage` is our own count.
        estimated: bool,
        /// The answer's HTTP status.
        status: u16,
        /// The tokens used: prompt, of it read from and written to a cache, answer, of it reasoning.
        usage: [u64; 5],
    },
    /// What was settled for the account before this, and after its previous cut, is the exchange `number`.
    Cut {
        /// Whose money.
        account: S,
        /// The exchange's number, from 1.
        number: u64,
    },
    /// The bank has applied an exchange, and those before it.
    Acked {
        /// Whose money.
        account: S,
        /// The exchange's number, from 1.
        number: u64,
    },
}

/// Writes a record to the start of a buffer, and says how long it is; `None` if it does not fit.
pub(super) fn encode(record: &Record<'_>, buffer: &mut [u8]) -> Option<usize> {
    postcard::to_slice(record, buffer)
        .map(|used| used.len())
        .ok()
}

/// Reads a record that takes all these bytes.
pub(super) fn decode(bytes: &[u8]) -> Option<OwnedRecord> {
    whole(bytes)
}

/// Whether [`decode`] would succeed; cheaper.
pub(super) fn is_record(bytes: &[u8]) -> bool {
    whole::<Entry<&str, Vec<&str>>>(bytes).is_some()
}

fn whole<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Option<T> {
    match postcard::take_from_bytes(bytes) {
        Ok((record, [])) => Some(record),
        _ => None,
    }
}
