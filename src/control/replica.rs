//! One replica's copy of all resources: catching up with the store, changing it, and serving from it.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use parking_lot::{Mutex, RwLock};

use super::Caller;
use super::declared::declared;
use super::marks::Marks;
use super::merge::{self, Base, Laid};
use super::records::{only_access_keys, rest_no_more, rests_no_more};
use super::resource::ProviderKey;
use super::seals::purpose;
use super::single_flight::SingleFlight;
use super::tables::Resources;
use super::view::View;
use crate::store::{Contents, Since, Store};
use tollgate_base::Secret;
use tollgate_base::clock;
use tollgate_config::Config;
use tollgate_config::access::Snapshot;
use tollgate_config::catalog::Catalog;
use tollgate_config::secrets::{Keyring, token};
use tollgate_store::StoreError;

/// How often a replica looks whether something changed, if it hears of nothing.
const LOOK: Duration = Duration::from_millis(400);

/// Clear texts of provider keys by what they are sealed for and the sealed text; `None` does not open.
type OpenedValues = HashMap<(String, String), Option<Secret>>;

/// Receives the id of a provider key whose cool-down is to be forgotten; `*` for all.
type Clear = Box<dyn Fn(&str) + Send>;

/// What this replica knows.
pub(super) struct Known {
    pub config: Arc<Config>,
    pub declared: Resources,
    pub stored: Resources,
    /// Whether the store has been read.
    complete: bool,
    /// Whether all of it is to be read again: what it is checked with is another now.
    anew: bool,
}

impl Known {
    fn base<'a>(&'a self, open: &'a merge::Opening<'a>, laid: &'a Mutex<Laid>) -> Base<'a> {
        Base {
            config: &self.config,
            declared: &self.declared,
            stored: &self.stored,
            complete: self.complete,
            open,
            laid,
        }
    }
}

/// The control plane of this replica.
pub struct Control {
    pub(super) store: Option<Arc<dyn Store>>,
    pub(super) known: RwLock<Known>,
    served: Arc<ArcSwap<Snapshot>>,
    /// Which snapshot was built last.
    generation: Mutex<u64>,
    /// Clear texts by what they are for and the sealed text, so that each is opened once, and for nothing else.
    opened: Mutex<OpenedValues>,
    /// The catalog as it was laid last.
    laid: Mutex<Laid>,
    reading: SingleFlight<Result<(), StoreError>>,
    /// Only trouble with the store is shared.
    pub(super) writing: SingleFlight<StoreError>,
    clear: Mutex<Option<Clear>>,
    pub(super) marks: Mutex<Marks>,
    /// When the store was last read (Unix time, ms); 0 is never.
    read_at: AtomicU64,
}

impl Control {
    /// Serves what the configuration declares, until the store is read.
    pub fn new(config: Arc<Config>, store: Option<Arc<dyn Store>>) -> Control {
        let known = Known {
            declared: declared(&config, clock::wall_ms()),
            stored: Resources::default(),
            complete: store.is_none(),
            anew: false,
            config: config.clone(),
        };
        let empty = Snapshot::build(config.clone(), config.catalog.clone(), 0);
        let control = Control {
            store,
            known: RwLock::new(known),
            served: Arc::new(ArcSwap::from_pointee(empty)),
            generation: Mutex::new(0),
            opened: Mutex::default(),
            laid: Mutex::default(),
            reading: SingleFlight::default(),
            writing: SingleFlight::default(),
            clear: Mutex::default(),
            marks: Mutex::default(),
            read_at: AtomicU64::new(0),
        };
        control.serve();
        control
    }

    /// Returns what requests are served from; swapped whole.
    pub fn served(&self) -> Arc<ArcSwap<Snapshot>> {
        self.served.clone()
    }

    /// Returns where resources are durable.
    pub fn store(&self) -> Option<&Arc<dyn Store>> {
        self.store.as_ref()
    }

    /// Receives the id of each provider key whose cool-down is to be forgotten; `*` for all.
    pub fn clear_with(&self, clear: impl Fn(&str) + Send + 'static) {
        *self.clear.lock() = Some(Box::new(clear));
    }

