//! Notices that a configuration's files changed, and loads it again.
//!
//! Directories are watched, not files, so that a file replaced by renaming (editors) or behind a symbolic link
//! that is swapped (Kubernetes) is noticed. Events are only a reason to look: what decides is whether the content
//! of a source changed, so that a log written beside the configuration reloads nothing. As file systems exist
//! that report no events, there is a look every few seconds anyway.
//!
//! Invariant: what is reported last was read from what the files hold, once they have been quiet for a moment.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use sha2::{Digest, Sha256};

use super::{Config, Faults, Sources, load, sources};
use tollgate_base::clock;

/// How long files must be quiet before they are read.
const QUIET: Duration = Duration::from_millis(200);
/// How long to wait for quiet at most.
const PATIENCE: Duration = Duration::from_secs(2);
/// How often to look without an event.
const IDLE_LOOK: Duration = Duration::from_secs(10);

/// Looks up an environment variable.
pub type Environment = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// How often files that change while they are loaded are loaded anew at once.
const TRIES: usize = 3;

/// The files of a configuration in use, and what they held when it was loaded.
pub struct WatchedFiles {
    path: PathBuf,
    env: Environment,
    sources: Sources,
    seen: [u8; 32],
}

impl WatchedFiles {
    /// Loads the configuration at `path`, to be watched. What changes from then on is noticed, be it before the watch
    /// begins: starting may take a while.
    ///
    /// # Errors
    /// As [`load`].
    pub fn load(path: &Path, env: Environment) -> Result<(Config, WatchedFiles), Faults> {
        let mut config = load(path, &*env)?;
        // Which files there are is known after a load only; what they hold must be known before one.
        let mut seen = [0; 32];
        for _ in 0..TRIES {
            let before = fingerprint(&config.sources);
            let again = load(path, &*env)?;
            let same = again.sources == config.sources;
            config = again;
            if same {
                seen = before;
                break;
            }
        }
        let files = WatchedFiles {
            path: path.to_path_buf(),
            env,
            sources: config.sources.clone(),
            seen,
        };
        Ok((config, files))
    }

    /// Loads until the fingerprint taken before a load covers what that load read.
    fn load_again(&mut self) -> Result<Config, Faults> {
        let mut tries = 0;
        loop {
            self.seen = fingerprint(&self.sources);
            let result = load(&self.path, &*self.env);
            let sources = match &result {
                Ok(config) => &config.sources,
                Err(faults) => &faults.sources,
            };
            tries += 1;
            if *sources == self.sources || tries == TRIES {
                return result;
            }
            self.sources = sources.clone();
        }
    }
}

/// Watches a configuration's files on a thread of its own; stops when dropped.
#[derive(Debug)]
pub struct Watcher {
    trigger: Trigger,
    thread: Option<JoinHandle<()>>,
}

/// Asks a [`Watcher`] to load again, whether or not a file changed.
#[derive(Clone, Debug)]
pub struct Trigger {
    sender: Sender<Signal>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Signal {
    /// Something happened in a watched directory.
    Changed,
    /// Load again in any case.
    Reload,
    /// The watcher was dropped.
    Stop,
}

impl Watcher {
    /// Watches `files` (those of the configuration in use) and calls `on_load` with the result of each new load, valid
    /// or not. The caller swaps, logs and counts; its time delays the next load.
    ///
    /// # Errors
    ///
    /// When the system refuses to watch files or to start a thread.
    pub fn start(
        files: WatchedFiles,
        on_load: impl FnMut(Result<Config, Faults>) + Send + 'static,
    ) -> io::Result<Watcher> {
        let (sender, receiver) = mpsc::channel();
        let events = sender.clone();
        let notifier = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            // Reading a file is an event, too; ours must not wake us.
            if event.is_ok_and(|event| !event.kind.is_access()) {
                events.send(Signal::Changed).ok();
            }
        })
        .map_err(io::Error::other)?;
        let mut watch = Watch {
            files,
            notifier,
            watched: BTreeSet::new(),
        };
        watch.follow();
        let thread = thread::Builder::new()
            .name("config-watch".to_owned())
            .spawn(move || watch.run(&receiver, on_load))?;
        Ok(Watcher {
            trigger: Trigger { sender },
            thread: Some(thread),
        })
    }

    /// Returns a handle that asks for a load.
    pub fn trigger(&self) -> Trigger {
        self.trigger.clone()
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.trigger.sender.send(Signal::Stop).ok();
        // A callback may own the watcher; a thread cannot wait for itself.
        if let Some(thread) = self
            .thread
            .take()
            .filter(|thread| thread.thread().id() != thread::current().id())
            && thread.join().is_err()
        {
            log::error!("the configuration watcher's thread had panicked");
        }
    }
}

