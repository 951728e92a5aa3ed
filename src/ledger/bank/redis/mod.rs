//! The bank of a fleet: accounts in Redis 7 or newer, or Valkey; a single server, Sentinel or Cluster.
//!
//! What the scripts do to an account is what [`super::account`] does, and atomic: Redis runs one script at a time,
//! and refuses a script as a whole where it could not finish it. Time is the server's, as this process has watched it.
//!
//! Invariant: an exchange about an account is one command. Redis copies to replicas behind the answer: what a fail-over loses
//! is missing as a whole, so that numbers of messages show it and their repetition mends it.

mod batches;
mod days;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod scripts;
mod wire;

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use futures::future::join_all;
use parking_lot::Mutex;

use tollgate_store::StoreError;
use tollgate_store::redis::{Call, Redis, read};

use self::scripts::{FORGET, MEET};
use super::sealed::{self, Part};
use super::{
    Bank, Books, CreditStore, Day, EventReader, Events, Exchange, MOST_USED, Meter, NewGrant,
    Reply, Rollup, TAG,
};
use crate::NanoUsd;

/// How many accounts are introduced with one command.
const INTRODUCED: usize = 1000;

/// How many limits are forgotten with one call: Redis does nothing else meanwhile.
const FORGOTTEN: usize = 100;

/// How many limits are asked for with one command.
const METERS: usize = 500;

/// How many fields of limits are looked at with one command.
const SCANNED: usize = 1_000;

/// Accounts in Redis.
pub struct RedisBank {
    redis: Arc<Redis>,
    known: Arc<Mutex<Known>>,
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
    /// Returns a bank on servers.
    pub fn new(redis: Arc<Redis>) -> RedisBank {
        RedisBank {
            redis,
            known: Arc::default(),
        }
    }

    /// Before the first word about accounts: sees that no newer version was here, and lists the accounts.
    async fn meet(&self, accounts: &[&str], deadline: Instant) -> Result<(), StoreError> {
        let connection = self.redis.connection(&self.redis.keys.schema());
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
        if !met {
            self.redis.recall(deadline).await?;
        }
        if !met || !new.is_empty() {
            let connection = introduce(&self.redis, &new, deadline).await?;
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
            match told.and_then(read::<String>) {
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
            let said = introduce(&redis, &accounts, redis.deadline()).await;
            let mut known = known.lock();
            known.busy = false;
            match said {
                Ok(connection) => known.connection = Some(connection),
                // The next call says so.
                Err(StoreError::Corrupt(_)) => known.met = false,
                Err(error) => log::debug!("will introduce all accounts again: {error}"),
            }
        });
    }

    /// The meters whose subjects begin so, and when their windows began (Unix time, s). Redis is asked for some at a time.
    async fn meters(
        &self,
        account: &str,
        subject: &str,
    ) -> Result<BTreeMap<Meter, u64>, StoreError> {
        self.meet(&[], self.redis.deadline()).await?;
        let key = self.redis.keys.of(account, "meters");
        let (mut found, mut cursor) = (BTreeMap::new(), "0".to_owned());
        loop {
            let mut question = redis::cmd("HSCAN");
            question.arg(&key).arg(&cursor);
            question.arg("MATCH").arg(wire::beginning(subject));
            question.arg("COUNT").arg(SCANNED);
            let answer = self.redis.send(&key, &question, self.redis.deadline());
            let (next, fields): (String, Vec<String>) = read(answer.await?)?;
            found.extend(fields.chunks(2).filter_map(wire::window));
            if next == "0" {
                return Ok(found);
            }
            cursor = next;
        }
    }
}

#[async_trait]
impl CreditStore for RedisBank {
    async fn exchange(&self, messages: &[Exchange]) -> Vec<Result<Reply, StoreError>> {
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
                let call = wire::timed(call, self.redis.moment());
                let (answer, _) = self.redis.call(&call, deadline).await?;
                wire::reply(message, answer)
            }
        });
        join_all(answers).await
    }

    fn connection(&self, account: &str) -> Option<u64> {
        self.redis.connection(&self.redis.keys.of(account, "state"))
    }

    async fn grant(&self, account: &str, grant: &NewGrant) -> Result<bool, StoreError> {
        grant.check()?;
        let deadline = self.redis.deadline();
        self.meet(&[account], deadline).await?;
        let call = wire::grant(&self.redis.keys, account, grant);
        let call = wire::timed(call, self.redis.moment());
        let (answer, _) = self.redis.call(&call, deadline).await?;
        read(answer)
    }

    async fn books(&self, account: &str) -> Result<Books, StoreError> {
        let deadline = self.redis.deadline();
        self.meet(&[], deadline).await?;
        let call = wire::timed(wire::books(&self.redis.keys, account), self.redis.moment());
        let (answer, _) = self.redis.call(&call, deadline).await?;
        wire::read_books(answer)
    }
}

