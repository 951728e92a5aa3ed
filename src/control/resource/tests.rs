//! Documents of a newer gateway.

use proptest::prelude::*;
use serde_json::{Map, json};

use super::*;

/// Every kind of resource, with everything that it can say.
fn documents() -> Vec<(&'static str, Value)> {
    let digest = "ab".repeat(32);
    let budgets = json!([
        {"usd": "20", "per": "week", "time_zone": "Europe/Berlin", "week_starts": "sunday"},
        {"usd": "0.5", "per": "total"},
    ]);
    let timeouts = json!({
        "per_request": "1s", "whole_answer": "9s", "total": "2s", "stream_idle": null, "hold": null, "keepalive": null,
    });
    let spec = json!({
        "id": "akc_1", "name": null, "failover": true, "timeouts": timeouts,
        "retry": {"same": 1, "most": "3s"}, "hedge": {"at_least": "1s", "budget_percent": 3},
        "commit": "whole", "stop_on": ["content_filter"], "priority": "batch",
        "idempotency": {"store": "2h", "join_retries": true},
        "access": {"providers": {"allow": ["f"]}, "models": {"allow": null}},
        "router": {"rules": [
            {"provider": "f", "model": null, "steps": [
                {"type": "user", "keys": ["pk_1"]}, {"type": "managed", "keys": null},
            ]},
            {"provider": null, "model": "f:m", "steps": [{"type": "managed", "keys": null}]},
        ]},
        "limits": {
            "max_input_tokens": 5, "max_output_tokens": 6, "requests_per_minute": 7, "tokens_per_minute": 8,
            "concurrent_requests": 9, "budget": budgets,
        },
    });
    let tier = json!({"above": 200, "input": "3", "output": "4"});
    let model = json!({
        "id": "m", "display_name": "M", "aliases": ["mm"], "context_window": 9, "max_output_tokens": 8,
        "modalities": ["text", "image"], "surfaces": ["openai/responses"], "unsupported_parameters": ["top_k"],
        "timeouts": timeouts,
        "capabilities": {
            "reasoning": true, "toggle": true, "efforts": ["low", "high"], "thoughts": "reasoning_content",
            "temperature": false, "structured_output": true,
        },
        "prices": {"input": "1", "output": "2.5", "tiers": [tier]},
    });
    let provider = json!({
        "id": "own", "display_name": "Own", "base_url": "http://127.0.0.1:1", "auth": "bearer",
        "surfaces": ["openai/chat-completions", "openai/responses"], "headers": {"x-team": "a"},
        "forward_headers": ["x-team-"],
        "error_rules": [{"statuses": [418], "code": null, "message": "Not {model}", "cause": "model"}],
        "ca": null, "passthrough": true, "vendor": "deepseek", "chat_extensions": false, "websocket": true,
        "unsupported_parameters": [], "timeouts": timeouts,
        "keys": [], "managed_keys": [], "models": [model],
    });
    let surface =
        json!({"surface": "openai/chat-completions", "wholeFormat": true, "parameters": ["tools"]});
    let own = [
        ("account", json!({})),
        (
            "access-key",
            json!({
                "configuration": "akc_1", "sha256": digest, "redacted": "tg-***",
                "former": {"sha256": digest, "until": 5},
                "limits": {
                    "requests_per_minute": 1, "tokens_per_minute": null, "concurrent_requests": 2, "budget": budgets,
                    "shared": "bud_1",
                },
            }),
        ),
        (
            "budget",
            json!({"parent": "bud_2", "limits": {
                "requests_per_minute": 1, "tokens_per_minute": null, "concurrent_requests": null, "budget": budgets,
            }}),
        ),
        ("configuration", json!({"says": spec})),
        (
            "provider",
            json!({"says": provider, "surfaces": [surface], "publicOnly": true, "modelIds": ["mod_1"]}),
        ),
        (
            "provider-key",
            json!({
                "provider": "own", "managed": true, "redacted": "sk-***", "sealed": "v1.0a1b2c3d.AAAA",
            }),
        ),
        (
            "api-key",
            json!({"sha256": digest, "redacted": "tga-***", "role": "read-only", "scope": "a"}),
        ),
        (
            "settings",
            json!({
                "totalTimeout": 5, "perRequestTimeout": 4, "maxInputTokens": "cleared",
                "maxOutputTokens": {"tokens": 7},
            }),
        ),
        ("cool-down-cleared", json!({})),
    ];
    let whole = |(kind, own): (&'static str, Value)| {
        let mut document = json!({
            "account": "a", "name": "n", "description": "d", "metadata": "m", "createdAt": 1, "updatedAt": 2,
            "createdBy": "x", "lastUpdatedBy": "y",
        });
        let fields = document.as_object_mut().unwrap();
        fields.extend(own.as_object().unwrap().clone());
        (kind, document)
    };
    own.map(whole).into()
}

