//! The load generator: connections on one thread of their own, in closed loops, that speak HTTP/1.1 or a WebSocket's turns.
//!
//! Invariant: a tally holds whole answers only. A loop starts no request after its deadline and ends the one
//! under way, so CPU time read before and after a loop belongs to exactly the requests that it counted.
//! Any answer but a `200` fails the measure: a fast error is no throughput.

use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use futures::{SinkExt as _, StreamExt as _};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::http::Request;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

use crate::Outcome;
use crate::wire::{self, Body};
use tollgate_base::clock;

/// The longest that anything here waits for an answer, and for a loop beyond its window.
const PATIENCE: Duration = Duration::from_secs(60);
/// The most requests of one connection in one loop.
const MOST: u64 = 10_000_000;

/// A connection on which one thing is asked after the other.
pub trait Asks: Sized + 'static {
    /// Sends a request and reads its whole answer, telling `progress` how many events there have been whenever some arrive;
    /// without a time limit.
    async fn exchange(&mut self, request: &[u8], progress: impl FnMut(u64)) -> Outcome<Answer>;

    /// The same within the time that anything may take here.
    async fn ask(&mut self, request: &[u8]) -> Outcome<Answer> {
        tokio::time::timeout(PATIENCE, self.exchange(request, |_| ())).await?
    }
}

/// A keep-alive connection of HTTP/1.1.
pub struct Conn {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// What came back.
pub struct Answer {
    /// Server-sent events, comments and `[DONE]` included; 0 for a plain answer.
    pub events: u64,
    /// From the start of writing the request to the end of the first event, if there was one.
    pub first_event: Option<Duration>,
}

/// What a closed loop got done.
#[derive(Default)]
pub struct Tally {
    /// Whole answers.
    pub answers: u64,
    /// Their events.
    pub events: u64,
    /// How long it took.
    pub elapsed: Duration,
}

impl Conn {
    /// Connects.
    pub async fn open(address: SocketAddr) -> Outcome<Conn> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Conn {
            stream,
            buffer: vec![0; 64 * 1024],
        })
    }

    /// Opens `count` connections and has each answer `request` once.
    pub async fn open_warm(
        address: SocketAddr,
        count: usize,
        request: &[u8],
    ) -> Outcome<Vec<Conn>> {
        let mut conns = Vec::with_capacity(count);
        for _ in 0..count {
            let mut conn = Conn::open(address).await?;
            conn.ask(request).await?;
            conns.push(conn);
        }
        Ok(conns)
    }

    async fn read(&mut self, from: usize) -> Outcome<usize> {
        match self.stream.read(&mut self.buffer[from..]).await? {
            0 => Err("the connection closed inside an answer".into()),
            read => Ok(read),
        }
    }
}

impl Asks for Conn {
    async fn exchange(&mut self, request: &[u8], mut progress: impl FnMut(u64)) -> Outcome<Answer> {
        let started = clock::now();
        self.stream.write_all(request).await?;
        let mut filled = 0;
        let head = loop {
            if let Some(end) = wire::head_end(&self.buffer[..filled]) {
                break end;
            }
            filled += self.read(filled).await?;
        };
        let shown = &self.buffer[..filled.min(600)];
        if !shown.starts_with(b"HTTP/1.1 200") {
            return Err(format!("not a 200: {}", String::from_utf8_lossy(shown)).into());
        }
        let mut body = Body::of(&self.buffer[..head]);
        let streamed = matches!(body, Body::Chunked(_));
        let mut events = 0;
        // Where the last line break was, and how much came before this piece; the start counts as a line's middle.
        let (mut last, mut before) = (None, 0);
        let mut first_event = None;
        let mut from = head;
        loop {
            // An event ends in an empty line, and JSON keeps line breaks out of its strings.
            body.feed(&self.buffer[from..filled], |content| {
                for at in memchr::memchr_iter(b'\n', content) {
                    let at = before + at;
                    events += u64::from(last.is_some_and(|last| last + 1 == at));
                    last = Some(at);
                }
                before += content.len();
            });
            if streamed && events > 0 && first_event.is_none() {
                first_event = Some(clock::now() - started);
            }
            if body.is_done() {
                return Ok(Answer {
                    events: if streamed { events } else { 0 },
                    first_event,
                });
            }
            progress(events);
            from = 0;
            filled = self.read(0).await?;
        }
    }
}