#[async_trait]
impl Bank for RedisBank {
    async fn accounts(&self) -> Result<Vec<String>, StoreError> {
        let deadline = self.redis.deadline();
        self.meet(&[], deadline).await?;
        let key = self.redis.keys.shared("accounts");
        let answer = self
            .redis
            .send(&key, redis::cmd("SMEMBERS").arg(&key), deadline)
            .await?;
        let mut accounts: Vec<String> = read(answer)?;
        accounts.sort_unstable();
        Ok(accounts)
    }

    async fn rollups(&self, account: &str, from: Day, to: Day) -> Result<Vec<Rollup>, StoreError> {
        self.part(account, Part::Each, (from, to)).await
    }

    async fn rollups_by_model(
        &self,
        account: &str,
        from: Day,
        to: Day,
    ) -> Result<Vec<Rollup>, StoreError> {
        self.part(account, Part::ByModel, (from, to)).await
    }

    async fn tag_rollups(
        &self,
        account: &str,
        name: &str,
        from: Day,
        to: Day,
    ) -> Result<Vec<Rollup>, StoreError> {
        let rows = self.part(account, Part::ByTag, (from, to)).await?;
        Ok(sealed::of_tag(rows, name))
    }

    async fn recounted(&self, account: &str) -> Result<NanoUsd, StoreError> {
        self.recount(account).await
    }

    async fn used(&self, account: &str, meters: &[Meter]) -> Result<Vec<(u64, i64)>, StoreError> {
        self.meet(&[], self.redis.deadline()).await?;
        let key = self.redis.keys.of(account, "meters");
        let mut found = Vec::with_capacity(meters.len());
        for some in meters.chunks(METERS) {
            let mut question = redis::cmd("HMGET");
            question.arg(&key);
            for meter in some {
                let name = meter.to_string();
                question.arg(&name).arg(format!("{name}:used"));
            }
            let deadline = self.redis.deadline();
            let answer = self.redis.send(&key, &question, deadline).await?;
            found.extend(wire::read_used(answer, some.len())?);
        }
        Ok(found)
    }

    async fn most_used(
        &self,
        account: &str,
        budget: &Meter,
        window: u64,
        least: i64,
    ) -> Result<Vec<(Arc<str>, i64)>, StoreError> {
        let meters = self.meters(account, &budget.subject).await?;
        let meters: Vec<Meter> = meters
            .into_iter()
            .filter(|(meter, begun)| meter.measure == budget.measure && *begun == window)
            .map(|(meter, _)| meter)
            .collect();
        let used = self.used(account, &meters).await?;
        let each = meters.into_iter().zip(used);
        let mut each: Vec<(Arc<str>, i64)> = each
            .filter(|(_, (begun, used))| *begun == window && *used >= least)
            .map(|(meter, (_, used))| (meter.subject, used))
            .collect();
        each.sort_by_key(|(_, used)| Reverse(*used));
        each.truncate(MOST_USED);
        Ok(each)
    }

    async fn forget_meters(&self, account: &str, now: u64) -> Result<(), StoreError> {
        let all = self.meters(account, TAG).await?;
        let over: Vec<(Meter, u64)> = all
            .into_iter()
            .filter(|(meter, window)| meter.is_over(*window, now))
            .collect();
        let key = self.redis.keys.of(account, "meters");
        for some in over.chunks(FORGOTTEN) {
            let mut call = Call::new(&FORGET, vec![key.clone()]);
            for (meter, window) in some {
                call.push(meter.to_string());
                call.push(*window);
            }
            self.redis.call(&call, self.redis.deadline()).await?;
        }
        Ok(())
    }

    async fn forget_events(&self, account: &str, before_ms: u64) -> Result<(), StoreError> {
        self.forget(account, before_ms).await
    }
}

#[async_trait]
impl EventReader for RedisBank {
    async fn events(
        &self,
        account: &str,
        from_ms: u64,
        to_ms: u64,
        at_least: usize,
    ) -> Result<Vec<Events>, StoreError> {
        self.batches(account, (from_ms, to_ms), at_least).await
    }

    async fn request_span(
        &self,
        account: &str,
        request: &str,
    ) -> Result<Option<(u64, u64)>, StoreError> {
        self.span_of(account, request).await
    }
}

/// Sees that no newer version was here, and lists accounts; says on which connection.
async fn introduce(
    redis: &Redis,
    accounts: &[Arc<str>],
    deadline: Instant,
) -> Result<u64, StoreError> {
    let keys = [redis.keys.schema(), redis.keys.shared("accounts")];
    let mut rest = accounts;
    loop {
        // Without accounts one call all the same, for the schema.
        let (some, others) = rest.split_at(rest.len().min(INTRODUCED));
        let mut call = Call::new(&MEET, keys.to_vec());
        some.iter().for_each(|account| call.push(&**account));
        let (_, connection) = redis.call(&call, deadline).await?;
        if others.is_empty() {
            return Ok(connection);
        }
        rest = others;
    }
}

/// Whether a server that answers this to `INFO memory` makes room by dropping keys that have no end of their own.
fn evicts(info: &str) -> bool {
    info.lines()
        .any(|line| line.starts_with("maxmemory_policy:allkeys"))
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
