//! How the process ends: SIGTERM or SIGINT stops new requests, those under way may finish until the drain
//! has passed, then they are ended with an error event. A second signal ends it at once.
//!
//! SIGUSR2 has another process take over. This one then accepts nothing more, refuses nothing, and ends with its last
//! connection, or when the drain has passed.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use pingora_core::server::{ShutdownSignal, ShutdownSignalWatch};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::ledger::LedgerThread;
use super::systemd;
use super::upgrade::Upgrade;
use crate::metrics::Push;
use crate::proxy::{Shared, Stage};
use tollgate_base::clock;

/// What running streams need after the drain to hear that it is over, and to say so to their clients.
pub const SLACK: Duration = Duration::from_secs(5);

/// Longest time for writing out the access log, and for sending what is left of traces and metrics.
const FLUSH: Duration = Duration::from_secs(2);

/// How often it is looked whether anybody is being served.
const LOOK: Duration = Duration::from_millis(20);

/// Waits for the signal on behalf of Pingora.
pub struct OnSignal {
    shared: Arc<Shared>,
    office: Option<Arc<LedgerThread>>,
    upgrade: Arc<Upgrade>,
    push: Option<Arc<Push>>,
    drain: Duration,
}

/// What the process is told from outside.
struct Signals {
    term: Signal,
    int: Signal,
    usr2: Signal,
}

impl Signals {
    /// Waits until the process is told to stop; meanwhile it is upgraded as often as it is told to.
    async fn stop(&mut self, upgrade: &Arc<Upgrade>) {
        loop {
            tokio::select! {
                _ = self.term.recv() => return,
                _ = self.int.recv() => return,
                _ = self.usr2.recv() => {
                    let upgrade = upgrade.clone();
                    // The log says what becomes of it.
                    tokio::task::spawn_blocking(move || upgrade.start().ok());
                }
            }
        }
    }
}

impl OnSignal {
    /// `drain` is how long running answers may go on.
    pub fn new(
        shared: Arc<Shared>,
        office: Option<Arc<LedgerThread>>,
        upgrade: Arc<Upgrade>,
        push: Option<Push>,
        drain: Duration,
    ) -> OnSignal {
        OnSignal {
            shared,
            office,
            upgrade,
            push: push.map(Arc::new),
            drain,
        }
    }

    /// Waits until the process is told to end or another one has taken over, and stops new requests.
    async fn begin(&self, signals: &mut Signals) {
        tokio::select! {
            () = signals.stop(&self.upgrade) => {
                systemd::notify("STOPPING=1");
                self.upgrade.give_up();
                stop(&self.shared, self.drain);
            }
            () = self.upgrade.done() => {
                log::info!(
                    "leaving: {} connections may go on for {:?}",
                    self.shared.drain.lines(),
                    self.drain
                );
            }
        }
    }
}

#[async_trait]
impl ShutdownSignalWatch for OnSignal {
    async fn recv(&self) -> ShutdownSignal {
        let (Ok(term), Ok(int), Ok(usr2)) = (
            signal(SignalKind::terminate()),
            signal(SignalKind::interrupt()),
            signal(SignalKind::user_defined2()),
        ) else {
            log::error!("cannot catch SIGTERM, SIGINT and SIGUSR2; kill the process to stop it");
            return std::future::pending().await;
        };
        let mut signals = Signals { term, int, usr2 };
        self.begin(&mut signals).await;
        // Pingora stops accepting when this returns, and then sleeps its whole grace period; this ends it
        // as soon as nobody is being served.
        let (shared, office, drain) = (self.shared.clone(), self.office.clone(), self.drain);
        let (upgrade, push) = (self.upgrade.clone(), self.push.clone());
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    () = served(&shared) => break,
                    () = signals.stop(&upgrade) => {}
                }
                if shared.drain.refuses() {
                    log::warn!("told to stop again: stopping now");
                    break;
                }
                stop(&shared, drain);
            }
            let left = shared.metrics.in_flight_now();
            if let Some(office) = office {
                office.close().await;
            }
            shared.access_log.flush(FLUSH);
            if let Some(traces) = &shared.traces {
                traces.flush(FLUSH);
            }
            if let Some(push) = push {
                push.flush(FLUSH);
            }
            log::info!("stopped with {left} requests under way");
            std::process::exit(0);
        });
        ShutdownSignal::GracefulTerminate
    }
}

/// Refuses new requests from now on.
fn stop(shared: &Shared, drain: Duration) {
    shared.drain.begin(clock::now() + drain);
    log::info!(
        "stopping: {} requests under way may go on for {drain:?}",
        shared.metrics.in_flight_now(),
    );
}

/// Waits until nobody is being served, or the drain has passed.
async fn served(shared: &Shared) {
    let (drain, metrics) = (&shared.drain, &shared.metrics);
    let is_late = || {
        drain
            .ends()
            .is_some_and(|ends| clock::now() >= ends + SLACK)
    };
    // A WebSocket is marked to be closed after its last turn.
    let busy = || metrics.in_flight_now() > 0 || metrics.websockets_now() > 0;
    // Who has asked nothing yet may be about to.
    let is_awaited = || drain.stage() == Stage::Leaving && drain.lines() > 0;
    while (busy() || is_awaited()) && !is_late() {
        tokio::time::sleep(LOOK).await;
    }
    // What was answered last is still on its way out of the sockets.
    tokio::time::sleep(Duration::from_millis(100)).await;
}
