//! The store in SQLite: resources, the audit log, when credentials were last used.
//!
//! Invariant: a commit is one transaction of the worker, which compares the revision and writes. Only this
//! machine's commands write beside the gateway, so that [`Store::changed`] has nothing to say: catching up is
//! one row.

use std::sync::Arc;

use async_trait::async_trait;
use rusqlite::{OptionalExtension, Result, Row, params};

use super::{
    Commit, Committed, Contents, Entry, REMEMBERED_COMMITS, REMEMBERED_DELETIONS, Record, Since,
    Store, bad_position,
};
use tollgate_store::StoreError;
use tollgate_store::sqlite::{At, Worker};

/// Entries of the audit log that are forgotten in one transaction: the others do not wait long.
const FORGOTTEN_AT_ONCE: i64 = 5_000;

/// A store in a SQLite file; it keeps the file open.
pub(crate) struct SqliteStore {
    worker: Arc<Worker>,
}

impl SqliteStore {
    /// Over the thread that owns the file.
    pub(super) fn new(worker: Arc<Worker>) -> SqliteStore {
        SqliteStore { worker }
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn load(&self) -> Result<Contents, StoreError> {
        self.worker.read(load).await
    }

    async fn since(&self, revision: u64) -> Result<Since, StoreError> {
        self.worker.read(move |at| since(at, revision)).await
    }

    async fn commit(&self, expected: u64, commit: &Commit) -> Result<Committed, StoreError> {
        commit.check()?;
        let new = commit.clone();
        self.worker
            .write(move |at| self::commit(at, expected, &new))
            .await
    }

    async fn changed(&self) {
        std::future::pending().await
    }

    async fn audit(&self, before: Option<&str>, limit: usize) -> Result<Vec<Entry>, StoreError> {
        let before = match before {
            None => i64::MAX,
            Some(position) => position.parse().map_err(|_| bad_position(position))?,
        };
        self.worker.read(move |at| audit(at, before, limit)).await
    }

    async fn forget_audit(&self, before_ms: u64) -> Result<(), StoreError> {
        let some = move |at: At<'_>| {
            at.connection
                .prepare_cached(
                    "DELETE FROM audit WHERE number IN
                     (SELECT number FROM audit WHERE at < ?1 LIMIT ?2)",
                )?
                .execute(params![number(before_ms), FORGOTTEN_AT_ONCE])
        };
        while self.worker.write(some).await? > 0 {}
        Ok(())
    }

    async fn mark_used(&self, marks: &[(String, u64)]) -> Result<(), StoreError> {
        if marks.is_empty() {
            return Ok(());
        }
        let marks = marks.to_vec();
        let note = move |at: At<'_>| {
            let mut statement = at.connection.prepare_cached(
                "INSERT INTO last_used (id, at) VALUES (?1, ?2)
                 ON CONFLICT DO UPDATE SET at = max(at, excluded.at)",
            )?;
            for (id, at_ms) in &marks {
                statement.execute(params![id, number(*at_ms)])?;
            }
            Ok(())
        };
        self.worker.write(note).await
    }

    async fn last_used(&self, ids: &[String]) -> Result<Vec<Option<u64>>, StoreError> {
        let ids = ids.to_vec();
        let find = move |at: At<'_>| {
            let mut statement = at
                .connection
                .prepare_cached("SELECT at FROM last_used WHERE id = ?1")?;
            ids.iter()
                .map(|id| {
                    let found = statement.query_row([id], |row| row.get::<_, i64>(0));
                    found.map(i64::cast_unsigned).optional()
                })
                .collect()
        };
        self.worker.read(find).await
    }
}

/// The revision, and up to which one deletions are forgotten.
fn revision(at: At<'_>) -> Result<(u64, u64)> {
    at.connection
        .prepare_cached("SELECT revision, floor FROM store")?
        .query_row([], |row| {
            let number = |column| row.get::<_, i64>(column).map(i64::cast_unsigned);
            Ok((number(0)?, number(1)?))
        })
}

