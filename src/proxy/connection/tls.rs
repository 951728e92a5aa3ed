//! Clients that speak TLS: which do, and their handshakes, for which Pingora would wait by a clock of its own and before a
//! connection is counted.

use std::net::SocketAddr;

use pingora_core::listeners::tls::Acceptor;
use pingora_core::protocols::Stream;
use pingora_core::protocols::l4::stream::Stream as Socket;

use super::client_address;
use crate::proxy::shared::Shared;
use tollgate_base::clock;
use tollgate_config::{Identity, Proxy};

/// What makes of a client's connection one that can be read.
pub struct Tls {
    /// What was shown at the start, for as long as the configuration in force has no TLS.
    first: Identity,
    /// Where the gateway listens, and whether it speaks TLS there.
    listeners: Vec<(SocketAddr, bool)>,
}

impl Tls {
    /// TLS where it is spoken, and not where it is not; `None` if it is nowhere.
    pub fn of(proxy: &Proxy) -> Option<Tls> {
        let tls = proxy.tls.as_ref()?;
        let spoken = tls.listen.iter().map(|address| (*address, true));
        let plain = proxy.listen.iter().map(|address| (*address, false));
        Some(Tls {
            first: tls.identity.clone(),
            listeners: spoken.chain(plain).collect(),
        })
    }

    /// Whether the client came to a listener that speaks it.
    pub(super) fn is_spoken(&self, stream: &Stream) -> bool {
        let digest = stream.get_socket_digest();
        let local = digest.as_ref().and_then(|digest| digest.local_addr());
        let local = local.and_then(|address| address.as_inet());
        local.is_some_and(|local| is_spoken(&self.listeners, *local))
    }

    /// The connection after its handshake, with what the configuration in force shows; `None` if that fails.
    pub(super) async fn shake_hands(&self, shared: &Shared, stream: Stream) -> Option<Stream> {
        let identity = {
            let snapshot = shared.snapshot.load();
            let tls = snapshot.config.proxy.tls.as_ref();
            tls.map_or(&self.first, |tls| &tls.identity).clone()
        };
        let client = client_address(&stream).ip();
        let socket = stream.into_any().downcast::<Socket>().ok()?;
        let acceptor = Acceptor::from_server_config(identity.server);
        match acceptor.tls_handshake(*socket).await {
            Ok(stream) => Some(Box::new(stream)),
            Err(error) => {
                if identity.client_ca.is_some() {
                    let line = format_args!("{client} was not let in at `proxy.tls`: {error}");
                    shared.notices.warn(line, clock::now());
                }
                None
            }
        }
    }
}

/// Whether TLS is spoken at an address of ours: as the kernel has it, a listener for that very address comes before one
/// for all.
fn is_spoken(listeners: &[(SocketAddr, bool)], local: SocketAddr) -> bool {
    let exact = listeners.iter().find(|(address, _)| *address == local);
    let any = || {
        listeners.iter().find(|(address, _)| {
            let fits = address.port() == local.port() && address.is_ipv4() == local.is_ipv4();
            fits && address.ip().is_unspecified()
        })
    };
    exact.or_else(any).is_some_and(|(_, spoken)| *spoken)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_listener_that_the_kernel_chose_is_found() {
        let at = |text: &str| text.parse::<SocketAddr>().unwrap();
        let listeners = [
            (at("0.0.0.0:443"), true),
            (at("[::]:8443"), true),
            (at("127.0.0.1:443"), false),
            (at("127.0.0.1:8080"), false),
        ];
        for (local, spoken) in [
            ("10.0.0.1:443", true),
            ("127.0.0.1:443", false),
            ("127.0.0.1:8080", false),
            ("[::1]:8443", true),
            ("[::ffff:10.0.0.1]:8443", true),
            ("127.0.0.1:8443", false),
        ] {
            assert_eq!(is_spoken(&listeners, at(local)), spoken, "{local}");
        }
    }
}
