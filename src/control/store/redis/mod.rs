//! The store in Redis: resources, the audit log, when credentials were last used. All of it is in one hash slot.
//!
//! Catching up is one call of `since.lua`. Loading reads pages, while others may commit, and then catches up from
//! the revision that it began at: what comes of it is of one revision.
//!
//! Invariants: a commit is one script. The server says which commit made its revision; where that is not the commit
//! that was seen here under the same number (a fail-over lost some, a backup was restored), nothing is known any
//! more and everything is loaded anew.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;
use redis::Value;

use super::{Commit, Committed, Contents, Entry, Record, Since, Store, bad_position};
use tollgate_store::StoreError;
use tollgate_store::redis::{Call, EXACT, News, Redis, read};
use wire::{Changes, Pages};

#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod wire;

const COMMITS: &str = include_str!("lua/commit.lua");

tollgate_store::scripts! {
    COMMIT = "tollgate:commit:1", COMMITS;
    SINCE = "tollgate:since:2", include_str!("lua/since.lua");
    MARK_USED = "tollgate:mark-used:1", include_str!("lua/mark-used.lua");
}

/// More changed resources than these are loaded together with all others.
const MOST_CHANGES: usize = 5_000;
/// How many changed resources one call returns: Redis does nothing else meanwhile.
const AT_ONCE: usize = 500;
/// About how many resources a page has.
const PAGE: usize = 500;
/// How often loading begins anew, because more changed meanwhile than can be returned, or on another server.
const TRIES: u32 = 5;
/// Of how many revisions it is remembered which commit made them, the last ones that were read.
const MARKS: usize = 16;
/// How many marks are sent with one command.
const MARKED: usize = 1_000;

/// A store in Redis.
pub(crate) struct RedisStore {
    redis: Arc<Redis>,
    news: News,
    /// Which commit made a revision.
    marks: Mutex<BTreeMap<u64, String>>,
}

impl RedisStore {
    /// Over the connections of a client.
    pub(super) fn new(redis: Arc<Redis>) -> RedisStore {
        RedisStore {
            news: News::new(redis.clone()),
            redis,
            marks: Mutex::default(),
        }
    }

    fn keys<const N: usize>(&self, names: [&str; N]) -> Vec<String> {
        let keys = &self.redis.keys;
        names.map(|name| keys.shared(name)).to_vec()
    }

    /// Asks for changes, or only for where the store is; also says on which connection. What changes again between two
    /// pages makes them not known.
    async fn ask(&self, known: Option<(u64, &str)>) -> Result<(Changes, u64), StoreError> {
        let (mut answer, connection) = self.page(known, 0).await?;
        let mut told = answer.records.len();
        while told == AT_ONCE && answer.is_known {
            let (page, on) = self.page(known, answer.records.len()).await?;
            told = page.records.len();
            answer.records.extend(page.records);
            answer.is_known = page.is_known
                && (on, page.revision) == (connection, answer.revision)
                && answer.records.len() <= MOST_CHANGES;
        }
        Ok((answer, connection))
    }

    /// One page of changes, behind as many as `offset`.
    async fn page(
        &self,
        known: Option<(u64, &str)>,
        offset: usize,
    ) -> Result<(Changes, u64), StoreError> {
        let names = ["store", "resources", "revisions", "commits"];
        let mut call = Call::new(&SINCE, self.keys(names));
        match known {
            None => call.push(""),
            Some((revision, _)) => call.push(revision),
        }
        call.push(known.map_or("", |(_, mark)| mark));
        call.push(AT_ONCE);
        call.push(offset);
        let (answer, connection) = self.redis.call(&call, self.redis.deadline()).await?;
        Ok((Changes::read(answer)?, connection))
    }

    /// Everything, if that can be had from one server while little changes.
    async fn try_load(&self) -> Result<Option<(Contents, String)>, StoreError> {
        let (begun, connection) = self.ask(None).await?;
        let key = self.redis.keys.shared("resources");
        let mut records: HashMap<(String, String), Record> = HashMap::new();
        let mut pages = Pages::default();
        while let Some(cursor) = pages.next() {
            let mut page = redis::cmd("HSCAN");
            page.arg(&key).arg(cursor).arg("COUNT").arg(PAGE);
            let deadline = self.redis.deadline();
            let (page, on) = self.redis.send_on(&key, &page, deadline).await?;
            if on != connection {
                // Another server counts its pages in another way.
                return Ok(None);
            }
            let found = pages.read(page)?;
            records.extend(found.into_iter().map(named));
        }
        let known = Some((begun.revision, &*begun.mark));
        let (ended, on) = self.ask(known).await?;
        if !ended.is_known || on != connection {
            return Ok(None);
        }
        for record in ended.records {
            if record.body.is_some() {
                let (name, record) = named(record);
                records.insert(name, record);
            } else {
                records.remove(&(record.kind, record.id));
            }
        }
        let contents = Contents {
            revision: ended.revision,
            records: records.into_values().collect(),
        };
        Ok(Some((contents, ended.mark)))
    }

