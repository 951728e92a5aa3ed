//! A client's connection as Pingora reads and writes it.
//!
//! Of what the client sends, Pingora gets one request at a time and not a byte of the next one, which is kept until its
//! turn. What waits for the client is bounded: a write that it does not take, and what it may still send after an answer
//! that came before its request was whole.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use async_trait::async_trait;
use bytes::{Buf as _, BytesMut};
use pingora_core::protocols::{ALPN, Peek, Stream};
use pingora_timeout::{sleep, timeout};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};

use super::body::Body;
use super::head::Head;
use crate::proxy::timer::Timer;
use tollgate_base::clock;
use tollgate_wire::{Dialect, Endpoint, GatewayError};

/// What every HTTP/2 connection begins with, and no HTTP/1 request.
const H2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// What is read at once at the beginning of a request, in bytes.
const FIRST_READ: usize = 4 << 10;

/// Most bytes of further requests that are kept while one is under way.
const MOST_AHEAD: usize = 64 << 10;

/// How much longer than its bound a head may be: its first line and the ends of its lines do not count.
const UNCOUNTED: usize = 2 << 10;

/// A method and a path in the log are this long at most, in bytes.
const LONGEST_NAME: usize = 1 << 10;

/// How much longer, in time and in bytes, a client may send what nobody wants any more: an end of the connection before
/// that would take the answer away from it (RFC 9112, 9.6).
const LINGER: Duration = Duration::from_secs(1);
const LINGER_BYTES: usize = 16 << 20;

/// A wait that may be asked again when it is over: Pingora goes on writing, flushing and shutting down after an error.
struct Clock(Option<Pin<Box<dyn Future<Output = ()> + Send + Sync>>>);

impl Clock {
    fn new(after: Duration) -> Clock {
        Clock(Some(Box::pin(sleep(after))))
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if let Some(runs) = &mut self.0 {
            ready!(runs.as_mut().poll(context));
            self.0 = None;
        }
        Poll::Ready(())
    }
}

/// Hears how many bytes were read, and says whether there is room for them.
pub(in crate::proxy) type Gathers = Box<dyn FnMut(usize) -> bool + Send + Sync>;

/// Reads and writes a client's connection, a request at a time.
pub(in crate::proxy) struct Connection {
    pub(super) inner: Stream,
    /// How long the client may take for a head, and leave unread what is written.
    patience: Duration,
    /// What was read and not handed on.
    ahead: BytesMut,
    reading: Reading,
    /// Runs while the next request is waited for.
    timer: Timer,
    /// Runs while a write waits for the client.
    waits: Option<Clock>,
    /// Runs while the client still sends what is thrown away; and how much of that may be left.
    lingers: Option<(Clock, usize)>,
}

/// What the bytes are that come next.
enum Reading {
    /// A head that was not judged yet.
    Head,
    /// What is left of a head, and the body after it.
    Request(usize, Body),
    /// HTTP/2.
    Frames,
    /// What follows a WebSocket's handshake.
    Messages(Gathers),
}

/// What a client begins with.
pub(super) enum Begun {
    /// A request whose head is whole and good.
    Request,
    /// HTTP/2.
    Frames,
    /// Nothing; it has left, or was silent for too long.
    Nothing,
    /// Something that is no request.
    Refused(Refused),
}

/// What was refused, and why.
pub(super) struct Refused {
    pub error: GatewayError,
    /// Whose errors the client reads.
    pub dialect: Dialect,
    /// As far as they were understood; else `-`.
    pub method: String,
    pub path: String,
}

impl Connection {
    pub(super) fn new(inner: Stream, patience: Duration) -> Connection {
        let reading = match inner.selected_alpn_proto() {
            Some(ALPN::H2) => Reading::Frames,
            _ => Reading::Head,
        };
        Connection {
            inner,
            patience,
            ahead: BytesMut::new(),
            reading,
            timer: Timer::default(),
            waits: None,
            lingers: None,
        }
    }