impl Trigger {
    /// Asks for a load; returns at once. Does nothing once the watcher is gone.
    pub fn reload(&self) {
        self.sender.send(Signal::Reload).ok();
    }
}

/// What the thread owns.
struct Watch {
    files: WatchedFiles,
    notifier: RecommendedWatcher,
    watched: BTreeSet<PathBuf>,
}

impl Watch {
    fn run(mut self, signals: &Receiver<Signal>, mut on_load: impl FnMut(Result<Config, Faults>)) {
        // The first look is for what changed before the watch began.
        let mut forced = false;
        loop {
            if forced || fingerprint(&self.files.sources) != self.files.seen {
                let result = self.files.load_again();
                on_load(result);
            }
            self.follow();
            match wait(signals) {
                Some(asked) => forced = asked,
                None => return,
            }
        }
    }

    /// Watches the directories of the present sources, and no others.
    fn follow(&mut self) {
        let wanted = directories(&self.files.sources);
        for gone in self.watched.difference(&wanted) {
            // It may be gone indeed.
            self.notifier.unwatch(gone).ok();
        }
        let mut watched: BTreeSet<PathBuf> = self.watched.intersection(&wanted).cloned().collect();
        for new in wanted.difference(&self.watched) {
            match self.notifier.watch(new, RecursiveMode::NonRecursive) {
                Ok(()) => drop(watched.insert(new.clone())),
                Err(error) => log::debug!("cannot watch {}: {error}", new.display()),
            }
        }
        self.watched = watched;
    }
}

/// Waits for a reason to look, and then for quiet. Whether a load was asked for; `None` at the end.
fn wait(signals: &Receiver<Signal>) -> Option<bool> {
    let mut forced = match signals.recv_timeout(IDLE_LOOK) {
        Ok(Signal::Stop) | Err(RecvTimeoutError::Disconnected) => return None,
        Ok(signal) => signal == Signal::Reload,
        Err(RecvTimeoutError::Timeout) => return Some(false),
    };
    let started = clock::now();
    while clock::now().duration_since(started) < PATIENCE {
        match signals.recv_timeout(QUIET) {
            Ok(Signal::Stop) | Err(RecvTimeoutError::Disconnected) => return None,
            Ok(signal) => forced |= signal == Signal::Reload,
            Err(RecvTimeoutError::Timeout) => break,
        }
    }
    Some(forced)
}

/// The directories in which a change may matter: those of the files, those that files are links into, and those
/// that patterns were matched in.
fn directories(sources: &Sources) -> BTreeSet<PathBuf> {
    let real = sources
        .files
        .iter()
        .filter_map(|file| file.canonicalize().ok()?.parent().map(Path::to_path_buf));
    real.chain(sources.watched())
        .filter(|directory| directory.is_dir())
        .collect()
}

/// A digest of every source's content, and of what is in the directories that patterns were matched in.
fn fingerprint(of: &Sources) -> [u8; 32] {
    let mut all = Sha256::new();
    for file in &of.files {
        all.update(file.as_os_str().as_encoded_bytes());
        match sources::read(file) {
            Ok(content) => all.update(Sha256::digest(content)),
            Err(error) => all.update(error.kind().to_string()),
        }
    }
    for file in &of.kept {
        all.update(file.as_os_str().as_encoded_bytes());
        match sources::read_regular(file, sources::LONGEST) {
            Ok(content) => all.update(Sha256::digest(content)),
            Err(error) => all.update(error.to_string()),
        }
    }
    for directory in &of.directories {
        let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
        let names: BTreeSet<_> = entries.map(|entry| entry.file_name()).collect();
        for name in names {
            all.update(name.as_encoded_bytes());
            all.update(b"\0");
        }
    }
    all.finalize().into()
}

/// Pulls `trigger` at each SIGHUP, on a thread of its own, for the rest of the process.
///
/// # Errors
///
/// When the signal cannot be caught or the thread cannot be started.
pub fn reload_on_hangup(trigger: Trigger) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()?;
    let mut hangups = {
        // The handler is in place before this returns, so that an early SIGHUP does not end the process.
        let _guard = runtime.enter();
        tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup())?
    };
    thread::Builder::new()
        .name("config-hangup".to_owned())
        .spawn(move || {
            runtime.block_on(async {
                while hangups.recv().await.is_some() {
                    trigger.reload();
                }
            });
        })?;
    Ok(())
}

#[cfg(test)]
mod tests;
