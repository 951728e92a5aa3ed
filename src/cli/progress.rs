//! Tells on standard error how far a command is that takes long.

use std::io::{self, Write};
use std::time::{Duration, Instant};

use tollgate_base::clock;

/// What takes less is not worth a word.
const PAUSE: Duration = Duration::from_secs(2);

/// A command under way.
pub struct Progress {
    last: Instant,
}

impl Progress {
    /// From now on.
    pub fn begin() -> Progress {
        Progress { last: clock::now() }
    }

    /// Says how far it is, if it was silent for a while.
    pub fn say(&mut self, words: impl FnOnce() -> String) {
        let now = clock::now();
        if now.saturating_duration_since(self.last) < PAUSE {
            return;
        }
        self.last = now;
        // Nobody needs to read it.
        drop(writeln!(io::stderr(), "tollgate: {}", words()));
    }
}
