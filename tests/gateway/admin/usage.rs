//! Usage: events page by page, and days.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};

use super::help::{ACME, ACME_TOKEN, Api, READER, ROOT, builder};
use crate::common::fake::{Fake, Wire};
use crate::common::gateway::provider;
use crate::common::requests::Request;
use crate::common::script::Script;

/// Long ago.
const ALL: &str = "startTime=2020-01-01T00:00:00Z";

const PUBLISHED: [&str; 23] = [
    "accessKeyId",
    "attemptNumber",
    "cacheReadTokens",
    "eventTime",
    "id",
    "inputTokens",
    "isError",
    "isFinalAttempt",
    "isStreaming",
    "keySource",
    "model",
    "modelDisplayName",
    "outputTokens",
    "provider",
    "providerDisplayName",
    "providerKeyDisplayName",
    "providerKeyId",
    "reasoningTokens",
    "requestId",
    "statusCode",
    "stopReason",
    "timedOut",
    "totalCost",
];

async fn start() -> (Api, [Fake; 2]) {
    let bad = Fake::start(Wire::H1, Script::error(500, "broken")).await;
    let good = Fake::good(Wire::H1, "hello").await;
    let mut theirs = provider("theirs", &good);
    theirs["keys"][0]["account"] = json!("acme");
    let builder = builder()
        .provider(theirs)
        .fake("bad", &bad)
        .fake("good", &good)
        .config(json!({"ledger": {"processing_fee": 1, "flush": "20ms"}}));
    (Api::start(builder).await, [bad, good])
}

fn events(page: &Value) -> &Vec<Value> {
    page["aiGatewayUsage"].as_array().unwrap()
}

