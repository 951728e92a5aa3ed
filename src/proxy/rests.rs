//! What other replicas are told of provider keys that rest.

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

/// Rests that wait to be told; more are not.
const MOST: usize = 1024;

/// A provider key that has to be left alone for a while, for what its scope says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rest {
    /// The name of its id and its scope, see [`Scope::name`](tollgate_failover::Scope::name).
    pub key: Arc<str>,
    /// Until when.
    pub until: Instant,
    /// The outcome's label.
    pub reason: &'static str,
}

/// Where rests are told.
pub struct Rests(mpsc::Sender<Rest>);

impl Rests {
    /// The place, and where they are heard.
    pub fn channel() -> (Rests, mpsc::Receiver<Rest>) {
        let (tell, heard) = mpsc::channel(MOST);
        (Rests(tell), heard)
    }

    /// Tells a rest, unless too many wait: only an order of preference is lost with it.
    pub fn tell(&self, rest: Rest) {
        match self.0.try_send(rest) {
            Ok(()) => {}
            Err(TrySendError::Full(rest)) => {
                log::debug!("too many cool-downs wait to be shared; not told: {rest:?}");
            }
            // Nobody listens any more when the process stops.
            Err(TrySendError::Closed(_)) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tollgate_base::clock;

    #[test]
    fn what_finds_no_room_is_not_waited_for() {
        let (rests, mut heard) = Rests::channel();
        let rest = |number: usize| Rest {
            key: number.to_string().into(),
            until: clock::now(),
            reason: "http_429",
        };
        for number in 0..MOST + 10 {
            rests.tell(rest(number));
        }
        let told: Vec<_> = std::iter::from_fn(|| heard.try_recv().ok()).collect();
        assert_eq!(told.len(), MOST, "the newest are lost");
        assert_eq!(&*told[MOST - 1].key, (MOST - 1).to_string());
        drop(heard);
        rests.tell(rest(0));
    }
}
