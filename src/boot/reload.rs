//! Puts a changed configuration in force while the gateway runs.

use std::sync::Arc;

use super::feeds::Feeder;
use super::ledger::LedgerThread;
use super::{BootError, system};
use crate::proxy::Shared;
use tollgate_base::clock;
use tollgate_config::{Config, Fault, WatchedFiles, Watcher};
use tollgate_control::Control;

/// Watches the configuration's files and SIGHUP, and puts in force what they bring. A configuration with faults is not
/// put in force.
pub fn watch(
    files: WatchedFiles,
    config: &Arc<Config>,
    shared: Arc<Shared>,
    control: Arc<Control>,
    office: Option<Arc<LedgerThread>>,
    feeder: Feeder,
) -> Result<Watcher, BootError> {
    let started_with = config.clone();
    let watcher = Watcher::start(files, move |loaded| {
        // A reload may come of SIGHUP, which also means that the log was rotated.
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
    })
    .map_err(system("cannot watch the configuration"))?;
    tollgate_config::reload_on_hangup(watcher.trigger()).map_err(system("cannot catch SIGHUP"))?;
    Ok(watcher)
}

/// Puts a new configuration in force, and logs which settings want a restart.
fn swap(control: &Control, started_with: &Config, config: Arc<Config>) {
    let before = control.config();
    let generation = control.reconfigure(config.clone());
    super::warn(&config, control);
    log_certificates(&before, &config);
    let restart = started_with.needs_restart(&config);
    if !restart.is_empty() {
        let settings = restart.join(", ");
        log::warn!("changed, and in force only after a restart: {settings}");
    }
    log::info!("configuration reloaded (generation {generation})");
}

/// Logs which listeners show another certificate from now on, or let in others.
fn log_certificates(before: &Config, now: &Config) {
    let proxy = |config: &Config| config.proxy.tls.as_ref().map(|tls| tls.identity.clone());
    let admin = |config: &Config| config.admin.tls.clone();
    for (setting, before, now) in [
        ("proxy.tls", proxy(before), proxy(now)),
        ("admin.tls", admin(before), admin(now)),
    ] {
        if let (Some(before), Some(now)) = (before, now)
            && before != now
        {
            let cert = now.cert.display();
            log::info!("{setting}: renewed; new connections are shown the certificate in {cert}");
        }
    }
}

/// Returns the new configuration, unless the kept prices of a feed could be read for the one in force, and cannot be
/// read for this one: then prices would fall back to older ones.
///
/// # Errors
/// Says why the kept prices cannot be read.
fn with_prices(in_force: &Config, config: Config) -> Result<Config, Vec<Fault>> {
    let was_read = |feed: &Arc<str>| {
        let mut feeds = in_force.feeds.feeds.iter();
        feeds.any(|earlier| earlier.id == *feed) && !in_force.feeds.unread.contains(feed)
    };
    if !config.feeds.unread.iter().any(was_read) {
        return Ok(config);
    }
    let is_of_kept = |fault: &Fault| config.sources.kept.contains(&fault.file);
    Err(config
        .warnings
        .iter()
        .filter(|fault| is_of_kept(fault))
        .cloned()
        .collect())
}
