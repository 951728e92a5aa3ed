//! Resources that a newer gateway has written: what it added is kept, and nobody is locked out by it who need not be.

use super::furnished::{Furnished, furnish, rename, shown};
use super::*;
use crate::common::fake::{Fake, Wire};
use tollgate_control::store::{Commit, Committed, Write};

/// The stored documents, by kind and id.
async fn documents(store: &dyn Store) -> Vec<(String, String, String)> {
    let records = store.load().await.unwrap().records.into_iter();
    let there = records.filter_map(|one| Some((one.kind, one.id, one.body?)));
    there.collect()
}

/// The stored document of a kind; the tests have one each but of provider keys.
async fn document(store: &dyn Store, kind: &str) -> (String, String) {
    let mut all = documents(store).await.into_iter();
    let (_, id, body) = all.find(|(one, ..)| one == kind).unwrap();
    (id, body)
}

/// Writes a document as it stands, as a gateway of another version does.
async fn plant(store: &dyn Store, kind: &str, id: &str, body: &str) {
    loop {
        let revision = store.load().await.unwrap().revision;
        let commit = Commit {
            id: tollgate_base::random::bits64(),
            writes: vec![Write {
                kind: kind.to_owned(),
                id: id.to_owned(),
                body: Some(body.to_owned()),
            }],
            audit: Vec::new(),
        };
        if let Committed::At(_) = store.commit(revision, &commit).await.unwrap() {
            return;
        }
    }
}

/// Plants the document of a kind with a change; says what it was.
async fn edit(store: &dyn Store, kind: &str, change: impl Fn(&mut Value)) -> (String, String) {
    let (id, body) = document(store, kind).await;
    let mut new: Value = serde_json::from_str(&body).unwrap();
    change(&mut new);
    plant(store, kind, &id, &new.to_string()).await;
    (id, body)
}

/// Adds a member to every object in a value; what may forbid something is `null`.
fn add_everywhere(value: &mut Value, forbids: bool, count: &mut usize) {
    match value {
        Value::Array(list) => {
            for item in list {
                add_everywhere(item, forbids, count);
            }
        }
        Value::Object(fields) => {
            for (name, field) in fields.iter_mut() {
                let forbids = forbids
                    || ["access", "limits", "maxInputTokens", "operator"].contains(&&**name);
                add_everywhere(field, forbids, count);
            }
            let new = [
                json!(5),
                json!("text"),
                json!({"a": [1]}),
                json!([{"a": null}]),
                json!(null),
            ];
            let new = if forbids {
                json!(null)
            } else {
                new[*count % new.len()].clone()
            };
            fields.insert("futureOption".to_owned(), new);
            *count += 1;
        }
        _ => {}
    }
}

async fn expect(gateway: &Gateway, request: &Request, status: u16, what: &str) -> String {
    // Whoever asks the admin API hears of what others have written.
    shown(gateway, "/accounts").await;
    let answer = ask(gateway.address, request).await;
    assert_eq!(answer.status(), status, "{what}: {}", answer.text());
    answer.text()
}

