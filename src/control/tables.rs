//! All resources of the store in memory, at one revision.
//!
//! Invariant: what cannot be read is not there, and is remembered: it is not what is deleted.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::resource::{
    AccessKey, Account, ApiKey, Configuration, CoolDownCleared, Document, Provider, ProviderKey,
    Settings, SharedBudget,
};
use super::seals::{Guard, SEAL};
use crate::store::{Contents, Record};
use tollgate_config::secrets::{Keyring, token};

/// Resources of one kind, by id.
#[derive(Clone, Debug)]
pub struct Table<T>(BTreeMap<Arc<str>, Arc<T>>);

impl<T> Default for Table<T> {
    fn default() -> Self {
        Table(BTreeMap::new())
    }
}

impl<T> Table<T> {
    /// Returns the resource with this id.
    pub fn get(&self, id: &str) -> Option<&Arc<T>> {
        self.0.get(id)
    }

    /// Returns the same, with the id as it is kept.
    pub fn entry(&self, id: &str) -> Option<(&Arc<str>, &Arc<T>)> {
        self.0.get_key_value(id)
    }

    /// All, sorted by id.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&Arc<str>, &Arc<T>)> {
        self.0.iter()
    }

    /// Those with ids below `before`, sorted by id.
    pub fn below(
        &self,
        before: Option<&str>,
    ) -> impl DoubleEndedIterator<Item = (&Arc<str>, &Arc<T>)> {
        use std::ops::Bound::{Excluded, Unbounded};
        let end = before.map_or(Unbounded, Excluded);
        self.0.range::<str, _>((Unbounded, end))
    }

    /// Returns how many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn insert(&mut self, id: &str, resource: T) {
        self.0.insert(id.into(), Arc::new(resource));
    }
}

impl<T: Document> Table<T> {
    pub(super) fn put(
        &mut self,
        id: &str,
        body: Option<&str>,
    ) -> Result<Option<&'static str>, serde_json::Error> {
        // What cannot be read must not stay as it was: a key may have been locked out.
        self.0.remove(id);
        let Some(body) = body else { return Ok(None) };
        let resource: T = serde_json::from_str(body)?;
        let newer = resource.newer();
        self.insert(id, resource);
        Ok(newer)
    }
}

/// A kind of resource that has its table.
pub trait Tabled: Document {
    /// Where they are.
    fn table(state: &Resources) -> &Table<Self>;
}

macro_rules! tables {
    ($($type:ident: $table:ident;)+) => {
        $(impl Tabled for $type {
            fn table(state: &Resources) -> &Table<Self> {
                &state.$table
            }
        })+

        impl Resources {
            /// Puts a document into its table, or takes it out. Says what becomes of it if it is not understood, and an
            /// error if it cannot be read.
            fn put(
                &mut self,
                (kind, id): (&str, &str),
                body: Option<&str>,
            ) -> Result<Option<&'static str>, serde_json::Error> {
                match kind {
                    $($type::KIND => self.$table.put(id, body),)+
                    // Of a newer program; this one does not know what it means.
                    _ => Ok(None),
                }
            }

            /// A resource's document.
            pub(super) fn body(&self, kind: &str, id: &str) -> Option<String> {
                match kind {
                    $($type::KIND => serde_json::to_string(&**self.$table.get(id)?).ok(),)+
                    _ => None,
                }
            }

            /// Whether a kind is known here.
            fn knows(kind: &str) -> bool {
                [$($type::KIND),+].contains(&kind)
            }
        }
    };
}

tables! {
    Account: accounts;
    AccessKey: access_keys;
    Configuration: configurations;
    SharedBudget: budgets;
    Provider: providers;
    ProviderKey: provider_keys;
    ApiKey: api_keys;
    Settings: settings;
    CoolDownCleared: cleared;
}

/// Resources of every kind.
#[derive(Clone, Debug, Default)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Resources {
    /// The store's revision; 0: empty, or not read yet.
    pub revision: u64,
    pub accounts: Table<Account>,
    pub access_keys: Table<AccessKey>,
    pub configurations: Table<Configuration>,
    pub budgets: Table<SharedBudget>,
    pub providers: Table<Provider>,
    pub provider_keys: Table<ProviderKey>,
    pub api_keys: Table<ApiKey>,
    pub settings: Table<Settings>,
    pub(super) cleared: Table<CoolDownCleared>,
    /// API keys by the digests of their tokens.
    digests: HashMap<[u8; 32], Arc<str>>,
    /// Whether the store is sealed: what has no good check is refused.
    pub(super) sealed: bool,
    /// Whether the store says so.
    pub(super) has_seal: bool,
    /// Documents that were taken without a check of the current master key.
    unsigned: BTreeSet<(String, String)>,
    strangers: Strangers,
}

/// Stored documents that this gateway does not understand, by kind and id.
pub(super) type Strangers = BTreeMap<String, BTreeMap<String, Stranger>>;

/// A stored document that this gateway does not understand.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stranger {
    /// Which revision of it.
    revision: u64,
    /// Whether it could not even be read.
    unreadable: bool,
}

