//! Clients that show what others hide: interim answers, chunks as they arrive, and how an answer ends.

mod h1;
mod h2;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use serde_json::Value;

use super::PATIENCE;
use super::requests::Request;

/// What a client speaks to the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Version {
    /// HTTP/1.1 without TLS.
    H1,
    /// HTTP/2 with prior knowledge, without TLS.
    H2,
    /// HTTP/1.1 over TLS.
    TlsH1,
    /// HTTP/2 over TLS, by ALPN.
    TlsH2,
}

/// The status line and headers of an answer.
#[derive(Clone, Debug)]
pub struct Head {
    /// Status.
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
}

impl Head {
    /// A header's first value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }
}

/// What comes next in a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Chunk {
    /// Some bytes, as they arrived.
    Data(Bytes),
    /// A clean end.
    End,
    /// The body broke: no last chunk, too short, or the stream was reset.
    Broken,
}

/// A whole answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Status line and headers.
    pub head: Head,
    /// All that arrived.
    pub body: Bytes,
    /// Whether the body ended as its framing promises.
    pub clean: bool,
    /// From the request to the head.
    pub to_head: Duration,
    /// From the request to each piece of the body.
    pub arrivals: Vec<(Duration, Bytes)>,
}

impl Answer {
    /// Status.
    pub fn status(&self) -> u16 {
        self.head.status
    }

    /// A header's first value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.header(name)
    }

    /// The body as text, for messages.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    /// The error's `code`, in OpenAI's shape; empty if there is none.
    pub fn code(&self) -> String {
        self.json()
            .pointer("/error/code")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    }
}

/// One connection to the gateway; dropping it closes it.
pub struct Client {
    inner: Inner,
}

enum Inner {
    H1(Box<h1::H1>),
    H2(Box<h2::H2>),
}

impl Client {
    /// Connects. The address must be the listener's for this version.
    pub async fn connect(version: Version, address: SocketAddr) -> Client {
        let inner = match version {
            Version::H1 => Inner::H1(Box::new(h1::H1::connect(address, false).await)),
            Version::TlsH1 => Inner::H1(Box::new(h1::H1::connect(address, true).await)),
            Version::H2 => Inner::H2(Box::new(h2::H2::connect(address, false).await)),
            Version::TlsH2 => Inner::H2(Box::new(h2::H2::connect(address, true).await)),
        };
        Client { inner }
    }

    /// Connects by HTTP/1.1 to a gateway that may be dead.
    ///
    /// # Errors
    ///
    /// If it is.
    pub async fn try_connect(address: SocketAddr) -> Result<Client, String> {
        let client = h1::H1::try_connect(address)
            .await
            .map_err(|error| error.to_string())?;
        Ok(Client {
            inner: Inner::H1(Box::new(client)),
        })
    }

    /// Sends a request and reads the head of its answer.
    ///
    /// # Errors
    ///
    /// If the connection ends before the head is whole.
    pub async fn begin(&mut self, request: &Request) -> Result<Head, String> {
        let begun = async {
            match &mut self.inner {
                Inner::H1(client) => client.begin(request).await,
                Inner::H2(client) => client.begin(request).await,
            }
        };
        tokio::time::timeout(PATIENCE, begun)
            .await
            .unwrap_or_else(|_| Err("no head in time".to_owned()))
    }

    /// Sends bytes as they are (HTTP/1.1 only).
    pub async fn raw(&mut self, bytes: &[u8]) -> Result<Head, String> {
        let Inner::H1(client) = &mut self.inner else {
            panic!("raw bytes are for HTTP/1.1")
        };
        let nothing = Bytes::new();
        let begun = client.begin_raw(bytes, &nothing);
        tokio::time::timeout(PATIENCE, begun)
            .await
            .unwrap_or_else(|_| Err("no head in time".to_owned()))
    }

    /// Reads what comes next in the body.
    pub async fn chunk(&mut self) -> Chunk {
        let next = async {
            match &mut self.inner {
                Inner::H1(client) => client.chunk().await,
                Inner::H2(client) => client.chunk().await,
            }
        };
        tokio::time::timeout(PATIENCE, next)
            .await
            .expect("the next piece of a body in time")
    }

    /// Reads the body until it contains this text, or ends; all that arrived.
    pub async fn read_until(&mut self, text: &str) -> Vec<u8> {
        let mut body = Vec::new();
        while memchr::memmem::find(&body, text.as_bytes()).is_none() {
            match self.chunk().await {
                Chunk::Data(data) => body.extend_from_slice(&data),
                Chunk::End | Chunk::Broken => break,
            }
        }
        body
    }

    /// Sends a request and reads its whole answer.
    pub async fn ask(&mut self, request: &Request) -> Answer {
        self.try_ask(request).await.unwrap()
    }

    /// Sends a request and reads its whole answer.
    ///
    /// # Errors
    ///
    /// If the connection ends before the head is whole.
    pub async fn try_ask(&mut self, request: &Request) -> Result<Answer, String> {
        let start = tollgate_base::clock::now();
        let head = self.begin(request).await?;
        Ok(self.finish(head, start).await)
    }

    /// Reads the rest of an answer.
    pub async fn finish(&mut self, head: Head, start: Instant) -> Answer {
        let since = || tollgate_base::clock::now().saturating_duration_since(start);
        let to_head = since();
        let mut arrivals = Vec::new();
        let clean = loop {
            match self.chunk().await {
                Chunk::Data(data) => arrivals.push((since(), data)),
                Chunk::End => break true,
                Chunk::Broken => break false,
            }
        };
        let pieces: Vec<&[u8]> = arrivals.iter().map(|(_, piece)| piece.as_ref()).collect();
        Answer {
            head,
            body: pieces.concat().into(),
            clean,
            to_head,
            arrivals,
        }
    }
}
