//! A configuration that is changed while the gateway runs.

use std::path::Path;
use std::sync::Arc;

use super::feeds::Feeder;
use super::ledger::Office;
use super::{BootError, system};
use crate::proxy::Shared;
use tollgate_base::clock;
use tollgate_config::{Config, Environment, Fault, Watcher};
use tollgate_control::Control;

/// Swaps in what a reload brings; keeps what is in force when the new configuration has faults.
pub fn watch(
    path: &Path,
    env: Environment,
    config: &Arc<Config>,
    shared: Arc<Shared>,
    control: Arc<Control>,
    office: Option<Arc<Office>>,
    feeder: Feeder,
) -> Result<Watcher, BootError> {
    let started_with = config.clone();
    let watcher = Watcher::start(
        path.to_path_buf(),
        env,
        config.sources.clone(),
        move |loaded| {
            // SIGHUP also means that the log was rotated.
            shared.access_log.reopen();
            let loaded = loaded.map_err(|faults| faults.faults);
            let loaded = loaded.and_then(|config| with_prices(&control.config(), config));
            shared.metrics.config_reload(loaded.is_ok(), clock::wall());
            match loaded {
                Ok(config) => {
                    if let Some(office) = &office {
                        office.reconfigure(&config);
                    }
                    let config = Arc::new(config);
                    swap(&control, &started_with, config.clone());
                    feeder.reconfigure(config);
                }
                Err(faults) => {
                    log::error!("configuration not reloaded, the one in force is kept");
                    for fault in &faults {
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
fn swap(control: &Control, started_with: &Config, config: Arc<Config>) {
    let generation = control.reconfigure(config.clone());
    super::warn(&config, control);
    let restart = started_with.needs_restart(&config);
    if !restart.is_empty() {
        let settings = restart.join(", ");
        log::warn!("changed, and in force only after a restart: {settings}");
    }
    log::info!("configuration reloaded (generation {generation})");
}

/// A new configuration, unless what is kept of a feed cannot be read any more: prices that are in force must not fall
/// back to older ones by that.
fn with_prices(in_force: &Config, config: Config) -> Result<Config, Vec<Fault>> {
    let had = |feed: &Arc<str>| {
        let mut feeds = in_force.feeds.feeds.iter();
        feeds.any(|known| known.id == *feed) && !in_force.feeds.unread.contains(feed)
    };
    if !config.feeds.unread.iter().any(had) {
        return Ok(config);
    }
    let kept = |fault: &Fault| config.sources.kept.contains(&fault.file);
    Err(config
        .warnings
        .iter()
        .filter(|fault| kept(fault))
        .cloned()
        .collect())
}
