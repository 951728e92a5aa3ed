//! HTTP/1.1 by hand.

use std::net::SocketAddr;

use bytes::{Buf, Bytes, BytesMut};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::{Chunk, Head, Request};
use crate::common::certs;

/// A plain or a TLS connection.
pub(super) trait Io: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Io for T {}

async fn plain(address: SocketAddr) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Opens a connection.
pub(super) async fn open(address: SocketAddr, alpn: Option<&str>) -> Box<dyn Io> {
    let stream = plain(address).await.unwrap();
    match alpn {
        None => Box::new(stream),
        Some(alpn) => {
            let name = ServerName::try_from("localhost").unwrap();
            let connector = TlsConnector::from(certs::client(&[alpn]));
            let stream = connector.connect(name, stream).await.unwrap();
            assert_eq!(
                stream.get_ref().1.alpn_protocol(),
                Some(alpn.as_bytes()),
                "ALPN"
            );
            Box::new(stream)
        }
    }
}

/// What is left of a body.
#[derive(Clone, Copy, Debug)]
enum Left {
    Nothing,
    Length(usize),
    Chunked,
    /// To the end of the connection.
    Close,
}

/// A connection.
pub(super) struct H1 {
    reader: Reader,
    writer: WriteHalf<Box<dyn Io>>,
    address: SocketAddr,
    left: Left,
}

struct Reader {
    io: ReadHalf<Box<dyn Io>>,
    buffer: BytesMut,
}

impl H1 {
    pub(super) async fn connect(address: SocketAddr, tls: bool) -> H1 {
        H1::over(open(address, tls.then_some("http/1.1")).await, address)
    }

    pub(super) async fn try_connect(address: SocketAddr) -> std::io::Result<H1> {
        Ok(H1::over(Box::new(plain(address).await?), address))
    }

    fn over(io: Box<dyn Io>, address: SocketAddr) -> H1 {
        let (io, writer) = tokio::io::split(io);
        let reader = Reader {
            io,
            buffer: BytesMut::new(),
        };
        H1 {
            reader,
            writer,
            address,
            left: Left::Nothing,
        }
    }

    pub(super) async fn begin(&mut self, request: &Request) -> Result<Head, String> {
        let mut head = format!(
            "{} {} HTTP/1.1\r\nhost: {}\r\n",
            request.method, request.path, self.address
        );
        for (name, value) in &request.headers {
            head += &format!("{name}: {value}\r\n");
        }
        if request.method != "GET" {
            head += &format!("content-length: {}\r\n", request.body.len());
        }
        head += "\r\n";
        self.begin_raw(head.as_bytes(), &request.body).await
    }

    /// Writes, and reads an answer even while still writing: a refusal may come early.
    pub(super) async fn begin_raw(&mut self, head: &[u8], body: &Bytes) -> Result<Head, String> {
        let writer = &mut self.writer;
        let write = async {
            // A refused body ends in an error here, and in an answer below.
            drop(writer.write_all(head).await);
            drop(writer.write_all(body).await);
            drop(writer.flush().await);
        };
        let read = self.reader.head();
        tokio::pin!(write, read);
        let mut written = false;
        let head = loop {
            tokio::select! {
                () = &mut write, if !written => written = true,
                head = &mut read => break head?,
            }
        };
        let value = |name: &str| head.header(name).map(str::to_ascii_lowercase);
        self.left = match (
            head.status,
            value("transfer-encoding"),
            value("content-length"),
        ) {
            (204 | 304, _, _) => Left::Nothing,
            (_, Some(coding), _) if coding == "chunked" => Left::Chunked,
            (_, _, Some(length)) => Left::Length(length.parse().map_err(|_| "a bad length")?),
            _ => Left::Close,
        };
        Ok(head)
    }

    pub(super) async fn chunk(&mut self) -> Chunk {
        let (chunk, left) = match self.left {
            Left::Nothing | Left::Length(0) => (Chunk::End, Left::Nothing),
            Left::Chunked => match self.reader.chunk().await {
                None => (Chunk::Broken, Left::Nothing),
                Some(data) if data.is_empty() => (Chunk::End, Left::Nothing),
                Some(data) => (Chunk::Data(data), Left::Chunked),
            },
            Left::Length(length) => match self.reader.some(length).await {
                Ok(data) if !data.is_empty() => {
                    let left = Left::Length(length - data.len());
                    (Chunk::Data(data), left)
                }
                _ => (Chunk::Broken, Left::Nothing),
            },
            Left::Close => match self.reader.some(usize::MAX).await {
                Ok(data) if data.is_empty() => (Chunk::End, Left::Nothing),
                Ok(data) => (Chunk::Data(data), Left::Close),
                Err(_) => (Chunk::Broken, Left::Nothing),
            },
        };
        self.left = left;
        chunk
    }
}

impl Reader {
    async fn more(&mut self) -> std::io::Result<bool> {
        Ok(self.io.read_buf(&mut self.buffer).await? > 0)
    }

    /// Up to `most` bytes, as they arrived; none at the end.
    async fn some(&mut self, most: usize) -> std::io::Result<Bytes> {
        if self.buffer.is_empty() {
            self.more().await?;
        }
        let length = most.min(self.buffer.len());
        Ok(self.buffer.split_to(length).freeze())
    }

    async fn line(&mut self) -> Option<String> {
        loop {
            if let Some(at) = memchr::memmem::find(&self.buffer, b"\r\n") {
                let line = self.buffer.split_to(at);
                self.buffer.advance(2);
                return Some(String::from_utf8_lossy(&line).into_owned());
            }
            if !self.more().await.unwrap_or(false) {
                return None;
            }
        }
    }

    /// The next final head; interim ones are passed over.
    async fn head(&mut self) -> Result<Head, String> {
        loop {
            let first = self
                .line()
                .await
                .ok_or("the connection ended before an answer")?;
            let status = first
                .split(' ')
                .nth(1)
                .and_then(|status| status.parse().ok());
            let status: u16 = status.ok_or_else(|| format!("not a status line: {first}"))?;
            let mut headers = Vec::new();
            loop {
                let line = self
                    .line()
                    .await
                    .ok_or("the connection ended inside a head")?;
                if line.is_empty() {
                    break;
                }
                let (name, value) = line
                    .split_once(':')
                    .ok_or_else(|| format!("not a header: {line}"))?;
                headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
            }
            if status >= 200 || status == 101 {
                return Ok(Head { status, headers });
            }
        }
    }

    /// One chunk; empty is the last one, `None` a body that broke.
    async fn chunk(&mut self) -> Option<Bytes> {
        let line = self.line().await?;
        let size = usize::from_str_radix(line.split(';').next()?.trim(), 16).ok()?;
        while self.buffer.len() < size + 2 {
            if !self.more().await.unwrap_or(false) {
                return None;
            }
        }
        let data = self.buffer.split_to(size).freeze();
        let end = self.buffer.split_to(2);
        (end.as_ref() == b"\r\n").then_some(data)
    }
}
