//! The bill is right: every unit that a provider bills is charged at its price, as it was served, and what has no
//! price is refused before it is ordered.

mod cases;

use super::*;
use crate::common::fake::{Fake, Wire};
use crate::common::gateway::provider;
use crate::common::script::Script;
use cases::{Case, cases, chat, sonnet};
use tollgate_ledger::events::{Flag, stored};
use tollgate_wire::report::Usage;

const CHAT: &str = "/v1/chat/completions";
const MESSAGES: &str = "/v1/messages";
const RESPONSES: &str = "/v1/responses";

/// One gateway, whose provider `p` answers each model as its case says.
async fn gateway(cases: &[Case]) -> (Fake, Gateway) {
    let answers: Vec<Value> = cases.iter().map(|case| case.answer.clone()).collect();
    let fake = Fake::answering(Wire::H1, move |seen| {
        let model = seen.json()["model"].as_str().unwrap_or_default().to_owned();
        let number = model.trim_start_matches('m').parse::<usize>().unwrap_or(0);
        Script::json(200, &answers[number])
    })
    .await;
    let mut p = provider("p", &fake);
    p["keys"] = json!([]);
    p["managed_keys"] = json!([{"id": "house", "value": "HOUSE"}]);
    p["surfaces"] = json!([
        "openai/chat-completions",
        "openai/responses",
        "anthropic/messages"
    ]);
    let models = cases
        .iter()
        .enumerate()
        .map(|(number, case)| json!({"id": format!("m{number}"), "prices": case.prices}));
    p["models"] = models.collect();
    let mut config = money(1_000_000_000_000);
    config["ledger"]["processing_fee"] = json!(0.05);
    let gateway = Gateway::builder().provider(p).config(config).start().await;
    (fake, gateway)
}

fn body(model: &str, asks: &Value) -> Value {
    let mut body =
        json!({"model": model, "max_tokens": 100, "messages": [{"role": "user", "content": "hi"}]});
    for (name, value) in asks.as_object().into_iter().flatten() {
        body[name] = value.clone();
    }
    body
}

/// An event of the account, as it is stored.
#[derive(Debug)]
struct Charged {
    model: String,
    usage: Usage,
    cost: NanoUsd,
    assumed: bool,
    explained: String,
}

