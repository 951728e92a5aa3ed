//! Where providers are: names resolved, addresses checked, connections described.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use pingora_core::protocols::ALPN;
use pingora_core::upstreams::peer::{HttpPeer, HttpUpstreamRequestPolicy};
use pingora_error::{Error, ErrorType, Result};

use super::resolver::Resolver;
use super::trust::Trust;
use tollgate_base::clock;
use tollgate_config::catalog::{
    BaseUrl, Provider, forbidden_address, is_public, plain_http_allowed,
};
use tollgate_failover::Outcome;

/// How long an idle upstream connection is kept. Most providers close theirs after 60 s or more.
const IDLE_TIMEOUT: Duration = Duration::from_secs(55);

/// Most `ca` files that are remembered, each for one host.
const MOST_TRUSTS: usize = 256;

/// How often the log says that a provider's TLS fails.
const QUIET: Duration = Duration::from_secs(60);

/// How long a server is not asked for a WebSocket that had none.
const WITHOUT_WEBSOCKET: Duration = Duration::from_secs(600);

/// The text of a `ca` file, and the host that it is read for.
type Named = (Arc<str>, String);

/// Names and `ca` files, remembered.
#[derive(Default)]
pub struct Peers {
    names: Resolver,
    trusts: Mutex<HashMap<Named, Arc<Trust>>>,
    /// When the log last said so of a provider.
    untrusted: Mutex<HashMap<Arc<str>, Instant>>,
    /// Until when servers, by their authorities, are not asked for a WebSocket.
    without_websocket: Mutex<HashMap<String, Instant>>,
}

impl Peers {
    /// Returns the provider's addresses, the one to try first at the end. Only addresses that may be called.
    pub async fn lookup(
        &self,
        provider: &Provider,
        now: Instant,
        patience: Duration,
    ) -> std::result::Result<Vec<SocketAddr>, Outcome> {
        let base = &provider.base_url;
        let mut ips = match base.address() {
            Some(ip) => vec![ip],
            None => {
                let host = (base.host.clone(), base.port);
                let found = self.names.lookup(&host, now, patience).await;
                found.map_err(Outcome::Connect)?
            }
        };
        // The resolver puts the best first; we take from the end.
        ips.reverse();
        checked(ips, base, provider.public_only)
    }

    fn trust(&self, pem: &Arc<str>, host: &str) -> Result<Arc<Trust>> {
        let key = (pem.clone(), host.to_owned());
        if let Some(trust) = self.trusts.lock().get(&key) {
            return Ok(trust.clone());
        }
        let trust = Arc::new(Trust::read(pem, host)?);
        let mut trusts = self.trusts.lock();
        if trusts.len() >= MOST_TRUSTS {
            trusts.clear();
        }
        trusts.insert(key, trust.clone());
        Ok(trust)
    }

    /// Judges the certificate of a provider whose server is known by it; `presented` is its SHA-256.
    ///
    /// # Errors
    /// When it is not the right one.
    pub fn judge(&self, provider: &Provider, presented: &[u8]) -> Result<()> {
        let base = &provider.base_url;
        let Some(pem) = provider.ca.as_ref().filter(|_| base.tls) else {
            return Ok(());
        };
        let trust = self.trust(pem, &base.host)?;
        if !trust.is_own() {
            return Ok(());
        }
        let judged = trust.judge(presented);
        judged.map_err(|why| Error::explain(ErrorType::InvalidCert, why))
    }

    /// Returns whether a provider may have WebSockets, as far as its server has said.
    pub fn has_websocket(&self, provider: &Provider, now: Instant) -> bool {
        let without = self.without_websocket.lock();
        let until = without.get(&provider.base_url.authority);
        until.is_none_or(|until| *until <= now)
    }

    /// A provider's server has no WebSocket; it is asked again in 10 minutes.
    pub fn lacks_websocket(&self, provider: &Provider, now: Instant) {
        let mut without = self.without_websocket.lock();
        without.retain(|_, until| *until > now);
        let authority = provider.base_url.authority.clone();
        if without.insert(authority, now + WITHOUT_WEBSOCKET).is_none() {
            let id = &provider.id;
            log::warn!(
                "the provider {id} agrees to no WebSocket, and is asked over HTTP; its `websocket: true` should go"
            );
        }
    }

    /// Says in the log why a provider's TLS fails, now and then.
    pub fn tell(&self, provider: &Provider, error: &Error) {
        let now = clock::now();
        let mut untrusted = self.untrusted.lock();
        untrusted.retain(|_, said| now.duration_since(*said) < QUIET);
        if untrusted.contains_key(&provider.id) {
            return;
        }
        untrusted.insert(provider.id.clone(), now);
        drop(untrusted);
        let cause = reason(error);
        let unknown = ["UnknownIssuer", "CaUsedAsEndEntity"];
        let is_unknown = unknown.iter().any(|unknown| cause.contains(unknown));
        let hint = match &provider.ca {
            _ if !is_unknown => "",
            None => {
                "; if it is your own server, name its certificate or its authority's in the provider's `ca`"
            }
            Some(_) => {
                "; the provider's `ca` holds neither its authority's certificate nor, for this host, its own"
            }
        };
        let (id, host) = (&provider.id, &provider.base_url.host);
        log::warn!("TLS to the provider {id} at {host} fails: {cause}{hint}");
    }
}

