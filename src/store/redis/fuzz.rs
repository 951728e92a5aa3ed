//! What must hold for whatever servers answer.

use redis::Value;

use super::keys::SLOTS;
use super::leases::leases;
use super::servers::ranges;
use super::settings::Address;

/// The slots of a Cluster are those that there are; a list of cool-downs is read, or refused.
pub fn answer(value: &Value) {
    let asked = Address::new("asked", 6379);
    for (from, to, _) in ranges(value, &asked).unwrap_or_default() {
        assert!((from..=to).len() <= usize::from(SLOTS));
    }
    drop(leases(value.clone()));
}
