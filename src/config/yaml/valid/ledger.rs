//! Where money is kept, and what requests are charged: resolved and checked.

use std::path::PathBuf;
use std::time::Duration;

use crate::yaml::types::Credits;
use tollgate_ledger::NanoUsd;
use tollgate_store::redis::RedisSettings;

/// Where money is kept, and what requests are charged. Relative paths are relative to the working directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ledger {
    /// Where money is durable.
    pub bank: BankChoice,
    /// SHA-256 of the bank's own certificate authorities, if it has any: they are read at the start.
    pub redis_ca: Option<[u8; 32]>,
    /// Directory of this replica's journal.
    pub journal: PathBuf,
    /// Whether every entry of the journal is synced to the disk.
    pub fsync: bool,
    /// Whether requests need credits; with [`Credits::Off`] nothing of the ledger is opened, whatever else is here.
    pub credits: Credits,
    /// Pico-dollars per token, prompt and answer.
    pub processing_fee: u64,
    /// The least that one purchase of credits may be; above 0.
    pub minimum_purchase: NanoUsd,
    /// What happens when the bank is away and the allotment, the money borrowed from it, is used up.
    pub when_unreachable: WhenUnreachable,
    /// How often what was settled is given to the bank; more than 0.
    pub flush: Duration,
    /// What the requests in flight of an account may cost at most beyond what is held for them; at least 0.
    pub overdraft: NanoUsd,
    /// How long an allotment is lent for; at least three times `flush`, and three times `timeout`.
    pub lease: Duration,
    /// How long a call of the bank may take; more than 0.
    pub timeout: Duration,
    /// How long usage events are kept; more than 0.
    pub retention: Duration,
    /// Whether a running stream is ended when its account's money is gone.
    pub cut_off: bool,
    /// How long an answer is read on for its usage once its client has left; at most 5 minutes, 0 is not at all.
    pub usage_grace: Duration,
}

impl Default for Ledger {
    fn default() -> Self {
        Ledger {
            bank: BankChoice::Sqlite {
                path: "data/tollgate.db".into(),
            },
            redis_ca: None,
            journal: "data/journal".into(),
            fsync: false,
            credits: Credits::Enforced,
            processing_fee: 50_000,
            minimum_purchase: NanoUsd(5 * NanoUsd::DOLLAR.0),
            when_unreachable: WhenUnreachable::Deny,
            flush: Duration::from_millis(500),
            lease: Duration::from_secs(60),
            timeout: Duration::from_secs(1),
            retention: Duration::from_secs(30 * 24 * 60 * 60),
            cut_off: false,
            overdraft: NanoUsd::DOLLAR,
            usage_grace: Duration::from_secs(20),
        }
    }
}

impl Ledger {
    /// Returns the names of the settings that differ in `new` and take effect with a restart only.
    pub(super) fn needs_restart(&self, new: &Ledger) -> Vec<&'static str> {
        let is_off = |ledger: &Ledger| ledger.credits == Credits::Off;
        [
            ("ledger.bank", self.bank != new.bank),
            ("ledger.redis.ca", self.redis_ca != new.redis_ca),
            ("ledger.journal", self.journal != new.journal),
            ("ledger.fsync", self.fsync != new.fsync),
            ("ledger.credits", is_off(self) != is_off(new)),
            ("ledger.flush", self.flush != new.flush),
            ("ledger.lease", self.lease != new.lease),
            ("ledger.timeout", self.timeout != new.timeout),
        ]
        .into_iter()
        .filter_map(|(name, differs)| differs.then_some(name))
        .collect()
    }
}

/// Where money is durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BankChoice {
    /// A file, for one gateway.
    Sqlite {
        /// The database.
        path: PathBuf,
    },
    /// Servers, for a fleet. Their `timeout` is set when they are opened: commands wait longer than the gateway.
    Redis(RedisSettings),
}

/// What happens when the bank is away and the allotment is used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenUnreachable {
    /// Requests are refused.
    Deny,
    /// Requests are served.
    Allow {
        /// What each account may spend beyond its allotment at this replica meanwhile; above 0.
        up_to: NanoUsd,
    },
}
