//! The links of one client's WebSocket, and what its turns know of them.

use std::sync::Arc;

use http::HeaderValue;
use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::link::{Link, Place};
use tollgate_wire::websocket::Continued;

/// Most links that are kept between turns: as many as turns can be under way.
const MOST_IDLE: usize = 16;

/// The links of a client's WebSocket. They end with it, and with its turns.
#[derive(Default)]
pub struct Uplinks {
    /// The version of the protocol that the client asks for.
    beta: Option<HeaderValue>,
    /// Those that no turn has, the one that was used last at the end.
    idle: Mutex<Vec<Idle>>,
}

/// A turn of a client's WebSocket.
#[derive(Clone)]
pub struct Turn {
    /// Its links.
    pub links: Arc<Uplinks>,
    /// What it continues.
    pub continued: Option<Arc<Continued>>,
}

/// A link between two turns.
struct Idle {
    place: Arc<Place>,
    latest: Option<String>,
    /// Without it, the link is closed.
    wanted: oneshot::Sender<()>,
    /// What listens to it.
    link: JoinHandle<Option<Link>>,
}

impl Uplinks {
    /// Returns those of a client that asks for this version of the protocol.
    pub fn new(beta: Option<HeaderValue>) -> Uplinks {
        Uplinks {
            beta,
            idle: Mutex::default(),
        }
    }

    /// Returns the version of the protocol that the client asks for.
    pub fn beta(&self) -> Option<&HeaderValue> {
        self.beta.as_ref()
    }

    /// Keeps a link for the next turn. The one that was not used for longest is closed where there are too many.
    pub fn keep(&self, link: Link) {
        let (wanted, receiver) = oneshot::channel();
        let kept = Idle {
            place: link.place.clone(),
            latest: link.latest.clone(),
            wanted,
            link: tokio::spawn(link.idle(receiver)),
        };
        let mut idle = self.idle.lock();
        idle.retain(|idle| !idle.link.is_finished());
        if idle.len() >= MOST_IDLE {
            idle.remove(0);
        }
        idle.push(kept);
    }

    /// Takes a link to this place: the one on which the response is the last one that is to be continued, else the one
    /// that was not used for longest.
    pub async fn take(&self, place: &Place, previous: Option<&str>) -> Option<Link> {
        loop {
            let taken = {
                let mut idle = self.idle.lock();
                let mut there = (0..idle.len()).filter(|at| idle[*at].place.is(place));
                let first = there.clone().next()?;
                let known =
                    |at: &usize| previous.is_some() && idle[*at].latest.as_deref() == previous;
                let at = there.find(known).unwrap_or(first);
                idle.remove(at)
            };
            let is_there = taken.wanted.send(()).is_ok();
            let link = taken.link.await.ok().flatten();
            if let Some(link) = link.filter(|_| is_there) {
                return Some(link);
            }
        }
    }
}
