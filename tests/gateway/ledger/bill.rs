//! The bill is right: every unit that a provider bills is charged at its price, as it was served, and what has no
//! price is refused before it is ordered.

use super::*;
use crate::common::fake::{Fake, Wire};
use crate::common::gateway::provider;
use crate::common::script::Script;
use tollgate_ledger::events::{Flag, stored};
use tollgate_wire::report::Usage;

const CHAT: &str = "/v1/chat/completions";
const MESSAGES: &str = "/v1/messages";
const RESPONSES: &str = "/v1/responses";

/// US dollars per million tokens, as Anthropic's Sonnet.
fn sonnet() -> Value {
    json!({"input": 3, "cached_read": 0.3, "cache_write": 3.75, "output": 15})
}

/// What a request is charged, without the fee's 0.05 USD per million tokens.
struct Case {
    name: &'static str,
    path: &'static str,
    /// Beside model and messages.
    asks: Value,
    answer: Value,
    prices: Value,
    /// Input, cached read, cache write, output, reasoning.
    figures: [u64; 5],
    /// Nano-dollars, the fee included.
    cost: i64,
    assumed: bool,
}

fn chat(usage: Value) -> Value {
    json!({"id": "c", "object": "chat.completion", "created": 1, "model": "m", "usage": usage,
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "hello"}, "finish_reason": "stop"}]})
}

fn message(usage: Value) -> Value {
    json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "usage": usage,
        "content": [{"type": "text", "text": "hello"}], "stop_reason": "end_turn", "stop_sequence": null})
}

