//! What replicas tell each other for a while, each thing by its name: which provider keys cool down, what
//! is left of their quotas, and who they are.
//!
//! Invariant: the longest wins, and what has ended, by the server's clock, is not reported any more.

use std::sync::Arc;

use redis::Value;

use super::client::Redis;
use super::read;
use super::scripts::Call;
use crate::StoreError;

crate::scripts! {
    LEASE = "tollgate:lease:1", include_str!("lua/lease.lua");
    LEASED = "tollgate:leased:1", include_str!("lua/leased.lua");
    END = "tollgate:end-lease:1", include_str!("lua/end.lua");
}

/// Leases of one kind in Redis. Each call is one command, and ends within the timeout of the settings.
#[derive(Clone)]
pub struct Leases {
    redis: Arc<Redis>,
    /// Where it is kept until when, and what was said.
    keys: [&'static str; 2],
}

/// Something that holds for all replicas for a while.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// What: of a cool-down the provider key's id and, after a line break, what of it cools down; of a replica its id.
    pub name: String,
    /// Until when (Unix time, ms, by the server's clock).
    pub until_ms: u64,
    /// What was said of it with this end.
    pub said: String,
}

impl Leases {
    /// The provider keys that cool down.
    pub(crate) fn cooldowns(redis: Arc<Redis>) -> Leases {
        let keys = ["cooldowns", "cooldown-reasons"];
        Leases { redis, keys }
    }

    /// What is left of provider keys' quotas, until that is too old to be worth anything.
    pub(crate) fn quotas(redis: Arc<Redis>) -> Leases {
        let keys = ["quotas", "quotas-left"];
        Leases { redis, keys }
    }

    /// The replicas that are there.
    pub(crate) fn fleet(redis: Arc<Redis>) -> Leases {
        let keys = ["fleet", "fleet-said"];
        Leases { redis, keys }
    }

    /// Returns what time it is to the server (Unix time, ms).
    pub fn now_ms(&self) -> u64 {
        self.redis.moment().told
    }

    /// Tells all replicas that something holds until `until_ms` (by the server's clock); false if it is known to hold as
    /// long, or if that time has passed.
    ///
    /// # Errors
    /// [`StoreError::Away`]: it was perhaps not stored.
    pub async fn publish(&self, name: &str, until_ms: u64, said: &str) -> Result<bool, StoreError> {
        let call = Call::new(&LEASE, self.keys());
        let call = call.with(name).with(until_ms.min(1 << 53)).with(said);
        let (answer, _) = self.redis.call(&call, self.redis.deadline()).await?;
        read(answer)
    }

    /// Returns what holds now, sorted by when it ends.
    ///
    /// # Errors
    /// [`StoreError::Away`]: nothing is known of other replicas.
    pub async fn list(&self) -> Result<Vec<Lease>, StoreError> {
        let call = Call::new(&LEASED, self.keys());
        let (answer, _) = self.redis.call(&call, self.redis.deadline()).await?;
        leases(answer)
    }

    /// Ends what holds by this name for all replicas, and by names that go on after a line break as well; `None`: all.
    /// Replicas keep what they have heard.
    ///
    /// # Errors
    /// [`StoreError::Away`]: it perhaps goes on.
    pub async fn clear(&self, name: Option<&str>) -> Result<(), StoreError> {
        let Some(name) = name else {
            return self.end(None).await;
        };
        self.end(Some(name)).await?;
        let is_its = |other: &str| {
            other
                .strip_prefix(name)
                .is_some_and(|rest| rest.starts_with('\n'))
        };
        for rest in self.list().await? {
            if is_its(&rest.name) {
                self.end(Some(&rest.name)).await?;
            }
        }
        Ok(())
    }

    async fn end(&self, name: Option<&str>) -> Result<(), StoreError> {
        let mut call = Call::new(&END, self.keys());
        if let Some(name) = name {
            call.push(name);
        }
        let (answer, _) = self.redis.call(&call, self.redis.deadline()).await?;
        read::<bool>(answer).map(drop)
    }

    fn keys(&self) -> Vec<String> {
        let shared = |name: &str| self.redis.keys.shared(name);
        self.keys.map(shared).to_vec()
    }
}

/// Reads the answer of `leased.lua`.
pub(super) fn leases(answer: Value) -> Result<Vec<Lease>, StoreError> {
    let rows: Vec<(String, u64, String)> = read(answer)?;
    let lease = |(name, until_ms, said)| Lease {
        name,
        until_ms,
        said,
    };
    Ok(rows.into_iter().map(lease).collect())
}
