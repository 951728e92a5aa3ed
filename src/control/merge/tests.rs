//! A snapshot that is patched is the same as one that is built anew.

use proptest::prelude::*;

use super::*;
use crate::declared::declared;
use crate::resource::{Cap, Meta, forms};
use tollgate_config::secrets::token;

/// What becomes of the access key `k<number>`: gone, or with this account, configuration and digest.
type Change = (u8, Option<(u8, Option<u8>, u8)>);

fn change() -> impl Strategy<Value = Change> {
    let key = (0..3_u8, proptest::option::of(0..3_u8), any::<u8>());
    (0..8_u8, proptest::option::weighted(0.7, key))
}

fn meta(account: u8) -> Meta {
    Meta {
        account: format!("a{account}"),
        ..Meta::default()
    }
}

fn all(snapshot: &Snapshot) -> Vec<String> {
    let mut all: Vec<String> = snapshot
        .access_keys()
        .map(|key| format!("{key:?}"))
        .collect();
    all.sort_unstable();
    all
}

fn base<'a>(
    config: &'a Arc<Config>,
    (declared, stored): (&'a Resources, &'a Resources),
    laid: &'a Mutex<Laid>,
) -> Base<'a> {
    Base {
        config,
        declared,
        stored,
        complete: true,
        open: &|_, _, _| None,
        laid,
    }
}

proptest! {
    /// Of three configurations one is missing, one account has settings, and one access key is declared.
    #[test]
    fn changed_access_keys_make_the_same_as_building_anew(
        rounds in proptest::collection::vec(proptest::collection::vec(change(), 1..6), 1..8),
    ) {
        let yaml = format!("access_keys: [{{ id: k0, sha256: '{}' }}]", token::to_hex(&[9; 32]));
        let config = Arc::new(tollgate_config::parse(&yaml, &|_| None).unwrap());
        let declared = declared(&config, 1);
        let mut stored = Resources::default();
        for number in 0..2 {
            let id = format!("c{number}");
            let spec = forms::Configuration { id: id.clone(), failover: Some(number == 0), ..Default::default() };
            stored.configurations.insert(&id, resource::Configuration { meta: meta(0), spec });
        }
        for number in 0..3 {
            stored.accounts.insert(&format!("a{number}"), Account { meta: meta(number), weight: None });
        }
        let own = Settings { meta: meta(1), max_input_tokens: Cap::from(5).into(), ..Settings::default() };
        stored.settings.insert("a1", own);
        let (empty, laid) = (stored.clone(), Mutex::default());
        let mut last = snapshot(&base(&config, (&declared, &empty), &laid), 1, None);
        for (round, changes) in (2..).zip(rounds) {
            let mut ids = Vec::new();
            for (number, key) in changes {
                let id = format!("k{number}");
                let body = key.map(|(account, configuration, digest)| {
                    let key = AccessKey {
                        meta: meta(account),
                        configuration: configuration.map(|number| format!("c{number}")),
                        sha256: [digest; 32],
                        ..AccessKey::default()
                    };
                    serde_json::to_string(&key).unwrap()
                });
                stored.access_keys.put(&id, body.as_deref()).unwrap();
                ids.push(id);
            }
            let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
            let base = base(&config, (&declared, &stored), &laid);
            let whole = snapshot(&base, round, Some(&last));
            let patched = with_access_keys(&base, &ids, round, &last);
            prop_assert_eq!(all(&patched), all(&whole));
            prop_assert_eq!(patched.generation, round);
            for key in patched.access_keys() {
                let same = whole.access_key(&key.id).map(|same| &same.id);
                prop_assert_eq!(same, Some(&key.id), "found by its id");
                key.used.mark(round);
                if last.access_key(&key.id).is_some() {
                    let noted = whole.access_key(&key.id).and_then(|same| same.used.last());
                    prop_assert_eq!(noted, Some(round), "one key, one note");
                }
            }
            last = patched;
        }
    }
}

#[test]
fn an_account_has_its_weight_and_what_is_declared_hides_what_is_stored() {
    let sha256 = token::to_hex(&[9; 32]);
    let yaml = format!(
        "accounts: [{{ id: a0, weight: 5 }}, {{ id: a1 }}]\n\
         access_keys: [{{ id: k0, account: a0, sha256: '{sha256}' }}]"
    );
    let config = Arc::new(tollgate_config::parse(&yaml, &|_| None).unwrap());
    let declared = declared(&config, 1);
    let mut stored = Resources::default();
    for number in 0..4 {
        let (id, meta) = (format!("a{number}"), meta(number));
        let weight = (number < 3).then_some(7);
        let account = meta.account.clone();
        stored.accounts.insert(&id, Account { meta, weight });
        let mut key = AccessKey::default();
        (key.meta.account, key.sha256) = (account, [number; 32]);
        stored.access_keys.insert(&format!("own{number}"), key);
    }
    let own = Settings {
        meta: meta(2),
        max_input_tokens: Cap::from(5).into(),
        ..Settings::default()
    };
    stored.settings.insert("a2", own);
    let laid = Mutex::default();
    let snapshot = snapshot(&base(&config, (&declared, &stored), &laid), 1, None);
    let settings = |key: &str| *snapshot.access_key(key).unwrap().settings;
    let weights = ["k0", "own0", "own1", "own2", "own3"].map(|key| settings(key).weight);
    assert_eq!(weights, [5, 5, 1, 7, 1]);
    assert_eq!(
        settings("own2").max_input_tokens,
        Some(5),
        "beside its settings"
    );
    let built = Snapshot::build(config.clone(), config.catalog.clone(), 1);
    assert_eq!(built.access_key("k0").unwrap().settings.weight, 5);
}
