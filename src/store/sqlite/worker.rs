//! The thread that owns the connection: takes what is asked, carries out together what waits together.
//!
//! Invariant: nobody is answered that something was done before it is committed, and nothing is carried out outside
//! a transaction.

use std::cell::RefCell;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::Options;
use super::error::explain;
use super::open;
use crate::{Moment, StoreError};
use tollgate_base::clock;

/// Calls in one transaction, at most: enough to share a commit, few enough to answer the first one soon.
const TOGETHER: usize = 128;

/// How far the file may lag behind in what it says of the time (ms).
const SEEN: u64 = 60 * 1000;

/// What a call sees of the database: the connection, within a transaction, and the time.
#[derive(Clone, Copy)]
pub struct At<'a> {
    /// The connection.
    pub connection: &'a Connection,
    /// The database's time.
    pub now: Moment,
    /// Where the file is.
    pub path: &'a Path,
    /// Why the whole transaction is lost, if it is.
    lost: &'a RefCell<Option<StoreError>>,
}

impl At<'_> {
    /// Carries out all of something, or nothing.
    ///
    /// # Errors
    /// What it failed with; or why the whole transaction is lost, as happens when the disk is full.
    pub fn atomic<T>(
        self,
        work: impl FnOnce(Self) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        if let Some(error) = &*self.lost.borrow() {
            return Err(error.clone());
        }
        let statement = |sql| self.connection.prepare_cached(sql)?.execute([]).map(drop);
        let done = statement("SAVEPOINT one").and_then(|()| {
            let done = work(self);
            if !self.connection.is_autocommit() {
                if done.is_err() {
                    statement("ROLLBACK TO one")?;
                }
                statement("RELEASE one")?;
            }
            done
        });
        done.map_err(|error| {
            let error = explain(self.path, &error);
            if self.connection.is_autocommit() {
                self.lost.replace(Some(error.clone()));
            }
            error
        })
    }
}