    /// Remembers which commit made a revision.
    fn mark(&self, revision: u64, mark: String) {
        let mut marks = self.marks.lock();
        // Of a server that lost some, later ones are not true any more.
        marks.split_off(&revision);
        marks.insert(revision, mark);
        while marks.len() > MARKS {
            marks.pop_first();
        }
    }
}

fn named(record: Record) -> ((String, String), Record) {
    ((record.kind.clone(), record.id.clone()), record)
}

#[async_trait]
impl Store for RedisStore {
    async fn load(&self) -> Result<Contents, StoreError> {
        for _ in 0..TRIES {
            if let Some((contents, mark)) = self.try_load().await? {
                self.mark(contents.revision, mark);
                return Ok(contents);
            }
        }
        Err(StoreError::Away(format!(
            "the resources in Redis changed too quickly, or their server did, to load them {TRIES} times"
        )))
    }

    async fn since(&self, revision: u64) -> Result<Since, StoreError> {
        let mark = self.marks.lock().get(&revision).cloned();
        let mark = mark.unwrap_or_default();
        let (answer, _) = self.ask(Some((revision, &mark))).await?;
        if !answer.is_known {
            return Ok(Since::Unknown);
        }
        if answer.revision > revision || mark.is_empty() {
            self.mark(answer.revision, answer.mark);
        }
        Ok(Since::Changes(Contents {
            revision: answer.revision,
            records: answer.records,
        }))
    }

    async fn commit(&self, expected: u64, commit: &Commit) -> Result<Committed, StoreError> {
        commit.check()?;
        let names = [
            "store",
            "resources",
            "revisions",
            "deleted",
            "commits",
            "audit",
        ];
        let mut call = Call::new(&COMMIT, self.keys(names));
        call.push(expected);
        call.push(commit.id);
        call.push(self.redis.keys.shared("changed"));
        call.push(commit.writes.len());
        for write in &commit.writes {
            call.push(format!("{}/{}", write.kind, write.id));
            call.push(write.body.as_deref().unwrap_or_default());
        }
        for body in &commit.audit {
            call.push(body);
        }
        let (answer, _) = self.redis.call(&call, self.redis.deadline()).await?;
        let (stored, revision): (bool, u64) = read(answer)?;
        if !stored {
            return Ok(Committed::Behind(revision));
        }
        self.mark(revision, commit.id.to_string());
        Ok(Committed::At(revision))
    }

    async fn changed(&self) {
        self.news.next().await;
    }

    async fn audit(&self, before: Option<&str>, limit: usize) -> Result<Vec<Entry>, StoreError> {
        let end = match before {
            None => "+".to_owned(),
            Some(position) => {
                let numbers = position.split_once('-');
                let is_number = |text: &str| text.parse::<u64>().is_ok();
                numbers
                    .filter(|(ms, number)| is_number(ms) && is_number(number))
                    .ok_or_else(|| bad_position(position))?;
                format!("({position}")
            }
        };
        if limit == 0 || end == "(0-0" {
            return Ok(Vec::new());
        }
        let key = self.redis.keys.shared("audit");
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let mut command = redis::cmd("XREVRANGE");
        command.arg(&key).arg(end).arg("-").arg("COUNT").arg(limit);
        let answer = self.redis.send(&key, &command, self.redis.deadline());
        wire::entries(answer.await?)
    }

    async fn forget_audit(&self, before_ms: u64) -> Result<(), StoreError> {
        let key = self.redis.keys.shared("audit");
        let mut command = redis::cmd("XTRIM");
        command.arg(&key).arg("MINID").arg("=").arg(before_ms);
        let done = self.redis.send(&key, &command, self.redis.deadline());
        done.await.map(drop)
    }

    async fn mark_used(&self, marks: &[(String, u64)]) -> Result<(), StoreError> {
        for some in marks.chunks(MARKED) {
            let mut call = Call::new(&MARK_USED, self.keys(["last-used"]));
            for (id, at_ms) in some {
                call.push(id);
                call.push((*at_ms).min(EXACT));
            }
            self.redis.call(&call, self.redis.deadline()).await?;
        }
        Ok(())
    }

    async fn last_used(&self, ids: &[String]) -> Result<Vec<Option<u64>>, StoreError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let key = self.redis.keys.shared("last-used");
        let mut command = redis::cmd("HMGET");
        command.arg(&key).arg(ids);
        let answer: Value = self
            .redis
            .send(&key, &command, self.redis.deadline())
            .await?;
        read(answer)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{REMEMBERED_COMMITS, REMEMBERED_DELETIONS};
    use super::*;

    #[test]
    fn constants_are_those_of_the_contract() {
        for (name, value) in [
            ("REMEMBERED_COMMITS", REMEMBERED_COMMITS),
            ("REMEMBERED_DELETIONS", REMEMBERED_DELETIONS),
        ] {
            let line = format!("local {name} = {value}\n");
            assert!(COMMITS.contains(&line), "{name}");
        }
    }
}
