//! What replicas serve of what is declared and what is stored.

use super::*;

#[tokio::test]
async fn what_is_declared_wins_over_what_is_stored() {
    let place = Place::new();
    let [stored, declared] = ["app", "app"].map(|id| Token::generate(id).unwrap());
    let plain = place.control("");
    put(&plain, "app", &key(&stored)).await;
    put(&plain, "zzz", &key(&Token::generate("zzz").unwrap())).await;
    let digest = tollgate_config::secrets::token::to_hex(&declared.digest());
    let yaml = format!("access_keys: [{{ id: app, sha256: '{digest}' }}]");
    let control = place.control(&yaml);
    control.catch_up().await.unwrap();
    let expect = |control: &Control, hidden: bool| {
        let (now, gone) = if hidden {
            (&declared, &stored)
        } else {
            (&stored, &declared)
        };
        assert_eq!(knows(control, now), Ok(()), "hidden {hidden}");
        assert_eq!(
            knows(control, gone),
            Err(AuthError::Unknown),
            "hidden {hidden}"
        );
        control.look(|view| {
            assert_eq!(view.get::<AccessKey>("app").unwrap().declared, hidden);
            let all: Vec<_> = view.all::<AccessKey>().map(|one| one.id).collect();
            assert_eq!(
                all.iter().map(|id| &**id).collect::<Vec<_>>(),
                ["zzz", "app"]
            );
        });
    };
    expect(&control, true);
    // A change of the stored one does not show.
    put(&plain, "app", &key(&stored)).await;
    control.catch_up().await.unwrap();
    expect(&control, true);
    control.reconfigure(Arc::new(configured("")));
    expect(&control, false);
    control.reconfigure(Arc::new(configured(&yaml)));
    expect(&control, true);
}

#[tokio::test]
async fn what_the_store_adds_is_merged_into_what_is_declared() {
    let place = Place::new();
    let control = place.control("providers: [{ id: f, base_url: 'http://127.0.0.1:1' }]");
    let provider = |id: &str, account: &str| Provider {
        meta: Meta {
            account: account.to_owned(),
            ..meta()
        },
        spec: serde_json::from_value(serde_json::json!({
            "id": id, "base_url": "http://127.0.0.1:2/v1", "auth": "none", "models": [{"id": "m"}],
        }))
        .unwrap(),
        ..Provider::default()
    };
    put(&control, "prov_1", &provider("g", "acme")).await;
    put(&control, "prov_2", &provider("f", "acme")).await;
    let served = control.served().load_full();
    assert!(served.catalog.provider("g").is_some(), "a new one");
    let url = &served.catalog.provider("f").unwrap().base_url;
    assert_eq!(url.port, 1, "a declared one is not replaced");
    let keyless = |account: &str| served.provider_keys("g", account, KeyKind::User).len();
    assert_eq!(
        (keyless("acme"), keyless("default")),
        (1, 0),
        "its owner's only"
    );
    let configuration = Configuration {
        meta: meta(),
        spec: serde_json::from_value(serde_json::json!({"id": "akc_1", "failover": false}))
            .unwrap(),
    };
    put(&control, "akc_1", &configuration).await;
    let token = Token::generate("ak_1").unwrap();
    let mut linked = key(&token);
    linked.configuration = Some("akc_1".to_owned());
    put(&control, "ak_1", &linked).await;
    let settings = Settings {
        meta: meta(),
        max_input_tokens: resource::Cap::from(5).into(),
        ..Settings::default()
    };
    put(&control, "default", &settings).await;
    let served = control.served().load_full();
    let known = served.authenticate(token.expose()).unwrap();
    assert_eq!(known.configuration.as_ref().unwrap().failover, Some(false));
    assert_eq!(known.settings.max_input_tokens, Some(5));
    // It must not come to allow everything.
    delete::<Configuration>(&control, "akc_1").await;
    assert_eq!(knows(&control, &token), Err(AuthError::Unknown));
}
