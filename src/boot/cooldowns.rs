//! Shares with other replicas which provider keys cool down, and what is left of their quotas.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use crate::proxy::{Published, Shared, TOLD_FOR};
use tollgate_base::clock;
use tollgate_failover::retry_after::LONGEST;
use tollgate_failover::{Limits, Scope};
use tollgate_store::redis::Leases;

/// How often other replicas' cool-downs are read.
const LISTEN: Duration = Duration::from_secs(1);

/// How long cool-downs are gathered after some were published. In a storm of refusals each of them moves an end.
const GATHER: Duration = Duration::from_millis(250);

/// Publishes to the others what is sent here; ends when nobody sends any more.
pub async fn publish(cooldowns: Leases, mut sent: mpsc::Receiver<Published>) {
    let mut waiting = Vec::new();
    while sent.recv_many(&mut waiting, usize::MAX).await > 0 {
        for cooldown in latest(waiting.drain(..)) {
            let left = cooldown.until.saturating_duration_since(clock::now());
            let until = cooldowns.now_ms().saturating_add(clock::millis(left));
            // Without it the others only try that key sooner than they need to.
            if let Err(error) = cooldowns
                .publish(&cooldown.key, until, &cooldown.reason)
                .await
            {
                log::debug!("a cool-down is not shared: {error}");
            }
        }
        tokio::time::sleep(GATHER).await;
    }
}

/// Of each key the cool-down that ends last.
fn latest(all: impl IntoIterator<Item = Published>) -> impl Iterator<Item = Published> {
    let mut latest: HashMap<Arc<str>, Published> = HashMap::new();
    for cooldown in all {
        match latest.get(&cooldown.key) {
            Some(known) if known.until >= cooldown.until => {}
            _ => drop(latest.insert(cooldown.key.clone(), cooldown)),
        }
    }
    latest.into_values()
}

/// Reads what the others publish; never ends.
pub async fn follow(cooldowns: Leases, quotas: Leases, shared: Arc<Shared>) {
    loop {
        tokio::time::sleep(LISTEN).await;
        hear_quotas(&quotas, &shared).await;
        let Ok(all) = cooldowns.list().await else {
            continue;
        };
        let (now, store_ms) = (clock::now(), cooldowns.now_ms());
        for cooldown in all {
            // The clock of the replica that published it may be ahead.
            let left =
                Duration::from_millis(cooldown.until_ms.saturating_sub(store_ms)).min(LONGEST);
            shared
                .health
                .cooldowns
                .heard(&cooldown.name, now + left, now);
        }
    }
}

/// Takes in what the others know of quotas.
async fn hear_quotas(quotas: &Leases, shared: &Shared) {
    let Ok(all) = quotas.list().await else { return };
    let (now, store_ms) = (clock::now(), quotas.now_ms());
    for told in all {
        let left = Duration::from_millis(told.until_ms.saturating_sub(store_ms));
        let Some(at) = now.checked_sub(TOLD_FOR.saturating_sub(left)) else {
            continue;
        };
        let (key, scope) = Scope::of_name(&told.name);
        if let Some(model) = scope.model {
            let limits = Limits::heard(&told.said);
            let headroom = &shared.health.headroom;
            headroom.heard(key, &model, at, &limits, now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A provider that does not say for how long refuses a thousand requests of a second, and each refusal moves the
    /// end of its key's cool-down: that made a thousand messages.
    #[test]
    fn of_each_key_the_latest_end_is_published() {
        let now = clock::now();
        let cooldown = |key: &str, millis| Published {
            key: key.into(),
            until: now + Duration::from_millis(millis),
            reason: "http_429".into(),
        };
        let storm = (0..1_000).map(|millis| cooldown("a", 1_000 + millis));
        let waiting = storm.chain([cooldown("b", 30_000), cooldown("a", 500)]);
        let mut published: Vec<Published> = latest(waiting).collect();
        published.sort_by_key(|cooldown| cooldown.until);
        assert_eq!(published, [cooldown("a", 1_999), cooldown("b", 30_000)]);
    }
}
