//! How WebSockets are read and written, whoever opened them.

use bytes::Bytes;
use futures::SinkExt as _;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use tokio_tungstenite::tungstenite::{Error, Message, Utf8Bytes};

/// What is read at once, and written at once where more is there, in bytes. More is not kept while a socket is idle.
const READ: usize = 4 << 10;
const WRITE: usize = 8 << 10;

/// Longer messages leave in pieces, because what they are written from is kept for the next one.
const LONGEST_FRAME: usize = 16 << 10;

/// Returns how a socket is read and written whose messages have at most so many bytes.
pub fn config(most: usize) -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(READ)
        .write_buffer_size(WRITE)
        .max_message_size(Some(most))
        .max_frame_size(Some(most))
}

/// Writes a message; what of it is not sent yet is with what follows, or when the socket is flushed.
///
/// # Errors
/// If the socket is closed or broken.
pub async fn feed<S: AsyncRead + AsyncWrite + Unpin>(
    ws: &mut WebSocketStream<S>,
    text: Utf8Bytes,
) -> Result<(), Error> {
    if text.len() <= LONGEST_FRAME {
        return ws.feed(Message::Text(text)).await;
    }
    let mut rest = Bytes::from(text);
    let mut kind = Data::Text;
    while !rest.is_empty() {
        let frame = rest.split_to(rest.len().min(LONGEST_FRAME));
        let frame = Frame::message(frame, OpCode::Data(kind), rest.is_empty());
        ws.feed(Message::Frame(frame)).await?;
        kind = Data::Continue;
    }
    Ok(())
}
