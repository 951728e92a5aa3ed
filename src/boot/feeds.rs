//! Reads price feeds again and again, on a thread of their own.
//!
//! What a feed changes is kept on disk first. The configuration's watcher sees the changed file, and swaps the whole
//! configuration with its catalog, as it does when an operator changes a file. So prices are in force only once they
//! are on disk, and a request is charged at the prices of the snapshot that it began with.

use std::collections::{HashMap, HashSet};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use super::kept::{self, KeptPrices};
use super::{BootError, fetch, system};
use crate::metrics::Metrics;
use tollgate_base::clock;
use tollgate_config::catalog::{Catalog, Layer, Name};
use tollgate_config::feeds::{LARGEST, Read, Taken, read, take};
use tollgate_config::sources::read_linked;
use tollgate_config::{Config, Origin, PriceFeed, PriceFeeds};

/// How often feeds that are files are checked for a change.
const LOOK: Duration = Duration::from_secs(1);

/// The longest time until a feed that failed is tried again.
const AGAIN: Duration = Duration::from_secs(5 * 60);

/// The most models that a line of the log names.
const NAMED: usize = 5;

/// Tells the thread that reads feeds of new configurations. The thread ends when this is dropped.
pub struct Feeder(Sender<Arc<Config>>);

impl Feeder {
    /// Makes the handle of the thread, and the reader that becomes the thread. The files that are kept must be watched
    /// before [`Reader::start`], or a change of them could go unnoticed.
    pub fn new(config: Arc<Config>, metrics: Arc<Metrics>) -> (Feeder, Reader) {
        prepare(&config);
        for feed in &config.feeds.feeds {
            metrics.feed_known(&feed.id);
            if !config.feeds.kept(&feed.id).exists() {
                let id = &feed.id;
                log::info!(
                    "nothing is kept of the price feed `{id}`: until it is read, the prices below it hold"
                );
            }
        }
        let (sender, changes) = mpsc::channel();
        let reader = Reader {
            states: HashMap::new(),
            known: known(&config.catalog),
            config,
            metrics,
            changes,
        };
        (Feeder(sender), reader)
    }

    /// Hands the thread another configuration. Feeds that it changes are read anew; all are if the list of them,
    /// the directory or the known models change.
    pub fn reconfigure(&self, config: Arc<Config>) {
        prepare(&config);
        self.0.send(config).ok();
    }
}

/// Makes the directory for what is kept, which must be there before it is watched.
fn prepare(config: &Config) {
    let feeds = &config.feeds;
    if !feeds.feeds.is_empty()
        && let Err(error) = kept::make_directory(&feeds.directory)
    {
        let directory = feeds.directory.display();
        log::error!("prices cannot be kept in {directory}: {error}");
    }
}

/// Names every model that a feed may price: those of the catalog.
fn known(catalog: &Catalog) -> HashSet<Name> {
    let all = catalog.providers().iter().flat_map(|provider| {
        let models = provider.models.iter();
        models.map(|model| Name::of(&provider.id, &model.id))
    });
    all.collect()
}

/// When and from what a feed was last read, and what the log said of it.
struct Watched {
    /// When it is read again.
    due: Instant,
    /// The file as it was when it was read last; `None` for a URL, or if there was no file.
    file: Option<Stamp>,
    /// The models that were held back when it was last read; the log names them only when they change.
    held: Vec<Name>,
}

/// Differs once a file was changed or replaced: device, inode, length (bytes), time of change (s and ns).
type Stamp = (u64, u64, u64, i64, i64);

fn stamp(path: &Path) -> Option<Stamp> {
    // Of what a link leads to: what Kubernetes mounts is swapped by a link elsewhere.
    let it = std::fs::metadata(path).ok()?;
    Some((it.dev(), it.ino(), it.size(), it.ctime(), it.ctime_nsec()))
}

