//! The bank of a fleet: accounts in Redis 7 or newer, or Valkey; a single server, Sentinel or Cluster.
//!
//! ```text
//!   Bank ──► one script call for an account ──► the server that has its slot ──► a connection, made when needed
//!            lua/*.lua, wire, scripts           servers                          link, server, tls
//! ```
//!
//! What the scripts do to an account is what [`super::account`] does, and atomic: Redis runs one script at a time,
//! and refuses a script as a whole where it could not finish it. Time is the server's.
//!
//! Invariants: an exchange about an account is one command; every call ends within its timeout, whatever Redis does;
//! after trouble the bank comes back by itself. Redis copies to replicas behind the answer: what a fail-over loses
//! is missing as a whole, so that numbers of messages show it and their repetition mends it. While a Cluster moves
//! a slot key by key, no node runs scripts on its accounts: the bank is away for them.

mod cooldowns;
mod keys;
mod link;
mod scripts;
mod server;
mod servers;
mod settings;
mod tls;
mod trouble;
mod wire;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures::future::join_all;
use parking_lot::Mutex;
use redis::{Cmd, Value};

pub use cooldowns::{Cooldowns, SharedCooldown};
pub use settings::{RedisSettings, Topology};

use self::keys::Keys;
use self::link::{Link, Target};
use self::scripts::{Call, MEET, ROLLUPS};
use self::server::Server;
use self::servers::{Cluster, Servers};
use self::trouble::Remedy;
use super::{Bank, BankError, Books, Day, Events, Exchange, NewGrant, Reply, Rollup};
use crate::clock;

/// How many accounts are introduced with one command.
const INTRODUCED: usize = 1000;
/// How many batches of events are fetched with one command.
const PAGE: usize = 16;

/// Accounts in Redis.
pub struct RedisBank {
    redis: Arc<Redis>,
    known: Arc<Mutex<Known>>,
}

/// The servers, and how to talk to them.
struct Redis {
    servers: Servers,
    keys: Keys,
    timeout: Duration,
}

/// What this process has said to the servers about itself.
#[derive(Default)]
struct Known {
    /// Whether no newer version was here when it asked first.
    met: bool,
    /// On which connection all of it was said; a new one may lead to a server that has lost some.
    connection: Option<u64>,
    /// Whether it is being said again.
    busy: bool,
    /// The accounts that were introduced.
    accounts: HashSet<Arc<str>>,
}

impl RedisBank {
    /// Reads the settings. Connects only when it is needed, and again whenever it is.
    ///
    /// # Errors
    /// [`BankError::Refused`] if settings cannot be used; the message says which and why.
    pub fn open(settings: &RedisSettings) -> Result<RedisBank, BankError> {
        let redis = Redis::open(settings)?;
        Ok(RedisBank {
            redis: Arc::new(redis),
            known: Arc::default(),
        })
    }

    /// The cool-downs that replicas share, over the same connections.
    pub fn cooldowns(&self) -> Cooldowns {
        Cooldowns::new(self.redis.clone())
    }

    /// Before the first word about accounts: sees that no newer version was here, and lists the accounts.
    async fn meet(&self, accounts: &[&str], deadline: Instant) -> Result<(), BankError> {
        let connection = self.redis.servers.connection(&self.redis.keys.schema());
        let (met, mut new, again) = {
            let mut known = self.known.lock();
            let new: Vec<Arc<str>> = accounts
                .iter()
                .filter(|account| !known.accounts.contains(**account))
                .map(|account| Arc::from(*account))
                .collect();
            let again =
                known.met && !known.busy && connection.is_some() && connection != known.connection;
            known.busy |= again;
            (known.met, new, again)
        };
        if again {
            self.meet_again();
        }
        new.sort_unstable();
        new.dedup();
        if !met || !new.is_empty() {
            let connection = self.redis.introduce(&new, deadline).await?;
            let mut known = self.known.lock();
            known.accounts.extend(new);
            if !known.met {
                known.met = true;
                known.connection = Some(connection);
                drop(known);
                self.warn_of_eviction();
            }
        }
        Ok(())
    }

    /// Once, beside the calls: a server that makes room by dropping keys drops money.
    fn warn_of_eviction(&self) {
        let redis = self.redis.clone();
        tokio::spawn(async move {
            let question = redis::cmd("INFO").arg("memory").clone();
            let told = redis
                .send(&redis.keys.schema(), &question, redis.deadline())
                .await;
            match told.and_then(wire::read::<String>) {
                Ok(info) if evicts(&info) => log::warn!(
                    "the ledger's Redis may drop any key when its memory is full, and with it money: set its \
                     maxmemory-policy to noeviction"
                ),
                Ok(_) => {}
                Err(error) => log::debug!("how Redis makes room is not known: {error}"),
            }
        });
    }

