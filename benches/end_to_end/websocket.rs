//! A turn over WebSocket beside the same request over HTTP, of one gateway; and what an idle socket takes beside an idle
//! connection of bare Pingora.
//!
//! Invariant: every repetition of turns is made of short slices, in each of which both are asked, each time beginning with
//! the other, so drift of the machine falls on both. Memory is a fresh process's, and one after another is answered, so
//! that what is counted is what idle connections keep.

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use tollgate_wire::Surface;

use crate::lab::{Kind, Lab, Proxy};
use crate::load::{self, Asks, Conn, Socket, Tally};
use crate::measures::{BURST, SHORT, as_f64, check_events, hundredth, per};
use crate::procfs::{self, Cpu};
use crate::prompts::Events;
use crate::report::{Metric, Row};
use crate::{Options, Outcome};

/// The name of these measures.
pub const NAME: &str = "websocket";

/// Connections of each kind.
const CONNECTIONS: usize = 8;
/// Slices of a repetition.
const SLICES: u32 = 12;
/// Idle at once.
const IDLE: u64 = 1_000;
/// Answered before memory is read first.
const WARM: u32 = 50;
/// After the last answer until memory is read.
const SETTLED: Duration = Duration::from_millis(500);

/// The gateway whose provider offers the client's API.
const GATEWAY: Kind = Kind::Offering(Surface::Responses);

/// What turns use: CPU time a turn, µs, of it outside the kernel, and the median time to the first event, µs.
type Figures = [f64; 3];

/// Rows of short turns and long ones, beside as many requests over HTTP. In a self check both are over HTTP.
pub async fn turns(lab: &Lab, options: &Options) -> Outcome<Vec<Row>> {
    let proxy = lab.start(GATEWAY).await?;
    eprintln!("{NAME}: the gateway is process {}", proxy.child.pid());
    let mut short = [
        Metric::ratio("a turn of 3 deltas: CPU", "µs", None),
        Metric::ratio("a turn of 3 deltas: of it outside the kernel", "µs", None),
        Metric::difference("a turn of 3 deltas: first event, median", "µs", None),
    ]
    .map(Row::new);
    let mut long = [
        Metric::ratio("a turn of 500 deltas: CPU", "µs", None),
        Metric::ratio("a turn of 500 deltas: of it outside the kernel", "µs", None),
        Metric::difference("a turn of 500 deltas: first event, median", "µs", None),
    ]
    .map(Row::new);
    for repetition in 0..options.repetitions() {
        for (rows, events) in [(&mut short, SHORT), (&mut long, BURST)] {
            let [http, socket] = one_repetition(lab, &proxy, options, events).await?;
            eprintln!(
                "{NAME} {}/{}: a turn of {} deltas: {:.1} and {:.1} µs, × {:.3}",
                repetition + 1,
                options.repetitions(),
                events.count,
                http[0],
                socket[0],
                socket[0] / http[0],
            );
            for (row, pair) in rows.iter_mut().zip(http.into_iter().zip(socket)) {
                row.pairs.push(pair);
            }
        }
    }
    Ok(short.into_iter().chain(long).collect())
}

/// Over HTTP, and over WebSocket.
async fn one_repetition(
    lab: &Lab,
    proxy: &Proxy,
    options: &Options,
    events: Events,
) -> Outcome<[Figures; 2]> {
    let window = options.window() / SLICES / 2;
    let request: Rc<[u8]> = lab.request_on(Surface::Responses, events).into();
    let conns = open(CONNECTIONS, async || Conn::open(proxy.address).await).await?;
    let mut http = Side::new(proxy, events, conns, request.clone());
    if options.self_check {
        let conns = open(CONNECTIONS, async || Conn::open(proxy.address).await).await?;
        let mut again = Side::new(proxy, events, conns, request);
        return beside(&mut http, &mut again, window).await;
    }
    let (handshake, event) = lab.websocket(events)?;
    let sockets = open(CONNECTIONS, async || {
        Socket::open(proxy.address, &handshake).await
    });
    let mut socket = Side::new(proxy, events, sockets.await?, event.into());
    beside(&mut http, &mut socket, window).await
}

/// Asks both in turn.
async fn beside<A: Asks, B: Asks>(
    first: &mut Side<'_, A>,
    second: &mut Side<'_, B>,
    window: Duration,
) -> Outcome<[Figures; 2]> {
    // Not counted: tables and pools are filled.
    load::closed_loop(&mut first.conns, &first.request, window).await?;
    load::closed_loop(&mut second.conns, &second.request, window).await?;
    for slice in 0..SLICES {
        if slice % 2 == 0 {
            first.slice(window).await?;
            second.slice(window).await?;
        } else {
            second.slice(window).await?;
            first.slice(window).await?;
        }
    }
    Ok([first.figures()?, second.figures()?])
}