/// Something to carry out.
trait Job: Send {
    /// Whether it needs to write.
    fn writes(&self) -> bool;
    /// Whether nobody waits for it any more.
    fn is_abandoned(&self) -> bool;
    /// Carries it out, and keeps the answer.
    fn run(&mut self, at: At<'_>);
    /// Answers: with an error if the transaction was not committed.
    fn answer(self: Box<Self>, committed: &Result<(), StoreError>);
}

struct Call<T, F> {
    writes: bool,
    work: Option<F>,
    done: Option<Result<T, StoreError>>,
    caller: oneshot::Sender<Result<T, StoreError>>,
}

impl<T, F> Job for Call<T, F>
where
    T: Send,
    F: FnOnce(At<'_>) -> Result<T, StoreError> + Send,
{
    fn writes(&self) -> bool {
        self.writes
    }

    fn is_abandoned(&self) -> bool {
        self.caller.is_closed()
    }

    fn run(&mut self, at: At<'_>) {
        self.done = self.work.take().map(|work| work(at));
    }

    fn answer(self: Box<Self>, committed: &Result<(), StoreError>) {
        let answer = match (committed, self.done) {
            (Ok(()), Some(done)) => done,
            (Err(error), _) => Err(error.clone()),
            (Ok(()), None) => return,
        };
        // Whoever does not wait any more repeats.
        drop(self.caller.send(answer));
    }
}

/// The thread, from outside. Dropping it waits until what it was asked is done.
#[derive(Debug)]
pub struct Worker {
    jobs: Option<Sender<Box<dyn Job>>>,
    thread: Option<JoinHandle<()>>,
    path: PathBuf,
    timeout: Duration,
    /// Let go after the thread has ended, so that the next gateway finds the file closed.
    lock: Option<File>,
}

impl Worker {
    /// Opens a database, and makes it, with its folders, if there is none; readable for its owner only.
    ///
    /// # Errors
    /// [`StoreError::Refused`] if another gateway has it open, or if it is another program's;
    /// [`StoreError::Corrupt`] if it is not a database, or one of a newer version of this program;
    /// [`StoreError::Away`] if the file cannot be opened or written.
    pub fn open(path: &Path, options: Options) -> Result<Worker, StoreError> {
        Worker::succeed(path, options, None)
    }

    /// Opens a database beside the gateway that has `handed` over its [`Worker::lock`], if one has.
    ///
    /// # Errors
    /// As [`Worker::open`].
    pub fn succeed(
        path: &Path,
        options: Options,
        handed: Option<File>,
    ) -> Result<Worker, StoreError> {
        let open::Opened {
            connection,
            path,
            lock,
        } = open::open(path, options, handed)?;
        let timeout = options.timeout;
        let (jobs, inbox) = mpsc::channel();
        // A damaged file says so when it is used.
        let seen = open::seen(&connection).unwrap_or(0);
        if seen > 0 {
            clock::recall(seen);
        }
        let mut desk = Desk {
            connection,
            path: path.clone(),
            now: Moment::default(),
            seen,
        };
        let thread = thread::Builder::new()
            .name("sqlite".to_owned())
            .spawn(move || desk.serve(&inbox))
            .map_err(|error| {
                StoreError::Away(format!(
                    "no thread can be started for the database {}: {error}",
                    path.display()
                ))
            })?;
        Ok(Worker {
            jobs: Some(jobs),
            thread: Some(thread),
            path,
            timeout,
            lock,
        })
    }

    /// Returns where the file is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the path of a gateway's lock, and the lock, for a process that takes over; `None` for a command.
    ///
    /// # Errors
    /// What the system says.
    pub fn lock(&self) -> io::Result<Option<(PathBuf, File)>> {
        let lock = self.lock.as_ref().map(File::try_clone).transpose()?;
        Ok(lock.map(|lock| (open::lock_path(&self.path), lock)))
    }

    /// Carries out something that only reads, unless it takes too long.
    pub async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(At<'_>) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.call(false, move |at| at.atomic(work)).await
    }

    /// Carries out something that writes, as a whole or not at all.
    pub async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(At<'_>) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.call(true, move |at| at.atomic(work)).await
    }

    async fn call<T: Send + 'static>(
        &self,
        writes: bool,
        work: impl FnOnce(At<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (caller, answer) = oneshot::channel();
        let job = Box::new(Call {
            writes,
            work: Some(work),
            done: None,
            caller,
        });
        let sent = self
            .jobs
            .as_ref()
            .is_some_and(|jobs| jobs.send(job).is_ok());
        match tokio::time::timeout(self.timeout, answer).await {
            Ok(Ok(answer)) if sent => answer,
            Ok(_) => Err(StoreError::Away(format!(
                "the thread of the database {} has ended: restart the gateway",
                self.path.display()
            ))),
            Err(_) => Err(StoreError::Away(format!(
                "the database {} did not answer within {:?}",
                self.path.display(),
                self.timeout
            ))),
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            log::error!(
                "the thread of the database {} panicked",
                self.path.display()
            );
        }
    }
}

/// The thread, from inside.
struct Desk {
    connection: Connection,
    path: PathBuf,
    now: Moment,
    /// What the file says of it, for the next process.
    seen: u64,
}

impl Desk {
    fn serve(&mut self, inbox: &Receiver<Box<dyn Job>>) {
        while let Ok(first) = inbox.recv() {
            let waiting = inbox.try_iter().take(TOGETHER - 1);
            let mut jobs: Vec<_> = std::iter::once(first)
                .chain(waiting)
                .filter(|job| !job.is_abandoned())
                .collect();
            if jobs.is_empty() {
                continue;
            }
            let committed = self.together(&mut jobs);
            for job in jobs {
                job.answer(&committed);
            }
        }
    }

    /// Carries out all of them in one transaction.
    fn together(&mut self, jobs: &mut [Box<dyn Job>]) -> Result<(), StoreError> {
        let writes = jobs.iter().any(|job| job.writes());
        let begin = if writes { "BEGIN IMMEDIATE" } else { "BEGIN" };
        let statement = |sql| self.connection.prepare_cached(sql)?.execute([]).map(drop);
        let failed = |error: rusqlite::Error| explain(&self.path, &error);
        statement(begin).map_err(failed)?;
        self.now = Moment::here().after(self.now);
        let sees = writes && self.now.sure.abs_diff(self.seen) >= SEEN;
        let lost = RefCell::new(None);
        let at = At {
            connection: &self.connection,
            now: self.now,
            path: &self.path,
            lost: &lost,
        };
        for job in jobs {
            job.run(at);
        }
        if let Some(error) = lost.into_inner() {
            return Err(error);
        }
        let noted = if sees {
            open::see(&self.connection, self.now.sure)
        } else {
            Ok(())
        };
        let committed = noted.and_then(|()| statement("COMMIT"));
        if committed.is_err() && !self.connection.is_autocommit() {
            // What a failed commit leaves open would be in the next one's way.
            statement("ROLLBACK").map_err(failed)?;
        }
        if committed.is_ok() && sees {
            self.seen = self.now.sure;
        }
        committed.map_err(failed)
    }
}
