//! What servers answer, read as what it should be.

use redis::{FromRedisValue, Value, from_redis_value};

use crate::StoreError;

/// Scripts count times, numbers and units in doubles, which are exact below this.
pub const EXACT: u64 = 1 << 53;

/// Reads an answer as what it should be.
///
/// # Errors
/// [`StoreError::Corrupt`] if it is not.
pub fn read<T: FromRedisValue>(answer: Value) -> Result<T, StoreError> {
    from_redis_value(answer).map_err(|_| strange("an answer"))
}

/// Returns what to say of an answer that is not `what` it should be.
pub fn strange(what: &str) -> StoreError {
    StoreError::Corrupt(format!(
        "Redis has something under the ledger's keys that is not {what}: has something else written there?"
    ))
}