/// A WebSocket to `/v1/responses`.
pub struct Socket(WebSocketStream<TcpStream>);

impl Socket {
    /// Opens one with this handshake.
    pub async fn open(address: SocketAddr, handshake: &Request<()>) -> Outcome<Socket> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        // As much as a connection of HTTP reads at once.
        let config = WebSocketConfig::default().read_buffer_size(64 * 1024);
        let opening =
            tokio_tungstenite::client_async_with_config(handshake.clone(), stream, Some(config));
        let (socket, _) = tokio::time::timeout(PATIENCE, opening).await??;
        Ok(Socket(socket))
    }
}

impl Asks for Socket {
    /// A turn: the event that asks for it, and one message for each event of its answer.
    async fn exchange(&mut self, request: &[u8], mut progress: impl FnMut(u64)) -> Outcome<Answer> {
        let started = clock::now();
        let asked = String::from_utf8(request.to_vec())?;
        self.0.send(Message::text(asked)).await?;
        let (mut events, mut first_event) = (0, None);
        while let Some(message) = self.0.next().await {
            let Message::Text(event) = message? else {
                continue;
            };
            if event.starts_with(r#"{"type":"error""#) {
                return Err(format!("a turn failed: {event}").into());
            }
            events += 1;
            first_event.get_or_insert_with(|| clock::now() - started);
            progress(events);
            if event.starts_with(r#"{"type":"response.completed""#) {
                return Ok(Answer {
                    events,
                    first_event,
                });
            }
        }
        Err("the socket ended inside a turn".into())
    }
}

/// Every connection asks again and again until `window` has passed.
pub async fn closed_loop(
    conns: &mut Vec<impl Asks>,
    request: &Rc<[u8]>,
    window: Duration,
) -> Outcome<Tally> {
    closed_loop_of(conns, std::slice::from_ref(request), window).await
}

/// The same, where connections ask different things: they take turns in `requests`, of which there is one at least.
pub async fn closed_loop_of(
    conns: &mut Vec<impl Asks>,
    requests: &[Rc<[u8]>],
    window: Duration,
) -> Outcome<Tally> {
    each(
        conns,
        requests,
        Duration::ZERO,
        Duration::ZERO,
        window,
        MOST,
    )
    .await
}

/// Together the connections ask `per_second` times a second until `window` has passed; one whose answer is late asks
/// the next time later.
pub async fn paced(
    conns: &mut Vec<impl Asks>,
    request: &Rc<[u8]>,
    per_second: u32,
    window: Duration,
) -> Outcome<Tally> {
    let pace = Duration::from_secs(1) * u32::try_from(conns.len())? / per_second;
    let requests = std::slice::from_ref(request);
    each(conns, requests, pace, pace, window, MOST).await
}

/// Every connection asks once, the starts spread evenly over `spread`.
pub async fn once_each(
    conns: &mut Vec<impl Asks>,
    request: &Rc<[u8]>,
    spread: Duration,
) -> Outcome<Tally> {
    let (requests, window) = (std::slice::from_ref(request), spread + PATIENCE);
    each(conns, requests, spread, Duration::ZERO, window, 1).await
}

