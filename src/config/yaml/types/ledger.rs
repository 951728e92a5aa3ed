//! Where money is kept, and what requests are charged.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::yaml::units::{Span, Usd};
use tollgate_base::Secret;

/// Where money is kept, and what requests are charged.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Ledger {
    /// Where money is durable: `sqlite` is a file for one gateway, `redis` is a server that a fleet shares. Default
    /// `sqlite`.
    pub bank: Option<BankKind>,
    /// The file, for `bank: sqlite`.
    pub sqlite: Sqlite,
    /// The server or servers, for `bank: redis`.
    pub redis: Option<Redis>,
    /// Directory of this gateway's journal, which a restart replays; relative to the working directory, on a disk
    /// that survives the process. Default `data/journal`.
    pub journal: Option<PathBuf>,
    /// Whether each entry of the journal waits for the disk: `never` survives the death of the process, `always`
    /// a power cut as well. Default `never`.
    pub fsync: Option<Fsync>,
    /// Whether requests need credits. Default `enforced`.
    pub credits: Option<Credits>,
    /// What every successful request pays for its tokens, prompt and answer: US dollars per million. Default 0.05.
    pub processing_fee: Option<Usd>,
    /// The least that one purchase of credits, granted over the admin API, may be: US dollars. Default 5.00.
    pub minimum_purchase: Option<Usd>,
    /// What happens when the bank cannot be reached and the money borrowed from it is used up. Default `deny`.
    pub when_unreachable: Option<Unreachable>,
    /// For `when_unreachable: allow`: US dollars that each gateway lets each account spend meanwhile. Default 1.00.
    pub allow_up_to: Option<Usd>,
    /// US dollars that the requests in flight of an account may cost at most beyond what is held for them, over all
    /// gateways: the most that it can be overdrawn by. One that does not fit in is held at its worst case, or refused.
    /// Default 1.00.
    pub overdraft: Option<Usd>,
    /// How often what was settled is given to the bank. Default 500ms.
    pub flush: Option<Span>,
    /// How long borrowed money is lent for; it is prolonged all the while the gateway runs. Default 60s.
    pub lease: Option<Span>,
    /// How long a call of the bank may take. Default 1s.
    pub timeout: Option<Span>,
    /// How long usage events are kept; daily totals are kept for ever. Default 30d.
    pub retention: Option<Span>,
    /// Whether a running stream is ended when its account's money is gone. Default false.
    pub cut_off: Option<bool>,
    /// How long an answer is read on for its usage once its client has left, at most 5m. If none comes in time, the
    /// answer costs what was held for it, at least; with 0s it does at once. Default 20s.
    pub usage_grace: Option<Span>,
}

/// Where money is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum BankKind {
    /// A file, for one gateway.
    Sqlite,
    /// A server, for a fleet.
    Redis,
}

/// The file of the SQLite bank.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Sqlite {
    /// The database; relative to the working directory. Default `data/tollgate.db`.
    pub path: Option<PathBuf>,
}

/// The servers of the Redis bank (Redis 7 or later, or Valkey): one of `url`, `cluster` and `sentinels`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Redis {
    /// One server: `redis://host:6379`, `rediss://host:6379` with TLS. It may name a database (`/1`), and bring a
    /// user and a password.
    pub url: Option<Secret>,
    /// Some nodes of a Cluster; the others are learned from them.
    pub cluster: Option<Vec<String>>,
    /// The Sentinels that know which server is the primary.
    pub sentinels: Option<Vec<String>>,
    /// The primary's name, as the Sentinels know it.
    pub master: Option<String>,
    /// Who logs in. Default: the user `default`.
    pub username: Option<String>,
    /// The password: `${ENVIRONMENT_VARIABLE}`, `file:/path` (relative to this file), or the text itself.
    pub password: Option<Secret>,
    /// PEM file with the certificate authorities to trust for `rediss`, instead of the system's; relative to this
    /// file.
    pub ca: Option<PathBuf>,
    /// What every key begins with, so that several fleets can share a server. Default `tollgate`.
    pub prefix: Option<String>,
}

/// Whether the journal waits for the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Fsync {
    /// A process that dies loses nothing; a machine that loses power may.
    Never,
    /// Every entry is on the disk before its request goes on.
    Always,
}

/// Whether requests need credits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Credits {
    /// A request that its account cannot pay is refused.
    #[default]
    Enforced,
    /// Requests are charged, and none is refused for want of credits.
    Metered,
    /// There is no ledger: nothing is charged, counted towards limits, stored or opened.
    Off,
}

/// What happens when the bank cannot be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Unreachable {
    /// Requests that the borrowed money cannot pay are answered 503.
    Deny,
    /// They are served, up to `allow_up_to`.
    Allow,
}
