//! The session that Pingora sees while candidates are tried: the client's own, except that it
//!
//! - replays the whole request body to every attempt (Pingora's own replay buffer ends at 64 KiB),
//! - holds an answer back until it commits, and drops it when the attempt fails,
//! - watches the clock while an attempt is under way, and ends the attempt when its time is up,
//! - goes on when its client has left: for whoever asks for the same again, or for the answer's usage.
//!
//! What to hold, drop and end is decided in [`Gate`]; this file only carries it out. The real
//! session goes back to its place ([`Slot`]) when the wrapper is dropped, or keep-alive is lost.

mod left;
mod watch;
mod writes;

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use futures::Stream;
use http::HeaderMap;
use parking_lot::Mutex;
use pingora_core::protocols::Digest;
use pingora_core::protocols::http::custom::CustomMessageWrite;
use pingora_core::protocols::http::custom::server::Session as CustomSession;
use pingora_core::protocols::http::{HttpTask, ServerSession};
use pingora_core::protocols::l4::socket::SocketAddr;
use pingora_error::{Error, Result};
use pingora_http::{RequestHeader, ResponseHeader};

use super::closing::Closing;
use super::gate::{Gate, Pass, ended_by_gateway};
use super::opening::Opening;
use super::retries::Turn;
use super::timer::Timer;
use left::Left;
use tollgate_base::clock;
use watch::Watched;

/// What would come or leave beside HTTP.
pub(in crate::proxy) type MessageReader =
    Box<dyn Stream<Item = Result<Bytes>> + Unpin + Send + Sync>;
pub(in crate::proxy) type MessageWriter = Box<dyn CustomMessageWrite>;

/// Implements what a session needs for messages beside HTTP, of which there are none.
macro_rules! no_custom_messages {
    () => {
        fn take_custom_message_reader(&mut self) -> Option<MessageReader> {
            None
        }

        fn restore_custom_message_reader(&mut self, _: MessageReader) -> Result<()> {
            Ok(())
        }

        fn take_custom_message_writer(&mut self) -> Option<MessageWriter> {
            None
        }

        fn restore_custom_message_writer(&mut self, _: MessageWriter) -> Result<()> {
            Ok(())
        }
    };
}
pub(in crate::proxy) use no_custom_messages;

/// Where the real session waits after the wrapper is gone, and whether its client had left.
type Slot = Arc<Mutex<Option<(ServerSession, bool)>>>;

/// Gives the client's session back to Pingora; kept in the request's context.
pub struct Unwrap(Slot);

impl Unwrap {
    /// Puts the real session back in its place. Returns whether its client had left.
    pub fn restore(self, place: &mut ServerSession) -> bool {
        *place = nobody();
        let Some((real, has_left)) = self.0.lock().take() else {
            return false;
        };
        *place = real;
        has_left
    }
}

/// Puts the wrapper around the client's session.
///
/// `opening` is the head for a client that has waited long enough to be given one before any
/// candidate has answered; `turn` is for requests that may be sent again.
pub fn wrap(
    place: &mut ServerSession,
    body: Bytes,
    gate: Arc<Gate>,
    opening: Opening,
    closing: Closing,
    turn: Option<Turn>,
    patience: Duration,
) -> Unwrap {
    let slot: Slot = Arc::default();
    let mut real = std::mem::replace(place, nobody());
    // Comments are written from a future that Pingora may drop at any time; on HTTP/1 only this
    // kind of write survives that.
    real.set_proxy_tasks_enabled(true);
    let wrapper = HeldSession {
        real,
        body,
        gate,
        opening,
        closing,
        turn,
        patience,
        unread_by: None,
        comment_cut: false,
        deserted: None,
        left: None,
        has_left: false,
        hung_up: false,
        timer: Timer::default(),
        slot: slot.clone(),
    };
    *place = ServerSession::Custom(Box::new(wrapper));
    Unwrap(slot)
}

fn nobody() -> ServerSession {
    ServerSession::Custom(Box::new(()))
}

struct HeldSession {
    real: ServerSession,
    body: Bytes,
    gate: Arc<Gate>,
    opening: Opening,
    /// Settles the request before its last byte leaves.
    closing: Closing,
    /// Records the answer for those that ask for it again.
    turn: Option<Turn>,
    /// How long the client may leave an answer unread.
    patience: Duration,
    /// Until when the client must have read the write that is under way.
    unread_by: Option<Instant>,
    /// A comment to an HTTP/2 client was begun and not finished.
    comment_cut: bool,
    /// The client has left, as this says, and its answer goes on for those that ask for it again.
    deserted: Option<Box<Error>>,
    /// The client has left, and its answer is read on.
    left: Option<Left>,
    /// The client has left.
    has_left: bool,
    /// Its connection, or its stream, was closed on this side, too.
    hung_up: bool,
    timer: Timer,
    slot: Slot,
}

impl Drop for HeldSession {
    fn drop(&mut self) {
        let real = std::mem::replace(&mut self.real, nobody());
        *self.slot.lock() = Some((real, self.has_left));
    }
}

#[async_trait]
impl CustomSession for HeldSession {
    fn get_retry_buffer(&self) -> Option<Bytes> {
        Some(self.body.clone())
    }

    fn retry_buffer_truncated(&self) -> bool {
        false
    }

    fn enable_retry_buffering(&mut self) {}

    fn is_body_done(&mut self) -> bool {
        true
    }

    fn is_body_empty(&mut self) -> bool {
        self.body.is_empty()
    }

    async fn read_body_bytes(&mut self) -> Result<Option<Bytes>> {
        Ok(None)
    }

