//! Batches of usage events as they are read and forgotten, and the ids of their requests.

use std::collections::HashSet;

use futures::{StreamExt as _, TryStreamExt as _, stream};

use tollgate_store::StoreError;
use tollgate_store::redis::{Call, read};

use super::RedisBank;
use super::scripts::EVENTS;
use super::wire::{self, DAY_MS, ID_DAYS};
use crate::bank::Events;
use crate::bank::index::{Span, span};

/// How many batches of events are looked at with the first call, and at most with a later one.
const BATCHES: (usize, usize) = (16, 512);

/// How much later than others a replica may tell of its events.
const LATE_MS: u64 = 60 * 60 * 1_000;

/// Days whose ids are read at once.
const DAYS: usize = 8;

/// Days whose ids are forgotten with one command.
const FORGOTTEN: usize = 500;

impl RedisBank {
    /// Batches that may hold events of a time, the newest first, until they hold enough.
    pub(super) async fn batches(
        &self,
        account: &str,
        (from_ms, to_ms): (u64, u64),
        at_least: usize,
    ) -> Result<Vec<Events>, StoreError> {
        self.meet(&[], self.redis.deadline()).await?;
        let keys = ["events", "state"].map(|part| self.redis.keys.of(account, part));
        let (mut found, mut count, mut seen) = (Vec::new(), 0, HashSet::new());
        let (mut some, most) = BATCHES;
        // A page begins where the last one ended, behind as many of the same end as were looked at.
        let (mut ended, mut offset) = (None, 0);
        while count < at_least {
            let highest = ended.map_or("+inf".to_owned(), |ms: u64| ms.to_string());
            let call = Call::new(&EVENTS, keys.to_vec())
                .with(highest)
                .with(from_ms);
            let call = call.with(offset).with(some).with(to_ms);
            // Each page has a time of its own: there are as many as there was traffic since.
            let (answer, _) = self.redis.call(&call, self.redis.deadline()).await?;
            let page = wire::read_batches(answer)?;
            // Batches that come in between make pages overlap.
            for (batch, events) in page.found {
                if count < at_least && seen.insert(batch) {
                    count =
                        count.saturating_add(usize::try_from(events.count).unwrap_or(usize::MAX));
                    found.push(events);
                }
            }
            if page.looked < some {
                break;
            }
            offset = match ended == Some(page.ended) {
                true => offset + page.looked,
                false => page.same,
            };
            ended = Some(page.ended);
            some = most.min(some * 2);
        }
        Ok(found)
    }

    /// Between which times events of a request ended.
    pub(super) async fn span_of(
        &self,
        account: &str,
        request: &str,
    ) -> Result<Option<Span>, StoreError> {
        self.meet(&[], self.redis.deadline()).await?;
        let days = self.id_days(account, "+inf").await?;
        let ids = |day: u64| async move {
            let key = wire::ids(&self.redis.keys, account, day);
            let question = redis::cmd("GET").arg(&key).clone();
            let answer = self.redis.send(&key, &question, self.redis.deadline());
            read::<Option<Vec<u8>>>(answer.await?)
        };
        let each = stream::iter(days).map(ids).buffer_unordered(DAYS);
        let find = |found: Option<Span>, ids: Option<Vec<u8>>| async move {
            Ok::<_, StoreError>(span(&ids.unwrap_or_default(), request, found))
        };
        let found = each.try_fold(None, find).await?;
        if found.is_some() {
            return Ok(found);
        }
        let state = self.redis.keys.of(account, "state");
        let mut question = redis::cmd("HMGET");
        question
            .arg(&state)
            .arg(&["events", "indexed", "unindexed"]);
        let answer = self.redis.send(&state, &question, self.redis.deadline());
        let [told, indexed, until] = read::<[Option<u64>; 3]>(answer.await?)?;
        // Batches of older versions have no index: a request that is in none may be in any of them.
        let until = until
            .filter(|_| told == indexed)
            .or((told != indexed).then_some(u64::MAX));
        Ok(until.map(|until| (0, until.saturating_add(LATE_MS))))
    }

    /// The days, before another one, of which ids of requests are kept.
    async fn id_days(&self, account: &str, before: &str) -> Result<Vec<u64>, StoreError> {
        let key = self.redis.keys.of(account, ID_DAYS);
        let mut question = redis::cmd("ZRANGEBYSCORE");
        question.arg(&key).arg("-inf").arg(before);
        let answer = self.redis.send(&key, &question, self.redis.deadline());
        read(answer.await?)
    }

    /// Forgets batches that end before a time, and ids of days that do.
    pub(super) async fn forget(&self, account: &str, before_ms: u64) -> Result<(), StoreError> {
        self.meet(&[], self.redis.deadline()).await?;
        let events = self.redis.keys.of(account, "events");
        let before = format!("({}", before_ms / DAY_MS);
        let days = self.id_days(account, &before).await?;
        for some in days.chunks(FORGOTTEN) {
            let mut command = redis::cmd("UNLINK");
            let ids = |day: &u64| wire::ids(&self.redis.keys, account, *day);
            let names: Vec<String> = some.iter().map(ids).collect();
            command.arg(names);
            self.redis
                .send(&events, &command, self.redis.deadline())
                .await?;
        }
        let id_days = self.redis.keys.of(account, ID_DAYS);
        for (key, before) in [(id_days, before), (events, format!("({before_ms}"))] {
            let mut command = redis::cmd("ZREMRANGEBYSCORE");
            command.arg(&key).arg("-inf").arg(before);
            self.redis
                .send(&key, &command, self.redis.deadline())
                .await?;
        }
        Ok(())
    }
}
