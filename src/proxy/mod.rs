//! The edge: what Pingora calls. One hook a line, one phase a file.
//!
//! ```text
//! receive ─ authenticate ─ body ─ route ─ credits ─ admit     (request_filter)
//!    [ attempt ─ outbound ─ answer ]*                         (upstream_peer … upstream_response_filter)
//!    failure ─ the next attempt                               (fail_to_connect, error_while_proxy)
//!    or the last word                                         (fail_to_proxy)
//! settle ─ record                                             (logging)
//! ```
//!
//! Pingora calls `upstream_peer` again whenever a failure is marked retryable: that loop is the
//! candidate loop. [`session`] is what makes it safe: it replays the body, holds answers back until
//! they commit, and keeps the time. Decisions are made in [`tollgate_failover`]; here they are acted on.

mod admit;
mod answer;
mod aside;
mod attempt;
mod authenticate;
mod beside;
mod bill;
mod body;
mod chosen;
mod closing;
mod connection;
mod context;
mod conversation;
mod cooldowns;
mod cors;
mod count;
mod credits;
mod dial;
mod drain;
mod early;
mod explain;
mod failure;
mod frames;
mod gate;
mod hedge;
mod known;
mod last_word;
mod line;
mod local;
mod names;
mod notices;
mod opening;
mod outbound;
mod peers;
mod quota;
mod receive;
mod record;
mod refusals;
mod reply;
mod resolver;
mod retries;
mod route;
mod session;
mod settle;
mod shared;
mod shares;
mod tags;
mod timer;
mod translation;
mod trust;
mod uplink;
mod websocket;
mod worded;

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use pingora_core::modules::http::HttpModules;
use pingora_core::protocols::Digest;
use pingora_core::upstreams::peer::HttpPeer;
use pingora_error::{Error, Result};
use pingora_http::{RequestHeader, ResponseHeader};
use pingora_proxy::{FailToProxy, ProxyHttp, ProxyWarnLogContext, Session};

pub use aside::Room;
pub use beside::Hedges;
pub use connection::{Bounded, Tls};
pub use context::Context;
pub use cooldowns::{Published, Publisher};
pub use drain::{Drain, Stage};
pub use explain::explain;
pub use notices::Notices;
pub use peers::Peers;
pub use quota::TOLD_FOR;
pub use retries::Retries;
pub use shared::Shared;
pub use shares::Scarce;

use tollgate_base::clock;

/// The gateway as Pingora sees it.
pub struct Gateway(pub std::sync::Arc<Shared>);

#[async_trait]
impl ProxyHttp for Gateway {
    type CTX = Box<Context>;

    fn new_ctx(&self) -> Box<Context> {
        Box::new(Context::new(clock::now()))
    }

    /// No modules: answers are compressed by nobody, and Pingora's own for it costs an allocation a phase.
    fn init_downstream_modules(&self, _modules: &mut HttpModules) {}

    /// Receives, authenticates, routes and admits; answers at once what needs no provider.
    async fn request_filter(&self, session: &mut Session, ctx: &mut Box<Context>) -> Result<bool> {
        receive::request(&self.0, session, ctx).await
    }

    /// Begins the next attempt.
    async fn upstream_peer(
        &self,
        session: &mut Session,
        ctx: &mut Box<Context>,
    ) -> Result<Box<HttpPeer>> {
        attempt::begin(&self.0, session, ctx).await
    }

    /// Looks at a connection before anything is sent on it: who the server says it is, whether it is open still.
    async fn connected_to_upstream(
        &self,
        _session: &mut Session,
        reused: bool,
        _peer: &HttpPeer,
        fd: std::os::fd::RawFd,
        digest: Option<&Digest>,
        ctx: &mut Box<Context>,
    ) -> Result<()> {
        failure::presented(&self.0, ctx, digest)?;
        attempt::connected(ctx, reused, fd)
    }

    /// Writes the head of the attempt's request.
    async fn upstream_request_filter(
        &self,
        _session: &mut Session,
        head: &mut RequestHeader,
        ctx: &mut Box<Context>,
    ) -> Result<()> {
        outbound::head(&self.0, head, ctx)
    }

    /// Gives the attempt its body.
    async fn request_body_filter(
        &self,
        _session: &mut Session,
        body: &mut Option<Bytes>,
        _end: bool,
        ctx: &mut Box<Context>,
    ) -> Result<()> {
        outbound::body(body, ctx.attempt.as_ref());
        Ok(())
    }

    /// Judges the head of the attempt's answer.
    async fn upstream_response_filter(
        &self,
        _session: &mut Session,
        head: &mut ResponseHeader,
        ctx: &mut Box<Context>,
    ) -> Result<()> {
        answer::head(&self.0, head, ctx).await
    }

    /// Suits the head of an answer to its client.
    async fn response_filter(
        &self,
        session: &mut Session,
        head: &mut ResponseHeader,
        _ctx: &mut Box<Context>,
    ) -> Result<()> {
        answer::last_touch(session, head);
        Ok(())
    }

    /// An attempt failed before it had a connection.
    fn fail_to_connect(
        &self,
        _session: &mut Session,
        _peer: &HttpPeer,
        ctx: &mut Box<Context>,
        error: Box<Error>,
    ) -> Box<Error> {
        failure::connecting(&self.0, ctx, error)
    }

    /// An attempt failed after it had a connection.
    fn error_while_proxy(
        &self,
        _peer: &HttpPeer,
        session: &mut Session,
        error: Box<Error>,
        ctx: &mut Box<Context>,
        reused: bool,
    ) -> Box<Error> {
        failure::proxying(&self.0, session, ctx, error, reused)
    }

    /// Nothing is left to try: the last word to the client.
    async fn fail_to_proxy(
        &self,
        session: &mut Session,
        _error: &Error,
        ctx: &mut Box<Context>,
    ) -> FailToProxy {
        last_word::say(&self.0, session, ctx).await
    }

    /// Gives the client's session back, and records what happened.
    async fn logging(&self, session: &mut Session, _error: Option<&Error>, ctx: &mut Box<Context>) {
        settle::request(&self.0, session, ctx).await;
    }

    fn suppress_error_log(&self, _session: &Session, _ctx: &Self::CTX, _error: &Error) -> bool {
        true // the access log says it, once
    }

    fn suppress_proxy_warn_log(
        &self,
        _session: &Session,
        _ctx: &Self::CTX,
        _error: &Error,
        _context: ProxyWarnLogContext,
    ) -> bool {
        true
    }
}

/// Longest time for connecting to a provider; a dead address must not use up the attempt.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
