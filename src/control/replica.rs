//! One replica's copy of all resources: catching up with the store, changing it, and serving from it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use parking_lot::{Mutex, RwLock};

use super::Caller;
use super::declared::declared;
use super::marks::Marks;
use super::merge::{self, Base};
use super::records::{contents, only_access_keys, rests_no_more};
use super::resource::{Document, ProviderKey};
use super::state::State;
use super::turns::Turns;
use super::view::{Draft, View};
use crate::store::{Commit, Committed, Contents, Since, Store};
use tollgate_base::Secret;
use tollgate_base::{clock, random};
use tollgate_config::Config;
use tollgate_config::access::Snapshot;
use tollgate_config::secrets::token;
use tollgate_store::StoreError;

/// How often a replica looks whether something changed, if it hears of nothing.
const LOOK: Duration = Duration::from_millis(400);

/// How often a change is decided anew because another one came first.
const ROUNDS: usize = 64;

/// Why nothing was changed.
#[derive(Debug)]
pub enum ChangeError<E> {
    /// The decision was against it.
    Decided(E),
    /// The store does not answer: it may have been changed all the same.
    Store(StoreError),
    /// There is no store.
    NoStore,
    /// Other changes came first each time.
    Contended,
    /// It would write over a stored document that this gateway cannot read: its kind.
    Unreadable(String),
}

impl<E> From<StoreError> for ChangeError<E> {
    fn from(error: StoreError) -> Self {
        ChangeError::Store(error)
    }
}

/// Is told the id of a provider key whose cool-down is to be forgotten; `*` for all.
type Clear = Box<dyn Fn(&str) + Send>;

/// What this replica knows.
struct Known {
    config: Arc<Config>,
    declared: State,
    stored: State,
    /// Whether the store has been read.
    complete: bool,
}

impl Known {
    fn base<'a>(&'a self, open: &'a dyn Fn(&str, &ProviderKey) -> Option<Secret>) -> Base<'a> {
        Base {
            config: &self.config,
            declared: &self.declared,
            stored: &self.stored,
            complete: self.complete,
            open,
        }
    }
}

/// The control plane of this replica.
pub struct Control {
    store: Option<Arc<dyn Store>>,
    known: RwLock<Known>,
    served: Arc<ArcSwap<Snapshot>>,
    /// Which snapshot was built last.
    generation: Mutex<u64>,
    /// Clear texts by what they are for and the sealed text, so that each is opened once, and for nothing else.
    opened: Mutex<HashMap<(String, String), Option<Secret>>>,
    reading: Turns<Result<(), StoreError>>,
    /// Only trouble with the store is shared.
    writing: Turns<StoreError>,
    clear: Mutex<Option<Clear>>,
    pub(super) marks: Mutex<Marks>,
}

impl Control {
    /// Serves what the configuration declares, until the store is read.
    pub fn new(config: Arc<Config>, store: Option<Arc<dyn Store>>) -> Control {
        let known = Known {
            declared: declared(&config, clock::wall_ms()),
            stored: State::default(),
            complete: store.is_none(),
            config: config.clone(),
        };
        let empty = Snapshot::build(config.clone(), config.catalog.clone(), 0);
        let control = Control {
            store,
            known: RwLock::new(known),
            served: Arc::new(ArcSwap::from_pointee(empty)),
            generation: Mutex::new(0),
            opened: Mutex::default(),
            reading: Turns::default(),
            writing: Turns::default(),
            clear: Mutex::default(),
            marks: Mutex::default(),
        };
        control.serve();
        control
    }

    /// What requests are served from; swapped whole.
    pub fn served(&self) -> Arc<ArcSwap<Snapshot>> {
        self.served.clone()
    }

    /// Where resources are durable.
    pub fn store(&self) -> Option<&Arc<dyn Store>> {
        self.store.as_ref()
    }