async fn told(gateway: &Gateway, account: &str, count: usize) -> Vec<Charged> {
    let bank = bank(gateway);
    let end = tollgate_base::clock::now() + common::PATIENCE;
    loop {
        let batches = bank.events(account, 0, u64::MAX, usize::MAX).await.unwrap();
        let mut all = Vec::new();
        for batch in &batches {
            for event in stored::decode(batch).unwrap() {
                let attempt = &event.attempt;
                all.push(Charged {
                    model: attempt.model.id.to_owned(),
                    usage: attempt.usage,
                    cost: attempt.cost,
                    assumed: attempt.is(Flag::Assumed),
                    explained: tollgate_ledger::events::Explanation::of(attempt).total,
                });
            }
        }
        if all.len() >= count || tollgate_base::clock::now() > end {
            assert_eq!(all.len(), count, "{all:#?}");
            return all;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn everything_that_a_provider_bills_is_charged_at_its_price() {
    let cases = cases();
    let (_fake, gateway) = gateway(&cases).await;
    for (number, case) in cases.iter().enumerate() {
        let mut body = body(&format!("p:m{number}"), &case.asks);
        if case.path == RESPONSES {
            body = json!({"model": body["model"], "input": "hi", "tools": case.asks["tools"]});
        }
        let mut request = Request::post(case.path, body.to_string());
        if case.path == MESSAGES {
            request = request.header("anthropic-version", "2023-06-01");
        }
        let answer = ask(&gateway, &request).await;
        assert_eq!(answer.status(), 200, "{}: {}", case.name, answer.text());
    }
    let told = told(&gateway, "default", cases.len()).await;
    for (number, case) in cases.iter().enumerate() {
        let event = told
            .iter()
            .find(|event| event.model == format!("m{number}"))
            .unwrap();
        assert_eq!(event.usage.figures(), case.figures, "{}", case.name);
        assert_eq!(
            (event.cost, event.assumed),
            (NanoUsd(case.cost), case.assumed),
            "{}",
            case.name
        );
        let explained: f64 = event.explained.parse().unwrap();
        assert!(
            (explained * 1e9 - case.cost as f64).abs() < 1e-3,
            "{}: {}",
            case.name,
            event.explained
        );
    }
    let total = totals(&gateway).await;
    assert_eq!(
        total.cost,
        told.iter().map(|event| event.cost).sum::<NanoUsd>()
    );
    assert_eq!(
        total.input,
        told.iter().map(|event| event.usage.input()).sum::<u64>()
    );
    verified(&gateway);
    assert!(
        gateway
            .admin_get("/metrics")
            .contains("tollgate_charges_assumed_total{"),
        "assumed is counted"
    );
}

#[tokio::test]
async fn what_has_no_price_is_refused_before_it_is_ordered() {
    let plain = [Case {
        name: "plain",
        path: CHAT,
        asks: json!({}),
        answer: chat(json!({"prompt_tokens": 7, "completion_tokens": 3})),
        prices: sonnet(),
        figures: [7, 0, 0, 3, 0],
        cost: 0,
        assumed: false,
    }];
    let (fake, gateway) = gateway(&plain).await;
    for (path, asks, param) in [
        (CHAT, json!({"service_tier": "priority"}), "service_tier"),
        (CHAT, json!({"SERVICE_TIER": "priority"}), "service_tier"),
        (CHAT, json!({"modalities": ["audio"]}), "modalities"),
        (
            CHAT,
            json!({"web_search_options": {}}),
            "web_search_options",
        ),
        (MESSAGES, json!({"speed": "fast"}), "speed"),
        (MESSAGES, json!({"inference_geo": "us"}), "inference_geo"),
        (
            MESSAGES,
            json!({"tools": [{"type": "web_search_20260209", "name": "w"}]}),
            "tools[0].type",
        ),
        (
            MESSAGES,
            json!({"tools": [{"type": "code_execution_20260120", "name": "c"}]}),
            "tools[0].type",
        ),
        (
            RESPONSES,
            json!({"tools": [{"type": "file_search"}]}),
            "tools[0].type",
        ),
        (
            RESPONSES,
            json!({"tools": [{"type": "unheard_of"}]}),
            "tools[0].type",
        ),
        (RESPONSES, json!({"background": true}), "background"),
    ] {
        let mut body = body("p:m0", &asks);
        if path == RESPONSES {
            body["input"] = json!("hi");
        }
        let answer = ask(&gateway, &Request::post(path, body.to_string())).await;
        assert_eq!(
            (answer.status(), answer.code().as_str()),
            (422, "ERR_TOLLGATE_3806"),
            "{asks}: {}",
            answer.text()
        );
        assert!(answer.text().contains(param), "{asks}: {}", answer.text());
    }
    assert_eq!(fake.count(), 0, "nothing went upstream");
}

#[tokio::test]
async fn a_configuration_says_what_its_keys_may_order() {
    let priced = [Case {
        name: "priced",
        path: CHAT,
        asks: json!({}),
        answer: chat(json!({"prompt_tokens": 7, "completion_tokens": 3})),
        prices: json!({"input": 1, "output": 1, "web_search": 10, "variants": [
            {"when": {"service_tier": "priority"}, "prices": {"input": 2}},
            {"when": {"service_tier": "flex"}, "prices": {"input": 0.5}}]}),
        figures: [7, 0, 0, 3, 0],
        cost: 0,
        assumed: false,
    }];
    let answers = priced[0].answer.clone();
    let fake = Fake::answering(Wire::H1, move |_| Script::json(200, &answers)).await;
    let mut p = provider("p", &fake);
    p["keys"] = json!([]);
    p["managed_keys"] = json!([{"id": "house", "value": "HOUSE"}]);
    p["models"] = json!([{"id": "m0", "prices": priced[0].prices}]);
    let mut config = money(1_000_000_000_000);
    config["configurations"] = json!([
        {"id": "frugal", "access": {"options": {"allow": ["service_tier=flex"]}}},
        {"id": "open", "access": {"options": {"allow": ["service_tier", "tools"]}}}]);
    config["access_keys"] = json!([
        crate::common::gateway::access_key("frugal", &json!({"configuration": "frugal"})),
        crate::common::gateway::access_key("open", &json!({"configuration": "open"}))
    ]);
    let gateway = Gateway::builder().provider(p).config(config).start().await;
    for (key, asks, code) in [
        ("frugal", json!({"service_tier": "flex"}), ""),
        (
            "frugal",
            json!({"service_tier": "priority"}),
            "ERR_TOLLGATE_3803",
        ),
        (
            "frugal",
            json!({"web_search_options": {}}),
            "ERR_TOLLGATE_3803",
        ),
        ("open", json!({"service_tier": "priority"}), ""),
        ("open", json!({"tools": [{"type": "unheard_of"}]}), ""),
        (
            "open",
            json!({"web_search_options": {}}),
            "ERR_TOLLGATE_3803",
        ),
    ] {
        let request = Request::post(CHAT, body("p:m0", &asks).to_string());
        let answer = ask(&gateway, &crate::common::requests::from(key, request)).await;
        let told = if answer.status() == 200 {
            String::new()
        } else {
            answer.code()
        };
        assert_eq!(told, code, "{key} {asks}: {}", answer.text());
    }
}

/// The operator pays for what failed, and sees it; the caller pays the answer that it gets.
#[tokio::test]
async fn what_failed_attempts_cost_is_charged_to_the_house() {
    let start = format!(
        "event: message_start\ndata: {}\n\n",
        json!({"type": "message_start", "message": {"id": "m", "type": "message", "role": "assistant", "model": "m",
            "content": [], "usage": {"input_tokens": 100_000, "output_tokens": 1}}})
    );
    let error = "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"x\"}}\n\n";
    let fake = Fake::start(Wire::H1, Script::sse().data(start + error)).await;
    let mut p = provider("p", &fake);
    p["keys"] = json!([]);
    p["managed_keys"] = json!([{"id": "one", "value": "ONE"}, {"id": "two", "value": "TWO"}]);
    p["surfaces"] = json!(["anthropic/messages"]);
    p["models"] = json!([{"id": "m", "prices": sonnet()}]);
    let gateway = Gateway::builder()
        .provider(p)
        .config(money(1_000_000_000_000))
        .start()
        .await;
    let answer = ask(&gateway, &Request::message(&["p:m"], true)).await;
    assert!(answer.status() >= 500, "{}", answer.text());
    let callers = told(&gateway, "default", 2).await;
    let house = told(&gateway, "house", 2).await;
    for event in callers.iter().chain(&house) {
        assert_eq!(event.usage.figures(), [100_000, 0, 0, 1, 0]);
    }
    assert!(
        callers.iter().all(|event| event.cost == NanoUsd::ZERO),
        "{callers:?}"
    );
    assert!(
        house.iter().all(|event| event.cost == NanoUsd(300_015_000)),
        "{house:?}"
    );
    let books = bank(&gateway).books("house").await.unwrap();
    assert_eq!(
        (books.spent, books.faults()),
        (NanoUsd(600_030_000), Vec::<String>::new())
    );
    verified(&gateway);
}

/// Twenty-five tiny answers teach the estimate, then two hundred large ones come at once: an account of a quarter of a
/// dollar was overdrawn by three hundred.
#[tokio::test]
async fn a_hostile_caller_overdraws_no_more_than_the_operator_allows() {
    let fake = Fake::answering(Wire::H1, |seen| {
        let large = memchr::memmem::find(&seen.body, b"large").is_some();
        let output = if large { 100_000 } else { 1 };
        let script = Script::json(
            200,
            &chat(json!({"prompt_tokens": 10, "completion_tokens": output})),
        );
        if large {
            Script {
                acts: [crate::common::script::Act::Wait(Duration::from_millis(300))]
                    .into_iter()
                    .chain(script.acts)
                    .collect(),
                ..script
            }
        } else {
            script
        }
    })
    .await;
    let mut p = provider("p", &fake);
    p["keys"] = json!([]);
    p["managed_keys"] = json!([{"id": "house", "value": "HOUSE"}]);
    p["models"] = json!([{"id": "m", "max_output_tokens": 100_000, "prices": sonnet()}]);
    let mut config = money(250_000_000);
    config["ledger"]["overdraft"] = json!(4);
    let gateway = Arc::new(Gateway::builder().provider(p).config(config).start().await);
    let of = |word: &str, most: u64| {
        let body = json!({"model": "p:m", "max_tokens": most, "messages": [{"role": "user", "content": word}]});
        Request::post(CHAT, body.to_string())
    };
    for _ in 0..25 {
        assert_eq!(ask(&gateway, &of("tiny", 10)).await.status(), 200);
    }
    let mut attack = tokio::task::JoinSet::new();
    for _ in 0..200 {
        let (gateway, request) = (gateway.clone(), of("large", 100_000));
        attack.spawn(async move { ask(&gateway, &request).await });
    }
    let mut served = 0;
    while let Some(answer) = attack.join_next().await {
        let answer = answer.unwrap();
        match answer.status() {
            200 => served += 1,
            429 => assert_eq!(answer.code(), "ERR_TOLLGATE_3813", "{}", answer.text()),
            403 => assert_eq!(answer.code(), "ERR_TOLLGATE_4026"),
            // More of the account's prompts wait to be counted than may.
            503 => assert_eq!(answer.code(), "ERR_TOLLGATE_3830", "{}", answer.text()),
            other => panic!("{other}: {}", answer.text()),
        }
    }
    // Each may cost 1.50 beyond its hold.
    assert!((1..=2).contains(&served), "{served} of 200");
    let end = tollgate_base::clock::now() + common::PATIENCE;
    loop {
        let books = bank(&gateway).books("default").await.unwrap();
        assert!(books.free >= NanoUsd(-4_000_000_000), "{books:?}");
        if books.lent() == NanoUsd::ZERO || tollgate_base::clock::now() > end {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
