//! Wires every room, in the order in which they depend on each other, and takes them down again.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use pingora_core::apps::HttpServerOptions;
use pingora_core::listeners::tls::TlsSettings;
use pingora_core::server::configuration::ServerConf;
use pingora_core::server::{RunArgs, Server};
use pingora_core::services::listening::Service;
use pingora_proxy::http_proxy;

use crate::metrics::access_log::{AccessLog, Target};
use crate::metrics::{Metrics, StatusClass, process_log};
use crate::proxy::{Aside, Bounded, Drain, Gateway, Peers, Shared};
use ledger::Office;
use tollgate_base::{clock, random};
use tollgate_config::{AccessLog as LogTarget, Config, Environment, Faults, Watcher};
use tollgate_control::Control;
use tollgate_control::admin;
use tollgate_control::admin::{AdminState, Readiness, Resting};
use tollgate_failover::Health;
use tollgate_ledger::events::EventIds;
use tollgate_store::Database;
use tollgate_wire::tokens::Encoding;

mod control;
pub mod database;
mod ledger;
mod stop;
mod trust;

/// Idle upstream connections kept, over all providers.
const UPSTREAM_POOL: usize = 1024;

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

/// Runs the gateway until it is told to stop.
///
/// # Errors
///
/// When the configuration has faults, an address is taken, or the system refuses something.
pub fn run(path: &Path) -> Result<(), BootError> {
    process_log::init().map_err(|error| BootError::Internal(error.to_string()))?;
    let env: Environment = Arc::new(|name| std::env::var(name).ok());
    let config = tollgate_config::load(path, &*env)?;
    for warning in &config.warnings {
        log::warn!("{warning}");
    }

    let metrics = Arc::new(Metrics::new().map_err(|error| BootError::Internal(error.to_string()))?);
    metrics.config_loaded(clock::wall());
    let access_log = AccessLog::start(&target(&config.log), metrics.access_log_dropped())
        .map_err(system("cannot open the access log"))?;
    let config = Arc::new(config);
    let office = ledger::open(&config, metrics.clone())?.map(Arc::new);
    let (control, database) = control::start(&config, office.as_deref())?;
    let (rests, resting) = tokio::sync::mpsc::unbounded_channel();
    let shared = Arc::new(Shared {
        snapshot: control.served(),
        health: Health::new(random::bits64()),
        peers: Peers::default(),
        drain: Arc::new(Drain::default()),
        metrics: metrics.clone(),
        access_log: access_log.clone(),
        ledger: office.as_ref().map(|office| office.ledger()),
        rests: office.as_ref().filter(|o| o.shares()).map(|_| rests),
        aside: Arc::new(Aside::new(config.proxy.threads.div_ceil(2))),
        event_ids: EventIds::new(random::bits64()),
    });

    if let Some(office) = &office {
        office.share(&shared, resting);
    }
    forget_cool_downs(&control, &shared);
    let _watcher = watch(
        path,
        env,
        &config,
        shared.clone(),
        control.clone(),
        office.clone(),
    )?;
    serve_demo(&config)?;
    serve_admin(&config, &shared, &control, database.as_ref())?;
    warm_up()?;
    serve_proxy(&config, &shared, office)
}

fn target(log: &LogTarget) -> Target {
    match log {
        LogTarget::Stdout => Target::Stdout,
        LogTarget::Off => Target::Off,
        LogTarget::File(path) => Target::File(path.clone()),
    }
}

/// Swaps in what a reload brings; keeps what is in force when the new configuration has faults.
fn watch(
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

/// Lets a provider key work again when the control plane says so.
fn forget_cool_downs(control: &Control, shared: &Arc<Shared>) {
    let shared = shared.clone();
    control.clear_with(move |id| match id {
        "*" => shared.health.cooldowns.clear_all(),
        id => {
            shared.health.cooldowns.clear(id, clock::now());
        }
    });
}

/// A runtime on a thread of its own, for what must not compete with the proxy's threads.
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

fn listen(address: SocketAddr, setting: &'static str) -> Result<TcpListener, BootError> {
    TcpListener::bind(address).map_err(|source| BootError::Listen {
        address,
        setting,
        source,
    })
}

fn serve_demo(config: &Config) -> Result<(), BootError> {
    let Some(address) = config.demo else {
        return Ok(());
    };
    let listener = listen(address, "demo.listen")?;
    listener
        .set_nonblocking(true)
        .map_err(system("cannot serve the demo provider"))?;
    beside("demo", async move {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        tollgate_demo::serve(listener, std::future::pending()).await
    })
}

fn serve_admin(
    config: &Config,
    shared: &Arc<Shared>,
    control: &Arc<Control>,
    database: Option<&Database>,
) -> Result<(), BootError> {
    let listener = listen(config.admin.listen, "admin.listen")?;
    let process = Arc::new(Process {
        shared: shared.clone(),
        control: control.clone(),
        listening: AtomicBool::new(false),
    });
    let state = AdminState::new(control.clone(), process.clone(), database)
        .with_public_url(config.admin.public_url.as_deref());
    let refreshed = shared.clone();
    shared
        .metrics
        .refresh_with(move |metrics| export_health(&refreshed, metrics));
    let proxy = config
        .proxy
        .listen
        .iter()
        .copied()
        .chain(config.proxy.tls.iter().flat_map(|tls| tls.listen.clone()));
    let proxy: Vec<SocketAddr> = proxy.collect();
    beside("admin", async move {
        tokio::spawn(async move {
            for address in proxy {
                while tokio::net::TcpStream::connect(reachable(address))
                    .await
                    .is_err()
                {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            }
            process.listening.store(true, Ordering::Release);
        });
        admin::serve(listener, state, std::future::pending()).await
    })
}

/// What the admin listener shows of this process.
struct Process {
    shared: Arc<Shared>,
    control: Arc<Control>,
    /// Whether the proxy accepts connections.
    listening: AtomicBool,
}

impl admin::Process for Process {
    fn readiness(&self) -> Readiness {
        let because = |reason: &str| Readiness::NotReady(vec![reason.to_owned()]);
        if self.shared.drain.ends().is_some() {
            because("shutting down")
        } else if !self.listening.load(Ordering::Acquire) {
            because("starting: the proxy does not listen yet")
        } else if !self.control.is_complete() {
            because("the store of keys cannot be read yet")
        } else {
            Readiness::Ready
        }
    }

    fn metrics(&self) -> String {
        self.shared.metrics.render()
    }

    fn answered(&self, operation: &'static str, status: u16) {
        let class = StatusClass::of(status);
        self.shared.metrics.admin_request(operation, class);
    }

    fn resting(&self) -> Vec<Resting> {
        let cooling = self.shared.health.cooldowns.list(clock::now());
        let resting = cooling.into_iter().map(|cooling| Resting {
            key: cooling.key,
            until: cooling.until,
            status: cooling.status,
        });
        resting.collect()
    }
}

/// The address under which this machine itself reaches a listener.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(match address {
            SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
        });
    }
    address
}