fn cases() -> Vec<Case> {
    let priority = json!({"input": 3, "output": 15, "variants": [
        {"when": {"service_tier": "priority"}, "prices": {"input": 7.5, "output": 37.5}},
        {"when": {"service_tier": "flex"}, "prices": {"input": 1.5, "output": 7.5}}]});
    let fast = json!({"input": 5, "output": 25, "web_search": 10, "variants": [
        {"when": {"speed": "fast", "inference_geo": "us"}, "prices": {"input": 11, "output": 55}},
        {"when": {"speed": "fast"}, "prices": {"input": 10, "output": 50}}]});
    let tier = |served: &str| {
        let mut answer = chat(
            json!({"prompt_tokens": 1_000_000, "completion_tokens": 0, "total_tokens": 1_000_000}),
        );
        answer["service_tier"] = json!(served);
        answer["choices"][0]["message"]["content"] = json!("");
        answer
    };
    let case = |name, path, asks, answer, prices, figures, cost| Case {
        name,
        path,
        asks,
        answer,
        prices,
        figures,
        cost,
        assumed: false,
    };
    vec![
        case(
            "one-hour cache writes",
            MESSAGES,
            json!({}),
            message(json!({"input_tokens": 10,
            "cache_creation_input_tokens": 1_000_000, "cache_read_input_tokens": 0, "output_tokens": 10,
            "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 1_000_000}})),
            sonnet(),
            [1_000_010, 0, 1_000_000, 10, 0],
            6_050_181_000,
        ),
        case(
            "iterations of a compaction",
            MESSAGES,
            json!({}),
            message(json!({"input_tokens": 23_000,
            "output_tokens": 1_000, "iterations": [
                {"type": "compaction", "input_tokens": 180_000, "output_tokens": 3_500},
                {"type": "message", "input_tokens": 23_000, "output_tokens": 1_000}]})),
            sonnet(),
            [203_000, 0, 0, 4_500, 0],
            686_875_000,
        ),
        case(
            "thoughts that only the total tells",
            CHAT,
            json!({}),
            chat(json!({"prompt_tokens": 20, "completion_tokens": 424, "total_tokens": 1_016})),
            sonnet(),
            [20, 0, 0, 996, 572],
            15_050_800,
        ),
        case(
            "fast mode in a region",
            MESSAGES,
            json!({"speed": "fast", "inference_geo": "us"}),
            message(
                json!({"input_tokens": 1_000, "output_tokens": 1_000, "speed": "fast", "inference_geo": "us"}),
            ),
            fast.clone(),
            [1_000, 0, 0, 1_000, 0],
            66_100_000,
        ),
        case(
            "web searches",
            MESSAGES,
            json!({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}),
            message(json!({"input_tokens": 1_000, "output_tokens": 1_000,
                "server_tool_use": {"web_search_requests": 5}})),
            fast,
            [1_000, 0, 0, 1_000, 0],
            30_000_000 + 50_000_000 + 100_000,
        ),
        case(
            "asked priority, served priority",
            CHAT,
            json!({"service_tier": "priority"}),
            tier("priority"),
            priority.clone(),
            [1_000_000, 0, 0, 0, 0],
            7_550_000_000,
        ),
        case(
            "asked priority, served default",
            CHAT,
            json!({"service_tier": "priority"}),
            tier("default"),
            priority.clone(),
            [1_000_000, 0, 0, 0, 0],
            3_050_000_000,
        ),
        case(
            "asked nothing, served priority",
            CHAT,
            json!({}),
            tier("priority"),
            priority.clone(),
            [1_000_000, 0, 0, 0, 0],
            7_550_000_000,
        ),
        case(
            "asked flex, served flex",
            CHAT,
            json!({"service_tier": "flex"}),
            tier("flex"),
            priority,
            [1_000_000, 0, 0, 0, 0],
            1_550_000_000,
        ),
        Case {
            assumed: true,
            ..case(
                "served a tier that has no price",
                CHAT,
                json!({}),
                tier("priority"),
                sonnet(),
                [1_000_000, 0, 0, 0, 0],
                7_550_000_000,
            )
        },
        case(
            "audio both ways",
            CHAT,
            json!({"modalities": ["text", "audio"], "audio": {"voice": "v"}}),
            chat(
                json!({"prompt_tokens": 1_000, "completion_tokens": 1_000, "total_tokens": 2_000,
                "prompt_tokens_details": {"audio_tokens": 900}, "completion_tokens_details": {"audio_tokens": 900}}),
            ),
            json!({"input": 3, "output": 15, "input_audio": 40, "output_audio": 80}),
            [1_000, 0, 0, 1_000, 0],
            300_000 + 36_000_000 + 1_500_000 + 72_000_000 + 100_000,
        ),
        Case {
            assumed: true,
            ..case(
                "audio that has no price",
                CHAT,
                json!({}),
                chat(
                    json!({"prompt_tokens": 1_000, "completion_tokens": 1_000, "total_tokens": 2_000,
                "prompt_tokens_details": {"audio_tokens": 900}, "completion_tokens_details": {"audio_tokens": 900}}),
                ),
                sonnet(),
                [1_000, 0, 0, 1_000, 0],
                300_000 + 13_500_000 + 1_500_000 + 13_500_000 + 100_000,
            )
        },
        case(
            "a search of a response",
            RESPONSES,
            json!({"tools": [{"type": "web_search"}]}),
            json!({"id": "resp_1", "object": "response", "created_at": 1, "status": "completed", "model": "m",
                "output": [{"type": "message", "id": "m1", "status": "completed", "role": "assistant",
                    "content": [{"type": "output_text", "text": "hello", "annotations": []}]}],
                "usage": {"input_tokens": 100, "output_tokens": 10, "total_tokens": 110},
                "tool_usage": {"web_search": {"num_requests": 2}}}),
            json!({"input": 3, "output": 15, "web_search": 10}),
            [100, 0, 0, 10, 0],
            300_000 + 150_000 + 20_000_000 + 5_500,
        ),
        case(
            "a container of 4 GB",
            RESPONSES,
            json!({"tools": [{"type": "code_interpreter", "container": {"type": "auto", "memory_limit": "4g"}}]}),
            json!({"id": "resp_1", "object": "response", "created_at": 1, "status": "completed", "model": "m",
                "output": [
                    {"type": "code_interpreter_call", "id": "ci_1", "status": "completed", "container_id": "cntr_1"},
                    {"type": "code_interpreter_call", "id": "ci_2", "status": "completed", "container_id": "cntr_1"}],
                "usage": {"input_tokens": 100, "output_tokens": 10, "total_tokens": 110}}),
            json!({"input": 3, "output": 15, "code_container": 30}),
            [100, 0, 0, 10, 0],
            300_000 + 150_000 + 4 * 30_000_000 + 5_500,
        ),
        case(
            "figures that are texts, floats and nulls",
            CHAT,
            json!({}),
            chat(
                json!({"prompt_tokens": "20", "completion_tokens": 4.0, "total_tokens": null,
                "prompt_tokens_details": null}),
            ),
            sonnet(),
            [20, 0, 0, 4, 0],
            60_000 + 60_000 + 1_200,
        ),
    ]
}

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
