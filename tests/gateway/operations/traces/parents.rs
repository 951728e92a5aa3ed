//! Whose child a span is, where a request has more attempts than one at once, or none.

use serde_json::{Value, json};

use super::{ask, hex, of, receiver, trace, tracing};
use crate::common::fake::{Fake, Seen, Wire};
use crate::common::gateway::access_key;
use crate::common::requests::{Request, from};
use crate::common::script::Script;
use crate::fleet::MASTER;
use crate::ledger::money;

/// How many answers teach a gateway how long they take.
const TAUGHT: usize = 21;

#[tokio::test]
async fn hedges_are_below_their_request_and_replays_have_nobody_below() {
    let to = receiver().await;
    let first = |seen: &Seen| match seen.header("x-test-first") {
        Some(_) => Script::new().silence(),
        None => Script::chat(true, "one"),
    };
    let first = Fake::answering(Wire::H1, first).await;
    let second = Fake::good(Wire::H1, "two").await;
    let gateway = tracing(&to, &json!({}))
        .fake("first", &first)
        .fake("second", &second)
        .config(money(1_000_000_000_000))
        .config(json!({
            "secrets": {"master_key": MASTER},
            "configurations": [{
                "id": "both",
                "hedge": {"at_least": "150ms", "budget_percent": 100},
                "idempotency": {"store": "24h"},
            }],
            "access_keys": [access_key("both", &json!({"configuration": "both"}))],
        }))
        .start()
        .await;
    let chat = || from("both", Request::chat(&["first:m", "second:m"], true));
    for _ in 0..TAUGHT {
        assert_eq!(ask(&gateway, "usual", chat()).await, 200);
    }

    let request = chat().header("x-test-first", "silent");
    let request = request.header("idempotency-key", "again");
    assert_eq!(ask(&gateway, "hedged", request.clone()).await, 200);
    let (root, below) = trace(&to, "hedged").await;
    assert_eq!(of(&root, "tollgate.attempts"), 2);
    let ends = |key: &str| {
        below
            .iter()
            .map(|span| of(span, key))
            .collect::<Vec<Value>>()
    };
    assert_eq!(ends("tollgate.outcome"), ["cancelled", "ok"]);
    assert_eq!(ends("tollgate.provider"), ["first", "second"]);
    assert_eq!(ends("error.type"), [json!("cancelled"), Value::Null]);
    // They were under way at once, and each provider was sent the id of its own attempt.
    assert!(below[1].start_time_unix_nano < below[0].end_time_unix_nano);
    for (fake, span) in [&first, &second].into_iter().zip(&below) {
        let seen = fake.seen().pop().unwrap();
        let own = format!("00-{}-{}-01", hex(&root.trace_id), hex(&span.span_id));
        assert_eq!(seen.header("traceparent"), Some(&*own));
    }

    let asked = first.count() + second.count();
    assert_eq!(ask(&gateway, "replayed", request).await, 200);
    let (root, below) = trace(&to, "replayed").await;
    assert_eq!(of(&root, "tollgate.idempotency"), "replayed");
    assert_eq!((below.len(), first.count() + second.count()), (0, asked));
}