fn record(row: &Row<'_>) -> Result<Record> {
    Ok(Record {
        kind: row.get(0)?,
        id: row.get(1)?,
        revision: row.get::<_, i64>(2)?.cast_unsigned(),
        body: row.get(3)?,
    })
}

fn load(at: At<'_>) -> Result<Contents> {
    let (revision, _) = revision(at)?;
    let records = at
        .connection
        .prepare_cached("SELECT kind, id, revision, body FROM resources WHERE body IS NOT NULL")?
        .query_map([], record)?
        .collect::<Result<_>>()?;
    Ok(Contents { revision, records })
}

fn since(at: At<'_>, known: u64) -> Result<Since> {
    let (revision, floor) = revision(at)?;
    if known > revision || known < floor {
        return Ok(Since::Unknown);
    }
    let mut records = Vec::new();
    if known < revision {
        records = at
            .connection
            .prepare_cached(
                "SELECT kind, id, revision, body FROM resources WHERE revision > ?1
                 ORDER BY revision, number",
            )?
            .query_map([number(known)], record)?
            .collect::<Result<_>>()?;
    }
    Ok(Since::Changes(Contents { revision, records }))
}

fn commit(at: At<'_>, expected: u64, new: &Commit) -> Result<Committed> {
    let id = new.id.cast_signed();
    let made = at
        .connection
        .prepare_cached("SELECT revision FROM commits WHERE id = ?1")?
        .query_row([id], |row| row.get::<_, i64>(0))
        .optional()?;
    if let Some(made) = made {
        return Ok(Committed::At(made.cast_unsigned()));
    }
    let (revision, _) = revision(at)?;
    if revision != expected {
        return Ok(Committed::Behind(revision));
    }
    let next = revision + 1;
    write(at, next, new)?;
    at.connection
        .prepare_cached("UPDATE store SET revision = ?1")?
        .execute([number(next)])?;
    at.connection
        .prepare_cached("INSERT INTO commits (id, revision) VALUES (?1, ?2)")?
        .execute([id, number(next)])?;
    at.connection
        .prepare_cached("DELETE FROM commits WHERE revision <= ?1")?
        .execute([number(next.saturating_sub(REMEMBERED_COMMITS))])?;
    Ok(Committed::At(next))
}

fn write(at: At<'_>, revision: u64, new: &Commit) -> Result<()> {
    let mut statement = at.connection.prepare_cached(
        "INSERT INTO resources (kind, id, revision, body) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT DO UPDATE SET revision = excluded.revision, body = excluded.body",
    )?;
    for write in &new.writes {
        statement.execute(params![write.kind, write.id, number(revision), write.body])?;
    }
    let mut statement = at
        .connection
        .prepare_cached("INSERT INTO audit (at, body) VALUES (?1, ?2)")?;
    for body in &new.audit {
        statement.execute(params![number(at.now.told), body])?;
    }
    if new.writes.iter().any(|write| write.body.is_none()) {
        forget_deletions(at)?;
    }
    Ok(())
}

/// Forgets all but the last deletions, whole revisions of them.
fn forget_deletions(at: At<'_>) -> Result<()> {
    let floor = at
        .connection
        .prepare_cached(
            "SELECT revision FROM resources WHERE body IS NULL ORDER BY revision DESC
             LIMIT 1 OFFSET ?1",
        )?
        .query_row([number(REMEMBERED_DELETIONS)], |row| row.get::<_, i64>(0))
        .optional()?;
    let Some(floor) = floor else {
        return Ok(());
    };
    at.connection
        .prepare_cached("DELETE FROM resources WHERE body IS NULL AND revision <= ?1")?
        .execute([floor])?;
    at.connection
        .prepare_cached("UPDATE store SET floor = ?1")?
        .execute([floor])
        .map(drop)
}