/// On a store that an earlier version began: what versions write beside each other is not signed.
async fn start() -> (Fake, Gateway, Furnished, Arc<dyn Store>) {
    let fake = Fake::good(Wire::H1, "hello").await;
    let gateway = managed().fake("f", &fake).start().await;
    begin(&*resources(&gateway)).await;
    shown(&gateway, "/accounts").await;
    let made = furnish(&gateway, &fake, "1").await;
    let store = resources(&gateway);
    (fake, gateway, made, store)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_newer_gateway_adds_is_kept_by_every_change_and_locks_nobody_out() {
    let (_fake, gateway, made, store) = start().await;
    let mut before = Vec::new();
    for path in &made.paths {
        before.push(shown(&gateway, path).await);
    }
    let mut planted = Vec::new();
    for (kind, id, body) in documents(&*store).await {
        let (mut new, mut count) = (serde_json::from_str(&body).unwrap(), 0);
        add_everywhere(&mut new, false, &mut count);
        plant(&*store, &kind, &id, &new.to_string()).await;
        planted.push((kind, id, count));
    }
    let kinds: std::collections::BTreeSet<_> = planted.iter().map(|(kind, ..)| &**kind).collect();
    assert_eq!(kinds.len(), 8, "every kind: {kinds:?}");
    let kept = async |when: &str| {
        for (kind, id, body) in documents(&*store).await {
            let (.., count) = planted
                .iter()
                .find(|one| (&one.0, &one.1) == (&kind, &id))
                .unwrap();
            let found = body.matches("futureOption").count();
            assert_eq!(found, *count, "{when}: {kind} {body}");
        }
    };

    for (path, before) in made.paths.iter().zip(&before) {
        assert_eq!(shown(&gateway, path).await, *before, "{path}");
        if let Some((list, id)) = path.rsplit_once('/').filter(|(list, _)| !list.is_empty()) {
            let listed = shown(&gateway, list).await.to_string();
            assert!(listed.contains(&format!("\"{id}\"")), "{list}: {listed}");
        }
    }
    for chat in made.chats() {
        expect(&gateway, &chat, 200, "with what is unknown").await;
    }
    let answer = ask(gateway.admin, &made.reads("/access-keys")).await;
    assert_eq!(answer.status(), 200, "{}", answer.text());

    for path in &made.paths {
        rename(&gateway, path, "patched").await;
    }
    kept("after a change of one field").await;
    // Whole objects and lists are replaced by what they are.
    for (kind, fields) in [
        (
            "/access-key-configurations",
            &["access", "limits", "timeouts", "failover"][..],
        ),
        ("/access-keys", &["limits"]),
        ("/providers", &["supportedApiSurfaces", "baseUrl", "auth"]),
    ] {
        let path = made.path(kind);
        let now = shown(&gateway, path).await;
        let same = fields
            .iter()
            .map(|field| ((*field).to_owned(), now[*field].clone()));
        change(&gateway, "PATCH", path, Value::Object(same.collect())).await;
        assert_eq!(shown(&gateway, path).await["name"], "patched");
    }
    let path = made.path("/providers");
    let mut models = shown(&gateway, path).await["models"].take();
    for shown in ["id", "precededBy"] {
        models[0].as_object_mut().unwrap().remove(shown);
    }
    change(&gateway, "PATCH", path, json!({"models": models})).await;
    let path = made.path("/access-key-configurations");
    let mut router = shown(&gateway, path).await["router"].take();
    for rule in router["rules"].as_array_mut().unwrap() {
        let key = rule["steps"][0]["keys"][0]["id"].take();
        rule["steps"][0]["keys"][0] = json!({"id": key});
    }
    change(&gateway, "PATCH", path, json!({"router": router})).await;
    let key = made.path("/provider-keys").rsplit_once('/').unwrap().1;
    rotate(&gateway, key, "sk-2").await;
    let clear = admin("DELETE", &format!("/cool-downs/{key}"), None);
    assert_eq!(ask(gateway.admin, &clear).await.status(), 204);
    kept("after a change of everything").await;
    for chat in made.chats() {
        expect(&gateway, &chat, 200, "after changes").await;
    }
    let audit = shown(&gateway, "/audit-log").await.to_string();
    assert!(
        audit.contains("futureOption"),
        "a change of what is nested shows it"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_may_forbid_is_refused_until_it_is_understood_or_cleared() {
    let (_fake, gateway, made, store) = start().await;
    let (_, free) = create(&gateway).await;
    let [chat_f, _] = made.chats();
    let limits: fn(&mut Value) = |own| own["says"]["limits"]["tokens_per_day"] = json!(5);
    let access: fn(&mut Value) = |own| own["says"]["access"]["models"]["deny"] = json!(["f:m"]);
    let budget: fn(&mut Value) =
        |own| own["says"]["limits"]["budget"][0]["per"] = json!("fortnight");
    let measure: fn(&mut Value) = |own| {
        let budgets = own["says"]["limits"]["budget"].as_array_mut().unwrap();
        budgets.push(json!({"joules": 7, "per": "day"}));
    };
    let key: fn(&mut Value) = |own| own["limits"]["images_per_minute"] = json!(1);
    let cap: fn(&mut Value) = |own| own["maxInputTokens"] = json!({"perModel": {"m": 5}});
    for (kind, path, change_it, clear) in [
        (
            "configuration",
            made.path("/access-key-configurations"),
            limits,
            "limits",
        ),
        (
            "configuration",
            made.path("/access-key-configurations"),
            access,
            "access",
        ),
        (
            "configuration",
            made.path("/access-key-configurations"),
            budget,
            "limits",
        ),
        (
            "configuration",
            made.path("/access-key-configurations"),
            measure,
            "limits",
        ),
        ("access-key", made.path("/access-keys"), key, "limits"),
        ("settings", "/gateway-config", cap, "maxInputTokens"),
    ] {
        let (id, good) = match kind {
            // Of the two, the one that was made first.
            "access-key" => {
                let id = path.rsplit_once('/').unwrap().1;
                let all = documents(&*store).await;
                let (.., body) = all.into_iter().find(|(_, one, _)| one == id).unwrap();
                let mut new: Value = serde_json::from_str(&body).unwrap();
                change_it(&mut new);
                plant(&*store, kind, id, &new.to_string()).await;
                (id.to_owned(), body)
            }
            _ => edit(&*store, kind, change_it).await,
        };
        let said = expect(&gateway, &chat_f, 503, kind).await;
        assert!(
            said.contains("ERR_TOLLGATE_3814") && said.contains("does not understand"),
            "{said}"
        );
        // Settings are the whole account's.
        let others = if kind == "settings" { 503 } else { 200 };
        expect(&gateway, &chat(&free), others, kind).await;
        rename(&gateway, path, "patched").await;
        expect(&gateway, &chat_f, 503, "after a change of something else").await;
        if clear == "limits" {
            let now = shown(&gateway, path).await["limits"].take();
            let more = json!({"limits": {"requestsPerMinute": 900}});
            change(&gateway, "PATCH", path, more).await;
            let is_period = now.to_string().contains("fortnight");
            // What is shown is replaced; what cannot be shown stays.
            let status = if is_period { 200 } else { 503 };
            expect(&gateway, &chat_f, status, "after a change beside it").await;
        }
        change(&gateway, "PATCH", path, json!({clear: null})).await;
        expect(&gateway, &chat_f, 200, "cleared").await;
        plant(&*store, kind, &id, &good).await;
        expect(&gateway, &chat_f, 200, "as it was").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn words_of_a_newer_gateway_are_shown_and_do_not_lock_others_out() {
    let (fake, gateway, made, store) = start().await;
    let [chat_f, chat_own] = made.chats();

    let step = json!({"type": "weighted", "weights": {"a": 1}, "keys": null});
    let add = |own: &mut Value| {
        own["says"]["router"]["rules"][0]["steps"]
            .as_array_mut()
            .unwrap()
            .insert(0, step.clone())
    };
    let (id, good) = edit(&*store, "configuration", add).await;
    let path = made.path("/access-key-configurations");
    let now = shown(&gateway, path).await;
    let steps = &now["router"]["rules"][0]["steps"];
    assert_eq!(
        (&steps[0]["type"], &steps[1]["type"]),
        (&json!("weighted"), &json!("user"))
    );
    expect(&gateway, &chat_f, 200, "by the step that is known").await;
    rename(&gateway, path, "patched").await;
    let (_, stored) = document(&*store, "configuration").await;
    assert!(stored.contains(r#""weights":{"a":1}"#), "{stored}");
    let only = |own: &mut Value| own["says"]["router"]["rules"][0]["steps"] = json!([step]);
    edit(&*store, "configuration", only).await;
    expect(&gateway, &chat_f, 400, "no other credentials serve").await;
    expect(&gateway, &chat_own, 200, "another rule").await;
    plant(&*store, "configuration", &id, &good).await;

    let videos = json!({"surface": "openai/videos"});
    let add = |own: &mut Value| {
        own["surfaces"].as_array_mut().unwrap().push(videos.clone());
        own["says"]["surfaces"]
            .as_array_mut()
            .unwrap()
            .push(videos["surface"].clone());
        own["says"]["models"][0]["modalities"] = json!(["text", "smell"]);
    };
    let (id, good) = edit(&*store, "provider", add).await;
    expect(&gateway, &chat_own, 200, "on a surface that is known").await;
    let path = made.path("/providers");
    let now = shown(&gateway, path).await["supportedApiSurfaces"].take();
    assert_eq!(now[2], json!({"format": "openai", "surface": "videos"}));
    rename(&gateway, path, "patched").await;
    let (_, stored) = document(&*store, "provider").await;
    for word in ["openai/videos", "smell"] {
        assert!(stored.contains(word), "{word}: {stored}");
    }
    edit(&*store, "provider", |own| {
        own["says"]["auth"] = json!("mutual-tls")
    })
    .await;
    let called = fake.count();
    expect(&gateway, &chat_own, 422, "nobody knows how its key travels").await;
    assert_eq!(fake.count(), called, "it is not called");
    expect(&gateway, &chat_f, 200, "another provider").await;
    assert_eq!(shown(&gateway, path).await["auth"], "mutual-tls");
    let only = |own: &mut Value| {
        own["surfaces"] = json!([videos]);
        own["says"]["surfaces"] = json!([videos["surface"]]);
        own["says"]["auth"] = json!("bearer");
    };
    edit(&*store, "provider", only).await;
    expect(&gateway, &chat_own, 422, "no surface is known").await;
    rename(&gateway, path, "patched again").await;
    let now = shown(&gateway, path).await["supportedApiSurfaces"].take();
    assert_eq!(now, json!([{"format": "openai", "surface": "videos"}]));
    plant(&*store, "provider", &id, &good).await;
    expect(&gateway, &chat_own, 200, "as it was").await;

    edit(&*store, "api-key", |own| own["role"] = json!("auditor")).await;
    assert_eq!(
        shown(&gateway, made.path("/api-keys")).await["role"],
        "auditor"
    );
    let listed = shown(&gateway, "/api-keys").await.to_string();
    assert!(listed.contains("auditor"), "{listed}");
    for path in ["/access-keys", "/usage?startTime=2026-01-01T00:00:00Z"] {
        let answer = ask(gateway.admin, &made.reads(path)).await;
        assert_eq!(answer.status(), 403, "{}", answer.text());
    }
    rename(&gateway, made.path("/api-keys"), "patched").await;
    let (_, stored) = document(&*store, "api-key").await;
    assert!(stored.contains("auditor"), "{stored}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_read_is_refused_told_once_and_left_alone() {
    let (_fake, mut gateway, made, store) = start().await;
    let [chat_f, _] = made.chats();
    let path = made.path("/access-key-configurations").to_owned();
    let (id, good) = document(&*store, "configuration").await;
    plant(&*store, "configuration", &id, "{\"says\":").await;
    let told = |gateway: &Gateway| {
        gateway
            .output()
            .matches(&format!("the stored configuration `{id}`"))
            .count()
    };
    for restarts in 0..2 {
        expect(&gateway, &chat_f, 503, "its configuration").await;
        for (method, body) in [
            ("GET", None),
            ("PATCH", Some(json!({"name": "x"}))),
            ("DELETE", None),
        ] {
            let answer = ask(gateway.admin, &admin(method, &path, body.as_ref())).await;
            assert_eq!(answer.status(), 503, "{method}: {}", answer.text());
            assert!(
                answer.text().contains("cannot be read"),
                "{}",
                answer.text()
            );
        }
        // Other changes, of keys and of what all depends on.
        let (_, free) = create(&gateway).await;
        provider_key(&gateway, "sk-3").await;
        expect(&gateway, &chat(&free), 200, "another key").await;
        assert_eq!(
            told(&gateway),
            restarts + 1,
            "once a process: {}",
            gateway.output()
        );
        assert_eq!(document(&*store, "configuration").await.1, "{\"says\":");
        gateway.stop().await;
        gateway.restart().await;
    }
    plant(&*store, "configuration", &id, &good).await;
    expect(&gateway, &chat_f, 200, "as it was").await;
}
