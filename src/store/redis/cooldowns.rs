//! The cool-downs of provider keys that replicas share. Each replica asks for them about once a second.
//!
//! Invariant: the longest wins, and what has ended, by the server's clock, is not reported any more.

use std::sync::Arc;

use redis::Value;

use super::client::Redis;
use super::read;
use super::scripts::Call;
use crate::StoreError;

crate::scripts! {
    PUBLISH = "tollgate:publish:1", include_str!("lua/publish.lua");
    COOLING = "tollgate:cooling:1", include_str!("lua/cooling.lua");
    CLEAR = "tollgate:clear:1", include_str!("lua/clear.lua");
}

/// Cool-downs in Redis. Each call is one command, and ends within the timeout of the settings.
#[derive(Clone)]
pub struct Cooldowns {
    redis: Arc<Redis>,
}

/// A provider key that cools down for all replicas.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SharedCooldown {
    /// The key's id; after a line break, what of it cools down.
    pub key: String,
    /// Until when (Unix time, ms, by the server's clock).
    pub until_ms: u64,
    /// Why, as it was published with this end.
    pub reason: String,
}

impl Cooldowns {
    /// Over the connections of a client.
    pub(crate) fn new(redis: Arc<Redis>) -> Cooldowns {
        Cooldowns { redis }
    }

    /// Returns what time it is to the server (Unix time, ms).
    pub fn now_ms(&self) -> u64 {
        self.redis.moment().told
    }

    /// Tells all replicas that a provider key cools down until `until_ms` (by the server's clock); false if one is known
    /// that ends no earlier, or if that time has passed.
    ///
    /// # Errors
    /// [`StoreError::Away`]: it was perhaps not stored; this replica has its own cool-down all the same.
    pub async fn publish(
        &self,
        provider_key: &str,
        until_ms: u64,
        reason: &str,
    ) -> Result<bool, StoreError> {
        let call = Call::new(&PUBLISH, self.keys());
        let call = call
            .with(provider_key)
            .with(until_ms.min(1 << 53))
            .with(reason);
        let (answer, _) = self.redis.call(&call, self.redis.deadline()).await?;
        read(answer)
    }

    /// Returns the provider keys that cool down now, sorted by when they end.
    ///
    /// # Errors
    /// [`StoreError::Away`]: nothing is known of other replicas.
    pub async fn list(&self) -> Result<Vec<SharedCooldown>, StoreError> {
        let call = Call::new(&COOLING, self.keys());
        let (answer, _) = self.redis.call(&call, self.redis.deadline()).await?;
        shared(answer)
    }

    /// Ends a provider key's cool-downs for all replicas, those for some of what it does (whose names go on after a line
    /// break) as well; `None`: everyone's. Replicas keep what they have heard.
    ///
    /// # Errors
    /// [`StoreError::Away`]: it perhaps goes on.
    pub async fn clear(&self, provider_key: Option<&str>) -> Result<(), StoreError> {
        let Some(key) = provider_key else {
            return self.forget(None).await;
        };
        self.forget(Some(key)).await?;
        let is_its = |name: &str| {
            name.strip_prefix(key)
                .is_some_and(|rest| rest.starts_with('\n'))
        };
        for rest in self.list().await? {
            if is_its(&rest.key) {
                self.forget(Some(&rest.key)).await?;
            }
        }
        Ok(())
    }

    async fn forget(&self, name: Option<&str>) -> Result<(), StoreError> {
        let mut call = Call::new(&CLEAR, self.keys());
        if let Some(name) = name {
            call.push(name);
        }
        let (answer, _) = self.redis.call(&call, self.redis.deadline()).await?;
        read::<bool>(answer).map(drop)
    }

    fn keys(&self) -> Vec<String> {
        let keys = &self.redis.keys;
        vec![keys.shared("cooldowns"), keys.shared("cooldown-reasons")]
    }
}

/// Reads the answer of `cooling.lua`.
pub(super) fn shared(answer: Value) -> Result<Vec<SharedCooldown>, StoreError> {
    let rows: Vec<(String, u64, String)> = read(answer)?;
    let cooldown = |(key, until_ms, reason)| SharedCooldown {
        key,
        until_ms,
        reason,
    };
    Ok(rows.into_iter().map(cooldown).collect())
}