/// The document as this gateway writes it after it has read it, and what becomes of it.
fn again(kind: &str, document: &Value) -> Result<(Value, Option<&'static str>), serde_json::Error> {
    fn of<T: Document>(text: &str) -> Result<(Value, Option<&'static str>), serde_json::Error> {
        let read: T = serde_json::from_str(text)?;
        let audited = read.audited().to_string();
        assert!(
            !audited.contains("abab") && !audited.contains("AAAA"),
            "{audited}"
        );
        Ok((serde_json::to_value(&read)?, read.newer()))
    }
    let text = document.to_string();
    match kind {
        Account::KIND => of::<Account>(&text),
        AccessKey::KIND => of::<AccessKey>(&text),
        SharedBudget::KIND => of::<SharedBudget>(&text),
        Configuration::KIND => of::<Configuration>(&text),
        Provider::KIND => of::<Provider>(&text),
        ProviderKey::KIND => of::<ProviderKey>(&text),
        ApiKey::KIND => of::<ApiKey>(&text),
        Settings::KIND => of::<Settings>(&text),
        CoolDownCleared::KIND => of::<CoolDownCleared>(&text),
        _ => panic!("{kind} is no kind"),
    }
}

/// Every object in a value, with the way to it.
fn objects<'a>(
    value: &'a mut Value,
    way: &str,
    see: &mut dyn FnMut(&str, &mut Map<String, Value>),
) {
    match value {
        Value::Array(list) => {
            for (place, item) in list.iter_mut().enumerate() {
                objects(item, &format!("{way}/{place}"), see);
            }
        }
        Value::Object(fields) => {
            see(way, fields);
            for (name, field) in fields.iter_mut() {
                objects(field, &format!("{way}/{name}"), see);
            }
        }
        _ => {}
    }
}

/// Whether what is not known there may forbid something.
fn may_forbid(kind: &str, way: &str) -> bool {
    let forbids = |part| part == "access" || part == "limits";
    match kind {
        "access-key" | "budget" | "configuration" => way.split('/').any(forbids),
        "settings" => way == "/maxOutputTokens",
        _ => false,
    }
}

#[test]
fn what_is_written_today_is_read_and_written_alike() {
    for (kind, document) in documents() {
        assert_eq!(again(kind, &document).unwrap(), (document, None), "{kind}");
    }
}

#[test]
fn the_yaml_says_nothing_that_the_forms_do_not_know() {
    use forms::Form;
    use tollgate_config::types;

    fn known<Y: Serialize, T: Form<Y> + Serialize>(yaml: &Y) -> T {
        let form = T::of(yaml);
        assert_eq!(json!(form), json!(yaml));
        assert_eq!(json!(form.read()), json!(yaml));
        form
    }
    for (kind, mut document) in documents() {
        let spec = document["says"].take();
        match kind {
            "configuration" => {
                let yaml: types::Configuration = serde_json::from_value(spec).unwrap();
                known::<_, forms::Configuration>(&yaml);
            }
            "provider" => {
                let yaml: types::Provider = serde_json::from_value(spec).unwrap();
                let form = forms::Provider::of(&yaml);
                assert_eq!(json!(form.read()), json!(yaml));
                // Its keys are resources of their own.
                let mut spec = json!(yaml);
                spec.as_object_mut()
                    .unwrap()
                    .retain(|name, _| !name.ends_with("keys"));
                assert_eq!(json!(form), spec);
            }
            "access-key" | "budget" => {
                let mut limits = document["limits"].take();
                limits.as_object_mut().unwrap().remove("shared");
                let yaml: types::RateLimits = serde_json::from_value(limits).unwrap();
                known::<_, forms::RateLimits>(&yaml);
            }
            _ => {}
        }
    }
}

#[test]
fn an_unknown_member_is_kept_wherever_it_stands() {
    let mut places = 0;
    for new in [
        json!(null),
        json!(5),
        json!("text"),
        json!({"a": [1]}),
        json!([{"a": null}]),
    ] {
        for (kind, document) in documents() {
            let mut ways = Vec::new();
            objects(&mut document.clone(), "", &mut |way, _| {
                ways.push(way.to_owned())
            });
            for way in ways {
                let mut document = document.clone();
                let at = document.pointer_mut(&way).unwrap();
                at["future_option"] = new.clone();
                let (written, newer) = again(kind, &document).unwrap();
                assert_eq!(written, document, "{kind}{way}");
                let strange = !new.is_null() && may_forbid(kind, &way);
                assert_eq!(newer.is_some(), strange, "{kind}{way} {new}");
                places += 1;
            }
        }
    }
    assert!(places > 150, "{places}");
}

