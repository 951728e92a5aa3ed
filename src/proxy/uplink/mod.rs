//! Turns of a client's WebSocket that are asked over a WebSocket as well, where the provider has one.
//!
//! There is no second way to a client here either. A task asks on a link and writes what comes into a pipe as HTTP/1
//! ([`relay`]), and Pingora reads that as a connection ([`super::early`]): the law of commit, failover, settlement and
//! times are the same code. A client's socket keeps its links ([`pool`]), so that a provider goes on from what it said
//! last, and is sent what is new; what else it does not know is sent whole, as over HTTP.
//!
//! A turn that has nothing to do with the provider's last answer on any link may use any. One that the provider did not
//! take notice of, because the link has ended or does not remember, is asked once more, whole and on a new one.

mod connect;
mod link;
mod pool;
mod relay;

use std::sync::Arc;

use pingora_error::Result;
use pingora_http::RequestHeader;

use super::aside::Aside;
use super::early::{Early, Pipe, Signs, Task};
use super::known::Attempt;
use super::outbound::Outgoing;
use super::shared::Shared;
use connect::{Asked, Opened};
use link::Place;
pub use pool::{Turn, Uplinks};
use relay::{Asks, Ended};
use tollgate_base::clock;
use tollgate_failover::Outcome;
use tollgate_wire::{Endpoint, Surface};

/// What a pipe takes until it is read, in bytes; then the provider waits.
const PIPE: usize = 64 << 10;

/// A turn that may be asked so.
pub struct Asking<'a> {
    /// What all requests share.
    pub shared: &'a Arc<Shared>,
    /// How its request is made over HTTP.
    pub outgoing: Outgoing<'a>,
    /// The turn.
    pub turn: &'a Turn,
    /// The client's head.
    pub head: &'a RequestHeader,
    /// Where its account's large bodies are read.
    pub aside: &'a Aside,
    /// Most bytes of a message.
    pub most: usize,
}

impl Asking<'_> {
    /// Asks the attempt's candidate over a WebSocket, if it has one and the request needs no translation: then the
    /// attempt has an answer on its way. Else it is asked over HTTP.
    ///
    /// # Errors
    /// If the provider cannot be reached.
    pub async fn begin(&self, attempt: &mut Attempt) -> std::result::Result<(), Outcome> {
        let (peers, provider) = (&self.shared.peers, &self.outgoing.candidate.provider);
        let responses = Endpoint::Generate(Surface::Responses);
        if !provider.websocket
            || (attempt.endpoint, self.outgoing.called) != (responses, responses)
            || !peers.has_websocket(provider, clock::now())
        {
            return Ok(());
        }
        let links = &self.turn.links;
        let place = self.outgoing.head(self.head, attempt).and_then(|head| {
            let (beta, ca) = (links.beta(), provider.ca.clone());
            Place::new(head, beta, &provider.base_url, ca)
        });
        // What no head can say fails over HTTP, and is told there.
        let Ok(place) = place.map(Arc::new) else {
            return Ok(());
        };
        let asked = Asked {
            shared: self.shared.clone(),
            provider: provider.clone(),
            addresses: attempt.addresses.clone(),
            by: attempt.by,
            most: self.most,
        };
        let previous = self.turn.continued.as_ref();
        let previous = previous.map(|continued| &*continued.previous);
        let opened = match links.take(&place, previous).await {
            Some(link) => Opened::Link(link),
            None => asked.open(&place).await?,
        };
        if matches!(opened, Opened::Without) {
            peers.lacks_websocket(provider, clock::now());
            return Ok(());
        }
        let (reader, pipe) = Pipe::new(PIPE);
        let (early, signs) = Early::new(reader);
        let carried = Carried {
            asked,
            place,
            asks: Asks {
                turn: self.turn.clone(),
                body: attempt.body.clone(),
                aside: self.aside.clone(),
            },
            signs,
        };
        let id: Arc<str> = self.outgoing.request_id.into();
        let task = tokio::spawn(async move {
            if let Err(error) = carried.carry(opened, pipe).await {
                log::debug!("request {id}: what was asked over a WebSocket has failed: {error}");
            }
        });
        early.has(Task(task.abort_handle()));
        attempt.early = Some(Arc::new(early));
        attempt.addresses.clear();
        Ok(())
    }
}

/// A turn on its way.
struct Carried {
    asked: Asked,
    place: Arc<Place>,
    asks: Asks,
    signs: Signs,
}

impl Carried {
    /// Asks, once more if the provider took no notice of it, and tells what comes.
    async fn carry(&self, opened: Opened, pipe: Pipe) -> Result<()> {
        let Some(pipe) = self.tell(opened, pipe).await? else {
            return Ok(());
        };
        // Without a link the pipe ends here, and so does the attempt.
        if let Ok(opened) = self.asked.open(&self.place).await {
            self.tell(opened, pipe).await?;
        }
        Ok(())
    }

    /// Returns the pipe if nothing was told.
    async fn tell(&self, opened: Opened, pipe: Pipe) -> Result<Option<Pipe>> {
        match opened {
            Opened::Link(link) => {
                let ended = relay::ask(&self.asks, link, &self.signs, pipe).await?;
                Ok(match ended {
                    Ended::Unasked(pipe) => Some(pipe),
                    Ended::Told => None,
                })
            }
            Opened::Refused(session, head) => {
                relay::refused(session, &head, pipe).await?;
                Ok(None)
            }
            Opened::Without => Ok(None),
        }
    }
}
