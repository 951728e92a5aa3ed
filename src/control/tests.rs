//! Replicas that share a SQLite store.

use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;

use super::*;
use crate::resource::{
    AccessKey, Account, Configuration, Meta, Provider, ProviderKey, Settings, SharedBudget,
};
use crate::store;
use crate::store::{Commit, Committed, Store, Write};
use tollgate_base::Secret;
use tollgate_config::Config;
use tollgate_config::access::AuthError;
use tollgate_config::secrets::Token;
use tollgate_ledger::KeyKind;
use tollgate_store::sqlite::{Options, Synchronous, Worker};
use tollgate_store::{Access, Database};

#[path = "merge/tests/replicas.rs"]
mod merged;
#[path = "resource/tests/newer.rs"]
mod newer;
#[path = "seals/tests.rs"]
mod sealed;

const MASTER: &str = "6d61737465726d61737465726d61737465726d61737465726d61737465726d61";

struct Place {
    dir: TempDir,
}

impl Place {
    fn new() -> Place {
        Place {
            dir: tempfile::tempdir().unwrap(),
        }
    }

    fn store(&self) -> Arc<dyn Store> {
        let options = Options {
            access: Access::Command,
            timeout: Duration::from_secs(20),
            synchronous: Synchronous::Normal,
        };
        let worker = Worker::open(&self.dir.path().join("tests.db"), options).unwrap();
        store::on(&Database::Sqlite(Arc::new(worker)))
    }

    /// With a commit of a gateway that signs nothing.
    async fn as_an_older_one_made_it(&self) {
        let commit = Commit {
            id: u64::MAX,
            ..Commit::default()
        };
        let made = self.store().commit(0, &commit).await;
        assert_eq!(made, Ok(Committed::At(1)));
    }

    fn control(&self, yaml: &str) -> Control {
        Control::new(Arc::new(configured(yaml)), Some(self.store()))
    }
}

fn configured(yaml: &str) -> Config {
    let env = |name: &str| (name == "TOLLGATE_MASTER_KEY").then(|| MASTER.to_owned());
    tollgate_config::parse(yaml, &env).unwrap()
}

fn actor() -> Actor {
    Actor {
        id: "tests".to_owned(),
        name: None,
        address: None,
        request_id: None,
    }
}

fn meta() -> Meta {
    Meta {
        account: DEFAULT_ACCOUNT.to_owned(),
        created_by: "tests".to_owned(),
        last_updated_by: "tests".to_owned(),
        ..Meta::default()
    }
}

fn key(token: &Token) -> AccessKey {
    AccessKey {
        meta: meta(),
        sha256: token.digest(),
        ..AccessKey::default()
    }
}

fn named(id: &str, name: &str) -> (String, AccessKey) {
    let mut key = key(&Token::generate(id).unwrap());
    key.meta.name = Some(name.to_owned());
    (id.to_owned(), key)
}

async fn put<T: Tabled>(control: &Control, id: &str, new: &T) {
    let change = control.change(|view, draft| {
        match view.get::<T>(id) {
            Some(old) => draft.update(&actor(), Action::Update, id, &*old.resource, new),
            None => draft.create(&actor(), id, new),
        }
        Ok::<_, ()>(())
    });
    change.await.unwrap();
}

async fn delete<T: Tabled>(control: &Control, id: &str) {
    let change = control.change(|view, draft| {
        let old = view.get::<T>(id).ok_or("nothing to delete")?;
        draft.delete(&actor(), id, &*old.resource);
        Ok::<_, &str>(())
    });
    change.await.unwrap();
}

/// Writes a document as it stands, as another program would.
async fn plant(store: &dyn Store, kind: &str, id: &str, body: &str) {
    let revision = store.load().await.unwrap().revision;
    let write = Write {
        kind: kind.to_owned(),
        id: id.to_owned(),
        body: Some(body.to_owned()),
    };
    let commit = Commit {
        id: revision,
        writes: vec![write],
        audit: Vec::new(),
    };
    let made = store.commit(revision, &commit).await;
    assert_eq!(made, Ok(Committed::At(revision + 1)));
}

/// The document as it is stored.
async fn stored(store: &dyn Store, kind: &str, id: &str) -> String {
    let mut all = store.load().await.unwrap().records.into_iter();
    let found = all.find(|one| one.kind == kind && one.id == id);
    found.unwrap().body.unwrap()
}