    /// Is told the id of each provider key whose cool-down is to be forgotten; `*` for all.
    pub fn clear_with(&self, clear: impl Fn(&str) + Send + 'static) {
        *self.clear.lock() = Some(Box::new(clear));
    }

    /// Takes in a new configuration; says which generation serves it.
    pub fn reconfigure(&self, config: Arc<Config>) -> u64 {
        {
            let mut known = self.known.write();
            known.declared = declared(&config, clock::wall_ms());
            known.config = config;
        }
        // A master key may have come.
        self.opened.lock().retain(|_, value| value.is_some());
        self.serve()
    }

    /// Whether what the store holds is served: not before it has been read once.
    pub fn is_complete(&self) -> bool {
        self.served.load().is_complete()
    }

    /// Looks at everything there is. Not for long: changes wait.
    pub fn look<R>(&self, look: impl FnOnce(View<'_>) -> R) -> R {
        let known = self.known.read();
        look(View {
            declared: &known.declared,
            stored: &known.stored,
        })
    }

    /// The configuration in force.
    pub fn config(&self) -> Arc<Config> {
        self.known.read().config.clone()
    }

    /// Who has this token of the admin API.
    pub fn caller(&self, token: &str) -> Option<Caller> {
        let digest = token::digest(token);
        let known = self.known.read();
        let declared = known.declared.api_key(&digest);
        let is_hidden = |id: &str| known.declared.api_keys.get(id).is_some();
        let stored = known.stored.api_key(&digest);
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
        self.reading.share(|| self.read(&**store)).await
    }

    async fn read(&self, store: &dyn Store) -> Result<(), StoreError> {
        let (revision, complete) = {
            let known = self.known.read();
            (known.stored.revision, known.complete)
        };
        let since = if complete {
            store.since(revision).await?
        } else {
            Since::Unknown
        };
        match since {
            Since::Changes(changes) if changes.revision == revision => {}
            Since::Changes(changes) => self.take(revision, &changes),
            Since::Unknown => {
                while !self.replace(self.revision(), &store.load().await?) {}
                self.serve();
            }
        }
        Ok(())
    }

    /// The revision that is known.
    fn revision(&self) -> u64 {
        self.known.read().stored.revision
    }

    /// Takes in everything, which was asked for at the revision `from`; says whether it did. Not if a change of this
    /// replica came meanwhile, which may be newer: what it deleted must not come back.
    fn replace(&self, from: u64, all: &Contents) -> bool {
        let told = self.known.read().stored.strangers().clone();
        let state = State::of(all, &told);
        let mut known = self.known.write();
        if known.stored.revision != from {
            return false;
        }
        known.stored = state;
        known.complete = true;
        true
    }

    /// Changes that follow the revision `from`, unless they are known by now.
    fn take(&self, from: u64, changes: &Contents) {
        let mut cleared = Vec::new();
        {
            let mut known = self.known.write();
            if known.stored.revision != from {
                return;
            }
            for record in &changes.records {
                cleared.extend(rests_no_more(&known.stored, record));
            }
            known.stored.catch_up(changes);
        }
        match only_access_keys(&changes.records) {
            Some(ids) if ids.is_empty() => {}
            Some(ids) => self.serve_access_keys(&ids),
            None => {
                self.serve();
            }
        }
        if let Some(clear) = &*self.clear.lock() {
            cleared.iter().for_each(|id| clear(id));
        }
    }

    /// Builds a snapshot of what is known now, and swaps it in.
    fn serve(&self) -> u64 {
        let mut generation = self.generation.lock();
        let known = self.known.read();
        *generation += 1;
        let open = |id: &str, key: &ProviderKey| self.open(&known.config, id, key);
        let base = known.base(&open);
        let snapshot = merge::snapshot(&base, *generation, Some(&self.served.load()));
        self.served.store(Arc::new(snapshot));
        // Credentials that nobody uses any more are not kept in clear text.
        let keys = &known.stored.provider_keys;
        let is_used = |id: &str, sealed: &str| {
            let used = keys.get(id).and_then(|key| key.sealed.as_ref());
            used.is_some_and(|used| used.as_str() == sealed)
        };
        let mut opened = self.opened.lock();
        opened.retain(|(id, sealed), _| is_used(id, sealed));
        *generation
    }

    /// Swaps in the snapshot that is served with these access keys as they are known now.
    fn serve_access_keys(&self, ids: &[&str]) {
        let mut generation = self.generation.lock();
        let known = self.known.read();
        *generation += 1;
        let base = known.base(&|_, _| None);
        let snapshot = merge::with_access_keys(&base, ids, *generation, &self.served.load());
        self.served.store(Arc::new(snapshot));
    }

    fn open(&self, config: &Config, id: &str, key: &ProviderKey) -> Option<Secret> {
        let sealed = key.sealed.as_ref()?;
        let mut opened = self.opened.lock();
        let open = || match config.secrets.open(sealed, &context(id)) {
            Ok(secret) => Some(secret),
            Err(error) => {
                log::error!("the provider key `{id}` cannot be used: {error}");
                None
            }
        };
        opened
            .entry((id.to_owned(), sealed.as_str().to_owned()))
            .or_insert_with(open)
            .clone()
    }

    /// How many clear texts are kept.
    #[cfg(test)]
    pub(super) fn opened_count(&self) -> usize {
        self.opened.lock().values().flatten().count()
    }

    /// Changes resources as `decide` says, which is asked again whenever another change came first.
    ///
    /// # Errors
    /// When the decision is against it, or the store does not answer in time.
    pub async fn change<R, E>(
        &self,
        decide: impl Fn(View<'_>, &mut Draft) -> Result<R, E>,
    ) -> Result<R, ChangeError<E>> {
        let Some(store) = &self.store else {
            return Err(ChangeError::NoStore);
        };
        // Whoever has waited for a change that the store did not answer would only wait as long again.
        let turn = self.writing.wait().await?;
        let changed = self.try_change(&**store, decide).await;
        if let Err(ChangeError::Store(error @ StoreError::Away(_))) = &changed {
            turn.share(error.clone());
        }
        changed
    }

    async fn try_change<R, E>(
        &self,
        store: &dyn Store,
        decide: impl Fn(View<'_>, &mut Draft) -> Result<R, E>,
    ) -> Result<R, ChangeError<E>> {
        for _ in 0..ROUNDS {
            self.catch_up().await?;
            let mut draft = Draft::new();
            let (answer, expected) = {
                let known = self.known.read();
                let view = View {
                    declared: &known.declared,
                    stored: &known.stored,
                };
                let answer = decide(view, &mut draft).map_err(ChangeError::Decided)?;
                let mut writes = draft.commit.writes.iter();
                if let Some(write) =
                    writes.find(|write| known.stored.is_unreadable(&write.kind, &write.id))
                {
                    return Err(ChangeError::Unreadable(write.kind.clone()));
                }
                (answer, known.stored.revision)
            };
            if draft.is_empty() {
                return Ok(answer);
            }
            let mut commit = draft.commit;
            commit.id = random::bits64();
            match self.commit(store, expected, &commit).await? {
                Committed::At(revision) => {
                    self.take(expected, &contents(&commit, revision));
                    return Ok(answer);
                }
                Committed::Behind(_) => {}
            }
        }
        Err(ChangeError::Contended)
    }

    /// Once more if the answer was lost: a repetition is recognized.
    async fn commit(
        &self,
        store: &dyn Store,
        expected: u64,
        commit: &Commit,
    ) -> Result<Committed, StoreError> {
        match store.commit(expected, commit).await {
            Err(StoreError::Away(_)) => store.commit(expected, commit).await,
            answer => answer,
        }
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

/// What a provider key's value is sealed for.
pub fn context(id: &str) -> String {
    format!("{}/{id}", ProviderKey::KIND)
}
