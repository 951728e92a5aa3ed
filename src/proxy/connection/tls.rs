//! Clients that speak TLS: which do, and their handshakes, for which Pingora would wait by a clock of its own and before a
//! connection is counted.

use std::net::SocketAddr;

use pingora_core::listeners::tls::Acceptor;
use pingora_core::protocols::Stream;
use pingora_core::protocols::l4::stream::Stream as Socket;

/// What makes of a client's connection one that can be read.
pub struct Tls {
    acceptor: Acceptor,
    /// Where the gateway listens, and whether it speaks TLS there.
    listeners: Vec<(SocketAddr, bool)>,
}

impl Tls {
    /// TLS where it is spoken, and not where it is not.
    pub fn new(acceptor: Acceptor, spoken: &[SocketAddr], plain: &[SocketAddr]) -> Tls {
        let spoken = spoken.iter().map(|address| (*address, true));
        let plain = plain.iter().map(|address| (*address, false));
        Tls {
            acceptor,
            listeners: spoken.chain(plain).collect(),
        }
    }

    /// Whether the client came to a listener that speaks it.
    pub(super) fn is_spoken(&self, stream: &Stream) -> bool {
        let digest = stream.get_socket_digest();
        let local = digest.as_ref().and_then(|digest| digest.local_addr());
        let local = local.and_then(|address| address.as_inet());
        local.is_some_and(|local| is_spoken(&self.listeners, *local))
    }

    /// The connection after its handshake; `None` if that fails.
    pub(super) async fn shake_hands(&self, stream: Stream) -> Option<Stream> {
        let socket = stream.into_any().downcast::<Socket>().ok()?;
        let stream = self.acceptor.tls_handshake(*socket).await.ok()?;
        Some(Box::new(stream))
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
