//! The access log: one JSON line a request. No bodies, no credentials, no query strings.
//!
//! Invariant: a proxy thread never waits for the disk. It formats a line into its own buffer and
//! appends it to a shared, bounded one; a writer thread swaps that out and writes it in batches. A
//! line that finds the buffer full is dropped and counted. The writer is woken once per batch, not
//! once per line, because a wake-up costs more than the line does.

use std::cell::RefCell;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use prometheus::IntCounter;

mod entry;
mod sink;

pub use entry::{Attempt, Entry};
use sink::Sink;
pub use sink::Target;

/// Most bytes that wait to be written; lines beyond are dropped.
const MAX_PENDING: usize = 8 * 1024 * 1024;
/// As many bytes are written without waiting for more.
const EAGER: usize = 256 * 1024;
/// How long a line waits for others to be written with it.
const GATHER: Duration = Duration::from_millis(50);
/// Scratch buffers that grew beyond this are given back.
const MAX_SCRATCH: usize = 16 * 1024;

/// Where requests are logged. Clones share one log.
#[derive(Clone)]
pub struct AccessLog(Option<Arc<Shared>>);

/// What the proxy threads and the writer share.
struct Shared {
    state: Mutex<Queue>,
    /// Wakes the writer.
    work: Condvar,
    /// Wakes those who wait in `flush`.
    written: Condvar,
    dropped: IntCounter,
}

/// Behind the lock: held for a copy of a few hundred bytes, never for I/O.
#[derive(Default)]
struct Queue {
    pending: Vec<u8>,
    lines: u64,
    /// Whether the writer holds a batch that is not on its way to the target yet.
    writing: bool,
    reopen: bool,
    /// Whether someone waits for `pending` to be written now.
    hurry: bool,
}

impl fmt::Debug for AccessLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = if self.0.is_some() { "on" } else { "off" };
        write!(f, "AccessLog({state})")
    }
}

impl AccessLog {
    /// Starts the log's writer thread; [`Target::Off`] needs none. `dropped` counts the lines that
    /// were lost because the target could not keep up or could not be written.
    ///
    /// # Errors
    ///
    /// If the file cannot be opened for appending, or the thread cannot be started.
    pub fn start(target: &Target, dropped: IntCounter) -> io::Result<Self> {
        let Some(sink) = Sink::open(target)? else {
            return Ok(AccessLog::off());
        };
        let shared = Arc::new(Shared {
            state: Mutex::new(Queue::default()),
            work: Condvar::new(),
            written: Condvar::new(),
            dropped,
        });
        let writer = Arc::clone(&shared);
        std::thread::Builder::new()
            .name("access-log".to_owned())
            .spawn(move || writer.run(sink))?;
        Ok(AccessLog(Some(shared)))
    }

    /// Returns a log that is off.
    pub fn off() -> Self {
        AccessLog(None)
    }

    /// Appends one line. Never waits for I/O.
    pub fn write(&self, entry: &Entry<'_>) {
        thread_local! {
            static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
        }
        let Some(shared) = &self.0 else { return };
        SCRATCH.with_borrow_mut(|line| {
            line.clear();
            entry.write(line);
            line.push(b'\n');
            shared.append(line);
            if line.capacity() > MAX_SCRATCH {
                *line = Vec::new();
            }
        });
    }

    /// Opens the file anew, so that a rotated one is let go; call it on SIGHUP. Returns at once; a
    /// file that cannot be opened is reported in the process log and the old one is kept.
    pub fn reopen(&self) {
        if let Some(shared) = &self.0 {
            shared.state.lock().reopen = true;
            shared.work.notify_one();
        }
    }

    /// Waits until everything appended so far is written, at most `patience`; false if it is not.
    pub fn flush(&self, patience: Duration) -> bool {
        let Some(shared) = &self.0 else { return true };
        let mut state = shared.state.lock();
        state.hurry = true;
        shared.work.notify_one();
        shared.written.wait_while_for(
            &mut state,
            |state| state.writing || !state.pending.is_empty(),
            patience,
        );
        !state.writing && state.pending.is_empty()
    }
}

impl Shared {
    /// Adds a whole line, or drops it.
    fn append(&self, line: &[u8]) {
        let mut state = self.state.lock();
        let before = state.pending.len();
        if before + line.len() > MAX_PENDING {
            drop(state);
            self.dropped.inc();
            return;
        }
        state.pending.extend_from_slice(line);
        state.lines += 1;
        drop(state);
        if before == 0 || (before < EAGER && before + line.len() >= EAGER) {
            self.work.notify_one();
        }
    }

    /// The writer thread: sleep until there is something, let more gather, write it in one go.
    fn run(&self, mut sink: Sink) {
        let mut batch = Vec::new();
        let mut failing = false;
        loop {
            let (lines, reopen) = self.next_batch(&mut batch);
            if reopen && let Err(error) = sink.reopen() {
                log::error!("cannot open the log anew, the old file stays in use: {error}");
            }
            let result = sink.write(&batch);
            if let Err(error) = &result {
                self.dropped.inc_by(lines);
                // Once per outage, not once per batch.
                if !failing {
                    log::error!("access log: cannot write to {}: {error}", sink.name());
                }
            }
            failing = result.is_err();
            self.state.lock().writing = false;
            self.written.notify_all();
        }
    }

    /// Waits for lines (or for an order to reopen) and takes them; says how many.
    fn next_batch(&self, batch: &mut Vec<u8>) -> (u64, bool) {
        batch.clear();
        batch.shrink_to(EAGER);
        let mut state = self.state.lock();
        self.work
            .wait_while(&mut state, |s| s.pending.is_empty() && !s.reopen);
        if !state.reopen {
            self.work.wait_while_for(
                &mut state,
                |s| s.pending.len() < EAGER && !s.reopen && !s.hurry,
                GATHER,
            );
        }
        std::mem::swap(batch, &mut state.pending);
        state.hurry = false;
        state.writing = true;
        (
            std::mem::take(&mut state.lines),
            std::mem::take(&mut state.reopen),
        )
    }
}

#[cfg(test)]
mod tests;