async fn each<C: Asks>(
    conns: &mut Vec<C>,
    requests: &[Rc<[u8]>],
    spread: Duration,
    pace: Duration,
    window: Duration,
    most: u64,
) -> Outcome<Tally> {
    let started = clock::now();
    let until = started + window;
    let count = u32::try_from(conns.len().max(1))?;
    let mut tasks = JoinSet::new();
    for ((index, mut conn), request) in conns.drain(..).enumerate().zip(requests.iter().cycle()) {
        let request = request.clone();
        let delay = spread * u32::try_from(index)? / count;
        tasks.spawn_local(async move {
            tokio::time::sleep(delay).await;
            let (mut answers, mut events) = (0, 0);
            let mut next = clock::now();
            while answers < most && clock::now() < until {
                events += conn.exchange(&request, |_| ()).await?.events;
                answers += 1;
                if !pace.is_zero() {
                    next = (next + pace).max(clock::now());
                    tokio::time::sleep_until(next.into()).await;
                }
            }
            Outcome::Ok((conn, answers, events))
        });
    }
    let mut tally = Tally {
        answers: 0,
        events: 0,
        elapsed: Duration::ZERO,
    };
    let gather = async {
        while let Some(done) = tasks.join_next().await {
            let (conn, answers, events) = done??;
            conns.push(conn);
            tally.answers += answers;
            tally.events += events;
        }
        Outcome::Ok(())
    };
    tokio::time::timeout(window + PATIENCE, gather)
        .await
        .map_err(|_| "the load did not end in time")??;
    tally.elapsed = clock::now() - started;
    Ok(tally)
}

/// One connection asks again and again for `window`; the times to each first event.
pub async fn first_events(
    conn: &mut impl Asks,
    request: &[u8],
    window: Duration,
) -> Outcome<Vec<Duration>> {
    let until = clock::now() + window;
    let mut times = Vec::new();
    while clock::now() < until && (times.len() as u64) < MOST {
        times.push(
            conn.ask(request)
                .await?
                .first_event
                .ok_or("a stream without events")?,
        );
    }
    Ok(times)
}

/// Streams that stay open until this value is dropped.
pub struct OpenStreams {
    tasks: JoinSet<Outcome<Answer>>,
    /// The events of all of them.
    seen: Rc<Cell<u64>>,
}

impl OpenStreams {
    /// Opens `count` streams, one a millisecond, and waits until each has brought `events` events.
    pub async fn open(
        address: SocketAddr,
        request: &Rc<[u8]>,
        count: u64,
        events: u64,
    ) -> Outcome<OpenStreams> {
        let (ready, mut readies) = mpsc::unbounded_channel();
        let mut tasks = JoinSet::new();
        let all_seen = Rc::new(Cell::new(0));
        for _ in 0..count {
            let request = request.clone();
            let (ready, all_seen) = (ready.clone(), all_seen.clone());
            tasks.spawn_local(async move {
                let mut conn = Conn::open(address).await?;
                // A thousand large buffers would be the load's memory, not the proxy's, but still too much.
                conn.buffer = vec![0; 4096];
                let (mut told, mut before) = (false, 0);
                conn.exchange(&request, |seen| {
                    all_seen.set(all_seen.get() + seen - before);
                    before = seen;
                    if seen >= events && !told {
                        told = ready.send(()).is_ok();
                    }
                })
                .await
            });
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        drop(ready);
        let all = async {
            for _ in 0..count {
                if readies.recv().await.is_none() {
                    break;
                }
            }
        };
        tokio::time::timeout(PATIENCE, all)
            .await
            .map_err(|_| "the streams did not all start in time")?;
        let mut streams = OpenStreams {
            tasks,
            seen: all_seen,
        };
        streams.check()?;
        Ok(streams)
    }

    /// How many events all of them have brought so far.
    pub fn seen(&self) -> u64 {
        self.seen.get()
    }

    /// Fails if any of them has ended.
    pub fn check(&mut self) -> Outcome<()> {
        match self.tasks.try_join_next() {
            None => Ok(()),
            Some(ended) => {
                ended??;
                Err("a stream ended while it should have been open".into())
            }
        }
    }
}
