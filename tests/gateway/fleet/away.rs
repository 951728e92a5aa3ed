//! Redis away: what is known is served, what is not is not refused as unknown, and nothing is half-written.

use futures::future::join_all;

use super::*;
use crate::common::fake::{Fake, Wire};

/// Of one call to the store, as [`on`] sets it.
const TIMEOUT: Duration = Duration::from_millis(500);
/// What a busy machine may add.
const SLACK: Duration = Duration::from_millis(1_500);

/// How long all of these take that are asked at once, and what each is answered.
async fn at_once(address: SocketAddr, requests: Vec<Request>) -> (Duration, Vec<Answer>) {
    let began = clock::now();
    let answers = join_all(requests.iter().map(|request| ask(address, request))).await;
    (clock::now() - began, answers)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_that_are_known_are_served_and_the_admin_api_answers_in_time() {
    let redis = Process::start(&[]);
    let fake = Fake::good(Wire::H1, "hello").await;
    let gateway = replica(&redis).fake("f", &fake).start().await;
    let (id, token) = create(&gateway).await;
    for _ in 0..3 {
        assert_eq!(ask(gateway.address, &chat(&token)).await.status(), 200);
    }
    // Stopped, not ended: connections stay open, and nothing answers.
    redis.signal("STOP");
    let create_one = admin("POST", "/access-keys", Some(&json!({"name": "half"})));
    let (took, answers) = at_once(gateway.admin, vec![create_one.clone(); 1]).await;
    println!("one write of the admin API without Redis: {took:.1?}");
    assert_eq!(answers[0].status(), 503, "{}", answers[0].text());
    assert_eq!(answers[0].json()["errorCode"], "ERR_TOLLGATE_4503");
    assert!(took < 2 * TIMEOUT + SLACK, "{took:?}");
    redis.signal("CONT");
    assert!(create_answered(&gateway).await < crate::common::PATIENCE);

    redis.signal("STOP");
    let writes = async {
        let mut requests = vec![create_one; 24];
        requests.push(admin("DELETE", &format!("/access-keys/{id}"), None));
        at_once(gateway.admin, requests).await
    };
    let path = format!("/access-keys/{id}");
    let gets = (0..24).map(|n| admin("GET", ["/access-keys", &path][n % 2], None));
    let reads = at_once(gateway.admin, gets.collect());
    let served = async {
        let began = clock::now();
        let mut served = 0;
        while clock::now() < began + 2 * TIMEOUT {
            let answer = ask(gateway.address, &chat(&token)).await;
            assert_eq!(answer.status(), 200, "{}", answer.text());
            served += 1;
        }
        served
    };
    let ((wrote, written), (read, shown), served) = tokio::join!(writes, reads, served);
    println!(
        "without Redis: 25 writes at once in {wrote:.1?}, 24 reads at once in {read:.1?}, {served} served"
    );
    for answer in written {
        assert_eq!(answer.status(), 503, "{}", answer.text());
    }
    for answer in shown {
        assert_eq!(answer.status(), 200, "{}", answer.text());
        assert!(answer.text().contains(&id), "{}", answer.text());
    }
    assert!(wrote < 6 * TIMEOUT + SLACK, "{wrote:?}");
    assert!(read < 4 * TIMEOUT + SLACK, "{read:?}");
    redis.signal("CONT");
    create_answered(&gateway).await;
    assert_eq!(ask(gateway.address, &chat(&token)).await.status(), 200);

    // Whatever the refused ones came to, they came to it as a whole.
    let store = resources(&gateway);
    let keys = created_in(&*store).await;
    let audited = store.audit(None, 1_000).await.unwrap().len();
    assert_eq!(keys, audited, "resources, and entries about their creation");
    let listed = ask(gateway.admin, &admin("GET", "/access-keys?limit=100", None)).await;
    let listed = listed.json()["aiGatewayAccessKeys"]
        .as_array()
        .map(Vec::len);
    // One more is declared.
    assert_eq!(listed, Some(keys + 1), "the gateway knows the same");
}

/// How long it takes until the admin API can write again.
async fn create_answered(gateway: &Gateway) -> Duration {
    let began = clock::now();
    let request = admin("POST", "/access-keys", Some(&json!({})));
    loop {
        let answer = ask(gateway.admin, &request).await;
        let took = clock::now() - began;
        if answer.status() != 503 {
            created(&answer);
            println!("the admin API writes again {took:.1?} after Redis is back");
            return took;
        }
        assert!(took < crate::common::PATIENCE, "{}", answer.text());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_that_starts_without_redis_tells_not_yet_from_unknown() {
    let mut redis = Process::start(&["--appendonly", "yes", "--appendfsync", "always"]);
    let fake = Fake::good(Wire::H1, "hello").await;
    let gateway = replica(&redis).fake("f", &fake).start().await;
    let (_, token) = create(&gateway).await;
    drop(gateway);
    redis.kill();
    let began = clock::now();
    let gateway = replica(&redis)
        // Without money, which is in Redis, too, nothing would be served.
        .config(json!({"ledger": {"when_unreachable": "allow"}}))
        .fake("f", &fake)
        .listen()
        .await;
    println!(
        "listens {:.1?} after its start without Redis",
        clock::now() - began
    );
    let declared = ask(gateway.address, &chat(crate::common::TOKEN)).await;
    assert_eq!(declared.status(), 200, "{}", declared.text());
    let unknown = ask(gateway.address, &chat(&token)).await;
    assert_eq!(unknown.status(), 503, "{}", unknown.text());
    let malformed = ask(gateway.address, &chat("no-token")).await;
    assert_eq!(malformed.status(), 401, "{}", malformed.text());
    let ready = ask(gateway.admin, &Request::get("/readyz")).await;
    assert_eq!(ready.status(), 503);
    assert!(ready.text().contains("store"), "{}", ready.text());
    let shown = ask(gateway.admin, &admin("GET", "/access-keys/test", None)).await;
    assert_eq!(shown.status(), 200, "declared: {}", shown.text());

    redis.restart();
    let began = clock::now();
    let healed = until(
        gateway.address,
        &chat(&token),
        200,
        began,
        "the store is back",
    )
    .await;
    println!("serves stored keys {healed:.1?} after Redis is back");
    assert!(healed < Duration::from_secs(2), "{healed:?}");
    until(gateway.admin, &Request::get("/readyz"), 200, began, "ready").await;
}
