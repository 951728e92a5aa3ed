//! HTTP/1.1, by hand, so that every byte and every end is as the script wants it.

use std::io;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{Reading, Seen, Shared};
use crate::common::script::{Act, Framing, Script};

/// How a script left the connection.
#[derive(PartialEq, Eq)]
enum Left {
    /// Another request may follow.
    Open,
    /// It is over.
    Closed,
    /// It is over, and the peer gets a RST.
    Reset,
    /// The peer left first.
    Gone,
}

struct Connection<IO> {
    io: IO,
    buffer: BytesMut,
}

/// Serves one connection to its end.
pub(super) async fn serve(
    io: impl AsyncRead + AsyncWrite + Unpin,
    hand: &TcpStream,
    shared: &Shared,
) {
    let mut connection = Connection {
        io,
        buffer: BytesMut::new(),
    };
    while let Ok(Some(seen)) = connection.request(shared.reading).await {
        let (index, script) = shared.record(seen.clone());
        if script.is_websocket() {
            let rest = connection.buffer.split().freeze();
            super::ws::serve(connection.io, rest, &seen, hand, shared).await;
            return;
        }
        match connection.play(&script).await {
            Ok(Left::Open) if shared.reading == Reading::Whole => {}
            Ok(Left::Reset) => {
                hand.set_zero_linger().unwrap();
                return;
            }
            Ok(Left::Gone) | Err(_) => {
                shared.gone(index);
                return;
            }
            Ok(_) => return,
        }
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> Connection<IO> {
    /// Reads more; false at the end.
    async fn more(&mut self) -> io::Result<bool> {
        self.buffer.reserve(64 << 10);
        Ok(self.io.read_buf(&mut self.buffer).await? > 0)
    }

    /// Reads up to a separator, and past it; `None` at a clean end.
    async fn until(&mut self, separator: &[u8]) -> io::Result<Option<Bytes>> {
        let mut from = 0;
        loop {
            if let Some(at) = memchr::memmem::find(&self.buffer[from..], separator) {
                let part = self.buffer.split_to(from + at).freeze();
                self.buffer.advance(separator.len());
                return Ok(Some(part));
            }
            from = self.buffer.len().saturating_sub(separator.len());
            if !self.more().await? {
                return Ok(None);
            }
        }
    }

    async fn exactly(&mut self, length: usize) -> io::Result<BytesMut> {
        while self.buffer.len() < length {
            if !self.more().await? {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(self.buffer.split_to(length))
    }

    async fn request(&mut self, reading: Reading) -> io::Result<Option<Seen>> {
        let Some(head) = self.until(b"\r\n\r\n").await? else {
            return Ok(None);
        };
        let head = String::from_utf8_lossy(&head).into_owned();
        let mut lines = head.split("\r\n");
        let path = lines.next().unwrap_or_default().split(' ').nth(1);
        let headers = lines.filter_map(|line| line.split_once(':'));
        let headers: Vec<(String, String)> = headers
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        let mut seen = Seen {
            path: path.unwrap_or_default().to_owned(),
            headers,
            body: Bytes::new(),
            version: "HTTP/1.1",
            at: tollgate_base::clock::now(),
            gone: None,
        };
        if reading == Reading::Whole {
            seen.body = self.body(&seen).await?;
            seen.at = tollgate_base::clock::now();
        }
        Ok(Some(seen))
    }

    async fn body(&mut self, seen: &Seen) -> io::Result<Bytes> {
        if seen
            .header("transfer-encoding")
            .is_some_and(|coding| coding.eq_ignore_ascii_case("chunked"))
        {
            let mut body = BytesMut::new();
            loop {
                let line = self
                    .until(b"\r\n")
                    .await?
                    .ok_or(io::ErrorKind::UnexpectedEof)?;
                let size = std::str::from_utf8(&line)
                    .ok()
                    .and_then(|line| usize::from_str_radix(line.trim(), 16).ok());
                let size = size.ok_or(io::ErrorKind::InvalidData)?;
                body.extend_from_slice(&self.exactly(size).await?);
                self.exactly(2).await?;
                if size == 0 {
                    return Ok(body.freeze());
                }
            }
        }
        let length = seen
            .header("content-length")
            .and_then(|length| length.parse().ok())
            .unwrap_or(0);
        Ok(self.exactly(length).await?.freeze())
    }

    async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.io.write_all(bytes).await?;
        self.io.flush().await
    }

    /// Waits, for ever if `None`; whether the peer left meanwhile.
    async fn wait(&mut self, time: Option<Duration>) -> bool {
        let gone = async { while self.more().await.unwrap_or(false) {} };
        match time {
            Some(time) => tokio::time::timeout(time, gone).await.is_ok(),
            None => {
                gone.await;
                true
            }
        }
    }

    async fn chunk(&mut self, framing: Framing, data: &[u8]) -> io::Result<()> {
        if framing != Framing::Chunked {
            return self.write(data).await;
        }
        let mut chunk = format!("{:x}\r\n", data.len()).into_bytes();
        chunk.extend_from_slice(data);
        chunk.extend_from_slice(b"\r\n");
        self.write(&chunk).await
    }

    async fn play(&mut self, script: &Script) -> io::Result<Left> {
        let framing = script.framing;
        for act in &script.acts {
            match act {
                Act::Wait(time) => {
                    if self.wait(Some(*time)).await {
                        return Ok(Left::Gone);
                    }
                }
                Act::Gate(gate) => {
                    let mut gate = gate.clone();
                    tokio::select! {
                        _ = self.wait(None) => return Ok(Left::Gone),
                        open = gate.wait_for(|open| *open) => drop(open),
                    }
                }
                Act::Silence => {
                    self.wait(None).await;
                    return Ok(Left::Gone);
                }
                Act::Interim(status) => {
                    self.write(
                        format!("HTTP/1.1 {status} Interim\r\nx-interim: yes\r\n\r\n").as_bytes(),
                    )
                    .await?;
                }
                Act::Head(status, headers) => self.head(script, *status, headers).await?,
                Act::Data(data) => self.chunk(framing, data).await?,
                Act::Bytewise(data) => {
                    for byte in data {
                        self.chunk(framing, &[*byte]).await?;
                    }
                }
                Act::Forever(data, interval) => loop {
                    self.chunk(framing, data).await?;
                    if self.wait(Some(*interval)).await {
                        return Ok(Left::Gone);
                    }
                },
                Act::Cut | Act::ResetStream | Act::Close(_) => return Ok(Left::Closed),
                Act::Reset => return Ok(Left::Reset),
            }
        }
        match framing {
            Framing::Length => Ok(Left::Open),
            Framing::Close => Ok(Left::Closed),
            Framing::Chunked => {
                self.write(b"0\r\n\r\n").await?;
                Ok(Left::Open)
            }
        }
    }

    async fn head(
        &mut self,
        script: &Script,
        status: u16,
        headers: &[(String, String)],
    ) -> io::Result<()> {
        let mut head = format!("HTTP/1.1 {status} Scripted\r\n");
        for (name, value) in headers {
            head += &format!("{name}: {value}\r\n");
        }
        head += &match script.framing {
            Framing::Length => format!("content-length: {}\r\n\r\n", script.body().len()),
            Framing::Chunked => "transfer-encoding: chunked\r\n\r\n".to_owned(),
            Framing::Close => "connection: close\r\n\r\n".to_owned(),
        };
        self.write(head.as_bytes()).await
    }
}