    /// Waits for the next request to begin, at most for `idle`, and for its whole head of about `limit` bytes at most.
    pub(super) async fn next(&mut self, idle: Duration, limit: usize) -> Begun {
        if matches!(self.reading, Reading::Frames) {
            // Pingora would wait for its beginning without end.
            return match timeout(self.patience, self.preface()).await {
                Ok(true) => Begun::Frames,
                _ => Begun::Nothing,
            };
        }
        self.reading = Reading::Head;
        if self.ahead.is_empty() {
            self.ahead.reserve(FIRST_READ);
            let mut now = clock::now();
            let by = now + idle;
            let read = loop {
                tokio::select! {
                    biased;
                    read = self.inner.read_buf(&mut self.ahead) => break read,
                    () = self.timer.sleep(now, by) => now = clock::now(),
                }
                if now >= by {
                    return Begun::Nothing;
                }
            };
            if !matches!(read, Ok(1..)) {
                return Begun::Nothing;
            }
        }
        let mut head = Head::default();
        match timeout(self.patience, self.head(&mut head, limit)).await {
            Ok(Ok(begun)) => begun,
            Ok(Err(error)) => self.refused(&head, error),
            Err(_) => self.refused(&head, GatewayError::request_timeout()),
        }
    }

    /// Waits for what HTTP/2 begins with; false if something else comes, or nothing.
    async fn preface(&mut self) -> bool {
        loop {
            let length = self.ahead.len().min(H2_PREFACE.len());
            if self.ahead[..length] != H2_PREFACE[..length] {
                return false;
            }
            if length == H2_PREFACE.len() {
                return true;
            }
            self.ahead.reserve(FIRST_READ);
            if !matches!(self.inner.read_buf(&mut self.ahead).await, Ok(1..)) {
                return false;
            }
        }
    }

    async fn head(&mut self, head: &mut Head, limit: usize) -> Result<Begun, GatewayError> {
        let may_be_frames = self.inner.get_ssl_digest().is_none();
        loop {
            let preface = &H2_PREFACE[..self.ahead.len().min(H2_PREFACE.len())];
            if may_be_frames && self.ahead.starts_with(preface) {
                if preface.len() == H2_PREFACE.len() {
                    self.reading = Reading::Frames;
                    return Ok(Begun::Frames);
                }
            } else {
                let whole = head.look(&self.ahead)?;
                let length = whole
                    .as_ref()
                    .map_or(self.ahead.len(), |(length, _)| *length);
                if length > limit + UNCOUNTED {
                    return Err(head.too_long(limit));
                }
                if let Some((length, body)) = whole {
                    self.reading = Reading::Request(length, body);
                    return Ok(Begun::Request);
                }
            }
            match self.inner.read_buf(&mut self.ahead).await {
                Ok(0) => {
                    return Err(GatewayError::malformed(
                        "the connection ended inside its head",
                    ));
                }
                Ok(_) => {}
                Err(_) => return Ok(Begun::Nothing),
            }
        }
    }

    /// The head of the request that has begun, if nothing of it was read and it has no body.
    pub(super) fn whole_head(&self) -> Option<&[u8]> {
        match &self.reading {
            Reading::Request(length, body) if body.is_over() => self.ahead.get(..*length),
            _ => None,
        }
    }

    /// From here on the client sends a WebSocket's messages: what follows its request's head is handed on as it comes, as
    /// long as there is room for it.
    pub(in crate::proxy) fn switch(&mut self, gathers: Gathers) {
        if let Reading::Request(head, _) = self.reading {
            self.ahead.advance(head);
            // A socket may be idle for hours, and needs no room for what has been read.
            self.ahead = BytesMut::from(&self.ahead[..]);
        }
        self.reading = Reading::Messages(gathers);
    }

    fn refused(&self, head: &Head, error: GatewayError) -> Begun {
        let (method, path) = head.asked(&self.ahead).unwrap_or(("-", "-"));
        let dialect = Endpoint::of_path(path)
            .map_or(Dialect::OpenAi, |endpoint| endpoint.surface().dialect());
        let path = path.get(..LONGEST_NAME).unwrap_or(path);
        Begun::Refused(Refused {
            error,
            dialect,
            method: method.to_owned(),
            path: path.to_owned(),
        })
    }

    /// Whether the client may still be sending a request.
    fn is_sending(&self) -> bool {
        match &self.reading {
            Reading::Head | Reading::Messages(_) => true,
            Reading::Request(head, body) => *head > 0 || !body.is_over(),
            Reading::Frames => false,
        }
    }

