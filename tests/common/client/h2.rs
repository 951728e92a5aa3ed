//! HTTP/2 with hyper.

use std::net::SocketAddr;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};

use super::h1::open;
use super::{Chunk, Head, Request};

/// A connection; one request at a time.
pub(super) struct H2 {
    sender: SendRequest<Full<Bytes>>,
    scheme: &'static str,
    authority: SocketAddr,
    body: Option<Incoming>,
}

impl H2 {
    pub(super) async fn connect(authority: SocketAddr, tls: bool) -> H2 {
        let io = TokioIo::new(open(authority, tls.then_some("h2")).await);
        let (sender, connection) = http2::handshake(TokioExecutor::new(), io).await.unwrap();
        tokio::spawn(async move { drop(connection.await) });
        H2 {
            sender,
            scheme: if tls { "https" } else { "http" },
            authority,
            body: None,
        }
    }

    pub(super) async fn begin(&mut self, request: &Request) -> Result<Head, String> {
        self.body = None;
        let uri = format!("{}://{}{}", self.scheme, self.authority, request.path);
        let mut head = http::Request::builder().method(request.method).uri(uri);
        for (name, value) in &request.headers {
            head = head.header(name, value);
        }
        let request = head
            .body(Full::new(request.body.clone()))
            .map_err(|error| error.to_string())?;
        self.sender
            .ready()
            .await
            .map_err(|error| error.to_string())?;
        let answer = self
            .sender
            .send_request(request)
            .await
            .map_err(|error| error.to_string())?;
        let (head, body) = answer.into_parts();
        self.body = Some(body);
        let headers = head.headers.iter();
        let headers = headers
            .map(|(name, value)| {
                (
                    name.to_string(),
                    String::from_utf8_lossy(value.as_bytes()).into_owned(),
                )
            })
            .collect();
        Ok(Head {
            status: head.status.as_u16(),
            headers,
        })
    }

    pub(super) async fn chunk(&mut self) -> Chunk {
        let Some(body) = &mut self.body else {
            return Chunk::End;
        };
        loop {
            match body.frame().await {
                None => return Chunk::End,
                Some(Err(_)) => return Chunk::Broken,
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data()
                        && !data.is_empty()
                    {
                        return Chunk::Data(data);
                    }
                }
            }
        }
    }
}
