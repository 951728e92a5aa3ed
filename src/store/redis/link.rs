//! One connection to one server (or to whichever the sentinels name), made when it is needed.
//!
//! Invariants: nothing takes longer than the deadline it is given; at most one connection is being made at a time,
//! and tries that fail are ever farther apart, up to [`LONGEST`]. Between them callers get an error at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use parking_lot::Mutex;
use redis::aio::{ConnectionLike as _, PubSub};
use redis::{Cmd, ErrorKind, ServerErrorKind, Value};
use tokio::time::{sleep_until, timeout_at};

use super::server::{Connected, Server};
use super::settings::Address;
use super::trouble::{Remedy, Trouble};
use tollgate_base::clock;

/// From one try to the next after a first failure; doubles with each more.
const FIRST: Duration = Duration::from_millis(50);
/// At most.
const LONGEST: Duration = Duration::from_secs(1);
/// A connection that was silent for so long is given up, or for half a call's time if that is less: a call that began
/// late says little about it.
const SILENCE: Duration = Duration::from_millis(250);

/// Connections are numbered, to distinguish a new one from an old one.
static CONNECTIONS: AtomicU64 = AtomicU64::new(1);

/// Where a link leads.
pub(super) enum Target {
    /// To this server.
    Server(Server),
    /// To the primary that sentinels know by a name; reached as `primary` is, at another address.
    Primary {
        sentinels: Vec<Server>,
        master: String,
        primary: Server,
    },
}

pub(super) struct Link {
    target: Target,
    /// How long a try may take; it goes on if who asked for it gives up earlier.
    timeout: Duration,
    live: Mutex<Option<Arc<Live>>>,
    /// When to try next; locked during a try.
    next: Arc<tokio::sync::Mutex<Option<Instant>>>,
    /// Tries in a row that came to nothing.
    failures: AtomicU32,
    /// What the last of them came to.
    trouble: Mutex<Option<Trouble>>,
}

/// A connection in use.
struct Live {
    connected: Connected,
    address: Address,
    number: u64,
}

impl Link {
    pub(super) fn new(target: Target, timeout: Duration) -> Arc<Link> {
        Arc::new(Link {
            target,
            timeout,
            live: Mutex::default(),
            next: Arc::default(),
            failures: AtomicU32::new(0),
            trouble: Mutex::default(),
        })
    }

    /// The server of a link that leads to one, else the first sentinel.
    pub(super) fn address(&self) -> &Address {
        match &self.target {
            Target::Server(server) => &server.address,
            Target::Primary {
                sentinels, primary, ..
            } => &sentinels.first().unwrap_or(primary).address,
        }
    }

    /// The number of the connection; `None` while there is none.
    pub(super) fn connection(&self) -> Option<u64> {
        self.live.lock().as_ref().map(|live| live.number)
    }

    /// Sends a command (after `ASKING`, if a node said so) and waits for its answer. Also says on which connection.
    pub(super) async fn send(
        self: &Arc<Self>,
        command: &Cmd,
        asking: bool,
        deadline: Instant,
    ) -> Result<(Value, u64), Trouble> {
        let live = self.connect(deadline).await?;
        let began = clock::now();
        let mut connection = live.connected.connection.clone();
        let request = async move {
            if asking {
                let mut both = redis::pipe();
                both.cmd("ASKING").add_command(command.clone());
                let answers = connection.req_packed_commands(&both, 1, 1).await?;
                return Ok(answers.into_iter().next().unwrap_or(Value::Nil));
            }
            connection.req_packed_command(command).await
        };
        let Ok(answer) = timeout_at(deadline.into(), request).await else {
            if clock::now() >= began + silence(self.timeout) {
                self.lose(&live);
            }
            let message = format!("Redis at {} did not answer in time", live.address);
            return Err(Trouble::away(Remedy::Elsewhere, message));
        };
        match answer.and_then(Value::extract_error) {
            Ok(value) => {
                self.failures.store(0, Ordering::Relaxed);
                Ok((value, live.number))
            }
            Err(error) => {
                let trouble = Trouble::of(&error, &live.address);
                if trouble.remedy == Remedy::Reconnect {
                    *self.trouble.lock() = Some(trouble.clone());
                    self.lose(&live);
                }
                Err(trouble)
            }
        }
    }

