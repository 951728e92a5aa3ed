//! Hears of commits: a connection of its own, subscribed to the channel that `commit.lua` publishes to.
//!
//! It is a hint: own commits are heard, too, and while there is no such connection nothing is; where the server's
//! user may not subscribe (`+@pubsub`, and the channel `{tollgate}:1:changed`), nothing ever.
//!
//! Invariants: the connection is made when somebody first waits, and after trouble again, at growing distances; each
//! new one counts as news, because some may have been missed. It ends when the calls' own connection does, which
//! notices a silent server.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::{StreamExt as _, stream};
use parking_lot::Mutex;
use redis::aio::PubSub;
use tokio::sync::watch;
use tokio::task::AbortHandle;

use super::client::Redis;
use super::link::pause;
use tollgate_base::clock;

/// How often it is seen whether the calls' own connection is still the same.
const LOOK: Duration = Duration::from_secs(1);
/// A connection that served so long begins anew after trouble without much of a pause.
const SERVED: Duration = Duration::from_secs(10);

/// Hears of what others change.
pub struct News {
    redis: Arc<Redis>,
    /// Counts what was heard.
    heard: watch::Sender<u64>,
    /// How much of it was passed to who waits.
    told: AtomicU64,
    listener: Mutex<Option<AbortHandle>>,
}

impl News {
    /// Connects when somebody first waits.
    pub fn new(redis: Arc<Redis>) -> News {
        News {
            redis,
            heard: watch::Sender::new(0),
            told: AtomicU64::new(0),
            listener: Mutex::default(),
        }
    }

    /// Waits for something that was not passed on yet.
    pub async fn next(&self) {
        self.listen();
        let told = self.told.load(Ordering::Relaxed);
        let mut hearing = self.heard.subscribe();
        // Its sender is here: it cannot be gone.
        if let Ok(heard) = hearing.wait_for(|heard| *heard > told).await {
            self.told.fetch_max(*heard, Ordering::Relaxed);
        }
    }

    fn listen(&self) {
        let mut listener = self.listener.lock();
        // One ends only with the runtime that it was started in.
        if listener.as_ref().is_none_or(AbortHandle::is_finished) {
            let listening = listen(self.redis.clone(), self.heard.clone());
            *listener = Some(tokio::spawn(listening).abort_handle());
        }
    }
}

impl Drop for News {
    fn drop(&mut self) {
        if let Some(listener) = self.listener.lock().take() {
            listener.abort();
        }
    }
}

async fn listen(redis: Arc<Redis>, heard: watch::Sender<u64>) {
    let key = redis.keys.shared("store");
    let channel = redis.keys.shared("changed");
    let mut failures = 0;
    loop {
        let began = clock::now();
        match redis
            .servers
            .subscribe(&key, &channel, redis.deadline())
            .await
        {
            Ok((subscription, connection)) => {
                if subscription.is_some() {
                    heard.send_modify(|heard| *heard += 1);
                } else {
                    log::info!(
                        "this user of the ledger's Redis may not subscribe to `{channel}`: what other replicas \
                         change is seen a little later; permit +@pubsub and &{channel}"
                    );
                }
                let same = || redis.servers.connection(&key) == Some(connection);
                hear(subscription, same, &heard).await;
            }
            Err(trouble) => log::debug!("commits are not heard of at once: {}", trouble.error),
        }
        if clock::now() > began + SERVED {
            failures = 0;
        }
        tokio::time::sleep(pause(failures)).await;
        failures = failures.saturating_add(1);
    }
}

/// Until the connection ends, or another one for calls has taken over.
async fn hear(
    subscription: Option<PubSub>,
    is_current: impl Fn() -> bool,
    heard: &watch::Sender<u64>,
) {
    let mut messages = match subscription {
        Some(subscription) => subscription.into_on_message().left_stream(),
        None => stream::pending().right_stream(),
    };
    let mut look = tokio::time::interval(LOOK);
    loop {
        tokio::select! {
            message = messages.next() => match message {
                Some(_) => heard.send_modify(|heard| *heard += 1),
                None => return,
            },
            _ = look.tick() => if !is_current() { return },
        }
    }
}
