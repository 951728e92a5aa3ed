//! The proxy's listeners, and the server that runs until a signal says stop.

use std::sync::Arc;

use pingora_core::apps::HttpServerOptions;
use pingora_core::server::configuration::ServerConf;
use pingora_core::server::{RunArgs, Server};
use pingora_core::services::listening::Service;
use pingora_proxy::http_proxy;

use super::ledger::Office;
use super::{BootError, listen, stop, system, trust};
use crate::proxy::{Bounded, Gateway, Shared, Tls};
use tollgate_config::Config;

/// Idle upstream connections kept, over all providers.
const UPSTREAM_POOL: usize = 1024;

/// Tries the proxy's addresses, as Pingora would not say that one cannot be had. To be done before anybody looks whether the
/// proxy listens. All are held at once: two of which one covers the other could each be had alone.
///
/// # Errors
/// The address that cannot be listened on.
pub fn try_listeners(config: &Config) -> Result<(), BootError> {
    let plain = config.proxy.listen.iter();
    let plain = plain.map(|address| (*address, "proxy.listen"));
    let tls = config.proxy.tls.iter().flat_map(|tls| &tls.listen);
    let all = plain.chain(tls.map(|address| (*address, "proxy.tls.listen")));
    let tried: Result<Vec<_>, _> = all.map(|(at, setting)| listen(at, setting)).collect();
    tried.map(drop)
}

/// Serves until a signal says stop; does not return before the process ends.
pub fn serve(
    config: &Config,
    shared: &Arc<Shared>,
    office: Option<Arc<Office>>,
) -> Result<(), BootError> {
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

    let mut app = http_proxy(&server.configuration, Gateway(shared.clone()));
    // Its connector has read them.
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
    let mut proxy = Service::new("proxy".to_owned(), app);
    for address in &config.proxy.listen {
        proxy.add_tcp(&address.to_string());
        log::info!("listening on http://{address}");
    }
    if let Some(tls) = &config.proxy.tls {
        for address in &tls.listen {
            // Pingora would wait for handshakes by a clock of its own, before a connection is counted.
            proxy.add_tcp(&address.to_string());
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