    /// After a new connection, beside the calls: what was said before may be lost with the old server. Calls do not
    /// wait for it, as in a Cluster they may be about another node.
    fn meet_again(&self) {
        let (redis, known) = (self.redis.clone(), self.known.clone());
        tokio::spawn(async move {
            let accounts: Vec<Arc<str>> = known.lock().accounts.iter().cloned().collect();
            let said = redis.introduce(&accounts, redis.deadline()).await;
            let mut known = known.lock();
            known.busy = false;
            match said {
                Ok(connection) => known.connection = Some(connection),
                // The next call says so.
                Err(BankError::Corrupt(_)) => known.met = false,
                Err(error) => log::debug!("will introduce all accounts again: {error}"),
            }
        });
    }
}

impl Redis {
    fn open(settings: &RedisSettings) -> Result<Redis, BankError> {
        let keys = Keys::new(&settings.prefix)?;
        if settings.timeout.is_zero() {
            let message = "the timeout of the ledger's Redis must be above 0";
            return Err(BankError::Refused(message.to_owned()));
        }
        let trust = || tls::client(settings.ca.as_deref());
        let read = |urls: &[String]| {
            let numbered = urls.iter().zip(1..);
            let servers = numbered.map(|(url, number)| Server::read(url, number, trust));
            let mut servers = servers.collect::<Result<Vec<_>, _>>()?.into_iter();
            let none = || BankError::Refused("the ledger's Redis has no URL".to_owned());
            Ok((servers.next().ok_or_else(none)?, servers))
        };
        let servers = match &settings.topology {
            Topology::Single(url) => {
                let server = Server::read(url, 1, trust)?.with_login(settings);
                Servers::One(Link::new(Target::Server(server), settings.timeout))
            }
            Topology::Sentinel { urls, master } => {
                let (first, others) = read(urls)?;
                let primary = first.without_login().with_login(settings);
                let sentinels = std::iter::once(first).chain(others).collect();
                let master = master.clone();
                let target = Target::Primary {
                    sentinels,
                    master,
                    primary,
                };
                Servers::One(Link::new(target, settings.timeout))
            }
            Topology::Cluster(urls) => {
                let (first, others) = read(urls)?;
                let first = first.with_login(settings);
                let others: Vec<Server> = others.map(|seed| seed.with_login(settings)).collect();
                if first.database() != 0 || others.iter().any(|seed| seed.database() != 0) {
                    let message = "a Redis Cluster has no database but 0";
                    return Err(BankError::Refused(message.to_owned()));
                }
                Servers::Cluster(Arc::new(Cluster::new(first, others, settings.timeout)))
            }
        };
        Ok(Redis {
            servers,
            keys,
            timeout: settings.timeout,
        })
    }

    /// When a call that begins now has to have ended.
    fn deadline(&self) -> Instant {
        clock::now() + self.timeout
    }

    /// Calls a script; also says on which connection.
    async fn call(&self, call: &Call, deadline: Instant) -> Result<(Value, u64), BankError> {
        let (key, servers) = (call.key(), &self.servers);
        let answer = match servers.send(key, &call.by_hash(), deadline).await {
            Err(trouble) if trouble.remedy == Remedy::Text => {
                servers.send(key, &call.by_text(), deadline).await
            }
            answer => answer,
        };
        answer.map_err(|trouble| trouble.error)
    }

    /// Sends a command about one key.
    async fn send(&self, key: &str, command: &Cmd, deadline: Instant) -> Result<Value, BankError> {
        let answer = self.servers.send(key, command, deadline).await;
        answer
            .map(|(value, _)| value)
            .map_err(|trouble| trouble.error)
    }

    /// Sees that no newer version was here, and lists accounts; says on which connection.
    async fn introduce(&self, accounts: &[Arc<str>], deadline: Instant) -> Result<u64, BankError> {
        let keys = [self.keys.schema(), self.keys.shared("accounts")];
        let mut rest = accounts;
        loop {
            // Without accounts one call all the same, for the schema.
            let (some, others) = rest.split_at(rest.len().min(INTRODUCED));
            let mut call = Call::new(&MEET, keys.to_vec());
            some.iter().for_each(|account| call.push(&**account));
            let (_, connection) = self.call(&call, deadline).await?;
            if others.is_empty() {
                return Ok(connection);
            }
            rest = others;
        }
    }

    async fn exchange(
        &self,
        message: &Exchange,
        call: &Call,
        deadline: Instant,
    ) -> Result<Reply, BankError> {
        let (answer, _) = self.call(call, deadline).await?;
        wire::reply(message, answer)
    }
}

