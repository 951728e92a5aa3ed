//! Somebody who changes resources in a gateway's store without its admin API: another replica, within the test.

use std::sync::Arc;

use tollgate::clock;
use tollgate::config::{self, Config, Secret};
use tollgate::control::resource::{Meta, ProviderKey};
use tollgate::control::{Action, Actor, Control, Document, context};
use tollgate::ledger::bank::{Bank, Store};

use super::*;

pub struct Author {
    pub control: Control,
    pub store: Arc<dyn Store>,
    config: Arc<Config>,
    _bank: Arc<dyn Bank>,
}

impl Author {
    /// On the store of this gateway.
    pub fn beside(gateway: &Gateway) -> Author {
        let env = |name: &str| (name == "TOLLGATE_MASTER_KEY").then(|| MASTER.to_owned());
        let config = Arc::new(config::load(&gateway.path("tollgate.yaml"), &env).unwrap());
        let bank = bank(gateway);
        let store = bank.store().unwrap();
        Author {
            control: Control::new(config.clone(), Some(store.clone())),
            store,
            config,
            _bank: bank,
        }
    }

    /// Writes a resource, in the place of the one with this id if there is one.
    pub async fn put<T: Document>(&self, id: &str, new: &T) {
        let actor = actor();
        let change = self.control.change(|view, draft| {
            match view.get::<T>(id) {
                Some(old) => draft.update(&actor, Action::Update, id, &*old.resource, new),
                None => draft.create(&actor, id, new),
            }
            Ok::<_, ()>(())
        });
        change.await.unwrap();
    }

    /// A provider key of the account `default`.
    pub fn provider_key(&self, id: &str, provider: &str, value: &str) -> ProviderKey {
        let sealed = self
            .config
            .secrets
            .seal(&Secret::new(value), &context(id))
            .unwrap();
        ProviderKey {
            meta: meta(),
            provider: provider.to_owned(),
            managed: false,
            sealed: Some(sealed),
            redacted: "***".to_owned(),
        }
    }
}

pub fn actor() -> Actor {
    Actor {
        id: "tests".to_owned(),
        name: None,
        address: None,
        request_id: None,
    }
}

pub fn meta() -> Meta {
    let now = clock::wall_ms();
    Meta {
        account: "default".to_owned(),
        created_at: now,
        updated_at: now,
        created_by: "tests".to_owned(),
        last_updated_by: "tests".to_owned(),
        ..Meta::default()
    }
}
