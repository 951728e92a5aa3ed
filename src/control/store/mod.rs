//! Where resources are durable: what the admin API creates, and who changed it.
//!
//! A resource is a [`Record`]: a kind, an id and a JSON document that only this room understands. Every
//! [`Commit`] moves the whole store from one revision to the next, and only from the revision that its author had
//! seen: what was checked against all resources is true of all resources. Reading is catching up: [`Store::load`]
//! once, [`Store::since`] from then on.
//!
//! Invariants: revisions grow by one with each commit and never go back; a commit is there as a whole or not at
//! all; a commit that is repeated (after an answer was lost) is applied once. Secrets arrive here encrypted.

use std::collections::HashSet;
use std::sync::Arc;

use async_trait::async_trait;

use tollgate_store::{Database, StoreError};

mod redis;
mod sqlite;

#[cfg(any(test, fuzzing))]
pub(crate) use redis::fuzz;

use redis::RedisStore;
use sqlite::SqliteStore;

/// How many commits a store knows again, the last ones.
pub const REMEMBERED_COMMITS: u64 = 10_000;
/// About how many deletions [`Store::since`] can report, the last ones: whole revisions of them are forgotten.
pub const REMEMBERED_DELETIONS: u64 = 10_000;

/// A resource as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Which kind of resource, as in `access-key`: lowercase letters and `-`.
    pub kind: String,
    /// Unique in its kind; no control characters and no `/`.
    pub id: String,
    /// The revision that wrote it.
    pub revision: u64,
    /// A JSON document; `None`: it was deleted.
    pub body: Option<String>,
}

/// One resource's new document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    /// Which kind of resource.
    pub kind: String,
    /// Its id.
    pub id: String,
    /// The whole new document; `None` deletes.
    pub body: Option<String>,
}

/// What changes at once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Commit {
    /// Random; a repetition has the same.
    pub id: u64,
    /// The new documents; never two of one resource.
    pub writes: Vec<Write>,
    /// What the audit log keeps of it: JSON documents, in order.
    pub audit: Vec<String>,
}

impl Commit {
    /// Returns whether a store may take it; every store asks this first.
    ///
    /// # Errors
    /// [`StoreError::Refused`] if a kind or an id has what it must not, a document is empty, or two writes are of
    /// one resource.
    pub fn check(&self) -> Result<(), StoreError> {
        let mut seen = HashSet::with_capacity(self.writes.len());
        for Write { kind, id, body } in &self.writes {
            let letters = |byte: u8| byte.is_ascii_lowercase() || byte == b'-';
            let bad_id = |char: char| char.is_control() || char == '/';
            let fault = if kind.is_empty() || !kind.bytes().all(letters) {
                "its kind must consist of lowercase letters and `-`"
            } else if id.is_empty() || id.contains(bad_id) {
                "its id must not be empty, and has no `/` and no control characters"
            } else if body.as_ref().is_some_and(String::is_empty) {
                "its document is empty"
            } else if !seen.insert((kind, id)) {
                "it is written twice at once"
            } else {
                continue;
            };
            let message = format!("the resource {kind:?} {id:?} cannot be stored: {fault}");
            return Err(StoreError::Refused(message));
        }
        Ok(())
    }
}

/// What became of a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Committed {
    /// It is stored, and this is the revision it made.
    At(u64),
    /// Nothing was stored: the store is at another revision than expected, this one.
    Behind(u64),
}

/// All resources at one revision.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contents {
    /// Which revision; 0 before the first commit.
    pub revision: u64,
    /// The resources that are there, in no particular order.
    pub records: Vec<Record>,
}

/// What changed after a revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Since {
    /// The last word on every resource that changed, deleted ones included, in the order of their revisions.
    Changes(Contents),
    /// It is not known any more, or the store is older than that revision (it was restored from a backup): load
    /// everything anew.
    Unknown,
}

/// An entry of the audit log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Where it stands; entries before it are older. Opaque, without `/` and spaces.
    pub position: String,
    /// When it was written (Unix time, ms), by the store's clock.
    pub at_ms: u64,
    /// What [`Commit::audit`] said.
    pub body: String,
}

/// Where resources are durable. Every call has a deadline of its own, as all calls of a database have.
#[async_trait]
pub trait Store: Send + Sync {
    /// Everything there is.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] if it was written by a newer version of this program.
    async fn load(&self) -> Result<Contents, StoreError>;

    /// What changed after `revision`. Asking when nothing did is cheap.
    async fn since(&self, revision: u64) -> Result<Since, StoreError>;

    /// Writes, if the store is still at the revision `expected`; all or nothing.
    async fn commit(&self, expected: u64, commit: &Commit) -> Result<Committed, StoreError>;

    /// Returns soon after another process of this store has committed, or never: a hint that makes catching up
    /// quicker, and no more. Commits between two calls may be missed. Never fails.
    async fn changed(&self);

    /// Entries of the audit log, newest first, at most `limit`, older than the one at `before`, which may be
    /// forgotten already.
    ///
    /// # Errors
    /// [`StoreError::Refused`] if `before` is no position.
    async fn audit(&self, before: Option<&str>, limit: usize) -> Result<Vec<Entry>, StoreError>;

    /// Forgets entries of the audit log that are older than `before_ms` (Unix time, ms).
    async fn forget_audit(&self, before_ms: u64) -> Result<(), StoreError>;

    /// Notes when credentials were last used: ids and Unix times (ms). The latest wins. No revision is made.
    async fn mark_used(&self, marks: &[(String, u64)]) -> Result<(), StoreError>;

    /// When each of these was last used (Unix time, ms), in their order.
    async fn last_used(&self, ids: &[String]) -> Result<Vec<Option<u64>>, StoreError>;
}

/// Returns the store that a database keeps; all of one database share its connection.
pub fn on(database: &Database) -> Arc<dyn Store> {
    match database {
        Database::Sqlite(worker) => Arc::new(SqliteStore::new(worker.clone())),
        Database::Redis(redis) => Arc::new(RedisStore::new(redis.clone())),
    }
}

/// What a store says to a position that none of its entries ever had.
fn bad_position(position: &str) -> StoreError {
    StoreError::Refused(format!(
        "{position:?} is no position in the audit log: take one that an entry has"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_store_takes_is_refused() {
        let write = |kind: &str, id: &str, body: Option<&str>| Write {
            kind: kind.to_owned(),
            id: id.to_owned(),
            body: body.map(str::to_owned),
        };
        let check = |writes: Vec<Write>| {
            let commit = Commit {
                writes,
                ..Commit::default()
            };
            commit.check()
        };
        let good = write("access-key", "Größe 1:{a}", Some("{}"));
        assert_eq!(
            check(vec![good.clone(), write("account", "Größe 1:{a}", None)]),
            Ok(())
        );
        for (bad, word) in [
            (write("", "a", None), "kind"),
            (write("Key", "a", None), "kind"),
            (write("a/b", "a", None), "kind"),
            (write("a", "", None), "id"),
            (write("a", "b/c", None), "id"),
            (write("a", "b\n", None), "id"),
            (write("a", "b", Some("")), "empty"),
            (write("access-key", "Größe 1:{a}", None), "twice"),
        ] {
            let Err(StoreError::Refused(message)) = check(vec![good.clone(), bad]) else {
                panic!("{word} is refused");
            };
            assert!(message.contains(word), "{message}");
        }
    }
}
