//! Opens the ledger, and keeps it working on a thread of its own: grants, the past, the flusher, retention.

use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use std::{fs, io};

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use super::handover::Handover;
use super::{BootError, cooldowns, database, system};
use crate::proxy::{Published, Shared};
use tollgate_base::clock;
use tollgate_config::types::Credits;
use tollgate_config::{Account, Config, WhenUnreachable};
use tollgate_ledger::Ledger;
use tollgate_ledger::bank::{self, Bank, CreditStore};
use tollgate_ledger::journal::{Fsync, Journal, Life, Living, Options};
use tollgate_ledger::till::{Flusher, Observer, Policy, Rhythm, Till, WhenAway, grant};
use tollgate_store::redis::Leases;
use tollgate_store::{Database, StoreError};

/// How often old usage events are forgotten.
const SWEEP: Duration = Duration::from_secs(60 * 60);

/// Pause between two looks whether another process has ended.
const LOOK: Duration = Duration::from_millis(100);

/// Longest time for the last reports to the bank.
const LAST_WORDS: Duration = Duration::from_secs(3);

/// What a new configuration changes while the ledger works.
struct Change {
    accounts: Vec<Account>,
    retention: Duration,
}

/// What the rest of the process has of the ledger's thread.
pub struct LedgerThread {
    ledger: Arc<Ledger>,
    database: Database,
    changes: mpsc::UnboundedSender<Change>,
    cooldowns: Option<Leases>,
    runtime: tokio::runtime::Handle,
    stop: watch::Sender<bool>,
    closed: watch::Receiver<bool>,
}

