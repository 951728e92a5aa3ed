//! `fsync: always` on a slow disk: what waits for it is what asked for it, and all who wait share one write.

use super::*;
use crate::common::disk::Disk;
use crate::common::fake::{Fake, Wire};
use crate::common::{PATIENCE, eventually};

/// At a disk of 50 ms it served eleven requests a second, however many were in flight, and the list of models took
/// 1.4 s.
#[tokio::test]
async fn a_slow_disk_is_waited_for_together_and_off_the_proxys_threads() {
    const REQUESTS: usize = 40;
    let disk = Disk::new();
    let fake = Fake::good(Wire::H1, "hello").await;
    let mut gateway = Gateway::builder()
        .fake("f", &fake)
        .config(money(1_000_000_000))
        .config(json!({
            "proxy": {"threads": 1},
            "ledger": {"fsync": "always", "flush": "500ms"},
        }));
    for (name, value) in disk.env() {
        gateway = gateway.env(name, &value);
    }
    let gateway = gateway.start().await;
    let answer = ask(&gateway, &Request::chat(&["m"], false)).await;
    assert_eq!(answer.status(), 200, "{}", answer.text());
    let (calls, served) = (disk.calls(), fake.count());
    assert!(calls >= 2, "its hold and its settlement: {calls}");

    disk.stop();
    let address = gateway.address;
    let asked: Vec<_> = (0..REQUESTS)
        .map(|_| {
            tokio::spawn(async move {
                let mut client = Client::connect(Version::H1, address).await;
                client.ask(&Request::chat(&["m"], false)).await
            })
        })
        .collect();
    let all = format!("\ntollgate_requests_in_flight {REQUESTS}\n");
    let wait = || disk.calls() > calls && gateway.admin_get("/metrics").contains(&all);
    assert!(eventually(PATIENCE, wait).await, "all wait for the disk");
    let models = tokio::time::timeout(PATIENCE, ask(&gateway, &Request::get("/v1/models"))).await;
    assert_eq!(models.expect("it waits for no disk").status(), 200);
    assert_eq!(
        fake.count(),
        served,
        "nothing goes upstream before its hold is on disk"
    );
    assert!(asked.iter().all(|request| !request.is_finished()));

    disk.go_on();
    for request in asked {
        let answer = request.await.unwrap();
        assert_eq!(answer.status(), 200, "{}", answer.text());
    }
    let calls = usize::try_from(disk.calls() - calls).unwrap();
    // All holds waited at once; settlements do as far as the machine serves faster than the disk writes.
    assert!(
        calls < REQUESTS * 3 / 2,
        "{calls} writes for {REQUESTS} holds and as many settlements"
    );
    let spent = NanoUsd(COST.0 * i64::try_from(REQUESTS + 1).unwrap());
    books(&gateway, spent).await;
    verified(&gateway);
}