/// The list once it has so many events.
async fn listed(api: &Api, path: &str, count: usize) -> Value {
    let end = tollgate_base::clock::now() + crate::common::PATIENCE;
    loop {
        let page = api.get(path).await;
        if events(&page).len() == count {
            return page;
        }
        assert!(
            tollgate_base::clock::now() < end,
            "{path}: not {count} events: {page}"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn events_have_the_published_fields_and_more_if_asked() {
    let (api, _fakes) = start().await;
    let request = Request::chat(&["bad:m", "good:m"], false);
    let (mut rounds, mut page) = (0, Value::Null);
    while page["aiGatewayUsage"]
        .get(0)
        .is_none_or(|event| event["providerKeyId"].is_null())
    {
        assert!(rounds < 5, "all are short: {page}");
        rounds += 1;
        assert_eq!(api.ask(&request).await, 200);
        // One that is reported to the bank in the moment between its settlement and its end is short.
        page = listed(&api, &format!("/usage?{ALL}"), rounds).await;
    }
    assert_eq!(page["nextPageUri"], Value::Null);
    assert!(page["uri"].as_str().unwrap().ends_with("/usage"), "{page}");
    let event = &events(&page)[0];
    let mut names: Vec<&String> = event.as_object().unwrap().keys().collect();
    names.sort();
    assert_eq!(names, PUBLISHED);
    for (field, value) in [
        ("accessKeyId", json!("test")),
        ("attemptNumber", json!(2)),
        ("isFinalAttempt", json!(true)),
        ("isError", json!(false)),
        ("provider", json!("good")),
        ("model", json!("m")),
        ("statusCode", json!(200)),
        ("inputTokens", json!(7)),
        ("outputTokens", json!(3)),
        ("totalCost", json!("0.00001")),
        ("keySource", json!("user")),
        ("providerKeyId", json!("good-key")),
    ] {
        assert_eq!(event[field], value, "{field}: {event}");
    }
    assert_ne!(event["providerKeyDisplayName"], "KEY-good", "redacted");

    let with = format!("/usage?{ALL}&includeRetries=true&extended=true");
    let page = api.get(&with).await;
    let [second, first, ..] = &events(&page)[..] else {
        panic!("{page}")
    };
    assert_eq!(second["id"], event["id"], "the newest first");
    assert_eq!(second["outcome"], "ok");
    assert_eq!(second["surface"], "openai/chat-completions");
    assert_eq!(second["cacheWriteTokens"], 0);
    assert_eq!(second["estimated"], false);
    assert_eq!(second["orphaned"], false);
    assert!(second["latencyMs"].is_u64() && second["latencyToCommitMs"].is_u64());
    assert_eq!(first["requestId"], second["requestId"]);
    assert_eq!(first["isFinalAttempt"], false);
    assert_eq!(
        (&first["isError"], &first["statusCode"]),
        (&json!(true), &json!(500))
    );
    assert_eq!(first["totalCost"], "0.00000");
}

#[tokio::test]
async fn pages_neither_lose_nor_repeat_events_while_new_ones_come() {
    let (api, _fakes) = start().await;
    for _ in 0..7 {
        assert_eq!(api.chat("good:m").await, 200);
    }
    let acme = Request::chat(&["theirs:m"], false)
        .without("authorization")
        .header("authorization", &format!("Bearer {ACME_TOKEN}"));
    assert_eq!(api.ask(&acme).await, 200);
    let all = listed(&api, &format!("/usage?{ALL}"), 7).await;
    let there: BTreeSet<&str> = events(&all)
        .iter()
        .map(|one| one["id"].as_str().unwrap())
        .collect();

    let base = format!("http://{}", api.gateway.admin);
    let (mut seen, mut path) = (Vec::new(), format!("/usage?{ALL}&limit=2"));
    let mut pages = 0;
    loop {
        let page = api.get(&path).await;
        assert!(events(&page).len() <= 2);
        seen.extend(
            events(&page)
                .iter()
                .map(|one| one["id"].as_str().unwrap().to_owned()),
        );
        assert_eq!(api.chat("good:m").await, 200);
        let Some(next) = page["nextPageUri"].as_str() else {
            break;
        };
        assert!(
            next.contains("limit=2") && next.contains("startTime="),
            "{next}"
        );
        path = next.strip_prefix(&base).unwrap().to_owned();
        pages += 1;
        assert!(pages < 20, "pages end");
    }
    assert_eq!(seen.len(), 7, "{seen:?}");
    assert_eq!(seen.iter().map(|id| &**id).collect::<BTreeSet<_>>(), there);

    let own = api
        .call(ACME, "GET", &format!("/usage?{ALL}"), None)
        .await
        .1;
    assert_eq!(events(&own).len(), 1, "an account sees its own");
    assert_eq!(events(&own)[0]["accessKeyId"], "acme");
    let none = api.get(&format!("/usage?{ALL}&accessKeyId=nobody")).await;
    assert!(events(&none).is_empty());
    let none = api
        .get("/usage?startTime=2020-01-01T00:00:00Z&endTime=2020-01-02T00:00:00Z")
        .await;
    assert!(events(&none).is_empty());
}

#[tokio::test]
async fn days_are_added_up_by_provider_and_by_access_key() {
    let (api, _fakes) = start().await;
    for model in ["good:m", "good:m", "bad:m"] {
        api.chat(model).await;
    }
    listed(&api, &format!("/usage?{ALL}"), 3).await;
    let overview = api.get(&format!("/usage/overview?{ALL}")).await;
    let midnight = overview["buckets"][0]["bucketStart"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(midnight.ends_with("T00:00:00.000Z"), "{midnight}");
    assert_eq!(
        overview["buckets"],
        json!([
            {"bucketStart": midnight, "groupKey": "bad", "cost": "0.00000", "requests": 1, "errors": 1},
            {"bucketStart": midnight, "groupKey": "good", "cost": "0.00002", "requests": 2, "errors": 0},
        ])
    );
    let totals = json!({"cost": "0.00002", "requests": 3, "errors": 1});
    assert_eq!(overview["totals"], totals);
    assert!(
        overview["uri"]
            .as_str()
            .unwrap()
            .ends_with("/usage/overview")
    );
    let hours = format!("/usage/overview?startTime={midnight}&interval=hour");
    let hours = api.get(&hours).await;
    assert_eq!(hours["totals"], totals, "the same by the hour: {hours}");
    assert_eq!(hours["toldFrom"], Value::Null);
    for bucket in hours["buckets"].as_array().unwrap() {
        let hour = bucket["bucketStart"].as_str().unwrap();
        assert!(hour.starts_with(&midnight[..11]) && hour.ends_with(":00:00.000Z"));
    }
    let all = format!("/usage/overview?{ALL}&interval=total");
    let all = api.get(&all).await;
    assert_eq!(all["totals"], totals, "the same in all: {all}");
    let begun = json!("2020-01-01T00:00:00.000Z");
    let good = json!({"bucketStart": begun, "groupKey": "good", "cost": "0.00002", "requests": 2, "errors": 0});
    assert_eq!(
        (&all["buckets"][1], &all["buckets"][2]),
        (&good, &Value::Null)
    );
    let long = format!("/usage/overview?{ALL}&interval=hour");
    let answer = api.expect(422, "GET", &long, None).await;
    assert!(answer["details"]["startTime"].is_string(), "{answer}");
    let by_key = api
        .get(&format!("/usage/overview?{ALL}&groupBy=accessKey"))
        .await;
    assert_eq!(by_key["buckets"].as_array().unwrap().len(), 1);
    assert_eq!(by_key["buckets"][0]["groupKey"], "test");
    assert_eq!(by_key["totals"], totals);
    let by_model = api
        .get(&format!(
            "/usage/overview?{ALL}&groupBy=model&extended=true"
        ))
        .await;
    let good = &by_model["buckets"][1];
    assert_eq!(good["groupKey"], "good:m");
    let tokens = json!([14, 0, 6]);
    for tokens_of in [good, &by_model["totals"]] {
        let of = ["inputTokens", "cacheReadTokens", "outputTokens"].map(|name| &tokens_of[name]);
        assert_eq!(json!(of), tokens, "{by_model}");
    }
}

#[tokio::test]
async fn events_are_narrowed_by_provider_model_and_outcome() {
    let (api, _fakes) = start().await;
    for model in ["good:m", "good:m", "bad:m"] {
        api.chat(model).await;
    }
    listed(&api, &format!("/usage?{ALL}"), 3).await;
    for (filter, count) in [
        ("provider=good", 2),
        ("provider=bad&isError=true", 1),
        ("provider=good&isError=true", 0),
        ("model=m", 3),
        ("model=nothing", 0),
        ("isError=false&limit=1", 1),
    ] {
        let page = api.get(&format!("/usage?{ALL}&{filter}")).await;
        assert_eq!(events(&page).len(), count, "{filter}: {page}");
    }
}

#[tokio::test]
async fn what_is_not_valid_and_who_may_look() {
    let (api, _fakes) = start().await;
    for (query, field) in [
        ("", "startTime"),
        ("startTime=yesterday", "startTime"),
        (
            "startTime=2026-01-02T00:00:00Z&endTime=2026-01-01T00:00:00Z",
            "endTime",
        ),
        ("startTime=2026-01-02T00:00:00Z&cursor=abc", "cursor"),
        ("startTime=2026-01-02T00:00:00Z&cursor=", "cursor"),
        ("startTime=2026-01-02T00:00:00Z&limit=101", "limit"),
        (
            "startTime=2026-01-02T00:00:00Z&includeRetries=perhaps",
            "includeRetries",
        ),
        ("startTime=2026-01-02T00:00:00Z&page=2", "page"),
    ] {
        let answer = api
            .expect(422, "GET", &format!("/usage?{query}"), None)
            .await;
        assert!(answer["details"][field].is_string(), "{query}: {answer}");
    }
    let wrong = format!("/usage/overview?{ALL}&groupBy=colour");
    let answer = api.expect(422, "GET", &wrong, None).await;
    assert!(answer["details"]["groupBy"].is_string(), "{answer}");

    let usage = api
        .create(
            "/api-keys",
            json!({"role": "usage-only", "name": "billing"}),
        )
        .await;
    let token = usage["token"].as_str().unwrap();
    for (path, status) in [
        (format!("/usage?{ALL}"), 200),
        (format!("/usage/overview?{ALL}"), 200),
        ("/credits/balance".to_owned(), 200),
        ("/credits/transactions".to_owned(), 403),
        ("/api-keys".to_owned(), 403),
        ("/audit-log".to_owned(), 403),
        ("/cool-downs".to_owned(), 403),
        ("/accounts".to_owned(), 403),
    ] {
        assert_eq!(
            api.call(token, "GET", &path, None).await.0,
            status,
            "{path}"
        );
        assert_eq!(api.call(READER, "GET", &path, None).await.0, 200, "{path}");
        assert_eq!(api.call(ROOT, "GET", &path, None).await.0, 200, "{path}");
    }
}