/// Opens bank and journal and starts the thread; `None` where credits are off.
///
/// # Errors
/// When the bank's store or the journal is in use by another process, is corrupt, or is of a newer version.
/// A bank that only cannot be reached is no error: requests are refused until it can.
pub fn open(
    config: &Config,
    observer: Arc<dyn Observer>,
    handover: &Handover,
) -> Result<Option<LedgerThread>, BootError> {
    let settings = &config.ledger;
    if settings.credits == Credits::Off {
        return Ok(None);
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(system("cannot start a runtime"))?;
    let database = {
        let _entered = runtime.enter();
        database::open_for_gateway(settings, handover)
            .map_err(|error| BootError::Ledger(error.to_string()))?
    };
    let bank = bank::on(&database);
    let options = Options {
        fsync: if settings.fsync {
            Fsync::Always
        } else {
            Fsync::Never
        },
        least_epoch: clock::unix().as_secs(),
        keep: settings.lease,
        ..Options::default()
    };
    let (journal, past) = journal(&settings.journal, options, handover)?;
    let rhythm = Rhythm {
        flush: settings.flush,
        lease: settings.lease,
        timeout: settings.timeout,
    };
    let till = Arc::new(Till::new(Arc::new(journal), policy(config), rhythm));
    let ledger = Arc::new(Ledger::new(till.clone()));
    let flusher = Arc::new(Flusher::new(till, bank.clone(), observer));
    let (changes, changed) = mpsc::unbounded_channel();
    let (stop, stopping) = watch::channel(false);
    let (closed_tx, closed) = watch::channel(false);
    let first = change(config);
    let handle = runtime.handle().clone();
    let cooldowns = database.cooldowns();
    let working = Working {
        credits: bank,
        database: database.clone(),
    };
    std::thread::Builder::new()
        .name("ledger".to_owned())
        .spawn(move || {
            runtime.block_on(work(working, flusher, past, first, changed, stopping));
            closed_tx.send_replace(true);
        })
        .map_err(system("cannot start a thread"))?;
    Ok(Some(LedgerThread {
        ledger,
        database,
        changes,
        cooldowns,
        runtime: handle,
        stop,
        closed,
    }))
}

impl LedgerThread {
    /// Returns what requests need of it.
    pub fn ledger(&self) -> Arc<Ledger> {
        self.ledger.clone()
    }

    /// Returns where money is durable.
    pub fn database(&self) -> &Database {
        &self.database
    }

    /// Shares with other replicas which provider keys cool down, and what is left of their quotas, where there may be
    /// others: what is sent here is published, and what they publish is read.
    pub fn share(
        &self,
        shared: &Arc<Shared>,
        sent: mpsc::Receiver<Published>,
        told: mpsc::Receiver<Published>,
    ) {
        if let (Some(store), Some(quotas)) = (&self.cooldowns, self.database.quotas()) {
            self.runtime.spawn(cooldowns::publish(store.clone(), sent));
            self.runtime.spawn(cooldowns::publish(quotas.clone(), told));
            let follow = cooldowns::follow(store.clone(), quotas, shared.clone());
            self.runtime.spawn(follow);
        }
    }

    /// Returns whether there may be other replicas.
    pub fn shares(&self) -> bool {
        self.cooldowns.is_some()
    }

    /// Puts a new configuration in force.
    pub fn reconfigure(&self, config: &Config) {
        self.ledger.till.set_policy(policy(config));
        if self.changes.send(change(config)).is_err() {
            log::error!("the ledger's thread has ended; restart the gateway");
        }
    }

    /// Tells the bank everything and gives back what was borrowed; does not wait long for a bank that is away.
    pub async fn close(&self) {
        self.stop.send_replace(true);
        let mut closed = self.closed.clone();
        let told = tokio::time::timeout(LAST_WORDS, closed.wait_for(|closed| *closed)).await;
        if told.is_err() {
            log::warn!(
                "the bank does not answer; the journal will be told to it after the next start"
            );
        }
    }
}

/// What earlier lives left, and those that another process still lives.
type Past = (Vec<Life>, Vec<Living>);

/// Begins a life in the journal, beside the process that has handed it over if one has.
fn journal(
    dir: &Path,
    options: Options,
    handover: &Handover,
) -> Result<(Journal, Past), BootError> {
    let failed = |error: &dyn Display| BootError::Ledger(error.to_string());
    let lock_path = |dir: PathBuf| dir.join("lock");
    let handed = fs::canonicalize(dir).ok();
    let handed = handed.and_then(|dir| handover.lock(&lock_path(dir)));
    let (journal, past) = match handed {
        Some(lock) => {
            let taken = Journal::succeed(dir, options, lock);
            let (journal, lives, living) = taken.map_err(|error| failed(&error))?;
            (journal, (lives, living))
        }
        None => {
            let (journal, lives) = Journal::open(dir, options).map_err(|error| failed(&error))?;
            (journal, (lives, Vec::new()))
        }
    };
    let kept = || io::Result::Ok((fs::canonicalize(dir)?, journal.lock()?));
    let (path, lock) = kept().map_err(system("the journal's lock cannot be handed on"))?;
    handover.keep_lock(&lock_path(path), lock);
    Ok((journal, past))
}

fn policy(config: &Config) -> Policy {
    Policy {
        enforced: config.ledger.credits == Credits::Enforced,
        when_away: match config.ledger.when_unreachable {
            WhenUnreachable::Deny => WhenAway::Deny,
            WhenUnreachable::Allow { up_to } => WhenAway::Allow(up_to),
        },
        overdraft: config.ledger.overdraft,
    }
}

fn change(config: &Config) -> Change {
    Change {
        accounts: config.accounts.clone(),
        retention: config.ledger.retention,
    }
}

/// What the ledger's thread works on.
struct Working {
    credits: Arc<dyn CreditStore>,
    database: Database,
}

/// The ledger's thread: the flusher works beside the past, the grants and the retention.
async fn work(
    working: Working,
    flusher: Arc<Flusher>,
    (past, living): Past,
    first: Change,
    changes: mpsc::UnboundedReceiver<Change>,
    stopping: watch::Receiver<bool>,
) {
    let replay = {
        let flusher = flusher.clone();
        tokio::spawn(async move { flusher.settle_past(past).await })
    };
    let mut heirs = JoinSet::new();
    for living in living {
        heirs.spawn(inherit(flusher.clone(), living));
    }
    let audit = {
        let flusher = flusher.clone();
        tokio::spawn(async move { flusher.audit().await })
    };
    let keep = tokio::spawn(keep(working, first, changes));
    flusher.run(stopping).await;
    replay.abort();
    heirs.abort_all();
    audit.abort();
    keep.abort();
}

/// Replays what another process of this gateway leaves, once it has ended.
async fn inherit(flusher: Arc<Flusher>, living: Living) {
    while !living.has_ended() {
        tokio::time::sleep(LOOK).await;
    }
    match tokio::task::spawn_blocking(move || living.left()).await {
        Ok(Ok(left)) => flusher.settle_past(left.into_iter().collect()).await,
        Ok(Err(error)) => log::error!("what the process before this one left is not told: {error}"),
        Err(error) => log::error!("what the process before this one left is not read: {error}"),
    }
}

/// Gives grants as the newest configuration names them, and forgets old events.
async fn keep(working: Working, mut now: Change, mut changes: mpsc::UnboundedReceiver<Change>) {
    loop {
        // What was superseded in the meantime is not given any more.
        while let Ok(newer) = changes.try_recv() {
            now = newer;
        }
        tokio::select! {
            biased;
            change = changes.recv() => match change {
                Some(change) => now = change,
                None => return,
            },
            () = tend(&working, &now) => {}
        }
    }
}

/// Does what a configuration asks for; never ends.
async fn tend(working: &Working, now: &Change) {
    give(&*working.credits, &now.accounts).await;
    sweep(working, now.retention).await;
}

/// Every grant of the configuration, until the bank has it.
async fn give(bank: &dyn CreditStore, accounts: &[Account]) {
    for Account { spec, grants } in accounts {
        let (id, mut pause) = (&spec.id, Duration::from_millis(100));
        while let Err(error) = grant(bank, id, grants).await {
            // What does not pass must not keep the others waiting.
            if !matches!(error, StoreError::Away(_)) {
                log::error!("account `{id}`: a grant is not given: {error}");
                break;
            }
            log::warn!("account `{id}`: grants are not given yet: {error}");
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(5));
        }
    }
}

/// Forgets old events, and budgets of tags that are over, now and then; never ends.
async fn sweep(working: &Working, retention: Duration) {
    let bank = bank::on(&working.database);
    loop {
        if let Err(error) = forget(&*bank, &working.database, retention).await {
            log::warn!("old usage events are kept: {error}");
        }
        tokio::time::sleep(SWEEP).await;
    }
}

async fn forget(
    bank: &dyn Bank,
    database: &Database,
    retention: Duration,
) -> Result<(), StoreError> {
    let now = database.now().await?;
    let before = now.older_than(retention);
    for account in bank.accounts().await? {
        if let Err(error) = bank.forget_events(&account, before).await {
            log::warn!("account `{account}`: old usage events are kept: {error}");
        }
        let sure = now.moment.sure / 1_000;
        if let Err(error) = bank.forget_meters(&account, sure).await {
            log::warn!("account `{account}`: old budgets of tags are kept: {error}");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
