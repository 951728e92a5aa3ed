//! After the client of an answer has left: the answer is read on for its usage, as if the client were there, and
//! Pingora hears of it when that is over.

use std::time::Duration;

use bytes::Bytes;
use pingora_core::protocols::http::HttpTask;
use pingora_error::{Error, Result};

use super::HeldSession;
use crate::metrics::InFlight;
use crate::proxy::gate::{Ended, Gate};
use crate::proxy::retries::Turn;
use crate::proxy::timer::Timer;
use tollgate_base::clock;

/// What a connection is given to say that it is closed.
const GOODBYE: Duration = Duration::from_secs(1);

/// A client that has left.
pub(super) struct Left {
    /// What Pingora will hear.
    error: Box<Error>,
    /// Its answer's place among those that are read on.
    _place: InFlight,
}

impl HeldSession {
    /// The client has left, as `error` says; or nobody asks for its answer again.
    ///
    /// # Errors
    /// What the client left with, if its answer is not read on.
    pub(super) fn leave(&mut self, error: Box<Error>) -> Result<()> {
        self.has_left = true;
        let error = match self.deserted.take() {
            Some(first) => first,
            None if self.turn.as_ref().is_some_and(Turn::desert) => {
                self.deserted = Some(error);
                return Ok(());
            }
            None => error,
        };
        self.turn = None;
        let Some(place) = self.closing.left(&self.gate) else {
            return Err(error);
        };
        self.left = Some(Left {
            error,
            _place: place,
        });
        Ok(())
    }

    /// Some more of the answer.
    ///
    /// # Errors
    /// What Pingora is to hear once the answer has been read on for long enough.
    pub(super) fn overhear(&mut self, tasks: Vec<HttpTask>) -> Result<bool> {
        let mut ended = self.gate.overhear(tasks, clock::now());
        if ended.is_none() && !self.closing.affords(&self.gate) {
            ended = Some(Ended::Credits);
        }
        match ended {
            Some(ended) => Err(self.over(ended)),
            None => Ok(false),
        }
    }

    /// Waits while the answer is read on; may be dropped and called again.
    pub(super) async fn wait_for_usage(&mut self) -> Result<Option<Bytes>> {
        self.hang_up().await;
        let ended = Self::next_end(&mut self.timer, &self.gate).await;
        Err(self.over(ended))
    }

    /// Closes the connection of a client that has left: one that merely does not read, or has closed its half only, must
    /// not wait for more.
    pub(super) async fn hang_up(&mut self) {
        if !std::mem::replace(&mut self.hung_up, true) {
            let closed = pingora_timeout::timeout(GOODBYE, self.real.shutdown()).await;
            drop(closed);
        }
    }

    /// Sleeps until the answer has been read on for long enough; says why.
    async fn next_end(timer: &mut Timer, gate: &Gate) -> Ended {
        loop {
            let now = clock::now();
            if let Some(ended) = gate.left_by(now) {
                return ended;
            }
            tokio::select! {
                () = timer.sleep(now, gate.left_until(now)) => {}
                () = gate.draining() => {}
            }
        }
    }

    fn over(&mut self, ended: Ended) -> Box<Error> {
        self.closing.ended(ended);
        match self.left.take() {
            Some(left) => left.error,
            None => super::ended_by_gateway(),
        }
    }
}
