//! Bare Pingora: its own process, the least `ProxyHttp` there is, the yardstick for the gateway.
//!
//! It has what the gateway has and cannot avoid (one worker thread, jemalloc from `main.rs`, an upstream
//! keep-alive pool, no TLS on loopback) and nothing else: every request goes to the one provider as it came.

use std::net::SocketAddr;

use async_trait::async_trait;
use pingora::server::Server;
use pingora::server::configuration::ServerConf;
use pingora::upstreams::peer::HttpPeer;
use pingora_proxy::{ProxyHttp, Session, http_proxy_service};

use crate::child;

/// Upstream connections kept for reuse; more than any measure opens at once.
const POOL: usize = 2048;

struct PassThrough {
    provider: SocketAddr,
}

#[async_trait]
impl ProxyHttp for PassThrough {
    type CTX = ();

    fn new_ctx(&self) {}

    async fn upstream_peer(
        &self,
        _session: &mut Session,
        _ctx: &mut (),
    ) -> pingora::Result<Box<HttpPeer>> {
        Ok(Box::new(HttpPeer::new(self.provider, false, String::new())))
    }
}

/// Serves on `listen` until its parent ends.
pub fn run(listen: SocketAddr, provider: SocketAddr) -> ! {
    child::exit_with_parent();
    let conf = ServerConf {
        threads: 1,
        upstream_keepalive_pool_size: POOL,
        ..ServerConf::default()
    };
    let mut server = Server::new_with_opt_and_conf(None, conf);
    server.bootstrap();
    let mut service = http_proxy_service(&server.configuration, PassThrough { provider });
    service.add_tcp(&listen.to_string());
    server.add_service(service);
    server.run_forever()
}
