//! Stores that are sealed: what one who writes to them without the master key comes to.

use super::*;
use crate::resource::ApiKey;
use tollgate_config::secrets::Role;

/// The document as one writes it who has no master key.
async fn forge(store: &dyn Store, kind: &str, id: &str, change: impl Fn(&str) -> String) {
    let body = change(&stored(store, kind, id).await);
    plant(store, kind, id, &body).await;
}

fn provider(id: &str, host: &str) -> Provider {
    Provider {
        meta: meta(),
        spec: serde_json::from_value(serde_json::json!({
            "id": id, "base_url": format!("https://{host}/v1"), "models": [{"id": "m"}],
        }))
        .unwrap(),
        ..Provider::default()
    }
}

async fn put_key(control: &Control, id: &str, provider: &str, value: &str) {
    let mut key = ProviderKey {
        meta: meta(),
        provider: provider.to_owned(),
        ..ProviderKey::default()
    };
    let (config, catalog) = (control.config(), control.served().load().catalog.clone());
    let of = (&config.secrets, &*catalog);
    key.sealed = control
        .look(|view| view.seal_value(of, (id, &key), &Secret::new(value)))
        .unwrap();
    assert!(key.sealed.is_some(), "{provider} is known");
    put(control, id, &key).await;
}

fn values(control: &Control, provider: &str) -> Vec<String> {
    let served = control.served().load_full();
    let keys = served.provider_keys(provider, DEFAULT_ACCOUNT, KeyKind::User);
    keys.iter()
        .map(|key| key.value.expose().to_owned())
        .collect()
}

#[tokio::test]
async fn what_is_forged_in_a_sealed_store_counts_for_nothing() {
    let place = Place::new();
    let (control, store) = (place.control(""), place.store());
    let [held, free] = furnished(&control).await;
    assert!(control.is_sealed(), "a new store is");
    for body in store.load().await.unwrap().records {
        assert!(
            body.body.unwrap().contains("\"mac\":"),
            "{} {}",
            body.kind,
            body.id
        );
    }
    let intruder = Token::generate("ak_9").unwrap();
    let forged = serde_json::to_string(&key(&intruder)).unwrap();
    plant(&*store, "access-key", "ak_9", &forged).await;
    let api = ApiKey {
        meta: meta(),
        sha256: intruder.digest(),
        redacted: String::new(),
        role: Role::Full.into(),
        scope: None,
    };
    plant(
        &*store,
        "api-key",
        "api_9",
        &serde_json::to_string(&api).unwrap(),
    )
    .await;
    // A good document under another name, and with another word in it.
    let good = stored(&*store, "access-key", "ak_2").await;
    plant(&*store, "access-key", "ak_8", &good).await;
    forge(&*store, "configuration", "akc_1", |body| {
        body.replace("akc_1", "akc_2")
    })
    .await;
    for control in [&control, &place.control("")] {
        control.catch_up().await.unwrap();
        assert_eq!(knows(control, &intruder), Err(AuthError::Unknown));
        assert_eq!(control.caller(intruder.expose()), None);
        assert_eq!(
            knows(control, &held),
            Err(AuthError::Newer),
            "its configuration is not known"
        );
        assert_eq!(knows(control, &free), Ok(()));
        let change = control.change(|_, draft| {
            draft.create(&actor(), "akc_1", &Configuration::default());
            Ok::<_, ()>(())
        });
        assert!(matches!(change.await, Err(ChangeError::Unreadable(_))));
    }
}

#[tokio::test]
async fn an_older_document_does_not_come_back_while_a_newer_one_is_known() {
    let place = Place::new();
    let (control, store) = (place.control(""), place.store());
    let [_, free] = furnished(&control).await;
    let good = stored(&*store, "access-key", "ak_2").await;
    delete::<AccessKey>(&control, "ak_2").await;
    plant(&*store, "access-key", "ak_2", &good).await;
    for control in [&control, &place.control("")] {
        control.catch_up().await.unwrap();
        assert_eq!(knows(control, &free), Err(AuthError::Unknown));
    }
}

