//! Has a new process of the program take over, while this one serves what it has begun.
//!
//! The new one is started as this one was, from the same path, which may be another version by now. It is handed the
//! listening sockets and the locks, and says when it is ready. Until then it accepts nothing, and whatever becomes of it,
//! this one goes on.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::handover::{GO, Handover, READY, SUCCEEDS};
use super::{BootError, system, systemd};
use crate::proxy::Drain;
use tollgate_base::clock;
use tollgate_control::Control;
use tollgate_store::Database;

/// How long the new process may take until it is ready.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// How long a process waits for keys and bank; the one before it has both, or is asked again.
const WAIT: Duration = Duration::from_secs(5);

/// Pause between two looks whether everything is there.
const LOOK: Duration = Duration::from_millis(20);

/// How long it may take to end, once it has nothing more to say.
const END: Duration = Duration::from_secs(5);

/// Most bytes of what it says of its failure.
const MOST_WORDS: u64 = 16 << 10;

/// What lets another process take over, once.
pub struct Upgrade {
    handover: Arc<Handover>,
    drain: Arc<Drain>,
    longest: Duration,
    under_way: Mutex<()>,
    successor: OnceLock<u32>,
    done: Notify,
}

impl Upgrade {
    /// Returns what hands over what is kept in `handover`; what this process has begun may go on for `longest` then.
    pub fn new(handover: Arc<Handover>, drain: Arc<Drain>, longest: Duration) -> Upgrade {
        Upgrade {
            handover,
            drain,
            longest,
            under_way: Mutex::new(()),
            successor: OnceLock::new(),
            done: Notify::new(),
        }
    }

    /// Starts a new process and waits until it has taken over; returns its id. Blocks for a minute at most.
    ///
    /// # Errors
    /// Why it did not: this process goes on then. The log says so, too.
    pub fn start(&self) -> Result<u32, String> {
        let started = self.begin();
        started.inspect_err(|why| log::error!("no upgrade, this process goes on: {why}"))
    }

    fn begin(&self) -> Result<u32, String> {
        let Some(_one) = self.under_way.try_lock() else {
            return Err("an upgrade is under way: wait until it has ended".to_owned());
        };
        if let Some(pid) = self.successor.get() {
            return Err(format!(
                "process {pid} has taken over from this one ({}): ask that one",
                std::process::id()
            ));
        }
        if self.drain.ends().is_some() {
            return Err("the gateway is shutting down".to_owned());
        }
        if std::process::id() == 1 {
            return Err(
                "this process is the first of its container, which ends with it: replace the container instead"
                    .to_owned(),
            );
        }
        log::info!("upgrade: starting a new process");
        let begun = clock::now();
        let pid = self.replace()?;
        // Before anybody is told, so that who hears of it finds every connection ending with its next answer.
        self.drain.leave(clock::now() + self.longest);
        log::info!(
            "upgrade: process {pid} has taken over after {:?}",
            clock::now().duration_since(begun)
        );
        // Only the process that systemd knows may name another one.
        systemd::notify(&format!("MAINPID={pid}"));
        if self.successor.set(pid).is_ok() {
            self.handover.let_go();
            self.done.notify_one();
        }
        Ok(pid)
    }

    /// Lets go of the sockets that were kept for another process: this one stops, and whoever connects is to be refused.
    pub fn give_up(&self) {
        self.handover.let_go();
    }

    /// Waits until another process has taken over.
    pub async fn done(&self) {
        self.done.notified().await;
    }

    /// Has the new process serve, unless this one was told to stop meanwhile.
    fn go(&self, mut to: &UnixStream) -> io::Result<()> {
        match self.drain.ends() {
            None => to.write_all(GO.as_bytes()),
            Some(_) => Err(io::Error::other("the gateway is shutting down")),
        }
    }

    fn replace(&self) -> Result<u32, String> {
        let cannot = |error: io::Error| format!("the new process cannot be started: {error}");
        let (ours, theirs) = UnixStream::pair().map_err(cannot)?;
        let mut child = spawn(theirs).map_err(cannot)?;
        let sent = match self.handover.send(&ours) {
            // It has ended already: how, is told below.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            sent => sent,
        };
        let answer = sent.and_then(|()| answer(&ours, &mut child));
        let why = match answer {
            Ok(words) if words == READY => match self.go(&ours) {
                Ok(()) => return Ok(child.id()),
                Err(error) => error.to_string(),
            },
            Ok(words) if words.trim().is_empty() => "it ended without a word".to_owned(),
            Ok(words) => words.trim().to_owned(),
            Err(error) => error.to_string(),
        };
        // It may have ended by itself, but must not serve.
        drop(child.kill());
        let status = child.wait().map_err(cannot)?;
        Err(format!("the new process did not come up ({status}): {why}"))
    }
}

/// Waits until this process could serve in the place of the one before it, which goes on until then: it knows the keys,
/// and the bank answers.
///
/// # Errors
/// What is not there in time.
pub fn wait_for(control: &Control, database: Option<&Database>) -> Result<(), BootError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(system("cannot start a runtime"))?;
    let ends = clock::now() + WAIT;
    runtime.block_on(async {
        let late = |what: String| match clock::now() < ends {
            true => Ok(()),
            false => Err(BootError::Ledger(what)),
        };
        while !control.is_complete() {
            late("the store of keys cannot be read yet".to_owned())?;
            tokio::time::sleep(LOOK).await;
        }
        let Some(database) = database else {
            return Ok(());
        };
        while let Err(error) = database.now().await {
            late(format!("the bank does not answer: {error}"))?;
            tokio::time::sleep(LOOK).await;
        }
        Ok(())
    })
}

/// Starts the program as this process was started, with `input` as its standard input.
fn spawn(input: UnixStream) -> io::Result<Child> {
    let mut line = std::env::args_os();
    let program = line.next().ok_or(io::ErrorKind::NotFound)?;
    // Dropped here, with its end of the socket, so that the end of the process is seen.
    Command::new(program)
        .args(line)
        .env(SUCCEEDS, std::process::id().to_string())
        .stdin(OwnedFd::from(input))
        .spawn()
}

/// What the new process says: that it is ready, or why not, before it ends.
fn answer(from: &UnixStream, child: &mut Child) -> io::Result<String> {
    let mut ends = clock::now() + PATIENCE;
    let mut said = String::new();
    let mut from = BufReader::new(from.take(MOST_WORDS));
    loop {
        let left = ends.saturating_duration_since(clock::now());
        if left.is_zero() {
            return Err(io::Error::other(format!(
                "it was not ready within {PATIENCE:?}"
            )));
        }
        from.get_ref().get_ref().set_read_timeout(Some(left))?;
        match from.read_line(&mut said) {
            Ok(0) => break,
            Ok(_) if said == READY => return Ok(said),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => break,
            Err(error) => return Err(error),
        }
    }
    // It is ending; what it ends with is told as well.
    ends = ends.min(clock::now() + END);
    while child.try_wait()?.is_none() && clock::now() < ends {
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(said)
}
