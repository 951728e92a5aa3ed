//! What a journal's records say, and how they are written: postcard, whose fields have no names.
//!
//! So the order of variants and fields is the format: a change to them is a new format version
//! ([`super::segment::VERSION`]), as is a field at the end of an [`Attempt`], without being read anew. Version 2 added
//! [`Entry::Settled`], which holds its usage event, and [`Entry::Charged`]; version 3 [`Entry::Told`] and
//! [`Entry::Heard`], in the place of [`Entry::Cut`] and [`Entry::Acked`], and [`Entry::Renamed`]. [`Entry::Settle`] and
//! those two are read, and not written any more. Version 4 added the end of [`Entry::Hold`].

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::cost::Sheet;
use crate::events::{Attempt, Request};
use crate::padded;

/// A record to append; what it says is borrowed.
pub type Record<'a> = Entry<&'a str, &'a [&'a str], &'a Attempt<&'a str, &'a Sheet>>;

/// A record read back.
pub(crate) type OwnedRecord = Entry<Arc<str>, Vec<String>, Attempt<Arc<str>, Arc<Sheet>>>;

/// A record, over the types of its texts, of its lists of texts and of its attempts; see [`Record`] and `OwnedRecord`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Entry<S, L, A> {
    /// A request was admitted: money is set aside for it.
    Hold {
        /// Counts the requests of this life of the replica.
        id: u64,
        /// When (Unix time, ms).
        at_ms: u64,
        /// For whom.
        who: Held<S>,
        /// What is set aside, nano-dollars, at least 0.
        estimate: i64,
        /// The prompt's tokens, by a bound or a count.
        prompt_tokens: u64,
        /// The budgets that it is charged to, as meters are named: `key:<access key>/budget_per_day`.
        subjects: L,
        /// Whether its client may send it again by a name, and pays the answer that it then gets.
        named: bool,
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
    /// A held request has ended: its cost takes the hold's place.
    Settled {
        /// The hold's.
        id: u64,
        /// When (Unix time, ms).
        at_ms: u64,
        /// The attempt that it ended with; `None` if there was none, and it costs nothing.
        attempt: Option<A>,
    },
    /// Something is charged that nothing was held for.
    Charged {
        /// When (Unix time, ms).
        at_ms: u64,
        /// Who pays, and for whose request.
        request: Request<S>,
        /// What for.
        attempt: A,
    },
    /// What was settled for the account before this, and after the previous one, is a message to the bank.
    Told {
        /// Whose money.
        account: S,
        /// In whose name: the replica.
        replica: u64,
        /// The message's number, from 1.
        number: u64,
        /// The mark of the message before, and its own; see `Mark`.
        marks: (u64, u64),
        /// All that was charged in this name so far, as far as the bank can know, nano-dollars.
        total: i64,
    },
    /// The bank has applied a message, and those before it.
    Heard {
        /// Whose money.
        account: S,
        /// In whose name: the replica.
        replica: u64,
        /// The message's number, from 1.
        number: u64,
    },
    /// Somebody else uses the account's name: from here on another one is used, and what the bank has not counted in the
    /// old one is numbered anew, from 1.
    Renamed {
        /// Whose money.
        account: S,
        /// The new name's replica.
        replica: u64,
        /// The new name's nonce.
        nonce: u64,
        /// The last message that the bank has counted in the old name.
        after: u64,
    },
}

/// What a hold says of its request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held<S> {
    /// Whose it is.
    pub request: Request<S>,
    /// The provider it is expected to go to.
    pub provider: S,
    /// The model it is expected to go to.
    pub model: S,
}

/// Writes a record to the start of a buffer, and says how long it is; `None` if it does not fit.
pub(super) fn encode(record: &impl Serialize, buffer: &mut [u8]) -> Option<usize> {
    postcard::to_slice(record, buffer)
        .map(|used| used.len())
        .ok()
}

/// Reads a record that takes all these bytes. An attempt of a version that knew less of one ends early.
pub(super) fn decode(bytes: &[u8]) -> Option<OwnedRecord> {
    padded::read(bytes)
}

/// Whether [`decode`] would succeed; cheaper.
pub(super) fn is_record(bytes: &[u8]) -> bool {
    padded::read::<Entry<&str, Vec<&str>, Attempt<&str, Sheet>>>(bytes).is_some()
}
