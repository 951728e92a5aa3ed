//! A WebSocket from its handshake to its end. What its client asks for becomes turns ([`lanes`]).

mod lanes;

use std::collections::{HashMap, HashSet, VecDeque};
use std::io::ErrorKind;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::stream::SelectAll;
use futures::{FutureExt as _, SinkExt as _, StreamExt as _};
use pingora_core::apps::HttpServerApp;
use pingora_timeout::timeout;
use tokio::io::AsyncWriteExt as _;
use tokio::sync::watch;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_tungstenite::tungstenite::protocol::frame::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error, Message};

use super::GOODBYE;
use super::answer::Running;
use super::history::History;
use super::memory::{Gathering, Memory};
use super::turn::{Piece, Turns};
use crate::proxy::connection::{Connection, Place, given_away};
use crate::proxy::drain::Stage;
use crate::proxy::frames;
use crate::proxy::timer::Timer;
use lanes::{Answer, Waiting};
use tollgate_base::clock;
use tollgate_config::WebSocket;
use tollgate_wire::GatewayError;
use tollgate_wire::websocket::Refusal;

/// Most pieces of answers that are taken before what they come to is sent; meanwhile nothing else is heard.
const MOST_AT_ONCE: u32 = 16;

/// How often a client hears a ping, so that nothing on the way takes the connection for dead.
const PING: Duration = Duration::from_secs(30);

/// A connection under way.
pub(super) struct Socket<A> {
    memory: Memory,
    gathering: Gathering,
    turns: Turns<A>,
    limits: WebSocket,
    most_bytes: usize,
    ws: WebSocketStream<Connection>,
    /// What was read already.
    early: Option<Option<Result<Message, Error>>>,
    history: History,
    lanes: HashSet<Arc<str>>,
    waiting: VecDeque<Waiting>,
    running: HashMap<u64, Running>,
    answers: SelectAll<Answer>,
    timer: Timer,
    born: Instant,
    /// When something was asked for, or a turn ended, last.
    active: Instant,
    ping_at: Instant,
    /// What it has heard that the process is doing, and what it will hear.
    heard: Stage,
    stage: watch::Receiver<Stage>,
    /// It has lived for as long as one may.
    too_old: bool,
}

/// What a socket was woken by.
enum Woken {
    Answer(u64, Option<Piece>),
    Message(Option<Result<Message, Error>>),
    Drain,
    GivenAway,
    Time,
}

/// Why it ends.
enum Over {
    /// The client is not there any more, or does not read.
    Gone,
    /// The client has closed it.
    Left,
    /// It is closed here.
    Close(CloseCode, &'static str),
}

impl From<Error> for Over {
    fn from(error: Error) -> Over {
        match error {
            Error::Capacity(_) => Over::Close(CloseCode::Size, "a message is longer than max_body"),
            Error::Io(error) if error.kind() == ErrorKind::OutOfMemory => {
                Over::Close(CloseCode::Again, "the account's messages take all the room")
            }
            Error::Utf8(_) => Over::Close(CloseCode::Invalid, "a text is not UTF-8"),
            Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => Over::Gone,
            Error::Protocol(_) => Over::Close(CloseCode::Protocol, "this is not RFC 6455"),
            _ => Over::Gone,
        }
    }
}

impl<A: HttpServerApp + Send + Sync + 'static> Socket<A> {
    /// A socket on a connection whose handshake is done.
    pub(super) async fn new(
        memory: Memory,
        gathering: Gathering,
        turns: Turns<A>,
        connection: Connection,
        limits: WebSocket,
    ) -> Self {
        let most_bytes = memory.shared.snapshot.load().config.proxy.max_body;
        let config = frames::config(most_bytes);
        let ws = WebSocketStream::from_raw_socket(connection, Role::Server, Some(config)).await;
        let now = clock::now();
        let stage = memory.shared.drain.watch();
        Socket {
            memory,
            gathering,
            turns,
            limits,
            most_bytes,
            ws,
            early: None,
            history: History::new(most_bytes),
            lanes: HashSet::new(),
            waiting: VecDeque::new(),
            running: HashMap::new(),
            answers: SelectAll::new(),
            timer: Timer::default(),
            born: now,
            active: now,
            ping_at: now + PING,
            heard: Stage::Serving,
            stage,
            too_old: false,
        }
    }

    /// Serves it to its end. A turn that is under way then goes on as one whose client has left.
    pub(super) async fn run(mut self, place: &mut Option<Place>) {
        let over = loop {
            if let Err(over) = self.step(place).await {
                break over;
            }
        };
        self.answers = SelectAll::new();
        match over {
            Over::Gone => return,
            Over::Left => drop(timeout(GOODBYE, self.ws.flush()).await),
            Over::Close(code, reason) => {
                let frame = CloseFrame {
                    code,
                    reason: reason.into(),
                };
                let ws = &mut self.ws;
                let goodbye = async {
                    ws.close(Some(frame)).await?;
                    // It says goodbye as well; what it says else is of no use any more.
                    while let Some(said) = ws.next().await {
                        said?;
                    }
                    Ok::<(), Error>(())
                };
                drop(timeout(GOODBYE, goodbye).await);
            }
        }
        // An end before the client has sent what it was sending would take the goodbye away from it.
        drop(timeout(2 * GOODBYE, self.ws.get_mut().shutdown()).await);
    }