#[async_trait]
impl Bank for RedisBank {
    async fn exchange(&self, messages: &[Exchange]) -> Vec<Result<Reply, BankError>> {
        let deadline = self.redis.deadline();
        let calls: Vec<_> = messages
            .iter()
            .map(|message| wire::exchange(&self.redis.keys, message))
            .collect();
        let sound = messages.iter().zip(&calls).filter(|(_, call)| call.is_ok());
        let accounts: Vec<&str> = sound.map(|(message, _)| &*message.account).collect();
        let met = if accounts.is_empty() {
            Ok(())
        } else {
            self.meet(&accounts, deadline).await
        };
        let answers = messages.iter().zip(calls).map(|(message, call)| {
            let met = &met;
            async move {
                let call = call?;
                met.clone()?;
                self.redis.exchange(message, &call, deadline).await
            }
        });
        join_all(answers).await
    }

    async fn grant(&self, account: &str, grant: &NewGrant) -> Result<bool, BankError> {
        check(grant)?;
        let deadline = self.redis.deadline();
        self.meet(&[account], deadline).await?;
        let call = wire::grant(&self.redis.keys, account, grant);
        let (answer, _) = self.redis.call(&call, deadline).await?;
        wire::read(answer)
    }

    async fn accounts(&self) -> Result<Vec<String>, BankError> {
        let deadline = self.redis.deadline();
        self.meet(&[], deadline).await?;
        let key = self.redis.keys.shared("accounts");
        let answer = self
            .redis
            .send(&key, redis::cmd("SMEMBERS").arg(&key), deadline)
            .await?;
        let mut accounts: Vec<String> = wire::read(answer)?;
        accounts.sort_unstable();
        Ok(accounts)
    }

    async fn books(&self, account: &str) -> Result<Books, BankError> {
        let deadline = self.redis.deadline();
        self.meet(&[], deadline).await?;
        let (answer, _) = self
            .redis
            .call(&wire::books(&self.redis.keys, account), deadline)
            .await?;
        wire::read_books(answer)
    }

    async fn rollups(&self, account: &str, from: Day, to: Day) -> Result<Vec<Rollup>, BankError> {
        let deadline = self.redis.deadline();
        self.meet(&[], deadline).await?;
        let names = ["rollups", "days", "costs"].map(|name| self.redis.keys.of(account, name));
        let call = Call::new(&ROLLUPS, names.to_vec()).with(from.0).with(to.0);
        let (answer, _) = self.redis.call(&call, deadline).await?;
        wire::read_rollups(answer)
    }

    async fn events(
        &self,
        account: &str,
        from_ms: u64,
        to_ms: u64,
        at_least: usize,
    ) -> Result<Vec<Events>, BankError> {
        let deadline = self.redis.deadline();
        self.meet(&[], deadline).await?;
        let key = self.redis.keys.of(account, "events");
        let (mut found, mut count, mut offset) = (Vec::new(), 0, 0);
        // Batches that come in between make pages overlap.
        let mut seen = HashSet::new();
        while count < at_least {
            let mut page = redis::cmd("ZREVRANGEBYSCORE");
            page.arg(&key)
                .arg("+inf")
                .arg(from_ms)
                .arg("LIMIT")
                .arg(offset)
                .arg(PAGE);
            let stored: Vec<Vec<u8>> = wire::read(self.redis.send(&key, &page, deadline).await?)?;
            for stored in &stored {
                let (batch, events) = wire::read_events(stored)?;
                if count < at_least && events.from_ms <= to_ms && seen.insert(batch) {
                    count =
                        count.saturating_add(usize::try_from(events.count).unwrap_or(usize::MAX));
                    found.push(events);
                }
            }
            if stored.len() < PAGE {
                break;
            }
            offset += PAGE;
        }
        Ok(found)
    }

    async fn forget_events(&self, account: &str, before_ms: u64) -> Result<(), BankError> {
        let deadline = self.redis.deadline();
        self.meet(&[], deadline).await?;
        let key = self.redis.keys.of(account, "events");
        let mut command = redis::cmd("ZREMRANGEBYSCORE");
        command.arg(&key).arg("-inf").arg(format!("({before_ms}"));
        self.redis.send(&key, &command, deadline).await.map(drop)
    }
}

/// Whether a server that answers this to `INFO memory` makes room by dropping keys that have no end of their own.
fn evicts(info: &str) -> bool {
    info.lines()
        .any(|line| line.starts_with("maxmemory_policy:allkeys"))
}

fn check(grant: &NewGrant) -> Result<(), BankError> {
    use crate::ledger::money::NanoUsd;
    if grant.amount > NanoUsd::ZERO && grant.amount <= NanoUsd::MOST {
        return Ok(());
    }
    Err(BankError::Refused(format!(
        "a grant must be above {} and at most {}, not {}",
        NanoUsd::ZERO,
        NanoUsd::MOST,
        grant.amount
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_that_drops_any_key_is_known() {
        let info = |policy| format!("# Memory\r\nmaxmemory:0\r\nmaxmemory_policy:{policy}\r\n");
        assert!(evicts(&info("allkeys-lru")) && evicts(&info("allkeys-random")));
        assert!(!evicts(&info("noeviction")) && !evicts(&info("volatile-lru")) && !evicts(""));
    }
}
