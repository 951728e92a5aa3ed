//! The proxy's listeners, and the server that runs until a signal says stop.

use std::net::{SocketAddr, TcpListener};
use std::os::fd::IntoRawFd as _;
use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;
use pingora_core::apps::{HttpServerOptions, ServerApp};
use pingora_core::connectors::ConnectorOptions;
use pingora_core::connectors::http::Connector;
use pingora_core::server::configuration::ServerConf;
use pingora_core::server::{Fds, ListenFds, RunArgs, Server, ShutdownWatch};
use pingora_core::services;
use pingora_core::services::listening::Service;
use pingora_proxy::http_proxy;

use super::handover::Handover;
use super::stop::{self, OnSignal};
use super::{BootError, system, trust};
use crate::proxy::{Bounded, Gateway, Shared, Tls};
use tollgate_config::Config;

/// Idle upstream connections kept, over all providers.
const UPSTREAM_POOL: usize = 1024;

/// The proxy's sockets, by their addresses.
pub type Sockets = Vec<(SocketAddr, TcpListener)>;

/// Listens on the proxy's addresses; whoever connects waits until [`run`] accepts.
///
/// # Errors
/// The address that cannot be listened on.
pub fn listen(config: &Config, handover: &Handover) -> Result<Sockets, BootError> {
    let plain = config.proxy.listen.iter();
    let plain = plain.map(|address| (*address, "proxy.listen"));
    let tls = config.proxy.tls.iter().flat_map(|tls| &tls.listen);
    let all = plain.chain(tls.map(|address| (*address, "proxy.tls.listen")));
    all.map(|(at, setting)| Ok((at, handover.listen(at, setting)?)))
        .collect()
}

/// A service on sockets that are listened on already: Pingora passes on what it was handed by ways of its own.
struct Bound<A> {
    service: Service<A>,
    sockets: ListenFds,
}

#[async_trait]
impl<A: ServerApp + Send + Sync + 'static> services::Service for Bound<A> {
    async fn start_service(
        &mut self,
        _: Option<ListenFds>,
        shutdown: ShutdownWatch,
        listeners_per_fd: usize,
    ) {
        let sockets = Some(self.sockets.clone());
        let service = &mut self.service;
        services::Service::start_service(service, sockets, shutdown, listeners_per_fd).await;
    }

    fn name(&self) -> &str {
        services::Service::name(&self.service)
    }
}

/// Makes all that serves on these sockets; [`run`] sets it to work.
///
/// # Errors
/// When the system refuses a file.
pub fn server(
    config: &Config,
    shared: &Arc<Shared>,
    sockets: Sockets,
) -> Result<Server, BootError> {
    let authorities = trust::Bundle::if_needed()
        .map_err(system("cannot write the bundled certificate authorities"))?;
    let conf = ServerConf {
        threads: config.proxy.threads,
        work_stealing: true,
        // The plan is the bound; this must only be longer than any.
        max_retries: 100_000,
        upstream_keepalive_pool_size: UPSTREAM_POOL,
        ca_file: authorities.as_ref().map(trust::Bundle::path),
        grace_period_seconds: Some(config.proxy.drain.as_secs() + stop::SLACK.as_secs()),
        graceful_shutdown_timeout_seconds: Some(1),
        ..ServerConf::default()
    };
    let mut server = Server::new_with_opt_and_conf(None, conf);
    server.bootstrap();

    let connect = ConnectorOptions::from_server_conf(&server.configuration);
    shared
        .hedges
        .connector
        .get_or_init(|| Connector::new(Some(connect)));
    let mut app = http_proxy(&server.configuration, Gateway(shared.clone()));
    // Their connectors have read them.
    drop(authorities);
    let mut options = HttpServerOptions::default();
    options.h2c = true;
    options.h2_idle_timeout = Some(config.proxy.keepalive);
    app.server_options = Some(options);
    let app = Bounded {
        app: Arc::new(app),
        shared: shared.clone(),
        tls: Tls::of(&config.proxy),
    };
    let mut service = Service::new("proxy".to_owned(), app);
    let mut bound = Fds::new();
    for (address, socket) in sockets {
        let scheme = match config.proxy.listen.contains(&address) {
            true => "http",
            // Pingora would wait for handshakes by a clock of its own, before a connection is counted.
            false => "https",
        };
        let name = address.to_string();
        service.add_tcp(&name);
        bound.add(name, socket.into_raw_fd());
        log::info!("listening on {scheme}://{address}");
    }
    server.add_service(Bound {
        service,
        sockets: Arc::new(Mutex::new(bound)),
    });
    Ok(server)
}

/// Serves until a signal says stop, or another process takes over; does not return before the process ends.
pub fn run(server: Server, on_signal: OnSignal) {
    server.run(RunArgs {
        shutdown_signal: Box::new(on_signal),
    });
}