/// One of the two while it is measured.
struct Side<'a, C> {
    proxy: &'a Proxy,
    events: Events,
    conns: Vec<C>,
    request: Rc<[u8]>,
    tally: Tally,
    used: [Duration; 2],
    times: Vec<Duration>,
}

impl<'a, C: Asks> Side<'a, C> {
    fn new(proxy: &'a Proxy, events: Events, conns: Vec<C>, request: Rc<[u8]>) -> Side<'a, C> {
        Side {
            proxy,
            events,
            conns,
            request,
            tally: Tally::default(),
            used: [Duration::ZERO; 2],
            times: Vec::new(),
        }
    }

    /// As fast as they go over all connections, and then one after another over one.
    async fn slice(&mut self, window: Duration) -> Outcome<()> {
        let before = Cpu::read(self.proxy.child.pid())?;
        let tally = load::closed_loop(&mut self.conns, &self.request, window).await?;
        let used = Cpu::read(self.proxy.child.pid())?.since(&before);
        self.tally.answers += tally.answers;
        self.tally.events += tally.events;
        self.used[0] += used.total;
        self.used[1] += used.user;
        let conn = self.conns.first_mut().ok_or("no connection is open")?;
        self.times
            .extend(load::first_events(conn, &self.request, window / 2).await?);
        Ok(())
    }

    fn figures(&mut self) -> Outcome<Figures> {
        check_events(self.tally.events, self.tally.answers, self.events)?;
        self.times.sort_unstable();
        let [total, user] = self.used.map(|used| per(used, self.tally.answers));
        Ok([total, user, hundredth(&self.times, 50)])
    }
}

/// Rows of what a thousand of them keep, each of which was answered once.
pub async fn idle(lab: &Lab, options: &Options) -> Outcome<Vec<Row>> {
    let label = "an idle connection: the gateway's over HTTP";
    let mut http = Row::new(Metric::difference(label, "KiB", None));
    let label = "an idle connection: its WebSocket, before a turn";
    let mut fresh = Row::new(Metric::difference(label, "KiB", Some(20.0)));
    let label = "an idle connection: its WebSocket, after one";
    let mut used = Row::new(Metric::difference(label, "KiB", Some(20.0)));
    let request = lab.request_on(Surface::Responses, SHORT);
    let (handshake, event) = lab.websocket(SHORT)?;
    let of_http = async |address| Conn::open(address).await;
    let of_socket = async |address| Socket::open(address, &handshake).await;
    let other = if options.self_check {
        Kind::Bare
    } else {
        GATEWAY
    };
    for repetition in 0..options.repetitions() {
        let bare = kept(lab, Kind::Bare, of_http, &request, true).await?;
        http.pairs
            .push((bare, kept(lab, other, of_http, &request, true).await?));
        if !options.self_check {
            let before = kept(lab, other, of_socket, &event, false).await?;
            let after = kept(lab, other, of_socket, &event, true).await?;
            eprintln!(
                "{NAME} {}/{}: an idle connection takes {bare:.1} KiB of bare Pingora's, a socket {before:.1} and {after:.1}",
                repetition + 1,
                options.repetitions(),
            );
            fresh.pairs.push((bare, before));
            used.pairs.push((bare, after));
        }
    }
    let rows = [http, fresh, used].into_iter();
    Ok(rows.filter(|row| !row.pairs.is_empty()).collect())
}

/// KiB of a fresh proxy's resident memory for each of its idle connections.
async fn kept<C: Asks>(
    lab: &Lab,
    kind: Kind,
    connect: impl AsyncFn(SocketAddr) -> Outcome<C>,
    request: &[u8],
    asks: bool,
) -> Outcome<f64> {
    let proxy = lab.start(kind).await?;
    let mut warm = connect(proxy.address).await?;
    for _ in 0..WARM {
        warm.ask(request).await?;
    }
    tokio::time::sleep(SETTLED).await;
    let before = procfs::resident_kib(proxy.child.pid())?;
    let mut conns = open(usize::try_from(IDLE)?, async || {
        connect(proxy.address).await
    })
    .await?;
    for conn in conns.iter_mut().filter(|_| asks) {
        conn.ask(request).await?;
    }
    tokio::time::sleep(SETTLED).await;
    let after = procfs::resident_kib(proxy.child.pid())?;
    Ok((after - before) / as_f64(IDLE))
}

/// So many connections.
async fn open<C>(count: usize, connect: impl AsyncFn() -> Outcome<C>) -> Outcome<Vec<C>> {
    let mut conns = Vec::with_capacity(count);
    for _ in 0..count {
        conns.push(connect().await?);
    }
    Ok(conns)
}