    async fn step(&mut self, place: &mut Option<Place>) -> Result<(), Over> {
        let (now, wake) = (clock::now(), self.wake_at());
        let woken = match self.early.take() {
            Some(message) => Woken::Message(message),
            None => tokio::select! {
                Some((number, piece)) = self.answers.next(), if !self.answers.is_empty() => Woken::Answer(number, piece),
                message = self.ws.next() => Woken::Message(message),
                _ = self.stage.wait_for(|stage| *stage > self.heard) => Woken::Drain,
                () = given_away(place) => Woken::GivenAway,
                () = self.timer.sleep(now, wake) => Woken::Time,
            },
        };
        match woken {
            Woken::Answer(number, piece) => self.answered(number, piece).await?,
            Woken::Message(message) => self.message(message).await?,
            Woken::Drain => {
                self.heard = self.memory.shared.drain.stage();
                if self.heard == Stage::Stopping {
                    let refusal = Refusal::from(&GatewayError::shutting_down());
                    self.refuse_waiting(&refusal).await?;
                }
            }
            Woken::GivenAway => return Err(Over::Close(CloseCode::Again, "others want its place")),
            Woken::Time => self.look_at_clock().await?,
        }
        self.begin_waiting(place.as_ref()).await?;
        if !self.is_idle() {
            return Ok(());
        }
        // Who has just come when another process takes over gets its first answer yet.
        let ends = match self.heard {
            Stage::Serving => false,
            Stage::Leaving => self.active > self.born,
            Stage::Stopping => true,
        };
        if ends {
            return Err(Over::Close(CloseCode::Away, "the gateway is shutting down"));
        }
        if self.too_old {
            let told = Refusal::too_old(self.limits.max_age).event(None);
            self.tell([told]).await?;
            return Err(Over::Close(
                CloseCode::Normal,
                "it was open for as long as it may",
            ));
        }
        Ok(())
    }

    fn is_idle(&self) -> bool {
        self.running.is_empty() && self.waiting.is_empty()
    }

    fn wake_at(&self) -> Instant {
        let mut at = self.ping_at;
        if self.is_idle() {
            at = at.min(self.active + self.limits.idle);
        }
        if !self.too_old {
            at = at.min(self.born + self.limits.max_age);
        }
        at
    }

    async fn look_at_clock(&mut self) -> Result<(), Over> {
        let now = clock::now();
        if !self.too_old && now >= self.born + self.limits.max_age {
            self.too_old = true;
            self.refuse_waiting(&Refusal::too_old(self.limits.max_age))
                .await?;
        }
        if self.is_idle() && !self.too_old && now >= self.active + self.limits.idle {
            return Err(Over::Close(CloseCode::Normal, "nothing was asked for"));
        }
        if now >= self.ping_at {
            self.ping_at = now + PING;
            self.ws.send(Message::Ping(Bytes::new())).await?;
        }
        Ok(())
    }

    async fn message(&mut self, message: Option<Result<Message, Error>>) -> Result<(), Over> {
        match message.transpose()? {
            None => Err(Over::Gone),
            Some(Message::Text(text)) => {
                let text = Bytes::from(text);
                self.event(text.clone()).await?;
                // The library makes itself a new buffer only while somebody has what it read into the last one.
                self.early = self.ws.next().now_or_never();
                drop(text);
                Ok(())
            }
            Some(Message::Binary(_)) => {
                Err(Over::Close(CloseCode::Unsupported, "only texts are taken"))
            }
            Some(Message::Close(_)) => Err(Over::Left),
            // A ping is answered when the next message is waited for.
            Some(Message::Ping(_) | Message::Pong(_) | Message::Frame(_)) => Ok(()),
        }
    }

    /// Sends what has come of answers, and what has come with it, at once.
    async fn answered(&mut self, mut number: u64, mut piece: Option<Piece>) -> Result<(), Over> {
        for taken in 1.. {
            match piece {
                Some(piece) => self.hear(number, piece).await?,
                None => self.end(number).await?,
            }
            if taken == MOST_AT_ONCE {
                break;
            }
            match self.answers.next().now_or_never() {
                Some(Some(next)) => (number, piece) = next,
                _ => break,
            }
        }
        Ok(self.ws.flush().await?)
    }

    /// Sends messages, which the client must take in time.
    async fn tell(&mut self, messages: impl IntoIterator<Item = String>) -> Result<(), Over> {
        self.say(messages).await?;
        Ok(self.ws.flush().await?)
    }

    /// The same, but the last ones may wait until more follows them.
    async fn say(&mut self, messages: impl IntoIterator<Item = String>) -> Result<(), Over> {
        for message in messages {
            frames::feed(&mut self.ws, message.into()).await?;
        }
        Ok(())
    }
}
