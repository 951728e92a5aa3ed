//! What other replicas learn of provider keys: which cool down, and what is left of their quotas.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

/// Cool-downs that wait to be published; more are not.
const MOST: usize = 1024;

/// A cool-down to publish: a provider key that has to be left alone for a while, for what its scope says. Or what is left of
/// a quota, and until when that is worth anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// The name of its id and its scope, see [`Scope::name`](tollgate_failover::Scope::name).
    pub key: Arc<str>,
    /// Until when.
    pub until: Instant,
    /// The outcome's label; or what is left, see [`Limits::told`](tollgate_failover::Limits::told).
    pub reason: Cow<'static, str>,
}

/// Where cool-downs are published.
pub struct Publisher(mpsc::Sender<Published>);

impl Publisher {
    /// Returns the publisher, and where what it sends arrives.
    pub fn channel() -> (Publisher, mpsc::Receiver<Published>) {
        let (send, heard) = mpsc::channel(MOST);
        (Publisher(send), heard)
    }

    /// Publishes a cool-down, unless too many wait: only an order of preference is lost with it.
    pub fn publish(&self, cooldown: Published) {
        match self.0.try_send(cooldown) {
            Ok(()) => {}
            Err(TrySendError::Full(cooldown)) => {
                log::debug!("too many cool-downs wait to be shared; not published: {cooldown:?}");
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
        let (publisher, mut heard) = Publisher::channel();
        let cooldown = |number: usize| Published {
            key: number.to_string().into(),
            until: clock::now(),
            reason: "http_429".into(),
        };
        for number in 0..MOST + 10 {
            publisher.publish(cooldown(number));
        }
        let published: Vec<_> = std::iter::from_fn(|| heard.try_recv().ok()).collect();
        assert_eq!(published.len(), MOST, "the newest are lost");
        assert_eq!(&*published[MOST - 1].key, (MOST - 1).to_string());
        drop(heard);
        publisher.publish(cooldown(0));
    }
}