/// Reads the feeds, on its thread.
pub struct Reader {
    config: Arc<Config>,
    /// The models that the configuration knows.
    known: HashSet<Name>,
    /// By the feed's id; one that is missing is read at once.
    states: HashMap<Arc<str>, Watched>,
    metrics: Arc<Metrics>,
    changes: Receiver<Arc<Config>>,
}

impl Reader {
    /// Starts the thread. Every feed is read at once, and then as often as it says.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub fn start(mut self) -> Result<(), BootError> {
        std::thread::Builder::new()
            .name("price-feeds".to_owned())
            .spawn(move || self.run())
            .map_err(system("cannot start a thread"))?;
        Ok(())
    }

    fn run(&mut self) {
        loop {
            let config = self.config.clone();
            for (place, feed) in config.feeds.feeds.iter().enumerate() {
                if self.is_due(feed) {
                    self.read_feed(&config, place, feed);
                }
            }
            match self.changes.recv_timeout(self.pause()) {
                Ok(config) => self.reconfigure(config),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// Returns how long to wait until a feed is due, or files are checked again.
    fn pause(&self) -> Duration {
        let now = clock::now();
        let feeds = &self.config.feeds.feeds;
        let next = self.states.values().map(|state| state.due).min();
        // Without feeds, only a new configuration wakes the thread: any long time will do.
        let next = next.map_or(LOOK * 3_600, |due| due.saturating_duration_since(now));
        let files = feeds
            .iter()
            .any(|feed| matches!(feed.origin, Origin::File(_)));
        if files { next.min(LOOK) } else { next }
    }

    fn is_due(&self, feed: &PriceFeed) -> bool {
        let Some(state) = self.states.get(&feed.id) else {
            return true;
        };
        let changed = match &feed.origin {
            Origin::File(path) => stamp(path) != state.file,
            Origin::Url { .. } => false,
        };
        changed || clock::now() >= state.due
    }

    fn reconfigure(&mut self, config: Arc<Config>) {
        let known = known(&config.catalog);
        let (old, new) = (&self.config.feeds, &config.feeds);
        let same = |id: &str| {
            let of = |feeds: &PriceFeeds| feeds.feeds.iter().find(|feed| *feed.id == *id).cloned();
            of(old) == of(new)
        };
        // What a feed changes depends on the models that are known, and on what is kept of the feeds before it.
        let same_models = known == self.known;
        let same_order = old.directory == new.directory
            && old
                .feeds
                .iter()
                .map(|feed| &feed.id)
                .eq(new.feeds.iter().map(|feed| &feed.id));
        let gone: Vec<Arc<str>> = (self.states.keys())
            .filter(|id| new.feeds.iter().all(|feed| feed.id != **id))
            .cloned()
            .collect();
        for id in gone {
            self.metrics.forget_feed(&id);
        }
        self.states
            .retain(|id, _| same_models && same_order && same(id));
        self.known = known;
        self.config = config;
        // `tollgate catalog accept` may have changed what is kept.
        for feed in &self.config.feeds.feeds {
            self.metrics.feed_known(&feed.id);
            if let Ok(Some(kept)) = kept::read(&self.config.feeds, &feed.id) {
                self.metrics
                    .feed_kept(&feed.id, kept.taken.len(), kept.held.len());
            }
        }
    }

    /// Reads the feed at this place of the configuration, and notes when it is read again.
    fn read_feed(&mut self, config: &Config, place: usize, feed: &PriceFeed) {
        let file = match &feed.origin {
            Origin::File(path) => stamp(path),
            Origin::Url { .. } => None,
        };
        let told = self.states.remove(&feed.id).map(|state| state.held);
        let mut state = Watched {
            // When to try again, should this fail.
            due: clock::now() + feed.refresh.min(AGAIN),
            file,
            held: told.unwrap_or_default(),
        };
        match take_in(config, place, feed) {
            Ok(taken) => {
                state.due = clock::now() + feed.refresh;
                tell(feed, &taken, &state.held);
                state.held = taken.kept.held.keys().cloned().collect();
                let kept = &taken.kept;
                self.metrics
                    .feed_kept(&feed.id, kept.taken.len(), kept.held.len());
                self.metrics.feed_read(&feed.id, clock::unix());
            }
            Err(fault) => {
                let (id, origin) = (&feed.id, &feed.origin);
                log::error!("the price feed `{id}` changes nothing: {origin}: {fault}");
                self.metrics.feed_failed(&feed.id);
            }
        }
        self.states.insert(feed.id.clone(), state);
    }
}

fn bytes(feed: &PriceFeed) -> Result<Vec<u8>, String> {
    match &feed.origin {
        Origin::File(path) => read_linked(path, LARGEST).map_err(|error| error.to_string()),
        Origin::Url { url, .. } => fetch::feed(url.expose()),
    }
}

/// Returns the catalog that the feed at this place is laid over: what is built in, and what is kept of the feeds before
/// it.
pub fn below(feeds: &PriceFeeds, place: usize) -> Catalog {
    let before = feeds.feeds.iter().take(place).filter_map(|feed| {
        // What cannot be read is not in force either.
        let kept = kept::read(feeds, &feed.id).ok().flatten()?;
        Some(Layer {
            feed: feed.id.clone(),
            kept: Arc::new(kept.of(feed.providers.as_deref())),
        })
    });
    Catalog::built_in().priced(before.collect())
}

/// Reads what a feed says of the models that the configuration knows, and keeps nothing.
///
/// # Errors
/// Says what is wrong with the feed.
pub fn look(config: &Config, feed: &PriceFeed) -> Result<Read, String> {
    let providers = feed.providers.as_deref();
    read(feed.format, &bytes(feed)?, &config.catalog, providers)
}

/// Reads a feed, and keeps what it says. `place` is its index in the configuration.
fn take_in(config: &Config, place: usize, feed: &PriceFeed) -> Result<Taken, String> {
    // Before the lock is taken, because a download may take a minute.
    let read = look(config, feed)?;
    let below = below(&config.feeds, place);
    let prices = KeptPrices::open(&config.feeds)?;
    let kept = prices.read(&feed.id).unwrap_or_else(|fault| {
        log::warn!(
            "what was kept of the price feed `{}` is written anew: {fault}",
            feed.id
        );
        None
    });
    let earlier = kept.clone().unwrap_or_default();
    let taken = take(&feed.id, &below, &earlier, read, clock::unix().as_secs());
    if kept.as_ref() == Some(&taken.kept) {
        prices.touch(&feed.id);
    } else {
        prices.write(&feed.id, &taken.kept)?;
    }
    Ok(taken)
}

/// Logs what a feed changes, and what of it is held back unless that is the same as what was logged (`told`).
fn tell(feed: &PriceFeed, taken: &Taken, told: &[Name]) {
    let id = &feed.id;
    let changed: HashSet<&Name> = taken.changes.iter().map(|change| &change.name).collect();
    let held = &taken.kept.held;
    let changed = changed
        .iter()
        .filter(|name| !held.contains_key(**name))
        .count();
    log::info!(
        "the price feed `{id}` was read: it has prices of {} models, of which {changed} changed; {} models are no longer in it and keep theirs",
        taken.kept.taken.len(),
        taken.gone
    );
    if let Some((name, fault)) = taken.faulty.first_key_value() {
        let count = taken.faulty.len();
        log::warn!(
            "the price feed `{id}`: of {count} models the prices are not understood, and stay as they are; {name}: {fault}"
        );
    }
    if !held.is_empty() && !held.keys().eq(told) {
        let names: Vec<String> = held.keys().take(NAMED).map(Name::to_string).collect();
        let more = if held.len() > NAMED { ", …" } else { "" };
        log::warn!(
            "the price feed `{id}`: new prices of {} models are held back, being more than ten times the old ones or less than a tenth, or to or from nothing: {}{more}; see `tollgate catalog diff`, and take them in with `tollgate catalog accept`",
            held.len(),
            names.join(", ")
        );
    }
}
