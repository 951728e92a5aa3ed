//! Work that keeps a core busy, away from the proxy's threads: counting tokens, reading and translating what is large.
//!
//! It has threads of its own, which give way to the proxy's, and accounts take turns: whoever has the most to do waits the
//! longest. What nobody waits for any more is not begun. What is begun is finished: a count, the longest, goes no further
//! than a megabyte of text, and to break it off earlier would save some tens of milliseconds of requests that are dropped,
//! which a client that leaves does not bring about: it is noticed when it is read from or written to.

use std::collections::{HashMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use parking_lot::{Condvar, Mutex};
use tokio::sync::oneshot;

use tollgate_wire::GatewayError;

/// A body longer than this, in bytes, is read and translated aside: it would keep every other request of its thread
/// waiting, for some milliseconds a megabyte. Handing a shorter one over would cost more than the work.
pub const LARGE: usize = 256 * 1024;

/// Requests of an account that wait for such work at a time; more of them are refused.
const MOST_WAITING: usize = 64;

/// How much less of a core it gets than the proxy where they compete: a step of `nice` is about a quarter.
const NICER: i32 = 5;

/// The threads, and what waits for them.
pub struct Room {
    waiting: Mutex<Waiting>,
    more: Condvar,
}

#[derive(Default)]
struct Waiting {
    /// Of each account that has work waiting, in its order.
    work: HashMap<Arc<str>, VecDeque<Box<dyn Work>>>,
    /// These accounts, whose turn it is next in front.
    turns: VecDeque<Arc<str>>,
}

/// An account's way to have such work done.
#[derive(Clone)]
pub struct Aside {
    room: Arc<Room>,
    account: Arc<str>,
}

/// The work panicked.
#[derive(Debug)]
pub struct Undone;

trait Work: Send {
    /// Whether somebody waits for it.
    fn is_wanted(&self) -> bool;
    fn run(self: Box<Self>);
}

struct Piece<W, T> {
    work: W,
    done: oneshot::Sender<T>,
}

impl<W: FnOnce() -> T + Send, T: Send> Work for Piece<W, T> {
    fn is_wanted(&self) -> bool {
        !self.done.is_closed()
    }

    fn run(self: Box<Self>) {
        let Piece { work, done } = *self;
        // Else who waits learns it by the end of the channel.
        if let Ok(result) = catch_unwind(AssertUnwindSafe(work)) {
            drop(done.send(result));
        }
    }
}

impl Room {
    /// Returns a room with this many threads, which stay for as long as the process runs.
    ///
    /// # Errors
    /// What the system says that has no more threads.
    pub fn open(threads: usize) -> std::io::Result<Arc<Room>> {
        let room = Arc::new(Room {
            waiting: Mutex::default(),
            more: Condvar::new(),
        });
        for _ in 0..threads {
            let room = room.clone();
            let works = move || {
                give_way();
                loop {
                    room.next().run();
                }
            };
            std::thread::Builder::new()
                .name("aside".to_owned())
                .spawn(works)?;
        }
        Ok(room)
    }

    /// Returns the same for an account.
    pub fn of(self: &Arc<Room>, account: &Arc<str>) -> Aside {
        Aside {
            room: self.clone(),
            account: account.clone(),
        }
    }

    /// Waits for what comes next.
    fn next(&self) -> Box<dyn Work> {
        let mut waiting = self.waiting.lock();
        loop {
            if let Some(work) = waiting.next() {
                return work;
            }
            self.more.wait(&mut waiting);
        }
    }
}

impl Waiting {
    fn next(&mut self) -> Option<Box<dyn Work>> {
        while let Some(account) = self.turns.pop_front() {
            let Some(queue) = self.work.get_mut(&account) else {
                continue;
            };
            let work = loop {
                match queue.pop_front() {
                    Some(work) if !work.is_wanted() => {}
                    next => break next,
                }
            };
            if queue.is_empty() {
                self.work.remove(&account);
            } else {
                self.turns.push_back(account);
            }
            if work.is_some() {
                return work;
            }
        }
        None
    }

    fn add(&mut self, account: &Arc<str>, work: Box<dyn Work>) {
        // An account all of whose work was given up has its turn still, and gets no second one.
        let queue = self.work.entry(account.clone()).or_insert_with(|| {
            self.turns.push_back(account.clone());
            VecDeque::new()
        });
        queue.push_back(work);
    }

    /// How much of an account's work waits that somebody waits for.
    fn wanted(&mut self, account: &str) -> usize {
        let Some(queue) = self.work.get_mut(account) else {
            return 0;
        };
        if queue.len() >= MOST_WAITING {
            queue.retain(|work| work.is_wanted());
        }
        queue.len()
    }
}

impl Aside {
    /// Does a piece of work when the account's turn comes. Dropped before, it is not begun.
    ///
    /// # Errors
    /// If it panics.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Undone> {
        let (done, result) = oneshot::channel();
        self.room
            .waiting
            .lock()
            .add(&self.account, Box::new(Piece { work, done }));
        self.room.more.notify_one();
        result.await.map_err(|_| Undone)
    }

    /// Refuses work for a request that was not let in yet while as much of the account's waits as may. What belongs to
    /// one that was let in is done all the same.
    ///
    /// # Errors
    /// The refusal.
    pub fn has_room(&self) -> Result<(), GatewayError> {
        let is_full = self.room.waiting.lock().wanted(&self.account) >= MOST_WAITING;
        match is_full {
            true => Err(GatewayError::overloaded()),
            false => Ok(()),
        }
    }
}

/// Makes this thread give way to others of the process.
fn give_way() {
    let usual = rustix::process::getpriority_process(None);
    let given =
        usual.and_then(|usual| rustix::process::setpriority_process(None, (usual + NICER).min(19)));
    if let Err(error) = given {
        log::debug!("work aside gives way to nobody: {error}");
    }
}

#[cfg(test)]
mod tests;
