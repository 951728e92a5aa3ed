//! Providers, keys and candidates for this crate's tests and benches.

use std::cell::RefCell;
use std::sync::Arc;

use super::plan::Candidate;
use tollgate_base::Secret;
use tollgate_config::access::ProviderKey;
use tollgate_config::catalog::{BaseUrl, Provider, TimeoutOverrides};
use tollgate_ledger::KeyKind;
use tollgate_wire::Surface;

/// A provider without models.
pub(crate) fn provider(id: &str) -> Arc<Provider> {
    Arc::new(Provider {
        id: id.into(),
        display_name: id.into(),
        base_url: BaseUrl {
            tls: true,
            host: "provider.test".to_owned(),
            port: 443,
            authority: "provider.test".to_owned(),
            path: "/v1".to_owned(),
            query: None,
        },
        auth: None,
        surfaces: vec![Surface::ChatCompletions],
        headers: Vec::new(),
        forward_headers: Vec::new(),
        error_rules: Vec::new(),
        ca: None,
        passthrough: true,
        vendor: None,
        chat_extensions: false,
        websocket: false,
        unsupported_parameters: Vec::new(),
        supported_parameters: Vec::new(),
        public_only: false,
        owner: None,
        timeouts: TimeoutOverrides::default(),
        built_in: false,
        managed_keys_possible: true,
        models: Vec::new(),
    })
}

thread_local! {
    static KEYS: RefCell<Vec<Arc<ProviderKey>>> = const { RefCell::new(Vec::new()) };
}

/// A key whose value is as secret as its id; the same one whenever it is asked for, as in a snapshot.
pub(crate) fn key(provider: &str, id: &str, kind: KeyKind) -> Arc<ProviderKey> {
    let same =
        |key: &&Arc<ProviderKey>| *key.provider == *provider && *key.id == *id && key.kind == kind;
    let known = KEYS.with_borrow(|keys| keys.iter().find(same).cloned());
    let new = || {
        Arc::new(ProviderKey {
            used: Default::default(),
            masked: Default::default(),
            id: id.into(),
            provider: provider.into(),
            kind,
            account: "default".into(),
            shared: kind == KeyKind::Managed,
            value: Secret::new(format!("secret-{id}")),
        })
    };
    known.unwrap_or_else(|| {
        let key = new();
        KEYS.with_borrow_mut(|keys| keys.push(key.clone()));
        key
    })
}

/// The candidate (`p`, model, key), with the model's number for its id.
pub(crate) fn candidate(model: usize, key_id: &str) -> Candidate {
    Candidate {
        provider: provider("p"),
        model: None,
        upstream_model: model.to_string().into(),
        key: key("p", key_id, KeyKind::User),
        surface: Surface::ChatCompletions,
        model_index: model,
    }
}