    async fn drain_request_body(&mut self) -> Result<()> {
        Ok(())
    }

    async fn read_body_or_idle(&mut self, _no_body_expected: bool) -> Result<Option<Bytes>> {
        while self.left.is_none() {
            match self.watch().await {
                Watched::Expired => return Err(ended_by_gateway()),
                Watched::Left(error) => self.leave(error)?,
            }
        }
        self.wait_for_usage().await
    }

    async fn response_duplex_vec(&mut self, tasks: Vec<HttpTask>) -> Result<bool> {
        if self.left.is_some() {
            return self.overhear(tasks);
        }
        let mut pass = self.gate.pass(tasks, clock::now());
        // What seldom happens is boxed: this future is made anew for every few events.
        if let Pass::Translate(translation) = pass {
            let translated = Box::pin(self.closing.translate(translation)).await;
            pass = self.gate.translated(translated, clock::now());
        }
        self.closing.committed(&self.gate);
        let is_last = matches!(pass, Pass::Last(_));
        if let Some(turn) = &mut self.turn
            && let Pass::Last(tasks) | Pass::Write(tasks) = &pass
            && self.gate.is_complete()
            && let Some(keeping) = turn.keep(tasks)
        {
            // Before it is paid: whoever pays gets it, if not now, then again.
            Box::pin(keeping).await;
        }
        let (tasks, goes_on) = match pass {
            Pass::Hold | Pass::Translate(_) => return Ok(false),
            Pass::Fail(error) => return Err(error),
            Pass::Last(mut tasks) => {
                let closed = Box::pin(self.closing.answer(&self.gate)).await;
                // Where the head is still here, it says so.
                if let (Some(closed), Some(HttpTask::Header(head, _))) = (closed, tasks.first_mut())
                {
                    closed.tell(head)?;
                }
                (tasks, true)
            }
            Pass::Write(tasks) => {
                let affords = self.closing.affords(&self.gate);
                (tasks, affords || !self.gate.cut_off())
            }
        };
        let fails = matches!(tasks.last(), Some(HttpTask::Failed(_)));
        let written = self.write(tasks).await;
        if written.is_ok() && !fails && self.gate.is_complete() {
            self.gate.deliver();
        }
        if is_last && let Some(error) = self.deserted.take() {
            return Err(error);
        }
        match written {
            Ok(_) if !goes_on => Err(ended_by_gateway()),
            // The provider's own failure comes back as one, too.
            Err(error) if goes_on && !fails => self.leave(error).map(|()| false),
            written => written,
        }
    }

    async fn write_response_header(&mut self, resp: Box<ResponseHeader>, end: bool) -> Result<()> {
        self.write(vec![HttpTask::Header(resp, end)])
            .await
            .map(drop)
    }

    async fn write_response_header_ref(&mut self, resp: &ResponseHeader, end: bool) -> Result<()> {
        self.write_response_header(Box::new(resp.clone()), end)
            .await
    }

    async fn write_body(&mut self, data: Bytes, end: bool) -> Result<()> {
        self.write(vec![HttpTask::Body(Some(data), end)])
            .await
            .map(drop)
    }

    async fn write_trailers(&mut self, trailers: HeaderMap) -> Result<()> {
        self.write(vec![HttpTask::Trailer(Some(Box::new(trailers)))])
            .await
            .map(drop)
    }

    async fn finish(&mut self) -> Result<()> {
        if self.left.is_some() {
            return Ok(());
        }
        self.write(vec![HttpTask::Done]).await.map(drop)
    }

    async fn shutdown(&mut self, _code: u32, _ctx: &str) {
        self.real.shutdown().await;
    }

    // From here on the client's own session answers.

    fn req_header(&self) -> &RequestHeader {
        self.real.req_header()
    }

    fn req_header_mut(&mut self) -> &mut RequestHeader {
        self.real.req_header_mut()
    }

    fn set_read_timeout(&mut self, timeout: Option<Duration>) {
        self.real.set_read_timeout(timeout);
    }

    fn get_read_timeout(&self) -> Option<Duration> {
        self.real.get_read_timeout()
    }

    fn set_write_timeout(&mut self, timeout: Option<Duration>) {
        self.real.set_write_timeout(timeout);
    }

    fn get_write_timeout(&self) -> Option<Duration> {
        self.real.get_write_timeout()
    }

    fn set_total_drain_timeout(&mut self, timeout: Option<Duration>) {
        self.real.set_total_drain_timeout(timeout);
    }

    fn get_total_drain_timeout(&self) -> Option<Duration> {
        self.real.get_total_drain_timeout()
    }

    fn request_summary(&self) -> String {
        self.real.request_summary()
    }

    fn response_written(&self) -> Option<&ResponseHeader> {
        self.real.response_written()
    }

    fn body_bytes_sent(&self) -> usize {
        self.real.body_bytes_sent()
    }

    fn body_bytes_read(&self) -> usize {
        self.real.body_bytes_read()
    }

    fn digest(&self) -> Option<&Digest> {
        self.real.digest()
    }

    fn digest_mut(&mut self) -> Option<&mut Digest> {
        self.real.digest_mut()
    }

    fn client_addr(&self) -> Option<&SocketAddr> {
        self.real.client_addr()
    }

    fn server_addr(&self) -> Option<&SocketAddr> {
        self.real.server_addr()
    }

    fn pseudo_raw_h1_request_header(&self) -> Bytes {
        self.real.to_h1_raw()
    }

    async fn finish_custom(&mut self) -> Result<()> {
        Ok(())
    }

    no_custom_messages!();
}