    /// Subscribes to a channel of the server that calls go to, on a connection of its own, unless the user may not;
    /// also says the number of the one for calls.
    pub(super) async fn subscribe(
        self: &Arc<Self>,
        channel: &str,
        deadline: Instant,
    ) -> Result<(Option<PubSub>, u64), Trouble> {
        let live = self.connect(deadline).await?;
        let way = match &self.target {
            Target::Server(server) => server,
            Target::Primary { primary, .. } => primary,
        };
        let server = way.at(live.address.clone());
        match timeout_at(deadline.into(), server.subscribe(channel)).await {
            Ok(Ok(subscription)) => Ok((Some(subscription), live.number)),
            Ok(Err(error)) if error.kind() == ErrorKind::Server(ServerErrorKind::NoPerm) => {
                Ok((None, live.number))
            }
            Ok(Err(error)) => Err(Trouble::of(&error, &live.address)),
            Err(_) => Err(self.late()),
        }
    }

    /// Gives a connection up; whoever still waits for an answer on it gets an error.
    fn lose(&self, lost: &Live) {
        let mut live = self.live.lock();
        if live.as_ref().is_some_and(|live| live.number == lost.number) {
            *live = None;
        }
        lost.connected.end();
    }

    async fn connect(self: &Arc<Self>, deadline: Instant) -> Result<Arc<Live>, Trouble> {
        if let Some(live) = self.live.lock().clone() {
            return Ok(live);
        }
        let late = || self.late();
        let locked = timeout_at(deadline.into(), self.next.clone().lock_owned()).await;
        let mut next = locked.map_err(|_| late())?;
        if let Some(live) = self.live.lock().clone() {
            return Ok(live);
        }
        let failures = self.failures.load(Ordering::Relaxed);
        if let Some(at) = next.filter(|at| *at > clock::now()) {
            // After a connection that served, it is worth a wait.
            if failures > 0 || at >= deadline {
                return Err(self.trouble.lock().clone().unwrap_or_else(late));
            }
            sleep_until(at.into()).await;
        }
        *next = Some(clock::now() + pause(failures));
        let link = self.clone();
        // A task of its own: who asked may give up in its middle, and others go on waiting for it.
        let task = tokio::spawn(async move {
            let found = link.try_now().await;
            drop(next);
            found
        });
        match timeout_at(deadline.into(), task).await {
            Ok(Ok(found)) => found,
            _ => Err(late()),
        }
    }

    fn late(&self) -> Trouble {
        let tls = match &self.target {
            Target::Server(server) => server.has_tls(),
            Target::Primary { primary, .. } => primary.has_tls(),
        };
        // A server without TLS waits for more of what it takes for a command.
        let perhaps = if tls { " (does it speak TLS?)" } else { "" };
        let message = format!(
            "Redis at {} did not let us in in time{perhaps}",
            self.address()
        );
        Trouble::away(Remedy::Elsewhere, message)
    }

    async fn try_now(&self) -> Result<Arc<Live>, Trouble> {
        // A success is one that serves; `send` knows.
        self.failures.fetch_add(1, Ordering::Relaxed);
        let tried = tokio::time::timeout(self.timeout, self.target.connect()).await;
        let tried = tried.unwrap_or_else(|_| Err(self.late()));
        match tried {
            Ok((connected, address)) => {
                let number = CONNECTIONS.fetch_add(1, Ordering::Relaxed);
                let live = Arc::new(Live {
                    connected,
                    address,
                    number,
                });
                *self.live.lock() = Some(live.clone());
                Ok(live)
            }
            Err(trouble) => {
                *self.trouble.lock() = Some(trouble.clone());
                Err(trouble)
            }
        }
    }
}

