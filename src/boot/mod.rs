//! Starts every part of the gateway, in the order in which they depend on each other, and stops them again.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use self::feeds::Feeder;
use self::handover::Handover;
use self::upgrade::Upgrade;
use crate::metrics::access_log::{AccessLog, Target};
use crate::metrics::traces::Traces;
use crate::metrics::{self, Channel, Client, Metrics, Push, process_log};
use crate::proxy::{Drain, Hedges, Notices, Peers, Publisher, Retries, Room, Scarce, Shared};
use tollgate_base::{clock, random};
use tollgate_config::{
    AccessLog as LogTarget, Config, Environment, Faults, OtlpProtocol, Receiver, WatchedFiles,
};
use tollgate_control::Control;
use tollgate_failover::Health;
use tollgate_ledger::events::EventIds;
use tollgate_store::Claims;

pub mod admin;
pub mod alerts;
mod clocks;
pub mod control;
mod cooldowns;
pub mod database;
pub mod feeds;
pub mod fetch;
mod handover;
pub mod kept;
mod ledger;
mod proxy;
mod reload;
mod stop;
mod systemd;
pub mod trial;
mod trust;
pub mod upgrade;

/// Why the gateway did not start.
#[derive(Debug, thiserror::Error)]
pub enum BootError {
    /// The configuration has faults.
    #[error("{0}")]
    Config(#[from] Faults),
    /// An address cannot be listened on.
    #[error("cannot listen on {address}: {source}; free it, or change `{setting}`")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The setting it comes from.
        setting: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
    /// Something else that the system refused.
    #[error("{what}: {source}")]
    System {
        /// What was tried.
        what: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
    /// The bank or the journal cannot be opened.
    #[error("{0}")]
    Ledger(String),
    /// A fault of this program.
    #[error("{0}")]
    Internal(String),
}

fn system(what: &'static str) -> impl FnOnce(std::io::Error) -> BootError {
    move |source| BootError::System { what, source }
}

/// Runs the gateway until it is signalled to stop.
///
/// # Errors
///
/// When the configuration has faults, an address is taken, or the system refuses something.
pub fn run(path: &Path) -> Result<(), BootError> {
    process_log::init().map_err(|error| BootError::Internal(error.to_string()))?;
    let handover = Arc::new(Handover::receive()?);
    let served = start(path, &handover);
    if let Err(error) = &served {
        handover.fail(error);
    }
    served
}

fn start(path: &Path, handover: &Arc<Handover>) -> Result<(), BootError> {
    if let Err(error) = tollgate_base::forbid_core_dumps() {
        log::warn!("core dumps, which would hold keys, cannot be forbidden: {error}");
    }
    let env: Environment = Arc::new(|name| std::env::var(name).ok());
    let (config, files) = WatchedFiles::load(path, env)?;

    let metrics = Arc::new(Metrics::new().map_err(|error| BootError::Internal(error.to_string()))?);
    metrics.config_loaded(clock::wall());
    let access_log = AccessLog::start(&target(&config.log), metrics.access_log_dropped())
        .map_err(system("cannot open the access log"))?;
    let traces = trace(&config, &metrics)?;
    let config = Arc::new(config);
    let office = ledger::open(&config, metrics.clone(), handover)?.map(Arc::new);
    let (control, database) = control::start(&config, office.as_deref(), &metrics, handover)?;
    warn(&config, &control);
    let (publisher, published) = Publisher::channel();
    let (teller, told) = Publisher::channel();
    let others = office.as_ref().filter(|office| office.shares());
    let shared = Arc::new(Shared {
        snapshot: control.served(),
        health: Health::new(random::bits64()),
        queue: Arc::default(),
        notices: Notices::default(),
        peers: Peers::default(),
        hedges: Hedges::default(),
        drain: Arc::new(Drain::default()),
        metrics: metrics.clone(),
        access_log: access_log.clone(),
        traces,
        ledger: office.as_ref().map(|office| office.ledger()),
        publisher: others.map(|_| publisher),
        teller: others.map(|_| teller),
        room: Room::open(config.proxy.threads.div_ceil(2))
            .map_err(system("cannot start a thread"))?,
        retries: Arc::new(Retries::new(database.as_ref().map(Claims::on))),
        scarce: Scarce::default(),
        crowd: Arc::default(),
        event_ids: Arc::new(EventIds::new(random::bits64())),
    });

    if let Some(office) = &office {
        office.share(&shared, published, told);
    }
    forget_cool_downs(&control, &shared);
    let (feeder, feed_reader) = Feeder::new(config.clone(), metrics.clone());
    let _watcher = reload::watch(
        files,
        &config,
        shared.clone(),
        control.clone(),
        office.clone(),
        feeder,
    )?;
    // Only now: what it writes to disk has to be watched.
    feed_reader.start()?;
    let demo = config.demo.map(|at| handover.listen(at, "demo.listen"));
    let demo = demo.transpose()?;
    let sockets = proxy::listen(&config, handover)?;
    let listener = handover.listen(config.admin.listen, "admin.listen")?;
    handover.close_rest();
    let server = proxy::server(&config, &shared, sockets)?;
    if handover.succeeds() {
        upgrade::wait_for(&control, database.as_ref())?;
        handover.ready()?;
    } else {
        systemd::notify("READY=1");
    }
    let upgrade = Arc::new(Upgrade::new(
        handover.clone(),
        shared.drain.clone(),
        config.proxy.drain,
    ));
    if let Some(demo) = demo {
        let leaving = admin::left(shared.drain.clone());
        beside("demo", async move {
            tollgate_demo::serve(tokio::net::TcpListener::from_std(demo)?, leaving).await?;
            // Answers under way go on.
            std::future::pending().await
        })?;
    }
    let (database, again) = (database.as_ref(), upgrade.clone());
    admin::serve(&config, &shared, &control, database, listener, again)?;
    alerts::start(&shared, &control, database)?;
    let push = push(&config, &metrics)?;
    let on_signal = stop::OnSignal::new(shared, office, upgrade, push, config.proxy.drain);
    proxy::run(server, on_signal);
    Ok(())
}

/// Logs the configuration's warnings: what is legal and probably not meant. That it has no access keys is left out if
/// the admin API made some.
fn warn(config: &Config, control: &Control) {
    let has_keys = control.served().load().access_keys().next().is_some();
    let warnings = config.warnings.iter();
    for warning in warnings.filter(|warning| !(has_keys && warning.path == "access_keys")) {
        log::warn!("{warning}");
    }
}

/// What exports requests to a tracing backend, if one is named.
fn trace(config: &Config, metrics: &Metrics) -> Result<Option<Traces>, BootError> {
    let Some(settings) = &config.traces else {
        return Ok(None);
    };
    let client = client(&settings.receiver)?;
    let traces = Traces::start(settings, client, &metrics.trace_spans());
    traces.map(Some).map_err(system("cannot start a thread"))
}

/// What sends metrics to a receiver, if one is named.
fn push(config: &Config, metrics: &Arc<Metrics>) -> Result<Option<Push>, BootError> {
    let Some(settings) = &config.pushed_metrics else {
        return Ok(None);
    };
    let client = client(&settings.receiver)?;
    let push = Push::start(settings, client, metrics.clone());
    push.map(Some).map_err(system("cannot start a thread"))
}

/// What a receiver of OpenTelemetry's protocol is called with.
fn client(receiver: &Receiver) -> Result<Client, BootError> {
    match receiver.protocol {
        OtlpProtocol::Http => {
            let agent = fetch::receiver(metrics::PATIENCE).map_err(BootError::Internal)?;
            Ok(Client::Http(agent))
        }
        OtlpProtocol::Grpc => {
            let tls = trust::tls("h2").map_err(BootError::Internal)?;
            let channel = Channel::new(&receiver.endpoint, fetch::addresses, tls);
            channel
                .map(Client::Grpc)
                .map_err(system("cannot start a thread"))
        }
    }
}

fn target(log: &LogTarget) -> Target {
    match log {
        LogTarget::Stdout => Target::Stdout,
        LogTarget::Off => Target::Off,
        LogTarget::File(path) => Target::File(path.clone()),
    }
}

/// Lets the control plane end cool-downs: that of a provider key, by its id, or all (`*`).
fn forget_cool_downs(control: &Control, shared: &Arc<Shared>) {
    let shared = shared.clone();
    control.clear_with(move |id| match id {
        "*" => shared.health.cooldowns.clear_all(),
        id => {
            shared.health.cooldowns.clear(id, clock::now());
        }
    });
}

/// Runs `work` on a runtime and a thread of its own, so that it does not compete with the proxy's threads.
fn beside<F>(name: &'static str, work: F) -> Result<(), BootError>
where
    F: Future<Output = std::io::Result<()>> + Send + 'static,
{
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(system("cannot start a runtime"))?;
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(move || {
            if let Err(error) = runtime.block_on(work) {
                log::error!("{name}: {error}");
            }
        })
        .map_err(system("cannot start a thread"))?;
    Ok(())
}
