//! Waits for what ends an attempt, while it is under way.

use std::future::poll_fn;
use std::task::Poll;

use pingora_core::protocols::http::ServerSession;
use pingora_error::{Error, ErrorType};

use super::HeldSession;
use crate::proxy::gate::{Gate, Tick};
use crate::proxy::retries::Turn;
use crate::proxy::timer::Timer;
use tollgate_base::clock;

impl HeldSession {
    /// Sleeps until the gate has something to decide; says what.
    async fn next_tick(timer: &mut Timer, gate: &Gate) -> Tick {
        loop {
            let now = clock::now();
            match gate.tick(now) {
                Tick::Wait => {}
                other => return other,
            }
            timer.sleep(now, gate.wake_at(now)).await;
        }
    }

    /// Waits until the attempt has to end, or the client leaves, and writes comments meanwhile.
    pub(super) async fn watch(&mut self) -> Watched {
        if self.gate.is_corked() {
            once_more().await;
            self.gate.uncork();
        }
        if self.deserted.is_some() {
            self.hang_up().await;
        }
        let mut due = Tick::Wait;
        loop {
            match self.tell(due).await {
                Ok(Tick::Expire) if self.gate.tick(clock::now()) == Tick::Expire => {
                    return Watched::Expired;
                }
                Ok(_) => {}
                Err(error) => return Watched::Left(error),
            }
            let turn = self.turn.as_ref().filter(|_| self.deserted.is_some());
            due = tokio::select! {
                biased;
                error = gone(&mut self.real, turn) => return Watched::Left(error),
                () = self.closing.overtaken() => match self.gate.overtake() {
                    true => Tick::Expire,
                    false => Tick::Wait,
                },
                tick = Self::next_tick(&mut self.timer, &self.gate) => tick,
            };
            match due {
                Tick::Expire => return Watched::Expired,
                Tick::Hedge => {
                    self.closing.hedge();
                    due = Tick::Wait;
                }
                Tick::Wait | Tick::Open | Tick::Comment => {}
            }
        }
    }
}

/// Waits until the client is gone; or else, until nobody has heard its answer for long enough.
async fn gone(real: &mut ServerSession, turn: Option<&Turn>) -> Box<Error> {
    let why = match turn {
        None => match real.read_body_or_idle(true).await {
            Err(error) => return error,
            Ok(_) => "the client sent more than its request",
        },
        Some(turn) => {
            turn.forsaken().await;
            "nobody asks for the answer again"
        }
    };
    Error::explain(ErrorType::ConnectionClosed, why)
}

/// Lets what runs beside this in the same task go first: there the request is written, head and body, in one go.
async fn once_more() {
    let mut waited = false;
    poll_fn(|task| {
        if std::mem::replace(&mut waited, true) {
            return Poll::Ready(());
        }
        task.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// What a wait ended with.
pub(super) enum Watched {
    /// The attempt's time, or the process's; or another attempt came before it.
    Expired,
    /// The client is gone.
    Left(Box<Error>),
}
