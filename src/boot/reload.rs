//! A configuration that is changed while the gateway runs.

use std::path::Path;
use std::sync::Arc;

use super::ledger::Office;
use super::{BootError, system};
use crate::proxy::Shared;
use tollgate_base::clock;
use tollgate_config::{Config, Environment, Watcher};
use tollgate_control::Control;

/// Swaps in what a reload brings; keeps what is in force when the new configuration has faults.
pub fn watch(
    path: &Path,
    env: Environment,
    config: &Arc<Config>,
    shared: Arc<Shared>,
    control: Arc<Control>,
    office: Option<Arc<Office>>,
) -> Result<Watcher, BootError> {
    let started_with = config.clone();
    let watcher = Watcher::start(
        path.to_path_buf(),
        env,
        config.sources.clone(),
        move |loaded| {
            // SIGHUP also means that the log was rotated.
            shared.access_log.reopen();
            shared.metrics.config_reload(loaded.is_ok(), clock::wall());
            match loaded {
                Ok(config) => {
                    if let Some(office) = &office {
                        office.reconfigure(&config);
                    }
                    swap(&control, &started_with, config);
                }
                Err(faults) => {
                    log::error!("configuration not reloaded, the one in force is kept");
                    for fault in &faults.faults {
                        log::error!("{fault}");
                    }
                }
            }
        },
    )
    .map_err(system("cannot watch the configuration"))?;
    tollgate_config::reload_on_hangup(watcher.trigger()).map_err(system("cannot catch SIGHUP"))?;
    Ok(watcher)
}

/// Puts a new configuration in force, as far as that goes without a restart.
fn swap(control: &Control, started_with: &Config, config: Config) {
    for warning in &config.warnings {
        log::warn!("{warning}");
    }
    let restart = started_with.needs_restart(&config);
    if !restart.is_empty() {
        let settings = restart.join(", ");
        log::warn!("changed, and in force only after a restart: {settings}");
    }
    let generation = control.reconfigure(Arc::new(config));
    log::info!("configuration reloaded (generation {generation})");
}
