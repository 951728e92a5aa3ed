//! A bank's store in memory, as plainly as it can be said.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;
use tollgate_base::clock;
use tollgate_control::store::Store;
use tollgate_control::store::{
    Commit, Committed, Contents, Entry, REMEMBERED_COMMITS, REMEMBERED_DELETIONS, Record, Since,
};
use tollgate_store::StoreError;

#[derive(Clone, Default)]
pub struct MemoryStore(Arc<Mutex<Kept>>);

#[derive(Default)]
struct Kept {
    revision: u64,
    /// Deletions up to this revision are forgotten.
    floor: u64,
    records: BTreeMap<(String, String), Record>,
    commits: BTreeMap<u64, u64>,
    audit: Vec<Entry>,
    last: u64,
    used: BTreeMap<String, u64>,
}

impl Kept {
    fn records(&self, which: impl Fn(&Record) -> bool) -> Contents {
        let mut records: Vec<Record> = self
            .records
            .values()
            .filter(|r| which(r))
            .cloned()
            .collect();
        records.sort_by_key(|record| record.revision);
        Contents {
            revision: self.revision,
            records,
        }
    }

    fn forget_deletions(&mut self) {
        let deleted = self.records.values().filter(|record| record.body.is_none());
        let mut revisions: Vec<u64> = deleted.map(|record| record.revision).collect();
        revisions.sort_unstable_by(|a, b| b.cmp(a));
        let most = usize::try_from(REMEMBERED_DELETIONS).unwrap();
        if let Some(floor) = revisions.get(most).copied() {
            self.records
                .retain(|_, record| record.body.is_some() || record.revision > floor);
            self.floor = floor;
        }
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn load(&self) -> Result<Contents, StoreError> {
        Ok(self.0.lock().records(|record| record.body.is_some()))
    }

    async fn since(&self, revision: u64) -> Result<Since, StoreError> {
        let kept = self.0.lock();
        if revision > kept.revision || revision < kept.floor {
            return Ok(Since::Unknown);
        }
        Ok(Since::Changes(
            kept.records(|record| record.revision > revision),
        ))
    }

    async fn commit(&self, expected: u64, commit: &Commit) -> Result<Committed, StoreError> {
        commit.check()?;
        let mut kept = self.0.lock();
        if let Some(made) = kept.commits.get(&commit.id) {
            return Ok(Committed::At(*made));
        }
        if kept.revision != expected {
            return Ok(Committed::Behind(kept.revision));
        }
        kept.revision += 1;
        let revision = kept.revision;
        for write in &commit.writes {
            let record = Record {
                kind: write.kind.clone(),
                id: write.id.clone(),
                revision,
                body: write.body.clone(),
            };
            kept.records
                .insert((write.kind.clone(), write.id.clone()), record);
        }
        for body in &commit.audit {
            kept.last += 1;
            let entry = Entry {
                position: kept.last.to_string(),
                at_ms: clock::wall_ms(),
                body: body.clone(),
            };
            kept.audit.push(entry);
        }
        kept.forget_deletions();
        kept.commits.insert(commit.id, revision);
        kept.commits
            .retain(|_, made| *made + REMEMBERED_COMMITS > revision);
        Ok(Committed::At(revision))
    }

    async fn changed(&self) {
        std::future::pending().await
    }

    async fn audit(&self, before: Option<&str>, limit: usize) -> Result<Vec<Entry>, StoreError> {
        let before: u64 = match before {
            None => u64::MAX,
            Some(text) => text
                .parse()
                .map_err(|_| StoreError::Refused(format!("{text} is no position")))?,
        };
        let kept = self.0.lock();
        let older = kept.audit.iter().rev();
        let older = older.filter(|entry| entry.position.parse::<u64>().unwrap() < before);
        Ok(older.take(limit).cloned().collect())
    }

    async fn forget_audit(&self, before_ms: u64) -> Result<(), StoreError> {
        self.0.lock().audit.retain(|entry| entry.at_ms >= before_ms);
        Ok(())
    }

    async fn mark_used(&self, marks: &[(String, u64)]) -> Result<(), StoreError> {
        let mut kept = self.0.lock();
        for (id, at_ms) in marks {
            let known = kept.used.entry(id.clone()).or_default();
            *known = (*known).max(*at_ms);
        }
        Ok(())
    }

    async fn last_used(&self, ids: &[String]) -> Result<Vec<Option<u64>>, StoreError> {
        let kept = self.0.lock();
        Ok(ids.iter().map(|id| kept.used.get(id).copied()).collect())
    }
}
