//! Where providers are: names resolved, addresses checked, connections described.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use pingora_core::protocols::ALPN;
use pingora_core::protocols::tls::CaType;
use pingora_core::upstreams::peer::{HttpPeer, HttpUpstreamRequestPolicy};
use pingora_core::utils::tls::{WrappedX509, parse_x509};
use pingora_error::{Error, ErrorType, Result};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use tollgate_config::catalog::{BaseUrl, Provider, forbidden_address, plain_http_allowed};
use tollgate_failover::{ConnectFailure, Outcome};

/// How long an address is believed; the system's resolver does not say.
const NAME_TTL: Duration = Duration::from_secs(30);

/// How long an idle upstream connection is kept. Most providers close theirs after 60 s or more.
const IDLE_TIMEOUT: Duration = Duration::from_secs(55);

/// What a name resolved to, and until when that is believed.
type Known = (Instant, Vec<IpAddr>);

/// Names and certificate authorities, remembered.
#[derive(Default)]
pub struct Peers {
    names: Mutex<HashMap<(String, u16), Known>>,
    authorities: Mutex<HashMap<Arc<str>, Arc<CaType>>>,
}

impl Peers {
    /// The provider's addresses, the one to try first at the end. Only addresses that may be called.
    pub async fn lookup(
        &self,
        provider: &Provider,
        now: Instant,
        patience: Duration,
    ) -> std::result::Result<Vec<SocketAddr>, Outcome> {
        let base = &provider.base_url;
        if let Some(ip) = base.address() {
            return checked(vec![ip], base, provider.public_only);
        }
        let key = (base.host.clone(), base.port);
        let known = self
            .names
            .lock()
            .get(&key)
            .filter(|(until, _)| now < *until)
            .map(|(_, ips)| ips.clone());
        if let Some(ips) = known {
            return checked(ips, base, provider.public_only);
        }
        let asked = tokio::time::timeout(
            patience,
            tokio::net::lookup_host((base.host.as_str(), base.port)),
        )
        .await;
        let found = match asked {
            Ok(Ok(found)) => found,
            Ok(Err(_)) => return Err(Outcome::Connect(ConnectFailure::Dns)),
            Err(_) => return Err(Outcome::Connect(ConnectFailure::Timeout)),
        };
        let mut ips: Vec<IpAddr> = Vec::new();
        for address in found {
            if !ips.contains(&address.ip()) {
                ips.push(address.ip());
            }
        }
        if ips.is_empty() {
            return Err(Outcome::Connect(ConnectFailure::Dns));
        }
        // The resolver puts the best first; we take from the end.
        ips.reverse();
        self.names.lock().insert(key, (now + NAME_TTL, ips.clone()));
        checked(ips, base, provider.public_only)
    }

    fn authorities(&self, pem: &Arc<str>) -> Result<Arc<CaType>> {
        let mut known = self.authorities.lock();
        if let Some(authorities) = known.get(pem) {
            return Ok(authorities.clone());
        }
        let parsed: std::result::Result<Vec<CertificateDer<'_>>, _> =
            CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
        let ders = parsed.map_err(|_| {
            Error::explain(
                ErrorType::InvalidCert,
                "the provider's `ca` file is not PEM",
            )
        })?;
        let wrapped: Vec<WrappedX509> = ders
            .iter()
            .map(|der| WrappedX509::new(der.to_vec(), parse_x509))
            .collect();
        let authorities: Arc<CaType> = wrapped.into();
        known.insert(pem.clone(), authorities.clone());
        Ok(authorities)
    }
}

/// Leaves out what must not be called, however the name resolves: cloud metadata, plain http to the world, and our
/// own network for a provider that one of many tenants made.
fn checked(
    ips: Vec<IpAddr>,
    base: &BaseUrl,
    public_only: bool,
) -> std::result::Result<Vec<SocketAddr>, Outcome> {
    let is_allowed = |ip: IpAddr| {
        let is_private = plain_http_allowed(ip);
        forbidden_address(ip).is_none() && (base.tls || is_private) && !(public_only && is_private)
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

/// The connection that an attempt needs; `left` is what remains of its time.
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
            options.ca = Some(peers.authorities(pem)?);
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
