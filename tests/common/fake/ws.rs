//! WebSocket: each message of the client is a request, and each event of a script's data is a message.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use futures::{SinkExt as _, StreamExt as _};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role};

use super::{Seen, Shared};
use crate::common::script::{Act, Script};

/// How a script left the socket.
enum Left {
    /// Another message may follow.
    Open,
    Closed,
    Reset,
    /// The peer left first.
    Gone,
}

/// Agrees to a handshake, and serves its socket to the end; `rest` was read already.
pub(super) async fn serve<IO: AsyncRead + AsyncWrite + Unpin>(
    mut io: IO,
    rest: Bytes,
    handshake: &Seen,
    hand: &TcpStream,
    shared: &Shared,
) {
    let key = handshake.header("sec-websocket-key").unwrap_or_default();
    let accept = derive_accept_key(key.as_bytes());
    let agreed = format!(
        "HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-accept: {accept}\r\n\
         x-request-id: socket\r\n\r\n"
    );
    if io.write_all(agreed.as_bytes()).await.is_err() {
        return;
    }
    let ws = WebSocketStream::from_partially_read(io, rest.to_vec(), Role::Server, None);
    let mut ws = ws.await;
    while let Some(Ok(message)) = ws.next().await {
        let Message::Text(text) = message else {
            continue;
        };
        let seen = Seen {
            body: Bytes::from(text),
            version: "WebSocket",
            at: tollgate_base::clock::now(),
            ..handshake.clone()
        };
        let (index, script) = shared.record(seen);
        match play(&mut ws, &script).await {
            Ok(Left::Open) => {}
            Ok(Left::Reset) => {
                hand.set_zero_linger().unwrap();
                return;
            }
            Ok(Left::Closed) => return,
            Ok(Left::Gone) | Err(_) => {
                shared.gone(index);
                return;
            }
        }
    }
}

async fn play<IO: AsyncRead + AsyncWrite + Unpin>(
    ws: &mut WebSocketStream<IO>,
    script: &Script,
) -> io::Result<Left> {
    for act in &script.acts {
        match act {
            Act::Wait(time) => {
                if wait(ws, Some(*time)).await {
                    return Ok(Left::Gone);
                }
            }
            Act::Gate(gate) => {
                let mut gate = gate.clone();
                tokio::select! {
                    _ = wait(ws, None) => return Ok(Left::Gone),
                    open = gate.wait_for(|open| *open) => drop(open),
                }
            }
            Act::Silence => {
                wait(ws, None).await;
                return Ok(Left::Gone);
            }
            Act::Data(data) | Act::Bytewise(data) => say(ws, data).await?,
            Act::Forever(data, interval) => loop {
                say(ws, data).await?;
                if wait(ws, Some(*interval)).await {
                    return Ok(Left::Gone);
                }
            },
            Act::Close(code) => {
                let frame = CloseFrame {
                    code: (*code).into(),
                    reason: "".into(),
                };
                ws.close(Some(frame)).await.map_err(io::Error::other)?;
                while let Some(Ok(_)) = ws.next().await {}
                return Ok(Left::Closed);
            }
            // A message has no head.
            Act::Head(..) | Act::Interim(_) => {}
            Act::Cut | Act::ResetStream => return Ok(Left::Closed),
            Act::Reset => return Ok(Left::Reset),
        }
    }
    Ok(Left::Open)
}

/// Says what an event's data says, or all of it if it is none.
async fn say<IO: AsyncRead + AsyncWrite + Unpin>(
    ws: &mut WebSocketStream<IO>,
    data: &Bytes,
) -> io::Result<()> {
    let text = String::from_utf8_lossy(data);
    for event in text.split("\n\n").filter(|event| !event.is_empty()) {
        let data = event.split_once("data: ").map_or(event, |(_, data)| data);
        ws.send(Message::text(data))
            .await
            .map_err(io::Error::other)?;
    }
    Ok(())
}

/// Waits, for ever if `None`; whether the peer left meanwhile.
async fn wait<IO: AsyncRead + AsyncWrite + Unpin>(
    ws: &mut WebSocketStream<IO>,
    time: Option<Duration>,
) -> bool {
    let gone = async { while let Some(Ok(_)) = ws.next().await {} };
    match time {
        Some(time) => tokio::time::timeout(time, gone).await.is_ok(),
        None => {
            gone.await;
            true
        }
    }
}
