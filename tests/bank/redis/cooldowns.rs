//! Cool-downs that replicas share.

use std::sync::Arc;
use std::time::Duration;

use tollgate_base::clock;
use tollgate_store::Database;
use tollgate_store::redis::{Leases, Redis, RedisSettings, Topology};

use super::topologies::{address, cluster, settings};
use crate::process::Process;

fn now() -> u64 {
    u64::try_from(clock::unix().as_millis()).unwrap()
}

fn cooldowns(settings: &RedisSettings) -> Leases {
    let redis = Redis::open(settings).unwrap();
    Database::Redis(Arc::new(redis)).cooldowns().unwrap()
}

async fn keys(cooldowns: &Leases) -> Vec<(String, u64, String)> {
    let all = cooldowns.list().await.unwrap();
    all.into_iter()
        .map(|one| (one.name, one.until_ms, one.said))
        .collect()
}

async fn the_longest_wins_and_the_ended_are_gone(topology: Topology) {
    let settings = settings(topology);
    let [one, other] = [(); 2].map(|()| cooldowns(&settings));
    assert_eq!(keys(&one).await, []);
    let soon = now() + 1_500;
    let late = now() + 60_000;
    assert_eq!(one.publish("openai-main", soon, "429").await, Ok(true));
    assert_eq!(one.publish("a key: {größe}", late, "401").await, Ok(true));
    assert_eq!(
        other.publish("a key: {größe}", late - 1, "429").await,
        Ok(false),
        "shorter"
    );
    assert_eq!(
        other.publish("past", 1_000, "429").await,
        Ok(false),
        "it has ended"
    );
    let expected = |key: &str, until, why: &str| (key.to_owned(), until, why.to_owned());
    let odd = expected("a key: {größe}", late, "401");
    assert_eq!(
        keys(&other).await,
        [expected("openai-main", soon, "429"), odd.clone()]
    );
    assert_eq!(
        other.publish("openai-main", soon + 500, "529").await,
        Ok(true),
        "longer"
    );
    assert_eq!(
        keys(&one).await[0],
        expected("openai-main", soon + 500, "529")
    );
    tokio::time::sleep(Duration::from_millis(2_200)).await;
    assert_eq!(keys(&one).await, [odd]);
}

/// A key cools down for a model under a name that begins with its own and a line break; whoever clears the key means all.
#[tokio::test]
async fn clearing_a_key_clears_what_it_does_for_models() {
    let server = Process::start(&[]);
    let settings = settings(Topology::Single(address(&server.url())));
    let cooldowns = cooldowns(&settings);
    let late = now() + 60_000;
    for name in [
        "key",
        "key\nm\nanswers",
        "key\n\ncount_tokens",
        "key-2\nm\nanswers",
        "key-2",
    ] {
        assert_eq!(cooldowns.publish(name, late, "429").await, Ok(true));
    }
    cooldowns.clear(Some("key")).await.unwrap();
    let mut left: Vec<String> = keys(&cooldowns)
        .await
        .into_iter()
        .map(|(name, ..)| name)
        .collect();
    left.sort_unstable();
    assert_eq!(left, ["key-2", "key-2\nm\nanswers"]);
    cooldowns.clear(None).await.unwrap();
    assert_eq!(keys(&cooldowns).await, []);
}

#[tokio::test]
async fn on_one_server() {
    let server = Process::start(&[]);
    the_longest_wins_and_the_ended_are_gone(Topology::Single(address(&server.url()))).await;
}

#[tokio::test]
async fn in_a_cluster() {
    let nodes = cluster();
    the_longest_wins_and_the_ended_are_gone(Topology::Cluster(vec![address(&nodes[0].url())]))
        .await;
}
