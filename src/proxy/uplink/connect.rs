//! A new link: a connection of its own, and the handshake on it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use futures::FutureExt as _;
use http::{HeaderMap, HeaderName, StatusCode, header};
use pingora_core::protocols::ALPN;
use pingora_core::protocols::http::client::HttpSession;
use pingora_core::upstreams::peer::HttpPeer;
use pingora_error::Result;
use pingora_http::ResponseHeader;
use pingora_timeout::timeout;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::link::{Link, Place};
use crate::proxy::shared::Shared;
use crate::proxy::{CONNECT_TIMEOUT, dial};
use tollgate_base::clock;
use tollgate_config::catalog::Provider;
use tollgate_failover::{ConnectFailure, Outcome};

/// What comes of a handshake.
pub enum Opened {
    /// The provider agrees.
    Link(Link),
    /// It says that the key, its limits or its state do not allow it: the answer, whose body was not read yet.
    Refused(HttpSession, Box<ResponseHeader>),
    /// It does not speak WebSocket.
    Without,
}

/// Who is asked to agree, and until when.
pub struct Asked {
    /// What all requests share.
    pub shared: Arc<Shared>,
    /// The provider.
    pub provider: Arc<Provider>,
    /// Its addresses, the one to try first at the end.
    pub addresses: Vec<SocketAddr>,
    /// When the attempt ends.
    pub by: Instant,
    /// Most bytes of a message.
    pub most: usize,
}

impl Asked {
    /// Opens a link, in the time that connecting may take.
    ///
    /// # Errors
    /// If there is no connection, or no answer on it.
    pub async fn open(&self, place: &Arc<Place>) -> std::result::Result<Opened, Outcome> {
        let now = clock::now();
        let left = self.by.saturating_duration_since(now).min(CONNECT_TIMEOUT);
        let opened = timeout(left, self.shake_hands(place, now + left)).await;
        opened.unwrap_or(Err(Outcome::Connect(ConnectFailure::Timeout)))
    }

    async fn shake_hands(
        &self,
        place: &Arc<Place>,
        by: Instant,
    ) -> std::result::Result<Opened, Outcome> {
        let suit = |peer: &mut HttpPeer| peer.options.alpn = ALPN::H1;
        let (shared, provider) = (&self.shared, &self.provider);
        let connected = dial::connect(shared, provider, &self.addresses, by, suit);
        let mut session = connected.await?;
        let key = generate_key();
        let answered = answered(&mut session, place, &key).await;
        let head = answered.map_err(|_| Outcome::Reset)?;
        match head.status.as_u16() {
            101 => {
                let agrees = says(&head, header::UPGRADE, "websocket")
                    && says(
                        &head,
                        header::SEC_WEBSOCKET_ACCEPT,
                        &derive_accept_key(key.as_bytes()),
                    );
                let link = match agrees {
                    true => self.link(place, session, &head).await,
                    false => None,
                };
                link.map(Opened::Link).ok_or(Outcome::Malformed)
            }
            501 => Ok(Opened::Without),
            401..=403 | 408 | 429 | 500.. => Ok(Opened::Refused(session, head)),
            // There is nothing of the turn in a handshake that could be at fault.
            _ => Ok(Opened::Without),
        }
    }

    /// The link on a connection whose handshake is done.
    async fn link(
        &self,
        place: &Arc<Place>,
        session: HttpSession,
        head: &ResponseHeader,
    ) -> Option<Link> {
        let HttpSession::H1(mut session) = session else {
            return None;
        };
        // What came with the head was read with it.
        let tail = match session.read_body_bytes().now_or_never() {
            Some(Ok(Some(tail))) => tail,
            Some(Ok(None) | Err(_)) => return None,
            None => bytes::Bytes::new(),
        };
        let (greeting, stream) = (greeting(head), session.into_inner());
        Some(Link::new(place.clone(), greeting, stream, tail, self.most).await)
    }
}

/// Sends a handshake, and reads the head of its answer.
async fn answered(
    session: &mut HttpSession,
    place: &Place,
    key: &str,
) -> Result<Box<ResponseHeader>> {
    session.write_request_header(place.handshake(key)?).await?;
    session.finish_request_body().await?;
    loop {
        session.read_response_header().await?;
        let head = session.response_header().filter(|head| {
            !head.status.is_informational() || head.status == StatusCode::SWITCHING_PROTOCOLS
        });
        if let Some(head) = head {
            return Ok(Box::new(head.clone()));
        }
    }
}

/// Whether a head says this under this name; upper and lower case are the same, as in a token's they are.
fn says(head: &ResponseHeader, name: HeaderName, text: &str) -> bool {
    let said = head.headers.get(name);
    said.is_some_and(|said| said.as_bytes().eq_ignore_ascii_case(text.as_bytes()))
}

/// What of an agreement is about more than the connection.
fn greeting(head: &ResponseHeader) -> HeaderMap {
    let mut headers = head.headers.clone();
    for name in [
        header::CONNECTION,
        header::UPGRADE,
        header::SEC_WEBSOCKET_ACCEPT,
        header::CONTENT_LENGTH,
        header::CONTENT_TYPE,
        header::CONTENT_ENCODING,
        header::TRANSFER_ENCODING,
    ] {
        headers.remove(name);
    }
    headers
}