/// An access key `ak_1` of the account `acme`, with a configuration and settings; and `ak_2` with nothing.
async fn furnished(control: &Control) -> [Token; 2] {
    let acme = || Meta {
        account: "acme".to_owned(),
        ..meta()
    };
    put(
        control,
        "acme",
        &Account {
            meta: acme(),
            ..Account::default()
        },
    )
    .await;
    put(
        control,
        "acme",
        &Settings {
            meta: acme(),
            ..Settings::default()
        },
    )
    .await;
    let spec = serde_json::from_value(serde_json::json!({"id": "akc_1"})).unwrap();
    put(control, "akc_1", &Configuration { meta: acme(), spec }).await;
    let tokens = ["ak_1", "ak_2"].map(|id| Token::generate(id).unwrap());
    let mut held = key(&tokens[0]);
    held.meta.account = "acme".to_owned();
    held.configuration = Some("akc_1".to_owned());
    for (id, parent) in [("bud_2", None), ("bud_1", Some("bud_2".to_owned()))] {
        let mut budget = SharedBudget::default();
        (budget.meta, budget.parent) = (held.meta.clone(), parent);
        budget.limits.requests_per_minute = Some(5);
        put(control, id, &budget).await;
    }
    held.limits.shared = Some("bud_1".to_owned());
    put(control, "ak_1", &held).await;
    put(control, "ak_2", &key(&tokens[1])).await;
    tokens
}

