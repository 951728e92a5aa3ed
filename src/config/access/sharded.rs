//! Access keys by id, so that a changed one costs little however many there are.
//!
//! Invariant: a copy shares every shard that was not changed since.

use std::collections::HashMap;
use std::sync::Arc;

use super::AccessKey;

/// How many shards there are; a power of two.
const SHARDS: usize = 256;

type Shard = HashMap<Arc<str>, Arc<AccessKey>>;

/// Access keys by id. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct ShardedKeys(Vec<Arc<Shard>>);

impl Default for ShardedKeys {
    fn default() -> Self {
        ShardedKeys(vec![Arc::default(); SHARDS])
    }
}

impl ShardedKeys {
    /// The key with this id, and the id as it is kept.
    pub(super) fn entry(&self, id: &str) -> Option<(&Arc<str>, &Arc<AccessKey>)> {
        self.0.get(place(id))?.get_key_value(id)
    }

    /// The key with this id.
    pub(super) fn get(&self, id: &str) -> Option<&Arc<AccessKey>> {
        self.entry(id).map(|(_, key)| key)
    }

    /// Whether they are of more than one account.
    pub(super) fn of_several_accounts(&self) -> bool {
        let mut accounts = self.values().map(|key| &key.account);
        let first = accounts.next();
        accounts.any(|account| Some(account) != first)
    }

    /// All, in no particular order.
    pub(super) fn values(&self) -> impl Iterator<Item = &Arc<AccessKey>> {
        self.0.iter().flat_map(|shard| shard.values())
    }

    /// Puts a key where its id belongs.
    pub(super) fn insert(&mut self, key: AccessKey) {
        if let Some(shard) = self.0.get_mut(place(&key.id)) {
            Arc::make_mut(shard).insert(key.id.clone(), Arc::new(key));
        }
    }

    /// Takes a key away.
    pub(super) fn remove(&mut self, id: &str) {
        if let Some(shard) = self.0.get_mut(place(id))
            && shard.contains_key(id)
        {
            Arc::make_mut(shard).remove(id);
        }
    }
}

/// Which shard an id belongs to. Ids are chosen by us or by the operator: nobody gains by crowding one.
fn place(id: &str) -> usize {
    let mix = |sum: u32, byte: u8| sum.wrapping_mul(31).wrapping_add(u32::from(byte));
    let sum = id.bytes().fold(0, mix);
    usize::from(sum.to_le_bytes()[0] ^ sum.to_le_bytes()[2]) % SHARDS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_ids_spread_over_all_shelves() {
        let mut crowds = [0_u32; SHARDS];
        for n in 0..25_600 {
            crowds[place(&tollgate_base::id::new("ak_", 1_700_000_000_000 + n / 50))] += 1;
        }
        let most = crowds.iter().max();
        assert!(most < Some(&200), "{most:?} on one, 100 on the average");
    }
}
