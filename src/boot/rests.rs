//! Shares with other replicas which provider keys rest.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use crate::proxy::{Rest, Shared};
use tollgate_base::clock;
use tollgate_failover::retry_after::LONGEST;
use tollgate_store::redis::Cooldowns;

/// How often other replicas' rests are heard.
const LISTEN: Duration = Duration::from_secs(1);

/// How long rests are gathered after some were told. In a storm of refusals each of them moves an end.
const GATHER: Duration = Duration::from_millis(250);

/// Tells the others what is sent here; ends when nobody sends any more.
pub async fn tell(cooldowns: Cooldowns, mut rests: mpsc::Receiver<Rest>) {
    let mut waiting = Vec::new();
    while rests.recv_many(&mut waiting, usize::MAX).await > 0 {
        for rest in latest(waiting.drain(..)) {
            let left = rest.until.saturating_duration_since(clock::now());
            let left = u64::try_from(left.as_millis()).unwrap_or(u64::MAX / 4);
            let until = cooldowns.now_ms() + left;
            // Only an order of preference is lost with it.
            if let Err(error) = cooldowns.publish(&rest.key, until, rest.reason).await {
                log::debug!("a cool-down is not shared: {error}");
            }
        }
        tokio::time::sleep(GATHER).await;
    }
}

/// Of each key the rest that ends last.
fn latest(rests: impl IntoIterator<Item = Rest>) -> impl Iterator<Item = Rest> {
    let mut latest: HashMap<Arc<str>, Rest> = HashMap::new();
    for rest in rests {
        match latest.get(&rest.key) {
            Some(known) if known.until >= rest.until => {}
            _ => drop(latest.insert(rest.key.clone(), rest)),
        }
    }
    latest.into_values()
}

/// Hears what the others tell; never ends.
pub async fn hear(cooldowns: Cooldowns, shared: Arc<Shared>) {
    loop {
        tokio::time::sleep(LISTEN).await;
        let Ok(all) = cooldowns.list().await else {
            continue;
        };
        let (now, there) = (clock::now(), cooldowns.now_ms());
        for rest in all {
            // The clock of the replica that told it may be ahead.
            let left = Duration::from_millis(rest.until_ms.saturating_sub(there)).min(LONGEST);
            shared.health.cooldowns.heard(&rest.key, now + left, now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A provider that does not say for how long refuses a thousand requests of a second, and each refusal moves the
    /// end of its key's rest: that made a thousand messages.
    #[test]
    fn of_each_key_the_latest_end_is_told() {
        let now = clock::now();
        let rest = |key: &str, millis| Rest {
            key: key.into(),
            until: now + Duration::from_millis(millis),
            reason: "http_429",
        };
        let storm = (0..1_000).map(|millis| rest("a", 1_000 + millis));
        let waiting = storm.chain([rest("b", 30_000), rest("a", 500)]);
        let mut told: Vec<Rest> = latest(waiting).collect();
        told.sort_by_key(|rest| rest.until);
        assert_eq!(told, [rest("a", 1_999), rest("b", 30_000)]);
    }
}