impl Resources {
    /// Everything that a store holds, which was known as `last`. What that had reported is not reported again.
    pub(super) fn of(contents: &Contents, keyring: &Keyring, last: &Resources) -> Resources {
        let has_seal = contents.records.iter().any(|record| record.kind == SEAL);
        let mut state = Resources {
            sealed: last.sealed || has_seal,
            has_seal,
            ..Resources::default()
        };
        let guard = state.guard(keyring, None);
        for record in &contents.records {
            let told = last.strangers.get(&record.kind);
            let told = told.and_then(|all| all.get(&record.id));
            state.take(record, &guard, told.copied());
        }
        state.revision = contents.revision;
        state
    }

    /// Takes in what changed.
    pub(super) fn catch_up(&mut self, contents: &Contents, keyring: &Keyring) {
        self.has_seal |= contents.records.iter().any(|record| record.kind == SEAL);
        self.sealed |= self.has_seal;
        let guard = self.guard(keyring, Some(self.revision));
        for record in &contents.records {
            let known = self.strangers.get_mut(&record.kind);
            let known = known.and_then(|all| all.remove(&record.id));
            self.take(record, &guard, known);
        }
        self.revision = contents.revision;
    }

    /// The API key whose token has this digest. Takes as long whether there is one or not, and however many there are.
    pub(super) fn api_key(&self, digest: &[u8; 32]) -> Option<(&Arc<str>, &Arc<ApiKey>)> {
        const NOBODY: [u8; 32] = [0; 32];
        let found = self.digests.get(digest);
        let found = found.and_then(|id| self.api_keys.entry(id));
        let same = token::same(found.map_or(&NOBODY, |(_, key)| &key.sha256), digest);
        found.filter(|_| same)
    }

    /// Adds an API key that the configuration declares.
    pub(super) fn declare_api_key(&mut self, id: &str, key: ApiKey) {
        self.digests.insert(key.sha256, id.into());
        self.api_keys.insert(id, key);
    }

    fn forget_digest(&mut self, id: &str) {
        let Some(before) = self.api_keys.get(id) else {
            return;
        };
        if self
            .digests
            .get(&before.sha256)
            .is_some_and(|of| **of == *id)
        {
            self.digests.remove(&before.sha256);
        }
    }

    fn guard<'a>(&self, keyring: &'a Keyring, after: Option<u64>) -> Guard<'a> {
        let sealed = self.sealed;
        Guard {
            keyring,
            sealed,
            after,
        }
    }

    fn take(&mut self, record: &Record, guard: &Guard<'_>, told: Option<Stranger>) {
        let (kind, id, revision) = (&record.kind, &record.id, record.revision);
        let name = (kind.clone(), id.clone());
        self.unsigned.remove(&name);
        let opened = guard.open(record);
        let content = opened.as_ref().ok().and_then(Option::as_ref);
        if kind == ApiKey::KIND {
            self.forget_digest(id);
        }
        let put = self.put((kind, id), content.map(|opened| &*opened.content));
        if kind == ApiKey::KIND
            && let Some((id, key)) = self.api_keys.entry(id)
        {
            self.digests.insert(key.sha256, id.clone());
        }
        let unreadable = put.is_err() || opened.is_err();
        let may_sign = kind == SEAL || Resources::knows(kind);
        // What has no form cannot be written again under another key.
        if may_sign && !unreadable && content.is_some_and(|opened| !opened.current) {
            self.unsigned.insert(name);
        }
        let what = match (put, &opened) {
            (_, Err(forged)) => {
                format!("{forged}: it counts for nothing; restore it, or take it out of the store")
            }
            (Ok(None), _) => return,
            (Ok(Some(newer)), _) => format!("says what only a newer gateway understands: {newer}"),
            (Err(error), _) => format!("cannot be read: {error}"),
        };
        if told.is_none_or(|told| told.revision != revision) {
            log::error!("the stored {kind} `{id}` {what}");
        }
        let stranger = Stranger {
            revision,
            unreadable,
        };
        let all = self.strangers.entry(kind.clone()).or_default();
        all.insert(id.clone(), stranger);
    }

    /// All but the resources: what is remembered while they are read anew.
    pub(super) fn without_tables(&self) -> Resources {
        Resources {
            sealed: self.sealed,
            strangers: self.strangers.clone(),
            ..Resources::default()
        }
    }

    /// Whether what is written with this keyring is signed: a store that is empty becomes a sealed one.
    pub(super) fn signs(&self, keyring: &Keyring) -> bool {
        self.sealed || (self.revision == 0 && keyring.current_id().is_some())
    }

    /// Documents without a check of the current master key, by kind and id.
    pub(super) fn unsigned(&self) -> &BTreeSet<(String, String)> {
        &self.unsigned
    }

    /// The kinds and ids of the documents that are there and cannot be read.
    pub(super) fn all_unreadable(&self) -> impl Iterator<Item = (&str, &str)> {
        let kinds = self.strangers.keys();
        kinds.flat_map(|kind| self.unreadable(kind).map(move |id| (&**kind, id)))
    }

    /// The documents of a kind that are there and cannot be read, by id.
    pub(super) fn unreadable(&self, kind: &str) -> impl Iterator<Item = &str> {
        let all = self.strangers.get(kind).into_iter().flatten();
        all.filter(|(_, one)| one.unreadable)
            .map(|(id, _)| id.as_str())
    }

    /// Whether a document is there and cannot be read.
    pub(super) fn is_unreadable(&self, kind: &str, id: &str) -> bool {
        let found = self.strangers.get(kind).and_then(|all| all.get(id));
        found.is_some_and(|one| one.unreadable)
    }
}
