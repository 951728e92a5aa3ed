//! How the process ends: SIGTERM or SIGINT stops new requests, those under way may finish until the drain
//! has passed, then they are ended with an error event. A second signal ends it at once.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use pingora_core::server::{ShutdownSignal, ShutdownSignalWatch};
use tokio::signal::unix::{SignalKind, signal};

use super::ledger::Office;
use crate::proxy::Shared;
use tollgate_base::clock;

/// What running streams need after the drain to hear that it is over, and to say so to their clients.
pub const SLACK: Duration = Duration::from_secs(5);

/// Longest time for writing out the access log, and for sending what is left of traces.
const FLUSH: Duration = Duration::from_secs(2);

/// Waits for the signal on behalf of Pingora.
pub struct OnSignal {
    shared: Arc<Shared>,
    office: Option<Arc<Office>>,
    drain: Duration,
}

impl OnSignal {
    /// `drain` is how long running answers may go on.
    pub fn new(shared: Arc<Shared>, office: Option<Arc<Office>>, drain: Duration) -> OnSignal {
        OnSignal {
            shared,
            office,
            drain,
        }
    }
}

#[async_trait]
impl ShutdownSignalWatch for OnSignal {
    async fn recv(&self) -> ShutdownSignal {
        let (Ok(mut term), Ok(mut int)) = (
            signal(SignalKind::terminate()),
            signal(SignalKind::interrupt()),
        ) else {
            log::error!("cannot catch SIGTERM and SIGINT; kill the process to stop it");
            return std::future::pending().await;
        };
        tokio::select! {
            _ = term.recv() => {}
            _ = int.recv() => {}
        }
        let now = clock::now();
        self.shared.drain.begin(now + self.drain);
        log::info!(
            "stopping: {} requests under way may go on for {:?}",
            self.shared.metrics.in_flight_now(),
            self.drain
        );
        // Pingora stops accepting when this returns, and then sleeps its whole grace period; this ends it
        // as soon as nobody is being served.
        let (shared, last) = (self.shared.clone(), now + self.drain + SLACK);
        let office = self.office.clone();
        tokio::spawn(async move {
            let finished = async {
                let metrics = &shared.metrics;
                // A WebSocket is marked to be closed after its last turn.
                let busy = || metrics.in_flight_now() > 0 || metrics.websockets_now() > 0;
                while busy() && clock::now() < last {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                // What was answered last is still on its way out of the sockets.
                tokio::time::sleep(Duration::from_millis(100)).await;
            };
            tokio::select! {
                () = finished => {}
                _ = term.recv() => log::warn!("told to stop again: stopping now"),
                _ = int.recv() => log::warn!("told to stop again: stopping now"),
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
