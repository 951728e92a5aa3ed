//! What must hold for whatever servers answer.

use std::path::PathBuf;

use redis::Value;

use super::cooldowns::shared;
use super::keys::SLOTS;
use super::server::Address;
use super::servers::ranges;

/// The slots of a Cluster are those that there are; a list of rests is read, or refused.
pub fn answer(value: &Value) {
    let asked = [
        Address::Tcp("asked".into(), 6379),
        Address::Unix(PathBuf::from("/asked")),
    ];
    for asked in asked {
        for (from, to, _) in ranges(value, &asked).unwrap_or_default() {
            assert!((from..=to).len() <= usize::from(SLOTS));
        }
    }
    drop(shared(value.clone()));
}
