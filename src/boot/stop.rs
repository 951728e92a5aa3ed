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

use super::ledger::Office;
use super::systemd;
use super::upgrade::Upgrade;
use crate::proxy::{Shared, Stage};
use tollgate_base::clock;

/// What running streams need after the drain to hear that it is over, and to say so to their clients.
pub const SLACK: Duration = Duration::from_secs(5);

/// Longest time for writing out the access log, and for sending what is left of traces.
const FLUSH: Duration = Duration::from_secs(2);

/// Pause between two looks whether anybody is being served.
const LOOK: Duration = Duration::from_millis(20);

/// Waits for the signal on behalf of Pingora.
pub struct OnSignal {
    shared: Arc<Shared>,
    office: Option<Arc<Office>>,
    upgrade: Arc<Upgrade>,
    drain: Duration,
}

/// The signals that stop the process.
struct Stops {
    term: Signal,
    int: Signal,
}

impl Stops {
    async fn recv(&mut self) {
        tokio::select! {
            _ = self.term.recv() => {}
            _ = self.int.recv() => {}
        }
    }
}

impl OnSignal {
    /// `drain` is how long running answers may go on.
    pub fn new(
        shared: Arc<Shared>,
        office: Option<Arc<Office>>,
        upgrade: Arc<Upgrade>,
        drain: Duration,
    ) -> OnSignal {
        OnSignal {
            shared,
            office,
            upgrade,
            drain,
        }
    }

    /// Waits until the process is to end, and says so to everybody.
    async fn begin(&self, stops: &mut Stops, usr2: &mut Signal) {
        loop {
            tokio::select! {
                () = stops.recv() => {
                    systemd::notify("STOPPING=1");
                    stop(&self.shared, self.drain);
                    return;
                }
                () = self.upgrade.done() => {
                    self.shared.drain.leave(clock::now() + self.drain);
                    log::info!(
                        "leaving: {} connections may go on for {:?}",
                        self.shared.drain.lines(),
                        self.drain
                    );
                    return;
                }
                _ = usr2.recv() => {
                    let upgrade = self.upgrade.clone();
                    // It logs what becomes of it.
                    tokio::task::spawn_blocking(move || upgrade.start().ok());
                }
            }
        }
    }
}

#[async_trait]
impl ShutdownSignalWatch for OnSignal {
    async fn recv(&self) -> ShutdownSignal {
        let (Ok(term), Ok(int), Ok(mut usr2)) = (
            signal(SignalKind::terminate()),
            signal(SignalKind::interrupt()),
            signal(SignalKind::user_defined2()),
        ) else {
            log::error!("cannot catch SIGTERM, SIGINT and SIGUSR2; kill the process to stop it");
            return std::future::pending().await;
        };
        let mut stops = Stops { term, int };
        self.begin(&mut stops, &mut usr2).await;
        // Pingora stops accepting when this returns, and then sleeps its whole grace period; this ends it
        // as soon as nobody is being served.
        let (shared, office, drain) = (self.shared.clone(), self.office.clone(), self.drain);
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    () = served(&shared) => break,
                    () = stops.recv() => {}
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
