//! Opens the control plane and keeps it working on a thread of its own. The thread follows what other replicas change,
//! stores when keys were used, forgets old entries of the audit log, notes that the store is sealed, and watches the
//! clocks.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::handover::Handover;
use super::ledger::LedgerThread;
use super::{BootError, clocks, database, system};
use crate::metrics::Metrics;
use tollgate_config::Config;
use tollgate_control::{Control, store};
use tollgate_store::{Database, StoreError};

/// Pause between two sweeps of old entries out of the audit log.
const SWEEP: Duration = Duration::from_secs(60 * 60);

/// Pause between two looks whether the store is sealed by now.
const SEAL_LOOK: Duration = Duration::from_millis(250);

/// Longest wait for the store before the gateway starts without it.
const PATIENCE: Duration = Duration::from_secs(5);

/// The control plane, and the database that its store is in, if there is one.
pub type Started = (Arc<Control>, Option<Database>);

/// Reads the store, if there is one, and starts the thread. The store is in the ledger's database: `office` has it open
/// where credits are on.
///
/// # Errors
/// When the store is in use by another process, is corrupt, or is of a newer version; or when the system refuses the
/// thread. A store that merely cannot be reached is no error: until it can, what the configuration declares is served.
pub fn start(
    config: &Arc<Config>,
    office: Option<&LedgerThread>,
    metrics: &Arc<Metrics>,
    handover: &Handover,
) -> Result<Started, BootError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(system("cannot start a runtime"))?;
    let ledger = |error: StoreError| BootError::Ledger(error.to_string());
    let database = match office {
        Some(office) => Some(office.database().clone()),
        None if config.needs_store() => {
            // Opening may spawn tasks, which needs the runtime.
            let _entered = runtime.enter();
            Some(database::open_for_gateway(&config.ledger, handover).map_err(ledger)?)
        }
        None => None,
    };
    let store = database.as_ref().map(store::on);
    let control = Arc::new(Control::new(config.clone(), store));
    if was_sealed(config) {
        control.remember_sealed();
    }
    let read = runtime.block_on(async {
        // Made inside, because the timer needs the runtime.
        tokio::time::timeout(PATIENCE, control.catch_up()).await
    });
    match read {
        Ok(Ok(())) => {}
        Ok(Err(StoreError::Away(error))) => log::warn!("resources are not read yet: {error}"),
        Ok(Err(error)) => return Err(ledger(error)),
        Err(_) => log::warn!("resources are not read yet: the store is slow to answer"),
    }
    if control.store().is_some() {
        tell_of_seal(&control, config);
    }
    let (on_thread, its_database, metrics) = (control.clone(), database.clone(), metrics.clone());
    std::thread::Builder::new()
        .name("control".to_owned())
        .spawn(move || runtime.block_on(work(&on_thread, its_database, metrics)))
        .map_err(system("cannot start a thread"))?;
    Ok((control, database))
}

/// Does all the work of the thread; never ends.
async fn work(control: &Control, database: Option<Database>, metrics: Arc<Metrics>) {
    tokio::join!(
        control.keep_up(),
        control.keep_told(),
        sweep(control, database.as_ref()),
        note_seal(control),
        clocks::watch(database.clone(), metrics),
    );
}

/// Returns the file that notes, outside the store, that the store was sealed: whoever can write to the store could
/// otherwise make it look as if it never was.
fn seal_note(config: &Config) -> PathBuf {
    let mut path = config.ledger.journal.clone().into_os_string();
    path.push(".sealed");
    path.into()
}

/// Returns whether this gateway has noted that the store was sealed.
pub fn was_sealed(config: &Config) -> bool {
    seal_note(config).exists()
}

/// Logs it if whoever writes to the store can change what is in it, and what to do about that.
fn tell_of_seal(control: &Control, config: &Config) {
    if config.secrets.is_empty() {
        log::info!(
            "no master key is configured: who writes to the store can change what is in it; set TOLLGATE_MASTER_KEY \
             (make one with `tollgate secrets generate`)"
        );
    } else if control.is_complete() && control.is_open() {
        log::warn!(
            "the store was made by an earlier version and is not sealed: who writes to it can change what is in it; run \
             `tollgate secrets seal` once every gateway is of this version"
        );
    }
}

/// Waits until the store is sealed and this gateway has a master key, then notes in a file that the store is sealed.
async fn note_seal(control: &Control) {
    while !control.is_sealed() || control.config().secrets.is_empty() {
        tokio::time::sleep(SEAL_LOOK).await;
    }
    let path = seal_note(&control.config());
    if path.exists() {
        return;
    }
    log::info!(
        "the store is sealed: what was not written with the master key is refused from now on"
    );
    let folder = path.parent().map_or(Ok(()), std::fs::create_dir_all);
    let text = "The store of this gateway is sealed. Without this file a gateway would believe a store that says it never was.\n";
    if let Err(error) = folder.and_then(|()| std::fs::write(&path, text)) {
        log::warn!(
            "cannot note in {} that the store is sealed: {error}",
            path.display()
        );
    }
}

/// Forgets old entries of the audit log now and then; ends only if there is no store.
async fn sweep(control: &Control, database: Option<&Database>) {
    let (Some(store), Some(database)) = (control.store(), database) else {
        return;
    };
    loop {
        let retention = control.config().admin.audit_retention;
        let forgotten = match database.now().await {
            Ok(now) => store.forget_audit(now.older_than(retention)).await,
            Err(error) => Err(error),
        };
        if let Err(error) = forgotten {
            log::warn!("old entries of the audit log are kept: {error}");
        }
        tokio::time::sleep(SWEEP).await;
    }
}
