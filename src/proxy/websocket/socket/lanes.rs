//! What a client asks for, in the order and beside each other as OpenAI's guide "WebSocket mode" has it
//! (developers.openai.com/api/docs/guides/websocket-mode): the turns of one `stream_id`, or of none, are served one after
//! another, those of different ones beside each other, and what finds no room waits.

use std::sync::Arc;

use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream::{self, BoxStream};
use pingora_core::apps::HttpServerApp;
use tokio::sync::mpsc;

use super::{Over, Socket};
use crate::proxy::aside::LARGE;
use crate::proxy::authenticate;
use crate::proxy::connection::Place;
use crate::proxy::drain::Stage;
use crate::proxy::shares::Share;
use crate::proxy::websocket::answer::Running;
use crate::proxy::websocket::history::Said;
use crate::proxy::websocket::turn::Piece;
use tollgate_base::clock;
use tollgate_wire::GatewayError;
use tollgate_wire::websocket::{self, ClientEvent, Continued, Create, MOST_STREAM_IDS, Refusal};

/// Most turns under way.
const MOST_RUNNING: usize = 16;

/// Most turns that wait.
const MOST_WAITING: usize = 16;

/// The pieces of a turn's answer, with its number; `None` is their end.
pub(super) type Answer = BoxStream<'static, (u64, Option<Piece>)>;

/// A turn that waits.
pub(super) struct Waiting {
    lane: Option<Arc<str>>,
    create: Create,
    share: Option<Share>,
}