    /// Takes in a new configuration; says which generation serves it.
    pub fn reconfigure(&self, config: Arc<Config>) -> u64 {
        {
            let mut known = self.known.write();
            known.declared = declared(&config, clock::wall_ms());
            known.anew |= !config.secrets.is_same(&known.config.secrets);
            known.config = config;
        }
        // A master key may have come.
        self.opened.lock().retain(|_, value| value.is_some());
        self.serve()
    }

    /// Returns whether what the store holds is served: not before it has been read once.
    pub fn is_complete(&self) -> bool {
        self.served.load().is_complete()
    }

    /// Takes the store for sealed, whatever it says: this gateway has seen that it was.
    pub fn remember_sealed(&self) {
        self.known.write().stored.sealed = true;
    }

    /// Returns whether what has no good check is refused.
    pub fn is_sealed(&self) -> bool {
        self.known.read().stored.sealed
    }

    /// Returns whether the store has documents and is not sealed.
    pub fn is_open(&self) -> bool {
        let known = self.known.read();
        known.stored.revision > 0 && !known.stored.sealed
    }

    /// Looks at everything there is. Not for long: changes wait.
    pub fn look<R>(&self, look: impl FnOnce(View<'_>) -> R) -> R {
        let known = self.known.read();
        look(View {
            declared: &known.declared,
            stored: &known.stored,
        })
    }

    /// Returns the configuration in force.
    pub fn config(&self) -> Arc<Config> {
        self.known.read().config.clone()
    }

    /// Returns who has this token of the admin API.
    pub fn caller(&self, token: &str) -> Option<Caller> {
        self.caller_by(&token::digest(token))
    }

    /// Who has the token of the admin API with this digest.
    pub(crate) fn caller_by(&self, digest: &[u8; 32]) -> Option<Caller> {
        let known = self.known.read();
        let declared = known.declared.api_key(digest);
        let is_hidden = |id: &str| known.declared.api_keys.get(id).is_some();
        let stored = known.stored.api_key(digest);
        let (id, key) = declared.or(stored.filter(|(id, _)| !is_hidden(id)))?;
        Some(Caller {
            id: id.to_string(),
            name: key.meta.name.clone(),
            role: key.role.known().copied(),
            account: key.scope.as_deref().map(Arc::from),
        })
    }

    /// Takes in what others have changed.
    ///
    /// # Errors
    /// When the store does not answer, or holds what this program cannot read; what is known stays.
    pub async fn catch_up(&self) -> Result<(), StoreError> {
        let Some(store) = &self.store else {
            return Ok(());
        };
        let read = self.reading.run(|| self.read(&**store)).await;
        if read.is_ok() {
            self.read_at.store(clock::wall_ms(), Ordering::Relaxed);
        }
        read
    }

    /// Returns when the store was last read, in Unix time (ms): what others have changed since then is not served yet.
    /// 0 without a store, or before it was read once.
    pub fn read_at_ms(&self) -> u64 {
        self.read_at.load(Ordering::Relaxed)
    }

    async fn read(&self, store: &dyn Store) -> Result<(), StoreError> {
        let (revision, current) = {
            let known = self.known.read();
            (known.stored.revision, known.complete && !known.anew)
        };
        let since = if current {
            store.since(revision).await?
        } else {
            Since::Unknown
        };
        match since {
            Since::Changes(changes) if changes.revision == revision => {}
            Since::Changes(changes) => self.take(revision, &changes),
            Since::Unknown => {
                let cleared = loop {
                    let cleared = self.replace(self.revision(), &store.load().await?);
                    if let Some(cleared) = cleared {
                        break cleared;
                    }
                };
                self.serve();
                self.wake(&cleared);
            }
        }
        Ok(())
    }

    /// Returns the revision of the store that is served; 0 before the first, and without a store.
    pub fn revision(&self) -> u64 {
        self.known.read().stored.revision
    }

    /// Takes in everything, which was asked for at the revision `from`; says which provider keys that wakes. `None` if
    /// a change of this replica came meanwhile, which may be newer: what it deleted must not come back.
    fn replace(&self, from: u64, all: &Contents) -> Option<Vec<String>> {
        let (last, config) = {
            let known = self.known.read();
            (known.stored.without_tables(), known.config.clone())
        };
        let state = Resources::of(all, &config.secrets, &last);
        let mut known = self.known.write();
        if known.stored.revision != from {
            return None;
        }
        if state.sealed && !state.has_seal && all.revision > 0 && !config.secrets.is_empty() {
            log::error!(
                "the store was sealed, and does not say so any more: somebody without the master key wrote to it. What is \
                 not signed is refused; if it is another store, remove the note `.sealed` beside this gateway's journal"
            );
        }
        let cleared = rest_no_more(&known.stored, &state);
        known.stored = state;
        known.complete = true;
        known.anew = !config.secrets.is_same(&known.config.secrets);
        Some(cleared)
    }

    /// Tells that these provider keys rest no more.
    fn wake(&self, cleared: &[String]) {
        if let Some(clear) = &*self.clear.lock() {
            cleared.iter().for_each(|id| clear(id));
        }
    }

    /// Changes that follow the revision `from`, unless they are known by now.
    pub(super) fn take(&self, from: u64, changes: &Contents) {
        let mut cleared = Vec::new();
        {
            let mut known = self.known.write();
            if known.stored.revision != from {
                return;
            }
            for record in &changes.records {
                cleared.extend(rests_no_more(&known.stored, record));
            }
            let (was_sealed, config) = (known.stored.sealed, known.config.clone());
            known.stored.catch_up(changes, &config.secrets);
            // What was taken before it was sealed is to be looked at once more.
            known.anew |= known.stored.sealed && !was_sealed && from > 0;
        }
        match only_access_keys(&changes.records) {
            Some(ids) if ids.is_empty() => {}
            Some(ids) => self.serve_access_keys(&ids),
            None => {
                self.serve();
            }
        }
        self.wake(&cleared);
    }

    /// Builds a snapshot of what is known now, and swaps it in.
    fn serve(&self) -> u64 {
        let mut generation = self.generation.lock();
        let known = self.known.read();
        *generation += 1;
        // Credentials that nobody uses any more are not kept in clear text.
        let used = Mutex::new(OpenedValues::new());
        let open = |catalog: &Catalog, id: &str, key: &ProviderKey| {
            let secrets = &known.config.secrets;
            let sealed = key.sealed.as_ref()?;
            let bound = known.stored.sealed || sealed.is_bound();
            let name = (
                purpose(catalog, id, key, bound)?,
                sealed.as_str().to_owned(),
            );
            let last = self.opened.lock().get(&name).cloned();
            let value = last.unwrap_or_else(|| opened(secrets, id, key, &name.0));
            used.lock().insert(name, value.clone());
            value
        };
        let base = known.base(&open, &self.laid);
        let snapshot = merge::snapshot(&base, *generation, Some(&self.served.load()));
        self.served.store(Arc::new(snapshot));
        *self.opened.lock() = used.into_inner();
        *generation
    }

    /// Swaps in the snapshot that is served with these access keys as they are known now.
    fn serve_access_keys(&self, ids: &[&str]) {
        let mut generation = self.generation.lock();
        let known = self.known.read();
        *generation += 1;
        let base = known.base(&|_, _, _| None, &self.laid);
        let snapshot = merge::with_access_keys(&base, ids, *generation, &self.served.load());
        self.served.store(Arc::new(snapshot));
    }

    /// How many clear texts are kept.
    #[cfg(test)]
    pub(super) fn opened_count(&self) -> usize {
        self.opened.lock().values().flatten().count()
    }

    /// Keeps up with other replicas; does not end.
    pub async fn keep_up(&self) {
        let Some(store) = &self.store else {
            return std::future::pending().await;
        };
        let mut away = false;
        loop {
            match self.catch_up().await {
                Ok(()) if away => {
                    log::info!("resources are up to date again");
                    away = false;
                }
                Ok(()) => {}
                Err(error) => {
                    if !away {
                        log::warn!("resources are served as last known: {error}");
                    }
                    away = true;
                }
            }
            tokio::select! {
                () = store.changed() => {}
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    }
}

/// A provider key's clear text, if it opens.
fn opened(keyring: &Keyring, id: &str, key: &ProviderKey, purpose: &str) -> Option<Secret> {
    let opened = keyring.open(key.sealed.as_ref()?, purpose);
    let told = opened.inspect_err(|error| {
        log::error!("the provider key `{id}` cannot be used: {error}");
    });
    told.ok()
}