#[tokio::test]
async fn a_store_that_says_that_it_was_never_sealed_is_not_believed() {
    let place = Place::new();
    let (control, store) = (place.control(""), place.store());
    let [_, free] = furnished(&control).await;
    let revision = store.load().await.unwrap().revision;
    let mut commit = Commit {
        id: 77,
        ..Commit::default()
    };
    commit.writes.push(Write {
        kind: "seal".to_owned(),
        id: "store".to_owned(),
        body: None,
    });
    store.commit(revision, &commit).await.unwrap();
    let bare = serde_json::to_string(&key(&free)).unwrap();
    plant(&*store, "access-key", "ak_7", &bare.replace("ak_2", "ak_7")).await;
    let started = place.control("");
    started.remember_sealed();
    for control in [&control, &started] {
        control.catch_up().await.unwrap();
        assert!(control.look(|view| view.get::<AccessKey>("ak_7").is_none()));
        assert_eq!(knows(control, &free), Ok(()));
    }
    // The next change says it again.
    put(
        &started,
        "acme",
        &Account {
            meta: meta(),
            ..Account::default()
        },
    )
    .await;
    assert!(stored(&*store, "seal", "store").await.contains("mac"));
}

#[tokio::test]
async fn a_provider_key_opens_for_its_account_its_provider_and_its_host_only() {
    let place = Place::new();
    let (control, store) = (place.control(""), place.store());
    put(&control, "prov_1", &provider("good", "good.example")).await;
    put(&control, "prov_2", &provider("evil", "evil.example")).await;
    put_key(&control, "pk_1", "good", "sk-secret").await;
    assert_eq!(values(&control, "good"), ["sk-secret"]);
    // As one does it who can sign: the value alone keeps it.
    let key = control.look(|view| view.get::<ProviderKey>("pk_1").unwrap().resource);
    let mut moved = (*key).clone();
    moved.provider = "evil".to_owned();
    put(&control, "pk_1", &moved).await;
    assert_eq!(values(&control, "evil"), Vec::<String>::new());
    moved.provider = "good".to_owned();
    moved.meta.account = "acme".to_owned();
    put(&control, "pk_1", &moved).await;
    let served = control.served().load_full();
    assert!(
        served
            .provider_keys("good", "acme", KeyKind::User)
            .is_empty()
    );
    put(&control, "pk_1", &*key).await;
    assert_eq!(values(&control, "good"), ["sk-secret"]);
    put(&control, "prov_1", &provider("good", "elsewhere.example")).await;
    assert_eq!(values(&control, "good"), Vec::<String>::new());
    put(&control, "prov_1", &provider("good", "good.example")).await;
    assert_eq!(values(&control, "good"), ["sk-secret"]);
    // And one who cannot.
    forge(&*store, "provider-key", "pk_1", |body| {
        body.replace("\"good\"", "\"evil\"")
    })
    .await;
    forge(&*store, "provider", "prov_1", |body| {
        body.replace("good.example", "evil.example")
    })
    .await;
    for control in [&control, &place.control("")] {
        control.catch_up().await.unwrap();
        assert!(values(control, "evil").is_empty() && values(control, "good").is_empty());
        assert!(
            control.served().load().catalog.provider("good").is_none(),
            "it is not called"
        );
    }
}

#[tokio::test]
async fn a_managed_key_is_not_sent_where_a_tenant_says() {
    let place = Place::new();
    let control = place.control("");
    let mut tenants = provider("theirs", "theirs.example");
    tenants.public_only = true;
    put(&control, "prov_1", &tenants).await;
    put_key(&control, "pk_1", "theirs", "sk-operator").await;
    let key = control.look(|view| view.get::<ProviderKey>("pk_1").unwrap().resource);
    let managed = ProviderKey {
        managed: true,
        ..(*key).clone()
    };
    put(&control, "pk_1", &managed).await;
    let served = control.served().load_full();
    assert!(
        served
            .provider_keys("theirs", DEFAULT_ACCOUNT, KeyKind::Managed)
            .is_empty()
    );
}

