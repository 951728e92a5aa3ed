//! One WebSocket to a provider: a turn at a time, and between two of them it is listened to.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::{FutureExt as _, SinkExt as _, StreamExt as _};
use http::{HeaderMap, HeaderValue, Method, header};
use pingora_core::protocols::Stream;
use pingora_error::Result;
use pingora_http::RequestHeader;
use pingora_timeout::timeout;
use tokio::sync::oneshot;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error, Message, Utf8Bytes};

use crate::metrics::traces::{TRACEPARENT, TRACESTATE};
use crate::proxy::timer::Timer;
use crate::proxy::{frames, names};
use tollgate_base::clock;
use tollgate_config::catalog::BaseUrl;
use tollgate_wire::websocket::{ProviderEvent, heard};

/// How often a provider hears a ping between turns, so that nothing on the way takes the connection for dead. One that has
/// not answered it before the next one is gone.
const PING: Duration = Duration::from_secs(30);

/// How long a provider may take for a ping, and to say goodbye.
const GOODBYE: Duration = Duration::from_secs(1);

/// Where a link leads, and as whom: all that its handshake says.
pub struct Place {
    /// Less what is about one turn.
    head: RequestHeader,
    base_url: BaseUrl,
    /// The authorities that its server is trusted by.
    ca: Option<Arc<str>>,
}

impl Place {
    /// Returns where a turn's request goes that has this head over HTTP. `beta` is the version of the protocol that its
    /// client asks for.
    ///
    /// # Errors
    /// If the client's headers and that one do not go together.
    pub fn new(
        mut head: RequestHeader,
        beta: Option<&HeaderValue>,
        base_url: &BaseUrl,
        ca: Option<Arc<str>>,
    ) -> Result<Place> {
        head.set_method(Method::GET);
        for name in [
            &header::ACCEPT,
            &header::ACCEPT_ENCODING,
            &header::CONTENT_LENGTH,
            &header::CONTENT_TYPE,
            &names::X_REQUEST_ID,
            &TRACEPARENT,
            &TRACESTATE,
        ] {
            head.remove_header(name);
        }
        head.insert_header(header::CONNECTION, "Upgrade")?;
        head.insert_header(header::UPGRADE, "websocket")?;
        head.insert_header(header::SEC_WEBSOCKET_VERSION, "13")?;
        if let Some(beta) = beta {
            head.append_header(&names::OPENAI_BETA, beta.clone())?;
        }
        Ok(Place {
            head,
            base_url: base_url.clone(),
            ca,
        })
    }

    /// Returns the head of a handshake with this key.
    ///
    /// # Errors
    /// If the key has characters that no header may have.
    pub fn handshake(&self, key: &str) -> Result<Box<RequestHeader>> {
        let mut head = Box::new(self.head.clone());
        head.insert_header(header::SEC_WEBSOCKET_KEY, key)?;
        Ok(head)
    }

    /// Returns whether both are the same.
    pub fn is(&self, other: &Place) -> bool {
        self.head.uri == other.head.uri
            && self.head.headers == other.head.headers
            && self.base_url == other.base_url
            && self.ca == other.ca
    }
}

/// A WebSocket to a provider.
pub struct Link {
    /// Where it leads.
    pub place: Arc<Place>,
    /// The response that can be continued on it: the last one.
    pub latest: Option<String>,
    /// It has served a turn.
    pub used: bool,
    /// What its handshake was answered with, until a turn takes it.
    pub greeting: HeaderMap,
    ws: WebSocketStream<Stream>,
}

/// What comes of a link.
pub enum Said {
    /// A message.
    Text(Utf8Bytes),
    /// A sign that somebody is there.
    Sign,
    /// The provider closes it as one that is not needed any more.
    Closed,
    /// It is closed for another reason, or broken.
    Broken,
}

impl Link {
    /// Returns a link on a connection whose handshake is done; `tail` was read already, and messages have at most so
    /// many bytes.
    pub async fn new(
        place: Arc<Place>,
        greeting: HeaderMap,
        stream: Stream,
        tail: Bytes,
        most: usize,
    ) -> Link {
        let config = Some(frames::config(most));
        let ws = WebSocketStream::from_partially_read(stream, tail.into(), Role::Client, config);
        Link {
            place,
            latest: None,
            used: false,
            greeting,
            ws: ws.await,
        }
    }

    /// Sends a message.
    ///
    /// # Errors
    /// If the provider has not got all of it.
    pub async fn ask(&mut self, event: Utf8Bytes) -> Result<(), Error> {
        frames::feed(&mut self.ws, event).await?;
        self.ws.flush().await
    }

    /// Waits for what the provider says.
    pub async fn hear(&mut self) -> Said {
        match self.ws.next().await {
            Some(Ok(Message::Text(text))) => Said::Text(text),
            // A ping is answered when the next message is waited for.
            Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => Said::Sign,
            Some(Ok(Message::Close(frame))) => {
                // What the library says for it waits for this.
                drop(timeout(GOODBYE, self.ws.flush()).await);
                match frame.map(|frame| frame.code) {
                    None | Some(CloseCode::Normal | CloseCode::Away | CloseCode::Restart) => {
                        Said::Closed
                    }
                    Some(_) => Said::Broken,
                }
            }
            Some(Ok(Message::Binary(_)) | Err(_)) | None => Said::Broken,
        }
    }

    /// Listens to it until it is wanted; `None` if it has ended, or is not wanted any more.
    pub async fn idle(mut self, mut wanted: oneshot::Receiver<()>) -> Option<Link> {
        let mut timer = Timer::default();
        let mut ping_at = clock::now() + PING;
        let mut is_there = true;
        let is_wanted = loop {
            tokio::select! {
                wanted = &mut wanted => break wanted.is_ok(),
                said = self.hear() => match goes_on(&said) {
                    true => is_there = true,
                    false => return None,
                },
                // It may wake early.
                () = timer.sleep(clock::now(), ping_at) => if clock::now() >= ping_at {
                    if !std::mem::replace(&mut is_there, false) {
                        return None;
                    }
                    ping_at = clock::now() + PING;
                    let ping = self.ws.send(Message::Ping(Bytes::new()));
                    timeout(GOODBYE, ping).await.ok()?.ok()?;
                }
            }
        };
        if !is_wanted {
            self.leave().await;
            return None;
        }
        // It may have been closed just now.
        while let Some(said) = self.hear().now_or_never() {
            if !goes_on(&said) {
                return None;
            }
        }
        Some(self)
    }

    /// Closes it.
    async fn leave(mut self) {
        let ws = &mut self.ws;
        let goodbye = async {
            ws.close(None).await?;
            while let Some(said) = ws.next().await {
                said?;
            }
            Ok::<(), Error>(())
        };
        drop(timeout(GOODBYE, goodbye).await);
    }
}

/// Whether a link goes on after what it says between turns.
fn goes_on(said: &Said) -> bool {
    match said {
        Said::Text(text) => !matches!(heard(text), Some(ProviderEvent::Error(_))),
        Said::Sign => true,
        Said::Closed | Said::Broken => false,
    }
}
