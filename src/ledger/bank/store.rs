//! What a bank's store keeps besides money: the resources that the admin API creates, and who changed them.
//!
//! A resource is a [`Record`]: a kind, an id and a JSON document that only [`crate::control`] understands. Every
//! [`Commit`] moves the whole store from one revision to the next, and only from the revision that its author had
//! seen: what was checked against all resources is true of all resources. Reading is catching up: [`Store::load`]
//! once, [`Store::since`] from then on.
//!
//! Invariants: revisions grow by one with each commit and never go back; a commit is there as a whole or not at
//! all; a commit that is repeated (after an answer was lost) is applied once. Secrets arrive here encrypted.

use async_trait::async_trait;

use super::BankError;

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

/// Where resources are durable. Every call has a deadline of its own, as [`super::Bank`]'s calls have.
#[async_trait]
pub trait Store: Send + Sync {
    /// Everything there is.
    ///
    /// # Errors
    /// [`BankError::Corrupt`] if it was written by a newer version of this program.
    async fn load(&self) -> Result<Contents, BankError>;

    /// What changed after `revision`. Asking when nothing did is cheap.
    async fn since(&self, revision: u64) -> Result<Since, BankError>;

    /// Writes, if the store is still at the revision `expected`; all or nothing.
    async fn commit(&self, expected: u64, commit: &Commit) -> Result<Committed, BankError>;

    /// Returns soon after another process of this store has committed, or never: a hint that makes catching up
    /// quicker, and no more. Commits between two calls may be missed. Never fails.
    async fn changed(&self);

    /// Entries of the audit log, newest first, at most `limit`, older than the one at `before`.
    async fn audit(&self, before: Option<&str>, limit: usize) -> Result<Vec<Entry>, BankError>;

    /// Forgets entries of the audit log that are older than `before_ms` (Unix time, ms).
    async fn forget_audit(&self, before_ms: u64) -> Result<(), BankError>;

    /// Notes when credentials were last used: ids and Unix times (ms). The latest wins. No revision is made.
    async fn mark_used(&self, marks: &[(String, u64)]) -> Result<(), BankError>;

    /// When each of these was last used (Unix time, ms), in their order.
    async fn last_used(&self, ids: &[String]) -> Result<Vec<Option<u64>>, BankError>;
}
