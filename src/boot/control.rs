//! Opens the control plane, and keeps it working on a thread of its own: what other replicas change, when keys
//! were used, how long the audit log reaches back, what the clocks do.

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
        clocks::watch(database.clone(), metrics),
    );
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
