//! All resources of the store in memory, at one revision.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::resource::{
    AccessKey, Account, ApiKey, Configuration, CoolDownCleared, Document, Provider, ProviderKey,
    Settings,
};
use crate::store::{Contents, Record};

/// Resources of one kind, by id.
#[derive(Clone, Debug)]
pub struct Table<T>(BTreeMap<Arc<str>, Arc<T>>);

impl<T> Default for Table<T> {
    fn default() -> Self {
        Table(BTreeMap::new())
    }
}

impl<T> Table<T> {
    /// The resource with this id.
    pub fn get(&self, id: &str) -> Option<&Arc<T>> {
        self.0.get(id)
    }

    /// The same, with the id as it is kept.
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

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn insert(&mut self, id: &str, resource: T) {
        self.0.insert(id.into(), Arc::new(resource));
    }
}

impl<T: Document> Table<T> {
    pub(super) fn put(&mut self, id: &str, body: Option<&str>) -> Result<(), serde_json::Error> {
        // What cannot be read must not stay as it was: a key may have been locked out.
        self.0.remove(id);
        if let Some(body) = body {
            self.0
                .insert(id.into(), Arc::new(serde_json::from_str(body)?));
        }
        Ok(())
    }
}

/// A kind of resource that has its table.
pub trait Tabled: Document {
    /// Where they are.
    fn table(state: &State) -> &Table<Self>;
}

macro_rules! tables {
    ($($type:ident: $table:ident;)+) => {
        $(impl Tabled for $type {
            fn table(state: &State) -> &Table<Self> {
                &state.$table
            }
        })+

        impl State {
            /// Puts a stored document into its table, or takes it out; an error if it cannot be read.
            fn put(&mut self, record: &Record) -> Result<(), serde_json::Error> {
                let (id, body) = (&record.id, record.body.as_deref());
                match &*record.kind {
                    $($type::KIND => self.$table.put(id, body),)+
                    // Of a newer program; this one does not know what it means.
                    _ => Ok(()),
                }
            }
        }
    };
}

tables! {
    Account: accounts;
    AccessKey: access_keys;
    Configuration: configurations;
    Provider: providers;
    ProviderKey: provider_keys;
    ApiKey: api_keys;
    Settings: settings;
    CoolDownCleared: cleared;
}

/// Resources of every kind.
#[derive(Clone, Debug, Default)]
#[expect(missing_docs, reason = "the names say it")]
pub struct State {
    /// The store's revision; 0: empty, or not read yet.
    pub revision: u64,
    pub accounts: Table<Account>,
    pub access_keys: Table<AccessKey>,
    pub configurations: Table<Configuration>,
    pub providers: Table<Provider>,
    pub provider_keys: Table<ProviderKey>,
    pub api_keys: Table<ApiKey>,
    pub settings: Table<Settings>,
    pub(super) cleared: Table<CoolDownCleared>,
}

impl State {
    /// Everything that a store holds.
    pub fn of(contents: &Contents) -> State {
        let mut state = State::default();
        state.catch_up(contents);
        state
    }

    /// Takes in what changed.
    pub fn catch_up(&mut self, contents: &Contents) {
        for record in &contents.records {
            self.take(record);
        }
        self.revision = contents.revision;
    }

    fn take(&mut self, record: &Record) {
        if let Err(error) = self.put(record) {
            let (kind, id) = (&record.kind, &record.id);
            log::error!("the stored {kind} `{id}` cannot be read and counts as deleted: {error}");
        }
    }
}