fn knows(control: &Control, token: &Token) -> Result<(), AuthError> {
    let served = control.served();
    let found = served.load().authenticate(token.expose());
    found.map(drop)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_who_decide_at_once_one_decides_anew() {
    let place = Place::new();
    let replicas = [place.control(""), place.control("")];
    // Everybody wants the lowest number that is free.
    let claim = async |control: &Control, who: usize| {
        let change = control.change(|view, draft| {
            let taken = view.all::<AccessKey>().count();
            let (id, key) = named(&format!("key-{taken}"), &who.to_string());
            if view.get::<AccessKey>(&id).is_some() {
                return Err("taken");
            }
            draft.create(&actor(), &id, &key);
            Ok(taken)
        });
        change.await.unwrap()
    };
    let mine = async |who: usize| {
        let mut all = Vec::new();
        for _ in 0..20 {
            all.push(claim(&replicas[who], who).await);
        }
        all
    };
    let (mut one, other) = tokio::join!(mine(0), mine(1));
    one.extend(other);
    one.sort_unstable();
    assert_eq!(one, Vec::from_iter(0..40), "each number is claimed once");
    for control in &replicas {
        control.catch_up().await.unwrap();
        assert_eq!(control.look(|view| view.all::<AccessKey>().count()), 40);
    }
    let audit = replicas[0].store().unwrap().audit(None, 100).await.unwrap();
    assert_eq!(audit.len(), 40, "what was decided anew is told once");
}

#[tokio::test]
async fn what_one_replica_changes_another_serves_once_it_has_caught_up() {
    let place = Place::new();
    let [one, other] = [(); 2].map(|()| place.control(""));
    let token = Token::generate("ak_1").unwrap();
    assert_eq!(knows(&other, &token), Err(AuthError::NotYet), "not read");
    assert!(!other.is_complete());
    other.catch_up().await.unwrap();
    assert!(other.is_complete());
    assert_eq!(knows(&other, &token), Err(AuthError::Unknown));
    put(&one, "ak_1", &key(&token)).await;
    assert_eq!(knows(&one, &token), Ok(()), "at once where it was made");
    assert_eq!(knows(&other, &token), Err(AuthError::Unknown));
    other.catch_up().await.unwrap();
    assert_eq!(knows(&other, &token), Ok(()));
    let before = other.served().load_full();
    delete::<AccessKey>(&one, "ak_1").await;
    other.catch_up().await.unwrap();
    assert_eq!(knows(&other, &token), Err(AuthError::Unknown));
    assert!(
        before.authenticate(token.expose()).is_ok(),
        "a request keeps its own"
    );
    let generation = other.served().load().generation;
    other.catch_up().await.unwrap();
    assert_eq!(
        other.served().load().generation,
        generation,
        "nothing changed"
    );
}

#[tokio::test]
async fn when_a_key_was_used_is_known_everywhere_once_it_was_told() {
    let place = Place::new();
    let [one, other] = [(); 2].map(|()| place.control(""));
    let token = Token::generate("ak_1").unwrap();
    put(&one, "ak_1", &key(&token)).await;
    other.catch_up().await.unwrap();
    let used = async |control: &Control| control.last_used("access-key", &["ak_1", "ak_2"]).await;
    assert_eq!(used(&one).await, [None, None]);
    let snapshot = one.served().load_full();
    snapshot
        .authenticate(token.expose())
        .unwrap()
        .used
        .mark(5_000);
    assert_eq!(used(&one).await, [Some(5_000), None], "here at once");
    assert_eq!(used(&other).await, [None, None], "elsewhere not yet");
    one.tell_used().await.unwrap();
    assert_eq!(used(&other).await, [Some(5_000), None]);
    // The note outlives snapshots: a changed key is the same key.
    let mut changed = key(&token);
    changed.meta.name = Some("changed".to_owned());
    put(&one, "ak_1", &changed).await;
    snapshot
        .authenticate(token.expose())
        .unwrap()
        .used
        .mark(u64::MAX >> 12);
    assert_eq!(
        used(&one).await[0],
        Some(u64::MAX >> 12),
        "by a request that began before"
    );
    // Neither does an older note win.
    other
        .served()
        .load()
        .authenticate(token.expose())
        .unwrap()
        .used
        .mark(7);
    other.tell_used().await.unwrap();
    one.tell_used().await.unwrap();
    assert_eq!(used(&other).await[0], Some(u64::MAX >> 12));
    one.mark_api_key("api_1");
    assert!(one.last_used("api-key", &["api_1"]).await[0].is_some());
    assert_eq!(
        one.last_used("access-key", &["api_1"]).await,
        [None],
        "kinds are apart"
    );
}

#[tokio::test]
async fn a_provider_key_is_served_in_clear_and_only_as_long_as_it_is_there() {
    let place = Place::new();
    let yaml = "providers: [{ id: f, base_url: 'http://127.0.0.1:1', keys: [{ id: own, value: declared }] }]";
    let control = place.control(yaml);
    let sealed = |key: &ProviderKey, value: &str| {
        let (config, catalog) = (control.config(), control.served().load().catalog.clone());
        let of = (&config.secrets, &*catalog);
        control
            .look(|view| view.seal_value(of, ("pk_1", key), &Secret::new(value)))
            .unwrap()
    };
    let mut key = ProviderKey {
        meta: meta(),
        provider: "f".to_owned(),
        ..ProviderKey::default()
    };
    let values = |control: &Control| {
        let served = control.served().load_full();
        let keys = served.provider_keys("f", DEFAULT_ACCOUNT, KeyKind::User);
        let values = keys.iter().map(|key| key.value.expose().to_owned());
        values.collect::<Vec<_>>()
    };
    for value in ["first", "second", "third"] {
        key.sealed = sealed(&key, value);
        put(&control, "pk_1", &key).await;
        assert_eq!(
            values(&control),
            ["declared", value],
            "declared keys come first"
        );
        assert_eq!(control.opened_count(), 1, "older values are forgotten");
    }
    // Sealed for another resource: it must not open.
    put(&control, "pk_2", &key).await;
    assert_eq!(values(&control), ["declared", "third"]);
    delete::<ProviderKey>(&control, "pk_1").await;
    delete::<ProviderKey>(&control, "pk_2").await;
    assert_eq!(values(&control), ["declared"]);
    assert_eq!(control.opened_count(), 0);
}

#[tokio::test]
async fn without_a_store_nothing_is_changed_and_all_is_known() {
    let control = Control::new(Arc::new(configured("")), None);
    assert!(control.is_complete());
    control.catch_up().await.unwrap();
    let change = control.change(|_, _| Ok::<_, ()>(())).await;
    assert!(matches!(change, Err(ChangeError::NoStore)));
    assert_eq!(control.last_used("access-key", &["a"]).await, [None]);
    let token = Token::generate("a").unwrap();
    assert_eq!(knows(&control, &token), Err(AuthError::Unknown));
}