/// From the beginning of a try to the next, after so many failures before it.
pub(super) fn pause(failures: u32) -> Duration {
    FIRST.saturating_mul(1 << failures.min(10)).min(LONGEST)
}

/// How long a connection must have been silent to be given up, where a call may take so long.
fn silence(timeout: Duration) -> Duration {
    SILENCE.min(timeout / 2)
}

impl Target {
    async fn connect(&self) -> Result<(Connected, Address), Trouble> {
        match self {
            Target::Server(server) => reach(server).await,
            Target::Primary {
                sentinels,
                master,
                primary,
            } => {
                let ways = sentinels
                    .iter()
                    .map(|sentinel| by_way_of(sentinel, master, primary));
                first(ways).await
            }
        }
    }
}

/// The first success; if there is none, what all of them say.
async fn first<T>(
    ways: impl Iterator<Item = impl Future<Output = Result<T, Trouble>>>,
) -> Result<T, Trouble> {
    let mut ways: FuturesUnordered<_> = ways.collect();
    let mut said = Vec::new();
    while let Some(done) = ways.next().await {
        match done {
            Ok(found) => return Ok(found),
            Err(trouble) => said.push(trouble.error.to_string()),
        }
    }
    Err(Trouble::away(Remedy::Elsewhere, said.join("; ")))
}

async fn reach(server: &Server) -> Result<(Connected, Address), Trouble> {
    let connected = server.connect().await.map_err(|error| Trouble {
        // Whatever the reason: there is no connection.
        remedy: Remedy::Elsewhere,
        ..Trouble::of(&error, &server.address)
    })?;
    Ok((connected, server.address.clone()))
}

/// Asks a sentinel for the primary, and connects to it if it is one.
async fn by_way_of(
    sentinel: &Server,
    master: &str,
    primary: &Server,
) -> Result<(Connected, Address), Trouble> {
    let (asked, _) = reach(sentinel).await?;
    let question = redis::cmd("SENTINEL")
        .arg("GET-MASTER-ADDR-BY-NAME")
        .arg(master)
        .clone();
    let named: Option<(String, u16)> = ask(&asked, &question, &sentinel.address).await?;
    let Some((host, port)) = named else {
        let message = format!(
            "the sentinel at {} knows no primary `{master}`",
            sentinel.address
        );
        return Err(Trouble::away(Remedy::Elsewhere, message));
    };
    let (connected, address) = reach(&primary.at(Address::new(&host, port))).await?;
    let role: Vec<Value> = ask(&connected, &redis::cmd("ROLE"), &address).await?;
    if role.first() == Some(&Value::BulkString(b"master".to_vec())) {
        return Ok((connected, address));
    }
    let message =
        format!("Redis at {address} is named as the primary by a sentinel, but is not (yet)");
    Err(Trouble::away(Remedy::Elsewhere, message))
}

async fn ask<T: redis::FromRedisValue>(
    connected: &Connected,
    command: &Cmd,
    server: &Address,
) -> Result<T, Trouble> {
    let mut connection = connected.connection.clone();
    let answer: Result<T, _> = command.query_async(&mut connection).await;
    answer.map_err(|error| Trouble::of(&error, server))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tries_are_ever_farther_apart() {
        let pauses: Vec<u128> = (0..7).map(|n| pause(n).as_millis()).collect();
        assert_eq!(pauses, [50, 100, 200, 400, 800, 1000, 1000]);
        assert_eq!(pause(u32::MAX), LONGEST);
    }

    #[test]
    fn a_dead_connection_is_given_up_however_short_calls_are() {
        for (timeout, silent) in [(1, 0), (50, 25), (240, 120), (1_000, 250), (30_000, 250)] {
            let found = silence(Duration::from_millis(timeout));
            assert_eq!(found.as_millis(), silent, "{timeout}");
            assert!(found < Duration::from_millis(timeout), "{timeout}");
        }
    }
}