fn audit(at: At<'_>, before: i64, limit: usize) -> Result<Vec<Entry>> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    at.connection
        .prepare_cached(
            "SELECT number, at, body FROM audit WHERE number < ?1 ORDER BY number DESC LIMIT ?2",
        )?
        .query_map([before, limit], |row| {
            Ok(Entry {
                position: row.get::<_, i64>(0)?.to_string(),
                at_ms: row.get::<_, i64>(1)?.cast_unsigned(),
                body: row.get(2)?,
            })
        })?
        .collect()
}

/// Ordered as it is, unlike the bits of a `u64`.
fn number(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Duration;

    use rusqlite::Connection;
    use tollgate_ledger::NanoUsd;
    use tollgate_ledger::bank::{self, Bank};
    use tollgate_store::sqlite::{Options, STATEMENTS, Synchronous};
    use tollgate_store::{Access, Database};

    use super::*;

    /// The schema of version 1.
    const FIRST: &str = include_str!("../../store/sqlite/migrations/1.sql");

    fn open(path: &Path, options: Options) -> (Arc<dyn Bank>, Arc<dyn Store>) {
        let database = Database::Sqlite(Arc::new(Worker::open(path, options).unwrap()));
        (bank::on(&database), super::super::on(&database))
    }

    #[tokio::test]
    async fn a_file_of_the_first_version_is_migrated_with_what_is_in_it() {
        let folder = tempfile::tempdir().unwrap();
        for access in [Access::Gateway, Access::Command] {
            let path = folder.path().join(format!("{access:?}.db"));
            let old = Connection::open(&path).unwrap();
            old.execute_batch(FIRST).unwrap();
            old.execute_batch(
                "INSERT INTO accounts (number, id, granted, spent, free) VALUES (1, 'a', 70, 20, 50);
                 INSERT INTO grants VALUES (1, 1, 'g', 70, 50, 0, 5, NULL, '');
                 INSERT INTO rollups VALUES (1, 7, 'k', 'p', 'm', 1, 0, 0, 5, 0, 0, 5, 0, 20);",
            )
            .unwrap();
            for (pragma, value) in [("application_id", 0x5447_4C42), ("user_version", 1)] {
                old.pragma_update(None, pragma, value).unwrap();
            }
            // A gateway of that version may go on beside a command of this one.
            let old = Some(old).filter(|_| access == Access::Command);
            let options = Options {
                access,
                timeout: Duration::from_secs(10),
                synchronous: Synchronous::Normal,
            };
            let (bank, store) = open(&path, options);
            let books = bank.books("a").await.unwrap();
            assert_eq!(books.granted, NanoUsd(70), "{access:?}");
            assert_eq!(books.faults(), Vec::<String>::new(), "{access:?}");
            let made = store.commit(0, &Commit::default()).await;
            assert_eq!(made, Ok(Committed::At(1)), "{access:?}");
            drop((store, bank));
            if let Some(old) = old {
                old.execute_batch("UPDATE accounts SET spent = 0").unwrap();
            }
            let (_, store) = open(&path, options);
            let contents = store.load().await.unwrap();
            assert_eq!(contents.revision, 1, "migrated once: {access:?}");
        }
    }

    #[test]
    fn every_statement_stays_prepared() {
        let sources = [
            include_str!("../../ledger/bank/sqlite/image.rs"),
            include_str!("../../ledger/bank/sqlite/rows.rs"),
            include_str!("../../ledger/bank/sqlite/record.rs"),
            include_str!("../../ledger/bank/sqlite/days.rs"),
            include_str!("sqlite.rs"),
            include_str!("../../store/sqlite/worker.rs"),
        ];
        let statements: usize = sources
            .iter()
            .map(|source| source.matches("prepare_cached(").count())
            .sum();
        assert!(statements > 20, "{statements}");
        assert!(
            statements + 5 < STATEMENTS,
            "the cache has room for all {statements}"
        );
    }
}
