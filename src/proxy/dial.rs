//! A connection to a provider that Pingora does not make for itself: it is nobody else's, before and after.

use std::net::SocketAddr;
use std::time::Instant;

use pingora_core::protocols::http::client::HttpSession;
use pingora_core::upstreams::peer::HttpPeer;
use pingora_error::{Error, ErrorType};

use super::peers;
use super::shared::Shared;
use tollgate_base::clock;
use tollgate_config::catalog::Provider;
use tollgate_failover::{ConnectFailure, Outcome};

/// Connects to the first address that can be reached, the last one first. `suit` says what else is asked of the
/// connection, which must be there by `by`.
///
/// # Errors
/// Why there is none, of the last address that was tried.
pub async fn connect(
    shared: &Shared,
    provider: &Provider,
    addresses: &[SocketAddr],
    by: Instant,
    suit: impl Fn(&mut HttpPeer),
) -> Result<HttpSession, Outcome> {
    let mut outcome = Outcome::Connect(ConnectFailure::Other);
    let Some(connector) = shared.hedges.connector.get() else {
        return Err(outcome);
    };
    let untrusted = |error: Box<Error>| {
        shared.peers.tell(provider, &error);
        Outcome::Connect(ConnectFailure::Tls)
    };
    for address in addresses.iter().rev() {
        let left = by.saturating_duration_since(clock::now());
        let peer = peers::peer(&shared.peers, provider, *address, left);
        let mut peer = peer.map_err(untrusted)?;
        peer.options.max_h2_streams = 1;
        suit(&mut peer);
        match connector.get_http_session(&*peer).await {
            Ok((session, _)) => {
                let digest = session
                    .digest()
                    .and_then(|digest| digest.ssl_digest.as_ref());
                let presented = digest.map_or(&[][..], |digest| &digest.cert_digest);
                let judged = shared.peers.judge(provider, presented);
                return judged.map(|()| session).map_err(untrusted);
            }
            Err(error) => {
                let failure = failure(&error);
                outcome = Outcome::Connect(failure);
                if failure == ConnectFailure::Tls {
                    untrusted(error);
                }
            }
        }
    }
    Err(outcome)
}

/// Returns why no connection came about.
pub fn failure(error: &Error) -> ConnectFailure {
    match error.etype() {
        ErrorType::ConnectRefused => ConnectFailure::Refused,
        ErrorType::ConnectNoRoute => ConnectFailure::Unreachable,
        ErrorType::ConnectTimedout => ConnectFailure::Timeout,
        ErrorType::TLSHandshakeFailure
        | ErrorType::TLSHandshakeTimedout
        | ErrorType::InvalidCert
        | ErrorType::HandshakeError => ConnectFailure::Tls,
        _ => ConnectFailure::Other,
    }
}