#[tokio::test]
async fn an_older_store_works_on_until_it_is_sealed_as_a_whole() {
    let place = Place::new();
    place.as_an_older_one_made_it().await;
    let yaml = "providers: [{ id: f, base_url: 'http://127.0.0.1:1' }]";
    let (control, other, store) = (place.control(yaml), place.control(yaml), place.store());
    let [held, free] = furnished(&control).await;
    put_key(&control, "pk_1", "f", "sk-1").await;
    assert!(control.is_open());
    let serves = |control: &Control| {
        assert_eq!(
            (knows(control, &held), knows(control, &free)),
            (Ok(()), Ok(()))
        );
        assert_eq!(values(control, "f"), ["sk-1"]);
    };
    for record in store.load().await.unwrap().records {
        assert!(
            !record.body.unwrap().contains("\"mac\""),
            "an earlier gateway writes beside"
        );
    }
    other.catch_up().await.unwrap();
    serves(&other);
    let done = control.reseal(&actor(), true, |_, _| {}).await.unwrap();
    assert_eq!((done.done, done.signed, done.failed.len()), (1, 7, 0));
    let again = control.reseal(&actor(), true, |_, _| {}).await.unwrap();
    assert_eq!((again.done, again.signed, again.current), (0, 0, 1));
    assert!(
        stored(&*store, "provider-key", "pk_1")
            .await
            .contains("\"v2.")
    );
    plant(
        &*store,
        "access-key",
        "ak_9",
        &serde_json::to_string(&key(&free)).unwrap(),
    )
    .await;
    for control in [&control, &other, &place.control(yaml)] {
        control.catch_up().await.unwrap();
        assert!(control.is_sealed());
        serves(control);
        assert!(control.look(|view| view.get::<AccessKey>("ak_9").is_none()));
    }
}

#[tokio::test]
async fn sealing_ends_with_a_document_that_cannot_be_read() {
    let place = Place::new();
    place.as_an_older_one_made_it().await;
    let (control, store) = (place.control(""), place.store());
    furnished(&control).await;
    plant(&*store, "access-key", "ak_9", r#"{"sha256":5}"#).await;
    for signed in [7, 0] {
        let done = control.reseal(&actor(), true, |_, _| {}).await.unwrap();
        let why = ("access-key/ak_9".to_owned(), "it cannot be read".to_owned());
        assert_eq!((done.signed, done.failed), (signed, vec![why]));
        assert!(control.is_open(), "not while something is left");
    }
}

#[tokio::test]
async fn a_new_master_key_signs_everything_again() {
    let place = Place::new();
    let (old, new) = (MASTER, "ab".repeat(32));
    let with = |keys: &str| {
        place.control(&format!(
            "{{ providers: [{{ id: f, base_url: 'http://127.0.0.1:1' }}], secrets: {{ {keys} }} }}"
        ))
    };
    let control = with(&format!("master_key: '{old}'"));
    let [held, free] = furnished(&control).await;
    put_key(&control, "pk_1", "f", "sk-1").await;
    let both = with(&format!("master_key: '{new}', previous_keys: ['{old}']"));
    let done = both.reseal(&actor(), false, |_, _| {}).await.unwrap();
    assert_eq!(
        (done.done, done.signed, done.failed.len()),
        (1, 8, 0),
        "the seal as well"
    );
    let only = with(&format!("master_key: '{new}'"));
    only.catch_up().await.unwrap();
    assert_eq!((knows(&only, &held), knows(&only, &free)), (Ok(()), Ok(())));
    assert_eq!(values(&only, "f"), ["sk-1"]);
    // One with another key believes nothing, until it has the right one.
    let config = |keys: &str| Arc::new(configured(&format!("secrets: {{ {keys} }}")));
    let lost = with(&format!("master_key: '{}'", "cd".repeat(32)));
    lost.catch_up().await.unwrap();
    assert_eq!(knows(&lost, &free), Err(AuthError::Unknown));
    lost.reconfigure(config(&format!("master_key: '{new}'")));
    lost.catch_up().await.unwrap();
    assert_eq!(knows(&lost, &free), Ok(()));
}

#[tokio::test]
async fn without_a_master_key_a_sealed_store_is_read_and_not_changed() {
    let place = Place::new();
    let [_, free] = furnished(&place.control("")).await;
    let keyless = tollgate_config::parse("", &|_| None).unwrap();
    let keyless = Control::new(Arc::new(keyless), Some(place.store()));
    keyless.catch_up().await.unwrap();
    assert_eq!(knows(&keyless, &free), Ok(()));
    let change = keyless.change(|_, draft| {
        draft.create(
            &actor(),
            "b",
            &Account {
                meta: meta(),
                ..Account::default()
            },
        );
        Ok::<_, ()>(())
    });
    assert!(matches!(change.await, Err(ChangeError::Unsigned(_))));
}
