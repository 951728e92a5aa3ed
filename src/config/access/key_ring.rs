//! A provider's keys, as requests find them.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use super::accounts::Accounts;
use super::{ProviderKey, Used};
use crate::DEFAULT_ACCOUNT;
use crate::catalog::Auth;
use crate::yaml::types;
use tollgate_base::Secret;
use tollgate_ledger::KeyKind;

/// Provider keys by their ids.
pub(super) type KeysById = HashMap<Arc<str>, Arc<ProviderKey>>;

/// One provider's keys, in the order in which they are written.
#[derive(Clone, Debug, Default)]
pub(super) struct KeyRing {
    user: HashMap<Arc<str>, Vec<Arc<ProviderKey>>>,
    managed: Vec<Arc<ProviderKey>>,
    /// For a provider that needs no credential: the implicit key, for every account that has none of its own.
    keyless: Vec<Arc<ProviderKey>>,
}

impl KeyRing {
    /// Returns a provider's ring. `owner` is the account that alone may use it without a credential; keys of the `last`
    /// snapshot remember when they were used.
    pub(super) fn of(
        provider: &types::Provider,
        owner: Option<&str>,
        accounts: &mut Accounts,
        last: Option<&KeysById>,
    ) -> KeyRing {
        let id: Arc<str> = provider.id.as_str().into();
        let mut key = |key_id: &str, kind, account: Option<&str>, value: &Secret| {
            let known = last.and_then(|last| last.get_key_value(key_id));
            let (key_id, used) = match known {
                Some((id, known)) => (id.clone(), known.used.clone()),
                None => (Arc::from(key_id), Used::default()),
            };
            Arc::new(ProviderKey {
                id: key_id,
                provider: id.clone(),
                kind,
                account: accounts.get(account.unwrap_or(DEFAULT_ACCOUNT)).0,
                shared: kind == KeyKind::Managed,
                value: value.clone(),
                masked: OnceLock::new(),
                used,
            })
        };
        let mut ring = KeyRing::default();
        for written in &provider.keys {
            let account = written.account.as_deref();
            let key = key(&written.id, KeyKind::User, account, &written.value);
            ring.user.entry(key.account.clone()).or_default().push(key);
        }
        for written in &provider.managed_keys {
            let account = written.account.as_deref();
            ring.managed
                .push(key(&written.id, KeyKind::Managed, account, &written.value));
        }
        // Whoever adds a key of its own takes nothing from the others; the operator's serve all.
        if provider.auth == Some(Auth::None) && ring.managed.is_empty() {
            let implicit = key(
                &format!("{id}-none"),
                KeyKind::User,
                owner,
                &Secret::default(),
            );
            match owner {
                Some(owner) if ring.user.contains_key(owner) => {}
                Some(_) => drop(ring.user.insert(implicit.account.clone(), vec![implicit])),
                None => ring.keyless.push(Arc::new(ProviderKey {
                    shared: true,
                    ..ProviderKey::clone(&implicit)
                })),
            }
        }
        ring
    }

    /// Returns the keys of one kind that an account may use, in order.
    pub(super) fn usable(&self, account: &str, kind: KeyKind) -> &[Arc<ProviderKey>] {
        match kind {
            KeyKind::Managed => &self.managed,
            KeyKind::User => self.user.get(account).unwrap_or(&self.keyless),
        }
    }

    /// Returns all of them, whoever may use them.
    pub(super) fn all(&self) -> impl Iterator<Item = &Arc<ProviderKey>> {
        let user = self.user.values().flatten();
        user.chain(&self.managed).chain(&self.keyless)
    }
}