/// Gauges that are read rather than counted.
fn export_health(shared: &Shared, metrics: &Metrics) {
    use crate::metrics::BreakerState;
    use tollgate_failover::BreakerState as Pure;
    let now = clock::now();
    let cooling = shared.health.cooldowns.list(now);
    if let Some(ledger) = &shared.ledger {
        metrics.ledger(ledger);
    }
    let snapshot = shared.snapshot.load();
    for provider in snapshot.catalog.providers() {
        let keys = cooling
            .iter()
            .filter(|c| {
                snapshot
                    .provider_key(&c.key)
                    .is_some_and(|key| key.provider == provider.id)
            })
            .count();
        metrics.keys_cooling(&provider.id, keys);
        metrics.breaker(
            &provider.id,
            match shared.health.breakers.state(&provider.id, now) {
                Pure::Closed => BreakerState::Closed,
                Pure::HalfOpen => BreakerState::HalfOpen,
                Pure::Open => BreakerState::Open,
            },
        );
    }
}

/// Loads the tokenizers while nobody waits for them.
fn warm_up() -> Result<(), BootError> {
    let warm = || {
        Encoding::O200k.warm();
        Encoding::Cl100k.warm();
    };
    std::thread::Builder::new()
        .name("warm-up".to_owned())
        .spawn(warm)
        .map_err(system("cannot start a thread"))?;
    Ok(())
}

/// Serves until a signal says stop; does not return before the process ends.
fn serve_proxy(
    config: &Config,
    shared: &Arc<Shared>,
    office: Option<Arc<Office>>,
) -> Result<(), BootError> {
    let conf = ServerConf {
        threads: config.proxy.threads,
        work_stealing: true,
        // The plan is the bound; this must only be longer than any.
        max_retries: 100_000,
        upstream_keepalive_pool_size: UPSTREAM_POOL,
        ca_file: trust::bundle_if_needed()
            .map_err(system("cannot write the bundled certificate authorities"))?,
        grace_period_seconds: Some(config.proxy.drain.as_secs() + stop::SLACK.as_secs()),
        graceful_shutdown_timeout_seconds: Some(1),
        ..ServerConf::default()
    };
    let mut server = Server::new_with_opt_and_conf(None, conf);
    server.bootstrap();

    let mut app = http_proxy(&server.configuration, Gateway(shared.clone()));
    let mut options = HttpServerOptions::default();
    options.h2c = true;
    options.h2_idle_timeout = Some(config.proxy.keepalive);
    app.server_options = Some(options);
    let app = Bounded {
        app: Arc::new(app),
        shared: shared.clone(),
        open: AtomicUsize::new(0),
    };
    let mut proxy = Service::new("proxy".to_owned(), app);
    for address in &config.proxy.listen {
        drop(listen(*address, "proxy.listen")?);
        proxy.add_tcp(&address.to_string());
        log::info!("listening on http://{address}");
    }
    if let Some(tls) = &config.proxy.tls {
        for address in &tls.listen {
            drop(listen(*address, "proxy.tls.listen")?);
            let mut settings =
                TlsSettings::intermediate(&tls.cert.to_string_lossy(), &tls.key.to_string_lossy())
                    .map_err(|error| {
                        BootError::Internal(format!("cannot use `proxy.tls`: {error}"))
                    })?;
            settings.enable_h2();
            proxy.add_tls_with_settings(&address.to_string(), None, settings);
            log::info!("listening on https://{address}");
        }
    }
    server.add_service(proxy);
    server.run(RunArgs {
        shutdown_signal: Box::new(stop::OnSignal::new(
            shared.clone(),
            office,
            config.proxy.drain,
        )),
    });
    Ok(())
}
