//! What a newer gateway has stored, and what cannot be read.

use super::*;

#[tokio::test]
async fn what_cannot_be_read_is_refused_and_not_written_over() {
    let place = Place::new();
    place.as_an_older_one_made_it().await;
    let (control, store) = (place.control(""), place.store());
    let [held, free] = furnished(&control).await;
    plant(&*store, "of-a-newer-program", "ak_1", "{\"x\":1}").await;
    for (kind, id, refused) in [
        ("configuration", "akc_1", AuthError::Newer),
        ("budget", "bud_1", AuthError::Newer),
        ("budget", "bud_2", AuthError::Newer),
        ("settings", "acme", AuthError::Newer),
        ("account", "acme", AuthError::Newer),
        // Whose token this is cannot be known any more.
        ("access-key", "ak_1", AuthError::Unknown),
    ] {
        let good = stored(&*store, kind, id).await;
        for broken in ["{", "[]", "{\"sha256\":5}"] {
            plant(&*store, kind, id, broken).await;
            control.catch_up().await.unwrap();
            // Who starts then finds the same, and so does who changes a key.
            let new = place.control("");
            put(&new, "ak_2", &key(&free)).await;
            control.catch_up().await.unwrap();
            for control in [&control, &new] {
                assert_eq!(knows(control, &held), Err(refused), "{kind} {broken}");
                assert_eq!(knows(control, &free), Ok(()), "{kind} {broken}");
            }
            let change = new.change(|_, draft| {
                match kind {
                    "account" => draft.create(&actor(), id, &Account::default()),
                    "settings" => draft.create(&actor(), id, &Settings::default()),
                    "budget" => draft.create(&actor(), id, &SharedBudget::default()),
                    "configuration" => draft.create(&actor(), id, &Configuration::default()),
                    _ => draft.create(&actor(), id, &AccessKey::default()),
                }
                Ok::<_, ()>(())
            });
            let change = change.await;
            assert!(matches!(change, Err(ChangeError::Unreadable(what)) if what == kind));
            assert_eq!(stored(&*store, kind, id).await, broken);
        }
        plant(&*store, kind, id, &good).await;
        control.catch_up().await.unwrap();
        assert_eq!(knows(&control, &held), Ok(()), "{kind}");
    }
    let kinds = store.load().await.unwrap().records;
    assert!(
        kinds.iter().any(|one| one.kind == "of-a-newer-program"),
        "{kinds:?}"
    );
}

#[tokio::test]
async fn what_a_newer_gateway_adds_is_served_unless_it_may_forbid() {
    let place = Place::new();
    place.as_an_older_one_made_it().await;
    let (control, store) = (place.control(""), place.store());
    let [held, free] = furnished(&control).await;
    let (served, refused) = (Ok(()), Err(AuthError::Newer));
    for (kind, id, way, added, want) in [
        ("configuration", "akc_1", "/says", "null", served),
        ("configuration", "akc_1", "/says", "{\"a\":1}", served),
        ("configuration", "akc_1", "/says/router", "[1]", served),
        ("configuration", "akc_1", "/says/limits", "null", served),
        ("configuration", "akc_1", "/says/limits", "5", refused),
        ("configuration", "akc_1", "/says/access", "null", served),
        (
            "configuration",
            "akc_1",
            "/says/access/models",
            "[]",
            refused,
        ),
        ("budget", "bud_2", "", "5", served),
        ("budget", "bud_2", "/limits", "5", refused),
        ("settings", "acme", "", "5", served),
        ("account", "acme", "", "true", served),
        ("access-key", "ak_1", "", "\"text\"", served),
    ] {
        let good = stored(&*store, kind, id).await;
        let mut newer: serde_json::Value = serde_json::from_str(&good).unwrap();
        newer.pointer_mut(way).unwrap()["future_option"] = serde_json::from_str(added).unwrap();
        plant(&*store, kind, id, &newer.to_string()).await;
        let new = place.control("");
        for control in [&control, &new] {
            control.catch_up().await.unwrap();
            assert_eq!(knows(control, &held), want, "{kind}{way} {added}");
            assert_eq!(knows(control, &free), Ok(()), "{kind}{way} {added}");
        }
        plant(&*store, kind, id, &good).await;
    }
}

#[tokio::test]
async fn words_of_a_newer_gateway_take_nothing_else_with_them() {
    let place = Place::new();
    let (control, store) = (place.control(""), place.store());
    let provider = |word: &str| {
        serde_json::json!({
            "account": "default", "createdAt": 0, "updatedAt": 0, "createdBy": "x", "lastUpdatedBy": "x",
            "says": {
                "id": "g", "base_url": "http://127.0.0.1:2/v1", "models": [{"id": "m"}],
                "auth": word, "surfaces": ["openai/chat-completions", "openai/videos"],
            },
        })
    };
    let surfaces = |control: &Control| {
        let served = control.served().load_full();
        served.catalog.provider("g").unwrap().surfaces.clone()
    };
    plant(
        &*store,
        "provider",
        "prov_1",
        &provider("bearer").to_string(),
    )
    .await;
    control.catch_up().await.unwrap();
    assert_eq!(
        surfaces(&control),
        [tollgate_wire::Surface::ChatCompletions]
    );
    plant(
        &*store,
        "provider",
        "prov_1",
        &provider("mutual-tls").to_string(),
    )
    .await;
    control.catch_up().await.unwrap();
    assert_eq!(surfaces(&control), [], "it is there, and is not called");

    // A gateway that cannot read the one may let another be made.
    let other = provider("bearer").to_string().replace(":2/", ":3/");
    plant(&*store, "provider", "prov_2", &other).await;
    control.catch_up().await.unwrap();
    let served = control.served().load_full();
    let url = &served.catalog.provider("g").unwrap().base_url;
    assert_eq!(url.port, 2, "the elder counts, and none is lost");

    let token = Token::generate_admin("api_1").unwrap();
    let digest = tollgate_config::secrets::token::to_hex(&token.digest());
    for (role, known) in [
        ("read-only", Some(tollgate_config::secrets::Role::ReadOnly)),
        ("auditor", None),
    ] {
        let key = serde_json::json!({
            "account": "default", "createdAt": 0, "updatedAt": 0, "createdBy": "x", "lastUpdatedBy": "x",
            "sha256": digest, "redacted": "***", "role": role,
        });
        plant(&*store, "api-key", "api_1", &key.to_string()).await;
        control.catch_up().await.unwrap();
        assert_eq!(
            control.caller(token.expose()).unwrap().role,
            known,
            "{role}"
        );
    }
}