/// What of a failure of TLS is of use to an operator: rustls's own words, without Pingora's around them.
fn reason(error: &Error) -> String {
    let said = match &error.context {
        Some(said) => said.as_str().to_owned(),
        None => error.root_cause().to_string(),
    };
    let before = ["cause: ", "tls connect error: "];
    let why = before.iter().find_map(|before| said.rsplit_once(before));
    let why = why.map_or(&*said, |(_, why)| why);
    let why = why.rsplit_once(", SNI: ").map_or(why, |(why, _)| why);
    why.trim().to_owned()
}

/// Leaves out what must not be called, however the name resolves: cloud metadata, plain http to the world, and all but
/// the public internet for a provider that one of many tenants made.
fn checked(
    ips: Vec<IpAddr>,
    base: &BaseUrl,
    public_only: bool,
) -> std::result::Result<Vec<SocketAddr>, Outcome> {
    let is_allowed = |ip: IpAddr| {
        forbidden_address(ip).is_none()
            && (base.tls || plain_http_allowed(ip))
            && (!public_only || is_public(ip))
    };
    let allowed: Vec<SocketAddr> = ips
        .into_iter()
        .filter(|ip| is_allowed(*ip))
        .map(|ip| SocketAddr::new(ip, base.port))
        .collect();
    if allowed.is_empty() {
        Err(Outcome::AddressForbidden)
    } else {
        Ok(allowed)
    }
}

/// Returns the connection that an attempt needs; `left` is what remains of its time.
pub fn peer(
    peers: &Peers,
    provider: &Provider,
    address: SocketAddr,
    left: Duration,
) -> Result<Box<HttpPeer>> {
    let base = &provider.base_url;
    let sni = if base.tls {
        base.host.clone()
    } else {
        String::new()
    };
    let mut peer = HttpPeer::new(address, base.tls, sni);
    let connect = left.min(super::CONNECT_TIMEOUT);
    let options = &mut peer.options;
    options.connection_timeout = Some(connect);
    options.total_connection_timeout = Some(connect);
    // The head is written anew for each attempt, see `outbound`: what Pingora would strip never gets into it.
    options.http_upstream_request_policy = HttpUpstreamRequestPolicy::preserve();
    // HTTP/2 waits for window before it looks at the clock; this bounds that wait.
    options.write_timeout = Some(left);
    options.idle_timeout = Some(IDLE_TIMEOUT);
    if base.tls {
        options.alpn = ALPN::H2H1;
        options.max_h2_streams = 100;
        if let Some(pem) = &provider.ca {
            let trust = peers.trust(pem, &base.host)?;
            options.ca = Some(trust.authorities.clone());
            // What rustls does not take is judged by `Peers::judge`.
            options.verify_cert = !trust.is_own();
        }
    }
    // Providers never share connections, even at one address: they may trust different authorities.
    peer.group_key = group(provider);
    Ok(Box::new(peer))
}

fn group(provider: &Provider) -> u64 {
    let trusted = provider.ca.as_deref().unwrap_or_default();
    // FNV-1a: all that is asked is that providers differ.
    let bytes = provider.id.bytes().chain([0]).chain(trusted.bytes());
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(base: &str, ips: &[&str]) -> std::result::Result<Vec<String>, Outcome> {
        let base = BaseUrl::parse(base).expect("a base URL");
        let ips = ips.iter().map(|ip| ip.parse().expect("an address"));
        let found = checked(ips.collect(), &base, false)?;
        Ok(found
            .iter()
            .map(|address| address.ip().to_string())
            .collect())
    }

    #[test]
    fn a_name_may_not_lead_to_cloud_metadata() {
        for base in ["https://models.example/v1", "http://models.example/v1"] {
            for metadata in [
                "169.254.169.254",
                "169.254.170.2",
                "fe80::1",
                "::ffff:169.254.169.254",
                "fd00:ec2::254",
                "100.100.100.200",
                "0.0.0.0",
                "::",
                "255.255.255.255",
                "224.0.0.1",
                "ff02::1",
            ] {
                assert_eq!(
                    allowed(base, &[metadata]),
                    Err(Outcome::AddressForbidden),
                    "{base} at {metadata}"
                );
            }
        }
    }

    #[test]
    fn what_a_tenant_made_does_not_reach_our_own_network() {
        let base = BaseUrl::parse("https://models.example/v1").expect("a base URL");
        for (ip, reached) in [
            ("8.8.8.8", true),
            ("10.0.0.1", false),
            ("::1", false),
            ("127.0.0.1", false),
        ] {
            let ips = vec![ip.parse().expect("an address")];
            assert_eq!(checked(ips, &base, true).is_ok(), reached, "{ip}");
        }
    }

    #[test]
    fn what_is_allowed_of_several_addresses_is_left_in_order() {
        let mixed = [
            "8.8.8.8",
            "169.254.169.254",
            "10.0.0.1",
            "2001:db8::1",
            "::1",
        ];
        assert_eq!(
            allowed("https://models.example/v1", &mixed),
            Ok(vec!["8.8.8.8", "10.0.0.1", "2001:db8::1", "::1"]
                .into_iter()
                .map(str::to_owned)
                .collect())
        );
        assert_eq!(
            allowed("http://models.example/v1", &mixed),
            Ok(vec!["10.0.0.1".to_owned(), "::1".to_owned()]),
            "plain http stays in the house"
        );
        assert_eq!(
            allowed("http://models.example/v1", &["8.8.8.8"]),
            Err(Outcome::AddressForbidden)
        );
    }
}