impl<A: HttpServerApp + Send + Sync + 'static> Socket<A> {
    /// What its client says.
    pub(super) async fn event(&mut self, text: Bytes) -> Result<(), Over> {
        let share = self.gathering.whole();
        let parsed = if text.len() > LARGE {
            let aside = self.memory.shared.room.of(&self.memory.account);
            let parsed = match aside.has_room() {
                Ok(()) => aside.run(move || ClientEvent::parse(text)).await,
                Err(error) => Ok(Err((Refusal::from(&error), None))),
            };
            parsed.unwrap_or_else(|_| Err((Refusal::from(&GatewayError::internal()), None)))
        } else {
            ClientEvent::parse(text)
        };
        let create = match parsed {
            Ok(ClientEvent::Create(create)) => create,
            Ok(ClientEvent::Processed) => return Ok(()),
            Err((refusal, lane)) => return self.tell([refusal.event(lane.as_deref())]).await,
        };
        self.active = clock::now();
        let lane: Option<Arc<str>> = create.stream_id.as_deref().map(Arc::from);
        match self.enter(&lane, &create) {
            Ok(()) => {
                let waiting = Waiting {
                    lane,
                    create,
                    share,
                };
                self.waiting.push_back(waiting);
                Ok(())
            }
            Err(refusal) => self.tell([refusal.event(lane.as_deref())]).await,
        }
    }

    /// Whether there is room for one more turn.
    fn enter(&mut self, lane: &Option<Arc<str>>, create: &Create) -> Result<(), Refusal> {
        if self.heard == Stage::Stopping {
            return Err(Refusal::from(&GatewayError::shutting_down()));
        }
        if self.too_old {
            return Err(Refusal::too_old(self.limits.max_age));
        }
        if let Some(lane) = lane
            && !self.lanes.contains(lane)
        {
            if self.lanes.len() == MOST_STREAM_IDS {
                return Err(Refusal::too_many_streams());
            }
            self.lanes.insert(lane.clone());
        }
        let bytes: usize = self
            .waiting
            .iter()
            .map(|waiting| waiting.create.size())
            .sum();
        let is_full = self.waiting.len() == MOST_WAITING
            || (bytes > 0 && bytes + create.size() > self.most_bytes);
        if is_full {
            return Err(Refusal::too_many_waiting(MOST_WAITING));
        }
        Ok(())
    }

    /// Begins what waits, as far as its lane is free and there is room.
    pub(super) async fn begin_waiting(&mut self, place: Option<&Place>) -> Result<(), Over> {
        let mut at = 0;
        while at < self.waiting.len() && self.running.len() < MOST_RUNNING {
            let lane = &self.waiting[at].lane;
            let mut earlier = self.waiting.iter().take(at);
            let is_free = self.running.values().all(|turn| turn.lane != *lane)
                && earlier.all(|waiting| waiting.lane != *lane);
            if !is_free {
                at += 1;
                continue;
            }
            if let Some(waiting) = self.waiting.remove(at) {
                self.begin(waiting, place).await?;
            }
        }
        Ok(())
    }

    async fn begin(&mut self, waiting: Waiting, place: Option<&Place>) -> Result<(), Over> {
        let Waiting {
            lane,
            create,
            mut share,
        } = waiting;
        let before = match &create.previous {
            None => None,
            Some(id) => match self.history.find(id) {
                Some(said) => Some(said),
                None => {
                    return self
                        .tell([Refusal::previous(id).event(lane.as_deref())])
                        .await;
                }
            },
        };
        if !create.generate {
            return match self.prepare(&create, before, &lane) {
                Ok(events) => self.tell(events).await,
                Err(error) => {
                    self.tell([Refusal::from(&error).event(lane.as_deref())])
                        .await
                }
            };
        }
        let said = before.as_ref().map(|said| said.all()).unwrap_or_default();
        let busy = place.map(Place::busy);
        let body = create.body(&said).map_err(GatewayError::from);
        let begun = body.and_then(|body| {
            if !self.memory.add(&mut share, body.len()) {
                return Err(GatewayError::overloaded());
            }
            let continued = create.previous.clone();
            let continued = continued.map(|previous| Continued { previous, said });
            let begun = self.turns.begin(body, continued, busy);
            begun.map_err(|_| GatewayError::internal())
        });
        match begun {
            Ok(pieces) => {
                let number = self.turns.begun;
                self.answers.push(answer(number, pieces));
                let turn = Running::new(lane, create, before, share);
                self.running.insert(number, turn);
                Ok(())
            }
            Err(error) => {
                self.forsake(&create, before.as_ref(), &lane);
                self.tell([Refusal::from(&error).event(lane.as_deref())])
                    .await
            }
        }
    }

    /// Some of a turn's answer. What it comes to is said, and not sent yet.
    pub(super) async fn hear(&mut self, number: u64, piece: Piece) -> Result<(), Over> {
        let Some(turn) = self.running.get_mut(&number) else {
            return Ok(());
        };
        let heard = turn.hear(piece);
        // Without items that could be read there is nothing to be continued.
        if let (Some((id, output)), Ok(own)) = (heard.ended, turn.create.items()) {
            let output = websocket::carried(&output, turn.create.store);
            let items = joined(&own, &output);
            let (lane, before) = (turn.lane.clone(), turn.before.clone());
            self.keep(&id, before, items, lane);
        }
        self.say(heard.messages).await
    }

    /// A turn's answer is over. What is left to say is said, and not sent yet.
    pub(super) async fn end(&mut self, number: u64) -> Result<(), Over> {
        let Some(mut turn) = self.running.remove(&number) else {
            return Ok(());
        };
        self.active = clock::now();
        let last = turn.end();
        if turn.failed {
            self.forsake(&turn.create, turn.before.as_ref(), &turn.lane);
        }
        self.say(last).await
    }

    /// A turn without an answer: what it says is kept, so that the next one can go on from there.
    fn prepare(
        &mut self,
        create: &Create,
        before: Option<Arc<Said>>,
        lane: &Option<Arc<str>>,
    ) -> Result<[String; 2], GatewayError> {
        authenticate::caller(
            &self.turns.head.headers,
            &self.memory.shared.snapshot.load(),
        )?;
        let items = create.items()?.into_owned();
        let mut id = "resp_".to_owned();
        tollgate_base::random::push_hex96(&mut id);
        self.keep(&id, before, items, lane.clone());
        let (model, previous) = (create.model(), create.previous.as_deref());
        let now = clock::unix().as_secs();
        Ok(websocket::prepared(
            &id,
            &model,
            previous,
            now,
            lane.as_deref(),
        ))
    }

    fn keep(
        &mut self,
        id: &str,
        before: Option<Arc<Said>>,
        items: Vec<u8>,
        lane: Option<Arc<str>>,
    ) {
        let share = |bytes| self.memory.take(bytes);
        self.history.keep(id, before, items, lane, share);
    }

    /// A turn has failed: its lane cannot go on from where it was, as OpenAI has it; others can.
    fn forsake(&mut self, create: &Create, before: Option<&Arc<Said>>, lane: &Option<Arc<str>>) {
        if let (Some(id), Some(before)) = (&create.previous, before)
            && before.lane == *lane
        {
            self.history.forget(id);
        }
    }

    /// Refuses all that waits.
    pub(super) async fn refuse_waiting(&mut self, refusal: &Refusal) -> Result<(), Over> {
        let waiting = std::mem::take(&mut self.waiting);
        let events = waiting
            .iter()
            .map(|waiting| refusal.event(waiting.lane.as_deref()));
        let events: Vec<String> = events.collect();
        self.tell(events).await
    }
}

/// A turn's answer as a stream that says where it ends.
fn answer(number: u64, mut pieces: mpsc::Receiver<Piece>) -> Answer {
    let pieces = stream::poll_fn(move |context| pieces.poll_recv(context));
    let pieces = pieces.map(Some).chain(stream::iter([None]));
    pieces.map(move |piece| (number, piece)).boxed()
}

/// A turn's own items and those of its output.
fn joined(own: &[u8], output: &[u8]) -> Vec<u8> {
    let comma: &[u8] = if own.is_empty() || output.is_empty() {
        b""
    } else {
        b","
    };
    [own, comma, output].concat()
}
