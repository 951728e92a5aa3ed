//! Calls a receiver's methods over gRPC: a message there and one back, on an HTTP/2 connection that is kept.
//!
//! Invariant: a call ends within [`PATIENCE`], and whoever may be called is judged each time that a name is looked up.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::{BufMut as _, Bytes, BytesMut};
use http::{HeaderMap, Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::{AGENT, LATE, LONGEST_ANSWER, PATIENCE, Trouble, refused};
use tollgate_base::Secret;

/// Returns the addresses that a name stands for and that may be called, with TLS or without.
pub type Addresses = fn(host: &str, port: u16, tls: bool) -> Result<Vec<SocketAddr>, String>;

/// In front of a message: whether it is compressed (1 byte), and how long it is (4 bytes).
const PREFIX: usize = 5;

/// What statuses are called, by their numbers.
const STATUSES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];
/// Those that may pass.
const PASSING: [usize; 7] = [1, 4, 8, 10, 11, 14, 15];

/// A receiver that speaks gRPC.
pub struct Channel {
    /// Its one thread keeps the connection alive between calls.
    runtime: Runtime,
    receiver: Address,
    open: Option<SendRequest<Full<Bytes>>>,
}

#[derive(Clone)]
struct Address {
    host: String,
    port: u16,
    addresses: Addresses,
    tls: Option<Arc<ClientConfig>>,
}

impl Channel {
    /// Returns the channel to a receiver at `http://host:port`, or with https and `tls`. It is not called yet.
    ///
    /// # Errors
    /// If the address is not such a one, or the thread cannot be started.
    pub fn new(url: &Secret, addresses: Addresses, tls: Arc<ClientConfig>) -> io::Result<Channel> {
        let url = url.expose().parse::<Uri>();
        let url = url.map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
        let (Some(host), Some(port)) = (url.host(), url.port_u16()) else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("otlp")
            .enable_all()
            .build()?;
        let receiver = Address {
            host: host.trim_matches(['[', ']']).to_owned(),
            port,
            addresses,
            tls: (url.scheme_str() == Some("https")).then_some(tls),
        };
        Ok(Channel {
            runtime,
            receiver,
            open: None,
        })
    }

    /// Sends a message to a method; returns the answer's, if it has one that can be read.
    pub(super) fn call(
        &mut self,
        method: &str,
        headers: &[(String, Secret)],
        message: &[u8],
    ) -> Result<Option<Vec<u8>>, Trouble> {
        let request = self.receiver.request(method, headers, message)?;
        let called = exchange(&self.receiver, &mut self.open, request);
        let called = self
            .runtime
            .block_on(async { timeout(PATIENCE, called).await });
        called.unwrap_or_else(|_| Err(passing(LATE)))
    }
}

impl Address {
    fn request(
        &self,
        method: &str,
        headers: &[(String, Secret)],
        message: &[u8],
    ) -> Result<Request<Full<Bytes>>, Trouble> {
        let too_long = |_| Trouble::Final("the message is too long".to_owned());
        let length = u32::try_from(message.len()).map_err(too_long)?;
        let mut framed = BytesMut::with_capacity(PREFIX + message.len());
        framed.put_u8(0);
        framed.put_u32(length);
        framed.put_slice(message);
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        let host = match self.host.contains(':') {
            true => format!("[{}]", self.host),
            false => self.host.clone(),
        };
        let mut request = Request::post(format!("{scheme}://{host}:{}{method}", self.port))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .header("grpc-timeout", format!("{}S", PATIENCE.as_secs()))
            .header("user-agent", AGENT);
        for (name, value) in headers {
            request = request.header(name, value.expose());
        }
        let request = request.body(Full::new(framed.freeze()));
        // The error may show a header.
        request.map_err(|_| Trouble::Final("the request cannot be written".to_owned()))
    }

    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>, String> {
        let at = self.clone();
        let found = move || (at.addresses)(&at.host, at.port, at.tls.is_some());
        let found = tokio::task::spawn_blocking(found).await;
        let found = found.map_err(|error| error.to_string())??;
        let text = |error: io::Error| error.to_string();
        let socket = TcpStream::connect(&*found).await.map_err(text)?;
        let Some(tls) = &self.tls else {
            return begin(socket).await;
        };
        let name = ServerName::try_from(self.host.clone()).map_err(|error| error.to_string())?;
        let connector = TlsConnector::from(tls.clone());
        begin(connector.connect(name, socket).await.map_err(text)?).await
    }
}

async fn begin<S>(stream: S) -> Result<SendRequest<Full<Bytes>>, String>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let begun = handshake(TokioExecutor::new(), TokioIo::new(stream)).await;
    let (open, connection) = begun.map_err(|error| error.to_string())?;
    // Whoever calls learns of its end.
    tokio::spawn(async move { connection.await.ok() });
    Ok(open)
}

/// Makes a call on the connection that is open, or on a new one.
async fn exchange(
    receiver: &Address,
    open: &mut Option<SendRequest<Full<Bytes>>>,
    request: Request<Full<Bytes>>,
) -> Result<Option<Vec<u8>>, Trouble> {
    let broken = |error: hyper::Error| passing(&format!("the connection broke: {error}"));
    let mut on = match open.take().filter(|open| !open.is_closed()) {
        Some(open) => open,
        None => receiver.connect().await.map_err(|why| passing(&why))?,
    };
    let answer = on.send_request(request).await.map_err(broken)?;
    let (head, body) = answer.into_parts();
    if head.status != StatusCode::OK {
        return Err(refused(head.status, None));
    }
    let most = usize::try_from(LONGEST_ANSWER).unwrap_or(usize::MAX);
    let read = Limited::new(body, most).collect().await;
    let read = read.map_err(|error| passing(&format!("its answer breaks off: {error}")))?;
    // Where there is no message, trailers come as the head.
    let trailers = read.trailers().unwrap_or(&head.headers);
    judge(trailers)?;
    *open = Some(on);
    let message = read.to_bytes();
    let is_plain = message.first() == Some(&0);
    Ok(message
        .get(PREFIX..)
        .filter(|_| is_plain)
        .map(<[u8]>::to_vec))
}

/// What a call's trailers say became of it.
fn judge(trailers: &HeaderMap) -> Result<(), Trouble> {
    let status = trailers.get("grpc-status");
    let status = status.and_then(|status| status.to_str().ok()?.parse::<usize>().ok());
    let Some(status) = status else {
        return Err(Trouble::Final("it does not speak gRPC".to_owned()));
    };
    if status == 0 {
        return Ok(());
    }
    let name = STATUSES.get(status).unwrap_or(&"a status");
    let why = format!("it answers {name} ({status})");
    match PASSING.contains(&status) {
        true => Err(Trouble::Passing(why, None)),
        false => Err(Trouble::Final(why)),
    }
}

fn passing(why: &str) -> Trouble {
    Trouble::Passing(why.to_owned(), None)
}
