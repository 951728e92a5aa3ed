//! Opens the control plane, and keeps it working on a thread of its own: what other replicas change, when keys
//! were used, how long the audit log reaches back, what the clocks do.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::ledger::Office;
use super::{BootError, clocks, database, system};
use crate::metrics::Metrics;
use tollgate_config::{Config, Credits};
use tollgate_control::{Control, store};
use tollgate_store::{Access, Database, StoreError};

/// How often old entries of the audit log are forgotten.
const SWEEP: Duration = Duration::from_secs(60 * 60);

/// How soon it is noted that the store is sealed.
const NOTED: Duration = Duration::from_millis(250);

/// Longest wait for the store before the gateway starts without it.
const PATIENCE: Duration = Duration::from_secs(5);

/// The control plane, and the database whose store it uses, if there is one.
pub type Started = (Arc<Control>, Option<Database>);

/// Reads the store, if there is one, and starts the thread.
///
/// # Errors
/// When the store is in use by another process, is corrupt, or is of a newer version. One that only cannot be reached
/// is no error: what the configuration declares is served until it can.
pub fn start(
    config: &Arc<Config>,
    office: Option<&Office>,
    metrics: &Arc<Metrics>,
) -> Result<Started, BootError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(system("cannot start a runtime"))?;
    let ledger = |error: StoreError| BootError::Ledger(error.to_string());
    let database = match office {
        Some(office) => Some(office.database().clone()),
        None if wanted(config) => {
            let _entered = runtime.enter();
            Some(database::open(&config.ledger, Access::Gateway).map_err(ledger)?)
        }
        None => None,
    };
    let store = database.as_ref().map(store::on);
    let control = Arc::new(Control::new(config.clone(), store));
    if was_sealed(config) {
        control.remember_sealed();
    }
    let read = runtime.block_on(async {
        // The timer needs the runtime, so it is made inside.
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
    let (working, kept, metrics) = (control.clone(), database.clone(), metrics.clone());
    std::thread::Builder::new()
        .name("control".to_owned())
        .spawn(move || runtime.block_on(work(&working, kept, metrics)))
        .map_err(system("cannot start a thread"))?;
    Ok((control, database))
}

/// Without credits, the store is for those who manage resources at run time.
fn wanted(config: &Config) -> bool {
    config.ledger.credits != Credits::Off || !config.admin.api_keys.is_empty()
}

async fn work(control: &Control, database: Option<Database>, metrics: Arc<Metrics>) {
    tokio::join!(
        control.keep_up(),
        control.keep_told(),
        sweep(control, database.as_ref()),
        note_seal(control),
        clocks::watch(database.clone(), metrics),
    );
}

/// Where this gateway notes that its store was sealed, so that nobody who writes to the store makes it open again.
fn seal_note(config: &Config) -> PathBuf {
    let mut path = config.ledger.journal.clone().into_os_string();
    path.push(".sealed");
    path.into()
}

/// Whether the store was sealed before.
pub fn was_sealed(config: &Config) -> bool {
    seal_note(config).exists()
}

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

/// Notes that the store is sealed, once it is.
async fn note_seal(control: &Control) {
    while !control.is_sealed() || control.config().secrets.is_empty() {
        tokio::time::sleep(NOTED).await;
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

/// Forgets old entries of the audit log now and then; never ends.
async fn sweep(control: &Control, database: Option<&Database>) {
    let (Some(store), Some(database)) = (control.store(), database) else {
        return;
    };
    loop {
        let kept = control.config().admin.audit_retention;
        let forgotten = match database.now().await {
            Ok(now) => store.forget_audit(now.older_than(kept)).await,
            Err(error) => Err(error),
        };
        if let Err(error) = forgotten {
            log::warn!("old entries of the audit log are kept: {error}");
        }
        tokio::time::sleep(SWEEP).await;
    }
}