    /// How many of `bytes`, which come next, belong to the request under way.
    fn take(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.reading {
            Reading::Head => Ok(0),
            Reading::Frames => Ok(bytes.len()),
            Reading::Messages(gathers) => match gathers(bytes.len()) {
                true => Ok(bytes.len()),
                false => Err(io::ErrorKind::OutOfMemory.into()),
            },
            Reading::Request(head, body) => {
                let first = bytes.len().min(*head);
                *head -= first;
                let malformed = |why| io::Error::new(io::ErrorKind::InvalidData, why);
                // A fault in chunks must not take their head along, or nobody could be answered.
                let alone = first > 0 && matches!(body, Body::Chunks(_));
                let rest = if alone { &[] } else { &bytes[first..] };
                Ok(first + body.take(rest).map_err(malformed)?)
            }
        }
    }

    /// Nothing more is expected: notices that the client has left, and keeps what it sends meanwhile.
    fn poll_rest(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.ahead.len() < MOST_AHEAD {
            let read = self.inner.read_buf(&mut self.ahead);
            if ready!(std::pin::pin!(read).poll(context))? == 0 {
                return Poll::Ready(Ok(()));
            }
        }
        Poll::Pending
    }

    /// Lets a write wait for as long as the client may leave things unread.
    fn bounded<T>(
        &mut self,
        write: Poll<io::Result<T>>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<T>> {
        if write.is_ready() {
            self.waits = None;
            return write;
        }
        let patience = self.patience;
        let waits = self.waits.get_or_insert_with(|| Clock::new(patience));
        ready!(waits.poll(context));
        let late = io::Error::new(io::ErrorKind::TimedOut, "the client does not read");
        Poll::Ready(Err(late))
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if !matches!(this.reading, Reading::Frames) && !this.is_sending() {
            return this.poll_rest(context);
        }
        if !this.ahead.is_empty() {
            let ahead = std::mem::take(&mut this.ahead);
            let offered = &ahead[..ahead.len().min(buffer.remaining())];
            let taken = this.take(offered);
            this.ahead = ahead;
            let taken = taken?;
            buffer.put_slice(&this.ahead[..taken]);
            this.ahead.advance(taken);
            if this.ahead.is_empty() {
                // A stream may last for hours, and needs no room for the next head meanwhile.
                this.ahead = BytesMut::new();
            }
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        ready!(Pin::new(&mut this.inner).poll_read(context, buffer))?;
        let read = &buffer.filled()[before..];
        let taken = this.take(read)?;
        if taken < read.len() {
            this.ahead.extend_from_slice(&read[taken..]);
            buffer.set_filled(before + taken);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let write = Pin::new(&mut self.inner).poll_write(context, bytes);
        self.bounded(write, context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let write = Pin::new(&mut self.inner).poll_write_vectored(context, slices);
        self.bounded(write, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flush = Pin::new(&mut self.inner).poll_flush(context);
        self.bounded(flush, context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.lingers.is_none() {
            let shutdown = Pin::new(&mut this.inner).poll_shutdown(context);
            ready!(this.bounded(shutdown, context))?;
            if !this.is_sending() {
                return Poll::Ready(Ok(()));
            }
            this.lingers = Some((Clock::new(LINGER), LINGER_BYTES));
        }
        let Some((clock, left)) = &mut this.lingers else {
            return Poll::Ready(Ok(()));
        };
        if clock.poll(context).is_ready() {
            return Poll::Ready(Ok(()));
        }
        loop {
            this.ahead.clear();
            this.ahead.reserve(FIRST_READ);
            let read = this.inner.read_buf(&mut this.ahead);
            match ready!(std::pin::pin!(read).poll(context)) {
                Ok(read) if (1..*left).contains(&read) => *left -= read,
                _ => return Poll::Ready(Ok(())),
            }
        }
    }
}

#[async_trait]
impl Peek for Connection {
    /// What Pingora asks for to recognize HTTP/2 by its preface, which has been read by then.
    async fn try_peek(&mut self, buffer: &mut [u8]) -> io::Result<bool> {
        let Some(ahead) = self.ahead.get(..buffer.len()) else {
            return Ok(false);
        };
        buffer.copy_from_slice(ahead);
        Ok(true)
    }
}

#[cfg(test)]
mod tests;