#[test]
fn an_unknown_word_is_kept_and_what_becomes_of_it_is_told() {
    let refused = Some("its requests are refused");
    let all_refused = Some("the requests of its access keys are refused");
    for (kind, way, newer) in [
        ("access-key", "/limits/budget/0/per", refused),
        ("access-key", "/limits/budget/0/time_zone", refused),
        ("access-key", "/limits/budget/0/week_starts", refused),
        ("budget", "/limits/budget/0/per", all_refused),
        ("configuration", "/says/limits/budget/1/per", all_refused),
        ("configuration", "/says/router/rules/0/steps/0/type", None),
        ("provider", "/says/auth", Some("it is not called")),
        ("provider", "/says/surfaces/1", None),
        ("provider", "/says/models/0/surfaces/0", None),
        ("provider", "/says/models/0/modalities/1", None),
        ("provider", "/says/headers/x-team", None),
        ("provider", "/surfaces/0/surface", None),
        ("api-key", "/role", Some("it may do nothing")),
        (
            "settings",
            "/maxInputTokens",
            Some("the account's requests are refused"),
        ),
        (
            "settings",
            "/maxOutputTokens",
            Some("the account's requests are refused"),
        ),
    ] {
        for word in [
            json!({"of": "the future"}),
            json!("of-the-future"),
            json!(["of", "the future"]),
        ] {
            let header = way == "/says/headers/x-team" && word.is_string();
            let documents = documents();
            let (_, document) = documents.iter().find(|(one, _)| *one == kind).unwrap();
            let mut document = document.clone();
            *document.pointer_mut(way).unwrap() = word;
            let (written, told) = again(kind, &document).unwrap();
            assert_eq!(
                (written, told),
                (document, newer.filter(|_| !header)),
                "{kind}{way}"
            );
        }
    }
}

#[test]
fn what_is_left_out_is_never_more_than_what_was_said() {
    use forms::Form;

    let spec = |kind: &str| {
        let mut all = documents().into_iter();
        all.find(|(one, _)| *one == kind).unwrap().1["says"].take()
    };
    let mut own = spec("configuration");
    own["router"]["rules"][0]["steps"][0]["type"] = json!("weighted");
    own["router"]["rules"][1]["steps"][0]["type"] = json!("weighted");
    let form: forms::Configuration = serde_json::from_value(own).unwrap();
    let rules = form.read().unwrap().router.rules;
    let steps: Vec<usize> = rules.iter().map(|rule| rule.steps.len()).collect();
    assert_eq!(
        steps,
        [1, 0],
        "the rule without steps is there: no other credentials serve"
    );

    let provider = |change: &dyn Fn(&mut Value)| {
        let mut own = spec("provider");
        change(&mut own);
        serde_json::from_value::<forms::Provider>(own)
            .unwrap()
            .read()
            .unwrap()
    };
    let model =
        |change: &dyn Fn(&mut Value)| provider(&|own| change(&mut own["models"][0])).models.pop();
    assert!(model(&|_| ()).unwrap().prices.is_some());
    for strange in [
        json!({"context": "fast"}),
        json!({"above": 5, "on": "weekends"}),
    ] {
        let prices = model(&|model| model["prices"]["tiers"][0] = strange.clone());
        assert!(
            prices.unwrap().prices.is_none(),
            "unknown, never too low: {strange}"
        );
    }
    assert!(model(&|model| model["surfaces"] = json!(["openai/videos"])).is_none());
    let offered = provider(&|own| own["surfaces"][0] = json!("openai/videos"));
    assert_eq!(offered.surfaces, Some(vec![Surface::Responses]));
}

/// Any JSON of a few levels. Fractions are sums of powers of two, which every reader of JSON reads alike.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (-1_000_000..1_000_000_i32).prop_map(|n| Value::from(f64::from(n) / 64.0)),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::vec((any::<String>(), inner), 0..4)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn whatever_is_added_anywhere_is_written_back(
        kind in 0..9_usize,
        added in proptest::collection::vec((any::<prop::sample::Index>(), "[a-zA-Z_]{1,12}", any_json()), 1..6),
    ) {
        let (kind, mut document) = documents().swap_remove(kind);
        let mut forbids = false;
        let mut ways = Vec::new();
        objects(&mut document, "", &mut |way, _| ways.push(way.to_owned()));
        for (place, name, new) in added {
            let way = place.get(&ways);
            let fields = document.pointer_mut(way).unwrap().as_object_mut().unwrap();
            // Two of one name are one; and what is known has its type.
            let name = format!("new_{name}");
            forbids |= may_forbid(kind, way);
            fields.insert(name, new);
        }
        let (written, newer) = again(kind, &document).unwrap();
        prop_assert_eq!(written, document);
        prop_assert!(newer.is_none() || forbids);
    }
}
